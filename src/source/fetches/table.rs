//! What a worker knows of its fetches.

use std::collections::HashMap;

use twice_core::board::flights::Lease;

use super::Waiter;
use crate::shm::Zone;
use crate::source::Source;
use crate::source::asked::Asked;

/// Who asks the source.
pub enum State {
    /// This worker.
    Ours,
    /// Another one: the fetch of this generation.
    Elsewhere(u64),
    /// Nobody any more: the request that asked is gone. It is asked for another one.
    Orphaned,
}

/// A value that is being asked for.
pub struct Fetch {
    /// Lives as long as its configuration, which outlives the requests that asked.
    pub source: *const Source,
    /// The same.
    pub zone: *const Zone,
    /// Name of the source, 0, key.
    pub id: Box<[u8]>,
    pub hash: u64,
    pub lease: Option<Lease>,
    pub state: State,
    pub waiters: Vec<Waiting>,
}

pub struct Waiting {
    pub waiter: Waiter,
    /// Of a record: the tag's key.
    pub path: Box<[u8]>,
}

/// The fetches of a worker.
#[derive(Default)]
pub struct Table {
    pub fetches: HashMap<u64, Fetch>,
    /// Those of sources that remember, by zone and hash.
    pub joined: HashMap<(*const Zone, u64), u64>,
    /// What each page waits for.
    pub pages: HashMap<*mut Asked, Vec<u64>>,
    pub last: u64,
}

impl Table {
    pub fn add(&mut self, fetch: Fetch) -> u64 {
        self.last += 1;
        if fetch.remembers() {
            self.joined.insert((fetch.zone, fetch.hash), self.last);
        }
        self.fetches.insert(self.last, fetch);
        self.last
    }

    pub fn wait(&mut self, ticket: u64, waiter: Waiter, path: Box<[u8]>) {
        if let Some(fetch) = self.fetches.get_mut(&ticket) {
            fetch.waiters.push(Waiting { waiter, path });
            self.pages.entry(waiter.page).or_default().push(ticket);
        }
    }

    pub fn remove(&mut self, ticket: u64) -> Option<Fetch> {
        let fetch = self.fetches.remove(&ticket)?;
        if self.joined.get(&(fetch.zone, fetch.hash)) == Some(&ticket) {
            self.joined.remove(&(fetch.zone, fetch.hash));
        }
        for waiting in &fetch.waiters {
            if let Some(tickets) = self.pages.get_mut(&waiting.waiter.page) {
                tickets.retain(|other| *other != ticket);
                if tickets.is_empty() {
                    self.pages.remove(&waiting.waiter.page);
                }
            }
        }
        Some(fetch)
    }
}

impl Fetch {
    pub fn source(&self) -> &Source {
        // SAFETY: see the field; the connections of memcached's clients keep a configuration alive, too.
        unsafe { &*self.source }
    }

    pub fn zone(&self) -> &Zone {
        // SAFETY: as above.
        unsafe { &*self.zone }
    }

    pub fn remembers(&self) -> bool {
        self.source().ttl_ms > 0
    }
}
