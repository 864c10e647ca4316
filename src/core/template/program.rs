//! How a program is written down.
//!
//! A program is a row of operations, each a varint whose low three bits are its kind and whose other bits
//! its operand (a length or the number of a slot), so that most take one or two bytes:
//!
//! ```text
//!   0 TEXT   n             n bytes of the literals
//!   1 HTML   s             value s, html-escaped
//!   2 HTML2  s len         the same; if it is missing, the next len bytes of the literals
//!   3 GET    s clen chain len   value s through a chain of filters (see filter.rs); if it is missing, the
//!                          next len bytes. Each `default` step of the chain has a literal of its own
//!                          behind that one, for a value that an earlier step made empty.
//!   4 IF     s             opens a block that runs if value s is true
//!   5 UNLESS s             ... if it is false
//!   6 MARK   n             n = 0: else, 1: end, 2: opens a block that never runs, 3: one that always does
//!            4 initial klen key   incr: counts a source's key up, or sets it to `initial`
//!            5 initial klen key   decr: counts it down, or sets it
//!            6 klen key           delete: the key is gone at its source
//!   7 INCLUDE s len        fragment s as it is; if it is missing, the next len bytes of the literals
//! ```
//!
//! There are no jumps: literals are used up from first to last, and a branch that isn't taken moves the
//! place in them without printing. So whatever bytes stand here, running them takes time in proportion to
//! their number, and the worst that a damaged program does is to print the wrong part of its own page.

use super::slot::split_source_key;
use crate::source::Change;
use crate::varint;

pub(super) const TEXT: usize = 0;
pub(super) const HTML: usize = 1;
pub(super) const HTML2: usize = 2;
pub(super) const GET: usize = 3;
pub(super) const IF: usize = 4;
pub(super) const UNLESS: usize = 5;
pub(super) const MARK: usize = 6;
pub(super) const INCLUDE: usize = 7;

pub(super) const ELSE: usize = 0;
pub(super) const END: usize = 1;
pub(super) const NEVER: usize = 2;
pub(super) const ALWAYS: usize = 3;
pub(super) const INCR: usize = 4;
pub(super) const DECR: usize = 5;
pub(super) const DELETE: usize = 6;

/// Bits of an operation's kind.
pub(super) const KIND_BITS: u32 = 3;

/// Writes an operation's head.
pub(super) fn put_op(code: &mut Vec<u8>, kind: usize, operand: usize) {
    // An operand is a length or a number in memory: far below the bits lost here.
    put_varint(code, operand << KIND_BITS | kind);
}

/// Writes an operation that changes something at a source. `key`: its name and the key there.
pub(super) fn put_change(code: &mut Vec<u8>, key: &[u8], change: Change) {
    match change {
        Change::Incr(initial) => {
            put_op(code, MARK, INCR);
            varint::put(code, initial);
        }
        Change::Decr(initial) => {
            put_op(code, MARK, DECR);
            varint::put(code, initial);
        }
        Change::Delete => put_op(code, MARK, DELETE),
    }
    varint::put_bytes(code, key);
}

/// What a page changes.
pub(super) struct Changed<'a> {
    pub(super) source: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) change: Change,
}

/// Takes what stands behind the operation `what`, if that changes something.
pub(super) fn take_change<'a>(what: usize, code: &mut &'a [u8]) -> Option<Changed<'a>> {
    let change = match what {
        INCR => Change::Incr(varint::take(code)?),
        DECR => Change::Decr(varint::take(code)?),
        DELETE => Change::Delete,
        _ => return None,
    };
    let len = take_varint(code)?;
    let (stored, rest) = code.split_at_checked(len)?;
    *code = rest;
    let (source, key) = split_source_key(stored)?;
    Some(Changed { source, key, change })
}

/// Writes a number ([`crate::varint`]).
pub(super) fn put_varint(code: &mut Vec<u8>, number: usize) {
    varint::put(code, number as u64);
}

/// Takes a number. `None` if it is cut short or too large for a `usize`.
#[inline(always)]
pub(super) fn take_varint(code: &mut &[u8]) -> Option<usize> {
    usize::try_from(varint::take(code)?).ok()
}
