//! The client of a fetch leaves, or reads slowly: the fetch goes on for those who wait for its page.
//!
//! nginx ends an upstream request when its client leaves, unless `proxy_ignore_client_abort` (and its kin) is on, and
//! reads no more of the answer than its buffers hold when the client reads slowly. For a fetch that others may
//! wait for, the upstream gets a copy of its configuration that ignores the client and has buffers for a whole page,
//! taken one by one as the origin is faster than the client; and our filters swallow errors of writing to the client
//! until the page is whole.
//!
//! Invariants
//! - What was handed to the next filter may be referred to until the request's end (HTTP/2 frames even change
//!   the buffers when they are sent): after an error none of it is used again. Buffers that never got there are.
//! - As soon as the page can't be stored any more, nginx has its own configuration and handlers back.
//! - With `proxy_buffering off`, and from handlers that are no upstreams, an answer is recorded as fast as the client reads.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_VERSION_20, ngx_chain_t, ngx_http_block_reading, ngx_http_event_handler_pt,
    ngx_http_request_empty_handler, ngx_http_request_t, ngx_http_upstream_conf_t, ngx_int_t, ngx_post_event,
    ngx_posted_events,
};

use crate::flight;
use crate::guard::guarded;
use crate::sys::{self, Request};

/// What nginx gets back when the fetch is the client's alone again.
pub struct Hold {
    conf: *mut ngx_http_upstream_conf_t,
    /// Looks whether the client has left.
    read: ngx_http_event_handler_pt,
}

impl Default for Hold {
    fn default() -> Self {
        Self { conf: ptr::null_mut(), read: None }
    }
}

/// The location's handler has begun a fetch. Let it go on without its client. `page` is the largest page.
pub fn hold_on(request: Request<'_>, page: usize) {
    if !flight::of(request).is_some_and(|flight| flight.is_awaited()) {
        return;
    }
    let r = request.raw();
    // SAFETY: a live request; its upstream, if it has one, and that one's configuration live as long.
    unsafe {
        let upstream = (*r).upstream;
        if upstream.is_null() || (*upstream).conf.is_null() {
            return;
        }
        let conf = (*upstream).conf;
        // nginx's own cache and store go on by themselves.
        if (*upstream).cacheable() != 0 || (*upstream).store() != 0 || (*r).post_action() != 0 {
            return;
        }
        let Some(copy) = request.alloc_array::<ngx_http_upstream_conf_t>(1) else { return };
        ptr::copy_nonoverlapping(conf, copy, 1);
        (*copy).ignore_client_abort = 1;
        if let Some(count) = page.checked_div((*copy).bufs.size) {
            // One begun, and one for what stands before the page.
            (*copy).bufs.num = (*copy).bufs.num.max(ngx_int_t::try_from(count + 2).unwrap_or(0));
        }
        (*upstream).conf = copy;
        let mut hold = Hold { conf, read: None };
        // Under way already (ngx_http_upstream_init_request), and not yet over. These two handlers look whether the
        // client has left; when the answer has begun, the second one is another.
        if (*conf).ignore_client_abort == 0 && !(*upstream).cleanup.is_null() {
            hold.read = (*r).read_event_handler;
            (*r).read_event_handler = Some(left);
            if (*upstream).header_sent() == 0 {
                (*r).write_event_handler = Some(ngx_http_request_empty_handler);
            }
        }
        if let Some(flight) = flight::of(request) {
            flight.hold = hold;
        }
    }
}

/// nginx's callback: the client has sent something, or left. HTTP/2 tells here that it has left where it had no room for
/// more: whoever sends the answer would wait for that room, and finds now that there is nobody.
unsafe extern "C" fn left(r: *mut ngx_http_request_t) {
    // SAFETY: nginx passes a live request to its handlers; that of writing is nginx's own.
    guarded((), || unsafe {
        ngx_http_block_reading(r);
        if let Some(write) = (*r).write_event_handler.filter(|_| (*(*r).connection).error() != 0) {
            write(r);
        }
    });
}

impl Hold {
    /// The fetch is its client's alone again.
    pub fn let_go(self, request: Request<'_>) {
        let r = request.raw();
        if self.conf.is_null() {
            return;
        }
        // SAFETY: a live request, whose upstream `hold_on` has seen; what it kept lives as long.
        unsafe {
            let upstream = (*r).upstream;
            // An upstream that is over has nothing to look for.
            if upstream.is_null() || (*upstream).cleanup.is_null() {
                return;
            }
            (*upstream).conf = self.conf;
            if !(*upstream).pipe.is_null() {
                (*(*upstream).pipe).bufs.num = (*self.conf).bufs.num;
            }
            if self.read.is_some() {
                (*r).read_event_handler = self.read;
                // It may have left meanwhile: nginx's handler looks.
                let read = (*(*r).connection).read;
                if (*read).ready() != 0 {
                    ngx_post_event(read, &raw mut ngx_posted_events);
                }
            }
        }
    }
}

/// Whether the fetch goes on although nothing reaches its client any more.
pub fn is_alone(request: Request<'_>) -> bool {
    // SAFETY: a live request has its connection.
    let gone = unsafe { (*(*request.raw()).connection).error() } != 0;
    gone && flight::of(request).is_some_and(|flight| flight.is_awaited())
}

/// Whether nginx has no buffer to wait for that the client was given.
pub fn has_all_back(request: Request<'_>) -> bool {
    // SAFETY: a live request; its upstream, if it has one, lives as long, and so does that one's pipe.
    unsafe {
        let upstream = (*request.raw()).upstream;
        if upstream.is_null() {
            return true;
        }
        let pipe = (*upstream).pipe;
        let busy = match (*upstream).buffering() != 0 && !pipe.is_null() {
            true => (*pipe).busy,
            false => (*upstream).busy_bufs,
        };
        busy.is_null()
    }
}

/// Has the origin's answer come in without leaving: what was handed on stays where it is, and there are new buffers
/// for what comes. Else nginx would wait for those that the client never takes, at times without any timer. The
/// recording's own limit bounds them. False: this can't be done, the fetch ends.
///
/// # Safety
/// `chain` must be what nginx passed to the body filter, after the next one has seen it or where it never will.
pub unsafe fn go_on(request: Request<'_>, chain: *mut ngx_chain_t) -> bool {
    let r = request.raw();
    // SAFETY: a live request; its upstream, if it has one, lives as long, and so do its buffers.
    unsafe {
        let upstream = (*r).upstream;
        if upstream.is_null() {
            return true;
        }
        if (*upstream).buffering() == 0 {
            // There is one buffer, which must be used again.
            if (*r).http_version >= NGX_HTTP_VERSION_20 as usize {
                return false;
            }
            // Over HTTP/1 nobody looks at it after an error (ngx_http_write_filter).
            sys::swallow((*upstream).busy_bufs);
            sys::swallow(chain);
        } else if !(*upstream).pipe.is_null() {
            (*(*upstream).pipe).bufs.num = ngx_int_t::MAX;
            (*(*upstream).pipe).busy_size = isize::MAX;
        }
        true
    }
}
