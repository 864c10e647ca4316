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

/// Who reads a counter that comes and goes reads what somebody has counted, or nothing.
#[test]
fn what_is_read_was_counted() {
    let rounds = if cfg!(miri) { 30 } else { 100_000u64 };
    let memory = Memory::new(LEN);
    let lock = Lock::default();
    memory.create(&Options { policy: Policy::Lru, ..OPTIONS });
    let region = memory.region();
    let worker = |number: u32, work: &dyn Fn(Locals<'_, Lock>)| {
        let store = Store::attach(region).unwrap();
        let slot = slot(number);
        store.with(&lock, |s| s.claim_slot(&slot, 1 + number));
        work(Locals { store: &store, lock: &lock, slot: &slot });
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            worker(0, &|locals| {
                for _ in 0..rounds {
                    locals.change(b"views", INCR, 1);
                    locals.change(b"views", INCR, 1);
                    locals.delete(b"views");
                }
            });
        });
        scope.spawn(|| {
            worker(1, &|locals| {
                for round in 0..2 * rounds {
                    let value = locals.get(b"views", 1);
                    assert!(value.is_none_or(|value| value <= 2), "{value:?} in round {round}");
                }
            });
        });
        scope.spawn(|| {
            worker(2, &|locals| {
                let mut listed = Vec::with_capacity(8);
                for round in 0..rounds {
                    listed.clear();
                    locals.store.with(locals.lock, |s| s.list(0, 1024, &mut listed));
                    for one in &listed {
                        let value = locals.read(one.entry, |_| ());
                        assert!(value.is_none_or(|(value, _)| value <= 2), "{value:?} in round {round}");
                    }
                }
            });
        });
    });
}
