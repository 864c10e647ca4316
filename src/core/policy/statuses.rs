//! Which statuses are stored, and by whose word: `twice_statuses CODE... | any`.

use super::BadStatus;

/// Statuses that an app stores by its control header.
const BY_CONTROL: &[u16] = &[200, 203, 204, 300, 301, 302, 308, 404, 410];

/// Statuses that ordinary headers store where nothing else is said: an error page that carries its site's usual
/// headers stays out.
const BY_HEADERS: [u16; 6] = [200, 203, 301, 308, 404, 410];

/// Statuses that are never stored, whoever says so: what is not whole, what speaks to one visitor,
/// what a bad moment of the origin gave.
pub const fn never_stored(status: u16) -> bool {
    matches!(status, 0..=199 | 206 | 304 | 307 | 401 | 407 | 408 | 413 | 428 | 429 | 431 | 500..)
}

/// Whether the control header stores it.
pub fn is_stored_by_control(status: u16) -> bool {
    BY_CONTROL.contains(&status)
}

/// Statuses whose meaning is known here: those of RFC 9110 and a few that other standards add.
pub const fn is_understood(status: u16) -> bool {
    matches!(status, 200..=205 | 300..=303 | 305 | 308 | 400 | 402..=406 | 409..=412 | 414..=417 | 421 | 422 | 426 | 451)
}

/// Statuses that may be kept for a time that nobody stated (RFC 9110 15.1).
pub const fn is_heuristic(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// `twice_statuses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// Every final one, with an explicit lifetime.
    Any,
    /// These.
    These(Vec<u16>),
}

impl Default for Statuses {
    fn default() -> Self {
        Self::These(BY_HEADERS.to_vec())
    }
}

impl Statuses {
    /// Reads the words of a directive; tells which one is bad, and why.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, (&'w str, BadStatus)> {
        let mut codes = Vec::new();
        let mut any = false;
        let mut last = "";
        for word in words {
            last = word;
            if word == "any" {
                any = true;
                continue;
            }
            codes.push(BadStatus::status(word).map_err(|why| (word, why))?);
        }
        match (any, codes.is_empty()) {
            (true, true) => Ok(Self::Any),
            (false, false) => Ok(Self::These(codes)),
            _ => Err((last, BadStatus::Alone)),
        }
    }

    /// Whether ordinary headers store it.
    pub fn has(&self, status: u16) -> bool {
        match self {
            Self::Any => true,
            Self::These(codes) => codes.contains(&status),
        }
    }
}
