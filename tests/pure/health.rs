//! When a server rests, is probed, and comes back: stories, and any interleaving of several workers against a naive
//! model.

use crate::property::cases;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use proptest::prelude::*;
use twice_core::clock::DIFFER_MS;
use twice_core::health::{Health, Probe, Rules, State, Turn};

const RULES: Rules = Rules { failure_limit: 2, retry_ms: 30_000, probe_ms: 500 };

/// Some time of the year 2026.
const NOW: u64 = 1_780_000_000_000;

#[test]
fn it_rests_after_failures_in_a_row() {
    let health = Health::default();
    assert!(!health.failed(NOW, &RULES));
    assert!(health.is_up());
    health.succeeded();
    assert!(!health.failed(NOW, &RULES));
    assert!(health.failed(NOW + 1, &RULES));
    assert!(!health.is_up());
    assert_eq!(health.state(NOW + 1, &RULES), State::Resting);
    // What the other connections notice is no news, and what comes late is no proof.
    assert!(!health.failed(NOW + 2, &RULES));
    health.succeeded();
    assert_eq!(health.state(NOW + 30_000, &RULES), State::Resting);
    assert_eq!(health.state(NOW + 30_001, &RULES), State::Due);
    assert!(!health.is_up());
}

#[test]
fn one_probes_and_it_comes_back() {
    let health = rested();
    let then = NOW + 30_000;
    assert_eq!(health.claim_probe(then - 1, &RULES), None);
    let probe = health.claim_probe(then, &RULES).unwrap();
    assert_eq!(health.state(then, &RULES), State::Probed);
    assert_eq!(health.claim_probe(then + 499, &RULES), None);
    assert!(health.probe_succeeded(probe));
    assert!(health.is_up());
    assert_eq!(health.claim_probe(then, &RULES), None);
    // With all its patience.
    assert!(!health.failed(then, &RULES));
    assert!(health.failed(then, &RULES));
}

#[test]
fn each_question_may_be_the_probe() {
    let health = Health::default();
    assert_eq!(health.turn(NOW, &RULES), Turn::Ask);
    let health = rested();
    let then = NOW + 30_000;
    assert_eq!(health.turn(then - 1, &RULES), Turn::Rest);
    let Turn::Probe(probe) = health.turn(then, &RULES) else { panic!("it is due") };
    // One of them; the others do without.
    assert_eq!(health.turn(then, &RULES), Turn::Rest);
    assert!(health.probe_failed(probe, then + 1, &RULES));
    assert_eq!(health.turn(then + 2, &RULES), Turn::Rest);
    let Turn::Probe(probe) = health.turn(then + 30_001, &RULES) else { panic!("it is due again") };
    assert!(health.probe_succeeded(probe));
    assert_eq!(health.turn(then + 30_001, &RULES), Turn::Ask);
}

#[test]
fn a_probe_that_fails_is_another_rest() {
    let health = rested();
    let then = NOW + 30_000;
    let probe = health.claim_probe(then, &RULES).unwrap();
    assert!(health.probe_failed(probe, then + 100, &RULES));
    assert_eq!(health.claim_probe(then + 30_099, &RULES), None);
    assert!(health.claim_probe(then + 30_100, &RULES).is_some());
}

#[test]
fn a_prober_that_dies_keeps_nobody() {
    let health = rested();
    let then = NOW + 30_000;
    let lost = health.claim_probe(then, &RULES).unwrap();
    assert_eq!(health.state(then + 500, &RULES), State::Due);
    let probe = health.claim_probe(then + 500, &RULES).unwrap();
    // It was only slow: it is not its turn any more.
    assert!(!health.probe_succeeded(lost));
    assert!(!health.is_up());
    assert!(health.probe_succeeded(probe));
    assert!(health.is_up());
}

#[test]
fn a_clock_that_was_set_back_makes_no_rest_long() {
    let health = rested();
    let year = 365 * 24 * 3600 * 1000;
    // Another worker's may be a little behind.
    assert_eq!(health.state(NOW - 1, &RULES), State::Resting);
    assert_eq!(health.state(NOW - DIFFER_MS, &RULES), State::Resting);
    assert_eq!(health.state(NOW - DIFFER_MS - 1, &RULES), State::Due);
    let probe = health.claim_probe(NOW - year, &RULES).unwrap();
    assert!(health.probe_failed(probe, NOW - year, &RULES));
    assert_eq!(health.state(NOW - year, &RULES), State::Resting);
    let _lost = health.claim_probe(NOW, &RULES).unwrap();
    assert!(health.claim_probe(NOW - year, &RULES).is_some());
}

#[test]
fn a_first_failure_may_be_enough() {
    let rules = Rules { failure_limit: 1, ..RULES };
    let health = Health::default();
    assert!(health.failed(NOW, &rules));
    assert!(!health.is_up());
}

#[test]
fn new_memory_takes_over_what_was_known() {
    let old = rested();
    let new = Health::default();
    new.take_over(&old);
    assert_eq!(new.state(NOW, &RULES), State::Resting);
    assert_eq!(new.state(NOW + 30_000, &RULES), State::Due);
}

#[test]
fn names_are_words_and_each_is_there_once() {
    let names = State::ALL.map(State::as_str);
    assert_eq!(names, ["up", "resting", "due", "probed"]);
}

#[test]
fn of_many_threads_one_gets_the_probe() {
    const THREADS: usize = 8;
    for _ in 0..50 {
        let health = rested();
        let (start, claims) = (Barrier::new(THREADS), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    if health.claim_probe(NOW + 30_000, &RULES).is_some() {
                        claims.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(claims.into_inner(), 1);
    }
}

#[test]
fn of_many_threads_one_failure_is_the_last() {
    const THREADS: usize = 8;
    let rules = Rules { failure_limit: 100, ..RULES };
    for _ in 0..20 {
        let health = Health::default();
        let (start, rests) = (Barrier::new(THREADS), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..50 {
                        if health.failed(NOW, &rules) {
                            rests.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(rests.into_inner(), 1);
    }
}

/// It has just begun to rest.
fn rested() -> Health {
    let health = Health::default();
    health.failed(NOW, &RULES);
    health.failed(NOW, &RULES);
    assert!(!health.is_up());
    health
}

/// The same in plain variables.
#[derive(Default)]
struct Naive {
    failures: u64,
    rest: Option<u64>,
    /// Its number, and until when.
    probe: Option<(usize, u64)>,
    claims: usize,
}

impl Naive {
    fn state(&self, now: u64, rules: &Rules) -> State {
        let lasts = |until: u64, longest: u64| until > now && until <= now + longest + DIFFER_MS;
        match (self.rest, self.probe) {
            (_, Some((_, until))) if lasts(until, rules.probe_ms) => State::Probed,
            (_, Some(_)) => State::Due,
            (Some(until), None) if lasts(until, rules.retry_ms) => State::Resting,
            (Some(_), None) => State::Due,
            (None, None) => State::Up,
        }
    }

    fn failed(&mut self, now: u64, rules: &Rules) -> bool {
        if self.rest.is_some() {
            return false;
        }
        self.failures += 1;
        if self.failures < rules.failure_limit {
            return false;
        }
        self.failures = 0;
        self.rest = Some(now + rules.retry_ms);
        true
    }

    fn succeeded(&mut self) {
        self.failures = 0;
    }

    fn claim(&mut self, now: u64, rules: &Rules) -> Option<usize> {
        if self.state(now, rules) != State::Due {
            return None;
        }
        self.claims += 1;
        self.probe = Some((self.claims, now + rules.probe_ms));
        Some(self.claims)
    }

    fn report(&mut self, claim: usize, rest: Option<u64>) -> bool {
        let counts = self.probe.is_some_and(|(number, _)| number == claim);
        if counts {
            self.probe = None;
            self.rest = rest;
        }
        counts
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Failed,
    Succeeded,
    Claim(usize),
    Report(usize, bool),
    Dies(usize),
    /// The clock, also backwards.
    Time(i64),
}

const WORKERS: usize = 3;

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Failed),
        1 => Just(Step::Succeeded),
        3 => (0..WORKERS).prop_map(Step::Claim),
        2 => (0..WORKERS, any::<bool>()).prop_map(|(worker, ok)| Step::Report(worker, ok)),
        1 => (0..WORKERS).prop_map(Step::Dies),
        4 => prop_oneof![Just(1), Just(49), Just(50), Just(299), Just(300), Just(-50), Just(-301), -2000i64..2000, Just(-5_301), -9_000i64..9_000]
            .prop_map(Step::Time),
    ]
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn any_interleaving_is_as_the_model_says(
        limit in 1u64..4,
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let rules = Rules { failure_limit: limit, retry_ms: 300, probe_ms: 50 };
        let (health, mut naive) = (Health::default(), Naive::default());
        let mut held: [Option<(Probe, usize)>; WORKERS] = Default::default();
        let mut now = NOW;
        for step in steps {
            match step {
                Step::Failed => prop_assert_eq!(health.failed(now, &rules), naive.failed(now, &rules)),
                Step::Succeeded => {
                    health.succeeded();
                    naive.succeeded();
                }
                Step::Claim(worker) if held[worker].is_none() => {
                    let (probe, claim) = (health.claim_probe(now, &rules), naive.claim(now, &rules));
                    prop_assert_eq!(probe.is_some(), claim.is_some());
                    held[worker] = probe.zip(claim);
                }
                Step::Report(worker, true) => {
                    if let Some((probe, claim)) = held[worker].take() {
                        prop_assert_eq!(health.probe_succeeded(probe), naive.report(claim, None));
                    }
                }
                Step::Report(worker, false) => {
                    if let Some((probe, claim)) = held[worker].take() {
                        let rest = Some(now + rules.retry_ms);
                        prop_assert_eq!(health.probe_failed(probe, now, &rules), naive.report(claim, rest));
                    }
                }
                Step::Dies(worker) => held[worker] = None,
                Step::Claim(_) => {}
                Step::Time(by) => now = now.saturating_add_signed(by),
            }
            prop_assert_eq!(health.state(now, &rules), naive.state(now, &rules));
            prop_assert_eq!(health.is_up(), naive.state(now, &rules) == State::Up);
        }
        // Whatever happened: before a rest, a probe and what clocks differ by have passed, somebody may try.
        let is_open = |time| matches!(health.state(time, &rules), State::Up | State::Due);
        prop_assert!((now..=now + rules.retry_ms + rules.probe_ms + DIFFER_MS).any(is_open));
        // And whatever the clock does.
        prop_assert!(is_open(0) && is_open(u64::MAX));
    }
}
