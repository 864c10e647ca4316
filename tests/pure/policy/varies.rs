//! What an answer says it varies by, and the one line that tells it to other caches.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::policy::{Facts, HeaderNames, Varies, Withheld};
use twice_core::variants::{Dimension, Dimensions, MAX_DIMENSIONS, MAX_NAME};

use Dimension::{AbTest, AbValues, Cookie, Geo, Header, Language};

fn gathered(names: &HeaderNames, lines: &[(&str, &str)]) -> Varies {
    let mut facts = Facts::new(names);
    for (name, value) in lines {
        facts.line(name.as_bytes(), value.as_bytes());
    }
    facts.varies
}

fn varies(lines: &[(&str, &str)]) -> Varies {
    gathered(&HeaderNames::default(), lines)
}

fn set(all: &[Dimension<'_>]) -> Dimensions {
    let mut set = Dimensions::default();
    for dimension in all {
        set.add(*dimension).unwrap();
    }
    set
}

#[test]
fn names_over_several_lines_in_any_case_are_gathered_once() {
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [Dimension<'a>]);
    let table: &[Row<'_>] = &[
        (&[], &[]),
        (&[("Twice-Cookies", "a,b")], &[Cookie(b"a"), Cookie(b"b")]),
        (
            &[("Twice-Cookies", " a , ,b,"), ("twice-cookies", "b,c")],
            &[Cookie(b"a"), Cookie(b"b"), Cookie(b"c")],
        ),
        // Names of cookies have a case.
        (&[("Twice-Cookies", "a,A")], &[Cookie(b"a"), Cookie(b"A")]),
        (&[("Vary", "Origin, X-Own"), ("VARY", "origin,x-OWN")], &[Header(b"origin"), Header(b"x-own")]),
        (
            &[("Vary", "Cookie, Authorization, User-Agent")],
            &[Header(b"cookie"), Header(b"authorization"), Header(b"user-agent")],
        ),
        // What the origin is never sent.
        (&[("Vary", "Accept-Encoding, Range, If-None-Match, Pragma, Cache-Control")], &[]),
        (&[("Vary", "Twice, X-Mark-Dirty, X-Twice-Control")], &[]),
        (&[("Vary", "x-geo, X-ABValue")], &[Geo, AbValues]),
        (&[("X-ABDependency", "t, u")], &[AbTest(b"t"), AbTest(b"u")]),
        (&[("Vary", "Accept-Language")], &[Header(b"accept-language")]),
    ];
    for (lines, expected) in table {
        let varies = varies(lines);
        assert!(!varies.is_beyond(), "{lines:?}");
        assert_eq!(varies.dimensions(false, &Withheld::default()), set(expected), "{lines:?}");
        assert_eq!(varies.is_empty(), expected.is_empty());
    }
}

#[test]
fn where_languages_are_negotiated_the_outcome_counts() {
    let varies = varies(&[("Vary", "Accept-Language, Origin")]);
    assert_eq!(varies.dimensions(true, &Withheld::default()), set(&[Language, Header(b"origin")]));
}

#[test]
fn a_header_that_was_renamed_is_another() {
    let mut names = HeaderNames::default();
    names.set("geo", "X-Land").unwrap();
    let varies = gathered(&names, &[("Vary", "X-Land, X-Geo")]);
    assert_eq!(varies.dimensions(false, &Withheld::default()), set(&[Geo, Header(b"x-geo")]));
}

#[test]
fn what_can_not_be_told_is_beyond() {
    let many: Vec<String> = (0..=MAX_DIMENSIONS).map(|n| format!("c{n}")).collect();
    let long = "x".repeat(MAX_NAME + 1);
    let longest = "x".repeat(MAX_NAME);
    let table: &[(&str, &str, bool)] = &[
        ("Vary", "*", true),
        ("Vary", "*, foo", true),
        ("Vary", "Accept-Encoding,*", true),
        ("Vary", "Accept-Encoding Cookie", true),
        ("Vary", "a\u{e9}", true),
        ("Vary", &long, true),
        ("Vary", &longest, false),
        ("Twice-Cookies", "*", true),
        ("Twice-Cookies", "lang; user", true),
        ("Twice-Cookies", "lang user", true),
        ("Twice-Cookies", "\"lang\"", true),
        ("Twice-Cookies", "lang=de", true),
        ("Twice-Cookies", "lang, user\u{1}", true),
        ("Twice-Cookies", "a[b], c:d@e/f, \u{e9}, **", false),
        ("Twice-Cookies", &long, true),
        ("Twice-Cookies", &longest, false),
        ("Twice-Cookies", &many.join(","), true),
        ("Twice-Cookies", &many[1..].join(","), false),
        ("Vary", &"X-Long, ".repeat(2000), false),
    ];
    for (name, value, beyond) in table {
        assert_eq!(varies(&[(name, value)]).is_beyond(), *beyond, "{name}: {value}");
    }
}

#[test]
fn one_line_tells_it_to_other_caches() {
    type Row<'a> = (&'a [&'a str], &'a [Dimension<'a>], Option<&'a str>);
    let table: &[Row<'_>] = &[
        (&[], &[], None),
        (&["Accept-Encoding"], &[], None),
        (&["Origin"], &[Header(b"origin")], None),
        (&[], &[Cookie(b"a"), Cookie(b"b")], Some("Cookie")),
        (&[], &[AbTest(b"t")], Some("Cookie")),
        (&[], &[Language], Some("Accept-Language")),
        (&["Accept-Language"], &[Language], None),
        (
            &["Accept-Encoding, Origin"],
            &[Header(b"origin"), Cookie(b"a")],
            Some("Accept-Encoding, Origin, Cookie"),
        ),
        (&["Origin", "origin, X-Own"], &[Header(b"origin"), Header(b"x-own")], Some("Origin, X-Own")),
        (&["cookie"], &[Header(b"cookie"), Cookie(b"a")], None),
        // What another answer of the page said.
        (&[], &[Header(b"origin")], Some("origin")),
        (&["X-Geo"], &[Geo], None),
        (&[], &[Geo], Some("X-Geo")),
        // It says all already.
        (&["*"], &[Cookie(b"a")], None),
        (&["Origin", "*"], &[Cookie(b"a")], None),
    ];
    let names = HeaderNames::default();
    for (lines, dimensions, expected) in table {
        let lines: Vec<_> = lines.iter().map(|value| ("Vary", *value)).collect();
        let line = varies(&lines).line(&set(dimensions), &names);
        let line = line.map(|line| String::from_utf8(line).unwrap());
        assert_eq!(line.as_deref(), *expected, "{lines:?} {dimensions:?}");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn whatever_is_said_is_bounded(lines in prop::collection::vec((0..3usize, prop::collection::vec(any::<u8>(), 0..600)), 0..40)) {
        let names = HeaderNames::default();
        let mut facts = Facts::new(&names);
        for (kind, value) in &lines {
            facts.line([b"Vary".as_slice(), b"Twice-Cookies", b"X-ABDependency"][*kind], value);
        }
        let dimensions = facts.varies.dimensions(true, &Withheld::default());
        prop_assert!(dimensions.len() <= MAX_DIMENSIONS);
        if let Some(line) = facts.varies.line(&dimensions, &names) {
            prop_assert!(line.len() < 16 << 10);
        }
    }
}
