//! The one place where a zone's memory becomes a store.
//!
//! The zone's slab pool keeps nothing but one large piece, the store's region, and a word that finds
//! it again after a reload (`shpool->data`). The store's lock is the slab pool's mutex, which is freed when
//! the worker that held it dies (`lock`); the store then finds its dirty word set and rebuilds itself.
//!
//! Lifetimes: a [`Zone`] is made when the configuration names it and lives as long as that
//! configuration's cycle, which outlives every request that runs under it.

mod elements;
mod emptied;
mod lock;

use std::ffi::c_void;
use std::mem;
use std::ptr;

use ngx::ffi::{
    NGX_LOG_EMERG, NGX_MAX_PROCESSES, ngx_cycle_t, ngx_int_t, ngx_process_slot, ngx_shm_zone_t,
    ngx_slab_alloc, ngx_slab_pool_t,
};
use ngx::ngx_log_error;
use twice_core::board::flights::{Channels, Flights, Owner};
use twice_core::board::{Board, Counter, Plan};
use twice_core::store::{
    DeadSlot, Geometry, Held, Options, Pin, Policy, Region, Section, Slot, Store, TooSmall,
};

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
    let room = size.saturating_sub(slab_overhead(size) + board_bytes(size));
    Geometry::for_len(room, NGX_MAX_PROCESSES).map_err(|TooSmall { least }| {
        let all = |size| least + slab_overhead(size) + board_bytes(size);
        all(all(all(least))).next_multiple_of(page_size())
    })
}

/// Bytes that a zone's board takes: whole pages of nginx's slab pool.
fn board_bytes(size: usize) -> usize {
    Plan::for_zone(size).bytes().next_multiple_of(page_size())
}

/// A `twice_zone`.
pub struct Zone {
    name: String,
    max_object: usize,
    inactive_ms: u64,
    policy: Policy,
    snapshot: Option<Snapshot>,
    store: Option<(Store, ShmLock)>,
    board: Option<Board>,
    slot: Slot,
}

impl Zone {
    /// A zone whose memory is not there yet.
    pub fn new(name: &str, max_object: usize, inactive_ms: u64, policy: Policy) -> Self {
        // SAFETY: slot 0 until `init_process` sets this process's own; nothing is stored before that.
        let slot = unsafe { Slot::new(0) };
        Self {
            name: name.to_owned(),
            max_object,
            inactive_ms,
            policy,
            snapshot: None,
            store: None,
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
        self.board.map(|board| board.flights(section).give_up_all(slot)).unwrap_or_default()
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
    let plan = Plan::for_zone(unsafe { (*shm_zone).shm.size });
    // SAFETY: `data` is ours to use; it holds the region's description once one was made.
    let known = unsafe { (*pool).data.cast::<RegionAt>() };
    if reload && !known.is_null() {
        // SAFETY: written below by the first cycle; the mapping stays at its address on a reload, and
        // all processes use this store under the slab pool's mutex.
        let region = unsafe { Region::new((*known).base, (*known).len) };
        let store = region.and_then(|region| Store::attach(region).ok());
        // Only stray writes lead here: another build's store has another tag, and so memory of its own. It
        // can't be made anew, as workers of the cycle before are using it and it takes the whole zone. So the
        // reload is refused and the old configuration serves on; another size gives the zone new memory.
        let store = store.ok_or("holds no store that can be used, allowed is another size or a restart")?;
        // SAFETY: as above.
        let board = unsafe { Region::new((*known).board, plan.bytes()) };
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
        let len = (*pool).pfree * page_size();
        (at, board, ngx_slab_alloc(pool, len).cast::<u8>(), len)
    };
    if at.is_null() || board.is_null() || base.is_null() {
        return Err("its memory could not be taken as one piece".to_owned());
    }
    // SAFETY: the piece is ours alone, and used under the slab pool's mutex.
    let region = unsafe { Region::new(base, len) }.ok_or("its memory is not aligned")?;
    // SAFETY: no other process knows the region yet.
    let store = unsafe { Store::create(region, &options) }.map_err(too_small)?;
    if zone.snapshot.is_none() {
        // Should a later configuration name a file, it must not be loaded over what is here by then.
        store.with(&lock, |section| section.set_saved_ms(now_ms()));
    }
    // SAFETY: `at` is a fresh piece of the right size; slab pieces of this size are aligned to it.
    unsafe {
        at.write(RegionAt { base, len, board });
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

/// Where the region lies, kept in the zone itself.
#[repr(C)]
struct RegionAt {
    base: *mut u8,
    len: usize,
    /// The board, as long as its plan for the zone's size says.
    board: *mut u8,
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
        // SAFETY: nginx gives a process slot to one process at a time, and this process is new.
        let dead = unsafe { DeadSlot::new(number) };
        // SAFETY: as above; the zone of this cycle is the only user of the number in this process.
        zone.slot = unsafe { Slot::new(number) };
        let woken = zone.with(|section| {
            // Before the slot is released: should we die in between, somebody will do it again.
            let woken = zone.give_up_all(section, number);
            section.release_slot(&dead);
            section.claim_slot(&zone.slot, std::process::id());
            woken
        });
        channel::wake(woken.unwrap_or_default());
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
