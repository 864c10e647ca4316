//! Who says for how long a response is stored: the headers of `twice_honor` in their order, then the location's
//! `twice_valid`, then `twice_heuristic`.
//!
//! The first that says anything decides, whether it states a lifetime or forbids. A header that is not honored neither
//! stores nor forbids. The control header is the app's word on this very response: where it states the lifetime, the
//! checks that are made for the sake of other caches' habits are not made.

use std::borrow::Cow;

use super::{CacheControl, MAX_LIFETIME};
use super::{Control, Facts, Honor, Rules, SetCookie, Steer, statuses};
use crate::outcome::Reason;

/// For how long a 404 with the control header is kept where `twice_valid` does not name 404.
const NOT_FOUND_LIFETIME: u64 = 30;

/// By whose word a page is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The control header's.
    Control,
    /// That of `Surrogate-Control`.
    Surrogate,
    /// nginx's own header's, which speaks of this moment.
    Accel,
    /// `Cache-Control`, `Expires` and targeted fields.
    Header,
    /// `twice_valid`.
    Location,
    /// Nobody's.
    Heuristic,
}

/// A page is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// For so many seconds from now on; 0: its lifetime ended on the way.
    pub seconds: u64,
    /// So many seconds ago.
    pub late: u64,
    /// By whose word.
    pub by: By,
}

/// Decides by what the headers say, where nothing else is in the way.
pub fn kept(status: u16, facts: &Facts<'_>, rules: &Rules<'_>) -> Result<Kept, Reason> {
    let said = said(status, facts, rules)?;
    if let Some(kept @ Kept { by: By::Control, .. }) = said {
        return Ok(kept);
    }
    let heard = heard(facts, rules.honor);
    let cookies_may_go = rules.set_cookie == SetCookie::Drop || heard.withholds(b"set-cookie");
    if facts.set_cookie && !cookies_may_go {
        return Err(Reason::SetCookie);
    }
    if rules.authorization && !heard.shares_what_was_asked_with_a_password() {
        return Err(Reason::Authorization);
    }
    let kept = match said {
        Some(_) if !rules.statuses.has(status) => return Err(Reason::Status),
        Some(kept) => kept,
        None => unsaid(status, heard.public, facts, rules)?,
    };
    // `twice_valid` and nginx's own header speak of this moment, all others of when the answer was made.
    let gone = match kept.by {
        By::Control | By::Accel | By::Location => 0,
        By::Surrogate | By::Header | By::Heuristic => facts.dates.initial_age(rules.now, rules.delay),
    };
    match kept.seconds {
        0 => Err(Reason::ZeroLifetime),
        stated => {
            let (seconds, late) = (stated.saturating_sub(gone), gone.saturating_sub(stated));
            Ok(Kept { seconds, late, ..kept })
        }
    }
}

/// What the first header says that says anything; none if none does.
fn said(status: u16, facts: &Facts<'_>, rules: &Rules<'_>) -> Result<Option<Kept>, Reason> {
    // A targeted field takes the place of what is written for all caches (RFC 9213 2.2).
    let mut targeted = false;
    for steer in rules.honor.order() {
        let (seconds, by) = match steer {
            Steer::Control => match &facts.control {
                Some(control) => (by_control(status, control, facts, rules)?, By::Control),
                None => continue,
            },
            Steer::Surrogate => match &facts.surrogate {
                Some(surrogate) => (by_directives(status, surrogate)?, By::Surrogate),
                None => continue,
            },
            Steer::Accel => (facts.accel.map(|accel| accel.seconds(rules.now)), By::Accel),
            Steer::Targeted(name) => match facts.targeted.read(name) {
                Some(cc) if !targeted => {
                    targeted = true;
                    (by_directives(status, &cc)?, By::Header)
                }
                _ => continue,
            },
            Steer::CacheControl if !targeted => (by_directives(status, &facts.cache_control)?, By::Header),
            Steer::Expires if !targeted => (facts.dates.lifetime(rules.now), By::Header),
            Steer::CacheControl | Steer::Expires => continue,
        };
        if let Some(seconds) = seconds {
            return Ok(Some(Kept { seconds: seconds.min(MAX_LIFETIME), late: 0, by }));
        }
    }
    Ok(None)
}

fn by_directives(status: u16, cc: &CacheControl) -> Result<Option<u64>, Reason> {
    if cc.forbids(status) { Err(Reason::CacheControl) } else { Ok(cc.lifetime()) }
}

fn by_control(
    status: u16,
    control: &Control,
    facts: &Facts<'_>,
    rules: &Rules<'_>,
) -> Result<Option<u64>, Reason> {
    if status == 404 && rules.valid.for_status(404).is_none() {
        return match control.max_age {
            Some(0) => Err(Reason::ZeroLifetime),
            None if heard(facts, rules.honor).forbids(status) => Err(Reason::CacheControl),
            stated => Ok(Some(stated.unwrap_or(NOT_FOUND_LIFETIME).min(NOT_FOUND_LIFETIME))),
        };
    }
    match control.max_age {
        Some(_) if !statuses::is_stored_by_control(status) => Err(Reason::Status),
        Some(0) => Err(Reason::ZeroLifetime),
        stated => Ok(stated),
    }
}

fn unsaid(status: u16, public: bool, facts: &Facts<'_>, rules: &Rules<'_>) -> Result<Kept, Reason> {
    if let Some(seconds) = rules.valid.for_status(status) {
        return Ok(Kept { seconds, late: 0, by: By::Location });
    }
    match rules.heuristic.lifetime(status, public, facts, rules.now) {
        Some(_) if !rules.statuses.has(status) => Err(Reason::Status),
        Some(seconds) => Ok(Kept { seconds, late: 0, by: By::Heuristic }),
        None => Err(Reason::NoLifetime),
    }
}

/// What is said to shared caches besides lifetimes: the first targeted field that is honored and there, else
/// `Cache-Control`, if that is.
pub fn heard<'f>(facts: &'f Facts<'_>, honor: &Honor) -> Cow<'f, CacheControl> {
    for steer in honor.order() {
        match steer {
            Steer::Targeted(name) => {
                if let Some(cc) = facts.targeted.read(name) {
                    return Cow::Owned(cc);
                }
            }
            Steer::CacheControl if facts.cache_control != CacheControl::default() => {
                return Cow::Borrowed(&facts.cache_control);
            }
            _ => {}
        }
    }
    Cow::Owned(CacheControl::default())
}
