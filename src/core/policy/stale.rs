//! Until when a page may be served, and in which of its times it is.
//!
//! ```text
//!  created        expires                 expires + stale_s        expires + error_s
//!     | fresh ------- | stale: served at once ---- | expired: only where ---- | of no use
//!                       and renewed behind the         the origin fails
//!                       visitor's back
//! ```
//!
//! The two windows begin together and are stored with the page, so that what its origin said holds until it goes.

use std::fmt;

use super::steering::{self, By, Kept};
use super::{Facts, Rules, Steer};
use crate::outcome::Reason;
use crate::store::Meta;

/// The page may be served as long as the zone keeps it, where its origin fails. No stated number reaches this.
pub const FOR_EVER: u32 = u32::MAX;

/// A snapshot keeps pages of such a window no longer than a day: nobody waits for the origin to come back then.
const LONGEST_KEPT_S: u32 = 86_400;

/// For how many seconds after its lifetime a page may be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// While it is renewed.
    pub stale_s: u32,
    /// Where its origin fails; [`FOR_EVER`] where nothing was stated.
    pub error_s: u32,
}

impl Windows {
    /// What is left of them when a page has come. None: it came after its lifetime, and may not be served stale.
    pub(super) fn left(self, kept: Kept) -> Option<Windows> {
        if kept.seconds > 0 {
            return Some(self);
        }
        let left = |window: u32| u32::try_from(u64::from(window).saturating_sub(kept.late)).unwrap_or(0);
        let error_s = if self.error_s == FOR_EVER { FOR_EVER } else { left(self.error_s) };
        Some(Windows { stale_s: left(self.stale_s), error_s }).filter(|windows| windows.stale_s > 0)
    }
}

/// In which of its times a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Served.
    Fresh,
    /// Served, and renewed.
    Stale,
    /// Fetched anew while the client waits.
    Expired,
}

/// A page's end and its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The end of its lifetime, milliseconds since the epoch.
    pub expires_ms: u64,
    /// What comes after.
    pub windows: Windows,
}

impl From<Meta> for Times {
    fn from(meta: Meta) -> Self {
        let windows = Windows { stale_s: meta.stale_s, error_s: meta.error_s };
        Self { expires_ms: meta.expires_ms, windows }
    }
}

impl Times {
    /// The page's time at a moment.
    #[inline]
    pub fn at(self, now_ms: u64) -> Freshness {
        if now_ms < self.expires_ms {
            Freshness::Fresh
        } else if now_ms < self.after(self.windows.stale_s) {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    /// Whether it may stand in for an origin that failed in this way. What the origin itself stated holds
    /// whatever the location says, for the failures that RFC 5861 names.
    pub fn stands_in(self, now_ms: u64, failure: Failure, location: UseStale) -> bool {
        let stated = !matches!(self.windows.error_s, 0 | FOR_EVER);
        let window = self.windows.error_s.max(self.windows.stale_s);
        (location.has(failure) || stated && failure.is_an_error()) && self.within(now_ms, window)
    }

    /// Whether there is any failure for which it may stand in.
    pub fn may_stand_in(self, now_ms: u64, location: UseStale) -> bool {
        Failure::ALL.into_iter().any(|(failure, _)| self.stands_in(now_ms, failure, location))
    }

    /// Whether it may stand in for an origin that nobody asks, as it has failed others: in whichever way that was.
    pub fn stands_in_unasked(self, now_ms: u64, location: UseStale) -> bool {
        let ways = Failure::ALL.into_iter().map(|(failure, _)| failure);
        ways.filter(|way| way.is_an_error() && *way != Failure::InvalidHeader)
            .all(|way| self.stands_in(now_ms, way, location))
    }

    /// Whether a snapshot keeps it.
    pub fn worth_keeping(self, now_ms: u64) -> bool {
        self.within(now_ms, self.windows.stale_s.max(self.windows.error_s.min(LONGEST_KEPT_S)))
    }

    fn within(self, now_ms: u64, window_s: u32) -> bool {
        window_s == FOR_EVER || now_ms < self.after(window_s)
    }

    fn after(self, seconds: u32) -> u64 {
        self.expires_ms.saturating_add(u64::from(seconds) * 1000)
    }
}

/// `twice_stale_factor`: a page's whole time as a multiple of its lifetime, in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    hundredths: u32,
    /// Whether the configuration says so, or it is the default.
    pub configured: bool,
}

impl Factor {
    /// What holds where the configuration says nothing.
    pub const DEFAULT: Factor = Factor { hundredths: 300, configured: false };

    /// A number from 1 to 1000 with two decimals at most.
    pub fn parse(text: &str) -> Option<Factor> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || whole.len() > 4 || part.len() > 2 {
            return None;
        }
        let part = part.parse::<u32>().ok()? * if part.len() == 1 { 10 } else { 1 };
        let hundredths = whole.parse::<u32>().ok()? * 100 + part;
        (100..=100_000).contains(&hundredths).then_some(Factor { hundredths, configured: true })
    }

    /// As a number for the configuration's memory, and back.
    pub const fn to_number(self) -> usize {
        self.hundredths as usize
    }

    /// See [`Factor::to_number`].
    pub fn from_number(number: usize) -> Factor {
        Factor { hundredths: u32::try_from(number).unwrap_or(300), configured: true }
    }

    fn window(self, lifetime: u64) -> u32 {
        let more = u64::from(self.hundredths.saturating_sub(100));
        stated(lifetime.saturating_mul(more) / 100)
    }
}

/// How an origin fails: the words of `twice_use_stale`, which are nginx's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or it ended before the answer's head.
    Error,
    /// It took too long.
    Timeout,
    /// Its answer's head could not be read.
    InvalidHeader,
    /// It answered so.
    Http(u16),
}

impl Failure {
    const ALL: [(Failure, &'static str); 10] = [
        (Failure::Error, "error"),
        (Failure::Timeout, "timeout"),
        (Failure::InvalidHeader, "invalid_header"),
        (Failure::Http(500), "http_500"),
        (Failure::Http(502), "http_502"),
        (Failure::Http(503), "http_503"),
        (Failure::Http(504), "http_504"),
        (Failure::Http(403), "http_403"),
        (Failure::Http(404), "http_404"),
        (Failure::Http(429), "http_429"),
    ];

    /// What an answer's status says. `origin`: the status that the origin gave, if one did; where it is another, the
    /// answer is nginx's own, about an origin that gave none. `unread`: what came from it could not be read.
    pub fn of(status: u16, through_origin: bool, origin: Option<u16>, unread: bool) -> Option<Failure> {
        if !through_origin || origin == Some(status) {
            let known = Failure::ALL.into_iter().map(|(failure, _)| failure);
            return known.into_iter().find(|failure| *failure == Failure::Http(status));
        }
        match status {
            502 if unread => Some(Failure::InvalidHeader),
            500 | 502 | 503 => Some(Failure::Error),
            504 => Some(Failure::Timeout),
            _ => None,
        }
    }

    fn is_an_error(self) -> bool {
        !matches!(self, Failure::Http(403 | 404 | 429))
    }

    fn bit(self) -> u32 {
        let at = Failure::ALL.iter().position(|(failure, _)| *failure == self);
        at.map_or(0, |at| 1 << at)
    }
}

/// `twice_use_stale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseStale(u32);

/// Why a word is refused; prints what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadWord;

impl fmt::Display for BadWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("allowed are \"off\" alone, \"updating\"")?;
        for (_, word) in Failure::ALL {
            write!(f, ", \"{word}\"")?;
        }
        Ok(())
    }
}

impl UseStale {
    const UPDATING: u32 = 1 << 31;
    /// Stale pages are not used, but where their origin says so.
    pub const OFF: UseStale = UseStale(0);

    /// What holds where the configuration says nothing.
    pub fn default_words() -> UseStale {
        let words = ["error", "timeout", "updating", "http_500", "http_502", "http_503", "http_504"];
        words.into_iter().fold(UseStale::OFF, |all, word| all.with(word).unwrap_or(all))
    }

    /// With one more word. `off` is none of them.
    pub fn with(self, word: &str) -> Result<UseStale, BadWord> {
        if word == "updating" {
            return Ok(UseStale(self.0 | UseStale::UPDATING));
        }
        let known = Failure::ALL.into_iter().find(|(_, name)| *name == word);
        known.map(|(failure, _)| UseStale(self.0 | failure.bit())).ok_or(BadWord)
    }

    /// As a number for the configuration's memory, and back.
    pub const fn to_number(self) -> usize {
        self.0 as usize
    }

    /// See [`UseStale::to_number`].
    pub const fn from_number(number: usize) -> UseStale {
        UseStale(number as u32)
    }

    /// Stale pages are served while they are renewed.
    pub const fn updating(self) -> bool {
        self.0 & UseStale::UPDATING != 0
    }

    /// Stale pages stand in for an origin that fails so.
    pub fn has(self, failure: Failure) -> bool {
        self.0 & failure.bit() != 0
    }

    fn has_any(self) -> bool {
        self.0 & !UseStale::UPDATING != 0
    }
}

/// A number of seconds as a window: the greatest is not [`FOR_EVER`].
fn stated(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(FOR_EVER).min(FOR_EVER - 1)
}

/// The windows of a page that is stored for so long by somebody's word.
///
/// What the answer states comes first: the control header, and `Cache-Control` where that has the say. Where it states
/// nothing, lifetimes of the control header and of the location are stretched by the factor; those written for all
/// caches only where the configuration names a factor, and not where they forbid it (RFC 9111 4.2.4).
pub fn windows(kept: Kept, facts: &Facts<'_>, rules: &Rules<'_>) -> Windows {
    let cc = steering::heard(facts, rules.honor);
    let control = facts.control.as_ref().filter(|_| rules.honor.has(&Steer::Control));
    // The control header gave the lifetime: what is written for other caches has no say.
    let steered = kept.by == By::Control;
    let of_control = |value: Option<u64>| value.map(stated);
    let swr = of_control(control.and_then(|c| c.stale_while_revalidate));
    let sie = of_control(control.and_then(|c| c.stale_if_error));
    let forbidden = !steered && cc.never_stale();
    let (swr, sie) = if steered || forbidden {
        (swr, sie)
    } else {
        let own = facts.surrogate.as_ref().filter(|_| kept.by == By::Surrogate);
        let own_swr = own.and_then(|own| own.stale_while_revalidate);
        let own_sie = own.and_then(|own| own.stale_if_error);
        (
            swr.or(own_swr.or(cc.stale_while_revalidate).map(stated)),
            sie.or(own_sie.or(cc.stale_if_error).map(stated)),
        )
    };
    // s-maxage speaks as proxy-revalidate does (RFC 9111 5.2.2.10), but for what is stated beside it.
    let strict = forbidden || !steered && cc.s_maxage.is_some();
    let general = !matches!(kept.by, By::Control | By::Location);
    let stretched = !strict && rules.use_stale.updating() && (!general || rules.stale_factor.configured);
    let stale_s = swr.unwrap_or(if stretched { rules.stale_factor.window(kept.seconds) } else { 0 });
    let error_s = sie.unwrap_or(if !strict && rules.use_stale.has_any() { FOR_EVER } else { 0 });
    Windows { stale_s, error_s }
}

/// What an answer to a refresh that is not stored means for the page that it was to renew: gone, where the origin has
/// spoken of the page itself. A refresh has no visitor's cookies, so that a redirection or a refusal says nothing.
pub const fn ends_the_page(status: u16, reason: Reason) -> bool {
    let of_the_page = matches!(status, 200..=299 | 404 | 410) && status != 206;
    let of_the_answer = matches!(
        reason,
        Reason::NoLifetime
            | Reason::ZeroLifetime
            | Reason::CacheControl
            | Reason::SetCookie
            | Reason::Varies
            | Reason::Status
    );
    of_the_page && of_the_answer
}

/// What an answer to a visitor that is not stored means for the expired page that he was not sent: gone, where there is none
/// any more, or its origin forbids to keep it. What it says to his cookies or his password (`known`) it may say to him alone.
/// A cookie that it sets, or a time that was over on the way, says nothing of the page.
pub const fn ends_an_expired_page(status: u16, reason: Reason, known: bool) -> bool {
    let is_forbidden = matches!(reason, Reason::CacheControl) && !known;
    ends_the_page(status, reason) && (matches!(status, 404 | 410) || is_forbidden)
}
