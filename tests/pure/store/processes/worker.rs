//! One of the processes: uses the store in every way, believes nothing, and may be told where to die.

use super::shared::{Board, SEATS, Shared};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use twice_core::store::{DeadSlot, Meta, Page, Pin, ReserveError, Section, Slot, Store};

/// Twice as many pages as there is room for.
pub const KEYS: u64 = 200;
/// A pid that no process has: Linux ends at 2^22.
const NOBODY: u32 = 0x3fff_ffff;

/// What a process can be told to die in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Arrive,
    Put,
    Replace,
    Get,
    Hold,
    Remove,
    Rebuild,
    Sweep,
    Clear,
}

impl Deed {
    pub const ALL: [Deed; 9] = [
        Deed::Arrive,
        Deed::Put,
        Deed::Replace,
        Deed::Get,
        Deed::Hold,
        Deed::Remove,
        Deed::Rebuild,
        Deed::Sweep,
        Deed::Clear,
    ];
}

/// Who a process is to be. As words, to be told in the environment.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub file: RawFd,
    pub parent: u32,
    pub seat: usize,
    pub seed: u64,
    /// Dies at its nth write into the region in this deed.
    pub fate: Option<(Deed, u64)>,
}

impl Life {
    pub const VARIABLE: &str = "TWICE_TEST_LIFE";

    pub fn to_words(self) -> String {
        let (deed, write) = self.fate.map_or((Deed::ALL.len(), 0), |(deed, write)| (deed as usize, write));
        format!("{} {} {} {} {deed} {write}", self.file, self.parent, self.seat, self.seed)
    }

    fn from_words(words: &str) -> Life {
        let mut numbers = words.split(' ').map(|word| word.parse::<u64>().unwrap());
        let mut next = || numbers.next().unwrap();
        let (file, parent, seat, seed) = (next() as RawFd, next() as u32, next() as usize, next());
        let (deed, write) = (next() as usize, next());
        Life { file, parent, seat, seed, fate: Deed::ALL.get(deed).map(|deed| (*deed, write)) }
    }

    /// The life that this process was started for, if it was.
    pub fn mine() -> Option<Life> {
        std::env::var(Life::VARIABLE).ok().map(|words| Life::from_words(&words))
    }
}

pub fn key_of(number: u64) -> Vec<u8> {
    format!("/page/{number}").into_bytes()
}

/// A hash that leaves eight buckets only: chains are long, and change at every place.
pub fn hash_of(store: &Store, key: &[u8]) -> u64 {
    store.hash(key) & 0xe000_0000_ffff_ffff
}

/// How long a page with this tag is: mostly short, now and then of many runs.
fn len_of(tag: u64) -> usize {
    let most = if tag >> 60 == 0 { 60_000 } else { 6_000 };
    (tag >> 20) as usize % most
}

/// The bytes of a page with this tag.
fn bytes_of(tag: u64) -> Vec<u8> {
    let mut bytes = vec![0; len_of(tag)];
    let mut state = tag | 1;
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(tag);
        chunk.copy_from_slice(&(state ^ state >> 29).to_le_bytes()[..chunk.len()]);
    }
    bytes
}

/// A page must be the one of its key, with all the bytes that its tag says.
pub fn assert_whole(page: Page<'_>, number: u64, tag: u64) {
    assert_eq!(super::super::bytes(page.key()), key_of(number), "key");
    assert_eq!(tag % KEYS, number, "page of another key");
    assert_eq!(page.value_len(), len_of(tag), "length of page {number}, tag {tag:x}");
    assert!(super::super::bytes(page.value()) == bytes_of(tag), "bytes of page {number}, tag {tag:x}");
}

/// Whether a process is still there.
pub fn lives(pid: u32) -> bool {
    // SAFETY: signal 0 only asks.
    let asked = unsafe { libc::kill(pid as libc::pid_t, 0) };
    asked == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// Takes back what dead processes held, as a worker of nginx does.
pub fn sweep(section: &mut Section<'_>) {
    for (number, pid) in section.claims() {
        if !lives(pid) {
            // SAFETY: the process has ended. A new one in its slot would have said so under this lock.
            section.release_slot(&unsafe { DeadSlot::new(number) });
        }
    }
}

/// The board, for a function that can't be given it.
static BOARD: OnceLock<&'static Board> = OnceLock::new();

/// Lets the others do something, at a point where they must be able to.
#[cfg(debug_assertions)]
fn let_others() {
    let Some(board) = BOARD.get() else { return };
    let goal = board.operations() + 60;
    // Bounded: all others may be dead, or wait for the lock of a dead one.
    for _ in 0..20_000 {
        if board.operations() >= goal || board.stop.load(Ordering::Acquire) {
            return;
        }
        std::thread::yield_now();
    }
}

struct Worker<'s> {
    shared: &'s Shared,
    /// It is about to die: `fault` is armed.
    #[cfg_attr(not(debug_assertions), allow(dead_code, reason = "only a debug build can be told to die"))]
    is_fated: bool,
    store: &'s Store,
    slot: Slot,
    number: u32,
    random: u64,
    pins: VecDeque<(Pin, u64, u64)>,
}

/// Lives until it is told to stop, or dies.
pub fn live(life: Life) {
    // SAFETY: it concerns this process alone.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if std::os::unix::process::parent_id() != life.parent {
        return;
    }
    // SAFETY: the parent says so.
    let shared: &Shared = Box::leak(Box::new(unsafe { Shared::inherited(life.file) }));
    BOARD.get_or_init(|| shared.board());
    let store = Store::attach(shared.region()).unwrap();
    let number = life.seat as u32;
    // SAFETY: the parent lets one process at a time sit here.
    let slot = unsafe { Slot::new(number) };
    let random = life.seed | 1;
    let pins = VecDeque::new();
    let mut me = Worker { shared, is_fated: false, store: &store, slot, number, random, pins };
    let seat = &shared.board().seats[life.seat];
    let mut fate = life.fate;
    if fate.is_some_and(|(deed, _)| deed == Deed::Arrive) {
        me.dies_in(fate.take());
    } else {
        me.arrive();
    }
    let quiet = me.next() % 40;
    let mut done = 0;
    while !shared.board().stop.load(Ordering::Acquire) {
        if done == quiet {
            me.dies_in(fate.take());
        }
        let deed = match me.next() % 2000 {
            0..1000 => Deed::Get,
            1000..1100 => Deed::Hold,
            1100..1800 => Deed::Put,
            1800..1920 => Deed::Replace,
            1920..1960 => Deed::Remove,
            1960..1969 => Deed::Rebuild,
            1969..1999 => Deed::Sweep,
            _ => Deed::Clear,
        };
        me.does(deed);
        done += 1;
        seat.operations.fetch_add(1, Ordering::Release);
    }
    me.end_pins(0);
}

impl Worker<'_> {
    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Section<'_>) -> T) -> T {
        self.store.with(&self.shared.lock(), work)
    }

    fn now(&self) -> u64 {
        self.shared.board().clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes the slot, and what a predecessor held.
    fn arrive(&self) {
        self.with(|s| {
            // SAFETY: the predecessor has ended.
            s.release_slot(&unsafe { DeadSlot::new(self.number) });
            s.claim_slot(&self.slot, std::process::id());
        });
    }

    /// Does something, and dies in it. If that deed had less to write the process lives on.
    fn dies_in(&mut self, fate: Option<(Deed, u64)>) {
        let Some((deed, _write)) = fate else { return };
        if deed == Deed::Sweep {
            self.pretend();
        }
        self.is_fated = true;
        #[cfg(debug_assertions)]
        twice_core::store::fault::arm(_write, || {
            // SAFETY: it concerns this process alone.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            loop {
                std::thread::park();
            }
        });
        self.does(deed);
        #[cfg(debug_assertions)]
        assert!(twice_core::store::fault::disarm());
        self.is_fated = false;
        self.shared.board().seats[self.number as usize].survived.store(true, Ordering::Release);
    }

    fn does(&mut self, deed: Deed) {
        let number = self.next() % KEYS;
        match deed {
            Deed::Arrive => self.arrive(),
            Deed::Put => self.put(number),
            Deed::Replace => {
                // One that is there, mostly while somebody reads it.
                let there = |number: &u64| {
                    let key = key_of(*number);
                    self.with(|s| s.peek(hash_of(self.store, &key), &key)).is_some()
                };
                let number = (number..number + KEYS).map(|n| n % KEYS).find(there).unwrap_or(number);
                self.put(number);
            }
            Deed::Get => self.get(number),
            Deed::Hold => self.hold(number),
            Deed::Remove => {
                let key = key_of(number);
                self.with(|s| s.remove_key(hash_of(self.store, &key), &key));
            }
            Deed::Rebuild => {
                self.with(|s| s.mark_dirty());
                self.with(|_| ());
            }
            Deed::Sweep => {
                if self.next().is_multiple_of(2) {
                    self.pretend();
                }
                self.with(sweep);
            }
            Deed::Clear => self.with(|s| s.clear()),
        }
    }

    fn put(&mut self, number: u64) {
        let tag = {
            let random = self.next();
            random - random % KEYS + number
        };
        // The one that would leave 64 bits is as good as any other.
        let tag = if tag % KEYS == number { tag } else { number };
        let (key, bytes, now) = (key_of(number), bytes_of(tag), self.now());
        let hash = hash_of(self.store, &key);
        let reserved = self.with(|s| s.reserve(&self.slot, hash, &key, bytes.len(), now));
        let mut page = match reserved {
            Ok(page) => page,
            Err(error) => return assert_eq!(error, ReserveError::NoRoom),
        };
        let middle = if bytes.is_empty() { 0 } else { self.next() as usize % bytes.len() };
        self.store.write(&mut page, middle, &bytes[middle..]).unwrap();
        if self.next().is_multiple_of(8) {
            std::thread::yield_now();
        }
        self.store.write(&mut page, 0, &bytes[..middle]).unwrap();
        if self.next().is_multiple_of(16) {
            return self.with(|s| s.abandon(page));
        }
        let meta = Meta { created_ms: now, expires_ms: now + 1, tag, ..Meta::default() };
        assert!(self.with(|s| s.publish(page, meta, now)).is_some());
    }

    /// A hit as a worker has it: without the lock if it can be, sometimes pinned for longer.
    fn get(&mut self, number: u64) {
        let (key, now) = (key_of(number), self.now());
        let hash = hash_of(self.store, &key);
        let hit = self.get_slowly(|me| me.store.get(&me.slot, hash, &key, now));
        let Some(hit) = hit else { return self.hold(number) };
        if hit.touch {
            self.with(|s| s.touch(hit.found.entry, now));
        }
        assert_whole(hit.held.page(), number, hit.found.meta.tag);
        if self.random.is_multiple_of(3) {
            return;
        }
        let pin = self.store.pin(&self.shared.lock(), &self.slot, &hit.held);
        let tag = hit.found.meta.tag;
        drop(hit);
        self.pins.extend(pin.map(|pin| (pin, number, tag)));
        self.end_pins(3);
    }

    /// Sometimes stops before a write, such as that of a hazard, while the others go on: no moment is so short that nothing
    /// could happen in it.
    fn get_slowly<T>(&mut self, get: impl FnOnce(&Self) -> T) -> T {
        #[cfg(debug_assertions)]
        if !self.is_fated && self.next().is_multiple_of(16) {
            twice_core::store::fault::arm(self.next() % 4, let_others);
            let got = get(self);
            twice_core::store::fault::disarm();
            return got;
        }
        get(self)
    }

    /// A hit under the lock.
    fn hold(&mut self, number: u64) {
        let (key, now) = (key_of(number), self.now());
        let hash = hash_of(self.store, &key);
        let store = self.store;
        let held = store.with(&self.shared.lock(), |s| {
            let found = s.lookup(hash, &key, now)?;
            let held =
                s.hold(&self.slot, found.entry).expect("it was just found, and no other hold is there");
            Some((found, held))
        });
        if let Some((found, held)) = held {
            assert_whole(held.page(), number, found.meta.tag);
        }
    }

    /// Looks once more at what was pinned longest ago, and lets go of it.
    fn end_pins(&mut self, keep: usize) {
        while self.pins.len() > keep {
            let Some((pin, number, tag)) = self.pins.pop_front() else { return };
            assert_whole(self.store.page(&pin).unwrap(), number, tag);
            if self.next().is_multiple_of(4) {
                self.with(|s| s.unpin(pin));
            } else {
                self.store.unpin(&self.shared.lock(), &self.slot, pin);
            }
        }
    }

    /// Leaves behind what a process does that died long ago, for a sweep to find.
    fn pretend(&mut self) {
        // SAFETY: no process has this number. Nothing uses what is made under it, and nobody sees it half made: it is
        // claimed for the dead one first, all under one lock.
        let ghost = unsafe { Slot::new(self.number + SEATS as u32) };
        let (key, now) = (key_of(self.next() % KEYS), self.now());
        let hash = hash_of(self.store, &key);
        self.with(|s| {
            s.claim_slot(&ghost, NOBODY);
            if let Some(found) = s.peek(hash, &key) {
                std::mem::forget(s.hold(&ghost, found.entry));
                let _ = s.pin(&ghost, found.entry);
            }
            let _ = s.reserve(&ghost, hash, &key, 3000, now);
        });
    }
}
