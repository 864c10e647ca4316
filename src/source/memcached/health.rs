//! Whether a server is asked: after `server_failure_limit` failures in a row it rests for `server_retry_timeout`, then it
//! is probed, and the answer brings it back.

use std::cell::Cell;

use super::Settings;

/// How one server does, as this worker knows.
#[derive(Default)]
pub struct Health {
    /// In a row.
    failures: Cell<u64>,
    /// When it may be probed, by [`crate::shm::now_ms`]; none: it does not rest.
    rests_until: Cell<Option<u64>>,
}

impl Health {
    /// Whether no page may ask it.
    pub fn is_resting(&self) -> bool {
        self.rests_until.get().is_some()
    }

    /// It did not answer as it should. Tells whether it begins to rest.
    pub fn failed(&self, settings: &Settings, now_ms: u64) -> bool {
        self.failures.set(self.failures.get().saturating_add(1));
        let rested = self.is_resting();
        if rested || self.failures.get() >= settings.server_failure_limit {
            self.rests_until.set(Some(now_ms.saturating_add(settings.server_retry_timeout_ms)));
        }
        self.is_resting() && !rested
    }

    /// It answered. Tells whether it rested.
    pub fn answered(&self) -> bool {
        self.failures.set(0);
        self.rests_until.take().is_some()
    }

    /// Whether it is to be probed now: its rest is over. Nobody else does until that is answered or a rest is over again.
    pub fn take_probe(&self, settings: &Settings, now_ms: u64) -> bool {
        let due = self.rests_until.get().is_some_and(|until| until <= now_ms);
        if due {
            self.rests_until.set(Some(now_ms.saturating_add(settings.server_retry_timeout_ms)));
        }
        due
    }
}
