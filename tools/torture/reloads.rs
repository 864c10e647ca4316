//! A reload each second under load: not one request fails, and nothing piles up.

use std::thread;
use std::time::{Duration, Instant};

use fixture::load::{Cuts, Load};
use fixture::{Nginx, until};

use crate::report::Phase;
use crate::stage::Stage;
use crate::{Options, interrupt, proc};

/// The master's own memory may grow by this over all reloads: pools of several cycles that overlap.
const GROWTH_KB: u64 = 4096;

pub fn run(options: &Options) -> Phase {
    let stage = Stage::new(Nginx::bare(), options.seed);
    let nginx = stage.setup.start();
    let load = Load::start(stage.plan(Cuts::Never));
    load.wait_checked(2000);
    let mut phase = Phase::default();
    // What the first cycles allocate stays; from then on nothing may grow.
    for _ in 0..3 {
        nginx.reload();
        phase.reloads += 1;
    }
    let drained = || until("the former workers have left", || nginx.leaving_workers().is_empty());
    drained();
    let measure = || (proc::descriptors(nginx.master()), proc::own_memory_kb(nginx.master()));
    let before = measure();
    let end = Instant::now() + options.seconds;
    while Instant::now() < end && !interrupt::happened() {
        let next = Instant::now() + Duration::from_secs(1);
        nginx.reload();
        phase.reloads += 1;
        load.wait_checked(1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    drained();
    let after = measure();
    assert_eq!(before.0, after.0, "the master's open files before and after {} reloads", phase.reloads);
    assert!(
        after.1 <= before.1 + GROWTH_KB,
        "the master's own memory grew from {} KB to {} KB in {} reloads",
        before.1,
        after.1,
        phase.reloads
    );
    stage.end(nginx, load, phase)
}
