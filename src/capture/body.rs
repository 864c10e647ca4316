//! The body filter: an answer's body on its way to the client, to the recording, or to nobody.
//!
//! Invariant: what the next filter has been given is not looked at again ([`leaving`]), but for our own buffers when
//! they have been sent.

use ngx::ffi::{
    NGX_LOG_ERR, ngx_buf_t, ngx_chain_t, ngx_http_output_body_filter_pt, ngx_http_request_t,
    ngx_http_top_body_filter, ngx_int_t,
};
use ngx::ngx_log_error;
use twice_core::outcome::Reason;

use super::Capture;
use crate::ctx;
use crate::guard::guarded;
use crate::sys::{self, ERROR, Request};
use crate::{leaving, refresh, stand_in};

static mut NEXT_BODY: ngx_http_output_body_filter_pt = None;

/// Puts the filter at the place of its module.
///
/// # Safety
/// Only in postconfiguration.
pub unsafe fn install() {
    // SAFETY: configuration is read by one thread, before any request.
    unsafe {
        NEXT_BODY = ngx_http_top_body_filter;
        ngx_http_top_body_filter = Some(body_filter);
    }
}

fn next_body(request: Request<'_>, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: set at configuration time, never changed after; a live request.
    unsafe { NEXT_BODY.map_or(ERROR, |next| next(request.raw(), chain)) }
}

unsafe extern "C" fn body_filter(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request to its filters.
    let request = unsafe { Request::new(r) };
    if refresh::is_refresh(request) && request.is_main() {
        return guarded(ERROR, || record_silently(request, chain));
    }
    // SAFETY: the chain that nginx passed.
    match ctx::get(request).map(|ctx| unsafe { stand_in::turn(ctx, chain) }) {
        None | Some(stand_in::Turn::Through) => {}
        Some(stand_in::Turn::Instead(chain)) => return next_body(request, chain),
        Some(stand_in::Turn::Nothing) => return sys::OK,
    }
    let capture = ctx::get(request).map(|ctx| ctx.capture).filter(|capture| !capture.is_null());
    let Some(capture) = capture else { return next_body(request, chain) };
    let result = guarded(None, || {
        // SAFETY: a capture lives in the pool of its request; filters of one request don't nest here:
        // the next filter is called with no reference to it.
        let capture = unsafe { &mut *capture };
        record_chain(request, capture, chain)
    });
    match result {
        None => {
            ngx_log_error!(NGX_LOG_ERR, request.log(), "twice: an answer could not be rendered");
            ERROR
        }
        Some(next) => {
            let (out, rendered) = match next {
                Next::AsItIs => (chain, false),
                Next::Rendered(out) => (out, true),
            };
            let rc = hand_on(request, chain, out, rendered);
            if rendered {
                // SAFETY: as above, after the next filter has returned.
                guarded((), || unsafe { (*capture).outgoing.sent(request, out) });
            }
            rc
        }
    }
}

/// Gives a chain to the next filter. Where that fails because the client has left, and others may be waiting for the
/// page, the rest is recorded all the same.
fn hand_on(
    request: Request<'_>,
    chain: *mut ngx_chain_t,
    out: *mut ngx_chain_t,
    rendered: bool,
) -> ngx_int_t {
    if guarded(false, || leaving::is_alone(request)) {
        // SAFETY: nobody else has seen these buffers; ours and nginx's both.
        unsafe {
            leaving::consume(chain);
            if rendered {
                leaving::consume(out);
            }
        }
        return sys::OK;
    }
    let rc = next_body(request, out);
    let goes_on = rc == ERROR
        && guarded(false, || {
            // SAFETY: the next filter has seen the chain, or what was made of it.
            leaving::is_alone(request) && unsafe { leaving::go_on(request, chain) }
        });
    if goes_on {
        return sys::OK;
    }
    rc
}

/// The body of an answer to a refresh: recorded, and shown to nobody. What will not be stored is not waited for.
fn record_silently(request: Request<'_>, chain: *mut ngx_chain_t) -> ngx_int_t {
    let capture = ctx::get(request).map(|ctx| ctx.capture).filter(|capture| !capture.is_null());
    if let Some(capture) = capture {
        let mut link = chain;
        while !link.is_null() {
            // SAFETY: links of nginx's chain, each with its buffer; the capture lives in the request's pool.
            unsafe {
                feed(request, &mut *capture, &seen(request, (*link).buf));
                link = (*link).next;
            }
        }
    }
    // SAFETY: the chain that nginx passed.
    unsafe { sys::swallow(chain) };
    // SAFETY: as above.
    let given_up = capture.is_some_and(|capture| unsafe { (*capture).recording.is_given_up() });
    if given_up { ERROR } else { sys::OK }
}

enum Next {
    /// The chain that came.
    AsItIs,
    /// One of our own.
    Rendered(*mut ngx_chain_t),
}

/// Feeds a chain to the recording; none on an error that ends the request.
fn record_chain(request: Request<'_>, capture: &mut Capture, chain: *mut ngx_chain_t) -> Option<Next> {
    let mut link = chain;
    while !link.is_null() {
        // SAFETY: links of nginx's chain, each with its buffer.
        let (buf, next) = unsafe { ((*link).buf, (*link).next) };
        // SAFETY: as above.
        unsafe { record_buf(request, capture, buf) }?;
        link = next;
    }
    Some(if capture.recording.tagged() { Next::Rendered(capture.outgoing.take()) } else { Next::AsItIs })
}

/// What a buffer holds.
struct Seen<'b> {
    data: &'b [u8],
    in_file: bool,
    last: bool,
    flush: bool,
}

/// # Safety
/// `buf` must be a buffer of the chain that nginx passed to the body filter.
unsafe fn seen<'b>(request: Request<'_>, buf: *mut ngx_buf_t) -> Seen<'b> {
    // SAFETY: the caller's promise; a buffer in memory has its bytes from `pos` to `last`.
    unsafe {
        let b = &*buf;
        let in_memory = b.temporary() != 0 || b.memory() != 0 || b.mmap() != 0;
        let data = if in_memory && !b.pos.is_null() {
            std::slice::from_raw_parts(b.pos, b.last.offset_from_unsigned(b.pos))
        } else {
            &[]
        };
        let in_file = !in_memory && b.in_file() != 0 && b.file_last > b.file_pos;
        let last = b.last_buf() != 0 || !request.is_main() && b.last_in_chain() != 0;
        Seen { data, in_file, last, flush: b.flush() != 0 }
    }
}

fn feed(request: Request<'_>, capture: &mut Capture, seen: &Seen<'_>) {
    if seen.in_file {
        // `filter_need_in_memory` rules this out; a handler that goes past nginx's copy filter loses.
        capture.recording.give_up(request, Reason::Failed);
    }
    capture.recording.feed(request, seen.data);
    if seen.last {
        capture.recording.finish(request);
    }
}

/// # Safety
/// `buf` must be a buffer of the chain that nginx passed to the body filter.
unsafe fn record_buf(request: Request<'_>, capture: &mut Capture, buf: *mut ngx_buf_t) -> Option<()> {
    // SAFETY: the caller's promise.
    let seen = unsafe { seen(request, buf) };
    feed(request, capture, &seen);
    if capture.recording.tagged() {
        capture.recording.render(request, &mut capture.outgoing)?;
        // SAFETY: the caller's promise.
        unsafe { capture.outgoing.replace(request, buf, seen.in_file, seen.last, seen.flush) }?;
    }
    Some(())
}
