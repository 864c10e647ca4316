//! Where the bodies of pages with tags differ, against a model that compares what was written, piece by piece.

use crate::property::cases;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use twice_core::audit::{Fresh, Place, difference, is_same};
use twice_core::page::{Behind, FIXED, Head, Program, encode_prefix};
use twice_core::template::{Compiler, Delimiters, Escape, Limits, Token};

use super::Pieces;

/// What a body is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A tag, by its place in [`TAGS`].
    Tag(usize),
}

/// Tags of each kind, their line ends marked. No two are the same to a program; those that open a block are closed by the
/// page's end.
const TAGS: [&str; 18] = [
    "get cookie a",
    "get cookie a Guest",
    "get cookie a Gast",
    "get cookie b",
    "get cookie b Guest | js",
    "get header a | trim | default:x | upper",
    "get header a | trim | default:yy | upper",
    "if cookie a yes no",
    "if cookie a yes yes",
    "unless cookie a yes",
    "if cookie c",
    "unless cookie c",
    "incr viewdb a",
    "incr viewdb a 5",
    "decr viewdb b",
    "pop viewdb b last",
    "include /part",
    "include /other | default:none",
];

/// What guarded tags begin with.
const GUARD: &str = "0123456789-abcdef ";
const OTHER: &str = "abcdefgh_01234567-x ";

/// A body as its origin sends it, its tags with a guard or without. In each tag of `wide` there are line ends and more white
/// space: to a program it is the same.
fn written(parts: &[Part], wide: bool, guard: &str) -> (String, Vec<usize>) {
    let mut body = String::new();
    let mut starts = Vec::new();
    for part in parts {
        starts.push(body.len());
        match part {
            Part::Text(text) => body += text,
            Part::Tag(tag) if wide => {
                body += &format!("{{{{{guard} {}\n }}}}", TAGS[*tag].replace(' ', "\n\n  "));
            }
            Part::Tag(tag) => body += &format!("{{{{{guard}{}}}}}", TAGS[*tag]),
        }
    }
    (body, starts)
}

fn behind(literals: &[u8]) -> Behind {
    Behind { literals_len: literals.len(), ..Behind::default() }
}

fn compiled(body: &str) -> Compiler {
    guarded(body, "")
}

fn guarded(body: &str, guard: &str) -> Compiler {
    // Each is made once: expressions take their time.
    static DELIMITERS: LazyLock<[Arc<Delimiters>; 3]> = LazyLock::new(|| {
        let plain = Delimiters::regex(r"(?s)\{\{(.*?)\}\}").unwrap();
        let guarded = |guard: &str| plain.guarded(&Token::parse(guard.trim().as_bytes()).unwrap()).unwrap();
        [guarded(GUARD), guarded(OTHER), plain.clone()].map(Arc::new)
    });
    let sources = Arc::from(["viewdb".into()]);
    let number = [GUARD, OTHER, ""].iter().position(|known| *known == guard).unwrap();
    let delimiters = Arc::clone(&DELIMITERS[number]);
    let mut compiler = Compiler::new(delimiters, Escape::Html, Limits::default(), sources);
    compiler.note_origin();
    compiler.feed(body.as_bytes());
    compiler.finish();
    compiler
}

/// A page's prefix, and its literals.
fn page(compiler: &Compiler) -> (Vec<u8>, Vec<u8>) {
    let parts = compiler.parts().unwrap();
    let program = if parts.tags == 0 {
        Program::default()
    } else {
        Program { slots: parts.slots, code: parts.code, ..Program::default() }
    };
    let head = Head { status: 200, ..Head::default() };
    let prefix = encode_prefix(&head, std::iter::empty(), &program, &behind(parts.literals)).unwrap();
    (prefix, parts.literals.to_vec())
}

/// The first byte of the new body that is not what the old one has: that of a tag where the tag is another.
fn model(new: &[Part], starts: &[usize], end: usize, old: &[Part]) -> Option<usize> {
    // Bytes of texts one by one, so that it does not matter how a text is divided.
    let units = |parts: &[Part]| -> Vec<(usize, usize, Option<u8>)> {
        let mut units = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            match part {
                Part::Tag(tag) => units.push((number, *tag, None)),
                Part::Text(text) => {
                    units.extend(text.bytes().enumerate().map(|(at, byte)| (number, at, Some(byte))));
                }
            }
        }
        units
    };
    let (new, old) = (units(new), units(old));
    type Byte = (usize, usize, Option<u8>);
    let same = |(a, b): &(&Byte, &Byte)| match (a.2, b.2) {
        (None, None) => a.1 == b.1,
        (a, b) => a == b,
    };
    let at = new.iter().zip(&old).take_while(same).count();
    match new.get(at) {
        None if at == old.len() => None,
        None => Some(end),
        Some((number, _, None)) => Some(starts[*number]),
        Some((number, offset, Some(_))) => Some(starts[*number] + offset),
    }
}

fn place(body: &str, at: usize) -> Place {
    let before = &body.as_bytes()[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = at - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1) + 1;
    Place::Body { line, column }
}

#[track_caller]
fn check(new: &[Part], old: &[Part], cut: usize) -> Result<(), TestCaseError> {
    check_as(new, old, cut, true, ["", ""])?;
    // Each answer has a token of its own.
    check_as(new, old, cut, true, [GUARD, OTHER])?;
    check_as(new, old, cut, false, [GUARD, ""])
}

#[track_caller]
fn check_as(
    new: &[Part],
    old: &[Part],
    cut: usize,
    wide: bool,
    [guard, other]: [&str; 2],
) -> Result<(), TestCaseError> {
    let (body, starts) = written(new, wide, guard);
    let ours = guarded(&body, guard);
    let theirs = guarded(&written(old, false, other).0, other);
    prop_assert!(ours.errors().iter().chain(theirs.errors()).all(|e| e.to_string().contains("end")));
    let (prefix, literals) = page(&ours);
    let pieces: Vec<&[u8]> = literals.chunks(cut.div_ceil(2)).collect();
    let fresh =
        Fresh { prefix: &prefix, literals: &pieces, origin: ours.origin().filter(|_| ours.tags() > 0) };
    let (mut value, more) = page(&theirs);
    value.extend(more);
    let value = Pieces(value, cut);
    let found = difference(&fresh, &value, 0).unwrap();
    prop_assert_eq!(is_same(&fresh, &value, 0), Some(found.is_none()));
    let expected = model(new, &starts, body.len(), old).map(|at| place(&body, at));
    prop_assert_eq!(found, expected, "{:?}", body);
    Ok(())
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof!["[ab\n]{1,6}".prop_map(Part::Text), (0..TAGS.len()).prop_map(Part::Tag)]
}

/// Two bodies that begin, and mostly go on, in the same way.
fn pair() -> impl Strategy<Value = (Vec<Part>, Vec<Part>)> {
    let parts = || prop::collection::vec(part(), 0..6);
    (parts(), parts(), parts(), parts(), any::<bool>()).prop_map(|(begin, a, b, end, joined)| {
        let tail = if joined { end } else { Vec::new() };
        ([begin.clone(), a, tail.clone()].concat(), [begin, b, tail].concat())
    })
}

proptest! {
    #![proptest_config(cases(3_000))]
    #[test]
    fn the_place_is_the_models((new, old) in pair(), cut in 1..40usize) {
        check(&new, &old, cut)?;
        check(&old, &new, cut)?;
        check(&new, &new, cut)?;
    }
}

#[test]
fn every_two_tags_differ_where_they_begin() {
    for new in 0..TAGS.len() {
        for old in 0..TAGS.len() {
            let page = |tag| [Part::Text("a\nbc".to_owned()), Part::Tag(tag), Part::Text("d".to_owned())];
            check(&page(new), &page(old), 1000).unwrap();
        }
        let text = [Part::Text("a\nbc".to_owned())];
        let more = [text[0].clone(), Part::Tag(new)];
        check(&more, &text, 1000).unwrap();
        check(&text, &more, 1000).unwrap();
    }
}

/// What looked like a tag is text without its token: that counts where it stood.
#[test]
fn a_bad_guarded_tag_has_its_token_where_it_is_counted() {
    let limits = Limits { tag_max: 24, ..Limits::default() };
    let strings = || Delimiters::default();
    let expression = || Delimiters::regex("<&(.*?)&>").unwrap();
    for page in [
        "a <&# get nothing x &> ¤",
        "a <&# fetch cookie x &> ¤",
        "a <&#get cookie x &> ¤",
        "a <&# get cookie a Guest-is-too-long &> ¤",
        "a <&# fetch ¤ &>",
        "a <&# get cookie x &> <&# end &> ¤",
        "a <&# if cookie x &>\n<&# bad &> ¤",
    ] {
        for delimiters in [strings(), expression()] {
            let body = |name: &str| page.replace('#', GUARD.trim()).replace('¤', name);
            let compiled = |name: &str| {
                let token = Token::parse(GUARD.trim().as_bytes()).unwrap();
                let guarded = Arc::new(delimiters.guarded(&token).unwrap());
                let mut compiler = Compiler::new(guarded, Escape::Html, limits, Arc::from([]));
                compiler.note_origin();
                body(name).bytes().for_each(|byte| compiler.feed(&[byte]));
                compiler.finish();
                compiler
            };
            let (ours, theirs) = (compiled("Ann"), compiled("Bob"));
            let ((prefix, literals), (mut value, more)) = (self::page(&ours), self::page(&theirs));
            assert!(!String::from_utf8(literals.clone()).unwrap().contains(GUARD.trim()), "{page}");
            value.extend(more);
            let fresh = Fresh { prefix: &prefix, literals: &[&literals], origin: ours.origin() };
            let found = difference(&fresh, &Pieces(value, 7), 0).unwrap();
            assert_eq!(found, Some(place(&body("Ann"), body("Ann").find("Ann").unwrap())), "{page}");
        }
    }
}

/// A page with this line in its header and this body.
fn with_line(name: &str, value: &str, body: &str) -> (Vec<u8>, Vec<u8>, Compiler) {
    let mut compiler = Compiler::new(Arc::default(), Escape::Html, Limits::default(), Arc::from([]));
    compiler.note_origin();
    let header = compiler.header(value.as_bytes());
    compiler.feed(body.as_bytes());
    compiler.finish();
    let mut tag_lines = Vec::new();
    if header.tags > 0 {
        header.encode(name.as_bytes(), &mut tag_lines);
    }
    let ready = [(name.as_bytes(), value.as_bytes())].into_iter().filter(|_| header.tags == 0);
    let parts = compiler.parts().unwrap();
    let program =
        Program { slots: parts.slots, code: parts.code, personal: parts.personal, ..Program::default() };
    let program = if parts.tags == 0 { Program::default() } else { program };
    let head = Head { status: 200, tag_lines: &tag_lines, ..Head::default() };
    let prefix = encode_prefix(&head, ready, &program, &behind(parts.literals)).unwrap();
    let literals = parts.literals.to_vec();
    (prefix, literals, compiler)
}

#[test]
fn a_header_line_with_tags_has_a_name() {
    const TAG: &str = "<& get cookie a &>";
    for (new, old, place) in [
        (("X-A", TAG, ""), ("X-A", TAG, ""), None),
        (("X-A", TAG, ""), ("X-A", "<& get cookie b &>", ""), Some("header x-a")),
        (("X-A", TAG, ""), ("X-A", "<& get cookie a x &>", ""), Some("header x-a")),
        (("X-A", TAG, ""), ("X-A", "Ann <& get cookie a &>", ""), Some("header x-a")),
        (("X-A", TAG, ""), ("X-B", TAG, ""), Some("header x-a")),
        (("X-A", TAG, ""), ("X-A", "Ann", ""), Some("header x-a")),
        (("X-A", "<& get cookie a &>b", "x"), ("X-A", "<& get cookie a &>c", "y"), Some("header x-a")),
        (
            ("X-A", TAG, "<& get cookie a &>x"),
            ("X-A", TAG, "<& get cookie b &>x"),
            Some("body line 1 column 1"),
        ),
        (
            ("X-A", TAG, "<& get cookie a &>x"),
            ("X-A", TAG, "<& get cookie a &>y"),
            Some("body line 1 column 19"),
        ),
    ] {
        for (new, old) in [(new, old), (old, new)] {
            let (ours, theirs) = (with_line(new.0, new.1, new.2), with_line(old.0, old.1, old.2));
            let fresh = Fresh { prefix: &ours.0, literals: &[&ours.1], origin: ours.2.origin() };
            let value = Pieces([theirs.0, theirs.1].concat(), 1000);
            let found = difference(&fresh, &value, 0).unwrap().map(|place| place.to_string());
            // Of two names the new page's is told.
            let place = place.map(|place| place.replace("x-a", &new.0.to_ascii_lowercase()));
            assert_eq!(found, place, "{new:?} {old:?}");
        }
    }
}

#[test]
fn lines_that_follow_from_a_tag_are_no_difference_of_their_own() {
    let with = |body: &str, cache_control: &'static [u8], personal: bool| {
        let compiler = compiled(body);
        let parts = compiler.parts().unwrap();
        let program = Program { slots: parts.slots, code: parts.code, personal, ..Program::default() };
        let program = if parts.tags == 0 { Program::default() } else { program };
        let head = Head { status: 200, cache_control, ..Head::default() };
        let prefix = encode_prefix(&head, std::iter::empty(), &program, &behind(parts.literals)).unwrap();
        (prefix, parts.literals.to_vec(), compiler)
    };
    let plain = with("a\nHello Ann", b"", false);
    let personal = with("a\nHello {{get cookie a}}", b"private", true);
    let other = with("a\nHello {{get cookie a}}", b"public", true);
    let public = with("a\nHello {{get page age}}", b"", false);
    let body = Place::Body { line: 2, column: 7 };
    for (new, old, place) in [
        (&plain, &personal, body.clone()),
        (&personal, &plain, body.clone()),
        (&public, &personal, body.clone()),
        (&personal, &public, body.clone()),
        (&personal, &other, Place::Header("cache-control".to_owned())),
    ] {
        let fresh = Fresh { prefix: &new.0, literals: &[&new.1], origin: new.2.origin() };
        let value = Pieces([old.0.clone(), old.1.clone()].concat(), 1000);
        assert_eq!(difference(&fresh, &value, 0), Some(Some(place)));
    }
}

#[test]
fn who_has_no_body_names_no_place_in_it() {
    let (new, old) = (page(&compiled("Hello {{get cookie a}}")), page(&compiled("Hallo {{get cookie a}}")));
    let fresh = Fresh { prefix: &new.0, literals: &[&new.1], origin: None };
    let value = Pieces([old.0, old.1].concat(), 1000);
    assert_eq!(difference(&fresh, &value, 0), Some(Some(Place::Somewhere)));
    assert_eq!(Place::Somewhere.to_string(), "body");
}

#[test]
fn a_damaged_program_has_a_place_too() {
    let parts = [Part::Text("ab".to_owned()), Part::Tag(5), Part::Text("c".to_owned())];
    let (body, _) = written(&parts, false, "");
    let ours = compiled(&body);
    let (prefix, literals) = page(&ours);
    let fresh = Fresh { prefix: &prefix, literals: &[&literals], origin: ours.origin() };
    let mut value = prefix.clone();
    value.extend_from_slice(&literals);
    for at in FIXED..prefix.len() {
        for bit in 0..8 {
            let mut damaged = value.clone();
            damaged[at] ^= 1 << bit;
            assert!(matches!(difference(&fresh, &Pieces(damaged, 1000), 0), Some(Some(_))), "{at} {bit}");
        }
    }
}
