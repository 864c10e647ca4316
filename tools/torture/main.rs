//! Workers die by the thousand, and nobody but their own visitors notices.
//!
//! ```text
//!   visitors ──────────> nginx: master ── 4 workers ── a small zone ──────────> application
//!   verify every byte            ^            ^                                 every answer another version
//!                             reloads      SIGKILL
//! ```
//!
//! Four phases, each on an nginx of its own, each ended in the same way (`stage.rs`): all visitors leave, every worker
//! is killed once more, visitors come again and meet no fault, nginx quits, its log is judged and the store's account
//! checked.
//!
//! - `kills.rs`: SIGKILL from outside, at any instant, to workers, to those that were just born, to those that
//!   are leaving after a reload.
//! - `forced.rs`, twice: workers that die in place of their 1st, 2nd, 3rd ... write into shared memory, and all over the
//!   repair of what others left.
//! - `reloads.rs`: a reload each second. Not one request fails.
//!
//! Whatever does not hold panics, as in a story: nginx is ended then, its folder kept, and the exit status is 1.

mod forced;
#[path = "../interrupt.rs"]
mod interrupt;
mod kills;
mod proc;
mod reloads;
mod report;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fixture::{account, proven};
use report::{Phase, Report};

struct Options {
    kills: u64,
    seconds: Duration,
    seed: u64,
}

fn main() -> ExitCode {
    let options = options();
    interrupt::listen();
    let mut report = Report::new(options.seed);
    let held = catch_unwind(AssertUnwindSafe(|| run(&options, &mut report))).is_ok();
    let interrupted = interrupt::happened();
    report.print();
    match (held, interrupted) {
        (true, false) => println!("everything held"),
        (_, true) => println!("interrupted"),
        (false, false) => println!("NOT everything held: see above"),
    }
    if held && !interrupted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Run = fn(&Options) -> Phase;

fn run(options: &Options, report: &mut Report) {
    proven::prove_the_checker();
    account::prove_the_checker();
    let phases: [(&str, Run); 4] = [
        ("kills", kills::run),
        ("at writes", forced::writes),
        ("at repairs", forced::repairs),
        ("reloads", reloads::run),
    ];
    for (name, phase) in phases {
        if interrupt::happened() {
            return;
        }
        eprintln!("torture: {name} ...");
        let start = Instant::now();
        let done = phase(options);
        report.add(name, Phase { seconds: start.elapsed().as_secs(), ..done });
    }
}

fn options() -> Options {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_micros() as u64);
    let mut options = Options { kills: 1000, seconds: Duration::from_secs(30), seed: now % 1_000_000_007 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || {
            args.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| fail(&format!("{arg} takes a number")))
        };
        match arg.as_str() {
            "--kills" => options.kills = number(),
            "--seconds" => options.seconds = Duration::from_secs(number()),
            "--seed" => options.seed = number(),
            _ => fail(&format!("unknown option {arg}; allowed are --kills N, --seconds S, --seed N")),
        }
    }
    options
}

fn fail(why: &str) -> ! {
    eprintln!("torture: {why}");
    std::process::exit(2)
}
