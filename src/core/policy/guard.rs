//! What a response says of its tags: the token that they have (`Twice-Guard`), and the header lines that hold tags, too
//! (`Twice-Headers`).

use super::{Facts, Rules, Tags};
use crate::policy::HeaderNames;
use crate::template::Token;

/// Most names of `Twice-Headers`; more are refused.
const MAX_NAMES: usize = 32;

/// Header lines that hold no tags, whoever lists them: those of one connection, those that speak of the body's bytes or of
/// its life in caches, those that nginx or Twice make, cookies (which are never stored), and those that send a visitor
/// elsewhere, where a value could choose where to.
const WITHOUT_TAGS: [&[u8]; 46] = [
    b"accept-ranges",
    b"age",
    b"cache-control",
    b"cache-status",
    b"cache-tag",
    b"cdn-cache-control",
    b"connection",
    b"content-digest",
    b"content-encoding",
    b"content-length",
    b"content-location",
    b"content-md5",
    b"content-range",
    b"content-type",
    b"date",
    b"digest",
    b"etag",
    b"expires",
    b"keep-alive",
    b"last-modified",
    b"location",
    b"pragma",
    b"proxy-authenticate",
    b"proxy-authentication-info",
    b"proxy-connection",
    b"refresh",
    b"repr-digest",
    b"server",
    b"set-cookie",
    b"set-cookie2",
    b"status",
    b"surrogate-control",
    b"surrogate-key",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"twice-guard",
    b"twice-headers",
    b"upgrade",
    b"vary",
    b"via",
    b"warning",
    b"www-authenticate",
    b"x-accel-redirect",
    b"x-app-server",
    b"x-twice-control",
];

/// What the lines of `Twice-Guard` say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// There is none.
    #[default]
    Missing,
    /// There is one that is no token, or there are two that differ.
    Bad,
    /// The response's tags have this token.
    Token(Token),
}

impl Guard {
    /// Takes one line in.
    pub(super) fn add(&mut self, value: &[u8]) {
        let said = Token::parse(value.trim_ascii()).map_or(Guard::Bad, Guard::Token);
        if *self == Guard::Missing {
            *self = said;
        } else if *self != said {
            *self = Guard::Bad;
        }
    }

    /// The token.
    pub fn token(&self) -> Option<&Token> {
        match self {
            Guard::Token(token) => Some(token),
            Guard::Missing | Guard::Bad => None,
        }
    }
}

/// Why tags of a response are text, where they were to be tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inert {
    /// The location demands a guard, and there is none.
    NoGuard,
    /// The guard is no token, or two lines differ.
    BadGuard,
}

impl Inert {
    /// What the log says of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Inert::NoGuard => "has no \"Twice-Guard\", which \"twice_tags guarded\" demands",
            Inert::BadGuard => {
                "has a bad \"Twice-Guard\", allowed is one token of 16 to 128 letters, digits, \"-\" and \"_\""
            }
        }
    }
}

/// Whether a response's body is read for tags, and why not, where one would think so.
pub(super) fn tags(status: u16, facts: &Facts<'_>, rules: &Rules<'_>) -> (bool, Option<Inert>) {
    let marked = facts.control.is_some() || facts.guard != Guard::Missing;
    let wanted = match rules.tags {
        Tags::Off => false,
        Tags::Marked => marked,
        // What must not be changed on its way is not, unless its app asks for it (RFC 9111 5.2.2.6).
        Tags::Guarded | Tags::All => marked || status == 200 && !facts.cache_control.no_transform,
    };
    // An encoded body can't be read, a part of one must not be changed.
    let readable = rules.type_has_tags && !facts.encoded && status != 206;
    if !wanted || !readable || facts.control.as_ref().is_some_and(|c| c.no_tags) {
        return (false, None);
    }
    match &facts.guard {
        Guard::Bad => (false, Some(Inert::BadGuard)),
        Guard::Missing if rules.tags == Tags::Guarded => (false, Some(Inert::NoGuard)),
        Guard::Missing | Guard::Token(_) => (true, None),
    }
}

/// The names that `Twice-Headers` lists, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagHeaders {
    names: Vec<Vec<u8>>,
    /// The first one that can't be listed, and how many there are.
    refused: Option<(Vec<u8>, usize)>,
}

impl TagHeaders {
    /// Takes one line in.
    pub(super) fn add(&mut self, value: &[u8], known: &HeaderNames) {
        let names = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        for name in names.filter(|name| !name.is_empty()) {
            let name = name.to_ascii_lowercase();
            if WITHOUT_TAGS.contains(&name.as_slice())
                || known.find(&name).is_some()
                || self.names.len() >= MAX_NAMES
            {
                self.refused.get_or_insert((name, 0)).1 += 1;
            } else if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }

    /// Whether lines of this name, in any case, hold tags.
    pub fn has(&self, name: &[u8]) -> bool {
        self.names.iter().any(|listed| name.eq_ignore_ascii_case(listed))
    }

    /// The first name that can't be listed, and how many there are of them.
    pub fn refused(&self) -> Option<(&[u8], usize)> {
        self.refused.as_ref().map(|(name, count)| (name.as_slice(), *count))
    }
}
