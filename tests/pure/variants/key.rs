//! No two of epoch, values and base key give one key.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::variants::{Value, VariantKey, values_of};

type Parts = (u64, Vec<Option<Vec<u8>>>, Vec<u8>);

fn values(parts: &Parts) -> Vec<Value<'_>> {
    parts.1.iter().map(|value| value.as_deref().map_or(Value::Absent, Value::Is)).collect()
}

fn key(parts: &Parts) -> Vec<u8> {
    let values = values(parts);
    let key = VariantKey { epoch: parts.0, values: &values, base: &parts.2 };
    let mut out = Vec::new();
    key.write(|piece| out.extend_from_slice(piece));
    assert_eq!(out.len(), key.len());
    assert!(!key.is_empty());
    out
}

fn parts(epoch: u64, values: &[Option<&str>], base: &str) -> Parts {
    let values = values.iter().map(|value| value.map(|value| value.as_bytes().to_vec())).collect();
    (epoch, values, base.as_bytes().to_vec())
}

#[test]
fn pairs_that_must_be_apart() {
    let long = "v".repeat(200);
    let table = [
        (parts(1, &[Some("a")], "b"), parts(2, &[Some("a")], "b"), "epoch"),
        (parts(1, &[None], "b"), parts(1, &[Some("")], "b"), "absent and empty"),
        (parts(1, &[Some("a")], "b"), parts(1, &[Some("A")], "b"), "case"),
        (parts(1, &[Some("a"), None], "b"), parts(1, &[None, Some("a")], "b"), "whose value it is"),
        (parts(1, &[Some("ab"), Some("c")], "b"), parts(1, &[Some("a"), Some("bc")], "b"), "cut elsewhere"),
        (parts(1, &[Some("a")], "bc"), parts(1, &[Some("ab")], "c"), "value and base"),
        (parts(1, &[Some("a"), Some("b")], "c"), parts(1, &[Some("a")], "\u{2}bc"), "count"),
        (parts(1, &[Some(&long)], "b"), parts(1, &[Some(&long[1..])], "vb"), "a long value"),
    ];
    for (one, other, what) in table {
        assert_ne!(key(&one), key(&other), "{what}");
    }
}

#[test]
fn a_page_has_no_variants_key() {
    for base in ["http://a.example/", "https://a/\0\0\0", ""] {
        assert_eq!(values_of(base.as_bytes()).count(), 0);
        assert_ne!(key(&parts(1, &[], base)), base.as_bytes());
    }
}

/// Small alphabets, NUL and small numbers among them, so that pieces could pass for each other.
fn any_parts() -> impl Strategy<Value = Parts> {
    let bytes = |most| prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(b'a')], 0..most);
    let value = prop_oneof![3 => prop::option::of(bytes(4)), 1 => bytes(300).prop_map(Some)];
    (0..3u64, prop::collection::vec(value, 0..4), bytes(5))
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn one_key_is_one_variant(one in any_parts(), other in any_parts()) {
        prop_assert_eq!(key(&one) == key(&other), one == other);
    }

    #[test]
    fn a_key_tells_its_values(one in any_parts()) {
        let key = key(&one);
        let told: Vec<_> = values_of(&key).collect();
        prop_assert_eq!(told, values(&one));
    }

    #[test]
    fn any_key_can_be_asked(key in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert!(values_of(&key).count() <= key.len());
    }
}
