//! Sequences of operations against a naive model: a vector of pages with its own clock.
//!
//! The model doesn't know how the store lays pages out. What it demands: what goes is nothing that is being read, and
//! under LRU the tail of its vector; no more goes than is needed; all else is there, byte for byte, with the lock and
//! without it; every unit is accounted for.

use super::naive::{Op, run};
use crate::property::cases;
use proptest::prelude::*;
use twice_core::store::Policy;

fn op() -> impl Strategy<Value = Op> {
    let key = 0..24u8;
    let size = prop_oneof![3 => 0..300u32, 4 => 300..12_000u32, 1 => 12_000..100_000u32];
    let slot = 0..3u8;
    prop_oneof![
        8 => (key.clone(), size.clone()).prop_map(|(key, size)| Op::Put { key, size }),
        2 => (slot.clone(), key.clone(), size).prop_map(|(slot, key, size)| Op::Begin { slot, key, size }),
        2 => any::<u8>().prop_map(|n| Op::Finish { n }),
        1 => any::<u8>().prop_map(|n| Op::Abandon { n }),
        8 => key.clone().prop_map(|key| Op::Get { key }),
        2 => key.clone().prop_map(|key| Op::Remove { key }),
        2 => (slot.clone(), key.clone()).prop_map(|(slot, key)| Op::Hold { slot, key }),
        2 => slot.clone().prop_map(|slot| Op::Release { slot }),
        2 => (slot.clone(), key).prop_map(|(slot, key)| Op::Pin { slot, key }),
        2 => any::<u8>().prop_map(|n| Op::Unpin { n }),
        4 => (0..5000u32).prop_map(|ms| Op::Tick { ms }),
        1 => Just(Op::Rebuild),
        1 => slot.prop_map(|slot| Op::Die { slot }),
        1 => (0..20u8).prop_map(|n| if n == 0 { Op::Clear } else { Op::Rebuild }),
    ]
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn lru_does_what_the_model_does(ops in prop::collection::vec(op(), 1..120)) {
        run(&ops, 0, Policy::Lru);
    }

    #[test]
    fn sieve_does_what_the_model_does(ops in prop::collection::vec(op(), 1..120)) {
        run(&ops, 0, Policy::Sieve);
    }

    #[test]
    fn s3fifo_does_what_the_model_does(ops in prop::collection::vec(op(), 1..120)) {
        run(&ops, 0, Policy::S3Fifo);
    }

    #[test]
    fn also_when_unused_pages_go(ops in prop::collection::vec(op(), 1..120), policy in 0..3usize) {
        run(&ops, 20_000, Policy::ALL[policy]);
    }
}

/// Found by fuzzing.
#[test]
fn a_page_that_fails_for_the_headers_of_its_runs() {
    use Op::*;
    let ops = [
        Put { key: 19, size: 2243 },
        Begin { slot: 6, key: 15, size: 35113 },
        Put { key: 0, size: 46080 },
        Put { key: 9, size: 65321 },
        Rebuild,
        Hold { slot: 215, key: 0 },
        Put { key: 0, size: 46084 },
        Put { key: 9, size: 35113 },
        Hold { slot: 9, key: 0 },
        Begin { slot: 0, key: 9, size: 65535 },
        Rebuild,
        Rebuild,
        Begin { slot: 0, key: 17, size: 32767 },
        Rebuild,
        Put { key: 9, size: 65321 },
        Rebuild,
        Remove { key: 12 },
        Remove { key: 15 },
        Put { key: 0, size: 255 },
        Rebuild,
        Remove { key: 12 },
        Put { key: 16, size: 4368 },
        Put { key: 16, size: 4368 },
        Put { key: 16, size: 4368 },
        Put { key: 16, size: 2698 },
        Remove { key: 12 },
        Remove { key: 12 },
        Begin { slot: 0, key: 9, size: 35113 },
        Put { key: 0, size: 9472 },
        Rebuild,
        Put { key: 15, size: 2 },
        Put { key: 0, size: 38442 },
        Begin { slot: 0, key: 9, size: 65321 },
        Rebuild,
        Rebuild,
        Rebuild,
        Rebuild,
        Put { key: 18, size: 32767 },
        Rebuild,
        Rebuild,
        Begin { slot: 0, key: 17, size: 32767 },
        Rebuild,
        Rebuild,
        Begin { slot: 0, key: 17, size: 68 },
        Put { key: 0, size: 65317 },
    ];
    run(&ops, 20000, Policy::Lru);
}
