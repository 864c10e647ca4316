//! Threads in the place of processes: everything that was counted is found again, in the counter or with who deleted it.

use super::*;
use twice_core::store::Store;

/// Adds, deletes and reads at once, with a rebuild now and then.
#[test]
fn nothing_that_is_counted_is_lost() {
    let rounds = if cfg!(miri) { 20 } else { 30_000u64 };
    let memory = Memory::new(LEN);
    let lock = Lock::default();
    memory.create(&Options { policy: Policy::Lru, ..OPTIONS });
    let region = memory.region();
    let ids: [&[u8]; 3] = [b"a", b"b", b"c"];
    let counted: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4u32)
            .map(|worker| {
                let lock = &lock;
                scope.spawn(move || {
                    let store = Store::attach(region).unwrap();
                    let slot = slot(worker);
                    store.with(lock, |s| s.claim_slot(&slot, 1 + worker));
                    let locals = Locals { store: &store, lock, slot: &slot };
                    let mut taken = 0;
                    for round in 0..rounds {
                        let id = ids[(round % 3) as usize];
                        if worker == 3 {
                            match round % 16 {
                                0 => taken += locals.delete(id).unwrap_or(0),
                                1 => store.with(lock, |s| s.mark_dirty()),
                                _ => _ = locals.get(id, round),
                            }
                        } else {
                            locals.change(id, INCR, round).unwrap();
                        }
                    }
                    taken
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    let store = Store::attach(region).unwrap();
    let slot = slot(5);
    let locals = Locals { store: &store, lock: &lock, slot: &slot };
    let left: u64 = ids.into_iter().filter_map(|id| locals.delete(id)).sum();
    assert_eq!(counted + left, 3 * rounds);
    store.with(&lock, |s| s.check()).unwrap();
}

/// Who reads a counter that is always there always finds it, whatever becomes of those beside it.
#[test]
fn a_counter_that_is_there_is_found() {
    let rounds = if cfg!(miri) { 30 } else { 20_000u32 };
    let memory = Memory::new(LEN);
    let lock = Lock::default();
    memory.create(&Options { policy: Policy::Lru, ..OPTIONS });
    let region = memory.region();
    // One chain, so that those who come and go are all around those that stay.
    let ids = chain(&Store::attach(region).unwrap(), 8);
    let (stay, come_and_go) = ids.split_at(3);
    std::thread::scope(|scope| {
        for (worker, mine) in (0u32..).zip(stay) {
            let lock = &lock;
            scope.spawn(move || {
                let store = Store::attach(region).unwrap();
                let slot = slot(worker);
                store.with(lock, |s| s.claim_slot(&slot, 1 + worker));
                let locals = Locals { store: &store, lock, slot: &slot };
                locals.change(mine, Change::Incr(7), 1);
                for round in 0..rounds {
                    assert_eq!(locals.get(mine, 1), Some(7), "{worker} in round {round}");
                    let other =
                        &come_and_go[(round.wrapping_mul(2_654_435_761) >> 16) as usize % come_and_go.len()];
                    if round % 2 == 0 {
                        locals.delete(other);
                    } else {
                        locals.change(other, INCR, 1);
                    }
                    if round % 512 == worker {
                        store.with(lock, |s| s.mark_dirty());
                    }
                }
            });
        }
    });
}
