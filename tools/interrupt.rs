//! Ctrl-C and SIGTERM end a run in order: each phase looks here between two steps. What can't be caught ends nginx too,
//! which was started to end with this program.

use std::sync::atomic::{AtomicBool, Ordering};

static HAPPENED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    HAPPENED.store(true, Ordering::Relaxed);
}

/// Notes such signals from now on.
pub fn listen() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler writes one atomic word, which is async-signal-safe.
        unsafe { libc::signal(signal, note as *const () as libc::sighandler_t) };
    }
}

/// Whether the run is to end.
pub fn happened() -> bool {
    HAPPENED.load(Ordering::Relaxed)
}
