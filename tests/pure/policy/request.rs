//! What a client would rather have: directives of a request in, what a page is for it out.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::policy::{FOR_EVER, Freshness, Times, Wanted, Windows};

use Freshness::{Expired, Fresh, Stale};

/// The page was made at 1,000 s, is fresh for 100 s, stale for 50 s more.
const CREATED: u64 = 1_000_000;
const EXPIRES: u64 = 1_100_000;

fn wanted(cache_control: &[&str], pragma: &str) -> Wanted {
    let mut wanted = Wanted::default();
    cache_control.iter().for_each(|line| wanted.cache_control(line.as_bytes()));
    if !pragma.is_empty() {
        wanted.pragma(pragma.as_bytes());
    }
    wanted
}

#[test]
fn which_pages_will_do() {
    let soft = Windows { stale_s: 50, error_s: FOR_EVER };
    let hour = Windows { stale_s: 0, error_s: 3600 };
    let never = Windows { stale_s: 0, error_s: 0 };
    // What it says, the page's windows, the page's age in seconds, what it is for this client.
    let table: &[(&str, Windows, u64, Freshness, &str)] = &[
        ("", soft, 10, Fresh, "nothing said"),
        ("", soft, 110, Stale, ""),
        ("", soft, 151, Expired, ""),
        ("max-age=10", soft, 10, Fresh, "5.2.1.1"),
        ("max-age=10", soft, 11, Expired, "5.2.1.1"),
        ("max-age=0", soft, 0, Fresh, "5.2.1.1: made this very second"),
        ("max-age=0", soft, 1, Expired, "5.2.1.1"),
        ("max-age=1000", soft, 110, Expired, "5.2.1.1: no stale one, unless max-stale"),
        ("max-age=1000, max-stale", soft, 110, Stale, "5.2.1.1"),
        ("max-age=x", soft, 50, Fresh, "not a number: as if it were not there"),
        ("min-fresh=30", soft, 70, Fresh, "5.2.1.3"),
        ("min-fresh=30", soft, 71, Expired, "5.2.1.3"),
        ("min-fresh=30, min-fresh=60", soft, 50, Expired, "the most of them"),
        ("min-fresh=0", soft, 110, Expired, "5.2.1.3: fresh"),
        ("max-stale", soft, 110, Stale, "5.2.1.2"),
        ("max-stale", soft, 9999, Stale, "5.2.1.2: any"),
        ("max-stale=20", soft, 110, Stale, "5.2.1.2"),
        ("max-stale=20", soft, 121, Expired, "5.2.1.2: it would have been served"),
        ("max-stale=200", soft, 250, Stale, "5.2.1.2: it would not have been served"),
        ("max-stale=9999", hour, 3000, Stale, ""),
        ("max-stale=9999", hour, 3700, Expired, "4.2.4: beyond what the origin allows"),
        ("max-stale", never, 100, Expired, "4.2.4: must-revalidate"),
        ("max-stale=20, max-stale=10", soft, 111, Expired, "the least of them"),
        ("no-cache", soft, 0, Expired, "5.2.1.4"),
        ("no-cache, max-stale", soft, 110, Expired, "5.2.1.4"),
        ("foo, max-age=\"10\"", soft, 11, Expired, "any form"),
        ("MAX-AGE=10", soft, 11, Expired, "any case"),
    ];
    for (line, windows, age, expected, section) in table {
        let times = Times { expires_ms: EXPIRES, windows: *windows };
        let now = CREATED + age * 1000;
        assert_eq!(wanted(&[line], "").at(times, CREATED, now), *expected, "{line} {age} RFC 9111 {section}");
    }
}

#[test]
fn what_else_it_wants() {
    // Cache-Control lines, Pragma; anew, not stored, only a stored one.
    type Row<'a> = (&'a [&'a str], &'a str, bool, bool, bool, &'a str);
    let table: &[Row<'_>] = &[
        (&[], "", false, false, false, ""),
        (&["no-cache"], "", true, false, false, "5.2.1.4"),
        (&[], "no-cache", true, false, false, "5.4"),
        (&[], "x, No-Cache", true, false, false, "5.4"),
        (&[], "x", false, false, false, ""),
        (&["max-age=60"], "no-cache", false, false, false, "5.4: Cache-Control goes first"),
        (&[""], "no-cache", false, false, false, "5.4"),
        (&["no-store"], "", false, true, false, "5.2.1.5"),
        (&["only-if-cached"], "", false, false, true, "5.2.1.7"),
        (&["no-cache", "no-store; only-if-cached"], "", true, true, true, ""),
        (&["no-transform, x=\"no-cache\""], "", false, false, false, "5.2.1.6"),
    ];
    for (lines, pragma, anew, no_store, only_if_cached, section) in table {
        let wanted = wanted(lines, pragma);
        assert_eq!(
            (wanted.is_anew(), wanted.no_store, wanted.only_if_cached),
            (*anew, *no_store, *only_if_cached),
            "{lines:?} {pragma} RFC 9111 {section}"
        );
    }
}

#[test]
fn pragma_asks_anew_as_well() {
    let times = Times { expires_ms: EXPIRES, windows: Windows { stale_s: 50, error_s: FOR_EVER } };
    assert_eq!(wanted(&[], "no-cache").at(times, CREATED, CREATED), Expired);
    assert_eq!(wanted(&["max-age=5"], "no-cache").at(times, CREATED, CREATED), Fresh);
}

proptest! {
    #![proptest_config(cases(256))]

    /// Who says nothing gets what anybody gets; nobody gets a page that its origin does not allow to be stale.
    #[test]
    fn no_wish_makes_a_page_fresher(
        line in "((max-age|min-fresh|max-stale)=[0-9]{0,11}|max-stale|x)(, ?(max-age|min-fresh|max-stale)=[0-9]{1,4})?",
        expires in 0..u64::MAX, created in 0..u64::MAX, now in 0..u64::MAX, stale_s: u32, error_s: u32,
    ) {
        let times = Times { expires_ms: expires, windows: Windows { stale_s, error_s } };
        prop_assert_eq!(Wanted::default().at(times, created, now), times.at(now));
        let mut wanted = Wanted::default();
        wanted.cache_control(line.as_bytes());
        let got = wanted.at(times, created, now);
        prop_assert!(got != Fresh || times.at(now) == Fresh);
        if stale_s == 0 && error_s == 0 {
            prop_assert!(got != Stale);
        }
    }
}
