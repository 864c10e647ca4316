//! A page that came whole goes into the store: reserved under the lock, filled without it, published
//! under it again.

use ngx::ffi::NGX_LOG_WARN;
use ngx::ngx_log_error;
use twice_core::board::Counter;
use twice_core::outcome::Reason;
use twice_core::page::Program;
use twice_core::store::{Meta, ReserveError};
use twice_core::template::{Compiler, Limits, Sink, State, Values};

use super::headers::Snapshot;
use crate::ctx;
use crate::deliver::{LARGE_RUN, page_tag};
use crate::shm;
use crate::sys::Request;

/// Stores a page without tags.
pub fn plain(request: Request<'_>, snapshot: &Snapshot, body: &[u8]) -> Result<(), Reason> {
    let large = body.len() >= LARGE_RUN;
    let tag = page_tag(if large { 0 } else { body.len() }, large);
    save(request, snapshot, &Program::default(), body, tag)
}

/// Stores a page with its program. A page whose template turned out to have no tag is a plain one.
pub fn tagged(request: Request<'_>, snapshot: &Snapshot, compiler: &Compiler) -> Result<(), Reason> {
    let parts = compiler.parts().ok_or(Reason::Failed)?;
    if parts.tags == 0 {
        return plain(request, snapshot, parts.literals);
    }
    let program = Program { slots: parts.slots, code: parts.code, personal: parts.personal };
    save(request, snapshot, &program, parts.literals, runs(&program, parts.literals.len()))
}

/// What a hit will join and whether it has large runs: the program is run once with all values there
/// and once with none, so that both branches of a block are seen.
fn runs(program: &Program<'_>, literals: usize) -> u64 {
    struct All(&'static [u8]);
    impl Values for All {
        fn value(&self, _slot: usize) -> Option<&[u8]> {
            Some(self.0)
        }
    }
    #[derive(Default)]
    struct Measure {
        joined: usize,
        large: bool,
    }
    impl Sink for Measure {
        fn literal(&mut self, _offset: usize, len: usize) {
            if len >= LARGE_RUN {
                self.large = true;
            } else {
                self.joined += len;
            }
        }
        fn write(&mut self, _bytes: &[u8]) {}
    }
    let mut measure = Measure::default();
    let mut joined = 0;
    for values in [All(b"1"), All(b"")] {
        measure.joined = 0;
        let mut state = State::new(&Limits::default());
        if twice_core::template::run(program.code, literals, &mut state, &values, &mut measure).is_err() {
            break;
        }
        joined = joined.max(measure.joined);
    }
    page_tag(joined, measure.large)
}

fn save(
    request: Request<'_>,
    snapshot: &Snapshot,
    program: &Program<'_>,
    literals: &[u8],
    tag: u64,
) -> Result<(), Reason> {
    let prefix = snapshot.prefix(program, literals.len()).ok_or(Reason::Failed)?;
    let ctx = ctx::get(request).ok_or(Reason::Failed)?;
    // SAFETY: the zone of the request's location; the key lies in the request's pool.
    let (zone, key) = unsafe { (&*ctx.zone, &*ctx.key) };
    let store = zone.store().ok_or(Reason::Failed)?;
    let now = shm::now_ms();
    let len = prefix.len() + literals.len();
    let reserved = zone.with(|section| section.reserve(zone.slot(), ctx.hash, key, len, now));
    let mut reservation = match reserved.ok_or(Reason::Failed)? {
        Ok(reservation) => reservation,
        Err(ReserveError::TooLarge) => return Err(Reason::TooLarge),
        Err(why @ (ReserveError::NoRoom | ReserveError::NoSlot)) => {
            ngx_log_error!(NGX_LOG_WARN, request.log(), "twice: a page was not stored: {}", why.as_str());
            return Err(Reason::NoRoom);
        }
    };
    let filled = store
        .write(&mut reservation, 0, &prefix)
        .and_then(|()| store.write(&mut reservation, prefix.len(), literals));
    if filled.is_err() {
        zone.with(|section| section.abandon(reservation));
        return Err(Reason::Failed);
    }
    let meta = Meta {
        created_ms: ctx.created_ms,
        expires_ms: ctx.expires_ms,
        stale_s: ctx.windows.stale_s,
        error_s: ctx.windows.error_s,
        tag,
        ..Meta::default()
    };
    let published = zone.with(|section| section.publish(reservation, meta, now)).flatten();
    published.ok_or(Reason::Failed)?;
    zone.count(Counter::Stored);
    Ok(())
}
