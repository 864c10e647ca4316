//! A stale page in place of an origin's failure (`twice_use_stale`).
//!
//! ```text
//!  lookup: expired, may stand in ── handler ── origin fails ── header filter: looked up again, its header instead
//!                                      │                         body filter: its body once, in place of what comes
//!                                      └── upstream's end: no error_page where a page stands in
//! ```
//!
//! Invariants
//! - Nothing is held while the origin is asked: the page is looked up again when it is needed, and may be gone by then.
//! - The failure's own answer goes through nginx as it would without Twice (its log, the next upstream, its end); only
//!   what leaves is another.

use std::ptr;

use ngx::ffi::{ngx_chain_t, ngx_http_request_t, ngx_http_upstream_t, ngx_int_t};
use twice_core::board::Counter;
use twice_core::outcome::{CacheStatus, Reason};
use twice_core::policy::{Failure, Times};
use twice_core::store::Meta;

use crate::conf;
use crate::ctx::{self, Ctx, Stage};
use crate::deliver::{self, Rendered, Rest, Taken};
use crate::guard::guarded;
use crate::shm::{self, Zone};
use crate::sys::Request;
use crate::variant::may_be_served;

/// What an answer is that can't be used (RFC 9110 15.6.3).
const BAD_GATEWAY: u16 = 502;

type Finalize = unsafe extern "C" fn(*mut ngx_http_request_t, ngx_int_t);

/// What a request keeps of it.
#[derive(Clone, Copy, Default)]
pub struct StandIn {
    /// The lookup found a page that may stand in for some failure.
    pub possible: bool,
    /// The client's connection was to stay open then. nginx closes it on some errors.
    keepalive: bool,
    /// The upstream's own callback, behind ours.
    finalize: Option<Finalize>,
    /// What came from the origin could not be read.
    unread: bool,
    body: Body,
}

/// The body that leaves instead.
#[derive(Clone, Copy, Default)]
enum Body {
    /// None: what comes goes through.
    #[default]
    None,
    /// This one, at the next call of the body filter.
    Ready(*mut ngx_chain_t),
    /// One that waits for values or fragments.
    Waits,
    /// It has left; whatever still comes is dropped.
    Left,
}

/// Notes that an expired page may stand in.
pub fn note(request: Request<'_>, ctx: &mut Ctx, meta: Meta, now_ms: u64) {
    ctx.stand_in.possible = Times::from(meta).may_stand_in(now_ms, conf::of(request).use_stale());
    // SAFETY: a live request.
    ctx.stand_in.keepalive = unsafe { (*request.raw()).keepalive() } != 0;
}

/// The page stands in before the origin is asked, because it has just failed others: then it is there to be delivered.
pub fn at_once(request: Request<'_>, zone: &Zone, now_ms: u64) -> Option<()> {
    let ctx = ctx::get(request)?;
    if !ctx.stand_in.possible {
        return None;
    }
    let use_stale = conf::of(request).use_stale();
    // SAFETY: a key in the pool of this live request.
    let key = unsafe { &*ctx.key };
    let conf = conf::of(request);
    let usable =
        |meta: &Meta| may_be_served(conf, meta) && Times::from(*meta).stands_in_unasked(now_ms, use_stale);
    let (found, taken) = deliver::find(zone, ctx.hash, key, now_ms, usable)?;
    ctx.held = Some(taken?);
    ctx.created_ms = found.meta.created_ms;
    ctx.expires_ms = found.meta.expires_ms;
    ctx.reason = Reason::OriginFailed;
    Some(())
}

/// Calls the location's handler. Where a page stands in, nginx's error pages stay out: they are other locations, where
/// the request would be another one.
///
/// # Safety
/// `handler` must be the content handler of the request's location.
pub unsafe fn around(
    request: Request<'_>,
    handler: unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t,
) -> ngx_int_t {
    let r = request.raw();
    if !ctx::get(request).is_some_and(|ctx| ctx.stand_in.possible) {
        // SAFETY: the caller's promise.
        return unsafe { handler(r) };
    }
    // SAFETY: a live request, which outlasts its handler: the phase engine ends it.
    unsafe {
        let before = (*r).error_page();
        // A connection may be refused, and the request ended, before the handler is back.
        if is_there(request, Failure::Error) {
            (*r).set_error_page(1);
        }
        let rc = handler(r);
        (*r).set_error_page(before);
        if (*r).upstream.is_null() {
            if failure(rc, None, false).is_some_and(|failure| is_there(request, failure)) {
                (*r).set_error_page(1);
            }
        } else {
            watch(request, (*r).upstream);
        }
        rc
    }
}

/// Puts our callback in front of the one that ends the upstream.
///
/// # Safety
/// `u` must be the request's upstream.
unsafe fn watch(request: Request<'_>, u: *mut ngx_http_upstream_t) {
    let Some(ctx) = ctx::get(request) else { return };
    // SAFETY: the caller's promise. Without a cleanup it has ended already.
    unsafe {
        if (*u).cleanup.is_null() || ctx.stand_in.finalize.is_some() {
            return;
        }
        ctx.stand_in.finalize = (*u).finalize_request;
        (*u).finalize_request = Some(finalize);
    }
}

unsafe extern "C" fn finalize(r: *mut ngx_http_request_t, rc: ngx_int_t) {
    guarded((), || {
        // SAFETY: nginx passes a live request with its upstream.
        let request = unsafe { Request::new(r) };
        let original = ctx::get(request).and_then(|ctx| ctx.stand_in.finalize);
        if let Some(original) = original {
            // SAFETY: the upstream's own callback.
            unsafe { original(r, rc) };
        }
        let Some(ctx) = ctx::get(request) else { return };
        // SAFETY: as above; the connection to the origin is still there, if there was one.
        let origin = unsafe {
            let u = (*r).upstream;
            let c = (*u).peer.connection;
            // Bytes came, and neither an end nor an error after them: it is nginx that did not like them.
            ctx.stand_in.unread = !c.is_null()
                && (*u).buffer.last != (*u).buffer.start
                && (*(*c).read).eof() == 0
                && (*(*c).read).error() == 0;
            status_of(u)
        };
        let unread = ctx.stand_in.unread;
        if failure(rc, Some(origin), unread).is_some_and(|failure| is_there(request, failure)) {
            // SAFETY: as above.
            unsafe { (*r).set_error_page(1) };
        }
    });
}

/// The status that the origin gave; none before it gave one.
///
/// # Safety
/// `u` must be a live request's upstream.
unsafe fn status_of(u: *mut ngx_http_upstream_t) -> Option<u16> {
    // SAFETY: the caller's promise.
    u16::try_from(unsafe { (*u).headers_in.status_n }).ok().filter(|&status| status != 0)
}

/// `origin`: none where no origin was asked, else the status that it gave.
fn failure(status: ngx_int_t, origin: Option<Option<u16>>, unread: bool) -> Option<Failure> {
    Failure::of(u16::try_from(status).ok()?, origin.is_some(), origin.flatten(), unread)
}

/// Looks up the page that stands in, and keeps it where it is.
fn look_up(request: Request<'_>, failure: Failure) -> Option<(Meta, Taken)> {
    let ctx = ctx::get(request)?;
    // SAFETY: the zone of the request's location; the key lies in the request's pool.
    let (zone, key): (&Zone, &[u8]) = unsafe { (&*ctx.zone, &*ctx.key) };
    let words = conf::of(request).use_stale();
    let now = shm::now_ms();
    let conf = conf::of(request);
    let usable = |meta: &Meta| may_be_served(conf, meta) && Times::from(*meta).stands_in(now, failure, words);
    let (found, taken) = deliver::find(zone, ctx.hash, key, now, usable)?;
    Some((found.meta, taken?))
}

/// Whether there is a page that stands in for this failure.
fn is_there(request: Request<'_>, failure: Failure) -> bool {
    let Some(ctx) = ctx::get(request) else { return false };
    // SAFETY: as above.
    let (zone, key): (&Zone, &[u8]) = unsafe { (&*ctx.zone, &*ctx.key) };
    let (words, now) = (conf::of(request).use_stale(), shm::now_ms());
    let conf = conf::of(request);
    let usable = |meta: &Meta| may_be_served(conf, meta) && Times::from(*meta).stands_in(now, failure, words);
    let taken = deliver::find(zone, ctx.hash, key, now, usable).and_then(|(_, taken)| taken);
    let there = taken.is_some();
    deliver::let_go(zone, taken);
    there
}

/// What became of an answer for which a page may be served.
pub enum Exchange {
    /// It goes on as it is.
    No,
    /// The header is the page's.
    Page,
    /// A condition of the client's does not hold for the page: this status.
    Refused(ngx_int_t),
}

/// The first header filter has an answer: exchanges it for the stale page's, if it is a failure and there is one.
/// `broken`: it is none that can be used, whatever it says.
pub fn exchange(request: Request<'_>, broken: bool) -> Option<Exchange> {
    let ctx = ctx::get(request)?;
    if !ctx.stand_in.possible {
        return Some(Exchange::No);
    }
    let (before, unread, keepalive) = (ctx.lines_before, ctx.stand_in.unread, ctx.stand_in.keepalive);
    let r = request.raw();
    // SAFETY: a live request; its upstream, if it has one, lives in the same pool.
    let (status, origin) = unsafe {
        let u = (*r).upstream;
        ((*r).headers_out.status, if u.is_null() { None } else { Some(status_of(u)) })
    };
    let failure = match broken {
        true => Some(Failure::Http(BAD_GATEWAY)),
        false => failure(ngx_int_t::try_from(status).ok()?, origin, unread),
    };
    let Some(failure) = failure else { return Some(Exchange::No) };
    let Some((meta, taken)) = look_up(request, failure) else { return Some(Exchange::No) };
    forget_answer(request, before);
    let told = match failure {
        Failure::Http(_) if broken => u16::try_from(status).ok(),
        Failure::Http(status) => Some(status),
        Failure::Error | Failure::Timeout | Failure::InvalidHeader => None,
    };
    let ctx = ctx::get(request)?;
    ctx.created_ms = meta.created_ms;
    ctx.expires_ms = meta.expires_ms;
    ctx.stage = Stage::Hit;
    ctx.status = Some(CacheStatus::Stale);
    ctx.reason = Reason::OriginFailed;
    // SAFETY: the zone of the request's location.
    let zone = unsafe { &*ctx.zone };
    zone.count(Counter::Stale);
    // SAFETY: a live request.
    unsafe { (*r).set_keepalive(u32::from(keepalive)) };
    send_instead(request, zone, taken, deliver::Way::StandIn(told))
}

/// Has a page leave in the place of the answer that came.
pub fn send_instead(request: Request<'_>, zone: &Zone, taken: Taken, way: deliver::Way) -> Option<Exchange> {
    let body = match deliver::body(request, zone, taken, way)? {
        Rendered::Whole(chain) => Body::Ready(chain),
        Rendered::Later => Body::Waits,
        Rendered::Refused(status) => return Some(Exchange::Refused(status)),
    };
    // nginx cuts ranges before its answer comes by here.
    // SAFETY: a live request.
    unsafe { (*request.raw()).set_allow_ranges(0) };
    ctx::get(request)?.stand_in.body = body;
    Some(Exchange::Page)
}

/// Takes out what the failure's answer has put into the header.
pub fn forget_answer(request: Request<'_>, before: usize) {
    // SAFETY: a live request. nginx leaves lines of hash 0 out; null is its word for "not given".
    unsafe {
        for line in request.lines_out().skip(before) {
            (*line).hash = 0;
        }
        let r = request.raw();
        (*r).err_status = 0;
        let out = &raw mut (*r).headers_out;
        (*out).status_line.len = 0;
        (*out).server = ptr::null_mut();
        (*out).date = ptr::null_mut();
        (*out).content_length = ptr::null_mut();
        (*out).content_encoding = ptr::null_mut();
        (*out).location = ptr::null_mut();
        (*out).refresh = ptr::null_mut();
        (*out).last_modified = ptr::null_mut();
        (*out).content_range = ptr::null_mut();
        (*out).accept_ranges = ptr::null_mut();
        (*out).www_authenticate = ptr::null_mut();
        (*out).expires = ptr::null_mut();
        (*out).etag = ptr::null_mut();
        (*out).last_modified_time = -1;
        (*out).content_length_n = -1;
        crate::sys::forget_cache_control(r);
    }
}

/// What the body filter does with a chain.
pub enum Turn {
    /// Goes through: no page stands in.
    Through,
    /// This goes on instead.
    Instead(*mut ngx_chain_t),
    /// Nothing goes on.
    Nothing,
    /// Nothing can go on: the request ends.
    Failed,
}

/// Takes a chain of the failure's answer; what is given back goes on instead.
///
/// # Safety
/// `chain` must be what nginx passed to the body filter.
pub unsafe fn turn(request: Request<'_>, chain: *mut ngx_chain_t) -> Turn {
    let Some(ctx) = ctx::get(request) else { return Turn::Through };
    let (turn, left) = match ctx.stand_in.body {
        Body::None => return Turn::Through,
        // nginx sends what is left of what went on before.
        Body::Left if chain.is_null() => return Turn::Through,
        Body::Left => (Turn::Nothing, Body::Left),
        Body::Ready(body) => (Turn::Instead(body), Body::Left),
        Body::Waits => match deliver::rest(request) {
            Rest::Whole(body) => (Turn::Instead(body), Body::Left),
            Rest::Later => (Turn::Nothing, Body::Waits),
            Rest::Failed => (Turn::Failed, Body::Left),
        },
    };
    if let Some(ctx) = ctx::get(request) {
        ctx.stand_in.body = left;
    }
    // SAFETY: the caller's promise.
    unsafe { crate::sys::swallow(chain) };
    turn
}
