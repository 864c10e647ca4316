//! What the processes share: a board on which they tell what they do, the lock, and the store's region.
//!
//! ```text
//! 0       board: lock, clock, seats    (no part of the region: the store knows nothing of it)
//! BOARD   region
//! ```

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use twice_core::store::{RawLock, Region};

pub const SEATS: usize = 4;
const BOARD: usize = 4096;
const REGION: usize = 400 * 1024;
const _: () = assert!(size_of::<Board>() <= BOARD);

/// What one process tells of itself.
#[repr(C, align(64))]
pub struct Seat {
    /// Operations that were done, by all lives in this seat.
    pub operations: AtomicU64,
    /// The present life did what it was to die in, and has not died.
    pub survived: AtomicBool,
}

/// Zeroes are a good one.
#[repr(C)]
pub struct Board {
    /// Pid of the lock's holder, or 0.
    lock: AtomicU32,
    /// How often it was broken open.
    pub broken: AtomicU64,
    /// Everybody shall end.
    pub stop: AtomicBool,
    /// Milliseconds: one for each operation.
    pub clock: AtomicU64,
    pub seats: [Seat; SEATS],
}

impl Board {
    /// Operations that all have done.
    pub fn operations(&self) -> u64 {
        self.seats.iter().map(|seat| seat.operations.load(Ordering::Acquire)).sum()
    }
}

/// The memory, as this process has mapped it.
pub struct Shared {
    file: OwnedFd,
    base: *mut u8,
}

impl Shared {
    /// New memory, all zeroes, that children inherit.
    pub fn new() -> Shared {
        // SAFETY: a name that ends in 0. Without CLOEXEC, so that it is open in children.
        let file = unsafe { libc::memfd_create(c"twice-processes".as_ptr(), 0) };
        assert!(file >= 0, "memfd_create: {}", std::io::Error::last_os_error());
        // SAFETY: just opened, and nobody else's.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        // SAFETY: a file of ours.
        let sized = unsafe { libc::ftruncate(file.as_raw_fd(), (BOARD + REGION) as libc::off_t) };
        assert_eq!(sized, 0, "ftruncate: {}", std::io::Error::last_os_error());
        Shared::map(file)
    }

    /// The memory that this process has inherited.
    ///
    /// # Safety
    /// `file` is the number of a parent's [`Shared`], and nobody else's in this process.
    pub unsafe fn inherited(file: RawFd) -> Shared {
        // SAFETY: the caller's promise.
        Shared::map(unsafe { OwnedFd::from_raw_fd(file) })
    }

    fn map(file: OwnedFd) -> Shared {
        // Everybody at an address of its own: the store must not care.
        let hint = 0x2000_0000_0000 + ((std::process::id() as usize % 4096) << 30);
        // SAFETY: a new mapping. The address is a wish, so that nothing is replaced.
        let base = unsafe {
            libc::mmap(
                ptr::without_provenance_mut(hint),
                BOARD + REGION,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        assert_ne!(base, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        Shared { file, base: base.cast() }
    }

    /// The number of the file, for children.
    pub fn file(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    pub fn board(&self) -> &Board {
        // SAFETY: the mapping begins with a board, of which zeroes are a good one; all in it is atomic.
        unsafe { &*self.base.cast() }
    }

    pub fn region(&self) -> Region {
        // SAFETY: the mapping lives until `self` is dropped, which the processes do last; one lock guards it.
        unsafe { Region::new(self.base.add(BOARD), REGION) }.unwrap()
    }

    pub fn lock(&self) -> Lock<'_> {
        Lock { word: &self.board().lock, broken: &self.board().broken, pid: std::process::id() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped with this length; nothing refers to it any more.
        unsafe { libc::munmap(self.base.cast(), BOARD + REGION) };
    }
}

/// A word with the holder's pid, like nginx's.
pub struct Lock<'b> {
    word: &'b AtomicU32,
    broken: &'b AtomicU64,
    pid: u32,
}

// SAFETY: taken by a compare-and-swap with acquire, given back with release: one holder at a time. Broken open only after
// its holder has ended.
unsafe impl RawLock for Lock<'_> {
    fn lock(&self) {
        while !self.try_lock() {
            std::thread::yield_now();
        }
    }

    fn unlock(&self) {
        let held = self.word.compare_exchange(self.pid, 0, Ordering::Release, Ordering::Relaxed);
        assert_eq!(held, Ok(self.pid), "the lock was somebody else's");
    }
}

/// The lock as the parent of all other processes takes it: it must not wait for one that is dead and that only it
/// can reap.
pub struct ParentsLock<'b>(pub Lock<'b>);

// SAFETY: as `Lock`.
unsafe impl RawLock for ParentsLock<'_> {
    fn lock(&self) {
        while !self.0.try_lock() {
            let holder = self.0.word.load(Ordering::Relaxed);
            if holder != 0 && has_ended(holder) {
                self.0.break_open(holder);
            }
            std::thread::yield_now();
        }
    }

    fn unlock(&self) {
        self.0.unlock();
    }
}

/// Whether a child has ended. It stays to be reaped, so that its pid stays its own.
fn has_ended(child: u32) -> bool {
    // SAFETY: zeroes are a good `siginfo_t`, into which the call writes.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, child, &mut info, options) == 0 && info.si_pid() != 0
    }
}

impl Lock<'_> {
    fn try_lock(&self) -> bool {
        self.word.compare_exchange_weak(0, self.pid, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// What nginx's master does after a worker's death: opens the lock if that one held it.
    ///
    /// The process must have ended.
    pub fn break_open(&self, dead: u32) {
        let opened = self.word.compare_exchange(dead, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        self.broken.fetch_add(u64::from(opened), Ordering::Relaxed);
    }
}
