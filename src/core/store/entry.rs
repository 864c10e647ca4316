//! A page in the arena: its header, its key and its value, over one run or several.
//!
//! ```text
//! first run    0 next run | 4 units | 8 generation | 12 key len (16 bits), pinned once (bit 16)
//!             16 hash | 24 created | 32 expires | 40 last used | 48 tag
//!             56 value len | 60 chain | 64 previous | 68 next | 72 uses | 76 place
//!             80 stale for | 84 error for | 88 began | 96 seen | 104 key ... value ...
//! other runs   0 next run | 4 units | 8 generation | 12 value, continued ...
//! ```
//!
//! Invariants
//! - Next run, units, generation, hash, the two lengths, the times and the tag, key and value never change from the
//!   instant the page is published until its units are free: whoever holds the page reads them without the lock.
//! - `uses`, `last used` and `seen` are what a hit may write without the lock, while it holds the page. The first two are
//!   hints: a lost update costs a little of the eviction's foresight. `seen` only grows, or is a counter (`word.rs`): a
//!   store has pages of one kind. The bit `pinned once` is set in the same way, once; nobody takes it away.
//! - `chain` links the index. It is written under the lock, and read without it by whoever holds the page (see `find.rs`).
//! - The other fields are read and written under the lock only. `previous` and `next` belong to the one list that the
//!   page's state puts it in. `place` is the slot of the process that fills a page, later the queue that it is in.
//! - All runs of a page carry its generation, which no other page has (until 2^32 stores later).

use super::arena::Run;
use super::layout::{Mem, UNIT, offset, unit};

pub(super) const RUN_BYTES: usize = 12;
/// Bytes before the key.
pub(super) const ENTRY_BYTES: usize = 104;
// A first run may be a single unit.
const _: () = assert!(ENTRY_BYTES <= UNIT);

pub(super) mod field {
    pub const NEXT_RUN: usize = 0;
    pub const UNITS: usize = 4;
    pub const GENERATION: usize = 8;
    pub const KEY_LEN: usize = 12;
    pub const HASH: usize = 16;
    pub const CREATED: usize = 24;
    pub const EXPIRES: usize = 32;
    pub const LAST_USED: usize = 40;
    pub const TAG: usize = 48;
    pub const VALUE_LEN: usize = 56;
    pub const CHAIN: usize = 60;
    pub const PREV: usize = 64;
    pub const NEXT: usize = 68;
    pub const USES: usize = 72;
    pub const PLACE: usize = 76;
    pub const STALE_FOR: usize = 80;
    pub const ERROR_FOR: usize = 84;
    pub const BEGAN: usize = 88;
    pub const SEEN: usize = 96;
}

/// In the word of the key's length: the page was pinned at some time.
const PINNED_ONCE: u32 = 1 << 16;

/// A page's name inside the store. It may be stale: every use checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub(super) unit: u32,
    pub(super) generation: u32,
}

/// What the caller wants to know again when the page is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// When the page was made, in milliseconds of the caller's clock.
    pub created_ms: u64,
    /// Until when it is fresh. The store doesn't act on it, nor on what follows.
    pub expires_ms: u64,
    /// For how many seconds after that it may be served while it is renewed.
    pub stale_s: u32,
    /// For how many seconds after that it may be served where its origin fails.
    pub error_s: u32,
    /// The stamp that was the latest when its fetch began (see [`crate::board`]).
    pub began: u64,
    /// Whatever the caller likes.
    pub tag: u64,
}

/// A page that a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name, to hold, pin or remove it.
    pub entry: Entry,
    /// What it was published with.
    pub meta: Meta,
    /// What [`Store::see`](super::Store::see) noted last, 0 at first; or a counter's value.
    pub seen: u64,
    /// Bytes of its value.
    pub value_len: usize,
}

/// Steps over the stretches of memory in which a part of a page lies.
#[derive(Clone, Debug)]
pub(super) struct Pieces<'a> {
    mem: &'a Mem,
    /// Run that holds the next byte, and how many bytes of it come before.
    run: u32,
    skip: usize,
    left: usize,
    header: usize,
    /// A page has no more runs than the arena has units: damaged links can't keep us here.
    steps: u32,
}

impl Iterator for Pieces<'_> {
    /// Where the stretch begins in the region, and its length.
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        while self.left > 0 && self.steps > 0 && self.mem.in_arena(self.run) {
            self.steps -= 1;
            let units = self.mem.region.u32(offset(self.run, field::UNITS));
            let room = (units as usize).saturating_mul(UNIT).saturating_sub(self.header);
            let start = offset(self.run, self.header);
            self.run = self.mem.region.u32(offset(self.run, field::NEXT_RUN));
            self.header = RUN_BYTES;
            if self.skip >= room {
                self.skip -= room;
                continue;
            }
            let piece = (start + self.skip, (room - self.skip).min(self.left));
            self.skip = 0;
            self.left -= piece.1;
            return Some(piece);
        }
        None
    }
}

impl Mem {
    pub fn f32(&self, unit: u32, field: usize) -> u32 {
        self.region.u32(offset(unit, field))
    }

    pub fn set_f32(&self, unit: u32, field: usize, value: u32) {
        if self.in_arena(unit) {
            self.region.set_u32(offset(unit, field), value);
        }
    }

    pub fn f64(&self, unit: u32, field: usize) -> u64 {
        self.region.u64(offset(unit, field))
    }

    pub fn set_f64(&self, unit: u32, field: usize, value: u64) {
        if self.in_arena(unit) {
            self.region.set_u64(offset(unit, field), value);
        }
    }

    pub fn raise_f64(&self, unit: u32, field: usize, to: u64) {
        if self.in_arena(unit) {
            self.region.raise_u64(offset(unit, field), to);
        }
    }

    pub fn key_len(&self, page: u32) -> usize {
        (self.f32(page, field::KEY_LEN) & 0xffff) as usize
    }

    pub fn value_len(&self, page: u32) -> usize {
        self.f32(page, field::VALUE_LEN) as usize
    }

    /// Whether any process ever pinned the page. If not, nobody needs to look for its pins.
    pub fn pinned_once(&self, page: u32) -> bool {
        self.f32(page, field::KEY_LEN) & PINNED_ONCE != 0
    }

    /// All who write this word while the page is live write the same.
    pub fn set_pinned_once(&self, page: u32) {
        let word = self.f32(page, field::KEY_LEN);
        if word & PINNED_ONCE == 0 {
            self.set_f32(page, field::KEY_LEN, word | PINNED_ONCE);
        }
    }

    pub fn entry(&self, page: u32) -> Entry {
        Entry { unit: page, generation: self.f32(page, field::GENERATION) }
    }

    pub fn meta(&self, page: u32) -> Meta {
        Meta {
            created_ms: self.f64(page, field::CREATED),
            expires_ms: self.f64(page, field::EXPIRES),
            stale_s: self.f32(page, field::STALE_FOR),
            error_s: self.f32(page, field::ERROR_FOR),
            began: self.f64(page, field::BEGAN),
            tag: self.f64(page, field::TAG),
        }
    }

    pub fn found(&self, page: u32) -> Found {
        Found {
            entry: self.entry(page),
            meta: self.meta(page),
            seen: self.f64(page, field::SEEN),
            value_len: self.value_len(page),
        }
    }

    /// The page that an entry names, if it is still that page and can be read.
    pub fn readable(&self, entry: Entry) -> Option<u32> {
        let kind = self.kind(entry.unit);
        let same = matches!(kind, unit::LIVE | unit::ZOMBIE) && self.entry(entry.unit) == entry;
        same.then_some(entry.unit)
    }

    /// The stretches of `len` bytes of key and value, taken as one, from `skip` on.
    pub fn pieces(&self, page: u32, skip: usize, len: usize) -> Pieces<'_> {
        Pieces { mem: self, run: page, skip, left: len, header: ENTRY_BYTES, steps: self.geo.units }
    }

    pub fn key_is(&self, page: u32, key: &[u8]) -> bool {
        self.key_len(page) == key.len() && self.has_bytes(page, 0, key)
    }

    pub fn same_key(&self, page: u32, other: u32) -> bool {
        let len = self.key_len(page);
        let mut skip = 0;
        len == self.key_len(other)
            && self.pieces(page, 0, len).all(|(at, len)| {
                let part = self.region.bytes(at, len).unwrap_or_default();
                skip += len;
                self.has_bytes(other, skip - len, part)
            })
    }

    /// Whether these bytes are in key and value from `skip` on.
    fn has_bytes(&self, page: u32, skip: usize, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        for (at, len) in self.pieces(page, skip, bytes.len()) {
            let Some((part, after)) = rest.split_at_checked(len) else { return false };
            if self.region.bytes(at, len) != Some(part) {
                return false;
            }
            rest = after;
        }
        rest.is_empty()
    }

    /// Copies bytes into key and value from `skip` on; false if the page ends before.
    pub fn fill(&self, page: u32, skip: usize, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        for (at, len) in self.pieces(page, skip, bytes.len()) {
            let Some((part, after)) = rest.split_at_checked(len) else { return false };
            if !self.region.copy_in(at, part) {
                return false;
            }
            rest = after;
        }
        rest.is_empty()
    }

    /// Units of all runs of a page.
    pub fn page_units(&self, page: u32) -> u32 {
        let (mut run, mut sum) = (page, 0u32);
        for _ in 0..self.geo.units {
            if !self.in_arena(run) {
                break;
            }
            sum = sum.saturating_add(self.f32(run, field::UNITS));
            run = self.f32(run, field::NEXT_RUN);
        }
        sum
    }

    /// Takes units for a page until it has room for all its bytes, or none are left. Nothing in the map names
    /// the chain yet but the marks of its second and later runs.
    pub fn grow_chain(&self, chain: &mut Chain) {
        while chain.left > 0 || chain.first == 0 {
            let header = if chain.first == 0 { ENTRY_BYTES } else { RUN_BYTES };
            let want = (chain.left.saturating_add(header)).div_ceil(UNIT);
            let Some(Run { start, units }) = self.take(u32::try_from(want).unwrap_or(u32::MAX)) else {
                return;
            };
            self.set_f32(start, field::NEXT_RUN, 0);
            self.set_f32(start, field::UNITS, units);
            self.set_f32(start, field::GENERATION, chain.generation);
            if chain.first == 0 {
                chain.first = start;
            } else {
                self.set_kind(start, unit::RUN);
                self.set_f32(chain.last, field::NEXT_RUN, start);
            }
            chain.last = start;
            chain.units += units;
            chain.left = chain.left.saturating_sub((units as usize * UNIT).saturating_sub(header));
        }
    }

    /// Gives the runs of a chain back. The caller has taken its first unit's byte out of the map before.
    pub fn free_chain(&self, first: u32) {
        let mut run = first;
        for _ in 0..self.geo.units {
            if !self.in_arena(run) {
                return;
            }
            // Read before the free list's links are written over it.
            let next = self.f32(run, field::NEXT_RUN);
            let units = self.f32(run, field::UNITS);
            if units == 0 || units > self.geo.units - run {
                return;
            }
            self.give(Run { start: run, units });
            run = next;
        }
    }
}

/// Runs that are becoming a page.
#[derive(Debug)]
pub(super) struct Chain {
    /// First run, 0 before there is one.
    pub first: u32,
    last: u32,
    /// Bytes for which there is no room yet.
    left: usize,
    pub units: u32,
    generation: u32,
}

impl Chain {
    /// A chain that shall have room for `content` bytes behind an entry's header.
    pub fn new(content: usize, generation: u32) -> Chain {
        Chain { first: 0, last: 0, left: content, units: 0, generation }
    }

    pub fn is_complete(&self) -> bool {
        self.first != 0 && self.left == 0
    }
}
