//! `twice_heuristic off | PERCENT% [max=TIME]`: a lifetime for answers that state none (RFC 9111 4.2.2).

use super::{Facts, MAX_LIFETIME, statuses};

/// The directive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heuristic {
    /// Of the time since the last change; 0 is off.
    pub percent: u8,
    /// Longest lifetime in seconds.
    pub max: u64,
}

impl Heuristic {
    /// No lifetime is guessed.
    pub const OFF: Heuristic = Heuristic { percent: 0, max: 0 };
    /// The longest lifetime where the directive names none: a day.
    pub const DEFAULT_MAX: u64 = 86_400;

    /// Reads `PERCENT%`, from 1% to 100%.
    pub fn percent(word: &str) -> Option<u8> {
        let number = word.strip_suffix('%').filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?;
        number.parse().ok().filter(|percent| (1..=100).contains(percent))
    }

    /// The lifetime of an answer of this status that states none. `public`: it says that it may be shared.
    pub fn lifetime(self, status: u16, public: bool, facts: &Facts<'_>, now: i64) -> Option<u64> {
        if self.percent == 0 || !(public || statuses::is_heuristic(status)) {
            return None;
        }
        let unchanged = facts.dates.unchanged_for(now)?;
        Some((unchanged.saturating_mul(u64::from(self.percent)) / 100).min(self.max).min(MAX_LIFETIME))
    }
}
