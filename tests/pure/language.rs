//! The visitor's language.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::language::{DEFAULT, matches, preferred};

#[test]
fn the_preferred_language() {
    const TABLE: &[(&str, &str, &str)] = &[
        ("", "en-us", "as in the original"),
        ("de", "de", ""),
        ("de-AT", "de-AT", "as it is written"),
        ("de, en", "de", "RFC 9110 12.5.4: the first of equals"),
        ("de;q=0.5, fr", "fr", "no weight is 1"),
        ("de;q=0.5, fr;q=0.8, en;q=0.7", "fr", ""),
        ("de;q=0.801, fr;q=0.8", "de", "three digits count"),
        ("de;q=0.8009, fr;q=0.8", "de", "the fourth does not"),
        ("de;q=0, fr;q=0.001", "fr", "RFC 9110 12.4.2: 0 is not acceptable"),
        ("de;q=0", "en-us", ""),
        ("de;q=0.000", "en-us", ""),
        ("*", "en-us", "names none"),
        ("*, de;q=0.5", "de", ""),
        (" de ; q=0.5 ,\tfr ; Q=0.9", "fr", "RFC 9110 5.6.3: optional white space"),
        ("de;q=1.000, fr", "de", ""),
        ("de;q=abc", "de", "what is no weight is none given"),
        ("de;level=1", "de", ""),
        (",,de,,", "de", "RFC 9110 5.6.1: empty elements"),
        ("d\u{e9}, fr;q=0.1", "fr", "no language tag"),
        ("<script>, fr;q=0.1", "fr", "no language tag"),
        ("-de, fr;q=0.1", "fr", "no language tag"),
        ("abcdefghijklmnopqrstuvwxyz-0123456789, fr;q=0.1", "fr", "too long for a language tag"),
        ("zh-Hant-TW", "zh-Hant-TW", ""),
    ];
    for (header, expected, why) in TABLE {
        let language = preferred(header.as_bytes());
        assert_eq!(String::from_utf8_lossy(language), *expected, "{header:?} {why}");
    }
}

#[test]
fn a_long_list_ends() {
    let list = "en;q=0.1,".repeat(10_000) + "de";
    assert_eq!(preferred(list.as_bytes()), b"en");
}

#[test]
fn ranges_cover_tags() {
    const TABLE: &[(&str, &str, bool)] = &[
        ("de", "de", true),
        ("DE", "de", true),
        ("de-AT", "de", true),
        ("de-at", "DE-AT", true),
        ("de", "de-AT", false),
        ("den", "de", false),
        ("d", "de", false),
        ("zh-hant-tw", "zh-hant", true),
        ("zh-hantx", "zh-hant", false),
        ("de", "", false),
    ];
    for (tag, range, expected) in TABLE {
        assert_eq!(matches(tag.as_bytes(), range.as_bytes()), *expected, "{tag} {range} RFC 4647 3.3.1");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn whatever_comes_it_is_a_tag(header in prop::collection::vec(any::<u8>(), 0..100)) {
        let tag = preferred(&header);
        prop_assert!(!tag.is_empty() && tag.len() <= 35);
        prop_assert!(tag.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'));
    }

    #[test]
    fn the_highest_weight_wins(weights in prop::collection::vec(0..=1000u32, 1..8)) {
        let header: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(n, weight)| format!("l{n};q={}.{:03}", weight / 1000, weight % 1000))
            .collect();
        let mut best = (0, String::from_utf8_lossy(DEFAULT).into_owned());
        for (n, &weight) in weights.iter().enumerate() {
            if weight > best.0 {
                best = (weight, format!("l{n}"));
            }
        }
        let header = header.join(",");
        prop_assert_eq!(preferred(header.as_bytes()), best.1.as_bytes());
    }
}
