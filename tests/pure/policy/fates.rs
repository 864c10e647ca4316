//! What becomes of each header line.

use twice_core::policy::{Facts, Fate, HeaderNames, Lifetime, Note};

use Fate::{Keep, Once, Strip};

#[test]
fn each_line_is_kept_used_once_or_stripped() {
    const TABLE: &[(&str, Fate, &str)] = &[
        ("Content-Language", Keep, ""),
        ("X-Own", Keep, ""),
        ("Link", Keep, ""),
        ("Location", Keep, ""),
        ("ETag", Keep, ""),
        ("Last-Modified", Keep, ""),
        ("Cache-Control", Keep, ""),
        ("Expires", Keep, ""),
        ("Vary", Keep, ""),
        ("Content-Encoding", Keep, ""),
        ("Content-Security-Policy", Keep, ""),
        ("Set-Cookie", Once, "one visitor's"),
        ("set-cookie2", Once, "one visitor's"),
        ("Date", Keep, "there where the location passes it on"),
        ("Surrogate-Control", Keep, "unless it steers"),
        ("CDN-Cache-Control", Keep, "RFC 9213 2.2: for other caches, too"),
        ("X-Accel-Expires", Keep, "there where the location passes it on"),
        ("Age", Once, "RFC 9111 5.1: made anew"),
        ("Cache-Status", Once, "RFC 9211: made anew"),
        ("Content-Length", Once, "made anew"),
        ("Accept-Ranges", Once, "made anew"),
        ("Connection", Once, "RFC 9110 7.6.1"),
        ("Keep-Alive", Once, "RFC 9110 7.6.1"),
        ("Proxy-Connection", Once, "RFC 9110 7.6.1"),
        ("TE", Once, "RFC 9110 7.6.1"),
        ("Trailer", Once, "RFC 9110 6.6.2"),
        ("Transfer-Encoding", Once, "RFC 9110 7.6.1"),
        ("Upgrade", Once, "RFC 9110 7.6.1"),
        ("Proxy-Authenticate", Once, "RFC 9111 3.1"),
        ("Proxy-Authentication-Info", Once, "RFC 9111 3.1"),
        ("WWW-Authenticate", Once, "one visitor's"),
        ("X-Twice-Control", Strip, ""),
        ("TWICE", Strip, ""),
        ("Twice-Cookies", Strip, ""),
        ("X-ABDependency", Strip, ""),
        ("X-App-Server", Strip, ""),
        ("Surrogate-Key", Strip, ""),
        ("cache-tag", Strip, ""),
        ("Twice-Guard", Strip, ""),
        ("Twice-Headers", Strip, ""),
        // Words for the way in are the app's own on the way out.
        ("X-Mark-Dirty", Keep, ""),
        ("X-Geo", Keep, ""),
    ];
    let names = HeaderNames::default();
    for (name, fate, why) in TABLE {
        for name in [name.to_string(), name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
            let mut facts = Facts::new(&names);
            assert_eq!(facts.line(name.as_bytes(), b""), (*fate, None), "{name} {why}");
        }
    }
}

#[test]
fn renamed_headers_are_read_by_their_new_name_alone() {
    let mut names = HeaderNames::default();
    names.set("control", "X-Keep-For").unwrap();
    let mut facts = Facts::new(&names);
    assert_eq!(facts.line(b"x-keep-for", b"max-age=60"), (Strip, None));
    assert_eq!(facts.line(b"X-Twice-Control", b"max-age=5"), (Keep, None));
    assert_eq!(facts.control.unwrap().max_age, Some(60));
}

#[test]
fn what_is_odd_about_a_number_is_told() {
    let names = HeaderNames::default();
    for name in ["X-Twice-Control", "Cache-Control", "Surrogate-Control"] {
        for (value, odd) in [
            ("max-age=60", None),
            ("max-age=abc", Some(Lifetime::Malformed)),
            ("max-age=-1", Some(Lifetime::Malformed)),
            ("max-age=99999999999999999999999", Some(Lifetime::Saturated)),
            ("no-such=abc", None),
        ] {
            let mut facts = Facts::new(&names);
            let (_, note) = facts.line(name.as_bytes(), value.as_bytes());
            // The app's own word is taken as not given then, one for all caches as over.
            let made = if name == "X-Twice-Control" { Note::Lifetime } else { Note::Over };
            assert_eq!(note, odd.map(made), "{name}: {value}");
        }
    }
}
