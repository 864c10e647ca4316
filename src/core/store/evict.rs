//! How pages cease to be: removed, evicted for room, or dropped after long disuse.
//!
//! ```text
//!            publish            last reader gone
//!  PENDING ----------> LIVE ----------------------> free
//!     |                  |  removed while in use      ^
//!     |                  +-----> ZOMBIE --------------+
//!     +--- abandoned ---------------------------------+
//! ```
//!
//! Which page goes is `queue.rs`'s choice. A page in use that is removed or replaced leaves the index and its queue at
//! once like any other, but its units stay until the last reader has gone.

use super::entry::field;
use super::layout::{Mem, at, unit};
use super::list::List;
use super::queue::place;
use super::stats::{Counter, Gauge};

/// Zombies looked at, and long unused pages dropped, on each reservation: a share of the work each time, so
/// that no single one has to pay for all.
pub(super) const SWEEP: usize = 8;
/// Units of the map that are passed meanwhile: what is free or one large page is passed in a step.
const SWEEP_UNITS: u32 = 1 << 14;

impl Mem {
    /// Bytes of key and value.
    pub fn content_len(&self, page: u32) -> u64 {
        self.key_len(page) as u64 + self.value_len(page) as u64
    }

    /// Ends a live page: nobody finds it any more, and its units are free as soon as nobody reads it.
    pub fn retire(&self, page: u32) {
        if !self.withdraw(page) {
            self.free_chain(page);
        }
    }

    /// Takes a live page out of the store. True: somebody reads it, and it is a zombie. Else its chain is to be freed.
    pub fn withdraw(&self, page: u32) -> bool {
        let units = u64::from(self.page_units(page));
        self.lower(Gauge::Entries, 1);
        self.lower(Gauge::LiveBytes, self.content_len(page));
        self.lower(Gauge::LiveUnits, units);
        self.leave_queue(page);
        self.unlink_index(page);
        // From here on nobody can begin to read it.
        let read = self.in_use(page);
        if read {
            self.set_f32(page, field::PLACE, place::GONE);
            self.set_kind(page, unit::ZOMBIE);
            self.push_front(List::Zombies, page);
            self.raise(Gauge::Zombies, 1);
            self.raise(Gauge::ZombieUnits, units);
        } else {
            self.set_kind(page, unit::BODY);
        }
        read
    }

    /// Frees a zombie if nobody reads it any more.
    pub fn bury(&self, page: u32) -> bool {
        if self.kind(page) != unit::ZOMBIE || self.in_use(page) {
            return false;
        }
        self.set_kind(page, unit::BODY);
        self.unlink(List::Zombies, page);
        self.lower(Gauge::Zombies, 1);
        self.lower(Gauge::ZombieUnits, u64::from(self.page_units(page)));
        self.free_chain(page);
        true
    }

    /// Looks at up to `most` zombies, those that have waited longest first, and frees those that can be.
    pub fn bury_some(&self, most: usize) -> usize {
        let turns = most.min(self.gauge(Gauge::Zombies) as usize).min(self.geo.units as usize);
        let mut buried = 0;
        for _ in 0..turns {
            let page = self.tail(List::Zombies);
            if self.bury(page) {
                buried += 1;
            } else if self.kind(page) == unit::ZOMBIE {
                self.unlink(List::Zombies, page);
                self.push_front(List::Zombies, page);
            }
        }
        buried
    }

    /// Gives up a page that was being filled.
    pub fn drop_pending(&self, page: u32) {
        self.set_kind(page, unit::BODY);
        self.unlink(List::Pending, page);
        self.lower(Gauge::Pending, 1);
        self.lower(Gauge::PendingUnits, u64::from(self.page_units(page)));
        self.free_chain(page);
    }

    /// Retires the page that goes next; false if there is none that nobody reads.
    pub fn evict_one(&self, chances: &mut u32) -> bool {
        let Some(page) = self.choose(chances) else { return false };
        self.count_by(Counter::EvictedUnits, u64::from(self.page_units(page)));
        self.retire(page);
        self.count(Counter::Evicted);
        true
    }

    /// Milliseconds that an unused page stays; 0: as long as there is room.
    pub fn inactive_ms(&self) -> u64 {
        self.region.u64(at::INACTIVE)
    }

    /// Whether a live page has not been asked for since `inactive_ms` and longer.
    #[inline]
    pub fn is_inactive(&self, page: u32, now_ms: u64) -> bool {
        let limit = self.inactive_ms();
        limit != 0 && now_ms.saturating_sub(self.f64(page, field::LAST_USED)) > limit
    }

    /// Looks at the next pages of the arena, round and round, and retires those that nobody has asked for in a long time.
    pub fn drop_inactive(&self, now_ms: u64) {
        if self.inactive_ms() == 0 {
            return;
        }
        let start = self.region.u32(at::SWEEP);
        let mut unit = if self.in_arena(start) { start } else { self.geo.first };
        let end = unit.saturating_add(SWEEP_UNITS).min(self.geo.units);
        let mut looked = 0;
        while unit < end && looked < SWEEP {
            if self.kind(unit) == unit::LIVE {
                looked += 1;
                if self.is_inactive(unit, now_ms) {
                    self.retire(unit);
                    self.count(Counter::Inactive);
                }
            }
            unit = self.next_marked_before(unit + 1, end);
        }
        self.region.set_u32(at::SWEEP, unit);
    }

    /// Whether evicting would make `need` units free. Asked before the first page is evicted, so that a
    /// reservation that can't succeed costs nobody a page. (One that fits but for the headers of its second and later
    /// runs does: how many those are is known when all is free.)
    pub fn can_make_room(&self, need: u32) -> bool {
        let mut sum = self.free_units();
        for list in [List::Small, List::Main] {
            let mut page = self.tail(list);
            for _ in 0..self.geo.units {
                if sum >= need {
                    return true;
                }
                if self.kind(page) != unit::LIVE {
                    break;
                }
                if !self.in_use(page) {
                    sum = sum.saturating_add(self.page_units(page));
                }
                page = self.f32(page, field::PREV);
            }
        }
        false
    }
}
