//! Death at every single write: whatever a process was doing, the next one finds every page that was not being
//! changed, whole, and every unit accounted for.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use twice_core::store::{DeadSlot, Section, fault};

const LEN: usize = 64 * 1024;

fn die() {
    resume_unwind(Box::new("dead"));
}

/// Does something and dies at the nth write into the region. True if it died.
fn dies_at(n: u64, work: impl FnOnce()) -> bool {
    fault::arm(n, die);
    let died = catch_unwind(AssertUnwindSafe(work)).is_err();
    let armed = fault::disarm();
    assert!(died != armed);
    died
}

/// The process that dies has slot 1; slot 0 looks on.
struct Scene {
    memory: Memory,
    store: Store,
    lock: Lock,
}

/// Many pages, some of them in several runs, tag = key; the arena is full, so that the next page evicts.
fn scene(policy: Policy) -> Scene {
    let memory = Memory::new(LEN);
    let store = memory.create(&Options { policy, ..OPTIONS });
    let scene = Scene { memory, store, lock: Lock::default() };
    for key in 0..30u8 {
        scene.put(slot(0), key, 800 + 97 * usize::from(key % 7), u64::from(key));
    }
    // Holes of one unit and more.
    for key in (0..30).step_by(3) {
        let hash = scene.store.hash(&[key]);
        scene.with(|s| s.remove_key(hash, &[key]));
    }
    for key in 60..85u8 {
        scene.put(slot(0), key, 1900, u64::from(key));
    }
    assert!(scene.with(|s| s.stats()).evicted > 0);
    let account = scene.with(|s| s.check()).unwrap();
    assert!(account.runs > account.entries + 2);
    scene
}

impl Scene {
    fn copy(&self) -> Scene {
        let memory = self.memory.copy();
        let store = Store::attach(memory.region()).unwrap();
        Scene { memory, store, lock: Lock::default() }
    }

    fn with<'s, T>(&'s self, work: impl FnOnce(&mut Section<'s>) -> T) -> T {
        self.store.with(&self.lock, work)
    }

    fn put(&self, slot: Slot, key: u8, len: usize, tag: u64) {
        assert!(put(&self.store, &self.lock, &slot, &[key], len, tag, 1000 * tag));
    }

    fn pages(&self) -> Vec<(u8, u64, usize)> {
        let keys = 0..=255u8;
        keys.filter_map(|key| {
            let found = find(&self.store, &self.lock, &[key])?;
            assert!(is_whole(&self.store, &self.lock, &slot(7), &[key], found.meta.tag, found.value_len));
            Some((key, found.meta.tag, found.value_len))
        })
        .collect()
    }

    /// What the next process does: takes the dead one's slot back. Then everything must be in order.
    fn survive(&self, context: &str) -> Vec<(u8, u64, usize)> {
        // SAFETY: slot 1 is dead by the test's order.
        self.with(|s| s.release_slot(&unsafe { DeadSlot::new(1) }));
        let account = self.with(|s| s.check()).unwrap_or_else(|damage| panic!("{context}: {damage:?}"));
        let stats = self.with(|s| s.stats());
        assert_eq!((stats.lost, stats.pending, stats.pins), (0, 0, 0), "{context}");
        assert_eq!(account.zombie, 0, "{context}");
        self.pages()
    }
}

/// The writes to die at: each. Under Miri, which takes seconds for one, a few at ever larger distances.
pub fn writes() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(0), |n| Some(if cfg!(miri) { 4 * n + 3 } else { n + 1 }))
}

/// All. Under Miri the one that writes most.
fn policies() -> impl Iterator<Item = Policy> {
    Policy::ALL.into_iter().filter(|policy| !cfg!(miri) || *policy == Policy::S3Fifo)
}

/// Kills `work` at each of its writes in turn. `changes` tells the keys that it may change; those that it
/// evicts when it lives may go as well.
fn at_each_write(name: &str, changes: &[u8], prepare: impl Fn(&Scene), work: impl Fn(&Scene)) {
    for policy in policies() {
        let name = format!("{name}, {}", policy.as_str());
        at_each_write_with(policy, &name, changes, &prepare, &work);
    }
}

fn at_each_write_with(
    policy: Policy,
    name: &str,
    changes: &[u8],
    prepare: impl Fn(&Scene),
    work: impl Fn(&Scene),
) {
    let start = scene(policy);
    prepare(&start);
    let before = start.pages();
    let undisturbed = start.copy();
    work(&undisturbed);
    let kept: Vec<_> = undisturbed.pages();
    for n in writes() {
        let scene = start.copy();
        let died = dies_at(n, || work(&scene));
        let after = scene.survive(&format!("{name}, write {n}"));
        for page in &before {
            let may_go = changes.contains(&page.0) || !kept.contains(page);
            assert!(may_go || after.contains(page), "{name}, write {n}: lost {page:?}");
        }
        for page in &after {
            assert!(changes.contains(&page.0) || before.contains(page), "{name}, write {n}: made {page:?}");
        }
        if !died {
            return;
        }
    }
}

#[test]
fn hitting_without_the_lock() {
    at_each_write(
        "get",
        &[],
        |_| (),
        |scene| {
            for _ in 0..3 {
                let hit = scene.store.get(&slot(1), scene.store.hash(&[70]), &[70], 1_000_000).unwrap();
                let pin = scene.store.pin(&scene.lock, &slot(1), &hit.held).unwrap();
                drop(hit);
                scene.store.unpin(&scene.lock, &slot(1), pin);
            }
        },
    );
}

#[test]
fn storing_a_page_in_many_runs_and_evicting_for_it() {
    at_each_write("put", &[200], |_| (), |scene| scene.put(slot(1), 200, 7_000, 200));
}

#[test]
fn replacing_a_page() {
    at_each_write("replace", &[70], |_| (), |scene| scene.put(slot(1), 70, 700, 170));
}

#[test]
fn replacing_a_page_that_is_held() {
    let held = |scene: &Scene| {
        let entry = find(&scene.store, &scene.lock, &[70]).unwrap().entry;
        let _ = scene.with(|s| s.pin(&slot(1), entry)).unwrap();
    };
    at_each_write("replace held", &[70], held, |scene| scene.put(slot(1), 70, 700, 170));
}

#[test]
fn looking_up_and_removing() {
    let hash = |scene: &Scene, key: u8| scene.store.hash(&[key]);
    at_each_write(
        "lookup",
        &[],
        |_| (),
        |scene| {
            let found = scene.with(|s| s.lookup(hash(scene, 61), &[61], 1_000_000));
            assert!(found.is_some());
        },
    );
    at_each_write(
        "remove",
        &[61],
        |_| (),
        |scene| {
            assert!(scene.with(|s| s.remove_key(hash(scene, 61), &[61])));
        },
    );
    at_each_write("clear", &[], |_| (), |scene| scene.with(|s| s.clear()));
}

#[test]
fn reserving_pinning_and_being_released() {
    let hoard = |scene: &Scene| {
        let hash = scene.store.hash(&[201]);
        let page = scene.with(|s| s.reserve(&slot(1), hash, &[201], 3000, 1)).unwrap();
        let other = scene.with(|s| s.reserve(&slot(1), hash, &[201], 10, 1)).unwrap();
        scene.with(|s| s.abandon(page));
        drop(other);
        let entry = find(&scene.store, &scene.lock, &[70]).unwrap().entry;
        std::mem::forget(scene.with(|s| s.hold(&slot(1), entry)));
        let pins: Vec<_> = (0..3).map(|_| scene.with(|s| s.pin(&slot(1), entry))).collect();
        let hash = scene.store.hash(&[70]);
        scene.with(|s| s.remove_key(hash, &[70]));
        for pin in pins.into_iter().flatten().take(2) {
            scene.with(|s| s.unpin(pin));
        }
    };
    at_each_write("hoard", &[70, 201], |_| (), hoard);
    // The one who takes back may die as well.
    at_each_write("release", &[70, 201], hoard, |scene| {
        // SAFETY: slot 1 does nothing more.
        scene.with(|s| s.release_slot(&unsafe { DeadSlot::new(1) }));
    });
}

#[test]
fn a_release_cut_short_is_finished_by_the_next_sweep() {
    let start = scene(Policy::S3Fifo);
    start.with(|s| s.claim_slot(&slot(1), 77));
    let entry = find(&start.store, &start.lock, &[70]).unwrap().entry;
    let _ = start.with(|s| s.pin(&slot(1), entry)).unwrap();
    let _ = start.with(|s| s.reserve(&slot(1), 5, b"201", 3000, 1)).unwrap();
    start.with(|s| s.remove(entry));
    let sweep = |scene: &Scene| {
        scene.with(|s| {
            for (number, pid) in s.claims() {
                assert_eq!((number, pid), (1, 77));
                // SAFETY: slot 1 is dead by the test's order.
                s.release_slot(&unsafe { DeadSlot::new(number) });
            }
        });
    };
    for n in writes() {
        let scene = start.copy();
        let died = dies_at(n, || sweep(&scene));
        sweep(&scene);
        let account = scene.with(|s| s.check()).unwrap();
        let pins = scene.with(|s| s.stats()).pins;
        assert_eq!((account.pending, account.zombie, pins), (0, 0, 0), "release, write {n}");
        assert_eq!(scene.with(|s| s.claims().count()), 0);
        if !died {
            return;
        }
    }
}

#[test]
fn no_pin_is_lost_with_the_process_that_was_taking_it() {
    let start = scene(Policy::S3Fifo);
    let entry = find(&start.store, &start.lock, &[70]).unwrap().entry;
    let limit = start.with(|s| s.stats()).pins_limit;
    for n in writes() {
        let scene = start.copy();
        let died = dies_at(n, || {
            let _ = scene.with(|s| s.pin(&slot(1), entry));
        });
        // SAFETY: slot 1 is dead by the test's order.
        scene.with(|s| s.release_slot(&unsafe { DeadSlot::new(1) }));
        let other = slot(2);
        let pins = std::iter::from_fn(|| scene.with(|s| s.pin(&other, entry))).count();
        assert_eq!(pins as u64, limit, "pin, write {n}");
        if !died {
            return;
        }
    }
}

#[test]
fn rebuilding_itself() {
    let load = |scene: &Scene| {
        let entry = find(&scene.store, &scene.lock, &[70]).unwrap().entry;
        let _ = scene.with(|s| s.pin(&slot(1), entry)).unwrap();
        let _ = scene.with(|s| s.reserve(&slot(1), 5, b"201", 3000, 1)).unwrap();
    };
    let start = scene(Policy::S3Fifo);
    load(&start);
    let before = start.pages();
    start.with(|s| s.mark_dirty());
    for n in writes() {
        let scene = start.copy();
        let died = dies_at(n, || scene.with(|_| ()));
        assert_eq!(scene.survive(&format!("rebuild, write {n}")), before);
        if !died {
            return;
        }
    }
}

#[test]
fn spoilt_tables_are_made_again_from_the_map() {
    let start = scene(Policy::Lru);
    let before = start.pages();
    let order = drain_order(&start.copy());
    for seed in 0..if cfg!(miri) { 1 } else { 30u64 } {
        let scene = start.copy();
        scene.with(|s| s.mark_dirty());
        let mut random = seed | 1;
        for range in scene.store.geometry().rebuilt() {
            scene.memory.spoil(range, || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
                // Small numbers look like units.
                if seed % 2 == 0 { (random >> 40) as u8 } else { (random >> 62) as u8 }
            });
        }
        let after = scene.survive("spoilt");
        assert_eq!(before, after);
        assert_eq!(scene.with(|s| s.stats()).recoveries, 1);
        assert_eq!(drain_order(&scene), order, "the order of use is the same");
    }
}

/// The tags of all pages in the order in which they are evicted.
fn drain_order(scene: &Scene) -> Vec<u64> {
    let mut left = scene.pages();
    let mut order = Vec::new();
    for n in 0.. {
        if left.is_empty() {
            break;
        }
        let key = [250, (n % 256) as u8, (n / 256) as u8];
        assert!(put(&scene.store, &scene.lock, &slot(0), &key, 100, 1, 10_000_000 + n));
        left.retain(|(key, tag, _)| {
            let there = find(&scene.store, &scene.lock, &[*key]).is_some();
            if !there {
                order.push(*tag);
            }
            there
        });
    }
    order
}
