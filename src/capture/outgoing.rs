//! Buffers of an answer whose tags are filled on the way.
//!
//! nginx's own buffers come in and ours go out, in pieces of [`PIECE`] bytes that are used again once
//! they are sent. The last one made from a buffer of nginx's shadows it: nginx gets its buffer back
//! when ours is sent and not before, so that a slow client holds up the origin and not our memory.

use std::ptr;

use ngx::ffi::{ngx_alloc_chain_link, ngx_buf_t, ngx_chain_t, ngx_chain_update_chains, ngx_create_temp_buf};
use twice_core::source::Change;
use twice_core::template::Sink;

use crate::source::changes;
use crate::sys::Request;

const PIECE: usize = 16 << 10;

/// Our buffers: new ones, those on their way, those to be used again.
pub struct Outgoing {
    first: *mut ngx_chain_t,
    last: *mut ngx_chain_t,
    free: *mut ngx_chain_t,
    busy: *mut ngx_chain_t,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self { first: ptr::null_mut(), last: ptr::null_mut(), free: ptr::null_mut(), busy: ptr::null_mut() }
    }
}

impl Outgoing {
    /// Where a rendering writes to. `literals` are the page's.
    pub fn sink<'a>(&'a mut self, request: Request<'a>, literals: &'a [u8]) -> Writer<'a> {
        Writer { out: self, request, literals, failed: false }
    }

    /// The new buffers as a chain.
    pub fn take(&mut self) -> *mut ngx_chain_t {
        self.last = ptr::null_mut();
        std::mem::replace(&mut self.first, ptr::null_mut())
    }

    /// Whether there are no new buffers.
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Adds an empty buffer; none when memory ran out.
    fn push(&mut self, request: Request<'_>) -> Option<*mut ngx_buf_t> {
        // SAFETY: a live pool; links and buffers of ours, reset before they are used again.
        unsafe {
            let link = if self.free.is_null() {
                let link = ngx_alloc_chain_link(request.pool());
                if link.is_null() {
                    return None;
                }
                (*link).buf = ngx_create_temp_buf(request.pool(), PIECE);
                if (*link).buf.is_null() {
                    return None;
                }
                (*(*link).buf).tag = crate::tag();
                link
            } else {
                let link = self.free;
                self.free = (*link).next;
                link
            };
            (*link).next = ptr::null_mut();
            let buf = (*link).buf;
            (*buf).pos = (*buf).start;
            (*buf).last = (*buf).start;
            (*buf).shadow = ptr::null_mut();
            (*buf).set_temporary(1);
            (*buf).set_flush(0);
            (*buf).set_recycled(0);
            (*buf).set_sync(0);
            (*buf).set_last_buf(0);
            (*buf).set_last_in_chain(0);
            if self.last.is_null() {
                self.first = link;
            } else {
                (*self.last).next = link;
            }
            self.last = link;
            Some(buf)
        }
    }

    /// The last new buffer, if more can be written to it: one that shadows a buffer of nginx's, or says
    /// that something ends, is complete. Null: there is none.
    fn open(&self) -> *mut ngx_buf_t {
        if self.last.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: a link and a buffer of ours.
        unsafe {
            let buf = (*self.last).buf;
            let complete = !(*buf).shadow.is_null()
                || (*buf).temporary() == 0
                || (*buf).flush() != 0
                || (*buf).last_buf() != 0
                || (*buf).last_in_chain() != 0;
            if complete { ptr::null_mut() } else { buf }
        }
    }

    fn write(&mut self, request: Request<'_>, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            // SAFETY: our own buffers, `last` between `start` and `end`. One that shadows a buffer of
            // nginx's is complete: what comes now belongs to the next.
            unsafe {
                let mut buf = self.open();
                if buf.is_null() || (*buf).last == (*buf).end {
                    buf = self.push(request)?;
                }
                let room = (*buf).end.offset_from_unsigned((*buf).last);
                let (now, rest) = bytes.split_at(room.min(bytes.len()));
                ptr::copy_nonoverlapping(now.as_ptr(), (*buf).last, now.len());
                (*buf).last = (*buf).last.add(now.len());
                bytes = rest;
            }
        }
        Some(())
    }

    /// What was made from `buf` is complete; none when memory ran out.
    ///
    /// # Safety
    /// `buf` must be a buffer of the chain that nginx passed to the body filter.
    pub unsafe fn replace(
        &mut self,
        request: Request<'_>,
        buf: *mut ngx_buf_t,
        in_file: bool,
        last: bool,
        flush: bool,
    ) -> Option<()> {
        // SAFETY: the caller's promise, and our own buffers.
        unsafe {
            let empty = (*buf).pos == (*buf).last && !in_file;
            let mut ours = self.open();
            if ours.is_null() && (last || flush) {
                ours = self.push(request)?;
            }
            if ours.is_null() {
                // Nothing to print of it yet.
                (*buf).pos = (*buf).last;
                return Some(());
            }
            if (*ours).pos == (*ours).last {
                // A buffer without bytes must say that it is special.
                (*ours).set_temporary(0);
                (*ours).set_sync(u32::from(!(flush || last && request.is_main())));
            }
            (*ours).set_flush(u32::from(flush));
            (*ours).set_last_buf((*buf).last_buf());
            (*ours).set_last_in_chain((*buf).last_in_chain());
            if empty {
                return Some(());
            }
            (*ours).shadow = buf;
            // nginx waits for this buffer to come back: ours must not wait for more to send
            // (ngx_http_write_filter, postpone_output).
            (*ours).set_recycled((*buf).recycled());
        }
        Some(())
    }

    /// What was held back is complete, and it ends the body; none when memory ran out.
    pub fn end(&mut self, request: Request<'_>, last_buf: bool, last_in_chain: bool) -> Option<()> {
        let ours = self.open_or_new(request)?;
        // SAFETY: a buffer of ours.
        unsafe {
            if (*ours).pos == (*ours).last {
                (*ours).set_temporary(0);
                (*ours).set_sync(u32::from(!request.is_main()));
            }
            (*ours).set_last_buf(u32::from(last_buf));
            (*ours).set_last_in_chain(u32::from(last_in_chain));
        }
        Some(())
    }

    /// Has what was printed so far leave at once; none when memory ran out.
    pub fn flush(&mut self, request: Request<'_>) -> Option<()> {
        let ours = self.open_or_new(request)?;
        // SAFETY: a buffer of ours.
        unsafe {
            if (*ours).pos == (*ours).last {
                (*ours).set_temporary(0);
            }
            (*ours).set_flush(1);
        }
        Some(())
    }

    fn open_or_new(&mut self, request: Request<'_>) -> Option<*mut ngx_buf_t> {
        let ours = self.open();
        if ours.is_null() { self.push(request) } else { Some(ours) }
    }

    /// The next filter has taken a chain of ours: buffers that it is done with are free again.
    ///
    /// # Safety
    /// `chain` must be what [`Outgoing::take`] gave, after the next filter has returned.
    pub unsafe fn sent(&mut self, request: Request<'_>, chain: *mut ngx_chain_t) {
        let mut chain = chain;
        // SAFETY: the caller's promise; nginx moves links whose buffers are empty to `free`.
        unsafe {
            ngx_chain_update_chains(
                request.pool(),
                &raw mut self.free,
                &raw mut self.busy,
                &raw mut chain,
                crate::tag(),
            );
            let mut link = self.free;
            while !link.is_null() {
                let buf = (*link).buf;
                let shadow = (*buf).shadow;
                if !shadow.is_null() {
                    (*shadow).pos = (*shadow).last;
                    (*buf).shadow = ptr::null_mut();
                }
                link = (*link).next;
            }
        }
    }
}

/// Writes a rendering into [`Outgoing`].
pub struct Writer<'a> {
    out: &'a mut Outgoing,
    request: Request<'a>,
    literals: &'a [u8],
    failed: bool,
}

impl Writer<'_> {
    /// Whether memory ran out.
    pub fn failed(&self) -> bool {
        self.failed
    }
}

impl Sink for Writer<'_> {
    fn literal(&mut self, offset: usize, len: usize) {
        match self.literals.get(offset..offset.saturating_add(len)) {
            Some(run) => self.write(run),
            None => self.failed = true,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.failed |= self.out.write(self.request, bytes).is_none();
    }

    fn change(&mut self, source: &[u8], key: &[u8], change: Change) {
        changes::note(self.request, source, key, change);
    }
}
