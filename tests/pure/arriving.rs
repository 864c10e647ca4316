//! Values that a page waits for, against a model that is plainly right.

use crate::property::cases;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use twice_core::source::arriving::{Arriving, Came, Kept, MAX_PAGE, Settled, Shelf};
use twice_core::source::{Answer, Failure, MAX_VALUE};

fn came(answer: Answer<'_>) -> Came {
    Came::of(answer, &Shelf::default())
}

fn value(value: &[u8]) -> Came {
    came(Answer::Value(value))
}

fn nobody(_: &()) {}

#[test]
fn a_value_comes_once() {
    let mut values = Arriving::default();
    assert!(!values.is_pending());
    assert!(values.expect(3, 100, ()) && values.expect(7, 100, ()));
    assert!(values.is_pending() && values.awaits(3) && !values.awaits(4));
    assert_eq!(values.came(3, &value(b"one")), Some(Settled::Value));
    assert_eq!(values.came(3, &value(b"two")), None, "it came before");
    assert_eq!(values.came(4, &value(b"two")), None, "nobody waits for it");
    assert_eq!(values.value(3), Some(&b"one"[..]));
    assert!(values.is_pending() && !values.awaits(3));
    assert_eq!(values.came(7, &value(b"")), Some(Settled::Value));
    assert!(!values.is_pending());
    assert_eq!(values.values().collect::<Vec<_>>(), [(3, &b"one"[..]), (7, &b""[..])]);
}

#[test]
fn what_does_not_come() {
    let mut values = Arriving::default();
    for slot in 0..4 {
        assert!(values.expect(slot, 100 + slot as u64, slot));
    }
    assert_eq!(values.came(0, &Came::Missing), Some(Settled::Missing));
    let closed = Failure::Closed;
    assert_eq!(values.came(1, &Came::Failed(closed)), Some(Settled::Failed(closed)));
    let told = Cell::new(None);
    let tell = |slot: &usize| told.set(Some(*slot));
    assert_eq!((values.find_late(101, tell), told.take()), ((false, Some(1)), None));
    assert_eq!((values.find_late(102, tell), told.take()), ((true, Some(1)), Some(2)));
    // Late is late.
    assert_eq!(values.came(2, &value(b"late")), None);
    values.give_up(Failure::Busy, tell);
    assert_eq!((values.is_pending(), told.take()), (false, Some(3)));
    let failures: Vec<_> = (0..5).map(|slot| values.failure(slot)).collect();
    assert_eq!(failures, [None, Some(Failure::Closed), Some(Failure::Timeout), Some(Failure::Busy), None]);
    assert_eq!(values.values().count(), 0);
}

#[test]
fn a_clock_that_wraps_around() {
    let mut values = Arriving::default();
    assert!(values.expect(0, u64::MAX.wrapping_add(50), ()));
    assert_eq!(values.find_late(u64::MAX - 10, nobody), (false, Some(60)));
    assert_eq!(values.find_late(48, nobody), (false, Some(1)));
    assert_eq!(values.find_late(49, nobody), (true, None));
}

#[test]
fn slots_rise() {
    let mut values = Arriving::default();
    assert!(values.expect(5, 0, ()));
    assert!(!values.expect(5, 0, ()) && !values.expect(4, 0, ()));
    assert!(values.expect(6, 0, ()));
}

#[test]
fn values_of_a_page_have_a_bound() {
    let large = vec![b'x'; MAX_VALUE + 1];
    let most = &large[..MAX_VALUE];
    let mut values = Arriving::default();
    for slot in 0..7 {
        values.expect(slot, 100, ());
    }
    values.came(0, &value(&large));
    for slot in 1..=MAX_PAGE / MAX_VALUE {
        values.came(slot, &value(most));
        assert_eq!(values.value(slot).map(<[u8]>::len), Some(MAX_VALUE));
    }
    values.came(5, &value(b"1"));
    values.came(6, &value(b""));
    let failures = [0, 5, 6].map(|slot| values.failure(slot));
    assert_eq!(failures, [Some(Failure::TooLarge), Some(Failure::TooLarge), None]);
    assert!(!values.is_pending());
}

#[test]
fn what_was_there_at_once_is_the_page_s_too() {
    let mut values = Arriving::default();
    for slot in 0..2 {
        values.expect(slot, 100, ());
    }
    assert_eq!(values.room(), MAX_VALUE);
    values.had(MAX_PAGE - 3);
    assert_eq!(values.room(), 3);
    assert_eq!(values.came(0, &value(b"four")), Some(Settled::Failed(Failure::TooLarge)));
    assert_eq!(values.came(1, &value(b"3 3")), Some(Settled::Value));
    assert_eq!(values.room(), 0);
}

#[test]
fn a_page_that_is_printed_keeps_nothing() {
    let shelf = Shelf::new(10);
    let came = |text: &[u8]| Came::of(Answer::Value(text), &shelf);
    let mut values = Arriving::default();
    for slot in 0..3 {
        values.expect(slot, 100, ());
    }
    values.came(0, &came(b"there"));
    assert_eq!((shelf.left(), values.value(0)), (5, Some(&b"there"[..])));
    values.close();
    assert_eq!((shelf.left(), values.value(0)), (10, None));
    // What comes is counted as ever.
    assert_eq!(values.came(1, &came(b"later")), Some(Settled::Value));
    assert_eq!((shelf.left(), values.value(1)), (10, None));
    assert!(values.is_pending() && values.find_late(100, nobody).0);
}

#[test]
fn pages_share_what_came_and_a_worker_has_a_bound() {
    let shelf = Shelf::new(10);
    let came = |text: &[u8]| Came::of(Answer::Value(text), &shelf);
    let mut pages: Vec<Arriving<()>> = (0..5).map(|_| Arriving::default()).collect();
    let shared = came(b"12345678");
    for page in &mut pages {
        page.expect(0, 100, ());
        page.expect(1, 100, ());
        page.came(0, &shared);
    }
    drop(shared);
    assert_eq!(shelf.left(), 2);
    assert_eq!(pages[0].came(1, &came(b"123")), Some(Settled::Failed(Failure::Busy)));
    assert_eq!(pages[1].came(1, &came(b"12")), Some(Settled::Value));
    assert_eq!((pages[4].value(0), shelf.left()), (Some(&b"12345678"[..]), 0));
    pages.remove(1);
    assert_eq!(shelf.left(), 2);
    drop(pages);
    assert_eq!(shelf.left(), 10);
    let kept: Option<Kept> = shelf.keep(b"0123456789");
    assert!(kept.is_some() && shelf.keep(b"0").is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Expect(usize, u64),
    Came(usize, Option<Vec<u8>>),
    Failed(usize),
    Late(u64),
    GiveUp,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_usize, 0..50_u64).prop_map(|(slot, until)| Step::Expect(slot, until)),
        4 => (0..12_usize, prop::option::of(prop::collection::vec(any::<u8>(), 0..4)))
            .prop_map(|(slot, value)| Step::Came(slot, value)),
        1 => (0..12_usize).prop_map(Step::Failed),
        2 => (0..50_u64).prop_map(Step::Late),
        1 => Just(Step::GiveUp),
    ]
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_order(steps in prop::collection::vec(step(), 0..40)) {
        type Settled = Result<Option<Vec<u8>>, Failure>;
        // Of each slot until when it is expected, or what came of it.
        let mut model: BTreeMap<usize, Result<Settled, u64>> = BTreeMap::new();
        let mut values = Arriving::default();
        for step in steps {
            match step {
                Step::Expect(slot, until) => {
                    let rises = model.keys().all(|&other| other < slot);
                    prop_assert_eq!(values.expect(slot, until, ()), rises);
                    if rises {
                        model.insert(slot, Err(until));
                    }
                }
                Step::Came(slot, value) => {
                    let awaited = matches!(model.get(&slot), Some(Err(_)));
                    let answer = value.as_deref().map_or(Answer::Missing, Answer::Value);
                    prop_assert_eq!(values.came(slot, &came(answer)).is_some(), awaited);
                    if awaited {
                        model.insert(slot, Ok(Ok(value)));
                    }
                }
                Step::Failed(slot) => {
                    let awaited = matches!(model.get(&slot), Some(Err(_)));
                    prop_assert_eq!(values.came(slot, &Came::Failed(Failure::Protocol)).is_some(), awaited);
                    if awaited {
                        model.insert(slot, Ok(Err(Failure::Protocol)));
                    }
                }
                Step::Late(now) => {
                    let late: Vec<usize> =
                        model.iter().filter(|(_, state)| matches!(state, Err(until) if *until <= now)).map(|(n, _)| *n).collect();
                    for slot in &late {
                        model.insert(*slot, Ok(Err(Failure::Timeout)));
                    }
                    let next = model.values().filter_map(|state| state.as_ref().err()).map(|until| until - now).min();
                    prop_assert_eq!(values.find_late(now, nobody), (!late.is_empty(), next));
                }
                Step::GiveUp => {
                    values.give_up(Failure::Busy, nobody);
                    for state in model.values_mut().filter(|state| state.is_err()) {
                        *state = Ok(Err(Failure::Busy));
                    }
                }
            }
            prop_assert_eq!(values.is_pending(), model.values().any(|state| state.is_err()));
            for slot in 0..12 {
                let state = model.get(&slot);
                prop_assert_eq!(values.awaits(slot), matches!(state, Some(Err(_))));
                let value = match state {
                    Some(Ok(Ok(value))) => value.as_deref(),
                    _ => None,
                };
                prop_assert_eq!(values.value(slot), value);
                let failure = match state {
                    Some(Ok(Err(why))) => Some(*why),
                    _ => None,
                };
                prop_assert_eq!(values.failure(slot), failure);
            }
        }
    }
}
