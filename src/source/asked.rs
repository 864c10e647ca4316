//! The values that one page asks its sources for, as long as they are on their way.
//!
//! ```text
//!  a page's slots --> ask() --> fetches::ask ------ there ----------> the value, at once
//!                                  '-- later --> waits: no event, no CPU
//!                                                  |
//!             woken, from an event of its own <----+---- came(): the last one, or each
//!                                                  '---- the time of its source is over
//! ```
//!
//! Invariants
//! - An [`Asked`] lives in its request's pool. Fetches know it by a [`Page`], which is empty when it is gone, and it takes its
//!   event back.
//! - Every value that is waited for has a deadline, its source's timeout, and the alarm is set to no later than the first.
//!   So a page is always woken.
//! - A page goes on in the event of its [`Asked`], never within that of a fetch: what it does then may end other requests.
//! - A page that is printed is not woken any more: nginx may be done with its request.
//! - Each value that was asked for and did not come at once is counted once: when it comes, is late or is given up.

use std::cell::Cell;
use std::mem::zeroed;
use std::ptr;
use std::rc::Rc;

use ngx::ffi::{
    ngx_add_timer, ngx_connection_t, ngx_current_msec, ngx_del_timer, ngx_event_t, ngx_http_finalize_request,
    ngx_http_output_filter, ngx_http_post_request, ngx_http_request_t, ngx_http_run_posted_requests,
    ngx_msec_t, ngx_post_event, ngx_posted_events, ngx_queue_remove,
};
use twice_core::source::Failure;
use twice_core::source::arriving::{Arriving, Came, Settled};

use super::fetches::{self, Given, Waiter};
use super::{Source, Stat, by_name};
use crate::conf;
use crate::guard::guarded;
use crate::shm::Zone;
use crate::sys::{self, ERROR, OK, Request};

/// The values of one page.
#[repr(C)]
pub struct Asked {
    /// The alarm, and what wakes the page. First, so that it leads here.
    event: ngx_event_t,
    request: *mut ngx_http_request_t,
    /// The page is woken for each value, else when the last one is there.
    each: bool,
    /// What fetches know of this page, if any does or did.
    page: Option<Page>,
    /// For each source whose values all come with one fetch, the latest one that this page waits for.
    fetches: Vec<(*const Source, u64)>,
    /// What came, each with its source, which lives as long as the request's configuration.
    arriving: Arriving<*const Source>,
}

/// A page as fetches know it, which may outlive it.
#[derive(Clone)]
pub struct Page(Rc<Cell<*mut Asked>>);

impl Page {
    /// # Safety
    /// `page` must be what [`Asked::of_page`] gave for a live request.
    pub unsafe fn of(page: *mut Asked) -> Self {
        // SAFETY: the caller's promise; the reference ends here.
        unsafe { (*page).page.get_or_insert_with(|| Self(Rc::new(Cell::new(page)))).clone() }
    }

    /// Where it is, unless it is gone.
    pub fn get(&self) -> Option<*mut Asked> {
        Some(self.0.get()).filter(|page| !page.is_null())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(page) = &self.page else { return };
        page.0.set(ptr::null_mut());
        // SAFETY: nginx's own way to take an event back.
        unsafe {
            if self.event.timer_set() != 0 {
                ngx_del_timer(&raw mut self.event);
            }
            if self.event.posted() != 0 {
                self.event.set_posted(0);
                ngx_queue_remove(&raw mut self.event.queue);
            }
        }
    }
}

impl Asked {
    /// A page that has asked for nothing so far, in the request's pool; none when memory ran out. `each`: it is woken for
    /// each value, else when the last one is there.
    pub fn of_page(request: Request<'_>, each: bool) -> Option<*mut Self> {
        // SAFETY: an event of zeros is one that is not set.
        let mut event: ngx_event_t = unsafe { zeroed() };
        // SAFETY: a live request's connection. It is for nginx's debug log, which wants a number of it.
        event.data = unsafe { (*request.raw()).connection }.cast();
        event.handler = Some(look);
        event.log = request.log();
        let asked = Self {
            event,
            request: request.raw(),
            each,
            page: None,
            fetches: Vec::new(),
            arriving: Arriving::default(),
        };
        sys::pool_value_of(request, asked)
    }

    /// The request of a page.
    ///
    /// # Safety
    /// `page` must be what [`Asked::of_page`] gave for a live request.
    pub unsafe fn request<'a>(page: *mut Self) -> Request<'a> {
        // SAFETY: the caller's promise.
        unsafe { Request::new((*page).request) }
    }

    /// Asks for the value of a slot: what it is, if that is known at once; empty if it is missing, can't be had, or is on
    /// its way. Slots are asked for in rising order.
    ///
    /// # Safety
    /// `this` must be what [`Asked::of_page`] gave for this live request.
    pub unsafe fn ask<'a>(
        this: *mut Self,
        request: Request<'a>,
        zone: &Zone,
        slot: usize,
        (name, key): (&[u8], &[u8]),
    ) -> &'a [u8] {
        // A page that was stored under another configuration may ask a source that is no more.
        let Some(source) = by_name(conf::main_of_request(request), name) else { return &[] };
        // SAFETY: the caller's promise; references end with the statements.
        unsafe {
            let room = (*this).arriving.room();
            match fetches::ask(request, zone, source, key, Waiter { page: this, slot, room }) {
                Given::Value(value) => {
                    (*this).arriving.had(value.len());
                    return value;
                }
                Given::Missing | Given::Failed => {}
                Given::Later => (*this).expect(slot, source),
            }
        }
        &[]
    }

    fn expect(&mut self, slot: usize, source: &Source) {
        let timeout = ngx_msec_t::try_from(source.timeout_ms).unwrap_or(ngx_msec_t::MAX / 4);
        // SAFETY: nginx's clock.
        let now = unsafe { ngx_current_msec };
        let first = !self.arriving.is_pending();
        if !self.arriving.expect(slot, now.wrapping_add(timeout) as u64, ptr::from_ref(source)) {
            return source.count(Stat::of(Failure::Busy));
        }
        // nginx's clock may wrap around: differences count.
        let is_later = |key: ngx_msec_t| key.wrapping_sub(now).cast_signed() > timeout.cast_signed();
        // SAFETY: the event stays where it is until it is dropped, which takes it out of nginx's tree. A timer that is set
        // must be taken out first: nginx does not move it by a little.
        unsafe {
            let event = &raw mut self.event;
            if (*event).timer_set() != 0 && (first || is_later((*event).timer.key)) {
                ngx_del_timer(event);
            }
            if (*event).timer_set() == 0 {
                ngx_add_timer(event, timeout);
            }
        }
    }

    /// A fetch tells what came of a slot; back comes what that is to the page. None: it does not wait for it any more.
    ///
    /// # Safety
    /// `page` must be what [`Asked::of_page`] gave, and not be dropped; no reference to it may be held.
    pub unsafe fn came(page: *mut Self, slot: usize, came: &Came) -> Option<Settled> {
        // SAFETY: the caller's promise; the event stays where it is until it is dropped, which takes it back.
        unsafe {
            let settled = (*page).arriving.came(slot, came);
            if settled.is_some() && (*page).is_due() {
                let event = &raw mut (*page).event;
                if !(*page).is_pending() && (*event).timer_set() != 0 {
                    ngx_del_timer(event);
                }
                ngx_post_event(event, &raw mut ngx_posted_events);
            }
            settled
        }
    }

    /// The fetch of a source that this page waits for, or waited for.
    pub fn fetch_of(&self, source: *const Source) -> Option<u64> {
        self.fetches.iter().find(|(other, _)| *other == source).map(|(_, ticket)| *ticket)
    }

    /// It waits for this fetch now.
    pub fn set_fetch_of(&mut self, source: *const Source, ticket: u64) {
        self.fetches.retain(|(other, _)| *other != source);
        self.fetches.push((source, ticket));
    }

    /// Something was settled. Whether that is what the page waits for.
    fn is_due(&self) -> bool {
        !self.arriving.is_closed() && (self.each || !self.is_pending())
    }

    /// Whether any value is still on its way.
    pub fn is_pending(&self) -> bool {
        self.arriving.is_pending()
    }

    /// Whether the value of a slot is.
    pub fn awaits(&self, slot: usize) -> bool {
        self.arriving.awaits(slot)
    }

    /// Whether it is of use to ask once more for the value of a slot: nginx may be done with a page that is printed.
    pub fn needs(&self, slot: usize) -> bool {
        !self.arriving.is_closed() && self.awaits(slot)
    }

    /// The value of a slot, if it came later.
    pub fn value(&self, slot: usize) -> Option<&[u8]> {
        self.arriving.value(slot)
    }

    /// Bytes of all values that came later.
    pub fn bytes(&self) -> usize {
        self.arriving.values().map(|(_, value)| value.len()).sum()
    }

    /// Waits for nothing more.
    pub fn give_up(&mut self, why: Failure) {
        // SAFETY: a source of the request's configuration.
        self.arriving.give_up(why, |&source| unsafe { &*source }.count(Stat::of(why)));
    }

    /// The page is printed: it needs nothing more.
    ///
    /// # Safety
    /// `page` must be null, or what [`Asked::of_page`] gave for a live request. What it gave of values is gone.
    pub unsafe fn close(page: *mut Self) {
        // SAFETY: the caller's promise.
        if let Some(asked) = unsafe { page.as_mut() } {
            asked.arriving.close();
        }
    }

    /// The time is over, or something came. True: the page goes on.
    fn look(&mut self) -> bool {
        let event = &raw mut self.event;
        // SAFETY: an event of ours, which stays where it is; nginx's clock; sources of the request's configuration.
        unsafe {
            if (*event).timedout() == 0 {
                return true;
            }
            (*event).set_timedout(0);
            let late = |&source: &*const Source| (*source).count(Stat::Timeouts);
            let (any, next) = self.arriving.find_late(ngx_current_msec as u64, late);
            if let Some(next) = next {
                ngx_add_timer(event, ngx_msec_t::try_from(next).unwrap_or(ngx_msec_t::MAX / 4));
            }
            any && self.is_due()
        }
    }
}

/// nginx's callback: the time of the earliest value is over, or the page was woken.
unsafe extern "C" fn look(event: *mut ngx_event_t) {
    guarded((), || {
        // SAFETY: the event is the first thing in its `Asked`, which takes it back when it is dropped. No reference is held
        // where nginx is called.
        unsafe {
            let this = event.cast::<Asked>();
            let (r, connection) = ((*this).request, (*event).data.cast::<ngx_connection_t>());
            if !(*this).look() {
                return;
            }
            // Whoever sends the answer (ngx_http_upstream_process_downstream) need not have anything for the filters before
            // the origin says more: what they hold back is given out here.
            if (*this).each
                && (*connection).error() == 0
                && ngx_http_output_filter(r, ptr::null_mut()) == ERROR
            {
                ngx_http_finalize_request(r, ERROR);
                return ngx_http_run_posted_requests(connection);
            }
            // By way of nginx's list, which has the log name the right request.
            if ngx_http_post_request(r, ptr::null_mut()) != OK {
                ngx_http_finalize_request(r, ERROR);
            }
            ngx_http_run_posted_requests(connection);
        }
    });
}
