//! The leak guard: who is another visitor, when pages are the same, and where they differ.

mod places;

use twice_core::audit::{
    self, AUDITED, Before, Fresh, Ignored, MAX_HEAD, MAX_IDS, MAX_IGNORED, MIN_ID, Place, Value, Verdict,
    Visitor, WITNESS, difference, head_len, is_same, read_head, write_head,
};
use twice_core::outcome::Reason;
use twice_core::page::{Behind, Head, Program, encode_prefix};
use twice_core::variants::{self, Dimension, Dimensions, Value as Said, VariantKey};

type Cookies<'a> = &'a [(&'a str, &'a str)];

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn visitor(cookies: Cookies<'_>, passwords: &[&str]) -> Visitor {
    let cookies = cookies.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Visitor::new(cookies, passwords.iter().map(|password| password.as_bytes()), hash)
}

/// A value that lies in pieces of so many bytes.
struct Pieces(Vec<u8>, usize);

impl Value for Pieces {
    fn part(&self, at: usize, len: usize) -> impl Iterator<Item = &[u8]> {
        let end = at.saturating_add(len).min(self.0.len());
        self.0.get(at..end).unwrap_or_default().chunks(self.1)
    }
}

#[test]
fn who_is_another_visitor() {
    const ID: &str = "0123456789abcdef";
    const OTHER: &str = "0123456789abcdeg";
    assert_eq!(ID.len(), MIN_ID);
    type Row<'a> = (Cookies<'a>, &'a [&'a str], Cookies<'a>, &'a [&'a str], bool);
    let table: &[Row<'_>] = &[
        // Nobody knows who comes without anything.
        (&[], &[], &[], &[], false),
        (&[("a", "1")], &[], &[], &[], true),
        (&[("a", "1")], &[], &[("a", "2")], &[], true),
        (&[("a", "1")], &[], &[("b", "1")], &[], true),
        (&[("a", "1")], &[], &[("a", "1")], &[], false),
        // In any order, and however often.
        (&[("a", "1"), ("b", "2")], &[], &[("b", "2"), ("a", "1")], &[], false),
        (&[("a", "1"), ("a", "1")], &[], &[("a", "1")], &[], false),
        (&[("a", "1"), ("a", "2")], &[], &[("a", "2"), ("a", "1")], &[], false),
        // Names and values can't be cut elsewhere.
        (&[("ab", "c")], &[], &[("a", "bc")], &[], true),
        (&[("a", "1"), ("b", "2")], &[], &[("a", "1b2")], &[], true),
        // What many have, and what may be an id.
        (&[("theme", "dark"), ("a", "1")], &[], &[("theme", "dark"), ("a", "2")], &[], true),
        (&[("s", ID), ("views", "1")], &[], &[("s", ID), ("views", "2")], &[], false),
        (&[("s", ID), ("views", "1")], &[], &[("s", OTHER), ("views", "1")], &[], true),
        (&[("s", ID)], &[], &[("t", ID)], &[], true),
        // Passwords, of any length.
        (&[], &["Basic x"], &[], &["Basic x"], false),
        (&[], &["Basic x"], &[], &["Basic y"], true),
        (&[], &["Basic x"], &[], &[], true),
        (&[("views", "1")], &["Basic x"], &[("views", "2")], &["Basic x"], false),
        (&[("", "Basic x")], &[], &[], &["Basic x"], true),
    ];
    for (a, a_passwords, b, b_passwords, differ) in table {
        let (one, other) = (visitor(a, a_passwords), visitor(b, b_passwords));
        assert_eq!(one.differs_from(&other), *differ, "{a:?} {a_passwords:?} and {b:?} {b_passwords:?}");
        assert_eq!(other.differs_from(&one), *differ, "{b:?} {b_passwords:?} and {a:?} {a_passwords:?}");
    }
}

#[test]
fn who_has_too_many_cookies_is_nobodys_other_visitor() {
    let of = |count: usize, mark: &str| {
        let cookies: Vec<_> = (0..count).map(|n| (format!("{mark}{n}"), "v".repeat(MIN_ID))).collect();
        let pairs: Vec<_> = cookies.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        visitor(&pairs, &[])
    };
    assert!(of(MAX_IDS, "a").differs_from(&of(MAX_IDS, "b")));
    assert!(!of(MAX_IDS + 1, "a").differs_from(&of(1, "b")));
    assert!(!of(1, "b").differs_from(&of(1000, "a")));
    assert!(write_head(&of(1000, "a")).len() <= MAX_HEAD);
}

#[test]
fn a_witness_says_whose_it_is() {
    let visitors = [
        visitor(&[], &[]),
        visitor(&[("a", "1")], &[]),
        visitor(&[("s", "0123456789abcdef0")], &["Basic x"]),
    ];
    for visitor in &visitors {
        let head = write_head(visitor);
        assert_eq!(head_len(&head), Some(head.len()));
        assert_eq!(read_head(&head).as_ref(), Some(visitor));
        for len in 0..head.len() {
            assert_eq!(read_head(&head[..len]), None);
        }
        for wrong in 0..8 {
            let mut other = head.clone();
            other[wrong] ^= 0x80;
            assert_eq!(read_head(&other), None, "byte {wrong}");
        }
    }
    // No page and no rules are one.
    let rules = variants::merge(None, &by(b"a"), 1).unwrap().unwrap().encode();
    assert_eq!(head_len(&rules), None);
    assert_eq!(head_len(&page(200, &[], "x")), None);
}

fn by(cookie: &[u8]) -> Dimensions {
    let mut dimensions = Dimensions::default();
    dimensions.add(Dimension::Cookie(cookie)).unwrap();
    dimensions
}

#[test]
fn no_two_pages_share_a_witness() {
    let key = |base: &[u8], dimensions: &Dimensions, values: &[Said<'_>]| {
        let base = audit::key::base(base, dimensions);
        let mut key = Vec::new();
        VariantKey { epoch: audit::key::EPOCH, values, base: &base }
            .write(|piece| key.extend_from_slice(piece));
        key
    };
    let none = Dimensions::default();
    let one = [Said::Is(b"1")];
    let keys = [
        key(b"http://a/", &none, &[]),
        key(b"http://a/x", &none, &[]),
        key(b"http://a/", &by(b"a"), &one),
        key(b"http://a/", &by(b"b"), &one),
        key(b"http://a/", &by(b"a"), &[Said::Absent]),
        key(b"http://a/", &by(b"a"), &[Said::Is(b"")]),
    ];
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(key.first(), Some(&0));
        assert!(!keys[n + 1..].contains(key));
    }
}

#[test]
fn what_becomes_of_an_answer() {
    let place = Place::Header("x".to_owned());
    let table = [
        (Before::Nothing, Verdict::Waits, Some(Reason::AuditWaits)),
        (Before::SameVisitor, Verdict::Waits, Some(Reason::AuditWaits)),
        (Before::Agrees, Verdict::Passes, None),
        (Before::Stored, Verdict::Passes, None),
        (Before::Differs(place.clone()), Verdict::Differs(place), Some(Reason::AuditDiffers)),
    ];
    for (before, verdict, reason) in table {
        let found = Verdict::of(before);
        assert_eq!((found.reason(), &found), (reason, &verdict));
    }
}

#[test]
fn who_is_served_what() {
    let joined = 8190 << 1 | 1;
    for (tag, audited, served) in [
        (joined, false, true),
        (joined, true, false),
        (joined | AUDITED, false, true),
        (joined | AUDITED, true, true),
        (WITNESS, false, false),
        (WITNESS | AUDITED, true, false),
    ] {
        assert_eq!(audit::may_be_served(tag, audited), served, "{tag:x} {audited}");
        assert_eq!(audit::without(tag) & !joined, 0);
    }
    assert_eq!(audit::without(joined | AUDITED), joined);
    assert_eq!((WITNESS | AUDITED) & variants::TAG, 0);
}

#[test]
fn which_lines_can_be_left_out() {
    let mut ignored = Ignored::default();
    for name in ["X-Request-ID", "etag", "Expires", "Last-Modified"] {
        ignored.add(name).unwrap();
    }
    for (name, has) in [("x-request-id", true), ("ETag", true), ("etagx", false), ("", false)] {
        assert_eq!(ignored.has(name.as_bytes()), has, "{name}");
    }
    for name in
        ["", "a b", "a:", "a,b", "ä", "Location", "content-type", "VARY", "set-cookie", &"x".repeat(65)]
    {
        assert!(ignored.clone().add(name).unwrap_err().starts_with("allowed are "), "{name}");
    }
    for n in 4..MAX_IGNORED {
        ignored.add(&format!("x-{n}")).unwrap();
    }
    assert_eq!(ignored.add("one-more").unwrap_err(), format!("allowed are {MAX_IGNORED} names"));
}

fn page(status: u16, lines: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut bytes = prefix(status, lines, body.len());
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

fn prefix(status: u16, lines: &[(&str, &str)], literals: usize) -> Vec<u8> {
    let own = |name: &str| lines.iter().find(|line| line.0 == name).map_or("", |line| line.1).as_bytes();
    let head = Head {
        status,
        content_type: own("content-type"),
        charset: own("charset"),
        etag: own("etag"),
        last_modified: own("last-modified"),
        last_modified_time: own("last-modified").len() as i64,
        cache_control: own("cache-control"),
        location: own("location"),
        tag_lines: b"",
    };
    let others = lines.iter().filter(|line| line.0.starts_with("X-"));
    let others = others.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let behind = Behind { literals_len: literals, cold_len: 3, generation: literals as u64 };
    encode_prefix(&head, others, &Program::default(), &behind).unwrap()
}

/// Where two plain pages differ, as it is told. The new one comes first.
#[track_caller]
fn told(new: (u16, &[(&str, &str)], &str), old: (u16, &[(&str, &str)], &str)) -> Option<String> {
    let prefix = prefix(new.0, new.1, new.2.len());
    let mut found = None;
    for cut in [1, 7, 1000] {
        let literals: Vec<&[u8]> = new.2.as_bytes().chunks(cut + 1).collect();
        let fresh = Fresh { prefix: &prefix, literals: &literals, origin: None };
        let mut value = b"head of a witness".to_vec();
        let at = value.len();
        value.extend(page(old.0, old.1, old.2));
        value.extend_from_slice(b"marks");
        let value = Pieces(value, cut);
        let place = difference(&fresh, &value, at).unwrap();
        assert_eq!(is_same(&fresh, &value, at), Some(place.is_none()));
        found = Some(place.map(|place| place.to_string()));
    }
    found.unwrap()
}

#[test]
fn the_first_difference_is_told() {
    let all: &[(&str, &str)] =
        &[("content-type", "text/html"), ("etag", "\"1\""), ("X-A", "1"), ("X-B", "2")];
    let with = |name: &'static str, value: &'static str| {
        let mut lines = all.to_vec();
        match lines.iter_mut().find(|line| line.0 == name) {
            Some(line) => line.1 = value,
            None => lines.push((name, value)),
        }
        lines
    };
    let without = |name: &str| all.iter().copied().filter(|line| line.0 != name).collect::<Vec<_>>();
    let same = (200, all, "body");
    assert_eq!(told(same, same), None);
    assert_eq!(told((404, all, "other"), same).as_deref(), Some("status"));
    let lines = [
        (with("content-type", "text/plain"), "header content-type"),
        (with("charset", "utf-8"), "header content-type"),
        (with("etag", "\"2\""), "header etag"),
        (with("last-modified", "Sun"), "header last-modified"),
        (with("cache-control", "private"), "header cache-control"),
        (with("location", "/x"), "header location"),
        (with("X-A", "2"), "header x-a"),
        (with("X-B", ""), "header x-b"),
        (with("X-C", "1"), "header x-c"),
        (without("X-A"), "header x-a"),
        (without("X-B"), "header x-b"),
        (vec![("X-\n\"", "1")], "header content-type"),
        ([all, &[("X-\n\"\u{e9}", "1")]].concat(), r#"header x-\n\"\xc3\xa9"#),
    ];
    for (changed, place) in lines {
        // Whichever of them is the new one, and whatever the body is.
        for body in ["body", "other"] {
            assert_eq!(told((200, &changed, body), same).as_deref(), Some(place));
            assert_eq!(told(same, (200, &changed, body)).as_deref(), Some(place));
        }
    }
    let bodies = [
        ("body", "bodx", 1, 4),
        ("body", "xody", 1, 1),
        ("", "x", 1, 1),
        ("x", "", 1, 1),
        ("a\nb", "a\nbc", 2, 2),
        ("a\nbc", "a\nb", 2, 2),
        ("a\n", "a\nb", 2, 1),
        ("a\r\nb\r\ncd", "a\r\nb\r\ncx", 3, 2),
        ("a\nb", "a b", 1, 2),
        ("\u{e9}a", "\u{e9}b", 1, 3),
    ];
    for (new, old, line, column) in bodies {
        let place = format!("body line {line} column {column}");
        assert_eq!(told((200, all, new), (200, all, old)), Some(place), "{new:?} {old:?}");
    }
}

#[test]
fn what_is_no_page_is_no_proof() {
    let prefix = prefix(200, &[], 4);
    let fresh = Fresh { prefix: &prefix, literals: &[b"body"], origin: None };
    let whole = page(200, &[], "body");
    assert_eq!(is_same(&fresh, &Pieces(whole.clone(), 3), 0), Some(true));
    for len in 0..whole.len() {
        let cut = Pieces(whole[..len].to_vec(), 3);
        assert_eq!((is_same(&fresh, &cut, 0), difference(&fresh, &cut, 0)), (None, None), "{len}");
    }
    let mut other = whole;
    other[0] ^= 1;
    assert_eq!(difference(&fresh, &Pieces(other, 3), 0), None);
    assert_eq!(is_same(&fresh, &Pieces(Vec::new(), 3), usize::MAX), None);
}
