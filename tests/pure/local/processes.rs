//! Real processes that count at once and are killed at any instant, or at a chosen write: each death costs at most the
//! one change that was being made.

use super::*;
use crate::store::processes::shared::{ParentsLock, SEATS, Shared};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use twice_core::store::{DeadSlot, Store};

const VARIABLE: &str = "TWICE_TEST_COUNTING";
const IDS: [&[u8]; 3] = [b"a", b"b", b"c"];
const KILLS: u64 = 60;
/// Nobody has counted for so long: somebody waits for ever.
const HANGS: Duration = Duration::from_secs(120);

#[test]
#[ignore = "no test: the processes that the test below starts"]
fn child() {
    let Ok(words) = std::env::var(VARIABLE) else { return };
    let mut numbers = words.split(' ').map(|word| word.parse::<u64>().unwrap());
    let [file, parent, seat, fate] = std::array::from_fn(|_| numbers.next().unwrap());
    // SAFETY: it concerns this process alone.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if u64::from(std::os::unix::process::parent_id()) != parent {
        return;
    }
    // SAFETY: the parent says so.
    let shared = unsafe { Shared::inherited(file as i32) };
    let store = Store::attach(shared.region()).unwrap();
    let slot = slot(seat as u32);
    let lock = shared.lock();
    store.with(&lock, |s| {
        // SAFETY: the parent lets one process at a time sit here.
        s.release_slot(&unsafe { DeadSlot::new(slot.number()) });
        s.claim_slot(&slot, std::process::id());
    });
    let locals = Locals { store: &store, lock: &lock, slot: &slot };
    let done = &shared.board().seats[seat as usize].operations;
    #[cfg(debug_assertions)]
    if fate > 0 {
        twice_core::store::fault::arm(fate, || {
            // SAFETY: it concerns this process alone.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            loop {
                std::thread::park();
            }
        });
    }
    let _ = fate;
    while !shared.board().stop.load(Ordering::Acquire) {
        let now = shared.board().clock.fetch_add(1, Ordering::Relaxed);
        let id = IDS[(now % 3) as usize];
        locals.change(id, INCR, now * 30).unwrap();
        done.fetch_add(1, Ordering::Release);
        let _ = locals.get(id, now * 30);
    }
    #[cfg(debug_assertions)]
    twice_core::store::fault::disarm();
}

struct Master {
    shared: Shared,
    children: Vec<Child>,
    random: u64,
}

impl Drop for Master {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Master {
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.random >> 33
    }

    fn start(&mut self, seat: usize) -> Child {
        let fate = if self.next().is_multiple_of(2) { 1 + self.next() % 3000 } else { 0 };
        let words = format!("{} {} {seat} {fate}", self.shared.file(), std::process::id());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "local::processes::child", "--ignored", "--nocapture"])
            .env(VARIABLE, words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }
}

#[test]
fn a_death_costs_one_change_at_most() {
    let shared = Shared::new();
    // SAFETY: done once, before anything else.
    let store =
        unsafe { Store::create(shared.region(), &Options { policy: Policy::Lru, ..OPTIONS }) }.unwrap();
    let mut master = Master { shared, children: Vec::new(), random: 7 };
    for seat in 0..SEATS {
        let child = master.start(seat);
        master.children.push(child);
    }
    let slot = slot(SEATS as u32);
    let (mut taken, mut killed, mut broken) = (0, 0, Instant::now());
    while killed < KILLS {
        let lock = ParentsLock(master.shared.lock());
        store.with(&lock, |s| s.claim_slot(&slot, std::process::id()));
        let locals = Locals { store: &store, lock: &lock, slot: &slot };
        taken += locals.delete(IDS[(killed % 3) as usize]).unwrap_or(0);
        let seat = master.next() as usize % SEATS;
        let before = master.shared.board().seats[seat].operations.load(Ordering::Acquire);
        // It shall be counting, or dead already.
        while master.shared.board().seats[seat].operations.load(Ordering::Acquire) < before + 50 {
            if master.children[seat].try_wait().unwrap().is_some() {
                break;
            }
            assert!(broken.elapsed() < HANGS, "nobody counts");
            let holder = ParentsLock(master.shared.lock());
            store.with(&holder, |_| ());
            std::thread::sleep(Duration::from_micros(200));
        }
        broken = Instant::now();
        master.children[seat].kill().unwrap();
        let status = master.children[seat].wait().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}");
        let pid = master.children[seat].id();
        master.shared.lock().break_open(pid);
        killed += 1;
        master.children[seat] = master.start(seat);
    }
    master.shared.board().stop.store(true, Ordering::Release);
    for child in &mut master.children {
        let since = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(since.elapsed() < HANGS, "somebody does not end");
            // Takes the lock of one that has died with it, and is not reaped yet.
            store.with(&ParentsLock(master.shared.lock()), |_| ());
            std::thread::sleep(Duration::from_micros(200));
        };
        master.shared.lock().break_open(child.id());
        killed += u64::from(!status.success());
    }
    let lock = ParentsLock(master.shared.lock());
    let locals = Locals { store: &store, lock: &lock, slot: &slot };
    let left: u64 = IDS.into_iter().filter_map(|id| locals.delete(id)).sum();
    let done = master.shared.board().operations();
    let sum = taken + left;
    assert!((done..=done + killed).contains(&sum), "{done} were done, {sum} counted, {killed} killed");
    store.with(&lock, |s| {
        for number in 0..SEATS as u32 {
            // SAFETY: all have ended.
            s.release_slot(&unsafe { DeadSlot::new(number) });
        }
        s.check().unwrap();
        assert_eq!((s.stats().lost, s.stats().evicted), (0, 0));
    });
}
