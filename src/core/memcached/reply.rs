//! What a server's line says: the answer to a command, a refusal, or nothing that belongs there.
//!
//! | reply | to `get` | to `add`, `set` | to `incr`, `decr` | to `delete` | to `version` |
//! | --- | --- | --- | --- | --- | --- |
//! | `VALUE`, a key of this line, no second time | a value | violation | violation | violation | violation |
//! | `END` | done | violation | violation | violation | violation |
//! | a number | violation | violation | done | violation | violation |
//! | `STORED`, `NOT_STORED` | violation | done | violation | violation | violation |
//! | `NOT_FOUND` | violation | violation | done | done | violation |
//! | `DELETED` | violation | violation | violation | done | violation |
//! | `VERSION ...` | violation | violation | violation | violation | done |
//! | `SERVER_ERROR ...` | refused | refused | refused | refused | refused |
//! | `ERROR`, `CLIENT_ERROR ...` | refused | violation | refused | refused | refused |
//!
//! Anything else is a violation. A server that finds fault with the line of an `add` may read its data as the next command,
//! and answer that too: then nobody knows what answers what.

use std::fmt;

use super::Keys;

/// A command that was sent.
#[derive(Clone, Debug)]
pub enum Expected {
    /// One line of `get`.
    Get(Keys),
    /// `add` or `set`.
    Store,
    /// `incr` or `decr`.
    Arith,
    /// `delete`.
    Delete,
    /// `version`.
    Version,
}

/// How a command was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// To `get`: that was all.
    End,
    /// To `incr` and `decr`: the new number.
    Number(u64),
    /// To `add` and `set`.
    Stored,
    /// To `add`: the key is there already.
    NotStored,
    /// To `incr`, `decr`, `delete`: the key is not there.
    NotFound,
    /// To `delete`.
    Deleted,
    /// To `version`.
    Version,
    /// The command failed, and no other.
    Refused {
        /// What the server calls it.
        by: Refusal,
        /// What it says of it.
        text: &'a [u8],
    },
}

/// In what words a server refuses a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `ERROR`: it does not know the command.
    Error,
    /// `CLIENT_ERROR`: the command makes no sense, as `incr` of a text.
    Client,
    /// `SERVER_ERROR`: it can't.
    Server,
}

impl Refusal {
    /// Its word in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Refusal::Error => "ERROR",
            Refusal::Client => "CLIENT_ERROR",
            Refusal::Server => "SERVER_ERROR",
        }
    }
}

/// What came is no answer to what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub wrong: Wrong,
    /// With what: the start of it, printable.
    pub text: String,
}

/// What can be wrong with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// Nothing was asked.
    Unasked,
    /// A line longer than [`super::parse::MAX_REPLY`].
    LineTooLong,
    /// A line that ends without a carriage return.
    LineEnd,
    /// No reply to this command.
    Reply,
    /// A `VALUE` line that is not `VALUE key flags length [cas]`.
    Value,
    /// A value of more than [`super::parse::MAX_SKIPPED`] bytes.
    Length,
    /// The value of a key that was not asked for.
    Key,
    /// A second value of one key.
    Twice,
    /// A value that does not end where its length says.
    ValueEnd,
}

impl Wrong {
    /// All of them.
    pub const ALL: [Wrong; 9] = [
        Wrong::Unasked,
        Wrong::LineTooLong,
        Wrong::LineEnd,
        Wrong::Reply,
        Wrong::Value,
        Wrong::Length,
        Wrong::Key,
        Wrong::Twice,
        Wrong::ValueEnd,
    ];

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Wrong::Unasked => "an answer where nothing was asked",
            Wrong::LineTooLong => "a line that is too long",
            Wrong::LineEnd => "a line that ends without a carriage return",
            Wrong::Reply => "no answer to this command",
            Wrong::Value => "no valid line of a value",
            Wrong::Length => "a value that is too long to be skipped",
            Wrong::Key => "the value of a key that was not asked for",
            Wrong::Twice => "a second value of one key",
            Wrong::ValueEnd => "a value that does not end where its length says",
        }
    }

    pub(super) fn with(self, text: &[u8]) -> Violation {
        let start = text.get(..SHOWN).unwrap_or(text);
        Violation { wrong: self, text: start.escape_ascii().to_string() }
    }
}

/// How much of it a violation shows.
const SHOWN: usize = 60;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: \"{}\"", self.wrong.as_str(), self.text)
    }
}

impl std::error::Error for Violation {}

/// The end of a value that does not end.
pub(super) fn tail(value: &[u8]) -> &[u8] {
    value.get(value.len().saturating_sub(SHOWN)..).unwrap_or(value)
}

/// `key flags length [cas]`: the key and the length.
pub(super) fn value_line(rest: &[u8]) -> Option<(&[u8], u64)> {
    let mut words = rest.split(|&byte| byte == b' ');
    let (key, flags, len) = (words.next()?, words.next()?, words.next()?);
    number(flags)?;
    if let Some(cas) = words.next() {
        number(cas)?;
    }
    words.next().is_none().then_some((key, number(len)?))
}

/// The line's answer to a command, but for values.
pub(super) fn plain_reply(expected: &Expected, line: &[u8]) -> Option<Reply<'static>> {
    match (expected, line) {
        (Expected::Get(_), b"END") => Some(Reply::End),
        (Expected::Store, b"STORED") => Some(Reply::Stored),
        (Expected::Store, b"NOT_STORED") => Some(Reply::NotStored),
        (Expected::Arith | Expected::Delete, b"NOT_FOUND") => Some(Reply::NotFound),
        (Expected::Delete, b"DELETED") => Some(Reply::Deleted),
        (Expected::Arith, digits) => number(digits).map(Reply::Number),
        (Expected::Version, line) => line.starts_with(b"VERSION ").then_some(Reply::Version),
        _ => None,
    }
}

/// In what words the line refuses a command, if it does.
pub(super) fn refusal(line: &[u8]) -> Option<Refusal> {
    let word = line.split(|&byte| byte == b' ').next()?;
    [Refusal::Error, Refusal::Client, Refusal::Server].into_iter().find(|by| by.as_str().as_bytes() == word)
}

/// Decimal digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    let text =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}
