//! Who may renew a page: one refresh for each key at a time over all workers, and none for a while after one that failed.
//! The zone's table of fetches says so; a miss that meets a refresh waits for it as for a fetch.

use twice_core::board::flights;
pub use twice_core::board::flights::{Asker, Outcome};
use twice_core::store::Entry;

use crate::channel;
use crate::shm::{self, Zone};

/// A refresh that has not ended after so long is taken for lost, and another one may begin.
const LONGEST_MS: u64 = 60_000;

/// The right to renew a page. To be given back by [`end`].
#[derive(Debug)]
#[must_use = "nobody else renews the page until it is given back"]
pub struct Lease(flights::Lease);

/// Takes the right to renew a page, if nobody has it and the last attempt is not one that failed just now.
pub fn take(zone: &Zone, hash: u64, entry: Entry, now_ms: u64, asker: Asker) -> Option<Lease> {
    let owner = zone.owner();
    let taken = zone.flights(|section, flights| {
        // It was found without the lock: it may have been renewed since, and then nobody renews it any more.
        let is_there = section.peek_hash(hash).is_some_and(|(found, _)| found.entry == entry);
        is_there.then(|| flights.refresh(hash, now_ms, LONGEST_MS, owner, asker)).flatten()
    });
    taken.flatten().map(Lease)
}

/// Gives it back, and wakes who waits for the page.
pub fn end(zone: &Zone, Lease(lease): Lease, outcome: Outcome) {
    let woken = zone.flights(|_, flights| flights.end(lease, outcome, shm::now_ms()));
    channel::wake(woken.unwrap_or_default());
}
