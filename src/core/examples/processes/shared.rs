//! Memory that the processes share: mapped before they are forked, so that all have it at one place.

use crate::lock::Words;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use twice_core::store::Region;

/// Processes that there can be.
pub const MOST: usize = 64;

/// A shared mapping, all zeroes at first.
pub struct Mapping {
    base: *mut u8,
    len: usize,
}

impl Mapping {
    pub fn new(len: usize) -> Mapping {
        // SAFETY: a new mapping at a place of the system's choice.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(base, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        Mapping { base: base.cast(), len }
    }

    pub fn region(&self) -> Region {
        // SAFETY: mapped until the process ends or `self` is dropped, which comes last; stores alone use it, each with the
        // one lock of its control block.
        unsafe { Region::new(self.base, self.len) }.unwrap()
    }

    /// Lets this process have all of it in its page table, so that no fault is measured.
    pub fn touch(&self) {
        for at in (0..self.len).step_by(4096) {
            // SAFETY: inside the mapping; an atomic read of nothing, which may race with anything but plain writes, and
            // nobody writes while processes come up.
            unsafe { AtomicU32::from_ptr(self.base.add(at).cast()).fetch_or(0, Ordering::Relaxed) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this length; nothing refers to it any more.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// What one process has measured.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Figures {
    pub operations: u64,
    pub hits: u64,
    pub stores: u64,
    pub wall_ns: u64,
    pub cpu_ns: u64,
    pub takings: u64,
    pub waits: u64,
    pub wait_ns: u64,
    pub wait_cpu_ns: u64,
}

/// Times by length: 16 steps for each power of two nanoseconds.
#[repr(C)]
pub struct Histogram {
    steps: [AtomicU64; Histogram::STEPS],
    sum: AtomicU64,
}

impl Histogram {
    const STEPS: usize = 640;

    /// All zeroes.
    pub fn empty() -> Histogram {
        Histogram { steps: [const { AtomicU64::new(0) }; Histogram::STEPS], sum: AtomicU64::new(0) }
    }

    pub fn clear(&self) {
        for n in self.steps.iter().chain([&self.sum]) {
            n.store(0, Ordering::Relaxed);
        }
    }

    pub fn add(&self, ns: u64) {
        let step = if ns < 16 {
            ns as usize
        } else {
            let power = ns.ilog2();
            16 * (power as usize - 3) + (ns >> (power - 4) & 15) as usize
        };
        self.steps[step.min(Histogram::STEPS - 1)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(ns, Ordering::Relaxed);
    }

    fn end_of(step: usize) -> u64 {
        if step < 16 { step as u64 } else { (17 + step as u64 % 16) << (step / 16 - 1) }
    }

    pub fn merge(&self, other: &Histogram) {
        for (mine, more) in self.steps.iter().zip(&other.steps) {
            mine.fetch_add(more.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.sum.fetch_add(other.sum(), Ordering::Relaxed);
    }

    /// All times together, in nanoseconds.
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    pub fn count(&self) -> u64 {
        self.steps.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// The time in nanoseconds that a share of all times do not exceed.
    pub fn quantile(&self, share: f64) -> u64 {
        let goal = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (step, n) in self.steps.iter().enumerate() {
            seen += n.load(Ordering::Relaxed);
            if seen >= goal {
                return Histogram::end_of(step);
            }
        }
        0
    }
}

/// What steers the processes of one cell, and what they tell. Zeroes are a good one, but for the lock's semaphore.
#[repr(C)]
pub struct Control {
    pub lock: Words,
    pub ready: AtomicU32,
    pub go: AtomicBool,
    pub stop: AtomicBool,
    figures: [[AtomicU64; size_of::<Figures>() / 8]; MOST],
    /// Times that the lock was held, by the wall and in the process's own CPU time.
    pub held: Histogram,
    pub held_cpu: Histogram,
}

/// A control block in shared memory.
pub struct Controlled(Mapping);

impl Controlled {
    pub fn new() -> Controlled {
        let mapping = Mapping::new(size_of::<Control>().next_multiple_of(4096));
        let new = Controlled(mapping);
        new.get().lock.init();
        new
    }

    pub fn get(&self) -> &Control {
        // SAFETY: the mapping has room for one, and is aligned to a page; all in it is atomic or, the semaphore, made for
        // being shared.
        unsafe { &*self.0.base.cast() }
    }
}

impl Control {
    pub fn tell(&self, process: usize, figures: Figures) {
        let Figures { operations, hits, stores, wall_ns, cpu_ns, takings, waits, wait_ns, wait_cpu_ns } =
            figures;
        let all = [operations, hits, stores, wall_ns, cpu_ns, takings, waits, wait_ns, wait_cpu_ns];
        for (word, figure) in self.figures[process].iter().zip(all) {
            word.store(figure, Ordering::Release);
        }
    }

    pub fn told(&self, process: usize) -> Figures {
        let mut words = self.figures[process].iter().map(|word| word.load(Ordering::Acquire));
        let mut next = || words.next().unwrap();
        Figures {
            operations: next(),
            hits: next(),
            stores: next(),
            wall_ns: next(),
            cpu_ns: next(),
            takings: next(),
            waits: next(),
            wait_ns: next(),
            wait_cpu_ns: next(),
        }
    }
}
