//! Names of header lines, which mean the same in any case.
//!
//! An answer may have tens of thousands of lines, where its proxy has the room (`proxy_buffer_size`): what looks for one
//! line's name among all others sorts them first, lest a worker be held by one answer.

use std::cmp::Ordering;

/// An order in which the same names stand together.
pub fn compare(one: &[u8], other: &[u8]) -> Ordering {
    one.iter().map(u8::to_ascii_lowercase).cmp(other.iter().map(u8::to_ascii_lowercase))
}

/// Names among which others are looked for.
#[derive(Clone, Debug, Default)]
pub struct Names<'a>(Vec<&'a [u8]>);

impl<'a> FromIterator<&'a [u8]> for Names<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(names: I) -> Self {
        let mut names: Vec<&[u8]> = names.into_iter().collect();
        names.sort_unstable_by(|one, other| compare(one, other));
        Self(names)
    }
}

impl Names<'_> {
    /// Whether this is one of them.
    pub fn has(&self, name: &[u8]) -> bool {
        self.0.binary_search_by(|other| compare(other, name)).is_ok()
    }
}
