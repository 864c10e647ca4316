//! Tags in the values of response headers.
//!
//! ```text
//!   a line of a page's head: name, code, literals (each behind its length)      slots: those of the page
//! ```
//!
//! Invariants: what a value brings into a line has no control byte, whatever its filters did, so that it can neither end
//! the line nor begin another one; a line is at most [`MAX_HEADER`] bytes.

use super::Limits;
use super::TagError;
use super::run::{Corrupt, Sink, State, Values, run};
use crate::varint::{self, Cursor};

/// Longest value of a header line with tags. One that would be longer is left out.
pub const MAX_HEADER: usize = 8 << 10;

/// A compiled header line.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The program for [`Line::print`].
    pub code: Vec<u8>,
    /// The line's own text.
    pub literals: Vec<u8>,
    /// How many tags were compiled. Without any the literals are the line.
    pub tags: u32,
    /// What is wrong with its tags.
    pub errors: Vec<TagError>,
}

impl Header {
    /// Appends the line to those of a page.
    pub fn encode(&self, name: &[u8], lines: &mut Vec<u8>) {
        for part in [name, &self.code, &self.literals] {
            varint::put_bytes(lines, part);
        }
    }
}

/// A stored header line with tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The header's name.
    pub name: &'a [u8],
    code: &'a [u8],
    literals: &'a [u8],
}

/// The header lines of a stored page, as [`Header::encode`] wrote them. What it did not write ends them.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut cursor = Cursor::new(bytes);
    std::iter::from_fn(move || {
        Some(Line { name: cursor.bytes()?, code: cursor.bytes()?, literals: cursor.bytes()? })
    })
}

impl<'a> Line<'a> {
    /// Its program.
    pub fn code(&self) -> &'a [u8] {
        self.code
    }

    /// Its own text.
    pub fn literals(&self) -> &'a [u8] {
        self.literals
    }
}

impl Line<'_> {
    /// Writes the line's value into `out`, in place of what that holds. False: it would be longer than [`MAX_HEADER`].
    pub fn print<V: Values>(
        &self,
        state: &mut State,
        values: &V,
        out: &mut Vec<u8>,
    ) -> Result<bool, Corrupt> {
        out.clear();
        state.restart(&Limits::default());
        let mut written = Written { literals: self.literals, out, fits: true };
        run(self.code, self.literals.len(), state, values, &mut written)?;
        Ok(written.fits)
    }
}

struct Written<'l> {
    literals: &'l [u8],
    out: &'l mut Vec<u8>,
    fits: bool,
}

impl Written<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.fits &= bytes.len() <= MAX_HEADER - self.out.len().min(MAX_HEADER);
        if self.fits {
            self.out.extend_from_slice(bytes);
        }
    }
}

impl Sink for Written<'_> {
    fn literal(&mut self, offset: usize, len: usize) {
        let literals = self.literals;
        match literals.get(offset..offset.saturating_add(len)) {
            Some(text) => self.put(text),
            None => self.fits = false,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        for text in bytes.split(u8::is_ascii_control) {
            self.put(text);
        }
    }
}
