//! `Cache-Control` of a request (RFC 9111 5.2.1): what a client would rather have. Heard where `twice_request_control`
//! says so, because anybody can have the origin asked by it.
//!
//! A number that can't be read is as if it were not there: to grant a wish is no duty.

use super::directives::{Lifetime, directives, smaller};
use super::{FOR_EVER, Freshness, Times};

/// No number.
const NONE: u32 = u32::MAX;

/// What the lines say together; small, because each request has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    max_age: u32,
    min_fresh: u32,
    max_stale: u32,
    any_stale: bool,
    anew: bool,
    said: bool,
    /// `no-store`: the answer is not stored.
    pub no_store: bool,
    /// `only-if-cached`: a stored page, or none.
    pub only_if_cached: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            max_age: NONE,
            min_fresh: NONE,
            max_stale: NONE,
            any_stale: false,
            anew: false,
            said: false,
            no_store: false,
            only_if_cached: false,
        }
    }
}

impl Wanted {
    /// Adds a `Cache-Control` line.
    pub fn cache_control(&mut self, line: &[u8]) {
        self.said = true;
        let (mut max_age, mut min_fresh, mut max_stale) = (None, None, None);
        directives(line, |name, value| {
            let mut odd: Option<Lifetime> = None;
            match name.to_ascii_lowercase().as_slice() {
                b"no-cache" => self.anew = true,
                b"no-store" => self.no_store = true,
                b"only-if-cached" => self.only_if_cached = true,
                b"max-age" => smaller(&mut max_age, value, None, &mut odd),
                // Of what must at least be left the most counts, of all others the least.
                b"min-fresh" => {
                    min_fresh = min_fresh.max(Lifetime::parse(value.unwrap_or_default()).seconds());
                }
                b"max-stale" if value.is_none() => self.any_stale = true,
                b"max-stale" => smaller(&mut max_stale, value, None, &mut odd),
                _ => {}
            }
        });
        self.max_age = number(max_age).min(self.max_age);
        self.max_stale = number(max_stale).min(self.max_stale);
        self.min_fresh = match (self.min_fresh, number(min_fresh)) {
            (NONE, new) => new,
            (old, NONE) => old,
            (old, new) => old.max(new),
        };
    }

    /// With the request's `Pragma`, which counts where there is no `Cache-Control` (5.4).
    pub fn pragma(&mut self, line: &[u8]) {
        if !self.said {
            directives(line, |name, _| self.anew |= name.eq_ignore_ascii_case(b"no-cache"));
        }
    }

    /// Whether no stored page will do unless its origin confirms it (`no-cache`).
    pub fn is_anew(&self) -> bool {
        self.anew
    }

    /// In which of its times a page is for this client. `Expired` where it does not want it as it is.
    #[inline]
    pub fn at(&self, times: Times, created_ms: u64, now_ms: u64) -> Freshness {
        if self.said || self.anew { self.judge(times, created_ms, now_ms) } else { times.at(now_ms) }
    }

    fn judge(&self, times: Times, created_ms: u64, now_ms: u64) -> Freshness {
        let own = times.at(now_ms);
        let age = now_ms.saturating_sub(created_ms) / 1000;
        let left = times.expires_ms.saturating_sub(now_ms) / 1000;
        if self.anew
            || self.max_age != NONE && age > u64::from(self.max_age)
            || self.min_fresh != NONE && left < u64::from(self.min_fresh)
        {
            return Freshness::Expired;
        }
        if own == Freshness::Fresh {
            return own;
        }
        // Whole seconds that have begun.
        let stale = now_ms.saturating_sub(times.expires_ms) / 1000;
        let bounded = self.max_stale != NONE;
        if bounded && stale > u64::from(self.max_stale) {
            return Freshness::Expired;
        }
        if !bounded && !self.any_stale {
            let wants_fresh = self.max_age != NONE || self.min_fresh != NONE;
            return if wants_fresh { Freshness::Expired } else { own };
        }
        // It takes a stale one, where the origin does not forbid that: then there is no time at all for failures.
        let window = times.windows.error_s.max(times.windows.stale_s);
        let allowed = window == FOR_EVER || stale < u64::from(window);
        if allowed { Freshness::Stale } else { Freshness::Expired }
    }
}

fn number(seconds: Option<u64>) -> u32 {
    seconds.map_or(NONE, |n| u32::try_from(n).unwrap_or(NONE).min(NONE - 1))
}
