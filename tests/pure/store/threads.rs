//! Threads in the place of processes: each with its own handle and slot on one region, under one lock.

use super::*;
use twice_core::store::DeadSlot;

#[test]
fn readers_see_whole_pages_while_writers_evict_them() {
    for policy in Policy::ALL {
        run(policy);
    }
}

fn run(policy: Policy) {
    let (rounds, len) = if cfg!(miri) { (15, 100_000) } else { (1500, 400_000) };
    let memory = Memory::new(len);
    let lock = Lock::default();
    memory.create(&Options { policy, ..OPTIONS });
    let region = memory.region();
    std::thread::scope(|scope| {
        for worker in 0..4u32 {
            let lock = &lock;
            scope.spawn(move || {
                let store = Store::attach(region).unwrap();
                let slot = slot(worker);
                let mut random = u64::from(worker) + 1;
                let mut pins = Vec::new();
                for round in 0..rounds {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let key = [(random >> 33) as u8 % 64];
                    let now = 1000 * round;
                    if worker < 2 {
                        let len = (random >> 41) as usize % 20_000;
                        put(&store, lock, &slot, &key, len, random, now);
                        continue;
                    }
                    // Without the lock if possible, as a worker does it.
                    let hash = store.hash(&key);
                    let hit =
                        store.get(&slot, hash, &key, now).map(|hit| (hit.found, hit.held)).or_else(|| {
                            store.with(lock, |s| {
                                let found = s.lookup(hash, &key, now)?;
                                Some((found, s.hold(&slot, found.entry)?))
                            })
                        });
                    let Some((found, held)) = hit else { continue };
                    let pin = store.pin(lock, &slot, &held);
                    assert!(holds(held.page(), &key, found.meta.tag, found.value_len));
                    drop(held);
                    pins.extend(pin.map(|pin| (pin, key, found)));
                    if pins.len() > 3 {
                        let (pin, key, found) = pins.remove(0);
                        assert!(holds(store.page(&pin).unwrap(), &key, found.meta.tag, found.value_len));
                        store.unpin(lock, &slot, pin);
                    }
                    if round % 64 == 0 {
                        // As if a third process had died in the middle of something.
                        store.with(lock, |s| s.mark_dirty());
                    }
                }
            });
        }
    });
    let store = Store::attach(region).unwrap();
    store.with(&lock, |s| {
        s.check().unwrap();
        for number in 0..4 {
            // SAFETY: the threads have ended, and what they had is gone.
            s.release_slot(&unsafe { DeadSlot::new(number) });
        }
        s.clear();
        let account = s.check().unwrap();
        assert_eq!(account.free, account.arena);
        assert_eq!(account.free_runs, 1);
        assert_eq!(s.stats().lost, 0);
    });
}
