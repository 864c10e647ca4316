//! Which eviction policy keeps the right pages: hit ratios of the store's policies, and of an oracle.
//!
//! `cargo run --release -p twice-core --example eviction -- [--quick] [--models] [--trace NAME] [--size FRACTION]
//! [--file TRACEFILE]`, or `scripts/eviction` with the same options.
//!
//! Traces are made (see `trace`) or read from a file (see `file`). Each is run against caches whose arena has a
//! share of the bytes that all its pages take. The first quarter of the requests fills the cache; of the rest the
//! share that was found is printed, in requests and in bytes. Nothing here depends on time or chance: the same
//! call prints the same table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod columns;
mod file;
mod model;
mod options;
mod oracle;
mod pages;
mod random;
mod real;
mod run;
mod s3fifo;
mod table;
#[cfg(test)]
mod tests;
mod trace;

use columns::{Column, MODELS, ORACLE, STORES};
use options::Options;
use pages::Pages;
use run::Score;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use table::{Row, Table};
use trace::Trace;

/// Requests of a made trace, and pages that have a rank in it.
const FULL: (usize, u32) = (1_000_000, 100_000);
const QUICK: (usize, u32) = (200_000, 20_000);

fn main() {
    let options = Options::read(std::env::args().skip(1)).unwrap_or_else(|why| fail(&why));
    let mut columns: Vec<&Column> = STORES.iter().chain([&ORACLE]).collect();
    if options.models {
        columns.extend(STORES.iter().filter_map(|column| column.model).chain(MODELS));
    }
    let mut table = Table::new(columns.iter().map(|column| column.name).collect());
    if let Some(name) = &options.file {
        let recorded = file::read(name).unwrap_or_else(|why| fail(&format!("{name}: {why}")));
        if recorded.other + recorded.unknown > 0 {
            eprintln!(
                "{name}: left out {} requests that are not GET with 200, and {} lines that can't be read",
                recorded.other, recorded.unknown
            );
        }
        if recorded.trace.requests.is_empty() {
            fail(&format!(
                "{name}: no request in it; lines are time,key,size or key size or nginx's combined log"
            ));
        }
        compare(recorded.trace, &options, &columns, &mut table);
    }
    let (requests, pages) = if options.quick { QUICK } else { FULL };
    for name in &options.traces {
        let trace = trace::make(name, requests, pages).expect("options allow known names only");
        compare(trace, &options, &columns, &mut table);
    }
    if table.is_empty() {
        fail("nothing to compare: in a store of the least size everything fits; name a greater --size");
    }
    print!("{table}");
}

fn compare(trace: Trace, options: &Options, columns: &[&Column], table: &mut Table) {
    let pages = Pages::of(&trace);
    let footprint = pages.footprint();
    eprintln!(
        "{}: {} requests, {} pages, {:.1} MB, {:.0} % of the pages asked for once",
        trace.name,
        trace.requests.len(),
        trace.sizes.len(),
        footprint as f64 / 1e6,
        100.0 * trace.asked_once(),
    );
    let shares = options.size.map_or(trace.shares.clone(), |size| vec![size]);
    let mut capacities = Vec::new();
    for share in shares {
        let capacity = (footprint as f64 * share) as u64;
        if capacity < real::LEAST {
            eprintln!("{}: {share} of it is {capacity} bytes, too small for a store: left out", trace.name);
        } else {
            capacities.push((share, capacity));
        }
    }
    let has_one_size = trace.has_one_size();
    for (row, (share, _)) in scores(&trace, &pages, &capacities, columns).into_iter().zip(&capacities) {
        table.push(Row { trace: trace.name.clone(), share: *share, has_one_size, scores: row });
    }
}

/// All scores, by capacity and column, on as many threads as there are processors.
fn scores(trace: &Trace, pages: &Pages, capacities: &[(f64, u64)], columns: &[&Column]) -> Vec<Vec<Score>> {
    let jobs = capacities.len() * columns.len();
    let scores = Mutex::new(vec![vec![Score::default(); columns.len()]; capacities.len()]);
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= jobs {
                return;
            }
            let (row, column) = (job / columns.len(), job % columns.len());
            let score = columns[column].score(trace, pages, capacities[row].1);
            scores.lock().unwrap()[row][column] = score;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |threads| threads.get()) {
            scope.spawn(work);
        }
    });
    scores.into_inner().unwrap()
}

fn fail(why: &str) -> ! {
    eprintln!("eviction: {why}");
    std::process::exit(2)
}
