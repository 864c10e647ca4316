//! A store over plain memory, and pages of chosen sizes that go in and come out.

use std::alloc::{Layout, alloc_zeroed};
use twice_core::store::{ALIGN, Hit, Meta, Options, Policy, RawLock, Region, Section, Slot, Store};

/// One thread alone needs no lock.
pub struct NoLock;
// SAFETY: the benchmark has one thread.
unsafe impl RawLock for NoLock {
    fn lock(&self) {}
    fn unlock(&self) {}
}

/// xorshift64*: the same sizes on each run.
pub struct Random(u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How large pages are.
#[derive(Clone, Copy)]
pub enum Sizes {
    /// From 1 to 100 KB, each order of magnitude as often.
    LogUniform,
    /// All alike.
    One(usize),
}

impl Sizes {
    pub fn name(self) -> String {
        match self {
            Sizes::LogUniform => "1-100 KB".to_owned(),
            Sizes::One(bytes) => format!("{:.1} KB", bytes as f64 / 1024.0),
        }
    }

    fn next(self, random: &mut Random) -> usize {
        match self {
            Sizes::LogUniform => (1024.0 * 100f64.powf(random.unit())) as usize,
            Sizes::One(bytes) => bytes,
        }
    }
}

/// A store that is being used.
pub struct Rig {
    pub store: Store,
    pub slot: Slot,
    pub random: Random,
    pub bytes: usize,
    sizes: Sizes,
    key: Vec<u8>,
    pub newest: u64,
    pub now: u64,
}

impl Rig {
    pub fn new(bytes: usize, sizes: Sizes, policy: Policy) -> Rig {
        let memory = Layout::from_size_align(bytes, ALIGN.max(4096)).unwrap();
        // SAFETY: the layout has a size; the memory is never freed, and used by this store alone.
        let region = unsafe { Region::new(alloc_zeroed(memory), bytes) }.expect("memory");
        let options = Options { seed: [1, 2], slots: 1024, max_page: 1 << 20, inactive_ms: 0, policy };
        // SAFETY: nobody else knows the region.
        let store = unsafe { Store::create(region, &options) }.expect("large enough");
        // SAFETY: the only user.
        let slot = unsafe { Slot::new(3) };
        store.with(&NoLock, |s| s.claim_slot(&slot, 1));
        Rig { store, slot, random: Random(42), bytes, sizes, key: Vec::new(), newest: 0, now: 1 }
    }

    pub fn with<'s, T>(&'s self, work: impl FnOnce(&mut Section<'s>) -> T) -> T {
        self.store.with(&NoLock, work)
    }

    /// Makes the next page's key and size ready; `put` then stores it.
    pub fn prepare(&mut self) -> (u64, usize) {
        self.newest += 1;
        self.now += 1000;
        let size = self.sizes.next(&mut self.random);
        (self.choose(self.newest), size)
    }

    /// Makes the key of a page ready and gives its hash.
    pub fn choose(&mut self, number: u64) -> u64 {
        use std::io::Write;
        self.key.clear();
        write!(self.key, "https://example.com/article/{number:012}").unwrap();
        self.store.hash(&self.key)
    }

    /// Makes this key ready and gives its hash.
    pub fn take_key(&mut self, key: Vec<u8>) -> u64 {
        self.key = key;
        self.store.hash(&self.key)
    }

    /// The key of the next page, and of one of those that were stored last.
    pub fn next_key(&mut self) -> Vec<u8> {
        self.newest += 1;
        self.choose(self.newest);
        self.key.clone()
    }

    pub fn any_key(&mut self) -> Vec<u8> {
        let number = self.any();
        self.choose(number);
        self.key.clone()
    }

    /// A number among the pages that were stored last.
    pub fn any(&mut self) -> u64 {
        let pages = self.with(|s| s.stats()).entries;
        self.newest - self.random.next() % pages.max(1)
    }

    /// Stores a page without its body: what is held under the lock, twice.
    #[inline(never)]
    pub fn put(&self, hash: u64, size: usize) {
        let meta = Meta { created_ms: self.now, expires_ms: self.now + 1000, tag: 0, ..Meta::default() };
        let page = self.with(|s| s.reserve(&self.slot, hash, &self.key, size, self.now)).expect("room");
        self.with(|s| s.publish(page, meta, self.now));
    }

    /// A hit, as a worker has it.
    #[inline(never)]
    pub fn get(&self, hash: u64) -> Option<Hit<'_>> {
        let hit = self.store.get(&self.slot, hash, &self.key, self.now)?;
        if hit.touch {
            self.with(|s| s.touch(hit.found.entry, self.now));
        }
        Some(hit)
    }

    /// Asks for some pages again, so that they do not go in the order in which they lie.
    pub fn ask(&mut self, times: usize) {
        for _ in 0..times {
            let number = self.any();
            let hash = self.choose(number);
            drop(self.get(hash));
        }
    }

    /// Fills the store several times over.
    pub fn churn(&mut self, rounds: usize) {
        let mut written = 0;
        while written < rounds * self.bytes {
            let (hash, size) = self.prepare();
            self.put(hash, size);
            written += size;
            self.ask(2);
        }
    }
}
