//! Takes back what dead workers held.
//!
//! A worker that is killed has a successor, which nginx gives the same process slot and which takes back what was held under it
//! (`shm::init_process`). One that is killed while it is exiting has none. What it held stays taken until
//! somebody looks: each new worker does, and each worker now and then.

use ngx::ffi::{ngx_add_timer, ngx_cycle, ngx_cycle_t, ngx_event_t, ngx_exiting, ngx_msec_t};

use crate::channel;
use crate::guard::guarded;
use crate::shm::{self, Zone};
use crate::sys::Timer;

/// How often a worker looks.
const EVERY_MS: ngx_msec_t = 10_000;

static TIMER: Timer = Timer::new();

/// Starts a worker's sweeps.
///
/// # Safety
/// Called once in init_process, with its cycle.
pub unsafe fn start(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise; `tick` renews the log.
    unsafe { TIMER.start((*cycle).log, tick, EVERY_MS, true) };
}

unsafe extern "C" fn tick(event: *mut ngx_event_t) {
    guarded((), || {
        // SAFETY: nginx's running cycle; an HTTP block need not be there.
        if let Some(conf) = unsafe { crate::conf::main_of_cycle(ngx_cycle) } {
            for &shm_zone in &conf.zones {
                // SAFETY: a zone of this cycle.
                if let Some(zone) = unsafe { shm::zone_of(shm_zone) } {
                    sweep(zone);
                }
            }
        }
    });
    // SAFETY: the event of `start`, which is not set any more; nginx's own flag.
    unsafe {
        if ngx_exiting == 0 {
            // Without a master the cycle may be a later one than that which set it.
            (*event).log = (*ngx_cycle).log;
            ngx_add_timer(event, EVERY_MS);
        }
    }
}

/// Takes back what the processes held that are no more, and wakes those who wait for them.
pub fn sweep(zone: &Zone) {
    channel::wake(zone.sweep(shm::is_gone));
}
