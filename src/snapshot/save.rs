//! A zone's local counters and live pages written to its snapshot, piece by piece.
//!
//! ```text
//!   list (slices, under the lock) -> sort, hottest first -> for each: hold (under the lock), copy, drop -> write
//! ```
//!
//! Once for the counters, which nobody can make anew, then for the pages: where these find no room loading ends.
//! What goes meanwhile is left out, what comes is for the next snapshot. The list takes 16 bytes for each.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use twice_core::audit::is_witness;
use twice_core::page::PAGE_FORMAT;
use twice_core::policy::Times;
use twice_core::snapshot::{Kind, Record, Writer};
use twice_core::store::{Listed, Section};

use super::file::{Denied, Temp, failure, survive_limits};
use super::journal;
use super::{Budget, Pace};
use crate::purge;
use crate::shm::{self, Zone};

/// Steps of listing for which the lock is held, 20 to 50 microseconds.
const SLICE: usize = 1024;
const BUFFER: usize = 256 << 10;

/// Writing under way.
pub struct Save {
    out: Writer<BufWriter<File>>,
    temp: Temp,
    target: PathBuf,
    stage: Stage,
    /// Where the listing goes on; `None` when it is done.
    cursor: Option<u32>,
    listed: Vec<Listed>,
    /// How many of those listed are behind us.
    done: usize,
    page: Vec<u8>,
    counters: u64,
    bytes: u64,
    started: Instant,
    /// The number of the purges that this snapshot knows of, with all before.
    journal: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Counters,
    Pages,
}

impl Save {
    /// Makes the temporary file. From now on no other process writes this snapshot.
    pub fn begin(zone: &Zone, target: &Path) -> Result<Save, Denied> {
        survive_limits();
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).map_err(|error| format!("the system gives no random bytes: {error}"))?;
        let (temp, file) = Temp::create(target)?;
        let out = BufWriter::with_capacity(BUFFER, file);
        let out =
            Writer::new(out, PAGE_FORMAT, seed, shm::now_ms()).map_err(|error| failure(target, &error))?;
        let turned = zone
            .board()
            .and_then(|board| zone.with(|section| board.turn_journal(section, shm::now_ms() / 1000)));
        let journal = turned.ok_or_else(|| "the zone is not there".to_owned())?;
        Ok(Save {
            journal,
            out,
            temp,
            target: target.to_owned(),
            stage: Stage::Counters,
            cursor: Some(0),
            listed: Vec::new(),
            done: 0,
            page: Vec::new(),
            counters: 0,
            bytes: 0,
            started: Instant::now(),
        })
    }

    /// Writes for as long as the pace allows; true when all is written.
    pub fn turn(&mut self, zone: &Zone, pace: &Pace) -> Result<bool, String> {
        let mut budget = pace.begin();
        while self.part(zone, pace, &mut budget)? {
            if self.stage == Stage::Pages {
                return Ok(true);
            }
            self.stage = Stage::Pages;
            self.cursor = Some(0);
            self.listed.clear();
            self.done = 0;
        }
        Ok(false)
    }

    /// The counters, or the pages; true when they are written.
    fn part(&mut self, zone: &Zone, pace: &Pace, budget: &mut Budget) -> Result<bool, String> {
        while let Some(cursor) = self.cursor {
            self.listed.try_reserve(SLICE).map_err(|error| error.to_string())?;
            let listed = &mut self.listed;
            let list = |section: &mut Section<'_>| section.list(cursor, SLICE, listed);
            self.cursor = match self.stage {
                Stage::Counters => zone.with_local(list),
                Stage::Pages => zone.with(list),
            }
            .flatten();
            if self.cursor.is_none() {
                self.listed.sort_unstable_by_key(|page| std::cmp::Reverse(page.heat));
            }
            if budget.is_spent_by(0) {
                return Ok(false);
            }
            // Slices without a gap would keep a worker waiting until the last one, 5 ms for 256 MB of pages of 1 KB.
            if self.cursor.is_some() && !pace.rest.is_zero() {
                thread::sleep(pace.rest);
            }
        }
        while let Some(&page) = self.listed.get(self.done) {
            self.done += 1;
            let bytes = match self.stage {
                Stage::Counters => self.write_counter(zone, page),
                Stage::Pages => self.write_page(zone, page),
            };
            let bytes = bytes.map_err(|error| failure(&self.target, &error))?;
            self.bytes += bytes;
            if budget.is_spent_by(bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write_counter(&mut self, zone: &Zone, counter: Listed) -> io::Result<u64> {
        self.page.clear();
        let Some((value, last_used_ms)) = zone.local_read(counter.entry, &mut self.page) else {
            return Ok(0);
        };
        self.out.add(&Record {
            kind: Kind::Counter,
            last_used_ms,
            key: &self.page,
            value: &value.to_le_bytes(),
            ..Record::default()
        })?;
        self.counters += 1;
        Ok(self.page.len() as u64 + 8)
    }

    fn write_page(&mut self, zone: &Zone, page: Listed) -> io::Result<u64> {
        let taken = zone.with(|section| {
            let about = section.about(page.entry)?;
            Some((about, section.hold(zone.slot(), page.entry)?))
        });
        let Some(((mut found, last_used_ms, proven), held)) = taken.flatten() else { return Ok(0) };
        // The purges that the next start does not hear of must show in the page itself.
        let now = shm::now_ms();
        let lives = purge::look_at_copy(zone, held.page(), &mut found, now);
        // What one visitor was sent, and nobody knows yet whether it is his alone, is in no file.
        if !lives || is_witness(found.meta.tag) || !Times::from(found.meta).worth_keeping(now) {
            return Ok(0);
        }
        self.page.clear();
        for piece in held.page().key() {
            self.page.extend_from_slice(piece);
        }
        let key_len = self.page.len();
        self.page.try_reserve(found.value_len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        for piece in held.page().value() {
            self.page.extend_from_slice(piece);
        }
        // The disk may be slow: nobody shall wait for it.
        drop(held);
        let (key, value) = self.page.split_at(key_len);
        if value.len() != found.value_len {
            return Ok(0);
        }
        self.out.add(&Record {
            kind: Kind::Page,
            created_ms: found.meta.created_ms,
            expires_ms: found.meta.expires_ms,
            stale_s: found.meta.stale_s,
            error_s: found.meta.error_s,
            began: found.meta.began,
            tag: found.meta.tag,
            last_used_ms,
            proven,
            key,
            value,
        })?;
        Ok(self.page.len() as u64)
    }

    /// Puts the snapshot in its place. Back comes what to tell.
    pub fn finish(self, zone: &Zone) -> Result<String, String> {
        let Save { out, temp, target, counters, bytes, started, journal, .. } = self;
        let pages = out.records().saturating_sub(counters);
        let failed = |error: io::Error| failure(&target, &error);
        let file = out.finish().map_err(failed)?.into_inner().map_err(|error| failed(error.into_error()))?;
        let board = zone.board().ok_or("the zone is not there")?;
        let is_lost = || zone.with(|section| board.has_journal_since(section, journal)) != Some(true);
        let lost = || Err("a purge since its begin could not be written down".to_owned());
        if is_lost() {
            return lost();
        }
        temp.commit(&file)?;
        // Whoever could not write a purge down has unlinked what was there before; had it been this one, it were gone.
        if is_lost() {
            fs::remove_file(&target).map_err(failed)?;
            return lost();
        }
        journal::forget(&target, journal);
        let counters = if counters > 0 { format!("{counters} counters, ") } else { String::new() };
        Ok(format!("{pages} pages, {counters}{bytes} bytes in {} ms", started.elapsed().as_millis()))
    }
}
