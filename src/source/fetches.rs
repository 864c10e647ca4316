//! The values that this worker is asking its sources for.
//!
//! ```text
//!  ask --- remembered, local -------------------------> given at once
//!   |----- asked for by this worker already ----------> one more waiter
//!   |----- asked for by another worker (its lease) ---> parked: woken through the channel, looks again
//!   |----- nobody asks: lease --> memcached, http ----> answered: remembered, lease ended, waiters told
//!   '----- the service rests -------------------------> failed at once; one of these begins a probe
//! ```
//!
//! Invariants
//! - A page that was told [`Given::Later`] hears of it by [`Asked::came`] exactly once, from an event, unless it is gone
//!   by then. It need not wait: its own deadline ends its patience, and the fetch goes on for others.
//! - A ticket names one fetch for good. Whoever asks a source for it answers once; what comes for a ticket that is gone
//!   is dropped.
//! - Every lease that is taken here is ended here, or released with this process's slot.
//! - Nothing is borrowed across a call that could come back here.

mod probe;
mod table;

use std::cell::RefCell;

use ngx::ffi::{ngx_add_timer, ngx_cycle, ngx_cycle_t, ngx_event_t, ngx_msec_t};
use twice_core::board::flights::Lease;
use twice_core::elements::{Claim, News, Remembered};
use twice_core::health::Turn;
use twice_core::source::arriving::{Came, Settled, Shelf};
use twice_core::source::{Answer, Failure};

pub use probe::asked;
use table::{State, Table};

use super::asked::Asked;
use super::{Format, Kind, Source, Stat, keys, records};
use crate::guard::guarded;
use crate::shm::{self, Element, Zone};
use crate::sys::{self, Request, Timer};

/// How often a worker looks at fetches of others that its pages wait for.
const LOOK_MS: ngx_msec_t = 100;

/// A fetch that takes so much longer than its source's timeout is another's to overtake.
const OVERTAKE_MS: u64 = 1000;

/// A page that waits for a value, and where it wants it.
#[derive(Clone, Copy)]
pub struct Waiter {
    /// In the pool of its request.
    pub page: *mut Asked,
    /// The slot of the page's program.
    pub slot: usize,
    /// How long it may be.
    pub room: usize,
}

/// What is known of a value when it is asked for.
pub enum Given<'a> {
    /// It is this, in the request's pool.
    Value(&'a [u8]),
    /// There is none.
    Missing,
    /// It can't be had, which is counted.
    Failed,
    /// It is asked for: [`Asked::came`] will tell.
    Later,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
    /// What came for pages that wait for more.
    static SHELF: Shelf = Shelf::default();
}

/// Looks at what other workers fetch.
static LOOK: Timer = Timer::new();

/// Asks again for what a request left behind that is gone.
static AGAIN: Timer = Timer::new();

/// Prepares a worker.
///
/// # Safety
/// Called once in init_process, with its cycle.
pub unsafe fn init_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise; the handlers renew the log.
    unsafe {
        LOOK.prepare((*cycle).log, tick, true);
        AGAIN.prepare((*cycle).log, again, true);
    }
}

/// Asks for the value that a tag of this key prints. `waiter`: who is told where it can't be said at once.
pub fn ask<'a>(
    request: Request<'a>,
    zone: &Zone,
    source: &Source,
    tag_key: &[u8],
    waiter: Waiter,
) -> Given<'a> {
    source.count(Stat::Requests);
    let id = match keys::id_of(request, source, tag_key) {
        Ok(Some(id)) => id,
        Ok(None) => {
            source.count(Stat::Misses);
            return Given::Missing;
        }
        Err(why) => return failed(source, why),
    };
    let given = match &source.kind {
        Kind::Local => local(request, zone, id),
        Kind::Http(_) | Kind::Memcached(_) => {
            remembered_or_fetched(request, zone, source, id, tag_key, waiter)
        }
    };
    match given {
        Given::Value(_) => source.count(Stat::Hits),
        Given::Missing => source.count(Stat::Misses),
        Given::Failed | Given::Later => {}
    }
    given
}

fn failed<'a>(source: &Source, why: Failure) -> Given<'a> {
    source.count(Stat::of(why));
    Given::Failed
}

fn local<'a>(request: Request<'a>, zone: &Zone, id: &[u8]) -> Given<'a> {
    match zone.local_get(id, shm::now_ms()) {
        // Out of memory is the request's own end, soon.
        Some(number) => sys::decimal(request, number).map_or(Given::Failed, Given::Value),
        None => Given::Missing,
    }
}

fn remembered_or_fetched<'a>(
    request: Request<'a>,
    zone: &Zone,
    source: &Source,
    id: &'a [u8],
    tag_key: &[u8],
    waiter: Waiter,
) -> Given<'a> {
    let hash = zone.element_hash(id);
    let now = shm::now_ms();
    if source.ttl_ms > 0
        && let Some(given) = zone.look_at_element(hash, id, now, |found| {
            of_remembered(request, zone, source, hash, found, tag_key, waiter.room)
        })
    {
        source.count(Stat::Remembered);
        return given.unwrap_or_else(|why| failed(source, why));
    }
    let path: Box<[u8]> = match source.format {
        Format::Text => Box::default(),
        Format::Json => tag_key.into(),
    };
    // All that a page wants of a record is one question.
    let is_one = !source.key.template.has_tag_key();
    // SAFETY: the page of a live request asks; the reference ends here.
    let own = unsafe { (*waiter.page).fetch_of(source) }.filter(|_| is_one);
    let (ticket, is_new) = TABLE.with_borrow_mut(|table| {
        let joined = table.joinable(zone, hash, id, own);
        if !table.has_room(joined.is_none()) {
            return (None, false);
        }
        let ticket = joined.unwrap_or_else(|| table.add(source, zone, id, hash, None));
        // SAFETY: as above.
        unsafe {
            table.wait(ticket, waiter, path);
            if is_one {
                (*waiter.page).set_fetch_of(source, ticket);
            }
        }
        (Some(ticket), joined.is_none())
    });
    let Some(ticket) = ticket else { return failed(source, Failure::Busy) };
    if !is_new {
        return Given::Later;
    }
    match begin(request, ticket) {
        Ok(Begun::Later) => Given::Later,
        Ok(Begun::There(element)) => {
            TABLE.with_borrow_mut(|table| table.remove(ticket));
            let given = of_element(request, source, element, tag_key, waiter.room);
            given.unwrap_or_else(|why| failed(source, why))
        }
        Err(why) => {
            // Nobody else waits: what it was begun with is given back.
            let fetch = TABLE.with_borrow_mut(|table| table.remove(ticket));
            if let Some(lease) = fetch.and_then(|fetch| fetch.lease) {
                zone.end_element_fetches([lease], shm::now_ms());
            }
            failed(source, why)
        }
    }
}

/// What a tag prints of a remembered value.
fn of_remembered<'a>(
    request: Request<'a>,
    zone: &Zone,
    source: &Source,
    hash: u64,
    found: &Remembered<'_>,
    path: &[u8],
    room: usize,
) -> Result<Given<'a>, Failure> {
    match source.format {
        Format::Text if found.value_len().is_some_and(|len| len > room) => Err(Failure::TooLarge),
        Format::Text => {
            let value = Element::copy(request, found).and_then(|element| element.value);
            Ok(value.map_or(Given::Missing, Given::Value))
        }
        Format::Json => {
            let record = records::remembered(zone, hash, found);
            of_text(request, record.as_ref().and_then(|record| record.text_at(path)).as_deref(), room)
        }
    }
}

/// What a tag prints of a value that another worker has just remembered.
fn of_element<'a>(
    request: Request<'a>,
    source: &Source,
    element: Element<'a>,
    path: &[u8],
    room: usize,
) -> Result<Given<'a>, Failure> {
    match (element.value, source.format) {
        (Some(value), Format::Text) if value.len() > room => Err(Failure::TooLarge),
        (Some(raw), Format::Json) => {
            let record = records::parsed(raw);
            of_text(request, record.as_ref().and_then(|record| record.text_at(path)).as_deref(), room)
        }
        (value, _) => Ok(value.map_or(Given::Missing, Given::Value)),
    }
}

fn of_text<'a>(request: Request<'a>, text: Option<&[u8]>, room: usize) -> Result<Given<'a>, Failure> {
    match text {
        Some(text) if text.len() > room => Err(Failure::TooLarge),
        // Out of memory is the request's own end, soon.
        text => Ok(text.and_then(|text| request.copy(text)).map_or(Given::Missing, Given::Value)),
    }
}

/// How a fetch has begun.
enum Begun<'a> {
    /// What it brings will be told.
    Later,
    /// It is not needed: the value has come meanwhile.
    There(Element<'a>),
}

/// Takes the lease of a fetch, and asks its source in the name of a request; or parks it, if another worker does.
fn begin(request: Request<'_>, ticket: u64) -> Result<Begun<'_>, Failure> {
    let known = TABLE.with_borrow(|table| {
        let fetch = table.get(ticket)?;
        Some((fetch.source, fetch.zone, fetch.hash, fetch.id.clone(), fetch.lease))
    });
    let Some((source, zone, hash, id, mut lease)) = known else { return Ok(Begun::Later) };
    // SAFETY: as in `Fetch`.
    let (source, zone) = unsafe { (&*source, &*zone) };
    if let Kind::Http(service) = &source.kind {
        match service.turn() {
            Turn::Ask => {}
            Turn::Rest => return Err(Failure::Resting),
            Turn::Probe(probe) => {
                probe::begin(request, zone, (source, service), (hash, &id), probe);
                return Err(Failure::Resting);
            }
        }
    }
    // One that is asked for again has its lease still.
    if source.ttl_ms > 0 && lease.is_none() {
        match zone.claim_element(request, hash, &id, shm::now_ms(), source.timeout_ms + OVERTAKE_MS) {
            Claim::There(element) => return Ok(Begun::There(element)),
            Claim::Fetch(taken) => lease = Some(taken),
            Claim::Wait(generation) => {
                set(ticket, State::Elsewhere(generation), None);
                LOOK.arm(LOOK_MS);
                return Ok(Begun::Later);
            }
            Claim::Alone => {}
        }
    }
    set(ticket, State::Ours, lease);
    match &source.kind {
        Kind::Local => {}
        Kind::Http(service) => service.get(request, ticket)?,
        Kind::Memcached(pool) => pool.get(source.key_of(&id), ticket)?,
    }
    Ok(Begun::Later)
}

fn set(ticket: u64, state: State, lease: Option<Lease>) {
    TABLE.with_borrow_mut(|table| table.set(ticket, state, lease));
}

/// A request is gone that had asked in everybody's name: somebody else's is to ask again, if there is one.
pub fn orphaned(ticket: u64) {
    TABLE.with_borrow_mut(|table| {
        if let Some(lease) = table.get(ticket).map(|fetch| fetch.lease) {
            table.set(ticket, State::Orphaned, lease);
        }
    });
    AGAIN.arm(0);
}

/// A source has answered. Called by what [`begin`] asked, from an event, never from within that call. It ends the fetch: what
/// came is remembered, its lease given back, its waiters told.
pub fn answered(ticket: u64, answer: Answer<'_>) {
    let Some(fetch) = TABLE.with_borrow_mut(|table| table.remove(ticket)) else { return };
    let source = fetch.source();
    // A record that can't be read is as good as none, but not for long.
    let record = match (source.format, answer) {
        (Format::Json, Answer::Value(raw)) => records::parsed(raw),
        _ => None,
    };
    let broken = source.format == Format::Json && record.is_none() && matches!(answer, Answer::Value(_));
    if broken {
        records::tell_broken(source);
    }
    if let Some(lease) = fetch.lease {
        let now = shm::now_ms();
        let remembered = match answer {
            Answer::Value(_) if broken => None,
            Answer::Value(raw) => Some(Some(raw)),
            Answer::Missing => Some(None),
            Answer::Failed(_) => None,
        };
        match remembered {
            Some(value) => {
                let news = News { lease, hash: fetch.hash, id: &fetch.id, value, ttl_ms: source.ttl_ms };
                fetch.zone().remember(&[news], now);
            }
            None => fetch.zone().end_element_fetches([lease], now),
        }
    }
    let keep = |answer: Answer<'_>| SHELF.with(|shelf| Came::of(answer, shelf));
    // One copy for all.
    let mut whole = None;
    for waiting in &fetch.waiters {
        let Some(page) = waiting.page.get() else { continue };
        let of_record;
        let came = match &record {
            Some(record) => {
                let text = record.text_at(&waiting.path);
                of_record = keep(text.as_deref().map_or(Answer::Missing, Answer::Value));
                &of_record
            }
            None => whole.get_or_insert_with(|| keep(if broken { Answer::Missing } else { answer })),
        };
        // SAFETY: the page is live, and no reference to it is held.
        match unsafe { Asked::came(page, waiting.slot, came) } {
            Some(Settled::Value) => source.count(Stat::Hits),
            Some(Settled::Missing) => source.count(Stat::Misses),
            Some(Settled::Failed(why)) => source.count(Stat::of(why)),
            // It was counted when its time was over.
            None => {}
        }
    }
}

/// This process's channel was written to: another worker's fetch is over.
pub fn woken() {
    look(false);
}

unsafe extern "C" fn tick(event: *mut ngx_event_t) {
    guarded((), || look(true));
    // SAFETY: the event of our timer, which is not set any more; nginx's running cycle.
    unsafe {
        (*event).log = (*ngx_cycle).log;
        if TABLE.with_borrow(|table| table.not_ours().any(|(_, state)| state != State::Orphaned)) {
            ngx_add_timer(event, LOOK_MS);
        }
    }
}

unsafe extern "C" fn again(event: *mut ngx_event_t) {
    // SAFETY: as above.
    unsafe { (*event).log = (*ngx_cycle).log };
    guarded((), || {
        for ticket in those(|state| state == State::Orphaned) {
            ask_again(ticket);
        }
    });
}

fn those(wanted: impl Fn(State) -> bool) -> Vec<u64> {
    TABLE.with_borrow(|table| {
        table.not_ours().filter(|(_, state)| wanted(*state)).map(|(ticket, _)| ticket).collect()
    })
}

/// Looks whether fetches of others are over. `closely`: also whether who fetches is still there.
fn look(closely: bool) {
    for ticket in those(|state| matches!(state, State::Elsewhere(_))) {
        let known = TABLE.with_borrow(|table| {
            let fetch = table.get(ticket)?;
            let State::Elsewhere(generation) = fetch.state() else { return None };
            Some((fetch.zone, fetch.hash, generation))
        });
        let Some((zone, hash, generation)) = known else { continue };
        // SAFETY: as in `Fetch`.
        let zone = unsafe { &*zone };
        match zone.watch_element(hash, generation) {
            Some(watched) if closely && shm::is_gone(watched.pid) => {
                // Ourselves among those that are woken: we come back here.
                zone.give_up_element(hash, generation);
            }
            Some(_) => {}
            None => found_or_ask_again(ticket),
        }
    }
}

/// Another worker's fetch is over: what it brought is there for all, or it brought nothing.
fn found_or_ask_again(ticket: u64) {
    let Some((request, zone, hash, id)) = first_waiter(ticket) else { return nobody_waits(ticket) };
    match zone.element(request, hash, &id, shm::now_ms()) {
        Some(element) => answered(ticket, element.value.map_or(Answer::Missing, Answer::Value)),
        None => ask_again(ticket),
    }
}

fn ask_again(ticket: u64) {
    let Some((request, ..)) = first_waiter(ticket) else { return nobody_waits(ticket) };
    match begin(request, ticket) {
        Ok(Begun::Later) => {}
        Ok(Begun::There(element)) => answered(ticket, element.value.map_or(Answer::Missing, Answer::Value)),
        Err(why) => answered(ticket, Answer::Failed(why)),
    }
    sys::run_posted(request);
}

/// A fetch that would have to be begun anew, and for nobody.
fn nobody_waits(ticket: u64) {
    answered(ticket, Answer::Failed(Failure::Closed));
}

/// In whose name a fetch can be asked for, and what it is: a page that waits for it still, as nginx may be done with others.
fn first_waiter<'a>(ticket: u64) -> Option<(Request<'a>, &'a Zone, u64, Box<[u8]>)> {
    TABLE.with_borrow(|table| {
        let fetch = table.get(ticket)?;
        let waits = |waiting: &table::Waiting| {
            let page = waiting.page.get()?;
            // SAFETY: a page that is not gone has a live request; the reference ends here.
            unsafe { (*page).needs(waiting.slot).then(|| Asked::request(page)) }
        };
        let request = fetch.waiters.iter().find_map(waits)?;
        // SAFETY: zones as in `Fetch`.
        unsafe { Some((request, &*fetch.zone, fetch.hash, fetch.id.clone())) }
    })
}
