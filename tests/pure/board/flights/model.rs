//! The table of fetches against a model that forgets nothing.

use crate::property::cases;
use std::collections::HashMap;

use proptest::prelude::*;
use twice_core::board::flights::{Alone, Asked, Asker, Lease, Outcome};

use super::super::{Scene, owner};
use super::{AGE, UNSTORABLE, ZONE, numbers};

/// What a naive table would hold.
#[derive(Clone, Debug)]
enum Entry {
    Flying { lease: Lease, slot: u32, started: u64, channels: Vec<u32>, failures: u32, rounds: u32 },
    Again { until: u64, rounds: u32 },
    Unstorable { until: u64, to: Asker },
    Failing { until: u64, failures: u32 },
}

#[derive(Clone, Debug)]
enum Step {
    Ask { hash: u64, slot: u32, channel: Option<u32>, asker: Asker },
    Refresh { hash: u64, slot: u32, asker: Asker },
    Watch { lease: usize, channel: u32 },
    End { lease: usize, outcome: u8, to: Asker },
    GiveUp { lease: usize },
    GiveUpAll { slot: u32 },
    Later { ms: u64 },
}

fn asker() -> impl Strategy<Value = Asker> {
    (any::<bool>(), any::<bool>()).prop_map(|(password, unstored)| Asker::new(password, unstored))
}

fn step() -> impl Strategy<Value = Step> {
    let hash = (0..3u64, 0..2u64).prop_map(|(low, set)| set << 32 | low);
    prop_oneof![
        4 => (hash.clone(), 0..3u32, proptest::option::weighted(0.9, 0..64u32), asker())
            .prop_map(|(hash, slot, channel, asker)| Step::Ask { hash, slot, channel, asker }),
        1 => (hash, 0..3u32, asker()).prop_map(|(hash, slot, asker)| Step::Refresh { hash, slot, asker }),
        1 => (0..8usize, 0..64u32).prop_map(|(lease, channel)| Step::Watch { lease, channel }),
        3 => (0..8usize, 0..8u8, asker()).prop_map(|(lease, outcome, to)| Step::End { lease, outcome, to }),
        1 => (0..8usize).prop_map(|lease| Step::GiveUp { lease }),
        1 => (0..3u32).prop_map(|slot| Step::GiveUpAll { slot }),
        2 => prop_oneof![0..3000u64, 25_000..40_000u64].prop_map(|ms| Step::Later { ms }),
    ]
}

/// Six keys: no set is ever full, so that the table forgets nothing either.
#[derive(Default)]
struct Model {
    entries: HashMap<u64, Entry>,
    leases: Vec<(u64, Lease)>,
    now: u64,
}

impl Model {
    /// A fetch begins, with what is known of those before it.
    fn takes(&mut self, hash: u64, slot: u32, asked: Option<Lease>) {
        let lease = asked.expect("it is to fetch");
        assert!(self.leases.iter().all(|(_, other)| *other != lease), "a lease of before");
        self.leases.push((hash, lease));
        let (channels, failures, rounds) = match self.entries.remove(&hash) {
            Some(Entry::Flying { channels, failures, rounds, .. }) => (channels, failures, rounds),
            Some(Entry::Failing { failures, .. }) => (Vec::new(), failures, 0),
            Some(Entry::Again { until, rounds }) if until > self.now => (Vec::new(), 0, rounds),
            _ => (Vec::new(), 0, 0),
        };
        let flying = Entry::Flying { lease, slot, started: self.now, channels, failures, rounds };
        self.entries.insert(hash, flying);
    }

    fn asks(&mut self, scene: &Scene, hash: u64, slot: u32, channel: Option<u32>, asker: Asker) {
        let asked = scene.flights(|f| f.ask(hash, self.now, AGE, owner(slot), channel, asker));
        let taken = if let Asked::Fetch(lease) = asked { Some(lease) } else { None };
        match self.entries.get_mut(&hash) {
            Some(Entry::Flying { lease, started, channels, failures, .. }) if self.now - *started < AGE => {
                match channel {
                    _ if *failures >= 2 => assert_eq!(asked, Asked::Alone(Alone::Failing)),
                    Some(channel) => {
                        assert_eq!(asked, Asked::Wait(lease.generation()));
                        channels.push(channel);
                    }
                    None => assert_eq!(asked, Asked::Alone(Alone::NoChannel)),
                }
            }
            Some(Entry::Unstorable { until, to }) if asker >= *to && *until > self.now => {
                assert_eq!(asked, Asked::Alone(Alone::Unstorable));
            }
            Some(Entry::Failing { until, failures }) if *failures >= 2 && *until > self.now => {
                assert_eq!(asked, Asked::Alone(Alone::Failing));
            }
            _ => self.takes(hash, slot, taken),
        }
    }

    fn refreshes(&mut self, scene: &Scene, hash: u64, slot: u32, asker: Asker) {
        let taken = scene.flights(|f| f.refresh(hash, self.now, AGE, owner(slot), asker));
        let is_none = match self.entries.get(&hash) {
            Some(Entry::Flying { started, .. }) => self.now - started < AGE,
            Some(Entry::Unstorable { until, to }) => asker >= *to && *until > self.now,
            Some(Entry::Failing { until, .. }) => *until > self.now,
            Some(Entry::Again { .. }) | None => false,
        };
        if is_none { assert_eq!(taken, None) } else { self.takes(hash, slot, taken) }
    }

    /// The channels of a fetch that ends, sorted, once each.
    fn lands(&mut self, hash: u64, next: Option<Entry>) -> Vec<u32> {
        let Some(Entry::Flying { mut channels, .. }) = self.entries.remove(&hash) else { return Vec::new() };
        if let Some(next) = next {
            self.entries.insert(hash, next);
        }
        channels.sort_unstable();
        channels.dedup();
        channels
    }

    fn ends(&mut self, scene: &Scene, which: usize, outcome: u8, to: Asker) {
        let Some((hash, lease)) = self.lease(which) else { return };
        let outcome = match outcome {
            0 => Outcome::Stored,
            1 | 6 => UNSTORABLE.to(to),
            2 | 3 => Outcome::Failed,
            4 | 5 => Outcome::Again,
            _ => Outcome::Abandoned,
        };
        let woken = numbers(scene.flights(|f| f.end(lease, outcome, self.now)));
        let now = self.now;
        let expected = match self.entries.get_mut(&hash) {
            Some(Entry::Flying { lease: current, failures, rounds, .. }) if *current == lease => {
                let (failures, rounds) = (*failures + 1, *rounds + 1);
                let next = match outcome {
                    Outcome::Stored | Outcome::Abandoned => None,
                    Outcome::Unstorable { for_ms, to } => Some(Entry::Unstorable { until: now + for_ms, to }),
                    Outcome::Again if rounds == 4 => {
                        Some(Entry::Unstorable { until: now + 5000, to: Asker::Anybody })
                    }
                    Outcome::Again => Some(Entry::Again { until: now + 5000, rounds }),
                    Outcome::Failed => {
                        Some(Entry::Failing { until: now + (1000 << (failures - 1).min(5)), failures })
                    }
                };
                self.lands(hash, next)
            }
            Some(Entry::Flying { channels, .. }) if outcome == Outcome::Stored => {
                let mut channels = std::mem::take(channels);
                channels.sort_unstable();
                channels.dedup();
                channels
            }
            _ => Vec::new(),
        };
        assert_eq!(woken, expected);
    }

    fn lease(&self, which: usize) -> Option<(u64, Lease)> {
        // The latest ones: most of them are under way.
        self.leases.iter().rev().nth(which).copied()
    }

    fn does(&mut self, scene: &Scene, step: Step) {
        match step {
            Step::Ask { hash, slot, channel, asker } => self.asks(scene, hash, slot, channel, asker),
            Step::Refresh { hash, slot, asker } => self.refreshes(scene, hash, slot, asker),
            Step::End { lease, outcome, to } => self.ends(scene, lease, outcome, to),
            Step::Later { ms } => self.now += ms,
            Step::Watch { lease, channel } => {
                let Some((hash, lease)) = self.lease(lease) else { return };
                let watched = scene.flights(|f| f.watch(hash, lease.generation(), channel));
                let expected = match self.entries.get_mut(&hash) {
                    Some(Entry::Flying { lease: current, slot, started, channels, .. })
                        if *current == lease =>
                    {
                        channels.push(channel);
                        Some((*started, owner(*slot).pid))
                    }
                    _ => None,
                };
                assert_eq!(watched.map(|watched| (watched.started_ms, watched.pid)), expected);
            }
            Step::GiveUp { lease } => {
                let Some((hash, lease)) = self.lease(lease) else { return };
                let woken = numbers(scene.flights(|f| f.give_up(hash, lease.generation())));
                let is_current = matches!(self.entries.get(&hash),
                    Some(Entry::Flying { lease: current, .. }) if *current == lease);
                let expected = if is_current { self.lands(hash, None) } else { Vec::new() };
                assert_eq!(woken, expected);
            }
            Step::GiveUpAll { slot } => {
                let woken = numbers(scene.flights(|f| f.give_up_all(slot)));
                let of_slot = |entry: &Entry| matches!(entry, Entry::Flying { slot: s, .. } if *s == slot);
                let hashes: Vec<u64> =
                    self.entries.iter().filter(|(_, entry)| of_slot(entry)).map(|(hash, _)| *hash).collect();
                let mut expected: Vec<u32> =
                    hashes.into_iter().flat_map(|hash| self.lands(hash, None)).collect();
                expected.sort_unstable();
                expected.dedup();
                assert_eq!(woken, expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]
    #[test]
    fn the_table_does_what_the_model_says(steps in proptest::collection::vec(step(), 1..120)) {
        let scene = Scene::new(ZONE);
        let mut model = Model { now: 1_000_000, ..Model::default() };
        for step in steps {
            model.does(&scene, step);
        }
    }
}
