//! A second build of this module, loaded beside the first by a reload that names another file.
//!
//! nginx loads modules with `RTLD_GLOBAL`: the symbol `ngx_http_twice_module` of a second file means that of the
//! first, for nginx as for the second file itself. So the code that was loaded first goes on, with its zones, and
//! the second stays unused until nginx is restarted or upgraded. That is safe, also where such a reload fails
//! half way, but nobody would see it: it is said when the file is loaded.

use std::ptr;

use ngx::ffi::{NGX_LOG_WARN, ngx_cycle};
use ngx::ngx_log_error;

/// Called by the dynamic linker when it has loaded and bound this file.
#[used]
#[unsafe(link_section = ".init_array")]
static LOADED: extern "C" fn() = {
    extern "C" fn loaded() {
        crate::guard::guarded((), tell);
    }
    loaded
};

fn tell() {
    // SAFETY: a module of this file or of the one loaded before it; nginx has one thread, which is loading this.
    let bound = unsafe { (&raw const crate::ngx_http_twice_module.ctx).read_volatile() };
    if ptr::eq(bound.cast_const().cast(), &raw const crate::MODULE_CTX) {
        return;
    }
    // SAFETY: nginx's cycle is null or whole while it reads a configuration, and its log is open.
    let log = unsafe { if ngx_cycle.is_null() { return } else { (*ngx_cycle).log } };
    ngx_log_error!(
        NGX_LOG_WARN,
        log,
        "twice: this build of the module stays unused, the one that was loaded before it serves on: a new \
         one needs a restart of nginx, or an upgrade by the signal USR2"
    );
}
