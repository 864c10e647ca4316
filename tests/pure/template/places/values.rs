//! What the filters of places make of values.

use super::super::rig::{Setup, print};

fn through(filter: &str, value: &[u8]) -> String {
    let page = format!("<& get cookie x | {filter} &>");
    let compiler = Setup::default().compile([page.as_bytes()]);
    String::from_utf8(print(&compiler, &Setup::default().limits, &|_, _| value.to_vec())).unwrap()
}

fn table(filter: &str, rows: &[(&str, &str)]) {
    for (value, expected) in rows {
        assert_eq!(through(filter, value.as_bytes()), *expected, "{value:?} | {filter}");
    }
}

#[test]
fn href() {
    table(
        "href",
        &[
            ("/a/b?c=d&e=f#g", "/a/b?c=d&amp;e=f#g"),
            ("https://example.com:8080/a%20b", "https://example.com:8080/a%20b"),
            ("//example.com/", "//example.com/"),
            ("HTTP://x", "HTTP://x"),
            ("mailto:a@b.c", "mailto:a@b.c"),
            ("tel:+1(2)", "tel:+1%282%29"),
            (" a b\t", "a%20b"),
            ("a%zz%", "a%25zz%25"),
            ("\u{e9}'\"<>`\\{}", "%C3%A9%27%22%3C%3E%60%5C%7B%7D"),
            ("javascript:alert(1)", "#blocked"),
            ("JaVaScRiPt:alert(1)", "#blocked"),
            ("\u{1}javascript:alert(1)", "#blocked"),
            ("java\tscript:alert(1)", "#blocked"),
            ("java\nscript:alert(1)", "#blocked"),
            ("data:text/html,x", "#blocked"),
            ("vbscript:x", "#blocked"),
            ("javascript&colon;alert(1)", "javascript&amp;colon;alert%281%29"),
            ("  ", "#blocked"),
            (":x", "#blocked"),
            ("a/b:c", "a/b:c"),
            ("?javascript:x", "?javascript:x"),
            ("a,b", "a,b"),
        ],
    );
    table("srcset", &[("/a,b c&", "/a%2Cb%20c&amp;"), ("javascript:x", "#blocked")]);
    table("cssurl", &[("/a?b&c)'\"\\", "/a?b\\26 c%29%27%22%5C"), ("data:x", "#blocked")]);
}

#[test]
fn style_values() {
    table(
        "css",
        &[
            ("a \"b'\n\\</style>\0", "a \\22 b\\27 \\0a \\5c \\3c \\2f style\\3e \\fffd "),
            ("\u{e9}", "\u{e9}"),
        ],
    );
    let long = "x".repeat(65);
    table(
        "cssword",
        &[
            ("red", "red"),
            ("#ff0", "#ff0"),
            ("-1.5em", "-1.5em"),
            ("10%", "10%"),
            ("a b", "blocked"),
            ("url(x)", "blocked"),
            ("expression(x)", "blocked"),
            ("red;", "blocked"),
            ("\\66", "blocked"),
            ("\u{e9}", "blocked"),
            (&long, "blocked"),
        ],
    );
}

#[test]
fn script_values() {
    table(
        "jsvalue",
        &[
            ("1", " 1 "),
            ("-1.50", " -1.50 "),
            ("0", " 0 "),
            ("-0", " -0 "),
            ("true", " true "),
            ("null", " null "),
            ("007", " \"007\" "),
            ("1e5", " \"1e5\" "),
            ("1.", " \"1.\" "),
            (".5", " \".5\" "),
            ("--1", " \"--1\" "),
            ("12345678901234567890", " \"12345678901234567890\" "),
            ("NaN", " \"NaN\" "),
            ("a\"</script>\u{2028}", " \"a\\u0022\\u003c/script\\u003e\\u2028\" "),
        ],
    );
}

/// No filter lets out what ends its place.
#[test]
fn nothing_gets_out() {
    let values: Vec<Vec<u8>> =
        (0..=255).flat_map(|byte| [vec![byte], vec![b'a', byte, b'b'], vec![byte; 3]]).collect();
    for (filter, forbidden) in [
        ("href", &b" \t\n\r\x0c\"'<>()\\`"[..]),
        ("srcset", b" \t\n\r\x0c\"'<>()\\`,"),
        ("cssurl", b"\t\n\r\x0c\"'<>()`"),
        ("css", b"\t\n\r\x0c\"'<>();{}&*/\0"),
        ("cssword", b" \t\n\r\x0c\"'<>();:{}&*/\\\0"),
        ("jsvalue", b"\t\n\r\x0c'<>&\0"),
        ("jsvalue | html", b"\t\n\r\x0c\"'<>\0"),
    ] {
        for value in &values {
            let page = format!("<& get cookie x | {filter} &>");
            let compiler = Setup::default().compile([page.as_bytes()]);
            let out = print(&compiler, &Setup::default().limits, &|_, _| value.clone());
            assert!(!out.is_empty(), "{value:?} | {filter}");
            assert!(
                !out.iter().any(|byte| forbidden.contains(byte)),
                "{value:?} | {filter}: {}",
                out.escape_ascii()
            );
        }
    }
}
