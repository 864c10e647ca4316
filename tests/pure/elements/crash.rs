//! Death at every single write: what was remembered is there, what was being remembered is there or not, and whoever comes
//! next can fetch.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use twice_core::store::{DeadSlot, fault};

const LARGE: usize = 9000;
const KEPT: usize = 100;

fn die() {
    resume_unwind(Box::new("dead"));
}

/// Kills the process of slot 1 at each of its writes in turn. `changes`: what it is about.
fn at_each_write(name: &str, changes: &[&str], work: impl Fn(&Scene, &[Lease])) {
    let start = Scene::new(128 << 10);
    for n in 0..KEPT {
        start.put(0, format!("kept {n}").as_bytes(), Some(b"value"), 1000);
    }
    let leases: Vec<_> = ["a", "b", "large"].map(|id| start.lease(1, id.as_bytes(), 1000)).into();
    assert!(matches!(start.claim(2, b"a", 1000), Claim::Wait(_)));
    for n in 0.. {
        let scene = start.copy();
        fault::arm(n, die);
        let died = catch_unwind(AssertUnwindSafe(|| work(&scene, &leases))).is_err();
        fault::disarm();
        let context = format!("{name}, write {n}");
        // What the next process does in its slot.
        scene.store.with(&scene.lock, |s| {
            let _ = scene.board.element_flights(s).unwrap().give_up_all(1);
            // SAFETY: slot 1 is dead by the test's order.
            s.release_slot(&unsafe { DeadSlot::new(1) });
        });
        scene.check();
        let stats = scene.store.with(&scene.lock, |s| s.stats());
        assert_eq!((stats.lost, stats.pending, stats.zombies), (0, 0, 0), "{context}");
        for n in 0..KEPT {
            let id = format!("kept {n}");
            let found = scene.look(id.as_bytes(), 2000);
            assert!(found == some("value") || changes.contains(&id.as_str()), "{context}: {id}");
        }
        for id in ["a", "b", "large"] {
            // Nobody waits for the dead one.
            match scene.claim(2, id.as_bytes(), 1001) {
                Claim::There(value) => assert_eq!(value, Some(fetched(id)), "{context}: {id}"),
                Claim::Fetch(lease) => {
                    let _ = scene.at(2).remember(&[scene.news(lease, id.as_bytes(), Some(b"v"))], 1001);
                    assert_eq!(scene.look(id.as_bytes(), 1001), some("v"), "{context}: {id}");
                }
                other => panic!("{context}: {id} {other:?}"),
            }
        }
        if !died {
            return;
        }
    }
}

fn fetched(id: &str) -> Vec<u8> {
    crate::store::content(id.len() as u64, if id == "large" { LARGE } else { 50 })
}

#[test]
fn remembering() {
    at_each_write("remember", &[], |scene, leases| {
        let values = ["a", "b", "large"].map(|id| (id.as_bytes(), fetched(id)));
        let news: Vec<_> = leases
            .iter()
            .zip(&values)
            .map(|(lease, (id, value))| scene.news(*lease, id, Some(value)))
            .collect();
        let _ = scene.at(1).remember(&news, 1001);
    });
}

#[test]
fn forgetting() {
    at_each_write("forget", &["kept 7"], |scene, _| {
        for id in [&b"kept 7"[..], b"a"] {
            let _ = scene.at(1).forget(scene.store.hash(id), id);
        }
    });
}

#[test]
fn changing() {
    at_each_write("change", &["kept 7"], |scene, _| {
        let change = |_: &[u8]| SmallValue::of([&b"other"[..]]);
        assert!(scene.at(1).change(scene.store.hash(b"kept 7"), b"kept 7", 1001, change));
    });
}

#[test]
fn looking_and_claiming() {
    at_each_write("look", &[], |scene, _| {
        let hash = scene.store.hash(b"kept 3");
        // With a note of its use.
        assert!(scene.at(1).look(hash, b"kept 3", 20_000, |_| ()).is_some());
        assert!(matches!(scene.claim(1, b"kept 3", 20_000), Claim::There(_)));
        assert!(matches!(scene.claim(1, b"new", 1000), Claim::Fetch(_)));
    });
}
