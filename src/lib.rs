//! Twice: a page cache inside nginx that still greets you by name.
//!
//! Pages are kept whole in shared memory, with their tags compiled; a hit fills the tags with the
//! visitor's own values. This crate is the border: it turns nginx's callbacks into calls of
//! `twice-core` and the core's decisions into nginx's structures, and decides nothing that the core
//! could decide. It is no proxy: a miss is answered by the location's own handler.
//!
//! ```text
//!  request --> handler (PRECONTENT) --- hit ----> deliver --> nginx's filters --> client
//!                 |                                                  ^
//!                miss --> fetch --> proxy_pass, static, ... --> capture (filters)
//!                 |                                                  |
//!       fetched by another: wait <-- channel (wakes) <-- flight <--- | whole and permitted:
//!                                                                    v
//!                                                          the store (shm)
//! ```
//!
//! Two nginx modules stand in the .so, because their places differ: `ngx_http_twice_module` comes
//! last, so that its header filter sees a response before every other filter; the body filter of
//! `ngx_http_twice_body_module` runs right after nginx's copy filter, where bodies are in memory and
//! nothing (SSI, sub, charset, gzip) has changed them yet, and after `expires` and `add_header`.

mod ab;
mod answer;
mod asker;
mod capture;
mod channel;
mod conf;
mod ctx;
mod deliver;
#[cfg(debug_assertions)]
mod fault;
mod fetch;
mod flight;
mod guard;
mod handler;
mod identity;
mod include;
mod language;
mod leaving;
mod nonce;
mod outward;
mod purge;
mod refresh;
mod revalidate;
mod seldom;
mod shm;
mod snapshot;
mod source;
mod stand_in;
mod status;
mod sweep;
mod sys;
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
mod twin;
mod values;
mod variables;
mod variant;
mod visitor;
mod wait;

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use ngx::ffi::{
    NGX_HTTP_MODULE, ngx_command_t, ngx_conf_t, ngx_cycle_t, ngx_http_module_t, ngx_int_t, ngx_module_t,
};

use crate::guard::guarded;
use crate::source::{fetches, memcached};
use crate::sys::OK;

static MODULE_CTX: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(conf::create_main),
    init_main_conf: Some(conf::init_main),
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(conf::create_loc),
    merge_loc_conf: Some(conf::merge_loc),
};

static BODY_CTX: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: None,
    postconfiguration: Some(body_postconfiguration),
    create_main_conf: None,
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: None,
    merge_loc_conf: None,
};

static mut NO_COMMANDS: [ngx_command_t; 1] = [ngx_command_t::empty()];

/// The module: directives, variables, the phase handler, the header filter.
#[unsafe(no_mangle)]
pub static mut ngx_http_twice_module: ngx_module_t = ngx_module_t {
    ctx: (&raw const MODULE_CTX).cast_mut().cast(),
    commands: (&raw mut conf::COMMANDS).cast(),
    type_: NGX_HTTP_MODULE as usize,
    init_module: Some(init_module),
    init_process: Some(init_process),
    exit_process: Some(exit_process),
    exit_master: Some(exit_master),
    ..ngx_module_t::default()
};

/// The body filter, a module of its own for the sake of its place.
#[unsafe(no_mangle)]
pub static mut ngx_http_twice_body_module: ngx_module_t = ngx_module_t {
    ctx: (&raw const BODY_CTX).cast_mut().cast(),
    commands: (&raw mut NO_COMMANDS).cast(),
    type_: NGX_HTTP_MODULE as usize,
    ..ngx_module_t::default()
};

/// A null-terminated list, as nginx's `ngx_load_module` reads it.
#[repr(transparent)]
pub struct Names<const N: usize>([*const c_char; N]);
// SAFETY: pointers to literals, never written.
unsafe impl<const N: usize> Sync for Names<N> {}

/// See [`Names`].
#[repr(transparent)]
pub struct Modules<const N: usize>([*const ngx_module_t; N]);
// SAFETY: pointers to the statics above; nginx alone writes what they point to, at start.
unsafe impl<const N: usize> Sync for Modules<N> {}

/// The modules of this file, for `load_module`.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static ngx_modules: Modules<3> =
    Modules([&raw const ngx_http_twice_module, &raw const ngx_http_twice_body_module, ptr::null()]);

/// What every build of the module is called.
const NAME: &CStr = c"ngx_http_twice_module";

/// Their names.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static ngx_module_names: Names<3> =
    Names([NAME.as_ptr(), c"ngx_http_twice_body_module".as_ptr(), ptr::null()]);

/// Their places: a module goes before the first loaded one that stands behind its name here
/// (nginx `ngx_add_module`). Before the headers filter in the list is after it, and after the copy filter,
/// in the chain.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static ngx_module_order: Names<3> =
    Names([c"ngx_http_twice_body_module".as_ptr(), c"ngx_http_headers_filter_module".as_ptr(), ptr::null()]);

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx passes the running configuration.
    guarded(sys::ERROR, || unsafe { variables::add(cf) })
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    guarded(sys::ERROR, || {
        // SAFETY: nginx passes the running configuration.
        unsafe {
            let rc = handler::install(cf);
            if rc == OK {
                capture::install_header_filter();
            }
            rc
        }
    })
}

unsafe extern "C" fn body_postconfiguration(_cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: postconfiguration runs alone, before any request.
    unsafe { capture::install_body_filter() };
    OK
}

unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    guard::log_panics();
    // SAFETY: nginx passes the new cycle.
    guarded((), || unsafe {
        shm::init_module(cycle);
        snapshot::init_module(cycle);
        channel::init_module(cycle);
    });
    OK
}

unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: nginx passes the running cycle.
    let rc = guarded(sys::ERROR, || unsafe {
        let rc = shm::init_process(cycle);
        snapshot::init_process(cycle);
        wait::init_process(cycle);
        fetches::init_process(cycle);
        memcached::init_process(cycle);
        channel::init_process();
        rc
    });
    #[cfg(debug_assertions)]
    // SAFETY: as above.
    guarded((), || unsafe { fault::init_process(cycle) });
    rc
}

unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx passes the running cycle.
    guarded((), || unsafe { memcached::exit_process(cycle) });
    guarded((), channel::exit_process);
}

unsafe extern "C" fn exit_master(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx passes the running cycle, which it destroys only after this.
    guarded((), || unsafe { snapshot::exit_master(cycle) });
}

/// The index of this module's location configuration and request context.
fn ctx_index() -> usize {
    // SAFETY: nginx sets it once, before any request.
    unsafe { ngx_http_twice_module.ctx_index }
}

/// What nginx's shared zones know a module by.
fn tag() -> *mut c_void {
    (&raw mut ngx_http_twice_module).cast()
}
