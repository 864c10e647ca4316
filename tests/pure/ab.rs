//! A visitor's values of A/B tests.

use crate::property::cases;
use std::collections::HashMap;

use proptest::prelude::*;
use twice_core::ab::{
    BadTest, ID_LEN, ID_RANDOM, MAX_ID, MAX_NAME, MOST, Test, is_id, make_id, values_room, write_values,
};

const VECTORS: &str = include_str!("../data/ab/vectors.txt");

fn test(name: &str, values: &[(String, u32)]) -> Test {
    let words: Vec<_> = values.iter().map(|(value, weight)| format!("{value}={weight}")).collect();
    Test::parse(name, words.iter().map(String::as_str)).unwrap()
}

/// Letters as values, with these weights.
fn letters(weights: &[u32]) -> Vec<(String, u32)> {
    weights.iter().zip('a'..).map(|(weight, letter)| (letter.to_string(), *weight)).collect()
}

fn ids(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("visitor{n}"))
}

#[test]
fn visitors_keep_their_values_for_good() {
    let rows = VECTORS.lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for row in rows {
        let [name, values, id, expected] = row.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let test = Test::parse(name, values.split(',')).unwrap();
        assert_eq!(test.value(id.as_bytes()), expected, "{row}");
        // The order of the configuration is none of a visitor's business.
        let turned = Test::parse(name, values.split(',').rev()).unwrap();
        assert_eq!(turned.value(id.as_bytes()), expected, "{row}");
        count += 1;
    }
    assert!(count >= 240, "{count} vectors");
}

#[test]
fn values_are_as_frequent_as_their_weights() {
    const IDS: usize = 50_000;
    let tables: &[&[u32]] = &[
        &[1, 1],
        &[50, 50],
        &[1, 2, 3, 4],
        &[90, 9, 1],
        &[0, 1, 1],
        &[7],
        &[1_000_000, 1_000_000, 500_000],
        &[1; 26],
    ];
    for (n, weights) in tables.iter().enumerate() {
        let values = letters(weights);
        let test = test(&format!("frequency{n}"), &values);
        let mut found: HashMap<&str, usize> = HashMap::new();
        let all: Vec<String> = ids(IDS).collect();
        for id in &all {
            *found.entry(test.value(id.as_bytes())).or_default() += 1;
        }
        let sum: u32 = weights.iter().sum();
        let mut chi_square = 0.0;
        let mut freedom = 0.0;
        for (value, weight) in &values {
            let found = found.get(value.as_str()).copied().unwrap_or(0) as f64;
            let expected = IDS as f64 * f64::from(*weight) / f64::from(sum);
            if *weight == 0 {
                assert_eq!(found, 0.0, "{value} of {weights:?}");
                continue;
            }
            chi_square += (found - expected).powi(2) / expected;
            freedom += 1.0;
        }
        // Mean and deviation of the distribution: five of them above is chance once in a million.
        let degrees: f64 = freedom - 1.0;
        assert!(chi_square <= degrees + 5.0 * (2.0 * degrees).sqrt(), "{weights:?}: {chi_square} {found:?}");
    }
}

#[test]
fn a_rare_value_is_as_rare_as_it_should_be() {
    let test = test("rare", &letters(&[999, 1]));
    let rare = ids(200_000).filter(|id| test.value(id.as_bytes()) == "b").count();
    assert!((130..=270).contains(&rare), "{rare} of 200");
}

#[test]
fn tests_are_independent_of_each_other() {
    let (one, other) = (test("one", &letters(&[1, 1])), test("other", &letters(&[1, 1])));
    let same = ids(20_000).filter(|id| one.value(id.as_bytes()) == other.value(id.as_bytes())).count();
    assert!((9_650..=10_350).contains(&same), "{same} of 20000");
}

#[test]
fn a_changed_weight_moves_no_more_visitors_than_it_must() {
    const IDS: usize = 40_000;
    let (before, after) = (test("move", &letters(&[50, 50])), test("move", &letters(&[50, 60])));
    let moved = ids(IDS).filter(|id| before.value(id.as_bytes()) != after.value(id.as_bytes())).count();
    // From a half to six elevenths: a share of 1/22.
    let least = IDS / 22;
    assert!((least * 9 / 10..=least * 11 / 10).contains(&moved), "{moved}, at least {least}");
}

#[test]
fn tests_that_are_refused() {
    let parse = |name: &str, words: &[&str]| Test::parse(name, words.iter().copied()).map(|_| ());
    let long = "x".repeat(MAX_NAME + 1);
    for name in ["", "a b", "a:b", "a,b", "a=b", "\u{e9}", "a.b", &long] {
        assert_eq!(parse(name, &["a=1"]), Err(BadTest::Name(name.to_owned())));
        if name != "a=b" {
            assert_eq!(parse("t", &["a=1", &format!("{name}=1")]), Err(BadTest::Name(name.to_owned())));
        }
    }
    for weight in ["", "-1", "+1", "1.5", "x", "1000001", "99999999999999999999", " 1", "1=1"] {
        let word = format!("a={weight}");
        assert_eq!(parse("t", &[&word]), Err(BadTest::Weight(word.clone())));
    }
    assert_eq!(parse("t", &["a"]), Err(BadTest::NoPair("a".to_owned())));
    assert_eq!(parse("t", &["a=1", "b=1", "a=2"]), Err(BadTest::Twice("a".to_owned())));
    assert_eq!(parse("t", &["a=0", "b=0"]), Err(BadTest::NoWeight));
    assert_eq!(parse("t", &[]), Err(BadTest::NoWeight));
    let many: Vec<String> = (0..=MOST).map(|n| format!("v{n}=1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(parse("t", &many), Err(BadTest::TooMany));
    assert_eq!(parse("t", &many[1..]), Ok(()));
    assert_eq!(parse("A_z-9", &["A_z-9=1000000", "b=0"]), Ok(()));
    assert_eq!(Test::parse("Price-1", ["a=1"]).unwrap().variable(), "price_1");
}

#[test]
fn the_app_is_told_all_values() {
    let tests = [test("one", &letters(&[1])), test("Two-2", &letters(&[0, 1]))];
    let mut text = Vec::new();
    write_values(&tests, b"id", |piece| text.extend_from_slice(piece));
    assert_eq!(String::from_utf8_lossy(&text), "one:a,Two-2:b");
    assert!(text.len() <= values_room(&tests));
}

#[test]
fn ids_of_clients() {
    let longest = "x".repeat(MAX_ID);
    for good in
        ["a", "0", "2b8d7Q", "b1946ac9-2492-4d23-8a1e-0c1d2e3f4a5b", "aGVsbG8+Lz8=", "a.b_c~d", &longest]
    {
        assert!(is_id(good.as_bytes()), "{good}");
    }
    let too_long = "x".repeat(MAX_ID + 1);
    for bad in ["", " ", "a b", "a\"b", "a\\b", "a,b", "a;b", "a\0b", "a\r\nb", "\u{e9}", "<a>", &too_long] {
        assert!(!is_id(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn ids_that_are_made() {
    assert_eq!(&make_id(&[0; ID_RANDOM]), &[b'0'; ID_LEN]);
    assert_eq!(&make_id(&[255; ID_RANDOM]), &[b'z'; ID_LEN]);
    // Each letter is there, about as often as any other.
    let mut count = HashMap::new();
    for number in 0..=u16::MAX {
        let [high, low] = number.to_be_bytes();
        let mut random = [0; ID_RANDOM];
        random[..2].copy_from_slice(&[high, low]);
        *count.entry(make_id(&random)[0]).or_insert(0) += 1;
    }
    assert_eq!(count.len(), 62);
    assert!(count.values().all(|n| (1057..=1058).contains(n)), "{count:?}");
}

/// The same with a logarithm in floating point.
fn naive(name: &str, values: &[(String, u32)], id: &[u8]) -> Option<String> {
    use siphasher::sip::SipHasher13;
    let draw = |value: &str, weight: u32| {
        let bytes = [name.as_bytes(), b"\0", value.as_bytes(), b"\0", id].concat();
        let hash = SipHasher13::new_with_key(b"Twice: A/B test.").hash(&bytes);
        -((hash | 1) as f64 / 2f64.powi(64)).ln() / f64::from(weight)
    };
    let mut draws: Vec<_> =
        values.iter().filter(|v| v.1 > 0).map(|(value, weight)| (draw(value, *weight), value)).collect();
    draws.sort_by(|one, other| one.0.total_cmp(&other.0));
    // Nothing is said where the two lie so near each other that rounding decides.
    let clear = draws.len() == 1 || draws[1].0 - draws[0].0 > draws[1].0 * 1e-9;
    clear.then(|| draws[0].1.clone())
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    let weight = prop_oneof![0..=3u32, 0..=1_000_000u32];
    prop::collection::vec(weight, 1..6).prop_filter("a weight", |all| all.iter().sum::<u32>() > 0)
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn as_the_logarithm_says(weights in weights(), id in "[0-9a-zA-Z]{1,30}", name in "[a-z]{1,5}") {
        let values = letters(&weights);
        if let Some(value) = naive(&name, &values, id.as_bytes()) {
            let made = test(&name, &values);
            prop_assert_eq!(made.value(id.as_bytes()), value);
        }
    }

    #[test]
    fn a_change_moves_visitors_to_or_from_what_was_changed(
        weights in weights(),
        at in any::<prop::sample::Index>(),
        weight in prop_oneof![0..=3u32, 0..=1_000_000u32],
        id in "[0-9a-zA-Z]{25}",
    ) {
        let before = letters(&weights);
        let at = at.index(before.len());
        let mut after = before.clone();
        after[at].1 = weight;
        prop_assume!(after.iter().any(|(_, weight)| *weight > 0));
        let (one, other) = (test("t", &before), test("t", &after));
        let (was, is) = (one.value(id.as_bytes()), other.value(id.as_bytes()));
        let (from, to) = if weight > before[at].1 { (is, was) } else { (was, is) };
        prop_assert!(was == is || from == before[at].0, "{was} {is}: {before:?} {after:?}");
        prop_assert!(was == is || to != before[at].0);
        // The same where the value is taken out, or was not there.
        let mut without = before.clone();
        without.remove(at);
        if without.iter().any(|(_, weight)| *weight > 0) {
            let left = test("t", &without);
            prop_assert!(left.value(id.as_bytes()) == was || was == before[at].0);
        }
    }

    #[test]
    fn any_id_has_a_value(weights in weights(), id in prop::collection::vec(any::<u8>(), 0..200)) {
        let values = letters(&weights);
        let made = test("t", &values);
        prop_assert!(values.iter().any(|(value, weight)| *weight > 0 && *value == made.value(&id)));
    }

    #[test]
    fn a_made_id_is_taken(random in prop::array::uniform32(any::<u8>())) {
        let mut bytes = [7; ID_RANDOM];
        bytes[..32].copy_from_slice(&random);
        let id = make_id(&bytes);
        prop_assert!(is_id(&id) && id.iter().all(u8::is_ascii_alphanumeric));
    }
}
