//! What the log gets to read.

use super::rig::Setup;
use twice_core::template::{Compiler, ErrorKind, MAX_ERRORS, MAX_EXCERPT};

fn compile(page: &str) -> Compiler {
    Setup::default().compile([page.as_bytes()])
}

#[test]
fn kinds_and_lines() {
    let long = "k".repeat(1025);
    for (page, expected) in [
        ("<& get cookie", &[(ErrorKind::Unterminated, 1, "<& get cookie")][..]),
        ("\n\nx <& get cookie\n", &[(ErrorKind::Unterminated, 3, "<& get cookie")]),
        ("\n<& &>", &[(ErrorKind::Empty, 2, "<& &>")]),
        (
            "<& x &>\n<& y &>",
            &[(ErrorKind::UnknownCommand, 1, "<& x &>"), (ErrorKind::UnknownCommand, 2, "<& y &>")],
        ),
        ("<& get cookie &>", &[(ErrorKind::MissingWord, 1, "<& get cookie &>")]),
        ("<& end now &>", &[(ErrorKind::TooManyWords, 1, "<& end now &>")]),
        ("<& get cookie 'a &>", &[(ErrorKind::OpenQuote, 1, "<& get cookie 'a &>")]),
        ("<& else &>", &[(ErrorKind::StrayElse, 1, "<& else &>")]),
        ("<& end &>", &[(ErrorKind::StrayEnd, 1, "<& end &>")]),
        ("<& if arg a &>\n<& else &>\n<& else &><& end &>", &[(ErrorKind::SecondElse, 3, "<& else &>")]),
        (
            "\n<& if arg a &>\n<& unless arg b &>\n",
            &[
                (ErrorKind::BlockWithoutEnd, 2, "<& if arg a &>"),
                (ErrorKind::BlockWithoutEnd, 3, "<& unless arg b &>"),
            ],
        ),
        ("<& get memcache a &>", &[(ErrorKind::UnknownTarget, 1, "<& get memcache a &>")]),
        ("<& if page x &><& end &>", &[(ErrorKind::UnknownKey, 1, "<& if page x &>")]),
        ("<& pop cookie a &>", &[(ErrorKind::NotASource, 1, "<& pop cookie a &>")]),
        ("<& incr nosuch a &>", &[(ErrorKind::UnknownTarget, 1, "<& incr nosuch a &>")]),
        (
            "<& get arg a | x y truncate:z &>",
            &[(ErrorKind::UnknownFilter, 1, "<& get arg a | x y truncate:z &>")],
        ),
        (
            "<& get arg a | js | truncate:3 &>",
            &[(ErrorKind::TruncatedEscape, 1, "<& get arg a | js | truncate:3 &>")],
        ),
        ("<& get arg a | truncate:3 | js &>", &[]),
        ("\n<& include a &>", &[(ErrorKind::BadUri, 2, "<& include a &>")]),
        ("<& include /a | html &>", &[(ErrorKind::FilteredInclude, 1, "<& include /a | html &>")]),
        ("<& include /a | default:x raw &>", &[]),
        ("<& nonce &><& nonce | default:'' &>", &[]),
        ("<& nonce | raw &>", &[(ErrorKind::FilteredNonce, 1, "<& nonce | raw &>")]),
        ("<& nonce | default:x &>", &[(ErrorKind::FilteredNonce, 1, "<& nonce | default:x &>")]),
        ("<& nonce nonce &>", &[(ErrorKind::TooManyWords, 1, "<& nonce nonce &>")]),
        ("<& if arg a | x &><& end &>", &[(ErrorKind::UnknownFilter, 1, "<& if arg a | x &>")]),
    ] {
        for cut in 0..=page.len() {
            let compiler = Setup::default().compile([&page.as_bytes()[..cut], &page.as_bytes()[cut..]]);
            let errors: Vec<_> =
                compiler.errors().iter().map(|error| (error.kind, error.line, &*error.tag)).collect();
            assert_eq!(errors, expected, "{page:?}");
        }
    }
    assert_eq!(compile(&format!("<& get arg {long} &>")).errors()[0].kind, ErrorKind::KeyTooLong);
    let many = compile(&format!("<& get arg a | {} &>", "upper ".repeat(17)));
    assert_eq!(many.errors()[0].kind, ErrorKind::TooManyFilters);
    let grown = compile("<& get arg a '\\\\\\\\\\\\\\\\' | js js js js js js js js js &>");
    assert_eq!(grown.errors()[0].kind, ErrorKind::TextTooLong);
}

#[test]
fn too_long_key_of_a_block() {
    // Its end must not close the outer block.
    let long = "k".repeat(1025);
    let page = format!("<& if arg a &>1<& if arg {long} &>2<& else &>3<& end &>4<& end &>5");
    let printed = Setup::default().check(page.as_bytes(), &[], &|_, _| Vec::new());
    assert_eq!(printed, b"5");
    let printed = Setup::default().check(page.as_bytes(), &[], &|_, _| b"1".to_vec());
    assert_eq!(printed, b"1345");
}

#[test]
fn display() {
    let compiler = compile("\n\n<& get cookie a | nosuch &>");
    assert_eq!(
        compiler.errors()[0].to_string(),
        "unknown filter at line 3 in \"<& get cookie a | nosuch &>\""
    );
}

#[test]
fn excerpts_are_short_and_printable() {
    let setup = Setup::default();
    for tag in [
        "<& \0\x1b[2J\r\u{7f}\u{85} &>".as_bytes().to_vec(),
        format!("<& {} &>", "x".repeat(10_000)).into_bytes(),
        format!("<& {} &>", "\u{1f600}".repeat(1_000)).into_bytes(),
        format!("<& {} &>", "\0".repeat(1_000)).into_bytes(),
        [b"<& ".as_slice(), &[0xff; 500], b" &>"].concat(),
        format!("<& {} &>", "y".repeat(94)).into_bytes(),
        format!("<& {} &>", "y".repeat(95)).into_bytes(),
    ] {
        let compiler = setup.compile([tag.as_slice()]);
        let error = &compiler.errors()[0];
        assert!(error.tag.chars().count() <= MAX_EXCERPT, "{}", error.tag);
        assert!(!error.tag.chars().any(char::is_control), "{:?}", error.tag);
        assert!(error.tag.starts_with("<& "));
    }
    let exact = format!("<& {} &>", "y".repeat(94));
    assert_eq!(compile(&exact).errors()[0].tag, exact);
    assert!(compile(&format!("<& {} &>", "y".repeat(95))).errors()[0].tag.ends_with("y..."));
}

#[test]
fn the_first_are_kept_the_rest_counted() {
    let compiler = compile(&"<& x &>\n".repeat(1_000));
    assert_eq!(compiler.errors().len(), MAX_ERRORS);
    assert_eq!(compiler.error_count(), 1_000);
    assert_eq!(compiler.errors().last().unwrap().line, MAX_ERRORS);
}

#[test]
fn a_good_page_has_none() {
    let compiler = compile("<& if arg a &><& get arg a x | trim | default:y | html &><& else &><& end &>");
    assert_eq!(compiler.errors(), &[]);
    assert_eq!(compiler.error_count(), 0);
}
