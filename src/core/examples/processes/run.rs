//! One cell: processes that all do the same for a time.

use crate::load::{self, Load, Pages, Random, Way, Worker};
use crate::lock::Lock;
use crate::shared::{Control, Controlled, Figures, Mapping};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use twice_core::store::{Policy, Slot, Store};

pub struct Bench<'a> {
    pub region: &'a Mapping,
    pub pages: &'a Pages,
    pub cores: usize,
    pub time: Duration,
}

/// What came of one cell.
pub struct Outcome {
    pub processes: Vec<Figures>,
    pub control: Controlled,
}

/// User and system time of this process.
fn cpu_ns() -> u64 {
    // SAFETY: zeroes are a good `rusage`, into which the call writes.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|time| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000)
        .sum()
}

/// Milliseconds of a clock that costs next to nothing: a worker of nginx has one, too.
fn now_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place of ours to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

impl Bench<'_> {
    /// Lets processes work on a new store.
    pub fn run(&self, policy: Policy, load: Load, way: Way, processes: usize, holds: bool) -> Outcome {
        let store = crate::filled(self.region, self.pages, policy);
        let controlled = Controlled::new();
        let control = controlled.get();
        let children = Vec::from_iter((0..processes).map(|number| {
            // SAFETY: this process has one thread.
            match unsafe { libc::fork() } {
                0 => {
                    let work = || self.live(&store, control, number, load, way, holds);
                    let status = i32::from(catch_unwind(AssertUnwindSafe(work)).is_err());
                    // SAFETY: nothing of the parent's shall be run at the end.
                    unsafe { libc::_exit(status) }
                }
                -1 => panic!("fork: {}", std::io::Error::last_os_error()),
                pid => pid,
            }
        }));
        while control.ready.load(Ordering::Acquire) < processes as u32 {
            std::thread::sleep(Duration::from_micros(100));
        }
        control.go.store(true, Ordering::Release);
        std::thread::sleep(self.time);
        control.stop.store(true, Ordering::Release);
        for pid in children {
            let mut status = 0;
            // SAFETY: a child of ours, and a place of ours to write to.
            let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
            assert!(waited == pid && status == 0, "a process ended with status {status:#x}");
        }
        let figures = (0..processes).map(|number| control.told(number)).collect();
        Outcome { processes: figures, control: controlled }
    }

    /// The life of one process.
    fn live(&self, store: &Store, control: &Control, number: usize, load: Load, way: Way, holds: bool) {
        // SAFETY: it concerns this process alone: it shall not outlive its parent.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        self.region.touch();
        // SAFETY: each process has its number.
        let slot = unsafe { Slot::new(number as u32 + 1) };
        let lock = Lock::new(&control.lock, self.cores, holds);
        store.with(&lock, |s| s.claim_slot(&slot, std::process::id()));
        let random = Random(number as u64 * 7 + 1);
        let mut worker =
            Worker { store, slot: &slot, lock: &lock, pages: self.pages, random, now_ms: now_ms() };
        // What is asked for has been asked for before, so that neither first uses nor cold tables are measured.
        for at in 0..load::DRAWS {
            assert!(worker.hit(worker.drawn(at)));
        }
        lock.forget();
        control.ready.fetch_add(1, Ordering::Release);
        while !control.go.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_micros(100));
        }
        let (begin, cpu) = (Instant::now(), cpu_ns());
        let mut figures = Figures::default();
        let mut at = number * 4099;
        while !control.stop.load(Ordering::Relaxed) {
            if at.is_multiple_of(32) {
                worker.now_ms = now_ms();
            }
            at += 1;
            if load == Load::Mixed && worker.random.next().is_multiple_of(20) {
                figures.stores += u64::from(worker.put());
            } else {
                let page = if load == Load::OneKey { 0 } else { worker.drawn(at) };
                let found = match way {
                    Way::WithoutLock => worker.hit(page),
                    Way::UnderLock => worker.hit_under_lock(page),
                };
                figures.hits += u64::from(found);
            }
            figures.operations += 1;
        }
        figures.wall_ns = begin.elapsed().as_nanos() as u64;
        figures.cpu_ns = cpu_ns() - cpu;
        figures.takings = lock.takings.get();
        figures.waits = lock.waits.get();
        figures.wait_ns = lock.wait_ns.get();
        figures.wait_cpu_ns = lock.wait_cpu_ns.get();
        control.tell(number, figures);
        if let Some(holds) = lock.holds() {
            control.held.merge(&holds.wall);
            control.held_cpu.merge(&holds.cpu);
        }
    }
}
