//! What the store makes of its memory and of a processor's time.
//!
//! ```text
//! store_bench                        all that follows but `count`
//! store_bench space [MEGABYTES]      how much of the arena holds pages, and what a store evicts
//! store_bench time [MEGABYTES]       how long stores, hits and rebuilds take
//! store_bench count ENTRIES          stores and hits for callgrind to count: see scripts/store-bench
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod count;
mod rig;
mod space;
mod time;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |default: usize| match arguments.get(1) {
        Some(text) => text.parse().unwrap_or_else(|_| panic!("\"{text}\" is no number")),
        None => default,
    };
    match arguments.first().map(String::as_str) {
        None => {
            space::print(256);
            time::print(256);
        }
        Some("space") => space::print(number(256)),
        Some("time") => time::print(number(256)),
        Some("count") => count::run(number(100)),
        Some(other) => panic!("unknown argument \"{other}\"; known are space, time and count"),
    }
}
