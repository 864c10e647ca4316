//! Tags in header lines: the values of the page, no byte that could end a line, and a bound.

use super::rig::{self, Setup, Visitor};
use crate::property::cases;
use proptest::prelude::*;
use twice_core::template::*;

type Lookup<'a> = &'a dyn Fn(&str, &[u8]) -> Vec<u8>;

/// A header line of a page, stored and printed for a visitor; none if it is too long.
fn print(value: &str, body: &str, lookup: Lookup<'_>) -> (Option<String>, Compiler, Header) {
    let mut compiler = Setup::default().compiler();
    let header = compiler.header(value.as_bytes());
    compiler.feed(body.as_bytes());
    compiler.finish();
    let mut stored = Vec::new();
    header.encode(b"X-Name", &mut stored);
    let line = lines(&stored).next().unwrap();
    assert_eq!(line.name, b"X-Name");
    let visitor = Visitor::new(Slots::new(compiler.parts().unwrap().slots), lookup);
    let mut out = b"left over".to_vec();
    let fits = line.print(&mut State::new(&Limits::default()), &visitor, &mut out).unwrap();
    (fits.then(|| String::from_utf8(out).unwrap()), compiler, header)
}

fn values(target: &str, key: &[u8]) -> Vec<u8> {
    match (target, key) {
        ("nonce", b"") => b"n0nce".to_vec(),
        ("cookie", b"a") => b"<\"A&nn'>".to_vec(),
        ("cookie", b"split") => b"a\r\nSet-Cookie: x=1\0\t\x7f;\x1b".to_vec(),
        ("db" | "include", _) => b"source".to_vec(),
        _ => Vec::new(),
    }
}

#[test]
fn a_line_is_filled() {
    for (line, expected) in [
        (
            "script-src 'nonce-<& nonce &>'; style-src 'nonce-<& nonce &>'",
            "script-src 'nonce-n0nce'; style-src 'nonce-n0nce'",
        ),
        ("no tag", "no tag"),
        ("", ""),
        // No escaping but what a tag asks for.
        ("<& get cookie a &>", "<\"A&nn'>"),
        ("<& get cookie a | url &>", "%3C%22A%26nn%27%3E"),
        ("<& get cookie a | html truncate:4 &>", "&lt;"),
        ("<& get cookie none no-one &>", "no-one"),
        ("<& if cookie a &>yes<& else &>no<& end &>", "yes"),
        ("<& if cookie none &>yes<& else &>no<& end &>;<& unless cookie none a b &>", "no;a"),
        // What could end the line is gone, through filters or not.
        ("<& get cookie split &>", "aSet-Cookie: x=1;"),
        ("<& get cookie split | raw &>", "aSet-Cookie: x=1;"),
        ("<& get cookie split | upper &>", "ASET-COOKIE: X=1;"),
        // There is no time to ask.
        ("<& get db a none &>", "none"),
        ("<& if db a &>yes<& else &>no<& end &>", "no"),
        ("<& pop db a none &>", "none"),
        ("a<& incr db a &>b", "ab"),
        ("<& include /x | default:none &>", "none"),
    ] {
        let (printed, compiler, header) = print(line, "", &values);
        assert_eq!(printed.as_deref(), Some(expected), "{line}");
        let asks = line.contains(" db ") || line.contains("include");
        assert_eq!(header.errors.iter().any(|error| error.kind == ErrorKind::NotInHeader), asks, "{line}");
        assert_eq!(header.errors.is_empty(), !asks && !line.contains("truncate"), "{line}");
        let parts = compiler.parts().unwrap();
        assert_eq!((parts.sources, parts.includes), (false, false));
        assert_eq!((parts.tags, compiler.error_count()), (header.tags, 0));
        assert_eq!(parts.volatile, line.contains("nonce"));
    }
}

#[test]
fn a_bad_tag_of_a_line_is_told_with_it() {
    let (printed, compiler, header) = print("a <& fetch x &> <& get cookie a", "<& nonsense &>", &values);
    assert_eq!(printed.as_deref(), Some("a <& fetch x &> <& get cookie a"));
    let kinds: Vec<_> = header.errors.iter().map(|error| error.kind).collect();
    assert_eq!(kinds, [ErrorKind::UnknownCommand, ErrorKind::Unterminated]);
    // The body's are its own.
    assert_eq!(compiler.error_count(), 1);
    // So is a block that a line leaves open.
    let (printed, _, header) = print("<& if cookie a &>x", "<& end &>", &values);
    assert_eq!(printed.as_deref(), Some("x"));
    assert_eq!(header.errors[0].kind, ErrorKind::BlockWithoutEnd);
}

#[test]
fn lines_and_body_have_one_table_of_values() {
    let mut compiler = Setup::default().compiler();
    let first = compiler.header(b"<& nonce &> <& get cookie a &>");
    let second = compiler.header(b"<& get cookie a &>");
    assert_eq!((first.tags, second.tags), (2, 1));
    compiler.feed(b"<& get cookie a &><& get cookie b &><& nonce &>");
    compiler.finish();
    let slots: Vec<_> = compiler.slots().map(|slot| (slot.target, slot.key.to_vec(), slot.uses)).collect();
    let expected = [
        (Target::Nonce, b"".to_vec(), 2),
        (Target::Cookie, b"a".to_vec(), 3),
        (Target::Cookie, b"b".to_vec(), 1),
    ];
    assert_eq!(slots, expected);
    let parts = compiler.parts().unwrap();
    assert_eq!((parts.tags, parts.personal, parts.volatile), (6, true, true));
    assert_eq!(rig::print(&compiler, &Limits::default(), &values), b"&lt;&quot;A&amp;nn&#39;&gt;n0nce");
    // The end has come: what is a tag is known.
    assert_eq!(compiler.header(b"<& nonce &>").literals, b"<& nonce &>");
}

#[test]
fn a_line_has_a_bound() {
    for (len, fits) in [(MAX_HEADER - 2, true), (MAX_HEADER - 1, false), (100_000, false)] {
        let long = |_: &str, _: &[u8]| vec![b'x'; len];
        let (printed, ..) = print("a<& get cookie a &>b", "", &long);
        assert_eq!(printed.is_some(), fits, "{len}");
    }
    let (printed, ..) = print(&"x".repeat(MAX_HEADER + 1), "", &values);
    assert_eq!(printed, None);
    // In a branch that is not taken it may be as long as it likes.
    let (printed, ..) = print(&format!("<& if cookie none &>{}<& end &>a", "x".repeat(9_000)), "", &values);
    assert_eq!(printed.as_deref(), Some("a"));
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_value_ends_a_line(value in prop::collection::vec(any::<u8>(), 0..60), filter in prop::sample::select(&[
        "", "| raw", "| html", "| attr", "| js", "| json", "| url", "| comma", "| upper", "| lower", "| trim",
        "| truncate:3", "| trim upper", "| default:x",
    ][..])) {
        let mut compiler = Setup::default().compiler();
        let header = compiler.header(format!("a <& get cookie v {filter} &> b").as_bytes());
        compiler.finish();
        let mut stored = Vec::new();
        header.encode(b"N", &mut stored);
        let visitor = Visitor(vec![value.clone()]);
        let mut out = Vec::new();
        let line = lines(&stored).next().unwrap();
        prop_assert!(line.print(&mut State::new(&Limits::default()), &visitor, &mut out).unwrap());
        prop_assert!(out.starts_with(b"a ") && out.ends_with(b" b"));
        prop_assert!(!out.iter().any(u8::is_ascii_control));
        if filter == "| raw" {
            let left: Vec<u8> = value.into_iter().filter(|byte| !byte.is_ascii_control()).collect();
            prop_assert_eq!(&out[2..out.len() - 2], left.as_slice());
        }
    }

    #[test]
    fn garbage_is_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200), value in prop::collection::vec(any::<u8>(), 0..9)) {
        let visitor = Visitor(vec![value; 3]);
        for line in lines(&bytes) {
            let mut out = Vec::new();
            let _ = line.print(&mut State::new(&Limits::default()), &visitor, &mut out);
            prop_assert!(out.len() <= MAX_HEADER);
        }
    }
}
