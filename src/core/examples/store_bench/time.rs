//! How long stores, hits and rebuilds take in a full store.

use crate::rig::{Rig, Sizes};
use std::hint::black_box;
use std::time::Instant;
use twice_core::store::Policy;

const TIMES: usize = 200_000;

struct Times(Vec<u32>);

impl Times {
    fn measure(&mut self, work: impl FnOnce()) {
        let begin = Instant::now();
        work();
        self.0.push(begin.elapsed().as_nanos() as u32);
    }

    fn print(mut self, what: &str) {
        self.0.sort_unstable();
        let of = |part: f64| f64::from(self.0[((self.0.len() - 1) as f64 * part) as usize]) / 1000.0;
        println!(
            "    {what:<16} p50 {:9.2} us   p99 {:9.2}   p99.9 {:9.2}   max {:9.2}",
            of(0.5),
            of(0.99),
            of(0.999),
            of(1.0)
        );
    }
}

/// The times of `reserve` and `publish` without the copy of the body, of a hit, and of a rebuild after a death.
pub fn print(megabytes: usize) {
    println!("time: region {megabytes} MB, {TIMES} stores and hits each");
    for policy in Policy::ALL {
        for sizes in [Sizes::LogUniform, Sizes::One(1024)] {
            one(megabytes, sizes, policy);
        }
    }
}

fn one(megabytes: usize, sizes: Sizes, policy: Policy) {
    let mut rig = Rig::new(megabytes << 20, sizes, policy);
    rig.churn(4);
    let mut stores = Times(Vec::new());
    for _ in 0..TIMES {
        let (hash, size) = rig.prepare();
        stores.measure(|| rig.put(hash, size));
        rig.ask(2);
    }
    let mut hits = Times(Vec::new());
    for _ in 0..TIMES {
        let number = rig.any();
        let hash = rig.choose(number);
        rig.now += 10;
        hits.measure(|| drop(black_box(rig.get(hash))));
    }
    let mut rebuilds = Times(Vec::new());
    for _ in 0..5 {
        rig.with(|s| s.mark_dirty());
        rebuilds.measure(|| rig.with(|_| ()));
    }
    println!("  pages of {}, {}: {} pages", sizes.name(), policy.as_str(), rig.with(|s| s.stats()).entries);
    stores.print("store");
    hits.print("hit");
    rebuilds.print("rebuild");
}
