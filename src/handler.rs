//! Where a request meets the store.
//!
//! The lookup stands in the PRECONTENT phase: rewrites, access and authentication have run by then, so
//! that a stored page is served to those only who could have fetched it. It is the first handler of
//! its phase; a hit returns NGX_OK, which skips the others (try_files) and goes on to the content phase,
//! where [`crate::deliver`] answers; in a location with `mirror` it lets them run. A miss goes on as if nothing had been asked, but for
//! [`crate::fetch`] in front of the location's own handler.
//!
//! A `return` ends the request in the REWRITE phase, before access. Locations that begin with one are
//! looked up there: what nginx lets everybody see may be served to everybody.

use ngx::ffi::{
    NGX_HTTP_CLOSE, NGX_HTTP_GATEWAY_TIME_OUT, NGX_HTTP_GET, NGX_HTTP_HEAD, ngx_array_push, ngx_conf_t,
    ngx_http_conf_ctx_t, ngx_http_core_main_conf_t, ngx_http_core_module,
    ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE, ngx_http_phases_NGX_HTTP_REWRITE_PHASE, ngx_http_request_t,
    ngx_http_test_predicates, ngx_int_t, ngx_uint_t,
};
use twice_core::board::Counter;
use twice_core::outcome::{CacheStatus, Reason};
use twice_core::policy::{Freshness, Times, Wanted};
use twice_core::store::Found;

use crate::conf::{self, LocConf};
use crate::ctx::{self, Ctx, Stage};
use crate::deliver::Taken;
use crate::guard::guarded;
use crate::shm::{self, Zone};
use crate::sys::{self, AGAIN, DECLINED, ERROR, OK, Request};
use crate::variant;
use crate::wait::Turn;
use crate::{deliver, fetch, flight, identity, include, language, purge, refresh, stand_in, wait};

/// Adds the phase handlers.
///
/// # Safety
/// `cf` must be the running configuration, in postconfiguration.
pub unsafe fn install(cf: *mut ngx_conf_t) -> ngx_int_t {
    type Handler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;
    let handlers: [(_, Handler); 2] = [
        (ngx_http_phases_NGX_HTTP_REWRITE_PHASE, rewrite_phase),
        (ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE, precontent_phase),
    ];
    for (phase, handler) in handlers {
        // SAFETY: in postconfiguration the core module's main configuration has its phase arrays.
        unsafe {
            let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            let index = ngx_http_core_module.ctx_index;
            let main = (*(*ctx).main_conf.add(index)).cast::<ngx_http_core_main_conf_t>();
            let place = ngx_array_push(&raw mut (*main).phases[phase as usize].handlers);
            if place.is_null() {
                return ERROR;
            }
            place.cast::<Option<Handler>>().write(Some(handler));
        }
    }
    OK
}

unsafe extern "C" fn rewrite_phase(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request to its phase handlers.
    let request = unsafe { Request::new(r) };
    guarded(ERROR, || {
        if let Some(rc) = refreshes(request) {
            return rc;
        }
        let conf = conf::of(request);
        if !conf::returns(request) || include::is_fetch(request) {
            return DECLINED;
        }
        let Some(zone) = conf.zone() else { return DECLINED };
        if let Some(elsewhere) = language::redirect(request, conf) {
            return elsewhere;
        }
        match look_up(request, conf, zone, false) {
            _ if is_refused(request) => NGX_HTTP_GATEWAY_TIME_OUT as ngx_int_t,
            // What a phase handler returns here ends the request, but for NGX_DONE: what waits goes on by itself.
            Some(Stage::Hit) => deliver::deliver(request),
            _ => DECLINED,
        }
    })
}

unsafe extern "C" fn precontent_phase(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request to its phase handlers.
    let request = unsafe { Request::new(r) };
    guarded(ERROR, || {
        if let Some(rc) = refreshes(request) {
            fetch::install(request);
            // It is no visitor's request: theirs was copied.
            return if rc == DECLINED && conf::is_mirrored(request) { OK } else { rc };
        }
        if include::is_fetch(request) {
            return DECLINED;
        }
        let conf = conf::of(request);
        let Some(zone) = conf.zone() else { return DECLINED };
        if purge::endpoint::command_of_location(request, conf) {
            // SAFETY: a live request.
            unsafe { (*r).content_handler = Some(purge::endpoint::location_handler) };
            return OK;
        }
        if let Some(elsewhere) = language::redirect(request, conf) {
            return elsewhere;
        }
        match look_up(request, conf, zone, true) {
            _ if is_refused(request) => NGX_HTTP_GATEWAY_TIME_OUT as ngx_int_t,
            Some(Stage::Hit) => {
                // SAFETY: a live request.
                unsafe { (*r).content_handler = Some(deliver::content_handler) };
                if conf::is_mirrored(request) {
                    // What makes the copies goes on to the content phase by itself, or fails.
                    return if deliver::hold_on(request).is_some() { DECLINED } else { ERROR };
                }
                OK
            }
            Some(Stage::Fetch | Stage::Pass) => {
                fetch::install(request);
                DECLINED
            }
            Some(Stage::Wait) => AGAIN,
            None => DECLINED,
        }
    })
}

/// A refresh knows what it is to fetch, and goes on. One that nginx has sent to another location has lost its context: it
/// ends, before access to that location is asked for in the name of somebody who is not there.
fn refreshes(request: Request<'_>) -> Option<ngx_int_t> {
    if !refresh::is_refresh(request) || !request.is_main() {
        return None;
    }
    let known = ctx::get(request).is_some_and(|ctx| !ctx.refresh.is_null());
    Some(if known { DECLINED } else { NGX_HTTP_CLOSE as ngx_int_t })
}

/// Gives the request its context and asks the store. None: out of memory, or it was asked before; the
/// request goes on without Twice. `may_wait`: where there is no page the phase can suspend the request.
fn look_up(request: Request<'_>, conf: &LocConf, zone: &Zone, may_wait: bool) -> Option<Stage> {
    let bypass = match ctx::get(request) {
        // Resumed: who it is, and what it may ask for, is known.
        Some(ctx) if ctx.stage == Stage::Wait => {
            ctx.stage = Stage::Pass;
            false
        }
        Some(_) => return None,
        None => {
            flight::end_former(request);
            match begin(request, conf, zone)? {
                Some(bypass) => bypass,
                None => return Some(Stage::Pass),
            }
        }
    };
    // What `post_action` asks for has no client, and nginx takes no body in for it.
    // SAFETY: a live request.
    let head = unsafe {
        (*request.raw()).method == NGX_HTTP_HEAD as ngx_uint_t || (*request.raw()).post_action() != 0
    };
    let wanted = ctx::get(request)?.wanted;
    // Others do not wait for a page that this client will not have stored; what was asked for before he came is not what he
    // wants who wants it anew.
    let waits = !wanted.only_if_cached && !wanted.no_store && !wanted.is_anew();
    let may_wait = may_wait && !head && !bypass && waits;
    let status = if bypass { Ok(CacheStatus::Bypass) } else { find_or_wait(request, conf, zone, may_wait)? };
    let ctx = ctx::get(request)?;
    let status = match status {
        Ok(status) => status,
        Err(reason) => {
            (ctx.status, ctx.reason) = (None, reason);
            return Some(Stage::Pass);
        }
    };
    ctx.status = Some(status);
    if ctx.stage == Stage::Wait {
        return Some(Stage::Wait);
    }
    let served = matches!(status, CacheStatus::Hit | CacheStatus::Stale | CacheStatus::Updating);
    if wanted.only_if_cached && !served {
        ctx.reason = Reason::OnlyIfCached;
        ctx.stand_in.possible = false;
        return Some(Stage::Pass);
    }
    zone.count(match status {
        CacheStatus::Hit | CacheStatus::Revalidated => Counter::Hits,
        CacheStatus::Stale | CacheStatus::Updating => Counter::Stale,
        CacheStatus::Miss => Counter::Misses,
        CacheStatus::Expired => Counter::Expired,
        CacheStatus::Bypass => Counter::Bypassed,
    });
    (ctx.stage, ctx.reason) = match status {
        CacheStatus::Hit => (Stage::Hit, Reason::Hit),
        CacheStatus::Stale if ctx.reason == Reason::OriginFailed => (Stage::Hit, Reason::OriginFailed),
        CacheStatus::Stale | CacheStatus::Updating => (Stage::Hit, Reason::Stale),
        _ if head => (Stage::Pass, Reason::Head),
        // Until the response says otherwise.
        _ => (Stage::Fetch, Reason::Incomplete),
    };
    if ctx.stage != Stage::Hit {
        ctx.lines_before = request.lines_out().count();
        // SAFETY: a live request.
        ctx.upstream_before = unsafe { (*request.raw()).upstream }.cast();
    }
    if ctx.stage == Stage::Fetch {
        zone.count(Counter::Fetches);
    }
    Some(ctx.stage)
}

/// Gives the request its context and its key, and says whether it passes the store by; `Some(None)` where it is none
/// of the cache's business.
fn begin(request: Request<'_>, conf: &LocConf, zone: &Zone) -> Option<Option<bool>> {
    ctx::set(request, Ctx::new(zone, Reason::Failed))?;
    // What evaluates variables comes first: they may ask for this very context.
    let asked = match not_looked_up(request, conf) {
        Some(reason) => Err(reason),
        None => identity::key_of(request, conf),
    };
    let key = match asked {
        Ok(key) => key,
        Err(reason) => {
            if reason == Reason::Method {
                purge::unsafe_method::note(request, zone)?;
            }
            ctx::get(request)?.reason = reason;
            return Some(None);
        }
    };
    // SAFETY: nginx's own test of its own array, or null, which it takes as "none is true".
    let bypass = match unsafe { ngx_http_test_predicates(request.raw(), conf.bypass) } {
        OK => false,
        DECLINED => true,
        _ => return None,
    };
    let mut wanted = Wanted::default();
    if request.is_main() {
        zone.visit(request.address());
        if conf.steering.request_control() {
            wanted = wanted_by(request);
        }
    }
    let base = (key, zone.store()?.hash(key));
    let ctx = ctx::get(request)?;
    (ctx.base_key, ctx.base_hash) = base;
    (ctx.key, ctx.hash) = base;
    ctx.wanted = wanted;
    Some(Some(bypass))
}

/// What a request says in its own `Cache-Control` and `Pragma`.
fn wanted_by(request: Request<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    let lines = |lower: &'static [u8]| {
        request.lines_in().filter_map(move |line| {
            // SAFETY: a line of this live request.
            let (name, value) = unsafe { sys::pair(line) };
            name.eq_ignore_ascii_case(lower).then_some(value)
        })
    };
    lines(b"cache-control").for_each(|value| wanted.cache_control(value));
    lines(b"pragma").for_each(|value| wanted.pragma(value));
    wanted
}

/// Whether the client wanted a stored page or none, and there is none.
fn is_refused(request: Request<'_>) -> bool {
    ctx::get(request).is_some_and(|ctx| ctx.reason == Reason::OnlyIfCached)
}

/// Looks the page up; where it is not there the request gets the lease of its fetch, or is suspended, which its stage
/// says then. The reason tells why it can't be looked up after all.
fn find_or_wait(
    request: Request<'_>,
    conf: &LocConf,
    zone: &Zone,
    may_wait: bool,
) -> Option<Result<CacheStatus, Reason>> {
    let mut status = CacheStatus::Miss;
    // A page that comes and goes again in between is not looked for a third time.
    for again in [false, true] {
        let now = shm::now_ms();
        let ctx = ctx::get(request)?;
        // What is purged from here on is not what is fetched.
        ctx.began = zone.board()?.latest();
        // SAFETY: a key in the pool of this live request.
        let base = (unsafe { &*ctx.base_key }, ctx.base_hash);
        let wanted = ctx.wanted;
        let asked = match variant::find(request, conf, zone, base, (now, &wanted)) {
            Ok(asked) => asked,
            Err(reason) => return Some(Err(reason)),
        };
        let ctx = ctx::get(request)?;
        (ctx.key, ctx.hash, ctx.rules) = (asked.key, asked.hash, asked.rules);
        let (hash, entry) = (asked.hash, asked.found.as_ref().map(|(found, _)| found.entry));
        status = judge(request, ctx, asked.found, now);
        if let (CacheStatus::Updating, Some(entry)) = (status, entry) {
            let claim = refresh::claim(request, zone, hash, entry, now);
            ctx::get(request)?.claim = claim;
            status = if claim.is_null() { CacheStatus::Updating } else { CacheStatus::Stale };
        }
        let ctx = ctx::get(request)?;
        let before = ctx.status.replace(status);
        let served = matches!(status, CacheStatus::Hit | CacheStatus::Stale | CacheStatus::Updating);
        if ctx.has_waited() && served {
            ctx.waited_for = before;
        }
        if served || !may_wait {
            break;
        }
        match wait::turn(request, conf, zone, again)? {
            Turn::Again => {}
            Turn::Fetch => break,
            Turn::FetchInVain => {
                // Who asks an origin that hangs would wait for nothing: the page stands in at once.
                if stand_in::at_once(request, zone, shm::now_ms()).is_some() {
                    status = CacheStatus::Stale;
                }
                break;
            }
            Turn::Wait => {
                let ctx = ctx::get(request)?;
                (ctx.stage, ctx.reason) = (Stage::Wait, Reason::Waiting);
                break;
            }
        }
    }
    Some(Ok(status))
}

/// What becomes of a request by what was found. A page that is served is held; whether it is this request that has a stale
/// one renewed is not said yet.
fn judge(
    request: Request<'_>,
    ctx: &mut Ctx,
    asked: Option<(Found, Option<Taken>)>,
    now: u64,
) -> CacheStatus {
    let Some((found, taken)) = asked else { return CacheStatus::Miss };
    let times = Times::from(found.meta);
    let freshness = ctx.wanted.at(times, found.meta.created_ms, now);
    if freshness == Freshness::Expired {
        ctx.by_request = times.at(now) != Freshness::Expired;
        // Others are still served what only this one would not have.
        ctx.expired = (!ctx.by_request).then_some(found.entry);
        // Who wants it anew is told what has become of that.
        if !ctx.wanted.is_anew() {
            stand_in::note(request, ctx, found.meta, now);
        }
        return CacheStatus::Expired;
    }
    // It may be served, but it can't be held: as if it were not there.
    let Some(taken) = taken else { return CacheStatus::Miss };
    ctx.held = Some(taken);
    ctx.created_ms = found.meta.created_ms;
    ctx.expires_ms = found.meta.expires_ms;
    if freshness == Freshness::Fresh {
        return CacheStatus::Hit;
    }
    // What a refresh goes on with.
    // SAFETY: a live request.
    (ctx.phase, ctx.content_handler) =
        unsafe { ((*request.raw()).phase_handler, (*request.raw()).content_handler) };
    CacheStatus::Updating
}

/// Why a request is none of the cache's business.
fn not_looked_up(request: Request<'_>, conf: &LocConf) -> Option<Reason> {
    let r = request.raw();
    // SAFETY: a live request.
    unsafe {
        // A service's verdict about a visitor (`auth_request`), a copy of a request (`mirror`): nginx marks these, and reads
        // no body of theirs that could be stored. A verdict is never taken from elsewhere; a copy must get where it is to go.
        if !request.is_main() && (*r).header_only() != 0 {
            return Some(Reason::Head);
        }
        let method = (*r).method;
        let known = (NGX_HTTP_GET | NGX_HTTP_HEAD) as ngx_uint_t;
        if method & known == 0 || method & conf.methods == 0 {
            return Some(Reason::Method);
        }
        // A sub-request has its parent's body, and nginx's proxy sends it.
        if (*r).headers_in.content_length_n > 0 || (*r).headers_in.chunked() != 0 {
            return Some(Reason::RequestBody);
        }
        if !(*r).headers_in.upgrade.is_null() {
            return Some(Reason::Upgrade);
        }
    }
    None
}
