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
