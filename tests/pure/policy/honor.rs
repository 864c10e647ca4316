//! Which headers steer, and in which order.

use twice_core::outcome::Reason::{
    self, Authorization, CacheControl as Forbidden, NoLifetime, SetCookie, Varies, ZeroLifetime,
};
use twice_core::policy::*;

use super::{Lines, honor, rules, verdict};

const DEFAULT: &str = "X-Twice-Control Surrogate-Control X-Accel-Expires Cache-Control Expires";

#[test]
fn the_first_that_says_anything_decides() {
    let control = |value| ("X-Twice-Control", value);
    let surrogate = |value| ("Surrogate-Control", value);
    let accel = |value| ("X-Accel-Expires", value);
    let cc = |value| ("Cache-Control", value);
    let cdn = |value| ("CDN-Cache-Control", value);
    let expires = ("Expires", "Sun, 06 Nov 1994 08:50:37 GMT");
    let cdn_first = "X-Twice-Control CDN-Cache-Control Cache-Control Expires";
    type Row<'a> = (&'a str, Lines<'a>, Result<u64, Reason>);
    let table: &[Row<'_>] = &[
        (
            DEFAULT,
            &[control("max-age=1"), surrogate("max-age=2"), accel("3"), cc("max-age=4"), expires],
            Ok(1),
        ),
        (DEFAULT, &[control("no-tags"), surrogate("max-age=2"), accel("3"), cc("max-age=4"), expires], Ok(2)),
        (DEFAULT, &[accel("3"), cc("max-age=4"), expires], Ok(3)),
        (DEFAULT, &[cc("max-age=4"), expires], Ok(4)),
        (DEFAULT, &[expires], Ok(60)),
        (DEFAULT, &[cc("public"), expires], Ok(60)),
        // Surrogate-Control.
        (DEFAULT, &[surrogate("max-age=2+9")], Ok(2)),
        (DEFAULT, &[surrogate("content=\"ESI/1.0\""), cc("max-age=4")], Ok(4)),
        (DEFAULT, &[surrogate("content=\"ESI/1.0\", max-age=2;abc"), cc("private")], Ok(2)),
        (DEFAULT, &[surrogate("no-store"), cc("max-age=4")], Err(Forbidden)),
        (DEFAULT, &[surrogate("no-store, max-age=2")], Err(Forbidden)),
        (DEFAULT, &[surrogate("no-store-remote, max-age=2")], Ok(2)),
        (DEFAULT, &[surrogate("max-age=0"), cc("max-age=4")], Err(ZeroLifetime)),
        (DEFAULT, &[surrogate("max-age=x"), cc("max-age=4")], Err(ZeroLifetime)),
        // X-Accel-Expires.
        (DEFAULT, &[accel("0"), cc("max-age=4")], Err(ZeroLifetime)),
        (DEFAULT, &[accel("3"), cc("no-store")], Ok(3)),
        (DEFAULT, &[accel("@784111787"), cc("max-age=4")], Ok(10)),
        (DEFAULT, &[accel("@784111777"), cc("max-age=4")], Err(ZeroLifetime)),
        (DEFAULT, &[accel("@99999999999999999999999")], Ok(MAX_LIFETIME)),
        (DEFAULT, &[accel("99999999999999999999999")], Ok(MAX_LIFETIME)),
        (DEFAULT, &[accel("off"), cc("max-age=4")], Ok(4)),
        (DEFAULT, &[accel("-1"), cc("max-age=4")], Ok(4)),
        (DEFAULT, &[accel("@"), cc("max-age=4")], Ok(4)),
        (DEFAULT, &[accel("x"), accel("3"), cc("max-age=4")], Ok(3)),
        // A targeted field, where it is named.
        (DEFAULT, &[cdn("max-age=5")], Err(NoLifetime)),
        (DEFAULT, &[cdn("no-store"), cc("max-age=4")], Ok(4)),
        (cdn_first, &[cdn("max-age=5"), cc("max-age=4")], Ok(5)),
        (cdn_first, &[cdn("max-age=5"), cc("private")], Ok(5)),
        (cdn_first, &[cdn("no-store"), cc("max-age=4")], Err(Forbidden)),
        (cdn_first, &[cdn("must-revalidate"), cc("max-age=4"), expires], Err(NoLifetime)),
        (cdn_first, &[cdn(""), cc("max-age=4")], Ok(4)),
        (cdn_first, &[cdn("max-age=5, &"), cc("max-age=4")], Ok(4)),
        (cdn_first, &[control("max-age=1"), cdn("max-age=5")], Ok(1)),
        ("CDN-Cache-Control X-Twice-Control", &[control("max-age=1"), cdn("max-age=5")], Ok(5)),
        ("A-Cache-Control B-Cache-Control", &[("B-Cache-Control", "max-age=6")], Ok(6)),
        (
            "A-Cache-Control B-Cache-Control",
            &[("B-Cache-Control", "max-age=6"), ("a-cache-control", "max-age=7")],
            Ok(7),
        ),
        // Another order.
        ("Expires Cache-Control", &[cc("max-age=4"), expires], Ok(60)),
        ("Cache-Control X-Accel-Expires", &[cc("max-age=4"), accel("3")], Ok(4)),
        // What is not named neither stores nor forbids.
        ("X-Twice-Control", &[cc("max-age=4")], Err(NoLifetime)),
        ("Cache-Control", &[control("max-age=1")], Err(NoLifetime)),
        ("Cache-Control", &[control("max-age=1"), cc("max-age=4")], Ok(4)),
        (
            "off",
            &[control("max-age=1"), surrogate("max-age=2"), accel("3"), cc("max-age=4")],
            Err(NoLifetime),
        ),
    ];
    let none = Valid::default();
    for (words, lines, expected) in table {
        let honor = honor(words);
        let rules = Rules { honor: &honor, ..rules(&none) };
        assert_eq!(verdict(200, lines, &rules).store, *expected, "{words}: {lines:?}");
    }
}

#[test]
fn an_app_that_knows_nothing_of_caching() {
    let off = honor("off");
    let mut valid = Valid::default();
    valid.add_default(50);
    let table: &[(Lines<'_>, _)] = &[
        (&[], Ok(50)),
        (&[("Cache-Control", "no-store, no-cache, must-revalidate"), ("Expires", "0")], Ok(50)),
        (&[("X-Twice-Control", "max-age=0")], Ok(50)),
        (&[("X-Accel-Expires", "0")], Ok(50)),
        // These are not what steers.
        (&[("Set-Cookie", "a=b")], Err(SetCookie)),
        (&[("Vary", "*")], Err(Varies)),
    ];
    for (lines, expected) in table {
        let rules = Rules { honor: &off, ..rules(&valid) };
        assert_eq!(verdict(200, lines, &rules).store, *expected, "{lines:?}");
        let with_password = Rules { authorization: true, ..rules };
        assert!(verdict(200, lines, &with_password).store.is_err(), "{lines:?}");
    }
    let said = [("Cache-Control", "public, max-age=60")];
    let rules = Rules { honor: &off, authorization: true, ..rules(&valid) };
    assert_eq!(verdict(200, &said, &rules).store, Err(Authorization), "not heard");
}

#[test]
fn words_as_they_are_written() {
    use BadSteer::{NotAlone, TooMany, Twice, Unknown};
    let names = HeaderNames::default();
    for (words, bad) in [
        (DEFAULT, None),
        ("off", None),
        ("OFF", None),
        ("cache-control CDN-CACHE-CONTROL", None),
        ("off Expires", Some(("Expires", NotAlone))),
        ("Expires off", Some(("off", NotAlone))),
        ("off off", Some(("off", NotAlone))),
        ("Expires expires", Some(("expires", Twice))),
        ("A-Cache-Control a-cache-control", Some(("a-cache-control", Twice))),
        ("Pragma", Some(("Pragma", Unknown))),
        ("Pragma X-Keep", Some(("X-Keep", Unknown))),
        ("-Cache-Control", Some(("-Cache-Control", Unknown))),
        ("a:-Cache-Control", Some(("a:-Cache-Control", Unknown))),
    ] {
        let parsed = Honor::parse(words.split(' '));
        let found = match &parsed {
            Ok(honor) => honor.check(&names).err(),
            Err(bad) => Some(*bad),
        };
        assert_eq!(found, bad, "{words}");
    }
    let many: Vec<String> = (0..17).map(|n| format!("X{n}-Cache-Control")).collect();
    let many = Honor::parse(many.iter().map(String::as_str));
    assert_eq!(many, Err(("X16-Cache-Control", TooMany)));
    // The control header by the name that it has.
    let mut renamed = HeaderNames::default();
    renamed.set("control", "X-Keep-For").unwrap();
    assert_eq!(honor("Expires x-keep-for").check(&renamed), Ok(()));
    assert_eq!(honor("Expires x-keep-for").check(&names), Err(("x-keep-for", Unknown)));
    assert_eq!(honor("X-Twice-Control").check(&renamed), Ok(()));
    assert_eq!(Honor::parse(["X-Keep-For", "X-Twice-Control"]), Err(("X-Twice-Control", Twice)));
    assert_eq!(honor(DEFAULT), Honor::default());
}

#[test]
fn what_steers_and_is_for_twice_alone() {
    for (words, stripped) in [(DEFAULT, true), ("off", false), ("Cache-Control", false)] {
        assert_eq!(honor(words).strips(b"SURROGATE-Control"), stripped, "{words}");
        assert!(!honor(words).strips(b"Cache-Control") && !honor(words).strips(b"CDN-Cache-Control"));
    }
}
