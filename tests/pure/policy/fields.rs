//! Fields that are not stored: those that `Connection`, `private` and `no-cache` name.

use twice_core::policy::{Facts, HeaderNames, SetCookie, Valid};
use twice_core::policy::{Rules, decide};

use super::{Lines, rules};

#[test]
fn fields_that_stay_out() {
    // Lines, the fields that are not stored, fields that are.
    type Row<'a> = (Lines<'a>, &'a [&'a str], &'a [&'a str], &'a str);
    let table: &[Row<'_>] = &[
        (&[("Connection", "close, X-A"), ("X-A", "1")], &["X-A", "x-a"], &["X-B"], "RFC 9110 7.6.1"),
        (&[("X-A", "1"), ("Connection", "x-b"), ("CONNECTION", " X-A ,")], &["X-A", "X-B"], &["X-C"], ""),
        (
            &[("Connection", "Cache-Control, Vary, Content-Type")],
            &[],
            &["Cache-Control", "vary", "Content-Type"],
            "RFC 9110 7.6.1: never right",
        ),
        (&[("Cache-Control", "private=\"X-A, X-B\"")], &["X-A", "X-b"], &["X-C"], "RFC 9111 5.2.2.7"),
        (&[("X-A", "1"), ("Cache-Control", "no-cache=x-a")], &["X-A"], &["X-B"], "RFC 9111 5.2.2.4"),
        (&[("Cache-Control", "private")], &[], &["X-A"], "the whole"),
    ];
    let names = HeaderNames::default();
    for (lines, out, kept, section) in table {
        let mut facts = Facts::new(&names);
        for (name, value) in *lines {
            facts.line(name.as_bytes(), value.as_bytes());
        }
        for name in *out {
            assert!(facts.withholds(name.as_bytes()), "{lines:?} {name} {section}");
        }
        for name in *kept {
            assert!(!facts.withholds(name.as_bytes()), "{lines:?} {name} {section}");
        }
    }
}

#[test]
fn cookies_that_are_set() {
    use twice_core::outcome::Reason::{CacheControl, SetCookie as Refused};
    let cookie = ("Set-Cookie", "a=b");
    let cc = |value| ("Cache-Control", value);
    let table: &[(Lines<'_>, SetCookie, _, &str)] = &[
        (&[cookie, cc("max-age=60")], SetCookie::Refuse, Err(Refused), "RFC 9111 7.3"),
        (&[cookie, cc("max-age=60")], SetCookie::Drop, Ok(60), "the location says so"),
        (&[cookie, cc("max-age=60, private")], SetCookie::Drop, Err(CacheControl), ""),
        (&[cookie, cc("max-age=60, no-cache=\"Set-Cookie\"")], SetCookie::Refuse, Ok(60), "5.2.2.4"),
        (&[cookie, cc("max-age=60, private=set-cookie")], SetCookie::Refuse, Ok(60), "5.2.2.7"),
        (&[cookie, cc("max-age=60, private=x")], SetCookie::Refuse, Err(Refused), ""),
        (&[cookie, ("X-Accel-Expires", "60")], SetCookie::Refuse, Err(Refused), ""),
        (&[cookie, ("X-Twice-Control", "max-age=60")], SetCookie::Refuse, Ok(60), "the app's word"),
    ];
    let none = Valid::default();
    let names = HeaderNames::default();
    for (lines, set_cookie, expected, why) in table {
        let mut facts = Facts::new(&names);
        for (name, value) in *lines {
            facts.line(name.as_bytes(), value.as_bytes());
        }
        let rules = Rules { set_cookie: *set_cookie, ..rules(&none) };
        assert_eq!(decide(200, &facts, &rules).store, *expected, "{lines:?} {why}");
    }
}
