//! Values of sources in templates: which are asked for, where a page waits for them, what it changes.

use super::rig::{Printed, SOURCES, Setup, Visitor, cut, print, print_and_change};
use crate::property::cases;
use proptest::prelude::*;
use twice_core::template::*;

/// What the sources hold.
fn held(target: &str, key: &[u8]) -> Vec<u8> {
    match (target, key) {
        ("db", b"views") => b"1234567".into(),
        ("db", b"two words") => b"<b>".into(),
        ("db", b"zero") => b"0".into(),
        ("session", b"login") => b"ann".into(),
        ("session", b"a.b.0") => b"first".into(),
        ("cookie", b"yes") => b"1".into(),
        ("include", uri) => [b"(", uri, b")"].concat(),
        _ => Vec::new(),
    }
}

/// Checks a page, whole and cut at every place; gives what it prints and changes.
fn run_page(page: &str) -> (String, Vec<String>) {
    let setup = Setup::default();
    for at in 0..=page.len() {
        setup.check(page.as_bytes(), &[at], &held);
    }
    let (bytes, changes) = print_and_change(&setup.compile([page.as_bytes()]), &setup.limits, &held);
    (String::from_utf8(bytes).unwrap(), changes)
}

#[test]
fn values() {
    for (page, expected) in [
        ("<& get db views &>", "1234567"),
        ("<& get db views 0 | comma &>", "1,234,567"),
        ("<& get db 'two words' &>", "&lt;b&gt;"),
        ("<& get db 'two words' | raw &>", "<b>"),
        ("<& get db none guest &>", "guest"),
        // Keys keep their case, and a stored "0" prints.
        ("<& get db Views none &><& get db zero none &>", "none0"),
        ("<& get session login &> <& get session a.b.0 &>", "ann first"),
        ("<& get session views &>.", "."),
        ("<& if db views many &><& if db zero many few &><& unless db none 0 &>", "manyfew0"),
        ("<& if session login &>hello <& get session login &><& else &>log in<& end &>", "hello ann"),
        // How many messages there are is never nothing.
        ("<& get unread count &> <& get unread count none &> <& get unread count | default:x &>", "0 none 0"),
        ("<& if unread count some none &>", "none"),
        ("<& if session no &>hello<& else &>log in<& end &>", "log in"),
        // Not configured: as any unknown target.
        ("<& get memcache views guest &>", "guest"),
        ("<& get source 'db views' guest &>", "guest"),
        ("<& get DB views guest &>", "guest"),
    ] {
        assert_eq!(run_page(page), (expected.to_owned(), Vec::new()), "{page}");
    }
}

#[test]
fn changes() {
    let page = |tags: &str| {
        let (printed, changes) = run_page(tags);
        format!("{printed} {}", changes.join(", "))
    };
    for (tags, expected) in [
        ("a<& incr db views &>b", "ab Incr(1) db views"),
        ("<& incr db views 0 &>", " Incr(0) db views"),
        ("<& incr db views 18446744073709551615 &>", " Incr(18446744073709551615) db views"),
        ("<& incr db views '007' &>", " Incr(7) db views"),
        ("<& decr db views &>", " Decr(0) db views"),
        ("<& decr session views 41 &>", " Decr(41) session views"),
        // Each tag that is run counts; in the order in which they stand.
        ("<& incr db a &><& decr db 'b c' &><& incr db a &>", " Incr(1) db a, Decr(0) db b c, Incr(1) db a"),
        ("<& pop db views none &>", "1234567 Delete db views"),
        ("<& pop db none '<i>' | html &>", "&lt;i&gt; Delete db none"),
        ("<& pop db views | comma &><& get db views &>", "1,234,5671234567 Delete db views"),
        // Only where the branch is taken.
        ("<& if db views &><& incr db a &><& else &><& incr db b &><& end &>", " Incr(1) db a"),
        (
            "<& if db none &><& incr db a &><& pop db views &><& else &><& incr db b &><& end &>",
            " Incr(1) db b",
        ),
        ("<& if cookie no &><& if cookie no &><& end &><& incr db a 5 &><& end &>.", ". "),
    ] {
        assert_eq!(page(tags), expected, "{tags}");
    }
}

#[test]
fn what_is_wrong_with_a_change() {
    let long = "k".repeat(MAX_KEY + 1);
    for (page, printed, kind) in [
        // No number: nothing is counted, and nobody sees it but the log.
        ("<& incr db a x &>.", ".", ErrorKind::BadInitial),
        ("<& incr db a '' &>.", ".", ErrorKind::BadInitial),
        ("<& incr db a +1 &>.", ".", ErrorKind::BadInitial),
        ("<& decr db a -1 &>.", ".", ErrorKind::BadInitial),
        ("<& incr db a ' 1' &>.", ".", ErrorKind::BadInitial),
        ("<& incr db a 18446744073709551616 &>.", ".", ErrorKind::BadInitial),
        ("<& incr cookie a 1 &>.", ".", ErrorKind::NotASource),
        ("<& pop ip current x &>.", "x.", ErrorKind::NotASource),
        ("<& decr memcache a x &>.", ".", ErrorKind::UnknownTarget),
        ("<& pop memcache a x &>.", "x.", ErrorKind::UnknownTarget),
        (&format!("<& incr db {long} &>"), &format!("<& incr db {long} &>"), ErrorKind::KeyTooLong),
        (&format!("<& pop db {long} &>"), &format!("<& pop db {long} &>"), ErrorKind::KeyTooLong),
        ("<& incr db a 1 2 &>", "<& incr db a 1 2 &>", ErrorKind::TooManyWords),
        ("<& incr db &>", "<& incr db &>", ErrorKind::MissingWord),
    ] {
        assert_eq!(run_page(page), (printed.to_owned(), Vec::new()), "{page}");
        let compiler = Setup::default().compile([page.as_bytes()]);
        let kinds: Vec<_> = compiler.errors().iter().map(|error| error.kind).collect();
        assert_eq!(kinds, [kind], "{page}");
        assert!(!compiler.personal());
    }
}

#[test]
fn a_page_of_sources_is_its_visitors() {
    for (page, personal, sources) in [
        ("<& get db views &>", true, true),
        ("<& if session login &><& end &>", true, true),
        ("<& pop db views &>", true, true),
        // Asks for nothing, but no other cache may keep it: its views would not be counted.
        ("<& incr db views &>", true, false),
        ("<& get memcache views &><& incr cookie a &>", false, false),
        ("<& get cookie a &>", true, false),
    ] {
        let compiler = Setup::default().compile([page.as_bytes()]);
        let parts = compiler.parts().unwrap();
        assert_eq!((parts.personal, parts.sources), (personal, sources), "{page}");
        assert_eq!(compiler.personal(), personal);
    }
}

#[test]
fn what_a_page_asks_for() {
    let page = "<& get db a &><& get cookie a &><& if session a.b &><& get db a &><& end &><& pop db 'x y' &>\
                <& incr db never &>";
    let compiler = Setup::default().compile([page.as_bytes()]);
    let asked = |slots: &mut dyn Iterator<Item = Slot<'_>>| {
        let sources = slots.filter_map(|slot| Some((slot.source()?, slot.uses)));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        sources.map(|((name, key), uses)| (text(name), text(key), uses)).collect::<Vec<_>>()
    };
    let expected = [("db", "a", 2), ("session", "a.b", 1), ("db", "x y", 1)];
    let expected = expected.map(|(name, key, uses)| (name.to_owned(), key.to_owned(), uses)).to_vec();
    assert_eq!(asked(&mut compiler.slots()), expected);
    assert_eq!(asked(&mut Slots::new(compiler.parts().unwrap().slots)), expected);
}

#[test]
fn the_name_of_a_source_is_its_own() {
    for name in ["cookie", "page", "abvalue", "include", "get", "end", "nonce"] {
        assert!(Target::is_built_in(name.as_bytes()), "{name}");
    }
    for name in SOURCES.iter().chain(&["memcache", "viewdb", "source", "Cookie"]) {
        assert!(!Target::is_built_in(name.as_bytes()), "{name}");
    }
}

#[test]
fn a_page_changes_so_much_and_no_more() {
    let page = "<& incr db a &>".repeat(5) + "end";
    let compiler = Setup::default().compile([page.as_bytes()]);
    for (changes_max, made, truncated) in [(5, 5, false), (4, 4, true), (0, 0, true)] {
        let limits = Limits { changes_max, ..Limits::default() };
        let parts = compiler.parts().unwrap();
        let mut printed = Printed { literals: parts.literals, bytes: Vec::new(), changes: Vec::new() };
        let mut state = State::new(&limits);
        let visitor = Visitor(Vec::new());
        run(parts.code, parts.literals.len(), &mut state, &visitor, &mut printed).unwrap();
        assert_eq!((printed.changes.len(), state.truncated()), (made, truncated));
        assert_eq!(printed.bytes, b"end");
    }
}

/// Values some of which are on their way.
struct Arriving {
    values: Vec<Vec<u8>>,
    pending: Vec<usize>,
}

impl Arriving {
    fn new(compiler: &Compiler, pending: impl Fn(usize) -> bool) -> Self {
        let sources = compiler.slots().enumerate().filter(|(_, slot)| slot.source().is_some());
        let pending = sources.map(|(n, _)| n).filter(|&n| pending(n)).collect();
        Arriving { values: Visitor::new(compiler.slots(), &held).0, pending }
    }
}

impl Values for Arriving {
    fn value(&self, slot: usize) -> Option<&[u8]> {
        assert!(!self.pending.contains(&slot), "the run went past a value that is on its way");
        self.values.get(slot).map(Vec::as_slice)
    }

    fn fragment(&self, slot: usize) -> Option<&[u8]> {
        self.value(slot).filter(|fragment| !fragment.is_empty())
    }

    fn awaits_value(&self, slot: usize) -> bool {
        self.pending.contains(&slot)
    }
}

#[test]
fn a_run_stops_where_a_value_is_on_its_way() {
    for tag in [
        "<& get db views &>",
        "<& get db views none &>",
        "<& get db views none | upper &>",
        "<& if db views a b &>",
        "<& unless db views a b &>",
        "<& if db views &>a<& end &>",
        "<& pop db views &>",
    ] {
        let page = format!("text<& incr db a &>{tag}<& incr db b &>rest<& include /a &>");
        let setup = Setup::default();
        let compiler = setup.compile([page.as_bytes()]);
        let (whole, changes) = print_and_change(&compiler, &setup.limits, &held);
        let parts = compiler.parts().unwrap();
        let mut state = State::new(&setup.limits);
        let mut printed = Printed { literals: parts.literals, bytes: Vec::new(), changes: Vec::new() };
        let late = Arriving::new(&compiler, |_| true);
        // However often it is tried.
        for _ in 0..3 {
            run(parts.code, parts.literals.len(), &mut state, &late, &mut printed).unwrap();
            assert!(compiler.is_behind(&state));
            assert_eq!(printed.bytes, b"text", "{tag}");
            assert_eq!(printed.changes, ["Incr(1) db a"]);
        }
        let scout = |values: &Arriving| compiler.needed(&mut State::new(&setup.limits), values).unwrap();
        assert!(scout(&late).is_empty());
        let there = Arriving::new(&compiler, |_| false);
        assert_eq!(scout(&there).len(), 1);
        run(parts.code, parts.literals.len(), &mut state, &there, &mut printed).unwrap();
        assert_eq!((printed.bytes, printed.changes), (whole, changes), "{tag}");
    }
}

#[test]
fn a_branch_not_taken_is_not_waited_for() {
    let page = "<& if cookie no &><& get db views &><& if db views a &><& end &>end";
    let compiler = Setup::default().compile([page.as_bytes()]);
    let parts = compiler.parts().unwrap();
    let mut printed = Printed { literals: parts.literals, bytes: Vec::new(), changes: Vec::new() };
    let mut state = State::new(&Limits::default());
    let late = Arriving::new(&compiler, |_| true);
    run(parts.code, parts.literals.len(), &mut state, &late, &mut printed).unwrap();
    assert_eq!(printed.bytes, b"end");
    assert!(!compiler.is_behind(&state));
}

const BITS: [&str; 14] = [
    "text ",
    "<& get db views &>",
    "<& get db none 'a <b>' | upper &>",
    "<& get session login | upper &>",
    "<& if db views &>",
    "<& unless session none &>",
    "<& if cookie yes &>",
    "<& if db zero some none &>",
    "<& else &>",
    "<& end &>",
    "<& incr db views &>",
    "<& decr session login 3 &>",
    "<& pop db views &>",
    "<& include /a &>",
];

proptest! {
    #![proptest_config(cases(1_000))]

    /// A page that comes in pieces, its values later still, in any order: it prints and changes the same, each thing once.
    #[test]
    fn values_that_come_when_they_like(
        bits in prop::collection::vec(prop::sample::select(&BITS[..]), 0..20),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        come in prop::collection::vec(0..10_usize, 8),
        drain in any::<bool>(),
    ) {
        let page = bits.concat();
        let setup = Setup::default();
        let whole = setup.compile([page.as_bytes()]);
        let (expected, changes) = print_and_change(&whole, &setup.limits, &held);
        let mut compiler = setup.compiler();
        let mut state = State::new(&setup.limits);
        let mut scout: Option<State> = None;
        let (mut bytes, mut made, mut needed) = (Vec::new(), Vec::new(), Vec::new());
        let pieces = cut(page.as_bytes(), &cuts);
        for n in 0..20 {
            match pieces.get(n) {
                Some(piece) => compiler.feed(piece),
                None => compiler.finish(),
            }
            let values = Arriving::new(&compiler, |slot| come[slot % come.len()] > n);
            let ahead = scout.get_or_insert_with(|| state.fork());
            needed.extend(compiler.needed(ahead, &values).unwrap());
            let mut printed = Printed { literals: compiler.literals(), bytes, changes: made };
            compiler.run(&mut state, &values, &mut printed).unwrap();
            (bytes, made) = (printed.bytes, printed.changes);
            if compiler.is_behind(&state) {
                continue;
            }
            scout = None;
            if drain {
                compiler.drain(&mut state);
            }
        }
        prop_assert_eq!(bytes, expected);
        prop_assert_eq!(made, changes);
        needed.sort();
        needed.dedup();
        let there = Arriving::new(&whole, |_| false);
        prop_assert_eq!(needed, whole.needed(&mut State::new(&setup.limits), &there).unwrap());
    }
}

#[test]
fn damaged_changes_end() {
    let compiler = Setup::default().compile([&b"<& incr db a 300 &><& pop db b &>"[..]]);
    let code = compiler.parts().unwrap().code;
    for len in 0..code.len() {
        let mut printed = Printed { literals: &[], bytes: Vec::new(), changes: Vec::new() };
        let _ = run(&code[..len], 0, &mut State::new(&Limits::default()), &Visitor(Vec::new()), &mut printed);
        assert!(printed.changes.len() < 2);
    }
    assert_eq!(print(&compiler, &Limits::default(), &held), b"");
}
