//! The values that one page waits for: which are on their way, and what came of them.
//!
//! ```text
//!             came ──────────────> a value, or missing
//!   expected ──┤
//!             late, or given up ─> failed
//! ```
//!
//! Invariants
//! - A value leaves `expected` once and stays what it is then, so that what was said to be its bytes don't change under
//!   whoever prints them, until the page is printed ([`Arriving::close`]).
//! - Memory is bounded: one value has at most [`MAX_VALUE`] bytes, all of a page [`MAX_PAGE`], those that were there at once
//!   among them, and all that came for any page of a worker what its [`Shelf`] has. Pages share what came for several.
//!
//! Times are milliseconds of a clock that may wrap around: differences count.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use super::{Answer, Failure, MAX_VALUE};

/// Most bytes of the values of one page.
pub const MAX_PAGE: usize = 4 << 20;

/// Most bytes of the values that wait for being printed in a worker.
pub const MAX_WORKER: usize = 64 << 20;

/// Where a worker's values lie until they are printed.
#[derive(Clone, Debug)]
pub struct Shelf(Rc<Cell<usize>>);

/// A value there, of whoever holds it.
#[derive(Clone, Debug)]
pub struct Kept(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: Box<[u8]>,
    shelf: Shelf,
}

impl Default for Shelf {
    fn default() -> Self {
        Self::new(MAX_WORKER)
    }
}

impl Shelf {
    /// One of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    /// Keeps a value. None: there is no room.
    pub fn keep(&self, value: &[u8]) -> Option<Kept> {
        let left = self.0.get().checked_sub(value.len())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(value.len()).ok()?;
        bytes.extend_from_slice(value);
        self.0.set(left);
        Some(Kept(Rc::new(Inner { bytes: bytes.into_boxed_slice(), shelf: self.clone() })))
    }

    /// Bytes that it has room for.
    pub fn left(&self) -> usize {
        self.0.get()
    }
}

impl Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shelf.0.set(self.shelf.left() + self.bytes.len());
    }
}

/// What came of a value.
#[derive(Clone, Debug)]
pub enum Came {
    /// This.
    Value(Kept),
    /// There is none.
    Missing,
    /// It can't be known.
    Failed(Failure),
}

impl Came {
    /// What a source says, kept for all who wait for it.
    pub fn of(answer: Answer<'_>, shelf: &Shelf) -> Came {
        match answer {
            Answer::Value(value) if value.len() > MAX_VALUE => Came::Failed(Failure::TooLarge),
            Answer::Value(value) => shelf.keep(value).map_or(Came::Failed(Failure::Busy), Came::Value),
            Answer::Missing => Came::Missing,
            Answer::Failed(why) => Came::Failed(why),
        }
    }
}

/// What a value is to a page that waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It has it.
    Value,
    /// There is none.
    Missing,
    /// It goes without.
    Failed(Failure),
}

/// The values of one page that it could not have at once, by the numbers of their slots; each with a note of its owner's.
#[derive(Debug)]
pub struct Arriving<N> {
    /// In the order of their slots.
    parts: Vec<Part<N>>,
    expected: usize,
    /// Bytes that may yet come.
    left: usize,
    /// The page is printed.
    closed: bool,
}

#[derive(Debug)]
struct Part<N> {
    slot: usize,
    until: u64,
    state: State,
    note: N,
}

#[derive(Debug)]
enum State {
    Expected,
    Came(Kept),
    Missing,
    Failed(Failure),
}

impl<N> Default for Arriving<N> {
    fn default() -> Self {
        Arriving { parts: Vec::new(), expected: 0, left: MAX_PAGE, closed: false }
    }
}

impl<N> Arriving<N> {
    /// One more value is on its way, until then at the latest. Slots come in rising order; false: one that does not, or
    /// memory ran out, and then it is not waited for.
    pub fn expect(&mut self, slot: usize, until: u64, note: N) -> bool {
        let rises = self.parts.last().is_none_or(|last| last.slot < slot);
        if !rises || self.parts.try_reserve(1).is_err() {
            return false;
        }
        self.parts.push(Part { slot, until, state: State::Expected, note });
        self.expected += 1;
        true
    }

    /// How long a value may be.
    pub fn room(&self) -> usize {
        MAX_VALUE.min(self.left)
    }

    /// A value of so many bytes was there at once: they are the page's, too.
    pub fn had(&mut self, len: usize) {
        self.left = self.left.saturating_sub(len);
    }

    /// Takes what came of a slot, and tells what it is to the page; none: nobody waits for it (any more).
    pub fn came(&mut self, slot: usize, came: &Came) -> Option<Settled> {
        let (room, closed) = (self.room(), self.closed);
        let part = self.expected(slot)?;
        let (state, settled) = match came {
            Came::Value(value) if value.len() > room => {
                (State::Failed(Failure::TooLarge), Settled::Failed(Failure::TooLarge))
            }
            // Nobody prints it.
            Came::Value(_) if closed => (State::Missing, Settled::Value),
            Came::Value(value) => (State::Came(value.clone()), Settled::Value),
            Came::Missing => (State::Missing, Settled::Missing),
            Came::Failed(why) => (State::Failed(*why), Settled::Failed(*why)),
        };
        let len = if let State::Came(value) = &state { value.len() } else { 0 };
        part.state = state;
        self.left -= len;
        self.expected -= 1;
        Some(settled)
    }

    /// Fails what is late, and tells of each. True: something was; and the time until the next one is.
    pub fn find_late(&mut self, now: u64, late: impl Fn(&N)) -> (bool, Option<u64>) {
        let (mut any, mut next) = (false, None::<u64>);
        for part in self.parts.iter_mut().filter(|part| matches!(part.state, State::Expected)) {
            match part.until.wrapping_sub(now) {
                left if left == 0 || left > u64::MAX / 2 => {
                    part.state = State::Failed(Failure::Timeout);
                    self.expected -= 1;
                    any = true;
                    late(&part.note);
                }
                left => next = Some(next.map_or(left, |next| next.min(left))),
            }
        }
        (any, next)
    }

    /// Waits for nothing more, and tells of each that it waited for.
    pub fn give_up(&mut self, why: Failure, given_up: impl Fn(&N)) {
        for part in self.parts.iter_mut().filter(|part| matches!(part.state, State::Expected)) {
            part.state = State::Failed(why);
            given_up(&part.note);
        }
        self.expected = 0;
    }

    /// The page is printed: what came goes, and what comes is not kept.
    pub fn close(&mut self) {
        self.closed = true;
        for part in self.parts.iter_mut().filter(|part| matches!(part.state, State::Came(_))) {
            part.state = State::Missing;
        }
    }

    /// Whether the page is printed.
    pub fn is_closed(&self) -> bool {
        self.closed
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

    fn part(&self, slot: usize) -> Option<&Part<N>> {
        let at = self.parts.binary_search_by_key(&slot, |part| part.slot).ok()?;
        self.parts.get(at)
    }

    fn expected(&mut self, slot: usize) -> Option<&mut Part<N>> {
        let at = self.parts.binary_search_by_key(&slot, |part| part.slot).ok()?;
        self.parts.get_mut(at).filter(|part| matches!(part.state, State::Expected))
    }
}
