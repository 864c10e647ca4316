//! Stored pages that include fragments: these are asked for first, and the page is rendered when they are there.
//!
//! Invariants
//! - What a page needs until then outlives the call: it is pinned, or copied where no pin is left. Its values are
//!   found once, so that the program runs the way it was looked ahead.
//! - While it waits the request has nothing in nginx's lists but its fragments: only the last one of them, their
//!   deadline or the client's leaving comes back to it.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_HEAD, NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_handle_read_event, ngx_http_block_reading,
    ngx_http_finalize_request, ngx_http_request_empty_handler, ngx_http_request_t, ngx_http_test_reading,
    ngx_int_t, ngx_uint_t,
};
use twice_core::page::{Fixed, View};
use twice_core::store::{Page, Pin};
use twice_core::template::{Limits, Slots, needed};

use super::body::Body;
use super::{Rendered, copy_out, finish, header, in_one_piece, print, send, with_state};
use crate::ctx;
use crate::guard::guarded;
use crate::include::Includes;
use crate::sys::{self, OK, Request};
use crate::values::{Resolved, Resolver};

/// A page that waits for its fragments, in the request's pool.
pub struct Waiting {
    fixed: Fixed,
    page: Kept,
    tag: u64,
    /// Of the visitor, in the request's pool.
    values: *const [&'static [u8]],
    /// Bytes that they print before filters.
    room: usize,
    includes: *mut Includes,
    /// There are fragments that were not asked for, because nobody will see them.
    unseen: bool,
}

/// Where the page's value is until the request's end.
#[derive(Clone, Copy)]
enum Kept {
    Pinned(*const Pin),
    /// The value up to the end of its literals.
    Copied(*const [u8]),
}

/// Asks for a page's fragments and renders it if they are there already: none is needed, or all failed at once.
pub fn begin<'a>(
    request: Request<'a>,
    fixed: Fixed,
    page: Page<'_>,
    tag: u64,
    pin: Option<*const Pin>,
) -> Option<Rendered> {
    let len = fixed.prefix_len() + fixed.literals_len();
    let prefix = in_one_piece(request, page, fixed.prefix_len())?;
    let (slots, code) = fixed.program(prefix)?;
    let (values, room) = Resolver::new(request).all(Slots::new(slots))?;
    let literals = fixed.literals_len();
    let needed = with_state(&Limits::default(), |state| needed(code, literals, state, &values)).ok()?;
    let includes = Includes::of_page(request)?;
    // SAFETY: a live request.
    let unseen = !needed.is_empty() && unsafe { (*request.raw()).method } == NGX_HTTP_HEAD as ngx_uint_t;
    if !unseen {
        for slot in needed {
            let uri = Slots::new(slots).nth(slot)?.key;
            // SAFETY: just made for this request.
            unsafe { Includes::ask(includes, request, slot, uri) };
        }
    }
    let page = match pin {
        Some(pin) => Kept::Pinned(pin),
        None => Kept::Copied(copy_out(request, page.value_part(0, len), len)?),
    };
    let waiting = Waiting { fixed, page, tag, values: values.kept(), room, includes, unseen };
    // SAFETY: it lives in the request's pool.
    if unsafe { !(*includes).is_pending() } {
        return render(request, &waiting).map(Rendered::Whole);
    }
    ctx::get(request)?.waiting = sys::pool_box_of(request, waiting)?;
    wait(request)?;
    Some(Rendered::Later)
}

fn render(request: Request<'_>, waiting: &Waiting) -> Option<*mut ngx::ffi::ngx_chain_t> {
    let Waiting { fixed, page, tag, .. } = waiting;
    // SAFETY: the zone of the request's location, alive as long as its configuration.
    let zone = unsafe { &*ctx::get(request)?.zone };
    let (head, prefix, body) = match *page {
        Kept::Pinned(pin) => {
            // SAFETY: the pin lives in the pool's cleanup, until the request's end.
            let page = zone.store()?.page(unsafe { &*pin })?;
            let head = copy_out(request, page.value_part(0, fixed.head_len()), fixed.head_len())?;
            let prefix = in_one_piece(request, page, fixed.prefix_len())?;
            let literals = page.value_part(fixed.prefix_len(), fixed.literals_len());
            (head, prefix, Body::new(request, literals, true))
        }
        Kept::Copied(copy) => {
            // SAFETY: a copy in the pool of this live request.
            let copy = unsafe { &*copy };
            let (prefix, literals) = copy.split_at_checked(fixed.prefix_len())?;
            (prefix.get(..fixed.head_len())?, prefix, Body::copied(request, literals))
        }
    };
    header(request, fixed, &View::parse(fixed, head)?)?;
    let (_, code) = fixed.program(prefix)?;
    // SAFETY: both live in the request's pool, and fragments that came don't change any more.
    let values = unsafe { Resolved::of(&*waiting.values).with(&*waiting.includes) };
    let chain = finish(request, print(request, fixed, code, &values, body, *tag, waiting.room)?)?;
    // SAFETY: a live request, and what lives in its pool.
    unsafe {
        if waiting.unseen {
            // Nobody knows the length.
            (*request.raw()).headers_out.content_length_n = -1;
        }
        let main = request.main().raw();
        if (*waiting.includes).any_late() && (*main).header_sent() == 0 {
            // nginx reads the next request of this connection when the late one has ended.
            (*main).set_keepalive(0);
        }
    }
    Some(chain)
}

/// Leaves the request to its fragments.
fn wait(request: Request<'_>) -> Option<()> {
    let r = request.raw();
    // SAFETY: a live request and its connection.
    unsafe {
        if request.is_main() {
            if ngx_handle_read_event((*(*r).connection).read, 0) != OK {
                return None;
            }
            (*r).read_event_handler = Some(ngx_http_test_reading);
        }
        (*r).write_event_handler = Some(resume);
    }
    Some(())
}

/// nginx's callback: a fragment has ended, or the client's connection can be written to.
unsafe extern "C" fn resume(r: *mut ngx_http_request_t) {
    let rc = guarded(Some(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t), || {
        // SAFETY: nginx passes a live request to its handlers.
        let request = unsafe { Request::new(r) };
        let waiting = ctx::get(request)?.waiting;
        // SAFETY: null, or what `begin` put into the request's pool.
        let waiting = unsafe { waiting.as_ref() }?;
        // SAFETY: as above.
        if unsafe { (*waiting.includes).is_pending() } {
            return None;
        }
        ctx::get(request)?.waiting = ptr::null_mut();
        // SAFETY: a live request.
        unsafe {
            if request.is_main() {
                (*r).read_event_handler = Some(ngx_http_block_reading);
            }
            (*r).write_event_handler = Some(ngx_http_request_empty_handler);
        }
        Some(match render(request, waiting) {
            Some(chain) => send(request, chain),
            None => super::not_rendered(request),
        })
    });
    if let Some(rc) = rc {
        // SAFETY: a live request, whose count `deliver::content_handler` has raised for this.
        unsafe { ngx_http_finalize_request(r, rc) };
    }
}
