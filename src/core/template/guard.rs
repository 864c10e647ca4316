//! Guarded tags: where a response brings a token, only what begins with it is a tag.
//!
//! Invariants: a token is known to the application and this module alone. It is in no opener that a guarded scan hands on as
//! text, in no excerpt of a bad tag, and in no header line that is stored; `Debug` does not tell it. What an application
//! prints of it elsewhere in its page is its own word, and of use to nobody: the next answer has another token.

use super::ErrorKind;
use super::parse::is_space;
use super::scan::Found;
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::fmt;

/// Shortest and longest token, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=128;

/// A response's secret: 16 to 128 letters, digits, `-` and `_`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<[u8]>);

impl Token {
    /// The token itself; none if it is none.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (LENGTHS.contains(&text.len()) && text.iter().all(good)).then(|| Token(text.into()))
    }

    /// Its bytes, all of them ASCII.
    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// A token as a scanner uses it.
#[derive(Clone)]
pub(super) struct Guard(Finder<'static>);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl Guard {
    pub(super) fn of(token: &Token) -> Self {
        Guard(Finder::new(&token.0).into_owned())
    }

    pub(super) fn token(&self) -> &[u8] {
        self.0.needle()
    }

    /// The text without the token, wherever it stands.
    pub(super) fn without(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = self.0.find(rest) {
            let (before, from) = rest.split_at(at);
            out.extend_from_slice(before);
            rest = from.get(self.token().len()..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        out
    }

    /// Hands on a text up to its last token, without any, and gives the rest.
    pub(super) fn text_to_last<'t>(&self, text: &'t [u8], found: &mut impl Found) -> &'t [u8] {
        let mut rest = text;
        while let Some(at) = self.0.find(rest) {
            let (before, from) = rest.split_at(at);
            found.text(before);
            found.dropped(self.token().len());
            rest = from.get(self.token().len()..).unwrap_or_default();
        }
        rest
    }

    /// Hands on a tag that has the token; false: it is text. `inside`: what stands behind the token.
    pub(super) fn tag(&self, whole: &[u8], inside: &[u8], found: &mut impl Found) -> bool {
        let shown = self.without(whole);
        if !inside.first().is_some_and(|&byte| is_space(byte)) {
            found.wrong(ErrorKind::NoSpaceAfterGuard, &shown);
            return false;
        }
        let is_tag = found.tag(&shown, &self.without(inside));
        if is_tag {
            // Those before a line end move nothing behind it.
            let last = memchr::memrchr(b'\n', whole).map_or(whole, |at| whole.split_at(at).1);
            found.dropped(last.len() - self.without(last).len());
        }
        is_tag
    }
}

/// Hands on a text, without the token if there is one.
pub(super) fn text(guard: Option<&Guard>, text: &[u8], found: &mut impl Found) {
    let rest = match guard {
        None => text,
        Some(guard) => guard.text_to_last(text, found),
    };
    found.text(rest);
}

/// The text without the token, if there is one.
pub(super) fn without<'t>(guard: Option<&Guard>, text: &'t [u8]) -> Cow<'t, [u8]> {
    guard.map_or(Cow::Borrowed(text), |guard| Cow::Owned(guard.without(text)))
}
