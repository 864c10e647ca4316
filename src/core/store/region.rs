//! The one module of the store with `unsafe`: bounded access to the shared region, and the promises
//! that only the caller can make about it.
//!
//! Invariants
//! - No access leaves `base .. base + len`: a read outside gives 0, a write outside is dropped. So an
//!   offset read from damaged memory can cost a page, never the process.
//! - Words are read and written as relaxed atomics (plain moves on the machine), and every word of a unit in one
//!   size only, whatever the unit is at the time. Only the bytes of pages are touched plainly, and those are
//!   owned (a board has its texts read and written under the lock): a page that is being filled belongs to its [`Reservation`](super::Reservation), a published one is
//!   never written again before the last hold on it has ended. `bytes` and `copy_in` are private to this crate for
//!   that reason.
//! - Every pointer is derived from `base`, so the region needs no other provenance.

use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// Alignment that the region's base needs: one cache line, so that two processes' slots never share one.
pub const ALIGN: usize = 64;

/// The lock that guards one region in all processes that map it.
///
/// # Safety
/// Between the return of `lock` and the call of `unlock` no other process or thread may return from
/// `lock` on the same region, and what one holder wrote must be visible to the next one. A lock
/// that is broken open after its holder was killed is fine: the store repairs what was left.
pub unsafe trait RawLock {
    /// Waits for the lock and takes it.
    fn lock(&self);
    /// Gives the lock back. Called once for each `lock`, also while a panic unwinds.
    fn unlock(&self);
}

/// Memory that holds a store, mapped in one or several processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a region is an address. What is reached through it is an atomic word, or bytes that the
// lock or a token (a hold, a pin, a reservation) gives to one thread, or to readers only.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Takes the memory at `base` for a store; `None` if `base` is null, not aligned to [`ALIGN`], or
    /// `len` can't be the length of an object.
    ///
    /// # Safety
    /// - `base` is valid for reads and writes of `len` bytes as long as the returned value or anything
    ///   made from it (a store, a hold, a slice of a page) is in use.
    /// - Nothing but stores and boards touches the memory, and all stores over it, in all processes, are used
    ///   with one and the same lock.
    pub unsafe fn new(base: *mut u8, len: usize) -> Option<Region> {
        let base = NonNull::new(base)?;
        if !base.as_ptr().addr().is_multiple_of(ALIGN) || isize::try_from(len).is_err() {
            return None;
        }
        Some(Region { base, len })
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the region has no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A pointer to `at` if a `T` fits there, aligned.
    #[inline(always)]
    fn place<T>(&self, at: usize) -> Option<*mut T> {
        let end = at.checked_add(size_of::<T>())?;
        if end > self.len || !at.is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: `at` is inside the region (checked above), which `Region::new`'s caller vouched for.
        // The base is aligned to a cache line and `at` to T, so the sum is aligned to T.
        Some(unsafe { self.base.as_ptr().add(at).cast::<T>() })
    }

    #[inline(always)]
    fn a8(&self, at: usize) -> Option<&AtomicU8> {
        // SAFETY: in bounds and aligned by `place`; the store touches this byte only as an atomic while
        // it is no page content (see the head of the file).
        self.place(at).map(|p| unsafe { AtomicU8::from_ptr(p) })
    }

    #[inline(always)]
    fn a32(&self, at: usize) -> Option<&AtomicU32> {
        // SAFETY: as in `a8`.
        self.place(at).map(|p| unsafe { AtomicU32::from_ptr(p) })
    }

    #[inline(always)]
    fn a64(&self, at: usize) -> Option<&AtomicU64> {
        // SAFETY: as in `a8`.
        self.place(at).map(|p| unsafe { AtomicU64::from_ptr(p) })
    }

    #[inline(always)]
    pub(crate) fn u8(&self, at: usize) -> u8 {
        self.a8(at).map_or(0, |w| w.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(crate) fn u32(&self, at: usize) -> u32 {
        self.a32(at).map_or(0, |w| w.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(crate) fn u64(&self, at: usize) -> u64 {
        self.a64(at).map_or(0, |w| w.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(crate) fn set_u8(&self, at: usize, value: u8) {
        write_point();
        if let Some(w) = self.a8(at) {
            w.store(value, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    pub(crate) fn set_u32(&self, at: usize, value: u32) {
        write_point();
        if let Some(w) = self.a32(at) {
            w.store(value, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    pub(crate) fn set_u64(&self, at: usize, value: u64) {
        write_point();
        if let Some(w) = self.a64(at) {
            w.store(value, Ordering::Relaxed);
        }
    }

    /// Raises a word that others raise at the same time.
    #[inline(always)]
    pub(crate) fn raise_u64(&self, at: usize, to: u64) {
        write_point();
        if let Some(w) = self.a64(at) {
            w.fetch_max(to, Ordering::Relaxed);
        }
    }

    /// Changes a word that others change at the same time; none lets it be. What is read within `change` is read after
    /// what stood in the word was written. Back comes what stood there before.
    #[inline(always)]
    pub(crate) fn update_u64(&self, at: usize, change: impl FnMut(u64) -> Option<u64>) -> Option<u64> {
        write_point();
        self.a64(at)?.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).ok()
    }

    /// Adds to a word that others add to at the same time.
    #[inline(always)]
    pub(crate) fn add_u64(&self, at: usize, by: u64) {
        write_point();
        if let Some(w) = self.a64(at) {
            w.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Reads a word that another process may write without the lock: what that process did before its
    /// `store_release` has happened when its value is seen here.
    #[inline(always)]
    pub(crate) fn load_acquire(&self, at: usize) -> u32 {
        self.a32(at).map_or(0, |w| w.load(Ordering::Acquire))
    }

    /// As [`Region::load_acquire`].
    #[inline(always)]
    pub(crate) fn load_acquire_u64(&self, at: usize) -> u64 {
        self.a64(at).map_or(0, |w| w.load(Ordering::Acquire))
    }

    /// As [`Region::store_release`].
    #[inline(always)]
    pub(crate) fn store_release_u64(&self, at: usize, value: u64) {
        write_point();
        if let Some(w) = self.a64(at) {
            w.store(value, Ordering::Release);
        }
    }

    /// Writes a word after everything that this thread did before.
    #[inline(always)]
    pub(crate) fn store_release(&self, at: usize, value: u32) {
        write_point();
        if let Some(w) = self.a32(at) {
            w.store(value, Ordering::Release);
        }
    }

    /// Reads a word in the one order that all such reads and writes, of all processes, have (see `find.rs`).
    #[inline(always)]
    pub(super) fn load_in_order(&self, at: usize) -> u32 {
        self.a32(at).map_or(0, |w| w.load(Ordering::SeqCst))
    }

    /// Writes a word in that order.
    #[inline(always)]
    pub(super) fn store_in_order(&self, at: usize, value: u32) {
        write_point();
        if let Some(w) = self.a32(at) {
            w.store(value, Ordering::SeqCst);
        }
    }

    /// Puts all writes before this into that order, before all that is read in order after it.
    pub(crate) fn settle(&self) {
        fence(Ordering::SeqCst);
    }

    /// Writes a word before everything that this thread writes after.
    #[inline(always)]
    pub(crate) fn store_first(&self, at: usize, value: u32) {
        self.set_u32(at, value);
        fence(Ordering::Release);
    }

    /// The bytes of a page, or of the map: under the lock, or those of a page under a hold (see the head of the file).
    #[inline]
    pub(crate) fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        if at.checked_add(len)? > self.len {
            return None;
        }
        // SAFETY: in bounds by the check above. Callers name bytes of a page that nobody writes as long as
        // the lock or their token is held, and tie the slice to it.
        Some(unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(at), len) })
    }

    /// Sets bytes that nothing reads without the lock: map bytes inside runs.
    pub(super) fn fill(&self, at: usize, len: usize, byte: u8) {
        write_point();
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return;
        }
        // SAFETY: in bounds by the check above; the caller has the lock, and no slice of the map outlives a call.
        unsafe { self.base.as_ptr().add(at).write_bytes(byte, len) };
    }

    /// Copies `bytes` to the place of a page that is being filled; false if it doesn't fit.
    #[inline]
    pub(crate) fn copy_in(&self, at: usize, bytes: &[u8]) -> bool {
        write_point();
        match at.checked_add(bytes.len()) {
            Some(end) if end <= self.len => {}
            _ => return false,
        }
        // SAFETY: in bounds by the check above. The target belongs to the caller's reservation alone, so no
        // slice of it exists, and `copy` allows any overlap anyway.
        unsafe { std::ptr::copy(bytes.as_ptr(), self.base.as_ptr().add(at), bytes.len()) };
        true
    }
}

/// Where a debug build may be told to die, to try recovery at each single write.
#[inline(always)]
fn write_point() {
    #[cfg(debug_assertions)]
    super::fault::point();
}

/// A process's number among those that use the region: what it holds is recorded under it.
///
/// It belongs to one thread: what it guards without the lock is guarded against other slots only.
#[derive(Debug)]
pub struct Slot {
    number: u32,
    /// Pin words of this process that are free (see `pins.rs`).
    free_pins: RefCell<Vec<u32>>,
}

impl Slot {
    /// Names the slot of this process.
    ///
    /// # Safety
    /// No other process, and no other thread of this one, uses the number while this value lives. (Several values with
    /// one number in one thread are fine: they share what is recorded in the region.)
    pub unsafe fn new(number: u32) -> Slot {
        Slot { number, free_pins: RefCell::default() }
    }

    /// The number.
    pub fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn free_pins(&self) -> &RefCell<Vec<u32>> {
        &self.free_pins
    }
}

/// A slot whose process has ended: what it held may be taken back.
#[derive(Debug, PartialEq, Eq)]
pub struct DeadSlot(u32);

impl DeadSlot {
    /// Names a slot that nobody uses.
    ///
    /// # Safety
    /// The process that used the number has ended, or it is this one, has no hold, pin or reservation under the
    /// number, and uses no [`Slot`] any more that was made before.
    pub unsafe fn new(number: u32) -> DeadSlot {
        DeadSlot(number)
    }

    /// The number.
    pub fn number(&self) -> u32 {
        self.0
    }
}

/// A pin as plain numbers, for a place where Rust values can't live (a cleanup handler's data).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RawPin {
    /// Unit of the page's first run.
    pub unit: u32,
    /// Generation of the page.
    pub generation: u32,
    /// Number of the pin's word.
    pub word: u32,
}

impl super::Store {
    /// Makes an empty store in a region. Whatever was there is gone.
    ///
    /// # Safety
    /// Nobody uses a store in this region now: no section, hold, pin or reservation of one, in any process.
    pub unsafe fn create(region: Region, options: &super::Options) -> Result<super::Store, super::TooSmall> {
        super::Store::format(region, options)
    }

    /// Makes a pin again out of its numbers.
    ///
    /// # Safety
    /// `raw` came from [`Pin::into_raw`](super::Pin::into_raw) on a pin of this region, in this process,
    /// and is made a pin again at most once.
    pub unsafe fn pin_from_raw(&self, raw: RawPin) -> super::Pin {
        super::Pin::assemble(self.region(), raw)
    }
}
