//! Header lines: nginx's lists of them, and what it notes about them besides.
//!
//! Here stands what differs between versions: since 1.23.0 lines of one name are a linked list through
//! `ngx_table_elt_t.next`, before that some names have an array of pointers (cfg `ngx_linked_headers`).

use std::marker::PhantomData;
use std::ptr;

use ngx::ffi::{ngx_http_request_t, ngx_list_part_t, ngx_list_push, ngx_list_t, ngx_table_elt_t};

use super::{bytes, ngx_str};

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

/// Appends a copy of a header line; null when memory ran out. It does not point into the list of the line:
/// nginx links lines of one name itself.
///
/// # Safety
/// As for [`push_line`]; `line` must be a line of a live request.
pub unsafe fn push_copy(list: *mut ngx_list_t, line: *const ngx_table_elt_t) -> *mut ngx_table_elt_t {
    // SAFETY: the caller's promise.
    unsafe {
        let (name, value) = pair(line);
        let copy = push_line(list, name, value);
        if !copy.is_null() {
            (*copy).hash = (*line).hash;
            (*copy).lowcase_key = (*line).lowcase_key;
        }
        copy
    }
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
            let elts = ngx::ffi::ngx_palloc((*r).pool, size_of::<*mut ngx_table_elt_t>());
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
