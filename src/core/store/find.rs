//! A hit without the lock.
//!
//! The one who reads walks a page's chain with two hazards, hand over hand:
//!
//! ```text
//! reader                                   whoever takes a page away (has the lock)
//!   reads the link: page P                   changes the link that leads to P, and P's own to "nowhere"
//!   writes hazard = P                        looks at all hazards: is P among them?
//!   reads the link again: still P?           no: P's units are free
//! ```
//!
//! Why that is enough. All four are done "in order" (sequentially consistent), so there is one order of them all. If
//! the second reading of the link comes before the change, the hazard was written before it, too, and the other one sees
//! it and keeps the page. If it comes after, the reader sees that the link has changed, and lets go. A link in
//! a page that has itself left the chain can't deceive: it leads nowhere before the page behind it is taken away.
//!
//! A page that is reached in this way is published and stays what it is as long as the hazard stands. Nothing else is
//! believed: where anything looks different than expected the answer is "ask under the lock".
//!
//! That there is no page can be known, too ([`Store::find`]). The page that says "nowhere" is the last of its chain if the
//! link that led to it still does, after it was asked: it had not left then. And none of the chain was missed on the way,
//! but what came in at its front meanwhile. Only a rebuild empties chains that have pages, so there must have been none.

use super::Store;
use super::entry::{Found, field};
use super::hold::Held;
use super::layout::{Mem, at, offset};
use super::queue::Policy;
use super::region::Slot;

/// A chain is rarely longer than 3; a search that is not over by then is for the lock.
const STEPS: usize = 32;

/// A page's last use is known to the minute, at least.
const NOTE_EVERY_MS: u64 = 60_000;

/// A page that was found without the lock, and is held.
#[derive(Debug)]
pub struct Hit<'s> {
    /// The hold on it.
    pub held: Held<'s>,
    /// What is known of it.
    pub found: Found,
    /// [`Section::touch`](super::Section::touch) is due: this store's policy has to know the order of use.
    pub touch: bool,
    /// Milliseconds since its last use that is known.
    pub unused_ms: u64,
}

/// What a search without the lock has found.
#[derive(Debug)]
pub enum Looked<'s> {
    /// The page.
    Hit(Hit<'s>),
    /// That there was none, at some instant of the search.
    Nothing,
    /// Nothing that is certain.
    Unknown,
}

/// Where a walk along a chain ended.
enum Walk {
    At(u32),
    End,
    Lost,
}

impl Store {
    /// As [`Store::get`], for those to whom it is worth a little more to know that there is nothing.
    pub fn find(&self, slot: &Slot, hash: u64, key: &[u8], now_ms: u64) -> Looked<'_> {
        let mem = &self.mem;
        let number = slot.number();
        if !mem.is_idle(number) {
            return Looked::Unknown;
        }
        let rebuilds = mem.rebuilds();
        let walk = mem.walk(number, hash, key);
        if let Walk::At(page) = walk
            && !mem.is_inactive(page, now_ms)
        {
            return Looked::Hit(self.hit(number, page, now_ms));
        }
        mem.clear_hazards(number);
        let is_certain = rebuilds.is_some_and(|before| mem.rebuilds_begun() == before);
        if matches!(walk, Walk::End) && is_certain { Looked::Nothing } else { Looked::Unknown }
    }

    /// Finds the page of a key, holds it, and notes that it was used now: all without the lock.
    ///
    /// `None` says nothing but that it could not be done so: the page isn't there, or was not used for longer than the
    /// store keeps such, or something is being changed right there, or the process holds a page already. What
    /// there is tells [`Section::lookup`](super::Section::lookup).
    #[inline]
    pub fn get(&self, slot: &Slot, hash: u64, key: &[u8], now_ms: u64) -> Option<Hit<'_>> {
        let mem = &self.mem;
        let number = slot.number();
        if !mem.is_idle(number) {
            return None;
        }
        match mem.walk(number, hash, key) {
            Walk::At(page) if !mem.is_inactive(page, now_ms) => Some(self.hit(number, page, now_ms)),
            _ => {
                mem.clear_hazards(number);
                None
            }
        }
    }

    #[inline]
    fn hit(&self, slot: u32, page: u32, now_ms: u64) -> Hit<'_> {
        let mem = &self.mem;
        let unused_ms = mem.f64(page, field::LAST_USED).abs_diff(now_ms);
        let touch = mem.note_use(page, unused_ms, now_ms);
        let found = mem.found(page);
        Hit { held: Held::assemble(self, slot, found.entry), found, touch, unused_ms }
    }
}

impl Mem {
    /// Walks to the page of a key, and sets a hazard on it. In either case hazards are left to be cleared.
    #[inline]
    fn walk(&self, slot: u32, hash: u64, key: &[u8]) -> Walk {
        let mut before = None;
        let mut link = self.bucket_at(hash);
        for step in 0..STEPS {
            #[cfg(debug_assertions)]
            super::fault::point();
            let page = self.region.load_acquire(link);
            if !self.in_arena(page) {
                // The last link that was followed lies in a bucket, or in a page with a hazard.
                let is_last = before.is_none_or(|(link, last)| self.region.load_in_order(link) == last);
                return if page == 0 && is_last { Walk::End } else { Walk::Lost };
            }
            self.set_hazard(slot, step, page);
            if self.region.load_in_order(link) != page {
                return Walk::Lost;
            }
            if self.f64(page, field::HASH) == hash && self.key_is(page, key) {
                return Walk::At(page);
            }
            before = Some((link, page));
            link = offset(page, field::CHAIN);
        }
        Walk::Lost
    }

    /// How many rebuilds have begun; none while one may be under way.
    fn rebuilds(&self) -> Option<u64> {
        let begun = self.rebuilds_begun();
        (self.region.load_acquire(at::DIRTY) == 0).then_some(begun)
    }

    /// Notes a use of a page that is held, without the lock. True if the lock is needed for it.
    #[inline]
    fn note_use(&self, page: u32, unused_ms: u64, now_ms: u64) -> bool {
        let policy = self.policy();
        if policy == Policy::Lru {
            return unused_ms >= super::section::MOVE_EVERY_MS;
        }
        self.count_use(page, policy);
        // Exact enough to tell what nobody asks for, and seldom enough to leave the line alone. Without a limit, too: a
        // reload may set one, and a snapshot tells the time.
        let every = match self.inactive_ms() {
            0 => NOTE_EVERY_MS,
            limit => (limit / 64).min(NOTE_EVERY_MS),
        };
        if unused_ms > every {
            self.set_f64(page, field::LAST_USED, now_ms);
        }
        false
    }

    /// Counts a use up to what the policy tells apart: from then on a hit writes nothing.
    #[inline]
    pub fn count_use(&self, page: u32, policy: Policy) {
        let uses = self.f32(page, field::USES);
        if uses < policy.most_uses() {
            self.set_f32(page, field::USES, uses + 1);
        }
    }
}
