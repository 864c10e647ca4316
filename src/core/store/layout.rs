//! Where everything lies in the region, computed from its length alone.
//!
//! ```text
//! 0        header: identity and settings | dirty word, lists, counters, bins of free runs
//! slots    one cache line for each process
//! pins     blocks of pin words, one cache line each
//! ghosts   keys of pages that went lately, for S3-FIFO
//! buckets  heads of the index chains
//! map      one byte for each unit of the region
//! arena    units, from `first` to `units`
//! ```
//!
//! A unit's number counts from the region's start, so that unit `u` lies at `u * UNIT`. Unit 0 is
//! the header's: 0 is therefore "none" in every link.

use super::region::Region;

/// Bytes in a unit of the arena. Measured with `examples/store_bench`, 256 MB, units of 128, 256 and 512
/// bytes: pages of 1.5 KB fill 0.94, 0.87, 0.76 of the arena, those of 1-100 KB 0.983, 0.980, 0.975; a page has
/// 2.7, 2.3, 2.1 runs and takes the same time to store.
pub const UNIT: usize = 128;

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"twice\0st");
/// Changes with every change of what lies where.
pub(super) const VERSION: u32 = 3;

/// The arena below which a region is not worth being one.
const LEAST_ARENA: usize = 16 * 1024;
/// A pin serves one big answer on its way out. A block of pins for this many bytes of the region.
const BYTES_PER_BLOCK: usize = 512 * 1024;
/// Evicted keys that S3-FIFO remembers: at most one for this many bytes of the region.
const BYTES_PER_GHOST: usize = 4 * 1024;
/// Units that evictions leave free are one in so many. With none a page of 1-100 KB comes to 14 runs, with 1/400 to
/// 6, with 1/200 to 4.3, with 1/100 to 2.7, and the time to store it falls to a third.
const SLACK: u32 = 100;
/// A chain is short even where pages are: 1.2 pages long on average in a bucket that has one, for pages of 1 KB.
const BYTES_PER_BUCKET: usize = 512;
pub(super) const SLOT_BYTES: usize = 64;
pub(super) const BLOCK_BYTES: usize = 64;
pub(super) const GHOST_BYTES: usize = 8;

/// Offsets in the header. What every hit reads stands in lines that no section writes.
pub(super) mod at {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 8;
    pub const UNIT: usize = 12;
    pub const LEN: usize = 16;
    pub const SEED: usize = 24;
    pub const SLOTS: usize = 40;
    pub const SLOTS_HIGH: usize = 44;
    pub const MAX_PAGE: usize = 48;
    pub const INACTIVE: usize = 56;
    pub const POLICY: usize = 64;
    pub const BLOCKS_HIGH: usize = 68;
    pub const SAVED: usize = 72;

    pub const DIRTY: usize = 128;
    pub const GENERATION: usize = 132;
    pub const MAIN: usize = 136;
    pub const SMALL: usize = 144;
    pub const PENDING: usize = 152;
    pub const ZOMBIES: usize = 160;
    pub const HAND: usize = 168;
    pub const SWEEP: usize = 172;
    pub const GHOST_CLOCK: usize = 176;

    pub const COUNTERS: usize = 256;
    pub const BIN_BITS: usize = 512;
    pub const BINS: usize = 576;
    pub const END: usize = BINS + 4 * super::BINS as usize;
}

/// Lists of free runs, by length.
pub(super) const BINS: u32 = 240;

/// A region that is too small to be a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// The least length in bytes that would do.
    pub least: usize,
}

/// Sizes and places of the tables in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub(super) len: usize,
    pub(super) slots: u32,
    /// Blocks of pin words.
    pub(super) blocks: u32,
    pub(super) blocks_at: usize,
    /// A power of two.
    pub(super) ghosts: u32,
    pub(super) ghosts_at: usize,
    pub(super) buckets: u32,
    pub(super) buckets_at: usize,
    pub(super) map_at: usize,
    /// First unit of the arena.
    pub(super) first: u32,
    /// One past the last unit.
    pub(super) units: u32,
}

pub(super) const SLOTS_AT: usize = at::END.next_multiple_of(SLOT_BYTES);

impl Geometry {
    /// How a region of `len` bytes is divided for up to `slots` processes.
    pub fn for_len(len: usize, slots: u32) -> Result<Geometry, TooSmall> {
        let geometry = Geometry::divide(len, slots);
        if geometry.arena_bytes() >= LEAST_ARENA {
            return Ok(geometry);
        }
        // The tables grow slower than the region, so that the least length is found by halving.
        let (mut short, mut enough) = (len, len.max(1));
        while Geometry::divide(enough, slots).arena_bytes() < LEAST_ARENA {
            short = enough;
            enough = enough.saturating_mul(2);
        }
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if Geometry::divide(middle, slots).arena_bytes() < LEAST_ARENA {
                short = middle;
            } else {
                enough = middle;
            }
        }
        Err(TooSmall { least: enough })
    }

    fn divide(len: usize, slots: u32) -> Geometry {
        let slots = slots.clamp(1, 1 << 16);
        // More units than a link can name stay unused: 2^31 units are 256 GB.
        let units = u32::try_from(len / UNIT).unwrap_or(u32::MAX).min(1 << 31);
        let used = units as usize * UNIT;
        let blocks = (used / BYTES_PER_BLOCK).clamp(64, 1 << 12);
        let ghosts = (used / BYTES_PER_GHOST).next_power_of_two().clamp(64, 1 << 24);
        let buckets = (used / BYTES_PER_BUCKET).clamp(64, 1 << 30);
        let blocks_at = SLOTS_AT + slots as usize * SLOT_BYTES;
        let ghosts_at = blocks_at + blocks * BLOCK_BYTES;
        let buckets_at = ghosts_at + ghosts * GHOST_BYTES;
        let map_at = buckets_at + buckets * 4;
        let first = (map_at + units as usize).div_ceil(UNIT);
        Geometry {
            len,
            slots,
            blocks: blocks as u32,
            blocks_at,
            ghosts: ghosts as u32,
            ghosts_at,
            buckets: buckets as u32,
            buckets_at,
            map_at,
            first: u32::try_from(first).unwrap_or(u32::MAX).min(units),
            units,
        }
    }

    /// Bytes that pages can take, with their headers.
    pub fn arena_bytes(&self) -> usize {
        self.arena_units() as usize * UNIT
    }

    pub(super) fn arena_units(&self) -> u32 {
        self.units - self.first
    }

    /// The greatest sum of key and value that an otherwise empty region can hold.
    pub fn largest_page(&self) -> usize {
        self.arena_bytes().saturating_sub(super::entry::ENTRY_BYTES).min(u32::MAX as usize)
    }

    /// The parts of the region's tables that a rebuild makes again whatever is in them, for tests that spoil them.
    pub fn rebuilt(&self) -> [std::ops::Range<usize>; 3] {
        [at::MAIN..at::COUNTERS, at::BIN_BITS..at::END, self.buckets_at..self.map_at]
    }

    /// Free units that an eviction leaves: with some to choose from, a page needs fewer runs.
    pub fn slack(&self) -> u32 {
        self.arena_units() / SLACK
    }

    /// Units that a page takes when it lies in one run.
    pub fn units_of(content: usize) -> u32 {
        let bytes = content.saturating_add(super::entry::ENTRY_BYTES);
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
    }
}

/// What a section works on: the region and how it is divided.
///
/// The division is this process's own copy, so that a damaged header can't lead it astray.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mem {
    pub region: Region,
    pub geo: Geometry,
}

/// What a unit is, as its byte in the map says.
///
/// The map is the truth from which everything else can be rebuilt, so the change of the byte of a page's
/// first unit is the instant at which the page comes to be, is published, or ceases to be.
pub(super) mod unit {
    /// Inside a run, of a page or free.
    pub const BODY: u8 = 0;
    /// First and last unit of a free run, and a free run of one unit.
    pub const FREE_HEAD: u8 = 1;
    pub const FREE_TAIL: u8 = 2;
    pub const FREE_ONE: u8 = 3;
    /// First unit of a page's second, third ... run.
    pub const RUN: u8 = 4;
    /// First unit of a page that is being filled outside the lock.
    pub const PENDING: u8 = 5;
    /// First unit of a page that can be found.
    pub const LIVE: u8 = 6;
    /// First unit of a page that can't be found any more, but is still being read.
    pub const ZOMBIE: u8 = 7;
    /// No part of the arena.
    pub const OUTSIDE: u8 = 8;
    /// Only while the store is being rebuilt: inside a run that a page owns.
    pub const CLAIMED: u8 = 9;
    /// Only while the store is being rebuilt: LIVE, and already in the LRU list.
    pub const LISTED: u8 = 10;
}

impl Mem {
    /// A number for a new page.
    pub fn next_generation(&self) -> u32 {
        let generation = self.region.u32(at::GENERATION).wrapping_add(1);
        self.region.set_u32(at::GENERATION, generation);
        generation
    }

    pub fn in_arena(&self, unit: u32) -> bool {
        unit >= self.geo.first && unit < self.geo.units
    }

    /// What a unit is.
    #[inline]
    pub fn kind(&self, unit: u32) -> u8 {
        if self.in_arena(unit) { self.region.u8(self.geo.map_at + unit as usize) } else { unit::OUTSIDE }
    }

    #[inline]
    pub fn set_kind(&self, unit: u32, kind: u8) {
        if self.in_arena(unit) {
            self.region.set_u8(self.geo.map_at + unit as usize, kind);
        }
    }
}

/// Byte offset of a field in a unit.
#[inline]
pub(super) fn offset(unit: u32, field: usize) -> usize {
    unit as usize * UNIT + field
}
