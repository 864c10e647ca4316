//! What the store makes of its memory and of a processor's time.
//!
//! `cargo run --release -p twice-core --example store_bench [MEGABYTES]`
//!
//! For pages of 1-100 KB (log-uniform) and pages of 1.5 KB, after the region has been filled several times over:
//! live bytes (keys and values) and live units for each byte and unit of the arena, runs for each page, the time
//! of reserve + publish without the copy of the body, of a lookup with hold, and of a rebuild.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::alloc::{Layout, alloc_zeroed};
use std::hint::black_box;
use std::time::Instant;
use twice_core::store::{ALIGN, Meta, Options, Policy, RawLock, Region, Slot, Store, UNIT};

/// One thread alone needs no lock.
struct NoLock;
// SAFETY: the benchmark has one thread.
unsafe impl RawLock for NoLock {
    fn lock(&self) {}
    fn unlock(&self) {}
}

/// xorshift64*: the same sizes on each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn key_of(number: u64, key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(format!("https://example.com/article/{number:012}").as_bytes());
}

struct Times(Vec<u32>);

impl Times {
    fn print(mut self, what: &str) {
        self.0.sort_unstable();
        let of = |part: f64| f64::from(self.0[((self.0.len() - 1) as f64 * part) as usize]) / 1000.0;
        let mean = self.0.iter().map(|t| f64::from(*t)).sum::<f64>() / self.0.len() as f64 / 1000.0;
        let (p50, p99, p999) = (of(0.5), of(0.99), of(0.999));
        println!(
            "  {what:<16} mean {mean:6.2} us   p50 {p50:6.2}   p99 {p99:6.2}   p99.9 {p999:7.2}   max {:8.2}",
            of(1.0)
        );
    }
}

fn churn(name: &str, bytes: usize, mut size: impl FnMut(&mut Random) -> usize) {
    let memory = Layout::from_size_align(bytes, ALIGN.max(4096)).unwrap();
    // SAFETY: the layout has a size; the memory is never freed, and used by this store alone.
    let region = unsafe { Region::new(alloc_zeroed(memory), bytes) }.expect("memory");
    let options =
        Options { seed: [1, 2], slots: 1024, max_page: 1 << 20, inactive_ms: 0, policy: Policy::default() };
    // SAFETY: nobody else knows the region.
    let store = unsafe { Store::create(region, &options) }.expect("large enough");
    // SAFETY: the only user.
    let slot = unsafe { Slot::new(3) };
    let mut random = Random(42);
    let mut key = Vec::new();
    let (mut number, mut written, mut now) = (0u64, 0usize, 1u64);
    let mut times = Times(Vec::new());
    let mut put = |number: u64, now: u64, key: &mut Vec<u8>, random: &mut Random| {
        let value = size(random);
        key_of(number, key);
        let hash = store.hash(key);
        let meta = Meta { created_ms: now, expires_ms: now + 1000, tag: 0 };
        let begin = Instant::now();
        let page = store.with(&NoLock, |s| s.reserve(&slot, hash, key, value, now)).expect("room");
        store.with(&NoLock, |s| s.publish(page, meta, now));
        (value, begin.elapsed().as_nanos() as u32)
    };
    // Some pages are asked for again, so that they are not evicted in the order in which they lie.
    let ask = |newest: u64, now: u64, key: &mut Vec<u8>, random: &mut Random| {
        let pages = store.with(&NoLock, |s| s.stats()).entries;
        for _ in 0..2 {
            key_of(newest - random.next() % (pages + 1), key);
            let hash = store.hash(key);
            store.with(&NoLock, |s| s.lookup(hash, key, now));
        }
    };
    // Fill, and let the runs settle.
    while written < 8 * bytes {
        (number, now) = (number + 1, now + 1000);
        written += put(number, now, &mut key, &mut random).0;
        ask(number, now, &mut key, &mut random);
    }
    let evicted = store.with(&NoLock, |s| s.stats()).evicted;
    for _ in 0..200_000 {
        (number, now) = (number + 1, now + 1000);
        times.0.push(put(number, now, &mut key, &mut random).1);
        ask(number, now, &mut key, &mut random);
    }
    let stats = store.with(&NoLock, |s| s.stats());
    let account = store.with(&NoLock, |s| s.check()).expect("sound");
    let arena = (account.arena as usize * UNIT) as f64;
    println!("{name}: region {} MB, unit {UNIT}, {} pages", bytes >> 20, stats.entries);
    println!(
        "  live bytes / arena {:.4}   live units / arena {:.4}   arena / region {:.4}   runs for each page {:.2}   \
         free runs {}   evicted for each store {:.3}",
        stats.live_bytes as f64 / arena,
        account.live as f64 / account.arena as f64,
        arena / bytes as f64,
        account.runs as f64 / account.entries as f64,
        account.free_runs,
        (stats.evicted - evicted) as f64 / 200_000.0,
    );
    times.print("reserve+publish");

    let mut hits = Times(Vec::new());
    for _ in 0..200_000 {
        key_of(number - random.next() % stats.entries, &mut key);
        now += 10;
        let begin = Instant::now();
        let hash = store.hash(&key);
        let held = store.with(&NoLock, |s| {
            let found = s.lookup(hash, &key, now)?;
            s.hold(&slot, found.entry)
        });
        drop(black_box(held));
        hits.0.push(begin.elapsed().as_nanos() as u32);
    }
    hits.print("lookup+hold");

    let mut rebuilds = Times(Vec::new());
    for _ in 0..5 {
        store.with(&NoLock, |s| s.mark_dirty());
        let begin = Instant::now();
        store.with(&NoLock, |_| ());
        rebuilds.0.push(begin.elapsed().as_nanos() as u32);
    }
    rebuilds.print("rebuild");
}

fn main() {
    let megabytes: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(256);
    let bytes = megabytes << 20;
    churn("1-100 KB", bytes, |random| (1024.0 * 100f64.powf(random.unit())) as usize);
    churn("1.5 KB", bytes, |_| 1536);
}
