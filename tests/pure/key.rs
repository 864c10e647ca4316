//! No two requests that an origin could tell apart have one key.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::key::{Ignored, MAX_IGNORED, Parts, Target, behind_host, port_of};

fn key(parts: &Parts<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    parts.write(|piece| out.extend_from_slice(piece));
    assert_eq!(out.len(), parts.len());
    assert!(!parts.is_empty());
    out
}

fn raw(scheme: &str, host: &str, port: &str, target: &str) -> Vec<u8> {
    let parts = Parts {
        scheme: scheme.as_bytes(),
        listen: b"",
        host: host.as_bytes(),
        port: port.as_bytes(),
        target: Target::Raw(target.as_bytes()),
    };
    key(&parts)
}

fn internal(host: &str, path: &str, args: &str) -> Vec<u8> {
    error_page(host, path, args, "")
}

fn error_page(host: &str, path: &str, args: &str, error: &str) -> Vec<u8> {
    let (path, args, error) = (path.as_bytes(), args.as_bytes(), error.as_bytes());
    let target = Target::Internal { path, args, error, raw: b"" };
    key(&Parts { scheme: b"http", listen: b"", host: host.as_bytes(), port: b"", target })
}

#[test]
fn a_key_reads_as_a_url() {
    assert_eq!(raw("http", "a.example", "", "/u?x=1"), b"http://a.example/u?x=1");
    assert_eq!(raw("https", "a.example", ":8443", "/"), b"https://a.example:8443/");
}

#[test]
fn an_empty_query_is_none() {
    const TABLE: &[(&str, &str, bool)] = &[
        ("/u", "/u?", true),
        ("/", "/?", true),
        // What follows the first question mark is the query, question marks too.
        ("/u?", "/u??", false),
        ("/u", "/u??", false),
        ("/u?a", "/u?a?", false),
        ("/u?a=1", "/u?a=1?", false),
        ("/u", "/u%3F", false),
    ];
    for (one, other, same) in TABLE {
        assert_eq!(raw("http", "h", "", one) == raw("http", "h", "", other), *same, "{one} {other}");
    }
}

#[test]
fn pairs_that_must_be_apart() {
    let table = [
        (raw("http", "h", "", "/u"), raw("https", "h", "", "/u"), "scheme"),
        (raw("http", "h", "", "/u"), raw("http", "i", "", "/u"), "host"),
        (raw("http", "h", "", "/u"), raw("http", "h", ":80", "/u"), "port"),
        (raw("http", "h", "", "/u"), raw("http", "h", "", "/U"), "case of the path"),
        (raw("http", "h", "", "/u"), raw("http", "h", "", "/%75"), "encoding"),
        (raw("http", "h", "", "/a/../u"), raw("http", "h", "", "/u"), "dots"),
        (raw("http", "h", "", "//u"), raw("http", "h", "", "/u"), "slashes"),
        (raw("http", "h", "", "/u"), internal("h", "/u", ""), "raw and internal"),
        (internal("h", "/u", "a"), internal("h", "/u?a", ""), "path and query of an internal one"),
        (internal("h", "/u?", "a"), internal("h", "/u", "?a"), "path and query of an internal one"),
        (raw("http", "h", "", "/u?a"), internal("h", "/u", "a"), "raw and internal"),
        (internal("h", "/u", ""), error_page("h", "/u", "", "404"), "an error's page"),
        (error_page("h", "/u", "", "404"), error_page("h", "/u", "", "500"), "two errors' page"),
        // nginx takes such a host, and an absolute target may have no path: one text, cut in two places.
        (raw("http", "b?x=1", "", "/y"), raw("http", "b", "", "?x=1/y"), "host and query"),
        (raw("http", "b", ":80", "?x"), raw("http", "b?x", ":80", "/"), "host, port and query"),
    ];
    for (one, other, what) in table {
        assert!(one != other, "{what}: {}", one.escape_ascii());
    }
}

#[test]
fn the_host_that_is_named_twice() {
    type Row = (&'static str, &'static str, Option<&'static str>, &'static str);
    const TABLE: &[Row] = &[
        ("a.example", "a.example", Some(""), ""),
        ("a.example", "A.Example", Some(""), "any case"),
        ("a.example", "a.example.", Some("."), "nginx takes one dot away, the origin is told of it"),
        ("a.example", "a.example:8080", Some(":8080"), ""),
        ("a.example", "a.example.:8080", Some(".:8080"), ""),
        ("a.example", "a.example:", Some(":"), "a port without digits"),
        ("[::1]", "[::1]", Some(""), ""),
        ("[::1]", "[::1]:80", Some(":80"), ""),
        ("a.example", "b.example", None, "RFC 9112 3.2.2"),
        ("a.example", "a.example.b", None, ""),
        ("a.example", "a.examplex", None, ""),
        ("a.example", "xa.example", None, ""),
        ("a.example", "a.exampl", None, ""),
        ("a.example", "", None, ""),
        ("a.example", "a.example:80x", None, ""),
        ("a.example", "a.example:80:80", None, ""),
        ("a.example", "a.example..", None, ""),
        ("a.example", "a.example@b", None, ""),
    ];
    for (server, header, expected, why) in TABLE {
        let behind = behind_host(server.as_bytes(), header.as_bytes());
        assert_eq!(behind, expected.map(str::as_bytes), "{server} {header} {why}");
    }
}

#[test]
fn the_port_behind_a_host() {
    const TABLE: &[(&str, Option<u16>)] = &[
        ("", None),
        (".", None),
        (":", None),
        (".:", None),
        (":80", Some(80)),
        (".:80", Some(80)),
        (":080", Some(80)),
        (":65535", Some(65535)),
        (":65536", None),
        (":99999999999999999999", None),
        (":8x", None),
        ("80", None),
        ("..:80", None),
    ];
    for (behind, port) in TABLE {
        assert_eq!(port_of(behind.as_bytes()), *port, "{behind}");
    }
}

fn ignored(words: &[&str]) -> Ignored {
    let mut ignored = Ignored::default();
    for word in words {
        assert!(ignored.add(word), "{word}");
    }
    ignored
}

fn counts(ignored: &Ignored, target: &str) -> String {
    let mut out = Vec::new();
    ignored.write_target(target.as_bytes(), |piece| out.extend_from_slice(piece));
    String::from_utf8(out).unwrap()
}

#[test]
fn ignored_arguments_are_left_out() {
    let tracking = ignored(&["utm_*", "fbclid", "x["]);
    const TABLE: &[(&str, &str, &str)] = &[
        ("/u", "/u", ""),
        ("/u?", "/u", "as without any to ignore"),
        ("/u?a=1", "/u?a=1", ""),
        ("/u?utm_source=x", "/u", "the ? goes with the last one"),
        ("/u?utm_source", "/u", ""),
        ("/u?fbclid=1&utm_=&utm_x=y=z", "/u", ""),
        ("/u?a=1&utm_source=x&b=2", "/u?a=1&b=2", ""),
        ("/u?utm_source=x&a=1", "/u?a=1", ""),
        ("/u?a=1&fbclid=x", "/u?a=1", ""),
        ("/u?b=2&a=1", "/u?b=2&a=1", "the order is kept"),
        ("/u?a=1&a=2&fbclid=1&a=3", "/u?a=1&a=2&a=3", ""),
        ("/u?fbclidx=1", "/u?fbclidx=1", "the whole name"),
        ("/u?xfbclid=1", "/u?xfbclid=1", ""),
        ("/u?FBCLID=1&Utm_x=1", "/u?FBCLID=1&Utm_x=1", "case counts"),
        ("/u?utm%5Fsource=x", "/u?utm%5Fsource=x", "as it came, not decoded"),
        ("/u?%66bclid=x", "/u?%66bclid=x", ""),
        ("/u?a=1;utm_source=x", "/u?a=1;utm_source=x", "one argument, named a"),
        ("/u?utm_source=x;a=1", "/u?utm_source=x;a=1", "an app may see an argument a"),
        ("/u?fbclid;a=1", "/u?fbclid;a=1", ""),
        ("/u?utm_source=x%26a=1", "/u", "no app sees an argument here"),
        ("/u?a=utm_source=x", "/u?a=utm_source=x", ""),
        ("/u??fbclid=1", "/u??fbclid=1", "a second ? is of the name"),
        ("/u?&fbclid=1&", "/u?&", "empty ones are kept"),
        ("/u?fbclid=1&", "/u", "what is left is an empty query, which is none"),
        ("/u?&", "/u?&", ""),
        ("/u?x[=1&x[]=2", "/u?x[]=2", ""),
        ("/utm_x?utm_x", "/utm_x", "the path is none of it"),
    ];
    for (target, expected, why) in TABLE {
        assert_eq!(counts(&tracking, target), *expected, "{target} {why}");
        if let Some((_, query)) = target.split_once('?') {
            let mut left = Vec::new();
            tracking.write_query(query.as_bytes(), |piece| left.extend_from_slice(piece));
            let expected = expected.split_once('?').map_or("", |(_, query)| query);
            assert_eq!(String::from_utf8(left).unwrap(), expected, "{query} {why}");
        }
    }
    assert_eq!(counts(&ignored(&["*"]), "/u?a&b=1"), "/u");
    assert_eq!(counts(&ignored(&["*"]), "/u?a&b;c"), "/u?b;c");
}

#[test]
fn names_that_can_be_ignored() {
    for bad in ["", "a&b", "a=b", "a;b", "a#", "*a", "a**", "a b", "\u{e9}", &"x".repeat(65)] {
        assert!(!Ignored::default().add(bad), "{bad}");
    }
    let mut full = Ignored::default();
    assert!((0..MAX_IGNORED).all(|n| full.add(&format!("a{n}"))));
    assert!(!full.add("b"));
}

type Request = (String, String, String, Result<String, (String, String)>);

/// Hosts as nginx lets them through (no slash, no control byte), and the targets that it takes: a raw one begins
/// with a slash or, where an absolute one has no path, with its question mark.
fn request() -> impl Strategy<Value = Request> {
    let scheme = prop_oneof![Just("http".to_owned()), Just("https".to_owned())];
    let host = "[ab?#.]{0,3}";
    let port = prop_oneof![Just(String::new()), "(:[08]{0,2})"];
    let target =
        prop_oneof!["[/?][ab?/:]{0,4}".prop_map(Ok), ("/[ab?/:]{0,4}", "[ab?/]{0,3}").prop_map(Err),];
    (scheme, host, port, target)
}

/// One text behind the scheme, cut into host, port and target in two ways.
fn two_cuts() -> impl Strategy<Value = (Request, Request)> {
    let cut = |text: &str, at: usize, port: bool| {
        let (host, target) = text.split_at(at % text.len());
        let (host, port) = match host.find(':') {
            Some(colon) if port => host.split_at(colon),
            _ => (host, ""),
        };
        ("http".to_owned(), host.to_owned(), port.to_owned(), Ok(target.to_owned()))
    };
    let possible = |(_, host, port, target): &Request| {
        let target = target.as_ref().unwrap();
        !host.contains([':', '/'])
            && port.bytes().skip(1).all(|b| b.is_ascii_digit())
            && target.starts_with(['/', '?'])
    };
    ("[a8?/:]{2,7}", any::<usize>(), any::<usize>())
        .prop_map(move |(text, one, other)| (cut(&text, one, true), cut(&text, other, true)))
        .prop_filter("nginx takes both", move |(one, other)| possible(one) && possible(other))
}

fn key_of((scheme, host, port, target): &Request) -> Vec<u8> {
    let target = match target {
        Ok(raw) => Target::Raw(raw.as_bytes()),
        Err((path, args)) => {
            Target::Internal { path: path.as_bytes(), args: args.as_bytes(), error: b"", raw: b"" }
        }
    };
    key(&Parts {
        scheme: scheme.as_bytes(),
        listen: b"",
        host: host.as_bytes(),
        port: port.as_bytes(),
        target,
    })
}

/// What the origin is asked for: an empty path is a slash, an empty query is none.
fn asked(request: &Request) -> Request {
    let mut asked = request.clone();
    if let Ok(raw) = &mut asked.3 {
        if raw.starts_with('?') {
            raw.insert(0, '/');
        }
        if raw.find('?') == Some(raw.len() - 1) {
            raw.pop();
        }
    }
    asked
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn one_key_is_one_request(one in request(), other in request()) {
        prop_assert_eq!(key_of(&one) == key_of(&other), asked(&one) == asked(&other), "{:?} {:?}", one, other);
    }

    #[test]
    fn what_is_left_of_a_query_tells_requests_apart(
        one in prop::collection::vec("[aux;]{0,2}(=[a;]?)?", 0..5),
        other in prop::collection::vec("[aux;]{0,2}(=[a;]?)?", 0..5),
    ) {
        let ignored = ignored(&["u*", "x"]);
        // Word by word: an argument is ignored if its name says so and no `;` is in it.
        let left = |arguments: &[String]| {
            let kept = arguments.iter().filter(|argument| {
                let name = argument.split('=').next().unwrap();
                argument.contains(';') || !(name.starts_with('u') || name == "x")
            });
            kept.cloned().collect::<Vec<_>>()
        };
        let target = |arguments: &[String]| format!("/p?{}", arguments.join("&"));
        let (one_left, other_left) = (left(&one), left(&other));
        // An empty query is none.
        let asked = |left: Vec<String>| if left == [""] { Vec::new() } else { left };
        let same = asked(one_left.clone()) == asked(other_left);
        prop_assert_eq!(counts(&ignored, &target(&one)) == counts(&ignored, &target(&other)), same);
        let plain = Ignored::default();
        prop_assert_eq!(counts(&ignored, &target(&one)), counts(&plain, &target(&one_left)));
    }

    #[test]
    fn a_text_that_is_cut_elsewhere_is_another_key((one, other) in two_cuts()) {
        prop_assert_eq!(key_of(&one) == key_of(&other), asked(&one) == asked(&other), "{:?} {:?}", one, other);
    }

    #[test]
    fn any_host_line_ends(
        server in prop::collection::vec(any::<u8>(), 0..20),
        header in prop::collection::vec(any::<u8>(), 0..30),
    ) {
        if let Some(behind) = behind_host(&server, &header) {
            prop_assert!(behind.is_empty() || behind[0] == b':' || behind[0] == b'.');
            prop_assert_eq!([&header[..server.len()], behind].concat(), header.clone());
            prop_assert!(header.to_ascii_lowercase().starts_with(&server.to_ascii_lowercase()));
        }
    }
}
