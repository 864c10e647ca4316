//! Purge commands as they are written.

use twice_core::key::Ignored;
use twice_core::marks::{of_key, of_url};
use twice_core::purge::{Bad, Command, MAX_THINGS, Site, refusal};

fn url(host: &str, target: &str) -> u64 {
    of_url(host.as_bytes(), target.as_bytes())
}

#[test]
fn urls_as_they_may_be_written() {
    let cases = [
        ("/a", url("here", "/a")),
        ("/a?", url("here", "/a")),
        ("/a?b=c", url("here", "/a?b=c")),
        ("/a??", url("here", "/a??")),
        ("//b/../a?b=%63", url("here", "/a?b=c")),
        ("http://Example.COM/a", url("example.com", "/a")),
        ("HTTPS://example.com:8443/a?b", url("example.com", "/a?b")),
        ("http://example.com", url("example.com", "/")),
        ("http://example.com.:80?x", url("example.com", "/?x")),
        ("http://[::1]:80/a", url("[::1]", "/a")),
        ("http://[::1]/a", url("[::1]", "/a")),
        ("/%C3%A4", url("here", "/ä")),
        ("/ä", url("here", "/ä")),
    ];
    for (text, mark) in cases {
        let body = serde_json::json!({ "urls": [text] }).to_string();
        let command = Command::from_json(body.as_bytes(), b"HERE");
        assert_eq!(command, Ok(Command { urls: vec![mark], ..Command::default() }), "{text}");
    }
    for bad in
        ["", "a", "ftp://x/", "http://", "http:///a", "/a b", "/a#b", "/a\n", "http://u@h/", "http://:80/"]
    {
        let body = serde_json::json!({ "urls": ["/good", bad] }).to_string();
        assert_eq!(Command::from_json(body.as_bytes(), b"h"), Err(Bad::Url(bad.to_owned())), "{bad:?}");
    }
}

#[test]
fn a_whole_command() {
    let body =
        br#"{"urls":["/a","/b"],"prefixes":["/c/","https://x/d"],"keys":["red green","blue"],"soft":true}"#;
    let command = Command::from_json(body, b"h").unwrap();
    assert_eq!(command.urls, [url("h", "/a"), url("h", "/b")]);
    assert_eq!(command.prefixes, [b"h/c/".to_vec(), b"x/d".to_vec()]);
    assert_eq!(command.keys, [of_key(b"red"), of_key(b"green"), of_key(b"blue")]);
    assert!(command.soft && !command.all);
    let done: serde_json::Value = serde_json::from_slice(&command.done(42)).unwrap();
    assert_eq!(
        done,
        serde_json::json!({ "urls": 2, "prefixes": 2, "keys": 3, "all": false, "soft": true, "stamp": 42 })
    );
    assert!(Command::from_json(br#"{"all":true}"#, b"h").unwrap().all);
}

#[test]
fn what_is_no_command_names_its_mistake() {
    for body in
        ["", "{", "[]", "7", r#"{"url":["/a"]}"#, r#"{"urls":"/a"}"#, r#"{"urls":[1]}"#, r#"{"all":"yes"}"#]
    {
        let Err(Bad::Json(_)) = Command::from_json(body.as_bytes(), b"h") else { panic!("{body}") };
    }
    for body in ["{}", r#"{"soft":true}"#, r#"{"urls":[],"all":false}"#] {
        assert_eq!(Command::from_json(body.as_bytes(), b"h"), Err(Bad::Nothing), "{body}");
    }
    let many = serde_json::json!({ "keys": vec!["k"; MAX_THINGS + 1] }).to_string();
    assert_eq!(Command::from_json(many.as_bytes(), b"h"), Err(Bad::TooMany));
    let words = serde_json::json!({ "keys": ["k ".repeat(MAX_THINGS), "k"] }).to_string();
    assert_eq!(Command::from_json(words.as_bytes(), b"h"), Err(Bad::TooMany));
    assert_eq!(Command::from_json(br#"{"keys":[""," ,"]}"#, b"h"), Err(Bad::Nothing));
    let long = format!("/{}", "x".repeat(495));
    let body = serde_json::json!({ "prefixes": [long] }).to_string();
    assert_eq!(Command::from_json(body.as_bytes(), b"h"), Err(Bad::Prefix(long[..200].to_owned())));
    // Too deep for the parser's stack, if it did not count.
    assert!(Command::from_json("[".repeat(100_000).as_bytes(), b"h").is_err());
    assert!(Command::from_json(b"\xff", b"h").is_err());
    assert_eq!(refusal("a \"b\""), br#"{"error":"a \"b\""}"#);
}

#[test]
fn targets_of_purge() {
    let cases: &[(&str, Command)] = &[
        ("/a", Command { urls: vec![url("h", "/a")], ..Command::default() }),
        ("", Command { urls: vec![url("h", "/")], ..Command::default() }),
        ("/a?x=1", Command { urls: vec![url("h", "/a?x=1")], ..Command::default() }),
        ("/a?x=1&soft=1&y", Command { urls: vec![url("h", "/a?x=1&y")], soft: true, ..Command::default() }),
        ("/a?prefix=1", Command { prefixes: vec![b"h/a".to_vec()], ..Command::default() }),
        ("/a?prefix=0", Command { urls: vec![url("h", "/a?prefix=0")], ..Command::default() }),
    ];
    for (target, command) in cases {
        assert_eq!(Command::from_target(target.as_bytes(), b"H").as_ref(), Ok(command), "{target}");
    }
}

#[test]
fn arguments_that_do_not_count_are_left_out() {
    let mut ignored = Ignored::default();
    assert!(ignored.add("utm_*"));
    let site = Site { host: b"h", ignored: Some(&ignored) };
    for target in ["/a?utm_x=1&b&utm_y", "/a?b", "http://h/a?b&utm_x"] {
        assert_eq!(Command::from_url(target.as_bytes(), site).unwrap().urls, [url("h", "/a?b")], "{target}");
    }
    assert_eq!(Command::from_target(b"/a?utm_x=1", site).unwrap().urls, [url("h", "/a")]);
}
