//! Takes purged pages away: their memory is of use to others, and a prefix is remembered only as long as a page may be
//! left that it meets.
//!
//! One worker at a time walks over a zone, a few pages in each turn. Nothing depends on when: purged pages are not served
//! from the instant of the purge on. A walk whose worker dies is begun anew by another one.

use std::cell::RefCell;

use ngx::ffi::{ngx_add_timer, ngx_cycle, ngx_cycle_t, ngx_event_t, ngx_exiting, ngx_msec_t};
use twice_core::store::Listed;

use crate::guard::guarded;
use crate::shm::{self, Zone};
use crate::sys::Timer;

/// Pages of one turn, about 100 microseconds.
const TURN: usize = 128;
/// Between two turns.
const REST_MS: ngx_msec_t = 2;
/// How often a worker looks whether there is anything to do.
const EVERY_MS: ngx_msec_t = 10_000;

static TIMER: Timer = Timer::new();

/// Where this worker's walk is: the zone's place in the configuration, the store's cursor, the stamp at its begin.
#[derive(Default)]
struct Walk {
    zone: usize,
    cursor: u32,
    until: Option<u64>,
    listed: Vec<Listed>,
}

thread_local! {
    static WALK: RefCell<Walk> = RefCell::default();
}

/// Starts a worker's walks.
///
/// # Safety
/// Called once in init_process, with its cycle.
pub unsafe fn start(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise; `tick` renews the log.
    unsafe { TIMER.start((*cycle).log, tick, EVERY_MS, true) };
}

/// There is something to do.
pub fn soon() {
    // SAFETY: nginx's own flag.
    if unsafe { ngx_exiting } == 0 {
        TIMER.reset(REST_MS);
    }
}

unsafe extern "C" fn tick(event: *mut ngx_event_t) {
    let more =
        guarded(false, || WALK.with(|walk| walk.try_borrow_mut().is_ok_and(|mut walk| turn(&mut walk))));
    // SAFETY: the event of `start`, which is not set any more; nginx's own flag.
    unsafe {
        if ngx_exiting == 0 {
            (*event).log = (*ngx_cycle).log;
            ngx_add_timer(event, if more { REST_MS } else { EVERY_MS });
        }
    }
}

/// One turn; true if more is to be done.
fn turn(walk: &mut Walk) -> bool {
    // SAFETY: nginx's running cycle; an HTTP block need not be there.
    let Some(conf) = (unsafe { crate::conf::main_of_cycle(ngx_cycle) }) else { return false };
    let Some(&shm_zone) = conf.zones.get(walk.zone) else {
        walk.zone = 0;
        return false;
    };
    // SAFETY: a zone of this cycle.
    let done = unsafe { shm::zone_of(shm_zone) }.is_none_or(|zone| !walk_on(walk, zone));
    if done {
        *walk = Walk { zone: walk.zone + 1, listed: std::mem::take(&mut walk.listed), ..Walk::default() };
    }
    true
}

/// Looks at some pages of a zone; false if there are no more, or another worker is at it.
fn walk_on(walk: &mut Walk, zone: &Zone) -> bool {
    let Some(board) = zone.board() else { return false };
    let pid = std::process::id();
    let until = match walk.until {
        Some(until) => until,
        None => {
            let latest = board.latest();
            let mine = || zone.with(|section| board.claim_walk(section, pid, shm::is_gone)) == Some(true);
            if board.swept() >= latest || !mine() {
                return false;
            }
            walk.cursor = 0;
            *walk.until.insert(latest)
        }
    };
    walk.listed.clear();
    walk.listed.reserve(TURN);
    let listed = &mut walk.listed;
    let latest = board.latest();
    let next = zone.with(|section| section.list(walk.cursor, 8 * TURN, listed)).flatten();
    for page in &walk.listed {
        let held = zone.with(|section| {
            let (found, ..) = section.about(page.entry)?;
            Some((found, section.hold(zone.slot(), page.entry)?))
        });
        let Some((mut found, held)) = held.flatten() else { continue };
        // Notes on the page that it was marked stale: by then the prefix may be forgotten.
        let stays = super::look(zone, &held, &mut found, latest, shm::now_ms());
        drop(held);
        if !stays {
            zone.with(|section| section.remove(page.entry));
        }
    }
    match next {
        Some(cursor) => walk.cursor = cursor,
        None => {
            zone.with(|section| {
                board.set_swept(section, until);
                board.end_walk(section, pid);
            });
        }
    }
    next.is_some()
}
