//! Taking pages out of a store and putting them back, for a file that outlives it.
//!
//! Invariants
//! - What comes back from a file never costs a page that is there: it takes free units only, evicts nothing, and gives
//!   way to a page of its key, which is newer.
//! - It goes to the cold end, so that who brings the hottest first leaves them in their order behind the pages of today.
//! - The store remembers until when it agreed with its file. 0, in a new store: it has not been filled from it yet.

use super::entry::{Chain, Entry, Found, Meta, field};
use super::fill::{Reservation, ReserveError};
use super::layout::{Geometry, Mem, at, unit};
use super::list::List;
use super::queue::Policy;
use super::region::Slot;
use super::section::Section;

/// A page that `list` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub entry: Entry,
    /// The greater, the later the page would be evicted.
    pub heat: u64,
}

impl Mem {
    /// Units from `at` to where the next run begins, as far as the map tells in one step.
    fn step_over(&self, at: u32) -> u32 {
        let units = match self.kind(at) {
            // Inside a run: the cursor was left here, and the run is another one by now.
            unit::BODY | unit::FREE_TAIL => 1,
            unit::FREE_HEAD | unit::FREE_ONE => self.free_length(at).unwrap_or(1),
            _ => self.f32(at, field::UNITS),
        };
        units.clamp(1, self.geo.units.saturating_sub(at).max(1))
    }

    /// The greater, the later the page would be evicted: proven ones, then those that were used more often, then newer
    /// ones; LRU knows only the last use.
    pub fn heat(&self, page: u32) -> u64 {
        if self.policy() == Policy::Lru {
            return self.f64(page, field::LAST_USED);
        }
        let age = self.region.u32(at::GENERATION).wrapping_sub(self.f32(page, field::GENERATION));
        let uses = u64::from(self.f32(page, field::USES).min(3));
        u64::from(self.is_proven(page)) << 40 | uses << 32 | u64::from(!age)
    }

    fn is_proven(&self, page: u32) -> bool {
        self.policy() == Policy::S3Fifo && self.list_of(page) == List::Main
    }
}

impl Section<'_> {
    /// Lists live pages from `cursor` on (0 at first), as many as `out` has room for, after `steps` steps at most. Back
    /// comes the cursor to go on from, or `None` at the end. Pages that come and go between two calls may be missed.
    pub fn list(&mut self, cursor: u32, steps: usize, out: &mut Vec<Listed>) -> Option<u32> {
        let mem = self.mem();
        let mut at = cursor.max(mem.geo.first);
        for _ in 0..steps {
            if at >= mem.geo.units {
                return None;
            }
            if mem.kind(at) == unit::LIVE {
                // A section allocates nothing.
                if out.len() == out.capacity() {
                    break;
                }
                out.push(Listed { entry: mem.entry(at), heat: mem.heat(at) });
            }
            at = at.saturating_add(mem.step_over(at));
        }
        Some(at)
    }

    /// A live page, when it was used last, and whether it has shown its worth (only S3-FIFO tells).
    pub fn about(&self, entry: Entry) -> Option<(Found, u64, bool)> {
        let mem = self.mem();
        let there = mem.kind(entry.unit) == unit::LIVE && mem.is_entry(entry);
        let last_used_ms = mem.f64(entry.unit, field::LAST_USED);
        there.then(|| (mem.found(entry.unit), last_used_ms, mem.is_proven(entry.unit)))
    }

    /// Like `reserve`, but of free units only. `None` if the key has a page already.
    pub fn reserve_free(
        &mut self,
        slot: &Slot,
        hash: u64,
        key: &[u8],
        value_len: usize,
    ) -> Result<Option<Reservation>, ReserveError> {
        let content = self.fits(key, value_len)?;
        if self.mem().find(hash, key).is_some() {
            return Ok(None);
        }
        if self.mem().free_units() < Geometry::units_of(content) {
            return Err(ReserveError::NoRoom);
        }
        let mem = self.change();
        if !mem.use_slot(slot.number()) {
            return Err(ReserveError::NoSlot);
        }
        let generation = mem.next_generation();
        let mut chain = Chain::new(content, generation);
        mem.grow_chain(&mut chain);
        if !chain.is_complete() {
            // The headers of many short runs took more than was counted.
            mem.free_chain(chain.first);
            return Err(ReserveError::NoRoom);
        }
        Ok(Some(self.begin_page(slot, Entry { unit: chain.first, generation }, hash, key, value_len)))
    }

    /// Makes a filled page one that can be found, as the coldest of all. False if its key has got a page meanwhile,
    /// which stays, or the reservation is no longer there.
    pub fn restore(&mut self, reservation: Reservation, meta: Meta, last_used_ms: u64, proven: bool) -> bool {
        self.restore_with(reservation, meta, 0, last_used_ms, proven)
    }

    /// The same with what [`Found::seen`] says from then on.
    pub fn restore_with(
        &mut self,
        reservation: Reservation,
        meta: Meta,
        seen: u64,
        last_used_ms: u64,
        proven: bool,
    ) -> bool {
        let Some(Entry { unit: page, .. }) = reservation.entry_in(self.mem()) else { return false };
        let mem = self.change();
        if mem.find_twin(page).is_some() {
            mem.drop_pending(page);
            return false;
        }
        let is_small = mem.policy() == Policy::S3Fifo && !proven;
        let list = if is_small { List::Small } else { List::Main };
        self.go_live(page, meta, seen, last_used_ms, |mem| mem.enter_queue_last(page, list));
        true
    }

    /// When the store was last filled from its file or written to it; 0 if never.
    pub fn saved_ms(&self) -> u64 {
        self.mem().region.u64(at::SAVED)
    }

    /// Whether the store was filled from its file, or never has to be.
    pub fn loaded(&self) -> bool {
        self.saved_ms() != 0
    }

    /// Notes that the store agrees with its file as of now, or that there is none to be loaded.
    pub fn set_saved_ms(&mut self, now_ms: u64) {
        self.mem().region.set_u64(at::SAVED, now_ms.max(1));
    }
}
