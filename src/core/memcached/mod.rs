//! memcached's text protocol, without sockets: what is sent, and what comes back.
//!
//! ```text
//!  keys of a turn --> Keys --> encode::get --> "get a b c\r\n" ----------------> server
//!                       |                                                           |
//!                       '--> Parser::expect --> [ get a b c | incr d | ... ]        |
//!                                                  ^ front                          |
//!     Event::Value(a), Event::Done(get a b c) <----'---- Parser::next <-- pieces <--'
//! ```
//!
//! Invariants
//! - A server answers its commands in their order; the values of one `get` come in any order and are told apart by
//!   their keys.
//! - Every key that is sent passed [`crate::source::key::check`]: it can't end its line.
//! - Whatever comes, memory is bounded: lines by [`parse::MAX_REPLY`], values by [`crate::source::MAX_VALUE`], what is
//!   outstanding by [`parse::MAX_COMMANDS`] and [`parse::MAX_KEY_BYTES`].
//! - After a [`Violation`] replies and commands are out of step: nothing more is read, and the connection has to go.

pub mod change;
pub mod encode;
mod keys;
pub mod parse;
pub mod reply;
pub mod turn;

pub use keys::{Keys, MAX_KEYS, MAX_LINE, Pushed};
pub use parse::{Event, Parser};
pub use reply::{Expected, Refusal, Reply, Violation, Wrong};

/// A value as it was meant. A server that decrements `10` leaves `9 ` behind: the number keeps its length, and spaces fill
/// it up (protocol.txt, "decr").
pub fn unpadded(value: &[u8]) -> &[u8] {
    let digits = value.trim_ascii_end();
    let is_padded = digits.len() < value.len()
        && !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && value.iter().skip(digits.len()).all(|&byte| byte == b' ');
    if is_padded { digits } else { value }
}
