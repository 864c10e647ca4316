//! `twice_honor HEADER... | off`: which response headers steer, in this order of precedence.

use std::fmt;

use super::targeted::is_targeted;
use super::{HeaderKey, HeaderNames};

/// A header that steers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steer {
    /// The control header.
    Control,
    /// `Surrogate-Control`.
    Surrogate,
    /// `X-Accel-Expires`.
    Accel,
    /// A targeted field (RFC 9213), by its name in lower case.
    Targeted(Vec<u8>),
    /// `Cache-Control`.
    CacheControl,
    /// `Expires`.
    Expires,
}

/// The name by which the control header is always known here.
const CONTROL: &str = "x-twice-control";

/// Most headers that a directive names.
const MOST: usize = 16;

const KNOWN: [(&str, Steer); 5] = [
    (CONTROL, Steer::Control),
    ("surrogate-control", Steer::Surrogate),
    ("x-accel-expires", Steer::Accel),
    ("cache-control", Steer::CacheControl),
    ("expires", Steer::Expires),
];

/// Why a header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSteer {
    /// Not a header that steers.
    Unknown,
    /// Named twice.
    Twice,
    /// `off` beside others.
    NotAlone,
    /// Too many of them.
    TooMany,
}

impl fmt::Display for BadSteer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => {
                "is no header that steers, allowed are X-Twice-Control (or the name that \"twice_headers\" gives it), \
                 Surrogate-Control, X-Accel-Expires, Cache-Control, Expires, names that end in \"-Cache-Control\", \
                 and \"off\" alone"
            }
            Self::Twice => "is named twice, allowed is once",
            Self::NotAlone => "stands beside others, allowed is \"off\" alone",
            Self::TooMany => "is one too many, allowed are 16",
        })
    }
}

/// The directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Honor {
    order: Vec<Steer>,
    /// A name that is none of the known ones: the control header's, if it is called so.
    named: Option<String>,
}

impl Default for Honor {
    fn default() -> Self {
        Self { order: KNOWN.map(|(_, steer)| steer).to_vec(), named: None }
    }
}

impl Honor {
    /// Reads the words of a directive; tells which one is bad, and why. Whether a name is the control header's is asked
    /// later ([`Honor::check`]): another directive says how that is called.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, (&'w str, BadSteer)> {
        let mut honor = Self { order: Vec::new(), named: None };
        let mut off = false;
        for word in words {
            let lower = word.to_ascii_lowercase();
            if off || lower == "off" && !honor.order.is_empty() {
                return Err((word, BadSteer::NotAlone));
            }
            if lower == "off" {
                off = true;
                continue;
            }
            let known = KNOWN.iter().find(|(name, _)| *name == lower).map(|(_, steer)| steer.clone());
            let steer = match known {
                Some(steer) => steer,
                None if !super::directives::is_token(lower.as_bytes()) => {
                    return Err((word, BadSteer::Unknown));
                }
                None if is_targeted(lower.as_bytes()) => Steer::Targeted(lower.into_bytes()),
                None if honor.named.is_some() => return Err((word, BadSteer::Unknown)),
                None => {
                    honor.named = Some(word.to_owned());
                    Steer::Control
                }
            };
            if honor.order.contains(&steer) {
                return Err((word, BadSteer::Twice));
            }
            if honor.order.len() == MOST {
                return Err((word, BadSteer::TooMany));
            }
            honor.order.push(steer);
        }
        Ok(honor)
    }

    /// A name that is neither known nor the control header's.
    pub fn check(&self, names: &HeaderNames) -> Result<(), (&str, BadSteer)> {
        match &self.named {
            Some(name) if !name.eq_ignore_ascii_case(names.name(HeaderKey::Control).1) => {
                Err((name, BadSteer::Unknown))
            }
            _ => Ok(()),
        }
    }

    /// The headers in their order.
    pub fn order(&self) -> &[Steer] {
        &self.order
    }

    /// Whether a header steers.
    pub fn has(&self, steer: &Steer) -> bool {
        self.order.contains(steer)
    }

    /// Whether a response header is for Twice alone because it steers: no client sees it.
    pub fn strips(&self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(b"surrogate-control") && self.has(&Steer::Surrogate)
    }
}
