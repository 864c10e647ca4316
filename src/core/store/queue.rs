//! Which page goes when room is needed: LRU, SIEVE or S3-FIFO.
//!
//! ```text
//! LRU       new, used --> [ Main ] --> goes
//! SIEVE     new --> [ Main ] with a hand that wanders from the old end to the new one: a page that was used
//!                  since the hand last passed stays where it is, one that wasn't goes
//! S3-FIFO   new --> [ Small, a 20th ] -- used --> [ Main ] -- not used again --> goes
//!                        |  not used: goes, its key is remembered    ^    used: once more round
//!                        +--> ghosts -- asked for again -------------+
//! ```
//!
//! (SIEVE: Zhang et al., NSDI 2024. S3-FIFO: Yang et al., SOSP 2023.)
//!
//! Invariants
//! - A live page is in Main or Small, as its `place` says; only S3-FIFO puts pages into Small.
//! - A search gives second chances to at most [`CHANCES`] pages for each store, so that no store walks a million pages
//!   that were all used. After that the next page goes, used or not.
//! - A page that is being read is never chosen: its units would not come free.
//! - Hand, ghosts and uses are hints. Nothing breaks if a death leaves them half written.

use super::entry::field;
use super::layout::{GHOST_BYTES, Mem, at, unit};
use super::list::List;
use super::stats::Gauge;

/// Which pages go first. Besides what is said here a hit writes, once a minute at most or as `inactive` asks for, when the
/// page was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Policy {
    /// The one that was not used for the longest time. A hit takes the lock to move the page, at most once per
    /// millisecond and page.
    Lru = 1,
    /// The oldest that was not used since it was last looked at. A hit writes nothing but a page's first use.
    Sieve = 2,
    /// Those that nobody asked for again soon; then the oldest that was not used lately. A hit writes
    /// nothing but a page's first three uses.
    #[default]
    S3Fifo = 3,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 3] = [Policy::Lru, Policy::Sieve, Policy::S3Fifo];

    /// The one name of this policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Lru => "lru",
            Policy::Sieve => "sieve",
            Policy::S3Fifo => "s3fifo",
        }
    }

    /// The policy of a name.
    pub fn from_name(name: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.as_str() == name)
    }

    /// Uses of a page that are told apart.
    pub(super) fn most_uses(self) -> u32 {
        match self {
            Policy::Lru => 0,
            Policy::Sieve => 1,
            Policy::S3Fifo => 3,
        }
    }
}

/// Pages that may be spared for each store because they were used.
pub(super) const CHANCES: u32 = 64;
/// Uses that take a page from Small to Main. With the two of the paper 0.2 % fewer requests are hits (`examples/eviction`).
const PROVEN: u32 = 1;
/// Small has one in so many units. With a tenth, as in the paper, 0.3 % fewer requests are hits.
const SMALL_SHARE: u64 = 20;

/// What a page's `place` says once it is published.
pub(super) mod place {
    pub const MAIN: u32 = 0;
    pub const SMALL: u32 = 1;
    /// Not live any more.
    pub const GONE: u32 = 2;
}

impl Mem {
    /// The policy in force.
    #[inline]
    pub fn policy(&self) -> Policy {
        match self.region.u32(at::POLICY) {
            1 => Policy::Lru,
            2 => Policy::Sieve,
            _ => Policy::S3Fifo,
        }
    }

    /// Changes the policy. What is in Small goes to Main where there is no Small.
    pub fn set_policy(&self, policy: Policy) {
        self.region.set_u32(at::POLICY, policy as u32);
        self.region.set_u32(at::HAND, 0);
        if policy != Policy::S3Fifo {
            for _ in 0..self.geo.units {
                let page = self.tail(List::Small);
                if self.kind(page) != unit::LIVE {
                    return;
                }
                self.leave_queue(page);
                self.enter_queue(page, List::Main);
            }
        }
    }

    pub fn list_of(&self, page: u32) -> List {
        if self.f32(page, field::PLACE) == place::SMALL { List::Small } else { List::Main }
    }

    /// Puts a live page at the new end of a queue.
    pub fn enter_queue(&self, page: u32, list: List) {
        self.set_place(page, list);
        self.push_front(list, page);
    }

    /// Puts a live page at the old end of a queue.
    pub fn enter_queue_last(&self, page: u32, list: List) {
        self.set_place(page, list);
        self.push_back(list, page);
    }

    fn set_place(&self, page: u32, list: List) {
        let is_small = list == List::Small;
        self.set_f32(page, field::PLACE, if is_small { place::SMALL } else { place::MAIN });
        if is_small {
            self.raise(Gauge::SmallUnits, u64::from(self.page_units(page)));
        }
    }

    /// Takes a live page out of its queue.
    pub fn leave_queue(&self, page: u32) {
        if self.region.u32(at::HAND) == page {
            self.region.set_u32(at::HAND, self.f32(page, field::PREV));
        }
        let list = self.list_of(page);
        self.unlink(list, page);
        if list == List::Small {
            self.lower(Gauge::SmallUnits, u64::from(self.page_units(page)));
        }
    }

    /// Where a new page goes.
    pub fn queue_for(&self, hash: u64) -> List {
        if self.policy() == Policy::S3Fifo && !self.take_ghost(hash) { List::Small } else { List::Main }
    }

    /// Makes a page that was just used the newest one of its queue.
    pub fn renew(&self, page: u32) {
        let list = self.list_of(page);
        if self.head(list) != page {
            self.leave_queue(page);
            self.enter_queue(page, list);
        }
    }

    /// The page that goes next; `None` if there is none that nobody reads. `chances` is what is left of [`CHANCES`].
    pub fn choose(&self, chances: &mut u32) -> Option<u32> {
        let policy = self.policy();
        let entries = self.gauge(Gauge::Entries);
        let most = match policy {
            // One round: where all pages are being read they are in the order of before after it.
            Policy::Lru => entries,
            // Each page is spared because somebody reads it at most once for each round over all pages.
            Policy::Sieve | Policy::S3Fifo => entries.saturating_mul(2) + u64::from(*chances) + 2,
        };
        for _ in 0..most {
            let chosen = match policy {
                Policy::Lru => self.lru_step(),
                Policy::Sieve => self.sieve_step(chances),
                Policy::S3Fifo => self.s3fifo_step(chances),
            };
            match chosen {
                Step::Goes(page) => return Some(page),
                Step::Spared => {}
                Step::Empty => return None,
            }
        }
        // All of Main is being read, and Small has no more than its share, so that no step looked at it.
        let small = self.unread_in_small().filter(|_| policy == Policy::S3Fifo)?;
        self.remember(self.f64(small, field::HASH));
        Some(small)
    }

    /// The oldest page of Small that nobody reads.
    fn unread_in_small(&self) -> Option<u32> {
        let mut page = self.tail(List::Small);
        for _ in 0..self.geo.units {
            if self.kind(page) != unit::LIVE {
                return None;
            }
            if !self.in_use(page) {
                return Some(page);
            }
            page = self.f32(page, field::PREV);
        }
        None
    }

    fn lru_step(&self) -> Step {
        let page = self.tail(List::Main);
        if self.kind(page) != unit::LIVE {
            return Step::Empty;
        }
        if self.in_use(page) {
            self.renew(page);
            return Step::Spared;
        }
        Step::Goes(page)
    }

    fn sieve_step(&self, chances: &mut u32) -> Step {
        let hand = self.region.u32(at::HAND);
        let page = if self.kind(hand) == unit::LIVE { hand } else { self.tail(List::Main) };
        if self.kind(page) != unit::LIVE {
            return Step::Empty;
        }
        let used = self.f32(page, field::USES) != 0 && spend(chances);
        if used {
            self.set_f32(page, field::USES, 0);
        }
        if used || self.in_use(page) {
            self.region.set_u32(at::HAND, self.f32(page, field::PREV));
            return Step::Spared;
        }
        Step::Goes(page)
    }

    fn s3fifo_step(&self, chances: &mut u32) -> Step {
        let small = self.tail(List::Small);
        let main = self.tail(List::Main);
        let full = self.gauge(Gauge::SmallUnits) * SMALL_SHARE >= self.gauge(Gauge::LiveUnits);
        if self.kind(small) == unit::LIVE && (full || main == 0) {
            let proven = self.f32(small, field::USES) >= PROVEN && spend(chances);
            if proven || self.in_use(small) {
                self.leave_queue(small);
                self.set_f32(small, field::USES, 0);
                self.enter_queue(small, List::Main);
                return Step::Spared;
            }
            self.remember(self.f64(small, field::HASH));
            return Step::Goes(small);
        }
        if self.kind(main) != unit::LIVE {
            return Step::Empty;
        }
        let uses = self.f32(main, field::USES);
        let used = uses != 0 && spend(chances);
        if used {
            self.set_f32(main, field::USES, uses - 1);
        }
        if used || self.in_use(main) {
            self.renew(main);
            return Step::Spared;
        }
        Step::Goes(main)
    }

    // A ghost: 0 upper half of the hash | 4 the clock at that time. Its place follows from the lower half.

    fn ghost_at(&self, hash: u64) -> usize {
        self.geo.ghosts_at + GHOST_BYTES * (hash & u64::from(self.geo.ghosts - 1)) as usize
    }

    fn remember(&self, hash: u64) {
        let clock = self.region.u32(at::GHOST_CLOCK).wrapping_add(1);
        self.region.set_u32(at::GHOST_CLOCK, clock);
        self.region.set_u64(self.ghost_at(hash), (hash >> 32) | (u64::from(clock) << 32));
    }

    /// Whether a page with this hash went lately: not more pages ago than there are pages now. It is a ghost no longer.
    fn take_ghost(&self, hash: u64) -> bool {
        let at = self.ghost_at(hash);
        let ghost = self.region.u64(at);
        if ghost == 0 || ghost & 0xffff_ffff != hash >> 32 {
            return false;
        }
        self.region.set_u64(at, 0);
        let age = self.region.u32(at::GHOST_CLOCK).wrapping_sub((ghost >> 32) as u32);
        u64::from(age) <= self.gauge(Gauge::Entries)
    }

    /// Forgets all ghosts, for a new store.
    pub fn format_ghosts(&self) {
        for ghost in 0..self.geo.ghosts as usize {
            self.region.set_u64(self.geo.ghosts_at + GHOST_BYTES * ghost, 0);
        }
    }
}

/// One look at one page.
enum Step {
    Goes(u32),
    Spared,
    Empty,
}

fn spend(chances: &mut u32) -> bool {
    let has = *chances > 0;
    *chances = chances.saturating_sub(1);
    has
}
