//! Death at every single write: the counter that was being changed has the value of before or of after, and no other has
//! changed.

use super::*;
use crate::store::crash::writes;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use twice_core::store::{DeadSlot, Store, fault};

/// The first of the counters: Miri takes its time for each.
const KEYS: u8 = if cfg!(miri) { 95 } else { 0 };

fn die() {
    resume_unwind(Box::new("dead"));
}

impl Scene {
    fn copy(&self) -> Scene {
        let memory = self.memory.copy();
        let store = Store::attach(memory.region()).unwrap();
        Scene::of(memory, store)
    }

    fn values(&self) -> Vec<Option<u64>> {
        (KEYS..=255).map(|key| self.at(0).get(&[key], 1)).collect()
    }
}

/// Many counters, in chains; so many that the next one evicts.
fn scene(full: bool) -> Scene {
    let scene = Scene::new();
    for key in KEYS..200 {
        scene.at(0).change(&[key], Change::Incr(1000 + u64::from(key)), u64::from(key));
    }
    while full && scene.store.with(&scene.lock, |s| s.stats()).evicted == 0 {
        let n = scene.store.with(&scene.lock, |s| s.stats()).stores;
        scene.at(0).change(&n.to_le_bytes(), INCR, 1_000_000);
    }
    scene
}

/// Kills the process of slot 1 at each of its writes in turn. Only `key` may change, and what goes for want of room.
fn at_each_write(name: &str, full: bool, key: u8, work: impl Fn(&Scene)) {
    let start = scene(full);
    let before = start.values();
    let undisturbed = start.copy();
    work(&undisturbed);
    let after = undisturbed.values();
    for n in writes() {
        let scene = start.copy();
        fault::arm(n, die);
        let died = catch_unwind(AssertUnwindSafe(|| work(&scene))).is_err();
        fault::disarm();
        // SAFETY: slot 1 is dead by the test's order.
        scene.store.with(&scene.lock, |s| s.release_slot(&unsafe { DeadSlot::new(1) }));
        let context = format!("{name}, write {n}");
        scene.check();
        let stats = scene.store.with(&scene.lock, |s| s.stats());
        assert_eq!((stats.lost, stats.pending, stats.zombies), (0, 0, 0), "{context}");
        let now = scene.values();
        for other in KEYS..=255 {
            let [before, now, after] =
                [&before, &now, &after].map(|values| values[usize::from(other - KEYS)]);
            // An eviction is done, or it is not.
            let may_be =
                if other == key || after.is_none() { now == before || now == after } else { now == before };
            assert!(may_be, "{context}: counter {other} was {before:?}, is {now:?}");
        }
        if !died {
            assert_eq!(now, after, "{context}");
            return;
        }
        // It serves on.
        assert_eq!(
            scene.at(0).change(&[key], INCR, 5),
            now[usize::from(key - KEYS)].map_or(Some(1), |n| Some(n + 1))
        );
    }
}

#[test]
fn making_a_counter() {
    at_each_write("make", false, 250, |scene| _ = scene.at(1).change(&[250], Change::Incr(7), 5));
    at_each_write("make in a full zone", true, 250, |scene| {
        _ = scene.at(1).change(&[250], Change::Incr(7), 5)
    });
}

#[test]
fn changing_a_counter() {
    at_each_write("incr", false, 100, |scene| _ = scene.at(1).change(&[100], INCR, 5));
    // With a note of its use.
    at_each_write("decr", false, 100, |scene| _ = scene.at(1).change(&[100], DECR, 1_000_000));
}

#[test]
fn deleting_a_counter() {
    at_each_write("delete", false, 100, |scene| _ = scene.at(1).delete(&[100]));
}

#[test]
fn restoring_a_counter() {
    at_each_write("restore", false, 250, |scene| _ = scene.at(1).restore(&[250], 7, 5, 5));
    // The one that is there is taken out for a moment: the death costs what it had counted since the start.
    let start = Scene::new();
    start.at(0).change(b"views", INCR, 1);
    for n in writes() {
        let scene = start.copy();
        fault::arm(n, die);
        let died = catch_unwind(AssertUnwindSafe(|| scene.at(1).restore(b"views", 41, 5, 5))).is_err();
        fault::disarm();
        // SAFETY: slot 1 is dead by the test's order.
        scene.store.with(&scene.lock, |s| s.release_slot(&unsafe { DeadSlot::new(1) }));
        scene.check();
        let value = scene.at(0).get(b"views", 5);
        assert!(matches!(value, None | Some(1) | Some(42)), "write {n}: {value:?}");
        if !died {
            assert_eq!(value, Some(42));
            return;
        }
    }
}
