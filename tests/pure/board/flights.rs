//! Fetches under way.

mod model;

use twice_core::board::flights::Asker::{self, Anybody, Unstored, UnstoredWithPassword, WithPassword};
use twice_core::board::flights::{Alone, Asked, Channels, Flights, Lease, Outcome};
use twice_core::outcome::Reason;

use super::{Scene, owner};

const ZONE: usize = 256 << 10;
const AGE: u64 = 30_000;
const UNSTORABLE: Outcome = Outcome::Unstorable { for_ms: 5000, to: Anybody };

fn numbers(channels: Channels) -> Vec<u32> {
    channels.numbers().collect()
}

#[track_caller]
fn fetches(asked: Asked) -> Lease {
    match asked {
        Asked::Fetch(lease) => lease,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_fetches_and_the_others_wait() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        let lease = fetches(f.ask(7, 1000, AGE, owner(1), Some(1), Anybody));
        assert!(lease.is_held());
        for channel in [0, 5, 63, 5] {
            assert_eq!(
                f.ask(7, 1001, AGE, owner(2), Some(channel), Anybody),
                Asked::Wait(lease.generation())
            );
        }
        assert_eq!(f.ask(7, 1001, AGE, owner(2), None, Anybody), Asked::Alone(Alone::NoChannel));
        // Another key, in the same set and elsewhere.
        fetches(f.ask(8, 1001, AGE, owner(2), None, Anybody));
        fetches(f.ask(7 | 1 << 40, 1001, AGE, owner(2), None, Anybody));
        assert_eq!(numbers(f.end(lease, Outcome::Stored, 1002)), [0, 5, 63]);
        // Once.
        assert_eq!(numbers(f.end(lease, Outcome::Stored, 1002)), [0; 0]);
        assert_ne!(fetches(f.ask(7, 1003, AGE, owner(3), None, Anybody)), lease);
    });
}

#[test]
fn what_an_answer_that_is_not_stored_says_of_the_next_one() {
    use Reason::*;
    let table = [
        // The reason, the status, for who waits, for the next refresh.
        (Purged, 200, Outcome::Abandoned, Outcome::Abandoned),
        (Purged, 0, Outcome::Abandoned, Outcome::Abandoned),
        (Incomplete, 200, Outcome::Failed, Outcome::Failed),
        (Status, 500, Outcome::Failed, Outcome::Failed),
        (Status, 504, Outcome::Failed, Outcome::Failed),
        (Status, 302, UNSTORABLE, UNSTORABLE),
        (Status, 403, UNSTORABLE, UNSTORABLE),
        // None came.
        (Failed, 0, UNSTORABLE, Outcome::Failed),
        (Status, 0, UNSTORABLE, Outcome::Failed),
        // It is not the origin that failed.
        (NoRoom, 200, UNSTORABLE, UNSTORABLE),
        // The next one may agree. Nobody waits for a refresh.
        (AuditWaits, 200, Outcome::Again, UNSTORABLE),
        // The next one may say less of himself.
        (KeyTooLong, 200, Outcome::Again, UNSTORABLE),
        (AuditDiffers, 200, UNSTORABLE, UNSTORABLE),
        // Somebody else's request is not so odd.
        (Unclear, 200, Outcome::Again, UNSTORABLE),
        (Failed, 200, UNSTORABLE, UNSTORABLE),
        (TooLarge, 200, UNSTORABLE, UNSTORABLE),
        (Authorization, 200, UNSTORABLE, UNSTORABLE),
        (ContentEncoding, 200, UNSTORABLE, UNSTORABLE),
    ];
    for (reason, status, waiters, refresh) in table {
        assert_eq!(Outcome::of_unstored(reason, status), waiters, "{reason:?} {status}");
        assert_eq!(Outcome::of_refresh(reason, status), refresh, "{reason:?} {status}");
    }
}

#[test]
fn of_answers_that_wait_for_each_other_few_are_waited_for() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        let round = |f: &mut Flights<'_>, now| {
            let lease = fetches(f.ask(7, now, AGE, owner(1), Some(1), Anybody));
            assert_eq!(f.ask(7, now, AGE, owner(2), Some(9), Anybody), Asked::Wait(lease.generation()));
            assert_eq!(numbers(f.end(lease, Outcome::Again, now)), [9]);
        };
        for now in [1000, 1001, 2000, 6000] {
            round(f, now);
        }
        // Four in a row: now all go at once, for a time.
        assert_eq!(f.ask(7, 10_999, AGE, owner(2), Some(9), Anybody), Asked::Alone(Alone::Unstorable));
        assert_eq!(f.refresh(7, 10_999, AGE, owner(2), Anybody), None);
        round(f, 11_000);
        // These are not in a row.
        for now in [16_000, 21_000, 26_000, 31_000, 36_000, 36_001, 36_002] {
            round(f, now);
        }
        // A failure begins anew, and a page too.
        let lease = fetches(f.ask(7, 36_003, AGE, owner(1), Some(1), Anybody));
        _ = f.end(lease, Outcome::Failed, 36_003);
        for now in [36_004, 36_005, 36_006] {
            round(f, now);
        }
        let lease = fetches(f.ask(7, 36_007, AGE, owner(1), Some(1), Anybody));
        _ = f.end(lease, Outcome::Stored, 36_007);
        for now in [36_008, 36_009, 36_010] {
            round(f, now);
        }
        // The clock was set back.
        round(f, 5);
    });
}

#[test]
fn what_cannot_be_stored_is_remembered_for_a_time() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        let lease = fetches(f.ask(7, 1000, AGE, owner(1), Some(1), Anybody));
        assert_eq!(f.ask(7, 1000, AGE, owner(2), Some(2), Anybody), Asked::Wait(lease.generation()));
        assert_eq!(numbers(f.end(lease, UNSTORABLE, 2000)), [2]);
        for now in [2000, 6999] {
            assert_eq!(f.ask(7, now, AGE, owner(1), Some(1), Anybody), Asked::Alone(Alone::Unstorable));
            assert_eq!(f.refresh(7, now, AGE, owner(1), Anybody), None);
        }
        let lease = fetches(f.ask(7, 7000, AGE, owner(1), Some(1), Anybody));
        let _ = f.end(lease, Outcome::Unstorable { for_ms: u64::MAX, to: Anybody }, 7000);
        assert_eq!(f.ask(7, 38_999, AGE, owner(1), Some(1), Anybody), Asked::Alone(Alone::Unstorable));
        fetches(f.ask(7, 39_000, AGE, owner(1), Some(1), Anybody));
        // A clock that is set back a day.
        let lease = fetches(f.ask(9, 100_000_000, AGE, owner(1), None, Anybody));
        let _ = f.end(lease, UNSTORABLE, 100_000_000);
        fetches(f.ask(9, 10_000_000, AGE, owner(1), None, Anybody));
    });
}

#[test]
fn a_worker_whose_clock_is_a_little_behind_remembers_too() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        // Each worker reads its clock when its turn begins.
        let lease = fetches(f.ask(7, 1000, AGE, owner(1), Some(1), Anybody));
        let _ = f.end(lease, Outcome::Unstorable { for_ms: u64::MAX, to: Anybody }, 7000);
        for now in [6000, 6990, 38_999] {
            assert_eq!(
                f.ask(7, now, AGE, owner(2), Some(2), Anybody),
                Asked::Alone(Alone::Unstorable),
                "{now}"
            );
            assert_eq!(f.refresh(7, now, AGE, owner(2), Anybody), None, "{now}");
        }
        // Farther behind than any turn takes, it was set back.
        fetches(f.ask(7, 5999, AGE, owner(2), Some(2), Anybody));
        // The longest back-off.
        let mut now = 100_000;
        for _ in 0..6 {
            let lease = fetches(f.ask(8, now, AGE, owner(1), Some(1), Anybody));
            let _ = f.end(lease, Outcome::Failed, now);
            assert_eq!(f.refresh(8, now - 10, AGE, owner(2), Anybody), None);
            now += 32_000;
        }
        // Rounds that are in a row.
        for round in 1..=4 {
            let lease = fetches(f.ask(9, 1_000 - round * 10, AGE, owner(1), Some(1), Anybody));
            let _ = f.end(lease, Outcome::Again, 1_000);
        }
        assert_eq!(f.ask(9, 1_000, AGE, owner(2), Some(2), Anybody), Asked::Alone(Alone::Unstorable));
    });
}

#[test]
fn what_one_is_sent_by_his_own_request_says_nothing_to_those_above_him() {
    let askers = [Anybody, WithPassword, Unstored, UnstoredWithPassword];
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        for (rank, who) in askers.into_iter().enumerate() {
            let (above, alike) = askers.split_at(rank);
            let ask = |f: &mut Flights<'_>, now, asker| f.ask(7, now, AGE, owner(2), Some(2), asker);
            let renew = |f: &mut Flights<'_>, now, asker| f.refresh(7, now, AGE, owner(2), asker);
            let lease = fetches(f.ask(7, 1000, AGE, owner(1), Some(1), who));
            assert_eq!(ask(f, 1000, Anybody), Asked::Wait(lease.generation()));
            assert_eq!(numbers(f.end(lease, UNSTORABLE.to(who), 2000)), [2]);
            // Those of whom it tells go by themselves.
            for now in [1990, 2000, 6999] {
                for &other in alike {
                    assert_eq!(
                        ask(f, now, other),
                        Asked::Alone(Alone::Unstorable),
                        "{who:?} {other:?} {now}"
                    );
                    assert_eq!(renew(f, now, other), None, "{who:?} {other:?} {now}");
                }
            }
            // Of the others one fetches, and the rest waits; those of before as well, for now it may be stored.
            if let Some(&other) = above.last() {
                let lease = fetches(ask(f, 2000, other));
                for asker in askers {
                    assert_eq!(ask(f, 2001, asker), Asked::Wait(lease.generation()), "{who:?} {asker:?}");
                }
                // What can't be stored for him can't for those below him either.
                let _ = f.end(lease, UNSTORABLE.to(other), 2000);
                assert_eq!(ask(f, 2000, who), Asked::Alone(Alone::Unstorable), "{who:?}");
                let lease = renew(f, 6000, Anybody).filter(|_| other != Anybody);
                assert_eq!(lease.is_some(), other != Anybody, "{who:?}");
                lease.into_iter().for_each(|lease| _ = f.end(lease, Outcome::Abandoned, 6000));
            }
            // After a while one tries again.
            let lease = fetches(ask(f, 7000, who));
            let _ = f.end(lease, Outcome::Abandoned, 7000);
        }
    });
    for asker in askers {
        // What it says of the origin, or of the page, is said to all.
        for outcome in [Outcome::Stored, Outcome::Failed, Outcome::Abandoned, Outcome::Again] {
            assert_eq!(outcome.to(asker), outcome);
        }
    }
    let table = [(false, false), (true, false), (false, true), (true, true)];
    assert_eq!(table.map(|(password, unstored)| Asker::new(password, unstored)), askers);
}

#[test]
fn from_the_second_failure_on_nobody_waits() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        let mut now = 1000;
        for (failures, back_off) in
            [1000u64, 2000, 4000, 8000, 16_000, 32_000, 32_000].into_iter().enumerate()
        {
            let lease = fetches(f.ask(7, now, AGE, owner(1), Some(1), Anybody));
            // Who tries again may try in vain: nobody stakes his time on it.
            let waits = failures < 2;
            let asked = if waits { Asked::Wait(lease.generation()) } else { Asked::Alone(Alone::Failing) };
            assert_eq!(f.ask(7, now, AGE, owner(2), Some(2), Anybody), asked);
            assert_eq!(numbers(f.end(lease, Outcome::Failed, now)).len(), usize::from(waits));
            assert_eq!(f.refresh(7, now + back_off - 1, AGE, owner(1), Anybody), None);
            if failures == 0 {
                // An accident: one more tries for all.
                continue;
            }
            assert_eq!(
                f.ask(7, now + back_off - 1, AGE, owner(2), Some(2), Anybody),
                Asked::Alone(Alone::Failing)
            );
            now += back_off;
        }
        // A success makes all good again.
        let lease = fetches(f.ask(7, now, AGE, owner(1), Some(1), Anybody));
        let _ = f.end(lease, Outcome::Stored, now);
        let lease = fetches(f.ask(7, now, AGE, owner(1), Some(1), Anybody));
        let _ = f.end(lease, Outcome::Failed, now);
        fetches(f.ask(7, now, AGE, owner(1), Some(1), Anybody));
    });
}

#[test]
fn who_leaves_says_nothing_of_the_origin() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        for _ in 0..5 {
            let lease = fetches(f.ask(7, 1000, AGE, owner(1), Some(1), Anybody));
            assert_eq!(f.ask(7, 1000, AGE, owner(2), Some(2), Anybody), Asked::Wait(lease.generation()));
            assert_eq!(numbers(f.end(lease, Outcome::Abandoned, 1000)), [2]);
        }
    });
}

#[test]
fn one_refreshes_and_a_miss_waits_for_it() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        let lease = f.refresh(7, 1000, AGE, owner(1), Anybody).unwrap();
        assert_eq!(f.refresh(7, 1001, AGE, owner(1), Anybody), None);
        assert_eq!(f.ask(7, 1001, AGE, owner(2), Some(2), Anybody), Asked::Wait(lease.generation()));
        assert_eq!(numbers(f.end(lease, Outcome::Failed, 1002)), [2]);
        assert_eq!(f.refresh(7, 2001, AGE, owner(1), Anybody), None);
        let lease = f.refresh(7, 2002, AGE, owner(1), Anybody).unwrap();
        // A fetch keeps a refresh away as well; one that is too old is overtaken.
        let newer = f.refresh(7, 2002 + AGE, AGE, owner(3), Anybody).unwrap();
        assert_eq!(numbers(f.end(lease, Outcome::Failed, 2003 + AGE)), [0; 0]);
        assert_eq!(f.ask(7, 2003 + AGE, AGE, owner(2), Some(2), Anybody), Asked::Wait(newer.generation()));
    });
}

#[test]
fn an_old_fetch_is_overtaken_by_one_other() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        let old = fetches(f.ask(7, 1000, AGE, owner(1), Some(1), Anybody));
        assert_eq!(f.ask(7, 1000 + AGE - 1, AGE, owner(2), Some(2), Anybody), Asked::Wait(old.generation()));
        let new = fetches(f.ask(7, 1000 + AGE, AGE, owner(3), Some(3), Anybody));
        assert_eq!(f.ask(7, 1000 + AGE, AGE, owner(4), Some(4), Anybody), Asked::Wait(new.generation()));
        assert_eq!(f.watch(7, old.generation(), 2), None);
        // The old one's failure is nobody's business, its page everybody's.
        assert_eq!(numbers(f.end(old, Outcome::Failed, 40_000)), [0; 0]);
        assert_eq!(numbers(f.end(old, Outcome::Stored, 40_000)), [2, 4]);
        let watched = f.watch(7, new.generation(), 4).unwrap();
        assert_eq!((watched.started_ms, watched.pid), (1000 + AGE, owner(3).pid));
        assert_eq!(numbers(f.end(new, Outcome::Stored, 40_001)), [4]);
        // That of nobody brings news, too.
        let lease = fetches(f.ask(7, 50_000, AGE, owner(1), Some(1), Anybody));
        assert_eq!(f.ask(7, 50_000, AGE, owner(2), Some(2), Anybody), Asked::Wait(lease.generation()));
        let nobody = Lease::of_nobody(7);
        assert!(!nobody.is_held());
        assert_eq!(numbers(f.end(nobody, UNSTORABLE, 50_000)), [0; 0]);
        assert_eq!(numbers(f.end(nobody, Outcome::Stored, 50_000)), [2]);
        assert!(f.watch(7, lease.generation(), 2).is_some());
    });
}

#[test]
fn the_fetches_of_a_dead_process_end() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        let dead: Vec<Lease> =
            (0..20).map(|n| fetches(f.ask(n << 33, 1000, AGE, owner(1), None, Anybody))).collect();
        let alive = fetches(f.ask(99 << 33, 1000, AGE, owner(2), None, Anybody));
        assert_eq!(f.ask(0, 1000, AGE, owner(3), Some(3), Anybody), Asked::Wait(dead[0].generation()));
        assert_eq!(
            f.ask(19 << 33, 1000, AGE, owner(4), Some(4), Anybody),
            Asked::Wait(dead[19].generation())
        );
        assert_eq!(f.ask(99 << 33, 1000, AGE, owner(5), Some(5), Anybody), Asked::Wait(alive.generation()));
        assert_eq!(numbers(f.give_up_all(1)), [3, 4]);
        assert_eq!(numbers(f.give_up_all(1)), [0; 0]);
        assert_eq!(f.ask(99 << 33, 1000, AGE, owner(5), Some(5), Anybody), Asked::Wait(alive.generation()));
        assert_eq!(numbers(f.give_up(99 << 33, dead[0].generation())), [0; 0]);
        assert_eq!(numbers(f.give_up(99 << 33, alive.generation())), [5]);
        fetches(f.ask(99 << 33, 1000, AGE, owner(5), Some(5), Anybody));
    });
}

#[test]
fn a_full_set_has_nobody_wait() {
    let scene = Scene::new(ZONE);
    scene.flights(|f| {
        // One set; the low bits tell keys apart.
        let leases: Vec<Lease> =
            (0..8).map(|n| fetches(f.ask(n, 1000, AGE, owner(1), None, Anybody))).collect();
        assert_eq!(f.ask(8, 1000, AGE, owner(1), Some(1), Anybody), Asked::Alone(Alone::Full));
        assert_eq!(f.refresh(8, 1000, AGE, owner(1), Anybody), None);
        // What is only remembered makes room, the one first that ends first.
        for (n, lease) in leases.iter().enumerate() {
            let _ = f.end(*lease, Outcome::Unstorable { for_ms: 5000 - n as u64, to: Anybody }, 1000);
        }
        fetches(f.ask(8, 1001, AGE, owner(1), Some(1), Anybody));
        fetches(f.ask(7, 1001, AGE, owner(1), Some(1), Anybody));
        assert_eq!(f.ask(5, 1001, AGE, owner(1), Some(1), Anybody), Asked::Alone(Alone::Unstorable));
    });
}

#[test]
fn a_zone_of_any_size_has_room_for_fetches() {
    for (zone, room) in [(64 << 10, 64), (256 << 10, 64), (1 << 20, 256), (4 << 20, 1024), (1 << 30, 1024)] {
        let scene = Scene::new(zone);
        let taken = scene.flights(|f| {
            // Neighbours in the bits that choose the set.
            (0..2 * room)
                .filter(|n| matches!(f.ask(n << 32 | n, 1000, AGE, owner(1), None, Anybody), Asked::Fetch(_)))
                .count()
        });
        assert_eq!(taken as u64, room, "{zone}");
    }
}
