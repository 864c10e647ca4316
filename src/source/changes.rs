//! What pages change at their sources: noted while a page is printed, made when its answer is on its way.
//!
//! ```text
//!  the program runs over incr, decr, pop --> note()      the answer is handed to nginx --> make(): nobody waits
//! ```
//!
//! Invariants
//! - What is noted lies in the request's pool: as many changes as one page may make (`Limits::changes_max`).
//! - Only what somebody gets to see is counted: an answer without a body (HEAD, 304) and one whose client has left change
//!   nothing. A refresh prints nothing, and so notes nothing.

use std::ptr;

use twice_core::source::Change;

use super::{Source, Stat, by_name, write};
use crate::conf;
use crate::ctx;
use crate::sys::Request;

/// The changes of one answer, in their order.
#[derive(Clone, Copy)]
pub struct Changes {
    first: *mut Noted,
    last: *mut Noted,
}

impl Default for Changes {
    fn default() -> Self {
        Self { first: ptr::null_mut(), last: ptr::null_mut() }
    }
}

struct Noted {
    next: *mut Noted,
    source: *const Source,
    /// As the tag has it, in the request's pool.
    key: *const [u8],
    change: Change,
}

/// Notes a change.
pub fn note(request: Request<'_>, source: &[u8], key: &[u8], change: Change) {
    // A page that was stored under another configuration may name a source that is no more.
    let Some(source) = by_name(conf::main_of_request(request), source) else { return };
    if append(request, source, key, change).is_none() {
        source.count(Stat::LostWrites);
    }
}

fn append(request: Request<'_>, source: &Source, key: &[u8], change: Change) -> Option<()> {
    let noted = request.alloc_array::<Noted>(1)?;
    let key = ptr::from_ref(request.copy(key)?);
    let changes = &mut ctx::get(request)?.changes;
    // SAFETY: fresh memory of the request's pool, as was the last one.
    unsafe {
        noted.write(Noted { next: ptr::null_mut(), source, key, change });
        match changes.last.as_mut() {
            Some(last) => last.next = noted,
            None => changes.first = noted,
        }
    }
    changes.last = noted;
    Some(())
}

/// The answer so far is on its way: makes what was noted of it.
pub fn make(request: Request<'_>) {
    let Some(ctx) = ctx::get(request) else { return };
    let (zone, mut at) = (ctx.zone, std::mem::take(&mut ctx.changes).first);
    // SAFETY: a live request.
    if at.is_null() || request.is_broken() || unsafe { (*request.raw()).header_only() } != 0 {
        return;
    }
    // SAFETY: the zone and the sources of the request's configuration, which outlives it; what `note` put into its pool.
    unsafe {
        while let Some(noted) = at.as_ref() {
            write(request, &*zone, &*noted.source, &*noted.key, noted.change);
            at = noted.next;
        }
    }
}
