//! The naive model, and the machine that runs operations on it and on a store. Shared with the fuzzer.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use twice_core::store::{
    DeadSlot, Entry, Geometry, Held, Meta, Options, Page, Pin, Policy, RawLock, Region, Reservation,
    ReserveError, Slot, Store,
};

/// What can be done to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reserve, fill and publish.
    Put {
        key: u8,
        size: u32,
    },
    /// Reserve and fill; `Finish` and `Abandon` choose among what was begun.
    Begin {
        slot: u8,
        key: u8,
        size: u32,
    },
    Finish {
        n: u8,
    },
    Abandon {
        n: u8,
    },
    Get {
        key: u8,
    },
    Remove {
        key: u8,
    },
    Hold {
        slot: u8,
        key: u8,
    },
    Release {
        slot: u8,
    },
    Pin {
        slot: u8,
        key: u8,
    },
    Unpin {
        n: u8,
    },
    Tick {
        ms: u32,
    },
    /// The next section finds the dirty word set.
    Rebuild,
    /// The process of a slot ends with all it has, and its slot is taken back.
    Die {
        slot: u8,
    },
    Clear,
}

const LEN: usize = if cfg!(miri) { 100 } else { 300 } * 1024;
const SLOTS: u8 = 3;
/// The slot that the model itself looks at pages with.
const OWN: u32 = 7;

struct NoLock;
// SAFETY: the model has one thread.
unsafe impl RawLock for NoLock {
    fn lock(&self) {}
    fn unlock(&self) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    key: u8,
    version: u64,
    size: usize,
    created: u64,
    used: u64,
    entry: Option<Entry>,
}

/// Keys of many lengths, some longer than a unit; a quarter of them share one hash.
fn key_bytes(key: u8) -> Vec<u8> {
    let len = if key % 5 == 4 { 300 + usize::from(key) } else { 1 + usize::from(key) };
    vec![key.wrapping_mul(37); len]
}

fn hash_of(store: &Store, key: u8) -> u64 {
    if key.is_multiple_of(4) { 0xABCD } else { store.hash(&key_bytes(key)) }
}

/// By the piece, each with a stamp of its own: Miri takes its time over each step.
fn value_bytes(version: u64, size: usize) -> Vec<u8> {
    let seed = version.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut piece = [(seed >> 56) as u8; 64];
    let mut bytes = Vec::with_capacity(size + 64);
    while bytes.len() < size {
        piece[..8].copy_from_slice(&(seed ^ bytes.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&piece);
    }
    bytes.truncate(size);
    bytes
}

/// A page in as bad a layout as can be takes this many units: each run a single unit with its own header.
fn most_units(known: &Known) -> u64 {
    u64::from(Geometry::units_of(key_bytes(known.key).len() + known.size)) * 128 / 116 + 2
}

struct Machine<'s> {
    store: &'s Store,
    slots: Vec<Slot>,
    own: Slot,
    now: u64,
    version: u64,
    inactive_ms: u64,
    policy: Policy,
    /// Most recently used first.
    live: Vec<Known>,
    held: Vec<Option<(Held<'s>, Known)>>,
    pins: Vec<(Pin, u8, Known)>,
    begun: Vec<(Reservation, u8, Known)>,
}

/// Runs operations on a store and on the model. Panics where they differ.
pub fn run(ops: &[Op], inactive_ms: u64, policy: Policy) {
    let layout = Layout::from_size_align(LEN, 4096).unwrap();
    // SAFETY: the layout has a size.
    let base = unsafe { alloc_zeroed(layout) };
    // SAFETY: freed below, after everything that uses it.
    let region = unsafe { Region::new(base, LEN) }.unwrap();
    let options = Options { seed: [1, 2], slots: 8, max_page: 90_000, inactive_ms, policy };
    // SAFETY: nobody else has the region.
    let store = unsafe { Store::create(region, &options) }.unwrap();
    let mut machine = Machine {
        store: &store,
        // SAFETY: each number is used once.
        slots: (0..u32::from(SLOTS)).map(|n| unsafe { Slot::new(n) }).collect(),
        // SAFETY: as above.
        own: unsafe { Slot::new(OWN) },
        now: 1_000_000,
        version: 0,
        inactive_ms,
        policy,
        live: Vec::new(),
        held: (0..SLOTS).map(|_| None).collect(),
        pins: Vec::new(),
        begun: Vec::new(),
    };
    for op in ops.iter().take(if cfg!(miri) { 24 } else { usize::MAX }) {
        machine.step(*op);
        machine.compare();
    }
    machine.end();
    // SAFETY: allocated with this layout.
    unsafe { dealloc(base, layout) };
}

impl<'s> Machine<'s> {
    fn with<T>(&self, work: impl FnOnce(&mut twice_core::store::Section<'s>) -> T) -> T {
        self.store.with(&NoLock, work)
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Put { key, size } => {
                if let Some((page, known)) = self.reserve(0, key, size) {
                    self.publish(page, known);
                }
            }
            Op::Begin { slot, key, size } => {
                let slot = slot % SLOTS;
                if let Some((page, known)) = self.reserve(slot, key, size) {
                    self.begun.push((page, slot, known));
                }
            }
            Op::Finish { n } => {
                if let Some((page, _, known)) = choose(&mut self.begun, n) {
                    self.publish(page, known);
                }
            }
            Op::Abandon { n } => {
                if let Some((page, _, _)) = choose(&mut self.begun, n) {
                    self.with(|s| s.abandon(page));
                }
            }
            Op::Get { key } => self.get(key),
            Op::Remove { key } => {
                let hash = hash_of(self.store, key);
                let removed = self.with(|s| s.remove_key(hash, &key_bytes(key)));
                assert_eq!(removed, self.take(key).is_some());
            }
            Op::Hold { slot, key } => {
                let slot = usize::from(slot % SLOTS);
                let Some(known) = self.known(key) else { return };
                let held = self.with(|s| s.hold(&self.slots[slot], known.entry.unwrap()));
                assert_eq!(held.is_some(), self.held[slot].is_none());
                if let Some(held) = held {
                    self.held[slot] = Some((held, known));
                }
            }
            Op::Release { slot } => {
                if let Some((held, known)) = self.held[usize::from(slot % SLOTS)].take() {
                    assert_bytes(held.page(), &known);
                }
            }
            Op::Pin { slot, key } => {
                let slot = slot % SLOTS;
                let Some(known) = self.known(key) else { return };
                let pin = self.pin(&self.slots[usize::from(slot)], &known).expect("there are enough");
                self.pins.push((pin, slot, known));
            }
            Op::Unpin { n } => {
                if let Some((pin, slot, known)) = choose(&mut self.pins, n) {
                    assert_bytes(self.store.page(&pin).unwrap(), &known);
                    if n.is_multiple_of(2) {
                        self.with(|s| s.unpin(pin));
                    } else {
                        self.store.unpin(&NoLock, &self.slots[usize::from(slot)], pin);
                    }
                }
            }
            Op::Tick { ms } => self.now += u64::from(ms),
            Op::Rebuild => {
                self.with(|s| s.mark_dirty());
                // A rebuild knows when a page was used, and not that it was passed over because somebody read it.
                self.live.sort_by_key(|known| std::cmp::Reverse(known.used));
            }
            Op::Die { slot } => {
                let slot = slot % SLOTS;
                std::mem::forget(self.held[usize::from(slot)].take());
                self.pins.retain(|(_, of, _)| *of != slot);
                self.begun.retain(|(_, of, _)| *of != slot);
                // SAFETY: nothing of the slot's is left.
                let dead = unsafe { DeadSlot::new(u32::from(slot)) };
                self.with(|s| s.release_slot(&dead));
                // SAFETY: the one of before is not used any more.
                self.slots[usize::from(slot)] = unsafe { Slot::new(u32::from(slot)) };
            }
            Op::Clear => {
                self.with(|s| s.clear());
                self.live.clear();
            }
        }
    }

    fn known(&self, key: u8) -> Option<Known> {
        self.live.iter().find(|known| known.key == key).copied()
    }

    fn take(&mut self, key: u8) -> Option<Known> {
        let at = self.live.iter().position(|known| known.key == key)?;
        Some(self.live.remove(at))
    }

    fn is_inactive(&self, known: &Known) -> bool {
        self.inactive_ms != 0 && self.now - known.used > self.inactive_ms
    }

    fn is_used(&self, known: &Known) -> bool {
        let is_it = |other: &Known| other.version == known.version;
        self.held.iter().flatten().any(|(_, other)| is_it(other))
            || self.pins.iter().any(|(_, _, o)| is_it(o))
    }

    /// Pins a page: under the lock, or without it after a hit without it.
    fn pin(&self, slot: &Slot, known: &Known) -> Option<Pin> {
        let hash = hash_of(self.store, known.key);
        let hit = self.store.get(slot, hash, &key_bytes(known.key), known.used);
        match hit {
            Some(hit) if known.version.is_multiple_of(2) => self.store.pin(&NoLock, slot, &hit.held),
            _ => self.with(|s| s.pin(slot, known.entry.unwrap())),
        }
    }

    fn get(&mut self, key: u8) {
        let (hash, bytes) = (hash_of(self.store, key), key_bytes(key));
        let hit = self.store.get(&self.own, hash, &bytes, self.now);
        let known = self.known(key).filter(|known| !self.is_inactive(known));
        let Some(mut known) = known else {
            assert!(hit.is_none());
            assert_eq!(self.with(|s| s.lookup(hash, &bytes, self.now)), None);
            self.take(key);
            return;
        };
        let hit = hit.expect("the model has the page, and nobody is in the way");
        let meta = Meta {
            created_ms: known.created,
            expires_ms: known.created + 5,
            tag: known.version,
            ..Meta::default()
        };
        let found = hit.found;
        assert_eq!((found.meta, found.value_len, Some(found.entry)), (meta, known.size, known.entry));
        assert_bytes(hit.held.page(), &known);
        let unused = self.now - known.used;
        assert_eq!(hit.touch, self.policy == Policy::Lru && unused > 0);
        let every = if self.inactive_ms == 0 { 60_000 } else { self.inactive_ms / 64 };
        let seldom = unused > every;
        if hit.touch {
            drop(hit);
            self.with(|s| s.touch(found.entry, self.now));
        }
        if unused > 0 && (self.policy == Policy::Lru || seldom) {
            self.take(key);
            known.used = self.now;
            self.live.insert(0, known);
        }
        // The way under the lock comes to the same.
        let again = self.with(|s| s.peek(hash, &bytes));
        assert_eq!(again, Some(found));
    }

    /// Reserves and fills a page, and judges what had to go for it.
    fn reserve(&mut self, slot: u8, key: u8, size: u32) -> Option<(Reservation, Known)> {
        let bytes = key_bytes(key);
        let size = size as usize;
        self.version += 1;
        let known =
            Known { key, version: self.version, size, created: self.now, used: self.now, entry: None };
        let before = self.with(|s| s.stats());
        let hash = hash_of(self.store, key);
        let result = self.with(|s| s.reserve(&self.slots[usize::from(slot)], hash, &bytes, size, self.now));
        let after = self.with(|s| s.stats());

        let gone = self.gone();
        let (evicted, inactive) = (after.evicted - before.evicted, after.inactive - before.inactive);
        assert_eq!(gone.len() as u64, evicted + inactive);
        assert!(
            inactive <= 8 && inactive <= gone.iter().filter(|known| self.is_inactive(known)).count() as u64
        );
        // A page that fails for the headers of its many runs has had all evicted that could be.
        if evicted > 0 && result.is_ok() {
            let freed = gone.iter().map(most_units).max().unwrap();
            let enough = u64::from(self.store.geometry().slack()) + freed;
            assert!(after.free_units <= enough, "{} free, {enough} would do: {gone:?}", after.free_units);
        }
        match result {
            Ok(mut page) => {
                // In pieces, to cross runs in all ways.
                for (i, part) in value_bytes(self.version, size).chunks(1 + size / 3).enumerate() {
                    self.store.write(&mut page, i * (1 + size / 3), part).unwrap();
                }
                Some((page, known))
            }
            Err(ReserveError::TooLarge) => {
                assert!(bytes.len() + size > 90_000.min(self.store.geometry().largest_page()));
                None
            }
            Err(ReserveError::NoRoom) => {
                let unused = self.live.iter().filter(|known| !self.is_used(known));
                let least: u64 =
                    unused.map(|k| u64::from(Geometry::units_of(key_bytes(k.key).len() + k.size))).sum();
                assert!(after.free_units + least < most_units(&known), "there was room");
                None
            }
            Err(ReserveError::NoSlot) => panic!("there are such slots"),
        }
    }

    /// Takes the pages out of the model that are no longer in the store. What LRU evicts is what was used least
    /// recently, but for what somebody reads: that counts as used now.
    fn gone(&mut self) -> Vec<Known> {
        let found = |known: &Known| {
            let hash = hash_of(self.store, known.key);
            self.with(|s| s.peek(hash, &key_bytes(known.key))).is_some()
        };
        let gone: Vec<Known> = self.live.iter().filter(|known| !found(known)).copied().collect();
        let mut left = gone.len();
        if self.policy == Policy::Lru && self.inactive_ms == 0 {
            while left > 0 {
                let last = self.live.pop().unwrap();
                if self.is_used(&last) {
                    self.live.insert(0, last);
                } else {
                    assert!(gone.contains(&last), "{last:?} was used least recently, and {gone:?} went");
                    left -= 1;
                }
            }
        }
        for known in &gone {
            assert!(self.is_inactive(known) || !self.is_used(known), "{known:?} is being read");
        }
        self.live.retain(|known| !gone.contains(known));
        gone
    }

    fn publish(&mut self, page: Reservation, mut known: Known) {
        known.created = self.now;
        known.used = self.now;
        let meta =
            Meta { created_ms: self.now, expires_ms: self.now + 5, tag: known.version, ..Meta::default() };
        known.entry = self.with(|s| s.publish(page, meta, self.now));
        assert!(known.entry.is_some());
        self.take(known.key);
        self.live.insert(0, known);
    }

    /// Compares what can be seen of the store with the model.
    fn compare(&self) {
        self.with(|s| {
            let account = s.check().unwrap();
            assert_eq!(account.entries, self.live.len() as u64);
            let stats = s.stats();
            assert_eq!(stats.pins, self.pins.len() as u64);
            assert_eq!(stats.pending, self.begun.len() as u64);
            assert_eq!(stats.lost, 0);
            let bytes: usize = self.live.iter().map(|k| key_bytes(k.key).len() + k.size).sum();
            assert_eq!(stats.live_bytes, bytes as u64);
            for known in &self.live {
                let found = s.peek(hash_of(self.store, known.key), &key_bytes(known.key));
                assert_eq!(found.map(|found| found.entry), known.entry, "{known:?}");
            }
        });
        // One page each time: all of them would take too long.
        if let Some(known) = self.live.get(self.version as usize % self.live.len().max(1)) {
            let held = self.with(|s| s.hold(&self.own, known.entry.unwrap())).unwrap();
            assert_bytes(held.page(), known);
        }
    }

    /// All that is still held is whole; once it is given back, nothing is left behind.
    fn end(mut self) {
        for known in &self.live {
            let held = self.with(|s| s.hold(&self.own, known.entry.unwrap())).unwrap();
            assert_bytes(held.page(), known);
        }
        for (held, known) in self.held.iter_mut().filter_map(Option::take) {
            assert_bytes(held.page(), &known);
        }
        for (pin, _, known) in std::mem::take(&mut self.pins) {
            assert_bytes(self.store.page(&pin).unwrap(), &known);
            self.with(|s| s.unpin(pin));
        }
        for (page, _, _) in std::mem::take(&mut self.begun) {
            self.with(|s| s.abandon(page));
        }
        // SAFETY: the model has no hold under it any more.
        let dead = unsafe { DeadSlot::new(OWN) };
        self.with(|s| {
            s.clear();
            s.release_slot(&dead);
            let account = s.check().unwrap();
            assert_eq!((account.free, account.free_runs), (account.arena, 1));
        });
    }
}

fn choose<T>(from: &mut Vec<T>, n: u8) -> Option<T> {
    if from.is_empty() { None } else { Some(from.swap_remove(usize::from(n) % from.len())) }
}

fn assert_bytes(page: Page<'_>, known: &Known) {
    let key = page.key().collect::<Vec<_>>().concat();
    let value = page.value().collect::<Vec<_>>().concat();
    assert!(key == key_bytes(known.key) && value == value_bytes(known.version, known.size), "{known:?}");
}
