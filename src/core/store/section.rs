//! What can be done under the lock.
//!
//! Invariants
//! - The dirty word is set before a section's first change of anything that has to agree with something
//!   else, and cleared when the section ends well. Whoever takes the lock and finds it set (the holder was
//!   killed, or panicked) rebuilds the store first: see `recover.rs`.
//! - Every loop is bounded by the number of units or records: damaged links can't hang a process.
//! - A section allocates nothing, logs nothing and calls nobody.

use super::entry::{Chain, Entry, Found, Meta, field};
use super::fill::{Reservation, ReserveError};
use super::hold::{Held, Page, Pin};
use super::layout::{Geometry, Mem, at, unit};
use super::list::List;
use super::queue::{CHANCES, Policy};
use super::region::{DeadSlot, RawPin, Slot};
use super::stats::{Counter, Gauge, Stats};
use super::{Store, evict};

/// LRU moves a page to the front of its queue at most this often: a page that every request asks for would
/// otherwise be relinked, and its neighbours' lines written, on every hit. No zone is filled anew in so
/// short a time that such a page could be evicted meanwhile.
pub(super) const MOVE_EVERY_MS: u64 = 1;

/// The store under its lock.
#[derive(Debug)]
pub struct Section<'s> {
    store: &'s Store,
    changing: bool,
    suspect: bool,
}

impl<'s> Section<'s> {
    /// Begins a section. The caller holds the lock.
    pub(super) fn begin(store: &'s Store) -> Section<'s> {
        let left_dirty = store.mem.region.u32(at::DIRTY) != 0;
        if left_dirty {
            store.mem.recover();
        }
        Section { store, changing: left_dirty, suspect: false }
    }

    /// Ends a section that did not panic.
    pub(super) fn finish(self) {
        if self.changing && !self.suspect {
            self.mem().region.store_release(at::DIRTY, 0);
        }
    }

    pub(super) fn mem(&self) -> &'s Mem {
        &self.store.mem
    }

    /// Says that from here on things may disagree until the section ends.
    pub(super) fn change(&mut self) -> &'s Mem {
        let mem = &self.store.mem;
        if !self.changing {
            self.changing = true;
            mem.region.store_first(at::DIRTY, 1);
        }
        mem
    }

    /// Leaves the dirty word set: what was found can't be, so the next section shall rebuild the store.
    fn distrust(&mut self) {
        self.change();
        self.suspect = true;
    }

    /// Finds the page of a key and notes that it was used now. A page that nobody used for longer than the
    /// store keeps such is removed instead. A page that is no longer fresh is found: the caller judges.
    pub fn lookup(&mut self, hash: u64, key: &[u8], now_ms: u64) -> Option<Found> {
        let page = self.mem().find(hash, key)?;
        if self.mem().is_inactive(page, now_ms) {
            let mem = self.change();
            mem.retire(page);
            mem.count(Counter::Inactive);
            return None;
        }
        self.note_use(page, now_ms);
        Some(self.mem().found(page))
    }

    /// Notes that a page was used now: what [`Store::get`](super::Store::get) leaves to the lock.
    pub fn touch(&mut self, entry: Entry, now_ms: u64) {
        if self.mem().kind(entry.unit) == unit::LIVE && self.mem().is_entry(entry) {
            self.note_use(entry.unit, now_ms);
        }
    }

    fn note_use(&mut self, page: u32, now_ms: u64) {
        let policy = self.mem().policy();
        self.mem().count_use(page, policy);
        // In both directions: the clock may have been set back.
        if self.mem().f64(page, field::LAST_USED).abs_diff(now_ms) >= MOVE_EVERY_MS {
            if policy == Policy::Lru {
                self.change().renew(page);
            }
            self.mem().set_f64(page, field::LAST_USED, now_ms);
        }
    }

    /// Finds the page of a key without using it.
    pub fn peek(&self, hash: u64, key: &[u8]) -> Option<Found> {
        self.mem().find(hash, key).map(|page| self.mem().found(page))
    }

    /// Finds a page by its hash alone, without using it. The number is the greater, the later it would be evicted.
    pub fn peek_hash(&self, hash: u64) -> Option<(Found, u64)> {
        let mem = self.mem();
        mem.find_hash(hash).map(|page| (mem.found(page), mem.heat(page)))
    }

    /// The bytes of a page, readable as long as the section lasts.
    pub fn page(&self, entry: Entry) -> Option<Page<'_>> {
        let mem = self.mem();
        mem.readable(entry).map(|page| Page::new(mem, page))
    }

    /// Keeps a page readable until the returned value is dropped, which needs no lock. A process can have one
    /// such hold at a time: `None` while it has one, or if the page is gone.
    pub fn hold(&mut self, slot: &Slot, entry: Entry) -> Option<Held<'s>> {
        let mem = self.mem();
        if !mem.use_slot(slot.number()) || !mem.is_idle(slot.number()) {
            return None;
        }
        let page = mem.readable(entry)?;
        mem.set_hazard(slot.number(), 0, page);
        Some(Held::assemble(self.store, slot.number(), entry))
    }

    /// Keeps a page readable until `unpin`. `None` if the page is gone or all pins are in use: the
    /// caller then copies what it needs.
    pub fn pin(&mut self, slot: &Slot, entry: Entry) -> Option<Pin> {
        let mem = self.mem();
        let page = mem.readable(entry)?;
        let word = mem.add_pin(slot, page).or_else(|| {
            mem.find_pins(slot);
            mem.add_pin(slot, page)
        })?;
        Some(Pin::assemble(mem.region, RawPin { unit: page, generation: entry.generation, word }))
    }

    /// Ends a pin.
    pub fn unpin(&mut self, pin: Pin) {
        let (region, raw) = pin.take_apart();
        if region == self.mem().region && self.mem().pinned(raw.word) == Some(raw.unit) {
            self.mem().drop_pin(raw.word);
            self.bury(raw.unit);
        }
    }

    /// Frees a page that is out of the store, if nobody reads it any more.
    pub(super) fn bury(&mut self, page: u32) {
        if self.mem().kind(page) == unit::ZOMBIE {
            self.change().bury(page);
        }
    }

    /// Makes room for a page, evicting what the policy chooses, and gives it to the caller to be filled
    /// outside the lock. Nobody finds it before it is published.
    pub fn reserve(
        &mut self,
        slot: &Slot,
        hash: u64,
        key: &[u8],
        value_len: usize,
        now_ms: u64,
    ) -> Result<Reservation, ReserveError> {
        let content = self.fits(key, value_len)?;
        let mem = self.change();
        if !mem.use_slot(slot.number()) {
            return Err(ReserveError::NoSlot);
        }
        mem.bury_some(evict::SWEEP);
        mem.drop_inactive(now_ms);
        let generation = mem.next_generation();
        let Some(page) = self.find_room(content, generation) else {
            mem.count(Counter::Refused);
            return Err(ReserveError::NoRoom);
        };

        Ok(self.begin_page(slot, Entry { unit: page, generation }, hash, key, value_len))
    }

    /// Bytes of key and value, if the store takes so many.
    pub(super) fn fits(&self, key: &[u8], value_len: usize) -> Result<usize, ReserveError> {
        let max_page = usize::try_from(self.mem().region.u64(at::MAX_PAGE)).unwrap_or(usize::MAX);
        let content = key.len().saturating_add(value_len);
        let fits = u16::try_from(key.len()).is_ok() && content <= max_page.min(self.mem().geo.largest_page());
        if fits { Ok(content) } else { Err(ReserveError::TooLarge) }
    }

    /// Makes a page that is to be filled out of a complete chain.
    pub(super) fn begin_page(
        &mut self,
        slot: &Slot,
        entry: Entry,
        hash: u64,
        key: &[u8],
        value_len: usize,
    ) -> Reservation {
        let mem = self.change();
        let page = entry.unit;
        // Both fit: `fits` has seen them.
        mem.set_f32(page, field::KEY_LEN, key.len() as u32);
        mem.set_f64(page, field::HASH, hash);
        mem.set_f32(page, field::VALUE_LEN, value_len as u32);
        mem.set_f32(page, field::CHAIN, 0);
        mem.set_f32(page, field::PLACE, slot.number());
        mem.fill(page, 0, key);
        // From here on the page exists.
        mem.set_kind(page, unit::PENDING);
        mem.push_front(List::Pending, page);
        mem.raise(Gauge::Pending, 1);
        mem.raise(Gauge::PendingUnits, u64::from(mem.page_units(page)));
        Reservation::assemble(mem.region, entry, key.len(), value_len)
    }

    /// Takes units for a page, after evicting as many pages as it needs and no more.
    fn find_room(&mut self, content: usize, generation: u32) -> Option<u32> {
        let mem = self.mem();
        let need = Geometry::units_of(content);
        if !mem.can_make_room(need) && (mem.bury_some(usize::MAX) == 0 || !mem.can_make_room(need)) {
            return None;
        }
        let mut chances = CHANCES;
        while mem.free_units() < need.saturating_add(mem.geo.slack()) && mem.evict_one(&mut chances) {}
        let mut chain = Chain::new(content, generation);
        loop {
            let before = chain.units;
            mem.grow_chain(&mut chain);
            if chain.is_complete() {
                return Some(chain.first);
            }
            if chain.units == before && mem.free_units() != 0 {
                // Free units that can't be taken.
                self.distrust();
                return None;
            }
            // The headers of a page's second and later runs can take more than was counted.
            if !mem.evict_one(&mut chances) {
                mem.free_chain(chain.first);
                return None;
            }
        }
    }

    /// Makes a filled page one that can be found, in place of the one that had its key. `None` if the
    /// reservation is no longer there.
    pub fn publish(&mut self, reservation: Reservation, meta: Meta, now_ms: u64) -> Option<Entry> {
        self.publish_with(reservation, meta, 0, now_ms)
    }

    /// The same with what [`Found::seen`] says from then on.
    pub fn publish_with(
        &mut self,
        reservation: Reservation,
        meta: Meta,
        seen: u64,
        now_ms: u64,
    ) -> Option<Entry> {
        let entry = reservation.entry_in(self.mem())?;
        let page = entry.unit;
        let mem = self.change();
        let mut uses = 0;
        let mut list = mem.queue_for(mem.f64(page, field::HASH));
        if let Some(old) = mem.find_twin(page) {
            // What the old one has earned goes over to the new one.
            list = mem.list_of(old);
            uses = mem.f32(old, field::USES);
            mem.retire(old);
            mem.count(Counter::Replaced);
        }
        self.go_live(page, meta, seen, now_ms, |mem| {
            mem.set_f32(page, field::USES, uses);
            mem.enter_queue(page, list);
        });
        Some(entry)
    }

    /// Makes a filled page a live one. `enter` puts it into a queue.
    pub(super) fn go_live(
        &mut self,
        page: u32,
        meta: Meta,
        seen: u64,
        last_used_ms: u64,
        enter: impl FnOnce(&Mem),
    ) {
        let mem = self.change();
        mem.set_f64(page, field::CREATED, meta.created_ms);
        mem.set_f64(page, field::EXPIRES, meta.expires_ms);
        mem.set_f32(page, field::STALE_FOR, meta.stale_s);
        mem.set_f32(page, field::ERROR_FOR, meta.error_s);
        mem.set_f64(page, field::BEGAN, meta.began);
        mem.set_f64(page, field::SEEN, seen);
        mem.set_f64(page, field::TAG, meta.tag);
        mem.set_f64(page, field::LAST_USED, last_used_ms);
        mem.set_f32(page, field::USES, 0);
        let units = u64::from(mem.page_units(page));
        mem.unlink(List::Pending, page);
        // From here on the page is live. Its queue comes after: until now that field names its slot.
        mem.set_kind(page, unit::LIVE);
        enter(mem);
        mem.lower(Gauge::Pending, 1);
        mem.lower(Gauge::PendingUnits, units);
        mem.raise(Gauge::Entries, 1);
        mem.raise(Gauge::LiveBytes, mem.content_len(page));
        mem.raise(Gauge::LiveUnits, units);
        mem.count(Counter::Stores);
        mem.count_by(Counter::StoredUnits, units);
        mem.link_index(page);
    }

    /// Gives a reservation's units back.
    pub fn abandon(&mut self, reservation: Reservation) {
        if let Some(entry) = reservation.entry_in(self.mem()) {
            self.change().drop_pending(entry.unit);
        }
    }

    /// Removes a page. False if it was no longer there.
    pub fn remove(&mut self, entry: Entry) -> bool {
        let there = self.mem().kind(entry.unit) == unit::LIVE && self.mem().entry(entry.unit) == entry;
        if there {
            let mem = self.change();
            mem.retire(entry.unit);
            mem.count(Counter::Removed);
        }
        there
    }

    /// Removes the page of a key. False if there was none.
    pub fn remove_key(&mut self, hash: u64, key: &[u8]) -> bool {
        match self.mem().find(hash, key) {
            Some(page) => self.remove(self.mem().entry(page)),
            None => false,
        }
    }

    /// Removes all pages.
    pub fn clear(&mut self) {
        for _ in 0..self.mem().geo.units {
            let mem = self.change();
            let tails = [mem.tail(List::Main), mem.tail(List::Small)];
            let Some(page) = tails.into_iter().find(|page| mem.kind(*page) == unit::LIVE) else { return };
            mem.retire(page);
            mem.count(Counter::Removed);
        }
    }

    /// Takes back what a process held when it ended: its hold, its pins, the pages that it was filling.
    pub fn release_slot(&mut self, slot: &DeadSlot) {
        let number = slot.number();
        if number >= self.mem().geo.slots {
            return;
        }
        let mem = self.change();
        mem.release_holds(number);
        let mut page = mem.head(List::Pending);
        for _ in 0..mem.geo.units {
            if mem.kind(page) != unit::PENDING {
                break;
            }
            let next = mem.f32(page, field::NEXT);
            if mem.f32(page, field::PLACE) == number {
                mem.drop_pending(page);
            }
            page = next;
        }
        mem.bury_some(usize::MAX);
        // Last: if this process dies meanwhile, others shall still see that the slot is a dead one's.
        mem.set_pid(number, 0);
    }

    /// Notes which process has a slot from now on, so that others can tell when it is dead.
    pub fn claim_slot(&mut self, slot: &Slot, pid: u32) {
        if self.mem().use_slot(slot.number()) {
            self.mem().set_pid(slot.number(), pid);
        }
    }

    /// The slots that were claimed, and by which processes: for a sweep for dead ones.
    pub fn claims(&self) -> impl Iterator<Item = (u32, u32)> + use<'s> {
        let mem = self.mem();
        (0..mem.slots_high()).map(|slot| (slot, mem.pid(slot))).filter(|(_, pid)| *pid != 0)
    }

    /// Changes what was set when the store was created: the greatest page, how long an unused page stays, and which
    /// pages go first.
    pub fn set_limits(&mut self, max_page: usize, inactive_ms: u64, policy: Policy) {
        let mem = self.mem();
        mem.region.set_u64(at::MAX_PAGE, max_page as u64);
        mem.region.set_u64(at::INACTIVE, inactive_ms);
        if mem.policy() != policy {
            self.change().set_policy(policy);
        }
    }

    /// The store's figures.
    pub fn stats(&self) -> Stats {
        self.mem().stats()
    }

    /// Looks at everything and accounts for every unit. It takes time in proportion to the store.
    pub fn check(&self) -> Result<super::Account, super::Damage> {
        self.mem().check()
    }

    /// Rebuilds the store at the next section, as if a process had died in this one. For tests.
    pub fn mark_dirty(&mut self) {
        self.distrust();
    }
}
