//! Tags: parsed once when a page is stored, run on each hit.
//!
//! ```text
//!  pieces of a body                               values of one visitor
//!        |                                                 |
//!        v            Parts, kept with the page            v
//!   [ Compiler ] ---> slots  what values are needed ----> Values
//!     scan            code   a linear program      ----> [ run ] ----> Sink
//!     parse, build    literals  the page's own text -----------^
//! ```
//!
//! One mechanism serves stored pages and answers that stream by: the compiler turns pieces, cut
//! anywhere, into a program, and [`run()`] stops where the program ends so far and goes on when more of
//! it was compiled.
//!
//! Invariants of the whole module:
//!
//! * A value is data. It passes filters and is written; nothing ever looks for tags in it.
//! * Where a response has a guard only what brings its token is a tag, and the token is in nothing that is made here.
//! * Header lines with tags are programs of their own with the page's slots.
//! * The bytes printed, the program and the errors do not depend on how the body was cut.
//! * Whatever the input, nothing here panics, and memory is bounded by a small multiple of the
//!   input and by [`Limits`].
//! * What can be decided about the page author's own text is decided when the page is compiled: a
//!   hit copies it.
//!
//! ```
//! use std::sync::Arc;
//! use twice_core::template::{Compiler, Delimiters, Escape, Limits, Sink, State, Values};
//!
//! struct Visitor;
//! impl Values for Visitor {
//!     fn value(&self, _slot: usize) -> Option<&[u8]> {
//!         Some(b"Ann & Bob")
//!     }
//! }
//!
//! struct Page<'a>(&'a [u8], Vec<u8>);
//! impl Sink for Page<'_> {
//!     fn literal(&mut self, offset: usize, len: usize) {
//!         self.1.extend(self.0.iter().skip(offset).take(len));
//!     }
//!     fn write(&mut self, bytes: &[u8]) {
//!         self.1.extend_from_slice(bytes);
//!     }
//! }
//!
//! let limits = Limits::default();
//! let sources = Arc::from([]);
//! let mut compiler = Compiler::new(Arc::new(Delimiters::default()), Escape::Html, limits, sources);
//! compiler.feed(b"Hello <& get coo");
//! compiler.feed(b"kie name stranger &>!");
//! compiler.finish();
//! assert!(compiler.errors().is_empty());
//!
//! let parts = compiler.parts().unwrap();
//! let mut page = Page(parts.literals, Vec::new());
//! let mut state = State::new(&limits);
//! twice_core::template::run(parts.code, parts.literals.len(), &mut state, &Visitor, &mut page).unwrap();
//! assert_eq!(page.1, b"Hello Ann &amp; Bob!");
//! ```

#![forbid(unsafe_code)]

mod build;
mod compile;
mod delimiters;
mod error;
mod escape;
mod escape_code;
mod escape_url;
mod filter;
mod guard;
mod header;
mod include;
mod origin;
mod parse;
mod place;
mod program;
mod run;
mod scan;
mod scout;
mod slot;
mod steps;

pub use compile::{Compiler, Parts};
pub use delimiters::{BadDelimiters, Delimiters, MAX_DELIMITER};
pub use error::{ErrorKind, MAX_ERRORS, MAX_EXCERPT, TagError};
pub use filter::MAX_FILTERS;
pub use guard::Token;
pub use header::{Header, Line, MAX_HEADER, lines};
pub use include::{MAX_INCLUDES, MAX_URI};
pub use origin::{At, Origin};
pub use parse::MAX_KEY;
pub use place::{Place, Start};
pub use run::{Corrupt, Sink, State, Values, run};
pub use scout::needed;
pub use slot::{Slot, Slots, Target, ngx_key};
pub use steps::{Step, Steps};

/// The names of the configured sources, which tags may have as targets: letters, digits and `_`.
pub type Sources = std::sync::Arc<[Box<str>]>;

use crate::source::MAX_VALUE;

/// What is done to a value whose tag names no escaping filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// The `html` filter is applied last.
    #[default]
    Html,
    /// Nothing, as in 2008.
    Off,
    /// What the place asks for that the tag has in a page which begins so.
    Auto(Start),
}

/// Bounds of compiling and running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes between a tag's delimiters. A longer one is plain text. This is also the most that
    /// a streamed answer is held back (with string delimiters).
    pub tag_max: usize,
    /// Most bytes of a body whose tags are found by a regular expression, which has to see the body
    /// whole. A longer body is plain text.
    pub regex_buffer: usize,
    /// Most different values that one page may ask for.
    pub slots_max: usize,
    /// A longer value counts as missing. As much as a source may give.
    pub value_max: usize,
    /// Most bytes that the values of one page may add up to when filtered. Values beyond it print
    /// nothing.
    pub output_max: usize,
    /// Most bytes of fragments that one page prints. An include beyond it prints its default.
    pub fragments_max: usize,
    /// Most changes that one page makes at sources. Those beyond it are left out.
    pub changes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tag_max: 16 << 10,
            regex_buffer: 1 << 20,
            slots_max: 4096,
            value_max: MAX_VALUE,
            output_max: 4 << 20,
            fragments_max: 16 << 20,
            changes_max: 1024,
        }
    }
}
