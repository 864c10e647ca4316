//! A request's lease of a fetch, from the lookup to the end of whatever came of it.
//!
//! Invariants
//! - Every lease that was taken is ended, once: when the page is stored, when it is known that it won't be, and at the
//!   latest when nginx has done with the request (its cleanups run before anything of it is gone).
//! - An internal redirect makes a new request of it for Twice: the lease of the former one ends when the new one
//!   is looked up or answered.
//! - Those who wait are woken outside of the zone's lock.

use std::ffi::c_void;
use std::ptr;

use ngx::ffi::{ngx_http_cleanup_add, ngx_http_request_t};
use twice_core::board::flights::{Asker, Lease, Outcome};
use twice_core::outcome::Reason;

use crate::guard::guarded;
use crate::leaving::Hold;
use crate::shm::{self, Zone};
use crate::sys::Request;
use crate::{channel, ctx};

/// A lease in the keeping of a request.
pub struct Flight {
    request: *mut ngx_http_request_t,
    zone: *const Zone,
    lease: Option<Lease>,
    /// Who fetches: what he is sent may be for no other.
    asker: Asker,
    /// The origin has begun to answer.
    answered: bool,
    /// What keeps the fetch going when the client leaves.
    pub hold: Hold,
}

impl Flight {
    /// Others may be waiting for what this request fetches.
    pub fn is_awaited(&self) -> bool {
        self.lease.is_some_and(|lease| lease.is_held())
    }
}

/// Gives a lease into the keeping of the request. Where memory ran out it ends at once, and nobody waits for it.
pub fn keep(request: Request<'_>, zone: &Zone, lease: Lease, asker: Asker) -> Option<()> {
    // SAFETY: a live request; the cleanup's data is ours to write.
    let flight = unsafe {
        let cleanup = ngx_http_cleanup_add(request.raw(), size_of::<Flight>());
        if cleanup.is_null() {
            tell(zone, lease, Outcome::Abandoned);
            return None;
        }
        let flight = (*cleanup).data.cast::<Flight>();
        flight.write(Flight {
            request: request.raw(),
            zone,
            lease: Some(lease),
            asker,
            answered: false,
            hold: Hold::default(),
        });
        (*cleanup).handler = Some(at_the_end);
        flight
    };
    ctx::get(request)?.flight = flight;
    Some(())
}

unsafe extern "C" fn at_the_end(data: *mut c_void) {
    guarded((), || {
        // SAFETY: the data that `keep` wrote; nginx runs a cleanup once, before the request's pool is gone.
        let flight = unsafe { &mut *data.cast::<Flight>() };
        // SAFETY: the request that is done with still has its connection.
        let left = unsafe { (*(*flight.request).connection).error() } != 0;
        // A client that leaves says nothing of the origin.
        let outcome = if flight.answered && !left { Outcome::Failed } else { Outcome::Abandoned };
        land(flight, outcome);
    });
}

fn land(flight: &mut Flight, outcome: Outcome) {
    if let Some(lease) = flight.lease.take() {
        // SAFETY: zones outlive the requests of their cycle.
        tell(unsafe { &*flight.zone }, lease, outcome.to(flight.asker));
    }
}

fn tell(zone: &Zone, lease: Lease, outcome: Outcome) {
    let woken = zone.flights(|_, flights| flights.end(lease, outcome, shm::now_ms()));
    channel::wake(woken.unwrap_or_default());
}

/// The request's flight, if it has one that has not ended.
pub fn of(request: Request<'_>) -> Option<&mut Flight> {
    let flight = ctx::get(request)?.flight;
    // SAFETY: null, or what `keep` put into the pool of this live request. As with `ctx::get`, no borrow outlives the
    // statements between two calls into nginx.
    unsafe { flight.as_mut() }.filter(|flight| flight.lease.is_some())
}

/// The page is stored.
pub fn stored(request: Request<'_>) {
    if let Some(flight) = of(request) {
        land(flight, Outcome::Stored);
    }
}

/// The origin answers, and the page may yet be stored.
pub fn answered(request: Request<'_>) {
    if let Some(flight) = of(request) {
        flight.answered = true;
    }
}

/// The page will not be stored: who waits need not wait longer, and where the answer says why, nobody queues for the
/// next one either. `status` is the answer's.
pub fn not_stored(request: Request<'_>, reason: Reason, status: u16) {
    ended(request, Outcome::of_unstored(reason, status));
}

/// The origin has failed, and a stale page is the answer.
pub fn failed(request: Request<'_>) {
    ended(request, Outcome::Failed);
}

fn ended(request: Request<'_>, outcome: Outcome) {
    let Some(flight) = of(request) else { return };
    land(flight, outcome);
    // The answer is this client's alone from here on.
    let hold = std::mem::take(&mut flight.hold);
    hold.let_go(request);
}

/// Goes through the flights of the request and of those that share its main request.
fn all_of(request: Request<'_>) -> impl Iterator<Item = *mut Flight> {
    // SAFETY: a live request's list of cleanups, unchanged while it is read.
    let mut cleanup = unsafe { (*(*request.raw()).main).cleanup };
    std::iter::from_fn(move || {
        while !cleanup.is_null() {
            // SAFETY: as above; one with our handler has our data.
            let (handler, data) = unsafe { ((*cleanup).handler, (*cleanup).data) };
            // SAFETY: as above.
            cleanup = unsafe { (*cleanup).next };
            if handler.is_some_and(|handler| ptr::fn_addr_eq(handler, at_the_end as Cleanup)) {
                return Some(data.cast::<Flight>());
            }
        }
        None
    })
}

type Cleanup = unsafe extern "C" fn(*mut c_void);

/// Ends what the request has left behind in an internal redirect. Its answer will be another one.
pub fn end_former(request: Request<'_>) {
    if !request.is_internal() {
        return;
    }
    let current = ctx::get(request).map_or(ptr::null_mut(), |ctx| ctx.flight);
    for flight in all_of(request).filter(|flight| *flight != current) {
        // SAFETY: what `keep` wrote, in the pool of this live request; borrowed for this statement.
        let flight = unsafe { &mut *flight };
        if flight.request == request.raw() {
            // Who hands over (X-Accel-Redirect, try_files) does so every time.
            // SAFETY: a live request.
            let failed = unsafe { (*request.raw()).err_status } >= 500;
            let status = if failed { 500 } else { 0 };
            land(flight, Outcome::of_unstored(Reason::Status, status));
        }
    }
}

/// Whether others wait for what the request, or one that shares its main request, fetches.
pub fn any_awaited(request: Request<'_>) -> bool {
    // SAFETY: as in `end_former`.
    all_of(request).any(|flight| unsafe { (*flight).is_awaited() })
}

/// Whether a request that contains this one fetches under this generation: its end may depend on ours.
pub fn is_of_a_parent(request: Request<'_>, generation: u64) -> bool {
    let contains = |other: *mut ngx_http_request_t| {
        // SAFETY: the parents of a live request live.
        let mut parent = unsafe { (*request.raw()).parent };
        while !parent.is_null() {
            if parent == other {
                return true;
            }
            // SAFETY: as above.
            parent = unsafe { (*parent).parent };
        }
        false
    };
    all_of(request).any(|flight| {
        // SAFETY: as in `end_former`.
        let flight = unsafe { &*flight };
        flight.lease.is_some_and(|lease| lease.generation() == generation) && contains(flight.request)
    })
}
