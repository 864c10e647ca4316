//! How one worker wakes another: 64 event descriptors, and one piece of shared memory that tells whose each is.
//!
//! Invariants
//! - Both are made once in a master's life, before it starts its first worker, and stay: workers of every
//!   configuration inherit them at the same numbers and the same address, so that old and new ones wake each other
//!   across a reload. A new binary makes its own.
//! - A channel belongs to the process whose pid stands in its word. Words are taken by compare-and-swap, that of a
//!   process that is no more as well: there is no lock that a killed process could keep.
//! - A descriptor is written to without waiting. What is written for nobody wakes the channel's next owner once, in vain.
//! - A process that has no channel doesn't wait for others. It asks for one again now and then: those of exiting
//!   workers become free.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use ngx::ffi::{
    NGX_LOG_ALERT, NGX_LOG_WARN, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_current_msec, ngx_cycle,
    ngx_cycle_t, ngx_event_t, ngx_free_connection, ngx_get_connection, ngx_handle_read_event, ngx_msec_t,
    ngx_process, ngx_test_config,
};
use ngx::ngx_log_error;
use twice_core::board::flights::Channels;

use crate::guard::guarded;
use crate::shm;
use crate::source::fetches;
use crate::sys::OK;
use crate::{conf, wait};

/// As many as a word has bits.
const COUNT: usize = 64;

/// How long a process that found no channel does not look again.
const RETRY_MS: ngx_msec_t = 1000;

/// The descriptors plus 1; 0: not made. Written by the master before it forks.
static DESCRIPTORS: [AtomicUsize; COUNT] = [const { AtomicUsize::new(0) }; COUNT];

/// The words of the claims, in shared memory; null: not made.
static CLAIMS: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// This process's channel.
    static MINE: Cell<Option<u32>> = const { Cell::new(None) };
    /// When it looked for one in vain.
    static LOOKED: Cell<Option<ngx_msec_t>> = const { Cell::new(None) };
}

fn claim_of(number: u32) -> Option<&'static AtomicU32> {
    let claims = CLAIMS.load(Ordering::Relaxed);
    if claims.is_null() || number as usize >= COUNT {
        return None;
    }
    // SAFETY: `make` mapped COUNT words there for good; 0 is a valid word, and all processes use them as atomics.
    Some(unsafe { &*claims.add(number as usize) })
}

fn descriptor(number: u32) -> Option<i32> {
    let stored = DESCRIPTORS.get(number as usize)?.load(Ordering::Relaxed);
    i32::try_from(stored.checked_sub(1)?).ok()
}

/// Makes the channels, once, where a configuration has zones.
///
/// # Safety
/// nginx's init_module callback, with its cycle.
pub unsafe fn init_module(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise; nginx's own flag.
    let wanted = unsafe {
        ngx_test_config == 0 && conf::main_of_cycle(cycle).is_some_and(|conf| !conf.zones.is_empty())
    };
    if !wanted || !CLAIMS.load(Ordering::Relaxed).is_null() {
        return;
    }
    if let Err(error) = make() {
        // SAFETY: a cycle has a log.
        let log = unsafe { (*cycle).log };
        ngx_log_error!(
            NGX_LOG_WARN,
            log,
            "twice: no request will wait for another one's fetch, as there are no event descriptors: {}",
            error
        );
    }
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn make() -> std::io::Result<()> {
    use std::io::Error;
    use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

    let mut made = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        // SAFETY: takes no memory.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: fresh, and nobody else's.
        made.push(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    // SAFETY: a fresh mapping of zeros.
    let claims = unsafe {
        libc::mmap(
            ptr::null_mut(),
            COUNT * size_of::<AtomicU32>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANON,
            -1,
            0,
        )
    };
    if claims == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    for (place, fd) in DESCRIPTORS.iter().zip(made) {
        place.store(usize::try_from(fd.as_raw_fd()).unwrap_or(0) + 1, Ordering::Relaxed);
        // Open for the life of the process.
        let _ = fd.into_raw_fd();
    }
    CLAIMS.store(claims.cast(), Ordering::Relaxed);
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn make() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// A new worker takes a channel.
pub fn init_process() {
    // SAFETY: set by nginx before it calls this.
    let serves = matches!(unsafe { ngx_process } as u32, NGX_PROCESS_WORKER | NGX_PROCESS_SINGLE);
    if serves {
        claim();
    }
}

/// A worker that ends gives its channel to whoever comes next.
pub fn exit_process() {
    if let Some(claim) = MINE.take().and_then(claim_of) {
        let _ = claim.compare_exchange(std::process::id(), 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// The channel on which this process can be woken.
pub fn mine() -> Option<u32> {
    MINE.get().or_else(|| {
        // SAFETY: nginx's own clock.
        let now = unsafe { ngx_current_msec };
        if LOOKED.get().is_some_and(|then| now.wrapping_sub(then) < RETRY_MS) {
            return None;
        }
        claim();
        MINE.get()
    })
}

fn claim() {
    let me = std::process::id();
    let free = |number: &u32| {
        let Some(word) = claim_of(*number) else { return false };
        let owner = word.load(Ordering::Acquire);
        (owner == 0 || owner == me || shm::is_gone(owner))
            && word.compare_exchange(owner, me, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    };
    let found = (0..COUNT as u32).find(free);
    match found {
        Some(number) if listen(number) => MINE.set(Some(number)),
        Some(number) => {
            if let Some(word) = claim_of(number) {
                word.store(0, Ordering::Release);
            }
        }
        None => {}
    }
    if MINE.get().is_none() {
        // SAFETY: nginx's own clock.
        LOOKED.set(Some(unsafe { ngx_current_msec }));
    }
}

/// Has nginx call [`woken`] when somebody writes to a channel.
fn listen(number: u32) -> bool {
    let Some(fd) = descriptor(number) else { return false };
    // SAFETY: the running cycle; a connection of its own, used as nginx uses that of its channel to the master
    // (ngx_add_channel_event): `channel` has nginx leave it alone when it closes or counts connections.
    unsafe {
        let log = (*ngx_cycle).log;
        let connection = ngx_get_connection(fd, log);
        if connection.is_null() {
            return false;
        }
        (*connection).pool = (*ngx_cycle).pool;
        for event in [(*connection).read, (*connection).write] {
            (*event).log = log;
            (*event).set_channel(1);
        }
        (*(*connection).read).handler = Some(woken);
        // What was written to the former owner.
        drain(fd);
        if ngx_handle_read_event((*connection).read, 0) != OK {
            ngx_log_error!(NGX_LOG_ALERT, log, "twice: an event descriptor can't be listened to");
            ngx_free_connection(connection);
            return false;
        }
    }
    true
}

/// Takes what was written, so that the next writing is news again.
fn drain(fd: i32) {
    let mut count = 0u64;
    // SAFETY: eight bytes of ours. The descriptor does not block; nothing there is as good.
    unsafe { libc::read(fd, (&raw mut count).cast(), size_of::<u64>()) };
}

unsafe extern "C" fn woken(event: *mut ngx_event_t) {
    guarded((), || {
        if let Some(fd) = MINE.get().and_then(descriptor) {
            // Before looking: whatever is told from here on wakes us again.
            drain(fd);
        }
        wait::woken();
        fetches::woken();
    });
    // SAFETY: the event of `listen`. A method that reports levels is told that nothing is left to read.
    unsafe {
        (*event).set_ready(0);
        // Without a master the cycle may be a later one than that which made it.
        (*event).log = (*ngx_cycle).log;
        if ngx_handle_read_event(event, 0) != OK {
            ngx_log_error!(NGX_LOG_ALERT, (*event).log, "twice: an event descriptor can't be listened to");
        }
    }
}

/// Wakes the processes that listen there. Not under a lock.
pub fn wake(channels: Channels) {
    for fd in channels.numbers().filter_map(descriptor) {
        let one = 1u64;
        // SAFETY: eight bytes of ours. The descriptor does not block; where it is full its owner has news already.
        unsafe { libc::write(fd, (&raw const one).cast(), size_of::<u64>()) };
    }
}
