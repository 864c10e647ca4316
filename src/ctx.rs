//! What Twice knows of one request. Lives in the request's pool; nginx forgets it on an internal
//! redirect (it clears `r->ctx`), and the request is then a new one for Twice too.

use std::ffi::c_void;
use std::ptr;

use ngx::ffi::ngx_http_handler_pt;
use twice_core::board::Board;
use twice_core::board::flights::Asker;
use twice_core::outcome::{CacheStatus, Reason};
use twice_core::policy::{Wanted, Windows};
use twice_core::store::Entry;

use crate::capture::Capture;
use crate::deliver::{Taken, Waiting};
use crate::flight::Flight;
use crate::include::Includes;
use crate::refresh::{Claim, Refresh};
use crate::revalidate::Asked;
use crate::shm::Zone;
use crate::source::changes::Changes;
use crate::stand_in::StandIn;
use crate::sys::Request;
use crate::wait::Waiter;

/// Where the request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The answer goes through as it is, but for tags and control headers.
    Pass,
    /// The answer may be stored.
    Fetch,
    /// Another request fetches the page: suspended, to be looked up again.
    Wait,
    /// Served from the store.
    Hit,
}

/// The request's context. All bytes of it but `capture` are plain: nothing needs dropping on a hit.
pub struct Ctx {
    /// Where the request stands.
    pub stage: Stage,
    /// `$twice_cache_status`; none where the store was not asked.
    pub status: Option<CacheStatus>,
    /// `$twice_reason`.
    pub reason: Reason,
    /// Where two visitors' answers differ, as the reason says, in the request's pool; else empty.
    pub difference: *const [u8],
    /// The key that was looked up, in the request's pool: the page's own, or that of this visitor's variant.
    pub key: *const [u8],
    /// Its seeded hash.
    pub hash: u64,
    /// The page's own key, whatever it varies by.
    pub base_key: *const [u8],
    /// Its seeded hash.
    pub base_hash: u64,
    /// The head of the page's rules, in the request's pool; empty if there were none.
    pub rules: *const [u8],
    /// The zone of the location.
    pub zone: *const Zone,
    /// The page to be served, held until it is rendered.
    pub held: Option<Taken>,
    /// The page that waits for its values or fragments, in the request's pool; null if none does.
    pub waiting: *mut Waiting,
    /// The sub-requests that ask services in its name, in the request's pool; null if none does.
    pub asking: *mut Includes,
    /// What the answer changes at sources, until it is on its way.
    pub changes: Changes,
    /// When the page that is served was stored, milliseconds since the epoch; 0 if none is.
    pub created_ms: u64,
    /// When its lifetime ends, or that of the page just stored.
    pub expires_ms: u64,
    /// The latest purge when the request came in: what it fetches is no newer than that.
    pub began: u64,
    /// How long the page that is recorded may be served after that.
    pub windows: Windows,
    /// The right to renew the page that is served, until the answer is on its way; null: somebody else does, or
    /// nobody needs to. In the keeping of the pool.
    pub claim: *mut Claim,
    /// Where nginx's phases were when the page was found: a refresh goes on from there.
    pub phase: isize,
    /// This request is a refresh, with no client: in the keeping of its pool. Else null.
    pub refresh: *mut Refresh,
    /// The page that its origin is asked about, owned by a cleanup of the pool; null: none.
    pub asked: *mut Asked,
    /// The expired page in whose place another one is fetched.
    pub expired: Option<Entry>,
    /// The stale page that takes the place of an origin's failure.
    pub stand_in: StandIn,
    /// The location's own content handler, behind ours.
    pub content_handler: ngx_http_handler_pt,
    /// The recording, owned by a cleanup of the pool.
    pub capture: *mut Capture,
    /// Response header lines that were there before the content handler: another answer's (nginx keeps
    /// them over an internal redirect), never part of the page.
    pub lines_before: usize,
    /// The upstream that was there before: another answer's. Only to be compared with.
    pub upstream_before: *const c_void,
    /// When its origin was asked, milliseconds since the epoch; 0: none was.
    pub asked_ms: u64,
    /// What the client would rather have, where it is heard (`twice_request_control`).
    pub wanted: Wanted,
    /// There was a page that would have been served, had the client not said what it wants.
    pub by_request: bool,
    /// The answer holds a visitor's values, or may.
    pub personal: bool,
    /// Who asks, as his request says; none: it was not asked yet.
    pub asker: Option<Asker>,
    /// The lease of its fetch, owned by a cleanup of the request; null: it never had one.
    pub flight: *mut Flight,
    /// What it found when it began to wait, if it has the page from another one's fetch.
    pub waited_for: Option<CacheStatus>,
    /// What suspends it, owned by a cleanup of the request; null: it never waited.
    pub waiter: *mut Waiter,
    /// The header filter has seen the answer. What comes after that (a 416, say) is not the page.
    pub answered: bool,
}

/// When a page was stored, and until when it is fresh.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    created_ms: u64,
    expires_ms: u64,
}

impl Times {
    /// When the page was made, seconds since the epoch.
    pub fn made(self) -> i64 {
        i64::try_from(self.created_ms / 1000).unwrap_or(i64::MAX)
    }

    /// Seconds since the page was stored.
    pub fn age_seconds(self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.created_ms) / 1000
    }

    /// Seconds for which it stays fresh, rounded up: a fresh page has at least one. Of a stale page the seconds since
    /// then, as a negative number (RFC 9211 2.4).
    pub fn ttl_seconds(self, now_ms: u64) -> i64 {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        match self.expires_ms.checked_sub(now_ms) {
            Some(left) => signed(left.div_ceil(1000)),
            None => -signed(now_ms.saturating_sub(self.expires_ms) / 1000),
        }
    }
}

impl Ctx {
    /// A request that Twice only watches so far.
    pub fn new(zone: &Zone, reason: Reason) -> Self {
        Self {
            stage: Stage::Pass,
            status: None,
            reason,
            difference: &[],
            key: &[],
            hash: 0,
            base_key: &[],
            base_hash: 0,
            rules: &[],
            zone,
            held: None,
            waiting: ptr::null_mut(),
            asking: ptr::null_mut(),
            changes: Changes::default(),
            created_ms: 0,
            expires_ms: 0,
            began: zone.board().map_or(0, Board::latest),
            windows: Windows::default(),
            claim: ptr::null_mut(),
            phase: 0,
            refresh: ptr::null_mut(),
            asked: ptr::null_mut(),
            expired: None,
            stand_in: StandIn::default(),
            content_handler: None,
            capture: ptr::null_mut(),
            lines_before: 0,
            upstream_before: ptr::null(),
            asked_ms: 0,
            wanted: Wanted::default(),
            by_request: false,
            personal: false,
            asker: None,
            flight: ptr::null_mut(),
            waited_for: None,
            waiter: ptr::null_mut(),
            answered: false,
        }
    }

    /// Whether it waited for another one's fetch.
    pub fn has_waited(&self) -> bool {
        !self.waiter.is_null()
    }

    /// Times of the page that is served or recorded.
    pub fn times(&self) -> Times {
        Times { created_ms: self.created_ms, expires_ms: self.expires_ms }
    }
}

/// The request's context, if Twice has one. To be dropped before the next call into nginx: evaluating a
/// variable may come back here.
pub fn get<'a>(request: Request<'a>) -> Option<&'a mut Ctx> {
    // SAFETY: `r->ctx` has one pointer for each module; ours is null or points to the `Ctx` that `set` put
    // there, in the pool of this live request. nginx runs one callback at a time, and no borrow outlives
    // the statements between two calls into nginx.
    unsafe { (*(*request.raw()).ctx.add(crate::ctx_index())).cast::<Ctx>().as_mut() }
}

/// Gives the request a context; none when memory ran out.
pub fn set(request: Request<'_>, ctx: Ctx) -> Option<()> {
    let place = request.alloc_array::<Ctx>(1)?;
    // SAFETY: fresh, aligned memory of the pool; `r->ctx` has a place for each module.
    unsafe {
        place.write(ctx);
        *(*request.raw()).ctx.add(crate::ctx_index()) = place.cast();
    }
    Some(())
}
