//! Element memory against a naive one: a map, a list of fetches, and the time of the last purge.

use crate::property::cases;
use std::collections::HashMap;

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Look(u8),
    Claim(usize, u8),
    /// The nth fetch that was begun brings a value of this length, or that there is none.
    Come(u8, Option<usize>),
    Fail(u8),
    Forget(u8),
    Change(u8),
    PurgeAll(bool),
    Tick(u64),
    Rebuild,
    /// The process of a slot is gone.
    Die(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let (key, slot) = (0..6u8, 0..3usize);
    let value = prop::option::of(prop_oneof![0..20usize, 4000..6000usize]);
    prop_oneof![
        6 => key.clone().prop_map(Op::Look),
        8 => (slot.clone(), key.clone()).prop_map(|(slot, key)| Op::Claim(slot, key)),
        8 => (any::<u8>(), value).prop_map(|(n, value)| Op::Come(n, value)),
        1 => any::<u8>().prop_map(Op::Fail),
        2 => key.clone().prop_map(Op::Forget),
        2 => key.prop_map(Op::Change),
        1 => any::<bool>().prop_map(Op::PurgeAll),
        2 => prop_oneof![1..50u64, 900..1100u64, 29_000..31_000u64].prop_map(Op::Tick),
        1 => Just(Op::Rebuild),
        1 => slot.prop_map(Op::Die),
    ]
}

#[derive(Clone)]
struct Kept {
    value: Option<Vec<u8>>,
    until: u64,
}

/// A fetch that counts.
#[derive(Clone, Copy)]
struct Fetch {
    lease: Lease,
    since: u64,
    slot: usize,
    /// Everything was purged since.
    purged: bool,
}

#[derive(Default)]
struct Naive {
    now: u64,
    kept: HashMap<u8, Kept>,
    fetches: HashMap<u8, Fetch>,
    waits: HashMap<u8, Vec<u32>>,
    /// All leases ever.
    begun: Vec<(u8, Lease)>,
}

impl Naive {
    fn fresh(&self, key: u8) -> Option<Option<Vec<u8>>> {
        self.kept.get(&key).filter(|kept| self.now < kept.until).map(|kept| kept.value.clone())
    }

    /// Ends the fetch of a key.
    fn end(&mut self, key: u8) -> Vec<u32> {
        self.fetches.remove(&key);
        let mut woken = self.waits.remove(&key).unwrap_or_default();
        woken.sort_unstable();
        woken.dedup();
        woken
    }
}

fn run(ops: &[Op]) {
    // Room for all: that some go for want of it is another test's.
    let scene = Scene::new(512 << 10);
    let mut model = Naive { now: 1_000_000, ..Naive::default() };
    for op in ops {
        let now = model.now;
        match *op {
            Op::Look(key) => assert_eq!(scene.look(&[key], now), model.fresh(key), "{op:?}"),
            Op::Claim(slot, key) => {
                let claim = scene.claim(slot, &[key], now);
                if let Some(value) = model.fresh(key) {
                    assert_eq!(claim, Claim::There(value), "{op:?}");
                    continue;
                }
                match model.fetches.get(&key) {
                    Some(fetch) if now - fetch.since < AGE && !fetch.purged => {
                        assert_eq!(claim, Claim::Wait(fetch.lease.generation()), "{op:?}");
                        model.waits.entry(key).or_default().push(slot as u32);
                    }
                    _ => {
                        let Claim::Fetch(lease) = claim else { panic!("{op:?}: {claim:?}") };
                        assert!(!model.begun.contains(&(key, lease)));
                        model.begun.push((key, lease));
                        model.fetches.insert(key, Fetch { lease, since: now, slot, purged: false });
                    }
                }
            }
            Op::Come(n, len) => {
                let Some(&(key, lease)) = model.begun.get(usize::from(n) % model.begun.len().max(1)) else {
                    continue;
                };
                let value = len.map(|len| crate::store::content(u64::from(n), len));
                let id = [key];
                let woken = scene.at(1).remember(&[scene.news(lease, &id, value.as_deref())], now);
                let its = model.fetches.get(&key).filter(|fetch| fetch.lease == lease).copied();
                let expected = its.map(|_| model.end(key)).unwrap_or_default();
                assert_eq!(numbers(woken), expected, "{op:?}");
                if its.is_some_and(|fetch| !fetch.purged) {
                    model.kept.insert(key, Kept { value, until: now + TTL });
                }
            }
            Op::Fail(n) => {
                let Some(&(key, lease)) = model.begun.get(usize::from(n) % model.begun.len().max(1)) else {
                    continue;
                };
                let woken = scene.at(1).end([lease], now);
                let is_its = model.fetches.get(&key).is_some_and(|fetch| fetch.lease == lease);
                assert_eq!(numbers(woken), if is_its { model.end(key) } else { vec![] }, "{op:?}");
            }
            Op::Forget(key) => {
                let (_, woken) = scene.at(2).forget(scene.store.hash(&[key]), &[key]);
                model.kept.remove(&key);
                assert_eq!(numbers(woken), model.end(key), "{op:?}");
            }
            Op::Change(key) => {
                let changed = scene
                    .at(0)
                    .change(scene.store.hash(&[key]), &[key], now, |old| SmallValue::of([&[b'n'][..], old]));
                let old = model.fresh(key).flatten().filter(|old| old.len() < SMALL);
                assert_eq!(changed, old.is_some(), "{op:?}");
                if let (Some(old), Some(kept)) = (old, model.kept.get_mut(&key)) {
                    kept.value = Some([&[b'n'][..], &old].concat());
                }
            }
            Op::PurgeAll(soft) => {
                scene.purge_all(soft, now);
                model.kept.clear();
                model.fetches.values_mut().for_each(|fetch| fetch.purged = true);
            }
            Op::Tick(ms) => model.now += ms,
            Op::Rebuild => scene.store.with(&scene.lock, |s| s.mark_dirty()),
            Op::Die(slot) => {
                let give_up = |s: &mut _| scene.board.element_flights(s).unwrap().give_up_all(slot as u32);
                let woken = numbers(scene.store.with(&scene.lock, give_up));
                let dead: Vec<_> = model.fetches.iter().filter(|(_, fetch)| fetch.slot == slot).collect();
                let dead: Vec<_> = dead.into_iter().map(|(key, _)| *key).collect();
                let mut expected: Vec<_> = dead.into_iter().flat_map(|key| model.end(key)).collect();
                expected.sort_unstable();
                expected.dedup();
                assert_eq!(woken, expected, "{op:?}");
            }
        }
        for (key, lease) in &model.begun {
            let counts = model.fetches.get(key).is_some_and(|fetch| fetch.lease == *lease && !fetch.purged);
            assert_eq!(scene.is_fetched(&[*key], *lease), counts, "{op:?}");
        }
        scene.check();
    }
    for key in 0..6 {
        assert_eq!(scene.look(&[key], model.now), model.fresh(key));
    }
    assert_eq!(scene.store.with(&scene.lock, |s| s.stats()).pending, 0);
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn it_remembers_what_a_map_would(ops in prop::collection::vec(op(), 1..150)) {
        run(&ops);
    }
}
