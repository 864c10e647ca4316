//! A zone filled from its snapshot, piece by piece.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Instant;

use twice_core::local::Restored;
use twice_core::page::PAGE_FORMAT;
use twice_core::policy::Times;
use twice_core::snapshot::{Kind, OpenError, Reader, Record, Step};
use twice_core::store::{Meta, ReserveError};

use super::Pace;
use super::file::{self, failure};
use crate::purge;
use crate::shm::{self, Zone};

/// Bytes that count for a step without a page.
const PASSED: u64 = 64 << 10;
/// A store with fewer free units than one in so many is full: it would evict for the next page.
const FULL: u64 = 100;

/// Loading under way.
pub struct Load {
    reader: Reader<File>,
    started: Instant,
    loaded: u64,
    counters: u64,
    /// Pages that are of no use any more, or not yet made.
    out_of_time: u64,
    /// Pages and counters for which there was no room.
    left_out: u64,
}

/// How loading ended.
pub struct Loaded {
    /// What to tell.
    pub text: String,
    /// Whether all was well.
    pub well: bool,
}

impl Load {
    /// `None` if there is no snapshot.
    pub fn open(zone: &Zone, path: &Path) -> Result<Option<Load>, String> {
        let Some(file) = file::open(path)? else { return Ok(None) };
        let reader = Reader::open(file, PAGE_FORMAT, zone.max_page()).map_err(|error| match error {
            OpenError::Io(error) => failure(path, &error),
            OpenError::Foreign => format!("\"{}\" is no snapshot, or damaged at both ends", path.display()),
            OpenError::Version => format!("\"{}\" was written by another version", path.display()),
        })?;
        if let Some(board) = zone.board() {
            // Purges of today are later than what was fetched then, even if the clock was set back.
            let written_us = reader.written_ms().saturating_mul(1000);
            zone.with(|section| board.begin_after(section, written_us));
        }
        Ok(Some(Load {
            reader,
            started: Instant::now(),
            loaded: 0,
            counters: 0,
            out_of_time: 0,
            left_out: 0,
        }))
    }

    /// Loads for as long as the pace allows. `Some` at the end.
    pub fn turn(&mut self, zone: &Zone, pace: &Pace) -> Option<Loaded> {
        let mut budget = pace.begin();
        loop {
            let bytes = match self.reader.step() {
                Ok(Step::Record(record)) => {
                    let bytes = (record.key.len() + record.value.len()) as u64;
                    let is_counter = record.kind == Kind::Counter;
                    let put = if is_counter { put_counter(zone, &record) } else { put(zone, &record) };
                    match put {
                        Put::Loaded if is_counter => self.counters += 1,
                        Put::Loaded => self.loaded += 1,
                        Put::AlreadyThere => {}
                        Put::OutOfTime => self.out_of_time += 1,
                        Put::NoRoom => {
                            self.left_out += 1;
                            if !is_counter && is_full(zone) {
                                return Some(self.end(None, "the rest finds no room"));
                            }
                        }
                    }
                    bytes
                }
                Ok(Step::Passed) => PASSED,
                Ok(Step::End) => return Some(self.end(None, "")),
                Err(error) => return Some(self.end(Some(&error), "")),
            };
            if budget.is_spent_by(bytes) {
                return None;
            }
        }
    }

    fn end(&self, error: Option<&io::Error>, rest: &str) -> Loaded {
        let tally = self.reader.tally();
        let mut text = format!("{} pages in {} ms", self.loaded, self.started.elapsed().as_millis());
        let mut note = |count: u64, what: &str| {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        };
        note(self.counters, "counters");
        note(self.out_of_time, "out of their time");
        note(self.left_out + tally.too_large, "without room");
        note(tally.damaged, "damaged");
        if tally.cut {
            text += ", its end is missing";
        }
        if !rest.is_empty() {
            text += &format!(", {rest}");
        }
        if let Some(error) = error {
            text += &format!(", the rest can't be read: {error}");
        }
        Loaded { text, well: tally.damaged == 0 && !tally.cut && error.is_none() }
    }
}

enum Put {
    Loaded,
    AlreadyThere,
    OutOfTime,
    NoRoom,
}

fn put_counter(zone: &Zone, record: &Record<'_>) -> Put {
    let Ok(value) = record.value.try_into().map(u64::from_le_bytes) else { return Put::OutOfTime };
    match zone.local_restore(record.key, value, record.last_used_ms, shm::now_ms()) {
        Restored::Loaded => Put::Loaded,
        Restored::AlreadyThere => Put::AlreadyThere,
        Restored::NoRoom => Put::NoRoom,
    }
}

fn put(zone: &Zone, record: &Record<'_>) -> Put {
    let now = shm::now_ms();
    let meta = Meta {
        created_ms: record.created_ms,
        expires_ms: record.expires_ms,
        stale_s: record.stale_s,
        error_s: record.error_s,
        began: record.began,
        tag: record.tag,
    };
    let is_good = Times::from(meta).worth_keeping(now) && record.created_ms <= now;
    if !is_good || zone.is_inactive(record.last_used_ms, now) {
        return Put::OutOfTime;
    }
    let Some(store) = zone.store() else { return Put::NoRoom };
    let hash = store.hash(record.key);
    let reserved =
        zone.with(|section| section.reserve_free(zone.slot(), hash, record.key, record.value.len()));
    let mut reservation = match reserved {
        Some(Ok(Some(reservation))) => reservation,
        Some(Ok(None)) => return Put::AlreadyThere,
        None | Some(Err(ReserveError::TooLarge | ReserveError::NoRoom | ReserveError::NoSlot)) => {
            return Put::NoRoom;
        }
    };
    if store.write(&mut reservation, 0, record.value).is_err() {
        zone.with(|section| section.abandon(reservation));
        return Put::NoRoom;
    }
    let last_used = record.last_used_ms.min(now);
    let Some((board, marks)) = zone.board().zip(purge::marks_in(record.value)) else {
        zone.with(|section| section.abandon(reservation));
        return Put::OutOfTime;
    };
    let restored = zone.with(|section| {
        if board.allows(section, meta.began, &marks) {
            return section.restore(reservation, meta, last_used, record.proven);
        }
        section.abandon(reservation);
        false
    });
    if restored == Some(true) { Put::Loaded } else { Put::AlreadyThere }
}

fn is_full(zone: &Zone) -> bool {
    zone.with(|section| section.stats())
        .is_none_or(|stats| stats.free_units.saturating_mul(FULL) < stats.arena_units)
}
