//! The store itself as a policy, asked as the module asks it: first without the lock, then with it. Each miss
//! reserves and publishes a page, whose body nobody writes.

use super::model::Policy;
use super::pages::{KEY_LEN, MAX_PAGE, Pages};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use twice_core::store::{
    ALIGN, Geometry, Hit, Meta, Options, Policy as Kind, RawLock, Region, Slot, Store, UNIT,
};

/// The least capacity that makes a store.
pub const LEAST: u64 = 64 * 1024;

/// Requests in a millisecond of the store's clock.
const REQUESTS_PER_MS: u64 = 10;

/// One thread alone needs no lock.
struct NoLock;
// SAFETY: each store here is used by one thread.
unsafe impl RawLock for NoLock {
    fn lock(&self) {}
    fn unlock(&self) {}
}

/// Zeroed memory, given back at the end. What nobody writes takes no room on most systems.
struct Memory {
    base: *mut u8,
    layout: Layout,
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and the store that used it is gone or will not be used again.
        unsafe { dealloc(self.base, self.layout) };
    }
}

pub struct Real<'t> {
    sizes: &'t [u32],
    store: Store,
    slot: Slot,
    /// After the store: dropped last.
    _memory: Memory,
    requests: u64,
}

impl<'t> Real<'t> {
    /// A store whose arena has the capacity, down to a whole unit.
    pub fn new(pages: &'t Pages, capacity: u64, policy: Kind) -> Real<'t> {
        let layout = Layout::from_size_align(region_len(capacity), ALIGN.max(4096)).expect("a length");
        // SAFETY: the layout has a size.
        let memory = Memory { base: unsafe { alloc_zeroed(layout) }, layout };
        // SAFETY: the memory has this length and is dropped after the store.
        let region = unsafe { Region::new(memory.base, layout.size()) }.expect("memory");
        let options = Options { seed: [1, 2], slots: 1, max_page: MAX_PAGE, inactive_ms: 0, policy };
        // SAFETY: nobody else knows the region.
        let store = unsafe { Store::create(region, &options) }.expect("large enough");
        // SAFETY: the only user.
        let slot = unsafe { Slot::new(0) };
        Real { sizes: &pages.sizes, store, slot, _memory: memory, requests: 0 }
    }
}

/// The length of a region whose arena has so many bytes.
fn region_len(capacity: u64) -> usize {
    let wanted = (capacity as usize / UNIT).max(1) * UNIT;
    let arena = |len: usize| Geometry::for_len(len, 1).map_or(0, |geometry| geometry.arena_bytes());
    let (mut short, mut enough) = (0, 2 * wanted + (1 << 20));
    while enough - short > 1 {
        let middle = short + (enough - short) / 2;
        if arena(middle) < wanted { short = middle } else { enough = middle }
    }
    enough
}

fn key_of(page: u32) -> [u8; KEY_LEN] {
    let mut key = *b"https://example.com/article/....";
    key[KEY_LEN - 4..].copy_from_slice(&page.to_le_bytes());
    key
}

impl Policy for Real<'_> {
    fn request(&mut self, page: u32, _: usize) -> bool {
        self.requests += 1;
        let now = self.requests / REQUESTS_PER_MS;
        let (store, slot, key) = (&self.store, &self.slot, key_of(page));
        let hash = store.hash(&key);
        if let Some(Hit { held, found, touch, .. }) = store.get(slot, hash, &key, now) {
            if touch {
                store.with(&NoLock, |s| s.touch(found.entry, now));
            }
            drop(held);
            return true;
        }
        if store.with(&NoLock, |s| s.lookup(hash, &key, now)).is_some() {
            return true;
        }
        let size = self.sizes[page as usize] as usize;
        let reserved = store.with(&NoLock, |s| s.reserve(slot, hash, &key, size, now)).expect("room");
        let meta = Meta { created_ms: now, expires_ms: u64::MAX, tag: 0, ..Meta::default() };
        store.with(&NoLock, |s| s.publish(reserved, meta, now)).expect("its own page");
        false
    }
}

impl Drop for Real<'_> {
    fn drop(&mut self) {
        // A table of a store that lost its way would be worth nothing.
        if !std::thread::panicking() {
            self.store.with(&NoLock, |s| s.check()).expect("sound");
        }
    }
}
