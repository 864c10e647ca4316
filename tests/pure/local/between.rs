//! What happens between two steps of a process that changes or reads a counter without the lock: anything, as long as it
//! is done under the lock.

use super::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use twice_core::store::fault;

thread_local! {
    static OTHERS: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

fn others() {
    if let Some(work) = OTHERS.take() {
        work();
    }
}

/// The deeds, and the writes, to be tried: all. Under Miri, which takes seconds for one, a few.
fn deeds() -> impl Iterator<Item = u32> {
    (0..128).step_by(if cfg!(miri) { 37 } else { 1 })
}

fn writes() -> impl Iterator<Item = u64> {
    (0..).step_by(if cfg!(miri) { 5 } else { 1 })
}

/// What the process of slot 0 does in between. Back comes what it took of the first counter.
fn disturb(scene: &Scene, deeds: u32, ids: &[[u8; 4]]) -> u64 {
    let mut taken = 0;
    if deeds & 1 != 0 {
        taken += scene.at(0).delete(&ids[0]).unwrap_or(0);
    }
    for (n, id) in ids.iter().enumerate().skip(1) {
        if deeds >> n & 1 != 0 {
            scene.at(0).delete(id);
        }
    }
    if deeds & 16 != 0 {
        scene.rebuild();
    }
    if deeds & 32 != 0 {
        scene.at(0).change(&ids[0], Change::Incr(1), 9);
    }
    if deeds & 64 != 0 {
        for id in ids {
            scene.at(0).change(id, INCR, 9);
        }
    }
    scene.check();
    taken
}

/// Does `work` as slot 1, and `others_work` before its nth write; false if it has not so many.
fn disturbed(write: u64, scene: &Rc<Scene>, others_work: Box<dyn Fn()>, work: impl FnOnce()) -> bool {
    let other = Rc::clone(scene);
    OTHERS.set(Some(Box::new(move || {
        // In a section of our own nothing comes between.
        if !other.lock.is_held() {
            others_work();
        }
    })));
    fault::arm(write, others);
    work();
    let left = fault::disarm();
    OTHERS.set(None);
    !left
}

#[test]
fn a_change_is_done_once_whatever_happens_between_two_writes() {
    for deeds in deeds() {
        for write in writes() {
            let scene = Rc::new(Scene::new());
            let ids = chain(&scene.store, 4);
            for id in &ids {
                scene.at(1).change(id, Change::Incr(10), 1);
            }
            let taken = Rc::new(Cell::new(None));
            let (other, result, chained) = (Rc::clone(&scene), Rc::clone(&taken), ids.clone());
            let work = Box::new(move || result.set(Some(disturb(&other, deeds, &chained))));
            let more = disturbed(write, &scene, work, || {
                assert!(scene.at(1).change(&ids[0], INCR, 1).is_some());
            });
            // 10 at first, one more of ours, and what the other one has counted.
            let left = scene.at(0).delete(&ids[0]).unwrap_or(0);
            let sum = taken.get().unwrap_or(0) + left;
            let others = if taken.get().is_some() { (deeds >> 5 & 1) + (deeds >> 6 & 1) } else { 0 };
            assert_eq!(sum, 11 + u64::from(others), "deeds {deeds:b}, write {write}");
            scene.check();
            if !more {
                break;
            }
        }
    }
}

#[test]
fn a_change_that_has_read_before_the_counter_went_changes_nothing() {
    let scene = Scene::new();
    for value in [0, 1, 7, u64::MAX, 1 << 63, (1 << 63) - 1] {
        scene.at(0).change(b"views", Change::Incr(value), 1);
        let hash = scene.store.hash(b"views");
        let hit = scene.store.get(&scene.slots[1], hash, b"views", 1).unwrap();
        let asked = Cell::new(0);
        let changed = scene.store.change_word(&hit.held, |before| {
            asked.set(asked.get() + 1);
            // The other one takes it just now.
            assert_eq!(scene.at(0).delete(b"views").or(Some(value)), Some(value));
            before.wrapping_add(1)
        });
        // Once: it has seen then that the counter is gone.
        assert_eq!((changed, asked.get()), (None, 1), "{value}");
        assert_eq!(scene.store.word(&hit.held), None, "{value}");
        drop(hit);
        assert_eq!(scene.at(1).get(b"views", 1), None);
        assert_eq!(scene.at(1).change(b"views", INCR, 1), Some(1));
        assert_eq!(scene.at(1).delete(b"views"), Some(1));
        scene.check();
    }
    scene.rebuild();
    let account = scene.store.with(&scene.lock, |s| s.check()).unwrap();
    assert_eq!(account.free, account.arena);
}

#[test]
fn a_counter_that_stays_is_never_overlooked() {
    // All that is done to those beside it, in front of it and behind it.
    for mine in 0..4 {
        for deeds in deeds().filter(|deeds| deeds >> mine & 1 == 0) {
            for write in writes() {
                let scene = Rc::new(Scene::new());
                let ids = chain(&scene.store, 4);
                for id in &ids {
                    scene.at(1).change(id, Change::Incr(10), 1);
                }
                let (other, mut chained) = (Rc::clone(&scene), ids.clone());
                // In this place nobody's, so that it stays what it is.
                chained[mine] = *b"nobo";
                let work = Box::new(move || _ = disturb(&other, deeds, &chained));
                let mut found = None;
                let more = disturbed(write, &scene, work, || found = scene.at(1).get(&ids[mine], 1));
                assert_eq!(found, Some(10), "counter {mine}, deeds {deeds:b}, write {write}");
                if !more {
                    break;
                }
            }
        }
    }
}
