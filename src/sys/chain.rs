//! Output chains of memory buffers.

use std::ptr;
use std::slice;

use ngx::ffi::{ngx_buf_t, ngx_chain_t};

use super::Request;

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

/// Takes all that a chain holds, as if it were sent.
///
/// # Safety
/// `chain` must be null or a chain of live buffers.
pub unsafe fn swallow(mut chain: *mut ngx_chain_t) {
    while !chain.is_null() {
        // SAFETY: the caller's promise.
        unsafe {
            let buf = (*chain).buf;
            (*buf).pos = (*buf).last;
            if (*buf).in_file() != 0 {
                (*buf).file_pos = (*buf).file_last;
            }
            chain = (*chain).next;
        }
    }
}

/// What a buffer holds in memory, and whether it holds bytes of a file besides or instead.
///
/// # Safety
/// `buf` must be a live buffer of nginx's, whose bytes are neither changed nor freed for `'b`.
pub unsafe fn content<'b>(buf: *const ngx_buf_t) -> (&'b [u8], bool) {
    // SAFETY: the caller's promise; a buffer in memory has its bytes from `pos` to `last`.
    unsafe {
        let b = &*buf;
        let in_memory = b.temporary() != 0 || b.memory() != 0 || b.mmap() != 0;
        let data = if in_memory && !b.pos.is_null() {
            slice::from_raw_parts(b.pos, b.last.offset_from_unsigned(b.pos))
        } else {
            &[]
        };
        (data, !in_memory && b.in_file() != 0 && b.file_last > b.file_pos)
    }
}
