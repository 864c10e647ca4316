//! The table at the end.

use fixture::account::Account;
use fixture::load::Tally;

/// What one phase came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phase {
    /// Deaths by SIGKILL from outside, those at the end too; before it, SIGKILLs sent.
    pub kills: u64,
    /// Deaths inside a write.
    pub forced: u64,
    /// Deaths inside the zone's lock, which the master broke open.
    pub locked: u64,
    pub reloads: u64,
    pub tally: Tally,
    pub account: Option<Account>,
    pub seconds: u64,
}

pub struct Report {
    seed: u64,
    phases: Vec<(&'static str, Phase)>,
}

impl Report {
    pub fn new(seed: u64) -> Self {
        Self { seed, phases: Vec::new() }
    }

    pub fn add(&mut self, name: &'static str, phase: Phase) {
        self.phases.push((name, phase));
    }

    pub fn print(&self) {
        let mut sum = Phase::default();
        for (_, phase) in &self.phases {
            sum.kills += phase.kills;
            sum.forced += phase.forced;
            sum.locked += phase.locked;
            sum.reloads += phase.reloads;
            sum.seconds += phase.seconds;
            sum.tally.add(&phase.tally);
        }
        let columns: Vec<Vec<(&str, u64)>> =
            self.phases.iter().map(|(_, phase)| phase).chain([&sum]).map(rows).collect();
        print!("{:<44}", "");
        for name in self.phases.iter().map(|(name, _)| *name).chain(["all"]) {
            print!("{name:>14}");
        }
        println!();
        for (row, (name, _)) in columns[0].iter().enumerate() {
            print!("{name:<44}");
            for column in &columns {
                print!("{:>14}", column[row].1);
            }
            println!();
        }
        for (name, phase) in &self.phases {
            if let Some(Account { arena, free, live, entries, .. }) = phase.account {
                println!(
                    "the store after {name}: {entries} pages, {arena} units = {live} live + {free} free"
                );
            }
        }
        println!("seed {}", self.seed);
    }
}

fn rows(phase: &Phase) -> Vec<(&'static str, u64)> {
    let mut rows = vec![
        ("seconds", phase.seconds),
        ("kills", phase.kills),
        ("forced kills", phase.forced),
        ("of all these inside the zone's lock", phase.locked),
        ("reloads", phase.reloads),
    ];
    rows.extend(phase.tally.rows());
    rows
}
