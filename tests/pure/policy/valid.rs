//! `twice_valid`.

use twice_core::policy::{BadStatus, MAX_LIFETIME, Valid, never_stored};

#[test]
fn codes_as_they_are_written() {
    let table: &[(&str, Result<(), BadStatus>)] = &[
        ("200", Ok(())),
        ("404", Ok(())),
        ("499", Ok(())),
        ("any", Ok(())),
        ("ANY", Err(BadStatus::NotAStatus)),
        ("", Err(BadStatus::NotAStatus)),
        ("20", Err(BadStatus::NotAStatus)),
        ("0200", Err(BadStatus::NotAStatus)),
        ("+20", Err(BadStatus::NotAStatus)),
        ("2xx", Err(BadStatus::NotAStatus)),
        ("600", Err(BadStatus::NotAStatus)),
        ("099", Err(BadStatus::NotAStatus)),
        ("100", Err(BadStatus::Never)),
        ("206", Err(BadStatus::Never)),
        ("304", Err(BadStatus::Never)),
        ("503", Err(BadStatus::Never)),
    ];
    for (code, expected) in table {
        assert_eq!(Valid::default().add(code, 60), *expected, "{code:?}");
    }
}

#[test]
fn every_status_that_may_be_stored_can_be_named() {
    for status in 100..600 {
        let mut valid = Valid::default();
        let added = valid.add(&status.to_string(), 60);
        assert_eq!(added.is_ok(), !never_stored(status), "{status}");
        assert_eq!(valid.for_status(status), added.ok().map(|()| 60), "{status}");
    }
}

#[test]
fn the_first_mention_counts() {
    let mut valid = Valid::default();
    valid.add("301", 5).unwrap();
    valid.add_default(60);
    valid.add("200", 7).unwrap();
    valid.add("any", 9).unwrap();
    valid.add("any", 11).unwrap();
    for (status, seconds) in [(200, 60), (301, 5), (302, 60), (404, 9)] {
        assert_eq!(valid.for_status(status), Some(seconds), "{status}");
    }
    assert_eq!(Valid::default().for_status(200), None);
}

#[test]
fn a_lifetime_saturates() {
    let mut valid = Valid::default();
    valid.add("200", u64::MAX).unwrap();
    valid.add("any", u64::MAX).unwrap();
    assert_eq!(valid.for_status(200), Some(MAX_LIFETIME));
    assert_eq!(valid.for_status(404), Some(MAX_LIFETIME));
}
