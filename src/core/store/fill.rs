//! Filling a page: reserved under the lock, written without it, published under it again.

use super::Store;
use super::entry::Entry;
use super::layout::{Mem, unit};
use super::region::Region;

/// Why there is no reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveError {
    /// The page is larger than the store takes, and always will be.
    TooLarge,
    /// Too much is in use right now. Another time it may work.
    NoRoom,
    /// The store was created for fewer processes.
    NoSlot,
}

impl ReserveError {
    /// The one name of this outcome.
    pub fn as_str(self) -> &'static str {
        match self {
            ReserveError::TooLarge => "too-large",
            ReserveError::NoRoom => "no-room",
            ReserveError::NoSlot => "no-slot",
        }
    }

    /// Whether the same page may be taken another time.
    pub fn is_temporary(self) -> bool {
        self == ReserveError::NoRoom
    }
}

/// Why bytes were not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// They end after the value's reserved length.
    OutOfBounds,
    /// The reservation is not of this store, or no longer there.
    Lost,
}

/// A page that belongs to the caller until it is published or abandoned.
///
/// One that is merely dropped keeps its units until its slot is released.
#[derive(Debug)]
#[must_use = "publish or abandon it: its units stay taken otherwise"]
pub struct Reservation {
    region: Region,
    entry: Entry,
    key_len: usize,
    value_len: usize,
}

impl Reservation {
    pub(super) fn assemble(region: Region, entry: Entry, key_len: usize, value_len: usize) -> Reservation {
        Reservation { region, entry, key_len, value_len }
    }

    /// Bytes of the value.
    pub fn value_len(&self) -> usize {
        self.value_len
    }

    /// The page, if it is in this memory and still being filled. Under the lock.
    pub(super) fn entry_in(&self, mem: &Mem) -> Option<Entry> {
        self.is_in(mem).filter(|entry| mem.kind(entry.unit) == unit::PENDING)
    }

    /// The page, if it is in this memory: without the lock, as the map may be in the making.
    fn is_in(&self, mem: &Mem) -> Option<Entry> {
        (self.region == mem.region && mem.is_entry(self.entry)).then_some(self.entry)
    }
}

impl Store {
    /// Writes bytes into the value of a reserved page, from `offset` on. Needs no lock.
    pub fn write(
        &self,
        reservation: &mut Reservation,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), WriteError> {
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= reservation.value_len);
        if !fits {
            return Err(WriteError::OutOfBounds);
        }
        let entry = reservation.is_in(&self.mem).ok_or(WriteError::Lost)?;
        let written = self.mem.fill(entry.unit, reservation.key_len + offset, bytes);
        if written { Ok(()) } else { Err(WriteError::Lost) }
    }
}
