//! Requests that wait for another one's fetch.
//!
//! ```text
//!  miss --> turn --- nobody fetches --> lease (flight) --> the origin --> stored, or known not to be --.
//!             |                                                                                        |
//!             '---- somebody does ---> suspended <-- timer: its time is over                    channel::wake
//!                                        |   ^------ tick: the fetch is over, too old, its process gone |
//!                                        |   '------ woken <--------------------------------------------'
//!                                        '--> looked up again from the start
//! ```
//!
//! Invariants
//! - A waiter lies in its request's pool and is unlinked by a cleanup of the request before that goes: a client that
//!   leaves, or a request that ends for another's error, leaves nothing behind.
//! - A suspended request does nothing on events of writing, and on those of reading looks only whether the client has left.
//! - A request is resumed from an event of its own, never from within another's: what it does then may end others.
//! - Its time is counted from when it began to wait first, however often it waits again.
//! - Nothing is borrowed across a call into nginx that could come back here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::mem;
use std::ptr;

use ngx::ffi::{
    ngx_add_timer, ngx_current_msec, ngx_cycle, ngx_cycle_t, ngx_del_timer, ngx_event_t,
    ngx_http_block_reading, ngx_http_cleanup_add, ngx_http_core_run_phases, ngx_http_post_request,
    ngx_http_request_empty_handler, ngx_http_request_t, ngx_http_run_posted_requests, ngx_http_test_reading,
    ngx_msec_t, ngx_post_event, ngx_posted_events, ngx_queue_remove,
};
use twice_core::board::Counter;
use twice_core::board::flights::{Alone, Asked, Lease};
use twice_core::policy::{Freshness, Times};
use twice_core::store::{Entry, Section};
use twice_core::variants::is_rules;

use crate::conf::LocConf;
use crate::ctx;
use crate::guard::guarded;
use crate::shm::{self, Zone};
use crate::sys::{self, OK, Request, Timer};
use crate::{asker, channel, flight};

/// How often a worker looks at fetches that its requests wait for.
const LOOK_MS: ngx_msec_t = 500;

/// A suspended request.
pub struct Waiter {
    /// nginx's timer, and what it posts to resume the request.
    event: ngx_event_t,
    request: *mut ngx_http_request_t,
    /// What it looks for, in the request's pool.
    key: *const [u8],
    /// What is there in its place, and is of no use to it.
    useless: Option<Entry>,
    flight: Awaited,
    /// Place in the flight's list; none: not in it.
    place: Option<usize>,
    age_ms: u64,
    /// When it stops waiting, by nginx's clock.
    deadline: ngx_msec_t,
    timed_out: bool,
}

/// Names a fetch that is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Awaited {
    zone: *const Zone,
    hash: u64,
    generation: u64,
}

thread_local! {
    /// This worker's waiters.
    static WAITERS: RefCell<HashMap<Awaited, Vec<*mut Waiter>>> = RefCell::default();
}

static TIMER: Timer = Timer::new();

/// Prepares a worker.
///
/// # Safety
/// Called once in init_process, with its cycle.
pub unsafe fn init_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise; `tick` renews the log.
    unsafe { TIMER.prepare((*cycle).log, tick, true) };
}

/// What a request that found no page does now.
pub enum Turn {
    /// It goes to the origin.
    Fetch,
    /// It is suspended, and will be looked up again.
    Wait,
    /// The same, and the last ones that did met an origin that fails.
    FetchInVain,
    /// It looks again: the page has come this very moment.
    Again,
}

/// Asks who fetches the page that was not found; none where memory ran out. `again`: it was looked for a second time, so
/// that whatever is there is not the page (it was marked stale, or says nothing of what this location's pages vary by).
pub fn turn(request: Request<'_>, conf: &LocConf, zone: &Zone, again: bool) -> Option<Turn> {
    if !conf.lock() {
        return Some(Turn::Fetch);
    }
    let asker = asker::of(request)?;
    let ctx = ctx::get(request)?;
    // SAFETY: the key lies in the request's pool; a waiter as well, if there is one.
    let (hash, key, timed_out) =
        unsafe { (ctx.hash, &*ctx.key, ctx.waiter.as_ref().is_some_and(|waiter| waiter.timed_out)) };
    if timed_out {
        flight::keep(request, zone, Lease::of_nobody(hash), asker)?;
        return Some(Turn::Fetch);
    }
    let now = shm::now_ms();
    let channel = if conf.lock_timeout_ms() == 0 { None } else { channel::mine() };
    let mut useless = None;
    let asked = zone.flights(|section, flights| {
        if again {
            useless = section.peek(hash, key).map(|found| found.entry);
        }
        // It may have been stored since it was looked up, and then nobody fetches it any more.
        let (age, me) = (conf.lock_age_ms(), zone.owner());
        (!is_there(section, hash, key, useless, now)).then(|| flights.ask(hash, now, age, me, channel, asker))
    })?;
    match asked {
        None => Some(Turn::Again),
        Some(Asked::Fetch(lease)) => {
            flight::keep(request, zone, lease, asker)?;
            Some(Turn::Fetch)
        }
        // The parent's fetch may not end before this one.
        Some(Asked::Wait(generation)) if !flight::is_of_a_parent(request, generation) => {
            let awaited = Awaited { zone, hash, generation };
            suspend(request, conf, awaited, useless).map(|()| Turn::Wait)
        }
        Some(asked @ (Asked::Wait(_) | Asked::Alone(_))) => {
            flight::keep(request, zone, Lease::of_nobody(hash), asker)?;
            let in_vain = asked == Asked::Alone(Alone::Failing);
            Some(if in_vain { Turn::FetchInVain } else { Turn::Fetch })
        }
    }
}

/// Whether the page can be served, as far as that can be told here.
fn is_there(section: &Section<'_>, hash: u64, key: &[u8], useless: Option<Entry>, now_ms: u64) -> bool {
    section.peek(hash, key).filter(|found| Some(found.entry) != useless).is_some_and(|found| {
        is_rules(found.meta.tag) || Times::from(found.meta).at(now_ms) != Freshness::Expired
    })
}

/// Takes the request out of nginx's hands until it is resumed.
fn suspend(request: Request<'_>, conf: &LocConf, awaited: Awaited, useless: Option<Entry>) -> Option<()> {
    let r = request.raw();
    let key = ctx::get(request)?.key;
    let waiter = match ctx::get(request)?.waiter {
        waiter if waiter.is_null() => {
            // SAFETY: the zone of the request's location.
            unsafe { &*awaited.zone }.count(Counter::Waits);
            new_waiter(request, conf, awaited)?
        }
        waiter => waiter,
    };
    // SAFETY: a waiter of this live request. nginx's own calls for a request that waits for its timer
    // (ngx_http_limit_req_handler), but for the timer, which is ours.
    unsafe {
        (*waiter).key = key;
        (*waiter).useless = useless;
        (*waiter).flight = awaited;
        link(waiter);
        let left = (*waiter).deadline.wrapping_sub(ngx_current_msec);
        // More than half of all times ahead is a time that is over.
        let left = if left > ngx_msec_t::MAX / 2 { 0 } else { left };
        ngx_add_timer(&raw mut (*waiter).event, left);
        (*r).write_event_handler = Some(ngx_http_request_empty_handler);
    }
    if request.is_main() {
        sys::watch_client(request, Some(ngx_http_test_reading))?;
    }
    TIMER.arm(LOOK_MS);
    Some(())
}

fn new_waiter(request: Request<'_>, conf: &LocConf, awaited: Awaited) -> Option<*mut Waiter> {
    // SAFETY: a live request; the cleanup's data is ours to write. An event of zeros is one that is not set.
    let waiter = unsafe {
        let cleanup = ngx_http_cleanup_add(request.raw(), size_of::<Waiter>());
        if cleanup.is_null() {
            return None;
        }
        let waiter = (*cleanup).data.cast::<Waiter>();
        let mut event: ngx_event_t = mem::zeroed();
        event.data = waiter.cast();
        event.handler = Some(resume);
        event.log = request.log();
        let timeout = ngx_msec_t::try_from(conf.lock_timeout_ms()).unwrap_or(ngx_msec_t::MAX / 4);
        waiter.write(Waiter {
            event,
            request: request.raw(),
            key: ptr::slice_from_raw_parts(ptr::null(), 0),
            useless: None,
            flight: awaited,
            place: None,
            age_ms: conf.lock_age_ms(),
            deadline: ngx_current_msec.wrapping_add(timeout),
            timed_out: false,
        });
        (*cleanup).handler = Some(forget);
        waiter
    };
    ctx::get(request)?.waiter = waiter;
    Some(waiter)
}

/// # Safety
/// A waiter of a live request that is in no list.
unsafe fn link(waiter: *mut Waiter) {
    WAITERS.with_borrow_mut(|waiters| {
        // SAFETY: the caller's promise.
        unsafe {
            let list = waiters.entry((*waiter).flight).or_default();
            (*waiter).place = Some(list.len());
            list.push(waiter);
        }
    });
}

/// # Safety
/// A waiter of a live request.
unsafe fn unlink(waiter: *mut Waiter) {
    // SAFETY: the caller's promise; the other waiters of the list are alive, as each is unlinked before its request goes.
    let (place, flight) = unsafe { ((*waiter).place.take(), (*waiter).flight) };
    let Some(place) = place else { return };
    WAITERS.with_borrow_mut(|waiters| {
        let Some(list) = waiters.get_mut(&flight) else { return };
        if list.get(place).is_some_and(|found| ptr::eq(*found, waiter)) {
            list.swap_remove(place);
            if let Some(moved) = list.get(place) {
                // SAFETY: as above.
                unsafe { (**moved).place = Some(place) };
            }
        }
        if list.is_empty() {
            waiters.remove(&flight);
        }
    });
}

/// Has a waiter's request resumed in this turn of the event loop.
///
/// # Safety
/// A waiter of a live request.
unsafe fn release(waiter: *mut Waiter) {
    // SAFETY: the caller's promise.
    unsafe {
        unlink(waiter);
        let event = &raw mut (*waiter).event;
        if (*event).timer_set() != 0 {
            ngx_del_timer(event);
        }
        ngx_post_event(event, &raw mut ngx_posted_events);
    }
}

/// nginx's callback when the request is done with.
unsafe extern "C" fn forget(data: *mut c_void) {
    guarded((), || {
        let waiter = data.cast::<Waiter>();
        // SAFETY: the waiter of a request that is still there; nginx's own way to take an event back.
        unsafe {
            unlink(waiter);
            let event = &raw mut (*waiter).event;
            if (*event).timer_set() != 0 {
                ngx_del_timer(event);
            }
            if (*event).posted() != 0 {
                (*event).set_posted(0);
                ngx_queue_remove(&raw mut (*event).queue);
            }
        }
    });
}

/// nginx's callback: the time is over, or the event was posted.
unsafe extern "C" fn resume(event: *mut ngx_event_t) {
    guarded((), || {
        // SAFETY: the event of a waiter, whose request is there: `forget` takes the event back before it goes.
        unsafe {
            let waiter = (*event).data.cast::<Waiter>();
            let r = (*waiter).request;
            if (*event).timedout() != 0 {
                (*event).set_timedout(0);
                unlink(waiter);
                (*waiter).timed_out = true;
                (*(*waiter).flight.zone).count(Counter::WaitTimeouts);
            }
            let request = Request::new(r);
            if request.is_main() {
                (*r).read_event_handler = Some(ngx_http_block_reading);
            }
            (*r).write_event_handler = Some(ngx_http_core_run_phases);
            let connection = (*r).connection;
            // By way of nginx's list, which has the log name the right request.
            if ngx_http_post_request(r, ptr::null_mut()) == OK {
                ngx_http_run_posted_requests(connection);
            } else {
                ngx_http_core_run_phases(r);
            }
        }
    });
}

/// This process's channel was written to: some fetch is over.
pub fn woken() {
    look(false);
}

unsafe extern "C" fn tick(event: *mut ngx_event_t) {
    guarded((), || look(true));
    // SAFETY: the event of our timer, which is not set any more; nginx's running cycle.
    unsafe {
        // Without a master the cycle may be a later one than that which set it.
        (*event).log = (*ngx_cycle).log;
        if !WAITERS.with_borrow(HashMap::is_empty) {
            ngx_add_timer(event, LOOK_MS);
        }
    }
}

/// Resumes those whose fetch is over. `closely`: also where it is too old, or its process gone.
fn look(closely: bool) {
    let Some(channel) = channel::mine() else { return };
    let now = shm::now_ms();
    let flights: Vec<Awaited> = WAITERS.with_borrow(|waiters| waiters.keys().copied().collect());
    let mut done = Vec::new();
    for flight in flights {
        let Awaited { zone, hash, generation } = flight;
        // SAFETY: zones outlive the requests of their cycle, and each of these has one that waits.
        let zone = unsafe { &*zone };
        let first = WAITERS.with_borrow(|waiters| {
            let first = waiters.get(&flight).and_then(|list| list.first());
            // SAFETY: a waiter in a list is of a live request, as is its key.
            first.map(|first| unsafe { ((**first).key, (**first).useless) })
        });
        let Some((key, useless)) = first else { continue };
        let watched = zone.flights(|section, flights| {
            let watched = flights.watch(hash, generation, channel);
            // Another fetch than this one may have brought the page.
            // SAFETY: as above.
            watched.filter(|_| !is_there(section, hash, unsafe { &*key }, useless, now))
        });
        let watched = watched.flatten();
        let age = watched.map(|watched| watched.started_ms.abs_diff(now));
        if let Some(watched) = watched
            && closely
            && shm::is_gone(watched.pid)
        {
            let orphans = zone.flights(|_, flights| flights.give_up(hash, generation));
            // Ourselves among them: we come back here.
            channel::wake(orphans.unwrap_or_default());
            continue;
        }
        WAITERS.with_borrow(|waiters| {
            let list = waiters.get(&flight).map(Vec::as_slice).unwrap_or_default();
            // SAFETY: the waiters in a list are of live requests.
            let is_due =
                |waiter: &&*mut Waiter| age.is_none_or(|age| closely && age >= unsafe { (***waiter).age_ms });
            done.extend(list.iter().filter(is_due).copied());
        });
    }
    for waiter in done {
        // SAFETY: as above: nothing was called since that could end a request.
        unsafe { release(waiter) };
    }
}
