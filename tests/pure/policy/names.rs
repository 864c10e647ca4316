//! The names of the headers that app and cache talk through.

use twice_core::policy::{BadName, HeaderKey, HeaderNames};

#[test]
fn the_names_of_2008_are_the_defaults() {
    let names = HeaderNames::default();
    for (key, name) in [
        (HeaderKey::Control, "X-Twice-Control"),
        (HeaderKey::Request, "Twice"),
        (HeaderKey::Cookies, "Twice-Cookies"),
        (HeaderKey::Purge, "X-Mark-Dirty"),
        (HeaderKey::AbDependency, "X-ABDependency"),
        (HeaderKey::AbValue, "X-ABValue"),
        (HeaderKey::Geo, "X-Geo"),
    ] {
        assert_eq!(names.name(key), (name, name.to_ascii_lowercase().as_str()));
        for name in [name.to_owned(), name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
            assert_eq!(names.find(name.as_bytes()), Some(key), "{name}");
        }
    }
    for name in ["", "X-Twice", "Twice-", "X-Twice-Control ", "Content-Type"] {
        assert_eq!(names.find(name.as_bytes()), None, "{name}");
    }
}

#[test]
fn names_may_be_changed() {
    let long = "x".repeat(64);
    let too_long = "x".repeat(65);
    let table: &[(&str, &str, Result<(), BadName>)] = &[
        ("control", "X-Keep-For", Ok(())),
        ("request", "x-fill", Ok(())),
        ("cookies", "X_By.Cookie~1", Ok(())),
        ("purge", &long, Ok(())),
        ("geo", "X-GEO", Ok(())),
        ("control", "X-Twice-Control", Ok(())),
        ("Control", "X-A", Err(BadName::UnknownKey)),
        ("", "X-A", Err(BadName::UnknownKey)),
        ("control", "", Err(BadName::NotAToken)),
        ("control", "X A", Err(BadName::NotAToken)),
        ("control", "X:A", Err(BadName::NotAToken)),
        ("control", "X\r\nA", Err(BadName::NotAToken)),
        ("control", "\u{e9}", Err(BadName::NotAToken)),
        ("control", &too_long, Err(BadName::NotAToken)),
        ("control", "twice", Err(BadName::Taken)),
        ("control", "X-mark-dirty", Err(BadName::Taken)),
        ("control", "Set-Cookie", Err(BadName::Taken)),
        ("control", "cache-CONTROL", Err(BadName::Taken)),
    ];
    for (key, name, expected) in table {
        let mut names = HeaderNames::default();
        assert_eq!(names.set(key, name), *expected, "{key}={name}");
        if expected.is_ok() {
            assert!(names.find(name.to_ascii_uppercase().as_bytes()).is_some(), "{name}");
        } else {
            assert_eq!(names, HeaderNames::default(), "{key}={name}");
        }
    }
}

#[test]
fn a_name_that_is_free_again_may_be_taken() {
    let mut names = HeaderNames::default();
    names.set("request", "X-Fill").unwrap();
    names.set("control", "Twice").unwrap();
    assert_eq!(names.find(b"twice"), Some(HeaderKey::Control));
    assert_eq!(names.find(b"X-Twice-Control"), None);
}
