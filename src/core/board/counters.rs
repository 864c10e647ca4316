//! Figures of a zone that only grow: one table of names, a line of words for each of a few workers.
//!
//! A worker adds to the line of its slot, without the lock: workers whose slots share a line add to it at once, which
//! costs time and loses nothing. What a worker counted stays when it ends.

use super::Board;
use crate::store::Slot;

/// Bytes of a line: whole cache lines, so that two never share one.
pub(super) const LINE: usize = 512;

macro_rules! counters {
    ($($(#[doc = $help:literal])+ $name:ident = $word:literal;)+) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter { $($(#[doc = $help])+ $name,)+ }

        impl Counter {
            /// Every figure, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// One sentence for the documentation.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => concat!($($help,)+).trim_ascii(),)+ }
            }
        }
    };
}

counters! {
    /// Requests answered from a fresh page.
    Hits = "hits";
    /// Requests answered from a stale page.
    Stale = "stale";
    /// Requests that found no page.
    Misses = "misses";
    /// Requests that found a page whose time was over.
    Expired = "expired";
    /// Requests for which `twice_bypass` was true.
    Bypassed = "bypassed";
    /// Requests that went to the origin with the client waiting.
    Fetches = "fetches";
    /// Requests that waited for another one's fetch.
    Waits = "waits";
    /// Of these, those that gave up after `twice_lock_timeout`.
    WaitTimeouts = "wait_timeouts";
    /// Refreshes that were started beside a stale answer.
    Refreshes = "refreshes";
    /// Refreshes that did not bring a page.
    RefreshFailures = "refresh_failures";
    /// Pages that were stored.
    Stored = "stored";
    /// Pages that were not stored because no second visitor was sent the same yet.
    AuditWaits = "audit_waits";
    /// Pages that were not stored because two visitors were sent different ones.
    AuditDiffers = "audit_differs";
    /// Purges that were answered.
    Purges = "purges";
    /// Pages that a purge had marked and that were found so.
    Purged = "purged";
    /// Variants that went because a page had too many.
    VariantsDropped = "variants_dropped";
    /// Fragments that pages included.
    Includes = "includes";
    /// Of these, those that failed.
    IncludeFailures = "include_failures";
    /// Values of sources that were remembered.
    ElementHits = "element_hits";
    /// Values of sources that were not remembered, or no longer fresh.
    ElementMisses = "element_misses";
    /// Values of sources that were stored.
    ElementsStored = "elements_stored";
    /// Changes of local counters.
    CounterChanges = "counter_changes";
    /// Of these, those that found no room for a new counter.
    CounterFailures = "counter_failures";
    /// Pages that their origin said were still the same, so that only their header was renewed.
    Revalidated = "revalidated";
}

const _: () = assert!(Counter::ALL.len() * 8 <= LINE);

impl Board {
    fn counter_at(&self, line: u32, counter: Counter) -> usize {
        self.plan.counters_at + line as usize * LINE + counter as usize * 8
    }

    /// Counts one more, in the line of a worker. Needs no lock.
    #[inline]
    pub fn count(&self, slot: &Slot, counter: Counter) {
        let line = slot.number() & (self.plan.counter_lines - 1);
        self.region.add_u64(self.counter_at(line, counter), 1);
    }

    /// A figure, over all workers.
    pub fn figure(&self, counter: Counter) -> u64 {
        (0..self.plan.counter_lines)
            .fold(0u64, |sum, line| sum.wrapping_add(self.region.u64(self.counter_at(line, counter))))
    }
}
