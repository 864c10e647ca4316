//! `twice_valid [CODE...] TIME`: lifetimes for responses that state none.

use std::fmt;

use super::{MAX_LIFETIME, never_stored};

/// Why a code is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadStatus {
    /// Not a status.
    NotAStatus,
    /// A status that is never stored.
    Never,
    /// `any` beside codes, where it stands for all of them.
    Alone,
}

impl BadStatus {
    /// Reads a code as written.
    pub fn status(code: &str) -> Result<u16, Self> {
        match code.parse() {
            Ok(status @ 100..=599) if code.len() == 3 => {
                if never_stored(status) {
                    Err(Self::Never)
                } else {
                    Ok(status)
                }
            }
            _ => Err(Self::NotAStatus),
        }
    }
}

impl fmt::Display for BadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAStatus => "is not a status, allowed are codes from 200 to 499 and \"any\"",
            Self::Never => {
                "is a status that is never stored (206, 304, 307, 401, 407, 408, 413, 428, 429, 431, 5xx)"
            }
            Self::Alone => "stands beside others, allowed are codes, or \"any\" alone",
        })
    }
}

/// The table that the directives make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Valid {
    codes: Vec<(u16, u64)>,
    any: Option<u64>,
}

impl Valid {
    /// Codes of a directive that names none, as nginx's `proxy_cache_valid` has them.
    pub const DEFAULT_CODES: [u16; 3] = [200, 301, 302];

    /// Adds a code as written; the first mention of a code counts, as in nginx.
    pub fn add(&mut self, code: &str, seconds: u64) -> Result<(), BadStatus> {
        if code == "any" {
            self.any.get_or_insert(seconds.min(MAX_LIFETIME));
            return Ok(());
        }
        self.add_status(BadStatus::status(code)?, seconds);
        Ok(())
    }

    /// Adds the codes of a directive that names none.
    pub fn add_default(&mut self, seconds: u64) {
        for status in Self::DEFAULT_CODES {
            self.add_status(status, seconds);
        }
    }

    fn add_status(&mut self, status: u16, seconds: u64) {
        if !self.codes.iter().any(|(s, _)| *s == status) {
            self.codes.push((status, seconds.min(MAX_LIFETIME)));
        }
    }

    /// The lifetime in seconds for a status.
    pub fn for_status(&self, status: u16) -> Option<u64> {
        self.codes.iter().find(|(s, _)| *s == status).map(|c| c.1).or(self.any)
    }
}
