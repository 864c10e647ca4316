//! The one place where a zone's memory becomes a store.
//!
//! The zone's slab pool keeps nothing but one large piece, the store's region, and a word that finds
//! it again after a reload (`shpool->data`). The store's lock is the slab pool's mutex: nginx's master
//! unlocks that one, and no other, when the worker that held it dies (`ngx_unlock_mutexes`); the store
//! then finds its dirty word set and rebuilds itself.
//!
//! Lifetimes: a [`Zone`] is made when the configuration names it and lives as long as that
//! configuration's cycle, which outlives every request that runs under it.

use std::ffi::c_void;
use std::mem;
use std::ptr;

use ngx::ffi::{
    NGX_LOG_EMERG, NGX_MAX_PROCESSES, ngx_cycle_t, ngx_int_t, ngx_process_slot, ngx_shm_zone_t,
    ngx_shmtx_lock, ngx_shmtx_t, ngx_shmtx_unlock, ngx_slab_alloc, ngx_slab_pool_t,
};
use ngx::ngx_log_error;
use twice_core::store::{
    DeadSlot, Geometry, Held, Options, Pin, Policy, RawLock, Region, Section, Slot, Store, TooSmall,
};

use crate::guard::guarded;
use crate::sweep;
use crate::sys::{self, ERROR, OK};

/// What `max_object` is where the directive does not say.
pub const DEFAULT_MAX_OBJECT: usize = 1 << 20;

/// What a page may take besides a body of `max_object`: its key, its header lines, its program.
pub const PAGE_EXTRA: usize = 64 << 10;

/// Bytes of a zone that are nginx's own: the slab pool with its page table, and one page for alignment.
fn slab_overhead(size: usize) -> usize {
    let page = page_size();
    let table = size / page * 16;
    (mem::size_of::<ngx_slab_pool_t>() + 16 * 64 + table).next_multiple_of(page) + 2 * page
}

fn page_size() -> usize {
    // SAFETY: set once, before any configuration is read.
    unsafe { ngx::ffi::ngx_pagesize }
}

/// How a zone of `size` bytes would be divided; the error is the least size that would do.
pub fn geometry(size: usize) -> Result<Geometry, usize> {
    let room = size.saturating_sub(slab_overhead(size));
    Geometry::for_len(room, NGX_MAX_PROCESSES).map_err(|TooSmall { least }| {
        (least + slab_overhead(least + slab_overhead(least))).next_multiple_of(page_size())
    })
}

struct ShmLock(*mut ngx_shmtx_t);

// SAFETY: the mutex excludes every process that maps the zone; nginx's atomics order memory fully.
unsafe impl RawLock for ShmLock {
    fn lock(&self) {
        // SAFETY: the mutex of a mapped zone.
        unsafe { ngx_shmtx_lock(self.0) }
    }
    fn unlock(&self) {
        // SAFETY: as above; this process holds it.
        unsafe { ngx_shmtx_unlock(self.0) }
    }
}

/// A `twice_zone`.
pub struct Zone {
    name: String,
    max_object: usize,
    inactive_ms: u64,
    policy: Policy,
    store: Option<(Store, ShmLock)>,
    slot: Slot,
}

impl Zone {
    /// A zone whose memory is not there yet.
    pub fn new(name: &str, max_object: usize, inactive_ms: u64, policy: Policy) -> Self {
        // SAFETY: slot 0 until `init_process` sets this process's own; nothing is stored before that.
        let slot = unsafe { Slot::new(0) };
        Self { name: name.to_owned(), max_object, inactive_ms, policy, store: None, slot }
    }

    /// Largest body and page that is stored.
    pub fn max_object(&self) -> usize {
        self.max_object
    }

    /// The store; none only before nginx has mapped the zone.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref().map(|(store, _)| store)
    }

    /// This process's slot.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Does something under the zone's lock.
    pub fn with<'s, T>(&'s self, work: impl FnOnce(&mut Section<'s>) -> T) -> Option<T> {
        let (store, lock) = self.store.as_ref()?;
        Some(store.with(lock, work))
    }

    /// Keeps a held page until `unpin`; none if all pins are in use.
    pub fn pin(&self, held: &Held<'_>) -> Option<Pin> {
        let (store, lock) = self.store.as_ref()?;
        store.pin(lock, &self.slot, held)
    }

    /// Ends a pin of this zone.
    pub fn unpin(&self, pin: Pin) {
        if let Some((store, lock)) = &self.store {
            store.unpin(lock, &self.slot, pin);
        }
    }
}

/// nginx's callback: the zone is mapped, for the first time or again after a reload.
pub unsafe extern "C" fn init_zone(shm_zone: *mut ngx_shm_zone_t, old: *mut c_void) -> ngx_int_t {
    guarded(ERROR, || {
        // SAFETY: nginx passes the zone that `twice_zone` made; its data is the `Zone` set there.
        let zone = unsafe { &mut *(*shm_zone).data.cast::<Zone>() };
        // SAFETY: as above; `old` is the data of the same zone of the cycle before, or null.
        match unsafe { map(shm_zone, zone, !old.is_null()) } {
            Ok(()) => OK,
            Err(why) => {
                // SAFETY: the zone's log lives as long as the cycle.
                let log = unsafe { (*shm_zone).shm.log };
                ngx_log_error!(NGX_LOG_EMERG, log, "twice: zone \"{}\": {}", zone.name, why);
                ERROR
            }
        }
    })
}

/// # Safety
/// Called from the zone's init callback, with its zone.
unsafe fn map(shm_zone: *mut ngx_shm_zone_t, zone: &mut Zone, reload: bool) -> Result<(), String> {
    // SAFETY: nginx maps the memory and makes the slab pool before it calls.
    let pool = unsafe { (*shm_zone).shm.addr.cast::<ngx_slab_pool_t>() };
    // SAFETY: a live slab pool.
    let lock = ShmLock(unsafe { &raw mut (*pool).mutex });
    let options = Options {
        seed: random_seed()?,
        slots: NGX_MAX_PROCESSES,
        max_page: zone.max_object + PAGE_EXTRA,
        inactive_ms: zone.inactive_ms,
        policy: zone.policy,
    };
    // SAFETY: `data` is ours to use; it holds the region's description once one was made.
    let known = unsafe { (*pool).data.cast::<RegionAt>() };
    if reload && !known.is_null() {
        // SAFETY: written below by the first cycle; the mapping stays at its address on a reload, and
        // all processes use this store under the slab pool's mutex.
        let region = unsafe { Region::new((*known).base, (*known).len) };
        let store = region.and_then(|region| Store::attach(region).ok());
        // Workers of the cycle before are still using it: it can't be made anew under them.
        let store = store.ok_or("holds a store of another version, allowed is a restart of nginx")?;
        zone.store = Some((store, lock));
        return Ok(());
    }
    // SAFETY: a fresh slab pool that only this process sees yet. The small piece first: the large one
    // then takes the run of pages that is left.
    let (at, base, len) = unsafe {
        let at = ngx_slab_alloc(pool, mem::size_of::<RegionAt>()).cast::<RegionAt>();
        let len = (*pool).pfree * page_size();
        (at, ngx_slab_alloc(pool, len).cast::<u8>(), len)
    };
    if at.is_null() || base.is_null() {
        return Err("its memory could not be taken as one piece".to_owned());
    }
    // SAFETY: the piece is ours alone, and used under the slab pool's mutex.
    let region = unsafe { Region::new(base, len) }.ok_or("its memory is not aligned")?;
    // SAFETY: no other process knows the region yet.
    let store = unsafe { Store::create(region, &options) }.map_err(too_small)?;
    // SAFETY: `at` is a fresh piece of the right size; slab pieces of this size are aligned to it.
    unsafe {
        at.write(RegionAt { base, len });
        (*pool).data = at.cast();
    }
    zone.store = Some((store, lock));
    Ok(())
}

fn too_small(why: TooSmall) -> String {
    format!("its memory is too small by {} bytes", why.least)
}

/// Where the region lies, kept in the zone itself.
#[repr(C)]
struct RegionAt {
    base: *mut u8,
    len: usize,
}

/// A seed that no visitor can know (hash flooding: oCERT-2011-003).
fn random_seed() -> Result<[u64; 2], String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| format!("the system gives no random bytes: {e}"))?;
    let (a, b) = bytes.split_at(8);
    let word = |half: &[u8]| half.iter().fold(0u64, |n, &b| n << 8 | u64::from(b));
    Ok([word(a), word(b)])
}

/// The configuration is good: what it says of its zones' limits holds from now on, for the workers of the
/// one before, too.
///
/// # Safety
/// nginx's init_module callback, with its cycle.
pub unsafe fn init_module(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise; an HTTP block need not be there.
    let Some(conf) = (unsafe { crate::conf::main_of_cycle(cycle) }) else { return };
    for &shm_zone in &conf.zones {
        // SAFETY: a zone of this cycle.
        if let Some(zone) = unsafe { zone_of(shm_zone) } {
            zone.with(|section| {
                section.set_limits(zone.max_object + PAGE_EXTRA, zone.inactive_ms, zone.policy)
            });
        }
    }
}

/// A new worker takes its slot in every zone, and what a killed predecessor held there.
///
/// # Safety
/// nginx's init_process callback, with its cycle.
pub unsafe fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: set by the master before it forked this worker.
    let number = u32::try_from(unsafe { ngx_process_slot }).unwrap_or(0);
    // SAFETY: the running cycle; an HTTP block need not be there.
    let Some(conf) = (unsafe { crate::conf::main_of_cycle(cycle) }) else { return OK };
    for &shm_zone in &conf.zones {
        // SAFETY: the zones of this cycle, whose data are `Zone`s.
        let zone = unsafe { &mut *(*shm_zone).data.cast::<Zone>() };
        // SAFETY: nginx gives a process slot to one process at a time, and this process is new.
        let dead = unsafe { DeadSlot::new(number) };
        // SAFETY: as above; the zone of this cycle is the only user of the number in this process.
        zone.slot = unsafe { Slot::new(number) };
        zone.with(|section| {
            section.release_slot(&dead);
            section.claim_slot(&zone.slot, std::process::id());
            sweep::sweep(section);
        });
    }
    if !conf.zones.is_empty() {
        // SAFETY: the caller's promise.
        unsafe { sweep::start(cycle) };
    }
    OK
}

/// Milliseconds since the epoch, by nginx's cached clock.
pub fn now_ms() -> u64 {
    let time = ngx::ffi::ngx_timeofday();
    u64::try_from(time.sec).unwrap_or(0) * 1000 + time.msec as u64
}

/// The zone of a location, from nginx's shared zone.
///
/// # Safety
/// `shm_zone` is null or a zone that `twice_zone` of this configuration made.
pub unsafe fn zone_of<'a>(shm_zone: *mut ngx_shm_zone_t) -> Option<&'a Zone> {
    if shm_zone.is_null() || ptr::eq(shm_zone, sys::unset_ptr()) {
        return None;
    }
    // SAFETY: the caller's promise; `Zone`s live as long as their configuration.
    unsafe { (*shm_zone).data.cast::<Zone>().as_ref() }
}
