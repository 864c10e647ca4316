//! How properties are tried: the same cases in every run, so that a run tells of the code and not of luck.
//!
//! `TWICE_CASES=N` tries N times as many, others each time: that is how to look for what nobody thought of. A case that
//! fails is printed at its smallest; it then becomes a row of a table.

use proptest::test_runner::{Config, RngSeed};

/// So many cases each day; three under Miri, which takes seconds for one.
pub fn cases(daily: u32) -> Config {
    let config = Config { failure_persistence: None, ..Config::default() };
    if cfg!(miri) {
        return Config { cases: 3, rng_seed: RngSeed::Fixed(1), ..config };
    }
    match std::env::var("TWICE_CASES") {
        Err(_) => Config { cases: daily, rng_seed: RngSeed::Fixed(1), ..config },
        Ok(times) => {
            let times: u32 = times.parse().expect("TWICE_CASES is a number");
            Config {
                cases: daily.saturating_mul(times),
                max_global_rejects: config.max_global_rejects.saturating_mul(times),
                max_local_rejects: config.max_local_rejects.saturating_mul(times),
                ..config
            }
        }
    }
}
