//! Times of a page after its lifetime: windows from headers, and what may be served when.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::outcome::Reason;
use twice_core::policy::*;

use super::rules;

const DAY: u64 = 86_400_000;

fn times(stale_s: u32, error_s: u32) -> Times {
    Times { expires_ms: 1_000_000, windows: Windows { stale_s, error_s } }
}

fn words(text: &str) -> UseStale {
    text.split_whitespace().fold(UseStale::OFF, |all, word| all.with(word).unwrap())
}

#[test]
fn a_page_is_fresh_then_stale_then_expired() {
    use Freshness::{Expired, Fresh, Stale};
    let table = [
        (times(0, 0), 0, Fresh),
        (times(0, 0), 999_999, Fresh),
        (times(0, 0), 1_000_000, Expired),
        (times(2, 0), 1_000_000, Stale),
        (times(2, 0), 1_001_999, Stale),
        (times(2, 0), 1_002_000, Expired),
        (times(u32::MAX, 0), 1_000_000 + u64::from(u32::MAX) * 1000 - 1, Stale),
        (times(0, FOR_EVER), 1_000_000, Expired),
        (Times { expires_ms: u64::MAX, ..times(9, 9) }, u64::MAX, Expired),
    ];
    for (times, now, expected) in table {
        assert_eq!(times.at(now), expected, "{times:?} at {now}");
    }
}

#[test]
fn who_stands_in_for_what() {
    let default = UseStale::default_words();
    let table = [
        (0, FOR_EVER, Failure::Error, default, u64::MAX, true),
        (0, FOR_EVER, Failure::Http(503), default, u64::MAX, true),
        (0, FOR_EVER, Failure::Http(404), default, 1_000_000, false),
        (0, FOR_EVER, Failure::InvalidHeader, default, 1_000_000, false),
        (0, FOR_EVER, Failure::Http(404), words("http_404"), 1_000_000, true),
        (0, FOR_EVER, Failure::Error, words("http_404 updating"), 1_000_000, false),
        (0, 0, Failure::Error, default, 1_000_000, false),
        (0, 5, Failure::Error, default, 1_004_999, true),
        (0, 5, Failure::Error, default, 1_005_000, false),
        // What the origin has stated holds whatever the location says, for errors.
        (0, 5, Failure::Http(500), UseStale::OFF, 1_004_999, true),
        (0, 5, Failure::Http(404), UseStale::OFF, 1_004_999, false),
        (0, FOR_EVER, Failure::Http(500), UseStale::OFF, 1_000_000, false),
        // A page that may be served anyway stands in, too.
        (9, 0, Failure::Timeout, default, 1_008_999, true),
    ];
    for (stale_s, error_s, failure, location, now, expected) in table {
        let times = times(stale_s, error_s);
        assert_eq!(times.stands_in(now, failure, location), expected, "{times:?} {failure:?} {now}");
        assert!(!expected || times.may_stand_in(now, location));
    }
    assert!(!times(0, FOR_EVER).may_stand_in(1_000_000, UseStale::OFF));
}

#[test]
fn for_an_origin_that_is_not_asked_a_page_must_stand_in_whatever_its_failures_were() {
    let all = "error timeout http_500 http_502 http_503 http_504";
    assert!(times(0, FOR_EVER).stands_in_unasked(1_000_000, UseStale::default_words()));
    assert!(times(0, FOR_EVER).stands_in_unasked(1_000_000, words(all)));
    for left_out in all.split(' ') {
        let rest: Vec<_> = all.split(' ').filter(|word| *word != left_out).collect();
        assert!(!times(0, FOR_EVER).stands_in_unasked(1_000_000, words(&rest.join(" "))), "{left_out}");
    }
    // Its own word holds for all of them, in its time.
    assert!(times(0, 2).stands_in_unasked(1_001_999, UseStale::OFF));
    assert!(!times(0, 2).stands_in_unasked(1_002_000, UseStale::OFF));
    assert!(!times(0, FOR_EVER).stands_in_unasked(1_000_000, words("http_404")));
}

#[test]
fn a_snapshot_keeps_what_is_of_use_within_a_day() {
    for (times, now, kept) in [
        (times(0, 0), 999_999, true),
        (times(0, 0), 1_000_000, false),
        (times(2, 0), 1_001_999, true),
        (times(0, FOR_EVER), 1_000_000 + DAY - 1, true),
        (times(0, FOR_EVER), 1_000_000 + DAY, false),
        (times(200_000, 0), 1_000_000 + DAY, true),
    ] {
        assert_eq!(times.worth_keeping(now), kept, "{times:?} at {now}");
    }
}

#[test]
fn what_an_answer_says_of_its_windows() {
    let control = |value| ("X-Twice-Control", value);
    let cc = |value| ("Cache-Control", value);
    let three = Factor::DEFAULT;
    let two = Factor::parse("2").unwrap();
    let none = Factor::parse("1").unwrap();
    let all = UseStale::default_words();
    let errors = words("error");
    let updating = words("updating");
    type Row<'a> = (&'a [(&'a str, &'a str)], Factor, UseStale, u32, u32);
    let table: &[Row<'_>] = &[
        (&[control("max-age=60")], three, all, 120, FOR_EVER),
        (&[control("max-age=60")], two, all, 60, FOR_EVER),
        (&[control("max-age=60")], none, all, 0, FOR_EVER),
        (&[control("max-age=60")], Factor::parse("1.25").unwrap(), all, 15, FOR_EVER),
        (&[control("max-age=60")], three, errors, 0, FOR_EVER),
        (&[control("max-age=60")], three, updating, 120, 0),
        (&[control("max-age=60")], three, UseStale::OFF, 0, 0),
        (&[control("max-age=99999999999")], Factor::parse("1000").unwrap(), all, FOR_EVER - 1, FOR_EVER),
        (&[control("max-age=60, stale-while-revalidate=7, stale-if-error=8")], three, UseStale::OFF, 7, 8),
        (&[control("max-age=60, stale-while-revalidate=0, stale-if-error=0")], three, all, 0, 0),
        (&[control("max-age=60"), cc("must-revalidate, stale-if-error=8")], three, all, 120, FOR_EVER),
        (
            &[control("stale-while-revalidate=7"), cc("max-age=60, stale-while-revalidate=9")],
            three,
            all,
            7,
            FOR_EVER,
        ),
        (&[control("no-tags"), cc("max-age=60, stale-while-revalidate=9")], three, all, 9, FOR_EVER),
        // Lifetimes for all caches: only where the location names the factor.
        (&[cc("max-age=60")], three, all, 0, FOR_EVER),
        (&[cc("max-age=60")], two, all, 60, FOR_EVER),
        (&[("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")], three, all, 0, FOR_EVER),
        (&[cc("max-age=60, stale-while-revalidate=7, stale-if-error=8")], three, all, 7, 8),
        (&[cc("max-age=60, stale-if-error=99999999999")], three, all, 0, 1 << 31),
        // RFC 9111 4.2.4
        (&[cc("max-age=60, must-revalidate")], two, all, 0, 0),
        (&[cc("max-age=60, proxy-revalidate, stale-while-revalidate=7, stale-if-error=8")], two, all, 0, 0),
        (&[cc("s-maxage=60")], two, all, 0, 0),
        (&[cc("s-maxage=60, stale-while-revalidate=7, stale-if-error=8")], two, all, 7, 8),
        // Of a lifetime that nginx's own header states, `Cache-Control` says when it must not be stale.
        (&[("X-Accel-Expires", "60")], three, all, 0, FOR_EVER),
        (&[("X-Accel-Expires", "60")], two, all, 60, FOR_EVER),
        (&[("X-Accel-Expires", "60"), cc("must-revalidate")], two, all, 0, 0),
        (&[("Surrogate-Control", "max-age=60+7")], three, all, 7, 7),
        (&[("Surrogate-Control", "max-age=60")], three, all, 0, FOR_EVER),
        (&[("Surrogate-Control", "max-age=60+7"), cc("proxy-revalidate")], three, all, 0, 0),
        // The location's own lifetime: 40 s.
        (&[], three, all, 80, FOR_EVER),
        (&[cc("stale-while-revalidate=7")], three, all, 7, FOR_EVER),
        (&[cc("must-revalidate")], three, all, 0, 0),
        // Not stored.
        (&[cc("no-store, stale-while-revalidate=7")], three, all, 0, 0),
    ];
    let mut valid = Valid::default();
    valid.add_default(40);
    let names = HeaderNames::default();
    for (lines, stale_factor, use_stale, stale_s, error_s) in table {
        let mut facts = Facts::new(&names);
        for (name, value) in *lines {
            facts.line(name.as_bytes(), value.as_bytes());
        }
        let rules =
            Rules { tags: Tags::Off, stale_factor: *stale_factor, use_stale: *use_stale, ..rules(&valid) };
        let windows = decide(200, &facts, &rules).windows;
        assert_eq!(windows, Windows { stale_s: *stale_s, error_s: *error_s }, "{lines:?} {stale_factor:?}");
    }
}

#[test]
fn factors() {
    for (text, hundredths) in
        [("1", 100), ("3", 300), ("1.5", 150), ("1.05", 105), ("2.50", 250), ("1000", 100_000)]
    {
        assert_eq!(Factor::parse(text).map(Factor::to_number), Some(hundredths), "{text}");
    }
    for text in
        ["", "0", "0.99", "1001", "1000.01", "-1", "+1", "1.", ".5", "1.234", "x", "1e3", "99999999999", " 1"]
    {
        assert_eq!(Factor::parse(text), None, "{text}");
    }
}

#[test]
fn failures_are_told_by_what_comes() {
    let of = |status, origin: Option<u16>| Failure::of(status, true, origin, false);
    assert_eq!(of(502, None), Some(Failure::Error));
    assert_eq!(of(500, None), Some(Failure::Error));
    assert_eq!(of(504, None), Some(Failure::Timeout));
    assert_eq!(of(502, Some(502)), Some(Failure::Http(502)));
    assert_eq!(of(404, Some(404)), Some(Failure::Http(404)));
    assert_eq!(of(501, Some(501)), None);
    assert_eq!(of(200, Some(200)), None);
    assert_eq!(of(404, None), None);
    // It gave a status, and then nothing that could be read.
    assert_eq!(Failure::of(502, true, Some(200), true), Some(Failure::InvalidHeader));
    // A handler that asks no origin.
    assert_eq!(Failure::of(500, false, None, false), Some(Failure::Http(500)));
    assert_eq!(Failure::of(200, false, None, false), None);
}

#[test]
fn words_and_no_others() {
    assert!(UseStale::default_words().updating() && !words("error").updating());
    for word in ["off", "", "Error", "http_501", "http_200", "on"] {
        assert_eq!(UseStale::OFF.with(word), Err(BadWord), "{word}");
    }
    let allowed = BadWord.to_string();
    for word in allowed.split('"').skip(3).step_by(2) {
        assert!(UseStale::OFF.with(word).is_ok(), "{word}");
    }
    let some = words("error http_429 updating");
    assert_eq!(UseStale::from_number(some.to_number()), some);
}

#[test]
fn an_answer_that_may_not_be_stored_ends_the_page_where_it_speaks_of_it() {
    use Reason::*;
    for (status, reason, ends) in [
        (200, ZeroLifetime, true),
        (200, CacheControl, true),
        (200, SetCookie, true),
        (404, NoLifetime, true),
        (410, Status, true),
        (404, Status, true),
        (200, NoStore, false),
        (200, TooLarge, false),
        (200, ContentEncoding, false),
        (200, Incomplete, false),
        (206, Status, false),
        (302, Status, false),
        (304, Status, false),
        (401, Status, false),
        (403, Status, false),
        (429, Status, false),
        (500, Status, false),
        (503, Status, false),
    ] {
        assert_eq!(ends_the_page(status, reason), ends, "{status} {reason:?}");
    }
}

#[test]
fn an_answer_to_a_visitor_ends_the_page_where_it_was_taken_back() {
    use Reason::*;
    // For anybody, for who is known to the origin.
    for (status, reason, ends) in [
        (404, NoLifetime, (true, true)),
        (404, CacheControl, (true, true)),
        (410, Status, (true, true)),
        (410, SetCookie, (true, true)),
        (404, NoStore, (false, false)),
        (410, Authorization, (false, false)),
        (200, CacheControl, (true, false)),
        (203, CacheControl, (true, false)),
        (200, SetCookie, (false, false)),
        (200, ZeroLifetime, (false, false)),
        (200, NoLifetime, (false, false)),
        (200, Varies, (false, false)),
        (206, CacheControl, (false, false)),
        (302, CacheControl, (false, false)),
        (401, CacheControl, (false, false)),
        (403, CacheControl, (false, false)),
        (503, CacheControl, (false, false)),
    ] {
        let said = [false, true].map(|known| ends_an_expired_page(status, reason, known));
        assert_eq!((said[0], said[1]), ends, "{status} {reason:?}");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// A page never gets younger, and its times do not overflow.
    #[test]
    fn time_goes_on(expires_ms: u64, stale_s: u32, error_s: u32, a: u64, b: u64) {
        let times = Times { expires_ms, windows: Windows { stale_s, error_s } };
        let (a, b) = (a.min(b), a.max(b));
        let rank = |now| match times.at(now) {
            Freshness::Fresh => 0,
            Freshness::Stale => 1,
            Freshness::Expired => 2,
        };
        prop_assert!(rank(a) <= rank(b));
        let all = UseStale::default_words();
        prop_assert!(!times.may_stand_in(b, all) || times.may_stand_in(a, all));
        prop_assert!(!times.worth_keeping(b) || times.worth_keeping(a));
        prop_assert!(times.at(a) == Freshness::Expired || times.worth_keeping(a));
    }
}
