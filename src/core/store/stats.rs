//! The store's own figures: gauges say what is there now, counters what has happened since creation.

use super::layout::{Mem, at};

/// Figures that are rebuilt after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Gauge {
    Entries,
    LiveBytes,
    LiveUnits,
    Pending,
    PendingUnits,
    Zombies,
    ZombieUnits,
    FreeUnits,
    SmallUnits,
}

/// Figures that only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Counter {
    Stores = 16,
    Replaced,
    Evicted,
    Inactive,
    Removed,
    Refused,
    Recoveries,
    Lost,
    StoredUnits,
    EvictedUnits,
}

/// A snapshot of the store's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Pages that can be found.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub live_bytes: u64,
    /// Units that they take.
    pub live_units: u64,
    /// Pages that are being filled.
    pub pending: u64,
    /// Units that those take.
    pub pending_units: u64,
    /// Pages that can't be found any more but are still being read, or were when last looked at.
    pub zombies: u64,
    /// Units that those take.
    pub zombie_units: u64,
    /// Units that nothing takes.
    pub free_units: u64,
    /// All units of the arena: the sum of live, pending, zombie and free ones.
    pub arena_units: u64,
    /// Pins in force.
    pub pins: u64,
    /// Pins that can be in force at once.
    pub pins_limit: u64,
    /// Pages published.
    pub stores: u64,
    /// Pages that gave way to a newer one under the same key.
    pub replaced: u64,
    /// Pages that gave way because their space was needed.
    pub evicted: u64,
    /// Pages dropped because nobody had asked for them for longer than the store keeps such.
    pub inactive: u64,
    /// Pages removed because the caller said so.
    pub removed: u64,
    /// Reservations refused for want of room.
    pub refused: u64,
    /// Times that the store was rebuilt after a process died in the middle of a change.
    pub recoveries: u64,
    /// Pages that a rebuild had to drop because they made no sense.
    pub lost: u64,
    /// Units that published pages took.
    pub stored_units: u64,
    /// Units that came free because their space was needed.
    pub evicted_units: u64,
}

impl Mem {
    fn figure(&self, index: usize) -> u64 {
        self.region.u64(at::COUNTERS + 8 * index)
    }

    fn set_figure(&self, index: usize, value: u64) {
        self.region.set_u64(at::COUNTERS + 8 * index, value);
    }

    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.figure(gauge as usize)
    }

    pub fn set_gauge(&self, gauge: Gauge, value: u64) {
        self.set_figure(gauge as usize, value);
    }

    pub fn raise(&self, gauge: Gauge, by: u64) {
        self.set_gauge(gauge, self.gauge(gauge).saturating_add(by));
    }

    pub fn lower(&self, gauge: Gauge, by: u64) {
        self.set_gauge(gauge, self.gauge(gauge).saturating_sub(by));
    }

    pub fn count(&self, counter: Counter) {
        self.count_by(counter, 1);
    }

    pub fn count_by(&self, counter: Counter, by: u64) {
        self.set_figure(counter as usize, self.figure(counter as usize).wrapping_add(by));
    }

    /// How many rebuilds have begun. Needs no lock.
    pub fn rebuilds_begun(&self) -> u64 {
        self.region.load_acquire_u64(at::COUNTERS + 8 * Counter::Recoveries as usize)
    }

    pub fn stats(&self) -> Stats {
        let count = |counter: Counter| self.figure(counter as usize);
        Stats {
            entries: self.gauge(Gauge::Entries),
            live_bytes: self.gauge(Gauge::LiveBytes),
            live_units: self.gauge(Gauge::LiveUnits),
            pending: self.gauge(Gauge::Pending),
            pending_units: self.gauge(Gauge::PendingUnits),
            zombies: self.gauge(Gauge::Zombies),
            zombie_units: self.gauge(Gauge::ZombieUnits),
            free_units: self.gauge(Gauge::FreeUnits),
            arena_units: u64::from(self.geo.arena_units()),
            pins: self.all_pins().count() as u64,
            pins_limit: self.pins_limit(),
            stores: count(Counter::Stores),
            replaced: count(Counter::Replaced),
            evicted: count(Counter::Evicted),
            inactive: count(Counter::Inactive),
            removed: count(Counter::Removed),
            refused: count(Counter::Refused),
            recoveries: count(Counter::Recoveries),
            lost: count(Counter::Lost),
            stored_units: count(Counter::StoredUnits),
            evicted_units: count(Counter::EvictedUnits),
        }
    }
}
