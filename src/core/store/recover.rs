//! Rebuilding the store from the map, after a process died in the middle of a change.
//!
//! Invariants
//! - Truth: the map's PENDING, LIVE and ZOMBIE bytes with the runs behind them, the pins, the hazards.
//!   Everything else (free runs, index, lists, counts) is made again here.
//! - Whoever changes the store writes a page's runs before its byte in the map, and takes the byte away
//!   before the runs. So a page that the map names is whole, at whatever instant the change stopped.
//! - Nothing that a holder reads without the lock is written but the links of the index: holds, pins and fills in other
//!   processes go on. Who looks for a page meanwhile finds it or finds nothing.
//! - The rebuild may be cut short by another death at any instant: the next one begins from the same truth.
//!
//! A page that contradicts itself or overlaps another one (stray writes, not a death, can do that) is
//! dropped and counted as lost.

use super::arena::Run;
use super::entry::{ENTRY_BYTES, RUN_BYTES, field};
use super::layout::{Mem, UNIT, at, unit};
use super::list::List;
use super::queue::{Policy, place};
use super::stats::{Counter, Gauge};

/// How far the runs of a page could be marked.
struct Claim {
    runs: u32,
    units: u32,
    whole: bool,
}

/// Without an early end, so that the compiler makes vectors of it.
fn is_all(bytes: &[u8], kind: u8) -> bool {
    bytes.iter().fold(0, |all, byte| all | (byte ^ kind)) == 0
}

impl Mem {
    /// Makes everything empty, for a new store.
    pub fn format(&self) {
        for word in (at::COUNTERS..at::BIN_BITS).step_by(8) {
            self.region.set_u64(word, 0);
        }
        self.set_kinds(self.geo.first, self.geo.units, unit::BODY);
        self.format_holds();
        self.format_ghosts();
        self.rebuild_free_runs();
        self.clear_index();
        for list in [List::Main, List::Small, List::Pending, List::Zombies] {
            self.set_ends(list, 0, 0);
        }
        for word in [at::HAND, at::SWEEP, at::GHOST_CLOCK] {
            self.region.set_u32(word, 0);
        }
    }

    /// Rebuilds the store. The dirty word is set, and stays so until the section ends.
    pub fn recover(&self) {
        self.count(Counter::Recoveries);
        // Before the first link goes: who finds it gone sees that a rebuild has begun.
        self.region.settle();
        self.clear_index();
        self.clear_sums();
        self.keep_pages_only();
        self.claim_pages();
        // Whoever still went by an old link has a hazard that is seen from here on (see `find.rs`).
        self.region.settle();
        self.rebuild_free_runs();
        self.rebuild_queue(List::Main);
        self.rebuild_queue(List::Small);
        self.each_page(unit::LISTED, |page| self.set_kind(page, unit::LIVE));
        self.bury_some(usize::MAX);
    }

    /// The next unit from `from` on whose byte in the map isn't `kind`, or `end`. This finds the end of a run without
    /// a look at the run.
    fn next_other(&self, from: u32, end: u32, kind: u8) -> u32 {
        const STEP: usize = 64;
        let rest = end.saturating_sub(from) as usize;
        let Some(map) = self.region.bytes(self.geo.map_at + from as usize, rest) else {
            return end;
        };
        let plain = map.chunks_exact(STEP).take_while(|chunk| is_all(chunk, kind)).count();
        let tail = map.get(plain * STEP..).unwrap_or_default();
        let more = tail.iter().position(|b| *b != kind).unwrap_or(tail.len());
        from + (plain * STEP + more) as u32
    }

    fn next_marked(&self, from: u32) -> u32 {
        self.next_marked_before(from, self.geo.units)
    }

    /// The next unit that isn't inside a run, or `end`.
    pub fn next_marked_before(&self, from: u32, end: u32) -> u32 {
        self.next_other(from, end, unit::BODY)
    }

    /// Whether all units between two are BODY, and setting them all to one kind.
    fn is_plain(&self, from: u32, to: u32) -> bool {
        let map = self.region.bytes(self.geo.map_at + from as usize, (to - from) as usize);
        map.is_some_and(|map| is_all(map, unit::BODY))
    }

    fn set_kinds(&self, from: u32, to: u32, kind: u8) {
        self.region.fill(self.geo.map_at + from as usize, (to - from) as usize, kind);
    }

    /// Leaves nothing in the map but the first units of pages.
    fn keep_pages_only(&self) {
        let mut at = self.next_marked(self.geo.first);
        while at < self.geo.units {
            match self.kind(at) {
                unit::PENDING | unit::LIVE | unit::ZOMBIE => {}
                unit::LISTED => self.set_kind(at, unit::LIVE),
                _ => self.set_kind(at, unit::BODY),
            }
            at = self.next_marked(at + 1);
        }
    }

    /// Marks all units of all pages, and enters the pages into the index and the lists but the LRU list. Drops
    /// the pages that make no sense.
    fn claim_pages(&self) {
        let mut at = self.next_marked(self.geo.first);
        while at < self.geo.units {
            let kind = self.kind(at);
            if kind != unit::RUN {
                let claim = self.claim(at);
                if claim.whole {
                    self.adopt(at, kind, u64::from(claim.units));
                } else {
                    self.count(Counter::Lost);
                    self.unclaim(at, claim.runs);
                    self.set_kind(at, unit::BODY);
                }
            }
            at = self.next_marked(self.next_other(at + 1, self.geo.units, unit::CLAIMED));
        }
    }

    fn adopt(&self, page: u32, kind: u8, units: u64) {
        match kind {
            unit::LIVE => {
                self.link_index(page);
                // It may still name the slot of the process that died at this very point.
                if self.list_of(page) == List::Small && self.policy() == Policy::S3Fifo {
                    self.raise(Gauge::SmallUnits, units);
                } else {
                    self.set_f32(page, field::PLACE, place::MAIN);
                }
                self.raise(Gauge::Entries, 1);
                self.raise(Gauge::LiveBytes, self.content_len(page));
                self.raise(Gauge::LiveUnits, units);
            }
            unit::PENDING => {
                self.push_front(List::Pending, page);
                self.raise(Gauge::Pending, 1);
                self.raise(Gauge::PendingUnits, units);
            }
            _ => {
                self.set_f32(page, field::PLACE, place::GONE);
                self.push_front(List::Zombies, page);
                self.raise(Gauge::Zombies, 1);
                self.raise(Gauge::ZombieUnits, units);
            }
        }
    }

    /// Marks the runs of a page as far as they make sense.
    fn claim(&self, page: u32) -> Claim {
        let generation = self.f32(page, field::GENERATION);
        let content = self.key_len(page).saturating_add(self.value_len(page));
        let owned = self.kind(page) != unit::PENDING || self.f32(page, field::PLACE) < self.geo.slots;
        let mut claim = Claim { runs: 0, units: 0, whole: false };
        let (mut run, mut room) = (page, 0usize);
        while run != 0 && owned {
            let units = self.f32(run, field::UNITS);
            let fits = self.in_arena(run) && units >= 1 && units <= self.geo.units - run;
            let mine = fits
                && self.f32(run, field::GENERATION) == generation
                && (claim.runs == 0 || self.kind(run) == unit::BODY)
                && self.is_plain(run + 1, run + units);
            if !mine {
                return claim;
            }
            let header = if claim.runs == 0 { ENTRY_BYTES } else { RUN_BYTES };
            room = room.saturating_add((units as usize * UNIT).saturating_sub(header));
            if claim.runs > 0 {
                self.set_kind(run, unit::RUN);
            }
            self.set_kinds(run + 1, run + units, unit::CLAIMED);
            // A marked run can't be marked again, so that a chain in a ring ends here.
            claim.runs += 1;
            claim.units += units;
            run = self.f32(run, field::NEXT_RUN);
        }
        claim.whole = owned && room >= content;
        claim
    }

    /// Takes the marks of a page's first `runs` runs away.
    fn unclaim(&self, page: u32, runs: u32) {
        let mut run = page;
        for _ in 0..runs {
            let units = self.f32(run, field::UNITS);
            self.set_kinds(run, run.saturating_add(units), unit::BODY);
            run = self.f32(run, field::NEXT_RUN);
        }
    }

    /// Makes a free run of every stretch that no page has marked, and takes the marks away.
    fn rebuild_free_runs(&self) {
        self.clear_bins();
        let mut at = self.geo.first;
        while at < self.geo.units {
            if self.kind(at) == unit::BODY {
                let end = self.next_marked(at);
                self.give(Run { start: at, units: end - at });
                at = end;
            } else {
                let end = self.next_other(at + 1, self.geo.units, unit::CLAIMED);
                self.set_kinds(at + 1, end, unit::BODY);
                at = end;
            }
        }
    }

    /// Calls `work` with every page of a kind.
    fn each_page(&self, kind: u8, mut work: impl FnMut(u32)) {
        let mut at = self.next_marked(self.geo.first);
        while at < self.geo.units {
            if self.kind(at) == kind {
                work(at);
            }
            at = self.next_marked(at + 1);
        }
    }

    /// Brings the live pages of a queue into their order.
    ///
    /// Mostly the old list is whole, or whole up to one place. So its order is taken as far as it goes and the
    /// other pages are put behind it. LRU's is the order of the last use: if it isn't in order already it is sorted.
    fn rebuild_queue(&self, list: List) {
        let (mut first, mut last, mut in_order) = (0, 0, true);
        let mut append = |page: u32| {
            self.set_kind(page, unit::LISTED);
            self.set_f32(page, field::PREV, last);
            if last == 0 {
                first = page;
            } else {
                in_order &= self.f64(last, field::LAST_USED) >= self.f64(page, field::LAST_USED);
                self.set_f32(last, field::NEXT, page);
            }
            last = page;
        };
        let mut old = self.head(list);
        while self.kind(old) == unit::LIVE && self.list_of(old) == list {
            let next = self.f32(old, field::NEXT);
            append(old);
            old = next;
        }
        self.each_page(unit::LIVE, |page| {
            if self.list_of(page) == list {
                append(page);
            }
        });
        self.set_f32(last, field::NEXT, 0);
        if !in_order && self.policy() == Policy::Lru {
            first = self.sort_by_use(first);
            let mut page = first;
            last = 0;
            while page != 0 {
                self.set_f32(page, field::PREV, last);
                last = page;
                page = self.f32(page, field::NEXT);
            }
        }
        self.set_ends(list, first, last);
    }

    /// Sorts a list that is linked by `next` alone: last used first, equals as they were.
    fn sort_by_use(&self, mut rest: u32) -> u32 {
        // Place n holds the merger of 2^n stretches that were in order; further right came earlier.
        let mut merged = [0u32; 32];
        while rest != 0 {
            let mut list = rest;
            let mut last = rest;
            loop {
                let next = self.f32(last, field::NEXT);
                if next == 0 || self.f64(next, field::LAST_USED) > self.f64(last, field::LAST_USED) {
                    rest = next;
                    break;
                }
                last = next;
            }
            self.set_f32(last, field::NEXT, 0);
            for place in &mut merged {
                if *place == 0 {
                    *place = list;
                    break;
                }
                list = self.merge_by_use(std::mem::take(place), list);
            }
        }
        merged.into_iter().fold(0, |later, earlier| self.merge_by_use(earlier, later))
    }

    fn merge_by_use(&self, mut earlier: u32, mut later: u32) -> u32 {
        let (mut first, mut last) = (0, 0);
        let mut link = |page: u32| {
            if last == 0 {
                first = page;
            } else {
                self.set_f32(last, field::NEXT, page);
            }
            last = page;
        };
        while earlier != 0 && later != 0 {
            let from_earlier = self.f64(earlier, field::LAST_USED) >= self.f64(later, field::LAST_USED);
            let side = if from_earlier { &mut earlier } else { &mut later };
            link(*side);
            *side = self.f32(*side, field::NEXT);
        }
        link(if earlier != 0 { earlier } else { later });
        first
    }

    /// Empties gauges, and all lists but the queues, whose order is a help.
    fn clear_sums(&self) {
        self.set_ends(List::Pending, 0, 0);
        self.set_ends(List::Zombies, 0, 0);
        for gauge in [
            Gauge::Entries,
            Gauge::LiveBytes,
            Gauge::LiveUnits,
            Gauge::SmallUnits,
            Gauge::Pending,
            Gauge::PendingUnits,
            Gauge::Zombies,
            Gauge::ZombieUnits,
        ] {
            self.set_gauge(gauge, 0);
        }
    }
}
