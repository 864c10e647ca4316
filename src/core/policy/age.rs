//! How old an answer is when it comes (RFC 9111 4.2.3), and how long it is good for by its dates (4.2.1).

use super::{Lifetime, MAX_LIFETIME};
use crate::conditional::http_date;

/// The dates of an answer, gathered line by line. Seconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    /// `Date`; one that can't be read is as if it were not there, and the moment when the answer came stands for it.
    pub date: Option<i64>,
    /// `Expires`, the earliest of several. One that can't be read is in the past (5.3).
    pub expires: Option<i64>,
    /// `Last-Modified`.
    pub last_modified: Option<i64>,
    /// `Age` in seconds: the greatest of several lines. One that can't be read is as if it were not there (5.1).
    pub age: Option<u64>,
}

impl Dates {
    /// A `Date` line; the earliest of several.
    pub fn add_date(&mut self, value: &[u8]) {
        if let Some(date) = http_date(value) {
            self.date = Some(self.date.map_or(date, |old| old.min(date)));
        }
    }

    /// An `Expires` line.
    pub fn add_expires(&mut self, value: &[u8]) {
        let date = http_date(value).unwrap_or(0);
        self.expires = Some(self.expires.map_or(date, |old| old.min(date)));
    }

    /// A `Last-Modified` line.
    pub fn add_last_modified(&mut self, value: &[u8]) {
        self.last_modified = self.last_modified.or(http_date(value));
    }

    /// An `Age` line: of a list the first member counts.
    pub fn add_age(&mut self, value: &[u8]) {
        let first = value.split(|&b| b == b',').next().unwrap_or_default().trim_ascii();
        self.age = self.age.max(Lifetime::parse(first).seconds());
    }

    /// Seconds that the answer has spent on its way, in other caches and by its own date. `delay`: seconds between the
    /// question and the answer. A clock that is ahead never makes it younger.
    pub fn initial_age(&self, now: i64, delay: u64) -> u64 {
        let apparent = self.date.map_or(0, |date| u64::try_from(now.saturating_sub(date)).unwrap_or(0));
        // A date is a whole second: one that has just passed is no age yet.
        let apparent = if apparent <= 1 { 0 } else { apparent };
        self.age.unwrap_or(0).saturating_add(delay).max(apparent).min(MAX_LIFETIME)
    }

    /// The lifetime that `Expires` states.
    pub fn lifetime(&self, now: i64) -> Option<u64> {
        let left = self.expires?.saturating_sub(self.date.unwrap_or(now));
        Some(u64::try_from(left).unwrap_or(0).min(MAX_LIFETIME))
    }

    /// Seconds between the last change and the answer.
    pub fn unchanged_for(&self, now: i64) -> Option<u64> {
        u64::try_from(self.date.unwrap_or(now).saturating_sub(self.last_modified?)).ok()
    }
}
