//! A lock that waits as that of nginx's zones does, and measures it.
//!
//! A word with the holder's pid. Whoever finds it taken looks again after 1, 2, 4 ... 1024 pauses, then says that it
//! waits and sleeps on a semaphore, from which it is woken to try anew. Who gives the lock back wakes one that waits.

use crate::shared::Histogram;
use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;
use twice_core::store::RawLock;

const SPIN: u32 = 2048;

/// What is shared of the lock.
#[repr(C, align(64))]
pub struct Words {
    holder: AtomicU64,
    waiting: AtomicI64,
    semaphore: UnsafeCell<libc::sem_t>,
}

// SAFETY: two atomics, and a semaphore that is initialised for being shared.
unsafe impl Sync for Words {}

impl Words {
    /// Makes the semaphore: once, before anybody uses the lock.
    pub fn init(&self) {
        // SAFETY: shared memory that stays where it is.
        let made = unsafe { libc::sem_init(self.semaphore.get(), 1, 0) };
        assert_eq!(made, 0, "sem_init: {}", std::io::Error::last_os_error());
    }
}

/// Times for which the lock was held: measured only where they are asked for, as two clocks for each section cost more
/// than the section.
pub struct Holds {
    pub wall: Histogram,
    pub cpu: Histogram,
    since: Cell<(u64, Option<Instant>)>,
    /// What `cpu` would tell of nothing.
    clocks_ns: u64,
}

impl Holds {
    fn new() -> Holds {
        let mut holds =
            Holds { wall: Histogram::empty(), cpu: Histogram::empty(), since: Cell::default(), clocks_ns: 0 };
        let empty = (0..1000).map(|_| {
            holds.begin();
            holds.lengths().0
        });
        holds.clocks_ns = empty.min().unwrap_or(0);
        holds
    }

    /// The wall's clock innermost: it costs less.
    fn begin(&self) {
        let cpu = cpu_ns();
        self.since.set((cpu, Some(Instant::now())));
    }

    fn lengths(&self) -> (u64, u64) {
        let (cpu, wall) = self.since.take();
        let wall = wall.map_or(0, |since| since.elapsed().as_nanos() as u64);
        ((cpu_ns() - cpu).saturating_sub(self.clocks_ns), wall)
    }

    fn end(&self) {
        let (cpu, wall) = self.lengths();
        self.cpu.add(cpu);
        self.wall.add(wall);
    }
}

/// The lock in one process.
pub struct Lock<'w> {
    words: &'w Words,
    pid: u64,
    spins: bool,
    pub takings: Cell<u64>,
    pub waits: Cell<u64>,
    pub wait_ns: Cell<u64>,
    pub wait_cpu_ns: Cell<u64>,
    holds: Option<Holds>,
}

/// CPU time of this process, as its one thread.
fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place of ours to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl<'w> Lock<'w> {
    /// The lock as this process takes it.
    pub fn new(words: &'w Words, cores: usize, measures_holds: bool) -> Lock<'w> {
        Lock {
            words,
            pid: u64::from(std::process::id()),
            spins: cores > 1,
            takings: Cell::new(0),
            waits: Cell::new(0),
            wait_ns: Cell::new(0),
            wait_cpu_ns: Cell::new(0),
            holds: measures_holds.then(Holds::new),
        }
    }

    /// Begins to count anew.
    pub fn forget(&self) {
        for figure in [&self.takings, &self.waits, &self.wait_ns, &self.wait_cpu_ns] {
            figure.set(0);
        }
        if let Some(holds) = &self.holds {
            holds.wall.clear();
            holds.cpu.clear();
        }
    }

    pub fn holds(&self) -> Option<&Holds> {
        self.holds.as_ref()
    }

    fn try_lock(&self) -> bool {
        let word = &self.words.holder;
        word.load(Ordering::Relaxed) == 0
            && word.compare_exchange(0, self.pid, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn wait(&self) {
        loop {
            let mut pauses = 1;
            while self.spins && pauses < SPIN {
                for _ in 0..pauses {
                    std::hint::spin_loop();
                }
                if self.try_lock() {
                    return;
                }
                pauses <<= 1;
            }
            self.words.waiting.fetch_add(1, Ordering::SeqCst);
            if self.try_lock() {
                self.words.waiting.fetch_sub(1, Ordering::SeqCst);
                return;
            }
            // SAFETY: initialised by `init`. Woken by a signal it returns early, which the loop bears.
            unsafe { libc::sem_wait(self.words.semaphore.get()) };
            if self.try_lock() {
                return;
            }
        }
    }

    fn wake(&self) {
        let waiting = &self.words.waiting;
        let one_less = |n: i64| (n > 0).then(|| n - 1);
        if waiting.load(Ordering::SeqCst) > 0
            && waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
        {
            // SAFETY: initialised by `init`.
            unsafe { libc::sem_post(self.words.semaphore.get()) };
        }
    }
}

// SAFETY: taken by a compare-and-swap with acquire, given back with release.
unsafe impl RawLock for Lock<'_> {
    fn lock(&self) {
        self.takings.set(self.takings.get() + 1);
        if !self.try_lock() {
            let (since, cpu) = (Instant::now(), cpu_ns());
            self.wait();
            self.wait_cpu_ns.set(self.wait_cpu_ns.get() + (cpu_ns() - cpu));
            self.waits.set(self.waits.get() + 1);
            self.wait_ns.set(self.wait_ns.get() + since.elapsed().as_nanos() as u64);
        }
        if let Some(holds) = &self.holds {
            holds.begin();
        }
    }

    fn unlock(&self) {
        if let Some(holds) = &self.holds {
            holds.end();
        }
        // In order, as nginx's is: nobody who has just said that it waits may be overlooked.
        self.words.holder.swap(0, Ordering::SeqCst);
        self.wake();
    }
}
