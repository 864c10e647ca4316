//! Everything at the same time, for minutes: see the fixture's `soak`.
//!
//! Every few seconds a worker is killed or nginx reloaded; twice all of nginx is killed and starts from its snapshot.
//! Whatever does not hold panics, as in a story: nginx is ended then, its folder kept, and the exit status is 1.

#[path = "../interrupt.rs"]
mod interrupt;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fixture::random::Random;
use fixture::soak::{self, Plan, Soak, Summary, Weather};
use fixture::{account, proven};

/// Between two blows.
const PAUSE_MS: (u64, u64) = (1000, 3000);
/// The first and the second crash, as parts of the whole time.
const CRASHES: [f64; 2] = [0.4, 0.7];
/// So many minutes are enough for everything to befall the sources.
const LONG: f64 = 5.0;

struct Options {
    minutes: f64,
    seed: u64,
}

fn main() -> ExitCode {
    let options = options();
    interrupt::listen();
    let result = catch_unwind(AssertUnwindSafe(|| run(&options)));
    if let Ok(summary) = &result {
        print(summary);
    }
    println!("seed {}", options.seed);
    let interrupted = interrupt::happened();
    match (&result, interrupted) {
        (_, true) => println!("interrupted"),
        (Ok(_), false) => println!("everything held"),
        (Err(_), false) => println!("NOT everything held: see above"),
    }
    if result.is_ok() && !interrupted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: &Options) -> Summary {
    proven::prove_the_checker();
    account::prove_the_checker();
    soak::prove_the_checker();
    let weather = Weather { calm_ms: (1000, 5000), storm_ms: (200, 4500) };
    let mut random = Random::of("blows", options.seed);
    let mut soak = Soak::start(&Plan { visitors: 5, weather, seed: options.seed });
    let whole = Duration::from_secs_f64(options.minutes * 60.0);
    let start = Instant::now();
    let mut crashes = CRASHES.iter().map(|part| whole.mul_f64(*part)).peekable();
    let mut told = 0;
    while start.elapsed() < whole && !interrupt::happened() {
        let (from, to) = PAUSE_MS;
        let pause = Instant::now() + Duration::from_millis(from + random.below(to - from));
        while Instant::now() < pause && !interrupt::happened() {
            soak.check();
            thread::sleep(Duration::from_millis(20));
        }
        if crashes.next_if(|at| start.elapsed() >= *at).is_some() {
            soak.crash();
        } else if random.below(3) == 0 {
            soak.reload();
        } else {
            soak.kill();
        }
        // Each blow is followed by service.
        soak.wait(1, 0);
        let minutes = start.elapsed().as_secs() / 60;
        if minutes > told {
            told = minutes;
            eprintln!("soak: {minutes} minutes, {} pages checked", soak.tally().checked);
        }
    }
    let summary = soak.end();
    let mut missing = summary.missing();
    if options.minutes >= LONG {
        missing.extend(summary.missing_of_conditions());
        missing.extend(summary.missing_of_values());
    }
    assert!(missing.is_empty() || interrupt::happened(), "there were none of {missing:?}");
    summary
}

fn print(summary: &Summary) {
    for (name, value) in summary.rows() {
        println!("{name:<48}{value:>16}");
    }
    if let Some(account) = summary.account {
        let account::Account { arena, free, live, entries, .. } = account;
        println!("the store at the end: {entries} pages, {arena} units = {live} live + {free} free");
    }
}

fn options() -> Options {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_micros() as u64);
    let mut options = Options { minutes: 10.0, seed: now % 1_000_000_007 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next();
        let number = |most: f64| {
            let number = value.as_deref().and_then(|n| n.parse().ok());
            let number = number.filter(|n| (0.0..=most).contains(n));
            number.unwrap_or_else(|| fail(&format!("{arg} takes a number from 0 to {most}")))
        };
        match arg.as_str() {
            "--minutes" => options.minutes = number(100_000.0),
            "--seed" => options.seed = number(1e15) as u64,
            _ => fail(&format!("unknown option {arg}; allowed are --minutes N, --seed N")),
        }
    }
    options
}

fn fail(why: &str) -> ! {
    eprintln!("soak: {why}");
    std::process::exit(2)
}
