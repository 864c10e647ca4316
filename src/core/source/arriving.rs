//! The values that one page waits for: which are on their way, and what came of them.
//!
//! ```text
//!             came ──────────────> a value, or missing
//!   expected ──┤
//!             late, or given up ─> failed
//! ```
//!
//! Invariants: a value leaves `expected` once and stays what it is then, so that what was said to be its bytes don't change
//! under whoever prints them; one value has at most [`MAX_VALUE`] bytes, and all of a page [`MAX_PAGE`].
//!
//! Times are milliseconds of a clock that may wrap around: differences count.

use super::{Answer, Failure, MAX_VALUE};

/// Most bytes of the values that came for one page.
pub const MAX_PAGE: usize = 4 << 20;

/// The values of one page that it could not have at once, by the numbers of their slots.
#[derive(Debug)]
pub struct Arriving {
    /// In the order of their slots.
    parts: Vec<Part>,
    expected: usize,
    /// Bytes that may yet come.
    left: usize,
}

#[derive(Debug)]
struct Part {
    slot: usize,
    until: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Expected,
    Came(Box<[u8]>),
    Missing,
    Failed(Failure),
}

impl Default for Arriving {
    fn default() -> Self {
        Arriving { parts: Vec::new(), expected: 0, left: MAX_PAGE }
    }
}

impl Arriving {
    /// One more value is on its way, until then at the latest. Slots come in rising order; false: one that does not, or
    /// memory ran out, and then it is not waited for.
    pub fn expect(&mut self, slot: usize, until: u64) -> bool {
        let rises = self.parts.last().is_none_or(|last| last.slot < slot);
        if !rises || self.parts.try_reserve(1).is_err() {
            return false;
        }
        self.parts.push(Part { slot, until, state: State::Expected });
        self.expected += 1;
        true
    }

    /// Takes what a source says of a slot. False: nobody waits for it (any more).
    pub fn came(&mut self, slot: usize, answer: Answer<'_>) -> bool {
        let left = self.left;
        let Some(part) = self.expected(slot) else { return false };
        let state = match answer {
            Answer::Value(value) if value.len() > MAX_VALUE.min(left) => State::Failed(Failure::TooLarge),
            Answer::Value(value) => copy(value).map_or(State::Failed(Failure::Busy), State::Came),
            Answer::Missing => State::Missing,
            Answer::Failed(why) => State::Failed(why),
        };
        let len = if let State::Came(value) = &state { value.len() } else { 0 };
        part.state = state;
        self.left -= len;
        self.expected -= 1;
        true
    }

    /// Fails what is late. True: something was; and the time until the next one is.
    pub fn find_late(&mut self, now: u64) -> (bool, Option<u64>) {
        let (mut any, mut next) = (false, None::<u64>);
        for part in self.parts.iter_mut().filter(|part| matches!(part.state, State::Expected)) {
            match part.until.wrapping_sub(now) {
                left if left == 0 || left > u64::MAX / 2 => {
                    part.state = State::Failed(Failure::Timeout);
                    self.expected -= 1;
                    any = true;
                }
                left => next = Some(next.map_or(left, |next| next.min(left))),
            }
        }
        (any, next)
    }

    /// Waits for nothing more.
    pub fn give_up(&mut self, why: Failure) {
        for part in self.parts.iter_mut().filter(|part| matches!(part.state, State::Expected)) {
            part.state = State::Failed(why);
        }
        self.expected = 0;
    }

    /// Whether anything is still on its way.
    pub fn is_pending(&self) -> bool {
        self.expected > 0
    }

    /// Whether the value of this slot is.
    pub fn awaits(&self, slot: usize) -> bool {
        self.expected > 0 && self.part(slot).is_some_and(|part| matches!(part.state, State::Expected))
    }

    /// Whether any did not come in its time.
    pub fn any_late(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.state, State::Failed(Failure::Timeout)))
    }

    /// The value of a slot, if one came.
    pub fn value(&self, slot: usize) -> Option<&[u8]> {
        match &self.part(slot)?.state {
            State::Came(value) => Some(value),
            State::Expected | State::Missing | State::Failed(_) => None,
        }
    }

    /// Why there is none.
    pub fn failure(&self, slot: usize) -> Option<Failure> {
        match self.part(slot)?.state {
            State::Failed(why) => Some(why),
            State::Expected | State::Missing | State::Came(_) => None,
        }
    }

    /// The values that came, with their slots.
    pub fn values(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.parts.iter().filter_map(|part| match &part.state {
            State::Came(value) => Some((part.slot, &**value)),
            State::Expected | State::Missing | State::Failed(_) => None,
        })
    }

    fn part(&self, slot: usize) -> Option<&Part> {
        let at = self.parts.binary_search_by_key(&slot, |part| part.slot).ok()?;
        self.parts.get(at)
    }

    fn expected(&mut self, slot: usize) -> Option<&mut Part> {
        let at = self.parts.binary_search_by_key(&slot, |part| part.slot).ok()?;
        self.parts.get_mut(at).filter(|part| matches!(part.state, State::Expected))
    }
}

/// None when memory ran out.
fn copy(value: &[u8]) -> Option<Box<[u8]>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(value.len()).ok()?;
    copy.extend_from_slice(value);
    Some(copy.into_boxed_slice())
}
