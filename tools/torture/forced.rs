//! Deaths at every step of every change: a worker of the debug module kills itself in place of its 1st, 2nd, 3rd ...
//! write into shared memory (the module's src/fault.rs), and so does its successor, with the next number.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use fixture::load::{Cuts, Load};
use fixture::{Nginx, patience};

use crate::report::Phase;
use crate::stage::{Stage, wait_workers};
use crate::{Options, interrupt};

/// In which order workers die: each at a write that is `step` later, below `limit`.
struct Order {
    step: u64,
    limit: u64,
}

/// At each write in turn. The longest section, a large page that has dozens of small ones evicted, makes 670.
const WRITES: Order = Order { step: 1, limit: 1000 };

/// All over the rebuilding of a store in which somebody died: some 20,000 writes in this zone.
const REPAIRS: Order = Order { step: 1237, limit: 20_011 };

/// As many deaths as kills: from 1,000 on at each single write.
pub fn writes(options: &Options) -> Phase {
    run(options, &WRITES, options.kills)
}

/// Workers die later, so that they come to repair what others left, and die at that.
pub fn repairs(options: &Options) -> Phase {
    run(options, &REPAIRS, options.kills / 2)
}

fn run(options: &Options, order: &Order, wanted: u64) -> Phase {
    let module = std::env::var("TWICE_DEBUG_MODULE")
        .expect("TWICE_DEBUG_MODULE (the module built without --release) is not set: run scripts/torture");
    let base = Nginx::plain().main(format!("load_module {module};"));
    let deaths = base.folder().join("deaths");
    let Order { step, limit } = order;
    let base = base.main(format!("env \"TWICE_DIE_AT_WRITE={step}:{limit}:{}\";", deaths.display()));
    let stage = Stage::new(base, options.seed);
    // Nobody dies as long as there is no file.
    let nginx = stage.setup.start();
    let load = Load::start(stage.plan(Cuts::Any));
    load.wait_checked(2000);
    fs::write(&deaths, "").expect("a file in nginx's folder");
    let mut phase = Phase::default();
    for pid in nginx.workers() {
        load.killing(|| nginx.kill_worker(pid));
        phase.kills += 1;
    }
    let (mut before, mut since) = (0, Instant::now());
    let (mut checked, mut served) = (0, Instant::now());
    while before < wanted && !interrupt::happened() {
        load.check();
        let now = fs::metadata(&deaths).map_or(0, |file| file.len());
        if now != before {
            (before, since) = (now, Instant::now());
        }
        if load.tally().checked != checked {
            (checked, served) = (load.tally().checked, Instant::now());
        }
        assert!(since.elapsed() < patience(), "after {before} deaths nobody dies any more");
        assert!(served.elapsed() < patience(), "after {before} deaths nobody is served any more");
        thread::sleep(Duration::from_millis(5));
    }
    // Those that have a number die by it or at the end.
    fs::remove_file(&deaths).expect("the file that was made");
    wait_workers(&nginx, &[]);
    phase.forced = before;
    stage.end(nginx, load, phase)
}
