//! How much of the arena holds pages after long churn, and what a store evicts.
//!
//! A page's units hold its key, its value, its headers and what is left over in its last unit. "live" counts them all
//! against the arena; "content" only key and value. "overhead" is what a page costs of the region beyond key and value, its
//! share of all tables included.

use crate::rig::{Rig, Sizes};
use twice_core::store::{Policy, UNIT};

pub fn print(megabytes: usize) {
    println!("space: region {megabytes} MB, unit {UNIT} bytes");
    println!(
        "{:>10} {:>8} {:>10} {:>8} {:>9} {:>10} {:>11} {:>16}",
        "pages of", "policy", "pages", "live", "content", "overhead", "runs/page", "evicted/stored"
    );
    for policy in Policy::ALL {
        for sizes in [Sizes::LogUniform, Sizes::One(1024), Sizes::One(1536), Sizes::One(5000)] {
            row(megabytes, sizes, policy);
        }
        for kilobytes in [20, 64, 100] {
            row(megabytes, Sizes::One(kilobytes << 10), policy);
        }
    }
}

fn row(megabytes: usize, sizes: Sizes, policy: Policy) {
    let mut rig = Rig::new(megabytes << 20, sizes, policy);
    rig.churn(4);
    let before = rig.with(|s| s.stats());
    rig.churn(1);
    let stats = rig.with(|s| s.stats());
    let account = rig.with(|s| s.check()).expect("sound");
    let arena = account.arena as f64;
    let live = account.live as f64 / arena;
    let content = stats.live_bytes as f64 / (arena * UNIT as f64);
    let taken = rig.bytes as f64 * live;
    let evicted = (stats.evicted_units - before.evicted_units) as f64;
    let stored = (stats.stored_units - before.stored_units) as f64;
    println!(
        "{:>10} {:>8} {:>10} {live:>8.4} {content:>9.4} {:>8.0} B {:>11.2} {:>16.4}",
        sizes.name(),
        policy.as_str(),
        stats.entries,
        (taken - stats.live_bytes as f64) / stats.entries as f64,
        account.runs as f64 / account.entries as f64,
        evicted / stored,
    );
}
