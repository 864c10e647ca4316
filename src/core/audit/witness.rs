//! A witness as it lies in the store: a head, then the page as it would be stored.
//!
//! ```text
//! | magic, 4 | bytes of the head, 4 | hash of all, 8 | hash of a cookie, 8 | ...     | page ... | marks
//!   <----------------------------------- head ----------------------------------->
//! ```

use super::visitor::{MAX_IDS, Visitor};
use crate::variants::Dimensions;
use crate::varint;

/// Bytes that tell how long the head is.
pub const PREFIX: usize = 8;

/// Longest head.
pub const MAX_HEAD: usize = PREFIX + 8 * (MAX_IDS + 2);

const MAGIC: [u8; 4] = *b"wits";

/// The head of a visitor's witness.
pub fn write_head(visitor: &Visitor) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&[0; 4]);
    head.extend(visitor.words().flat_map(u64::to_le_bytes));
    // Bounded by `MAX_HEAD`.
    let len = (head.len() as u32).to_le_bytes();
    for (to, byte) in head.iter_mut().skip(MAGIC.len()).zip(len) {
        *to = byte;
    }
    head
}

/// Bytes of the head, from the first [`PREFIX`] of a value; `None` if it is no witness.
pub fn head_len(prefix: &[u8]) -> Option<usize> {
    let (magic, len) = prefix.split_first_chunk()?;
    let len = u32::from_le_bytes(*len.first_chunk()?) as usize;
    (*magic == MAGIC && (PREFIX + 8..=MAX_HEAD).contains(&len) && len.is_multiple_of(8)).then_some(len)
}

/// Reads a head of [`head_len`] bytes.
pub fn read_head(head: &[u8]) -> Option<Visitor> {
    if head_len(head)? != head.len() {
        return None;
    }
    let (words, _) = head.get(PREFIX..)?.as_chunks();
    Visitor::of_words(words.iter().map(|word| u64::from_le_bytes(*word)))
}

/// What stands for a page's key in that of its witness: with the values of `dimensions` and [`key::EPOCH`] it is made a key
/// as those of variants are. A page that varies otherwise has another witness.
pub mod key {
    use super::{Dimensions, varint};

    /// No rules' epoch: those are random.
    pub const EPOCH: u64 = u64::from_le_bytes(*b"witness\0");

    /// In the place of the page's own key.
    pub fn base(base: &[u8], dimensions: &Dimensions) -> Vec<u8> {
        let mut out = Vec::with_capacity(base.len() + dimensions.bytes().len() + 4);
        varint::put_bytes(&mut out, dimensions.bytes());
        out.extend_from_slice(base);
        out
    }
}
