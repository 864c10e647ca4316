//! Pages that are counters: no value, but one word that whoever holds the page changes without the lock.
//!
//! ```text
//! who changes (holds the page)             who takes the counter away (has the lock)
//!   reads the word                           takes the page out of the index, and out of the map's LIVE ones
//!   is the page still LIVE? no: let it be    does anybody hold the page? no: the word is what it is
//!   swaps the word, if it is as it was       yes: turns the word's highest bit around, and has what was there before
//! ```
//!
//! Invariants
//! - No change is lost, and none is done twice: what `take` gives holds every change that was done. A change steps by
//!   one. So one that read the word before it was turned fails to swap it after (no stall is as long as 2^63 steps), and
//!   one that read it after sees that the page is not LIVE, and has changed nothing.
//! - Who reads a word without the lock believes it only if the page is LIVE after that.
//! - The word is there before the page is LIVE, so that a death leaves a counter with its first value or none.
//! - A rebuild changes what the map says of pages for a while: who sees that asks under the lock, which waits for its end.

use super::Store;
use super::entry::{Entry, field};
use super::hold::Held;
use super::layout::{Mem, offset, unit};
use super::section::Section;
use super::stats::Counter;

const TURN: u64 = 1 << 63;

impl Mem {
    fn change_word(&self, page: u32, step: impl Fn(u64) -> u64) -> Option<u64> {
        let before = self.region.update_u64(offset(page, field::SEEN), |value| {
            (self.kind(page) == unit::LIVE).then(|| step(value))
        });
        before.map(step)
    }
}

impl Store {
    /// The word of a held counter. `None`: it is out of the store, so that its word may be turned, or the store is being
    /// rebuilt. What there is tells the section.
    pub fn word(&self, held: &Held<'_>) -> Option<u64> {
        if !held.is_of(self) {
            return None;
        }
        let page = held.entry().unit;
        let value = self.mem.region.load_acquire_u64(offset(page, field::SEEN));
        // In this order: whoever read a turned word sees that the page has gone.
        (self.mem.kind(page) == unit::LIVE).then_some(value)
    }

    /// Changes the word of a held counter, by one at most; back comes what it is then. `None`: nothing was changed, as the
    /// counter is out of the store, or the store is being rebuilt. What there is tells [`Section::change_word`].
    pub fn change_word(&self, held: &Held<'_>, step: impl Fn(u64) -> u64) -> Option<u64> {
        if !held.is_of(self) {
            return None;
        }
        self.mem.change_word(held.entry().unit, step)
    }
}

impl Section<'_> {
    /// Changes the word of a counter, by one at most; back comes what it is then. `None`: it is gone.
    pub fn change_word(&mut self, entry: Entry, step: impl Fn(u64) -> u64) -> Option<u64> {
        let mem = self.mem();
        if mem.is_entry(entry) { mem.change_word(entry.unit, step) } else { None }
    }

    /// Removes a counter. Back comes its value, with every change that was done. `None`: it was no longer there.
    pub fn take(&mut self, entry: Entry) -> Option<u64> {
        if self.mem().kind(entry.unit) != unit::LIVE || !self.mem().is_entry(entry) {
            return None;
        }
        let mem = self.change();
        let word = offset(entry.unit, field::SEEN);
        let value = if mem.withdraw(entry.unit) {
            mem.region.update_u64(word, |value| Some(value ^ TURN))
        } else {
            let value = mem.region.load_acquire_u64(word);
            mem.free_chain(entry.unit);
            Some(value)
        };
        mem.count(Counter::Removed);
        value
    }
}
