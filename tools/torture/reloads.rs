//! A reload each second under load: not one request fails, and nothing piles up.

use std::thread;
use std::time::{Duration, Instant};

use fixture::load::{Cuts, Load};
use fixture::{Nginx, process, until};

use crate::report::Phase;
use crate::stage::Stage;
use crate::{Options, interrupt, proc};

/// The master's own memory may grow by this over all reloads: pools of several cycles that overlap.
const GROWTH_KB: u64 = 512;

pub fn run(options: &Options) -> Phase {
    let stage = Stage::new(Nginx::bare(), options.seed);
    let nginx = stage.setup.start();
    let master = nginx.master();
    let files = process::descriptors(master);
    let load = Load::start(stage.plan(Cuts::Never));
    load.wait_checked(2000);
    let mut phase = Phase::default();
    // What the first cycles allocate stays; from then on nothing may grow.
    for _ in 0..3 {
        nginx.reload();
        phase.reloads += 1;
    }
    // Channels of workers that have ended are closed when the master has taken note of that.
    let drained = || {
        until("the former workers have left, and the master has as many files as at first", || {
            nginx.leaving_workers().is_empty() && process::descriptors(master) == files
        });
    };
    drained();
    let before = proc::own_memory_kb(master);
    let end = Instant::now() + options.seconds;
    while Instant::now() < end && !interrupt::happened() {
        let next = Instant::now() + Duration::from_secs(1);
        nginx.reload();
        phase.reloads += 1;
        load.wait_checked(1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    drained();
    let after = proc::own_memory_kb(master);
    assert!(
        after <= before + GROWTH_KB,
        "the master's own memory grew from {before} KB to {after} KB in {} reloads",
        phase.reloads
    );
    eprintln!(
        "torture: the master has {files} files open as at first, {before} KB of its own before and {after} KB after"
    );
    stage.end(nginx, load, phase)
}
