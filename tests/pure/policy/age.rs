//! How old an answer is when it comes, and what its dates say.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::outcome::Reason::{self, ZeroLifetime};
use twice_core::policy::*;

use super::{Lines, NOW, rules, verdict};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const MINUTE_AGO: &str = "Sun, 06 Nov 1994 08:48:37 GMT";
const SECOND_AGO: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const IN_A_MINUTE: &str = "Sun, 06 Nov 1994 08:50:37 GMT";
const IN_TWO: &str = "Sun, 06 Nov 1994 08:51:37 GMT";

#[test]
fn age_and_dates() {
    // Lines, seconds between question and answer, what is left of the lifetime, the age.
    type Row<'a> = (Lines<'a>, u64, Result<u64, Reason>, u64, &'a str);
    let cc = |value| ("Cache-Control", value);
    let table: &[Row<'_>] = &[
        (&[cc("max-age=100")], 0, Ok(100), 0, "4.2.3"),
        (&[cc("max-age=100"), ("Age", "30")], 0, Ok(70), 30, "4.2.3: age_value"),
        (&[cc("max-age=100"), ("Age", "30")], 5, Ok(65), 35, "4.2.3: response_delay"),
        (&[cc("max-age=100")], 5, Ok(95), 5, "4.2.3"),
        (&[cc("max-age=100"), ("Date", MINUTE_AGO)], 0, Ok(40), 60, "4.2.3: apparent_age"),
        (&[cc("max-age=100"), ("Date", MINUTE_AGO), ("Age", "30")], 5, Ok(40), 60, "the greater one"),
        (&[cc("max-age=100"), ("Date", MINUTE_AGO), ("Age", "70")], 0, Ok(30), 70, "the greater one"),
        (&[cc("max-age=100"), ("Date", DATE)], 0, Ok(100), 0, ""),
        (&[cc("max-age=100"), ("Date", SECOND_AGO)], 0, Ok(100), 0, "a date is a whole second"),
        (
            &[cc("max-age=100"), ("Date", IN_A_MINUTE)],
            0,
            Ok(100),
            0,
            "4.2.3: a clock ahead makes none younger",
        ),
        (&[cc("max-age=100"), ("Date", IN_A_MINUTE), ("Age", "9")], 0, Ok(91), 9, ""),
        (&[cc("max-age=100"), ("Date", "yesterday")], 0, Ok(100), 0, "RFC 9110 6.6.1"),
        (
            &[cc("max-age=100"), ("Date", IN_A_MINUTE), ("Date", MINUTE_AGO)],
            0,
            Ok(40),
            60,
            "two: the earlier",
        ),
        (&[cc("max-age=60"), ("Date", MINUTE_AGO)], 0, Err(ZeroLifetime), 0, ""),
        (&[cc("max-age=60"), ("Age", "60")], 0, Err(ZeroLifetime), 0, ""),
        (&[cc("max-age=100"), ("Age", "7, 90")], 0, Ok(93), 7, "5.1: the first of several"),
        (&[cc("max-age=100"), ("Age", "7"), ("Age", "90")], 0, Ok(10), 90, "more than one cache has spoken"),
        (&[cc("max-age=100"), ("Age", "x")], 0, Ok(100), 0, "5.1: invalid is ignored"),
        (&[cc("max-age=100"), ("Age", "-7")], 0, Ok(100), 0, "5.1"),
        (&[cc("max-age=100"), ("Age", "7.5")], 0, Ok(100), 0, "5.1"),
        (&[cc("max-age=100"), ("Age", "")], 0, Ok(100), 0, "5.1"),
        (&[cc("max-age=100"), ("Age", " 7 ")], 0, Ok(93), 7, ""),
        (&[cc("max-age=100"), ("Age", "99999999999999999999")], 0, Err(ZeroLifetime), 0, "1.2.2: saturates"),
        (&[("Expires", IN_A_MINUTE)], 0, Ok(60), 0, "4.2.1"),
        (&[("Expires", IN_A_MINUTE), ("Date", DATE)], 0, Ok(60), 0, "4.2.1: Expires less Date"),
        (&[("Expires", IN_A_MINUTE), ("Date", MINUTE_AGO)], 0, Ok(60), 60, "4.2.1: 120 s, 60 s old"),
        (&[("Expires", IN_TWO), ("Date", IN_A_MINUTE)], 0, Ok(60), 0, "the origin's clock is ahead"),
        (&[("Expires", MINUTE_AGO), ("Date", MINUTE_AGO)], 0, Err(ZeroLifetime), 0, "4.2.1"),
        (&[("Expires", IN_TWO), ("Expires", IN_A_MINUTE)], 0, Ok(60), 0, "4.2.1: the most restrictive"),
        (&[("Expires", IN_A_MINUTE), ("Expires", "0")], 0, Err(ZeroLifetime), 0, "4.2.1"),
        (&[("Expires", IN_A_MINUTE), ("Date", "x")], 0, Ok(60), 0, ""),
        (&[("Expires", IN_A_MINUTE), ("Age", "60")], 0, Err(ZeroLifetime), 0, "4.2"),
        // Words that speak of this moment.
        (
            &[("X-Twice-Control", "max-age=60"), ("Age", "90"), ("Date", MINUTE_AGO)],
            9,
            Ok(60),
            0,
            "the app's",
        ),
        (&[("X-Accel-Expires", "60"), ("Age", "90")], 9, Ok(60), 99, "nginx's"),
    ];
    let none = Valid::default();
    for (lines, delay, left, age, section) in table {
        let rules = Rules { delay: *delay, ..rules(&none) };
        let verdict = verdict(200, lines, &rules);
        assert_eq!((verdict.store, verdict.age), (*left, *age), "{lines:?} RFC 9111 {section}");
    }
    // The location's own lifetime begins now.
    let mut valid = Valid::default();
    valid.add_default(50);
    let verdict = verdict(200, &[("Age", "90")], &rules(&valid));
    assert_eq!((verdict.store, verdict.age), (Ok(50), 90));
}

/// What comes after its lifetime may still be served stale, where its origin says so (RFC 5861 3).
#[test]
fn what_came_late() {
    let cc = |value| ("Cache-Control", value);
    // Lines, seconds between question and answer, what is left of the lifetime and of both windows.
    type Row<'a> = (Lines<'a>, u64, Result<(u64, u32, u32), Reason>);
    let table: &[Row<'_>] = &[
        (&[cc("max-age=5, stale-while-revalidate=60")], 4, Ok((1, 60, FOR_EVER))),
        (&[cc("max-age=5, stale-while-revalidate=60")], 5, Ok((0, 60, FOR_EVER))),
        (&[cc("max-age=5, stale-while-revalidate=60")], 64, Ok((0, 1, FOR_EVER))),
        (&[cc("max-age=5, stale-while-revalidate=60")], 65, Err(ZeroLifetime)),
        (&[cc("max-age=5, stale-while-revalidate=60"), ("Age", "9")], 6, Ok((0, 50, FOR_EVER))),
        (&[cc("max-age=5, stale-while-revalidate=60, stale-if-error=30")], 15, Ok((0, 50, 20))),
        (&[cc("max-age=5, stale-while-revalidate=60, stale-if-error=30")], 45, Ok((0, 20, 0))),
        // A page for failures alone is none that anybody has seen yet.
        (&[cc("max-age=5, stale-if-error=60")], 5, Err(ZeroLifetime)),
        (&[cc("max-age=5, stale-while-revalidate=60, must-revalidate")], 5, Err(ZeroLifetime)),
        (&[cc("s-maxage=5, stale-while-revalidate=60")], 9, Ok((0, 56, 0))),
        (&[("Surrogate-Control", "max-age=5+60")], 9, Ok((0, 56, 56))),
        // Its origin gave it no time at all.
        (&[cc("max-age=0, stale-while-revalidate=60")], 0, Err(ZeroLifetime)),
        (&[cc("max-age=x, stale-while-revalidate=60")], 0, Err(ZeroLifetime)),
    ];
    let none = Valid::default();
    for (lines, delay, left) in table {
        // The location's factor is of what is left of the lifetime.
        for stale_factor in [Factor::DEFAULT, Factor::parse("9").unwrap()] {
            let rules = Rules { delay: *delay, stale_factor, ..rules(&none) };
            let verdict = verdict(200, lines, &rules);
            let windows = verdict.windows;
            let came = verdict.store.map(|seconds| (seconds, windows.stale_s, windows.error_s));
            assert_eq!(came, *left, "{lines:?} after {delay} s");
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Whatever clocks say: no answer gets younger by what is said of its age, and nothing overflows.
    #[test]
    fn an_answer_never_gets_younger(date: Option<i64>, age: Option<u64>, delay: u64, now: i64, more in 0..1000u64) {
        let dates = Dates { date, age, ..Dates::default() };
        let initial = dates.initial_age(now, delay);
        prop_assert!(initial <= MAX_LIFETIME);
        let older = Dates { age: Some(age.unwrap_or(0).saturating_add(more)), ..dates };
        prop_assert!(older.initial_age(now, delay) >= initial);
        prop_assert!(dates.initial_age(now.saturating_add(more as i64), delay) >= initial);
        prop_assert!(initial >= age.unwrap_or(0).min(MAX_LIFETIME));
    }

    #[test]
    fn no_date_ends_the_reader(lines in prop::collection::vec("[ -~]{0,40}", 0..4), at in 0..100_000i64) {
        let names = HeaderNames::default();
        let mut facts = Facts::new(&names);
        for line in &lines {
            for name in ["Date", "Expires", "Last-Modified", "Age", "X-Accel-Expires"] {
                facts.line(name.as_bytes(), line.as_bytes());
            }
        }
        let left = facts.dates.lifetime(NOW + at).unwrap_or(0);
        prop_assert!(left <= MAX_LIFETIME);
    }
}
