//! What several processes make of one store: hits without the lock beside hits under it.
//!
//! `scripts/processes [--megabytes N] [--seconds N] [--rounds N] [--processes N,N...]`
//!
//! Real processes on one shared mapping, under a lock that waits as nginx's does (`lock.rs`). Each load is measured twice in
//! each round, one right after the other: with hits as they are ([`Store::get`]), and with hits as they would
//! be if every lookup took the lock (`Section::lookup` and `Section::hold`). Medians of the rounds are printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod load;
mod lock;
mod report;
mod run;
mod shared;

use load::{Load, Pages, Way};
use report::Row;
use run::Bench;
use shared::Mapping;
use std::time::Duration;
use twice_core::store::{Options, Policy, Store};

/// What to measure.
struct Arguments {
    megabytes: usize,
    seconds: f64,
    rounds: usize,
    processes: Vec<usize>,
}

impl Arguments {
    fn read() -> Result<Arguments, String> {
        let mut all = Arguments { megabytes: 256, seconds: 1.0, rounds: 5, processes: vec![1, 2, 4, 8, 16] };
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().unwrap_or_default();
            let wrong = || format!("{name} {value:?}: not understood");
            match name.as_str() {
                "--megabytes" => all.megabytes = value.parse().map_err(|_| wrong())?,
                "--seconds" => all.seconds = value.parse().map_err(|_| wrong())?,
                "--rounds" => all.rounds = value.parse().map_err(|_| wrong())?,
                "--processes" => {
                    all.processes =
                        value.split(',').map(|n| n.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
                }
                _ => return Err(format!("unknown argument {name:?}")),
            }
        }
        let good = all.megabytes >= 16
            && all.rounds >= 1
            && all.seconds > 0.0
            && all.processes.iter().all(|n| (1..=shared::MOST).contains(n));
        if good { Ok(all) } else { Err("at least 16 megabytes, 1 round, 1 to 64 processes".into()) }
    }
}

fn main() {
    let arguments = Arguments::read().unwrap_or_else(|error| {
        eprintln!(
            "error: {error}; usage: processes [--megabytes N] [--seconds N] [--rounds N] [--processes N,N...]"
        );
        std::process::exit(2);
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{cores} cores: more processes than that share them, and one that waits for the lock may wait for a holder \
         who is not running. CPU time for each operation tells more than operations per second."
    );
    let pages = Pages::new(arguments.megabytes << 20);
    println!(
        "zone {} MB, {} pages of 1-100 KB, zipf; {} rounds of {} s; medians",
        arguments.megabytes,
        pages.stored(),
        arguments.rounds,
        arguments.seconds
    );
    let region = Mapping::new(arguments.megabytes << 20);
    let time = Duration::from_secs_f64(arguments.seconds);
    let bench = Bench { region: &region, pages: &pages, cores, time };

    let cells = [
        (Policy::S3Fifo, Load::Hits),
        (Policy::S3Fifo, Load::OneKey),
        (Policy::S3Fifo, Load::Mixed),
        (Policy::Lru, Load::Hits),
        (Policy::Lru, Load::Mixed),
    ];
    for (policy, load) in cells {
        report::head(policy, load);
        for &processes in &arguments.processes {
            let mut rows = [Row::default(), Row::default()];
            for _ in 0..arguments.rounds {
                for (row, way) in rows.iter_mut().zip([Way::WithoutLock, Way::UnderLock]) {
                    row.add(&bench.run(policy, load, way, processes, false));
                }
            }
            report::print(processes, &rows);
        }
    }
    println!("\nhow long the lock is held, 95 % hits and 5 % stores, s3fifo, in us");
    for way in [Way::WithoutLock, Way::UnderLock] {
        for &processes in &arguments.processes {
            report::print_holds(
                way,
                processes,
                &bench.run(Policy::S3Fifo, Load::Mixed, way, processes, true),
            );
        }
    }
}

fn options(policy: Policy) -> Options {
    Options { seed: [1, 2], slots: 1024, max_page: 1 << 20, inactive_ms: 0, policy }
}

/// A new store with all pages in it.
fn filled(region: &Mapping, pages: &Pages, policy: Policy) -> Store {
    // SAFETY: the processes of the cell before have ended.
    let store = unsafe { Store::create(region.region(), &options(policy)) }.expect("large enough");
    load::fill(&store, pages);
    store
}
