//! Stores and hits in a full store of so many pages of 1 KB, for a tool that counts instructions.

use crate::rig::{Rig, Sizes};
use std::hint::black_box;
use twice_core::store::{Geometry, Policy};

/// Callgrind counts what happens inside of these two: the hash of a key, and the store's work.
#[inline(never)]
fn counted_stores(rig: &mut Rig, keys: Vec<Vec<u8>>) {
    for key in keys {
        rig.now += 1000;
        let hash = rig.take_key(key);
        rig.put(hash, 1024);
    }
}

#[inline(never)]
fn counted_hits(rig: &mut Rig, keys: Vec<Vec<u8>>) -> usize {
    let mut found = 0;
    for key in keys {
        let hash = rig.take_key(key);
        found += usize::from(black_box(rig.get(hash)).is_some());
    }
    found
}

/// Of each kind.
const OPERATIONS: usize = 2000;

/// Fills a store that holds about so many pages, then stores and finds.
pub fn run(entries: usize) {
    let mut bytes = 256 * 1024;
    while pages(bytes) < entries {
        bytes += (bytes / 64).max(4096);
    }
    let mut rig = Rig::new(bytes, Sizes::One(1024), Policy::default());
    for _ in 0..entries + entries / 10 {
        let (hash, size) = rig.prepare();
        rig.put(hash, size);
    }
    let keys = (0..OPERATIONS).map(|_| rig.next_key()).collect();
    counted_stores(&mut rig, keys);
    let keys = (0..OPERATIONS).map(|_| rig.any_key()).collect();
    let found = counted_hits(&mut rig, keys);
    let stats = rig.with(|s| s.stats());
    println!("{} pages, {found} of {OPERATIONS} found, {} evicted", stats.entries, stats.evicted);
    assert!(found > OPERATIONS / 2 && stats.evicted > 0);
}

fn pages(bytes: usize) -> usize {
    Geometry::for_len(bytes, 1024).map_or(0, |geometry| {
        let page = Geometry::units_of(1024 + 40) as usize * twice_core::store::UNIT;
        (geometry.arena_bytes() - geometry.slack() as usize * twice_core::store::UNIT) / page
    })
}
