//! What a zone keeps besides its pages, in memory of its own: figures, fetches under way, purges, visitors.
//!
//! ```text
//! 0        header: identity, the latest stamp
//! counters lines of figures, one for each of a few workers (`counters`)
//! flights  fetches under way (`flights`)
//! stamps   purges (`stamps`)
//! uniques  a sketch of who came by (`uniques`)
//! flights  of remembered values, where the zone has room for such
//! ```
//!
//! Invariants
//! - Nothing here is needed to read a page. Whatever a killed process leaves half done costs a fetch more than needed,
//!   never a wrong answer.
//! - It has the store's lock, and where a part says so none.
//! - It grows with the zone and has a limit: [`Plan`] tells the length from the zone's.

pub mod counters;
pub mod flights;
pub mod stamps;
mod uniques;

use crate::store::Region;

pub use counters::Counter;
pub use stamps::{Purge, Refused, Verdict};

const MAGIC: u64 = u64::from_le_bytes(*b"twice\0bd");
/// Changes with every change of what lies where.
const VERSION: u64 = 3;

mod at {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 8;
    pub const LEN: usize = 16;
    /// The number of the fetch that began last.
    pub const GENERATION: usize = 24;
}

/// Bytes before the first part.
const HEADER: usize = 256;

/// Bytes of a zone for each fetch that can be under way in it at once, within limits.
const ZONE_PER_FLIGHT: usize = 4096;
const LEAST_FLIGHTS: usize = 64;
const MOST_FLIGHTS: usize = 1024;
/// The same for values of sources: a page asks for several.
const LEAST_ELEMENT_FLIGHTS: usize = 256;
const MOST_ELEMENT_FLIGHTS: usize = 2048;

/// Where each part lies, computed from the zone's length alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Lines of figures, a power of two.
    pub counter_lines: u32,
    counters_at: usize,
    flights: flights::Plan,
    stamps: stamps::Plan,
    uniques: uniques::Plan,
    element_flights: Option<flights::Plan>,
    len: usize,
}

impl Plan {
    /// For a zone of `len` bytes, with room for fetches of remembered values or without.
    pub fn for_zone(len: usize, elements: bool) -> Plan {
        let counter_lines = if len < 8 << 20 { 8 } else { 64 };
        let counters_at = HEADER;
        let wanted = len / ZONE_PER_FLIGHT;
        let flights = flights::Plan::for_some(
            wanted.clamp(LEAST_FLIGHTS, MOST_FLIGHTS),
            counters_at + counter_lines as usize * counters::LINE,
        );
        let stamps = stamps::Plan::for_zone(len, flights.end());
        let uniques = uniques::Plan::for_zone(len, stamps.end());
        let element_flights = elements.then(|| {
            let most = wanted.clamp(LEAST_ELEMENT_FLIGHTS, MOST_ELEMENT_FLIGHTS);
            flights::Plan::for_some(most, uniques.end())
        });
        let end = element_flights.map_or(uniques.end(), |flights| flights.end()).next_multiple_of(8);
        Plan { counter_lines, counters_at, flights, stamps, uniques, element_flights, len: end }
    }

    /// Bytes of the board.
    pub fn bytes(&self) -> usize {
        self.len
    }
}

/// A zone's board, as one process sees it.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    region: Region,
    plan: Plan,
}

impl Board {
    /// Makes an empty board in a region of [`Plan::bytes`]; `None` if it is shorter. Whatever was there is gone.
    pub fn create(region: Region, plan: Plan) -> Option<Board> {
        if region.len() < plan.len {
            return None;
        }
        region.set_u64(at::MAGIC, 0);
        for word in (8..plan.len).step_by(8) {
            region.set_u64(word, 0);
        }
        region.set_u64(at::VERSION, VERSION);
        region.set_u64(at::LEN, plan.len as u64);
        region.set_u64(at::MAGIC, MAGIC);
        Some(Board { region, plan })
    }

    /// Finds the board that is in a region already; `None` if it is none of this plan.
    pub fn attach(region: Region, plan: Plan) -> Option<Board> {
        let same = region.u64(at::MAGIC) == MAGIC
            && region.u64(at::VERSION) == VERSION
            && region.u64(at::LEN) == plan.len as u64;
        same.then_some(Board { region, plan })
    }
}
