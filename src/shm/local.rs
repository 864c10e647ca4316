//! A zone's local counters: `twice_core::local`, with what is counted of them.

use twice_core::board::Counter;
use twice_core::local::Locals;
use twice_core::source::Change;

use super::{ShmLock, Zone};

impl Zone {
    /// Whether there is room for local counters.
    pub fn has_local(&self) -> bool {
        self.local.is_some()
    }

    pub(super) fn locals(&self) -> Option<Locals<'_, ShmLock>> {
        let (_, lock) = self.store.as_ref()?;
        Some(Locals { store: self.local.as_ref()?, lock, slot: &self.slot })
    }

    /// A counter's value.
    pub fn local_get(&self, id: &[u8], now_ms: u64) -> Option<u64> {
        self.locals()?.get(id, now_ms)
    }

    /// Changes a counter; back comes its value. None: there was none to be deleted, or there is no room for a new one.
    pub fn local_change(&self, id: &[u8], change: Change, now_ms: u64) -> Option<u64> {
        if change == Change::Delete {
            return self.local_delete(id);
        }
        self.count(Counter::CounterChanges);
        let value = self.locals().and_then(|locals| locals.change(id, change, now_ms));
        if value.is_none() {
            self.count(Counter::CounterFailures);
        }
        value
    }

    /// Removes a counter. Back comes its last value.
    pub fn local_delete(&self, id: &[u8]) -> Option<u64> {
        self.count(Counter::CounterChanges);
        self.locals()?.delete(id)
    }
}
