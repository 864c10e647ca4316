//! `Twice-Guard`, `Twice-Headers`, and what they and `twice_tags` make of a response.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::policy::*;

const TOKEN: &str = "0123456789abcdef";
const OTHER: &str = "fedcba9876543210";

fn facts<'n>(names: &'n HeaderNames, lines: &[(&str, &str)]) -> Facts<'n> {
    let mut facts = Facts::new(names);
    for (name, value) in lines {
        assert_eq!(facts.line(name.as_bytes(), value.as_bytes()).0, Fate::Strip);
    }
    facts
}

#[test]
fn one_token_is_a_guard() {
    let names = HeaderNames::default();
    let long = "x".repeat(129);
    let good = Some(Some(TOKEN));
    for (lines, expected) in [
        (&[][..], None),
        (&[TOKEN], good),
        (&["\t0123456789abcdef "], good),
        (&[TOKEN, TOKEN], good),
        (&[TOKEN, " 0123456789abcdef"], good),
        (&[TOKEN, OTHER], Some(None)),
        (&[TOKEN, OTHER, TOKEN], Some(None)),
        (&[TOKEN, ""], Some(None)),
        (&["bad", TOKEN], Some(None)),
        (&["bad", "bad"], Some(None)),
        (&[""], Some(None)),
        (&["0123456789abcdef, 0123456789abcdef"], Some(None)),
        (&["\"0123456789abcdef\""], Some(None)),
        (&["0123456789abcde"], Some(None)),
        (&[&long], Some(None)),
        (&[&long[1..]], Some(Some(&long[1..]))),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("twice-GUARD", *line)).collect();
        let facts = facts(&names, &lines);
        let token = |text: &str| twice_core::template::Token::parse(text.as_bytes()).unwrap();
        let guard = match expected {
            None => Guard::Missing,
            Some(None) => Guard::Bad,
            Some(Some(text)) => Guard::Token(token(text)),
        };
        assert!(facts.guard == guard, "{lines:?}");
        assert_eq!(facts.guard.token().is_some(), matches!(expected, Some(Some(_))));
    }
}

#[test]
fn what_guards_make_of_tags() {
    const CONTROL: (&str, &str) = ("X-Twice-Control", "max-age=60");
    const NO_TAGS: (&str, &str) = ("X-Twice-Control", "max-age=60, no-tags");
    const GOOD: (&str, &str) = ("Twice-Guard", TOKEN);
    const BAD: (&str, &str) = ("Twice-Guard", "bad");
    let (yes, no) = ((true, None), (false, None));
    let missing = (false, Some(Inert::NoGuard));
    let bad = (false, Some(Inert::BadGuard));
    // Lines, then what they mean with off, marked, guarded, all.
    let table: [(&[_], u16, [_; 4]); 14] = [
        (&[], 200, [no, no, missing, yes]),
        (&[], 404, [no, no, no, no]),
        (&[CONTROL], 200, [no, yes, missing, yes]),
        (&[CONTROL], 404, [no, yes, missing, yes]),
        (&[CONTROL], 206, [no, no, no, no]),
        (&[GOOD], 200, [no, yes, yes, yes]),
        (&[GOOD], 404, [no, yes, yes, yes]),
        (&[GOOD], 206, [no, no, no, no]),
        (&[CONTROL, GOOD], 200, [no, yes, yes, yes]),
        (&[BAD], 200, [no, bad, bad, bad]),
        (&[BAD, CONTROL], 200, [no, bad, bad, bad]),
        (&[GOOD, BAD, CONTROL], 200, [no, bad, bad, bad]),
        (&[NO_TAGS, GOOD], 200, [no, no, no, no]),
        (&[NO_TAGS, BAD], 200, [no, no, no, no]),
    ];
    let names = HeaderNames::default();
    let valid = Valid::default();
    for (lines, status, expected) in table {
        for (tags, expected) in [Tags::Off, Tags::Marked, Tags::Guarded, Tags::All].into_iter().zip(expected)
        {
            for (type_has_tags, encoded) in [(true, false), (false, false), (true, true)] {
                let mut facts = facts(&names, lines);
                facts.encoded = encoded;
                let rules = Rules { tags, type_has_tags, ..super::rules(&valid) };
                let verdict = decide(status, &facts, &rules);
                let expected = if type_has_tags && !encoded { expected } else { no };
                assert_eq!((verdict.tags, verdict.inert), expected, "{tags:?} {status} {lines:?}");
            }
        }
    }
}

#[test]
fn header_lines_that_may_hold_tags() {
    let mut names = HeaderNames::default();
    names.set("geo", "X-Country").unwrap();
    let facts = facts(
        &names,
        &[
            ("Twice-Headers", "Content-Security-Policy,x-own ,, X-OWN,"),
            ("twice-headers", "Link, Set-Cookie, LOCATION, x-country"),
            ("Twice-Headers", ""),
        ],
    );
    let listed = &facts.tag_headers;
    for name in ["content-security-policy", "Content-Security-Policy", "X-Own", "link"] {
        assert!(listed.has(name.as_bytes()), "{name}");
    }
    for name in ["", "X-Other", "Set-Cookie", "location", "X-Country", "X-Own2", "X-Ow"] {
        assert!(!listed.has(name.as_bytes()), "{name}");
    }
    assert_eq!(listed.refused(), Some((b"set-cookie".as_slice(), 3)));
}

/// None of them may be anybody's value: they say where the body ends, where to go, what to keep, who is logged in.
#[test]
fn header_lines_that_hold_no_tags() {
    let names = HeaderNames::default();
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Content-Length",
        "Content-Encoding",
        "Content-Range",
        "Content-Type",
        "Set-Cookie",
        "Set-Cookie2",
        "Location",
        "Refresh",
        "Content-Location",
        "Cache-Control",
        "Expires",
        "Pragma",
        "Vary",
        "ETag",
        "Last-Modified",
        "Age",
        "Date",
        "Via",
        "Server",
        "Cache-Status",
        "Accept-Ranges",
        "WWW-Authenticate",
        "Surrogate-Key",
        "Cache-Tag",
        "Surrogate-Control",
        "CDN-Cache-Control",
        "Content-MD5",
        "Digest",
        "Repr-Digest",
        "Content-Digest",
        "X-Accel-Redirect",
        "X-App-Server",
        "X-Twice-Control",
        "Twice",
        "Twice-Cookies",
        "Twice-Guard",
        "Twice-Headers",
        "X-ABDependency",
        "X-ABValue",
        "X-Geo",
        "X-Mark-Dirty",
    ] {
        let facts = facts(&names, &[("Twice-Headers", name)]);
        assert!(!facts.tag_headers.has(name.as_bytes()), "{name}");
        assert_eq!(facts.tag_headers.refused(), Some((name.to_ascii_lowercase().as_bytes(), 1)));
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn the_list_is_bounded(lines in prop::collection::vec("[a-z, -]{0,80}", 0..20)) {
        let names = HeaderNames::default();
        let lines: Vec<_> = lines.iter().map(|line| ("Twice-Headers", line.as_str())).collect();
        let facts = facts(&names, &lines);
        let all = lines.iter().flat_map(|line| line.1.split(',')).map(str::trim);
        let known = all.filter(|name| facts.tag_headers.has(name.as_bytes())).collect::<std::collections::HashSet<_>>();
        prop_assert!(known.len() <= 32);
    }
}
