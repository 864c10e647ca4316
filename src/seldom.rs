//! Lines of the error log of which there may be many: one a second, and how many others there were.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use ngx::ffi::ngx_time;

/// When the last line of a kind was written. For one process: it is atomic only to stand in a static.
#[derive(Default)]
pub struct Seldom {
    last: AtomicI64,
    skipped: AtomicU64,
}

impl Seldom {
    /// None was written.
    pub const fn new() -> Self {
        Self { last: AtomicI64::new(0), skipped: AtomicU64::new(0) }
    }

    /// How many lines were left out, if one may be written now.
    pub fn turn(&self) -> Option<u64> {
        let now = ngx_time();
        if self.last.swap(now, Ordering::Relaxed) == now {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.take_skipped())
    }

    /// How many lines were left out, for one that is written in any case.
    pub fn take_skipped(&self) -> u64 {
        self.skipped.swap(0, Ordering::Relaxed)
    }

    /// The end of the line that may be written now.
    pub fn others(&self) -> Option<String> {
        Some(match self.turn()? {
            0 => String::new(),
            count => format!(" ({count} more since the last line)"),
        })
    }
}
