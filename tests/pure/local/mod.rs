//! Tests of local counters: a table, a naive model, deaths, other processes at every instant.

#[cfg(debug_assertions)]
mod between;
#[cfg(debug_assertions)]
mod crash;
// Real processes: nothing for Miri.
#[cfg(not(miri))]
mod processes;
mod threads;

use crate::property::cases;
use crate::store::{Lock, Memory, OPTIONS, slot};
use proptest::prelude::*;
use std::collections::HashMap;
use twice_core::local::{Locals, Restored};
use twice_core::source::Change;
use twice_core::store::{Options, Policy, Slot, Store};

/// Room for some 400 counters.
const LEN: usize = 64 * 1024;
const INCR: Change = Change::Incr(1);
const DECR: Change = Change::Decr(0);

/// Counters, as the processes of slots 0 and 1 see them.
struct Scene {
    #[cfg_attr(not(debug_assertions), expect(dead_code))]
    memory: Memory,
    store: Store,
    lock: Lock,
    slots: [Slot; 2],
}

impl Scene {
    fn new() -> Scene {
        let memory = Memory::new(LEN);
        let store = memory.create(&Options { policy: Policy::Lru, ..OPTIONS });
        Scene::of(memory, store)
    }

    fn of(memory: Memory, store: Store) -> Scene {
        let scene = Scene { memory, store, lock: Lock::default(), slots: [slot(0), slot(1)] };
        for slot in &scene.slots {
            scene.store.with(&scene.lock, |s| s.claim_slot(slot, 1000 + slot.number()));
        }
        scene
    }

    /// As the process of this slot sees them.
    fn at(&self, slot: usize) -> Locals<'_, Lock> {
        Locals { store: &self.store, lock: &self.lock, slot: &self.slots[slot] }
    }

    fn check(&self) {
        self.store.with(&self.lock, |s| s.check()).unwrap();
    }

    fn rebuild(&self) {
        self.store.with(&self.lock, |s| s.mark_dirty());
    }
}

/// Ids that share a bucket of the index.
fn chain(store: &Store, len: usize) -> Vec<[u8; 4]> {
    // The store's own choice is by the upper half of the hash.
    let buckets = (LEN / 512) as u64;
    let bucket = |id: &[u8]| ((store.hash(id) >> 32) * buckets) >> 32;
    let first = bucket(&0u32.to_le_bytes());
    (0u32..).map(u32::to_le_bytes).filter(|id| bucket(id) == first).take(len).collect()
}

#[test]
fn a_counter_is_as_memcached_has_it() {
    let scene = Scene::new();
    let locals = scene.at(0);
    assert_eq!(locals.get(b"views", 1), None);
    // What is not there yet gets its first value.
    for (change, first, second) in [
        (Change::Incr(1), 1, 2),
        (Change::Incr(0), 0, 1),
        (Change::Incr(u64::MAX), u64::MAX, 0),
        (Change::Decr(0), 0, 0),
        (Change::Decr(5), 5, 4),
        (Change::Decr(1), 1, 0),
    ] {
        assert_eq!(locals.change(b"views", change, 1), Some(first), "{change:?}");
        assert_eq!(locals.get(b"views", 1), Some(first), "{change:?}");
        assert_eq!(locals.change(b"views", change, 1), Some(second), "{change:?}");
        assert_eq!(scene.at(1).get(b"views", 1), Some(second), "{change:?}");
        assert_eq!(locals.delete(b"views"), Some(second), "{change:?}");
        assert_eq!(locals.get(b"views", 1), None, "{change:?}");
    }
    assert_eq!(locals.delete(b"views"), None);
    assert_eq!(locals.change(b"views", Change::Delete, 1), None);
    locals.change(b"views", INCR, 1);
    assert_eq!(locals.change(b"views", Change::Delete, 1), Some(1));
    scene.check();
}

#[test]
fn counters_have_names_of_their_own() {
    let scene = Scene::new();
    let locals = scene.at(0);
    let names: [&[u8]; 5] = [b"", b"a", b"a\0", &[b'n'; 300], &[b'n'; 301]];
    for (n, name) in (0..).zip(names) {
        assert_eq!(locals.change(name, Change::Incr(n), 1), Some(n));
    }
    for (n, name) in (0..).zip(names) {
        assert_eq!(locals.get(name, 1), Some(n));
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes an hour")]
fn the_counter_that_was_used_longest_ago_makes_room() {
    let scene = Scene::new();
    let locals = scene.at(0);
    let mut now = 0;
    let mut changed = 0;
    for n in 0..2000u32 {
        now += 1000;
        locals.change(&n.to_le_bytes(), INCR, now);
        // One is read, and one is changed, all the time.
        if n > 1 {
            assert_eq!(locals.get(&0u32.to_le_bytes(), now), Some(1), "{n}");
            assert_eq!(locals.change(&1u32.to_le_bytes(), INCR, now), Some(2 + changed), "{n}");
            changed += 1;
        }
    }
    let there = |n: u32| locals.get(&n.to_le_bytes(), now).is_some();
    let oldest = (2..2000).find(|n| there(*n)).unwrap();
    assert!(oldest > 100 && (oldest..2000).all(there));
    let stats = scene.store.with(&scene.lock, |s| s.stats());
    assert_eq!(stats.evicted, u64::from(oldest - 2));
    scene.check();
}

#[test]
#[cfg_attr(miri, ignore = "takes an hour")]
fn what_cannot_have_room_is_refused() {
    let scene = Scene::new();
    let large = vec![b'x'; LEN];
    assert_eq!(scene.at(0).change(&large, INCR, 1), None);
    assert_eq!(scene.at(0).restore(&large, 7, 1, 1), Restored::NoRoom);
    // A saved one costs nobody his place.
    let mut n = 0u32;
    while scene.store.with(&scene.lock, |s| s.stats()).evicted == 0 {
        scene.at(0).change(&n.to_le_bytes(), INCR, 1);
        n += 1;
    }
    let stats = scene.store.with(&scene.lock, |s| s.stats());
    for id in 0..stats.free_units + 1 {
        let restored = scene.at(0).restore(format!("saved {id}").as_bytes(), 7, 1, 1);
        let is_last = id == stats.free_units;
        assert_eq!(restored, if is_last { Restored::NoRoom } else { Restored::Loaded }, "{id}");
    }
    assert_eq!(scene.store.with(&scene.lock, |s| s.stats()).evicted, 1);
}

#[test]
fn a_saved_counter_goes_on_where_it_was() {
    let table: [(u64, &[Change], u64); 9] = [
        // Saved, what happened since the start, what it is then.
        (7, &[], 7),
        (7, &[INCR], 8),
        (7, &[INCR, INCR, DECR], 8),
        (7, &[Change::Incr(100), INCR], 9),
        (7, &[DECR], 6),
        (7, &[Change::Decr(50), DECR], 5),
        (0, &[DECR, INCR], 1),
        (1, &[Change::Decr(50), DECR, DECR], 0),
        (u64::MAX, &[INCR], 0),
    ];
    for (saved, changes, result) in table {
        let scene = Scene::new();
        for change in changes {
            scene.at(0).change(b"views", *change, 1);
        }
        assert_eq!(scene.at(1).restore(b"views", saved, 1, 2), Restored::Loaded);
        assert_eq!(scene.at(0).get(b"views", 2), Some(result), "{saved} {changes:?}");
        // Once: a damaged file may have it twice.
        assert_eq!(scene.at(1).restore(b"views", saved, 1, 2), Restored::AlreadyThere);
        assert_eq!(scene.at(0).get(b"views", 2), Some(result), "{saved} {changes:?}");
        scene.check();
    }
}

#[test]
fn a_listed_counter_tells_its_name_value_and_use() {
    let scene = Scene::new();
    scene.at(0).change(b"views", Change::Incr(41), 1000);
    scene.at(0).change(b"views", INCR, 5000);
    let mut listed = Vec::with_capacity(4);
    assert_eq!(scene.store.with(&scene.lock, |s| s.list(0, 1000, &mut listed)), None);
    let mut id = Vec::new();
    let read = scene.at(1).read(listed[0].entry, |held| {
        held.page().key().for_each(|piece| id.extend_from_slice(piece));
    });
    assert_eq!((listed.len(), read, id.as_slice()), (1, Some((42, 5000)), &b"views"[..]));
    scene.at(0).delete(b"views");
    assert_eq!(scene.at(1).read(listed[0].entry, |_| ()), None);
}

/// What a program may do.
#[derive(Clone, Debug)]
enum Op {
    Change(usize, u8, Change),
    Get(usize, u8),
    Delete(usize, u8),
    Restore(u8, u64),
    Rebuild,
}

fn op() -> impl Strategy<Value = Op> {
    let first = prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()];
    let change = (any::<bool>(), first.clone())
        .prop_map(|(up, first)| if up { Change::Incr(first) } else { Change::Decr(first) });
    let (slot, key) = (0..2usize, 0..40u8);
    prop_oneof![
        8 => (slot.clone(), key.clone(), change).prop_map(|(slot, key, change)| Op::Change(slot, key, change)),
        4 => (slot.clone(), key.clone()).prop_map(|(slot, key)| Op::Get(slot, key)),
        2 => (slot, key.clone()).prop_map(|(slot, key)| Op::Delete(slot, key)),
        2 => (key, first).prop_map(|(key, saved)| Op::Restore(key, saved)),
        1 => Just(Op::Rebuild),
    ]
}

/// A counter as anybody would write it down: its value, how it was made, and its first value.
struct Naive {
    value: u64,
    first: u64,
    made_by: Option<Change>,
}

fn step(value: u64, change: Change) -> u64 {
    match change {
        Change::Incr(_) => value.wrapping_add(1),
        _ => value.saturating_sub(1),
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn counters_do_what_a_map_does(ops in prop::collection::vec(op(), 1..200)) {
        let scene = Scene::new();
        let mut model: HashMap<u8, Naive> = HashMap::new();
        for (now, op) in (0..).zip(ops) {
            match op {
                Op::Change(slot, key, change) => {
                    let (Change::Incr(first) | Change::Decr(first)) = change else { continue };
                    let value = match model.get_mut(&key) {
                        Some(naive) => {
                            naive.value = step(naive.value, change);
                            naive.value
                        }
                        None => {
                            model.insert(key, Naive { value: first, first, made_by: Some(change) });
                            first
                        }
                    };
                    prop_assert_eq!(scene.at(slot).change(&[key], change, now), Some(value));
                }
                Op::Get(slot, key) => {
                    prop_assert_eq!(scene.at(slot).get(&[key], now), model.get(&key).map(|naive| naive.value));
                }
                Op::Delete(slot, key) => {
                    prop_assert_eq!(scene.at(slot).delete(&[key]), model.remove(&key).map(|naive| naive.value));
                }
                Op::Restore(key, saved) => {
                    let restored = scene.at(0).restore(&[key], saved, now, now);
                    let naive = model.entry(key).or_insert(Naive { value: saved, first: 0, made_by: None });
                    let Some(made_by) = naive.made_by else {
                        // There it was, or it is now.
                        prop_assert_eq!(scene.at(1).get(&[key], now), Some(naive.value));
                        continue;
                    };
                    prop_assert_eq!(restored, Restored::Loaded);
                    let start = step(saved, made_by);
                    let value = if naive.value >= naive.first {
                        start.wrapping_add(naive.value - naive.first)
                    } else {
                        start.saturating_sub(naive.first - naive.value)
                    };
                    *naive = Naive { value, first: 0, made_by: None };
                }
                Op::Rebuild => scene.rebuild(),
            }
            scene.check();
        }
        for key in 0..40 {
            prop_assert_eq!(scene.at(1).get(&[key], 1000), model.get(&key).map(|naive| naive.value));
        }
    }
}
