//! A fragment on its way, and what all of them may take.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::include::{Budget, Failure, Fragment, MAX_BYTES, MAX_DEPTH, MAX_FRAGMENTS, Sign};

/// What a sub-request does.
#[derive(Clone, Debug)]
enum Step {
    Header(u16, bool, Option<u64>),
    Feed(Vec<u8>),
    Last,
    End,
    Late,
}

fn run(fragment: &mut Fragment, budget: &mut Budget, step: &Step) {
    match step {
        Step::Header(status, encoded, length) => fragment.header(*status, *encoded, *length, budget),
        Step::Feed(piece) => fragment.feed(piece, budget),
        Step::Last => fragment.last(),
        Step::End => fragment.end(budget),
        Step::Late => fragment.fail(Failure::Late, budget),
    }
}

fn outcome(steps: &[Step]) -> (Option<Vec<u8>>, Option<Failure>) {
    let mut fragment = Fragment::new(10);
    let mut budget = Budget::default();
    for step in steps {
        run(&mut fragment, &mut budget, step);
    }
    assert_eq!(fragment.is_pending(), fragment.bytes().is_none() && fragment.failure().is_none());
    (fragment.bytes().map(<[u8]>::to_vec), fragment.failure())
}

#[test]
fn what_counts_as_one_that_came() {
    use Step::*;
    let good = |length| Header(200, false, length);
    let feed = |text: &str| Feed(text.into());
    let came = |text: &str| (Some(text.as_bytes().to_vec()), None);
    let failed = |why| (None, Some(why));
    for (steps, expected) in [
        (vec![], (None, None)),
        (vec![good(None), feed("abc"), Last], (None, None)),
        (vec![good(None), feed("ab"), feed("c"), Last, End], came("abc")),
        (vec![good(Some(3)), feed("abc"), Last, End], came("abc")),
        (vec![good(None), feed("0123456789"), Last, End], came("0123456789")),
        (vec![good(None), Last, End], came("")),
        // nginx ends an empty file without a last buffer.
        (vec![good(Some(0)), End], came("")),
        (vec![good(None), feed("abc"), End], failed(Failure::Incomplete)),
        (vec![good(Some(4)), feed("abc"), Last, End], failed(Failure::Incomplete)),
        (vec![good(Some(2)), feed("abc"), Last, End], failed(Failure::Incomplete)),
        (vec![End], failed(Failure::NoAnswer)),
        (vec![Last, End], failed(Failure::NoAnswer)),
        (vec![Header(404, false, Some(3))], failed(Failure::Status(404))),
        (vec![Header(204, false, None), Last, End], failed(Failure::Status(204))),
        (vec![Header(206, false, None), feed("a"), Last, End], failed(Failure::Status(206))),
        (vec![Header(200, true, None), feed("a"), Last, End], failed(Failure::Encoded)),
        (vec![good(Some(11))], failed(Failure::TooLarge)),
        (vec![good(None), feed("0123456789"), feed("0"), Last, End], failed(Failure::TooLarge)),
        (vec![good(None), feed("abc"), Late, feed("d"), Last, End], failed(Failure::Late)),
        // What was said to be there stays.
        (vec![good(None), feed("abc"), Last, End, Late, feed("d"), good(Some(99)), End], came("abc")),
    ] {
        assert_eq!(outcome(&steps), expected, "{steps:?}");
    }
}

#[test]
fn a_request_has_its_bounds() {
    let mut budget = Budget::default();
    assert_eq!(budget.take(MAX_DEPTH), Err(Failure::TooDeep));
    for n in 0..MAX_FRAGMENTS {
        assert_eq!(budget.take(n % MAX_DEPTH), Ok(()));
    }
    assert_eq!(budget.take(0), Err(Failure::TooMany));
    // All fragments together.
    let mut fragments: Vec<_> = (0..3).map(|_| Fragment::new(MAX_BYTES)).collect();
    let half = vec![b'x'; MAX_BYTES / 2];
    for fragment in &mut fragments {
        fragment.header(200, false, None, &mut budget);
        fragment.feed(&half, &mut budget);
    }
    let failures: Vec<_> = fragments.iter().map(Fragment::failure).collect();
    assert_eq!(failures, [None, None, Some(Failure::TooLarge)]);
    // One that fails gives back what it had.
    fragments[0].fail(Failure::Late, &mut budget);
    let mut other = Fragment::new(MAX_BYTES);
    other.header(200, false, Some(half.len() as u64), &mut budget);
    other.feed(&half, &mut budget);
    other.last();
    other.end(&mut budget);
    assert_eq!(other.bytes().map(<[u8]>::len), Some(half.len()));
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![5 => Just(200u16), 1 => Just(404), 1 => Just(204)];
    prop_oneof![
        (status, prop::bool::weighted(0.1), prop::option::of(0..12u64))
            .prop_map(|(s, e, l)| Step::Header(s, e, l)),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(Step::Feed),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(Step::Feed),
        Just(Step::Last),
        Just(Step::End),
        Just(Step::Late),
    ]
}

proptest! {
    #![proptest_config(cases(256))]

    /// Whatever comes in whatever order: it is settled once, and has just the bytes that were fed before.
    #[test]
    fn it_is_settled_once(steps in prop::collection::vec(step(), 0..12)) {
        let mut fragment = Fragment::new(10);
        let mut budget = Budget::default();
        let mut fed = Vec::new();
        let mut settled = None;
        for step in &steps {
            if let (Step::Feed(piece), true) = (step, fragment.is_pending()) {
                fed.extend_from_slice(piece);
            }
            run(&mut fragment, &mut budget, step);
            let now = (fragment.bytes().map(<[u8]>::to_vec), fragment.failure());
            prop_assert!(now.0.is_none() || now.1.is_none());
            if let Some(before) = &settled {
                prop_assert_eq!(before, &now);
            } else if !fragment.is_pending() {
                prop_assert!(now.0.as_ref().is_none_or(|bytes| *bytes == fed && fed.len() <= 10));
                settled = Some(now);
            }
        }
    }
}

#[test]
fn what_an_answer_says_of_who_was_asked() {
    for status in [100, 201, 204, 302, 401, 403, 404, 410, 429, 499] {
        assert_eq!(Failure::Status(status).sign(), Sign::Works, "{status}");
    }
    for status in [500, 502, 503, 504, 599] {
        assert_eq!(Failure::Status(status).sign(), Sign::Fails, "{status}");
    }
    for (why, sign) in [
        (Failure::NoAnswer, Sign::Fails),
        (Failure::Incomplete, Sign::Fails),
        (Failure::Late, Sign::Fails),
        (Failure::Encoded, Sign::Works),
        (Failure::TooLarge, Sign::Works),
        (Failure::TooDeep, Sign::Nothing),
        (Failure::TooMany, Sign::Nothing),
        (Failure::NotAsked, Sign::Nothing),
        (Failure::PageTooLarge, Sign::Nothing),
        (Failure::NoMemory, Sign::Nothing),
    ] {
        assert_eq!(why.sign(), sign, "{why}");
    }
    // Who says that there is no value works.
    for status in [204, 404, 410] {
        assert_eq!(
            (Failure::Status(status).of_source(), Failure::Status(status).sign()),
            (None, Sign::Works)
        );
    }
}
