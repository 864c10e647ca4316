//! Delimiters: strings, regular expressions, and what is refused.

use super::language::ann;
use super::rig::{self, Setup};
use std::sync::Arc;
use twice_core::template::*;

#[test]
fn refused() {
    let long = [b'x'; MAX_DELIMITER + 1];
    for (open, close, why) in [
        (b"".as_slice(), b"&>".as_slice(), BadDelimiters::Empty),
        (b"<&", b"", BadDelimiters::Empty),
        (&long, b"&>", BadDelimiters::TooLong),
        (b"<&", &long, BadDelimiters::TooLong),
        (b"<\n", b"&>", BadDelimiters::LineEnd),
    ] {
        assert_eq!(Delimiters::strings(open, close).err(), Some(why));
    }
    assert_eq!(Delimiters::regex("<%.*?%>").err(), Some(BadDelimiters::NoGroup));
    assert_eq!(Delimiters::regex("(.*?)").err(), Some(BadDelimiters::MatchesEmpty));
    assert_eq!(Delimiters::regex("(x)?").err(), Some(BadDelimiters::MatchesEmpty));
    for bad in ["<%(.*?%>", "((((.{1000}){1000}){1000}){1000})", "(?<=a)(b)", "*"] {
        let error = Delimiters::regex(bad).err().unwrap();
        assert!(matches!(error, BadDelimiters::Regex(_)), "{bad}");
        let text = error.to_string();
        assert!(text.starts_with("not a regular expression: ") && !text.contains('\n'), "{text:?}");
    }
}

#[test]
fn strings() {
    for (open, close, page, expected) in [
        ("{{", "}}", "a{{ get cookie name }}b", "aAnnb"),
        ("%", "%", "100%get cookie name%!", "100Ann!"),
        ("<!--#", "-->", "<!--# get cookie name --><!-- no -->", "Ann<!-- no -->"),
        ("<<", ">", "<<<get cookie name>", "<<<get cookie name>"),
        ("aab", "baa", "aaab get cookie name baab", "aAnnb"),
        ("aa", "aa", "aaaget cookie nameaa", "aaaget cookie nameaa"),
        ("<&s3cret ", "&>", "<& get cookie name &><&s3cret get cookie name &>", "<& get cookie name &>Ann"),
        ("<&\0", "\0&>", "<&\0 get cookie name \0&>", "Ann"),
    ] {
        let setup = Setup { open: open.into(), close: close.into(), ..Setup::default() };
        for cut in 0..=page.len() {
            let printed = setup.check(page.as_bytes(), &[cut, cut + 1, cut + 3], &ann);
            assert_eq!(String::from_utf8_lossy(&printed), expected);
        }
    }
}

fn by_regex(pattern: &str, limits: Limits, pieces: &[&[u8]]) -> Compiler {
    let delimiters = Arc::new(Delimiters::regex(pattern).unwrap());
    let mut compiler = Compiler::new(delimiters, Escape::Html, limits, rig::sources());
    for piece in pieces {
        compiler.feed(piece);
    }
    compiler.finish();
    compiler
}

#[test]
fn regexes() {
    let limits = Limits::default();
    for (pattern, page, expected) in [
        (r"<&(.*?)&>", "a<& get cookie name &>b<& x\n &>", "aAnnb<& x\n &>"),
        (r"(?s)<&(.*?)&>", "<& get\ncookie name &>b", "Annb"),
        (r"\[\[(.*?)\]\]|\{\{.*?\}\}", "[[get cookie name]] {{get cookie name}}", "Ann {{get cookie name}}"),
        (r"(?i)<twice>([^<]*)</twice>", "<Twice>get cookie name</TWICE>", "Ann"),
        (r"\b()|<(.*?)>", "<get cookie name>", "<get cookie name>"),
        (r"<&(.*?)&>", "<& get cookie nobody \u{e9} &>", "\u{e9}"),
    ] {
        for cut in 0..=page.len() {
            let (head, tail) = page.as_bytes().split_at(cut);
            let compiler = by_regex(pattern, limits, &[head, tail]);
            let printed = rig::print(&compiler, &limits, &ann);
            assert_eq!(String::from_utf8_lossy(&printed), expected, "{pattern}");
        }
    }
    // Latin-1: a dot is any byte, as it was in 2008.
    let compiler = by_regex(r"<&(.*?)&>", limits, &[b"<& get cookie nobody \xe9 &>"]);
    assert_eq!(rig::print(&compiler, &limits, &ann), b"\xe9");
    let lines = by_regex(r"(?s)<&(.*?)&>", limits, &[b"<& get\n cookie\n a &>\n<& x &>"]);
    assert_eq!(lines.errors()[0].line, 4);
}

#[test]
fn a_page_too_long_for_a_regex_is_text() {
    let limits = Limits { regex_buffer: 100, ..Limits::default() };
    let page = "<& get cookie name &>\n".repeat(10);
    for len in [99, 100, 101, 220] {
        let page = &page.as_bytes()[..len];
        for cut in [0, 1, 50, 99, len] {
            let (head, tail) = page.split_at(cut);
            let compiler = by_regex("<&(.*?)&>", limits, &[head, tail]);
            let printed = rig::print(&compiler, &limits, &ann);
            if len <= 100 {
                assert!(printed.starts_with(b"Ann\n"));
                assert_eq!(compiler.error_count(), 0);
            } else {
                assert_eq!(printed, page);
                assert_eq!(compiler.error_count(), 1);
                assert_eq!(compiler.errors()[0].kind, ErrorKind::PageTooLong);
            }
            assert_eq!(compiler.held(), 0);
        }
    }
}

#[test]
fn too_long_a_match_is_text() {
    let limits = Limits { tag_max: 20, ..Limits::default() };
    let page = b"<& get cookie name 1234567890 &><& get cookie name &>";
    let compiler = by_regex("<&(.*?)&>", limits, &[page]);
    assert_eq!(rig::print(&compiler, &limits, &ann), b"<& get cookie name 1234567890 &>Ann");
    assert_eq!(compiler.errors()[0].kind, ErrorKind::TagTooLong);
}
