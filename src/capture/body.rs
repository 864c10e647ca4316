//! The body filter: an answer's body on its way to the client, to the recording, or to nobody.
//!
//! Invariant: what the next filter has been given is not looked at again ([`leaving`]), but for our own buffers when
//! they have been sent.

use ngx::ffi::{
    NGX_LOG_ERR, ngx_chain_t, ngx_http_output_body_filter_pt, ngx_http_request_t, ngx_http_top_body_filter,
    ngx_int_t,
};
use ngx::ngx_log_error;

use super::chain::{Next, record_chain, record_silently};
use crate::guard::guarded;
use crate::source::changes;
use crate::sys::{self, ERROR, Request};
use crate::{ctx, include, leaving, refresh, stand_in};

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
    if let Some(part) = include::part_of(request) {
        // SAFETY: the fragment that this live request was made for, and the chain that came.
        return guarded(ERROR, || unsafe { include::take(request, part, chain) });
    }
    // SAFETY: set at configuration time, never changed after; a live request.
    unsafe { NEXT_BODY.map_or(ERROR, |next| next(request.raw(), chain)) }
}

unsafe extern "C" fn body_filter(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request to its filters.
    let request = unsafe { Request::new(r) };
    let rc = filter_body(request, chain);
    if rc == ERROR
        && let Some(part) = include::part_of(request)
    {
        // nginx would take the client's connection for broken.
        guarded((), || include::spoil(request, part));
        // SAFETY: the chain that nginx passed, which nobody else has.
        unsafe { sys::swallow(chain) };
        return sys::OK;
    }
    rc
}

fn filter_body(request: Request<'_>, chain: *mut ngx_chain_t) -> ngx_int_t {
    if refresh::is_refresh(request) && request.is_main() {
        return guarded(ERROR, || record_silently(request, chain));
    }
    // SAFETY: the chain that nginx passed.
    match guarded(stand_in::Turn::Failed, || unsafe { stand_in::turn(request, chain) }) {
        stand_in::Turn::Through => {}
        stand_in::Turn::Instead(chain) => {
            let rc = next_body(request, chain);
            guarded((), || changes::make(request));
            return rc;
        }
        stand_in::Turn::Nothing => return sys::OK,
        stand_in::Turn::Failed => return ERROR,
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
                guarded((), || changes::make(request));
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
        // HTTP/2 tells that a client has left though no chain has failed here, and keeps what it was given before.
        // SAFETY: nobody else has seen these buffers; ours and nginx's both.
        let goes_on = guarded(false, || unsafe {
            sys::swallow(chain);
            if rendered {
                sys::swallow(out);
            }
            leaving::has_all_back(request) || leaving::go_on(request, chain)
        });
        return if goes_on { sys::OK } else { ERROR };
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
