//! A zone's local counters: `twice_core::local`, with what is counted of them.

use std::sync::atomic::{AtomicBool, Ordering};

use ngx::ffi::NGX_LOG_WARN;
use ngx::ngx_log_error;
use twice_core::board::Counter;
use twice_core::local::{Locals, Restored};
use twice_core::source::Change;
use twice_core::store::{Entry, Held, Section};

use super::{ShmLock, Zone};
use crate::sys;

impl Zone {
    pub(super) fn locals(&self) -> Option<Locals<'_, ShmLock>> {
        let (_, lock) = self.store.as_ref()?;
        Some(Locals { store: self.local.as_ref()?, lock, slot: &self.slot })
    }

    /// Does something with the counters under the zone's lock.
    pub fn with_local<'s, T>(&'s self, work: impl FnOnce(&mut Section<'s>) -> T) -> Option<T> {
        let (_, lock) = self.store.as_ref()?;
        Some(self.local.as_ref()?.with(lock, work))
    }

    /// Adds a listed counter's id to `id`, and tells its value and when it was used last; none: it is gone.
    pub fn local_read(&self, entry: Entry, id: &mut Vec<u8>) -> Option<(u64, u64)> {
        let read = |held: Held<'_>| held.page().key().for_each(|piece| id.extend_from_slice(piece));
        self.locals()?.read(entry, read)
    }

    /// Puts a saved counter back.
    pub fn local_restore(&self, id: &[u8], value: u64, last_used_ms: u64, now_ms: u64) -> Restored {
        self.locals().map_or(Restored::NoRoom, |locals| locals.restore(id, value, last_used_ms, now_ms))
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
            if self.local.is_none() {
                self.tell_without_counters();
            }
        }
        value
    }

    /// Whoever counts in such a zone sees defaults and would look for the reason elsewhere. Once for each worker: it stays so
    /// as long as its configuration.
    fn tell_without_counters(&self) {
        static TOLD: AtomicBool = AtomicBool::new(false);
        if TOLD.swap(true, Ordering::Relaxed) {
            return;
        }
        ngx_log_error!(
            NGX_LOG_WARN,
            sys::log(),
            "twice: zone \"{}\" has no room for local counters, allowed are a larger zone and a greater share of it, \
             local=N%",
            self.name
        );
    }

    /// Removes a counter. Back comes its last value.
    pub fn local_delete(&self, id: &[u8]) -> Option<u64> {
        self.count(Counter::CounterChanges);
        self.locals()?.delete(id)
    }
}
