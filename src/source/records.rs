//! Records that were read from their JSON, kept for the next visit of the same visitor.
//!
//! Invariant: a record is used only as long as the element that it was read from is the one in the zone. What is kept is
//! bounded in number and in bytes.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::ptr;
use std::rc::Rc;

use lru::LruCache;
use ngx::ffi::NGX_LOG_WARN;
use ngx::ngx_log_error;
use twice_core::elements::Remembered;
use twice_core::source::record::Record;
use twice_core::store::Entry;

use super::Source;
use crate::seldom::Seldom;
use crate::shm::Zone;
use crate::sys;

/// Most records of a worker.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Most bytes of all of them.
const MOST_BYTES: usize = 16 << 20;

/// A larger one is read anew each time.
const LARGEST: usize = 64 << 10;

struct Kept {
    /// The very copy of its element in the zone that it was read from.
    version: Entry,
    /// None: it can't be read.
    record: Option<Rc<Record>>,
    weight: usize,
}

/// An element: its zone, and its hash there. Which of those that share it is told by the version.
type Id = (*const Zone, u64);

struct Records {
    by_id: LruCache<Id, Kept>,
    bytes: usize,
}

impl Records {
    fn keep(&mut self, id: Id, kept: Kept) {
        self.bytes += kept.weight;
        if let Some((_, former)) = self.by_id.push(id, kept) {
            self.bytes -= former.weight;
        }
        while self.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.by_id.pop_lru() else { break };
            self.bytes -= oldest.weight;
        }
    }
}

thread_local! {
    static RECORDS: RefCell<Records> = RefCell::new(Records { by_id: LruCache::new(MOST), bytes: 0 });
}

/// The record of a remembered element; none if it is no JSON, or the source has no such key.
pub fn remembered(zone: &Zone, hash: u64, element: &Remembered<'_>) -> Option<Rc<Record>> {
    let len = element.value_len()?;
    let id: Id = (ptr::from_ref(zone), hash);
    let found = RECORDS.with_borrow_mut(|records| {
        let kept = records.by_id.get(&id).filter(|kept| kept.version == element.version)?;
        Some(kept.record.clone())
    });
    if let Some(record) = found {
        return record;
    }
    let mut raw = Vec::with_capacity(len);
    element.pieces().for_each(|piece| raw.extend_from_slice(piece));
    let record = parsed(&raw).map(Rc::new);
    let weight = size_of::<Kept>() + record.as_ref().map_or(0, |record| record.weight());
    if weight <= LARGEST {
        let kept = Kept { version: element.version, record: record.clone(), weight };
        RECORDS.with_borrow_mut(|records| records.keep(id, kept));
    }
    record
}

/// A record that has just come; none if it is no JSON.
pub fn parsed(raw: &[u8]) -> Option<Record> {
    Record::parse(raw).ok()
}

/// Tells the log of a record that can't be read. Not whose: its key may be all that a session needs.
pub fn tell_broken(source: &Source) {
    static SELDOM: Seldom = Seldom::new();
    let Some(others) = SELDOM.others() else { return };
    ngx_log_error!(
        NGX_LOG_WARN,
        sys::log(),
        "twice: a record of source \"{}\" is no JSON: its fields are missing{}",
        source.name,
        others
    );
}
