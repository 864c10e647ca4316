//! Raw nginx, in one place: pools, strings, header lists, buffers, chains.
//!
//! A [`Request`] is made from the pointer that nginx hands to a callback and lives no longer than
//! that callback. nginx is single-threaded, so no two callbacks look at one request at a time;
//! nothing here keeps a Rust reference into the request across a call back into nginx.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::slice;

use ngx::ffi::{
    NGX_OK, ngx_buf_t, ngx_chain_t, ngx_http_request_t, ngx_inet_get_port, ngx_int_t, ngx_list_part_t,
    ngx_list_push, ngx_list_t, ngx_log_t, ngx_palloc, ngx_pcalloc, ngx_pnalloc, ngx_pool_cleanup_add,
    ngx_pool_t, ngx_str_t, ngx_table_elt_t,
};

/// nginx's `NGX_OK` and its kin with the type that callbacks return.
pub const OK: ngx_int_t = NGX_OK as ngx_int_t;
/// `NGX_ERROR`.
pub const ERROR: ngx_int_t = ngx::ffi::NGX_ERROR as ngx_int_t;
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
    if s.len == 0 || s.data.is_null() {
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

/// nginx's notes on lines of one name in the request's list, taken from it: it has to make them anew for
/// another list (`ngx_http_link_multi_headers`). Before 1.23 there are none.
///
/// # Safety
/// `r` must be a live request.
#[cfg_attr(not(ngx_linked_headers), allow(unused_variables))]
pub unsafe fn take_linked(r: *mut ngx_http_request_t) -> (u32, u32) {
    // SAFETY: the caller's promise.
    #[cfg(ngx_linked_headers)]
    unsafe {
        let linked = ((*r).headers_in.multi(), (*r).headers_in.multi_linked());
        set_linked(r, (0, 0));
        linked
    }
    #[cfg(not(ngx_linked_headers))]
    (0, 0)
}

/// Gives back what [`take_linked`] took.
///
/// # Safety
/// `r` must be a live request.
#[cfg_attr(not(ngx_linked_headers), allow(unused_variables))]
pub unsafe fn set_linked(r: *mut ngx_http_request_t, linked: (u32, u32)) {
    // SAFETY: the caller's promise.
    #[cfg(ngx_linked_headers)]
    unsafe {
        (*r).headers_in.set_multi(linked.0);
        (*r).headers_in.set_multi_linked(linked.1);
    }
}

/// Forgets the response's `Cache-Control` lines, to which nginx's `expires` keeps a pointer.
///
/// # Safety
/// `r` must be a live request.
pub unsafe fn forget_cache_control(r: *mut ngx_http_request_t) {
    // SAFETY: the caller's promise; null and empty are nginx's words for "none".
    unsafe {
        let out = &raw mut (*r).headers_out;
        #[cfg(ngx_linked_headers)]
        {
            (*out).cache_control = ptr::null_mut();
        }
        #[cfg(not(ngx_linked_headers))]
        {
            (*out).cache_control.nelts = 0;
            (*out).cache_control.elts = ptr::null_mut();
        }
    }
}

/// Whether nginx knows of a `Cache-Control` line of the response: `expires` or `add_header` made one.
///
/// # Safety
/// `r` must be a live request.
pub unsafe fn has_cache_control(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(ngx_linked_headers)]
        {
            !(*r).headers_out.cache_control.is_null()
        }
        #[cfg(not(ngx_linked_headers))]
        {
            (*r).headers_out.cache_control.nelts > 0
        }
    }
}

/// Tells nginx's `expires` of the response's one `Cache-Control` line, so that it changes that one; none
/// when memory ran out.
///
/// # Safety
/// `r` must be a live request and `line` a line of its response.
pub unsafe fn know_cache_control(r: *mut ngx_http_request_t, line: *mut ngx_table_elt_t) -> Option<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let out = &raw mut (*r).headers_out;
        #[cfg(ngx_linked_headers)]
        {
            (*out).cache_control = line;
        }
        #[cfg(not(ngx_linked_headers))]
        {
            // What ngx_array_init does: room for one pointer.
            let elts = ngx_palloc((*r).pool, size_of::<*mut ngx_table_elt_t>());
            if elts.is_null() {
                return None;
            }
            elts.cast::<*mut ngx_table_elt_t>().write(line);
            let array = &raw mut (*out).cache_control;
            (*array).elts = elts;
            (*array).nelts = 1;
            (*array).size = size_of::<*mut ngx_table_elt_t>();
            (*array).nalloc = 1;
            (*array).pool = (*r).pool;
        }
    }
    Some(())
}

/// [`pool_box`] in a request's pool.
pub fn pool_box_of<T>(request: Request<'_>, value: T) -> Option<*mut T> {
    // SAFETY: a live request's pool.
    unsafe { pool_box(request.pool(), value) }
}

/// Walks a list of header lines. Lines whose `hash` is 0 are deleted ones; they are given too,
/// because nginx's own proxy sends such request lines on.
///
/// # Safety
/// `list` must be a live list of `ngx_table_elt_t` that is not changed while the iterator is used.
pub unsafe fn lines<'a>(list: *const ngx_list_t) -> Lines<'a> {
    // SAFETY: the caller's promise.
    Lines { part: unsafe { &raw const (*list).part }, at: 0, _lifetime: PhantomData }
}

/// See [`lines`].
pub struct Lines<'a> {
    part: *const ngx_list_part_t,
    at: usize,
    _lifetime: PhantomData<&'a ngx_list_t>,
}

impl Iterator for Lines<'_> {
    type Item = *mut ngx_table_elt_t;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.part.is_null() {
            // SAFETY: `part` is a part of a live list (promise of `lines`); `elts` holds `nelts` lines.
            unsafe {
                if self.at < (*self.part).nelts {
                    let line = (*self.part).elts.cast::<ngx_table_elt_t>().add(self.at);
                    self.at += 1;
                    return Some(line);
                }
                self.part = (*self.part).next;
            }
            self.at = 0;
        }
        None
    }
}

/// Name and value of a header line.
///
/// # Safety
/// `line` must be a line of a live list; the bytes live as long as the request.
pub unsafe fn pair<'a>(line: *const ngx_table_elt_t) -> (&'a [u8], &'a [u8]) {
    // SAFETY: nginx's header lines point into the request's pool or header buffers.
    unsafe { (bytes((*line).key), bytes((*line).value)) }
}

/// Appends a header line; null when memory ran out.
///
/// # Safety
/// `list` must be a live list of `ngx_table_elt_t`; name and value must outlive the request.
pub unsafe fn push_line(list: *mut ngx_list_t, name: &[u8], value: &[u8]) -> *mut ngx_table_elt_t {
    // SAFETY: the caller's promise.
    let line = unsafe { ngx_list_push(list) }.cast::<ngx_table_elt_t>();
    if !line.is_null() {
        // SAFETY: a fresh element of the list, ours to fill. `write` sets `next`, where there is one.
        unsafe {
            line.write(ngx_table_elt_t {
                hash: 1,
                key: ngx_str(name),
                value: ngx_str(value),
                lowcase_key: ptr::null_mut(),
                #[cfg(ngx_linked_headers)]
                next: ptr::null_mut(),
            });
        }
    }
    line
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

    /// The port of the scheme, in digits.
    pub fn default_port(self) -> &'static [u8] {
        if self.scheme() == b"https" { b"443" } else { b"80" }
    }

    /// The port on which the request came in, in digits; empty for a socket that has none.
    pub fn listen_port(self) -> &'a [u8] {
        // SAFETY: a live connection; the socket that accepted it has its address.
        let port = unsafe {
            let listening = (*(*self.r).connection).listening;
            if listening.is_null() { 0 } else { ngx_inet_get_port((*listening).sockaddr) }
        };
        if port == 0 { b"" } else { decimal(self, u64::from(port)).unwrap_or_default() }
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

/// A buffer and its link, in one allocation of the pool.
#[repr(C)]
struct Linked {
    link: ngx_chain_t,
    buf: ngx_buf_t,
}

/// Builds an output chain of memory buffers in order.
pub struct Chain<'a> {
    request: Request<'a>,
    first: *mut ngx_chain_t,
    last: *mut ngx_chain_t,
}

impl<'a> Chain<'a> {
    /// An empty chain.
    pub fn new(request: Request<'a>) -> Self {
        Self { request, first: ptr::null_mut(), last: ptr::null_mut() }
    }

    /// Adds bytes that stay as they are until the buffer is sent: pool memory or a pinned page.
    ///
    /// # Safety
    /// `data` must stay valid until the request's pool is destroyed.
    pub unsafe fn push(&mut self, data: *const u8, len: usize) -> Option<()> {
        // SAFETY: a link and a buffer of zeros are valid (null pointers, flags off).
        let linked = unsafe { self.request.zeroed::<Linked>() }?;
        // SAFETY: fresh memory, ours to fill.
        unsafe {
            let buf = &raw mut (*linked).buf;
            (*buf).pos = data.cast_mut();
            (*buf).start = (*buf).pos;
            (*buf).last = data.add(len).cast_mut();
            (*buf).end = (*buf).last;
            // memory, not temporary: filters that change bytes must copy them first.
            (*buf).set_memory(1);
            (*linked).link.buf = buf;
            let link = &raw mut (*linked).link;
            if self.last.is_null() {
                self.first = link;
            } else {
                (*self.last).next = link;
            }
            self.last = link;
        }
        Some(())
    }

    /// Marks the last buffer as the response's end and gives the chain; adds an empty one if there is none.
    pub fn finish(mut self) -> Option<*mut ngx_chain_t> {
        if self.last.is_null() {
            // SAFETY: no bytes at all.
            unsafe { self.push(ptr::null(), 0) }?;
            // SAFETY: just pushed. A buffer without bytes must say that it is special.
            unsafe {
                (*(*self.last).buf).set_memory(0);
                (*(*self.last).buf).set_sync(u32::from(!self.request.is_main()));
            }
        }
        // SAFETY: `last` is a link of ours.
        unsafe {
            let buf = (*self.last).buf;
            (*buf).set_last_in_chain(1);
            (*buf).set_last_buf(u32::from(self.request.is_main()));
        }
        Some(self.first)
    }
}
