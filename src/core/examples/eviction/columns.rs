//! Who is compared.

use super::model::{ANY, Fifo, Lru, Policy, Sieve};
use super::oracle::Oracle;
use super::pages::Pages;
use super::real::Real;
use super::run::{Score, run};
use super::s3fifo::{CHANCES, Make, PAPER, S3Fifo, STORE};
use super::trace::Trace;
use twice_core::store::Policy as Kind;

/// Makes a policy for a capacity.
type Build = for<'t> fn(&'t Pages, u64) -> Box<dyn Policy + 't>;

pub struct Column {
    pub name: &'static str,
    /// Where there are several, the best score of each kind counts.
    builds: &'static [Build],
    /// Of a policy of the store: the model that it should come to.
    pub model: Option<&'static Column>,
}

impl Column {
    pub fn score(&self, trace: &Trace, pages: &Pages, capacity: u64) -> Score {
        let scores =
            self.builds.iter().map(|build| run(trace, pages, capacity, &mut *build(pages, capacity)));
        scores.fold(Score::default(), Score::max)
    }
}

/// The store's policies, and what they should come to.
pub const STORES: &[Column] = &[
    Column {
        name: "LRU",
        builds: &[|pages, n| Box::new(Real::new(pages, n, Kind::Lru))],
        model: Some(&model("m-LRU", &[|pages, n| Box::new(Lru::new(&pages.costs, usable(n)))])),
    },
    Column {
        name: "SIEVE",
        builds: &[|pages, n| Box::new(Real::new(pages, n, Kind::Sieve))],
        model: Some(&model("m-SIEVE", &[|pages, n| sieve(pages, n, CHANCES)])),
    },
    Column {
        name: "S3-FIFO",
        builds: &[|pages, n| Box::new(Real::new(pages, n, Kind::S3Fifo))],
        model: Some(&model("m-S3", &[|pages, n| s3fifo(pages, n, STORE)])),
    },
];

/// What could be had by knowing the future.
pub const ORACLE: Column = model(
    "oracle",
    &[
        |pages, n| Box::new(Oracle::new(&pages.costs, n, false)),
        |pages, n| Box::new(Oracle::new(&pages.costs, n, true)),
    ],
);

/// SIEVE and S3-FIFO as published, and what each change to S3-FIFO does by itself: fewer chances, a ghost table,
/// other shares for the small queue, one hit to leave it.
pub const MODELS: &[Column] = &[
    model("FIFO", &[|pages, n| Box::new(Fifo::new(&pages.costs, usable(n)))]),
    model("p-SIEVE", &[|pages, n| sieve(pages, n, ANY)]),
    model("p-S3", &[|pages, n| s3fifo(pages, n, PAPER)]),
    model("S3-64", &[|pages, n| s3fifo(pages, n, Make { chances: CHANCES, ..PAPER })]),
    model("S3-32", &[|pages, n| s3fifo(pages, n, Make { chances: 32, ..PAPER })]),
    model("S3-table", &[|pages, n| s3fifo(pages, n, Make { ghost_bytes: STORE.ghost_bytes, ..PAPER })]),
    model("S3-5%", &[|pages, n| s3fifo(pages, n, Make { small: 0.05, ..PAPER })]),
    model("S3-20%", &[|pages, n| s3fifo(pages, n, Make { small: 0.20, ..PAPER })]),
    model("S3-1hit", &[|pages, n| s3fifo(pages, n, Make { hits: 1, ..PAPER })]),
];

const fn model(name: &'static str, builds: &'static [Build]) -> Column {
    Column { name, builds, model: None }
}

/// What the store can fill: it leaves some units free.
fn usable(capacity: u64) -> u64 {
    capacity - capacity / 100
}

fn sieve(pages: &Pages, capacity: u64, chances: u32) -> Box<dyn Policy + '_> {
    Box::new(Sieve::new(&pages.costs, usable(capacity), chances))
}

fn s3fifo(pages: &Pages, capacity: u64, make: Make) -> Box<dyn Policy + '_> {
    Box::new(S3Fifo::new(&pages.costs, usable(capacity), make))
}
