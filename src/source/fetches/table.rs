//! What a worker knows of its fetches.

use std::collections::HashMap;

use twice_core::board::flights::Lease;
use twice_core::health::Probe;

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
    /// It shows whether its source works again: no page waits for it.
    pub probe: Option<Probe>,
    pub waiters: Vec<Waiting>,
}

pub struct Waiting {
    pub waiter: Waiter,
    /// Of a record: the tag's key.
    pub path: Box<[u8]>,
}

/// The fetches that a page waits for.
#[derive(Default)]
pub struct Tickets {
    pub all: Vec<u64>,
    /// The latest of each source whose key is the same for all tags of a page.
    by_source: Vec<(*const Source, u64)>,
}

/// The fetches of a worker.
#[derive(Default)]
pub struct Table {
    pub fetches: HashMap<u64, Fetch>,
    /// Those of sources that remember, by zone and hash.
    pub joined: HashMap<(*const Zone, u64), u64>,
    /// What each page waits for.
    pub pages: HashMap<*mut Asked, Tickets>,
    pub last: u64,
}

impl Table {
    pub fn add(&mut self, fetch: Fetch) -> u64 {
        self.last += 1;
        if fetch.remembers() && fetch.probe.is_none() {
            self.joined.insert((fetch.zone, fetch.hash), self.last);
        }
        self.fetches.insert(self.last, fetch);
        self.last
    }

    pub fn wait(&mut self, ticket: u64, waiter: Waiter, path: Box<[u8]>) {
        if let Some(fetch) = self.fetches.get_mut(&ticket) {
            fetch.waiters.push(Waiting { waiter, path });
            let tickets = self.pages.entry(waiter.page).or_default();
            tickets.all.push(ticket);
            let source = fetch.source;
            if !fetch.source().key.template.has_tag_key() {
                tickets.by_source.retain(|(other, _)| *other != source);
                tickets.by_source.push((source, ticket));
            }
        }
    }

    /// The fetch of a value that a page can wait for, too: anybody's that is shared, or its own.
    pub fn joinable(
        &self,
        (zone, hash, id): (*const Zone, u64, &[u8]),
        source: *const Source,
        page: *mut Asked,
    ) -> Option<u64> {
        // Another key may have the same hash.
        let of =
            |ticket: u64| self.fetches.get(&ticket).filter(|fetch| fetch.zone == zone && *fetch.id == *id);
        let shared = self.joined.get(&(zone, hash)).copied();
        if let Some(ticket) = shared.filter(|ticket| of(*ticket).is_some_and(Fetch::is_shared)) {
            return Some(ticket);
        }
        let own = self.pages.get(&page)?.by_source.iter().find(|(other, _)| *other == source)?.1;
        of(own).map(|_| own)
    }

    pub fn remove(&mut self, ticket: u64) -> Option<Fetch> {
        let fetch = self.fetches.remove(&ticket)?;
        if self.joined.get(&(fetch.zone, fetch.hash)) == Some(&ticket) {
            self.joined.remove(&(fetch.zone, fetch.hash));
        }
        for waiting in &fetch.waiters {
            if let Some(tickets) = self.pages.get_mut(&waiting.waiter.page) {
                tickets.all.retain(|other| *other != ticket);
                if tickets.all.is_empty() {
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

    /// Whether what it brings is good for pages that come now: nothing was purged since it began.
    fn is_shared(&self) -> bool {
        let generation = match (&self.state, self.lease) {
            (State::Elsewhere(generation), _) => *generation,
            (_, Some(lease)) => lease.generation(),
            // A purge would not be known.
            (_, None) => return false,
        };
        self.zone().is_element_fetched(self.hash, generation)
    }

    pub fn remembers(&self) -> bool {
        self.source().ttl_ms > 0
    }
}
