//! Targeted fields: structured, and read strictly.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::policy::{CacheControl, Facts, HeaderNames, MAX_LIFETIME, is_targeted};

const NAME: &[u8] = b"cdn-cache-control";

fn read(lines: &[&[u8]]) -> Option<CacheControl> {
    let names = HeaderNames::default();
    let mut facts = Facts::new(&names);
    for line in lines {
        facts.line(b"CDN-Cache-Control", line);
    }
    facts.targeted.read(NAME)
}

#[test]
fn what_they_say() {
    let nothing = CacheControl::default;
    let max_age = |n| CacheControl { max_age: Some(n), ..nothing() };
    let no_store = CacheControl { no_store: true, ..nothing() };
    let table: &[(&[&str], Option<CacheControl>, &str)] = &[
        (&["max-age=60"], Some(max_age(60)), "RFC 9213 2.1"),
        (&["max-age=60, s-maxage=5"], Some(CacheControl { s_maxage: Some(5), ..max_age(60) }), ""),
        (&["max-age=1", "max-age=60"], Some(max_age(60)), "RFC 9651 4.2: one field, the last of a key"),
        (&["no-store"], Some(no_store.clone()), ""),
        (&["no-store=1"], Some(no_store.clone()), "what forbids is heard"),
        (&["no-store=?0"], Some(nothing()), ""),
        (&["private=\"a\""], Some(CacheControl { private: true, ..nothing() }), "the whole"),
        (&["public=1"], Some(nothing()), "what permits must be right"),
        (&["public"], Some(CacheControl { public: true, ..nothing() }), ""),
        (&["max-age=60;x=1, foo=(a b)"], Some(max_age(60)), "parameters and others are ignored"),
        (&["max-age=\"60\""], Some(nothing()), "RFC 9213 2.1: not of its type"),
        (&["max-age=60.5"], Some(nothing()), ""),
        (&["max-age=-1"], Some(nothing()), ""),
        (&["max-age=999999999999999"], Some(max_age(MAX_LIFETIME)), "saturates"),
        (&["max-age=9999999999999999"], None, "RFC 9651 3.3.1: 15 digits"),
        (&[""], None, "RFC 9213 2.1: empty"),
        (&["MAX-AGE=60"], None, "RFC 9651 3.1.2: keys are in lower case"),
        (&["max-age=60,"], None, "RFC 9651 4.2.2: a comma at the end"),
        (&["max-age = 60"], None, "no space there"),
        (&["max-age=60; no-store "], Some(max_age(60)), "a parameter"),
        (&["max-age=60 no-store"], None, ""),
        (&["max-age=60", "&"], None, "as a whole"),
        (&["max-age='60'"], None, ""),
    ];
    for (lines, expected, section) in table {
        let bytes: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        assert_eq!(read(&bytes), *expected, "{lines:?} {section}");
    }
    assert_eq!(read(&[]), None);
}

#[test]
fn by_their_names() {
    for name in ["cdn-cache-control", "x-cache-control"] {
        assert!(is_targeted(name.as_bytes()), "{name}");
    }
    for name in ["cache-control", "-cache-control", "surrogate-control", "cdn-cache-controls"] {
        assert!(!is_targeted(name.as_bytes()), "{name}");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_line_ends_the_reader(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let said = read(&lines).unwrap_or_default();
        for seconds in [said.max_age, said.s_maxage].into_iter().flatten() {
            prop_assert!(seconds <= MAX_LIFETIME);
        }
    }
}
