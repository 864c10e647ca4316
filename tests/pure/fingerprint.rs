//! A page's own tag: one for each row of values, and no two rows alike.

use crate::property::cases;
use std::collections::HashMap;

use proptest::prelude::*;
use twice_core::conditional::is_tag;
use twice_core::fingerprint::{generation, tag};
use twice_core::page::{Head, Program};

fn text(row: &[Option<Vec<u8>>], of: u64) -> String {
    String::from_utf8(tag(of, row.iter().map(Option::as_deref)).to_vec()).unwrap()
}

/// Values that a naive joining would take for one another.
#[test]
fn rows_that_look_alike_differ() {
    let some = |text: &str| Some(text.as_bytes().to_vec());
    let long = |len: usize| Some(vec![b'x'; len]);
    let rows = [
        vec![],
        vec![None],
        vec![None, None],
        vec![some("")],
        vec![some(""), some("")],
        vec![some("ab")],
        vec![some("a"), some("b")],
        vec![some("ab"), some("")],
        vec![some(""), some("ab")],
        vec![some("\u{1}a")],
        vec![some("\0")],
        vec![None, some("a")],
        vec![some("a"), None],
        vec![long(119)],
        vec![long(120)],
        vec![long(126)],
        vec![long(253)],
        vec![long(254)],
        vec![long(255)],
        vec![long(256)],
        vec![long(70_000)],
        vec![long(70_001)],
        vec![long(100), long(100)],
        vec![long(200), some("")],
    ];
    let mut seen = HashMap::new();
    for of in [1, 2, u64::MAX] {
        for row in &rows {
            let tag = text(row, of);
            assert!(is_tag(tag.as_bytes()), "{tag}");
            assert_eq!(text(row, of), tag);
            let other = seen.insert(tag, (of, row.clone()));
            assert_eq!(other, None, "{of} {row:?}");
        }
    }
}

/// A page keeps its tag over restarts and on other machines.
#[test]
fn a_tag_is_the_same_everywhere() {
    assert_eq!(text(&[Some(b"Ann".to_vec()), None], 7), "\"87c60a3be8185980\"");
}

#[test]
fn a_generation_is_what_is_stored() {
    let head = Head { status: 200, content_type: b"text/html", etag: b"\"a\"", ..Head::default() };
    let program = Program { slots: b"s", code: b"c", ..Program::default() };
    let one = generation(&head, &program, b"text");
    assert_eq!(generation(&head, &program, b"text"), one);
    // Lines that say nothing of the bytes have no part in it.
    assert_eq!(
        generation(&Head { etag: b"\"b\"", cache_control: b"no-cache", ..head }, &program, b"text"),
        one
    );
    let others = [
        generation(&Head { status: 203, ..head }, &program, b"text"),
        generation(&Head { content_type: b"text/plain", ..head }, &program, b"text"),
        generation(&Head { charset: b"utf-8", ..head }, &program, b"text"),
        generation(&head, &Program { slots: b"t", ..program }, b"text"),
        generation(&head, &Program { code: b"d", ..program }, b"text"),
        generation(&head, &Program { slots: b"", code: b"sc", ..program }, b"text"),
        generation(&head, &program, b"Text"),
        generation(&head, &program, b""),
    ];
    for (n, other) in others.iter().enumerate() {
        assert!(*other != one && others.iter().skip(n + 1).all(|later| later != other), "{n}");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn other_values_have_another_tag(
        row in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..80)), 0..6),
        other in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..80)), 0..6),
        of in any::<u64>(),
    ) {
        prop_assert_eq!(text(&row, of) == text(&other, of), row == other);
        prop_assert!(text(&row, of) != text(&row, of.wrapping_add(1)));
    }
}
