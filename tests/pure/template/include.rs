//! Fragments in templates: which are asked for, and what is printed of them.

use super::rig::{Printed, Setup, print};
use crate::property::cases;
use proptest::prelude::*;
use std::collections::HashMap;
use twice_core::template::*;

/// Some values, and some fragments by slot.
struct Visitor {
    values: Vec<Vec<u8>>,
    fragments: HashMap<usize, Vec<u8>>,
    /// Slots whose fragments are on their way.
    pending: Vec<usize>,
}

impl Values for Visitor {
    fn value(&self, slot: usize) -> Option<&[u8]> {
        self.values.get(slot).map(Vec::as_slice)
    }

    fn fragment(&self, slot: usize) -> Option<&[u8]> {
        self.fragments.get(&slot).map(Vec::as_slice)
    }

    fn awaits_fragment(&self, slot: usize) -> bool {
        self.pending.contains(&slot)
    }
}

/// Prints a page with these fragments by URI.
fn printed(page: &str, fragments: &[(&str, &str)], limits: &Limits) -> (String, bool) {
    let compiler = Setup::default().compile([page.as_bytes()]);
    let parts = compiler.parts().unwrap();
    let slots: Vec<_> = compiler.slots().collect();
    let find = |key: &[u8]| fragments.iter().find(|(uri, _)| uri.as_bytes() == key);
    let visitor = Visitor {
        values: vec![b"1".to_vec(); slots.len()],
        fragments: slots
            .iter()
            .enumerate()
            .filter_map(|(n, slot)| find(slot.key).map(|(_, text)| (n, text.as_bytes().to_vec())))
            .collect(),
        pending: Vec::new(),
    };
    let mut out = Printed { literals: parts.literals, bytes: Vec::new(), changes: Vec::new() };
    let mut state = State::new(limits);
    run(parts.code, parts.literals.len(), &mut state, &visitor, &mut out).unwrap();
    (String::from_utf8(out.bytes).unwrap(), state.truncated())
}

#[test]
fn a_fragment_is_printed_as_it_is() {
    let fragments = [("/a", "<b>&'\"</b>"), ("/empty", ""), ("/tag", "<& get cookie a &>")];
    let limits = Limits::default();
    for (page, text) in [
        ("[<& include /a &>]", "[<b>&'\"</b>]"),
        ("<& include \"/a\" &><& include '/a' | default:x &>", "<b>&'\"</b><b>&'\"</b>"),
        ("<& include /a | raw &>", "<b>&'\"</b>"),
        // Came, and is empty: the default is for one that did not come.
        ("[<& include /empty | default:x &>]", "[]"),
        ("<& include /tag &>", "<& get cookie a &>"),
        ("[<& include /none &>]", "[]"),
        ("[<& include /none | default:x &>]", "[x]"),
        ("[<& include /none | default:\"<i>x y</i>\" &>]", "[<i>x y</i>]"),
        ("[<& include /none | default:'' default:x default:y &>]", "[x]"),
        // Told in the log, and printed without.
        ("[<& include /a | html &>]", "[<b>&'\"</b>]"),
        ("[<& include /none | upper default:x &>]", "[x]"),
        ("[<& include none | default:x &>]", "[x]"),
    ] {
        assert_eq!(printed(page, &fragments, &limits), (text.to_owned(), false), "{page}");
    }
}

#[test]
fn no_other_command_reads_a_fragment() {
    let compiler = Setup::default().compile(["<& get include /a x &><& if include /a yes no &>".as_bytes()]);
    assert_eq!(compiler.includes(), 0);
    let kinds: Vec<_> = compiler.errors().iter().map(|error| error.kind).collect();
    assert_eq!(kinds, [ErrorKind::UnknownTarget; 2]);
    assert_eq!(print(&compiler, &Limits::default(), &|_, _| b"?".to_vec()), b"xno");
}

#[test]
fn what_may_be_included() {
    let long = |len: usize| format!("/{}", "a".repeat(len - 1));
    let good = |uri: &str| {
        let compiler = Setup::default().compile([format!("<& include '{uri}' &>").as_bytes()]);
        let is_bad = compiler.errors().iter().any(|error| error.kind == ErrorKind::BadUri);
        assert_eq!(compiler.includes(), usize::from(!is_bad));
        assert_eq!(compiler.personal(), !is_bad, "a page that includes is its visitor's");
        !is_bad
    };
    for uri in [
        "/",
        "/a",
        "/a?b=../c",
        "/a/..b/...",
        "/a%20b",
        "/%2E/a",
        "//a",
        "/a|b",
        "/\u{e9}",
        "/a?%",
        &long(2048),
    ] {
        assert!(good(uri), "{uri}");
    }
    for uri in [
        "a",
        "?a",
        "http://h/",
        "..",
        "/..",
        "/../a",
        "/a/..",
        "/a/../b",
        "/a/..?b",
        "/%2e%2e",
        "/%2E./a",
        "/a/.%2e/b",
        "/a%2f..%2fb",
        "/a#b",
        "/a b",
        "/a\tb",
        "/a%00",
        "/a%0ab",
        "/a%7f",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a\u{7f}",
        &long(2049),
    ] {
        assert!(!good(uri), "{uri}");
    }
}

#[test]
fn a_page_includes_so_many_and_no_more() {
    let tag = |n: usize| format!("<& include /{n} | default:- &>");
    let all: String = (0..MAX_INCLUDES + 2).map(tag).collect();
    // Those that it has may stand there again.
    let page = all + &tag(0);
    let compiler = Setup::default().compile([page.as_bytes()]);
    assert_eq!((compiler.includes(), compiler.error_count()), (MAX_INCLUDES, 2));
    assert_eq!(compiler.errors()[0].kind, ErrorKind::TooManyIncludes);
    let lookup = |target: &str, _: &[u8]| if target == "include" { b"x".to_vec() } else { Vec::new() };
    let expected = "x".repeat(MAX_INCLUDES) + "--x";
    assert_eq!(print(&compiler, &Limits::default(), &lookup), expected.as_bytes());
}

#[test]
fn fragments_print_so_many_bytes_and_no_more() {
    let page = "<& include /a | default:- &>".repeat(5);
    let limits = Limits { fragments_max: 10, ..Limits::default() };
    assert_eq!(printed(&page, &[("/a", "abc")], &limits), ("abcabcabc--".to_owned(), true));
    // Values have a bound of their own, and longer ones count as missing: no fragment does for that.
    let limits = Limits { output_max: 0, value_max: 0, ..Limits::default() };
    assert_eq!(printed(&page, &[("/a", "abc")], &limits), ("abc".repeat(5), false));
}

/// Which fragments a page needs whose cookies are all there, or none is.
fn needs(page: &str, there: bool) -> Vec<String> {
    let compiler = Setup::default().compile([page.as_bytes()]);
    let slots: Vec<_> = compiler.slots().collect();
    let value = if there { b"1".to_vec() } else { Vec::new() };
    let visitor =
        Visitor { values: vec![value; slots.len()], fragments: HashMap::new(), pending: Vec::new() };
    let parts = compiler.parts().unwrap();
    let mut state = State::new(&Limits::default());
    let needed = needed(parts.code, parts.literals.len(), &mut state, &visitor).unwrap();
    needed.into_iter().map(|slot| String::from_utf8(slots[slot].key.to_vec()).unwrap()).collect()
}

#[test]
fn what_is_not_printed_is_not_needed() {
    let page = "<& include /a &><& if cookie u &><& include /b &><& unless cookie v &><& include /c &><& end &>\
                <& else &><& include /d &><& include /a &><& end &><& include /e &>";
    assert_eq!(needs(page, true), ["/a", "/b", "/e"]);
    assert_eq!(needs(page, false), ["/a", "/d", "/e"]);
    assert_eq!(needs("<& include /a &><& include /a &>", true), ["/a"]);
    assert!(needs("<& get cookie a &>", true).is_empty());
    assert!(needs("<& if memcache x &><& include /a &><& end &>", true).is_empty());
}

const BITS: [&str; 9] = [
    "text ",
    "<& include /a &>",
    "<& include /b | default:'none ' &>",
    "<& include /c &>",
    "<& if cookie yes &>",
    "<& if cookie no &>",
    "<& else &>",
    "<& end &>",
    "<& get cookie yes &>",
];

proptest! {
    #![proptest_config(cases(1_000))]

    /// A page that comes in pieces, with a scout ahead of the printing, which stops at fragments that are on their way: it
    /// asks for the same fragments as the page at once, and prints the same.
    #[test]
    fn a_scout_ahead_of_the_printing(
        bits in prop::collection::vec(prop::sample::select(&BITS[..]), 0..20),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        pending in prop::collection::vec(prop::collection::vec(0..6_usize, 0..4), 9),
        drain in any::<bool>(),
    ) {
        let page = bits.concat();
        let lookup = |target: &str, key: &[u8]| match (target, key) {
            ("include", b"/c") => Vec::new(),
            ("include", key) => [b"<", key, b">"].concat(),
            (_, b"yes") => b"1".to_vec(),
            _ => Vec::new(),
        };
        let visitor = |compiler: &Compiler, pending: Vec<usize>| {
            let values: Vec<_> = compiler.slots().map(|slot| lookup(slot.target.as_str(), slot.key)).collect();
            let there = values.iter().enumerate().filter(|(_, value)| !value.is_empty());
            let fragments = there.map(|(n, value)| (n, value.clone())).collect();
            Visitor { values, fragments, pending }
        };
        let setup = Setup::default();
        let whole = setup.compile([page.as_bytes()]);
        let expected = print(&whole, &setup.limits, &lookup);
        let parts = whole.parts().unwrap();
        let at_once = needed(parts.code, parts.literals.len(), &mut State::new(&setup.limits), &visitor(&whole, Vec::new())).unwrap();

        let mut compiler = setup.compiler();
        let mut state = State::new(&setup.limits);
        let mut scout: Option<State> = None;
        let (mut bytes, mut asked) = (Vec::new(), Vec::new());
        let pieces = super::rig::cut(page.as_bytes(), &cuts);
        // Once more when all fragments are there.
        for n in 0..=pieces.len() {
            match pieces.get(n) {
                Some(piece) => compiler.feed(piece),
                None => compiler.finish(),
            }
            let pending = if n < pieces.len() { pending[n].clone() } else { Vec::new() };
            let visitor = visitor(&compiler, pending);
            let ahead = scout.get_or_insert_with(|| state.fork());
            for slot in compiler.needed(ahead, &visitor).unwrap() {
                if !asked.contains(&slot) {
                    asked.push(slot);
                }
            }
            let mut printed = Printed { literals: compiler.literals(), bytes: std::mem::take(&mut bytes), changes: Vec::new() };
            compiler.run(&mut state, &visitor, &mut printed).unwrap();
            bytes = printed.bytes;
            if compiler.is_behind(&state) {
                continue;
            }
            scout = None;
            if drain {
                compiler.drain(&mut state);
            }
        }
        prop_assert_eq!(bytes, expected);
        prop_assert_eq!(asked, at_once);
    }
}
