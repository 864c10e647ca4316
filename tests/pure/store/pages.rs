//! Pages go in and come out: sizes, limits, keys, replacement, time.

use super::*;
use twice_core::store::{AttachError, Geometry, ReserveError, TooSmall, UNIT, WriteError};

#[test]
fn a_region_is_large_enough_or_says_how_large_it_must_be() {
    for slots in [1, 8, 1024] {
        for len in [0, 1, 64, 4096, 16 * 1024] {
            let Err(TooSmall { least }) = Geometry::for_len(len, slots) else { panic!("{len}") };
            assert!(least > len);
            let geometry = Geometry::for_len(least, slots).unwrap();
            assert!(geometry.largest_page() > 8 * 1024);
            assert_eq!(Geometry::for_len(least - 1, slots), Err(TooSmall { least }));
        }
    }
    // SAFETY: too short to be used.
    assert!(unsafe { Region::new(std::ptr::null_mut(), 4096) }.is_none());
    let memory = Memory::new(4096);
    // SAFETY: inside the memory.
    assert!(unsafe { Region::new(memory.base.add(8), 1024) }.is_none());
}

#[test]
fn the_arena_is_most_of_the_region() {
    for megabytes in [8, 64, 1024, 64 * 1024] {
        let len = megabytes << 20;
        let geometry = Geometry::for_len(len, 1024).unwrap();
        assert!(geometry.arena_bytes() as f64 > 0.97 * len as f64, "{megabytes} MB");
    }
}

#[test]
fn only_a_store_of_this_version_and_length_is_attached_to() {
    let memory = Memory::new(256 * 1024);
    assert_eq!(Store::attach(memory.region()).err(), Some(AttachError::NoStore));
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    assert!(put(&store, &lock, &slot(0), b"k", 100, 1, 1));
    let again = Store::attach(memory.region()).unwrap();
    assert!(is_whole(&again, &lock, &slot(1), b"k", 1, 100));
    assert_eq!(again.hash(b"k"), store.hash(b"k"));
    // SAFETY: as in `Memory::region`.
    let shorter = unsafe { Region::new(memory.base, 200 * 1024) }.unwrap();
    assert_eq!(Store::attach(shorter).err(), Some(AttachError::Length));
    memory.spoil(8..12, || 99);
    assert_eq!(Store::attach(memory.region()).err(), Some(AttachError::Version));
}

#[test]
fn pages_of_all_sizes_come_back_byte_for_byte() {
    let memory = Memory::new(512 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let edges = [UNIT - 105, UNIT - 104, UNIT - 103, 2 * UNIT - 104, 2 * UNIT, 4096, 65_536, 100_000];
    for (i, len) in [0, 1, 2, 3, 5, 16].into_iter().chain(edges).enumerate() {
        let key = format!("key {i}");
        assert!(put(&store, &lock, &slot(0), key.as_bytes(), len, i as u64, 5));
        assert!(is_whole(&store, &lock, &slot(0), key.as_bytes(), i as u64, len));
        let found = find(&store, &lock, key.as_bytes()).unwrap();
        assert_eq!(found.meta, Meta { created_ms: 5, expires_ms: 6, tag: i as u64, ..Meta::default() });
        assert_eq!(found.value_len, len);
        // Miri takes seconds for one.
        if !cfg!(miri) || len == 100_000 {
            store.with(&lock, |s| s.check()).unwrap();
        }
    }
}

#[test]
fn a_value_may_be_written_in_any_pieces_and_read_in_parts() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let (hash, whole) = (store.hash(b"k"), content(9, 5000));
    let mut page = store.with(&lock, |s| s.reserve(&slot(0), hash, b"k", 5000, 0)).unwrap();
    assert_eq!(page.value_len(), 5000);
    for (at, part) in whole.chunks(77).enumerate().collect::<Vec<_>>().into_iter().rev() {
        store.write(&mut page, at * 77, part).unwrap();
    }
    assert_eq!(store.write(&mut page, 4999, b"ab"), Err(WriteError::OutOfBounds));
    assert_eq!(store.write(&mut page, usize::MAX, b"ab"), Err(WriteError::OutOfBounds));
    assert_eq!(store.write(&mut page, 5000, b""), Ok(()));
    store.with(&lock, |s| s.publish(page, Meta::default(), 0)).unwrap();
    let held = hold(&store, &lock, &slot(0), b"k").unwrap();
    for (at, len) in [(0, 1), (100, 3000), (4999, 1), (5000, 0)] {
        assert_eq!(bytes(held.page().value_part(at, len)), whole[at..at + len]);
    }
    assert_eq!(bytes(held.page().value_part(4000, usize::MAX)), whole[4000..]);
    assert_eq!(held.page().value_part(usize::MAX, 5).count(), 0);
}

#[test]
fn a_page_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let memory = Memory::new(256 * 1024);
    let lock = Lock::default();
    let store = memory.create(&Options { max_page: 10_000, ..OPTIONS });
    assert!(put(&store, &lock, &slot(0), b"four", 9_996, 1, 1));
    let hash = store.hash(b"four");
    let refused = store.with(&lock, |s| s.reserve(&slot(0), hash, b"four", 9_997, 1)).unwrap_err();
    assert_eq!(refused, ReserveError::TooLarge);
    assert!(!refused.is_temporary());
    let huge = store.with(&lock, |s| s.reserve(&slot(0), hash, b"four", usize::MAX, 1)).unwrap_err();
    assert_eq!(huge, ReserveError::TooLarge);
    let long = vec![b'k'; 70_000];
    let hash = store.hash(&long);
    store.with(&lock, |s| s.set_limits(usize::MAX, 0, Policy::Lru));
    let refused = store.with(&lock, |s| s.reserve(&slot(0), hash, &long, 1, 1)).unwrap_err();
    assert_eq!(refused, ReserveError::TooLarge);
    assert!(put(&store, &lock, &slot(0), &long[..65_535], 1, 2, 1));
    assert!(is_whole(&store, &lock, &slot(0), &long[..65_535], 2, 1));
    let refused = store.with(&lock, |s| s.reserve(&slot(8), hash, b"k", 1, 1)).unwrap_err();
    assert_eq!(refused, ReserveError::NoSlot);
}

#[test]
fn one_page_may_fill_the_whole_arena() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let largest = store.geometry().largest_page();
    for i in 0..20 {
        assert!(put(&store, &lock, &slot(0), &[i], 10_000, 1, 1));
    }
    assert!(!put(&store, &lock, &slot(0), b"k", largest, 1, 1));
    assert!(store.with(&lock, |s| s.stats()).entries > 10, "a page that can't fit costs no other");
    assert!(put(&store, &lock, &slot(0), b"k", largest - 1, 1, 1));
    let stats = store.with(&lock, |s| s.stats());
    assert_eq!((stats.entries, stats.free_units), (1, 0));
    assert!(is_whole(&store, &lock, &slot(0), b"k", 1, largest - 1));
    assert!(put(&store, &lock, &slot(0), b"l", 1, 1, 1));
    assert!(find(&store, &lock, b"k").is_none());
    store.with(&lock, |s| s.check()).unwrap();
}

#[test]
fn keys_with_one_hash_are_told_apart() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    // Longer than a unit, and different in the last byte only.
    let keys: Vec<Vec<u8>> = (0..20).map(|i| [vec![b'x'; 500], vec![i]].concat()).collect();
    for (i, key) in keys.iter().enumerate() {
        let page = store.with(&lock, |s| s.reserve(&slot(0), 42, key, 0, 1)).unwrap();
        let meta = Meta { tag: i as u64, ..Meta::default() };
        store.with(&lock, |s| s.publish(page, meta, 1)).unwrap();
    }
    store.with(&lock, |s| {
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(s.lookup(42, key, 1).unwrap().meta.tag, i as u64);
            assert!(s.lookup(43, key, 1).is_none());
            assert!(s.lookup(42, &key[..500], 1).is_none());
        }
        assert!(s.remove_key(42, &keys[7]));
        assert!(!s.remove_key(42, &keys[7]));
        assert!(s.lookup(42, &keys[7], 1).is_none());
        assert!(s.lookup(42, &keys[8], 1).is_some());
        s.check().unwrap();
    });
}

#[test]
fn a_newer_page_takes_the_place_of_the_old_one() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let empty = store.with(&lock, |s| s.stats()).free_units;
    assert!(put(&store, &lock, &slot(0), b"k", 3000, 1, 1));
    let old = find(&store, &lock, b"k").unwrap().entry;
    let hash = store.hash(b"k");
    let page = store.with(&lock, |s| s.reserve(&slot(0), hash, b"k", 10, 2)).unwrap();
    assert!(is_whole(&store, &lock, &slot(0), b"k", 1, 3000), "the old one is there until then");
    store.with(&lock, |s| s.abandon(page));
    assert!(is_whole(&store, &lock, &slot(0), b"k", 1, 3000));
    assert!(put(&store, &lock, &slot(0), b"k", 10, 2, 2));
    assert!(is_whole(&store, &lock, &slot(0), b"k", 2, 10));
    store.with(&lock, |s| {
        assert!(!s.remove(old), "a stale name removes nothing");
        assert!(s.hold(&slot(0), old).is_none());
        assert!(s.pin(&slot(0), old).is_none());
        assert_eq!((s.stats().entries, s.stats().replaced, s.stats().stores), (1, 1, 2));
        s.clear();
        assert_eq!((s.stats().entries, s.stats().free_units), (0, empty));
        s.check().unwrap();
    });
}

#[test]
fn pages_that_nobody_asks_for_go_after_their_time() {
    let memory = Memory::new(256 * 1024);
    let lock = Lock::default();
    let store = memory.create(&Options { inactive_ms: 10_000, ..OPTIONS });
    for i in 0..20u8 {
        assert!(put(&store, &lock, &slot(0), &[i], 10, 1, 1000));
    }
    let hash = store.hash(&[3]);
    assert!(store.with(&lock, |s| s.lookup(hash, &[3], 11_000)).is_some(), "to the millisecond");
    let hash = store.hash(&[4]);
    assert!(store.with(&lock, |s| s.lookup(hash, &[4], 11_001)).is_none());
    assert_eq!(store.with(&lock, |s| s.stats()).inactive, 1);
    // Stores take the others along, some at a time.
    assert!(put(&store, &lock, &slot(0), b"a", 10, 1, 12_000));
    assert_eq!(store.with(&lock, |s| s.stats()).inactive, 9);
    for key in [b"b", b"c", b"d"] {
        assert!(put(&store, &lock, &slot(0), key, 10, 1, 12_000));
    }
    let stats = store.with(&lock, |s| s.stats());
    assert_eq!((stats.inactive, stats.entries), (19, 5));
    assert!(find(&store, &lock, &[3]).is_some());
}

#[test]
fn a_page_is_found_by_its_hash_alone_and_looked_into() {
    let memory = Memory::new(512 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    for (key, len, now) in [(b"a", 10, 5), (b"b", 50_000, 6)] {
        assert!(put(&store, &lock, &slot(0), key, len, 1, now));
        let bytes = |key: &[u8]| {
            store.with(&lock, |s| {
                let (found, _) = s.peek_hash(store.hash(key))?;
                assert_eq!(Some(found), s.peek(store.hash(key), key));
                let page = s.page(found.entry)?;
                Some((page.key().flatten().copied().collect::<Vec<_>>(), page.value().flatten().count()))
            })
        };
        assert_eq!(bytes(key), Some((key.to_vec(), len)));
        assert_eq!(bytes(b"c"), None);
    }
    // The one that was asked for stands better; looking at it changes nothing.
    let heat = |key: &[u8]| store.with(&lock, |s| s.peek_hash(store.hash(key))).unwrap().1;
    assert!(heat(b"a") < heat(b"b"));
    store.with(&lock, |s| s.lookup(store.hash(b"a"), b"a", 7)).unwrap();
    assert!(heat(b"a") > heat(b"b"));
    let entry = store.with(&lock, |s| s.peek(store.hash(b"a"), b"a")).unwrap().entry;
    store.with(&lock, |s| s.remove(entry));
    assert!(store.with(&lock, |s| s.peek_hash(store.hash(b"a"))).is_none());
    assert!(store.with(&lock, |s| s.page(entry).is_none()));
}
