//! What is done in all stores of a zone: a process takes its slot, a dead one's is taken back, all is looked at.
//!
//! Invariant: each store knows by itself which processes have a slot in it (`Section::claims`), so that whoever dies between
//! two of them leaves nothing that a later sweep would overlook.

use twice_core::board::flights::Channels;
use twice_core::store::{Damage, DeadSlot, Section, Slot, Stats, Store};

use super::{ShmLock, Zone};

impl Zone {
    /// The stores beside the pages'.
    fn others(&self) -> impl Iterator<Item = (&Store, &ShmLock)> {
        let lock = self.store.as_ref().map(|(_, lock)| lock);
        [&self.elements, &self.local]
            .into_iter()
            .flatten()
            .zip(std::iter::repeat(lock))
            .filter_map(|(s, l)| Some((s, l?)))
    }

    /// Takes back what processes held that are no more, as `is_gone` tells. Back come those who wait for them.
    pub fn sweep(&self, is_gone: impl Fn(u32) -> bool) -> Channels {
        // A number that another program has by now counts as alive, until later.
        let release = |section: &mut Section<'_>, number| {
            // SAFETY: the process has ended. A new one in its slot would have said so under this lock.
            section.release_slot(&unsafe { DeadSlot::new(number) });
        };
        for (store, lock) in self.others() {
            store.with(lock, |section| {
                for (number, _) in section.claims().filter(|(_, pid)| is_gone(*pid)) {
                    release(section, number);
                }
            });
        }
        let woken = self.with(|section| {
            let mut woken = Channels::default();
            for (number, _) in section.claims().filter(|(_, pid)| is_gone(*pid)) {
                woken = woken.and(self.give_up_all(section, number));
                release(section, number);
            }
            woken
        });
        woken.unwrap_or_default()
    }

    /// Gives this process its slot, and takes back what the one before held there.
    ///
    /// # Safety
    /// nginx gave this process the slot of this number, and nothing was done in the zone yet.
    pub(super) unsafe fn enter(&mut self, number: u32) -> Channels {
        // SAFETY: nginx gives a process slot to one process at a time, and this process is new.
        let dead = unsafe { DeadSlot::new(number) };
        // SAFETY: as above; the zone of this cycle is the only user of the number in this process.
        self.slot = unsafe { Slot::new(number) };
        for (store, lock) in self.others() {
            store.with(lock, |section| {
                section.release_slot(&dead);
                section.claim_slot(&self.slot, std::process::id());
            });
        }
        let woken = self.with(|section| {
            // Before the slot is released: should we die in between, somebody will do it again.
            let woken = self.give_up_all(section, number);
            section.release_slot(&dead);
            section.claim_slot(&self.slot, std::process::id());
            woken
        });
        woken.unwrap_or_default()
    }

    /// Looks at everything in the stores beside the pages'.
    pub fn check_others(&self) -> Result<(), Damage> {
        self.others().try_for_each(|(store, lock)| store.with(lock, |section| section.check()).map(drop))
    }

    /// The figures of the stores beside the pages': remembered values, local counters. All 0 where there is none.
    pub fn other_stats(&self) -> [Stats; 2] {
        let lock = self.store.as_ref().map(|(_, lock)| lock);
        [&self.elements, &self.local].map(|store| match (store, lock) {
            (Some(store), Some(lock)) => store.with(lock, |section| section.stats()),
            _ => Stats::default(),
        })
    }
}
