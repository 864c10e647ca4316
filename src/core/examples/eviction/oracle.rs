//! What could be had by knowing the future.
//!
//! Where all pages have one size, throwing out what is asked for last is the best that can be done (Belady's MIN;
//! a page that is itself asked for last is not kept at all). With pages of many sizes the best is NP-hard to
//! find: throwing out the greatest product of distance and size is good for the share of requests, and the
//! greatest distance for the share of bytes. Neither is then a bound, but no policy that doesn't know the
//! future comes near.

use super::model::Policy;
use std::collections::BinaryHeap;

/// Steps in size between a power of two and the next: the product is right within a sixteenth.
const STEPS: f64 = 16.0;

pub struct Oracle<'t> {
    costs: &'t [u32],
    free: i64,
    /// The next request for each page that is there.
    nexts: Vec<Option<usize>>,
    /// For each class of sizes the pages in it by their next request, the last on top. What is out of date
    /// (the page is gone, or has been asked for since) is dropped when it comes to the top.
    classes: Vec<BinaryHeap<(usize, u32)>>,
    by_size: bool,
    now: usize,
}

impl<'t> Oracle<'t> {
    pub fn new(costs: &'t [u32], capacity: u64, by_size: bool) -> Oracle<'t> {
        Oracle {
            costs,
            free: capacity as i64,
            nexts: vec![None; costs.len()],
            classes: Vec::new(),
            by_size,
            now: 0,
        }
    }

    fn class(&self, page: u32) -> usize {
        if self.by_size { (f64::from(self.costs[page as usize].max(1)).log2() * STEPS) as usize } else { 0 }
    }

    fn evict(&mut self) {
        let mut worst: Option<(f64, usize, u32)> = None;
        for (class, heap) in self.classes.iter_mut().enumerate() {
            while heap.peek().is_some_and(|(next, page)| self.nexts[*page as usize] != Some(*next)) {
                heap.pop();
            }
            let Some((next, page)) = heap.peek().copied() else { continue };
            let size = if self.by_size { f64::from(self.costs[page as usize]) } else { 1.0 };
            let product = if next == usize::MAX { f64::INFINITY } else { (next - self.now) as f64 * size };
            if worst.is_none_or(|(most, _, _)| product > most) {
                worst = Some((product, class, page));
            }
        }
        if let Some((_, class, page)) = worst {
            self.classes[class].pop();
            self.nexts[page as usize] = None;
            self.free += i64::from(self.costs[page as usize]);
        }
    }
}

impl Policy for Oracle<'_> {
    fn request(&mut self, page: u32, next: usize) -> bool {
        self.now += 1;
        let was_there = self.nexts[page as usize].replace(next).is_some();
        let class = self.class(page);
        if self.classes.len() <= class {
            self.classes.resize_with(class + 1, BinaryHeap::new);
        }
        self.classes[class].push((next, page));
        if !was_there {
            self.free -= i64::from(self.costs[page as usize]);
            while self.free < 0 {
                self.evict();
            }
        }
        was_there
    }
}
