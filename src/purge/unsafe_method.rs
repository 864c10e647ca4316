//! An unsafe method that succeeds makes what is stored under its URL untrue (RFC 9111 4.4), and under the URLs of its origin that
//! the answer names: what `Content-Location` says the answer is about, and what the `Location` of a 2xx says was made. The
//! `Location` of a redirection only says where the visitor goes next, which is most often the site's busiest page.
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
use twice_core::purge::Command;
use twice_core::reference;

use super::endpoint::{purge, site_of};
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
                let mut things = vec![Purge::Mark((*note).mark)];
                things.extend(named(request, status < 300).into_iter().map(Purge::Mark));
                // Whatever the answer: there is nobody to tell.
                let _ = purge(zone, &things, false);
                zone.count(Counter::Purges);
            }
        }
    }
}

/// The marks of the URLs that the answer names on its own origin, one for each header at most.
fn named(request: Request<'_>, with_location: bool) -> Vec<u64> {
    let Some(base) = identity::base_of(request) else { return Vec::new() };
    let mark = |lower: &[u8]| {
        let value = request.lines_out().find_map(|line| {
            // SAFETY: a line of this live request; a deleted one has hash 0.
            let (name, value) = unsafe { if (*line).hash == 0 { return None } else { sys::pair(line) } };
            name.eq_ignore_ascii_case(lower).then_some(value)
        })?;
        let target = reference::on_same_origin(value, base)?;
        Command::from_url(&target, site_of(request)).ok()?.urls.pop()
    };
    let location = with_location.then(|| mark(b"location")).flatten();
    mark(b"content-location").into_iter().chain(location).collect()
}
