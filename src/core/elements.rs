//! Element memory: values of sources that a zone remembers, for all its workers.
//!
//! ```text
//!   look ---- fresh ----> its bytes
//!     | no
//!   claim --- a lease --> the source is asked --> remember (the lease ends) or end --> those who wait are woken
//!     |------ somebody asks already: wait, then look again
//!     '------ alone: asked for oneself, and not remembered
//! ```
//!
//! Invariants
//! - An element's id is its source's name, a zero and the key at the source. That a source has no such key is remembered
//!   as well.
//! - Only what was fetched under a lease that still holds is remembered. `forget` ends the lease, and everything that was
//!   purged at once is newer than the fetch's stamp: so no value of before a purge comes back after it.
//! - Looking takes no lock. Several values that come at once are remembered under one, but for large ones, whose bytes are
//!   copied outside it.

use crate::board::flights::{Asked, Asker, Channels, Flights, Lease, Outcome, Owner, Watched};
use crate::board::{Board, Counter};
use crate::clock::DIFFER_MS;
use crate::source::MAX_VALUE;
use crate::store::{Entry, Found, Held, Meta, Page, RawLock, Reservation, Section, Slot, Store};

/// Values above this are copied outside the lock.
const LARGE: usize = 4 << 10;

/// Largest sum of id and value.
pub const MAX_ELEMENT: usize = MAX_VALUE + (1 << 10);

/// The order of use is known to this.
const TOUCH_EVERY_MS: u64 = 100;

/// In an element's tag: the source has no such key.
const MISSING: u64 = 1;

/// A remembered value, while it is held.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'h> {
    page: Page<'h>,
    is_missing: bool,
    /// When it came, in milliseconds of the caller's clock.
    pub stored_ms: u64,
    /// Until when it is fresh.
    pub expires_ms: u64,
    /// Names this very copy: what is remembered next of the same key has another one.
    pub version: Entry,
}

impl<'h> Remembered<'h> {
    fn of(held: &'h Held<'_>, found: &Found) -> Remembered<'h> {
        Remembered {
            page: held.page(),
            is_missing: found.meta.tag == MISSING,
            stored_ms: found.meta.created_ms,
            expires_ms: found.meta.expires_ms,
            version: found.entry,
        }
    }

    /// Bytes of the value; `None`: the source has no such key.
    pub fn value_len(&self) -> Option<usize> {
        (!self.is_missing).then(|| self.page.value_len())
    }

    /// Whether the source has no such key.
    pub fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// The value, in one piece or several.
    pub fn pieces(&self) -> impl Iterator<Item = &'h [u8]> + use<'h> {
        self.page.value()
    }
}

/// What is to be done about a value that was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<T> {
    /// It has come this very moment.
    There(T),
    /// To ask the source, for all.
    Fetch(Lease),
    /// To wait for the fetch of this generation.
    Wait(u64),
    /// To ask the source for oneself: the value will not be remembered.
    Alone,
}

/// A value that has come.
#[derive(Clone, Copy, Debug)]
pub struct News<'a> {
    /// The right to remember it.
    pub lease: Lease,
    /// Its element's hash.
    pub hash: u64,
    /// Its element's id.
    pub id: &'a [u8],
    /// `None`: the source has no such key.
    pub value: Option<&'a [u8]>,
    /// For how long it is fresh.
    pub ttl_ms: u64,
}

/// The elements of a zone, as one process sees them.
#[derive(Debug)]
pub struct Elements<'z, L: RawLock> {
    /// Their store.
    pub store: &'z Store,
    /// The zone's lock.
    pub lock: &'z L,
    /// The zone's board.
    pub board: &'z Board,
    /// The process's slot.
    pub slot: &'z Slot,
}

impl<'z, L: RawLock> Elements<'z, L> {
    /// The hash of an id.
    pub fn hash(&self, id: &[u8]) -> u64 {
        self.store.hash(id)
    }

    fn is_fresh(&self, found: &Found, now_ms: u64) -> bool {
        // One that was made later than any clock can be behind: it was set back.
        found.meta.created_ms <= now_ms.saturating_add(DIFFER_MS)
            && now_ms < found.meta.expires_ms
            && !self.board.purged_all_since(found.meta.began)
    }

    /// Hands a fresh value to `read`, which shall copy what it needs.
    pub fn look<T>(
        &self,
        hash: u64,
        id: &[u8],
        now_ms: u64,
        read: impl FnOnce(&Remembered<'_>) -> T,
    ) -> Option<T> {
        let hit = self.store.get(self.slot, hash, id, now_ms);
        let Some(hit) = hit.filter(|hit| self.is_fresh(&hit.found, now_ms)) else {
            self.board.count(self.slot, Counter::ElementMisses);
            return None;
        };
        let read = read(&Remembered::of(&hit.held, &hit.found));
        let is_due = hit.touch && hit.unused_ms >= TOUCH_EVERY_MS;
        let entry = hit.found.entry;
        drop(hit.held);
        if is_due {
            self.with(|section| section.touch(entry, now_ms));
        }
        self.board.count(self.slot, Counter::ElementHits);
        Some(read)
    }

    /// Asks who fetches a value that was not found. `channel`: where this process listens. A fetch that is older than
    /// `age_ms`, or than a purge of everything, is overtaken.
    #[expect(clippy::too_many_arguments)]
    pub fn claim<T>(
        &self,
        hash: u64,
        id: &[u8],
        now_ms: u64,
        age_ms: u64,
        me: Owner,
        channel: Option<u32>,
        read: impl FnOnce(&Remembered<'_>) -> T,
    ) -> Claim<T> {
        let (there, asked) = self.with(|section| {
            let found = section.peek(hash, id).filter(|found| self.is_fresh(found, now_ms));
            let held = found.and_then(|found| Some((section.hold(self.slot, found.entry)?, found)));
            if held.is_some() {
                return (held, None);
            }
            let flights = self.board.element_flights(section);
            // Nobody waits for what a purge has made old.
            let ask = |mut flights: Flights<'_>| {
                let age_ms = if flights.is_purged(hash) { 0 } else { age_ms };
                flights.ask(hash, now_ms, age_ms, me, channel, Asker::Anybody)
            };
            (None, flights.map(ask))
        });
        if let Some((held, found)) = there {
            return Claim::There(read(&Remembered::of(&held, &found)));
        }
        match asked {
            Some(Asked::Fetch(lease)) => Claim::Fetch(lease),
            Some(Asked::Wait(generation)) => Claim::Wait(generation),
            Some(Asked::Alone(_)) | None => Claim::Alone,
        }
    }

    /// Remembers values and ends their fetches. Back come those to be woken. What is too large, or finds no room, or came
    /// too late for a purge is not remembered.
    pub fn remember(&self, news: &[News<'_>], now_ms: u64) -> Channels {
        let is_large = |one: &News<'_>| one.value.is_some_and(|value| value.len() > LARGE);
        // A section allocates nothing.
        let mut large: Vec<(&News<'_>, Reservation, bool)> = Vec::new();
        if large.try_reserve(news.iter().filter(|one| is_large(one)).count()).is_err() {
            return self.end(news.iter().map(|one| one.lease), now_ms);
        }
        let mut woken = self.with(|section| {
            let mut woken = Channels::default();
            for one in news {
                match self.reserve(section, one, now_ms) {
                    Some(page) if is_large(one) => large.push((one, page, false)),
                    Some(mut page) => {
                        let written = self.store.write(&mut page, 0, one.value.unwrap_or_default()).is_ok();
                        woken = woken.and(self.publish(section, one, page, written, now_ms));
                    }
                    None => woken = woken.and(self.land(section, one.lease, now_ms)),
                }
            }
            woken
        });
        if !large.is_empty() {
            for (one, page, written) in &mut large {
                *written = self.store.write(page, 0, one.value.unwrap_or_default()).is_ok();
            }
            woken = self.with(|section| {
                large.into_iter().fold(woken, |woken, (one, page, written)| {
                    woken.and(self.publish(section, one, page, written, now_ms))
                })
            });
        }
        woken
    }

    /// A place for a value, if it may be remembered.
    fn reserve(&self, section: &mut Section<'z>, one: &News<'_>, now_ms: u64) -> Option<Reservation> {
        self.began(section, one)?;
        let len = one.value.map_or(0, <[u8]>::len);
        if one.ttl_ms == 0 || one.id.len() + len > MAX_ELEMENT {
            return None;
        }
        section.reserve(self.slot, one.hash, one.id, len, now_ms).ok()
    }

    /// The stamp of a fetch whose value may still be remembered.
    fn began(&self, section: &Section<'_>, one: &News<'_>) -> Option<u64> {
        let began = self.board.element_flights(section)?.began(one.lease)?;
        (!self.board.purged_all_since(began)).then_some(began)
    }

    fn publish(
        &self,
        section: &mut Section<'z>,
        one: &News<'_>,
        page: Reservation,
        written: bool,
        now_ms: u64,
    ) -> Channels {
        match self.began(section, one).filter(|_| written) {
            Some(began) => {
                let meta = Meta {
                    created_ms: now_ms,
                    expires_ms: now_ms.saturating_add(one.ttl_ms),
                    began,
                    tag: if one.value.is_none() { MISSING } else { 0 },
                    ..Meta::default()
                };
                if section.publish(page, meta, now_ms).is_some() {
                    self.board.count(self.slot, Counter::ElementsStored);
                }
            }
            None => section.abandon(page),
        }
        self.land(section, one.lease, now_ms)
    }

    fn land(&self, section: &Section<'_>, lease: Lease, now_ms: u64) -> Channels {
        let flights = self.board.element_flights(section);
        // Failures are not remembered: that a source rests is known elsewhere.
        flights.map(|mut flights| flights.end(lease, Outcome::Abandoned, now_ms)).unwrap_or_default()
    }

    /// Ends fetches that brought nothing to be remembered.
    pub fn end(&self, leases: impl IntoIterator<Item = Lease>, now_ms: u64) -> Channels {
        let end = |section: &mut Section<'z>| {
            let land = |woken: Channels, lease| woken.and(self.land(section, lease, now_ms));
            leases.into_iter().fold(Channels::default(), land)
        };
        self.with(end)
    }

    /// Whether the fetch that somebody waits for is still under way. If so, he will be woken when it ends.
    pub fn watch(&self, hash: u64, generation: u64, channel: u32) -> Option<Watched> {
        self.with(|section| self.board.element_flights(section)?.watch(hash, generation, channel))
    }

    /// Ends the fetch of a process that is no more.
    pub fn give_up(&self, hash: u64, generation: u64) -> Channels {
        self.with(|section| {
            let flights = self.board.element_flights(section);
            flights.map(|mut flights| flights.give_up(hash, generation)).unwrap_or_default()
        })
    }

    /// Removes an element, and sees to it that a fetch that is under way is not remembered. Back comes whether there was
    /// one, and who waits for the fetch.
    pub fn forget(&self, hash: u64, id: &[u8]) -> (bool, Channels) {
        self.with(|section| {
            let there = section.remove_key(hash, id);
            let flights = self.board.element_flights(section);
            (there, flights.map(|mut flights| flights.doom(hash)).unwrap_or_default())
        })
    }

    /// Puts another value in the place of a fresh one, with its time. `change` sees up to [`SMALL`] bytes and gives as many
    /// at most. False: there is none, it is larger, or `change` gave none.
    pub fn change(
        &self,
        hash: u64,
        id: &[u8],
        now_ms: u64,
        change: impl FnOnce(&[u8]) -> Option<SmallValue>,
    ) -> bool {
        self.with(|section| {
            let found = section.peek(hash, id).filter(|found| self.is_fresh(found, now_ms))?;
            if found.meta.tag == MISSING {
                return None;
            }
            let page = section.page(found.entry)?;
            let new = change(SmallValue::of(page.value())?.bytes())?;
            let mut place = section.reserve(self.slot, hash, id, new.bytes().len(), now_ms).ok()?;
            if self.store.write(&mut place, 0, new.bytes()).is_err() {
                section.abandon(place);
                return None;
            }
            section.publish(place, found.meta, now_ms)
        })
        .is_some()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Section<'z>) -> T) -> T {
        self.store.with(self.lock, work)
    }
}

/// The longest value that is changed in memory.
pub const SMALL: usize = 64;

/// A value of up to [`SMALL`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallValue {
    bytes: [u8; SMALL],
    len: usize,
}

impl SmallValue {
    /// Pieces joined; `None` if they are more than fit.
    pub fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<SmallValue> {
        let mut value = SmallValue { bytes: [0; SMALL], len: 0 };
        for piece in pieces {
            let end = value.len.checked_add(piece.len())?;
            value.bytes.get_mut(value.len..end)?.copy_from_slice(piece);
            value.len = end;
        }
        Some(value)
    }

    /// The value.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
