//! What pages take, the same for the store, the models and the oracle.

use super::trace::Trace;
use twice_core::store::{Geometry, UNIT};

/// What is not stored because it is too large, as by the default of `twice_zone`.
pub const MAX_PAGE: usize = 1 << 20;

/// Every key of the benchmark has this length.
pub const KEY_LEN: usize = 32;

pub struct Pages {
    /// Bytes of each page, as a client sees them.
    pub sizes: Vec<u32>,
    /// Bytes of the store's arena that each page takes: header, key and value, in whole units.
    pub costs: Vec<u32>,
    /// For each request the number of the next one for the same page.
    pub nexts: Vec<usize>,
}

impl Pages {
    pub fn of(trace: &Trace) -> Pages {
        let cost = |size: &u32| Geometry::units_of(KEY_LEN + *size as usize).saturating_mul(UNIT as u32);
        let mut last = vec![usize::MAX; trace.sizes.len()];
        let mut nexts = vec![0; trace.requests.len()];
        for (at, page) in trace.requests.iter().enumerate().rev() {
            nexts[at] = std::mem::replace(&mut last[*page as usize], at);
        }
        Pages { sizes: trace.sizes.clone(), costs: trace.sizes.iter().map(cost).collect(), nexts }
    }

    pub fn may_be_stored(&self, page: u32) -> bool {
        KEY_LEN + self.sizes[page as usize] as usize <= MAX_PAGE
    }

    /// Bytes that would hold all pages that may be stored.
    pub fn footprint(&self) -> u64 {
        let pages = (0..self.sizes.len() as u32).filter(|page| self.may_be_stored(*page));
        pages.map(|page| u64::from(self.costs[page as usize])).sum()
    }
}
