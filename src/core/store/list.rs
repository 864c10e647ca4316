//! Lists of pages: the queues of the live ones, the ones being filled, the zombies.
//!
//! Invariant: a page is in exactly the list that its state names. `previous` of a list's first page and
//! `next` of its last one are 0.

use super::entry::field;
use super::layout::{Mem, at};

/// Which list. The value is where its head lies; its tail lies 4 bytes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum List {
    /// Live pages; those of longest standing, or least recently used, last (see `queue.rs`).
    Main = at::MAIN,
    /// Live pages on probation: S3-FIFO's small queue.
    Small = at::SMALL,
    Pending = at::PENDING,
    /// Oldest last.
    Zombies = at::ZOMBIES,
}

impl Mem {
    pub fn head(&self, list: List) -> u32 {
        self.region.u32(list as usize)
    }

    pub fn tail(&self, list: List) -> u32 {
        self.region.u32(list as usize + 4)
    }

    pub fn set_ends(&self, list: List, head: u32, tail: u32) {
        self.region.set_u32(list as usize, head);
        self.region.set_u32(list as usize + 4, tail);
    }

    pub fn push_front(&self, list: List, page: u32) {
        let head = self.head(list);
        self.set_f32(page, field::PREV, 0);
        self.set_f32(page, field::NEXT, head);
        if head == 0 {
            self.set_ends(list, page, page);
        } else {
            self.set_f32(head, field::PREV, page);
            self.region.set_u32(list as usize, page);
        }
    }

    pub fn push_back(&self, list: List, page: u32) {
        let tail = self.tail(list);
        self.set_f32(page, field::PREV, tail);
        self.set_f32(page, field::NEXT, 0);
        if tail == 0 {
            self.set_ends(list, page, page);
        } else {
            self.set_f32(tail, field::NEXT, page);
            self.region.set_u32(list as usize + 4, page);
        }
    }

    pub fn unlink(&self, list: List, page: u32) {
        let prev = self.f32(page, field::PREV);
        let next = self.f32(page, field::NEXT);
        if prev == 0 {
            self.region.set_u32(list as usize, next);
        } else {
            self.set_f32(prev, field::NEXT, next);
        }
        if next == 0 {
            self.region.set_u32(list as usize + 4, prev);
        } else {
            self.set_f32(next, field::PREV, prev);
        }
    }
}
