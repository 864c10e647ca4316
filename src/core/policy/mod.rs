//! May a response be stored, for how long, what may it be used for after that, and does it hold tags?
//!
//! The border hands over the response's header lines one by one ([`Facts::line`]) and is told what
//! becomes of each; then [`decide`] gives the verdict. Nothing here knows the time: where a date
//! counts, `now` is an argument.

mod control;
mod facts;
mod guard;
mod names;
mod stale;
mod valid;
mod varies;

pub use control::{CacheControl, Control, Lifetime};
pub use facts::{Facts, Fate, Note};
pub use guard::{Guard, Inert, TagHeaders};
pub use names::{BadName, HeaderKey, HeaderNames};
pub use stale::{BadWord, FOR_EVER, Factor, Failure, Freshness, Times, UseStale, Windows, ends_the_page};
pub use valid::{BadStatus, Valid};
pub use varies::{OF_A_PART, Varies, WITHHELD};

use crate::outcome::Reason;

/// Longest lifetime in seconds: a larger one saturates (RFC 9111 1.2.2 asks for at least 2^31).
pub const MAX_LIFETIME: u64 = 1 << 31;

/// For how long a 404 with the control header is kept where `twice_valid` does not name 404.
const NOT_FOUND_LIFETIME: u64 = 30;

/// Statuses that an app stores by its control header.
const BY_CONTROL: &[u16] = &[200, 203, 204, 300, 301, 302, 308, 404, 410];
/// Statuses that ordinary caching headers store: an error page that carries its site's usual headers stays out.
const BY_HEADERS: &[u16] = &[200, 203, 301, 308, 404, 410];

/// Statuses that are never stored, whoever says so: what is not whole, what speaks to one visitor,
/// what a bad moment of the origin gave.
pub const fn never_stored(status: u16) -> bool {
    matches!(status, 0..=199 | 206 | 304 | 307 | 401 | 407 | 408 | 413 | 429 | 431 | 500..)
}

/// Which responses have tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// None.
    Off,
    /// Those with the control header or a guard.
    Marked,
    /// Those with a guard: without one there are none.
    Guarded,
    /// Every response of `twice_types` with status 200, and the marked ones.
    All,
}

/// What the location and the request say.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// `twice_valid`.
    pub valid: &'a Valid,
    /// `twice_tags`.
    pub tags: Tags,
    /// Whether the response's type is one of `twice_types`.
    pub type_has_tags: bool,
    /// Whether the request had `Authorization`.
    pub authorization: bool,
    /// `twice_no_store` is true.
    pub no_store: bool,
    /// `twice_stale_factor`.
    pub stale_factor: Factor,
    /// `twice_use_stale`.
    pub use_stale: UseStale,
    /// Seconds since the epoch.
    pub now: i64,
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The lifetime in seconds, or why it is not stored.
    pub store: Result<u64, Reason>,
    /// Whether its body is read for tags.
    pub tags: bool,
    /// Why what may look like tags is text, where the location wants tags.
    pub inert: Option<Inert>,
    /// Seconds that the answer has spent in other caches, already taken off the lifetime (RFC 9111
    /// 4.2.3); 0 where the control header steers, which speaks of this moment.
    pub age: u64,
    /// How long it may be served after its lifetime; nothing where it is not stored.
    pub windows: Windows,
}

/// Decides on a response whose header lines were all handed over.
pub fn decide(status: u16, facts: &Facts<'_>, rules: &Rules<'_>) -> Verdict {
    let age = if facts.control.as_ref().is_some_and(|c| c.max_age.is_some()) { 0 } else { facts.age };
    let store = lifetime(status, facts, rules);
    let windows = store.map_or(Windows::default(), |seconds| stale::windows(seconds, facts, rules));
    let (tags, inert) = guard::tags(status, facts, rules);
    Verdict { store, tags, inert, age, windows }
}

fn lifetime(status: u16, facts: &Facts<'_>, rules: &Rules<'_>) -> Result<u64, Reason> {
    if rules.no_store {
        return Err(Reason::NoStore);
    }
    if never_stored(status) {
        return Err(Reason::Status);
    }
    if facts.encoded {
        return Err(Reason::ContentEncoding);
    }
    if facts.varies.is_beyond() {
        return Err(Reason::Varies);
    }
    if facts.keys.are_too_many() {
        return Err(Reason::TooManyKeys);
    }
    if let Some(control) = &facts.control {
        return by_control(status, control, facts, rules);
    }
    let cc = &facts.cache_control;
    if cc.forbids() {
        return Err(Reason::CacheControl);
    }
    if facts.set_cookie {
        return Err(Reason::SetCookie);
    }
    // RFC 9111 3.5
    if rules.authorization && !(cc.public || cc.must_revalidate || cc.s_maxage.is_some()) {
        return Err(Reason::Authorization);
    }
    match facts.stated_lifetime(rules.now) {
        Some(_) if !BY_HEADERS.contains(&status) => Err(Reason::Status),
        Some(seconds) if seconds <= facts.age => Err(Reason::ZeroLifetime),
        Some(seconds) => Ok(seconds - facts.age),
        None => by_valid(status, rules),
    }
}

/// The control header is the app's word on this very response: it outranks everything that is
/// written for other caches.
fn by_control(status: u16, control: &Control, facts: &Facts<'_>, rules: &Rules<'_>) -> Result<u64, Reason> {
    if status == 404 && rules.valid.for_status(404).is_none() {
        return match control.max_age {
            Some(0) => Err(Reason::ZeroLifetime),
            None if facts.cache_control.forbids() => Err(Reason::CacheControl),
            stated => Ok(stated.unwrap_or(NOT_FOUND_LIFETIME).min(NOT_FOUND_LIFETIME)),
        };
    }
    match control.max_age {
        Some(_) if !BY_CONTROL.contains(&status) => Err(Reason::Status),
        Some(0) => Err(Reason::ZeroLifetime),
        Some(seconds) => Ok(seconds),
        None => {
            // No lifetime in the control header: the headers of lower rank are asked as if it were not there.
            let mut plain = facts.clone();
            plain.control = None;
            lifetime(status, &plain, rules)
        }
    }
}

fn by_valid(status: u16, rules: &Rules<'_>) -> Result<u64, Reason> {
    match rules.valid.for_status(status) {
        None => Err(Reason::NoLifetime),
        Some(0) => Err(Reason::ZeroLifetime),
        Some(seconds) => Ok(seconds),
    }
}
