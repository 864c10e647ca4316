//! Directive lists: what is read of a line, and what is odd about it.

use std::collections::BTreeSet;

use crate::property::cases;
use proptest::prelude::*;
use twice_core::policy::{CacheControl, Control, Lifetime, MAX_LIFETIME};

use Lifetime::{Malformed, Saturated};

#[test]
fn numbers_of_seconds() {
    const TABLE: &[(&str, Lifetime, &str)] = &[
        ("0", Lifetime::Seconds(0), "RFC 9111 1.2.2: delta-seconds"),
        ("1", Lifetime::Seconds(1), ""),
        ("060", Lifetime::Seconds(60), "leading zeros are digits"),
        ("2147483647", Lifetime::Seconds(2_147_483_647), ""),
        ("2147483648", Lifetime::Seconds(MAX_LIFETIME), "RFC 9111 1.2.2: 2^31 or the most that can be kept"),
        ("2147483649", Saturated, ""),
        ("4294967297", Saturated, "2^32 + 1: not 1"),
        ("9223372036854775808", Saturated, "2^63"),
        ("18446744073709551616", Saturated, "2^64: not 0"),
        ("10000000000000000000000", Saturated, "10^22"),
        ("", Malformed, ""),
        ("-1", Malformed, "no sign in delta-seconds"),
        ("+1", Malformed, ""),
        ("1.5", Malformed, ""),
        ("0x10", Malformed, ""),
        ("1e9", Malformed, ""),
        ("60s", Malformed, ""),
        ("6 0", Malformed, ""),
        ("abc", Malformed, ""),
        ("\u{661}", Malformed, "a digit, but not of ASCII"),
    ];
    for (text, expected, why) in TABLE {
        assert_eq!(Lifetime::parse(text.as_bytes()), *expected, "{text:?} {why}");
    }
}

#[test]
fn control_lines() {
    // Lines, lifetime, no-tags, what was odd.
    type Row = (&'static [&'static str], Option<u64>, bool, Option<Lifetime>);
    const TABLE: &[Row] = &[
        (&["max-age=60"], Some(60), false, None),
        (&["MAX-AGE=60"], Some(60), false, None),
        (&[" max-age = 60 "], Some(60), false, None),
        (&["max-age=\"60\""], Some(60), false, None),
        (&["max-age=\" 60 \""], Some(60), false, None),
        (&["max-age=60; no-tags"], Some(60), true, None),
        (&["max-age=60,no-tags"], Some(60), true, None),
        (&["no-tags", "max-age=60"], Some(60), true, None),
        (&["NO-TAGS=whatever"], None, true, None),
        (&[""], None, false, None),
        (&[";,;, ,"], None, false, None),
        (&["max-age=60", "max-age=30"], Some(30), false, None),
        (&["max-age=30, max-age=60"], Some(30), false, None),
        (&["x-max-age=60"], None, false, None),
        (&["max-age"], None, false, Some(Malformed)),
        (&["max-age="], None, false, Some(Malformed)),
        (&["max-age==60"], None, false, Some(Malformed)),
        (&["max-age=abc, no-tags"], None, true, Some(Malformed)),
        (&["max-age=abc, max-age=60"], Some(60), false, Some(Malformed)),
        (&["max-age=99999999999"], Some(MAX_LIFETIME), false, Some(Saturated)),
        (&["max-age=99999999999, max-age=60"], Some(60), false, Some(Saturated)),
        (&["a=\"x, max-age=5\", max-age=60"], Some(60), false, None),
        (&["a=\"never closed, max-age=60"], None, false, None),
    ];
    for (lines, max_age, no_tags, odd) in TABLE {
        let mut control = Control::default();
        let mut seen = None;
        for line in *lines {
            seen = control.add(line.as_bytes()).or(seen);
        }
        assert_eq!(
            control,
            Control { max_age: *max_age, no_tags: *no_tags, ..Control::default() },
            "{lines:?}"
        );
        assert_eq!(seen, *odd, "{lines:?}");
    }
}

#[test]
fn windows_are_read_from_both_headers() {
    // A line, both windows, what was odd.
    type Row = (&'static str, Option<u64>, Option<u64>, Option<Lifetime>);
    const TABLE: &[Row] = &[
        ("stale-while-revalidate=30, stale-if-error=600", Some(30), Some(600), None),
        ("Stale-While-Revalidate = \"30\"; max-age=1", Some(30), None, None),
        ("stale-if-error=0", None, Some(0), None),
        ("stale-while-revalidate=30, stale-while-revalidate=20", Some(20), None, None),
        ("stale-while-revalidate", None, None, Some(Malformed)),
        ("stale-if-error=-1", None, None, Some(Malformed)),
        ("stale-if-error=99999999999", None, Some(MAX_LIFETIME), Some(Saturated)),
    ];
    for (line, swr, sie, odd) in TABLE {
        let mut control = Control::default();
        assert_eq!(control.add(line.as_bytes()), *odd, "{line}");
        assert_eq!((control.stale_while_revalidate, control.stale_if_error), (*swr, *sie), "{line}");
        let mut cc = CacheControl::default();
        assert_eq!(cc.add(line.as_bytes()), *odd, "{line}");
        assert_eq!((cc.stale_while_revalidate, cc.stale_if_error), (*swr, *sie), "{line}");
    }
}

fn fields(names: &[&str]) -> BTreeSet<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

#[test]
fn cache_control_lines() {
    let nothing = CacheControl::default;
    let table = [
        ("", nothing(), "empty"),
        ("max-age=60", CacheControl { max_age: Some(60), ..nothing() }, "5.2.2.1"),
        ("s-maxage=60", CacheControl { s_maxage: Some(60), ..nothing() }, "5.2.2.10"),
        ("no-store", CacheControl { no_store: true, ..nothing() }, "5.2.2.5"),
        ("no-cache", CacheControl { no_cache: true, ..nothing() }, "5.2.2.4"),
        (
            "no-cache=\"set-cookie\"",
            CacheControl { fields: fields(&["set-cookie"]), ..nothing() },
            "5.2.2.4: without the field",
        ),
        ("private", CacheControl { private: true, ..nothing() }, "5.2.2.7"),
        (
            "private=\"x, Public\"",
            CacheControl { fields: fields(&["x", "public"]), ..nothing() },
            "5.2.2.7: the list is quoted",
        ),
        ("private=X", CacheControl { fields: fields(&["x"]), ..nothing() }, "5.2.2.7: a token"),
        (
            "private=x, no-cache=\"x, y\"",
            CacheControl { fields: fields(&["x", "y"]), ..nothing() },
            "5.2.2.7, 5.2.2.4",
        ),
        ("private, private=a", CacheControl { private: true, fields: fields(&["a"]), ..nothing() }, "4.2.1"),
        ("private=\"\"", CacheControl { private: true, ..nothing() }, "no field: all of it"),
        ("no-cache=", CacheControl { no_cache: true, ..nothing() }, "no field: all of it"),
        ("no-cache=\"a b\"", CacheControl { no_cache: true, ..nothing() }, "no name of a field: all of it"),
        ("private=\"Content-Type\"", CacheControl { private: true, ..nothing() }, "nothing without it"),
        ("public", CacheControl { public: true, ..nothing() }, "5.2.2.9"),
        ("must-revalidate", CacheControl { must_revalidate: true, ..nothing() }, "5.2.2.2"),
        ("proxy-revalidate", CacheControl { proxy_revalidate: true, ..nothing() }, "5.2.2.8"),
        ("must-understand", CacheControl { must_understand: true, ..nothing() }, "5.2.2.3"),
        ("no-transform", CacheControl { no_transform: true, ..nothing() }, "5.2.2.6"),
        ("x=\"a", CacheControl { broken: true, ..nothing() }, "never closed"),
        ("x=a\"", CacheControl { broken: true, ..nothing() }, "out of place"),
        ("a\"b, public", CacheControl { broken: true, public: true, ..nothing() }, "out of place"),
        (
            "x=\"a\"b, public",
            CacheControl { public: true, ..nothing() },
            "unknown ones may look as they like",
        ),
        (
            "PUBLIC , Max-Age=\"7\"",
            CacheControl { public: true, max_age: Some(7), ..nothing() },
            "5.2: any case, quotes",
        ),
        (
            "max-age=1, max-age=9",
            CacheControl { max_age: Some(1), ..nothing() },
            "4.2.1: the most restrictive one",
        ),
        (
            "immutable, extension=\"a;b\"",
            CacheControl { immutable: true, ..nothing() },
            "5.2.3: unknown ones are ignored",
        ),
    ];
    for (line, expected, section) in table {
        let mut cache_control = nothing();
        assert_eq!(cache_control.add(line.as_bytes()), None, "{line:?}");
        assert_eq!(cache_control, expected, "{line:?} RFC 9111 {section}");
    }
    let mut both = CacheControl::default();
    both.add(b"max-age=10");
    assert_eq!(both.lifetime(), Some(10));
    both.add(b"s-maxage=60");
    assert_eq!(both.lifetime(), Some(60), "RFC 9111 5.2.2.10: s-maxage overrides max-age");
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_line_ends_the_reader(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
        let (mut control, mut cache_control) = (Control::default(), CacheControl::default());
        for line in &lines {
            control.add(line);
            cache_control.add(line);
        }
        for seconds in [control.max_age, cache_control.max_age, cache_control.s_maxage].into_iter().flatten() {
            prop_assert!(seconds <= MAX_LIFETIME);
        }
    }

    #[test]
    fn any_number_is_read_or_saturates(digits in "[0-9]{1,40}") {
        let expected = digits.parse::<u128>().unwrap_or(u128::MAX).min(u128::from(MAX_LIFETIME));
        let mut control = Control::default();
        control.add(format!("max-age={digits}").as_bytes());
        prop_assert_eq!(control.max_age.map(u128::from), Some(expected));
    }

    #[test]
    fn spacing_case_and_order_do_not_matter(
        seconds in 0..=MAX_LIFETIME,
        spaces in "[ \t]{0,3}",
        separator in "[,;]",
        upper in any::<bool>(),
        first in any::<bool>(),
        quoted in any::<bool>(),
    ) {
        let name = if upper { "MAX-AGE" } else { "max-age" };
        let quote = if quoted { "\"" } else { "" };
        let age = format!("{spaces}{name}{spaces}={spaces}{quote}{seconds}{quote}{spaces}");
        let line = if first { format!("{age}{separator}no-tags") } else { format!("no-tags{separator}{age}") };
        let mut control = Control::default();
        prop_assert_eq!(control.add(line.as_bytes()), None);
        prop_assert_eq!(control, Control { max_age: Some(seconds), no_tags: true, ..Control::default() });
    }
}
