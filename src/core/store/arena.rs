//! Free space: runs of units, each as long as it can be, in bins by length.
//!
//! Invariants
//! - No two free runs touch: what is given back is joined with its free neighbours at once.
//! - A free run is marked in the map at both ends and carries its length at both ends, so that either
//!   neighbour finds it in one step. Nothing inside it means anything.
//! - `bin(length)` tells the list it is in; the list's bit is set exactly when the list isn't empty.
//!
//! ```text
//! free run of n units          map   HEAD  body ...  TAIL      (or ONE)
//!   first unit   0 previous | 4 next | 8 n
//!   last unit                                 | 12 n
//! ```
//!
//! A page may be made of any runs, so a request never fails while enough units are free; the bins
//! serve to make it one run where possible. Joining all neighbours instead of buddies alone keeps
//! the runs longer, and a page's last run needs no rounding to a power of two. Pages of 1-100 KB under LRU
//! churn in 256 MB, beside a buddy whose pages are sums of power-of-two extents of 1 KB units
//! (`examples/store_bench` prints the first line):
//!
//! ```text
//!            live bytes / arena   runs for each page   store p99    p99.9
//! runs             0.983                2.65             5 us      7-9 us
//! buddy            0.97                 4.3              5 us      7-57 us
//! ```

use super::layout::{BINS, Mem, at, offset, unit};
use super::stats::Gauge;

const PREV: usize = 0;
const NEXT: usize = 4;
const LENGTH: usize = 8;
const LENGTH_AT_END: usize = 12;

/// Units that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub start: u32,
    pub units: u32,
}

/// Lengths below 16 have a bin each; above, eight bins for each power of two.
pub(super) fn bin(units: u32) -> u32 {
    if units < 16 {
        return units;
    }
    let power = units.ilog2();
    16 + (power - 4) * 8 + ((units >> (power - 3)) & 7)
}

/// The first bin in which every run has at least this length.
fn fitting_bin(units: u32) -> u32 {
    let bin = bin(units);
    let is_least = units < 16 || units.trailing_zeros() >= units.ilog2() - 3;
    if is_least { bin } else { bin + 1 }
}

impl Mem {
    /// Units that are free.
    pub fn free_units(&self) -> u32 {
        self.gauge(Gauge::FreeUnits) as u32
    }

    /// Takes `want` units in one run; if there is no such run, one of the longest there are.
    pub fn take(&self, want: u32) -> Option<Run> {
        let bin = self.used_bin_from(fitting_bin(want)).or_else(|| self.last_used_bin())?;
        let start = self.region.u32(at::BINS + 4 * bin as usize);
        let found = self.free_length(start)?;
        self.unlink_free(start, found);
        self.set_kind(start, unit::BODY);
        self.set_kind(start + (found - 1), unit::BODY);
        let units = found.min(want);
        if found > units {
            self.link_free(Run { start: start + units, units: found - units });
        }
        self.lower(Gauge::FreeUnits, u64::from(units));
        Some(Run { start, units })
    }

    /// Gives units back.
    pub fn give(&self, run: Run) {
        self.raise(Gauge::FreeUnits, u64::from(run.units));
        let Run { mut start, mut units } = run;
        if let Some(left) = self.free_run_before(start) {
            self.unlink_free(left.start, left.units);
            self.set_kind(left.start, unit::BODY);
            self.set_kind(start - 1, unit::BODY);
            start = left.start;
            units += left.units;
        }
        let after = start + units;
        if let Some(right) = self.free_length(after) {
            self.unlink_free(after, right);
            self.set_kind(after, unit::BODY);
            self.set_kind(after + (right - 1), unit::BODY);
            units += right;
        }
        // Where the joined run begins, a page's run may have begun.
        self.set_kind(run.start, unit::BODY);
        self.link_free(Run { start, units });
    }

    /// Length of the free run that begins at `start`, if one does and fits the arena.
    pub fn free_length(&self, start: u32) -> Option<u32> {
        let units = match self.kind(start) {
            unit::FREE_ONE => 1,
            unit::FREE_HEAD => self.region.u32(offset(start, LENGTH)),
            _ => return None,
        };
        (units >= 1 && units <= self.geo.units - start).then_some(units)
    }

    /// The free run that ends just before `unit`.
    pub fn free_run_before(&self, unit: u32) -> Option<Run> {
        let last = unit.checked_sub(1)?;
        let units = match self.kind(last) {
            unit::FREE_ONE => 1,
            unit::FREE_TAIL => self.region.u32(offset(last, LENGTH_AT_END)),
            _ => return None,
        };
        let start = unit.checked_sub(units)?;
        (units >= 1 && self.in_arena(start)).then_some(Run { start, units })
    }

    /// Empties the bins, for a rebuild.
    pub fn clear_bins(&self) {
        for word in 0..BINS.div_ceil(32) as usize {
            self.region.set_u32(at::BIN_BITS + 4 * word, 0);
        }
        for bin in 0..BINS as usize {
            self.region.set_u32(at::BINS + 4 * bin, 0);
        }
        self.set_gauge(Gauge::FreeUnits, 0);
    }

    /// First run of a bin, and the run after a run.
    pub fn first_in_bin(&self, bin: u32) -> u32 {
        self.region.u32(at::BINS + 4 * bin as usize)
    }

    pub fn next_in_bin(&self, start: u32) -> u32 {
        self.region.u32(offset(start, NEXT))
    }

    pub fn previous_in_bin(&self, start: u32) -> u32 {
        self.region.u32(offset(start, PREV))
    }

    pub fn bin_bit(&self, bin: u32) -> bool {
        self.region.u32(at::BIN_BITS + 4 * (bin / 32) as usize) >> (bin % 32) & 1 == 1
    }

    fn set_bin_bit(&self, bin: u32, on: bool) {
        let place = at::BIN_BITS + 4 * (bin / 32) as usize;
        let bit = 1 << (bin % 32);
        let word = self.region.u32(place);
        self.region.set_u32(place, if on { word | bit } else { word & !bit });
    }

    fn link_free(&self, run: Run) {
        let Run { start, units } = run;
        let bin = bin(units);
        let place = at::BINS + 4 * bin as usize;
        let next = self.region.u32(place);
        self.region.set_u32(offset(start, PREV), 0);
        self.region.set_u32(offset(start, NEXT), next);
        self.region.set_u32(offset(start, LENGTH), units);
        self.region.set_u32(offset(start + (units - 1), LENGTH_AT_END), units);
        if units == 1 {
            self.set_kind(start, unit::FREE_ONE);
        } else {
            self.set_kind(start, unit::FREE_HEAD);
            self.set_kind(start + (units - 1), unit::FREE_TAIL);
        }
        if next == 0 {
            self.set_bin_bit(bin, true);
        } else {
            self.region.set_u32(offset(next, PREV), start);
        }
        self.region.set_u32(place, start);
    }

    fn unlink_free(&self, start: u32, units: u32) {
        let bin = bin(units);
        let prev = self.region.u32(offset(start, PREV));
        let next = self.region.u32(offset(start, NEXT));
        if next != 0 {
            self.region.set_u32(offset(next, PREV), prev);
        }
        if prev != 0 {
            self.region.set_u32(offset(prev, NEXT), next);
            return;
        }
        self.region.set_u32(at::BINS + 4 * bin as usize, next);
        if next == 0 {
            self.set_bin_bit(bin, false);
        }
    }

    fn used_bin_from(&self, bin: u32) -> Option<u32> {
        let mut word = bin / 32;
        let mut bits = self.region.u32(at::BIN_BITS + 4 * word as usize) & (u32::MAX << (bin % 32));
        loop {
            if bits != 0 {
                return Some(word * 32 + bits.trailing_zeros());
            }
            word += 1;
            if word >= BINS.div_ceil(32) {
                return None;
            }
            bits = self.region.u32(at::BIN_BITS + 4 * word as usize);
        }
    }

    fn last_used_bin(&self) -> Option<u32> {
        (0..BINS.div_ceil(32)).rev().find_map(|word| {
            let bits = self.region.u32(at::BIN_BITS + 4 * word as usize);
            (bits != 0).then(|| word * 32 + bits.ilog2())
        })
    }
}
