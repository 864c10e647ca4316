//! nginx's `mirror` beside a hit: who mirrors traffic wants all of it. A hit leaves the phase in which nginx mirrors, for
//! `try_files` must not send it elsewhere, so that it is mirrored here, as nginx would.
//!
//! A hit has no body, so that `mirror_request_body` makes no difference. In the REWRITE phase (`return`) nginx itself
//! mirrors nothing.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use ngx::ffi::{
    NGX_HTTP_SUBREQUEST_BACKGROUND, ngx_array_t, ngx_conf_t, ngx_http_subrequest, ngx_str_t, ngx_uint_t,
};

use crate::conf;
use crate::sys::{self, OK, Request};

/// Context index of nginx's mirror module; `usize::MAX` in an nginx without it.
static MIRROR: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Looks up nginx's module.
///
/// # Safety
/// `cf` must be the running configuration.
pub unsafe fn find_module(cf: *mut ngx_conf_t) {
    // SAFETY: the caller's promise.
    MIRROR.store(unsafe { conf::index_of_module(cf, c"ngx_http_mirror_module") }, Ordering::Relaxed);
}

/// Starts the sub-requests that the location's `mirror` asks for; false when memory ran out. They run by themselves, when
/// the page is on its way.
pub fn hit(request: Request<'_>) -> bool {
    let index = MIRROR.load(Ordering::Relaxed);
    if index == usize::MAX || !request.is_main() {
        return true;
    }
    let r = request.raw();
    // SAFETY: `loc_conf` has a place for each HTTP module. The mirror module's configuration begins with its array of
    // URIs, null where there is none (`ngx_http_mirror_loc_conf_t`, merged).
    let targets: &[ngx_str_t] = unsafe {
        let place = (*(*r).loc_conf.add(index)).cast::<*const ngx_array_t>();
        match place.as_ref().and_then(|array| array.as_ref()) {
            Some(array) => array.as_slice(),
            None => return true,
        }
    };
    for target in targets {
        let mut uri = *target;
        let mut sub = ptr::null_mut();
        let flags = NGX_HTTP_SUBREQUEST_BACKGROUND as ngx_uint_t;
        // SAFETY: a live request; the configuration's string outlives it. The sub-request is ours to change until it runs.
        unsafe {
            let made = ngx_http_subrequest(
                r,
                &raw mut uri,
                &raw mut (*r).args,
                &raw mut sub,
                ptr::null_mut(),
                flags,
            );
            if made != OK {
                return false;
            }
            (*sub).set_header_only(1);
            (*sub).method = (*r).method;
            (*sub).method_name = sys::ngx_str(sys::bytes((*r).method_name));
        }
    }
    true
}
