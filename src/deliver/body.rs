//! The response's body as it is rendered: one joined buffer, and large runs on their own.

use std::ptr;

use ngx::ffi::ngx_chain_t;
use twice_core::source::Change;
use twice_core::store::Segments;
use twice_core::template::Sink;

use super::LARGE_RUN;
use crate::source::changes;
use crate::sys::{Chain, Request};

/// Least bytes of a joined buffer after the first.
const MORE: usize = 4 << 10;

/// Takes what a program prints.
pub struct Body<'a, 'p> {
    request: Request<'a>,
    chain: Chain<'a>,
    /// Pieces of the literals that are still to come, and the one at hand.
    segments: Option<Segments<'p>>,
    piece: &'p [u8],
    /// Offset of `piece` in the literals.
    offset: usize,
    /// Large runs may be sent from where they lie.
    pinned: bool,
    /// The joined buffer: written up to `at`, free up to `end`, not yet in the chain from `start`.
    start: *mut u8,
    at: *mut u8,
    end: *mut u8,
    /// Bytes in the chain.
    total: usize,
    failed: bool,
}

impl<'a, 'p> Body<'a, 'p> {
    /// Nothing printed yet. `segments` are the page's literals; `pinned`: they stay where they are until
    /// the request's end.
    pub fn new(request: Request<'a>, segments: Segments<'p>, pinned: bool) -> Self {
        Self {
            request,
            chain: Chain::new(request),
            segments: Some(segments),
            piece: &[],
            offset: 0,
            pinned,
            start: ptr::null_mut(),
            at: ptr::null_mut(),
            end: ptr::null_mut(),
            total: 0,
            failed: false,
        }
    }

    /// The same of literals in one piece that lies in the request's pool.
    pub fn copied(request: Request<'a>, literals: &'p [u8]) -> Self {
        Self {
            request,
            chain: Chain::new(request),
            segments: None,
            piece: literals,
            offset: 0,
            pinned: true,
            start: ptr::null_mut(),
            at: ptr::null_mut(),
            end: ptr::null_mut(),
            total: 0,
            failed: false,
        }
    }

    /// Takes a joined buffer.
    pub fn reserve(&mut self, len: usize) -> Option<()> {
        self.start = self.request.alloc(len)?;
        self.at = self.start;
        // SAFETY: one past the last of `len` bytes just allocated.
        self.end = unsafe { self.start.add(len) };
        Some(())
    }

    /// The whole as a chain, with its length; none when memory ran out or the program was no program of
    /// this page.
    pub fn finish(mut self) -> Option<(*mut ngx_chain_t, usize)> {
        if self.failed {
            return None;
        }
        self.flush()?;
        Some((self.chain.finish()?, self.total))
    }

    /// Puts what was joined so far into the chain.
    fn flush(&mut self) -> Option<()> {
        // SAFETY: both point into one allocation, `at` at or behind `start`.
        let len = unsafe { self.at.offset_from_unsigned(self.start) };
        if len > 0 {
            // SAFETY: pool memory, written up to `at` and never again before it.
            unsafe { self.chain.push(self.start, len) }?;
            self.start = self.at;
            self.total += len;
        }
        Some(())
    }

    #[inline(always)]
    fn join(&mut self, bytes: &[u8]) {
        if bytes.len() > self.end.addr() - self.at.addr() && !self.make_room(bytes.len()) {
            return;
        }
        // SAFETY: there is room at `at`, and the two don't overlap: one is new pool memory.
        unsafe {
            copy(bytes, self.at);
            self.at = self.at.add(bytes.len());
        }
    }

    #[cold]
    fn make_room(&mut self, len: usize) -> bool {
        let done = self.flush().and_then(|()| self.reserve(len.max(MORE)));
        self.failed |= done.is_none();
        done.is_some()
    }

    /// Puts bytes into the chain as they lie.
    ///
    /// # Safety
    /// They must stay where they are until the request's pool is destroyed.
    unsafe fn push(&mut self, bytes: &[u8]) -> Option<()> {
        self.flush()?;
        // SAFETY: the caller's promise.
        unsafe { self.chain.push(bytes.as_ptr(), bytes.len()) }?;
        self.total += bytes.len();
        Some(())
    }

    /// A run of the literals that lies in several pieces or is sent from where it lies.
    #[cold]
    fn long_run(&mut self, mut offset: usize, mut len: usize) -> Option<()> {
        while len > 0 {
            let skip = offset.checked_sub(self.offset)?;
            if skip >= self.piece.len() {
                self.offset += self.piece.len();
                self.piece = self.segments.as_mut()?.next()?;
                continue;
            }
            let part = self.piece.get(skip..)?;
            let part = part.get(..len.min(part.len()))?;
            if self.pinned && part.len() >= LARGE_RUN {
                // SAFETY: the page is pinned until the request's pool is destroyed.
                unsafe { self.push(part) }?;
            } else {
                self.join(part);
            }
            offset += part.len();
            len -= part.len();
        }
        Some(())
    }
}

impl Sink for Body<'_, '_> {
    #[inline(always)]
    fn literal(&mut self, offset: usize, len: usize) {
        let skip = offset.wrapping_sub(self.offset);
        match self.piece.get(skip..skip.wrapping_add(len)) {
            Some(run) if len < LARGE_RUN => self.join(run),
            _ => self.failed |= self.long_run(offset, len).is_none(),
        }
    }

    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        self.join(bytes);
    }

    fn change(&mut self, source: &[u8], key: &[u8], change: Change) {
        changes::note(self.request, source, key, change);
    }

    fn fragment(&mut self, bytes: &[u8]) {
        if bytes.len() < LARGE_RUN {
            return self.join(bytes);
        }
        // SAFETY: a fragment that came stays as it is, in memory that goes with the request's pool.
        self.failed |= unsafe { self.push(bytes) }.is_none();
    }
}

/// Copies bytes; most are a few, and for those a call of memcpy costs more than the copy.
///
/// # Safety
/// `to` must have room for them and not overlap them.
#[inline(always)]
unsafe fn copy(bytes: &[u8], to: *mut u8) {
    let len = bytes.len();
    // SAFETY: the first and the last chunk lie within `bytes`, and together they are all of it.
    unsafe {
        match (bytes.first_chunk::<16>(), bytes.last_chunk::<16>()) {
            (Some(first), Some(last)) if len <= 32 => {
                to.cast::<[u8; 16]>().write(*first);
                to.add(len - 16).cast::<[u8; 16]>().write(*last);
                return;
            }
            _ => {}
        }
        match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) if len <= 8 => {
                to.cast::<[u8; 4]>().write(*first);
                to.add(len - 4).cast::<[u8; 4]>().write(*last);
            }
            _ => ptr::copy_nonoverlapping(bytes.as_ptr(), to, len),
        }
    }
}
