//! Guarded tags: what is one, what is text, and that nobody sees the token.

use super::language::ann;
use super::rig::{self, Setup};
use std::sync::Arc;
use twice_core::template::*;

const TOKEN: &str = "s3cret-s3cret_16";

fn token() -> Token {
    Token::parse(TOKEN.as_bytes()).unwrap()
}

#[test]
fn what_is_a_token() {
    let long = "x".repeat(129);
    for (text, good) in [
        (TOKEN, true),
        (&long[1..], true),
        ("0123456789abcdef", true),
        ("0123456789abcde", false),
        (&long, false),
        ("", false),
        ("0123456789abcde ", false),
        ("0123456789abcde&", false),
        ("0123456789abcde\u{e9}", false),
        ("0123456789,abcdef", false),
        ("\"0123456789abcdef\"", false),
    ] {
        assert_eq!(Token::parse(text.as_bytes()).is_some(), good, "{text}");
    }
    assert!(!format!("{:?}", token()).contains(TOKEN));
    for delimiters in [Delimiters::default(), Delimiters::regex("<%(.*?)%>").unwrap()] {
        let guarded = delimiters.guarded(&token()).unwrap();
        assert!(!format!("{guarded:?}").contains(TOKEN));
    }
}

/// The page is written with `#` for the token. It prints what is expected with strings and with an expression alike.
#[test]
fn only_what_has_the_token_is_a_tag() {
    let setup = Setup { guard: Some(TOKEN.to_owned()), ..Setup::default() };
    for (page, expected) in [
        ("<&# get cookie name &>", "Ann"),
        ("<&#\tget cookie name &>", "Ann"),
        ("<& get cookie name &><&# get cookie name &>", "<& get cookie name &>Ann"),
        // Nobody without the token has the application's tags begin, end, or be swallowed.
        ("<&<&# get cookie name &>&>", "<&Ann&>"),
        ("<& x <&# get cookie name &>", "<& x Ann"),
        ("<&# if cookie name &>a<& end &>b<& else &>c<&# end &>", "a<& end &>b<& else &>c"),
        ("<&# unless cookie name &><& end &>a<&# end &>b", "b"),
        ("<&s3cret-s3cret_1 get cookie name &>", "<&s3cret-s3cret_1 get cookie name &>"),
        ("<&S3CRET-s3cret_16 get cookie name &>", "<&S3CRET-s3cret_16 get cookie name &>"),
        ("<& # get cookie name &>", "<& @ get cookie name &>"),
        // A bad one is text without its token.
        ("<&# fetch cookie name &>", "<& fetch cookie name &>"),
        ("<&# end &><&# get cookie &>", "<& end &><& get cookie &>"),
        ("<&# &>", "<& &>"),
        ("<&#&>", "<&&>"),
        ("<&#get cookie name &>", "<&get cookie name &>"),
        ("<&#| get cookie name &>", "<&| get cookie name &>"),
        ("<&# fetch <&# cookie &>", "<& fetch <& cookie &>"),
    ] {
        let page = page.replace('#', TOKEN);
        for cut in 0..=page.len() {
            let printed = setup.check(page.as_bytes(), &[cut, cut + 1, cut + 7], &ann);
            // In plain text it stays: nothing but an opener has it removed.
            let expected = expected.replace('@', TOKEN);
            assert_eq!(String::from_utf8_lossy(&printed), expected);
        }
        let compiler = by_regex("<&(.*?)&>", Limits::default(), &[page.as_bytes()]);
        let printed = rig::print(&compiler, &Limits::default(), &ann);
        assert_eq!(String::from_utf8_lossy(&printed), expected.replace('@', ""), "{page}");
        assert!(compiler.errors().iter().all(|error| !error.tag.contains(TOKEN)));
    }
}

#[test]
fn one_without_end_is_text_without_its_token() {
    let setup = Setup { guard: Some(TOKEN.to_owned()), ..Setup::default() };
    let small = Setup { limits: Limits { tag_max: 40, ..Limits::default() }, ..setup.clone() };
    for (setup, page, expected) in [
        (&setup, "a<&# get cookie name\nb &>", "a<& get cookie name\nb &>"),
        (&setup, "a<&# get <&# cookie name", "a<& get <& cookie name"),
        (
            &small,
            "<&# get cookie name 123456789012345678901234567890 &>",
            "<& get cookie name 123456789012345678901234567890 &>",
        ),
        // The next opener would be cut in two.
        (
            &small,
            "<&# get 123456789012345678901234567890 <&# get cookie name &>",
            "<& get 123456789012345678901234567890 Ann",
        ),
    ] {
        let page = page.replace('#', TOKEN);
        for cut in 0..=page.len() {
            let printed = setup.check(page.as_bytes(), &[cut, cut + 1, cut + 9], &ann);
            assert_eq!(String::from_utf8_lossy(&printed), expected);
        }
        let compiler = setup.compile([page.as_bytes()]);
        assert!(compiler.errors().iter().all(|error| !error.tag.contains(TOKEN)));
        assert!(compiler.error_count() > 0);
    }
}

fn by_regex(pattern: &str, limits: Limits, pieces: &[&[u8]]) -> Compiler {
    let delimiters = Arc::new(Delimiters::regex(pattern).unwrap().guarded(&token()).unwrap());
    let mut compiler = Compiler::new(delimiters, Escape::Html, limits, rig::sources());
    for piece in pieces {
        compiler.feed(piece);
    }
    compiler.finish();
    compiler
}

#[test]
fn the_group_of_an_expression_begins_with_the_token() {
    for (pattern, page, expected) in [
        (r"\{\{(.*?)\}\}", "{{# get cookie name}}{{get cookie name}}", "Ann{{get cookie name}}"),
        (r"\{\{\s*(.*?)\s*\}\}", "{{ # get cookie name }}", "Ann"),
        (
            r"(?i)<twice>([^<]*)</twice>",
            "<TWICE># GET</twice><Twice># get cookie name</TWICE>",
            "<TWICE> GET</twice>Ann",
        ),
        // Case counts in a token, whatever the expression says.
        (
            r"(?i)<t>([^<]*)</t>",
            "<t>S3CRET-S3CRET_16 get cookie name</t>",
            "<t>S3CRET-S3CRET_16 get cookie name</t>",
        ),
        (
            r"<&(?P<inside>get .*?|(?:if) .*?)&>",
            "<&# get cookie name &><&get cookie name &>",
            "Ann<&get cookie name &>",
        ),
        (r"(?x) <& ( .*? ) &> # a comment", "<&# get cookie name &>", "Ann"),
        ("(?x) <& ( # a comment\n .*? # (another)\n ) &>", "<&# get cookie name &>", "Ann"),
        (r"<(?:&)(.*?)(&)>", "<&# get cookie name &>", "Ann"),
        // Another branch of the expression swallows a tag: that is text, and has no token.
        (r"<&(.*?)&>|\[.*?\]", "[<&# get cookie name &>]", "[<& get cookie name &>]"),
        (r"<&(.*?)&>|\[.*?\]", "[x]<&# get cookie name &>", "[x]Ann"),
    ] {
        let page = page.replace('#', TOKEN).replace(&format!(" {TOKEN} a c"), " # a c");
        for cut in 0..=page.len() {
            let (head, tail) = page.as_bytes().split_at(cut);
            let compiler = by_regex(pattern, Limits::default(), &[head, tail]);
            let printed = rig::print(&compiler, &Limits::default(), &ann);
            assert_eq!(String::from_utf8_lossy(&printed), expected, "{pattern}");
        }
    }
}

#[test]
fn a_page_too_long_for_an_expression_shows_no_token() {
    let limits = Limits { regex_buffer: 50, ..Limits::default() };
    let page = format!("<&{TOKEN} get cookie name &>\n").repeat(5);
    for cut in 0..=page.len() {
        let (head, tail) = page.as_bytes().split_at(cut);
        let compiler = by_regex("<&(.*?)&>", limits, &[head, tail]);
        let printed = rig::print(&compiler, &limits, &ann);
        assert_eq!(String::from_utf8_lossy(&printed), "<& get cookie name &>\n".repeat(5));
    }
}

#[test]
fn too_long_a_match_shows_no_token() {
    let limits = Limits { tag_max: 20, ..Limits::default() };
    let page = format!("<&{TOKEN} get cookie name 1234567890 &><&{TOKEN} get cookie name &>");
    let compiler = by_regex("<&(.*?)&>", limits, &[page.as_bytes()]);
    assert_eq!(rig::print(&compiler, &limits, &ann), b"<& get cookie name 1234567890 &>Ann");
}

#[test]
fn whether_a_text_may_have_a_tag() {
    for delimiters in [Delimiters::default(), Delimiters::regex("<&(.*?)&>").unwrap()] {
        assert!(delimiters.may_be_in(b"a <& b &> c"));
        assert!(!delimiters.may_be_in(b"a < & b &> c"));
    }
}
