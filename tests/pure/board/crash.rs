//! Death at every single write: once the dead one's slot is taken back nobody waits for a fetch that is none, and every
//! key can be fetched.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use twice_core::board::flights::Asker::Anybody;
use twice_core::board::flights::{Asked, Lease, Outcome};
use twice_core::store::fault;

use super::{Scene, owner};

const ZONE: usize = 256 << 10;
const AGE: u64 = 30_000;

const UNSTORABLE: Outcome = Outcome::Unstorable { for_ms: 5000, to: Anybody };

fn die() {
    resume_unwind(Box::new("dead"));
}

/// Kills `work`, which slot 1 does, at each of its writes in turn.
fn at_each_write(name: &str, prepare: impl Fn(&Scene) -> Vec<Lease>, work: impl Fn(&Scene, &[Lease])) {
    let start = Scene::new(ZONE);
    // Slot 2 fetches something, for which slot 3 waits: that is nobody else's business.
    let other = ask(&start, 100, 2);
    let leases = prepare(&start);
    let mut n = 0;
    loop {
        let scene = start.copy();
        fault::arm(n, die);
        let died = catch_unwind(AssertUnwindSafe(|| work(&scene, &leases))).is_err();
        fault::disarm();
        let context = format!("{name}, write {n}");
        survives(&scene, other, &leases, &context);
        if !died {
            break;
        }
        n += 1;
    }
}

fn ask(scene: &Scene, hash: u64, slot: u32) -> Lease {
    match scene.flights(|f| f.ask(hash, 1000, AGE, owner(slot), None, Anybody)) {
        Asked::Fetch(lease) => lease,
        asked => panic!("{asked:?}"),
    }
}

fn survives(scene: &Scene, other: Lease, leases: &[Lease], context: &str) {
    // The release may be cut short itself: whoever comes next finishes it.
    for n in 0..4 {
        fault::arm(n, die);
        let _ = catch_unwind(AssertUnwindSafe(|| scene.flights(|f| f.give_up_all(1).numbers().count())));
        fault::disarm();
    }
    let _ = scene.flights(|f| f.give_up_all(1));
    scene.flights(|f| {
        assert_eq!(
            f.ask(100, 1000, AGE, owner(3), Some(3), Anybody),
            Asked::Wait(other.generation()),
            "{context}"
        );
        // Long after, whatever is remembered is over.
        let now = 1_000_000;
        for hash in 0..8 {
            match f.ask(hash, now, u64::MAX, owner(3), Some(3), Anybody) {
                Asked::Fetch(lease) => {
                    assert!(lease != other && !leases.contains(&lease), "{context}: a generation twice");
                    let waits = f.ask(hash, now, u64::MAX, owner(4), Some(4), Anybody);
                    assert_eq!(waits, Asked::Wait(lease.generation()), "{context}");
                    let woken: Vec<u32> = f.end(lease, Outcome::Stored, now).numbers().collect();
                    assert_eq!(woken, [4], "{context}: woken for a fetch of before");
                }
                asked => panic!("{context}: {hash} {asked:?}"),
            }
        }
        for lease in leases {
            let _ = f.end(*lease, Outcome::Failed, now);
        }
        assert_eq!(f.end(other, Outcome::Stored, now).numbers().collect::<Vec<_>>(), [3], "{context}");
    });
}

#[test]
fn taking_a_lease() {
    let nothing = |_: &Scene| Vec::new();
    at_each_write("ask", nothing, |scene, _| _ = ask(scene, 1, 1));
    at_each_write("refresh", nothing, |scene, _| {
        _ = scene.flights(|f| f.refresh(1, 1000, AGE, owner(1), Anybody))
    });
}

#[test]
fn taking_a_lease_where_something_is_remembered() {
    let remembered = |scene: &Scene| {
        let lease = ask(scene, 1, 2);
        let _ = scene.flights(|f| f.end(lease, Outcome::Failed, 1000));
        vec![lease]
    };
    at_each_write("ask again", remembered, |scene, _| _ = ask(scene, 1, 1));
    let full = |scene: &Scene| {
        let leases: Vec<Lease> = (0..7).map(|hash| ask(scene, hash, 2)).collect();
        for lease in &leases {
            let _ = scene.flights(|f| f.end(*lease, UNSTORABLE, 1000));
        }
        leases
    };
    at_each_write("evict", full, |scene, _| _ = ask(scene, 7, 1));
}

#[test]
fn overtaking() {
    let old = |scene: &Scene| {
        let lease = ask(scene, 1, 1);
        let _ = scene.flights(|f| f.ask(1, 1000, AGE, owner(3), Some(9), Anybody));
        vec![lease]
    };
    at_each_write("overtake", old, |scene, _| {
        _ = scene.flights(|f| f.ask(1, 1000 + AGE, AGE, owner(1), None, Anybody))
    });
}

#[test]
fn waiting_and_ending() {
    let waited = |scene: &Scene| {
        let lease = ask(scene, 1, 1);
        let _ = scene.flights(|f| f.ask(1, 1000, AGE, owner(3), Some(9), Anybody));
        vec![lease]
    };
    at_each_write("wait", waited, |scene, leases| {
        _ = scene.flights(|f| f.watch(1, leases[0].generation(), 10));
    });
    for outcome in [Outcome::Stored, Outcome::Abandoned, Outcome::Failed, UNSTORABLE] {
        at_each_write(&format!("{outcome:?}"), waited, |scene, leases| {
            _ = scene.flights(|f| f.end(leases[0], outcome, 1000));
        });
    }
}
