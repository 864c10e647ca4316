//! The order of eviction against the `lru` crate: pages of one size, so that its capacity is a number of pages.

use super::*;
use crate::property::cases;
use lru::LruCache;
use proptest::prelude::*;
use std::num::NonZeroUsize;
use twice_core::store::Geometry;

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn eviction_takes_what_was_least_recently_used(
        ops in prop::collection::vec((any::<bool>(), 0..60u8), 1..if cfg!(miri) { 40 } else { 300 }),
        len in if cfg!(miri) { 8000..9000usize } else { 2000..9000 },
    ) {
        let memory = Memory::new(128 * 1024);
        let (store, lock) = (memory.create(&OPTIONS), Lock::default());
        let units = u64::from(Geometry::units_of(1 + len));
        let arena = store.with(&lock, |s| s.stats()).arena_units;
        let mut oracle: LruCache<u8, u64> = LruCache::unbounded();
        prop_assert!(NonZeroUsize::new(oracle.len()).is_none());
        for (i, (is_put, key)) in ops.into_iter().enumerate() {
            let now = 1000 * (i as u64 + 1);
            let hash = store.hash(&[key]);
            if is_put {
                // A page in more runs than one has more headers, which may take units more than `units`:
                // the number that fits is therefore seen, and the order alone is told by the oracle.
                prop_assert!(put(&store, &lock, &slot(0), &[key], len, now, now));
                oracle.put(key, now);
                let entries = store.with(&lock, |s| s.stats()).entries as usize;
                prop_assert!(entries as u64 * units <= arena);
                while oracle.len() > entries {
                    oracle.pop_lru();
                }
            } else {
                let found = store.with(&lock, |s| s.lookup(hash, &[key], now)).map(|f| f.meta.tag);
                prop_assert_eq!(found, oracle.get(&key).copied());
            }
            for key in 0..60u8 {
                let found = find(&store, &lock, &[key]).map(|f| f.meta.tag);
                prop_assert_eq!(found, oracle.peek(&key).copied(), "key {}", key);
            }
        }
        store.with(&lock, |s| s.check()).unwrap();
    }
}

#[test]
fn pages_on_probation_make_room_where_all_others_are_being_sent() {
    let memory = Memory::new(256 * 1024);
    let lock = Lock::default();
    let store = memory.create(&Options { policy: Policy::S3Fifo, ..OPTIONS });
    let len = store.geometry().largest_page() * 97 / 100;
    let hash = store.hash(b"large");
    assert!(put(&store, &lock, &slot(0), b"large", len, 1, 1));
    // It was asked for twice, so that it comes to the proven ones, and takes more than their share.
    assert!(store.with(&lock, |s| s.lookup(hash, b"large", 2)).is_some());
    let held = hold(&store, &lock, &slot(0), b"large").unwrap();
    for n in 0..100u32 {
        assert!(put(&store, &lock, &slot(1), &n.to_le_bytes(), 200, 1, 3), "page {n}");
    }
    assert!(holds(held.page(), b"large", 1, len));
    drop(held);
    store.with(&lock, |s| s.check()).unwrap();
}

#[test]
fn pages_in_use_stay_where_a_limit_for_unused_ones_is_set_later() {
    for policy in Policy::ALL {
        let memory = Memory::new(256 * 1024);
        let (store, lock, own) = (memory.create(&Options { policy, ..OPTIONS }), Lock::default(), slot(0));
        let hash = store.hash(b"k");
        assert!(put(&store, &lock, &own, b"k", 10, 1, 1));
        for now in (1..4_000_000).step_by(30_000) {
            let hit = store.get(&own, hash, b"k", now).unwrap();
            if hit.touch {
                store.with(&lock, |s| s.touch(hit.found.entry, now));
            }
        }
        store.with(&lock, |s| s.set_limits(1 << 20, 600_000, policy));
        assert!(store.get(&own, hash, b"k", 4_000_000).is_some(), "{}", policy.as_str());
    }
}

#[test]
fn pages_that_are_all_being_read_keep_their_order() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let geometry = *store.geometry();
    let len = geometry.largest_page() / 4 - 1200;
    for key in 0..4u8 {
        assert!(put(&store, &lock, &slot(0), &[key], len, 1, 1 + u64::from(key)));
    }
    let held: Vec<_> =
        (0..4u8).map(|key| hold(&store, &lock, &slot(u32::from(key)), &[key]).unwrap()).collect();
    // There is room, but less than is kept free, so that the store looks for a page to evict and finds none.
    let free = store.with(&lock, |s| s.stats()).free_units as u32;
    let need = Geometry::units_of(1 + 2500);
    assert!(need <= free && free < need + geometry.slack());
    assert!(put(&store, &lock, &slot(5), b"k", 2500, 1, 9));
    drop(held);
    assert!(put(&store, &lock, &slot(5), b"l", len - 1000, 1, 9));
    let there: Vec<bool> = (0..4u8).map(|key| find(&store, &lock, &[key]).is_some()).collect();
    assert_eq!(there, [false, true, true, true]);
}
