//! How a zone's memory is shared out: pages, remembered values of sources, local counters.
//!
//! ```text
//! | nginx's slab pool | board | pages ............ | elements | local |
//! ```
//!
//! Invariants
//! - It follows from the zone's size and its shares alone, so that all processes see the same over every reload.
//! - A share has room for a store, or it is nothing. Who asks for a share that is too small is told.

use crate::store::{Geometry, TooSmall};

/// Percent of a zone that remembered values take where nothing is said.
pub const ELEMENTS: u8 = 5;
/// Percent of a zone that local counters take where nothing is said.
pub const LOCAL: u8 = 2;
/// The greatest share of either.
pub const MOST: u8 = 50;
/// The greatest sum of both.
pub const MOST_TOGETHER: u8 = 80;

/// From this size on a zone has both, if it is not said otherwise: the default share, but at least what makes a store.
const ROOMY: usize = 2 << 20;
/// Parts begin and end at whole pages of memory.
const STEP: usize = 4096;

/// One share of a zone, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nothing is said of it: so much if the zone has the room.
    Default(u8),
    /// So much.
    Percent(u8),
}

impl Share {
    /// `N%` with N from 0 to 50.
    pub fn parse(text: &str) -> Option<Share> {
        let number = text.strip_suffix('%')?;
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let percent = if is_number { number.parse().ok()? } else { return None };
        (percent <= MOST).then_some(Share::Percent(percent))
    }

    /// In percent.
    pub fn percent(self) -> u8 {
        let (Share::Default(percent) | Share::Percent(percent)) = self;
        percent
    }

    /// Bytes of it in a zone; the error is the least percentage that would do.
    fn bytes(self, zone: usize, slots: u32) -> Result<usize, u64> {
        let percent = usize::from(self.percent());
        let wanted = (zone / 100 * percent) / STEP * STEP;
        let least = least_store(slots);
        if percent == 0 || wanted >= least {
            return Ok(wanted);
        }
        match self {
            Share::Default(_) if zone >= ROOMY => Ok(least),
            Share::Default(_) => Ok(0),
            // As above: of whole hundreds of the zone.
            Share::Percent(_) => Err(least.div_ceil((zone / 100).max(1)) as u64),
        }
    }
}

/// The shares of a zone that pages don't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// For remembered values.
    pub elements: Share,
    /// For local counters.
    pub local: Share,
}

impl Default for Shares {
    fn default() -> Self {
        Shares { elements: Share::Default(ELEMENTS), local: Share::Default(LOCAL) }
    }
}

/// A share in which no store has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFew {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The least percentage that would do in a zone of this size; it may be more than is allowed.
    pub least: u64,
}

/// Bytes of the stores beside the pages'; 0: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Parts {
    /// For remembered values.
    pub elements: usize,
    /// For local counters.
    pub local: usize,
}

impl Parts {
    /// Those of a zone of `zone` bytes, used by up to `slots` processes.
    pub fn of(zone: usize, shares: Shares, slots: u32) -> Result<Parts, TooFew> {
        let bytes = |name, share: Share| share.bytes(zone, slots).map_err(|least| TooFew { name, least });
        Ok(Parts { elements: bytes("elements", shares.elements)?, local: bytes("local", shares.local)? })
    }

    /// Both.
    pub fn sum(&self) -> usize {
        self.elements.saturating_add(self.local)
    }
}

fn least_store(slots: u32) -> usize {
    let least = match Geometry::for_len(0, slots) {
        Ok(_) => 0,
        Err(TooSmall { least }) => least,
    };
    least.next_multiple_of(STEP)
}
