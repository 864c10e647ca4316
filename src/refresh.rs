//! Refreshes: a stale page is renewed behind the visitors' backs.
//!
//! ```text
//!  visitor ── lookup: stale ── claim ── answer handed to nginx ── start ── end, or the next request
//!                                                                  │ copies what the fetch needs
//!                        a connection to nowhere, a request ◄──────┘
//!                        posted event ── from the phase of the lookup on ── origin ── capture ── store
//! ```
//!
//! Invariants
//! - A refresh has a connection, a request, pools and a log of its own and no pointer into the visitor's: what ends there
//!   ends nothing here, and nobody waits for it.
//! - It carries on from the very phase where the visitor's request was answered, in the same location: rewrites and access
//!   have been passed by that visitor, and are not run again. A refresh that nginx sends to another location (by
//!   `error_page`, `X-Accel-Redirect`, `try_files`) ends there.
//! - Whatever becomes of it, its pool is destroyed at the end, and with it [`Refresh`], which gives back the right to renew.
//! - Nothing that it answers leaves: the filters of `capture` keep it ([`is_refresh`]).

pub mod carrier;
mod connection;
mod copy;
mod lease;

use std::cell::Cell;

use ngx::ffi::{
    NGX_HTTP_GET, NGX_LOG_WARN, NGX_USE_CLEAR_EVENT, ngx_cycle, ngx_event_flags, ngx_exiting,
    ngx_http_core_run_phases, ngx_http_create_request, ngx_http_finalize_request, ngx_http_handler_pt,
    ngx_quit, ngx_terminate, ngx_uint_t,
};
use ngx::ngx_log_error;
use twice_core::audit::Visitor;
use twice_core::board::Counter;
use twice_core::outcome::Reason;
use twice_core::policy::ends_the_page;
use twice_core::store::Entry;

use crate::asker;
use crate::capture::visitor_by_rules;
use crate::conf;
use crate::ctx::{self, Ctx, Stage};
use crate::guard::guarded;
use crate::shm::{self, Zone};
use crate::sys::{self, ERROR, OK, Request};

use lease::{Asker, Lease, Outcome};

pub use connection::is_refresh;

/// Refreshes that a worker runs at once.
const MOST: usize = 64;
/// At most one line of the log in so long says that refreshes fail, and one that they can't be started.
const LOG_EVERY_MS: u64 = 1_000;
/// An answer that is not stored is read to its end if it is as short as this, so that the origin's connection
/// can be used again.
const DRAIN: i64 = 64 << 10;

thread_local! {
    static RUNNING: Cell<usize> = const { Cell::new(0) };
    static FAILURE_LOGGED_MS: Cell<u64> = const { Cell::new(0) };
    static START_LOGGED_MS: Cell<u64> = const { Cell::new(0) };
}

/// The right to renew the page that a request is answered with. Dropped unused, it is given back.
pub struct Claim {
    zone: *const Zone,
    lease: Option<Lease>,
    entry: Entry,
    asker: Asker,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            // SAFETY: zones outlive the requests of their cycle.
            lease::end(unsafe { &*self.zone }, lease, Outcome::Abandoned);
        }
    }
}

/// Claims the right to renew a page that was found stale; null if somebody else has it or had it just now, or it is not the time.
pub fn claim(request: Request<'_>, zone: &Zone, hash: u64, entry: Entry, now_ms: u64) -> *mut Claim {
    if is_leaving() || !has_edges() {
        return std::ptr::null_mut();
    }
    if let Err(why) = room() {
        rarely(&START_LOGGED_MS, || {
            ngx_log_error!(NGX_LOG_WARN, request.log(), "twice: a stale page is not renewed: {}", why);
        });
        return std::ptr::null_mut();
    }
    let Some(asker) = asker::of(request) else { return std::ptr::null_mut() };
    let Some(lease) = lease::take(zone, hash, entry, now_ms, asker) else { return std::ptr::null_mut() };
    let claim = Claim { zone, lease: Some(lease), entry, asker };
    sys::pool_box_of(request, claim).unwrap_or(std::ptr::null_mut())
}

/// The worker is on its way out.
fn is_leaving() -> bool {
    // SAFETY: flags that nginx's signal handlers and cycles set; plain words of this thread.
    unsafe { ngx_exiting != 0 || ngx_terminate != 0 || ngx_quit != 0 }
}

/// The connection to nowhere must never be polled, which nginx does with all of them unless its events are
/// edge-triggered (epoll, kqueue).
fn has_edges() -> bool {
    // SAFETY: set once, before the worker serves.
    unsafe { ngx_event_flags & NGX_USE_CLEAR_EVENT as ngx_uint_t != 0 }
}

/// Whether this worker may run one more: visitors' connections come first.
fn room() -> Result<(), &'static str> {
    // SAFETY: the worker's running cycle.
    let (free, all) = unsafe { ((*ngx_cycle).free_connection_n, (*ngx_cycle).connection_n) };
    if RUNNING.get() >= MOST {
        Err("64 refreshes are running")
    } else if free <= all / 16 {
        Err("connections are scarce")
    } else {
        Ok(())
    }
}

fn rarely(last_ms: &'static std::thread::LocalKey<Cell<u64>>, log: impl FnOnce()) {
    let now = shm::now_ms();
    if now.saturating_sub(last_ms.get()) >= LOG_EVERY_MS {
        last_ms.set(now);
        log();
    }
}

/// What a refresh is about. Lives in its pool; when that goes, the refresh has ended.
pub struct Refresh {
    zone: *const Zone,
    lease: Option<Lease>,
    /// The page that is to be renewed.
    entry: Entry,
    /// Beside whom: that it brings no page may be for what it has of him.
    asker: Asker,
    ctx: *const Ctx,
    /// The page is a sub-request's: its URL is its own.
    part: bool,
    /// What it tells its origin may be about a visitor who has given a password, though that is left out.
    somebodys: bool,
    /// Whose data its answer may hold, where pages are audited; none: nobody's.
    visitor: Option<Visitor>,
    /// The origin has said that there is no such page any more.
    gone: bool,
    /// The last status that came.
    status: u16,
}

impl Drop for Refresh {
    fn drop(&mut self) {
        RUNNING.set(RUNNING.get().saturating_sub(1));
        // SAFETY: zones outlive the requests of their cycle.
        let zone = unsafe { &*self.zone };
        // SAFETY: null, or the context in the pool that is about to be destroyed, where all memory is still there.
        let (reason, hash) =
            unsafe { self.ctx.as_ref() }.map_or((Reason::Failed, 0), |ctx| (ctx.reason, ctx.hash));
        let outcome = match reason {
            Reason::Stored if self.is_still_there(zone, hash) => Outcome::of_unstored(Reason::Varies, 0),
            Reason::Stored => Outcome::Stored,
            _ if self.gone => Outcome::Abandoned,
            reason => Outcome::of_refresh(reason, self.status),
        };
        // One that a purge or another page has overtaken has not failed, nor one whose page has changed and waits for a second visitor,
        // nor one that an odd request has started.
        let failed = !matches!(
            reason,
            Reason::Stored | Reason::Purged | Reason::Overtaken | Reason::AuditWaits | Reason::Unclear
        );
        if failed {
            zone.count(Counter::RefreshFailures);
        }
        if let Some(lease) = self.lease.take() {
            lease::end(zone, lease, outcome.to(self.asker));
        }
        // Where two visitors' pages differ the log was told so.
        if failed && !self.gone && reason != Reason::AuditDiffers {
            rarely(&FAILURE_LOGGED_MS, || {
                // SAFETY: the worker's cycle has its log.
                let log = unsafe { (*ngx_cycle).log };
                ngx_log_error!(
                    NGX_LOG_WARN,
                    log,
                    "twice: a refresh brought no page ({}, status {}), the stale one stays",
                    reason.as_str(),
                    self.status
                );
            });
        }
    }
}

impl Refresh {
    /// What came is another variant, and the one that was to be renewed is what it was: the next one shall not begin at once.
    fn is_still_there(&self, zone: &Zone, hash: u64) -> bool {
        zone.with(|section| section.peek_hash(hash).is_some_and(|(found, _)| found.entry == self.entry))
            .unwrap_or(false)
    }
}

/// What a request's refresh keeps; none if it is no refresh.
fn of<'a>(request: Request<'a>) -> Option<&'a mut Refresh> {
    // SAFETY: null, or in the keeping of this live request's pool. As with `ctx::get`, no borrow outlives the statements
    // between two calls into nginx.
    unsafe { ctx::get(request)?.refresh.as_mut() }
}

/// Whether it renews the page of a sub-request, whose URL is its own and not its client's.
pub fn is_of_a_part(request: Request<'_>) -> bool {
    of(request).is_some_and(|refresh| refresh.part)
}

/// Whether its answer may be about one visitor with a password, who is not named in its header any more.
pub fn is_somebodys(request: Request<'_>) -> bool {
    of(request).is_some_and(|refresh| refresh.somebodys)
}

/// For whom an answer was made.
pub enum Whose<'a> {
    /// For the client.
    Clients,
    /// A refresh, whose origin was told of nobody.
    Nobodys,
    /// A refresh that carries what this visitor is known by.
    Visitors(&'a Visitor),
}

/// For whom an answer was made.
pub fn whose<'a>(request: Request<'a>) -> Whose<'a> {
    match of(request) {
        None => Whose::Clients,
        Some(Refresh { visitor: None, .. }) => Whose::Nobodys,
        Some(Refresh { visitor: Some(visitor), .. }) => Whose::Visitors(visitor),
    }
}

/// Starts the refresh that this request has claimed, now that its answer is on its way.
pub fn start(request: Request<'_>) {
    let Some(ctx) = ctx::get(request) else { return };
    if ctx.claim.is_null() {
        return;
    }
    // SAFETY: made by `claim`, in the keeping of this live request's pool.
    let claim = unsafe { &mut *std::mem::replace(&mut ctx.claim, std::ptr::null_mut()) };
    let page = Page {
        base_key: ctx.base_key,
        base_hash: ctx.base_hash,
        key: ctx.key,
        hash: ctx.hash,
        rules: ctx.rules,
    };
    let place = (ctx.phase, ctx.content_handler);
    let Some(lease) = claim.lease.take() else { return };
    let zone = claim.zone;
    RUNNING.set(RUNNING.get() + 1);
    let refresh = Refresh {
        zone,
        lease: Some(lease),
        entry: claim.entry,
        asker: claim.asker,
        ctx: std::ptr::null(),
        part: !request.is_main(),
        somebodys: false,
        visitor: None,
        gone: false,
        status: 0,
    };
    // SAFETY: a live request and its zone; the key lies in its pool.
    let begun = unsafe { begin(request, refresh, page, place) };
    if begun.is_none() {
        rarely(&START_LOGGED_MS, || {
            ngx_log_error!(NGX_LOG_WARN, request.log(), "twice: a refresh could not be started: no memory");
        });
    }
}

/// Who the page is, in the pool of the request that it was served to.
struct Page {
    base_key: *const [u8],
    base_hash: u64,
    key: *const [u8],
    hash: u64,
    rules: *const [u8],
}

/// None: memory ran out, and nothing is left of it.
///
/// # Safety
/// `refresh` must be about this page in the zone of the request's location, whose request is live.
unsafe fn begin(
    parent: Request<'_>,
    refresh: Refresh,
    page: Page,
    (phase, handler): (isize, ngx_http_handler_pt),
) -> Option<()> {
    // SAFETY: a live request.
    let c = unsafe { connection::open(parent) }?;
    // SAFETY: a connection of our own, complete.
    let r = unsafe { ngx_http_create_request(c) };
    if r.is_null() {
        // SAFETY: as above; nobody else knows it.
        unsafe { connection::close(c) };
        return None;
    }
    // SAFETY: the new request, alone on its connection.
    let request = unsafe {
        connection::settle(parent, c, r);
        Request::new(r)
    };
    let zone = refresh.zone;
    let made = (|| {
        let refresh = sys::pool_box_of(request, refresh)?;
        // SAFETY: both requests are live, the new one has run nothing yet.
        let (keep, copied) = unsafe {
            let keep = copy::Keep::of(parent, &*page.rules);
            let copied = copy::copy(parent, request, &keep);
            (keep, copied)
        };
        match copied {
            // SAFETY: just made, in the pool of the new request; a zone of this cycle; rules in the parent's pool.
            copy::Copied::Whole { somebodys, told } => unsafe {
                (*refresh).somebodys = somebodys;
                if conf::of(parent).audit().is_some() && (told || keep.is_all()) {
                    (*refresh).visitor = Some(visitor_by_rules(parent, &*zone, &*page.rules));
                }
            },
            copy::Copied::Failed => return None,
            // nginx has ended it itself.
            copy::Copied::Ended => return Some(false),
        }
        // SAFETY: keys and rules lie in the parent's pool.
        let (base_key, key, rules) = unsafe { (&*page.base_key, &*page.key, &*page.rules) };
        let copy = |bytes| request.copy(bytes);
        let (base_key, key, rules) = (copy(base_key)?, copy(key)?, copy(rules)?);
        // SAFETY: a zone of this cycle.
        let ctx = Ctx {
            base_key,
            base_hash: page.base_hash,
            key,
            hash: page.hash,
            rules,
            stage: Stage::Fetch,
            refresh,
            ..Ctx::new(unsafe { &*zone }, Reason::Incomplete)
        };
        ctx::set(request, ctx)?;
        // SAFETY: just made, in the pool of the new request.
        unsafe { (*refresh).ctx = ctx::get(request).map_or(std::ptr::null(), |ctx| std::ptr::from_ref(ctx)) };
        Some(true)
    })();
    match made {
        Some(true) => {}
        Some(false) => return Some(()),
        None => {
            // SAFETY: the new request: nginx frees it, its pool and its connection.
            unsafe { ngx_http_finalize_request(r, ERROR) };
            // SAFETY: ended by posting; the connection is ours as long as it is not destroyed.
            unsafe { ngx::ffi::ngx_http_run_posted_requests(c) };
            return None;
        }
    }
    // SAFETY: the new request and its connection, complete.
    unsafe {
        (*r).method = NGX_HTTP_GET as ngx_uint_t;
        (*r).phase_handler = phase;
        (*r).content_handler = handler;
        (*r).write_event_handler = Some(ngx_http_core_run_phases);
        // nginx's error pages are other locations.
        (*r).set_error_page(1);
        (*r).set_logged(1);
        connection::post(c);
        (*zone).count(Counter::Refreshes);
    }
    Some(())
}

/// An answer has come for a refresh, and the filters of `capture` have read it: `reason` says why it is not recorded.
/// Gives what the header filter answers.
pub fn answered(request: Request<'_>, status: u16, reason: Option<Reason>) -> isize {
    let Some(refresh) = of(request) else { return ERROR };
    refresh.status = status;
    let Some(reason) = reason else { return OK };
    if ends_the_page(status, reason) {
        refresh.gone = true;
        // SAFETY: a zone of this cycle.
        let zone = unsafe { &*refresh.zone };
        let entry = refresh.entry;
        zone.with(|section| section.remove(entry));
    }
    // SAFETY: a live request.
    let length = unsafe { (*request.raw()).headers_out.content_length_n };
    if (0..=DRAIN).contains(&length) { OK } else { ERROR }
}

/// nginx's callback for both events of the connection to nowhere: what nginx's own does for a client's.
unsafe extern "C" fn on_event(event: *mut ngx::ffi::ngx_event_t) {
    guarded((), || {
        // SAFETY: the event's data is the connection that `connection::open` made, whose data is its request, which
        // lives as long as it.
        unsafe {
            let c = (*event).data.cast::<ngx::ffi::ngx_connection_t>();
            let r = (*c).data.cast::<ngx::ffi::ngx_http_request_t>();
            let log = (*(*c).log).data.cast::<ngx::ffi::ngx_http_log_ctx_t>();
            (*log).current_request = r;
            if (*c).close() != 0 {
                // The worker does not wait any longer (worker_shutdown_timeout). What ends the upstream gives back a hold on
                // the request: nginx takes one more before, too.
                let main = (*r).main;
                (*main).set_count((*main).count() + 1);
                (*c).set_error(1);
                ngx_http_finalize_request(r, ERROR);
            } else {
                let handler =
                    if (*event).write() != 0 { (*r).write_event_handler } else { (*r).read_event_handler };
                if let Some(handler) = handler {
                    handler(r);
                }
            }
            ngx::ffi::ngx_http_run_posted_requests(c);
        }
    });
}
