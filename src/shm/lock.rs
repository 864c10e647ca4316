//! The lock of a zone: the word of its slab pool's mutex, which holds the pid of the process that has the lock.
//!
//! Invariants
//! - The word is taken and freed by nginx's own functions, so that nginx's master finds it and frees it when the
//!   process that has it dies (`ngx_unlock_mutexes`).
//! - The master knows the zones of its own configuration only. Workers of a former one that go on in a zone of a
//!   former size are on their own, and so are workers whose master was killed: who has waited long looks whether the
//!   process in the word is still there, and frees the word if it is not.
//! - Nobody sleeps on the mutex's semaphore: a process that is killed between freeing the word and waking a sleeper,
//!   or just when it was woken, would leave the others asleep beside a free lock.

use std::hint::spin_loop;
use std::io::Error;
use std::thread;
use std::time::Duration;

use ngx::ffi::{ngx_ncpu, ngx_shmtx_force_unlock, ngx_shmtx_t, ngx_shmtx_trylock, ngx_shmtx_unlock};
use twice_core::store::RawLock;

/// A section takes about a microsecond: up to so many pauses between two looks at the word.
const MOST_PAUSES: u32 = 128;

/// Turns to wait before something must be wrong, or rare: the process is dead, stopped, or rebuilds the store.
const TURNS: u32 = 64;

/// How long a turn is from then on.
const REST: Duration = Duration::from_micros(100);

/// The mutex of a zone.
pub struct ShmLock(*mut ngx_shmtx_t);

impl ShmLock {
    /// # Safety
    /// `mutex` must be that of a mapped zone's slab pool, and be used nowhere after the zone is unmapped here.
    pub unsafe fn new(mutex: *mut ngx_shmtx_t) -> Self {
        Self(mutex)
    }

    fn try_lock(&self) -> bool {
        // SAFETY: the mutex of a mapped zone.
        unsafe { ngx_shmtx_trylock(self.0) != 0 }
    }

    /// One turn of waiting; true: the lock is ours.
    fn turn(&self) -> bool {
        // SAFETY: set once, before any configuration is read.
        let most = if unsafe { ngx_ncpu } > 1 { MOST_PAUSES } else { 1 };
        let mut pauses = 1;
        while pauses <= most {
            if self.try_lock() {
                return true;
            }
            for _ in 0..pauses {
                spin_loop();
            }
            pauses *= 2;
        }
        thread::yield_now();
        false
    }

    /// Frees the lock of a process that is no more.
    fn free_if_dead(&self) {
        // SAFETY: the mutex of a mapped zone; its word is changed by other processes all the time.
        let word = unsafe { (*self.0).lock.read_volatile() };
        let Ok(pid) = libc::pid_t::try_from(word) else { return };
        // SAFETY: signal 0 only asks, and 0 and less are no process of ours to ask for.
        let dead = pid > 0
            && unsafe { libc::kill(pid, 0) } == -1
            && Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        if dead {
            // SAFETY: as above; frees the word only if it still holds this pid.
            unsafe { ngx_shmtx_force_unlock(self.0, pid) };
        }
    }
}

// SAFETY: the mutex excludes every process that maps the zone; nginx's atomics order memory fully. A process that is
// no more does nothing in the zone, so that its lock may be freed.
unsafe impl RawLock for ShmLock {
    fn lock(&self) {
        let mut turns = 0u32;
        while !self.turn() {
            turns = turns.saturating_add(1);
            if turns >= TURNS {
                self.free_if_dead();
                thread::sleep(REST);
            }
        }
    }

    fn unlock(&self) {
        // SAFETY: as above; this process holds it.
        unsafe { ngx_shmtx_unlock(self.0) }
    }
}
