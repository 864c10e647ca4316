//! How large the parts of a zone's memory are, before there is one.

use std::ffi::c_void;
use std::mem;

use ngx::ffi::{NGX_MAX_PROCESSES, ngx_slab_pool_t};
use twice_core::board::Plan;
use twice_core::shares::{MOST, Parts, Shares, TooFew};
use twice_core::store::{Geometry, TooSmall};

/// Why a zone can't be divided as it is said.
pub enum Misfit {
    /// Pages have no room: the least size that would do.
    Size(usize),
    /// A share is too small for a store.
    Share(TooFew),
}

/// Bytes of a zone that are nginx's own: the slab pool with its page table, and one page for alignment.
fn slab_overhead(size: usize) -> usize {
    let page = page_size();
    let table = size / page * 16;
    (mem::size_of::<ngx_slab_pool_t>() + 16 * 64 + table).next_multiple_of(page) + 2 * page
}

/// Bytes of a zone whose slab pool can give out one small piece, and so many bytes in another one.
pub fn size_for(bytes: usize) -> usize {
    let room = bytes.next_multiple_of(page_size()) + page_size();
    // Of the sum it is a few bytes more than of the room.
    room + slab_overhead(room + slab_overhead(2 * room)).next_multiple_of(page_size())
}

/// Bytes of a page of memory.
pub fn page_size() -> usize {
    // SAFETY: set once, before any configuration is read.
    unsafe { ngx::ffi::ngx_pagesize }
}

/// Bytes of the stores beside the pages'.
pub fn parts(size: usize, shares: Shares) -> Result<Parts, TooFew> {
    Parts::of(size, shares, NGX_MAX_PROCESSES)
}

/// The board of a zone of `size` bytes.
pub fn plan(size: usize, parts: Parts) -> Plan {
    Plan::for_zone(size, parts.elements > 0)
}

/// How the pages' part of a zone of `size` bytes would be divided.
pub fn geometry(size: usize, shares: Shares) -> Result<Geometry, Misfit> {
    let room = size.saturating_sub(taken(size, shares).map_err(Misfit::Share)?);
    Geometry::for_len(room, NGX_MAX_PROCESSES)
        .map_err(|TooSmall { least }| Misfit::Size(least_size(size, least, shares)))
}

/// Bytes of a zone that pages don't have. The board takes whole pages of nginx's slab pool.
fn taken(size: usize, shares: Shares) -> Result<usize, TooFew> {
    let parts = parts(size, shares)?;
    Ok(slab_overhead(size) + plan(size, parts).bytes().next_multiple_of(page_size()) + parts.sum())
}

/// The least size of a zone whose pages have this room, from a size on that is too small.
fn least_size(mut size: usize, room: usize, shares: Shares) -> usize {
    // What is taken grows slower than the size, so that this comes to an end, by a fifth of what is missing at least.
    for _ in 0..1000 {
        let Ok(taken) = taken(size, shares) else { break };
        if taken + room <= size {
            break;
        }
        size = (taken + room).next_multiple_of(page_size());
    }
    size
}

const WIDTH: usize = MOST as usize + 1;

/// Addresses, and nothing else: one for each pair of shares.
static TAGS: [u8; WIDTH * WIDTH] = [0; WIDTH * WIDTH];

/// What nginx's shared zones know a zone with these shares by: other shares are another zone for it, so that a reload
/// which changes them makes new memory.
pub fn tag(shares: Shares) -> *mut c_void {
    let number = usize::from(shares.elements.percent()) * WIDTH + usize::from(shares.local.percent());
    TAGS.as_ptr().wrapping_add(number).cast_mut().cast()
}

/// The percentages, of values and of counters, that a tag stands for; none if it is another build's, or another module's.
pub fn percents(tag: *const c_void) -> Option<(usize, usize)> {
    let number = tag.addr().checked_sub(TAGS.as_ptr().addr())?;
    (number < TAGS.len()).then_some((number / WIDTH, number % WIDTH))
}
