//! Fragments that a page includes: sub-requests whose output ends up in memory.
//!
//! ```text
//!  a page that needs fragments       its sub-requests
//!    ask() -- one for each ------->  handler, fetch, capture: as any request
//!      |                                     |
//!    waits: no event, no CPU                 v
//!      |                             header(), take(): kept, never sent
//!    woken <---- the last one ended, or the deadline
//! ```
//!
//! They are background sub-requests: nginx keeps no place for them in the client's answer, so that a late one holds up
//! nothing, and its output comes here, in front of all filters of nginx.
//!
//! Invariants
//! - A sub-request shares its parent's pool, and nginx destroys that with the main request, after the last sub-request has
//!   ended. An [`Includes`] lives in it: it outlives every sub-request that points to it, however late that is.
//! - Every pending fragment has a deadline, and the alarm is set to no later than the first. So a page is always woken.
//! - What ends a sub-request badly ends its fragment and not the client's request: see [`ended`].

mod part;

use std::cell::Cell;
use std::mem::zeroed;
use std::ptr;
use std::rc::Rc;

use ngx::ffi::{
    NGX_HTTP_CLIENT_CLOSED_REQUEST, NGX_HTTP_CLOSE, NGX_HTTP_CREATED, NGX_HTTP_NO_CONTENT,
    NGX_HTTP_REQUEST_TIME_OUT, NGX_HTTP_SPECIAL_RESPONSE, NGX_LOG_WARN, ngx_add_timer, ngx_connection_t,
    ngx_current_msec, ngx_del_timer, ngx_event_t, ngx_http_finalize_request, ngx_http_post_request,
    ngx_http_request_empty_handler, ngx_http_request_t, ngx_http_run_posted_requests, ngx_int_t, ngx_msec_t,
};
use ngx::ngx_log_error;
use twice_core::board::Counter;
use twice_core::include::{Budget, Failure, Fragment};
use twice_core::source::MAX_VALUE;

use crate::conf;
use crate::ctx;
use crate::guard::guarded;
use crate::seldom::Seldom;
use crate::shm::{DEFAULT_MAX_OBJECT, Zone};
use crate::source::{fetches, http};
use crate::sys::{self, DONE, ERROR, OK, Request};

use part::Asked;
pub use part::{Part, header, is_fetch, part_of, take};

/// The fragments of one page.
#[repr(C)]
pub struct Includes {
    /// First, so that the alarm's event leads here.
    alarm: ngx_event_t,
    parent: *mut ngx_http_request_t,
    zone: *const Zone,
    parts: Vec<Asked>,
    pending: usize,
    wakes: Wakes,
    timeout: ngx_msec_t,
    max: usize,
    /// How often the page is itself included.
    depth: usize,
    /// One for a page and all below it.
    budget: Rc<Cell<Budget>>,
    /// The fetch before, of those that are made in one request's name.
    next: *mut Self,
}

/// Who wants to know what of the fragments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wakes {
    /// The page, when the last one was settled.
    PageAtLast,
    /// The page, for each.
    PageForEach,
    /// The fetch of a source's value, which is the only fragment.
    Fetch(u64),
}

impl Drop for Includes {
    fn drop(&mut self) {
        if let (Wakes::Fetch(ticket), true) = (self.wakes, self.pending > 0) {
            fetches::orphaned(ticket);
        }
        if self.alarm.timer_set() != 0 {
            // SAFETY: it is in nginx's tree of timers.
            unsafe { ngx_del_timer(&raw mut self.alarm) };
        }
    }
}

impl Includes {
    /// A page without fragments so far, in the request's pool; none when memory ran out. `each`: it is woken for each
    /// fragment, else when the last one is there.
    pub fn of_page(request: Request<'_>, each: bool) -> Option<*mut Self> {
        let zone = ctx::get(request)?.zone;
        // SAFETY: the zone of the request's location, alive as long as its configuration.
        let max = unsafe { zone.as_ref() }.map_or(DEFAULT_MAX_OBJECT, Zone::max_object);
        let wakes = if each { Wakes::PageForEach } else { Wakes::PageAtLast };
        Self::new(request, zone, wakes, conf::of(request).include_timeout, max)
    }

    /// The answer to the fetch of a source's value: a fragment that no page shows as it is.
    pub fn of_fetch(request: Request<'_>, ticket: u64, timeout: ngx_msec_t) -> Option<*mut Self> {
        let includes = Self::new(request, ptr::null(), Wakes::Fetch(ticket), timeout, MAX_VALUE)?;
        if let Some(ctx) = ctx::get(request) {
            // SAFETY: just made.
            unsafe { (*includes).next = std::mem::replace(&mut ctx.asking, includes) };
        }
        Some(includes)
    }

    /// Whether one of these fetches goes on although the page does not wait for it: asked for in its name for another one, or
    /// too late and not to be ended.
    ///
    /// # Safety
    /// `first` must be null or of a live request.
    pub unsafe fn any_holds_up(first: *const Self) -> bool {
        let mut at = first;
        // SAFETY: the caller's promise: all of them live in the request's pool.
        while let Some(includes) = unsafe { at.as_ref() } {
            let goes_on = |part: &Asked| {
                let is_over = part.fragment.failure().is_none_or(|why| why == Failure::Late);
                !part.sub.is_null() && is_over
            };
            if includes.parts.iter().any(goes_on) {
                return true;
            }
            at = includes.next;
        }
        false
    }

    fn new(
        request: Request<'_>,
        zone: *const Zone,
        wakes: Wakes,
        timeout: ngx_msec_t,
        max: usize,
    ) -> Option<*mut Self> {
        // SAFETY: what `part_of` gives names a live page.
        let budget = part_of(request).map(|part| unsafe { (*part.owner).budget.clone() });
        // SAFETY: an event of zeros is one that is not set.
        let mut alarm: ngx_event_t = unsafe { zeroed() };
        // SAFETY: a live request's connection. It is for nginx's debug log, which wants a number of it.
        alarm.data = unsafe { (*request.raw()).connection }.cast();
        alarm.handler = Some(look);
        alarm.log = request.log();
        let includes = Self {
            alarm,
            parent: request.raw(),
            zone,
            parts: Vec::new(),
            pending: 0,
            wakes,
            timeout,
            max,
            depth: part::depth(request),
            budget: budget.unwrap_or_default(),
            next: ptr::null_mut(),
        };
        sys::pool_box_of(request, includes)
    }

    /// Whether any is still to come.
    pub fn is_pending(&self) -> bool {
        self.pending > 0
    }

    /// Whether it is the fetch of a source's value.
    fn is_fetch(&self) -> bool {
        matches!(self.wakes, Wakes::Fetch(_))
    }

    /// Whether any has passed its deadline: it may be under way still.
    pub fn any_late(&self) -> bool {
        self.parts.iter().any(|part| part.fragment.failure() == Some(Failure::Late))
    }

    /// Whether this slot's fragment was asked for.
    pub fn knows(&self, slot: usize) -> bool {
        self.parts.iter().any(|part| part.slot == slot)
    }

    /// Whether this slot's fragment is still to come.
    pub fn awaits(&self, slot: usize) -> bool {
        self.parts.iter().any(|part| part.slot == slot && part.fragment.is_pending())
    }

    /// The fragment of a slot, if it came.
    pub fn fragment(&self, slot: usize) -> Option<&[u8]> {
        self.parts.iter().find(|part| part.slot == slot)?.fragment.bytes()
    }

    /// Gives up what is still to come.
    pub fn give_up(&mut self, why: Failure) {
        for part in 0..self.parts.len() {
            self.fail(part, why);
        }
    }

    fn fail(&mut self, part: usize, why: Failure) {
        self.change(part, |fragment, budget| fragment.fail(why, budget));
    }

    fn has_failed(&self, part: usize) -> bool {
        self.parts.get(part).is_some_and(|part| part.fragment.failure().is_some())
    }

    /// Does something to a fragment. Counts and tells the log if that ended it; true: it did.
    fn change(&mut self, part: usize, work: impl FnOnce(&mut Fragment, &mut Budget)) -> bool {
        let Some(part) = self.parts.get_mut(part).filter(|part| part.fragment.is_pending()) else {
            return false;
        };
        let mut budget = self.budget.get();
        work(&mut part.fragment, &mut budget);
        self.budget.set(budget);
        if part.fragment.is_pending() {
            return false;
        }
        self.pending -= 1;
        // SAFETY: the zone of a location of the running cycle; a source's fetch has none, and is counted as its source's.
        if let (Some(why), Some(zone)) = (part.fragment.failure(), unsafe { self.zone.as_ref() }) {
            zone.count(Counter::IncludeFailures);
            // SAFETY: the parent lives as long as its fragments.
            tell(unsafe { Request::new(self.parent) }, &part.uri, why);
        }
        true
    }

    /// Adds a fragment that is under way, or has failed before it was.
    ///
    /// # Safety
    /// `this` must be what [`Includes::of_page`] gave for this live request.
    pub unsafe fn ask(this: *mut Self, request: Request<'_>, slot: usize, uri: &[u8]) {
        // SAFETY: the caller's promise; the reference ends before nginx is called.
        let (part, asked) = unsafe {
            let includes = &mut *this;
            if let Some(zone) = includes.zone.as_ref() {
                zone.count(Counter::Includes);
            }
            let mut budget = includes.budget.get();
            let asked = budget.take(includes.depth);
            includes.budget.set(budget);
            let until = ngx_current_msec.wrapping_add(includes.timeout);
            let number = includes.parts.len();
            includes.parts.push(Asked {
                slot,
                uri: uri.to_vec(),
                sub: ptr::null_mut(),
                until,
                fragment: Fragment::new(includes.max),
            });
            includes.pending += 1;
            (Part { owner: this, number }, asked)
        };
        // SAFETY: `this` lives in the request's pool.
        let asked = asked.and_then(|()| unsafe { part::start(request, part, uri) }.ok_or(Failure::NotAsked));
        // SAFETY: as above. The event stays where it is until `this` is dropped, which takes it out of the tree.
        unsafe {
            match asked {
                Err(why) => (*this).fail(part.number, why),
                Ok(sub) => {
                    (*this).set_sub(part.number, sub);
                    if (*this).alarm.timer_set() == 0 {
                        ngx_add_timer(&raw mut (*this).alarm, (*this).timeout);
                    }
                }
            }
        }
    }

    fn set_sub(&mut self, part: usize, sub: *mut ngx_http_request_t) {
        if let Some(part) = self.parts.get_mut(part) {
            part.sub = sub;
        }
    }

    /// The sub-requests that are of no use any more. They are forgotten here.
    ///
    /// # Safety
    /// The page must be live.
    unsafe fn take_useless(&mut self, now: ngx_msec_t) -> Vec<*mut ngx_http_request_t> {
        let mut useless = Vec::new();
        for part in &mut self.parts {
            // SAFETY: the caller's promise.
            if let Some(sub) = unsafe { part.useless(now) } {
                part.sub = ptr::null_mut();
                useless.push(sub);
            }
        }
        useless
    }

    /// Whether a fragment's time is over.
    fn is_over(&self, part: usize, now: ngx_msec_t) -> bool {
        self.parts.get(part).is_some_and(|part| part.is_over(now))
    }

    /// Fails what is late. True: something was; and how long until the next one is, or one that failed is ended.
    fn find_late(&mut self, now: ngx_msec_t) -> (bool, Option<ngx_msec_t>) {
        let (mut any, mut next) = (false, None::<ngx_msec_t>);
        for number in 0..self.parts.len() {
            let goes_on = |part: &&Asked| part.fragment.is_pending() || !part.sub.is_null();
            let Some(part) = self.parts.get(number).filter(goes_on) else { continue };
            // nginx's clock may wrap around: differences count.
            match part.until.wrapping_sub(now).cast_signed() {
                left if left <= 0 => {
                    any |= part.fragment.is_pending();
                    self.fail(number, Failure::Late);
                }
                left => {
                    let left = left.cast_unsigned();
                    next = Some(next.map_or(left, |next| next.min(left)));
                }
            }
        }
        (any, next)
    }

    /// Has the alarm look what can be ended, when nginx is out of the sub-request that it is in.
    ///
    /// # Safety
    /// `this` must point to live includes.
    unsafe fn look_soon(this: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe { ngx_add_timer(&raw mut (*this).alarm, 1) };
    }

    /// Ends the sub-requests that are of no use any more.
    ///
    /// # Safety
    /// `this` must point to live includes, none of whose sub-requests nginx is in. They may be gone after this.
    unsafe fn stop_useless(this: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe {
            let useless = (*this).take_useless(ngx_current_msec);
            if useless.is_empty() {
                return;
            }
            // Held until all are ended: the last of them may be what nginx keeps the main request for.
            let main = (*(*this).parent).main;
            (*main).set_count((*main).count() + 1);
            for sub in useless {
                part::stop(sub);
            }
            ngx_http_finalize_request(main, DONE);
        }
    }

    /// Wakes the page after something of it was settled, if that is what it waits for; false when memory ran out.
    ///
    /// # Safety
    /// `this` must point to live includes, of whose page no reference is held.
    unsafe fn wake(this: *mut Self) -> bool {
        // SAFETY: the caller's promise; the parent outlives its fragments.
        unsafe {
            match (*this).wakes {
                Wakes::PageAtLast if (*this).pending > 0 => true,
                Wakes::PageAtLast | Wakes::PageForEach => {
                    ngx_http_post_request((*this).parent, ptr::null_mut()) == OK
                }
                Wakes::Fetch(ticket) => {
                    if let Some(came) = (*this).came() {
                        http::answered(ticket, came, (*this).took());
                    }
                    true
                }
            }
        }
    }

    /// What came of the only fragment; none: it is still to come.
    pub fn came(&self) -> Option<Result<&[u8], Failure>> {
        let fragment = &self.parts.first()?.fragment;
        fragment.bytes().map(Ok).or_else(|| fragment.failure().map(Err))
    }

    /// How long it has taken so far, milliseconds.
    fn took(&self) -> ngx_msec_t {
        // SAFETY: nginx's clock.
        let now = unsafe { ngx_current_msec };
        self.parts.first().map_or(0, |part| now.wrapping_add(self.timeout).wrapping_sub(part.until))
    }
}

/// nginx's callback: the time of the earliest fragment may be over, or one that failed goes on to no purpose.
unsafe extern "C" fn look(event: *mut ngx_event_t) {
    guarded((), || {
        // SAFETY: the event is the first thing in its `Includes`, which takes it out of the tree when it is dropped. No
        // reference is held where nginx is called.
        unsafe {
            let this = event.cast::<Includes>();
            let connection = (*event).data.cast::<ngx_connection_t>();
            let (any_late, next) = (*this).find_late(ngx_current_msec);
            if let Some(next) = next {
                ngx_add_timer(event, next);
            }
            if any_late && !Includes::wake(this) {
                ngx_http_finalize_request((*this).parent, ERROR);
            } else {
                Includes::stop_useless(this);
            }
            ngx_http_run_posted_requests(connection);
        }
    });
}

/// nginx's callback: a sub-request is being finalized. It may come several times: an error is first answered by nginx, and
/// what is buffered (fragments of its own that it waits for) is waited for.
///
/// What it gives back is what nginx goes on with. Where that would end the client's connection, it gives success: the page
/// survives.
unsafe extern "C" fn ended(
    r: *mut ngx_http_request_t,
    data: *mut std::ffi::c_void,
    rc: ngx_int_t,
) -> ngx_int_t {
    const FATAL: [u32; 3] = [NGX_HTTP_REQUEST_TIME_OUT, NGX_HTTP_CLIENT_CLOSED_REQUEST, NGX_HTTP_CLOSE];
    // SAFETY: a live sub-request, and the data that `part::start` gave it.
    guarded(rc, || unsafe {
        if (*(*r).connection).error() != 0 {
            return rc;
        }
        let fatal = rc == ERROR || FATAL.iter().any(|&code| rc == code as ngx_int_t);
        let answered = rc >= NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t
            || rc == NGX_HTTP_CREATED as ngx_int_t
            || rc == NGX_HTTP_NO_CONTENT as ngx_int_t;
        if fatal {
            (*r).set_buffered(0);
        } else if answered || (*r).buffered() != 0 || !(*r).postponed.is_null() {
            return rc;
        }
        // Should a fragment of its own still wake it, it has nothing left to do.
        (*r).write_event_handler = Some(ngx_http_request_empty_handler);
        let part = data.cast::<Part>().read();
        (*part.owner).set_sub(part.number, ptr::null_mut());
        part::change(Request::new(r), part, |fragment, budget| fragment.end(budget));
        if fatal { OK } else { rc }
    })
}

/// Something of a fragment's own answer went wrong: it fails, and not the client's request.
pub fn spoil(request: Request<'_>, part: Part) {
    // SAFETY: the part of this live request.
    unsafe { part::change(request, part, |fragment, budget| fragment.fail(Failure::Incomplete, budget)) };
}

/// nginx's bit for what a filter of images holds back, which never has our text while we have it: there are but four.
const HELD: u32 = 0x08;

/// Has nginx keep the request although its handler is done: the body filter holds something back. nginx calls it with an
/// empty chain when the request is woken.
pub fn hold(request: Request<'_>) {
    // SAFETY: a live request.
    unsafe { (*request.raw()).set_buffered((*request.raw()).buffered() | HELD) };
}

/// Nothing is held back any more. Before it is handed on: a filter of images sets the bit for itself.
pub fn let_go(request: Request<'_>) {
    // SAFETY: as above.
    unsafe { (*request.raw()).set_buffered((*request.raw()).buffered() & !HELD) };
}

/// Tells the log of a failed include: one line a second, and how many others there were.
fn tell(page: Request<'_>, uri: &[u8], why: Failure) {
    static SELDOM: Seldom = Seldom::new();
    let Some(others) = SELDOM.others() else { return };
    // SAFETY: a live request's URI.
    let path = unsafe { sys::bytes((*page.raw()).uri) };
    let uri = uri.get(..uri.len().min(200)).unwrap_or_default();
    ngx_log_error!(
        NGX_LOG_WARN,
        page.log(),
        "twice: page \"{}\" goes without its include \"{}\": {}{}",
        path.escape_ascii(),
        uri.escape_ascii(),
        why,
        others
    );
}
