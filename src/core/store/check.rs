//! Is everything as the heads of the other files say? For tests, and for an operator in doubt.

use super::arena::bin;
use super::entry::{ENTRY_BYTES, RUN_BYTES, field};
use super::layout::{BINS, Mem, UNIT, unit};
use super::list::List;
use super::stats::{Gauge, Stats};

/// What `check` found wrong first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A unit that is neither free nor a page's.
    Orphan,
    /// A run whose length leaves the arena, or covers another run.
    Length,
    /// Two free runs side by side.
    Unjoined,
    /// A free run that isn't where its length puts it, or links that disagree.
    Bin,
    /// A page's runs don't belong together, or have no room for it.
    Chain,
    /// A page is missing in the index, twice in it, or in the wrong place.
    Index,
    /// A list disagrees with the map or with itself.
    List,
    /// A pin names no page that could be read, or one that does not know of it.
    Pins,
    /// A gauge disagrees with what there is.
    Gauge,
}

impl Flaw {
    /// The one name of this flaw.
    pub fn as_str(self) -> &'static str {
        match self {
            Flaw::Orphan => "orphan",
            Flaw::Length => "length",
            Flaw::Unjoined => "unjoined",
            Flaw::Bin => "bin",
            Flaw::Chain => "chain",
            Flaw::Index => "index",
            Flaw::List => "list",
            Flaw::Pins => "pins",
            Flaw::Gauge => "gauge",
        }
    }
}

/// A flaw and the unit (or record, or bin) at which it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong.
    pub flaw: Flaw,
    /// Where.
    pub place: u32,
}

/// Where all units are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// All units of the arena.
    pub arena: u64,
    /// Units that nothing takes, and the runs that they form.
    pub free: u64,
    /// Free runs.
    pub free_runs: u64,
    /// Units of pages that can be found.
    pub live: u64,
    /// Pages that can be found.
    pub entries: u64,
    /// Runs of pages, in whatever state.
    pub runs: u64,
    /// Units of pages that are being filled.
    pub pending: u64,
    /// Units of pages that are only still being read.
    pub zombie: u64,
}

fn ensure(holds: bool, flaw: Flaw, place: u32) -> Result<(), Damage> {
    if holds { Ok(()) } else { Err(Damage { flaw, place }) }
}

/// Sums that the walk over the arena yields besides the account.
#[derive(Default)]
struct Walk {
    later_runs: u64,
    chained_runs: u64,
    live_bytes: u64,
    small: u64,
    small_units: u64,
    pending: u64,
    zombies: u64,
}

impl Mem {
    /// Accounts for every unit, or tells the first thing that is wrong.
    pub fn check(&self) -> Result<Account, Damage> {
        let mut account = Account { arena: u64::from(self.geo.arena_units()), ..Account::default() };
        let mut walk = Walk::default();
        let mut at = self.geo.first;
        let mut after_free = false;
        while at < self.geo.units {
            let is_free = matches!(self.kind(at), unit::FREE_HEAD | unit::FREE_ONE);
            ensure(!(is_free && after_free), Flaw::Unjoined, at)?;
            let units = if is_free {
                self.check_free_run(at, &mut account)?
            } else {
                self.check_run(at, &mut account, &mut walk)?
            };
            after_free = is_free;
            at += units;
        }
        ensure(walk.later_runs == walk.chained_runs, Flaw::Chain, 0)?;
        self.check_bins(&account)?;
        self.check_list(List::Main, unit::LIVE, account.entries - walk.small)?;
        self.check_list(List::Small, unit::LIVE, walk.small)?;
        self.check_list(List::Pending, unit::PENDING, walk.pending)?;
        self.check_list(List::Zombies, unit::ZOMBIE, walk.zombies)?;
        self.check_index(&account)?;
        self.check_pins()?;
        self.check_gauges(&account, &walk)?;
        Ok(account)
    }

    fn check_inside(&self, start: u32, units: u32, last: u8) -> Result<(), Damage> {
        ensure(units >= 1 && units <= self.geo.units - start, Flaw::Length, start)?;
        let end = start + units - 1;
        for inside in start + 1..=end {
            let expected = if inside == end { last } else { unit::BODY };
            ensure(self.kind(inside) == expected, Flaw::Length, inside)?;
        }
        Ok(())
    }

    fn check_free_run(&self, start: u32, account: &mut Account) -> Result<u32, Damage> {
        let units = self.free_length(start).ok_or(Damage { flaw: Flaw::Length, place: start })?;
        self.check_inside(start, units, unit::FREE_TAIL)?;
        let from_its_end = self.free_run_before(start + units).map(|run| (run.start, run.units));
        ensure(from_its_end == Some((start, units)), Flaw::Length, start)?;
        account.free += u64::from(units);
        account.free_runs += 1;
        Ok(units)
    }

    /// A run of a page: its own sums if it is a later one, those of the whole page if it is the first.
    fn check_run(&self, start: u32, account: &mut Account, walk: &mut Walk) -> Result<u32, Damage> {
        let units = self.f32(start, field::UNITS);
        self.check_inside(start, units, unit::BODY)?;
        account.runs += 1;
        let kind = self.kind(start);
        if kind == unit::RUN {
            walk.later_runs += 1;
            return Ok(units);
        }
        let sum = u64::from(self.check_chain(start, walk)?);
        match kind {
            unit::LIVE => {
                account.live += sum;
                account.entries += 1;
                walk.live_bytes += self.content_len(start);
                if self.list_of(start) == List::Small {
                    walk.small += 1;
                    walk.small_units += sum;
                }
            }
            unit::PENDING => {
                account.pending += sum;
                walk.pending += 1;
            }
            unit::ZOMBIE => {
                account.zombie += sum;
                walk.zombies += 1;
            }
            _ => return Err(Damage { flaw: Flaw::Orphan, place: start }),
        }
        Ok(units)
    }

    fn check_chain(&self, page: u32, walk: &mut Walk) -> Result<u32, Damage> {
        let generation = self.f32(page, field::GENERATION);
        let (mut run, mut sum, mut room) = (page, 0u32, 0usize);
        for _ in 0..self.geo.units {
            if run == 0 {
                let content = self.content_len(page) as usize;
                ensure(room >= content, Flaw::Chain, page)?;
                return Ok(sum);
            }
            ensure(run == page || self.kind(run) == unit::RUN, Flaw::Chain, run)?;
            ensure(self.f32(run, field::GENERATION) == generation, Flaw::Chain, run)?;
            let units = self.f32(run, field::UNITS);
            let header = if run == page { ENTRY_BYTES } else { RUN_BYTES };
            room += (units as usize * UNIT).saturating_sub(header);
            sum = sum.saturating_add(units);
            walk.chained_runs += u64::from(run != page);
            run = self.f32(run, field::NEXT_RUN);
        }
        Err(Damage { flaw: Flaw::Chain, place: page })
    }

    fn check_bins(&self, account: &Account) -> Result<(), Damage> {
        let mut runs = 0;
        for number in 0..BINS {
            let (mut run, mut prev) = (self.first_in_bin(number), 0);
            ensure(self.bin_bit(number) == (run != 0), Flaw::Bin, number)?;
            while run != 0 {
                runs += 1;
                let right = self.free_length(run).is_some_and(|units| bin(units) == number);
                let linked = self.previous_in_bin(run) == prev && runs <= account.free_runs;
                ensure(right && linked, Flaw::Bin, run)?;
                prev = run;
                run = self.next_in_bin(run);
            }
        }
        ensure(runs == account.free_runs, Flaw::Bin, 0)
    }

    fn check_list(&self, list: List, kind: u8, count: u64) -> Result<(), Damage> {
        let (mut page, mut prev, mut seen) = (self.head(list), 0, 0);
        while page != 0 {
            seen += 1;
            let queue = matches!(list, List::Main | List::Small);
            let right = self.kind(page) == kind
                && (!queue || self.list_of(page) == list)
                && self.f32(page, field::PREV) == prev
                && seen <= count;
            ensure(right, Flaw::List, page)?;
            prev = page;
            page = self.f32(page, field::NEXT);
        }
        ensure(seen == count && self.tail(list) == prev, Flaw::List, prev)
    }

    fn check_index(&self, account: &Account) -> Result<(), Damage> {
        let mut seen = 0;
        for number in 0..self.geo.buckets {
            let bucket = self.numbered_bucket_at(number);
            let mut page = self.region.u32(bucket);
            while page != 0 {
                seen += 1;
                let right = self.kind(page) == unit::LIVE && seen <= account.entries;
                ensure(right, Flaw::Index, page)?;
                let home = self.bucket_at(self.f64(page, field::HASH)) == bucket;
                // The first page with this key is this page: so no key is there twice.
                ensure(home && self.find_twin(page) == Some(page), Flaw::Index, page)?;
                page = self.f32(page, field::CHAIN);
            }
        }
        ensure(seen == account.entries, Flaw::Index, 0)
    }

    fn check_pins(&self) -> Result<(), Damage> {
        for (word, page) in self.all_pins() {
            let readable = matches!(self.kind(page), unit::LIVE | unit::ZOMBIE);
            ensure(readable && self.pinned_once(page), Flaw::Pins, word)?;
        }
        Ok(())
    }

    fn check_gauges(&self, account: &Account, walk: &Walk) -> Result<(), Damage> {
        let Stats { entries, live_bytes, live_units, pending, pending_units, .. } = self.stats();
        let Stats { zombies, zombie_units, free_units, .. } = self.stats();
        let all = [
            (Gauge::Entries, entries, account.entries),
            (Gauge::LiveBytes, live_bytes, walk.live_bytes),
            (Gauge::LiveUnits, live_units, account.live),
            (Gauge::Pending, pending, walk.pending),
            (Gauge::PendingUnits, pending_units, account.pending),
            (Gauge::Zombies, zombies, walk.zombies),
            (Gauge::ZombieUnits, zombie_units, account.zombie),
            (Gauge::FreeUnits, free_units, account.free),
            (Gauge::SmallUnits, self.gauge(Gauge::SmallUnits), walk.small_units),
        ];
        for (gauge, said, seen) in all {
            ensure(said == seen, Flaw::Gauge, gauge as u32)?;
        }
        let sum = account.free + account.live + account.pending + account.zombie;
        ensure(sum == account.arena, Flaw::Orphan, 0)
    }
}
