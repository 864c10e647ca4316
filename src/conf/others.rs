//! What other modules of nginx are told in a request's location, as far as it matters to ours.
//!
//! They are looked up by name, because this module must load into an nginx without them, too. What they keep is private to
//! them; each function says what it reads of it, which nginx 1.22 to 1.28 have alike.

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use ngx::ffi::{
    ngx_array_t, ngx_conf_t, ngx_http_script_code_pt, ngx_http_script_engine_t, ngx_http_script_return_code,
};

use crate::sys::Request;

/// A module, by its context index, which nginx keeps over reloads: those of older configurations are served by it, too.
struct Other {
    name: &'static CStr,
    /// `usize::MAX` in an nginx without it.
    index: AtomicUsize,
}

impl Other {
    const fn named(name: &'static CStr) -> Self {
        Self { name, index: AtomicUsize::new(usize::MAX) }
    }

    /// The first pointer of its location configuration; null where it has none, or is not there.
    ///
    /// # Safety
    /// The module's location configuration must begin with a pointer, and `T` be what that points to.
    #[inline]
    unsafe fn first<T>(&self, request: Request<'_>) -> *const T {
        let index = self.index.load(Ordering::Relaxed);
        if index == usize::MAX {
            return ptr::null();
        }
        // SAFETY: `loc_conf` has a place for each HTTP module; what stands there is the caller's to know.
        unsafe {
            let conf = (*(*request.raw()).loc_conf.add(index)).cast::<*const T>();
            conf.as_ref().map_or(ptr::null(), |first| *first)
        }
    }
}

static REWRITE: Other = Other::named(c"ngx_http_rewrite_module");
static MIRROR: Other = Other::named(c"ngx_http_mirror_module");
static TRY_FILES: Other = Other::named(c"ngx_http_try_files_module");

/// Finds them.
///
/// # Safety
/// `cf` must be the running configuration.
pub unsafe fn find(cf: *mut ngx_conf_t) {
    // SAFETY: the cycle's list of modules ends with null; names are C strings.
    unsafe {
        let mut module = (*(*cf).cycle).modules;
        while !(*module).is_null() {
            let name = (**module).name;
            for other in [&REWRITE, &MIRROR, &TRY_FILES] {
                if !name.is_null() && CStr::from_ptr(name) == other.name {
                    other.index.store((**module).ctx_index, Ordering::Relaxed);
                }
            }
            module = module.add(1);
        }
    }
}

type ReturnCode = unsafe extern "C" fn(*mut ngx_http_script_engine_t);

/// Whether the request's location begins with `return`, so that it is answered in the REWRITE phase.
pub fn returns(request: Request<'_>) -> bool {
    // SAFETY: the rewrite module's configuration begins with its array of code (`ngx_http_rewrite_loc_conf_t`), null or
    // non-empty; code begins with the function that runs it.
    unsafe {
        let Some(codes) = REWRITE.first::<ngx_array_t>(request).as_ref() else { return false };
        let first = codes.elts.cast::<ngx_http_script_code_pt>();
        codes.nelts > 0
            && (*first).is_some_and(|code| ptr::fn_addr_eq(code, ngx_http_script_return_code as ReturnCode))
    }
}

/// Whether the request's location has `mirror`, and no `try_files`, which stands before it in nginx's phase.
pub fn is_mirrored(request: Request<'_>) -> bool {
    // SAFETY: both configurations begin with a pointer, null where the directive is not there
    // (`ngx_http_mirror_loc_conf_t`, `ngx_http_try_files_loc_conf_t`); what it points to is not read.
    unsafe { !MIRROR.first::<ngx_array_t>(request).is_null() && TRY_FILES.first::<u8>(request).is_null() }
}
