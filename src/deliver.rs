//! A stored page to a response.
//!
//! Invariants
//! - The page's memory may be read while it is held (short pages) or pinned (pages with runs of
//!   [`LARGE_RUN`] and more). A hold ends when the page is rendered, before nginx sends anything; a pin
//!   ends with the request's pool, because its large runs are sent from where they lie.
//! - Header lines are copied to the pool in one piece: logs and filters read them after the hold is gone.
//! - The body is one joined buffer, but for large runs that go out on their own.

mod body;
mod conditions;
mod header;
mod lines;
mod served;
mod waiting;

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::slice;

use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_LOG_ALERT, ngx_chain_t, ngx_http_cleanup_add, ngx_http_request_t,
    ngx_int_t, ngx_pool_cleanup_add,
};
use ngx::ngx_log_error;
use twice_core::audit;
use twice_core::conditional::Verdict;
use twice_core::fingerprint;
use twice_core::page::{Fixed, View};
use twice_core::store::{Found, Held, Hit, Meta, Page, Pin, Segments};
use twice_core::template::{Limits, Sink, Slots, State, Values, run};

use body::Body;
use conditions::conclude;
use header::header;
pub use lines::header_lines;
use served::Served;
pub use served::{Kept, Renewed};
pub use waiting::{Rest, Waiting, rest};

use crate::answer;
use crate::ctx::{self, Ctx};
use crate::guard::guarded;
use crate::purge;
use crate::refresh;
use crate::shm::Zone;
use crate::source::changes;
use crate::sys::{Chain, DONE, Request};
use crate::values::{self, Ask, Resolver};

/// A literal run of this length is sent from shared memory instead of being copied: a buffer of its own
/// costs about what copying 8 KB costs (nginx's chain, one more iovec, the pin).
pub const LARGE_RUN: usize = 8 << 10;

/// What a stored page says of itself in its tag ([`twice_core::store::Meta`]): the bytes that are joined
/// on a hit, and whether there are large runs besides.
pub fn page_tag(joined: usize, large: bool) -> u64 {
    (joined as u64) << 1 | u64::from(large)
}

/// How a page that is served is kept where it is.
pub enum Taken {
    /// Until it is rendered.
    Held(Held<'static>, u64),
    /// Until the request's end.
    Pinned(Pin, u64),
    /// The same, in the keeping of the request's pool already: its origin was asked about it.
    Kept(Kept),
}

/// Finds the page of a key and, if it is `usable`, keeps it where it is. The page is not there, or can't be kept, where
/// there is none.
pub fn find(
    zone: &Zone,
    hash: u64,
    key: &[u8],
    now_ms: u64,
    usable: impl Fn(&Meta) -> bool,
) -> Option<(Found, Option<Taken>)> {
    let store = zone.store()?;
    let latest = zone.board()?.latest();
    let (mut found, held, touch) = match store.get(zone.slot(), hash, key, now_ms) {
        Some(Hit { held, found, touch, .. }) => (found, Some(held), touch),
        None => zone.with(|section| {
            let found = section.lookup(hash, key, now_ms)?;
            Some((found, section.hold(zone.slot(), found.entry), false))
        })??,
    };
    // None: this worker is in the middle of another hit.
    let Some(held) = held else { return Some((found, None)) };
    if found.seen != latest && !purge::look(zone, &held, &mut found, latest, now_ms) {
        drop(held);
        zone.with(|section| section.remove(found.entry));
        return None;
    }
    let taken = usable(&found.meta).then(|| take(zone, held, audit::without(found.meta.tag)));
    if touch {
        zone.with(|section| section.touch(found.entry, now_ms));
    }
    Some((found, taken))
}

/// Lets go of a page that is not sent.
pub fn let_go(zone: &Zone, taken: Option<Taken>) {
    match taken {
        Some(Taken::Pinned(pin, _)) => zone.unpin(pin),
        Some(Taken::Held(..) | Taken::Kept(_)) | None => {}
    }
}

/// Chooses how a page that is held is kept until it is sent.
fn take(zone: &Zone, held: Held<'_>, tag: u64) -> Taken {
    let has_large_runs = tag & 1 == 1;
    match if has_large_runs { zone.pin(&held) } else { None } {
        Some(pin) => Taken::Pinned(pin, tag),
        // SAFETY: what a hold borrows is the zone's store, which lives as long as its cycle; a hold is
        // dropped before its request ends, and no cycle ends before its requests.
        None => Taken::Held(unsafe { std::mem::transmute::<Held<'_>, Held<'static>>(held) }, tag),
    }
}

/// nginx's callback in the content phase.
pub unsafe extern "C" fn content_handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    guarded(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t, || {
        // SAFETY: nginx passes a live request to its content handler.
        let rc = deliver(unsafe { Request::new(r) });
        if rc == DONE {
            // What waits is finalized later, besides what nginx finalizes when this returns.
            // SAFETY: a live request's main request.
            unsafe { (*(*r).main).set_count((*(*r).main).count() + 1) };
        }
        rc
    })
}

/// A page on its way.
pub enum Rendered {
    Whole(*mut ngx_chain_t),
    /// It waits for values or fragments.
    Later,
    /// A condition of the client's does not hold: this status instead, and nothing of the page.
    Refused(ngx_int_t),
}

/// Sends the page that the lookup found. NGX_DONE: it will, and finalize the request then.
pub fn deliver(request: Request<'_>) -> ngx_int_t {
    let failed = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    let Some(ctx) = ctx::get(request) else { return failed };
    let Some(taken) = ctx.held.take() else { return failed };
    // SAFETY: the zone of the request's location, alive as long as its configuration.
    let zone = unsafe { &*ctx.zone };
    match body(request, zone, taken, Way::Hit) {
        Some(Rendered::Whole(chain)) => send_and_renew(request, chain),
        Some(Rendered::Later) => DONE,
        Some(Rendered::Refused(status)) => status,
        None => failed,
    }
}

/// Lets go of the page that was found at the request's end, if nothing has come of it by then; none when memory ran out,
/// and the page is let go of. A page that is rendered right after the lookup does without.
pub fn hold_on(request: Request<'_>) -> Option<()> {
    unsafe extern "C" fn release(data: *mut c_void) {
        guarded((), || {
            // SAFETY: the context, in the pool of the request that ends; its zone outlives the requests of its cycle.
            unsafe {
                let ctx = &mut *data.cast::<Ctx>();
                let_go(&*ctx.zone, ctx.held.take());
            }
        });
    }
    let ctx = ctx::get(request)?;
    // SAFETY: a live request; the cleanup is ours to fill.
    let cleanup = unsafe { ngx_http_cleanup_add(request.raw(), 0) };
    if cleanup.is_null() {
        // SAFETY: the zone of the request's location.
        let_go(unsafe { &*ctx.zone }, ctx.held.take());
        return None;
    }
    // SAFETY: as above.
    unsafe {
        (*cleanup).handler = Some(release);
        (*cleanup).data = ptr::from_mut(ctx).cast();
    }
    Some(())
}

fn send_and_renew(request: Request<'_>, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: in the request's pool.
    let rc = unsafe { answer::send_chain(request, chain) };
    // The answer is on its way: nobody waits for what comes now.
    changes::make(request);
    refresh::start(request);
    rc
}

/// How a stored page comes to be the answer.
#[derive(Clone, Copy)]
pub enum Way {
    /// It was found, and may be served.
    Hit,
    /// The origin was asked, and has failed; with the status that it gave, if it did.
    StandIn(Option<u16>),
    /// The origin was asked, and says that it is still the same; true: it was stored anew.
    Revalidated(bool),
}

/// Fills in the response's header, and gives the body of a page that was found. One that waits for something has its
/// header later, too, unless it stands in: then that is on its way already, and [`rest`] gives the body.
pub fn body(request: Request<'_>, zone: &Zone, taken: Taken, way: Way) -> Option<Rendered> {
    let rendered = match taken {
        Taken::Held(held, tag) => render(request, way, Served::stored(held.page()), tag, None),
        Taken::Pinned(pin, tag) => keep(request, zone, pin).and_then(|pin| {
            // SAFETY: the pin lives in the pool's cleanup, until the request's end.
            let page = zone.store()?.page(unsafe { &*pin })?;
            render(request, way, Served::stored(page), tag, Some(pin))
        }),
        Taken::Kept(kept) => zone.store().and_then(|store| {
            // SAFETY: as above.
            let page = store.page(unsafe { &*kept.pin })?;
            render(request, way, Served::new(page, Some(kept.renewed)), kept.tag, Some(kept.pin))
        }),
    };
    if rendered.is_none() {
        log_not_rendered(request);
    }
    rendered
}

fn log_not_rendered(request: Request<'_>) {
    ngx_log_error!(NGX_LOG_ALERT, request.log(), "twice: a stored page could not be rendered");
}

/// A pin in the keeping of the request's pool.
struct Keeping {
    zone: *const Zone,
    pin: Option<Pin>,
}

/// Ends a pin with the request's pool.
pub fn keep(request: Request<'_>, zone: &Zone, pin: Pin) -> Option<*const Pin> {
    unsafe extern "C" fn release(data: *mut c_void) {
        guarded((), || {
            // SAFETY: the data that `keep` wrote; nginx runs a cleanup once.
            let kept = unsafe { &mut *data.cast::<Keeping>() };
            if let Some(pin) = kept.pin.take() {
                // SAFETY: zones outlive the requests of their cycle.
                unsafe { &*kept.zone }.unpin(pin);
            }
        });
    }
    // SAFETY: a live pool; the cleanup's data is ours to write.
    unsafe {
        let cleanup = ngx_pool_cleanup_add(request.pool(), size_of::<Keeping>());
        if cleanup.is_null() {
            zone.unpin(pin);
            return None;
        }
        let kept = (*cleanup).data.cast::<Keeping>();
        kept.write(Keeping { zone, pin: Some(pin) });
        (*cleanup).handler = Some(release);
        (*kept).pin.as_ref().map(ptr::from_ref)
    }
}

/// Fills in the response's header and gives its body.
fn render(
    request: Request<'_>,
    way: Way,
    page: Served<'_>,
    tag: u64,
    pin: Option<*const Pin>,
) -> Option<Rendered> {
    let fixed = page.fixed(request)?;
    if fixed.includes() || fixed.sources() {
        return waiting::begin(request, way, fixed, page, tag, pin);
    }
    let head = page.head(request, &fixed)?;
    let view = View::parse(&fixed, head)?;
    header(request, way, &fixed, &view)?;
    let mut body = Body::new(request, page.literals(&fixed), pin.is_some());
    if !fixed.tagged() {
        return match conclude(request, &fixed, &view.head, view.head.etag)? {
            Verdict::Send => {
                body.reserve(if pin.is_some() { joined(tag) } else { fixed.literals_len() })?;
                body.literal(0, fixed.literals_len());
                finish(request, body)
            }
            other => without_body(request, other),
        };
    }
    let (slots, code) = fixed.program(page.prefix(request, &fixed)?)?;
    let (values, room) = Resolver::new(request, Ask::Nothing).all(Slots::new(slots))?;
    let etag = own_tag(request, &fixed, slots, &values)?;
    match conclude_filled(request, &fixed, &view, etag, &values)? {
        Verdict::Send => finish(request, print(request, &fixed, code, &values, body, tag, room)?),
        other => without_body(request, other),
    }
}

/// As [`conclude`], for a page with these values: its header lines with tags leave on a 304, too, because another page may
/// have come under the same `ETag` that differs in these.
fn conclude_filled<'a>(
    request: Request<'a>,
    fixed: &Fixed,
    view: &View<'a>,
    etag: &'a [u8],
    values: &impl Values,
) -> Option<Verdict<'a>> {
    let verdict = conclude(request, fixed, &view.head, etag)?;
    if verdict != Verdict::Failed {
        lines::add(request, fixed, view, values)?;
    }
    Some(verdict)
}

/// The `ETag` of a page with these values; empty if nothing can be said of what it prints.
fn own_tag<'a>(request: Request<'a>, fixed: &Fixed, slots: &[u8], values: &impl Values) -> Option<&'a [u8]> {
    if fixed.volatile() || !(200..300).contains(&fixed.status()) {
        return Some(b"");
    }
    let count = Slots::new(slots).remaining();
    let plain = (0..count).map(|slot| values.value(slot));
    if !fixed.includes() {
        return request.copy(&fingerprint::tag(fixed.generation(), plain));
    }
    let fragments = (0..count).map(|slot| values.fragment(slot));
    request.copy(&fingerprint::tag(fixed.generation(), plain.chain(fragments)))
}

/// An answer that has none of the page's bytes.
fn without_body(request: Request<'_>, verdict: Verdict<'_>) -> Option<Rendered> {
    if verdict == Verdict::Failed {
        return Some(Rendered::Refused(conditions::FAILED));
    }
    Chain::new(request).finish().map(Rendered::Whole)
}

/// A body that is complete.
fn finish(request: Request<'_>, body: Body<'_, '_>) -> Option<Rendered> {
    let (chain, len) = body.finish()?;
    set_length(request, Some(len))?;
    for_ranges(request, chain, len).map(Rendered::Whole)
}

fn for_ranges(request: Request<'_>, chain: *mut ngx_chain_t, len: usize) -> Option<*mut ngx_chain_t> {
    // SAFETY: the zone of the request's location.
    let most = unsafe { (*ctx::get(request)?.zone).max_object() };
    conditions::for_ranges(request, chain, len, most)
}

/// Bytes that are joined on a hit, besides values.
fn joined(tag: u64) -> usize {
    usize::try_from(tag >> 1).unwrap_or(0)
}

/// Runs a page's program. `room`: bytes that the values print before filters.
#[inline]
fn print<'a, 'p>(
    request: Request<'a>,
    fixed: &Fixed,
    code: &[u8],
    values: &impl Values,
    mut body: Body<'a, 'p>,
    tag: u64,
    room: usize,
) -> Option<Body<'a, 'p>> {
    // Room for all values as they are; escaping that makes them longer takes another buffer.
    body.reserve(joined(tag).saturating_add(room.min(64 << 10)).saturating_add(64))?;
    let limits = Limits::default();
    let (result, truncated) = with_state(&limits, |state| {
        (run(code, fixed.literals_len(), state, values, &mut body), state.truncated())
    });
    result.ok()?;
    if truncated {
        values::log_truncated(request, &limits);
    }
    Some(body)
}

/// Tells nginx how long the body is, if that is known.
fn set_length(request: Request<'_>, len: Option<usize>) -> Option<()> {
    let len = len.map_or(Ok(-1), i64::try_from).ok()?;
    // SAFETY: a live request.
    unsafe { (*request.raw()).headers_out.content_length_n = len };
    Some(())
}

/// Lends the worker's one state of a rendering, so that no hit allocates what filters need.
fn with_state<T>(limits: &Limits, work: impl FnOnce(&mut State) -> T) -> T {
    thread_local! {
        static STATE: Cell<Option<State>> = const { Cell::new(None) };
    }
    let mut state = STATE.take().unwrap_or_else(|| State::new(limits));
    state.restart(limits);
    let result = work(&mut state);
    STATE.set(Some(state));
    result
}

/// Copies a part of a page; false if it is shorter than `len`.
///
/// # Safety
/// `to` must have room for `len` bytes.
unsafe fn gather(segments: Segments<'_>, to: *mut u8, len: usize) -> bool {
    let mut at = 0;
    for piece in segments {
        if piece.len() > len - at {
            return false;
        }
        // SAFETY: the caller's promise: of `len` bytes `len - at` are left.
        unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), to.add(at), piece.len()) };
        at += piece.len();
    }
    at == len
}

/// A copy of a part of a page in the pool.
pub fn copy_out<'a>(request: Request<'a>, segments: Segments<'_>, len: usize) -> Option<&'a [u8]> {
    let place = request.alloc(len)?;
    // SAFETY: `len` fresh bytes, all of them written where they are given back.
    unsafe { gather(segments, place, len).then(|| slice::from_raw_parts(place, len)) }
}

/// A page's first bytes: where they lie, or copied if they lie in several pieces.
fn in_one_piece<'p>(request: Request<'p>, page: Page<'p>, len: usize) -> Option<&'p [u8]> {
    let mut segments = page.value_part(0, len);
    match segments.next() {
        Some(first) if first.len() == len => Some(first),
        _ => copy_out(request, page.value_part(0, len), len),
    }
}
