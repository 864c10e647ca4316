//! Several real processes on one region, killed at any instant and at every write.
//!
//! The test is nginx's master here: it starts workers (this test binary again, see [`child`]), kills them, reaps them,
//! breaks the lock open that a dead one held, and starts a successor in the same slot, or none, so that the others
//! must find out. Half of the workers are not killed by it but are told to kill themselves at the nth write of one deed;
//! n counts up from life to life.
//!
//! `TWICE_KILLS=5000 cargo test -p twice-tests --test pure store::processes` kills more often than every day's 150, and by
//! other dice each time.

pub mod shared;
mod worker;

use self::shared::{ParentsLock, SEATS, Shared};
use self::worker::{Deed, KEYS, Life, assert_whole, hash_of, key_of, live, lives, sweep};
use super::OPTIONS;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use twice_core::store::{DeadSlot, Options, Policy, Section, Slot, Store};

/// Nobody has done anything for so long: somebody waits for ever.
const HANGS: Duration = Duration::from_secs(120);
/// Operations of all between two deaths.
const PROGRESS: u64 = 40;

#[test]
#[ignore = "no test: the processes that the tests beside it start"]
fn child() {
    if let Some(life) = Life::mine() {
        live(life);
    }
}

#[test]
fn killed_processes_cost_nobody_anything_under_lru() {
    run(Policy::Lru);
}

#[test]
fn killed_processes_cost_nobody_anything_under_sieve() {
    run(Policy::Sieve);
}

#[test]
fn killed_processes_cost_nobody_anything_under_s3fifo() {
    run(Policy::S3Fifo);
}

const VARIABLE: &str = "TWICE_KILLS";

/// Whether it is to be looked for what no day before has shown.
fn is_search() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Kills for each policy: so many at least that some hit every kind of thing.
fn kills() -> u64 {
    let all = std::env::var(VARIABLE).map_or(150, |n| n.parse().expect("TWICE_KILLS is a number"));
    u64::div_ceil(all, Policy::ALL.len() as u64).max(40)
}

/// At which write the next process shall die.
struct Fates {
    /// For each deed.
    writes: [u64; Deed::ALL.len()],
    next: usize,
    /// So many steps lead far into a deed.
    grain: u64,
}

impl Fates {
    /// Many kills try every write from the first one on; few begin somewhere.
    fn new(kills: u64, random: u64) -> Fates {
        let few = kills < 500;
        let begin = |deed: usize| if few { (random >> (6 * deed)) % 64 } else { 0 };
        Fates {
            writes: std::array::from_fn(begin),
            next: random as usize % Deed::ALL.len(),
            grain: if few { 4 } else { 20 },
        }
    }

    fn next(&mut self) -> (Deed, u64) {
        let at = self.next % Deed::ALL.len();
        self.next += 1;
        let write = self.writes[at];
        self.writes[at] += 1 + write / self.grain;
        (Deed::ALL[at], write)
    }

    /// The deed had fewer writes: from its beginning again, but not at the same ones.
    fn passed(&mut self, deed: Deed) {
        self.writes[deed as usize] = self.next as u64 % 4;
    }
}

struct Process {
    child: Child,
    fate: Option<(Deed, u64)>,
}

enum Place {
    Taken(Process),
    /// Nobody succeeds the one who died: the others must take back what it held.
    Orphaned(u32),
}

struct Master {
    shared: Shared,
    store: Store,
    places: Vec<Place>,
    fates: Fates,
    random: u64,
    killed: u64,
    forced: u64,
}

impl Drop for Master {
    fn drop(&mut self) {
        for place in &mut self.places {
            if let Place::Taken(process) = place {
                let _ = process.child.kill();
                let _ = process.child.wait();
            }
        }
    }
}

impl Master {
    fn next(&mut self) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 24
    }

    fn with<T>(&self, work: impl FnOnce(&mut Section<'_>) -> T) -> T {
        self.store.with(&ParentsLock(self.shared.lock()), work)
    }

    fn start(&mut self, seat: usize) -> Process {
        let is_forced = cfg!(debug_assertions) && self.next().is_multiple_of(2);
        let fate = is_forced.then(|| self.fates.next());
        let seed = self.next();
        let life = Life { file: self.shared.file(), parent: std::process::id(), seat, seed, fate };
        self.shared.board().seats[seat].survived.store(false, Ordering::Release);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::processes::child", "--ignored", "--nocapture"])
            .env(Life::VARIABLE, life.to_words())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Process { child, fate }
    }

    fn operations(&self) -> u64 {
        self.shared.board().operations()
    }

    /// Looks after one seat. True if its process is dead.
    fn tend(&mut self, seat: usize) -> bool {
        let survived = self.shared.board().seats[seat].survived.load(Ordering::Acquire);
        match &mut self.places[seat] {
            Place::Taken(process) => {
                if let Some(status) = process.child.try_wait().unwrap() {
                    let fate = process.fate;
                    self.bury(seat, status, fate.is_some());
                    return true;
                }
                if survived && let Some((deed, _)) = process.fate.take() {
                    self.fates.passed(deed);
                }
            }
            Place::Orphaned(pid) => {
                let pid = *pid;
                let claimed = self.with(|s| s.claims().any(|claim| claim == (seat as u32, pid)));
                // Where another program has that number by now nobody can know.
                if !claimed || lives(pid) {
                    self.places[seat] = Place::Taken(self.start(seat));
                }
            }
        }
        false
    }

    fn bury(&mut self, seat: usize, status: ExitStatus, forced: bool) {
        let Place::Taken(process) = &self.places[seat] else { return };
        let pid = process.child.id();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "seat {seat}: {status}, after {:?}", process.fate);
        self.killed += 1;
        self.forced += u64::from(forced);
        self.shared.lock().break_open(pid);
        let others = self.places.iter().filter(|place| matches!(place, Place::Taken(_))).count();
        self.places[seat] = if others > 2 && self.next().is_multiple_of(6) {
            Place::Orphaned(pid)
        } else {
            Place::Taken(self.start(seat))
        };
        if self.killed.is_multiple_of(10) {
            self.with(|s| s.check())
                .unwrap_or_else(|damage| panic!("after {} kills: {damage:?}", self.killed));
        }
    }

    /// Waits until there was some progress, or somebody has died of its own.
    fn wait(&mut self) {
        let (since, goal) = (Instant::now(), self.operations() + PROGRESS);
        while self.operations() < goal {
            for seat in 0..SEATS {
                if self.tend(seat) {
                    return;
                }
            }
            assert!(since.elapsed() < HANGS, "nobody does anything");
            std::thread::sleep(Duration::from_micros(200));
        }
        self.kill();
    }

    /// Kills somebody who is not to die otherwise, at whatever it is doing.
    fn kill(&mut self) {
        let seat = self.next() as usize % SEATS;
        std::thread::sleep(Duration::from_micros(self.next() % 2000));
        let Place::Taken(Process { child, fate: None }) = &mut self.places[seat] else { return };
        child.kill().unwrap();
        let status = child.wait().unwrap();
        self.bury(seat, status, false);
    }

    /// Everybody ends, and nothing is left of them.
    fn end(mut self) {
        self.shared.board().stop.store(true, Ordering::Release);
        let since = Instant::now();
        // In whatever order they end: one may wait for the lock that another one has died with.
        while self.places.iter().any(|place| matches!(place, Place::Taken(_))) {
            for place in &mut self.places {
                let Place::Taken(process) = place else { continue };
                let Some(status) = process.child.try_wait().unwrap() else { continue };
                // It was told to, and had not come to it before.
                let is_fate = status.signal() == Some(libc::SIGKILL) && process.fate.is_some();
                assert!(is_fate || status.success(), "{status}");
                let pid = process.child.id();
                self.shared.lock().break_open(pid);
                *place = Place::Orphaned(pid);
            }
            assert!(since.elapsed() < HANGS, "somebody does not end");
            std::thread::sleep(Duration::from_micros(200));
        }
        self.places.clear();
        // What the dead held is known from their claims alone.
        self.with(sweep);
        assert_eq!(self.with(|s| s.claims().count()), 0);
        let account = self.with(|s| s.check()).unwrap();
        let stats = self.with(|s| s.stats());
        assert_eq!((account.pending, account.zombie, stats.pins, stats.lost), (0, 0, 0, 0));
        assert_eq!(account.free + account.live, account.arena);
        let broken = self.shared.board().broken.load(Ordering::Relaxed);
        assert!(stats.recoveries > 0 && broken > 0, "nobody died in the middle of a change");
        assert!(stats.evicted > 0 && stats.replaced > 0 && stats.removed > 0);
        println!(
            "{} kills, {} of them at a chosen write, {broken} with the lock held; {} operations; {stats:?}",
            self.killed,
            self.forced,
            self.operations(),
        );
        // SAFETY: all others have ended.
        let slot = unsafe { Slot::new(0) };
        self.with(|s| s.claim_slot(&slot, std::process::id()));
        let now = self.shared.board().clock.load(Ordering::Relaxed);
        let mut found = 0;
        for number in 0..KEYS {
            let key = key_of(number);
            if let Some(hit) = self.store.get(&slot, hash_of(&self.store, &key), &key, now) {
                assert_whole(hit.held.page(), number, hit.found.meta.tag);
                found += 1;
            }
        }
        // Those that were not used for long are left to a store to drop.
        assert!(found <= account.entries);
        for number in 0..OPTIONS.slots {
            // SAFETY: nobody has any slot but this process, which holds nothing.
            self.with(|s| s.release_slot(&unsafe { DeadSlot::new(number) }));
        }
        self.with(|s| s.clear());
        let account = self.with(|s| s.check()).unwrap();
        assert_eq!((account.free, account.free_runs), (account.arena, 1));
    }
}

fn run(policy: Policy) {
    let kills = kills();
    let shared = Shared::new();
    assert_eq!(OPTIONS.slots as usize, 2 * SEATS);
    // SAFETY: nobody else knows the memory yet.
    let store =
        unsafe { Store::create(shared.region(), &Options { policy, inactive_ms: 1500, ..OPTIONS }) }.unwrap();
    let dice = if is_search() { std::process::id() } else { 1 };
    let random = u64::from(dice).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ policy as u64;
    let fates = Fates::new(kills, random);
    let mut master = Master { shared, store, places: Vec::new(), fates, random, killed: 0, forced: 0 };
    for seat in 0..SEATS {
        let process = master.start(seat);
        master.places.push(Place::Taken(process));
    }
    while master.killed < kills {
        master.wait();
    }
    master.end();
}
