//! Sequences of operations on the store, against the naive model, with a full check after each.
//!
//! Four bytes make an operation. A failure prints the sequence as a test for `tests/pure/store/model.rs`.
#![no_main]

#[path = "../pure/store/naive.rs"]
mod naive;

use libfuzzer_sys::fuzz_target;
use naive::{Op, run};
use std::cell::RefCell;
use std::sync::Once;
use twice_core::store::Policy;

thread_local! {
    static RUNNING: RefCell<(Vec<Op>, u64, Policy)> = const { RefCell::new((Vec::new(), 0, Policy::Lru)) };
}

fn decode(bytes: &[u8; 4]) -> Op {
    let [what, a, b, c] = *bytes;
    // Small sizes as often as large ones, and exact ones around the units' edges.
    let size = u32::from(u16::from_le_bytes([b, c])) >> (a >> 5) << (a >> 7);
    let key = a % 24;
    match what % 32 {
        0..=8 => Op::Put { key, size },
        9..=10 => Op::Begin { slot: what >> 5, key, size },
        11..=12 => Op::Finish { n: a },
        13 => Op::Abandon { n: a },
        14..=18 => Op::Get { key },
        19..=20 => Op::Remove { key },
        21..=22 => Op::Hold { slot: b, key },
        23 => Op::Release { slot: a },
        24..=25 => Op::Pin { slot: b, key },
        26..=27 => Op::Unpin { n: a },
        28..=29 => Op::Tick { ms: u32::from(u16::from_le_bytes([b, c])) },
        30 => Op::Die { slot: a },
        _ if a == 0 => Op::Clear,
        _ => Op::Rebuild,
    }
}

/// Prints the running sequence before what libFuzzer does with a panic, which is to abort.
fn print_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            RUNNING.with_borrow(|(ops, inactive_ms, policy)| {
                eprintln!("#[test]\nfn found_by_fuzzing() {{\n    use Op::*;\n    let ops = [");
                for op in ops {
                    eprintln!("        {op:?},");
                }
                eprintln!("    ];\n    run(&ops, {inactive_ms}, Policy::{policy:?});\n}}");
            });
            next(info);
        }));
    });
}

fuzz_target!(|data: &[u8]| {
    print_on_panic();
    let Some((first, rest)) = data.split_first() else { return };
    let inactive_ms = if first % 4 == 0 { 20_000 } else { 0 };
    let ops: Vec<Op> = rest.as_chunks().0.iter().take(200).map(decode).collect();
    let policy = Policy::ALL[usize::from(first / 4) % 3];
    RUNNING.set((ops.clone(), inactive_ms, policy));
    run(&ops, inactive_ms, policy);
});
