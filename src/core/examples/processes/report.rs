//! Medians, and how they are printed.

use crate::load::{Load, Way};
use crate::run::Outcome;
use twice_core::store::Policy;

/// The rounds of one cell, each figure for itself.
#[derive(Default)]
pub struct Row {
    all: Vec<f64>,
    least: Vec<f64>,
    most: Vec<f64>,
    cpu: Vec<f64>,
    waiting: Vec<f64>,
    wait_ns: Vec<f64>,
    wait_cpu: Vec<f64>,
    takings: Vec<f64>,
    contended: Vec<f64>,
    hits: Vec<f64>,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

impl Row {
    pub fn add(&mut self, outcome: &Outcome) {
        let each = &outcome.processes;
        let rates = Vec::from_iter(each.iter().map(|f| f.operations as f64 / f.wall_ns as f64 * 1e9));
        let sum = |figure: fn(&crate::shared::Figures) -> u64| each.iter().map(figure).sum::<u64>() as f64;
        let operations = sum(|f| f.operations).max(1.0);
        let takings = sum(|f| f.takings);
        self.all.push(rates.iter().sum());
        self.least.push(rates.iter().copied().fold(f64::INFINITY, f64::min));
        self.most.push(rates.iter().copied().fold(0.0, f64::max));
        self.cpu.push(sum(|f| f.cpu_ns) / operations);
        self.waiting.push(100.0 * sum(|f| f.wait_ns) / sum(|f| f.wall_ns).max(1.0));
        self.wait_ns.push(sum(|f| f.wait_ns) / operations);
        self.wait_cpu.push(sum(|f| f.wait_cpu_ns) / operations);
        self.takings.push(takings / operations);
        self.contended.push(100.0 * sum(|f| f.waits) / takings.max(1.0));
        self.hits.push(100.0 * sum(|f| f.hits) / (operations - sum(|f| f.stores)).max(1.0));
    }
}

pub fn head(policy: Policy, load: Load) {
    println!("\n{}, {}", load.as_str(), policy.as_str());
    println!(
        "{:>4}  {:<20} {:>10} {:>19} {:>8} {:>17} {:>12} {:>10} {:>12} {:>7}   without / under the lock",
        "proc",
        "",
        "ops/s all",
        "ops/s each",
        "CPU ns",
        "waits for the lock",
        "its CPU",
        "locks / op",
        "found taken",
        "hits",
    );
}

/// Both ways, and what is gained.
pub fn print(processes: usize, rows: &[Row; 2]) {
    for (row, way) in rows.iter().zip([Way::WithoutLock, Way::UnderLock]) {
        let gain = if way == Way::WithoutLock {
            let more = median(&rows[0].all) / median(&rows[1].all);
            let less = median(&rows[0].cpu) / median(&rows[1].cpu);
            format!("   ops/s x {more:.2}, CPU x {less:.2}")
        } else {
            String::new()
        };
        println!(
            "{:>4}  {:<20} {:>10} {:>9}-{:>9} {:>8.0} {:>6.1} % {:>6.0} ns {:>9.1} ns {:>10.5} {:>10.2} % {:>5.1} %{gain}",
            processes,
            way.as_str(),
            rate(median(&row.all)),
            rate(median(&row.least)),
            rate(median(&row.most)),
            median(&row.cpu),
            median(&row.waiting),
            median(&row.wait_ns),
            median(&row.wait_cpu),
            median(&row.takings),
            median(&row.contended),
            median(&row.hits),
        );
    }
}

fn rate(value: f64) -> String {
    if value >= 1e6 { format!("{:.2} M", value / 1e6) } else { format!("{:.0} k", value / 1e3) }
}

/// How long the lock was held: by the wall, and in the holder's own CPU time, which leaves out that it did not run.
pub fn print_holds(way: Way, processes: usize, outcome: &Outcome) {
    let control = outcome.control.get();
    print!("{processes:>4}  {:<20} {:>9} times", way.as_str(), control.held.count());
    for (name, times) in [("wall", &control.held), ("CPU", &control.held_cpu)] {
        let us = |share: f64| times.quantile(share) as f64 / 1000.0;
        print!(
            "   {name}: p50 {:.2}, p99 {:.1}, p99.9 {:.1}, longest {:.0}",
            us(0.5),
            us(0.99),
            us(0.999),
            us(1.0)
        );
    }
    let operations = outcome.processes.iter().map(|f| f.operations).sum::<u64>().max(1);
    let held_ns = control.held_cpu.sum() as f64 / operations as f64;
    println!(
        "   held for each operation: {held_ns:.0} ns of CPU, so {:.1} M ops/s at most",
        1000.0 / held_ns.max(0.001)
    );
}
