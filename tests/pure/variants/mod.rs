//! Variants: their keys, their rules, and that nobody gets another one's.

mod key;
mod model;
mod rules;
mod value;

use twice_core::variants::{Dimension, Dimensions};

fn set(all: &[Dimension<'_>]) -> Dimensions {
    let mut set = Dimensions::default();
    for dimension in all {
        set.add(*dimension).unwrap();
    }
    set
}
