//! Two keys of one hash, which no visitor should be able to find (the hash has a secret): they are two pages all the same.

use super::*;

const SAME: u64 = 0x1234_5678_9abc_def0;

fn put(store: &Store, lock: &Lock, key: &[u8], tag: u64) {
    let mut page = store.with(lock, |s| s.reserve(&slot(0), SAME, key, 100, 1)).unwrap();
    store.write(&mut page, 0, &content(tag, 100)).unwrap();
    let meta = Meta { tag, ..Meta::default() };
    store.with(lock, |s| s.publish(page, meta, 1)).unwrap();
}

/// What a lookup without the lock finds, and one under it.
fn get(store: &Store, lock: &Lock, key: &[u8]) -> [Option<u64>; 2] {
    let free = store.get(&slot(0), SAME, key, 1).map(|hit| hit.found.meta.tag);
    [free, store.with(lock, |s| s.peek(SAME, key)).map(|found| found.meta.tag)]
}

#[test]
fn hash_collision() {
    let memory = Memory::new(256 * 1024);
    let (store, lock) = (memory.create(&OPTIONS), Lock::default());
    let long = vec![b'x'; 6_000];
    let keys: [&[u8]; 6] =
        [b"a", b"b", b"ab", &long, &[&long[..], b"y"].concat(), &[&long[1..], b"y"].concat()];
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(get(&store, &lock, key), [None, None], "{n}");
        put(&store, &lock, key, n as u64 + 1);
        for (m, key) in keys.iter().enumerate() {
            let stored = (m <= n).then_some(m as u64 + 1);
            assert_eq!(get(&store, &lock, key), [stored, stored], "{m} after {n}");
        }
    }
    // What is replaced or removed is the one that was meant.
    put(&store, &lock, keys[1], 9);
    assert!(store.with(&lock, |s| s.remove_key(SAME, keys[0])));
    assert_eq!(get(&store, &lock, keys[0]), [None, None]);
    assert_eq!(get(&store, &lock, keys[1]), [Some(9), Some(9)]);
    assert_eq!(get(&store, &lock, keys[5]), [Some(6), Some(6)]);
}
