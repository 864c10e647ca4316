//! An unsafe method that succeeds makes what is stored under its URL untrue (RFC 9111 4.4).
//!
//! What it asks for is noted when it comes in: by the time it is answered nginx may have made another request of it, as
//! `X-Accel-Redirect` and `error_page` have it go on as a GET somewhere else. The note hangs on a cleanup of the pool, which
//! outlives that.

use std::ffi::c_void;
use std::ptr;

use ngx::ffi::{
    NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_OPTIONS, NGX_HTTP_PROPFIND, NGX_HTTP_TRACE, ngx_pool_cleanup_add,
    ngx_uint_t,
};
use twice_core::board::{Counter, Purge};
use twice_core::marks;

use super::endpoint::purge;
use crate::identity;
use crate::shm::Zone;
use crate::sys::{self, Request};

const SAFE: u32 = NGX_HTTP_GET | NGX_HTTP_HEAD | NGX_HTTP_OPTIONS | NGX_HTTP_TRACE | NGX_HTTP_PROPFIND;

/// What will be untrue. Plain memory of the pool.
struct Note {
    /// Null when it has been purged.
    zone: *const Zone,
    mark: u64,
}

/// The mark of our notes ([`sys::notes`]).
unsafe extern "C" fn forget(data: *mut c_void) {
    // SAFETY: nginx runs a cleanup once, with the data that `note` wrote.
    unsafe { ptr::write_volatile(&raw mut (*data.cast::<Note>()).mark, 0) };
}

/// Notes a client's request that is none of the cache's business for its method. None: no memory.
pub fn note(request: Request<'_>, zone: &Zone) -> Option<()> {
    // SAFETY: a live request.
    let method = unsafe { (*request.raw()).method };
    if method & SAFE as ngx_uint_t != 0 || !request.is_main() {
        return Some(());
    }
    let (host, target) = identity::url_of(request)?;
    // SAFETY: a live pool; the cleanup's data is ours to write.
    unsafe {
        let cleanup = ngx_pool_cleanup_add(request.pool(), size_of::<Note>());
        let note = cleanup.as_mut()?;
        note.data.cast::<Note>().write(Note { zone, mark: marks::of_url(&host, &target) });
        note.handler = Some(forget);
    }
    Some(())
}

/// A request is being answered: what was noted of it is purged if it has succeeded. Before the client hears of it.
pub fn answered(request: Request<'_>) {
    // SAFETY: a live request.
    let status = unsafe { (*request.raw()).headers_out.status };
    if !(200..400).contains(&status) || !request.is_main() {
        return;
    }
    // SAFETY: the pool of a live request; cleanups with our handler have the data that `note` wrote, and zones outlive
    // the requests of their cycle.
    unsafe {
        for note in sys::notes(request.pool(), forget) {
            let note = note.cast::<Note>();
            if let Some(zone) = (*note).zone.as_ref() {
                (*note).zone = ptr::null();
                // Whatever the answer: there is nobody to tell.
                let _ = purge(zone, &[Purge::Mark((*note).mark)], false);
                zone.count(Counter::Purges);
            }
        }
    }
}
