//! A short text of a page: the name of an element, of an attribute, a word of a script.
//!
//! Invariant: at most [`MAX`] bytes are kept. One that is longer, or that a value is part of, equals no name.

/// Longest name that is kept. None of those that decide anything is longer.
const MAX: usize = 32;

/// What is no name any more.
const UNKNOWN: u8 = u8::MAX;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    len: u8,
    bytes: [u8; MAX],
}

impl Name {
    /// Adds a byte, a letter as a small one.
    pub(super) fn push(&mut self, byte: u8) {
        match self.bytes.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = byte.to_ascii_lowercase();
                self.len += 1;
            }
            None => self.spoil(),
        }
    }

    /// As `push`, but a capital stays one.
    pub(super) fn push_exact(&mut self, byte: u8) {
        match self.bytes.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.spoil(),
        }
    }

    /// Nobody knows how it reads.
    pub(super) fn spoil(&mut self) {
        *self = Name { len: UNKNOWN, ..Name::default() };
    }

    pub(super) fn clear(&mut self) {
        *self = Name::default();
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.len == UNKNOWN
    }

    /// The text; `None` if it isn't known.
    pub(super) fn known(&self) -> Option<&[u8]> {
        self.bytes.get(..usize::from(self.len))
    }

    pub(super) fn is(&self, text: &[u8]) -> bool {
        self.known() == Some(text)
    }

    pub(super) fn is_one_of(&self, texts: &[&[u8]]) -> bool {
        self.known().is_some_and(|text| texts.contains(&text))
    }
}
