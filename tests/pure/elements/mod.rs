//! Tests of element memory: stories, and a naive model.

#[cfg(debug_assertions)]
mod crash;
mod model;

use crate::store::{Lock, Memory, OPTIONS, bytes, slot};
use twice_core::board::flights::{Asker, Channels, Lease, Outcome, Owner};
use twice_core::board::{Board, Counter, Plan, Purge};
use twice_core::clock::DIFFER_MS;
use twice_core::elements::{Claim, Elements, MAX_ELEMENT, News, Remembered, SMALL, SmallValue};
use twice_core::store::{Options, Policy, Slot, Store};

const AGE: u64 = 1000;
const TTL: u64 = 30_000;

/// The element memory of a zone, as the processes of a few slots see it. Slot n listens on channel n.
pub struct Scene {
    memory: Memory,
    board_memory: Memory,
    plan: Plan,
    store: Store,
    board: Board,
    lock: Lock,
    slots: Vec<Slot>,
}

impl Scene {
    pub fn new(len: usize) -> Scene {
        let (memory, plan) = (Memory::new(len), Plan::for_zone(1 << 20, true));
        let board_memory = Memory::new(plan.bytes());
        let store = memory.create(&Options { max_page: MAX_ELEMENT, policy: Policy::Lru, ..OPTIONS });
        let board = Board::create(board_memory.region(), plan).unwrap();
        Scene::of(memory, board_memory, plan, store, board)
    }

    fn of(memory: Memory, board_memory: Memory, plan: Plan, store: Store, board: Board) -> Scene {
        let slots = (0..3).map(slot).collect();
        let scene = Scene { memory, board_memory, plan, store, board, lock: Lock::default(), slots };
        for slot in &scene.slots {
            scene.store.with(&scene.lock, |s| s.claim_slot(slot, 1000 + slot.number()));
        }
        scene
    }

    /// The same bytes at another place.
    #[cfg(debug_assertions)]
    fn copy(&self) -> Scene {
        let (memory, board_memory) = (self.memory.copy(), self.board_memory.copy());
        let store = Store::attach(memory.region()).unwrap();
        let board = Board::attach(board_memory.region(), self.plan).unwrap();
        Scene::of(memory, board_memory, self.plan, store, board)
    }

    /// As the process of this slot sees it.
    pub fn at(&self, slot: usize) -> Elements<'_, Lock> {
        Elements { store: &self.store, lock: &self.lock, board: &self.board, slot: &self.slots[slot] }
    }

    pub fn look(&self, id: &[u8], now: u64) -> Option<Option<Vec<u8>>> {
        self.at(0).look(self.store.hash(id), id, now, value)
    }

    pub fn claim(&self, slot: usize, id: &[u8], now: u64) -> Claim<Option<Vec<u8>>> {
        let me = Owner { slot: slot as u32, pid: 1000 + slot as u32 };
        self.at(slot).claim(self.store.hash(id), id, now, AGE, me, Some(slot as u32), value)
    }

    #[track_caller]
    pub fn lease(&self, slot: usize, id: &[u8], now: u64) -> Lease {
        match self.claim(slot, id, now) {
            Claim::Fetch(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    pub fn news<'a>(&self, lease: Lease, id: &'a [u8], value: Option<&'a [u8]>) -> News<'a> {
        News { lease, hash: self.store.hash(id), id, value, ttl_ms: TTL }
    }

    /// Fetches a value and remembers it. Back come the slots that are woken.
    pub fn put(&self, slot: usize, id: &[u8], value: Option<&[u8]>, now: u64) -> Vec<u32> {
        let lease = self.lease(slot, id, now);
        numbers(self.at(slot).remember(&[self.news(lease, id, value)], now))
    }

    pub fn purge_all(&self, soft: bool, now: u64) {
        let purge = |s: &mut _| self.board.purge(s, Purge::All, soft, now * 1000);
        self.store.with(&self.lock, purge).unwrap();
    }

    pub fn is_fetched(&self, id: &[u8], lease: Lease) -> bool {
        self.board.is_element_fetched(self.store.hash(id), lease.generation())
    }

    pub fn check(&self) {
        self.store.with(&self.lock, |s| s.check()).unwrap();
    }
}

pub fn numbers(channels: Channels) -> Vec<u32> {
    channels.numbers().collect()
}

/// A value as it is read, `None` for one that the source does not have.
fn value(found: &Remembered<'_>) -> Option<Vec<u8>> {
    let value = bytes(found.pieces());
    assert_eq!(found.value_len().unwrap_or(0), value.len());
    (!found.is_missing()).then_some(value)
}

fn some(text: &str) -> Option<Option<Vec<u8>>> {
    Some(Some(text.into()))
}

#[test]
fn what_was_fetched_once_is_there_for_all_until_its_time_is_over() {
    const NOW: u64 = 1_000_000;
    let scene = Scene::new(256 << 10);
    assert_eq!(scene.look(b"s\0k", NOW), None);
    scene.put(0, b"s\0k", Some(b"v"), NOW);
    scene.put(0, b"s\0empty", Some(b""), NOW);
    scene.put(1, b"s\0none", None, NOW);
    for now in [NOW, NOW + 1, NOW - 1, NOW - DIFFER_MS, NOW + TTL - 1] {
        assert_eq!(scene.look(b"s\0k", now), some("v"), "{now}");
        assert_eq!(scene.look(b"s\0empty", now), some(""), "{now}");
        assert_eq!(scene.look(b"s\0none", now), Some(None), "{now}");
        assert_eq!(scene.claim(2, b"s\0k", now), Claim::There(Some(b"v".to_vec())), "{now}");
        assert_eq!(scene.look(b"s\0other", now), None, "{now}");
    }
    // Over; or the clock was set back, further than another worker's may be behind.
    for now in [NOW + TTL, u64::MAX, NOW - DIFFER_MS - 1, 0] {
        assert_eq!(scene.look(b"s\0k", now), None, "{now}");
        assert_eq!(scene.look(b"s\0none", now), None, "{now}");
    }
    let count = |counter| scene.board.figure(counter);
    assert_eq!(count(Counter::ElementsStored), 3);
    assert_eq!((count(Counter::ElementHits), count(Counter::ElementMisses)), (15, 14));
}

#[test]
fn a_value_tells_when_it_came_and_which_copy_it_is() {
    let scene = Scene::new(256 << 10);
    let about = |now| {
        let of = |found: &Remembered<'_>| (found.stored_ms, found.expires_ms, found.version);
        scene.at(0).look(scene.store.hash(b"k"), b"k", now, of).unwrap()
    };
    scene.put(0, b"k", Some(b"v"), 1000);
    let first = about(2000);
    assert_eq!((first.0, first.1), (1000, 1000 + TTL));
    assert_eq!(about(3000).2, first.2);
    scene.put(0, b"k", Some(b"v"), 1000 + TTL);
    let second = about(1000 + TTL);
    assert_eq!(second.0, 1000 + TTL);
    assert_ne!(second.2, first.2);
}

#[test]
fn one_asks_and_the_others_wait() {
    let scene = Scene::new(256 << 10);
    let lease = scene.lease(0, b"k", 1000);
    let generation = lease.generation();
    assert_eq!(scene.claim(1, b"k", 1001), Claim::Wait(generation));
    assert_eq!(scene.claim(2, b"k", 1001), Claim::Wait(generation));
    assert!(scene.is_fetched(b"k", lease));
    let hash = scene.store.hash(b"k");
    assert_eq!(scene.at(1).watch(hash, generation, 1).map(|watched| watched.pid), Some(1000));
    let woken = scene.at(0).remember(&[scene.news(lease, b"k", Some(b"v"))], 1002);
    assert_eq!(numbers(woken), [1, 2]);
    assert!(!scene.is_fetched(b"k", lease));
    assert_eq!(scene.at(1).watch(hash, generation, 1), None);
    assert_eq!(scene.claim(1, b"k", 1003), Claim::There(Some(b"v".to_vec())));
    // What is asked of sources takes nobody's place who asks for pages.
    let ask = |s: &mut _| {
        scene.board.flights(s).ask(hash, 1003, AGE, Owner { slot: 1, pid: 1 }, None, Asker::Anybody)
    };
    let _ = scene.lease(0, b"other", 1003);
    assert!(matches!(scene.store.with(&scene.lock, ask), twice_core::board::flights::Asked::Fetch(_)));
}

#[test]
fn a_fetch_that_brings_nothing_lets_the_next_one_ask() {
    let scene = Scene::new(256 << 10);
    for _ in 0..5 {
        let lease = scene.lease(0, b"k", 1000);
        assert_eq!(scene.claim(1, b"k", 1000), Claim::Wait(lease.generation()));
        assert_eq!(numbers(scene.at(0).end([lease], 1000)), [1]);
    }
    // Its process is no more.
    let lease = scene.lease(0, b"k", 1000);
    assert_eq!(scene.claim(1, b"k", 1000), Claim::Wait(lease.generation()));
    assert_eq!(numbers(scene.at(1).give_up(scene.store.hash(b"k"), lease.generation())), [1]);
    let second = scene.lease(1, b"k", 1000);
    // What the first one brings late is not believed.
    assert_eq!(numbers(scene.at(0).remember(&[scene.news(lease, b"k", Some(b"late"))], 1001)), [0; 0]);
    assert_eq!(scene.look(b"k", 1001), None);
    // One that takes too long is overtaken.
    assert_eq!(scene.claim(2, b"k", 1000 + AGE - 1), Claim::Wait(second.generation()));
    let third = scene.lease(2, b"k", 1000 + AGE);
    assert!(!scene.is_fetched(b"k", second) && scene.is_fetched(b"k", third));
    let _ = scene.at(2).remember(&[scene.news(third, b"k", Some(b"v"))], 2000);
    let _ = scene.at(1).remember(&[scene.news(second, b"k", Some(b"late"))], 2001);
    assert_eq!(scene.look(b"k", 2001), some("v"));
}

#[test]
fn what_was_forgotten_does_not_come_back() {
    let scene = Scene::new(256 << 10);
    let hash = scene.store.hash(b"k");
    assert_eq!(scene.at(0).forget(hash, b"k"), (false, Channels::default()));
    scene.put(0, b"k", Some(b"old"), 1000);
    assert!(scene.at(1).forget(hash, b"k").0);
    assert_eq!(scene.look(b"k", 1000), None);
    // A fetch that is under way, and those who wait for it.
    let lease = scene.lease(0, b"k", 1001);
    assert_eq!(scene.claim(1, b"k", 1001), Claim::Wait(lease.generation()));
    let (there, woken) = scene.at(2).forget(hash, b"k");
    assert_eq!((there, numbers(woken)), (false, vec![1]));
    assert!(!scene.is_fetched(b"k", lease));
    let next = scene.lease(1, b"k", 1002);
    let _ = scene.at(0).remember(&[scene.news(lease, b"k", Some(b"old"))], 1003);
    assert_eq!(scene.look(b"k", 1003), None);
    // The next one began after.
    let _ = scene.at(1).remember(&[scene.news(next, b"k", Some(b"new"))], 1004);
    assert_eq!(scene.look(b"k", 1004), some("new"));
    // And so with a large one, that is forgotten while it is copied, or before.
    let large = vec![b'x'; 20_000];
    let lease = scene.lease(0, b"large", 1005);
    let _ = scene.at(1).forget(scene.store.hash(b"large"), b"large");
    let _ = scene.at(0).remember(&[scene.news(lease, b"large", Some(&large))], 1006);
    assert_eq!(scene.look(b"large", 1006), None);
    assert_eq!(scene.store.with(&scene.lock, |s| s.stats()).pending, 0);
}

#[test]
fn a_purge_of_everything_is_one_of_values_too() {
    for soft in [false, true] {
        let scene = Scene::new(256 << 10);
        scene.put(0, b"k", Some(b"old"), 1000);
        let lease = scene.lease(0, b"under way", 1000);
        scene.purge_all(soft, 1001);
        assert_eq!(scene.look(b"k", 1002), None);
        assert!(!scene.is_fetched(b"under way", lease));
        let woken = scene.at(0).remember(&[scene.news(lease, b"under way", Some(b"old"))], 1003);
        assert_eq!(numbers(woken), [0; 0]);
        assert_eq!(scene.look(b"under way", 1003), None);
        for id in [&b"k"[..], b"under way"] {
            scene.put(1, id, Some(b"new"), 1004);
            assert_eq!(scene.look(id, 1004), some("new"));
        }
        // A purge of something else is none of values.
        let mark = |s: &mut _| scene.board.purge(s, Purge::Mark(7), soft, 2_000_000);
        scene.store.with(&scene.lock, mark).unwrap();
        assert_eq!(scene.look(b"k", 1004), some("new"));
    }
}

#[test]
fn nobody_waits_for_what_a_purge_of_everything_has_made_old() {
    for soft in [false, true] {
        let scene = Scene::new(256 << 10);
        let old = scene.lease(0, b"k", 1000);
        assert_eq!(scene.claim(1, b"k", 1000), Claim::Wait(old.generation()));
        scene.purge_all(soft, 1001);
        // By whoever, the one who began it too.
        let new = scene.lease(0, b"k", 1001);
        assert!(scene.is_fetched(b"k", new) && !scene.is_fetched(b"k", old));
        assert_eq!(scene.claim(2, b"k", 1001), Claim::Wait(new.generation()));
        let hash = scene.store.hash(b"k");
        assert_eq!(scene.at(1).watch(hash, old.generation(), 1), None);
        assert_eq!(numbers(scene.at(0).remember(&[scene.news(old, b"k", Some(b"old"))], 1002)), [0; 0]);
        assert_eq!(scene.look(b"k", 1002), None);
        assert_eq!(numbers(scene.at(0).remember(&[scene.news(new, b"k", Some(b"new"))], 1003)), [1, 2]);
        assert_eq!(scene.look(b"k", 1003), some("new"));
    }
}

#[test]
fn many_values_come_at_once() {
    let scene = Scene::new(2 << 20);
    let sizes = [0, 1, 100, 4096, 4097, 20_000, 300_000, 5];
    let values: Vec<_> = sizes.iter().map(|size| crate::store::content(*size as u64, *size)).collect();
    let ids: Vec<_> = sizes.iter().map(|size| format!("s\0{size}")).collect();
    let leases: Vec<_> = ids.iter().map(|id| scene.lease(0, id.as_bytes(), 1000)).collect();
    for id in &ids {
        assert!(matches!(scene.claim(2, id.as_bytes(), 1000), Claim::Wait(_)));
    }
    let news: Vec<_> = ids
        .iter()
        .zip(&leases)
        .zip(&values)
        .map(|((id, lease), value)| scene.news(*lease, id.as_bytes(), Some(value)))
        .collect();
    assert_eq!(numbers(scene.at(0).remember(&news, 1001)), [2]);
    for (id, value) in ids.iter().zip(&values) {
        assert_eq!(scene.look(id.as_bytes(), 1001), Some(Some(value.clone())), "{id}");
    }
    assert_eq!(scene.at(0).remember(&[], 1002), Channels::default());
    assert_eq!(scene.store.with(&scene.lock, |s| s.stats()).pending, 0);
    scene.check();
}

#[test]
fn what_finds_no_room_is_not_remembered_and_nobody_waits_for_it() {
    let scene = Scene::new(64 << 10);
    for size in [64 << 10, MAX_ELEMENT, MAX_ELEMENT + 1, 4 << 20] {
        let lease = scene.lease(0, b"k", 1000);
        assert!(matches!(scene.claim(1, b"k", 1000), Claim::Wait(_)));
        let woken = scene.at(0).remember(&[scene.news(lease, b"k", Some(&vec![0; size]))], 1001);
        assert_eq!(numbers(woken), [1]);
        assert_eq!(scene.look(b"k", 1001), None);
    }
    // A value that is not to be remembered at all, and one without the right.
    let lease = scene.lease(0, b"k", 1000);
    let _ = scene.at(0).remember(&[News { ttl_ms: 0, ..scene.news(lease, b"k", Some(b"v")) }], 1001);
    assert_eq!(scene.look(b"k", 1001), None);
    let nobodys = Lease::of_nobody(scene.store.hash(b"k"));
    let _ = scene.at(0).remember(&[scene.news(nobodys, b"k", Some(b"v"))], 1001);
    assert_eq!(scene.look(b"k", 1001), None);
    // The least used make room.
    for n in 0..2000 {
        scene.put(0, format!("k{n}").as_bytes(), Some(b"value"), 2000 + 200 * n);
        if n > 0 {
            assert_eq!(scene.look(b"k0", 2000 + 200 * n).is_some(), 200 * n < TTL, "{n}");
        }
    }
    assert!(scene.store.with(&scene.lock, |s| s.stats()).evicted > 1000);
    scene.check();
}

#[test]
fn a_small_value_is_changed_in_its_place() {
    let scene = Scene::new(256 << 10);
    let hash = scene.store.hash(b"k");
    let next = |text: &[u8]| {
        let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        SmallValue::of([(number + 1).to_string().as_bytes()])
    };
    assert!(!scene.at(0).change(hash, b"k", 1000, next));
    scene.put(0, b"k", Some(b"9"), 1000);
    assert!(scene.at(1).change(hash, b"k", 2000, next));
    assert_eq!(scene.look(b"k", 2000), some("10"));
    // For as long as before.
    assert_eq!(scene.look(b"k", 1000 + TTL - 1), some("10"));
    assert_eq!(scene.look(b"k", 1000 + TTL), None);
    assert!(!scene.at(1).change(hash, b"k", 1000 + TTL, next));
    // What is no number, not there, too long or purged stays what it is.
    for value in [Some(&b"text"[..]), None, Some(&[b'7'; SMALL + 1])] {
        let id = format!("{value:?}");
        scene.put(0, id.as_bytes(), value, 1000);
        assert!(!scene.at(0).change(scene.store.hash(id.as_bytes()), id.as_bytes(), 1000, next), "{id}");
        assert_eq!(scene.look(id.as_bytes(), 1000), Some(value.map(<[u8]>::to_vec)));
    }
    assert!(scene.at(0).change(hash, b"k", 1000, |_| SmallValue::of([&[b'x'; SMALL][..]])));
    scene.purge_all(false, 1001);
    assert!(!scene.at(0).change(hash, b"k", 1000, next));
    scene.check();
}

#[test]
fn small_values_are_joined_as_far_as_they_fit() {
    let all = [b'x'; SMALL + 1];
    for len in [0, 1, SMALL] {
        assert_eq!(SmallValue::of([&all[..len]]).unwrap().bytes(), &all[..len]);
        assert_eq!(SmallValue::of([&all[..len / 2], &all[len / 2..len]]).unwrap().bytes(), &all[..len]);
    }
    assert_eq!(SmallValue::of([&all[..]]), None);
    assert_eq!(SmallValue::of([&all[..1], &all[1..]]), None);
}

#[test]
fn a_zone_without_their_table_remembers_nothing() {
    let plan = Plan::for_zone(1 << 20, false);
    assert!(plan.bytes() < Plan::for_zone(1 << 20, true).bytes());
    let (memory, board_memory) = (Memory::new(256 << 10), Memory::new(plan.bytes()));
    let store = memory.create(&OPTIONS);
    let board = Board::create(board_memory.region(), plan).unwrap();
    let scene = Scene::of(memory, board_memory, plan, store, board);
    assert_eq!(scene.claim(0, b"k", 1000), Claim::Alone);
    let lease = Lease::of_nobody(scene.store.hash(b"k"));
    assert!(!scene.is_fetched(b"k", lease));
    let _ = scene.at(0).remember(&[scene.news(lease, b"k", Some(b"v"))], 1001);
    assert_eq!(scene.look(b"k", 1001), None);
    let _ = scene.store.with(&scene.lock, |s| scene.board.flights(s).end(lease, Outcome::Stored, 1));
}
