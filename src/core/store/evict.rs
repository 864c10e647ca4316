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
//! The tail of the LRU list goes first. A page in use leaves the index and the list at once like any other,
//! but its units stay until the last reader has gone.

use super::entry::field;
use super::layout::{Mem, unit};
use super::list::List;
use super::stats::{Counter, Gauge};

/// Zombies looked at, and long unused pages dropped, on each reservation: a share of the work each time, so
/// that no single one has to pay for all.
pub(super) const SWEEP: usize = 8;

impl Mem {
    /// Bytes of key and value.
    pub fn content_len(&self, page: u32) -> u64 {
        self.key_len(page) as u64 + self.value_len(page) as u64
    }

    /// Ends a live page: nobody finds it any more, and its units are free as soon as nobody reads it.
    pub fn retire(&self, page: u32) {
        let units = u64::from(self.page_units(page));
        self.lower(Gauge::Entries, 1);
        self.lower(Gauge::LiveBytes, self.content_len(page));
        self.lower(Gauge::LiveUnits, units);
        self.unlink_index(page);
        self.unlink(List::Lru, page);
        if self.in_use(page) {
            self.set_kind(page, unit::ZOMBIE);
            self.push_front(List::Zombies, page);
            self.raise(Gauge::Zombies, 1);
            self.raise(Gauge::ZombieUnits, units);
        } else {
            self.set_kind(page, unit::BODY);
            self.free_chain(page);
        }
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

    /// Retires the least recently used page; false if there is none.
    pub fn evict_one(&self) -> bool {
        let page = self.tail(List::Lru);
        if self.kind(page) != unit::LIVE {
            return false;
        }
        self.retire(page);
        self.count(Counter::Evicted);
        true
    }

    /// Whether a live page has not been asked for since `inactive_ms` and longer.
    pub fn is_inactive(&self, page: u32, now_ms: u64) -> bool {
        let limit = self.region.u64(super::layout::at::INACTIVE);
        limit != 0 && now_ms.saturating_sub(self.f64(page, field::LAST_USED)) > limit
    }

    /// Retires pages at the tail of the LRU list that nobody has asked for in a long time.
    pub fn drop_inactive(&self, most: usize, now_ms: u64) {
        for _ in 0..most {
            let page = self.tail(List::Lru);
            if self.kind(page) != unit::LIVE || !self.is_inactive(page, now_ms) {
                return;
            }
            self.retire(page);
            self.count(Counter::Inactive);
        }
    }

    /// Whether evicting would make `need` units free. Asked before the first page is evicted, so that a
    /// reservation that can't succeed costs nobody a page.
    pub fn can_make_room(&self, need: u32) -> bool {
        let mut sum = self.free_units();
        let mut page = self.tail(List::Lru);
        for _ in 0..self.geo.units {
            if sum >= need {
                return true;
            }
            if self.kind(page) != unit::LIVE {
                return false;
            }
            if !self.in_use(page) {
                sum = sum.saturating_add(self.page_units(page));
            }
            page = self.f32(page, field::PREV);
        }
        false
    }
}
