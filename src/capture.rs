//! Recording: two filters that see an origin's answer on its way to the client.
//!
//! The header filter reads what the answer says of itself, takes the control lines out and decides
//! (`twice_core::policy`). The body filter feeds the body to a [`record::Recording`]; where the answer
//! has tags the visitor that caused the fetch gets them filled, by the same program that every later
//! hit runs. A page is stored when its last byte has come and not before: an answer that is cut short
//! never reaches its last buffer.

mod audit;
mod body;
mod chain;
mod headers;
mod lines;
mod outgoing;
mod place;
mod record;
mod save;
mod tags;

use std::ffi::c_void;

use ngx::ffi::{
    ngx_http_cleanup_add, ngx_http_output_header_filter_pt, ngx_http_request_t, ngx_http_test_content_type,
    ngx_http_test_predicates, ngx_http_top_header_filter, ngx_int_t,
};
use twice_core::outcome::{CacheStatus, Reason};
use twice_core::policy::{Facts, Inert, Rules, decide, ends_an_expired_page};
use twice_core::recipe;
use twice_core::variants::Dimensions;

use crate::conf::{self, LocConf};
use crate::ctx::{self, Ctx, Stage};
use crate::guard::guarded;
use crate::stand_in::Exchange;
use crate::sys::{self, DECLINED, ERROR, Request};
use crate::{asker, flight, include, leaving, outward, purge, refresh, revalidate, shm, stand_in, variant};

pub use audit::visitor_by_rules;
pub use headers::{Laid, Lines, Snapshot, keep_private};
pub use lines::{hear_hidden, hear_shown};
pub use place::Renews;
pub use record::Capture;
pub use save::{Made, save};

use lines::read_lines;
use record::Recording;
use tags::Tags;

static mut NEXT_HEADER: ngx_http_output_header_filter_pt = None;
static mut NEXT_OUTWARD: ngx_http_output_header_filter_pt = None;

/// Puts the header filter in front of all others.
///
/// # Safety
/// Only in postconfiguration.
pub unsafe fn install_header_filter() {
    // SAFETY: configuration is read by one thread, before any request.
    unsafe {
        NEXT_HEADER = ngx_http_top_header_filter;
        ngx_http_top_header_filter = Some(header_filter);
    }
}

/// Puts the body filter, and the one that looks at what leaves, at the place of their module.
///
/// # Safety
/// Only in postconfiguration.
pub unsafe fn install_body_filter() {
    // SAFETY: as above.
    unsafe {
        NEXT_OUTWARD = ngx_http_top_header_filter;
        ngx_http_top_header_filter = Some(outward_filter);
        body::install();
    }
}

fn next_header(request: Request<'_>) -> ngx_int_t {
    if let Some(part) = include::part_of(request) {
        // SAFETY: the fragment that this live request was made for.
        return guarded(ERROR, || unsafe { include::header(request, part) });
    }
    // SAFETY: set at configuration time, never changed after; a live request.
    unsafe { NEXT_HEADER.map_or(ERROR, |next| next(request.raw())) }
}

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request to its filters.
    let request = unsafe { Request::new(r) };
    if refresh::is_refresh(request) && request.is_main() {
        return guarded(ERROR, || refreshed(request).unwrap_or(ERROR));
    }
    // A value is data: whatever it holds, it is no page and has no tags.
    if include::is_fetch(request) {
        return next_header(request);
    }
    let gone_on = guarded(Next::Failed, || {
        flight::end_former(request);
        let conf = conf::of(request);
        if ctx::get(request).is_some_and(|ctx| ctx.reason == Reason::Method) || request.is_internal() {
            purge::unsafe_method::answered(request);
        }
        let answered = match ctx::get(request) {
            Some(ctx) if ctx.stage == Stage::Hit => {
                let again = std::mem::replace(&mut ctx.answered, true);
                return Next::when(outward::add(request, conf, again).is_some());
            }
            Some(ctx) => std::mem::replace(&mut ctx.answered, true),
            None => {
                let Some(zone) = conf.zone() else { return Next::Filter };
                // Not asked for by the phase handler: an answer of nginx itself, or of a handler that
                // stands before it. Its tags are filled; it is not stored.
                let early = Ctx { answered: true, ..Ctx::new(zone, Reason::Early) };
                if ctx::set(request, early).is_none() {
                    return Next::Failed;
                }
                false
            }
        };
        let done = if answered {
            second_answer(request, conf)
        } else {
            match first_answer(request, conf) {
                Some(Exchange::Refused(status)) => return Next::Refused(status),
                other => other.map(|_| ()),
            }
        };
        Next::when(done.and_then(|()| outward::add(request, conf, answered)).is_some())
    });
    match gone_on {
        Next::Filter => {}
        // nginx makes its own answer with this status.
        Next::Refused(status) => return status,
        Next::Failed => return ERROR,
    }
    match next_header(request) {
        // The page is wanted by others than the client that has left.
        ERROR if guarded(false, || leaving::is_alone(request)) => sys::OK,
        rc => rc,
    }
}

/// Where an answer's header goes from the first filter.
enum Next {
    Filter,
    Refused(ngx_int_t),
    Failed,
}

impl Next {
    fn when(ok: bool) -> Self {
        if ok { Self::Filter } else { Self::Failed }
    }
}

/// The answer to a client's request: read, or exchanged for a stored page. None when memory ran out.
fn first_answer(request: Request<'_>, conf: &LocConf) -> Option<Exchange> {
    match revalidate::exchange(request, conf)? {
        Exchange::No => {}
        done => return Some(done),
    }
    match stand_in::exchange(request, false)? {
        Exchange::No => answer(request, conf).map(|()| Exchange::No),
        done => {
            flight::failed(request);
            Some(done)
        }
    }
}

/// The answer to a refresh: read as any other, and shown to nobody. None when memory ran out.
fn refreshed(request: Request<'_>) -> Option<ngx_int_t> {
    // SAFETY: a live request. nginx's own header filter says so of what it has sent.
    unsafe { (*request.raw()).set_header_sent(1) };
    // SAFETY: as above.
    let status = u16::try_from(unsafe { (*request.raw()).headers_out.status }).unwrap_or(0);
    if std::mem::replace(&mut ctx::get(request)?.answered, true) {
        return Some(sys::OK);
    }
    let conf = conf::of(request);
    if let Some((status, reason)) = revalidate::refreshed(request, conf) {
        return Some(refresh::answered(request, status, reason));
    }
    answer(request, conf)?;
    let reason = ctx::get(request)?.reason;
    Some(refresh::answered(request, status, (reason != Reason::Recording).then_some(reason)))
}

/// What `expires` and `add_header` say of a page that holds a visitor's values is not for other caches.
unsafe extern "C" fn outward_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request to its filters.
    let request = unsafe { Request::new(r) };
    let ok = guarded(false, || {
        let personal = ctx::get(request).is_some_and(|ctx| ctx.personal);
        // SAFETY: a live request.
        if personal && unsafe { sys::has_cache_control(r) || !(*r).headers_out.expires.is_null() } {
            return headers::keep_private(request).is_some();
        }
        true
    });
    if !ok {
        return ERROR;
    }
    // SAFETY: set at configuration time, never changed after; a live request.
    unsafe { NEXT_OUTWARD.map_or(ERROR, |next| next(r)) }
}

/// An answer in place of the one that was decided on, such as the range filter's 416: never stored.
fn second_answer(request: Request<'_>, conf: &LocConf) -> Option<()> {
    let mut facts = Facts::new(conf.headers());
    read_lines(request, &mut facts, conf.steering.honor(), usize::MAX);
    // SAFETY: a live request.
    unsafe { (*request.raw()).set_disable_not_modified(0) };
    let ctx = ctx::get(request)?;
    ctx.capture = std::ptr::null_mut();
    if ctx.reason == Reason::Recording {
        flight::not_stored(request, Reason::Failed, 0);
    }
    Some(())
}

/// Reads and decides on an origin's answer; none when memory ran out.
fn answer(request: Request<'_>, conf: &LocConf) -> Option<()> {
    let r = request.raw();
    let mut facts = Facts::new(conf.headers());
    let before = ctx::get(request)?.lines_before;
    let lines = read_lines(request, &mut facts, conf.steering.honor(), before);
    // SAFETY: a live request, its location's merged hash.
    let (status, type_has_tags, length) = unsafe {
        let status = u16::try_from((*r).headers_out.status).unwrap_or(0);
        let types = (&raw const conf.types).cast_mut();
        (status, !ngx_http_test_content_type(r, types).is_null(), (*r).headers_out.content_length_n)
    };
    // A file has the time alone.
    // SAFETY: a live request.
    let last_modified = unsafe { (*r).headers_out.last_modified_time };
    if last_modified != -1 {
        facts.dates.last_modified.get_or_insert(last_modified);
    }
    let rules = rules(request, conf, type_has_tags)?;
    let verdict = decide(status, &facts, &rules);
    let stated = varied(request, conf, &facts)?;
    let ctx = ctx::get(request)?;
    // SAFETY: the zone of the request's location.
    let max = unsafe { (*ctx.zone).max_object() };
    let stage = ctx.stage;
    let lifetime = match (stage, verdict.store) {
        (Stage::Fetch, Ok(_)) if request.upstream_lengths() > 1 => Err(Reason::Framing),
        (Stage::Fetch, Ok(_)) if u64::try_from(length).is_ok_and(|n| n > max as u64) => Err(Reason::TooLarge),
        (Stage::Fetch, verdict) => {
            verdict.and_then(|seconds| stated.as_ref().map_err(|why| *why).map(|_| seconds))
        }
        _ => Err(ctx.reason),
    };
    let recording = lifetime.is_ok();
    let mut lines = if recording { lines.copy() } else { Lines::default() };
    let tags = if verdict.tags { tags::begin(request, conf, max, &facts, before, &mut lines) } else { None };
    // The whole answer is wanted where it is ours: the client's conditions are about another one. Where it is not they hold,
    // if the origin was not told of them; who was told has judged them, and may have done what was asked. nginx's filter that
    // looks at them comes after this one.
    let whole = recording || tags.is_some();
    if whole || stage == Stage::Fetch || revalidate::is_head_of_a_page(request, conf) {
        // SAFETY: a live request.
        unsafe { (*r).set_disable_not_modified(u32::from(whole)) };
    }
    let mut snapshot = match stated {
        Ok(stated) if recording => {
            lines.tagged = tags.as_ref().map_or_else(Vec::new, Tags::encode);
            // SAFETY: a live request; the type lies in its pool or in the configuration.
            let content_type = unsafe { sys::bytes((*r).headers_out.content_type) };
            let recipe = recipe::of_answer(conf.recipe, type_has_tags, conf.escape(content_type));
            Snapshot::take(request, lines, &facts, stated, recipe)
        }
        _ => None,
    };
    if let Some((snapshot, ignored)) = snapshot.as_mut().zip(conf.audit()) {
        snapshot.leave_out(ignored, &facts);
    }
    let ctx = ctx::get(request)?;
    match lifetime {
        Ok(seconds) => {
            ctx.reason = Reason::Recording;
            let now = shm::now_ms();
            ctx.created_ms = now.saturating_sub(verdict.age.saturating_mul(1000));
            ctx.expires_ms = now.saturating_add(seconds.saturating_mul(1000));
            ctx.windows = verdict.windows;
        }
        Err(reason) => ctx.reason = reason,
    }
    let reason = ctx.reason;
    match lifetime {
        Ok(_) => flight::answered(request),
        Err(_) if stage == Stage::Fetch => {
            end_expired(request, status, reason);
            flight::not_stored(request, reason, status);
        }
        Err(_) => {}
    }
    let tagged = tags.is_some();
    let seen = ctx::get(request)?.refresh.is_null();
    let compiler = tags::for_body(request, tags, seen)?;
    if let Some(why) = verdict.inert {
        let has_body = facts.control.is_some() && reason != Reason::Head;
        tags::tell_inert(request, why, !recording && has_body);
    }
    let ctx = ctx::get(request)?;
    if recording || tagged && seen {
        // SAFETY: a live request. A range would be cut before the body filter sees it; files come as memory.
        unsafe {
            (*r).set_allow_ranges(0);
            (*r).set_filter_need_in_memory(1);
        }
        if recording {
            at_the_end(request, ctx)?;
        }
        let mut recording = Recording::new(max, length, snapshot, compiler);
        if verdict.inert == Some(Inert::NoGuard) {
            recording.look_for_tags(conf.delimiters());
        }
        ctx.capture = sys::pool_box_of(request, Capture::new(recording))?;
    }
    if !seen {
        return Some(());
    }
    if tagged {
        ctx.personal = true;
        headers::make_private(request)?;
    }
    if request.is_main() {
        // SAFETY: empty, or in the pool of this live request.
        let varies = !unsafe { &*ctx.rules }.is_empty();
        let forward = match ctx.status {
            Some(_) if ctx.by_request => "request",
            Some(CacheStatus::Miss) if varies => "vary-miss",
            Some(status) => status.forward(),
            None if ctx.reason == Reason::Method => "method",
            None => "bypass",
        };
        // It waited for nothing.
        let collapsed = if ctx.has_waited() { "; collapsed=?0" } else { "" };
        headers::cache_status(request, forward, collapsed, ctx.reason)?;
    }
    Some(())
}

/// The page that this answer was to take the place of goes, where its origin has taken it back: it shall not come again when
/// the origin fails.
fn end_expired(request: Request<'_>, status: u16, reason: Reason) {
    let Some(ctx) = ctx::get(request) else { return };
    let Some(entry) = ctx.expired else { return };
    let known = asker::has_password(request) || request.header_in(b"cookie").is_some();
    if ends_an_expired_page(status, reason, known) {
        // SAFETY: the zone of the request's location.
        unsafe { &*ctx.zone }.with(|section| section.remove(entry));
    }
}

/// What the location and the request say of an answer; none when memory ran out.
pub fn rules<'c>(request: Request<'_>, conf: &'c LocConf, type_has_tags: bool) -> Option<Rules<'c>> {
    // SAFETY: nginx's own test of its own array, or null, which it takes as "none is true".
    let no_store = match unsafe { ngx_http_test_predicates(request.raw(), conf.no_store) } {
        sys::OK => false,
        DECLINED => true,
        _ => return None,
    };
    let ctx = ctx::get(request)?;
    let no_store = no_store || ctx.wanted.no_store;
    let delay = if ctx.asked_ms == 0 { 0 } else { shm::now_ms().saturating_sub(ctx.asked_ms) / 1000 };
    Some(Rules {
        valid: conf.valid(),
        tags: conf.tags(),
        type_has_tags,
        honor: conf.steering.honor(),
        statuses: conf.steering.statuses(),
        heuristic: conf.steering.heuristic(),
        set_cookie: conf.steering.set_cookie(),
        delay,
        authorization: asker::has_password(request) || refresh::is_somebodys(request),
        no_store,
        now: ngx::ffi::ngx_time(),
        stale_factor: conf.stale_factor(),
        use_stale: conf.use_stale(),
    })
}

/// What an answer varies by, or why it can't be stored for that; none when memory ran out. Other caches are told.
fn varied(request: Request<'_>, conf: &LocConf, facts: &Facts<'_>) -> Option<Result<Dimensions, Reason>> {
    let (stated, all) = dimensions(request, conf, facts)?;
    if let Some(line) = facts.varies.line(&all, conf.headers()) {
        headers::tell_vary(request, &line)?;
    }
    Some(stated)
}

/// The same, told to nobody; and what the page varies by all in all. None when memory ran out.
pub fn dimensions(
    request: Request<'_>,
    conf: &LocConf,
    facts: &Facts<'_>,
) -> Option<(Result<Dimensions, Reason>, Dimensions)> {
    let ctx = ctx::get(request)?;
    // SAFETY: empty, or in the pool of this live request.
    let (base, rules): (&[u8], &[u8]) = unsafe { (&*ctx.base_key, &*ctx.rules) };
    let mut stated = if base.is_empty() {
        // Not looked up: the location's rules are not meant.
        Ok(facts.varies.dimensions(conf.vary_language(), conf.withheld()))
    } else {
        variant::stated(conf, &facts.varies)
    };
    let mut all = stated.clone().unwrap_or_default();
    let complete = variant::add_rules(&mut all, rules);
    if !facts.varies.is_beyond() && !base.is_empty() {
        stated = stated.and_then(|stated| {
            complete?;
            variant::check(request, base, &all).map(|()| stated)
        });
    }
    Some((stated, all))
}

/// What is still being recorded when the request ends has not come whole. nginx runs this before it logs.
fn at_the_end(request: Request<'_>, ctx: *mut Ctx) -> Option<()> {
    unsafe extern "C" fn end(data: *mut c_void) {
        // SAFETY: the context, in the pool of the request that ends.
        let ctx = unsafe { &mut *data.cast::<Ctx>() };
        if ctx.reason == Reason::Recording {
            ctx.reason = Reason::Incomplete;
        }
    }
    // SAFETY: a live request; the cleanup is ours to fill.
    unsafe {
        let cleanup = ngx_http_cleanup_add(request.raw(), 0);
        if cleanup.is_null() {
            return None;
        }
        (*cleanup).handler = Some(end);
        (*cleanup).data = ctx.cast();
    }
    Some(())
}
