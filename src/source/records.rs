//! Records that were read from their JSON, kept for the next visit of the same visitor.
//!
//! Invariant: a record is used only for the very bytes it was read from. What is kept is bounded in number and in bytes.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use lru::LruCache;
use ngx::ffi::{NGX_LOG_WARN, ngx_cycle, ngx_time};
use ngx::ngx_log_error;
use twice_core::source::record::Record;

use super::Source;

/// Most records of a worker.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Most bytes of all of them.
const MOST_BYTES: usize = 16 << 20;

/// A larger one is read anew each time.
const LARGEST: usize = 64 << 10;

struct Kept {
    /// What it was read from.
    raw: Box<[u8]>,
    /// None: it can't be read.
    record: Option<Rc<Record>>,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.raw.len() + self.record.as_ref().map_or(0, |record| record.weight())
    }
}

struct Records {
    by_id: LruCache<Box<[u8]>, Kept>,
    bytes: usize,
}

impl Records {
    fn keep(&mut self, id: &[u8], kept: Kept) {
        self.bytes += kept.bytes();
        if let Some((_, former)) = self.by_id.push(id.into(), kept) {
            self.bytes -= former.bytes();
        }
        while self.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.by_id.pop_lru() else { break };
            self.bytes -= oldest.bytes();
        }
    }
}

thread_local! {
    static RECORDS: RefCell<Records> = RefCell::new(Records { by_id: LruCache::new(MOST), bytes: 0 });
}

/// The record of an element; none if it is no JSON.
pub fn parsed(id: &[u8], raw: &[u8]) -> Option<Rc<Record>> {
    let found = RECORDS.with_borrow_mut(|records| {
        let kept = records.by_id.get(id).filter(|kept| *kept.raw == *raw)?;
        Some(kept.record.clone())
    });
    if let Some(record) = found {
        return record;
    }
    let record = Record::parse(raw).ok().map(Rc::new);
    let kept = Kept { raw: raw.into(), record: record.clone() };
    if kept.bytes() <= LARGEST {
        RECORDS.with_borrow_mut(|records| records.keep(id, kept));
    }
    record
}

/// Tells the log of a record that can't be read (not whose: its key may be all that a session needs): one line a second, and how many others there were.
pub fn tell_broken(source: &Source) {
    static LAST: AtomicI64 = AtomicI64::new(0);
    static SKIPPED: AtomicU64 = AtomicU64::new(0);
    let now = ngx_time();
    if LAST.swap(now, Ordering::Relaxed) == now {
        SKIPPED.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let others = match SKIPPED.swap(0, Ordering::Relaxed) {
        0 => String::new(),
        count => format!(" ({count} more since the last line)"),
    };
    // SAFETY: nginx's running cycle.
    let log = unsafe { (*ngx_cycle).log };
    ngx_log_error!(
        NGX_LOG_WARN,
        log,
        "twice: a record of source \"{}\" is no JSON: its fields are missing{}",
        source.name,
        others
    );
}
