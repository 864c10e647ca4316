//! The last snapshot: nginx ends, and its master, or the one process that it was, has nothing else to do.
//!
//! nginx stops in no less time than this takes, so that a manager of services must leave it that time.

use std::thread;
use std::time::{Duration, Instant};

use ngx::ffi::{
    NGX_LOG_ERR, NGX_LOG_NOTICE, NGX_LOG_WARN, ngx_close_listening_sockets, ngx_cycle_t, ngx_log_t,
    ngx_new_binary,
};
use ngx::ngx_log_error;
use twice_core::store::{Account, DeadSlot};

use super::file::{self, Denied};
use super::save::Save;
use super::{Pace, Snapshot, user_of, zones_of};
use crate::shm::Zone;

const AT_ONCE: Pace = Pace { time: Duration::MAX, bytes: u64::MAX, rest: Duration::ZERO };
/// So long another process may have the temporary file.
const PATIENCE: Duration = Duration::from_secs(2);

/// nginx ends, and all its other processes are gone: zones are checked and saved.
///
/// # Safety
/// nginx's exit_master callback, with its cycle.
pub unsafe fn exit_master(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise.
    let (zones, user, log) = unsafe { (zones_of(cycle).collect::<Vec<_>>(), user_of(cycle), (*cycle).log) };
    if zones.is_empty() {
        return;
    }
    // First the files: an nginx that starts as soon as the sockets are free waits for what it finds locked.
    let begun = file::with_rights_of(user, || {
        zones.iter().map(|(_, zone, snapshot)| snapshot.begin_last(zone)).collect::<Vec<_>>()
    });
    // SAFETY: nginx does the same right after this callback; then there is nothing left to be closed.
    unsafe { ngx_close_listening_sockets(cycle) };
    match begun {
        Ok(begun) => {
            let write = || {
                for ((_, zone, snapshot), begun) in zones.iter().zip(begun) {
                    snapshot.save_last(zone, begun, log);
                }
            };
            if let Err(why) = file::with_rights_of(user, write) {
                ngx_log_error!(NGX_LOG_ERR, log, "twice: no snapshot was written: {}", why);
            }
        }
        Err(why) => {
            ngx_log_error!(NGX_LOG_ERR, log, "twice: no snapshot was written: {}", why);
        }
    }
}

/// Why a master writes no snapshot.
enum Kept {
    NotLoaded,
    NewBinary,
    Denied(Denied),
}

impl Snapshot {
    fn begin_last(&self, zone: &Zone) -> Result<Save, Kept> {
        // A single process may be in the middle of something.
        self.job.take();
        // SAFETY: set by the master, which this is.
        if unsafe { ngx_new_binary } != 0 {
            return Err(Kept::NewBinary);
        }
        if zone.with(|section| section.loaded()) != Some(true) {
            return Err(Kept::NotLoaded);
        }
        let since = Instant::now();
        loop {
            match Save::begin(zone, &self.file) {
                // The helper of an nginx that has just started tries whether the file can be written.
                Err(Denied::Busy) if since.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(20));
                }
                other => return other.map_err(Kept::Denied),
            }
        }
    }

    fn save_last(&self, zone: &Zone, begun: Result<Save, Kept>, log: *mut ngx_log_t) {
        let name = zone.name();
        let others = zone.check_others();
        match zone.with(|section| section.check()).map(|account| others.and(account)) {
            Some(Ok(account)) => {
                let Account { arena, free, live, pending, zombie, entries, .. } = account;
                ngx_log_error!(
                    NGX_LOG_NOTICE,
                    log,
                    "twice: zone \"{}\" accounts for all its units: \
                     arena={} free={} live={} pending={} zombie={} entries={}",
                    name,
                    arena,
                    free,
                    live,
                    pending,
                    zombie,
                    entries
                );
            }
            Some(Err(damage)) => {
                let (flaw, place) = (damage.flaw.as_str(), damage.place);
                ngx_log_error!(
                    NGX_LOG_ERR,
                    log,
                    "twice: zone \"{}\" is damaged, no snapshot was written: {} at {}",
                    name,
                    flaw,
                    place
                );
                return;
            }
            None => return,
        }
        let mut save = match begun {
            Ok(save) => save,
            Err(Kept::NewBinary) => {
                let why = "another nginx has taken over, it is that one's now";
                return self.tell(NGX_LOG_NOTICE, zone, log, "was not written", why);
            }
            Err(Kept::NotLoaded) => {
                let why = "the one of before had not been loaded to its end, and stays";
                return self.tell(NGX_LOG_WARN, zone, log, "was not written", why);
            }
            Err(Kept::Denied(denied)) => {
                let why = match denied {
                    Denied::Busy => "another process is writing it".to_owned(),
                    Denied::Failed(why) => why,
                };
                self.end(zone, Err(why), log);
                return;
            }
        };
        // SAFETY: all other processes of this nginx are gone; this one has no slot of its own, or serves nobody any more.
        let dead = unsafe { DeadSlot::new(zone.slot().number()) };
        zone.with(|section| section.release_slot(&dead));
        zone.with_local(|section| section.release_slot(&dead));
        let result = save.turn(zone, &AT_ONCE).and_then(|_| save.finish(zone));
        self.end(zone, result, log);
    }
}
