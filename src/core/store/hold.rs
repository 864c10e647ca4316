//! Reading pages without the lock.
//!
//! Two ways to keep a page's bytes where they are: a hold is a hazard word of the process's own line, for the time of a call;
//! a pin is a word, too, one of many, and outlives the call. Neither needs the lock, to begin (`find.rs`) or to
//! end. Both name a page whose key, value and runs never change (see `entry.rs`), so the slices that they lend stay
//! what they are.

use super::Store;
use super::entry::{Entry, Pieces, field};
use super::layout::Mem;
use super::queue::place;
use super::region::{RawLock, RawPin, Region, Slot};

/// The bytes of a page that is held or pinned.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    mem: &'a Mem,
    unit: u32,
    key_len: usize,
    value_len: usize,
}

impl<'a> Page<'a> {
    pub(super) fn new(mem: &'a Mem, unit: u32) -> Page<'a> {
        Page { mem, unit, key_len: mem.key_len(unit), value_len: mem.value_len(unit) }
    }

    /// Bytes of the value.
    pub fn value_len(&self) -> usize {
        self.value_len
    }

    /// The key, in one piece or several.
    pub fn key(&self) -> Segments<'a> {
        self.part(0, self.key_len)
    }

    /// The value, in one piece or several.
    pub fn value(&self) -> Segments<'a> {
        self.part(self.key_len, self.value_len)
    }

    /// A part of the value, cut off at its end.
    pub fn value_part(&self, offset: usize, len: usize) -> Segments<'a> {
        let offset = offset.min(self.value_len);
        self.part(self.key_len + offset, len.min(self.value_len - offset))
    }

    fn part(&self, skip: usize, len: usize) -> Segments<'a> {
        Segments { region: &self.mem.region, pieces: self.mem.pieces(self.unit, skip, len) }
    }
}

/// The pieces of memory in which a part of a page lies, in order.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    region: &'a Region,
    pieces: Pieces<'a>,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (at, len) = self.pieces.next()?;
        self.region.bytes(at, len)
    }
}

/// The short hold on a page: ends when dropped, without the lock.
#[derive(Debug)]
#[must_use = "the page may be freed as soon as this is dropped"]
pub struct Held<'s> {
    store: &'s Store,
    slot: u32,
    entry: Entry,
}

impl<'s> Held<'s> {
    pub(super) fn assemble(store: &'s Store, slot: u32, entry: Entry) -> Held<'s> {
        Held { store, slot, entry }
    }

    /// The page's name.
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// Whether this store has the page.
    pub(super) fn is_of(&self, store: &Store) -> bool {
        self.store.mem.region == store.mem.region
    }

    /// The page's bytes, as long as the hold is there.
    pub fn page(&self) -> Page<'_> {
        Page::new(&self.store.mem, self.entry.unit)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.store.mem.clear_hazards(self.slot);
    }
}

/// The long hold on a page: ends with [`Store::unpin`] or [`Section::unpin`](super::Section::unpin).
///
/// One that is merely dropped stays in force until its slot is released.
#[derive(Debug)]
#[must_use = "unpin it: the page's units stay taken otherwise"]
pub struct Pin {
    region: Region,
    raw: RawPin,
}

impl Pin {
    pub(super) fn assemble(region: Region, raw: RawPin) -> Pin {
        Pin { region, raw }
    }

    pub(super) fn take_apart(self) -> (Region, RawPin) {
        (self.region, self.raw)
    }

    /// The page's name.
    pub fn entry(&self) -> Entry {
        Entry { unit: self.raw.unit, generation: self.raw.generation }
    }

    /// The pin as numbers, to be made a pin again with [`Store::pin_from_raw`].
    pub fn into_raw(self) -> RawPin {
        self.raw
    }
}

impl Store {
    /// Keeps a held page readable until `unpin`. The lock is taken once for several pins. `None` if all pins are in use:
    /// the caller then copies what it needs.
    pub fn pin<L: RawLock>(&self, lock: &L, slot: &Slot, held: &Held<'_>) -> Option<Pin> {
        if !held.is_of(self) || held.slot != slot.number() {
            return None;
        }
        let word = self.mem.add_pin(slot, held.entry.unit).or_else(|| {
            self.with(lock, |section| section.mem().find_pins(slot));
            self.mem.add_pin(slot, held.entry.unit)
        })?;
        let Entry { unit, generation } = held.entry;
        Some(Pin::assemble(self.mem.region, RawPin { unit, generation, word }))
    }

    /// Ends a pin. A page that is out of the store is freed with its last pin; only that needs the lock.
    pub fn unpin<L: RawLock>(&self, lock: &L, slot: &Slot, pin: Pin) {
        if !self.mem.is_pin_of(slot.number(), pin.raw.word) {
            // Another slot's, or nobody's: its word must not become one of ours.
            return self.with(lock, |section| section.unpin(pin));
        }
        let (region, raw) = pin.take_apart();
        if region != self.mem.region || self.mem.pinned(raw.word) != Some(raw.unit) {
            return;
        }
        // Read before the pin ends: after that the units may be anything. A page that goes just now is freed by
        // one of the next stores.
        let gone = self.mem.f32(raw.unit, field::PLACE) == place::GONE;
        self.mem.drop_pin(raw.word);
        slot.free_pins().borrow_mut().push(raw.word);
        if gone {
            self.with(lock, |section| section.bury(raw.unit));
        }
    }

    /// Leaves a word on a held page for those who find it next. Of several the greatest stays.
    pub fn see(&self, held: &Held<'_>, word: u64) {
        if held.is_of(self) {
            self.mem.raise_f64(held.entry.unit, field::SEEN, word);
        }
    }

    /// The bytes of a pinned page; `None` if it was pinned in another region.
    pub fn page<'a>(&'a self, pin: &'a Pin) -> Option<Page<'a>> {
        (pin.region == self.mem.region).then(|| Page::new(&self.mem, pin.raw.unit))
    }
}
