//! Zones that outlive nginx: their pages in a file, written while nginx runs and when it stops, read when it starts.
//!
//! ```text
//!  master ----- fork ----> cache manager: nginx's own helper process, respawned when it dies
//!    |                       first         loads, where the zone is new
//!    |                       every interval  saves
//!    |  all children gone
//!    +---> exit_master: checks the zone, saves at one go
//! ```
//!
//! Invariants
//! - No worker reads or writes a snapshot: it may take as long as it takes. (With `master_process off` there is no
//!   other process: there it is done in small pieces by a timer.)
//! - The helper works in slices, so that it sees signals and does its other jobs between them.
//! - A zone is loaded once in its life: its own word says so, whatever becomes of helpers and configurations. Until
//!   then its file is not written over.
//! - Whatever goes wrong is one line in the log; the file of before stays, and nginx serves on.

mod file;
mod journal;
mod last;
mod load;
mod save;

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ngx::ffi::{
    NGX_LOG_ERR, NGX_LOG_NOTICE, NGX_PROCESS_SINGLE, ngx_add_timer, ngx_array_push, ngx_core_conf_t,
    ngx_core_module, ngx_cycle, ngx_cycle_t, ngx_event_t, ngx_log_t, ngx_msec_t, ngx_parent, ngx_path_t,
    ngx_pcalloc, ngx_process, ngx_shm_zone_t, ngx_test_config,
};
use ngx::ngx_log_error;

use twice_core::journal::Noted;

use crate::conf::main_of_cycle;
use crate::guard::guarded;
use crate::shm::{self, Zone, zone_of};
use crate::sys::{self, Timer};
use file::{Denied, Temp, User};
pub use last::exit_master;
use load::Load;
use save::Save;

/// Between two slices.
const PAUSE: ngx_msec_t = 2;
/// Before another look, where another process is writing the snapshot.
const RETRY: ngx_msec_t = 200;
/// Before another look, where another nginx has taken over.
const LOOK: ngx_msec_t = 1000;
/// nginx calls its helper's jobs at least so often.
const LONG: ngx_msec_t = 60 * 60 * 1000;
/// So long loading waits for a snapshot that an nginx before us is still writing.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much is done at one go.
pub struct Pace {
    time: Duration,
    bytes: u64,
    /// After each piece for which the lock was held for long: who waits for it shall have it in between.
    rest: Duration,
}

/// For the helper: its loop turns ten times a second at least.
const HELPER: Pace =
    Pace { time: Duration::from_millis(100), bytes: 32 << 20, rest: Duration::from_micros(100) };
/// For the one process that serves, too.
const SINGLE: Pace = Pace { time: Duration::from_millis(3), bytes: 1 << 20, rest: Duration::ZERO };

/// What is left of one go.
struct Budget {
    since: Instant,
    time: Duration,
    bytes: u64,
}

impl Pace {
    fn begin(&self) -> Budget {
        Budget { since: Instant::now(), time: self.time, bytes: self.bytes }
    }
}

impl Budget {
    fn is_spent_by(&mut self, bytes: u64) -> bool {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.bytes == 0 || self.since.elapsed() >= self.time
    }
}

/// What `snapshot=` and `snapshot_interval=` say, and how far this process is with it.
pub struct Snapshot {
    file: PathBuf,
    /// 0: only when nginx stops.
    interval_ms: u64,
    job: RefCell<Job>,
    /// When saving failed last in this process.
    failed_ms: Cell<u64>,
}

#[derive(Default)]
enum Job {
    #[default]
    Idle,
    /// Another nginx does it.
    Left,
    /// The zone is to be loaded, but another process is writing the file.
    Waiting(Instant),
    Loading(Box<Load>),
    Saving(Box<Save>),
}

impl Snapshot {
    /// Of a file by its full name.
    pub fn new(file: PathBuf, interval_ms: u64) -> Self {
        Self { file, interval_ms, job: RefCell::default(), failed_ms: Cell::new(0) }
    }

    /// Whether two snapshots would get into each other's way.
    pub fn collides(&self, other: &Snapshot) -> bool {
        let [ours, theirs] = [self, other].map(|s| [s.file.clone(), file::temp_of(&s.file)]);
        ours.iter().any(|path| theirs.contains(path))
    }

    /// Writes down what was purged, by the worker that purged it: one write to the end of a file.
    pub fn note(&self, zone: &Zone, number: u64, noted: &[Noted<'_>]) {
        // SAFETY: the running cycle, its user and its log.
        let (user, log) = unsafe { (user_of(ngx_cycle), (*ngx_cycle).log) };
        // A single process may be root.
        let noted = file::with_rights_of(user, || journal::note(zone, &self.file, number, noted));
        if let Err(why) = noted.unwrap_or_else(Err) {
            self.tell(NGX_LOG_ERR, zone, log, "may bring back what was purged", &why);
        }
    }

    /// One slice of work. Back comes when to do the next one.
    fn turn(&self, zone: &Zone, pace: &Pace, log: *mut ngx_log_t) -> ngx_msec_t {
        // Taken: a panic leaves nothing half done behind.
        let Ok(job) = self.job.try_borrow_mut().map(|mut job| mem::take(&mut *job)) else { return LONG };
        let next = match job {
            Job::Idle | Job::Left => self.choose(zone, Instant::now(), log),
            Job::Waiting(since) => self.choose(zone, since, log),
            Job::Loading(mut load) => match load.turn(zone, pace) {
                None => Job::Loading(load),
                Some(loaded) => {
                    let level = if loaded.well { NGX_LOG_NOTICE } else { NGX_LOG_ERR };
                    self.tell(level, zone, log, "was loaded", &loaded.text);
                    self.agree(zone)
                }
            },
            Job::Saving(mut save) => match save.turn(zone, pace) {
                Ok(false) => Job::Saving(save),
                Ok(true) => self.end(zone, save.finish(zone), log),
                Err(why) => self.end(zone, Err(why), log),
            },
        };
        let pause = match &next {
            Job::Idle | Job::Left => self.due_in(zone),
            Job::Waiting(_) => RETRY,
            Job::Loading(_) | Job::Saving(_) => PAUSE,
        };
        self.job.replace(next);
        pause
    }

    /// Does nothing more, and says so once. Back comes when to look again.
    fn leave(&self, zone: &Zone, why: &str, log: *mut ngx_log_t) -> ngx_msec_t {
        if !matches!(self.job.replace(Job::Left), Job::Left) {
            self.tell(NGX_LOG_NOTICE, zone, log, "is not written any more", why);
        }
        LOOK
    }

    /// What is to be done now. `since`: since when loading is waiting.
    fn choose(&self, zone: &Zone, since: Instant, log: *mut ngx_log_t) -> Job {
        if zone.with(|section| section.loaded()) == Some(false) {
            return self.begin_to_load(zone, since, log);
        }
        if self.due_in(zone) > 0 {
            return Job::Idle;
        }
        match Save::begin(zone, &self.file) {
            Ok(save) => Job::Saving(Box::new(save)),
            // A helper that is about to leave, or a second nginx.
            Err(Denied::Busy) => Job::Waiting(since),
            Err(Denied::Failed(why)) => self.end(zone, Err(why), log),
        }
    }

    fn begin_to_load(&self, zone: &Zone, since: Instant, log: *mut ngx_log_t) -> Job {
        // Better told now than when nginx stops.
        match Temp::create(&self.file) {
            Err(Denied::Busy) if since.elapsed() < PATIENCE => return Job::Waiting(since),
            Ok(_) | Err(Denied::Busy) => {}
            Err(Denied::Failed(why)) => {
                self.tell(NGX_LOG_ERR, zone, log, "can't be written", &why);
            }
        }
        // Before any page: what was purged since must not come back.
        let replayed = journal::replay(zone, &self.file);
        match replayed.and_then(|()| Load::open(zone, &self.file)) {
            Ok(Some(load)) => return Job::Loading(Box::new(load)),
            Ok(None) => {
                self.tell(NGX_LOG_NOTICE, zone, log, "was not loaded", "there is none yet");
            }
            Err(why) => self.tell(NGX_LOG_ERR, zone, log, "was not loaded", &why),
        }
        self.agree(zone)
    }

    fn end(&self, zone: &Zone, result: Result<String, String>, log: *mut ngx_log_t) -> Job {
        match result {
            Ok(text) => {
                self.tell(NGX_LOG_NOTICE, zone, log, "was written", &text);
                self.agree(zone)
            }
            Err(why) => {
                self.tell(NGX_LOG_ERR, zone, log, "was not written", &why);
                self.failed_ms.set(shm::now_ms());
                Job::Idle
            }
        }
    }

    /// Zone and file agree as of now.
    fn agree(&self, zone: &Zone) -> Job {
        zone.with(|section| section.set_saved_ms(shm::now_ms()));
        Job::Idle
    }

    /// Milliseconds until the zone is to be saved.
    fn due_in(&self, zone: &Zone) -> ngx_msec_t {
        if self.interval_ms == 0 {
            return LONG;
        }
        let now = shm::now_ms();
        let saved = zone.with(|section| section.saved_ms()).unwrap_or(0);
        let last = saved.max(self.failed_ms.get());
        // In the future: the clock was set back.
        let since = now.checked_sub(last).unwrap_or(self.interval_ms);
        self.interval_ms.saturating_sub(since).try_into().unwrap_or(LONG).min(LONG)
    }

    fn tell(&self, level: u32, zone: &Zone, log: *mut ngx_log_t, what: &str, why: &str) {
        let file = self.file.display();
        ngx_log_error!(
            level,
            log,
            "twice: zone \"{}\": snapshot \"{}\" {}: {}",
            zone.name(),
            file,
            what,
            why
        );
    }
}

/// The zones of a cycle that have a snapshot.
///
/// # Safety
/// `cycle` must be a live cycle whose configuration has been read, or nginx's first one.
unsafe fn zones_of<'a>(
    cycle: *mut ngx_cycle_t,
) -> impl Iterator<Item = (*mut ngx_shm_zone_t, &'a Zone, &'a Snapshot)> {
    // SAFETY: the caller's promise: nginx's first cycle has no `conf_ctx`.
    let conf = unsafe { if (*cycle).conf_ctx.is_null() { None } else { main_of_cycle(cycle) } };
    let zones = conf.map_or(&[][..], |conf| &conf.zones[..]);
    zones.iter().filter_map(|&shm_zone| {
        // SAFETY: a zone of this cycle.
        let zone: &'a Zone = unsafe { zone_of(shm_zone) }?;
        Some((shm_zone, zone, zone.snapshot()?))
    })
}

/// Whom the workers of a cycle run as.
///
/// # Safety
/// `cycle` must be a live cycle whose configuration has been read.
unsafe fn user_of(cycle: *mut ngx_cycle_t) -> User {
    // SAFETY: the core module's configuration is there in every cycle.
    unsafe {
        let conf = (*(*cycle).conf_ctx.add(ngx_core_module.index)).cast::<ngx_core_conf_t>();
        User { uid: (*conf).user as _, gid: (*conf).group as _ }
    }
}

/// Gives nginx's helper its job. With a path that has a manager nginx spawns the helper; it is not made by
/// `ngx_add_path`, as nginx would create its folder and make it the user's, whosever it is.
///
/// # Safety
/// nginx's init_module callback, with its cycle.
pub unsafe fn init_module(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise. `ngx_cycle` is still the cycle before.
    unsafe {
        if ngx_test_config != 0 {
            return;
        }
        if ngx_process == NGX_PROCESS_SINGLE as usize {
            // What this process was doing for the configuration before.
            // A temporary file goes with it, by the rights that it was made with.
            let _ = file::with_rights_of(user_of(cycle), || {
                for (_, _, snapshot) in zones_of(ngx_cycle) {
                    snapshot.job.take();
                }
            });
        }
        for (shm_zone, _, snapshot) in zones_of(cycle) {
            let path = ngx_pcalloc((*cycle).pool, size_of::<ngx_path_t>()).cast::<ngx_path_t>();
            let place = ngx_array_push(&raw mut (*cycle).paths).cast::<*mut ngx_path_t>();
            if path.is_null() || place.is_null() {
                return;
            }
            let folder = file::folder_of(&snapshot.file).as_os_str().as_bytes();
            (*path).name = sys::ngx_str(folder);
            (*path).len = folder.len();
            (*path).manager = Some(manage);
            (*path).data = shm_zone.cast();
            *place = path;
        }
    }
}

/// nginx's helper has time for us.
unsafe extern "C" fn manage(data: *mut c_void) -> ngx_msec_t {
    guarded(LONG, || {
        // SAFETY: `data` is what `init_module` set, a zone of the cycle that the helper was forked with.
        let Some(zone) = (unsafe { zone_of(data.cast()) }) else { return LONG };
        // SAFETY: the running cycle's log.
        let log = unsafe { (*ngx_cycle).log };
        let Some(snapshot) = zone.snapshot() else { return LONG };
        // SAFETY: the running cycle.
        match unsafe { superseded(ngx_cycle) } {
            Some(why) => snapshot.leave(zone, why, log),
            None => snapshot.turn(zone, &HELPER, log),
        }
    })
}

/// Why this helper's snapshots are another nginx's by now. What is written here would undo what that one wrote.
///
/// # Safety
/// `cycle` must be a live cycle whose configuration has been read.
unsafe fn superseded(cycle: *mut ngx_cycle_t) -> Option<&'static str> {
    // SAFETY: set by the master before it forked this process.
    let master = unsafe { ngx_parent };
    // SAFETY: can't fail.
    if unsafe { libc::getppid() } != master {
        return Some("its master is gone");
    }
    // A master that has started another binary (SIGUSR2) has its number in this file, until it ends or the other one does.
    // SAFETY: the core module's configuration is there in every cycle; its strings live as long.
    let old = unsafe {
        let conf = (*(*cycle).conf_ctx.add(ngx_core_module.index)).cast::<ngx_core_conf_t>();
        sys::bytes((*conf).oldpid)
    };
    // nginx counts the zero at its end.
    let old = std::ffi::OsStr::from_bytes(old.strip_suffix(b"\0").unwrap_or(old));
    let old = std::fs::read_to_string(old).ok()?;
    (old.trim().parse() == Ok(master)).then_some("another nginx has taken over")
}

/// Without a master there is no helper: a timer does its work.
///
/// # Safety
/// nginx's init_process callback, with its cycle.
pub unsafe fn init_process(cycle: *mut ngx_cycle_t) {
    static TIMER: Timer = Timer::new();
    // SAFETY: the caller's promise; `tick` renews the log.
    unsafe {
        if ngx_process == NGX_PROCESS_SINGLE as usize {
            TIMER.start((*cycle).log, tick, 1, false);
        }
    }
}

unsafe extern "C" fn tick(event: *mut ngx_event_t) {
    guarded((), || {
        // SAFETY: nginx's timer passes our event; the running cycle may be a later one than that which set it.
        unsafe {
            let cycle = ngx_cycle;
            let turn = || {
                zones_of(cycle).map(|(_, zone, snapshot)| snapshot.turn(zone, &SINGLE, (*cycle).log)).min()
            };
            let next = file::with_rights_of(user_of(cycle), turn).ok().flatten().unwrap_or(LONG);
            (*event).log = (*cycle).log;
            // A new configuration may have more to do.
            ngx_add_timer(event, next.clamp(1, 1000));
        }
    });
}

/// Reads `snapshot=FILE`: `None` if it can't be a file's name.
pub fn file_name(full: &[u8]) -> Option<PathBuf> {
    let path = Path::new(std::ffi::OsStr::from_bytes(full));
    let named = path.file_name().is_some() && !full.ends_with(b"/") && !full.ends_with(b"/.");
    named.then(|| path.to_owned())
}
