//! Pages and local counters in a file, so that they outlive nginx.
//!
//! Invariants
//! - Each record stands for itself: damage costs the records that it touches, and no other. A reader that has
//!   lost its way goes on at the next place where a record's head can be seen.
//! - A page's bytes can't pass for a record: marks and checksums depend on a seed that is drawn for each file.
//! - Reading takes memory for one record and no more, whatever the file holds, and time in proportion to its length.
//!
//! Non-goals: what a page means, whether it is still fresh, where the file lies. Nor is this a defence against somebody
//! who may write the file: the seed stands in it.

mod format;
mod reader;
mod writer;

pub use format::{Kind, Record};
pub use reader::{OpenError, Reader, Step, Tally};
pub use writer::Writer;
