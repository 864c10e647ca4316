//! Which of a site's languages a visitor gets.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::language::{BadLanguages, Languages, MOST, is_well_formed};

fn negotiate(tags: &[&str], accept: &[u8]) -> String {
    Languages::parse(tags.iter().copied()).unwrap().negotiate(accept).tag.clone()
}

#[test]
fn language_tags() {
    // RFC 5646, appendix A, and what is none.
    for good in [
        "de",
        "fr",
        "en-US",
        "zh-Hant",
        "zh-cmn-Hans-CN",
        "cmn-Hans-CN",
        "sr-Latn-RS",
        "sl-rozaj-biske",
        "de-CH-1901",
        "sl-IT-nedis",
        "hy-Latn-IT-arevela",
        "es-419",
        "de-CH-x-phonebk",
        "az-Arab-x-AZE-derbend",
        "x-whatever",
        "qaa-Qaaa-QM-x-southern",
        "en-US-u-islamcal",
        "zh-CN-a-myext-x-private",
        "en-a-myext-b-another",
        "WWW",
        "abcdefgh",
    ] {
        assert!(is_well_formed(good), "{good}");
    }
    for bad in [
        "",
        "a",
        "1",
        "12",
        "-",
        "de-",
        "-de",
        "de--CH",
        "de_CH",
        "de-CH-",
        "de-a",
        "de-419-DE",
        "a-DE",
        "ar-a-aaa-b",
        "de-x",
        "x",
        "x-",
        "x-123456789",
        "abcdefghi",
        "d\u{e9}",
        "de CH",
        "*",
        "de-*",
        "en-us-toolongsubtag",
        "abcdefgh-abcdefgh-abcdefgh-abcdefgh1",
    ] {
        assert!(!is_well_formed(bad), "{bad}");
    }
}

#[test]
fn lists_of_languages() {
    let parse = |tags: &[&str]| Languages::parse(tags.iter().copied()).map(|_| ());
    assert_eq!(parse(&["en"]), Ok(()));
    assert_eq!(parse(&["en", "en-GB", "pt-BR"]), Ok(()));
    assert_eq!(parse(&[]), Err(BadLanguages::Count));
    assert_eq!(parse(&["en", "e"]), Err(BadLanguages::NoTag("e".to_owned())));
    assert_eq!(parse(&["en-GB", "EN-gb"]), Err(BadLanguages::Twice("EN-gb".to_owned())));
    let many: Vec<String> = (0..=MOST).map(|n| format!("x-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(parse(&many), Err(BadLanguages::Count));
    assert_eq!(parse(&many[1..]), Ok(()));
}

#[test]
fn the_language_that_a_visitor_gets() {
    const SITE: &[&str] = &["en", "de", "de-CH", "pt-BR", "zh-Hant", "sr-Latn"];
    const TABLE: &[(&str, &str, &str)] = &[
        ("", "en", "the first is the default"),
        ("de", "de", ""),
        ("DE", "de", "any case"),
        ("de-CH", "de-CH", ""),
        ("de-AT", "de", "RFC 4647 3.4: cut until it is found"),
        ("de-CH-1996", "de-CH", ""),
        ("zh-Hant-CN-x-private1-private2", "zh-Hant", "RFC 4647 3.4, its own example"),
        ("zh-Hant-x", "zh-Hant", ""),
        ("zh", "en", "a lookup gives nothing longer than what was asked for"),
        ("zh-Hans", "en", ""),
        ("pt", "en", "the same: who wants pt to be found lists it"),
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt-BR", ""),
        ("fr", "en", ""),
        ("fr, de", "de", "the next one"),
        ("fr, de;q=0.1", "de", ""),
        ("de;q=0.5, pt-BR;q=0.6", "pt-BR", "by weight"),
        ("pt-BR, de", "pt-BR", "of equals the first"),
        ("de, pt-BR", "de", ""),
        ("de-AT;q=0.9, pt-BR;q=0.8", "de", "each is cut before the next one's turn"),
        ("*", "en", "anything: the default"),
        ("*, de;q=0.1", "de", "RFC 4647 3.4: skipped where others follow"),
        ("de;q=0", "en", ""),
        ("en;q=0", "de", "RFC 9110 12.5.4: not acceptable"),
        ("en;q=0, *", "de", ""),
        ("*;q=0, de-CH", "de-CH", ""),
        ("*;q=0", "en", "all refused: somebody must be served something"),
        ("en;q=0, de;q=0", "pt-BR", "de-CH is refused by de"),
        ("de;q=0, de-CH", "de-CH", "the longer range says it of itself"),
        ("de-AT, de;q=0", "en", "cut to what is refused"),
        ("*;q=0, en", "en", ""),
        ("de;q=0.000", "en", ""),
        ("de;q=2", "de", "what is no weight is none given"),
        ("de;q=", "de", ""),
        ("de;x=y", "de", ""),
        (";q=1, de", "de", "no range"),
        (",,,de", "de", "RFC 9110 5.6.1"),
        ("de CH, de-CH", "de-CH", "no range"),
        ("-de, de", "de", ""),
        ("de-, pt-BR", "de", "cut at its last hyphen"),
        ("de--CH", "de", ""),
        ("<de>", "en", ""),
        ("d\u{e9}", "en", ""),
        ("abcdefgh-abcdefgh-abcdefgh-abcdefgh-x, de", "de", "too long"),
        ("sr-Latn-RS", "sr-Latn", ""),
        ("x-de", "en", ""),
        ("de-x-y", "de", ""),
    ];
    for (accept, expected, why) in TABLE {
        assert_eq!(negotiate(SITE, accept.as_bytes()), *expected, "{accept:?} {why}");
    }
}

#[test]
fn the_work_is_bounded() {
    assert_eq!(negotiate(&["en", "de"], ("fr,".repeat(100_000) + "de").as_bytes()), "en");
    assert_eq!(negotiate(&["en", "de"], &b"-".repeat(100_000)), "en");
    assert_eq!(negotiate(&["en", "de"], &b",".repeat(100_000)), "en");
}

/// RFC 4647 3.4 word by word, for headers without `*` and refusals.
fn naive(tags: &[String], ranges: &[(String, u32)]) -> String {
    let mut ranges: Vec<_> = ranges.iter().enumerate().collect();
    ranges.sort_by_key(|(at, (_, weight))| (1000 - weight, *at));
    for (_, (range, _)) in ranges {
        let mut parts: Vec<&str> = range.split('-').collect();
        while !parts.is_empty() {
            if let Some(tag) = tags.iter().find(|tag| tag.eq_ignore_ascii_case(&parts.join("-"))) {
                return tag.clone();
            }
            parts.pop();
            if parts.len() > 1 && parts.last().is_some_and(|part| part.len() == 1) {
                parts.pop();
            }
        }
    }
    tags[0].clone()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn it_is_one_of_the_sites(accept in prop::collection::vec(any::<u8>(), 0..200)) {
        let site = ["en", "de", "de-CH"];
        prop_assert!(site.contains(&negotiate(&site, &accept).as_str()));
    }

    #[test]
    fn what_looks_like_a_header_is_read_too(accept in "([a-cA-C]{2}|bbbb|\\*|-|,|;q=0|;q=0\\.[0-9]| ){0,20}") {
        let site = ["aa", "bb", "aa-bbbb", "aa-bbbb-cc"];
        prop_assert!(site.contains(&negotiate(&site, accept.as_bytes()).as_str()));
    }

    #[test]
    fn as_the_standard_says(
        tags in prop::collection::hash_set("(aa|bb)(-(cc|dd))?(-a-bb)?", 1..5),
        ranges in prop::collection::vec(("(aa|bb|AA)(-(cc|dd|c))?(-a)?(-(bb|b))?", 1..=1000u32), 0..6),
    ) {
        let tags: Vec<String> = tags.into_iter().collect();
        let header: Vec<_> =
            ranges.iter().map(|(range, q)| format!("{range};q={}.{:03}", q / 1000, q % 1000)).collect();
        let refs: Vec<&str> = tags.iter().map(String::as_str).collect();
        prop_assert_eq!(negotiate(&refs, header.join(", ").as_bytes()), naive(&tags, &ranges));
    }
}
