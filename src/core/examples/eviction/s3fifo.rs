//! S3-FIFO: a small queue that new pages must prove themselves in, a main queue, and a ghost: what was lately
//! thrown out of the small queue without having been asked for, and goes to the main queue if it comes back.
//!
//! ```text
//!               asked for again: main                     not asked for: evicted
//!  new --> small ----------------------> main --------------------------------->
//!            |                            ^ +-- asked for: once more round --+
//!            +-- else evicted --> ghost --+
//! ```

use super::model::{ANY, Policy};
use super::random::mix;
use std::collections::VecDeque;

/// What may differ between makes of S3-FIFO.
#[derive(Clone, Copy)]
pub struct Make {
    /// The small queue's share of the capacity.
    pub small: f64,
    /// Hits in the small queue that let a page into the main one.
    pub hits: u8,
    /// Pages that may be spared for each page that comes. Then the next one goes, asked for or not.
    pub chances: u32,
    /// The ghost is a table without chains, with an entry for so many bytes of the capacity. `None`: a queue.
    pub ghost_bytes: Option<u64>,
}

/// As published (Yang et al., SOSP 2023).
pub const PAPER: Make = Make { small: 0.10, hits: 2, chances: ANY, ghost_bytes: None };

/// Pages that the store spares at most for each page that comes.
pub const CHANCES: u32 = 64;
/// As the store has it: with bounded work and memory, and what did best here.
pub const STORE: Make = Make { small: 0.05, hits: 1, chances: CHANCES, ghost_bytes: Some(4096) };

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Out,
    Small,
    Main,
}

/// Pages that are remembered, not kept: as many as are kept.
enum Ghost {
    /// In the order in which they went, with the time of that; and that time for each page.
    Queue { queue: VecDeque<(u32, u64)>, since: Vec<u64> },
    /// Fingerprint and time in one word; a newer page overwrites an older one in its place.
    Table(Vec<u64>),
}

/// Queues of pages, each with its bytes.
#[derive(Default)]
struct Queue {
    pages: VecDeque<u32>,
    bytes: u64,
}

pub struct S3Fifo<'t> {
    costs: &'t [u32],
    make: Make,
    capacity: u64,
    places: Vec<Place>,
    counts: Vec<u8>,
    small: Queue,
    main: Queue,
    ghost: Ghost,
    /// Pages that have gone to the ghost so far: its clock.
    gone: u64,
}

impl<'t> S3Fifo<'t> {
    pub fn new(costs: &'t [u32], capacity: u64, make: Make) -> S3Fifo<'t> {
        let pages = costs.len();
        let ghost = match make.ghost_bytes {
            None => Ghost::Queue { queue: VecDeque::new(), since: vec![0; pages] },
            Some(bytes) => Ghost::Table(vec![0; (capacity / bytes).next_power_of_two() as usize]),
        };
        S3Fifo {
            costs,
            make,
            capacity,
            places: vec![Place::Out; pages],
            counts: vec![0; pages],
            small: Queue::default(),
            main: Queue::default(),
            ghost,
            gone: 0,
        }
    }

    fn cost(&self, page: u32) -> u64 {
        u64::from(self.costs[page as usize])
    }

    fn push(&mut self, page: u32, place: Place) {
        let cost = self.cost(page);
        let queue = if place == Place::Main { &mut self.main } else { &mut self.small };
        queue.pages.push_back(page);
        queue.bytes += cost;
        self.places[page as usize] = place;
    }

    fn pop(&mut self, place: Place) -> Option<u32> {
        let queue = if place == Place::Main { &mut self.main } else { &mut self.small };
        let page = queue.pages.pop_front()?;
        queue.bytes -= u64::from(self.costs[page as usize]);
        self.places[page as usize] = Place::Out;
        Some(page)
    }

    fn evict(&mut self, chances: &mut u32) {
        loop {
            let is_full = self.small.bytes as f64 >= self.make.small * self.capacity as f64;
            if is_full || self.main.pages.is_empty() {
                let Some(page) = self.pop(Place::Small) else { return };
                if self.counts[page as usize] < self.make.hits || !spend(chances) {
                    self.remember(page);
                    return;
                }
                self.counts[page as usize] = 0;
                self.push(page, Place::Main);
            } else {
                let Some(page) = self.pop(Place::Main) else { return };
                if self.counts[page as usize] == 0 || !spend(chances) {
                    return;
                }
                self.counts[page as usize] -= 1;
                self.push(page, Place::Main);
            }
        }
    }

    fn remembered(&self) -> u64 {
        (self.small.pages.len() + self.main.pages.len()) as u64
    }

    fn remember(&mut self, page: u32) {
        self.gone += 1;
        let most = self.remembered();
        match &mut self.ghost {
            Ghost::Queue { queue, since } => {
                queue.push_back((page, self.gone));
                since[page as usize] = self.gone;
                while queue.len() as u64 > most {
                    let Some((oldest, at)) = queue.pop_front() else { break };
                    if since[oldest as usize] == at {
                        since[oldest as usize] = 0;
                    }
                }
            }
            Ghost::Table(table) => {
                let hash = mix(u64::from(page));
                let place = hash as usize & (table.len() - 1);
                table[place] = hash >> 32 << 32 | self.gone & 0xffff_ffff;
            }
        }
    }

    /// Whether a page is remembered; it is not from then on.
    fn recall(&mut self, page: u32) -> bool {
        let most = self.remembered();
        match &mut self.ghost {
            Ghost::Queue { since, .. } => std::mem::take(&mut since[page as usize]) != 0,
            Ghost::Table(table) => {
                let hash = mix(u64::from(page));
                let place = hash as usize & (table.len() - 1);
                let entry = table[place];
                let age = (self.gone as u32).wrapping_sub(entry as u32);
                let is_it = entry != 0 && entry >> 32 == hash >> 32 && u64::from(age) <= most;
                if is_it {
                    table[place] = 0;
                }
                is_it
            }
        }
    }
}

impl Policy for S3Fifo<'_> {
    fn request(&mut self, page: u32, _: usize) -> bool {
        if self.places[page as usize] != Place::Out {
            let count = &mut self.counts[page as usize];
            *count = (*count + 1).min(3);
            return true;
        }
        let is_back = self.recall(page);
        let mut chances = self.make.chances;
        while self.small.bytes + self.main.bytes + self.cost(page) > self.capacity {
            self.evict(&mut chances);
        }
        self.counts[page as usize] = 0;
        self.push(page, if is_back { Place::Main } else { Place::Small });
        false
    }
}

fn spend(chances: &mut u32) -> bool {
    let has = *chances > 0;
    *chances -= u32::from(has);
    has
}
