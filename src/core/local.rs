//! Local counters: numbers that live in the zone, and in its snapshot.
//!
//! ```text
//!   change --- the counter is there ---> its word, without the lock (see store/word.rs)
//!      '------ it is not, or just goes --> under the lock: its word, or a new counter
//! ```
//!
//! Invariants
//! - No change is lost, however many processes change a counter at once: it ends in the counter, or in what the one
//!   who deletes it gets.
//! - When there is no more room the counter goes that was asked for longest ago.
//! - A counter that is changed before the zone was filled from its snapshot is made anew. It says so, and how, until the
//!   saved one comes: then what happened since is put on top of that.

use crate::source::Change;
use crate::store::{Entry, Held, Hit, Looked, Meta, RawLock, Section, Slot, Store};

/// Largest id of a counter.
pub const MAX_ID: usize = 1 << 10;

/// The order of use is known to this.
const TOUCH_EVERY_MS: u64 = 100;

/// How a counter came to be, in its `Meta::began`. Its `Meta::tag` is its first value.
mod origin {
    /// By a first `incr`.
    pub const INCR: u64 = 1;
    /// By a first `decr`.
    pub const DECR: u64 = 2;
    /// From a snapshot, or changed by one.
    pub const SAVED: u64 = 3;
}

/// What became of a saved counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is there again.
    Loaded,
    /// It was there.
    AlreadyThere,
    /// There is no room.
    NoRoom,
}

/// The local counters of a zone, as one process sees them.
#[derive(Debug)]
pub struct Locals<'z, L: RawLock> {
    /// Their store.
    pub store: &'z Store,
    /// The zone's lock.
    pub lock: &'z L,
    /// The process's slot.
    pub slot: &'z Slot,
}

/// One step as memcached has it: `incr` wraps, `decr` stops at 0.
fn step(change: Change) -> impl Fn(u64) -> u64 {
    move |value| match change {
        Change::Incr(_) => value.wrapping_add(1),
        Change::Decr(_) => value.saturating_sub(1),
        Change::Delete => value,
    }
}

impl<'z, L: RawLock> Locals<'z, L> {
    /// A counter's value.
    pub fn get(&self, id: &[u8], now_ms: u64) -> Option<u64> {
        let hash = self.store.hash(id);
        match self.store.find(self.slot, hash, id, now_ms) {
            Looked::Hit(hit) => {
                if let Some(value) = self.use_hit(hit, now_ms, |held| self.store.word(held)) {
                    return Some(value);
                }
            }
            Looked::Nothing => return None,
            Looked::Unknown => {}
        }
        self.with(|section| section.lookup(hash, id, now_ms)).map(|found| found.seen)
    }

    /// Changes a counter, or makes it. Back comes its value; after [`Change::Delete`] that of before. `None`: there was
    /// none to be deleted, or there is no room for a new one.
    pub fn change(&self, id: &[u8], change: Change, now_ms: u64) -> Option<u64> {
        let (first, origin) = match change {
            Change::Incr(first) => (first, origin::INCR),
            Change::Decr(first) => (first, origin::DECR),
            Change::Delete => return self.delete(id),
        };
        let hash = self.store.hash(id);
        let hit = self.store.get(self.slot, hash, id, now_ms);
        let changed =
            hit.and_then(|hit| self.use_hit(hit, now_ms, |held| self.store.change_word(held, step(change))));
        changed.or_else(|| {
            self.with(|section| {
                if let Some(found) = section.lookup(hash, id, now_ms) {
                    return section.change_word(found.entry, step(change));
                }
                let page = section.reserve(self.slot, hash, id, 0, now_ms).ok()?;
                let meta = Meta { created_ms: now_ms, tag: first, began: origin, ..Meta::default() };
                section.publish_with(page, meta, first, now_ms).map(|_| first)
            })
        })
    }

    /// Removes a counter. Back comes its last value.
    pub fn delete(&self, id: &[u8]) -> Option<u64> {
        let hash = self.store.hash(id);
        self.with(|section| section.peek(hash, id).and_then(|found| section.take(found.entry)))
    }

    /// Hands a listed counter to `read`, for its id; back comes its value, and when it was used last.
    pub fn read(&self, entry: Entry, read: impl FnOnce(Held<'_>)) -> Option<(u64, u64)> {
        let (held, value, last_used_ms) = self.with(|section| {
            let (found, last_used_ms, _) = section.about(entry)?;
            // Here nobody takes it away, and with it the meaning of its word.
            Some((section.hold(self.slot, entry)?, found.seen, last_used_ms))
        })?;
        read(held);
        Some((value, last_used_ms))
    }

    /// Puts a saved counter back. One that was made since then goes on from it.
    pub fn restore(&self, id: &[u8], value: u64, last_used_ms: u64, now_ms: u64) -> Restored {
        let hash = self.store.hash(id);
        self.with(|section| {
            let found = section.peek(hash, id);
            if found.is_some_and(|found| found.meta.began == origin::SAVED) {
                return Restored::AlreadyThere;
            }
            let meta = Meta { created_ms: now_ms, tag: value, began: origin::SAVED, ..Meta::default() };
            let Some(found) = found else {
                let Ok(Some(page)) = section.reserve_free(self.slot, hash, id, 0) else {
                    return Restored::NoRoom;
                };
                let loaded = section.restore_with(page, meta, value, last_used_ms, true);
                return if loaded { Restored::Loaded } else { Restored::NoRoom };
            };
            let Some(new) = section.take(found.entry) else { return Restored::NoRoom };
            let merged = merge(value, new, found.meta);
            let page = section.reserve(self.slot, hash, id, 0, now_ms).ok();
            match page.and_then(|page| section.publish_with(page, meta, merged, now_ms)) {
                Some(_) => Restored::Loaded,
                None => Restored::NoRoom,
            }
        })
    }

    /// Does something with a counter without the lock, and sees to the order of use.
    fn use_hit<T>(&self, hit: Hit<'_>, now_ms: u64, work: impl FnOnce(&Held<'_>) -> Option<T>) -> Option<T> {
        let done = work(&hit.held);
        let is_due = hit.touch && hit.unused_ms >= TOUCH_EVERY_MS;
        let entry: Entry = hit.found.entry;
        drop(hit.held);
        if is_due && done.is_some() {
            self.with(|section| section.touch(entry, now_ms));
        }
        done
    }

    fn with<T>(&self, work: impl FnOnce(&mut Section<'z>) -> T) -> T {
        self.store.with(self.lock, work)
    }
}

/// What a counter would be had it been there when the new one was made.
fn merge(saved: u64, new: u64, made: Meta) -> u64 {
    let first = match made.began {
        origin::INCR => saved.wrapping_add(1),
        _ => saved.saturating_sub(1),
    };
    if new >= made.tag { first.wrapping_add(new - made.tag) } else { first.saturating_sub(made.tag - new) }
}
