//! What a tag looks like.
//!
//! Invariants: no delimiter is empty or holds a line end (the scanner relies on it: a line end never
//! lies inside a delimiter); a regular expression has a group 1 and doesn't match the empty string.

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use std::fmt;

/// Longest delimiter, in bytes.
pub const MAX_DELIMITER: usize = 64;

/// Compiled size that a regular expression may reach, in bytes. `<&(.*?)&>` needs some 3,000.
const REGEX_SIZE: usize = 256 << 10;

/// How tags are told from text. Made once for a location (or for a response, where a guard's token is
/// part of the opening delimiter) and shared by compilers.
#[derive(Clone, Debug)]
pub struct Delimiters(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Strings(Box<Strings>),
    Regex(Regex),
}

#[derive(Clone, Debug)]
pub(super) struct Strings {
    pub(super) open: Finder<'static>,
    pub(super) close: Box<[u8]>,
}

/// Why delimiters were refused. The text completes a sentence that begins with the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadDelimiters {
    /// The opening or closing string is empty.
    Empty,
    /// The opening or closing string is longer than [`MAX_DELIMITER`].
    TooLong,
    /// The opening or closing string holds a line end.
    LineEnd,
    /// The regular expression is not one, or too large; in the words of its parser.
    Regex(String),
    /// The regular expression has no group, so nothing says what stands inside the tag.
    NoGroup,
    /// The regular expression matches the empty string, so everything would be a tag.
    MatchesEmpty,
}

impl fmt::Display for BadDelimiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadDelimiters::Empty => f.write_str("a delimiter must not be empty"),
            BadDelimiters::TooLong => write!(f, "a delimiter may have at most {MAX_DELIMITER} bytes"),
            BadDelimiters::LineEnd => f.write_str("a delimiter must not hold a line end"),
            BadDelimiters::Regex(why) => write!(f, "not a regular expression: {why}"),
            BadDelimiters::NoGroup => {
                f.write_str("the regular expression needs a group (...) for the inside of the tag")
            }
            BadDelimiters::MatchesEmpty => {
                f.write_str("the regular expression must not match the empty string")
            }
        }
    }
}

impl std::error::Error for BadDelimiters {}

impl Delimiters {
    /// Two strings, which may be equal. A tag is the shortest text between them on one line.
    pub fn strings(open: &[u8], close: &[u8]) -> Result<Self, BadDelimiters> {
        for delimiter in [open, close] {
            if delimiter.is_empty() {
                return Err(BadDelimiters::Empty);
            }
            if delimiter.len() > MAX_DELIMITER {
                return Err(BadDelimiters::TooLong);
            }
            if delimiter.contains(&b'\n') {
                return Err(BadDelimiters::LineEnd);
            }
        }
        Ok(Delimiters::of(open, close))
    }

    /// A regular expression whose group 1 is the inside of the tag. It matches bytes (`.` is any byte
    /// but a line end), as 2008's did; `(?u)` switches to characters.
    pub fn regex(pattern: &str) -> Result<Self, BadDelimiters> {
        let regex = RegexBuilder::new(pattern)
            .unicode(false)
            .size_limit(REGEX_SIZE)
            .dfa_size_limit(REGEX_SIZE)
            .build()
            .map_err(|error| BadDelimiters::Regex(last_line(&error.to_string())))?;
        if regex.captures_len() < 2 {
            return Err(BadDelimiters::NoGroup);
        }
        if regex.is_match(b"") {
            return Err(BadDelimiters::MatchesEmpty);
        }
        Ok(Delimiters(Kind::Regex(regex)))
    }

    fn of(open: &[u8], close: &[u8]) -> Self {
        let open = Finder::new(open).into_owned();
        Delimiters(Kind::Strings(Box::new(Strings { open, close: close.into() })))
    }
}

impl Default for Delimiters {
    /// `<&` and `&>`.
    fn default() -> Self {
        Delimiters::of(b"<&", b"&>")
    }
}

/// The parser draws the pattern over several lines; its last one says what is wrong, and a log line is
/// one line.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text).trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
