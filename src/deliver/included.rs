//! Stored pages that include fragments: these are asked for first, and the page is rendered when they are there.
//!
//! Invariants
//! - What a page needs until then outlives the call: it is pinned, or copied where no pin is left. Its values are
//!   found once, so that the program runs the way it was looked ahead.
//! - While it waits the request has nothing in nginx's lists but its fragments: only the last one of them, their
//!   deadline or the client's leaving comes back to it.

use ngx::ffi::{
    NGX_HTTP_HEAD, NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_chain_t, ngx_http_block_reading,
    ngx_http_finalize_request, ngx_http_request_empty_handler, ngx_http_request_t, ngx_http_test_reading,
    ngx_int_t, ngx_uint_t,
};
use twice_core::page::{Fixed, View};
use twice_core::store::{Page, Pin};
use twice_core::template::{Limits, Slots, needed};

use super::body::Body;
use super::{
    Rendered, Way, copy_out, header, in_one_piece, log_not_rendered, print, send_and_renew, set_length,
    with_state,
};
use crate::guard::guarded;
use crate::include::{self, Includes};
use crate::sys::{self, Request};
use crate::values::{Resolved, Resolver};
use crate::{ctx, flight};

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
pub fn begin(
    request: Request<'_>,
    way: Way,
    fixed: Fixed,
    page: Page<'_>,
    tag: u64,
    pin: Option<*const Pin>,
) -> Option<Rendered> {
    let prefix = in_one_piece(request, page, fixed.prefix_len())?;
    let (slots, code) = fixed.program(prefix)?;
    let (values, room) = Resolver::new(request).all(Slots::new(slots))?;
    let literals = fixed.literals_len();
    let needed = with_state(&Limits::default(), |state| needed(code, literals, state, &values)).ok()?;
    let includes = Includes::of_page(request, false)?;
    // SAFETY: a live request.
    let head = unsafe { (*request.raw()).method } == NGX_HTTP_HEAD as ngx_uint_t;
    let unseen = head && !needed.is_empty();
    if !head {
        for slot in needed {
            let uri = Slots::new(slots).nth(slot)?.key;
            // SAFETY: just made for this request.
            unsafe { Includes::ask(includes, request, slot, uri) };
        }
    }
    let len = fixed.prefix_len() + literals;
    let page = match pin {
        Some(pin) => Kept::Pinned(pin),
        None => Kept::Copied(copy_out(request, page.value_part(0, len), len)?),
    };
    let waiting = Waiting { fixed, page, tag, values: values.kept(), room, includes, unseen };
    // SAFETY: it lives in the request's pool.
    if unsafe { !(*includes).is_pending() } {
        return whole(request, way, &waiting).map(Rendered::Whole);
    }
    if let Way::StandIn(_) = way {
        // nginx is about to send a header; how long the body will be nobody knows.
        head_of(request, way, &waiting)?;
        set_length(request, None)?;
    } else {
        wait(request)?;
    }
    ctx::get(request)?.waiting = sys::pool_box_of(request, waiting)?;
    Some(Rendered::Later)
}

/// Header and body.
fn whole(request: Request<'_>, way: Way, waiting: &Waiting) -> Option<*mut ngx_chain_t> {
    head_of(request, way, waiting)?;
    let (chain, len) = print_body(request, waiting)?;
    set_length(request, (!waiting.unseen).then_some(len))?;
    let main = request.main().raw();
    // SAFETY: live requests, and what lives in their pool.
    unsafe {
        if (*waiting.includes).any_late() && (*main).header_sent() == 0 {
            // nginx reads the next request of this connection when the late one has ended.
            (*main).set_keepalive(0);
        }
    }
    Some(chain)
}

fn head_of(request: Request<'_>, way: Way, waiting: &Waiting) -> Option<()> {
    let fixed = &waiting.fixed;
    let head = match waiting.page {
        Kept::Pinned(pin) => {
            let page = pinned(request, pin)?;
            copy_out(request, page.value_part(0, fixed.head_len()), fixed.head_len())?
        }
        // SAFETY: a copy in the pool of this live request.
        Kept::Copied(copy) => unsafe { &*copy }.get(..fixed.head_len())?,
    };
    header(request, way, fixed, &View::parse(fixed, head)?)
}

fn print_body(request: Request<'_>, waiting: &Waiting) -> Option<(*mut ngx_chain_t, usize)> {
    let fixed = &waiting.fixed;
    let (prefix, body) = match waiting.page {
        Kept::Pinned(pin) => {
            let page = pinned(request, pin)?;
            let literals = page.value_part(fixed.prefix_len(), fixed.literals_len());
            (in_one_piece(request, page, fixed.prefix_len())?, Body::new(request, literals, true))
        }
        Kept::Copied(copy) => {
            // SAFETY: as above.
            let (prefix, literals) = unsafe { &*copy }.split_at_checked(fixed.prefix_len())?;
            (prefix, Body::copied(request, literals))
        }
    };
    let (_, code) = fixed.program(prefix)?;
    // SAFETY: both live in the request's pool, and fragments that came don't change any more.
    let values = unsafe { Resolved::of(&*waiting.values).with(&*waiting.includes) };
    print(request, fixed, code, &values, body, waiting.tag, waiting.room)?.finish()
}

fn pinned(request: Request<'_>, pin: *const Pin) -> Option<Page<'_>> {
    // SAFETY: the zone of the request's location, alive as long as its configuration; the pin lives in the pool's
    // cleanup, until the request's end.
    let (zone, pin) = unsafe { (&*ctx::get(request)?.zone, &*pin) };
    zone.store()?.page(pin)
}

/// The body of a page that stands in and had to wait.
pub enum Rest {
    Whole(*mut ngx_chain_t),
    Later,
    /// It can't be had: memory ran out.
    Failed,
}

/// What there is of the body of a page that stands in. As long as there is none nginx keeps the request.
pub fn rest(request: Request<'_>) -> Rest {
    // SAFETY: null, or what `begin` put into the request's pool.
    let waiting = ctx::get(request).and_then(|ctx| unsafe { ctx.waiting.as_ref() });
    let Some(waiting) = waiting else { return Rest::Failed };
    // SAFETY: as above.
    if unsafe { (*waiting.includes).is_pending() } {
        include::hold(request);
        return Rest::Later;
    }
    include::let_go(request);
    match print_body(request, waiting) {
        Some((chain, _)) => Rest::Whole(chain),
        None => {
            log_not_rendered(request);
            Rest::Failed
        }
    }
}

/// Leaves the request to its fragments.
fn wait(request: Request<'_>) -> Option<()> {
    if request.is_main() {
        sys::watch_client(request, Some(client_speaks))?;
    }
    // SAFETY: a live request.
    unsafe { (*request.raw()).write_event_handler = Some(resume) };
    Some(())
}

/// nginx's callback: the client has sent something, or left. One that left ends its request, unless others wait for what
/// a fragment's fetch brings.
unsafe extern "C" fn client_speaks(r: *mut ngx_http_request_t) {
    // SAFETY: nginx passes a live request to its handlers.
    let request = unsafe { Request::new(r) };
    // SAFETY: as above, to handlers of nginx's own.
    guarded((), || unsafe {
        if flight::any_awaited(request) {
            ngx_http_block_reading(r);
        } else {
            ngx_http_test_reading(r);
        }
    });
}

/// nginx's callback: a fragment has ended, or the client's connection can be written to.
unsafe extern "C" fn resume(r: *mut ngx_http_request_t) {
    let rc = guarded(Some(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t), || {
        // SAFETY: nginx passes a live request to its handlers.
        let request = unsafe { Request::new(r) };
        // SAFETY: null, or what `begin` put into the request's pool.
        let waiting = unsafe { ctx::get(request)?.waiting.as_ref() }?;
        // SAFETY: as above.
        if unsafe { (*waiting.includes).is_pending() } {
            return None;
        }
        // SAFETY: a live request.
        unsafe {
            if request.is_main() {
                (*r).read_event_handler = Some(ngx_http_block_reading);
            }
            (*r).write_event_handler = Some(ngx_http_request_empty_handler);
        }
        Some(match whole(request, Way::Hit, waiting) {
            Some(chain) => send_and_renew(request, chain),
            None => {
                log_not_rendered(request);
                NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t
            }
        })
    });
    if let Some(rc) = rc {
        // SAFETY: a live request, whose count `deliver::content_handler` has raised for this.
        unsafe { ngx_http_finalize_request(r, rc) };
    }
}
