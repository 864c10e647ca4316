//! How many different visitors came by in the last 24 hours: a HyperLogLog sketch for each hour.
//!
//! ```text
//! slice of an hour    0 the hour, since the epoch | 8 registers, a byte each
//! ```
//!
//! A visitor's hash chooses a register by its low bits; the register keeps the greatest number of trailing zeros, plus
//! one, of what is left. The figure of the last 24 hours is that of the greatest registers of the last 24 slices and
//! the one that is being filled (Flajolet et al., 2007; the standard error is 1.04 / sqrt(registers): 0.8 % for 16,384).
//!
//! No lock: two workers that write one register at once may lose a little of one visitor, and whoever begins a slice anew
//! while another one writes to it, some of the hour's first. A visit that changes nothing, as nearly all do, writes nothing.

use super::Board;

/// Hours of a day, and the one that is being filled.
const SLICES: u64 = 25;
const HOUR_MS: u64 = 3_600_000;

/// Where the slices lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    at: usize,
    /// Registers are 2 to this power.
    bits: u32,
}

impl Plan {
    pub fn for_zone(len: usize, start: usize) -> Plan {
        let bits = match len {
            0..0x40_0000 => 10,
            0x40_0000..0x100_0000 => 12,
            _ => 14,
        };
        Plan { at: start.next_multiple_of(64), bits }
    }

    fn slice(&self) -> usize {
        8 + (1 << self.bits)
    }

    pub fn end(&self) -> usize {
        self.at + SLICES as usize * self.slice()
    }
}

impl Board {
    /// A visitor with this hash came by. Whoever can choose hashes can spoil the figure: the hash must be a keyed one.
    #[inline]
    pub fn visit(&self, hash: u64, now_ms: u64) {
        let plan = &self.plan.uniques;
        let hour = now_ms / HOUR_MS;
        let slice = plan.at + (hour % SLICES) as usize * plan.slice();
        if self.region.u64(slice) != hour {
            self.begin_slice(slice, hour);
        }
        let register = slice + 8 + (hash as usize & ((1 << plan.bits) - 1));
        let rank = ((hash >> plan.bits) | 1 << (64 - plan.bits - 1)).trailing_zeros() as u8 + 1;
        if self.region.u8(register) < rank {
            self.region.set_u8(register, rank);
        }
    }

    #[cold]
    fn begin_slice(&self, slice: usize, hour: u64) {
        for at in slice + 8..slice + self.plan.uniques.slice() {
            self.region.set_u8(at, 0);
        }
        self.region.set_u64(slice, hour);
    }

    /// An estimate of how many different visitors came by in the last 24 hours.
    pub fn visitors(&self, now_ms: u64) -> u64 {
        let plan = &self.plan.uniques;
        let hour = now_ms / HOUR_MS;
        let slices = (0..SLICES).map(|i| plan.at + i as usize * plan.slice());
        let recent: Vec<_> = slices
            .filter(|at| (hour.saturating_sub(SLICES - 1)..=hour).contains(&self.region.u64(*at)))
            .collect();
        // How many registers have each rank.
        let mut ranks = [0.0; 66];
        for register in 0..1usize << plan.bits {
            let rank = recent.iter().map(|at| self.region.u8(at + 8 + register)).max().unwrap_or(0);
            if let Some(count) = ranks.get_mut(usize::from(rank)) {
                *count += 1.0;
            }
        }
        estimate(&ranks, plan.bits).round() as u64
    }
}

/// Ertl's estimator, which has no range of counts where it is off (New cardinality estimation algorithms for HyperLogLog
/// sketches, 2017, algorithm 6).
fn estimate(ranks: &[f64; 66], bits: u32) -> f64 {
    let m = f64::from(1u32 << bits);
    let most = (63 - bits) as usize;
    let count = |rank: usize| ranks.get(rank).copied().unwrap_or(0.0);
    let mut z = m * tau(1.0 - count(most + 1) / m);
    for rank in (1..=most).rev() {
        z = 0.5 * (z + count(rank));
    }
    z += m * sigma(count(0) / m);
    m * m / (2.0 * std::f64::consts::LN_2 * z)
}

/// What follows converges sooner: the square of a number below 1 is soon none, its root soon 1.
const STEPS: u32 = 100;

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    for _ in 0..STEPS {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            break;
        }
    }
    z
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    for _ in 0..STEPS {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            break;
        }
    }
    z / 3.0
}
