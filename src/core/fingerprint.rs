//! A page's own `ETag`: what it is made of in one number, so that a visitor who has the very same bytes need not get them
//! again.
//!
//! ```text
//!   generation = hash(what builds pages, status, type, program, literals)      when the page is stored
//!   ETag       = hash(generation, each value with its length)                  on a hit
//! ```
//!
//! Invariants
//! - Two renderings with one tag have the same bytes: all that a program prints is its literals and its values, and no
//!   two rows of values are hashed alike. What two tags share besides is chance, one in 2^64.
//! - The hash has a fixed key: a page has the same tag in every worker, on every machine, and after a restart. Who finds two
//!   rows of values with one tag deceives himself alone.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::page::{Head, PAGE_FORMAT, Program};

const KEY: [u64; 2] = [0x7477_6963_655f_6574, 0x6167_735f_7631_0000];

/// Bytes of a tag.
pub const TAG: usize = 18;

fn hasher() -> SipHasher13 {
    let [first, second] = KEY;
    SipHasher13::new_with_keys(first, second)
}

/// What is stored of a page, in one number: its program and its literals, and the lines of its header that say how they are
/// read. Never 0.
pub fn generation(head: &Head<'_>, program: &Program<'_>, literals: &[u8]) -> u64 {
    let mut hash = hasher();
    hash.write(&PAGE_FORMAT.to_le_bytes());
    hash.write(&head.status.to_le_bytes());
    for part in [head.content_type, head.charset, program.slots, program.code, literals] {
        hash.write(&(part.len() as u64).to_le_bytes());
        hash.write(part);
    }
    hash.finish().max(1)
}

/// The tag of a page of this generation with these values, quoted. None: the value is missing, which may print something
/// else than one that is empty.
pub fn tag<'v>(generation: u64, values: impl Iterator<Item = Option<&'v [u8]>>) -> [u8; TAG] {
    let mut row = Row { bytes: [0; ROW], at: 0, hash: None };
    row.push(&generation.to_le_bytes());
    for value in values {
        match value {
            None => row.push(&[0]),
            Some(value) if value.len() < 0xfe => {
                row.push(&[value.len() as u8 + 1]);
                row.push(value);
            }
            Some(value) => {
                row.push(&[0xff]);
                row.push(&(value.len() as u64).to_le_bytes());
                row.push(value);
            }
        }
    }
    quoted(row.finish())
}

/// Bytes that are gathered before they are hashed: for a few short values it is done once.
const ROW: usize = 128;

struct Row {
    bytes: [u8; ROW],
    at: usize,
    /// There was more than fits.
    hash: Option<SipHasher13>,
}

impl Row {
    #[inline]
    fn push(&mut self, piece: &[u8]) {
        match self.bytes.get_mut(self.at..self.at.saturating_add(piece.len())) {
            Some(place) => {
                for (to, from) in place.iter_mut().zip(piece) {
                    *to = *from;
                }
                self.at += piece.len();
            }
            None => self.spill(piece),
        }
    }

    #[cold]
    fn spill(&mut self, piece: &[u8]) {
        let gathered = self.bytes.get(..self.at).unwrap_or_default();
        let hash = self.hash.get_or_insert_with(hasher);
        hash.write(gathered);
        hash.write(piece);
        self.at = 0;
    }

    #[inline]
    fn finish(self) -> u64 {
        let gathered = self.bytes.get(..self.at).unwrap_or_default();
        match self.hash {
            None => hasher().hash(gathered),
            Some(mut hash) => {
                hash.write(gathered);
                hash.finish()
            }
        }
    }
}

fn quoted(number: u64) -> [u8; TAG] {
    let mut tag = [b'"'; TAG];
    for (place, nibble) in tag.iter_mut().skip(1).zip((0..16).rev().map(|at| number >> (4 * at) & 15)) {
        *place = b"0123456789abcdef".get(nibble as usize).copied().unwrap_or(b'0');
    }
    tag
}
