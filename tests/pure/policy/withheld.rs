//! What a location may keep from its origin, and what it may vary its pages by.

use twice_core::policy::{
    BadVary, BadWithheld, HeaderNames, MAX_WITHHELD, Varies, WITHHELD, Withheld, dimension_of, may_vary_by,
};
use twice_core::variants::Dimension;

fn withheld(names: &[&str]) -> Withheld {
    let mut all = Withheld::default();
    for name in names {
        all.add(name.as_bytes()).unwrap();
    }
    all
}

#[test]
fn names_are_withheld_in_any_case() {
    let all = withheld(&["X-Forwarded-Host", "Cookie", "cookie"]);
    for name in ["x-forwarded-host", "X-FORWARDED-HOST", "Cookie", "Range", "accept-ENCODING"] {
        assert!(all.has(name.as_bytes()), "{name}");
    }
    for name in ["X-Forwarded-Hos", "X-Forwarded-Host2", "Host", ""] {
        assert!(!all.has(name.as_bytes()), "{name}");
    }
    // What is always withheld was not named here.
    assert!(all.named(b"COOKIE") && !all.named(b"range"));
    assert!(WITHHELD.iter().all(|name| Withheld::default().has(name)));
}

/// Behind CGI a header with `_` has the name of one with `-`.
#[test]
fn names_that_an_application_takes_for_them_are_withheld_too() {
    let all = withheld(&["X-Forwarded-Host", "Cookie", "a_b"]);
    for name in ["X_Forwarded_Host", "x-forwarded_HOST", "a-b", "If_None_Match", "TWICE_GUARD"] {
        assert!(all.has(name.as_bytes()), "{name}");
    }
    for name in ["X.Forwarded.Host", "XForwardedHost", "X-Forwarded Host", "X-Forwarded-Host_", "a.b"] {
        assert!(!all.has(name.as_bytes()), "{name}");
    }
    let names = HeaderNames::default();
    assert_eq!(names.find_alike(b"X_MARK-dirty"), names.find(b"X-Mark-Dirty"));
    assert_eq!(names.find_alike(b"X_Marks_Dirty"), None);
    assert_eq!(names.find(b"X_Mark_Dirty"), None, "an answer's line has its own name");
}

#[test]
fn bad_names_are_refused() {
    let long = "x".repeat(257);
    let table: &[(&str, BadWithheld)] = &[
        ("", BadWithheld::NotAName),
        ("a b", BadWithheld::NotAName),
        ("a:", BadWithheld::NotAName),
        ("a\r\nb", BadWithheld::NotAName),
        ("\u{e9}", BadWithheld::NotAName),
        (&long, BadWithheld::NotAName),
        ("Host", BadWithheld::Needed),
        ("connection", BadWithheld::Needed),
        ("Content-Length", BadWithheld::Needed),
        ("transfer-encoding", BadWithheld::Needed),
        ("TE", BadWithheld::Needed),
        ("Trailer", BadWithheld::Needed),
        ("Upgrade", BadWithheld::Needed),
        ("Expect", BadWithheld::Needed),
        ("Keep-Alive", BadWithheld::Needed),
    ];
    for (name, why) in table {
        assert_eq!(Withheld::default().add(name.as_bytes()), Err(*why), "{name}");
    }
    let mut full = Withheld::default();
    for n in 0..MAX_WITHHELD {
        full.add(format!("x-{n}").as_bytes()).unwrap();
    }
    assert_eq!(full.add(b"x-new"), Err(BadWithheld::TooMany));
    assert_eq!(full.add(b"X-0"), Ok(()), "it is there already");
}

#[test]
fn a_location_varies_by_what_its_origin_hears() {
    let names = HeaderNames::default();
    let none = Withheld::default();
    for good in ["X-Forwarded-Proto", "Cookie", "Accept-Language", "X-Geo", "X-ABValue", "Host"] {
        assert_eq!(may_vary_by(good.as_bytes(), &none, &names), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("", BadVary::NotAName),
        ("a,b", BadVary::NotAName),
        ("Range", BadVary::Withheld),
        ("Accept-Encoding", BadVary::Withheld),
        ("Twice", BadVary::Ours),
        ("x-twice-CONTROL", BadVary::Ours),
        ("Twice-Cookies", BadVary::Ours),
    ] {
        assert_eq!(may_vary_by(bad.as_bytes(), &none, &names), Err(why), "{bad}");
    }
    assert_eq!(may_vary_by(b"X-A", &withheld(&["x-a"]), &names), Err(BadVary::Withheld));
    assert_eq!(dimension_of(b"x-geo", &names), Some(Dimension::Geo));
    assert_eq!(dimension_of(b"x-abvalue", &names), Some(Dimension::AbValues));
    assert_eq!(dimension_of(b"x-a", &names), Some(Dimension::Header(b"x-a")));
    assert_eq!(dimension_of(b"range", &names), None);
}

#[test]
fn an_answer_does_not_depend_on_what_was_withheld() {
    let names = HeaderNames::default();
    let mut varies = Varies::default();
    varies.vary(b"Cookie, X-A, Accept-Language, Range", &names);
    varies.cookies(b"theme");
    let all = |withheld: &Withheld, negotiates| -> Vec<String> {
        varies.dimensions(negotiates, withheld).iter().map(|dimension| format!("{dimension:?}")).collect()
    };
    let shown = |dimensions: &[Dimension<'_>]| -> Vec<String> {
        dimensions.iter().map(|dimension| format!("{dimension:?}")).collect()
    };
    let (cookie, own) = (Dimension::Header(b"cookie"), Dimension::Header(b"x-a"));
    let (language, theme) = (Dimension::Header(b"accept-language"), Dimension::Cookie(b"theme"));
    assert_eq!(all(&Withheld::default(), false), shown(&[cookie, own, language, theme]));
    // A cookie that the application names is told to Twice itself: it may come to the app by another way.
    assert_eq!(all(&withheld(&["Cookie", "Accept-Language"]), false), shown(&[own, theme]));
    // The negotiated language is Twice's own word.
    assert_eq!(
        all(&withheld(&["X-A", "Accept-Language"]), true),
        shown(&[cookie, Dimension::Language, theme])
    );
}
