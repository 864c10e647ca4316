//! Tests of the core's store.

// The hook that these two need is in debug builds only.
#[cfg(debug_assertions)]
mod between;
mod collision;
#[cfg(debug_assertions)]
pub mod crash;
mod hold;
mod model;
mod naive;
mod pages;
// Real processes: nothing for Miri.
#[cfg(not(miri))]
pub mod processes;
mod recency;
mod threads;
mod transfer;

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::atomic::{AtomicBool, Ordering};
use twice_core::store::{Found, Held, Meta, Options, Page, Policy, RawLock, Region, Slot, Store};

/// A spinning lock: what nginx's is, without its sleep.
#[derive(Default)]
pub struct Lock(AtomicBool);

impl Lock {
    /// Whether somebody has it.
    pub fn is_held(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

// SAFETY: a swap with acquire and a store with release: one holder at a time, and it sees what the last one wrote.
unsafe impl RawLock for Lock {
    fn lock(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Memory as a shared zone would be: zeroed, aligned, at one place.
pub struct Memory {
    base: *mut u8,
    layout: Layout,
}

impl Memory {
    pub fn new(len: usize) -> Memory {
        let layout = Layout::from_size_align(len, 4096).unwrap();
        // SAFETY: no test asks for no memory.
        Memory { base: unsafe { alloc_zeroed(layout) }, layout }
    }

    pub fn region(&self) -> Region {
        // SAFETY: the tests drop the memory last, and use one lock with it.
        unsafe { Region::new(self.base, self.layout.size()) }.unwrap()
    }

    /// The same bytes at another place.
    #[cfg(debug_assertions)]
    pub fn copy(&self) -> Memory {
        let copy = Memory::new(self.layout.size());
        // SAFETY: both have this length, and no section is open.
        unsafe { copy.base.copy_from_nonoverlapping(self.base, self.layout.size()) };
        copy
    }

    pub fn create(&self, options: &Options) -> Store {
        // SAFETY: done once, before anything else.
        unsafe { Store::create(self.region(), options) }.unwrap()
    }

    /// Writes bytes where no page lies.
    pub fn spoil(&self, range: std::ops::Range<usize>, mut byte: impl FnMut() -> u8) {
        for at in range {
            assert!(at < self.layout.size());
            // SAFETY: in bounds, and no section is open.
            unsafe { self.base.add(at).write(byte()) };
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.base, self.layout) };
    }
}

pub const OPTIONS: Options =
    Options { seed: [7, 11], slots: 8, max_page: 1 << 20, inactive_ms: 0, policy: Policy::Lru };

pub fn slot(number: u32) -> Slot {
    // SAFETY: each test uses a number for one user at a time.
    unsafe { Slot::new(number) }
}

/// Bytes that tell which page they are of, and where in it: each piece of 64 begins with a stamp of its own. Made by the
/// piece, for Miri takes its time over each step.
pub fn content(tag: u64, len: usize) -> Vec<u8> {
    let mut stamp = tag.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut piece = [(stamp >> 56) as u8; 64];
    let mut content = Vec::with_capacity(len + 64);
    while content.len() < len {
        stamp = stamp.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(content.len() as u64);
        piece[..8].copy_from_slice(&stamp.to_le_bytes());
        content.extend_from_slice(&piece);
    }
    content.truncate(len);
    content
}

/// Stores a page whose bytes follow from its tag.
pub fn put(store: &Store, lock: &Lock, slot: &Slot, key: &[u8], len: usize, tag: u64, now: u64) -> bool {
    let hash = store.hash(key);
    let Ok(mut page) = store.with(lock, |s| s.reserve(slot, hash, key, len, now)) else { return false };
    store.write(&mut page, 0, &content(tag, len)).unwrap();
    let meta = Meta { created_ms: now, expires_ms: now + 1, tag, ..Meta::default() };
    store.with(lock, |s| s.publish(page, meta, now)).is_some()
}

pub fn find(store: &Store, lock: &Lock, key: &[u8]) -> Option<Found> {
    let hash = store.hash(key);
    store.with(lock, |s| s.peek(hash, key))
}

pub fn hold<'s>(store: &'s Store, lock: &Lock, slot: &Slot, key: &[u8]) -> Option<Held<'s>> {
    let hash = store.hash(key);
    store.with(lock, |s| {
        let found = s.peek(hash, key)?;
        s.hold(slot, found.entry)
    })
}

pub fn bytes<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    pieces.collect::<Vec<_>>().concat()
}

pub fn holds(page: Page<'_>, key: &[u8], tag: u64, len: usize) -> bool {
    bytes(page.key()) == key && bytes(page.value()) == content(tag, len)
}

/// Whether the page of a key is there with all its bytes.
pub fn is_whole(store: &Store, lock: &Lock, slot: &Slot, key: &[u8], tag: u64, len: usize) -> bool {
    let Some(held) = hold(store, lock, slot, key) else { return false };
    holds(held.page(), key, tag, len)
}
