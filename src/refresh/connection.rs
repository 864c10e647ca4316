//! A connection to nowhere, as nginx wants its clients' connections to be.
//!
//! It has a socket that is connected to nothing, because nginx closes what it has a number for. It is never polled: both
//! events say that they are active, so that no one adds them. Reading finds the end (`eof`: no keep-alive, no lingering),
//! writing takes everything.

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicIsize, AtomicPtr, AtomicUsize, Ordering};

use ngx::ffi::{
    NGX_AGAIN, ngx_atomic_uint_t, ngx_chain_t, ngx_connection_counter, ngx_connection_local_sockaddr,
    ngx_connection_t, ngx_create_pool, ngx_create_temp_buf, ngx_current_msec, ngx_get_connection,
    ngx_http_close_connection, ngx_http_connection_t, ngx_http_core_module, ngx_http_core_srv_conf_t,
    ngx_http_log_ctx_t, ngx_http_request_t, ngx_log_t, ngx_palloc, ngx_pcalloc, ngx_pool_t, ngx_post_event,
    ngx_posted_events, off_t, sockaddr, u_char,
};

use crate::sys::{self, Request};

/// Whether a request, or the one whose sub-request it is, is a refresh.
#[inline]
pub fn is_refresh(request: Request<'_>) -> bool {
    // SAFETY: a live request has its connection.
    let send = unsafe { (*(*request.raw()).connection).send_chain };
    send.is_some_and(|send| ptr::fn_addr_eq(send, send_chain as SendChain))
}

type SendChain = unsafe extern "C" fn(*mut ngx_connection_t, *mut ngx_chain_t, off_t) -> *mut ngx_chain_t;

unsafe extern "C" fn send_chain(
    _c: *mut ngx_connection_t,
    chain: *mut ngx_chain_t,
    _limit: off_t,
) -> *mut ngx_chain_t {
    // SAFETY: nginx passes a chain of live buffers.
    unsafe { sys::swallow(chain) };
    ptr::null_mut()
}

unsafe extern "C" fn send(_c: *mut ngx_connection_t, _buf: *mut u_char, size: usize) -> isize {
    isize::try_from(size).unwrap_or(isize::MAX)
}

unsafe extern "C" fn recv(_c: *mut ngx_connection_t, _buf: *mut u_char, _size: usize) -> isize {
    NGX_AGAIN as isize
}

unsafe extern "C" fn recv_chain(_c: *mut ngx_connection_t, _in: *mut ngx_chain_t, _limit: off_t) -> isize {
    NGX_AGAIN as isize
}

/// Opens a connection that looks like the parent's, for `ngx_http_create_request`. None: there is none, or no memory.
///
/// # Safety
/// `parent` must be a live request.
pub unsafe fn open(parent: Request<'_>) -> Option<*mut ngx_connection_t> {
    // SAFETY: takes no memory.
    let fd = unsafe {
        libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0)
    };
    if fd < 0 {
        return None;
    }
    // SAFETY: the worker's cycle has its log.
    let c = unsafe { ngx_get_connection(fd, (*ngx::ffi::ngx_cycle).log) };
    if c.is_null() {
        // SAFETY: our own descriptor.
        unsafe { libc::close(fd) };
        return None;
    }
    // SAFETY: a fresh connection of nginx's table, ours to fill.
    unsafe {
        // `ngx_http_close_connection` takes it off again.
        figures().active(1);
        (*c).type_ = libc::SOCK_STREAM;
        (*c).pool = ngx_create_pool(1024, (*ngx::ffi::ngx_cycle).log);
        if (*c).pool.is_null() {
            // What nginx does with a connection that has no pool yet.
            figures().active(-1);
            ngx::ffi::ngx_close_connection(c);
            return None;
        }
        if fill(parent, c).is_none() {
            close(c);
            return None;
        }
    }
    Some(c)
}

/// # Safety
/// `c` must be a fresh connection with a pool and nothing else, `parent` a live request.
unsafe fn fill(parent: Request<'_>, c: *mut ngx_connection_t) -> Option<()> {
    // SAFETY: the caller's promise; all memory is of the new connection's pool.
    unsafe {
        let client = (*parent.raw()).connection;
        let pool = (*c).pool;
        let log = zeroed::<ngx_log_t>(pool)?;
        let log_ctx = zeroed::<ngx_http_log_ctx_t>(pool)?;
        let hc = zeroed::<ngx_http_connection_t>(pool)?;
        (*log_ctx).connection = c;
        *log = *(*client).log;
        (*log).connection = next_number();
        (*log).data = log_ctx.cast();
        (*log).action = c"refreshing a stale page".as_ptr().cast_mut().cast();
        (*c).number = (*log).connection;
        (*c).log = log;
        (*pool).log = log;

        // The server of the request; its location follows in `copy`.
        let server = *(*parent.raw()).srv_conf.add(ngx_http_core_module.ctx_index);
        (*hc).conf_ctx = (*server.cast::<ngx_http_core_srv_conf_t>()).ctx;
        // A sub-request has none of its own.
        (*hc).addr_conf = (*(*(*parent.raw()).main).http_connection).addr_conf;
        (*c).data = hc.cast();

        // Where the client came from and where to: `$remote_addr`, `$server_addr`, ...
        ngx_connection_local_sockaddr(client, ptr::null_mut(), 0);
        (*c).listening = (*client).listening;
        (*c).sockaddr = copy(pool, (*client).sockaddr.cast(), (*client).socklen as usize)?.cast::<sockaddr>();
        (*c).socklen = (*client).socklen;
        (*c).local_sockaddr =
            copy(pool, (*client).local_sockaddr.cast(), (*client).local_socklen as usize)?.cast::<sockaddr>();
        (*c).local_socklen = (*client).local_socklen;
        let text = sys::bytes((*client).addr_text);
        (*c).addr_text.data = copy(pool, text.as_ptr(), text.len())?;
        (*c).addr_text.len = text.len();

        (*c).buffer = ngx_create_temp_buf(pool, 1);
        if (*c).buffer.is_null() {
            return None;
        }
        (*c).recv = Some(recv);
        (*c).send = Some(send);
        (*c).recv_chain = Some(recv_chain);
        (*c).send_chain = Some(send_chain);
        (*c).start_time = ngx_current_msec;
        // No option is to be set on its socket.
        (*c).set_tcp_nodelay(ngx::ffi::ngx_connection_tcp_nodelay_e_NGX_TCP_NODELAY_DISABLED);
        (*c).set_tcp_nopush(ngx::ffi::ngx_connection_tcp_nopush_e_NGX_TCP_NOPUSH_DISABLED);
        (*c).set_sndlowat(1);
        for event in [(*c).read, (*c).write] {
            (*event).handler = Some(super::on_event);
            (*event).log = log;
            (*event).set_active(1);
        }
        (*(*c).read).set_eof(1);
        (*(*c).write).set_ready(1);
    }
    Some(())
}

/// After `ngx_http_create_request`: undoes what that has counted and set as for a client.
///
/// # Safety
/// `r` must be the new request on `c`, `parent` the live request whose connection `c` was made like.
pub unsafe fn settle(parent: Request<'_>, c: *mut ngx_connection_t, r: *mut ngx_http_request_t) {
    // SAFETY: the caller's promise. A log's file and level are the configuration's.
    unsafe {
        figures().is_no_request();
        (*c).data = r.cast();
        (*r).set_stat_reading(0);
        let log = (*c).log;
        let other = (*(*parent.raw()).connection).log;
        (*log).file = (*other).file;
        (*log).next = (*other).next;
        (*log).writer = (*other).writer;
        (*log).wdata = (*other).wdata;
        (*log).log_level = (*other).log_level;
    }
}

/// Has the request begin when nginx is done with what it does now.
///
/// # Safety
/// `c` must be a connection of ours with a request.
pub unsafe fn post(c: *mut ngx_connection_t) {
    // SAFETY: the caller's promise; a queue of nginx's own.
    unsafe { ngx_post_event((*c).write, &raw mut ngx_posted_events) };
}

/// Closes a connection that has no request yet.
///
/// # Safety
/// `c` must be a connection of ours with a pool.
pub unsafe fn close(c: *mut ngx_connection_t) {
    // SAFETY: the caller's promise.
    unsafe { ngx_http_close_connection(c) };
}

unsafe fn zeroed<T>(pool: *mut ngx_pool_t) -> Option<*mut T> {
    // SAFETY: a live pool.
    let p = unsafe { ngx_pcalloc(pool, size_of::<T>()) }.cast::<T>();
    (!p.is_null()).then_some(p)
}

unsafe fn copy(pool: *mut ngx_pool_t, from: *const u8, len: usize) -> Option<*mut u8> {
    // SAFETY: a live pool, `len` readable bytes (none where `len` is 0).
    unsafe {
        let to = ngx_palloc(pool, len.max(1)).cast::<u8>();
        if to.is_null() {
            return None;
        }
        if len > 0 {
            ptr::copy_nonoverlapping(from, to, len);
        }
        Some(to)
    }
}

/// The next of the numbers by which logs tell connections apart.
fn next_number() -> ngx_atomic_uint_t {
    // SAFETY: a machine word of nginx's, shared or its own, that lives as long as the process and is changed by atomic
    // operations only.
    let counter = unsafe { AtomicUsize::from_ptr(ngx_connection_counter.cast()) };
    counter.fetch_add(1, Ordering::Relaxed) as ngx_atomic_uint_t
}

/// Figures of nginx's stub_status. An nginx without that module has no such symbols: they are looked up by name.
struct Figures {
    active: AtomicPtr<*mut AtomicIsize>,
    reading: AtomicPtr<*mut AtomicIsize>,
    requests: AtomicPtr<*mut AtomicIsize>,
}

fn figures() -> &'static Figures {
    static FIGURES: OnceLock<Figures> = OnceLock::new();
    FIGURES.get_or_init(|| {
        let find = |name: &std::ffi::CStr| {
            // SAFETY: a C string; what comes back is null or the address of a pointer in nginx's binary.
            let found: *mut c_void = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            AtomicPtr::new(found.cast())
        };
        Figures {
            active: find(c"ngx_stat_active"),
            reading: find(c"ngx_stat_reading"),
            requests: find(c"ngx_stat_requests"),
        }
    })
}

impl Figures {
    fn add(symbol: &AtomicPtr<*mut AtomicIsize>, by: isize) {
        // SAFETY: null, or nginx's pointer to an atomic word that lives as long as the process.
        let word = unsafe { symbol.load(Ordering::Relaxed).as_ref().and_then(|word| word.as_ref()) };
        if let Some(word) = word {
            word.fetch_add(by, Ordering::Relaxed);
        }
    }

    fn active(&self, by: isize) {
        Self::add(&self.active, by);
    }

    /// What `ngx_http_create_request` has counted was none.
    fn is_no_request(&self) {
        Self::add(&self.reading, -1);
        Self::add(&self.requests, -1);
    }
}
