//! Pages, and what the processes ask for.

use crate::lock::Lock;
use std::hint::black_box;
use twice_core::store::{Held, Meta, Page, RawLock, Slot, Store};

/// What the processes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Hits only, some pages much more often than others.
    Hits,
    /// Hits of one page only.
    OneKey,
    /// Of 20 operations one is a store, of a page that may or may not be there: older ones are evicted.
    Mixed,
}

impl Load {
    pub fn as_str(self) -> &'static str {
        match self {
            Load::Hits => "hits",
            Load::OneKey => "hits of one key",
            Load::Mixed => "95 % hits, 5 % stores",
        }
    }
}

/// How a page is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is done.
    WithoutLock,
    /// As it would be done with a lock for each hit.
    UnderLock,
}

impl Way {
    pub fn as_str(self) -> &'static str {
        match self {
            Way::WithoutLock => "lock-free hits",
            Way::UnderLock => "hits under the lock",
        }
    }
}

/// xorshift64*: the same numbers in each run.
#[derive(Clone)]
pub struct Random(pub u64);

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

/// After so many the same pages are asked for again.
pub const DRAWS: usize = 1 << 16;
const LARGEST: usize = 100 * 1024;

/// Keys and lengths of all pages; and which are asked for, drawn beforehand.
pub struct Pages {
    keys: Vec<[u8; 40]>,
    lengths: Vec<usize>,
    stored: usize,
    draws: Vec<u32>,
    body: Vec<u8>,
}

impl Pages {
    /// As many as fill two thirds of a zone, and as many again that are only stored now and then.
    pub fn new(zone: usize) -> Pages {
        let mut random = Random(42);
        let mut lengths = Vec::new();
        let mut sum = 0;
        while sum < zone / 3 * 2 {
            lengths.push((1024.0 * 100f64.powf(random.unit())) as usize);
            sum += lengths[lengths.len() - 1];
        }
        let stored = lengths.len();
        lengths.extend_from_within(..);
        let keys = (0..lengths.len())
            .map(|n| format!("https://example.com/article/{n:012}").as_bytes().try_into().unwrap())
            .collect();
        let mut sums = Vec::from_iter((1..=stored).scan(0.0, |sum, rank| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        }));
        let all = sums[stored - 1];
        sums.iter_mut().for_each(|sum| *sum /= all);
        let draws = (0..DRAWS)
            .map(|_| {
                let at = random.unit();
                // Ranks are spread over the pages, so that the popular ones are not the shortest or the oldest.
                let rank = sums.partition_point(|sum| *sum < at).min(stored - 1);
                (rank * 7919 % stored) as u32
            })
            .collect();
        Pages { keys, lengths, stored, draws, body: vec![b'x'; LARGEST] }
    }

    /// Pages that are there from the beginning.
    pub fn stored(&self) -> usize {
        self.stored
    }
}

/// What a process does its work with.
pub struct Worker<'a> {
    pub store: &'a Store,
    pub slot: &'a Slot,
    pub lock: &'a Lock<'a>,
    pub pages: &'a Pages,
    pub random: Random,
    pub now_ms: u64,
}

/// Puts all pages into a new store.
pub fn fill(store: &Store, pages: &Pages) {
    struct Alone;
    // SAFETY: no other process is there.
    unsafe impl RawLock for Alone {
        fn lock(&self) {}
        fn unlock(&self) {}
    }
    // SAFETY: as above.
    let slot = unsafe { Slot::new(0) };
    for number in 0..pages.stored {
        assert!(put(store, &Alone, &slot, pages, number, 1), "no room to begin with");
    }
    let stats = store.with(&Alone, |s| s.stats());
    assert_eq!((stats.entries, stats.evicted), (pages.stored as u64, 0), "all pages fit");
}

fn put<L: RawLock>(store: &Store, lock: &L, slot: &Slot, pages: &Pages, number: usize, now_ms: u64) -> bool {
    let (key, len) = (&pages.keys[number], pages.lengths[number]);
    let hash = store.hash(key);
    let Ok(mut page) = store.with(lock, |s| s.reserve(slot, hash, key, len, now_ms)) else { return false };
    store.write(&mut page, 0, &pages.body[..len]).expect("reserved");
    let meta = Meta { created_ms: now_ms, expires_ms: now_ms + 60_000, tag: 0, ..Meta::default() };
    store.with(lock, |s| s.publish(page, meta, now_ms)).is_some()
}

/// What delivery begins with: the first byte of each stretch.
fn look(page: Page<'_>) {
    black_box(page.value().filter_map(|part| part.first()).fold(0u8, |sum, byte| sum ^ byte));
}

impl<'a> Worker<'a> {
    pub fn drawn(&self, at: usize) -> usize {
        self.pages.draws[at % DRAWS] as usize
    }

    /// A hit, as a worker has it; false if the page is not there.
    #[inline]
    pub fn hit(&self, number: usize) -> bool {
        let key = &self.pages.keys[number];
        let hash = self.store.hash(key);
        let Some(hit) = self.store.get(self.slot, hash, key, self.now_ms) else {
            return self.hit_under_lock(number);
        };
        if hit.touch {
            self.store.with(self.lock, |s| s.touch(hit.found.entry, self.now_ms));
        }
        look(hit.held.page());
        true
    }

    #[inline]
    pub fn hit_under_lock(&self, number: usize) -> bool {
        let key = &self.pages.keys[number];
        let hash = self.store.hash(key);
        let held: Option<Held<'a>> = self.store.with(self.lock, |s| {
            let found = s.lookup(hash, key, self.now_ms)?;
            s.hold(self.slot, found.entry)
        });
        held.map(|held| look(held.page())).is_some()
    }

    /// Stores any page.
    pub fn put(&mut self) -> bool {
        let number = self.random.next() as usize % self.pages.keys.len();
        put(self.store, self.lock, self.slot, self.pages, number, self.now_ms)
    }
}
