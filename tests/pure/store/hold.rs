//! Holds and pins: what is being read stays, and nothing stays longer than that.

use super::*;
use twice_core::store::{DeadSlot, ReserveError};

fn dead(number: u32) -> DeadSlot {
    // SAFETY: the tests forget what the slot had.
    unsafe { DeadSlot::new(number) }
}

#[test]
fn a_held_page_outlives_its_removal_until_the_hold_ends() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let other = Store::attach(memory.region()).unwrap();
    assert!(put(&store, &lock, &slot(0), b"k", 20_000, 1, 1));
    let held = hold(&store, &lock, &slot(0), b"k").unwrap();
    assert!(hold(&store, &lock, &slot(0), b"k").is_none(), "one at a time");
    assert!(hold(&other, &lock, &slot(9), b"k").is_none(), "no such slot");
    let hash = other.hash(b"k");
    assert!(other.with(&lock, |s| s.remove_key(hash, b"k")));
    assert!(find(&other, &lock, b"k").is_none());
    assert_eq!(other.with(&lock, |s| s.stats()).zombies, 1);
    // Another process stores more than there is room for.
    for i in 0..50u8 {
        assert!(put(&other, &lock, &slot(1), &[i], 9_000, 1000 + u64::from(i), 1));
        if !cfg!(miri) {
            other.with(&lock, |s| s.check()).unwrap();
        }
    }
    assert!(holds(held.page(), b"k", 1, 20_000));
    assert_eq!(other.with(&lock, |s| s.stats()).zombies, 1);
    drop(held);
    assert!(put(&other, &lock, &slot(1), b"next", 10, 1, 1));
    assert_eq!(other.with(&lock, |s| s.stats()).zombies, 0);
    other.with(&lock, |s| s.check()).unwrap();
}

#[test]
fn a_pinned_page_is_freed_with_the_last_pin() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let empty = store.with(&lock, |s| s.stats()).free_units;
    assert!(put(&store, &lock, &slot(0), b"k", 20_000, 1, 1));
    let entry = find(&store, &lock, b"k").unwrap().entry;
    let first = store.with(&lock, |s| s.pin(&slot(0), entry)).unwrap();
    let second = store.with(&lock, |s| s.pin(&slot(1), entry)).unwrap();
    assert!(put(&store, &lock, &slot(0), b"k", 10, 2, 1));
    let third =
        store.with(&lock, |s| s.pin(&slot(2), entry)).expect("still readable, so it can be pinned again");
    let raw = first.into_raw();
    // SAFETY: just taken apart.
    let first = unsafe { store.pin_from_raw(raw) };
    for pin in [first, second, third] {
        assert!(holds(store.page(&pin).unwrap(), b"k", 1, 20_000));
        assert_eq!(store.with(&lock, |s| s.stats()).zombies, 1);
        store.with(&lock, |s| s.unpin(pin));
        store.with(&lock, |s| s.check()).unwrap();
    }
    let stats = store.with(&lock, |s| s.stats());
    assert_eq!((stats.zombies, stats.pins), (0, 0));
    assert!(stats.free_units > empty - 5);
}

#[test]
fn pins_run_out_and_come_back() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    assert!(put(&store, &lock, &slot(0), b"k", 20, 1, 1));
    let entry = find(&store, &lock, b"k").unwrap().entry;
    let limit = store.with(&lock, |s| s.stats()).pins_limit;
    let mut pins: Vec<_> =
        (0..limit).map(|_| store.with(&lock, |s| s.pin(&slot(0), entry)).unwrap()).collect();
    assert!(store.with(&lock, |s| s.pin(&slot(0), entry)).is_none());
    let held = hold(&store, &lock, &slot(0), b"k").unwrap();
    assert!(store.pin(&lock, &slot(0), &held).is_none());
    store.with(&lock, |s| s.unpin(pins.swap_remove(5)));
    pins.push(store.pin(&lock, &slot(0), &held).unwrap());
    drop(held);
    store.with(&lock, |s| s.check()).unwrap();
    for pin in pins {
        store.with(&lock, |s| s.unpin(pin));
    }
    // Its pins stay a process's own until it ends.
    assert!(store.with(&lock, |s| s.pin(&slot(3), entry)).is_none());
    store.with(&lock, |s| s.release_slot(&dead(0)));
    let pin = store.with(&lock, |s| s.pin(&slot(3), entry)).unwrap();
    store.with(&lock, |s| s.unpin(pin));
    assert_eq!(store.with(&lock, |s| s.stats()).pins, 0);
    store.with(&lock, |s| s.check()).unwrap();
}

#[test]
fn two_values_of_one_slot_do_not_take_the_same_pin() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let both = [slot(0), slot(0)];
    // Each has seen which words are free before the other one uses more of them.
    let pins = Vec::from_iter((0..40u8).map(|key| {
        let slot = &both[usize::from(key % 2)];
        assert!(put(&store, &lock, slot, &[key], 2000, u64::from(key), 1));
        let entry = find(&store, &lock, &[key]).unwrap().entry;
        store.with(&lock, |s| s.pin(slot, entry)).unwrap()
    }));
    store.with(&lock, |s| s.clear());
    assert_eq!(store.with(&lock, |s| s.stats()).zombies, 40);
    for (key, pin) in (0..).zip(pins) {
        assert!(holds(store.page(&pin).unwrap(), &[key], u64::from(key), 2000));
        store.unpin(&lock, &both[1], pin);
    }
    assert_eq!(store.with(&lock, |s| s.stats()).zombies, 0);
    store.with(&lock, |s| s.check()).unwrap();
}

#[test]
fn a_pin_that_another_slot_ends_stays_a_word_of_its_own_slot() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    for key in [b"a", b"b"] {
        assert!(put(&store, &lock, &slot(0), key, 20_000, u64::from(key[0]), 1));
    }
    let [a, b] = [b"a", b"b"].map(|key| find(&store, &lock, key).unwrap().entry);
    let (mine, other) = (slot(0), slot(1));
    let pin = store.with(&lock, |s| s.pin(&mine, a)).unwrap();
    store.unpin(&lock, &other, pin);
    assert_eq!(store.with(&lock, |s| s.stats()).pins, 0);
    // The other one ends: what is taken back with it is its own alone.
    let pin = store.with(&lock, |s| s.pin(&other, b)).unwrap();
    store.with(&lock, |s| s.release_slot(&dead(0)));
    assert_eq!(store.with(&lock, |s| s.stats()).pins, 1);
    store.unpin(&lock, &other, pin);
    assert_eq!(store.with(&lock, |s| s.stats()).pins, 0);
}

#[test]
fn tokens_of_another_region_are_refused() {
    let (here, there) = (Memory::new(256 * 1024), Memory::new(256 * 1024));
    let (store, other, lock) = (here.create(&OPTIONS), there.create(&OPTIONS), Lock::default());
    for store in [&store, &other] {
        assert!(put(store, &lock, &slot(0), b"k", 20, 1, 1));
    }
    let entry = find(&store, &lock, b"k").unwrap().entry;
    let pin = store.with(&lock, |s| s.pin(&slot(0), entry)).unwrap();
    assert!(other.page(&pin).is_none());
    other.with(&lock, |s| s.unpin(pin));
    assert_eq!(store.with(&lock, |s| s.stats()).pins, 1);
    let hash = store.hash(b"l");
    let mut page = store.with(&lock, |s| s.reserve(&slot(0), hash, b"l", 9, 1)).unwrap();
    assert!(other.write(&mut page, 0, b"x").is_err());
    assert!(other.with(&lock, |s| s.publish(page, Meta::default(), 1)).is_none());
    assert_eq!(store.with(&lock, |s| s.stats()).pending, 1);
}

#[test]
fn what_a_dead_process_held_is_taken_back() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    for key in [b"a", b"b"] {
        assert!(put(&store, &lock, &slot(0), key, 20_000, 1, 1));
    }
    let mine = store.hash(b"mine");
    let kept = store.with(&lock, |s| s.reserve(&slot(1), mine, b"mine", 100, 1)).unwrap();
    // Slot 2 dies with a hold, two pins and two pages half filled.
    std::mem::forget(hold(&store, &lock, &slot(2), b"a").unwrap());
    let entry = find(&store, &lock, b"b").unwrap().entry;
    for _ in 0..2 {
        let _ = store.with(&lock, |s| s.pin(&slot(2), entry)).unwrap();
        let _ = store.with(&lock, |s| s.reserve(&slot(2), 5, b"c", 5000, 1)).unwrap();
    }
    store.with(&lock, |s| s.clear());
    let stats = store.with(&lock, |s| s.stats());
    assert_eq!((stats.zombies, stats.pins, stats.pending), (2, 2, 3));
    // A rebuild changes none of this: a live process may be at it.
    store.with(&lock, |s| s.mark_dirty());
    let stats = store.with(&lock, |s| s.stats());
    assert_eq!((stats.zombies, stats.pins, stats.pending, stats.lost), (2, 2, 3, 0));
    store.with(&lock, |s| s.release_slot(&dead(2)));
    store.with(&lock, |s| s.release_slot(&dead(77)));
    let stats = store.with(&lock, |s| s.stats());
    assert_eq!((stats.zombies, stats.pins, stats.pending), (0, 0, 1));
    store.with(&lock, |s| s.publish(kept, Meta::default(), 1)).unwrap();
    store.with(&lock, |s| s.check()).unwrap();
}

#[test]
fn a_store_full_of_pages_in_use_refuses_and_recovers() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let mut pins = Vec::new();
    for i in 0..255u8 {
        if !put(&store, &lock, &slot(0), &[i], 20_000, u64::from(i), 1) {
            break;
        }
        let entry = find(&store, &lock, &[i]).unwrap().entry;
        pins.push((i, store.with(&lock, |s| s.pin(&slot(0), entry)).unwrap()));
    }
    assert!(pins.len() > 8);
    let hash = store.hash(b"k");
    let refused = store.with(&lock, |s| s.reserve(&slot(0), hash, b"k", 20_000, 1)).unwrap_err();
    assert_eq!(refused, ReserveError::NoRoom);
    assert!(refused.is_temporary());
    for (i, pin) in pins {
        assert!(holds(store.page(&pin).unwrap(), &[i], u64::from(i), 20_000));
        store.with(&lock, |s| s.unpin(pin));
    }
    assert!(put(&store, &lock, &slot(0), b"k", 20_000, 1, 1));
    store.with(&lock, |s| s.check()).unwrap();
}
