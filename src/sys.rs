//! Raw nginx, in one place: pools, strings, requests; below it header lines and chains.
//!
//! A [`Request`] is made from the pointer that nginx hands to a callback and lives no longer than
//! that callback. nginx is single-threaded, so no two callbacks look at one request at a time;
//! nothing here keeps a Rust reference into the request across a call back into nginx.

mod chain;
mod lines;
mod timer;

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::slice;

use ngx::ffi::{
    NGX_OK, ngx_cycle, ngx_handle_read_event, ngx_http_event_handler_pt, ngx_http_request_t,
    ngx_http_run_posted_requests, ngx_inet_get_port, ngx_int_t, ngx_log_t, ngx_palloc, ngx_pcalloc,
    ngx_pnalloc, ngx_pool_cleanup_add, ngx_pool_t, ngx_post_event, ngx_posted_events, ngx_str_t,
    ngx_table_elt_t, ngx_variable_value_t,
};

use crate::guard::guarded;

pub use chain::{Chain, content, swallow};
pub use lines::{
    Lines, forget_cache_control, has_cache_control, know_cache_control, lines, pair, push_copy, push_line,
    set_linked, take_linked,
};
pub use timer::Timer;

/// nginx's `NGX_OK` and its kin with the type that callbacks return.
pub const OK: ngx_int_t = NGX_OK as ngx_int_t;
/// `NGX_ERROR`.
pub const ERROR: ngx_int_t = ngx::ffi::NGX_ERROR as ngx_int_t;
/// `NGX_DONE`.
pub const DONE: ngx_int_t = ngx::ffi::NGX_DONE as ngx_int_t;
/// `NGX_AGAIN`.
pub const AGAIN: ngx_int_t = ngx::ffi::NGX_AGAIN as ngx_int_t;
/// `NGX_DECLINED`.
pub const DECLINED: ngx_int_t = ngx::ffi::NGX_DECLINED as ngx_int_t;

/// nginx's `NGX_CONF_UNSET_PTR`.
pub fn unset_ptr<T>() -> *mut T {
    ptr::without_provenance_mut(usize::MAX)
}

/// The bytes of an `ngx_str_t`.
///
/// # Safety
/// `s.data` must point to `s.len` readable bytes that live and don't change for `'a`, or `s.len` be 0.
pub unsafe fn bytes<'a>(s: ngx_str_t) -> &'a [u8] {
    // nginx leaves the pointer of an empty string unwritten at times (`r->args` after try_files): no look at it.
    if s.len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(s.data, s.len) }
}

/// An `ngx_str_t` over bytes that must outlive whoever reads it.
pub fn ngx_str(bytes: &[u8]) -> ngx_str_t {
    ngx_str_t { len: bytes.len(), data: bytes.as_ptr().cast_mut() }
}

/// Moves a value into memory of the pool; it is dropped with the pool.
///
/// # Safety
/// `pool` must be a live pool.
pub unsafe fn pool_box<T>(pool: *mut ngx_pool_t, value: T) -> Option<*mut T> {
    unsafe extern "C" fn drop_it<T>(data: *mut c_void) {
        // SAFETY: nginx runs a cleanup once, with the data that was set below.
        unsafe { drop(Box::from_raw(data.cast::<T>())) }
    }
    // SAFETY: the pool is live; a size of 0 asks for no memory of nginx's own.
    let cleanup = unsafe { ngx_pool_cleanup_add(pool, 0) };
    if cleanup.is_null() {
        return None;
    }
    let data = Box::into_raw(Box::new(value));
    // SAFETY: a fresh cleanup record, ours to fill.
    unsafe {
        (*cleanup).handler = Some(drop_it::<T>);
        (*cleanup).data = data.cast();
    }
    Some(data)
}

/// As [`pool_box`], in the pool's own memory: for what is made on each hit.
pub fn pool_value_of<T>(request: Request<'_>, value: T) -> Option<*mut T> {
    const { assert!(align_of::<T>() <= align_of::<usize>()) };
    unsafe extern "C" fn drop_it<T>(data: *mut c_void) {
        // SAFETY: nginx runs a cleanup once, with the data that was written below.
        guarded((), || unsafe { data.cast::<T>().drop_in_place() });
    }
    // SAFETY: a live pool, which gives memory that is aligned to the machine word; the record and its data are ours to fill.
    unsafe {
        let cleanup = ngx_pool_cleanup_add(request.pool(), size_of::<T>());
        if cleanup.is_null() {
            return None;
        }
        let data = (*cleanup).data.cast::<T>();
        data.write(value);
        (*cleanup).handler = Some(drop_it::<T>);
        Some(data)
    }
}

/// [`pool_box`] in a request's pool.
pub fn pool_box_of<T>(request: Request<'_>, value: T) -> Option<*mut T> {
    // SAFETY: a live request's pool.
    unsafe { pool_box(request.pool(), value) }
}

/// The data of a pool's cleanups that have this handler: what was noted on a request's pool is found there again when an
/// internal redirect has cleared its `r->ctx`. A handler that is such a mark must do what no other does, so that no
/// compiler makes one function of two.
///
/// # Safety
/// `pool` must be a live pool, and get no cleanup while the iterator is used.
pub unsafe fn notes(pool: *mut ngx_pool_t, mark: CleanupHandler) -> impl Iterator<Item = *mut c_void> {
    // SAFETY: the caller's promise.
    let mut cleanup = unsafe { (*pool).cleanup };
    let all = std::iter::from_fn(move || {
        // SAFETY: as above; null after the last one.
        let found = unsafe { cleanup.as_ref() }?;
        cleanup = found.next;
        Some((found.handler, found.data))
    });
    all.filter(move |(handler, _)| handler.is_some_and(|handler| ptr::fn_addr_eq(handler, mark)))
        .map(|(_, data)| data)
}

/// The log of nginx's running cycle, for what no request is to blame for.
pub fn log() -> *mut ngx_log_t {
    // SAFETY: nginx's running cycle has a log.
    unsafe { (*ngx_cycle).log }
}

/// The bytes of a variable's value; none if it has none.
///
/// # Safety
/// `value` must be null, or what nginx gave for a variable of a live request.
pub unsafe fn value_of<'a>(value: *const ngx_variable_value_t) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise; the bytes live in the request's pool.
    unsafe {
        let value = value.as_ref()?;
        if value.not_found() != 0 || value.valid() == 0 || value.data.is_null() {
            return None;
        }
        Some(slice::from_raw_parts(value.data, value.len() as usize))
    }
}

/// Runs what was posted for a client's requests, from an event that is none of its connection's. The request may be gone
/// after this.
pub fn run_posted(request: Request<'_>) {
    // SAFETY: a live request's connection; nginx notices when it goes.
    unsafe { ngx_http_run_posted_requests((*request.raw()).connection) };
}

/// What nginx calls when a pool is destroyed.
pub type CleanupHandler = unsafe extern "C" fn(*mut c_void);

/// Has a handler see what a suspended request's client does: nginx tells when it speaks, or has spoken already.
/// None: the client's connection can't be watched.
pub fn watch_client(request: Request<'_>, handler: ngx_http_event_handler_pt) -> Option<()> {
    let r = request.raw();
    // SAFETY: a live request and its connection; nginx's own calls for a request that waits for its timer
    // (ngx_http_limit_req_handler).
    unsafe {
        (*r).read_event_handler = handler;
        let read = (*(*r).connection).read;
        if (*read).ready() != 0 {
            ngx_post_event(read, &raw mut ngx_posted_events);
        } else if ngx_handle_read_event(read, 0) != OK {
            return None;
        }
    }
    Some(())
}

/// A request inside one callback.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    r: *mut ngx_http_request_t,
    _lifetime: PhantomData<&'a ()>,
}

impl<'a> Request<'a> {
    /// # Safety
    /// `r` must be the live request that nginx passed to the running callback, and `'a` must not
    /// outlast that callback.
    pub unsafe fn new(r: *mut ngx_http_request_t) -> Self {
        Self { r, _lifetime: PhantomData }
    }

    /// For calls into nginx.
    pub fn raw(self) -> *mut ngx_http_request_t {
        self.r
    }

    /// The request's own memory.
    pub fn pool(self) -> *mut ngx_pool_t {
        // SAFETY: a live request has its pool.
        unsafe { (*self.r).pool }
    }

    /// Where to log about this request.
    pub fn log(self) -> *mut ngx_log_t {
        // SAFETY: a live request has its connection, and that its log.
        unsafe { (*(*self.r).connection).log }
    }

    /// Whether this is the client's own request, no sub-request.
    pub fn is_main(self) -> bool {
        // SAFETY: a live request; `main` points to itself or to the parent's main.
        unsafe { ptr::eq((*self.r).main, self.r) }
    }

    /// The client's own request that this is or belongs to.
    pub fn main(self) -> Self {
        // SAFETY: a live request; its main request lives longer.
        unsafe { Self::new((*self.r).main) }
    }

    /// Whether nothing can be sent to the client any more.
    pub fn is_broken(self) -> bool {
        // SAFETY: a live request has its connection.
        unsafe { (*(*self.r).connection).error() != 0 }
    }

    /// Whether this is an internal redirect or a sub-request: `unparsed_uri` is then another one's.
    pub fn is_internal(self) -> bool {
        // SAFETY: a live request.
        !self.is_main() || unsafe { (*self.r).internal() } != 0
    }

    /// `$scheme`.
    pub fn scheme(self) -> &'static [u8] {
        // SAFETY: a live request has its connection.
        #[cfg(ngx_ssl)]
        if unsafe { !(*(*self.r).connection).ssl.is_null() } {
            return b"https";
        }
        b"http"
    }

    /// The port of the scheme.
    pub fn default_port(self) -> u16 {
        if self.scheme() == b"https" { 443 } else { 80 }
    }

    /// The port on which the request came in; 0 for a socket that has none.
    pub fn listen_port(self) -> u16 {
        // SAFETY: a live connection; the socket that accepted it has its address.
        unsafe {
            let listening = (*(*self.r).connection).listening;
            if listening.is_null() { 0 } else { ngx_inet_get_port((*listening).sockaddr) }
        }
    }

    /// `$remote_addr`: behind trusted proxies nginx's realip module has set it right.
    pub fn address(self) -> &'a [u8] {
        // SAFETY: a live request has its connection, whose address text lives as long as it.
        unsafe { bytes((*(*self.r).connection).addr_text) }
    }

    /// Uninitialised bytes from the pool.
    pub fn alloc(self, len: usize) -> Option<*mut u8> {
        // SAFETY: a live pool.
        let p = unsafe { ngx_pnalloc(self.pool(), len.max(1)) }.cast::<u8>();
        (!p.is_null()).then_some(p)
    }

    /// A copy of `data` in the pool.
    pub fn copy(self, data: &[u8]) -> Option<&'a [u8]> {
        let to = self.alloc(data.len())?;
        // SAFETY: `alloc` gave `data.len()` fresh bytes.
        unsafe {
            ptr::copy_nonoverlapping(data.as_ptr(), to, data.len());
            Some(slice::from_raw_parts(to, data.len()))
        }
    }

    /// Pieces that `write` hands over, joined in the pool: at most `room` bytes of them; none if they are more.
    pub fn join(self, room: usize, write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Option<&'a [u8]> {
        let start = self.alloc(room)?;
        let (mut at, mut fits) = (0, true);
        write(&mut |piece| {
            fits &= piece.len() <= room - at;
            if fits {
                // SAFETY: of the `room` bytes just allocated as many are left.
                unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), start.add(at), piece.len()) };
                at += piece.len();
            }
        });
        // SAFETY: the first `at` bytes were written.
        fits.then(|| unsafe { slice::from_raw_parts(start, at) })
    }

    /// Room for `n` values of `T`, aligned, uninitialised.
    pub fn alloc_array<T>(self, n: usize) -> Option<*mut T> {
        const { assert!(align_of::<T>() <= 16) };
        let size = n.checked_mul(size_of::<T>())?;
        // SAFETY: a live pool; ngx_palloc aligns to NGX_ALIGNMENT, which is the machine word's, and
        // larger pieces to malloc's alignment.
        let p = unsafe { ngx_palloc(self.pool(), size.max(1)) }.cast::<T>();
        (!p.is_null()).then_some(p)
    }

    /// A zeroed `T` in the pool.
    ///
    /// # Safety
    /// All bytes zero must be a valid `T`.
    pub unsafe fn zeroed<T>(self) -> Option<*mut T> {
        // SAFETY: a live pool.
        let p = unsafe { ngx_pcalloc(self.pool(), size_of::<T>()) }.cast::<T>();
        (!p.is_null()).then_some(p)
    }

    /// The request's header lines.
    pub fn lines_in(self) -> Lines<'a> {
        // SAFETY: a live request's list, unchanged while this callback reads it.
        unsafe { lines(&raw const (*self.r).headers_in.headers) }
    }

    /// The response's header lines.
    pub fn lines_out(self) -> Lines<'a> {
        // SAFETY: as above.
        unsafe { lines(&raw const (*self.r).headers_out.headers) }
    }

    /// The header lines that the origin sent, as they came; none where no origin was asked, or only by the handler that
    /// made this upstream `before`.
    pub fn upstream_lines(self, before: *const c_void) -> Option<Lines<'a>> {
        // SAFETY: a live request; its upstream, if it has one, lives in the same pool, and its header list is made before
        // the first byte of a header is read.
        unsafe {
            let upstream = (*self.r).upstream;
            let none = upstream.is_null()
                || ptr::eq(upstream.cast(), before)
                || (*upstream).headers_in.headers.last.is_null();
            (!none).then(|| lines(&raw const (*upstream).headers_in.headers))
        }
    }

    /// How many `Content-Length` lines the origin sent: nginx before 1.23 takes the last of several.
    pub fn upstream_lengths(self) -> usize {
        // SAFETY: a live request; its upstream, if it has one, lives in the same pool, and its header list
        // is made before the first byte of a header is read.
        unsafe {
            let upstream = (*self.r).upstream;
            if upstream.is_null() || (*upstream).headers_in.headers.last.is_null() {
                return 0;
            }
            let all = lines(&raw const (*upstream).headers_in.headers);
            all.filter(|&line| pair(line).0.eq_ignore_ascii_case(b"content-length")).count()
        }
    }

    /// Whether nothing but the end of the origin's connection has told where its answer ends: no length, no last chunk, no
    /// last record of its protocol. Only when the answer has ended.
    pub fn ended_with_its_connection(self) -> bool {
        // SAFETY: a live request; its upstream and the pipe of a buffered answer live in the same pool.
        unsafe {
            let Some(upstream) = (*self.r).upstream.as_ref() else { return false };
            // Else somebody else has answered: a file behind X-Accel-Redirect, an error page.
            if upstream.header_sent() == 0 {
                return false;
            }
            // -1 is nginx's word for "until the connection ends"; what sees an end of its own says so.
            match upstream.pipe.as_ref().filter(|_| upstream.buffering() != 0) {
                Some(pipe) => pipe.upstream_done() == 0 && pipe.length == -1,
                None => upstream.length == -1,
            }
        }
    }

    /// Adds a response header line whose bytes live in the pool or for ever.
    pub fn push_out(self, name: &'a [u8], value: &'a [u8]) -> Option<*mut ngx_table_elt_t> {
        // SAFETY: a live request's list.
        let line = unsafe { push_line(&raw mut (*self.r).headers_out.headers, name, value) };
        (!line.is_null()).then_some(line)
    }

    /// The first request header of this name (given in lower case).
    pub fn header_in(self, lower: &[u8]) -> Option<&'a [u8]> {
        self.lines_in().find_map(|line| {
            // SAFETY: a line of this live request.
            let (name, value) = unsafe { pair(line) };
            if name.len() != lower.len() {
                return None;
            }
            // nginx has made the lower-case name already, but for lines that a module added.
            // SAFETY: `lowcase_key` is null or as long as the name.
            let same = unsafe {
                match (*line).lowcase_key {
                    made if made.is_null() => name.eq_ignore_ascii_case(lower),
                    made => slice::from_raw_parts(made, lower.len()) == lower,
                }
            };
            same.then_some(value)
        })
    }
}

/// A number in decimal digits, in the pool.
pub fn decimal(request: Request<'_>, number: u64) -> Option<&[u8]> {
    let mut digits = [0; 20];
    let text = write_decimal(&mut digits, number);
    request.copy(text)
}

/// A signed number in decimal digits, in the pool.
pub fn signed_decimal(request: Request<'_>, number: i64) -> Option<&[u8]> {
    let mut text = [0; 21];
    let len = write_signed(&mut text, number);
    request.copy(text.get(..len)?)
}

/// A signed number in decimal digits; gives their count.
pub fn write_signed(text: &mut [u8; 21], number: i64) -> usize {
    let mut digits = [0; 20];
    let digits = write_decimal(&mut digits, number.unsigned_abs());
    let sign = usize::from(number < 0);
    text[0] = b'-';
    text[sign..sign + digits.len()].copy_from_slice(digits);
    sign + digits.len()
}

/// A number in decimal digits.
pub fn write_decimal(digits: &mut [u8; 20], mut number: u64) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}
