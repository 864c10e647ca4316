//! SIGKILL from outside, at any instant of a worker's life.
//!
//! Purging does not exist yet as a directive; when it does, visitors who purge belong in the fixture's `load.rs`, beside
//! those who force a store by `X-Fresh`.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use fixture::load::{Cuts, Load};
use fixture::random::Random;
use fixture::{Nginx, until};

use crate::report::Phase;
use crate::stage::{Stage, kill, wait_workers};
use crate::{Options, interrupt, proc};

pub fn run(options: &Options) -> Phase {
    let stage = Stage::new(Nginx::bare(), options.seed);
    let nginx = stage.setup.start();
    let load = Load::start(stage.plan(Cuts::ByKills));
    // The zone is full before the first death.
    load.wait_checked(2000);
    let mut killer =
        Killer { nginx: &nginx, load: &load, random: Random::new(options.seed), phase: Phase::default() };
    let limit = Instant::now() + Duration::from_secs(60) + Duration::from_millis(300) * options.kills as u32;
    while killer.phase.kills < options.kills && !interrupt::happened() {
        assert!(
            Instant::now() < limit,
            "only {} kills in the time for {}",
            killer.phase.kills,
            options.kills
        );
        killer.strike();
        // Each death is followed by service.
        load.wait_checked(1 + killer.random.below(20));
        thread::sleep(Duration::from_micros(killer.random.below(20_000)));
    }
    let phase = killer.phase;
    stage.end(nginx, load, phase)
}

struct Killer<'a> {
    nginx: &'a Nginx,
    load: &'a Load,
    random: Random,
    phase: Phase,
}

impl Killer<'_> {
    fn strike(&mut self) {
        let victim = self.pick(&self.nginx.workers().into_iter().collect());
        match self.random.below(40) {
            0 => self.leaving(),
            1 => self.helper(),
            2..=6 => self.with_successor(victim),
            7..=10 => self.all(),
            _ => self.kill(&[victim]),
        }
    }

    fn pick(&mut self, of: &BTreeSet<u32>) -> u32 {
        let n = self.random.below(of.len() as u64) as usize;
        of.iter().nth(n).copied().unwrap_or(0)
    }

    /// Kills workers; back when their successors are there.
    fn kill(&mut self, victims: &[u32]) {
        let killed = self.load.killing(|| {
            let killed = victims.iter().filter(|&&pid| kill(pid)).count();
            wait_workers(self.nginx, victims);
            killed
        });
        self.phase.kills += killed as u64;
    }

    /// All at once: nobody of them sees the others' slots taken back.
    fn all(&mut self) {
        let workers = self.nginx.workers();
        self.kill(&workers);
    }

    /// Kills a worker, and the one that nginx makes in its place as soon as it is there, which may be before it has
    /// taken its slot.
    fn with_successor(&mut self, victim: u32) {
        let master = self.nginx.master();
        let killed = self.load.killing(|| {
            let before = proc::children(master);
            if !kill(victim) {
                return 0;
            }
            let mut successor = 0;
            until("a worker is made in the place of the dead one", || {
                successor = proc::children(master).difference(&before).next().copied().unwrap_or(0);
                successor != 0
            });
            let killed = 1 + u64::from(kill(successor));
            wait_workers(self.nginx, &[victim, successor]);
            killed
        });
        self.phase.kills += killed;
    }

    /// Reloads, and kills one of the former workers, which have slow readers still: nobody is made in its place.
    fn leaving(&mut self) {
        // As a death: readers whose worker leaves are cut if it dies meanwhile.
        let killed = self.load.killing(|| {
            self.nginx.reload();
            let Some(pid) = self.nginx.leaving_workers().first().copied() else { return 0 };
            let killed = u64::from(kill(pid));
            until("the dead are gone", || !self.nginx.leaving_workers().contains(&pid));
            killed
        });
        self.phase.reloads += 1;
        self.phase.kills += killed;
    }

    /// Kills a process of the module's own, if it has one.
    fn helper(&mut self) {
        let master = self.nginx.master();
        let helpers = proc::helpers(master);
        if helpers.is_empty() {
            return;
        }
        let victim = self.pick(&helpers);
        let killed = self.load.killing(|| {
            let killed = u64::from(kill(victim));
            until("the helper is there again", || {
                let now = proc::helpers(master);
                now.len() == helpers.len() && !now.contains(&victim)
            });
            killed
        });
        self.phase.kills += killed;
    }
}
