//! Variants: one URL, several pages.
//!
//! ```text
//! base key --> page                                   most URLs: one lookup finds the page
//! base key --> rules --> variant's key --> page       what varies: two
//!              what the page varies by, an epoch,
//!              hashes of its variants
//! ```
//!
//! Invariants
//! - Under a base key is a page that is the same for everybody, or rules, never a variant.
//! - Rules only grow. When they do, and when they are made anew, they get an epoch that no rules had before. It is part of
//!   a variant's key, so that a variant is found by the rules that it was stored by and by no others.
//! - The list of a page's variants is bounded, and so are rules and their names. It is for the bound alone: a variant that
//!   it lacks is found all the same.

mod dimension;
mod key;
mod rules;
mod value;

pub use dimension::{Dimension, Dimensions, Iter, MAX_DIMENSIONS, MAX_NAME, Unbounded};
pub use key::{Value, VariantKey, values_of};
pub use rules::{
    MAX_HEAD, MAX_VARIANTS, PREFIX, Rules, SCAN, Standing, TAG, View, head_len, is_rules, merge,
};
pub use value::{is_as_it_comes, join};
