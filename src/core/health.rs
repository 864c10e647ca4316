//! Whether a server may be asked: when it rests, who probes it, when it is back. One word that lies in shared memory,
//! so that what one worker finds out all of them know.
//!
//! ```text
//! Up       failure_limit failures in a row -> Resting
//! Resting  retry_ms have passed            -> Due
//! Due      one process claims the probe    -> Probed
//! Probed   the probe succeeds              -> Up
//!          the probe fails                 -> Resting
//!          probe_ms pass without a word    -> Due
//! ```
//!
//! Invariants
//! - Every change is one exchange of the word: whoever dies has left it whole, and of several who want the same probe one
//!   gets it.
//! - The right to probe ends by itself, since its holder may die. Who reports after that, or after another one's claim,
//!   changes nothing.
//! - Only a probe ends a rest. What comes late on connections from before it says nothing of the server now.
//! - No time reaches further ahead than the rules allow and clocks differ: a clock that was set back shortens a rest, and
//!   never makes it long. Wherever the clock goes, a server is never lost for longer than a rest, a probe and that.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::DIFFER_MS;

/// How many failures are too many, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that make a server rest (`server_failure_limit`), at least 1.
    pub failure_limit: u64,
    /// How long it rests (`server_retry_timeout`).
    pub retry_ms: u64,
    /// How long a probe may take before another process may try.
    pub probe_ms: u64,
}

/// A server as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is asked.
    Up,
    /// It is not asked.
    Resting,
    /// It has rested and is to be probed before it is asked again.
    Due,
    /// It is being probed.
    Probed,
}

impl State {
    /// All of them.
    pub const ALL: [State; 4] = [State::Up, State::Resting, State::Due, State::Probed];

    /// The one name of this state.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Resting => "resting",
            State::Due => "due",
            State::Probed => "probed",
        }
    }
}

/// The right, and the duty, to probe a server and to say what came of it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a probe that is not reported keeps others from probing until its time is over"]
pub struct Probe(u64);

/// What whoever wants something of a server is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// To ask it.
    Ask,
    /// To do without it.
    Rest,
    /// To do without it as well, and to probe it.
    Probe(Probe),
}

/// What is known of a server. Memory of zeros is one that is up.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Health {
    /// 2 bits: kind; 20 bits: number of the latest claim; 42 bits: failures, or the time until which.
    word: AtomicU64,
}

const VALUE_BITS: u32 = 42;
/// Of milliseconds since 1970 they last until 2109.
const VALUE: u64 = (1 << VALUE_BITS) - 1;
const CLAIM_BITS: u32 = 20;
const CLAIM: u64 = (1 << CLAIM_BITS) - 1;

/// The word, taken apart.
#[derive(Clone, Copy)]
struct Parts {
    kind: Kind,
    claim: u64,
    value: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The value counts failures.
    Up = 0,
    /// The value is the rest's end.
    Rest = 1,
    /// The value is the end of the right to probe.
    Probe = 2,
}

impl Parts {
    fn of(word: u64) -> Parts {
        let kind = match word >> (VALUE_BITS + CLAIM_BITS) {
            0 => Kind::Up,
            1 => Kind::Rest,
            _ => Kind::Probe,
        };
        Parts { kind, claim: (word >> VALUE_BITS) & CLAIM, value: word & VALUE }
    }

    fn word(self) -> u64 {
        (self.kind as u64) << (VALUE_BITS + CLAIM_BITS)
            | (self.claim & CLAIM) << VALUE_BITS
            | self.value.min(VALUE)
    }

    fn state(self, now_ms: u64, rules: &Rules) -> State {
        let lasts =
            |longest: u64| now_ms < self.value && self.value - now_ms <= longest.saturating_add(DIFFER_MS);
        match self.kind {
            Kind::Up => State::Up,
            Kind::Rest if lasts(rules.retry_ms) => State::Resting,
            Kind::Probe if lasts(rules.probe_ms) => State::Probed,
            Kind::Rest | Kind::Probe => State::Due,
        }
    }

    fn resting(self, now_ms: u64, rules: &Rules) -> Parts {
        Parts { kind: Kind::Rest, value: now_ms.saturating_add(rules.retry_ms), ..self }
    }
}

impl Health {
    /// Whether it is to be asked: for each key, and so without a clock.
    #[inline]
    pub fn is_up(&self) -> bool {
        self.parts().kind == Kind::Up
    }

    /// How it is.
    pub fn state(&self, now_ms: u64, rules: &Rules) -> State {
        self.parts().state(now_ms, rules)
    }

    /// It has answered: the failures before were none in a row.
    #[inline]
    pub fn succeeded(&self) {
        // Nearly always there is nothing to change, and so nothing to write.
        self.change(|parts| {
            (parts.kind == Kind::Up && parts.value > 0).then_some(Parts { value: 0, ..parts })
        });
    }

    /// It has failed: refused or lost a connection, let a time run out, answered what is no answer. True: it rests now,
    /// for this failure.
    pub fn failed(&self, now_ms: u64, rules: &Rules) -> bool {
        let was = self.change(|parts| match parts.kind {
            Kind::Up if parts.value + 1 >= rules.failure_limit => Some(parts.resting(now_ms, rules)),
            Kind::Up => Some(Parts { value: parts.value + 1, ..parts }),
            // It is known.
            Kind::Rest | Kind::Probe => None,
        });
        was.is_some_and(|parts| parts.value + 1 >= rules.failure_limit)
    }

    /// What to do where each question may be the probe.
    pub fn turn(&self, now_ms: u64, rules: &Rules) -> Turn {
        if self.is_up() {
            return Turn::Ask;
        }
        self.claim_probe(now_ms, rules).map_or(Turn::Rest, Turn::Probe)
    }

    /// Takes the right to probe it; none: it is up, or rests, or another one probes it.
    pub fn claim_probe(&self, now_ms: u64, rules: &Rules) -> Option<Probe> {
        let claimed = |parts: Parts| {
            let claim = parts.claim.wrapping_add(1) & CLAIM;
            Parts { kind: Kind::Probe, claim, value: now_ms.saturating_add(rules.probe_ms) }
        };
        let was = self.change(|parts| (parts.state(now_ms, rules) == State::Due).then(|| claimed(parts)));
        was.map(|parts| Probe(claimed(parts).word()))
    }

    /// The probe was answered: the server is asked again. False: it came too late to count.
    pub fn probe_succeeded(&self, probe: Probe) -> bool {
        self.end_probe(&probe, |parts| Parts { kind: Kind::Up, value: 0, ..parts })
    }

    /// The probe was not answered: the server rests again. False: it came too late to count.
    pub fn probe_failed(&self, probe: Probe, now_ms: u64, rules: &Rules) -> bool {
        self.end_probe(&probe, |parts| parts.resting(now_ms, rules))
    }

    /// What another [`Health`] of the same server said: for memory that takes the place of other memory. Nobody holds a
    /// right to probe here by that.
    pub fn take_over(&self, other: &Health) {
        self.word.store(other.word.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn end_probe(&self, probe: &Probe, end: impl Fn(Parts) -> Parts) -> bool {
        let ended = end(Parts::of(probe.0)).word();
        self.word.compare_exchange(probe.0, ended, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn parts(&self) -> Parts {
        Parts::of(self.word.load(Ordering::Relaxed))
    }

    /// One exchange of the word; what it was before, or none where there was nothing to change. The word is all there is:
    /// no order with other memory is needed.
    fn change(&self, change: impl Fn(Parts) -> Option<Parts>) -> Option<Parts> {
        let next = |word| change(Parts::of(word)).map(Parts::word);
        self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok().map(Parts::of)
    }
}
