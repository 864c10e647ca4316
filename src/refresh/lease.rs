//! Who may renew a page: one refresh for each key at a time, and none for a while after one that failed.
//!
//! Seam: these two functions are to stand on the zone's board, so that they hold over all workers. Here is what one
//! worker alone can know.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::shm::{self, Zone};

/// Keys that are remembered: beyond that the failures of keys that are not being renewed are forgotten.
const MOST: usize = 4096;
/// After the first failure; each one more doubles it.
const FIRST_PAUSE_MS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 32_000;

/// The right to renew a page. To be given back by [`end`].
#[derive(Debug)]
#[must_use = "nobody else renews the page until it is given back"]
pub struct Lease {
    zone: usize,
    hash: u64,
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a new page.
    Renewed,
    /// There is no such page any more.
    Gone,
    /// The origin gave no page: not again for a while.
    Failed,
    /// It did not begin.
    NotBegun,
}

#[derive(Default)]
struct Entry {
    held: bool,
    pause_ms: u64,
    until_ms: u64,
}

thread_local! {
    static TABLE: RefCell<HashMap<(usize, u64), Entry>> = RefCell::default();
}

/// Takes the right to renew a page, if nobody has it and the last attempt is not one that failed just now.
pub fn take(zone: &Zone, hash: u64, now_ms: u64) -> Option<Lease> {
    TABLE.with_borrow_mut(|table| {
        let lease = Lease { zone: std::ptr::from_ref(zone).addr(), hash };
        if table.len() >= MOST {
            table.retain(|_, entry| entry.held || entry.until_ms > now_ms);
            if table.len() >= MOST && !table.contains_key(&(lease.zone, hash)) {
                return None;
            }
        }
        let entry = table.entry((lease.zone, hash)).or_default();
        if entry.held || entry.until_ms > now_ms {
            return None;
        }
        entry.held = true;
        Some(lease)
    })
}

/// Gives it back.
pub fn end(_zone: &Zone, lease: Lease, outcome: Outcome) {
    TABLE.with_borrow_mut(|table| {
        let key = (lease.zone, lease.hash);
        match (outcome, table.get_mut(&key)) {
            (Outcome::Failed, Some(entry)) => {
                entry.held = false;
                entry.pause_ms = (entry.pause_ms * 2).clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
                entry.until_ms = shm::now_ms() + entry.pause_ms;
            }
            (Outcome::NotBegun, Some(entry)) => entry.held = false,
            (Outcome::Renewed | Outcome::Gone, _) | (_, None) => drop(table.remove(&key)),
        }
    });
}
