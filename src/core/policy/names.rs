//! The names of the headers that app and cache talk through: `twice_headers KEY=NAME...`.

use std::fmt;

use super::directives::is_token;
use super::targeted::is_targeted;
use super::withheld::is_alike;

/// What a header is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderKey {
    /// From the app: lifetime and tags of this response.
    Control,
    /// To the app: answer with template text.
    Request,
    /// From the app: cookies that are part of the page's identity.
    Cookies,
    /// On a request: a purge command.
    Purge,
    /// From the app: A/B tests that the page depends on.
    AbDependency,
    /// To the app: the visitor's A/B values.
    AbValue,
    /// To the app and back: the visitor's country.
    Geo,
}

const TABLE: [(HeaderKey, &str, &str); 7] = [
    (HeaderKey::Control, "control", "X-Twice-Control"),
    (HeaderKey::Request, "request", "Twice"),
    (HeaderKey::Cookies, "cookies", "Twice-Cookies"),
    (HeaderKey::Purge, "purge", "X-Mark-Dirty"),
    (HeaderKey::AbDependency, "ab_dependency", "X-ABDependency"),
    (HeaderKey::AbValue, "ab_value", "X-ABValue"),
    (HeaderKey::Geo, "geo", "X-Geo"),
];

/// Names that HTTP gives a meaning to and that nginx or Twice act upon.
const RESERVED: [&str; 38] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "authorization",
    "cache-control",
    "cache-status",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "host",
    "keep-alive",
    "last-modified",
    "location",
    "pragma",
    "range",
    "referer",
    "server",
    "set-cookie",
    "surrogate-control",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-accel-expires",
];

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// Not one of the keys.
    UnknownKey,
    /// Not a header name (RFC 9110 5.1).
    NotAToken,
    /// Two keys with one name, or the name of a header that HTTP itself uses.
    Taken,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => {
                f.write_str("has an unknown key, allowed are ")?;
                for (i, (_, key, _)) in TABLE.iter().enumerate() {
                    write!(f, "{}{key}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::NotAToken => {
                f.write_str("names no header, allowed are letters, digits and !#$%&'*+-.^_`|~, 64 at most")
            }
            Self::Taken => {
                f.write_str("names a header that is taken, allowed is a name that nothing else uses")
            }
        }
    }
}

/// The names in force, as written and in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderNames {
    names: [(HeaderKey, String, String); 7],
}

impl Default for HeaderNames {
    fn default() -> Self {
        Self { names: TABLE.map(|(key, _, name)| (key, name.to_owned(), name.to_ascii_lowercase())) }
    }
}

impl HeaderNames {
    /// Sets the name of what `key` says (`control`, `request`, ...).
    pub fn set(&mut self, key: &str, name: &str) -> Result<(), BadName> {
        let at = TABLE.iter().position(|(_, word, _)| *word == key).ok_or(BadName::UnknownKey)?;
        if name.len() > 64 || !is_token(name.as_bytes()) {
            return Err(BadName::NotAToken);
        }
        let lower = name.to_ascii_lowercase();
        let other = self.names.iter().enumerate().any(|(i, (_, _, l))| i != at && *l == lower);
        let reserved =
            lower.starts_with("if-") || is_targeted(lower.as_bytes()) || RESERVED.contains(&lower.as_str());
        if other || reserved {
            return Err(BadName::Taken);
        }
        if let Some(slot) = self.names.get_mut(at) {
            slot.1 = name.to_owned();
            slot.2 = lower;
        }
        Ok(())
    }

    /// What a header of this name, in any case, is for.
    pub fn find(&self, name: &[u8]) -> Option<HeaderKey> {
        self.names.iter().find(|(_, _, lower)| name.eq_ignore_ascii_case(lower.as_bytes())).map(|n| n.0)
    }

    /// What a request header is for that an application may take for it ([`is_alike`]).
    pub fn find_alike(&self, name: &[u8]) -> Option<HeaderKey> {
        self.names.iter().find(|(_, _, lower)| is_alike(name, lower.as_bytes())).map(|n| n.0)
    }

    /// The name as written, and in lower case.
    pub fn name(&self, key: HeaderKey) -> (&str, &str) {
        self.names.iter().find(|n| n.0 == key).map_or(("", ""), |n| (&n.1, &n.2))
    }
}
