//! Pages taken out of a store and put into another one.

use super::*;
use crate::property::cases;
use proptest::prelude::*;
use std::collections::BTreeMap;
use twice_core::store::{Listed, ReserveError};

/// All live pages, listed in slices of a few steps.
fn list(store: &Store, lock: &Lock, steps: usize) -> Vec<Listed> {
    let mut all = Vec::new();
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        all.reserve(steps);
        cursor = store.with(lock, |s| s.list(from, steps, &mut all));
        assert!(cursor.is_none_or(|to| to > from), "the cursor moves");
    }
    all
}

/// A key's content by its tag, as `put` stores it.
fn restore(
    store: &Store,
    lock: &Lock,
    key: &[u8],
    len: usize,
    tag: u64,
    used: u64,
) -> Result<bool, ReserveError> {
    let hash = store.hash(key);
    let Some(mut page) = store.with(lock, |s| s.reserve_free(&slot(7), hash, key, len))? else {
        return Ok(false);
    };
    store.write(&mut page, 0, &content(tag, len)).unwrap();
    let meta = Meta { created_ms: 5, expires_ms: 6, tag, ..Meta::default() };
    Ok(store.with(lock, |s| s.restore(page, meta, used, true)))
}

#[test]
fn pages_move_to_another_store_in_their_order() {
    let (old, new) = (Memory::new(256 * 1024), Memory::new(256 * 1024));
    let (old, old_lock) = (old.create(&OPTIONS), Lock::default());
    let (new, new_lock) = (new.create(&Options { seed: [1, 2], ..OPTIONS }), Lock::default());
    for i in 0..60u8 {
        assert!(put(
            &old,
            &old_lock,
            &slot(0),
            &[i],
            100 * usize::from(i),
            u64::from(i),
            1000 + u64::from(i)
        ));
    }
    let hash = old.hash(&[3]);
    old.with(&old_lock, |s| s.lookup(hash, &[3], 5000)).unwrap();
    let mut listed = list(&old, &old_lock, 7);
    listed.sort_unstable_by_key(|page| std::cmp::Reverse(page.heat));
    assert_eq!(listed.len(), 60);
    assert_eq!(listed[0].heat, 5000);
    for page in &listed {
        let (found, used, _) = old.with(&old_lock, |s| s.about(page.entry)).unwrap();
        assert_eq!(used, page.heat);
        let held = old.with(&old_lock, |s| s.hold(&slot(1), page.entry)).unwrap();
        let key = bytes(held.page().key());
        let value = bytes(held.page().value());
        let hash = new.hash(&key);
        let mut page =
            new.with(&new_lock, |s| s.reserve_free(&slot(0), hash, &key, value.len())).unwrap().unwrap();
        new.write(&mut page, 0, &value).unwrap();
        assert!(new.with(&new_lock, |s| s.restore(page, found.meta, used, false)));
    }
    new.with(&new_lock, |s| s.check()).unwrap();
    let moved = find(&new, &new_lock, &[9]).unwrap().meta;
    assert_eq!(moved, Meta { created_ms: 1009, expires_ms: 1010, tag: 9, ..Meta::default() });
    assert!(is_whole(&new, &new_lock, &slot(0), &[59], 59, 5900));
    // The same ones go first in both.
    for (store, lock) in [(&old, &old_lock), (&new, &new_lock)] {
        for i in 0..10u8 {
            assert!(put(store, lock, &slot(0), &[100 + i], 10_000, 1, 6000));
        }
    }
    let left = |store: &Store, lock: &Lock| -> Vec<u8> {
        (0..60).filter(|i| find(store, lock, &[*i]).is_some()).collect()
    };
    let left_there = left(&old, &old_lock);
    assert!(left_there.len() < 58 && left_there.contains(&3) && left_there.contains(&59), "{left_there:?}");
    assert!(!left_there.contains(&4));
    assert_eq!(left(&new, &new_lock).iter().filter(|i| !left_there.contains(i)).count(), 0);
}

#[test]
fn a_page_that_is_there_stays() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    assert!(put(&store, &lock, &slot(0), b"k", 100, 1, 1000));
    assert_eq!(restore(&store, &lock, b"k", 50, 2, 10), Ok(false));
    assert!(is_whole(&store, &lock, &slot(0), b"k", 1, 100));
    // Also one that comes while the other is being filled.
    let hash = store.hash(b"l");
    let page = store.with(&lock, |s| s.reserve_free(&slot(0), hash, b"l", 50)).unwrap().unwrap();
    assert!(put(&store, &lock, &slot(1), b"l", 100, 3, 1000));
    assert!(!store.with(&lock, |s| s.restore(page, Meta::default(), 1, false)));
    assert!(is_whole(&store, &lock, &slot(0), b"l", 3, 100));
    let account = store.with(&lock, |s| s.check()).unwrap();
    assert_eq!((account.entries, account.pending), (2, 0));
}

#[test]
fn a_full_store_takes_no_more_and_loses_nothing() {
    let memory = Memory::new(256 * 1024);
    let lock = Lock::default();
    let store = memory.create(&Options { max_page: 20_000, ..OPTIONS });
    assert!(put(&store, &lock, &slot(0), b"today", 1000, 1, 1000));
    let mut restored = 0u32;
    let why = loop {
        match restore(&store, &lock, &restored.to_le_bytes(), 3000, 2, 900 - u64::from(restored)) {
            Ok(there) => assert!(there),
            Err(why) => break why,
        }
        restored += 1;
    };
    assert_eq!(why, ReserveError::NoRoom);
    let account = store.with(&lock, |s| s.check()).unwrap();
    assert_eq!(account.entries, u64::from(restored) + 1);
    assert!(account.free * 20 < account.arena, "{account:?}");
    assert_eq!(store.with(&lock, |s| s.stats()).evicted, 0);
    assert_eq!(restore(&store, &lock, b"k", 20_000, 2, 1), Err(ReserveError::TooLarge));
    assert_eq!(restore(&store, &lock, &vec![b'k'; 65_536], 1, 2, 1), Err(ReserveError::TooLarge));
    assert_eq!(restore(&store, &lock, b"k", usize::MAX, 2, 1), Err(ReserveError::TooLarge));
    // The last one that came is the first one to go, and those of today the last.
    assert!(put(&store, &lock, &slot(0), b"new", 3000, 1, 2000));
    assert!(find(&store, &lock, &(restored - 1).to_le_bytes()).is_none());
    assert!(find(&store, &lock, &0u32.to_le_bytes()).is_some());
    assert!(find(&store, &lock, b"today").is_some());
}

#[test]
fn a_new_store_is_not_loaded_and_a_rebuild_does_not_forget() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    assert!(!store.with(&lock, |s| s.loaded()));
    store.with(&lock, |s| s.set_saved_ms(0));
    assert!(store.with(&lock, |s| s.loaded()), "at whatever time");
    store.with(&lock, |s| s.set_saved_ms(1234));
    store.with(&lock, |s| s.mark_dirty());
    assert_eq!(store.with(&lock, |s| (s.stats().recoveries, s.saved_ms(), s.loaded())), (1, 1234, true));
    assert_eq!(Store::attach(memory.region()).unwrap().with(&lock, |s| s.saved_ms()), 1234);
    let again = memory.create(&OPTIONS);
    assert!(!again.with(&lock, |s| s.loaded()));
}

#[test]
fn a_restore_that_dies_leaves_no_trace() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let hash = store.hash(b"k");
    let page = store.with(&lock, |s| s.reserve_free(&slot(3), hash, b"k", 5000)).unwrap().unwrap();
    // SAFETY: nobody uses the slot any more.
    let dead = unsafe { twice_core::store::DeadSlot::new(3) };
    store.with(&lock, |s| s.release_slot(&dead));
    assert!(!store.with(&lock, |s| s.restore(page, Meta::default(), 1, false)));
    let account = store.with(&lock, |s| s.check()).unwrap();
    assert_eq!((account.free, account.pending), (account.arena, 0));
}

/// Death at every write of a restore: the page is there whole or not at all, and every other one is.
#[cfg(debug_assertions)]
#[test]
fn a_restore_may_die_anywhere() {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use twice_core::store::{DeadSlot, fault};

    let start = Memory::new(64 * 1024);
    let (store, lock) = (start.create(&OPTIONS), Lock::default());
    for key in 0..20u8 {
        assert!(put(&store, &lock, &slot(0), &[key], 1500, u64::from(key), 1000));
    }
    // Holes, so that what comes back has several runs.
    for key in (0..20).step_by(2) {
        let hash = store.hash(&[key]);
        store.with(&lock, |s| s.remove_key(hash, &[key]));
    }
    let step = if cfg!(miri) { 61 } else { 1 };
    for n in (0..).step_by(step) {
        let memory = start.copy();
        let (store, lock) = (Store::attach(memory.region()).unwrap(), Lock::default());
        fault::arm(n, || resume_unwind(Box::new("dead")));
        let restored = catch_unwind(AssertUnwindSafe(|| restore(&store, &lock, b"k", 9000, 77, 10)));
        let died = !fault::disarm();
        assert_eq!(died, restored.is_err());
        // SAFETY: the slot's user died above.
        store.with(&lock, |s| s.release_slot(&unsafe { DeadSlot::new(7) }));
        let account =
            store.with(&lock, |s| s.check()).unwrap_or_else(|damage| panic!("write {n}: {damage:?}"));
        assert_eq!((account.pending, account.zombie), (0, 0), "write {n}");
        for key in (1..20u8).step_by(2) {
            assert!(is_whole(&store, &lock, &slot(0), &[key], u64::from(key), 1500), "write {n}: lost {key}");
        }
        let there = find(&store, &lock, b"k").is_some();
        assert!(!there || is_whole(&store, &lock, &slot(0), b"k", 77, 9000), "write {n}");
        if !died {
            assert!(there && n > 20);
            break;
        }
    }
}

proptest! {
    #![proptest_config(cases(48))]

    /// Puts, restores, removals and slices of a listing, against a map.
    #[test]
    fn restoring_beside_all_else(
        ops in prop::collection::vec((0..8u8, 0..40u8, 0..6000usize), 1..if cfg!(miri) { 25 } else { 200 }),
        steps in 1..40usize,
    ) {
        let memory = Memory::new(128 * 1024);
        let (store, lock) = (memory.create(&OPTIONS), Lock::default());
        // Which page each key may have. The store may have evicted it, but never has another one.
        let mut model: BTreeMap<u8, (u64, usize)> = BTreeMap::new();
        let (mut cursor, mut listed) = (Some(0), Vec::new());
        for (i, (op, key, len)) in ops.into_iter().enumerate() {
            let (tag, now) = (i as u64, 10_000 + i as u64);
            let there = find(&store, &lock, &[key]).is_some();
            let before = store.with(&lock, |s| s.stats());
            match op {
                0..=1 => {
                    prop_assert!(put(&store, &lock, &slot(0), &[key], len, tag, now));
                    model.insert(key, (tag, len));
                }
                2..=4 => {
                    let restored = restore(&store, &lock, &[key], len, tag, 10);
                    let after = store.with(&lock, |s| s.stats());
                    prop_assert_eq!(before.evicted, after.evicted);
                    if restored == Ok(true) {
                        prop_assert!(!there);
                        model.insert(key, (tag, len));
                    } else {
                        prop_assert_eq!(restored.is_ok(), there);
                        prop_assert_eq!(after.entries, before.entries);
                    }
                }
                5 => {
                    let hash = store.hash(&[key]);
                    store.with(&lock, |s| s.remove_key(hash, &[key]));
                    model.remove(&key);
                }
                6 => store.with(&lock, |s| s.mark_dirty()),
                _ => {
                    listed.reserve(steps);
                    cursor = store.with(&lock, |s| s.list(cursor.unwrap_or(0), steps, &mut listed));
                }
            }
            store.with(&lock, |s| s.check()).unwrap();
            if let Some((tag, len)) = model.get(&key)
                && find(&store, &lock, &[key]).is_some()
            {
                prop_assert!(is_whole(&store, &lock, &slot(0), &[key], *tag, *len));
            }
        }
        // Left alone, a listing has every page once.
        let all = list(&store, &lock, steps);
        let entries = store.with(&lock, |s| s.stats()).entries;
        prop_assert_eq!(all.len() as u64, entries);
        let mut names: Vec<_> = all.iter().map(|page| page.entry).collect();
        names.dedup();
        prop_assert_eq!(names.len() as u64, entries);
        prop_assert!(all.iter().all(|page| store.with(&lock, |s| s.about(page.entry)).is_some()));
    }
}
