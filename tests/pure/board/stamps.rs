//! Purges by stamps, against a list of all purges.

use super::Scene;
use crate::property::cases;
use proptest::prelude::*;
use twice_core::board::{Purge, Refused, Verdict};
use twice_core::marks::{self, Keys, Marks};

const SMALL: usize = 1 << 20;

fn marks_of(host: &str, target: &str, keys: &str) -> Vec<u8> {
    let mut found = Keys::default();
    found.add(keys.as_bytes());
    found.encode(host.as_bytes(), target.as_bytes()).unwrap()
}

impl Scene {
    fn purge(&self, what: Purge<'_>, soft: bool) -> u64 {
        self.with(|s| self.board.purge(s, what, soft, 0)).unwrap()
    }

    fn verdict(&self, began: u64, marks: &[u8]) -> Verdict {
        let marks = Marks::parse(marks).unwrap();
        let by_marks = self.board.verdict_of_marks(began, &marks);
        by_marks.max(self.with(|s| self.board.verdict_of_prefixes(s, began, &marks)))
    }

    fn allows(&self, began: u64, marks: &[u8]) -> bool {
        self.with(|s| self.board.allows(s, began, &Marks::parse(marks).unwrap()))
    }
}

#[test]
fn a_purge_meets_what_began_before_it() {
    let scene = Scene::new(SMALL);
    let page = marks_of("example.com", "/a?b", "red green");
    let key = |name: &str| Purge::Mark(marks::of_key(name.as_bytes()));
    let url = |target: &str| Purge::Mark(marks::of_url(b"example.com", target.as_bytes()));
    let cases: &[(&str, Purge<'_>, bool)] = &[
        ("its URL", url("/a?b"), true),
        ("another URL", url("/a"), false),
        ("its first key", key("red"), true),
        ("its second key", key("green"), true),
        ("another key", key("blue"), false),
        ("a key named like its URL", key("example.com/a?b"), false),
        ("its prefix", Purge::Prefix(b"example.com/a"), true),
        ("its host", Purge::Prefix(b"example.com/"), true),
        ("another prefix", Purge::Prefix(b"example.com/b"), false),
        ("all", Purge::All, true),
    ];
    for &(name, what, meets) in cases {
        for soft in [true, false] {
            let began = scene.board.latest();
            let stamp = scene.purge(what, soft);
            assert!(stamp > began && scene.board.latest() == stamp);
            let expected = match (meets, soft) {
                (false, _) => Verdict::Alive,
                (true, true) => Verdict::Stale,
                (true, false) => Verdict::Dead,
            };
            assert_eq!(scene.verdict(began, &page), expected, "{name}, soft: {soft}");
            assert_eq!(scene.allows(began, &page), !meets, "{name}, soft: {soft}");
            // A fetch that begins after it is not its business.
            assert_eq!(scene.verdict(stamp, &page), Verdict::Alive, "{name}");
            assert!(scene.allows(stamp, &page), "{name}");
        }
    }
}

#[test]
fn stamps_follow_the_clock_and_grow_even_if_it_is_set_back() {
    let scene = Scene::new(SMALL);
    let at = |now| scene.with(|s| scene.board.purge(s, Purge::All, false, now)).unwrap();
    assert_eq!(at(1_000_001), 1_000_000);
    assert_eq!(at(5), 1_000_002);
    scene.with(|s| scene.board.begin_after(s, 2_000_000));
    assert_eq!(at(6), 2_000_002);
}

#[test]
fn prefixes_come_and_go() {
    let scene = Scene::new(SMALL);
    let page = marks_of("h", "/1/x", "");
    let began = scene.board.latest();
    for n in 0..8 {
        scene.purge(Purge::Prefix(format!("h/{n}/").as_bytes()), false);
    }
    let one_more = || scene.with(|s| scene.board.purge(s, Purge::Prefix(b"h/9/"), false, 0));
    assert_eq!(one_more(), Err(Refused::TooMany));
    // The same one again has a place.
    scene.purge(Purge::Prefix(b"h/1/"), false);
    let long = vec![b'x'; 497];
    let refused = scene.with(|s| scene.board.purge(s, Purge::Prefix(&long), false, 0));
    assert_eq!(refused, Err(Refused::TooLong));
    assert_eq!(scene.verdict(began, &page), Verdict::Dead);

    // When no old page is left the first one goes; fetches that began before it are not stored all the same.
    scene.with(|s| scene.board.set_swept(s, scene.board.latest()));
    assert!(one_more().is_ok());
    let other = marks_of("h", "/0/x", "");
    assert_eq!(scene.verdict(began, &other), Verdict::Alive);
    assert!(!scene.allows(began, &other));
}

#[test]
fn many_purged_keys_never_purge_too_little() {
    let scene = Scene::new(SMALL);
    let began = scene.board.latest();
    for n in 0..5000u32 {
        scene.purge(Purge::Mark(marks::of_key(format!("key{n}").as_bytes())), n.is_multiple_of(3));
    }
    for n in 0..5000u32 {
        let page = marks_of("h", "/", &format!("key{n}"));
        assert!(scene.verdict(began, &page) >= Verdict::Stale, "{n}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Key(u8, bool),
    Url(u8, bool),
    Prefix(u8, bool),
    All(bool),
    Fetch(u8),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..30u8, any::<bool>()).prop_map(|(n, soft)| Step::Key(n, soft)),
        6 => (0..30u8, any::<bool>()).prop_map(|(n, soft)| Step::Url(n, soft)),
        2 => (0..6u8, any::<bool>()).prop_map(|(n, soft)| Step::Prefix(n, soft)),
        1 => any::<bool>().prop_map(Step::All),
        9 => (0..30u8).prop_map(Step::Fetch),
        1 => Just(Step::Sweep),
    ];
    proptest::collection::vec(step, 1..if cfg!(miri) { 20 } else { 120 })
}

proptest! {
    #![proptest_config(cases(256))]

    /// Pages: number n has the URL h/(n % 6)/n and the keys n and n + 1. The model knows every purge.
    #[test]
    fn as_the_list_of_all_purges_says(steps in steps()) {
        let scene = Scene::new(SMALL);
        let target = |n: u8| format!("/{}/{n}", n % 6);
        let page = |n: u8| marks_of("h", &target(n), &format!("{n},{}", n + 1));
        let mut purges: Vec<(u64, Step)> = Vec::new();
        let mut fetched: Vec<(u8, u64)> = (0..30).map(|n| (n, 0)).collect();
        for step in steps {
            let stamp = match &step {
                Step::Key(n, soft) => scene.purge(Purge::Mark(marks::of_key(n.to_string().as_bytes())), *soft),
                Step::Url(n, soft) => scene.purge(Purge::Mark(marks::of_url(b"h", target(*n).as_bytes())), *soft),
                Step::Prefix(n, soft) => {
                    let text = format!("h/{n}/");
                    match scene.with(|s| scene.board.purge(s, Purge::Prefix(text.as_bytes()), *soft, 0)) {
                        Ok(stamp) => stamp,
                        Err(Refused::TooMany) => continue,
                        Err(why) => return Err(TestCaseError::fail(format!("{why:?}"))),
                    }
                }
                Step::All(soft) => scene.purge(Purge::All, *soft),
                Step::Fetch(n) => {
                    fetched.push((*n, scene.board.latest()));
                    continue;
                }
                Step::Sweep => {
                    // Whoever sweeps has taken the dead pages away.
                    fetched.retain(|(n, began)| scene.verdict(*began, &page(*n)) != Verdict::Dead);
                    let soft_left = fetched.iter().any(|(n, began)| scene.verdict(*began, &page(*n)) == Verdict::Stale);
                    if !soft_left {
                        scene.with(|s| scene.board.set_swept(s, scene.board.latest()));
                    }
                    continue;
                }
            };
            purges.push((stamp, step));
            for (n, began) in &fetched {
                let expected = purges.iter().filter(|(stamp, _)| stamp > began).map(|(_, step)| {
                    let (meets, soft) = match step {
                        Step::Key(key, soft) => (*key == *n || *key == n + 1, *soft),
                        Step::Url(url, soft) => (url == n, *soft),
                        Step::Prefix(prefix, soft) => (*prefix == n % 6, *soft),
                        Step::All(soft) => (true, *soft),
                        Step::Fetch(_) | Step::Sweep => (false, true),
                    };
                    match (meets, soft) {
                        (false, _) => Verdict::Alive,
                        (true, true) => Verdict::Stale,
                        (true, false) => Verdict::Dead,
                    }
                }).max().unwrap_or(Verdict::Alive);
                let verdict = scene.verdict(*began, &page(*n));
                prop_assert!(verdict >= expected, "page {} began {}: {:?}, not {:?}", n, began, verdict, expected);
                prop_assert!(!scene.allows(*began, &page(*n)) || expected == Verdict::Alive);
            }
        }
    }
}

/// A process dies at each single write of a purge: what was purged before it stays purged.
#[cfg(debug_assertions)]
#[test]
fn a_death_in_a_purge_takes_no_earlier_one_back() {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use twice_core::store::fault;

    let scene = Scene::new(SMALL);
    let page = |n: u32| marks_of("h", &format!("/{n}"), &format!("key{n}"));
    // Sets that are full.
    for n in 0..400u32 {
        scene.purge(Purge::Mark(marks::of_key(format!("key{n}").as_bytes())), false);
    }
    for n in 400..408u32 {
        scene.purge(Purge::Prefix(format!("h/{n}").as_bytes()), false);
    }
    let began = 0;
    let new_key = marks::of_key(b"new");
    for (soft, what) in [
        (false, Purge::Mark(new_key)),
        (true, Purge::Mark(new_key)),
        (false, Purge::Prefix(b"h/401")),
        (false, Purge::Prefix(b"h/new")),
        (false, Purge::All),
    ] {
        let mut deaths = 0;
        for n in 0.. {
            let copy = scene.copy();
            if what == Purge::Prefix(b"h/new") {
                copy.with(|s| copy.board.set_swept(s, copy.board.latest()));
            }
            let swept = copy.board.swept();
            fault::arm(n, || resume_unwind(Box::new("dead")));
            let done = catch_unwind(AssertUnwindSafe(|| copy.purge(what, soft))).is_ok();
            fault::disarm();
            for n in 0..408 {
                // What was swept has no page any more; its fetches are not stored.
                if n < 400 || swept == 0 {
                    assert_eq!(copy.verdict(began, &page(n)), Verdict::Dead, "{n} after a death in {what:?}");
                }
                assert!(!copy.allows(began, &page(n)));
            }
            if done {
                break;
            }
            deaths += 1;
        }
        assert!(deaths >= 2, "{what:?}");
    }
}

#[test]
fn marks_of_a_page() {
    let mut keys = Keys::default();
    keys.add(b" red  green,blue ,, red\t");
    keys.add(b"");
    keys.add(b"green");
    let bytes = keys.encode(b"example.com", b"/x?y=1").unwrap();
    let read = Marks::parse(&bytes).unwrap();
    assert_eq!(read.url, b"example.com/x?y=1");
    let mut hashes: Vec<_> = read.hashes().collect();
    assert_eq!(hashes.len(), 4);
    assert_eq!(hashes.remove(0), marks::of_url(b"example.com", b"/x?y=1"));
    for key in ["red", "green", "blue"] {
        assert!(hashes.contains(&marks::of_key(key.as_bytes())), "{key}");
    }
    assert_eq!(marks::len_of(bytes[bytes.len() - 4..].try_into().unwrap()), bytes.len());
}

#[test]
fn as_many_keys_as_a_page_may_have() {
    let line = |n: usize| (0..n).map(|i| format!("k{i} ")).collect::<String>();
    for (count, fits) in [(marks::MAX_KEYS, true), (marks::MAX_KEYS + 1, false), (3 * marks::MAX_KEYS, false)]
    {
        let mut keys = Keys::default();
        keys.add(line(count).as_bytes());
        assert_eq!(keys.encode(b"h", b"/").is_some(), fits, "{count}");
    }
    // The same ones all over again are no more.
    let mut keys = Keys::default();
    for _ in 0..10 {
        keys.add(line(marks::MAX_KEYS).as_bytes());
    }
    assert!(keys.encode(b"h", b"/").is_some());
    assert!(Keys::default().encode(b"h", &[b'a'; 65_535]).is_none());
}

#[test]
fn what_is_cut_off_or_garbage_is_no_marks() {
    let bytes = marks_of("example.com", "/x", "a b");
    for cut in 0..bytes.len() {
        assert!(Marks::parse(&bytes[..cut]).is_none_or(|m| m.url.len() <= cut));
        assert!(cut == 0 || Marks::parse(&bytes[cut..]).is_none());
    }
    assert!(Marks::parse(b"").is_none());
    assert!(Marks::parse(&[0xff; 100]).is_none());
}
