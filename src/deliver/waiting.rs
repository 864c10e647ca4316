//! Stored pages that need what is not there yet: values of sources first, then the fragments that they include.
//!
//! ```text
//!   begin --> values: asked all at once --> which branches are taken --> fragments: asked all at once --> printed
//!                 '--- wait ---'                                             '--- wait ---'
//! ```
//!
//! Invariants
//! - A page that has what it needs is printed at once, from where it lies.
//! - What a page needs until then outlives the call: it is pinned, or copied where it has no pin. Its values are found once,
//!   so that the program runs the way it was looked ahead.
//! - While it waits the request has nothing in nginx's lists but its fragments: only the last of what it waits for, a
//!   deadline or the client's leaving comes back to it.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_HEAD, NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_chain_t, ngx_http_block_reading,
    ngx_http_finalize_request, ngx_http_request_empty_handler, ngx_http_request_t, ngx_http_test_reading,
    ngx_int_t, ngx_uint_t,
};
use twice_core::conditional::Verdict;
use twice_core::page::{Fixed, View};
use twice_core::store::{Page, Pin};
use twice_core::template::{Limits, Slots, needed};

use super::body::Body;
use super::served::{Renewed, Served};
use super::{
    Rendered, Way, conclude_filled, copy_out, finish, for_ranges, header, log_not_rendered, own_tag, print,
    send_and_renew, set_length, with_state, without_body,
};
use crate::guard::guarded;
use crate::include::{self, Includes};
use crate::source::asked::Asked;
use crate::sys::{self, Request};
use crate::values::{Ask, Coming, Resolved, Resolver};
use crate::{ctx, flight};

/// A page that waits, in the request's pool.
pub struct Waiting {
    fixed: Fixed,
    page: Kept,
    tag: u64,
    /// Of the visitor, in the request's pool.
    values: *const [&'static [u8]],
    /// Bytes that they print before filters.
    room: usize,
    /// Values of sources, in the request's pool; null if none was asked for.
    asked: *mut Asked,
    /// Fragments, in the request's pool; null as long as it is not known which.
    includes: *mut Includes,
    /// There is something that was not asked for, because nobody will see it.
    unseen: bool,
}

/// Where the page's value is until the request's end.
#[derive(Clone, Copy)]
enum Kept {
    Pinned(*const Pin, Option<Renewed>),
    /// The value up to the end of its literals.
    Copied(*const [u8]),
}

/// Asks for what a page needs, and renders it if that is there already.
pub fn begin(
    request: Request<'_>,
    way: Way,
    fixed: Fixed,
    page: Served<'_>,
    tag: u64,
    pin: Option<*const Pin>,
) -> Option<Rendered> {
    let prefix = page.prefix(request, &fixed)?;
    let (slots, code) = fixed.program(prefix)?;
    // A tag may ask for it.
    // SAFETY: a live request.
    unsafe { (*request.raw()).headers_out.status = usize::from(fixed.status()) };
    let head = is_head(request);
    let mut resolver = Resolver::new(request, if head { Ask::Nothing } else { Ask::ForAll });
    let (values, room) = resolver.all(Slots::new(slots))?;
    let asked = resolver.asked();
    // SAFETY: null, or in the pool of this live request.
    let waits = unsafe { asked.as_ref() }.is_some_and(Asked::is_pending);
    let unseen = head && fixed.sources();
    if !waits && !unseen && !fixed.includes() {
        let head = page.head(request, &fixed)?;
        let view = View::parse(&fixed, head)?;
        header(request, way, &fixed, &view)?;
        let etag = own_tag(request, &fixed, slots, &values)?;
        let verdict = conclude_filled(request, &fixed, &view, etag, &values)?;
        if verdict != Verdict::Send {
            return without_body(request, verdict);
        }
        let body = Body::new(request, page.literals(&fixed), pin.is_some());
        let body = print(request, &fixed, code, &values, body, tag, room)?;
        values.let_go(request, Slots::new(slots), room);
        return finish(request, body);
    }
    let len = fixed.prefix_len() + fixed.literals_len();
    let page = match pin {
        Some(pin) => Kept::Pinned(pin, page.renewed()),
        None => Kept::Copied(copy_out(request, page.page().value_part(0, len), len)?),
    };
    let (values, includes) = (values.kept(), ptr::null_mut());
    let mut waiting = Waiting { fixed, page, tag, values, room, asked, includes, unseen };
    if waiting.go_on(request)? {
        return whole(request, way, &waiting);
    }
    if !matches!(way, Way::Hit) {
        // nginx is about to send a header; how long the body will be nobody knows, nor what will be in it.
        head_of(request, way, &waiting, b"")?;
        set_length(request, None)?;
    } else {
        wait(request)?;
    }
    ctx::get(request)?.waiting = sys::pool_box_of(request, waiting)?;
    Some(Rendered::Later)
}

fn is_head(request: Request<'_>) -> bool {
    // SAFETY: a live request.
    unsafe { (*request.raw()).method == NGX_HTTP_HEAD as ngx_uint_t }
}

impl Waiting {
    /// Asks for what comes next, as far as that is known by now. True: everything is there. None when memory ran out, or
    /// the page is none.
    fn go_on(&mut self, request: Request<'_>) -> Option<bool> {
        // SAFETY: null, or in the pool of this live request, as are the fragments.
        unsafe {
            if self.asked.as_ref().is_some_and(Asked::is_pending) {
                return Some(false);
            }
            if self.includes.is_null() && self.fixed.includes() {
                self.ask_fragments(request)?;
            }
            Some(!self.includes.as_ref().is_some_and(Includes::is_pending))
        }
    }

    /// Asks for those fragments that will be printed.
    fn ask_fragments(&mut self, request: Request<'_>) -> Option<()> {
        let (prefix, _) = self.parts(request)?;
        let (slots, code) = self.fixed.program(prefix)?;
        let literals = self.fixed.literals_len();
        let needed = {
            let values = self.values();
            with_state(&Limits::default(), |state| needed(code, literals, state, &values)).ok()?
        };
        let includes = Includes::of_page(request, false)?;
        self.includes = includes;
        if is_head(request) {
            self.unseen |= !needed.is_empty();
            return Some(());
        }
        for slot in needed {
            let uri = Slots::new(slots).nth(slot)?.key;
            // SAFETY: just made for this request.
            unsafe { Includes::ask(includes, request, slot, uri) };
        }
        Some(())
    }

    /// What is there of the values.
    fn values(&self) -> Coming<'_> {
        // SAFETY: all of them live in the request's pool, and what came does not change any more.
        unsafe {
            Coming {
                values: Resolved::of(&*self.values),
                asked: self.asked.as_ref(),
                includes: self.includes.as_ref(),
            }
        }
    }

    /// The page's `ETag` with the values that have come.
    fn own_tag<'a>(&self, request: Request<'a>) -> Option<&'a [u8]> {
        let (prefix, _) = self.parts(request)?;
        let (slots, _) = self.fixed.program(prefix)?;
        own_tag(request, &self.fixed, slots, &self.values())
    }

    /// The page's bytes before its literals, and where its body is to be printed.
    fn parts<'a>(&self, request: Request<'a>) -> Option<(&'a [u8], Body<'a, 'a>)> {
        let fixed = &self.fixed;
        match self.page {
            Kept::Pinned(pin, renewed) => {
                let page = Served::new(pinned(request, pin)?, renewed);
                Some((page.prefix(request, fixed)?, Body::new(request, page.literals(fixed), true)))
            }
            Kept::Copied(copy) => {
                // SAFETY: a copy in the pool of this live request.
                let (prefix, literals) = unsafe { &*copy }.split_at_checked(fixed.prefix_len())?;
                Some((prefix, Body::copied(request, literals)))
            }
        }
    }
}

/// Header and body.
fn whole(request: Request<'_>, way: Way, waiting: &Waiting) -> Option<Rendered> {
    let etag = if waiting.unseen { b"" } else { waiting.own_tag(request)? };
    let verdict = head_of(request, way, waiting, etag)?;
    let main = request.main().raw();
    // SAFETY: live requests, and what lives in their pool.
    unsafe {
        let late_value = ctx::get(request).is_some_and(|ctx| Includes::any_holds_up(ctx.asking));
        let late_fragment = waiting.includes.as_ref().is_some_and(Includes::any_late);
        if (late_value || late_fragment) && (*main).header_sent() == 0 {
            // nginx reads the next request of this connection when that one has ended.
            (*main).set_keepalive(0);
        }
    }
    if verdict != Verdict::Send {
        // SAFETY: null, or in the pool of this live request; nothing of it is printed.
        unsafe { Asked::close(waiting.asked) };
        return without_body(request, verdict);
    }
    let (mut chain, len) = print_body(request, waiting)?;
    set_length(request, (!waiting.unseen).then_some(len))?;
    if !waiting.unseen {
        chain = for_ranges(request, chain, len)?;
    }
    Some(Rendered::Whole(chain))
}

fn head_of<'a>(request: Request<'a>, way: Way, waiting: &Waiting, etag: &'a [u8]) -> Option<Verdict<'a>> {
    let fixed = &waiting.fixed;
    let head = match waiting.page {
        Kept::Pinned(pin, renewed) => Served::new(pinned(request, pin)?, renewed).head(request, fixed)?,
        // SAFETY: a copy in the pool of this live request.
        Kept::Copied(copy) => unsafe { &*copy }.get(..fixed.head_len())?,
    };
    let view = View::parse(fixed, head)?;
    header(request, way, fixed, &view)?;
    conclude_filled(request, fixed, &view, etag, &waiting.values())
}

fn print_body(request: Request<'_>, waiting: &Waiting) -> Option<(*mut ngx_chain_t, usize)> {
    let fixed = &waiting.fixed;
    let (prefix, body) = waiting.parts(request)?;
    let (slots, code) = fixed.program(prefix)?;
    let values = waiting.values();
    let room = waiting.room.saturating_add(values.asked.map_or(0, Asked::bytes));
    let body = print(request, fixed, code, &values, body, waiting.tag, room)?;
    values.values.let_go(request, Slots::new(slots), waiting.room);
    // SAFETY: null, or in the pool of this live request; what is printed was copied.
    unsafe { Asked::close(waiting.asked) };
    body.finish()
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
    // SAFETY: null, or what `begin` put into the request's pool; nobody else looks at it until this returns.
    let waiting = ctx::get(request).and_then(|ctx| unsafe { ctx.waiting.as_mut() });
    let Some(waiting) = waiting else { return Rest::Failed };
    let body = match waiting.go_on(request) {
        Some(false) => {
            include::hold(request);
            return Rest::Later;
        }
        Some(true) => print_body(request, waiting),
        None => None,
    };
    include::let_go(request);
    match body {
        Some((chain, _)) => Rest::Whole(chain),
        None => {
            log_not_rendered(request);
            Rest::Failed
        }
    }
}

/// Leaves the request to what it waits for.
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

/// nginx's callback: what was waited for is there, or the client's connection can be written to.
unsafe extern "C" fn resume(r: *mut ngx_http_request_t) {
    let rc = guarded(Some(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t), || {
        // SAFETY: nginx passes a live request to its handlers.
        let request = unsafe { Request::new(r) };
        // SAFETY: null, or what `begin` put into the request's pool; nobody else looks at it until this returns.
        let waiting = unsafe { ctx::get(request)?.waiting.as_mut() }?;
        let goes_on = waiting.go_on(request);
        if goes_on == Some(false) {
            return None;
        }
        // SAFETY: a live request.
        unsafe {
            if request.is_main() {
                (*r).read_event_handler = Some(ngx_http_block_reading);
            }
            (*r).write_event_handler = Some(ngx_http_request_empty_handler);
        }
        Some(match goes_on.and_then(|_| whole(request, Way::Hit, waiting)) {
            Some(Rendered::Whole(chain)) => send_and_renew(request, chain),
            Some(Rendered::Refused(status)) => status,
            Some(Rendered::Later) | None => {
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
