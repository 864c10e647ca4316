//! The one place where a zone's memory becomes a store.
//!
//! The zone's slab pool keeps nothing but a board, one large piece, and a word that finds both again after a
//! reload (`shpool->data`). In the large piece lie the store of pages, that of remembered values and that of local
//! counters (`twice_core::shares`). All have one lock, the slab pool's mutex, which is freed when the worker that held it
//! dies (`lock`); the store that it was changing then finds its dirty word set and rebuilds itself.
//!
//! A process has the same slot in all three. Only pages are pinned: a slot knows the free pins of one store.
//!
//! Lifetimes: a [`Zone`] is made when the configuration names it and lives as long as that
//! configuration's cycle, which outlives every request that runs under it.

mod elements;
mod emptied;
mod layout;
mod local;
mod lock;
mod stores;

use std::ffi::c_void;
use std::mem;
use std::ptr;

use ngx::ffi::{
    NGX_LOG_EMERG, NGX_MAX_PROCESSES, ngx_cycle_t, ngx_int_t, ngx_process_slot, ngx_shm_zone_t,
    ngx_slab_alloc, ngx_slab_pool_t,
};
use ngx::ngx_log_error;
use twice_core::board::flights::{Channels, Flights, Owner};
use twice_core::board::{Board, Counter};
use twice_core::elements::MAX_ELEMENT;
use twice_core::local::MAX_ID;
use twice_core::shares::{Parts, Shares, TooFew};
use twice_core::store::{Held, Options, Pin, Policy, Region, Section, Slot, Store, TooSmall};

#[allow(unused_imports, reason = "for sources")]
pub use self::elements::Element;
pub use self::emptied::find as find_zone;
pub use self::layout::{Misfit, geometry, page_size, size_for, tag};
use self::lock::ShmLock;
use crate::channel;
use crate::guard::guarded;
use crate::purge;
use crate::snapshot::Snapshot;
use crate::sweep;
use crate::sys::{self, ERROR, OK};

/// What `max_object` is where the directive does not say.
pub const DEFAULT_MAX_OBJECT: usize = 1 << 20;

/// What a page may take besides a body of `max_object`: its key, its header lines, its program.
pub const PAGE_EXTRA: usize = 64 << 10;

/// A `twice_zone`.
pub struct Zone {
    name: String,
    max_object: usize,
    inactive_ms: u64,
    policy: Policy,
    shares: Shares,
    snapshot: Option<Snapshot>,
    store: Option<(Store, ShmLock)>,
    /// Remembered values, where the zone has room for such; under the same lock.
    elements: Option<Store>,
    /// Local counters, likewise.
    local: Option<Store>,
    board: Option<Board>,
    slot: Slot,
}

impl Zone {
    /// A zone whose memory is not there yet.
    pub fn new(name: &str, max_object: usize, inactive_ms: u64, policy: Policy, shares: Shares) -> Self {
        // SAFETY: slot 0 until `init_process` sets this process's own; nothing is stored before that.
        let slot = unsafe { Slot::new(0) };
        Self {
            name: name.to_owned(),
            max_object,
            inactive_ms,
            policy,
            shares,
            snapshot: None,
            store: None,
            elements: None,
            local: None,
            board: None,
            slot,
        }
    }

    /// Keeps its pages in a file, too.
    pub fn with_snapshot(self, snapshot: Option<Snapshot>) -> Self {
        Self { snapshot, ..self }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that keeps its pages.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// What of it is not the pages'.
    pub fn shares(&self) -> Shares {
        self.shares
    }

    /// Largest body and page that is stored.
    pub fn max_object(&self) -> usize {
        self.max_object
    }

    /// Largest sum of a page's key and value.
    pub fn max_page(&self) -> usize {
        self.max_object + PAGE_EXTRA
    }

    /// Whether a page that was last used then is one that nobody asks for.
    pub fn is_inactive(&self, last_used_ms: u64, now_ms: u64) -> bool {
        self.inactive_ms != 0 && now_ms.saturating_sub(last_used_ms) > self.inactive_ms
    }

    /// The store; none only before nginx has mapped the zone.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref().map(|(store, _)| store)
    }

    /// What the zone keeps besides its pages; none only before nginx has mapped the zone.
    pub fn board(&self) -> Option<&Board> {
        self.board.as_ref()
    }

    /// Notes that a visitor of this address came by.
    pub fn visit(&self, address: &[u8]) {
        if let (Some(board), Some((store, _))) = (&self.board, &self.store) {
            board.visit(store.hash(address), now_ms());
        }
    }

    /// Counts one more of something.
    pub fn count(&self, counter: Counter) {
        if let Some(board) = &self.board {
            board.count(&self.slot, counter);
        }
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

    /// Does something with the fetches under way, under the zone's lock.
    pub fn flights<T>(&self, work: impl FnOnce(&Section<'_>, &mut Flights<'_>) -> T) -> Option<T> {
        let board = self.board?;
        self.with(|section| work(section, &mut board.flights(section)))
    }

    /// Ends the fetches of a slot whose process is no more. The section is this zone's.
    pub fn give_up_all(&self, section: &Section<'_>, slot: u32) -> Channels {
        let Some(board) = self.board else { return Channels::default() };
        let elements = board.element_flights(section).map(|mut flights| flights.give_up_all(slot));
        board.flights(section).give_up_all(slot).and(elements.unwrap_or_default())
    }

    /// This process, as one that fetches.
    pub fn owner(&self) -> Owner {
        Owner { slot: self.slot.number(), pid: std::process::id() }
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
    let lock = unsafe { ShmLock::new(&raw mut (*pool).mutex) };
    let options = Options {
        seed: random_seed()?,
        slots: NGX_MAX_PROCESSES,
        max_page: zone.max_page(),
        inactive_ms: zone.inactive_ms,
        policy: zone.policy,
    };
    // SAFETY: as above.
    let size = unsafe { (*shm_zone).shm.size };
    let too_few = |why: TooFew| format!("{} is too small", why.name);
    let parts = layout::parts(size, zone.shares).map_err(too_few)?;
    let plan = layout::plan(size, parts);
    // SAFETY: `data` is ours to use; it holds the region's description once one was made.
    let known = unsafe { (*pool).data.cast::<RegionAt>() };
    if reload && !known.is_null() {
        // SAFETY: written below by the first cycle; the mapping stays at its address on a reload, and
        // all processes use these stores under the slab pool's mutex.
        let at = unsafe { known.read() };
        // SAFETY: as above.
        let regions = unsafe { at.regions() };
        let attach = |region: Option<Region>| region.and_then(|region| Store::attach(region).ok());
        let [store, elements, local] = regions.map(attach);
        // Only stray writes lead here: another build's store has another tag, and so memory of its own. It
        // can't be made anew, as workers of the cycle before are using it and it takes the whole zone. So the
        // reload is refused and the old configuration serves on; another size gives the zone new memory.
        let whole = at.parts == parts
            && elements.is_some() == (parts.elements > 0)
            && local.is_some() == (parts.local > 0);
        let store = store.filter(|_| whole);
        let store = store.ok_or("holds no store that can be used, allowed is another size or a restart")?;
        (zone.elements, zone.local) = (elements, local);
        // SAFETY: as above.
        let board = unsafe { Region::new(at.board, plan.bytes()) };
        let board = board.and_then(|region| Board::attach(region, plan));
        zone.board =
            Some(board.ok_or("holds no board that can be used, allowed is another size or a restart")?);
        zone.store = Some((store, lock));
        return Ok(());
    }
    // SAFETY: a fresh slab pool that only this process sees yet. The small piece first: the large one
    // then takes the run of pages that is left.
    let (at, board, base, len) = unsafe {
        let at = ngx_slab_alloc(pool, mem::size_of::<RegionAt>()).cast::<RegionAt>();
        let board = ngx_slab_alloc(pool, plan.bytes()).cast::<u8>();
        let len = (*pool).pfree * layout::page_size();
        (at, board, ngx_slab_alloc(pool, len).cast::<u8>(), len)
    };
    if at.is_null() || board.is_null() || base.is_null() {
        return Err("its memory could not be taken as one piece".to_owned());
    }
    let found = RegionAt { base, len, board, parts };
    // SAFETY: the piece is ours alone, and used under the slab pool's mutex.
    let [pages, elements, local] = unsafe { found.regions() };
    let pages = pages.ok_or("its memory is not aligned, or too small")?;
    // SAFETY: no other process knows the region yet.
    let store = unsafe { Store::create(pages, &options) }.map_err(too_small)?;
    let create = |region: Option<Region>, max_page: usize| {
        let options = Options { max_page, inactive_ms: 0, policy: Policy::Lru, ..options };
        // SAFETY: as above.
        region.map(|region| unsafe { Store::create(region, &options) }.map_err(too_small)).transpose()
    };
    zone.elements = create(elements, MAX_ELEMENT)?;
    zone.local = create(local, MAX_ID)?;
    if zone.snapshot.is_none() {
        // Should a later configuration name a file, it must not be loaded over what is here by then.
        store.with(&lock, |section| section.set_saved_ms(now_ms()));
    }
    // SAFETY: `at` is a fresh piece of the right size; slab pieces of this size are aligned to it.
    unsafe {
        at.write(found);
        (*pool).data = at.cast();
    }
    zone.store = Some((store, lock));
    // SAFETY: as for the store.
    let region = unsafe { Region::new(board, plan.bytes()) }.ok_or("its board is not aligned")?;
    let board = Board::create(region, plan).ok_or("its board has no room")?;
    if let Some((store, lock)) = &zone.store {
        // Greater than in any earlier life, so that what was written down then is told from what comes.
        store.with(lock, |section| board.turn_journal(section, now_ms() / 1000));
    }
    zone.board = Some(board);
    Ok(())
}

fn too_small(why: TooSmall) -> String {
    format!("its memory is too small by {} bytes", why.least)
}

/// Where the stores' regions lie, kept in the zone itself.
#[derive(Clone, Copy)]
#[repr(C)]
struct RegionAt {
    base: *mut u8,
    /// Of all three.
    len: usize,
    /// The board, as long as its plan for the zone's size says.
    board: *mut u8,
    parts: Parts,
}

impl RegionAt {
    /// The regions of pages, remembered values and local counters. None: the store has no room, or is not wanted.
    ///
    /// # Safety
    /// There are `len` bytes at `base`, and what [`Region::new`] asks for holds.
    unsafe fn regions(&self) -> [Option<Region>; 3] {
        let Parts { elements, local } = self.parts;
        let Some(pages) = self.len.checked_sub(self.parts.sum()) else { return [None; 3] };
        let mut at = 0;
        [pages, elements, local].map(|len| {
            let start = self.base.wrapping_add(at);
            at += len;
            // SAFETY: the caller's promise: the three lie one behind the other in the `len` bytes.
            if len > 0 { unsafe { Region::new(start, len) } } else { None }
        })
    }
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
            zone.with(|section| section.set_limits(zone.max_page(), zone.inactive_ms, zone.policy));
        }
    }
    // SAFETY: the caller's promise.
    unsafe { emptied::tell(cycle, &conf.zones) };
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
        // SAFETY: this process is new, and has the number.
        channel::wake(unsafe { zone.enter(number) });
        sweep::sweep(zone);
    }
    if !conf.zones.is_empty() {
        // SAFETY: the caller's promise.
        unsafe {
            sweep::start(cycle);
            purge::sweep::start(cycle);
        }
    }
    OK
}

/// Whether there is no process of this number any more. One that another program has by now counts as there, until later.
pub fn is_gone(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 only asks; 0 and less are no process of ours to ask for.
    let failed = pid > 0 && unsafe { libc::kill(pid, 0) == -1 };
    failed && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
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
