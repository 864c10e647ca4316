//! Values that come from outside the page: memcached, the site's own services, counters in the zone.
//!
//! Invariant: whatever a source does, the page goes on. A value that does not come is one [`Failure`], and its tag
//! prints its default.

pub mod arriving;
pub mod figures;
pub mod key;
pub mod record;
pub mod shown;

use std::fmt;

/// Why a value did not come. A key that is not there is no failure: it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The source did not answer in its time.
    Timeout,
    /// The connection was refused, or ended in the middle.
    Closed,
    /// What came is no answer to what was asked.
    Protocol,
    /// The source says that it can't: `SERVER_ERROR`, a status that is no success.
    Refused,
    /// The value is larger than a source's may be.
    TooLarge,
    /// The source failed before, and was not asked.
    Resting,
    /// The key can't be sent.
    BadKey,
    /// Too much is under way.
    Busy,
}

impl Failure {
    /// All of them.
    pub const ALL: [Failure; 8] = [
        Failure::Timeout,
        Failure::Closed,
        Failure::Protocol,
        Failure::Refused,
        Failure::TooLarge,
        Failure::Resting,
        Failure::BadKey,
        Failure::Busy,
    ];

    /// The one name of this outcome.
    pub const fn as_str(self) -> &'static str {
        match self {
            Failure::Timeout => "timeout",
            Failure::Closed => "closed",
            Failure::Protocol => "protocol",
            Failure::Refused => "refused",
            Failure::TooLarge => "too-large",
            Failure::Resting => "resting",
            Failure::BadKey => "bad-key",
            Failure::Busy => "busy",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Failure {}

/// What a source says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Its value.
    Value(&'a [u8]),
    /// It has none.
    Missing,
    /// It can't be known.
    Failed(Failure),
}

/// A change at a source, for which nobody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// One more, or this number where there is none.
    Incr(u64),
    /// One less, never under zero, or this number where there is none.
    Decr(u64),
    /// It is gone.
    Delete,
}

impl Change {
    /// What it makes of a decimal number, as memcached counts: over 2^64 it begins anew at 0, under 0 it stays there. None:
    /// it is no number, or goes.
    pub fn of_text(self, value: &[u8]) -> Option<String> {
        let digits = value.iter().all(u8::is_ascii_digit).then_some(value)?;
        let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        match self {
            Change::Incr(_) => Some(number.wrapping_add(1).to_string()),
            Change::Decr(_) => Some(number.saturating_sub(1).to_string()),
            Change::Delete => None,
        }
    }
}

/// Largest value that is taken from a source, in bytes.
pub const MAX_VALUE: usize = 1 << 20;

/// Whether a source may have this name, which is a target of tags: a small letter, and up to 31 small letters, digits and
/// underscores.
pub fn is_name(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 32 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(rest)
}
