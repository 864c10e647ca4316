//! Where fetches lie in a zone, and what an entry holds.
//!
//! ```text
//! set    8 entries; a key has its place in one of them, by its hash
//! entry  0 hash | 8 state, failures (16 bits) and rounds, or to whom the answer went that can't be stored | 16 generation | 24 started | 32 until | 40 channels that wait | 48 owner, pid
//!        56 latest stamp when it began
//! ```

/// Entries of a set.
const SET: usize = 8;
/// Bytes of an entry: a cache line.
const ENTRY: usize = 64;

pub mod field {
    pub const HASH: usize = 0;
    pub const STATE: usize = 8;
    pub const FAILURES: usize = 12;
    pub const GENERATION: usize = 16;
    pub const STARTED: usize = 24;
    pub const UNTIL: usize = 32;
    pub const CHANNELS: usize = 40;
    pub const OWNER: usize = 48;
    pub const PID: usize = 52;
    pub const BEGAN: usize = 56;
}

pub mod state {
    pub const FREE: u32 = 0;
    /// A client waits for it.
    pub const FETCHING: u32 = 1;
    /// A stale page is being renewed.
    pub const REFRESHING: u32 = 2;
    /// What came last can't be stored.
    pub const UNSTORABLE: u32 = 3;
    /// The origin failed.
    pub const FAILING: u32 = 4;
    /// What came last is to be compared with what comes next.
    pub const AGAIN: u32 = 5;
}

/// Where a table lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    at: usize,
    /// A power of two.
    sets: usize,
}

impl Plan {
    /// For as many fetches as this or fewer: the largest power of two that is not more.
    pub fn for_some(flights: usize, start: usize) -> Plan {
        Plan { at: start.next_multiple_of(ENTRY), sets: 1 << (flights / SET).max(1).ilog2() }
    }

    pub fn end(&self) -> usize {
        self.at + self.sets * SET * ENTRY
    }

    /// Those in which a key may have its place.
    pub fn set(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        // The store uses the low bits for its own index: other ones here cost nothing.
        let set = (hash >> 32) as usize & (self.sets - 1);
        let first = self.at + set * SET * ENTRY;
        (0..SET).map(move |n| first + n * ENTRY)
    }

    /// All of them.
    pub fn entries(&self) -> impl Iterator<Item = usize> + use<> {
        (self.at..self.end()).step_by(ENTRY)
    }
}
