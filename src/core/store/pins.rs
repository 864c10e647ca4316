//! What each process holds: one hazard word, and records of long pins.
//!
//! ```text
//! slot     0 hazard: unit of the page being read, or 0 | 4 first pin record | (rest of a cache line)
//! record   0 unit of the pinned page, or 0 if the record is free | 4 slot | 8 previous | 12 next
//! ```
//!
//! Invariants
//! - A hazard word is set under the lock and cleared without it, by its own process (or by whoever takes a
//!   dead process's slot back). A page that a hazard names, or that has pins, is not freed: an evictor
//!   looks under the lock, so it can't miss a hazard that was set before.
//! - A record with a unit in it is a pin; the page's count and the lists can be rebuilt from the records.
//!   Records are numbered from 1; 0 ends a list.

use super::layout::{Mem, PIN_BYTES, SLOT_BYTES, SLOTS_AT, at};
use super::stats::Gauge;

mod record {
    pub const UNIT: usize = 0;
    pub const SLOT: usize = 4;
    pub const PREV: usize = 8;
    pub const NEXT: usize = 12;
}

impl Mem {
    fn slot_at(&self, slot: u32) -> usize {
        SLOTS_AT + SLOT_BYTES * slot as usize
    }

    fn record_at(&self, record: u32) -> usize {
        self.geo.pins_at + PIN_BYTES * (record as usize).wrapping_sub(1)
    }

    fn record(&self, number: u32, part: usize) -> u32 {
        self.region.u32(self.record_at(number) + part)
    }

    fn set_record(&self, number: u32, part: usize, value: u32) {
        self.region.set_u32(self.record_at(number) + part, value);
    }

    /// Slots below this number have been used.
    pub fn slots_high(&self) -> u32 {
        self.region.u32(at::SLOTS_HIGH).min(self.geo.slots)
    }

    /// Notes that a slot is in use; false if there is no such slot.
    pub fn use_slot(&self, slot: u32) -> bool {
        if slot >= self.geo.slots {
            return false;
        }
        if slot >= self.slots_high() {
            self.region.set_u32(at::SLOTS_HIGH, slot + 1);
        }
        true
    }

    pub fn hazard(&self, slot: u32) -> u32 {
        self.region.load_acquire(self.slot_at(slot))
    }

    /// Under the lock.
    pub fn set_hazard(&self, slot: u32, page: u32) {
        self.region.set_u32(self.slot_at(slot), page);
    }

    /// Without the lock: all that the process read of the page, it has read before.
    pub fn clear_hazard(&self, slot: u32) {
        self.region.store_release(self.slot_at(slot), 0);
    }

    pub fn hazarded(&self, page: u32) -> bool {
        (0..self.slots_high()).any(|slot| self.hazard(slot) == page)
    }

    /// Whether anybody may still be reading the page.
    pub fn in_use(&self, page: u32) -> bool {
        self.pins(page) != 0 || self.hazarded(page)
    }

    pub fn first_pin(&self, slot: u32) -> u32 {
        self.region.u32(self.slot_at(slot) + 4)
    }

    fn set_first_pin(&self, slot: u32, record: u32) {
        self.region.set_u32(self.slot_at(slot) + 4, record);
    }

    /// The page that a record pins, and for which slot.
    pub fn pin_of(&self, number: u32) -> Option<(u32, u32)> {
        let valid = number >= 1 && number <= self.geo.pins;
        let page = if valid { self.record(number, record::UNIT) } else { 0 };
        (page != 0).then(|| (page, self.record(number, record::SLOT)))
    }

    pub fn next_pin(&self, number: u32) -> u32 {
        self.record(number, record::NEXT)
    }

    /// Records a pin of `page`; `None` if all records are in use.
    pub fn add_pin(&self, slot: u32, page: u32) -> Option<u32> {
        let number = self.region.u32(at::FREE_PIN);
        if number == 0 || number > self.geo.pins || slot >= self.geo.slots {
            return None;
        }
        self.region.set_u32(at::FREE_PIN, self.record(number, record::NEXT));
        self.attach_pin(number, slot);
        self.set_record(number, record::UNIT, page);
        self.set_pins(page, self.pins(page).saturating_add(1));
        self.raise(Gauge::Pins, 1);
        Some(number)
    }

    fn attach_pin(&self, number: u32, slot: u32) {
        let first = self.first_pin(slot);
        self.set_record(number, record::SLOT, slot);
        self.set_record(number, record::PREV, 0);
        self.set_record(number, record::NEXT, first);
        if first != 0 {
            self.set_record(first, record::PREV, number);
        }
        self.set_first_pin(slot, number);
    }

    /// Ends a pin and frees its record.
    pub fn drop_pin(&self, number: u32) {
        let Some((page, slot)) = self.pin_of(number) else { return };
        self.set_record(number, record::UNIT, 0);
        self.set_pins(page, self.pins(page).saturating_sub(1));
        self.lower(Gauge::Pins, 1);
        let prev = self.record(number, record::PREV);
        let next = self.record(number, record::NEXT);
        if prev == 0 {
            self.set_first_pin(slot, next);
        } else {
            self.set_record(prev, record::NEXT, next);
        }
        if next != 0 {
            self.set_record(next, record::PREV, prev);
        }
        self.free_record(number);
    }

    fn free_record(&self, number: u32) {
        self.set_record(number, record::UNIT, 0);
        self.set_record(number, record::NEXT, self.region.u32(at::FREE_PIN));
        self.region.set_u32(at::FREE_PIN, number);
    }

    /// Frees every record and clears every slot, for a new store.
    pub fn format_pins(&self) {
        for slot in 0..self.geo.slots {
            self.clear_hazard(slot);
        }
        for number in 1..=self.geo.pins {
            self.set_record(number, record::UNIT, 0);
        }
        self.rebuild_pins(|_| false);
    }

    /// Makes lists and counts again from the records that name a page that `is_page`.
    pub fn rebuild_pins(&self, is_page: impl Fn(u32) -> bool) {
        for slot in 0..self.geo.slots {
            self.set_first_pin(slot, 0);
        }
        self.region.set_u32(at::FREE_PIN, 0);
        let mut sum = 0;
        // Downwards, so that the free list goes upwards.
        for number in (1..=self.geo.pins).rev() {
            match self.pin_of(number) {
                Some((page, slot)) if slot < self.geo.slots && is_page(page) => {
                    self.attach_pin(number, slot);
                    self.set_pins(page, self.pins(page).saturating_add(1));
                    sum += 1;
                }
                _ => self.free_record(number),
            }
        }
        self.set_gauge(Gauge::Pins, sum);
    }
}
