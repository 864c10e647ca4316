//! Values that a page waits for, against a model that is plainly right.

use proptest::prelude::*;
use std::collections::BTreeMap;
use twice_core::source::arriving::{Arriving, MAX_PAGE};
use twice_core::source::{Answer, Failure, MAX_VALUE};

#[test]
fn a_value_comes_once() {
    let mut values = Arriving::default();
    assert!(!values.is_pending());
    assert!(values.expect(3, 100) && values.expect(7, 100));
    assert!(values.is_pending() && values.awaits(3) && !values.awaits(4));
    assert!(values.came(3, Answer::Value(b"one")));
    assert!(!values.came(3, Answer::Value(b"two")), "it came before");
    assert!(!values.came(4, Answer::Value(b"two")), "nobody waits for it");
    assert_eq!(values.value(3), Some(&b"one"[..]));
    assert!(values.is_pending() && !values.awaits(3));
    assert!(values.came(7, Answer::Value(b"")));
    assert!(!values.is_pending());
    assert_eq!(values.values().collect::<Vec<_>>(), [(3, &b"one"[..]), (7, &b""[..])]);
}

#[test]
fn what_does_not_come() {
    let mut values = Arriving::default();
    for slot in 0..4 {
        assert!(values.expect(slot, 100 + slot as u64));
    }
    assert!(values.came(0, Answer::Missing));
    assert!(values.came(1, Answer::Failed(Failure::Closed)));
    assert_eq!(values.find_late(101), (false, Some(1)));
    assert_eq!(values.find_late(102), (true, Some(1)));
    // Late is late.
    assert!(!values.came(2, Answer::Value(b"late")));
    values.give_up(Failure::Busy);
    assert!(!values.is_pending());
    let failures: Vec<_> = (0..5).map(|slot| values.failure(slot)).collect();
    assert_eq!(failures, [None, Some(Failure::Closed), Some(Failure::Timeout), Some(Failure::Busy), None]);
    assert_eq!(values.values().count(), 0);
}

#[test]
fn a_clock_that_wraps_around() {
    let mut values = Arriving::default();
    assert!(values.expect(0, u64::MAX.wrapping_add(50)));
    assert_eq!(values.find_late(u64::MAX - 10), (false, Some(60)));
    assert_eq!(values.find_late(48), (false, Some(1)));
    assert_eq!(values.find_late(49), (true, None));
}

#[test]
fn slots_rise() {
    let mut values = Arriving::default();
    assert!(values.expect(5, 0));
    assert!(!values.expect(5, 0) && !values.expect(4, 0));
    assert!(values.expect(6, 0));
}

#[test]
fn values_of_a_page_have_a_bound() {
    let large = vec![b'x'; MAX_VALUE + 1];
    let most = &large[..MAX_VALUE];
    let mut values = Arriving::default();
    for slot in 0..7 {
        values.expect(slot, 100);
    }
    values.came(0, Answer::Value(&large));
    for slot in 1..=MAX_PAGE / MAX_VALUE {
        values.came(slot, Answer::Value(most));
        assert_eq!(values.value(slot).map(<[u8]>::len), Some(MAX_VALUE));
    }
    values.came(5, Answer::Value(b"1"));
    values.came(6, Answer::Value(b""));
    let failures = [0, 5, 6].map(|slot| values.failure(slot));
    assert_eq!(failures, [Some(Failure::TooLarge), Some(Failure::TooLarge), None]);
    assert!(!values.is_pending());
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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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
                    prop_assert_eq!(values.expect(slot, until), rises);
                    if rises {
                        model.insert(slot, Err(until));
                    }
                }
                Step::Came(slot, value) => {
                    let awaited = matches!(model.get(&slot), Some(Err(_)));
                    let answer = value.as_deref().map_or(Answer::Missing, Answer::Value);
                    prop_assert_eq!(values.came(slot, answer), awaited);
                    if awaited {
                        model.insert(slot, Ok(Ok(value)));
                    }
                }
                Step::Failed(slot) => {
                    let awaited = matches!(model.get(&slot), Some(Err(_)));
                    prop_assert_eq!(values.came(slot, Answer::Failed(Failure::Protocol)), awaited);
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
                    prop_assert_eq!(values.find_late(now), (!late.is_empty(), next));
                }
                Step::GiveUp => {
                    values.give_up(Failure::Busy);
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
