//! May it be stored, for how long, and does it have tags: headers in, decision out.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::outcome::{Reason, ReasonKind};
use twice_core::policy::*;

use super::{Lines, rules, verdict};

use Reason::{
    Authorization, CacheControl as ByCacheControl, ContentEncoding, NoLifetime, NoStore, SetCookie,
    Status as ByStatus, Varies, ZeroLifetime,
};

fn valid(rows: &[(&str, u64)]) -> Valid {
    let mut valid = Valid::default();
    for (code, seconds) in rows {
        if code.is_empty() {
            valid.add_default(*seconds);
        } else {
            valid.add(code, *seconds).unwrap();
        }
    }
    valid
}

#[test]
fn by_the_control_header() {
    type Row<'a> = (u16, Lines<'a>, Result<u64, Reason>);
    let control = |value| ("X-Twice-Control", value);
    let table: &[Row<'_>] = &[
        (200, &[control("max-age=60")], Ok(60)),
        (203, &[control("max-age=60")], Ok(60)),
        (204, &[control("max-age=60")], Ok(60)),
        (300, &[control("max-age=60")], Ok(60)),
        (301, &[control("max-age=60")], Ok(60)),
        (302, &[control("max-age=60")], Ok(60)),
        (308, &[control("max-age=60")], Ok(60)),
        (410, &[control("max-age=60")], Ok(60)),
        (200, &[control("max-age=0")], Err(ZeroLifetime)),
        (200, &[control("max-age=99999999999999")], Ok(MAX_LIFETIME)),
        (200, &[control("")], Err(NoLifetime)),
        (200, &[control("max-age=abc")], Err(NoLifetime)),
        // A missing page: 30 s, or less.
        (404, &[control("")], Ok(30)),
        (404, &[control("max-age=abc")], Ok(30)),
        (404, &[control("max-age=29")], Ok(29)),
        (404, &[control("max-age=600")], Ok(30)),
        (404, &[control("max-age=0")], Err(ZeroLifetime)),
        (404, &[], Err(NoLifetime)),
        // Statuses that it does not store.
        (303, &[control("max-age=60")], Err(ByStatus)),
        (307, &[control("max-age=60")], Err(ByStatus)),
        (400, &[control("max-age=60")], Err(ByStatus)),
        (403, &[control("max-age=60")], Err(ByStatus)),
        (405, &[control("max-age=60")], Err(ByStatus)),
        (418, &[control("max-age=60")], Err(ByStatus)),
        (500, &[control("max-age=60")], Err(ByStatus)),
        // It outranks what is written for other caches.
        (200, &[control("max-age=60"), ("Cache-Control", "no-store, private")], Ok(60)),
        (200, &[control("max-age=0"), ("Cache-Control", "max-age=60")], Err(ZeroLifetime)),
        (200, &[control("max-age=60"), ("Expires", "0")], Ok(60)),
        (200, &[control("max-age=60"), ("Set-Cookie", "a=b")], Ok(60)),
        // Where it states no lifetime they are asked.
        (200, &[control("no-tags"), ("Cache-Control", "max-age=40")], Ok(40)),
        (200, &[control("no-tags"), ("Cache-Control", "private")], Err(ByCacheControl)),
        (200, &[control("no-tags"), ("Cache-Control", "max-age=40"), ("Set-Cookie", "a=b")], Err(SetCookie)),
        // Nothing outranks these.
        (200, &[control("max-age=60"), ("Vary", "*")], Err(Varies)),
        (200, &[control("max-age=60"), ("Vary", "Cookie")], Ok(60)),
        (200, &[control("max-age=60"), ("Content-Encoding", "gzip")], Err(ContentEncoding)),
        (200, &[control("max-age=60"), ("Twice-Cookies", "a")], Ok(60)),
        (200, &[control("max-age=60"), ("Twice-Cookies", " ")], Ok(60)),
        (200, &[control("max-age=60"), ("X-ABDependency", "t")], Ok(60)),
        (200, &[("x-twice-CONTROL", "max-age=60"), control("max-age=90")], Ok(60)),
    ];
    let none = Valid::default();
    for (status, lines, expected) in table {
        assert_eq!(verdict(*status, lines, &rules(&none)).store, *expected, "{status} {lines:?}");
        // The app's own word on this very response stands; where it says nothing of time others are asked.
        if expected.is_ok_and(|seconds| seconds != 40) {
            let authorized = Rules { authorization: true, ..rules(&none) };
            assert_eq!(
                verdict(*status, lines, &authorized).store,
                *expected,
                "authorized {status} {lines:?}"
            );
        }
        let forbidden = Rules { no_store: true, ..rules(&none) };
        assert_eq!(verdict(*status, lines, &forbidden).store, Err(NoStore), "{status} {lines:?}");
    }
}

#[test]
fn by_ordinary_headers() {
    type Row<'a> = (u16, Lines<'a>, Result<u64, Reason>, &'a str);
    let cc = |value| ("Cache-Control", value);
    let expires = |value| ("Expires", value);
    let table: &[Row<'_>] = &[
        (200, &[], Err(NoLifetime), "3: nothing allows it; no heuristic lifetime (4.2.2)"),
        (
            200,
            &[("ETag", "\"x\""), ("Last-Modified", "Sun, 06 Nov 1994 08:00:00 GMT")],
            Err(NoLifetime),
            "4.2.2",
        ),
        (200, &[cc("max-age=60")], Ok(60), "5.2.2.1"),
        (200, &[cc("s-maxage=60, max-age=5")], Ok(60), "5.2.2.10"),
        (200, &[cc("s-maxage=0, max-age=60")], Err(ZeroLifetime), "5.2.2.10"),
        (200, &[cc("max-age=0")], Err(ZeroLifetime), "4.2"),
        (200, &[cc("public")], Err(NoLifetime), "5.2.2.9: says nothing of time"),
        (200, &[cc("no-store, max-age=60")], Err(ByCacheControl), "5.2.2.5"),
        (200, &[cc("no-cache, max-age=60")], Err(ByCacheControl), "5.2.2.4"),
        (200, &[cc("private, max-age=60")], Err(ByCacheControl), "5.2.2.7"),
        (200, &[cc("private=\"x\", max-age=60")], Ok(60), "5.2.2.7: without the field"),
        (200, &[cc("max-age=60"), cc("no-store")], Err(ByCacheControl), "RFC 9110 5.3: lines are one list"),
        (
            200,
            &[cc("max-age=abc"), expires("Sun, 06 Nov 1994 08:50:37 GMT")],
            Err(ZeroLifetime),
            "4.2.1: invalid freshness information is stale",
        ),
        (200, &[cc("max-age=60, max-age=x")], Err(ZeroLifetime), "4.2.1"),
        (200, &[cc("max-age")], Err(ZeroLifetime), "4.2.1"),
        (200, &[cc("max-age=-1")], Err(ZeroLifetime), "4.2.1"),
        (200, &[cc("max-age=60, max-age=30")], Ok(30), "4.2.1: the most restrictive"),
        (200, &[cc("max-age=60"), cc("max-age=30")], Ok(30), "4.2.1"),
        (200, &[cc("max-age=60, s-maxage=x")], Err(ZeroLifetime), "4.2.1"),
        (200, &[cc("max-age=60, x=\"never closed")], Err(ByCacheControl), "in doubt it is not stored"),
        (200, &[cc("max-age=60, x=a\"b")], Err(ByCacheControl), "in doubt it is not stored"),
        (200, &[cc("x=\"a\\\", no-store\", max-age=60")], Ok(60), "RFC 9110 5.6.4: an escaped quote"),
        (200, &[cc("x=\"\\\\\", no-store, max-age=60")], Err(ByCacheControl), "an escaped backslash"),
        (200, &[cc("Max-Age=\"60\",,;foo=bar")], Ok(60), "5.2: quoted, unknown ones, empty ones"),
        (200, &[cc("immutable")], Err(NoLifetime), "RFC 8246"),
        (200, &[cc("max-age=60, immutable")], Ok(60), "RFC 8246"),
        (200, &[cc("max-age=60"), ("Pragma", "no-cache")], Ok(60), "5.4: no meaning in a response"),
        (200, &[cc("must-understand, no-store, max-age=60")], Ok(60), "5.2.2.3"),
        (200, &[cc("must-understand, no-store, private, max-age=60")], Err(ByCacheControl), "5.2.2.7"),
        (299, &[cc("must-understand, max-age=60")], Err(ByCacheControl), "5.2.2.3: not understood"),
        (200, &[expires("Sun, 06 Nov 1994 08:50:37 GMT")], Ok(60), "5.3"),
        (200, &[expires("Sunday, 06-Nov-94 08:50:37 GMT")], Ok(60), "RFC 9110 5.6.7: obsolete form"),
        (200, &[expires("Sun Nov  6 08:50:37 1994")], Ok(60), "RFC 9110 5.6.7: obsolete form"),
        (200, &[expires("Sun, 06 Nov 1994 08:49:37 GMT")], Err(ZeroLifetime), "4.2: not past now"),
        (200, &[expires("Sun, 06 Nov 1994 08:49:36 GMT")], Err(ZeroLifetime), "5.3"),
        (200, &[expires("0")], Err(ZeroLifetime), "5.3: an invalid date is in the past"),
        (200, &[expires("-1")], Err(ZeroLifetime), "5.3"),
        (200, &[expires("")], Err(ZeroLifetime), "5.3"),
        (200, &[expires("tomorrow")], Err(ZeroLifetime), "5.3"),
        (200, &[expires("Fri, 31 Dec 9999 23:59:59 GMT")], Ok(MAX_LIFETIME), "1.2.2"),
        (200, &[expires("0"), cc("max-age=60")], Ok(60), "5.3: max-age outranks Expires"),
        (200, &[expires("0"), cc("public")], Err(ZeroLifetime), "5.3"),
        (200, &[cc("max-age=60"), ("Set-Cookie", "a=b")], Err(SetCookie), "7.3"),
        (200, &[cc("public, max-age=60"), ("Set-Cookie2", "a=b")], Err(SetCookie), "7.3"),
        (200, &[cc("max-age=60"), ("Content-Encoding", "gzip")], Err(ContentEncoding), ""),
        (200, &[cc("max-age=60"), ("Content-Encoding", "Identity")], Ok(60), "RFC 9110 8.4.1"),
        (200, &[cc("max-age=60"), ("Vary", "accept-encoding")], Ok(60), "4.1"),
        (200, &[cc("max-age=60"), ("Vary", "")], Ok(60), "4.1"),
        (200, &[cc("max-age=60"), ("Vary", " , ,")], Ok(60), "RFC 9110 5.6.1: empty elements"),
        (200, &[cc("max-age=60"), ("Vary", "*")], Err(Varies), "4.1"),
        (200, &[cc("max-age=60"), ("Vary", "*, Accept-Encoding")], Err(Varies), "4.1: in any list form"),
        (200, &[cc("max-age=60"), ("Vary", "Accept-Encoding ,*")], Err(Varies), "4.1"),
        (200, &[cc("max-age=60"), ("Vary", "Accept-Encoding"), ("Vary", "Cookie")], Ok(60), "4.1"),
        (200, &[cc("max-age=60"), ("Vary", "*, foo")], Err(Varies), "4.1"),
        (200, &[cc("max-age=60"), ("Vary", "foo"), ("Vary", "*")], Err(Varies), "4.1"),
        (200, &[cc("max-age=60"), ("Vary", "foo, *,")], Err(Varies), "4.1"),
        (200, &[cc("max-age=60"), ("Vary", "Accept-Encodings")], Ok(60), "4.1"),
        (200, &[cc("max-age=60"), ("Vary", "Accept Encoding")], Err(Varies), "no name of a header"),
        (203, &[cc("max-age=60")], Ok(60), "RFC 9110 15.3.4"),
        (301, &[cc("max-age=60")], Ok(60), "RFC 9110 15.4.2"),
        (308, &[cc("max-age=60")], Ok(60), "RFC 9110 15.4.9"),
        (404, &[cc("max-age=60")], Ok(60), "RFC 9110 15.5.5"),
        (410, &[cc("max-age=60")], Ok(60), "RFC 9110 15.5.11"),
        (302, &[cc("max-age=60")], Err(ByStatus), "an error page has its site's usual headers"),
        (400, &[cc("max-age=60")], Err(ByStatus), ""),
        (403, &[cc("public, max-age=60")], Err(ByStatus), ""),
        (405, &[cc("max-age=60")], Err(ByStatus), ""),
    ];
    let none = Valid::default();
    for (status, lines, expected, section) in table {
        assert_eq!(
            verdict(*status, lines, &rules(&none)).store,
            *expected,
            "{status} {lines:?} RFC 9111 {section}"
        );
    }
}

#[test]
fn by_a_password() {
    type Row<'a> = (&'a str, Result<u64, Reason>, &'a str);
    let table: &[Row<'_>] = &[
        ("max-age=60", Err(Authorization), "3.5: not by itself"),
        ("max-age=60, immutable", Err(Authorization), "3.5"),
        ("max-age=60, public", Ok(60), "3.5, 5.2.2.9"),
        ("max-age=60, must-revalidate", Ok(60), "3.5, 5.2.2.2"),
        ("max-age=60, proxy-revalidate", Err(Authorization), "3.5 does not name it"),
        ("s-maxage=60", Ok(60), "3.5, 5.2.2.10"),
        ("public, private, max-age=60", Err(ByCacheControl), "5.2.2.7"),
    ];
    for rows in [&[][..], &[("", 9)]] {
        let valid = valid(rows);
        let rules = Rules { authorization: true, ..rules(&valid) };
        for (value, expected, section) in table {
            let lines = [("Cache-Control", *value)];
            assert_eq!(verdict(200, &lines, &rules).store, *expected, "{value} RFC 9111 {section}");
        }
        assert_eq!(verdict(200, &[], &rules).store, Err(Authorization), "RFC 9111 3.5");
    }
}

#[test]
fn by_the_locations_lifetimes() {
    type Row<'a> = (&'a [(&'a str, u64)], u16, Lines<'a>, Result<u64, Reason>);
    let table: &[Row<'_>] = &[
        (&[("", 9)], 200, &[], Ok(9)),
        (&[("", 9)], 301, &[], Ok(9)),
        (&[("", 9)], 302, &[], Ok(9)),
        (&[("", 9)], 404, &[], Err(NoLifetime)),
        (&[("404", 9)], 404, &[], Ok(9)),
        (&[("404", 9)], 200, &[], Err(NoLifetime)),
        (&[("any", 9)], 418, &[], Ok(9)),
        (&[("404", 7), ("any", 9)], 404, &[], Ok(7)),
        (&[("any", 9), ("404", 7)], 404, &[], Ok(7)),
        (&[("200", 7), ("", 9)], 200, &[], Ok(7)),
        (&[("any", 9)], 206, &[], Err(ByStatus)),
        (&[("any", 9)], 304, &[], Err(ByStatus)),
        (&[("any", 9)], 502, &[], Err(ByStatus)),
        (&[("200", 0)], 200, &[], Err(ZeroLifetime)),
        (&[("any", 9)], 200, &[("Cache-Control", "private")], Err(ByCacheControl)),
        (&[("any", 9)], 200, &[("Set-Cookie", "a=b")], Err(SetCookie)),
        (&[("any", 9)], 200, &[("Cache-Control", "max-age=60")], Ok(60)),
        (&[("any", 9)], 200, &[("Expires", "0")], Err(ZeroLifetime)),
        (&[("any", 9)], 200, &[("X-Twice-Control", "max-age=60")], Ok(60)),
        (&[("any", 9)], 200, &[("X-Twice-Control", "max-age=x")], Ok(9)),
        (&[("404", 99)], 404, &[("X-Twice-Control", "")], Ok(99)),
        (&[("404", 99)], 404, &[("X-Twice-Control", "max-age=600")], Ok(600)),
        (&[("200", 99)], 404, &[("X-Twice-Control", "max-age=600")], Ok(30)),
        (&[("any", 99)], 404, &[("X-Twice-Control", "")], Ok(99)),
    ];
    for (rows, status, lines, expected) in table {
        let valid = valid(rows);
        assert_eq!(verdict(*status, lines, &rules(&valid)).store, *expected, "{rows:?} {status} {lines:?}");
    }
}

#[test]
fn some_statuses_are_never_stored() {
    let never = [206, 304, 307, 401, 407, 408, 413, 428, 429, 431];
    let valid = valid(&[("any", 9)]);
    for status in (0..=1000).chain([u16::MAX]) {
        let expected = !(200..500).contains(&status) || never.contains(&status);
        assert_eq!(never_stored(status), expected, "{status}");
        if expected {
            for lines in
                [&[("X-Twice-Control", "max-age=60")][..], &[("Cache-Control", "public, s-maxage=60")], &[]]
            {
                assert_eq!(verdict(status, lines, &rules(&valid)).store, Err(ByStatus), "{status} {lines:?}");
            }
        }
    }
}

#[test]
fn which_responses_have_tags() {
    let marked: Lines<'_> = &[("X-Twice-Control", "max-age=60")];
    let plain: Lines<'_> = &[("Cache-Control", "max-age=60")];
    let no_tags: Lines<'_> = &[("X-Twice-Control", "max-age=60, no-tags")];
    let encoded: Lines<'_> = &[("X-Twice-Control", "max-age=60"), ("Content-Encoding", "gzip")];
    let untouched: Lines<'_> = &[("Cache-Control", "max-age=60, no-transform")];
    let marked_untouched: Lines<'_> = &[("Cache-Control", "no-transform"), ("X-Twice-Control", "")];
    // twice_tags, whether the type is of twice_types, status, lines.
    let table = [
        (Tags::Off, true, 200, marked, false),
        (Tags::Marked, true, 200, marked, true),
        (Tags::Marked, true, 200, plain, false),
        (Tags::Marked, false, 200, marked, false),
        (Tags::Marked, true, 404, marked, true),
        (Tags::Marked, true, 500, marked, true),
        (Tags::Marked, true, 206, marked, false),
        (Tags::Marked, true, 200, no_tags, false),
        (Tags::Marked, true, 200, encoded, false),
        (Tags::All, true, 200, plain, true),
        (Tags::All, true, 200, &[], true),
        (Tags::All, true, 404, plain, false),
        (Tags::All, true, 404, marked, true),
        (Tags::All, false, 200, plain, false),
        (Tags::All, true, 206, plain, false),
        (Tags::All, true, 200, no_tags, false),
        (Tags::All, true, 200, encoded, false),
        (Tags::All, true, 200, untouched, false),
        (Tags::All, true, 200, marked_untouched, true),
    ];
    let none = Valid::default();
    for (tags, type_has_tags, status, lines, expected) in table {
        // Whether it is stored has nothing to do with it.
        for no_store in [false, true] {
            let rules = Rules { tags, type_has_tags, no_store, ..rules(&none) };
            assert_eq!(
                verdict(status, lines, &rules).tags,
                expected,
                "{tags:?} {type_has_tags} {status} {lines:?}"
            );
        }
    }
}

fn any_line() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = prop_oneof![
        Just("X-Twice-Control".to_owned()),
        Just("cache-control".to_owned()),
        Just("Expires".to_owned()),
        Just("Vary".to_owned()),
        Just("Set-Cookie".to_owned()),
        Just("Content-Encoding".to_owned()),
        Just("Twice-Cookies".to_owned()),
        "[a-zA-Z-]{0,12}",
    ];
    let value = prop_oneof![
        "(max-age|s-maxage)=[0-9]{0,22}".prop_map(String::into_bytes),
        "(private|no-store|no-cache|public|no-tags|\\*|Accept-Encoding|identity)"
            .prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    (name, value)
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn whatever_comes_what_must_not_be_stored_is_not(
        status in 0..700u16,
        lines in prop::collection::vec(any_line(), 0..6),
        now in any::<i64>(),
        authorization in any::<bool>(),
        no_store in any::<bool>(),
        any_status in prop::option::of(0..100u64),
    ) {
        let names = HeaderNames::default();
        let mut facts = Facts::new(&names);
        for (name, value) in &lines {
            facts.line(name.as_bytes(), value);
        }
        let mut valid = Valid::default();
        if let Some(seconds) = any_status {
            valid.add("any", seconds).unwrap();
        }
        let rules = Rules { now, authorization, no_store, ..rules(&valid) };
        let verdict = decide(status, &facts, &rules);
        match verdict.store {
            Ok(seconds) => {
                prop_assert!(seconds <= MAX_LIFETIME);
                prop_assert!(seconds > 0 || verdict.windows.stale_s > 0);
                prop_assert!(!never_stored(status) && !no_store && !facts.varies.is_beyond() && !facts.encoded);
                let by_control = facts.control.as_ref().is_some_and(|control| control.max_age.is_some())
                    || facts.control.is_some() && status == 404;
                if !by_control {
                    prop_assert!(!facts.set_cookie);
                    let cache_control = &facts.cache_control;
                    prop_assert!(!cache_control.private && !cache_control.no_store && !cache_control.no_cache);
                }
            }
            Err(reason) => prop_assert_eq!(reason.kind(), ReasonKind::NotStored),
        }
    }
}
