//! May a response be stored, for how long, what may it be used for after that, and does it hold tags?
//!
//! The border hands over the response's header lines one by one ([`Facts::line`]) and is told what
//! becomes of each; then [`decide`] gives the verdict. Nothing here knows the time: where a date
//! counts, `now` is an argument.

mod age;
mod cache_control;
mod control;
mod directives;
mod facts;
mod guard;
mod heuristic;
mod honor;
mod names;
mod request;
mod stale;
mod statuses;
mod steering;
mod targeted;
mod valid;
mod varies;
mod withheld;

pub use age::Dates;
pub use cache_control::CacheControl;
pub use control::Control;
pub use directives::{Lifetime, is_token};
pub use facts::{Accel, Facts, Fate, Note};
pub use guard::{Guard, Inert, TagHeaders};
pub use heuristic::Heuristic;
pub use honor::{BadSteer, Honor, Steer};
pub use names::{BadName, HeaderKey, HeaderNames};
pub use request::Wanted;
pub use stale::{
    BadWord, FOR_EVER, Factor, Failure, Freshness, Times, UseStale, Windows, ends_an_expired_page,
    ends_the_page,
};
pub use statuses::{Statuses, never_stored};
pub use targeted::{Targeted, is_targeted};
pub use valid::{BadStatus, Valid};
pub use varies::{Varies, dimension_of};
pub use withheld::{
    BadVary, BadWithheld, MAX_WITHHELD, OF_A_PART, WITHHELD, Withheld, is_alike, may_vary_by,
};

use crate::outcome::Reason;

use steering::By;

/// Longest lifetime in seconds: a larger one saturates (RFC 9111 1.2.2 asks for at least 2^31).
pub const MAX_LIFETIME: u64 = 1 << 31;

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

/// What becomes of a response that sets a cookie and is not steered by the control header: `twice_set_cookie`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetCookie {
    /// It is not stored.
    Refuse,
    /// It is stored without the cookie.
    Drop,
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
    /// `twice_honor`.
    pub honor: &'a Honor,
    /// `twice_statuses`.
    pub statuses: &'a Statuses,
    /// `twice_heuristic`.
    pub heuristic: Heuristic,
    /// `twice_set_cookie`.
    pub set_cookie: SetCookie,
    /// Whether the request had `Authorization`.
    pub authorization: bool,
    /// `twice_no_store` is true, or the request says so and is heard.
    pub no_store: bool,
    /// `twice_stale_factor`.
    pub stale_factor: Factor,
    /// `twice_use_stale`.
    pub use_stale: UseStale,
    /// Seconds since the epoch.
    pub now: i64,
    /// Seconds between the question to the origin and its answer.
    pub delay: u64,
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The lifetime in seconds, or why it is not stored. 0: it ended on the way, and the page may be served stale.
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
    let kept = kept(status, facts, rules).and_then(|kept| {
        let windows = stale::windows(kept, facts, rules).left(kept).ok_or(Reason::ZeroLifetime)?;
        Ok((kept, windows))
    });
    let age = match kept {
        Ok((steering::Kept { by: By::Control, .. }, _)) | Err(_) => 0,
        Ok(_) => facts.dates.initial_age(rules.now, rules.delay),
    };
    let windows = kept.map_or(Windows::default(), |(_, windows)| windows);
    let (tags, inert) = guard::tags(status, facts, rules);
    Verdict { store: kept.map(|(kept, _)| kept.seconds), tags, inert, age, windows }
}

fn kept(status: u16, facts: &Facts<'_>, rules: &Rules<'_>) -> Result<steering::Kept, Reason> {
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
    steering::kept(status, facts, rules)
}
