//! What an answer's chains hold, on its way to the recording and, with its tags filled, to the next filter.

use ngx::ffi::{ngx_buf_t, ngx_chain_t, ngx_int_t};
use twice_core::outcome::Reason;

use super::record::{Capture, Progress};
use crate::sys::{self, ERROR, Request};
use crate::{ctx, include};

/// The body of an answer to a refresh: recorded, and shown to nobody. What will not be stored is not waited for.
pub fn record_silently(request: Request<'_>, chain: *mut ngx_chain_t) -> ngx_int_t {
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

/// What goes to the next filter.
pub enum Next {
    /// The chain that came.
    AsItIs,
    /// One of our own.
    Rendered(*mut ngx_chain_t),
}

/// Feeds a chain to the recording; none on an error that ends the request.
pub fn record_chain(request: Request<'_>, capture: &mut Capture, chain: *mut ngx_chain_t) -> Option<Next> {
    if capture.held.is_some() {
        release(request, capture)?;
    }
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
    // SAFETY: the caller's promise.
    unsafe {
        let b = &*buf;
        let (data, in_file) = sys::content(buf);
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
        match capture.recording.render(request, &mut capture.outgoing)? {
            Progress::Rendered => {
                // A page that turned out too large waits no longer.
                if capture.held.take().is_some() {
                    include::let_go(request);
                }
                // SAFETY: the caller's promise.
                unsafe { capture.outgoing.replace(request, buf, seen.in_file, seen.last, seen.flush) }?
            }
            Progress::Waits => {
                if capture.held.is_none() {
                    // What stands before it is not kept from the client.
                    capture.outgoing.flush(request)?;
                }
                let held = capture.held.get_or_insert_default();
                // SAFETY: as above: what it held is in the program.
                unsafe {
                    held.last_buf |= (*buf).last_buf() != 0;
                    held.last_in_chain |= (*buf).last_in_chain() != 0;
                    held.flush |= seen.flush;
                    (*buf).pos = (*buf).last;
                }
                include::hold(request);
            }
        }
    }
    Some(())
}

/// Some values or fragments that were waited for have come, or won't: what was held back goes out, up to the next that is not there.
fn release(request: Request<'_>, capture: &mut Capture) -> Option<()> {
    match capture.recording.render(request, &mut capture.outgoing)? {
        Progress::Rendered => {
            let held = capture.held.take().unwrap_or_default();
            include::let_go(request);
            if held.last_buf || held.last_in_chain {
                capture.outgoing.end(request, held.last_buf, held.last_in_chain)?;
            } else if held.flush {
                capture.outgoing.flush(request)?;
            }
        }
        Progress::Waits if capture.outgoing.is_empty() => {}
        Progress::Waits => capture.outgoing.flush(request)?,
    }
    Some(())
}
