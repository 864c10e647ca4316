//! `twice_heuristic`.

use twice_core::outcome::Reason::{self, CacheControl, NoLifetime, Status, ZeroLifetime};
use twice_core::policy::*;

use super::{Lines, rules, verdict};

#[test]
fn lifetimes_that_nobody_stated() {
    // 1000 s before NOW.
    let modified = ("Last-Modified", "Sun, 06 Nov 1994 08:32:57 GMT");
    let cc = |value| ("Cache-Control", value);
    let ten = Heuristic { percent: 10, max: 86_400 };
    type Row<'a> = (u16, Lines<'a>, Heuristic, Result<u64, Reason>, &'a str);
    let table: &[Row<'_>] = &[
        (200, &[modified], Heuristic::OFF, Err(NoLifetime), "off"),
        (200, &[modified], ten, Ok(100), "4.2.2"),
        (200, &[modified], Heuristic { percent: 100, max: 86_400 }, Ok(1000), ""),
        (200, &[modified], Heuristic { percent: 10, max: 30 }, Ok(30), "capped"),
        (200, &[], ten, Err(NoLifetime), "nothing to go by"),
        (200, &[("Last-Modified", "x")], ten, Err(NoLifetime), ""),
        (200, &[modified, cc("public")], ten, Ok(100), ""),
        (200, &[modified, cc("max-age=7")], ten, Ok(7), "4.2.2: not where one is stated"),
        (200, &[modified, ("Expires", "0")], ten, Err(ZeroLifetime), "4.2.2"),
        (200, &[modified, cc("no-store")], ten, Err(CacheControl), ""),
        (404, &[modified], ten, Ok(100), "RFC 9110 15.1"),
        (302, &[modified], ten, Err(NoLifetime), "RFC 9110 15.1: not by itself"),
        (302, &[modified, cc("public")], ten, Err(Status), "allowed, but not of twice_statuses"),
        (204, &[modified], ten, Err(Status), "not of twice_statuses"),
        (
            200,
            &[modified, ("Date", "Sun, 06 Nov 1994 08:48:37 GMT")],
            ten,
            Ok(34),
            "94 s, of which 60 are over",
        ),
        (200, &[("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")], ten, Err(ZeroLifetime), "just changed"),
        (200, &[("Last-Modified", "Sun, 06 Nov 1994 08:50:37 GMT")], ten, Err(NoLifetime), "in the future"),
    ];
    let none = Valid::default();
    for (status, lines, heuristic, expected, why) in table {
        let rules = Rules { heuristic: *heuristic, ..rules(&none) };
        assert_eq!(verdict(*status, lines, &rules).store, *expected, "{status} {lines:?} RFC 9111 {why}");
    }
    let all = Statuses::Any;
    let rules_of_all = Rules { heuristic: ten, statuses: &all, ..rules(&none) };
    assert_eq!(verdict(302, &[modified, cc("public")], &rules_of_all).store, Ok(100));
    assert_eq!(verdict(302, &[modified], &rules_of_all).store, Err(NoLifetime));
    assert_eq!(verdict(204, &[modified], &rules_of_all).store, Ok(100));
    // What the location says goes first.
    let mut valid = Valid::default();
    valid.add_default(50);
    assert_eq!(verdict(200, &[modified], &Rules { heuristic: ten, ..rules(&valid) }).store, Ok(50));
    assert_eq!(verdict(404, &[modified], &Rules { heuristic: ten, ..rules(&valid) }).store, Ok(100));
}

#[test]
fn shares_as_they_are_written() {
    for (word, expected) in [
        ("1%", Some(1)),
        ("10%", Some(10)),
        ("100%", Some(100)),
        ("0%", None),
        ("101%", None),
        ("10", None),
        ("%", None),
        ("+1%", None),
        ("1.5%", None),
        ("300%", None),
        ("off", None),
        ("", None),
    ] {
        assert_eq!(Heuristic::percent(word), expected, "{word}");
    }
}
