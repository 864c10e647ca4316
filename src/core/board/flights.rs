//! Fetches under way: who asks the origin, or a source, for what, and who waits for it.
//!
//! A zone has one table for pages, and one for values of sources, so that neither takes the other's places.
//!
//! Invariants
//! - All of it under the zone's lock: [`Flights`] borrows the section of one of the zone's stores. Each call looks at one
//!   set, but for the release of a dead process. Only [`Board::is_element_fetched`] has no lock, and is a hint.
//! - A generation names one fetch and no other, ever: the lease of a fetch that was overtaken, or given up for its dead
//!   owner, changes nothing any more.
//! - The state is written last when an entry is taken and first when it is freed. So whoever dies in between leaves a
//!   free entry, or one that is in flight under his own slot, which is released with the slot.
//! - The bit of a channel may be lost with a process that dies, or be set for nobody. Who waits looks now and then
//!   ([`Flights::watch`]), and who is woken looks for his page again: nothing but time depends on it.
//! - Two keys with one hash share an entry: the one waits for the other's fetch, and then finds no page of its own.

use std::marker::PhantomData;

use super::{Board, at};
use crate::store::Section;

mod asker;
mod outcome;
mod table;

pub use asker::Asker;
pub use outcome::Outcome;
pub(super) use table::Plan;
use table::{field, state};

/// The first back-off after a failure; each further one is twice as long.
const BACK_OFF_MS: u64 = 1000;
/// How often it is doubled: up to 32 seconds.
const DOUBLINGS: u32 = 5;
/// No entry keeps anybody from anything for longer: a clock that was set back must not make it a day.
const LONGEST_MS: u64 = BACK_OFF_MS << DOUBLINGS;
/// Each worker reads its clock at the beginning of a turn: one may be behind another by so much, and yet none was set back.
const APART_MS: u64 = 1000;
/// From so many failures in a row on, nobody queues behind the next one: each would wait for an origin that fails.
const PATIENCE: u32 = 2;
/// So many answers in a row are waited for by those whose turn has not come yet. Were it more, each of hundreds of visitors
/// would wait for all before him.
const ROUNDS: u32 = 4;
/// Rounds that are farther apart are not in a row.
const ROUND_MS: u64 = 5000;
/// Where the rounds stand in the word of the failures.
const ROUNDS_SHIFT: u32 = 16;

/// The right, and the duty, to end one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    hash: u64,
    /// 0 is no fetch's.
    generation: u64,
}

impl Lease {
    /// That of a fetch which nobody waits for: its page, once stored, is news for those who wait for another's.
    pub const fn of_nobody(hash: u64) -> Self {
        Self { hash, generation: 0 }
    }

    /// Whether others may be waiting for this very fetch.
    pub const fn is_held(&self) -> bool {
        self.generation != 0
    }

    /// Names the fetch.
    pub const fn generation(&self) -> u64 {
        self.generation
    }
}

/// A process that fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its slot.
    pub slot: u32,
    /// Its number, for those who look whether it is still there.
    pub pid: u32,
}

/// What a request that found no page is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To fetch it, for all.
    Fetch(Lease),
    /// To wait for the fetch of this generation.
    Wait(u64),
    /// To fetch it for itself.
    Alone(Alone),
}

/// Why nobody shall wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// What came last could not be stored.
    Unstorable,
    /// The last answers were failures.
    Failing,
    /// No entry is free.
    Full,
    /// There is a fetch, but the process has no channel on which it could be woken.
    NoChannel,
}

/// Channels to be written to, after the lock is gone.
#[must_use = "somebody waits on them"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels(u64);

impl Channels {
    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Their numbers.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |n| self.0 >> n & 1 == 1)
    }
}

/// A fetch that is still under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Since when.
    pub started_ms: u64,
    /// The process that fetches.
    pub pid: u32,
}

/// The fetches of a zone, under its lock.
pub struct Flights<'a> {
    board: Board,
    plan: Plan,
    lock: PhantomData<&'a ()>,
}

impl Board {
    /// The fetches of pages.
    pub fn flights<'a>(&self, _lock: &'a Section<'_>) -> Flights<'a> {
        Flights { board: *self, plan: self.plan.flights, lock: PhantomData }
    }

    /// The fetches of values that are to be remembered; none in a zone without room for such.
    pub fn element_flights<'a>(&self, _lock: &'a Section<'_>) -> Option<Flights<'a>> {
        let plan = self.plan.element_flights?;
        Some(Flights { board: *self, plan, lock: PhantomData })
    }

    /// Whether the fetch of a value goes on, and nothing was purged that makes it one of yesterday. Needs no lock: who
    /// joins a fetch looks here before. A fetch that ends just now may count as either.
    pub fn is_element_fetched(&self, hash: u64, generation: u64) -> bool {
        let entries = self.plan.element_flights.iter().flat_map(|plan| plan.set(hash));
        let is_its = |entry: &usize| self.region.load_acquire_u64(entry + field::GENERATION) == generation;
        entries.filter(is_its).any(|entry| {
            let is_under_way = self.region.load_acquire(entry + field::STATE) == state::FETCHING;
            is_under_way && !self.purged_all_since(self.region.u64(entry + field::BEGAN))
        })
    }
}

impl Flights<'_> {
    /// A request that found no page asks who fetches it. `channel`: where its process listens; where the answer is
    /// "wait", it will be woken there. A fetch that is older than `age_ms` is overtaken.
    pub fn ask(
        &mut self,
        hash: u64,
        now_ms: u64,
        age_ms: u64,
        me: Owner,
        channel: Option<u32>,
        asker: Asker,
    ) -> Asked {
        if let Some(entry) = self.find(hash) {
            match self.state(entry) {
                state::FETCHING | state::REFRESHING => {
                    if self.u64(entry, field::STARTED).abs_diff(now_ms) >= age_ms {
                        return Asked::Fetch(self.overtake(entry, hash, now_ms, me, state::FETCHING));
                    }
                    if self.failures(entry) >= PATIENCE {
                        return Asked::Alone(Alone::Failing);
                    }
                    let Some(channel) = channel else { return Asked::Alone(Alone::NoChannel) };
                    self.add_channel(entry, channel);
                    return Asked::Wait(self.u64(entry, field::GENERATION));
                }
                state::UNSTORABLE if self.is_unstorable(entry, now_ms, asker) => {
                    return Asked::Alone(Alone::Unstorable);
                }
                state::FAILING if self.failures(entry) >= PATIENCE && self.lasts(entry, now_ms) => {
                    return Asked::Alone(Alone::Failing);
                }
                _ => {}
            }
        }
        match self.take(hash, now_ms, me, state::FETCHING) {
            Some(lease) => Asked::Fetch(lease),
            None => Asked::Alone(Alone::Full),
        }
    }

    /// A request that found a stale page asks whether it shall be renewed now. Not if somebody is at it, if the origin
    /// failed a short time ago, or if what it gave could not be stored.
    pub fn refresh(&mut self, hash: u64, now_ms: u64, age_ms: u64, me: Owner, asker: Asker) -> Option<Lease> {
        if let Some(entry) = self.find(hash) {
            match self.state(entry) {
                state::FETCHING | state::REFRESHING => {
                    let is_old = self.u64(entry, field::STARTED).abs_diff(now_ms) >= age_ms;
                    return is_old.then(|| self.overtake(entry, hash, now_ms, me, state::REFRESHING));
                }
                state::UNSTORABLE if self.is_unstorable(entry, now_ms, asker) => return None,
                state::FAILING if self.lasts(entry, now_ms) => return None,
                _ => {}
            }
        }
        self.take(hash, now_ms, me, state::REFRESHING)
    }

    /// Whether a fetch is still under way. If so, who asks will be woken when it ends: a bit that was set before may have
    /// been taken by the end of the fetch before.
    pub fn watch(&mut self, hash: u64, generation: u64, channel: u32) -> Option<Watched> {
        let entry = self.in_flight(hash).filter(|entry| self.u64(*entry, field::GENERATION) == generation)?;
        self.add_channel(entry, channel);
        Some(Watched { started_ms: self.u64(entry, field::STARTED), pid: self.u32(entry, field::PID) })
    }

    /// Whether the fetch of this hash that goes on began before everything was purged.
    pub fn is_purged(&self, hash: u64) -> bool {
        let began = self.in_flight(hash).map(|entry| self.u64(entry, field::BEGAN));
        began.is_some_and(|began| self.board.purged_all_since(began))
    }

    /// The latest stamp when a fetch began, if it is still the one that goes on.
    pub fn began(&self, lease: Lease) -> Option<u64> {
        let entry = self.in_flight(lease.hash)?;
        (self.u64(entry, field::GENERATION) == lease.generation).then(|| self.u64(entry, field::BEGAN))
    }

    /// Ends whatever fetch of this hash goes on: what it brings is of yesterday. Its lease is good for nothing any more.
    pub fn doom(&mut self, hash: u64) -> Channels {
        self.in_flight(hash).map(|entry| self.free(entry)).unwrap_or_default()
    }

    /// Ends a fetch. Back come those to be woken.
    pub fn end(&mut self, lease: Lease, outcome: Outcome, now_ms: u64) -> Channels {
        let Some(entry) = self.in_flight(lease.hash) else { return Channels::default() };
        if self.u64(entry, field::GENERATION) != lease.generation {
            // Another's fetch goes on, but who waits for it finds the page already.
            return match outcome {
                Outcome::Stored => self.take_channels(entry),
                _ => Channels::default(),
            };
        }
        match outcome {
            Outcome::Stored | Outcome::Abandoned => self.free(entry),
            Outcome::Unstorable { for_ms, to } => {
                let until = now_ms.saturating_add(for_ms.min(LONGEST_MS));
                self.land(entry, state::UNSTORABLE, until, to.rank())
            }
            Outcome::Again => {
                let rounds = self.u32(entry, field::FAILURES) >> ROUNDS_SHIFT;
                if rounds + 1 >= ROUNDS {
                    return self.end(lease, Outcome::UNSTORABLE, now_ms);
                }
                let until = now_ms.saturating_add(ROUND_MS);
                self.land(entry, state::AGAIN, until, (rounds + 1) << ROUNDS_SHIFT)
            }
            Outcome::Failed => {
                let failures = self.failures(entry).saturating_add(1).min(u16::MAX.into());
                let back_off = BACK_OFF_MS << failures.saturating_sub(1).min(DOUBLINGS);
                self.land(entry, state::FAILING, now_ms.saturating_add(back_off), failures)
            }
        }
    }

    /// Ends a fetch whose process is no more.
    pub fn give_up(&mut self, hash: u64, generation: u64) -> Channels {
        match self.in_flight(hash) {
            Some(entry) if self.u64(entry, field::GENERATION) == generation => self.free(entry),
            _ => Channels::default(),
        }
    }

    /// Ends all fetches of a slot whose process is no more.
    pub fn give_up_all(&mut self, slot: u32) -> Channels {
        let mut woken = Channels::default();
        for entry in self.plan.entries() {
            if self.is_in_flight(entry) && self.u32(entry, field::OWNER) == slot.wrapping_add(1) {
                woken = woken.and(self.free(entry));
            }
        }
        woken
    }

    fn u32(&self, entry: usize, field: usize) -> u32 {
        self.board.region.u32(entry + field)
    }

    fn u64(&self, entry: usize, field: usize) -> u64 {
        self.board.region.u64(entry + field)
    }

    fn state(&self, entry: usize) -> u32 {
        self.u32(entry, field::STATE)
    }

    fn failures(&self, entry: usize) -> u32 {
        self.u32(entry, field::FAILURES) & ((1 << ROUNDS_SHIFT) - 1)
    }

    /// What a new fetch of this entry's hash is to know of those before it, as the word of the failures has it.
    fn remembered(&self, entry: usize, now_ms: u64) -> u32 {
        match self.state(entry) {
            state::FAILING => self.failures(entry),
            state::AGAIN if self.lasts(entry, now_ms) => self.u32(entry, field::FAILURES),
            _ => 0,
        }
    }

    fn is_in_flight(&self, entry: usize) -> bool {
        matches!(self.state(entry), state::FETCHING | state::REFRESHING)
    }

    /// Whether what is remembered of the last fetch still counts.
    fn lasts(&self, entry: usize, now_ms: u64) -> bool {
        let until = self.u64(entry, field::UNTIL);
        until > now_ms && until - now_ms <= LONGEST_MS + APART_MS
    }

    /// Whether what came last could not be stored, and that holds for who asks now.
    fn is_unstorable(&self, entry: usize, now_ms: u64, asker: Asker) -> bool {
        asker.rank() >= self.u32(entry, field::FAILURES) && self.lasts(entry, now_ms)
    }

    fn find(&self, hash: u64) -> Option<usize> {
        self.plan
            .set(hash)
            .find(|entry| self.state(*entry) != state::FREE && self.u64(*entry, field::HASH) == hash)
    }

    fn in_flight(&self, hash: u64) -> Option<usize> {
        self.find(hash).filter(|entry| self.is_in_flight(*entry))
    }

    /// An entry that is no fetch's: the hash's own, a free one, or that whose memory ends first.
    fn room(&self, hash: u64) -> Option<usize> {
        let rank = |entry: &usize| match self.state(*entry) {
            state::FREE => 0,
            _ => self.u64(*entry, field::UNTIL).max(1),
        };
        let own = self.find(hash);
        own.or_else(|| self.plan.set(hash).filter(|entry| !self.is_in_flight(*entry)).min_by_key(rank))
    }

    fn next_generation(&self) -> u64 {
        let next = self.board.region.u64(at::GENERATION).wrapping_add(1).max(1);
        self.board.region.set_u64(at::GENERATION, next);
        next
    }

    fn take(&mut self, hash: u64, now_ms: u64, me: Owner, kind: u32) -> Option<Lease> {
        let entry = self.room(hash)?;
        let is_own = self.state(entry) != state::FREE && self.u64(entry, field::HASH) == hash;
        let failures = if is_own { self.remembered(entry, now_ms) } else { 0 };
        let generation = self.next_generation();
        let region = self.board.region;
        region.store_first(entry + field::STATE, state::FREE);
        region.set_u64(entry + field::HASH, hash);
        region.set_u32(entry + field::FAILURES, failures);
        region.set_u64(entry + field::GENERATION, generation);
        region.set_u64(entry + field::STARTED, now_ms);
        region.set_u64(entry + field::UNTIL, 0);
        region.set_u64(entry + field::CHANNELS, 0);
        region.set_u32(entry + field::OWNER, me.slot.wrapping_add(1));
        region.set_u32(entry + field::PID, me.pid);
        region.set_u64(entry + field::BEGAN, self.board.latest());
        region.store_release(entry + field::STATE, kind);
        Some(Lease { hash, generation })
    }

    /// Who waits stays where he is: he is woken when this one ends, or sees before that it is another one.
    fn overtake(&mut self, entry: usize, hash: u64, now_ms: u64, me: Owner, kind: u32) -> Lease {
        let generation = self.next_generation();
        let region = self.board.region;
        // The owner first: from here on a death is the new one's.
        region.set_u32(entry + field::OWNER, me.slot.wrapping_add(1));
        region.set_u32(entry + field::PID, me.pid);
        region.set_u64(entry + field::STARTED, now_ms);
        region.set_u64(entry + field::GENERATION, generation);
        region.set_u64(entry + field::BEGAN, self.board.latest());
        region.store_release(entry + field::STATE, kind);
        Lease { hash, generation }
    }

    fn add_channel(&mut self, entry: usize, channel: u32) {
        let before = self.u64(entry, field::CHANNELS);
        let after = before | 1u64.checked_shl(channel).unwrap_or(0);
        if after != before {
            self.board.region.set_u64(entry + field::CHANNELS, after);
        }
    }

    fn take_channels(&mut self, entry: usize) -> Channels {
        let channels = self.u64(entry, field::CHANNELS);
        if channels != 0 {
            self.board.region.set_u64(entry + field::CHANNELS, 0);
        }
        Channels(channels)
    }

    fn free(&mut self, entry: usize) -> Channels {
        self.board.region.store_first(entry + field::STATE, state::FREE);
        self.take_channels(entry)
    }

    /// The fetch is over, and something is remembered of it.
    fn land(&mut self, entry: usize, kind: u32, until_ms: u64, word: u32) -> Channels {
        let channels = self.free(entry);
        self.board.region.set_u64(entry + field::UNTIL, until_ms);
        self.board.region.set_u32(entry + field::FAILURES, word);
        self.board.region.store_release(entry + field::STATE, kind);
        channels
    }
}
