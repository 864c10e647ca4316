//! What of a request its origin is not told where the answer may be stored: header lines that make the answer a part, a
//! condition's or one client's, and those that the location names.

use std::fmt;

use super::directives::is_token;
use super::{HeaderKey, HeaderNames};

/// Request headers that the origin is never sent where its answer may be stored: they would make it a part, a
/// condition's, or one client's. So no answer can depend on them.
pub const WITHHELD: [&[u8]; 10] = {
    let [a, b, c, d, e, f] = OF_A_PART;
    [a, b, c, d, e, f, b"accept-encoding", b"cache-control", b"pragma", b"twice-guard"]
};

/// Those of them that ask for a part, or under a condition.
pub const OF_A_PART: [&[u8]; 6] =
    [b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"];

/// Most names of one location.
pub const MAX_WITHHELD: usize = 64;

/// Longest name in bytes.
const MAX_NAME: usize = 256;

/// Lines that say whose request it is and how its bytes are framed: without them it is another one, or none.
const NEEDED: [&[u8]; 9] = [
    b"host",
    b"connection",
    b"content-length",
    b"transfer-encoding",
    b"te",
    b"trailer",
    b"upgrade",
    b"expect",
    b"keep-alive",
];

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadWithheld {
    /// No name of a header.
    NotAName,
    /// Without it there is no request.
    Needed,
    /// There are [`MAX_WITHHELD`] already.
    TooMany,
}

impl fmt::Display for BadWithheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAName => write!(
                f,
                "names no header, allowed are letters, digits and !#$%&'*+-.^_`|~, {MAX_NAME} at most"
            ),
            Self::Needed => f
                .write_str("is a header that every request needs, allowed is any other but ")
                .and_then(|()| list(f, &NEEDED)),
            Self::TooMany => write!(f, "is one too many, allowed are {MAX_WITHHELD}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, names: &[&[u8]]) -> fmt::Result {
    for (i, name) in names.iter().enumerate() {
        write!(f, "{}{}", if i == 0 { "" } else { ", " }, name.escape_ascii())?;
    }
    Ok(())
}

/// `twice_withhold`: names of headers, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    names: Vec<Vec<u8>>,
}

impl Withheld {
    /// Adds one, in any case.
    pub fn add(&mut self, name: &[u8]) -> Result<(), BadWithheld> {
        if !is_header_name(name) {
            return Err(BadWithheld::NotAName);
        }
        let lower = name.to_ascii_lowercase();
        if NEEDED.contains(&lower.as_slice()) {
            return Err(BadWithheld::Needed);
        }
        if self.names.contains(&lower) {
            return Ok(());
        }
        if self.names.len() >= MAX_WITHHELD {
            return Err(BadWithheld::TooMany);
        }
        self.names.push(lower);
        Ok(())
    }

    /// Whether the origin is not told of this header, in any case, nor of one that is [alike](is_alike): because of the
    /// location, or ever.
    pub fn has(&self, name: &[u8]) -> bool {
        is_withheld(name) || self.named(name)
    }

    /// Whether the location names it.
    pub fn named(&self, name: &[u8]) -> bool {
        self.names.iter().any(|own| is_alike(name, own))
    }
}

/// Whether no origin whose answer may be stored is told of this header.
pub fn is_withheld(name: &[u8]) -> bool {
    WITHHELD.iter().any(|own| is_alike(name, own))
}

/// Whether an application may take one header for the other: behind CGI and its kin (FastCGI, uWSGI, WSGI) `X-A` and `X_A` have one
/// name. nginx lets those with a `_` in where `underscores_in_headers on` or `ignore_invalid_headers off` says so.
pub fn is_alike(name: &[u8], other: &[u8]) -> bool {
    let same =
        |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || matches!((a, b), (b'-', b'_') | (b'_', b'-'));
    name.len() == other.len() && name.iter().zip(other).all(same)
}

/// Why a header can't be part of what pages are known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadVary {
    /// No name of a header.
    NotAName,
    /// The origin never hears of it.
    Withheld,
    /// Twice itself says what the origin hears by this name.
    Ours,
}

impl fmt::Display for BadVary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAName => BadWithheld::NotAName.fmt(f),
            Self::Withheld => f.write_str(
                "is a header that no origin is told of, allowed is one that answers can depend on",
            ),
            Self::Ours => {
                f.write_str("is a header between Twice and the application, allowed is a visitor's own")
            }
        }
    }
}

/// Whether a location may name this header as one that its pages vary by.
pub fn may_vary_by(name: &[u8], withheld: &Withheld, names: &HeaderNames) -> Result<(), BadVary> {
    if !is_header_name(name) {
        return Err(BadVary::NotAName);
    }
    if withheld.has(name) {
        return Err(BadVary::Withheld);
    }
    match names.find(name) {
        None | Some(HeaderKey::Geo | HeaderKey::AbValue) => Ok(()),
        Some(_) => Err(BadVary::Ours),
    }
}

/// A header's name (RFC 9110 5.6.2) of a bearable length.
fn is_header_name(name: &[u8]) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && is_token(name)
}
