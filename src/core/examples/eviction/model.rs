//! Policies as the literature has them, over plain vectors: small enough to be right at a glance.
//!
//! A policy is told of a request by the page's number, and says whether it had the page; if not, it has it from
//! then on. It is never asked for a page that is larger than the capacity. `costs` tells what each page takes
//! of that.

use std::collections::VecDeque;

pub trait Policy {
    /// Asks for a page; true if it was there. `next` is the number of the request that asks for it again.
    fn request(&mut self, page: u32, next: usize) -> bool;
}

/// Pages that may be spared for each page that comes, where the number is not bounded.
pub const ANY: u32 = u32::MAX;

const NONE: u32 = u32::MAX;

/// A list of pages that can be left in the middle.
struct List {
    links: Vec<(u32, u32)>,
    head: u32,
    tail: u32,
}

impl List {
    fn new(pages: usize) -> List {
        List { links: vec![(NONE, NONE); pages], head: NONE, tail: NONE }
    }

    fn push_front(&mut self, page: u32) {
        self.links[page as usize] = (NONE, self.head);
        match self.head {
            NONE => self.tail = page,
            head => self.links[head as usize].0 = page,
        }
        self.head = page;
    }

    fn remove(&mut self, page: u32) {
        let (before, after) = self.links[page as usize];
        match before {
            NONE => self.head = after,
            before => self.links[before as usize].1 = after,
        }
        match after {
            NONE => self.tail = before,
            after => self.links[after as usize].0 = before,
        }
    }

    /// The page that came in next after this one.
    fn newer(&self, page: u32) -> u32 {
        self.links[page as usize].0
    }
}

/// What goes is what was used least recently.
pub struct Lru<'t> {
    costs: &'t [u32],
    free: i64,
    there: Vec<bool>,
    list: List,
}

impl<'t> Lru<'t> {
    pub fn new(costs: &'t [u32], capacity: u64) -> Lru<'t> {
        let pages = costs.len();
        Lru { costs, free: capacity as i64, there: vec![false; pages], list: List::new(pages) }
    }
}

impl Policy for Lru<'_> {
    fn request(&mut self, page: u32, _: usize) -> bool {
        if self.there[page as usize] {
            self.list.remove(page);
            self.list.push_front(page);
            return true;
        }
        self.free -= i64::from(self.costs[page as usize]);
        while self.free < 0 {
            let oldest = self.list.tail;
            self.list.remove(oldest);
            self.there[oldest as usize] = false;
            self.free += i64::from(self.costs[oldest as usize]);
        }
        self.list.push_front(page);
        self.there[page as usize] = true;
        false
    }
}

/// What goes is what came first.
pub struct Fifo<'t> {
    costs: &'t [u32],
    free: i64,
    there: Vec<bool>,
    queue: VecDeque<u32>,
}

impl<'t> Fifo<'t> {
    pub fn new(costs: &'t [u32], capacity: u64) -> Fifo<'t> {
        Fifo { costs, free: capacity as i64, there: vec![false; costs.len()], queue: VecDeque::new() }
    }
}

impl Policy for Fifo<'_> {
    fn request(&mut self, page: u32, _: usize) -> bool {
        if self.there[page as usize] {
            return true;
        }
        self.free -= i64::from(self.costs[page as usize]);
        while self.free < 0 {
            let Some(oldest) = self.queue.pop_front() else { break };
            self.there[oldest as usize] = false;
            self.free += i64::from(self.costs[oldest as usize]);
        }
        self.queue.push_back(page);
        self.there[page as usize] = true;
        false
    }
}

/// SIEVE: a hand goes from the oldest page to the newest and round again, takes the marks off, and evicts the
/// first page that has none. A hit sets the page's mark.
pub struct Sieve<'t> {
    costs: &'t [u32],
    free: i64,
    there: Vec<bool>,
    marked: Vec<bool>,
    list: List,
    hand: u32,
    /// Marks that the hand may take off for each page that comes. Then the next page goes, marked or not.
    chances: u32,
}

impl<'t> Sieve<'t> {
    pub fn new(costs: &'t [u32], capacity: u64, chances: u32) -> Sieve<'t> {
        let pages = costs.len();
        Sieve {
            costs,
            free: capacity as i64,
            there: vec![false; pages],
            marked: vec![false; pages],
            list: List::new(pages),
            hand: NONE,
            chances,
        }
    }

    fn evict(&mut self, chances: &mut u32) {
        let mut page = if self.hand == NONE { self.list.tail } else { self.hand };
        while self.marked[page as usize] && *chances > 0 {
            *chances -= 1;
            self.marked[page as usize] = false;
            page = self.list.newer(page);
            if page == NONE {
                page = self.list.tail;
            }
        }
        self.hand = self.list.newer(page);
        self.list.remove(page);
        self.there[page as usize] = false;
        self.free += i64::from(self.costs[page as usize]);
    }
}

impl Policy for Sieve<'_> {
    fn request(&mut self, page: u32, _: usize) -> bool {
        if self.there[page as usize] {
            self.marked[page as usize] = true;
            return true;
        }
        self.free -= i64::from(self.costs[page as usize]);
        let mut chances = self.chances;
        while self.free < 0 {
            self.evict(&mut chances);
        }
        self.list.push_front(page);
        self.there[page as usize] = true;
        self.marked[page as usize] = false;
        false
    }
}
