//! What each process holds: two hazard words in its slot, and blocks of pin words.
//!
//! ```text
//! slot    0 hazard, 4 hazard: unit of a page that is being read, or 0 | 8 pid | (rest of a cache line)
//! block   0 owner: slot + 1, or 0 if the block is free | 4 .. 64 pins: unit of a pinned page, or 0
//! ```
//!
//! Invariants
//! - A page that a hazard or a pin names is not freed. Both are written by their own process alone, without the lock,
//!   and cleared for it by whoever takes a dead process's slot back.
//! - Only a process that has a hazard on a page, or the lock, pins it; and the pin is written before the hazard is cleared.
//!   So whoever sees no hazard sees the pin: evictors look at the hazards first.
//! - A page whose bit `pinned once` is not set has no pin (the bit is set before the pin).
//! - Blocks are given out under the lock and stay with their process until its slot is released. There are no counts and
//!   no links: nothing here needs to be rebuilt after a death.
//! - Pins are numbered: word `n` lies at `blocks_at + 4 n`. The first word of a block is its owner, so 0 is no pin.

use super::entry::Entry;
use super::layout::{BLOCK_BYTES, Mem, SLOT_BYTES, SLOTS_AT, at};
use super::region::Slot;

const WORDS: u32 = BLOCK_BYTES as u32 / 4;
const PID: usize = 8;

impl Mem {
    fn slot_at(&self, slot: u32) -> usize {
        SLOTS_AT + SLOT_BYTES * slot as usize
    }

    fn pin_at(&self, word: u32) -> usize {
        self.geo.blocks_at + 4 * word as usize
    }

    /// Pins that there can be at once.
    pub fn pins_limit(&self) -> u64 {
        u64::from(self.geo.blocks) * u64::from(WORDS - 1)
    }

    /// Slots below this number have been used.
    pub fn slots_high(&self) -> u32 {
        self.region.u32(at::SLOTS_HIGH).min(self.geo.slots)
    }

    /// Blocks below this number have been used.
    fn blocks_high(&self) -> u32 {
        self.region.u32(at::BLOCKS_HIGH).min(self.geo.blocks)
    }

    /// Notes, under the lock, that a slot is in use; false if there is no such slot.
    pub fn use_slot(&self, slot: u32) -> bool {
        if slot >= self.geo.slots {
            return false;
        }
        if slot >= self.slots_high() {
            self.region.store_in_order(at::SLOTS_HIGH, slot + 1);
        }
        true
    }

    /// The process that has a slot, 0 if none said so.
    pub fn pid(&self, slot: u32) -> u32 {
        self.region.u32(self.slot_at(slot) + PID)
    }

    pub fn set_pid(&self, slot: u32, pid: u32) {
        self.region.set_u32(self.slot_at(slot) + PID, pid);
    }

    /// A slot's two hazards.
    fn hazards(&self, slot: u32) -> [u32; 2] {
        let at = self.slot_at(slot);
        [self.region.load_in_order(at), self.region.load_in_order(at + 4)]
    }

    /// Whether a slot may set a hazard: it is noted as used, and has none.
    pub fn is_idle(&self, slot: u32) -> bool {
        let at = self.slot_at(slot);
        slot < self.slots_high() && self.region.u32(at) == 0 && self.region.u32(at + 4) == 0
    }

    pub fn set_hazard(&self, slot: u32, which: usize, page: u32) {
        self.region.store_in_order(self.slot_at(slot) + 4 * (which & 1), page);
    }

    /// All that the process read of the page, it has read before.
    pub fn clear_hazards(&self, slot: u32) {
        let at = self.slot_at(slot);
        for at in [at, at + 4] {
            if self.region.u32(at) != 0 {
                self.region.store_release(at, 0);
            }
        }
    }

    /// Whether anybody may still be reading the page. Under the lock. If the page is out of the index before this is
    /// asked, a "no" stays a "no".
    pub fn in_use(&self, page: u32) -> bool {
        (0..self.slots_high()).any(|slot| self.hazards(slot).contains(&page))
            || (self.pinned_once(page) && self.all_pins().any(|(_, pinned)| pinned == page))
    }

    /// The pins in force: number of the word, and page.
    pub fn all_pins(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..self.blocks_high())
            .filter(|block| self.region.u32(self.pin_at(block * WORDS)) != 0)
            .flat_map(|block| block * WORDS + 1..(block + 1) * WORDS)
            .map(|word| (word, self.region.load_acquire(self.pin_at(word))))
            .filter(|(_, page)| *page != 0)
    }

    /// The page that a pin names.
    pub fn pinned(&self, word: u32) -> Option<u32> {
        let is_pin = word < self.geo.blocks.saturating_mul(WORDS) && !word.is_multiple_of(WORDS);
        let page = if is_pin { self.region.u32(self.pin_at(word)) } else { 0 };
        (page != 0).then_some(page)
    }

    /// Pins a page that the process has a hazard on, without the lock; or any readable page, under the lock. `None` if
    /// the process has no pin left.
    pub fn add_pin(&self, slot: &Slot, page: u32) -> Option<u32> {
        let mut free = slot.free_pins().borrow_mut();
        // Another `Slot` with this number may have taken one of them meanwhile.
        let word = std::iter::from_fn(|| free.pop()).find(|word| self.pinned(*word).is_none())?;
        self.set_pinned_once(page);
        self.region.store_release(self.pin_at(word), page);
        Some(word)
    }

    /// Whether a pin's word belongs to a slot.
    pub fn is_pin_of(&self, slot: u32, word: u32) -> bool {
        self.region.u32(self.pin_at(word / WORDS * WORDS)) == slot + 1
    }

    /// Ends a pin: all that the process read of the page, it has read before.
    pub fn drop_pin(&self, word: u32) {
        if self.pinned(word).is_some() {
            self.region.store_release(self.pin_at(word), 0);
        }
    }

    /// Finds free pin words for a process, under the lock: in blocks that it has, or in one more.
    pub fn find_pins(&self, slot: &Slot) {
        let mine = slot.number() + 1;
        let mut free = slot.free_pins().borrow_mut();
        free.clear();
        let of = |owner: u32| {
            (0..self.geo.blocks).filter(move |b| self.region.u32(self.pin_at(b * WORDS)) == owner)
        };
        for block in of(mine).take_while(|block| *block < self.blocks_high()) {
            let words = block * WORDS + 1..(block + 1) * WORDS;
            free.extend(words.filter(|word| self.region.u32(self.pin_at(*word)) == 0));
        }
        if !free.is_empty() || !self.use_slot(slot.number()) {
            return;
        }
        if let Some(block) = of(0).next() {
            // In this order: an owned block beyond the mark would be overlooked when its owner has died.
            if block >= self.blocks_high() {
                self.region.store_in_order(at::BLOCKS_HIGH, block + 1);
            }
            self.region.store_release(self.pin_at(block * WORDS), mine);
            free.extend((block * WORDS + 1..(block + 1) * WORDS).rev());
        }
    }

    /// Takes back all that a slot holds, but not the slot itself.
    pub fn release_holds(&self, slot: u32) {
        self.clear_hazards(slot);
        for block in 0..self.blocks_high() {
            if self.region.u32(self.pin_at(block * WORDS)) == slot + 1 {
                self.clear_block(block);
            }
        }
    }

    /// The pins first: a free block has none.
    fn clear_block(&self, block: u32) {
        for word in (block * WORDS..(block + 1) * WORDS).rev() {
            self.region.store_release(self.pin_at(word), 0);
        }
    }

    /// Clears every slot and block, for a new store.
    pub fn format_holds(&self) {
        for slot in 0..self.geo.slots {
            for at in (0..SLOT_BYTES).step_by(4) {
                self.region.set_u32(self.slot_at(slot) + at, 0);
            }
        }
        for block in 0..self.geo.blocks {
            self.clear_block(block);
        }
        self.region.set_u32(at::SLOTS_HIGH, 0);
        self.region.set_u32(at::BLOCKS_HIGH, 0);
    }

    /// The page that an entry names, if the process that asks has the lock or a hazard on it.
    pub fn is_entry(&self, entry: Entry) -> bool {
        self.entry(entry.unit) == entry
    }
}
