//! The cost of a hit beside nginx's own ways to give the same bytes.
//!
//! One nginx with one worker serves each page four ways: `return 200`, a static file, `proxy_cache`, and Twice.
//! The bytes are the same for all; the request is, too. Two measures:
//!
//! - worker CPU time for each request, the four in turn, round by round, as a ratio to the `return 200` of the
//!   same round (its mean before and after). Steady where throughput is not: what a neighbour takes from the
//!   machine is not in it.
//! - instructions in nginx for each request, by valgrind's callgrind: the difference between a long and a short
//!   run, so that start and end don't count. Kernel work isn't in it.

mod pages;
mod server;

use std::fs;
use std::process::Command;

use pages::{Page, SIZES, TAGS};
use serde::Serialize;
use server::{PEERS, Peer, Server};

#[derive(Clone)]
struct Options {
    rounds: usize,
    seconds: u32,
    cpu: bool,
    instructions: bool,
    json: Option<String>,
    /// The tags' values are those that a source has remembered.
    remembered: bool,
    /// KB and tags of the one page to be measured.
    only: Option<(usize, usize)>,
}

/// One page one way.
#[derive(Serialize)]
struct Row {
    size: usize,
    tags: usize,
    peer: &'static str,
    /// Ratios to `return 200`: median, least, greatest.
    cpu: Option<(f64, f64, f64)>,
    /// Microseconds of worker CPU time for each request, median.
    cpu_us: Option<f64>,
    instructions: Option<f64>,
}

fn main() {
    let options = options();
    let mut rows = Vec::new();
    for size in SIZES {
        for tags in TAGS {
            if options.only.is_some_and(|only| only != (size / 1000, tags)) {
                continue;
            }
            let page = Page::new(size, tags, options.remembered);
            let mut unit: Vec<Row> = PEERS
                .iter()
                .map(|peer| Row { size, tags, peer: peer.name, cpu: None, cpu_us: None, instructions: None })
                .collect();
            if options.cpu {
                cpu(&options, &page, &mut unit);
            }
            if options.instructions {
                for (row, peer) in unit.iter_mut().zip(PEERS) {
                    row.instructions = Some(instructions(&page, peer));
                }
            }
            eprintln!("{size} bytes, {tags} tags: done");
            rows.extend(unit);
        }
    }
    print_table(&options, &rows);
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&rows).expect("plain data");
        fs::write(path, text).unwrap_or_else(|e| fail(&format!("{path}: {e}")));
    }
}

fn options() -> Options {
    let mut options = Options {
        rounds: 5,
        seconds: 2,
        cpu: true,
        instructions: true,
        json: None,
        remembered: false,
        only: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok()).filter(|&n: &usize| n > 0);
        match arg.as_str() {
            "--rounds" => options.rounds = number().unwrap_or_else(|| fail("--rounds takes a number")),
            "--seconds" => {
                options.seconds = number().unwrap_or_else(|| fail("--seconds takes a number")) as u32;
            }
            "--cpu-only" => options.instructions = false,
            "--instructions-only" => options.cpu = false,
            "--remembered" => options.remembered = true,
            "--only" => {
                let page = args.next().unwrap_or_default();
                let page =
                    page.split_once(':').and_then(|(kb, tags)| Some((kb.parse().ok()?, tags.parse().ok()?)));
                options.only = Some(page.unwrap_or_else(|| fail("--only takes KB:TAGS, such as 10:5")));
            }
            "--json" => options.json = Some(args.next().unwrap_or_else(|| fail("--json takes a file"))),
            _ => fail(&format!(
                "unknown option {arg}; allowed are --rounds N, --seconds N, --cpu-only, --instructions-only, \
                 --remembered, --only KB:TAGS, --json FILE"
            )),
        }
    }
    options
}

fn fail(why: &str) -> ! {
    eprintln!("bench: {why}");
    std::process::exit(2)
}

/// Fills in the CPU columns.
fn cpu(options: &Options, page: &Page, unit: &mut [Row]) {
    let server = Server::start(page);
    for peer in PEERS {
        server.verify(page, peer);
    }
    let load = |peer: &Peer| server.load(peer, options.seconds);
    let mut ratios = vec![Vec::new(); PEERS.len()];
    let mut micros = vec![Vec::new(); PEERS.len()];
    for _ in 0..options.rounds {
        let mut round: Vec<f64> = PEERS.iter().map(load).collect();
        round[0] = (round[0] + load(&PEERS[0])) / 2.0;
        for (i, us) in round.iter().enumerate() {
            ratios[i].push(us / round[0]);
            micros[i].push(*us);
        }
    }
    for ((row, ratios), micros) in unit.iter_mut().zip(&mut ratios).zip(&mut micros) {
        row.cpu = Some((median(ratios), ratios[0], ratios[ratios.len() - 1]));
        row.cpu_us = Some(median(micros));
    }
}

/// Instructions in nginx for one request.
fn instructions(page: &Page, peer: &Peer) -> f64 {
    let (short, long) = (200, 1200);
    let count = |requests: u32| {
        let server = Server::start_under_callgrind(page);
        // Fills the cache and whatever nginx makes at first use.
        server.verify(page, peer);
        server.requests(peer, requests);
        server.end_and_count()
    };
    (count(long) - count(short)) as f64 / f64::from(long - short)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print_table(options: &Options, rows: &[Row]) {
    let version = Command::new(server::nginx()).arg("-v").output();
    let version = version.map(|o| String::from_utf8_lossy(&o.stderr).trim().to_owned()).unwrap_or_default();
    println!("{version}; {} rounds of {} s", options.rounds, options.seconds);
    println!();
    println!(
        "| page | tags | way | CPU time / return 200 | us a request | instructions a request | / return 200 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut base = None;
    for row in rows {
        if row.peer == PEERS[0].name {
            base = row.instructions;
        }
        let cpu =
            row.cpu.map_or_else(String::new, |(m, least, most)| format!("{m:.3} ({least:.3}..{most:.3})"));
        let us = row.cpu_us.map_or_else(String::new, |us| format!("{us:.2}"));
        let count = row.instructions.map_or_else(String::new, |n| format!("{n:.0}"));
        let ratio = match (row.instructions, base) {
            (Some(n), Some(base)) => format!("{:.3}", n / base),
            _ => String::new(),
        };
        println!(
            "| {} KB | {} | {} | {cpu} | {us} | {count} | {ratio} |",
            row.size / 1000,
            row.tags,
            row.peer
        );
    }
}
