//! What is counted for sources and servers, and whether servers are asked, in a shared zone of their own.
//!
//! Invariants
//! - The memory is mapped before any worker is forked, and as long as the configuration whose sources point to it.
//! - A reload keeps it, with all that is in it, while about as many sources and servers are configured; else what the new ones
//!   need is copied. What has the same name goes on: workers that leave count in the same rows as new ones.

use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem;
use std::ptr;
use std::slice;

use ngx::ffi::{
    NGX_LOG_EMERG, ngx_conf_t, ngx_cycle, ngx_int_t, ngx_process_slot, ngx_shared_memory_add, ngx_shm_zone_t,
    ngx_slab_alloc, ngx_slab_pool_t,
};
use ngx::{ngx_log_error, ngx_string};
use twice_core::health::Health;
use twice_core::source::figures::{self, Figure, Row, Rows, ServerStat, Stat};

use super::{Kind, Source};
use crate::conf::MainConf;
use crate::guard::guarded;
use crate::shm;
use crate::sys::{self, ERROR, OK};

/// A name that no `twice_zone` can have.
const ZONE: ngx::ffi::ngx_str_t = ngx_string!("twice:sources");

/// What is counted for one source, or for one server.
pub struct Figures<F> {
    /// Null until the zone is mapped.
    row: Cell<*const Row>,
    counts: PhantomData<F>,
}

/// A source's.
pub type OfSource = Figures<Stat>;

/// A server's.
pub type OfServer = Figures<ServerStat>;

impl<F> Default for Figures<F> {
    fn default() -> Self {
        Self { row: Cell::new(ptr::null()), counts: PhantomData }
    }
}

impl<F> Clone for Figures<F> {
    fn clone(&self) -> Self {
        Self { row: self.row.clone(), counts: PhantomData }
    }
}

impl<F: Figure> Figures<F> {
    fn row(&self) -> Option<&Row> {
        // SAFETY: null, or a row of the zone, which is mapped as long as the configuration that this is of.
        unsafe { self.row.get().as_ref() }
    }

    /// Counts more of something.
    pub fn add(&self, figure: F, count: u64) {
        if let Some(row) = self.row() {
            // SAFETY: set before the process served anything; a number without meaning elsewhere.
            let worker = usize::try_from(unsafe { ngx_process_slot }).unwrap_or(0);
            row.add(worker, figure, count);
        }
    }

    /// A figure, over all workers.
    pub fn figure(&self, figure: F) -> u64 {
        self.row().map_or(0, |row| row.figure(figure))
    }
}

impl OfServer {
    /// Whether it is asked; none only before the zone is mapped.
    pub fn health(&self) -> Option<&Health> {
        self.row().map(|row| &row.health)
    }

    /// It begins to rest.
    pub fn ejected(&self, now_ms: u64) {
        self.add(ServerStat::Ejects, 1);
        if let Some(row) = self.row() {
            row.set_ejected_ms(now_ms);
        }
    }

    /// When it last began to rest, milliseconds; 0: never.
    pub fn ejected_ms(&self) -> u64 {
        self.row().map_or(0, Row::ejected_ms)
    }
}

impl Source {
    /// Counts one more of something.
    pub fn count(&self, stat: Stat) {
        self.figures.add(stat, 1);
    }
}

/// Asks nginx for the zone. All sources are known.
///
/// # Safety
/// `cf` must be the running configuration, and `main` its own, which stays where it is.
pub unsafe fn add_zone(cf: *mut ngx_conf_t, main: &mut MainConf) -> Result<(), String> {
    let servers = main.sources.iter().map(|source| 1 + source.backends().count());
    let size = shm::size_for(figures::rows_for(servers.sum()) * mem::size_of::<Row>());
    let mut name = ZONE;
    // SAFETY: the caller's promise; nginx keeps the literal's address.
    unsafe {
        let zone = ngx_shared_memory_add(cf, &raw mut name, size, crate::tag());
        if zone.is_null() {
            return Err("the sources' figures can't have a shared zone".to_owned());
        }
        (*zone).data = ptr::from_mut(main).cast();
        (*zone).init = Some(init_zone);
    }
    Ok(())
}

/// nginx's callback: the zone is mapped, for the first time or again after a reload.
unsafe extern "C" fn init_zone(zone: *mut ngx_shm_zone_t, old: *mut c_void) -> ngx_int_t {
    guarded(ERROR, || {
        // SAFETY: nginx passes the zone of `add_zone`, mapped, with the configuration that was set there.
        let (done, log) = unsafe {
            let main = &*(*zone).data.cast::<MainConf>();
            (map(zone, !old.is_null()).and_then(|rows| give_out(main, rows)), (*zone).shm.log)
        };
        match done {
            Ok(()) => OK,
            Err(why) => {
                ngx_log_error!(NGX_LOG_EMERG, log, "twice: the sources' figures: {}", why);
                ERROR
            }
        }
    })
}

/// Where the rows lie, kept in the zone itself.
#[derive(Clone, Copy)]
#[repr(C)]
struct RowsAt {
    base: *const Row,
    len: usize,
}

/// The rows of a zone that has some.
///
/// # Safety
/// `zone` must be a mapped zone of [`add_zone`], and stay so for `'a`.
unsafe fn rows_of<'a>(zone: *const ngx_shm_zone_t) -> Option<Rows<'a>> {
    // SAFETY: the caller's promise; `data` is null or what `map` wrote. Rows are made of atomics, so that all processes may
    // hold them at once.
    unsafe {
        let pool = (*zone).shm.addr.cast::<ngx_slab_pool_t>();
        let at = (*pool).data.cast::<RowsAt>().as_ref()?;
        Some(Rows(slice::from_raw_parts(at.base, at.len)))
    }
}

/// # Safety
/// Called from the zone's init callback, with its zone.
unsafe fn map<'a>(zone: *mut ngx_shm_zone_t, reload: bool) -> Result<Rows<'a>, String> {
    if reload {
        // SAFETY: the caller's promise.
        return unsafe { rows_of(zone) }
            .ok_or_else(|| "their memory holds no rows, allowed is a restart".to_owned());
    }
    // SAFETY: nginx has mapped the memory and made the slab pool, which only this process sees yet. Pieces of a page and
    // more are aligned to pages, small ones to their size. Zeros are rows that nobody has.
    unsafe {
        let pool = (*zone).shm.addr.cast::<ngx_slab_pool_t>();
        let at = ngx_slab_alloc(pool, mem::size_of::<RowsAt>()).cast::<RowsAt>();
        let bytes = (*pool).pfree * shm::page_size();
        let base = ngx_slab_alloc(pool, bytes).cast::<Row>();
        if at.is_null() || base.is_null() {
            return Err("their memory could not be taken as one piece".to_owned());
        }
        let len = bytes / mem::size_of::<Row>();
        ptr::write_bytes(base, 0, len);
        at.write(RowsAt { base, len });
        (*pool).data = at.cast();
        Ok(Rows(slice::from_raw_parts(base, len)))
    }
}

/// Gives each source and server its row.
fn give_out(main: &MainConf, rows: Rows<'_>) -> Result<(), String> {
    let configuration = rows.latest() + 1;
    let take = |name: &[u8]| rows.take(name, configuration).ok_or("they have no room, allowed is a restart");
    for source in &main.sources {
        let row = take(source.name.as_bytes())?;
        source.figures.row.set(row);
        if let Kind::Memcached(pool) = &source.kind {
            pool.figures().row.set(row);
        }
        for backend in source.backends() {
            let name = [source.name.as_bytes(), backend.name.as_bytes()].join(&0);
            backend.figures.row.set(take(&name)?);
        }
    }
    // SAFETY: while a configuration is read, nginx's running cycle is the one before, whose zones are mapped until the
    // new one holds. At the first start its list is empty.
    let before = unsafe {
        let zones = &(*ngx_cycle).shared_memory.part;
        shm::find_zone(zones, sys::bytes(ZONE)).filter(|zone| zone.tag == crate::tag())
    };
    // SAFETY: as above; by its name and tag it is ours.
    if let Some(before) = before.and_then(|zone| unsafe { rows_of(zone) })
        && !ptr::eq(before.0, rows.0)
    {
        rows.take_over(before);
    }
    Ok(())
}
