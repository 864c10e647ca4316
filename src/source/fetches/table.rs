//! What a worker knows of its fetches.
//!
//! Invariants
//! - Nothing here costs more than what it is about: a page that goes is told to nobody, its waiters are found gone when
//!   their fetch is over, or when it has twice as many as at the last look.
//! - Fetches and waiters are bounded by [`MOST`] and [`MOST_WAITING`].

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use twice_core::board::flights::Lease;
use twice_core::health::Probe;

use super::Waiter;
use crate::shm::Zone;
use crate::source::Source;
use crate::source::asked::Page;

/// Most fetches of a worker at once.
pub const MOST: usize = 16 << 10;

/// Most values that its pages wait for: as many waiters as 64 of the largest pages have.
pub const MOST_WAITING: usize = 256 << 10;

/// So many waiters of a fetch are not looked through.
const FEW: usize = 32;

/// Who asks the source.
#[derive(Clone, Copy, PartialEq, Eq)]
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
    state: State,
    /// It shows whether its source works again: no page waits for it.
    probe: Option<Probe>,
    /// Some of them may be gone.
    pub waiters: Vec<Waiting>,
    /// How many waiters there may be before those that are gone are looked for.
    sweep_at: usize,
}

pub struct Waiting {
    pub page: Page,
    pub slot: usize,
    /// Of a record: the tag's key.
    pub path: Box<[u8]>,
}

/// The fetches of a worker.
#[derive(Default)]
pub struct Table {
    fetches: HashMap<u64, Fetch, Plain>,
    /// Those of sources that remember, by zone and hash.
    joined: HashMap<(usize, u64), u64, Plain>,
    /// Those that others ask for, or nobody.
    not_ours: HashSet<u64, Plain>,
    /// Waiters of all of them.
    waiting: usize,
    last: u64,
}

impl Table {
    /// Whether one more can be waited for, and where it is a new one, asked for.
    pub fn has_room(&self, is_new: bool) -> bool {
        self.waiting < MOST_WAITING && !(is_new && self.fetches.len() >= MOST)
    }

    pub fn add(&mut self, source: &Source, zone: &Zone, id: &[u8], hash: u64, probe: Option<Probe>) -> u64 {
        self.last += 1;
        let is_joined = source.ttl_ms > 0 && probe.is_none();
        let fetch = Fetch {
            source,
            zone,
            id: id.into(),
            hash,
            lease: None,
            state: State::Ours,
            probe,
            waiters: Vec::new(),
            sweep_at: FEW,
        };
        if is_joined {
            self.joined.insert(fetch.place(), self.last);
        }
        self.fetches.insert(self.last, fetch);
        self.last
    }

    pub fn get(&self, ticket: u64) -> Option<&Fetch> {
        self.fetches.get(&ticket)
    }

    /// The right to say whether a source works again, if this fetch has it.
    pub fn take_probe(&mut self, ticket: u64) -> Option<Probe> {
        self.fetches.get_mut(&ticket)?.probe.take()
    }

    /// The fetch of a value that one more can wait for: anybody's that is shared, or the page's `own`.
    pub fn joinable(&self, zone: &Zone, hash: u64, id: &[u8], own: Option<u64>) -> Option<u64> {
        // Another key may have the same hash.
        let of = |ticket: u64| {
            self.fetches.get(&ticket).filter(|fetch| std::ptr::eq(fetch.zone, zone) && *fetch.id == *id)
        };
        let shared = self.joined.get(&(std::ptr::from_ref(zone).addr(), hash)).copied();
        shared
            .filter(|ticket| of(*ticket).is_some_and(Fetch::is_shared))
            .or_else(|| own.filter(|ticket| of(*ticket).is_some()))
    }

    /// One more waits for a fetch.
    ///
    /// # Safety
    /// The page must be live.
    pub unsafe fn wait(&mut self, ticket: u64, waiter: Waiter, path: Box<[u8]>) {
        let Some(fetch) = self.fetches.get_mut(&ticket) else { return };
        if fetch.waiters.len() >= fetch.sweep_at {
            let before = fetch.waiters.len();
            fetch.waiters.retain(|waiting| waiting.page.get().is_some());
            fetch.sweep_at = (2 * fetch.waiters.len()).max(FEW);
            self.waiting -= before - fetch.waiters.len();
        }
        // SAFETY: the caller's promise.
        let page = unsafe { Page::of(waiter.page) };
        fetch.waiters.push(Waiting { page, slot: waiter.slot, path });
        self.waiting += 1;
    }

    pub fn set(&mut self, ticket: u64, state: State, lease: Option<Lease>) {
        let Some(fetch) = self.fetches.get_mut(&ticket) else { return };
        (fetch.state, fetch.lease) = (state, lease);
        if state == State::Ours {
            self.not_ours.remove(&ticket);
        } else {
            self.not_ours.insert(ticket);
        }
    }

    /// Those that others ask for, or nobody, with their states.
    pub fn not_ours(&self) -> impl Iterator<Item = (u64, State)> {
        self.not_ours.iter().filter_map(|ticket| Some((*ticket, self.fetches.get(ticket)?.state)))
    }

    pub fn remove(&mut self, ticket: u64) -> Option<Fetch> {
        let fetch = self.fetches.remove(&ticket)?;
        if self.joined.get(&fetch.place()) == Some(&ticket) {
            self.joined.remove(&fetch.place());
        }
        self.not_ours.remove(&ticket);
        self.waiting -= fetch.waiters.len();
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
        let generation = match (self.state, self.lease) {
            (State::Elsewhere(generation), _) => generation,
            (_, Some(lease)) => lease.generation(),
            // A purge would not be known.
            (_, None) => return false,
        };
        self.zone().is_element_fetched(self.hash, generation)
    }

    pub fn state(&self) -> State {
        self.state
    }

    fn place(&self) -> (usize, u64) {
        (self.zone.addr(), self.hash)
    }
}

/// For tickets, which count, and hashes, which were made with the zone's own key: nobody outside can choose either.
type Plain = BuildHasherDefault<Mixed>;

#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
