//! How long it takes from stored to resumed: printed, not judged. `scripts/test -- --ignored` runs it.

use std::thread;
use std::time::{Duration, Instant};

use fixture::{Answer, Gate, Origin};

use super::{collapsing, one_for_each, wait_pending};

/// A worker that fetches, another one that waits: from the last byte that the fetching client has to the last byte that
/// the waiting one has. The page is stored before either leaves.
#[test]
#[ignore = "a measurement"]
fn from_stored_to_resumed() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").start();
    let mut clients = one_for_each(&nginx);
    let (_, mut waits) = clients.pop().unwrap();
    let (_, mut fetches) = clients.pop().unwrap();
    let mut times = Vec::new();
    for round in 0..300 {
        let (path, gate) = (format!("/{round}"), Gate::new());
        origin.on(&path, Answer::page("page").gate(&gate));
        fetches.get(&path);
        gate.wait_arrived(1);
        waits.get(&path);
        wait_pending(&nginx, 2);
        let waiter = thread::spawn(move || {
            waits.response().assert(200, "HIT", "page");
            (Instant::now(), waits)
        });
        // It reads.
        thread::sleep(Duration::from_millis(2));
        gate.open();
        fetches.response().assert(200, "MISS", "page");
        let stored = Instant::now();
        let (resumed, back) = waiter.join().unwrap();
        waits = back;
        times.push(resumed.saturating_duration_since(stored));
    }
    times.sort();
    let at = |part: usize| times[times.len() * part / 100];
    println!("stored to answered: median {:?}, 90 % {:?}, 99 % {:?}", at(50), at(90), at(99));
}
