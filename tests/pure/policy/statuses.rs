//! `twice_statuses`.

use twice_core::outcome::Reason;
use twice_core::policy::*;

use super::{rules, verdict};

const LINES: [(&str, &str); 1] = [("Cache-Control", "max-age=60")];

#[test]
fn words_as_they_are_written() {
    use BadStatus::{Alone, Never, NotAStatus};
    for (words, bad) in [
        ("200", None),
        ("200 302 404", None),
        ("299 499", None),
        ("any", None),
        ("any 200", Some(("200", Alone))),
        ("200 any", Some(("any", Alone))),
        ("ANY", Some(("ANY", NotAStatus))),
        ("200 2xx", Some(("2xx", NotAStatus))),
        ("600", Some(("600", NotAStatus))),
        ("500", Some(("500", Never))),
        ("206", Some(("206", Never))),
    ] {
        assert_eq!(Statuses::parse(words.split(' ')).err(), bad, "{words}");
    }
}

#[test]
fn what_ordinary_headers_store() {
    let none = Valid::default();
    let default = Statuses::default();
    let some = Statuses::parse(["200", "302", "299"]).unwrap();
    for status in 0..=1000 {
        for (statuses, stored) in [
            (&default, matches!(status, 200 | 203 | 301 | 308 | 404 | 410)),
            (&some, matches!(status, 200 | 302 | 299)),
            (&Statuses::Any, !never_stored(status)),
        ] {
            let rules = Rules { statuses, ..rules(&none) };
            let expected = if stored { Ok(60) } else { Err(Reason::Status) };
            assert_eq!(verdict(status, &LINES, &rules).store, expected, "{status} {statuses:?}");
            // Without a lifetime none is stored, whatever its status.
            assert!(verdict(status, &[("Cache-Control", "public")], &rules).store.is_err(), "{status}");
        }
    }
}

#[test]
fn a_status_must_be_understood_where_that_is_asked_for() {
    let none = Valid::default();
    let rules = Rules { statuses: &Statuses::Any, ..rules(&none) };
    for (status, stored) in [(200, true), (302, true), (404, true), (422, true), (299, false), (499, false)] {
        let lines = [("Cache-Control", "max-age=60, must-understand, no-store")];
        let expected = if stored { Ok(60) } else { Err(Reason::CacheControl) };
        assert_eq!(verdict(status, &lines, &rules).store, expected, "{status} RFC 9111 5.2.2.3");
    }
}
