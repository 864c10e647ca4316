//! Purges, as stamps: a page is not served if its fetch began before something that it is marked with was purged.
//!
//! A purge writes one stamp, however many pages it meets: that of a mark (a URL, a surrogate key), of a prefix of URLs, or
//! of the whole zone. Stamps grow from purge to purge, over restarts too: they are microseconds since the epoch where
//! the clock allows. Who fetches a page notes the latest stamp before it asks the origin (`began`); who finds one
//! compares the latest stamp with the one up to which the page was looked at (`seen`), and only if they differ
//! looks its marks up.
//!
//! ```text
//! header   latest | zone, hard | zone, soft | latest of a prefix | floor of prefixes | swept | who sweeps
//! set      0 floor | 16 mark | 24 stamp | 32 mark | 40 stamp ...                         128 bytes, 7 marks
//! prefix   0 stamp | 8 soft | 12 length | 16 text                                         512 bytes
//! ```
//!
//! Invariants
//! - Stamps are written under the lock and read without it. What a purge writes is there before the latest stamp is.
//! - A mark that has to go from its set leaves its stamp in the set's floor, before it goes: from then on it holds for all
//!   marks of the set. Too much may be purged, never too little. A reader looks at the marks first, at the floor after.
//! - A prefix goes when no page is left that it could meet (`swept`); its stamp stays as a floor for fetches that began
//!   before it.
//! - A process killed anywhere in between has not answered its purge: what it leaves purges a little too much, or nothing.

use super::Board;
use crate::journal::Noted;
use crate::marks::Marks;
use crate::store::Section;

const SET: usize = 128;
const MARKS: usize = 7;
const PREFIX: usize = 512;

/// Longest prefix in bytes, host and path.
pub const MAX_PREFIX: usize = PREFIX - 16;

mod at {
    pub const LATEST: usize = 64;
    pub const ALL_HARD: usize = 72;
    pub const ALL_SOFT: usize = 80;
    pub const PREFIX_LATEST: usize = 88;
    pub const PREFIX_FLOOR: usize = 96;
    pub const SWEPT: usize = 104;
    pub const WALKER: usize = 112;
    pub const JOURNAL: usize = 120;
    pub const JOURNAL_LOST: usize = 128;
}

/// Tells a mark's soft stamp from its hard one.
const SOFT: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where the parts lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    sets_at: usize,
    /// A power of two.
    sets: usize,
    prefixes_at: usize,
    prefixes: usize,
}

impl Plan {
    pub fn for_zone(len: usize, start: usize) -> Plan {
        let sets_at = start.next_multiple_of(SET);
        let sets = (len / (16 << 10)).clamp(32, 1 << 17).next_power_of_two();
        let prefixes_at = sets_at + sets * SET;
        let prefixes = if len < 8 << 20 { 8 } else { 64 };
        Plan { sets_at, sets, prefixes_at, prefixes }
    }

    pub fn end(&self) -> usize {
        self.prefixes_at + self.prefixes * PREFIX
    }
}

/// What is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge<'a> {
    /// Everything that has this mark (`crate::marks`).
    Mark(u64),
    /// Every URL, host and path, that begins so.
    Prefix(&'a [u8]),
    /// All pages.
    All,
}

/// Why a prefix can't be purged now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Longer than [`MAX_PREFIX`].
    TooLong,
    /// So many prefixes are being purged that no more can be noted.
    TooMany,
}

/// What purges say of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing.
    Alive,
    /// It may be served while it is renewed.
    Stale,
    /// It must not be served any more.
    Dead,
}

impl Board {
    /// The latest stamp: a fetch that begins now notes it. Needs no lock.
    #[inline]
    pub fn latest(&self) -> u64 {
        self.region.load_acquire_u64(at::LATEST)
    }

    /// Sees to it that stamps are greater than those of an earlier life.
    pub fn begin_after(&self, _lock: &Section<'_>, stamp: u64) {
        if self.latest() < stamp {
            self.region.store_release_u64(at::LATEST, stamp & !1);
        }
    }

    /// Purges. When this has returned nobody finds an old page.
    pub fn purge(
        &self,
        _lock: &Section<'_>,
        what: Purge<'_>,
        soft: bool,
        now_us: u64,
    ) -> Result<u64, Refused> {
        // The lowest bit is the reader's.
        let stamp = self.latest().saturating_add(2).max(now_us) & !1;
        self.note(&Noted { what, soft, stamp })?;
        Ok(stamp)
    }

    /// Writes a stamp where it belongs, and then as the latest one. Stamps never go back: an earlier one may come later,
    /// out of a journal.
    fn note(&self, &Noted { what, soft, stamp }: &Noted<'_>) -> Result<(), Refused> {
        match what {
            Purge::All => {
                let at = if soft { at::ALL_SOFT } else { at::ALL_HARD };
                self.region.set_u64(at, self.region.u64(at).max(stamp));
            }
            Purge::Mark(mark) => self.stamp(mark, soft, stamp),
            Purge::Prefix(prefix) => self.stamp_prefix(prefix, soft, stamp)?,
        }
        self.region.store_release_u64(at::LATEST, self.latest().max(stamp));
        Ok(())
    }

    /// So many prefixes can be noted at once.
    pub fn most_prefixes(&self) -> usize {
        self.plan.stamps.prefixes
    }

    fn set_of(&self, mark: u64) -> usize {
        let plan = &self.plan.stamps;
        plan.sets_at + (mark as usize & (plan.sets - 1)) * SET
    }

    fn stamp(&self, mark: u64, soft: bool, stamp: u64) {
        let (set, region) = (self.set_of(mark), &self.region);
        let name = if soft { (mark ^ SOFT).max(1) } else { mark };
        let places = (0..MARKS).map(|i| set + 16 + 16 * i);
        let known = places.clone().find(|at| region.u64(*at) == name);
        let place = known.or_else(|| places.clone().find(|at| region.u64(*at) == 0));
        let Some(place) = place.or_else(|| places.min_by_key(|at| region.u64(at + 8))) else { return };
        if known.is_none() && region.u64(place) != 0 {
            // Whether it was a soft one is not known: as if it had been a hard one.
            let floor = region.u64(set).max(region.u64(place + 8));
            region.store_release_u64(set, floor);
        }
        let stamp = if known.is_some() { stamp.max(region.u64(place + 8)) } else { stamp };
        region.store_release_u64(place + 8, stamp);
        region.store_release_u64(place, name);
    }

    fn stamp_prefix(&self, prefix: &[u8], soft: bool, stamp: u64) -> Result<(), Refused> {
        if prefix.len() > MAX_PREFIX {
            return Err(Refused::TooLong);
        }
        let (plan, region) = (&self.plan.stamps, &self.region);
        let mut places = (0..plan.prefixes).map(|i| plan.prefixes_at + i * PREFIX);
        let same = |at: &usize| self.prefix(*at) == Some((prefix, soft));
        let latest = region.u64(at::PREFIX_LATEST).max(stamp);
        if let Some(place) = places.clone().find(same) {
            region.set_u64(place, region.u64(place).max(stamp));
            region.set_u64(at::PREFIX_LATEST, latest);
            return Ok(());
        }
        // One that has done its work, or was never used.
        let swept = region.u64(at::SWEPT);
        let place = places.find(|at| region.u64(*at) <= swept).ok_or(Refused::TooMany)?;
        let floor = region.u64(at::PREFIX_FLOOR).max(region.u64(place));
        region.set_u64(at::PREFIX_FLOOR, floor);
        region.set_u64(place, 0);
        region.set_u32(place + 8, u32::from(soft));
        region.set_u32(place + 12, prefix.len() as u32);
        region.copy_in(place + 16, prefix);
        region.set_u64(place, stamp);
        region.set_u64(at::PREFIX_LATEST, latest);
        Ok(())
    }

    /// The text of a prefix, and whether it is a soft one. Under the lock.
    fn prefix(&self, place: usize) -> Option<(&[u8], bool)> {
        let soft = self.region.u32(place + 8) != 0;
        let len = (self.region.u32(place + 12) as usize).min(MAX_PREFIX);
        (self.region.u64(place) != 0).then_some((self.region.bytes(place + 16, len)?, soft))
    }

    /// Whether everything was purged since a fetch `began`, be it to be renewed only. Needs no lock.
    #[inline]
    pub fn purged_all_since(&self, began: u64) -> bool {
        [at::ALL_HARD, at::ALL_SOFT].into_iter().any(|at| self.region.load_acquire_u64(at) > began)
    }

    /// What the stamps say of a page whose fetch `began` so, but for prefixes. Needs no lock.
    pub fn verdict_of_marks(&self, began: u64, marks: &Marks<'_>) -> Verdict {
        let region = &self.region;
        let [hard, soft] = [at::ALL_HARD, at::ALL_SOFT].map(|at| region.load_acquire_u64(at) > began);
        let mut verdict = if hard {
            return Verdict::Dead;
        } else if soft {
            Verdict::Stale
        } else {
            Verdict::Alive
        };
        for mark in marks.hashes() {
            let set = self.set_of(mark);
            for place in (0..MARKS).map(|i| set + 16 + 16 * i) {
                let name = region.load_acquire_u64(place);
                if name == mark && region.load_acquire_u64(place + 8) > began {
                    return Verdict::Dead;
                }
                if name == (mark ^ SOFT).max(1) && region.load_acquire_u64(place + 8) > began {
                    verdict = Verdict::Stale;
                }
            }
            if region.load_acquire_u64(set) > began {
                return Verdict::Dead;
            }
        }
        verdict
    }

    /// Whether a page that was looked at up to the stamp `seen` has to be looked at under the lock, because of prefixes.
    pub fn has_new_prefixes(&self, seen: u64) -> bool {
        self.region.load_acquire_u64(at::PREFIX_LATEST) > seen
    }

    /// What the prefixes say of a page.
    pub fn verdict_of_prefixes(&self, _lock: &Section<'_>, began: u64, marks: &Marks<'_>) -> Verdict {
        let plan = &self.plan.stamps;
        let places = (0..plan.prefixes).map(|i| plan.prefixes_at + i * PREFIX);
        let of_one = |place: usize| match self.prefix(place) {
            Some((prefix, soft)) if self.region.u64(place) > began && marks.url.starts_with(prefix) => {
                if soft { Verdict::Stale } else { Verdict::Dead }
            }
            _ => Verdict::Alive,
        };
        places.map(of_one).max().unwrap_or(Verdict::Alive)
    }

    /// Whether what was fetched may be stored: nothing that it is marked with was purged since its fetch began.
    pub fn allows(&self, lock: &Section<'_>, began: u64, marks: &Marks<'_>) -> bool {
        began == self.latest()
            || began >= self.region.u64(at::PREFIX_FLOOR)
                && self.verdict_of_marks(began, marks) == Verdict::Alive
                && self.verdict_of_prefixes(lock, began, marks) == Verdict::Alive
    }

    /// The stamp up to which all pages have been looked at.
    pub fn swept(&self) -> u64 {
        self.region.u64(at::SWEPT)
    }

    /// All pages have been looked at, since the latest stamp was this one.
    pub fn set_swept(&self, _lock: &Section<'_>, stamp: u64) {
        self.region.set_u64(at::SWEPT, self.swept().max(stamp));
    }

    /// Makes a process the one that looks at all pages; false if another one is at it that is not gone.
    pub fn claim_walk(&self, _lock: &Section<'_>, pid: u32, is_gone: impl Fn(u32) -> bool) -> bool {
        let walker = self.region.u32(at::WALKER);
        let free = walker == 0 || walker == pid || is_gone(walker);
        if free {
            self.region.set_u32(at::WALKER, pid);
        }
        free
    }

    /// The process has looked at all pages.
    pub fn end_walk(&self, _lock: &Section<'_>, pid: u32) {
        if self.region.u32(at::WALKER) == pid {
            self.region.set_u32(at::WALKER, 0);
        }
    }

    /// The number under which purges are written down now (`crate::journal`).
    pub fn journal(&self) -> u64 {
        self.region.load_acquire_u64(at::JOURNAL)
    }

    /// Has purges written down under a new number from now on, this one at least. Back comes the number of before: what was
    /// written under it is not needed by whoever looks at every page now.
    pub fn turn_journal(&self, _lock: &Section<'_>, least: u64) -> u64 {
        let before = self.journal();
        self.region.store_release_u64(at::JOURNAL, before.saturating_add(1).max(least));
        before
    }

    /// A purge could not be written down under this number.
    pub fn lose_journal(&self, _lock: &Section<'_>, number: u64) {
        let lost = self.region.u64(at::JOURNAL_LOST).max(number);
        self.region.set_u64(at::JOURNAL_LOST, lost);
    }

    /// Whether all purges since the number was raised above this one were written down.
    pub fn has_journal_since(&self, _lock: &Section<'_>, number: u64) -> bool {
        self.region.u64(at::JOURNAL_LOST) <= number
    }

    /// Stamps again what was purged in an earlier life, with the stamp of then. False: there is no place for it.
    pub fn replay(&self, _lock: &Section<'_>, noted: &Noted<'_>) -> bool {
        self.note(&Noted { stamp: noted.stamp & !1, ..*noted }).is_ok()
    }
}
