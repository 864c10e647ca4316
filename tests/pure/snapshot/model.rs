//! What damage may cost, said naively. Shared with the fuzzer.

use std::io::Cursor;
use std::ops::Range;
use twice_core::snapshot::{Kind, OpenError, Reader, Record, Step, Tally, Writer};

pub const CONTENT: u32 = 7;
pub const MOST: usize = 1 << 20;

/// A page that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub times: [u64; 3],
    pub windows: [u32; 2],
    pub began: u64,
    pub tag: u64,
    pub proven: bool,
    pub counter: bool,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

impl Page {
    pub fn record(&self) -> Record<'_> {
        Record {
            kind: if self.counter { Kind::Counter } else { Kind::Page },
            created_ms: self.times[0],
            expires_ms: self.times[1],
            last_used_ms: self.times[2],
            stale_s: self.windows[0],
            error_s: self.windows[1],
            began: self.began,
            tag: self.tag,
            proven: self.proven,
            key: &self.key,
            value: &self.value,
        }
    }

    pub fn of(record: &Record<'_>) -> Page {
        Page {
            times: [record.created_ms, record.expires_ms, record.last_used_ms],
            windows: [record.stale_s, record.error_s],
            began: record.began,
            tag: record.tag,
            proven: record.proven,
            counter: record.kind == Kind::Counter,
            key: record.key.to_vec(),
            value: record.value.to_vec(),
        }
    }
}

/// A snapshot, and where in it each page lies.
pub struct Written {
    pub bytes: Vec<u8>,
    pub places: Vec<Range<usize>>,
}

pub fn write(pages: &[Page], seed: [u8; 16]) -> Written {
    let mut writer = Writer::new(Vec::new(), CONTENT, seed, 1234).unwrap();
    // The begin and the end are of one length.
    let mut at = 64;
    let mut places = Vec::new();
    for page in pages {
        writer.add(&page.record()).unwrap();
        let end = at + 80 + page.key.len() + page.value.len() + 8;
        places.push(at..end);
        at = end;
    }
    assert_eq!(writer.records(), pages.len() as u64);
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes.len(), at + 64);
    Written { bytes, places }
}

pub fn read(bytes: &[u8], most: usize) -> Result<(Vec<Page>, Tally), OpenError> {
    let mut reader = Reader::open(Cursor::new(bytes), CONTENT, most)?;
    let mut pages = Vec::new();
    // A step passes over a byte at least.
    for _ in 0..bytes.len() + 2 {
        match reader.step().unwrap() {
            Step::Record(record) => {
                assert!(record.key.len() + record.value.len() <= most);
                pages.push(Page::of(&record));
            }
            Step::Passed => {}
            Step::End => {
                let tally = reader.tally();
                assert_eq!(tally.whole, pages.len() as u64);
                return Ok((pages, tally));
            }
        }
    }
    panic!("reading {} bytes does not end", bytes.len());
}

/// One piece of damage.
#[derive(Clone, Debug)]
pub enum Damage {
    /// Some bits of a byte.
    Flip { at: usize, bits: u8 },
    /// Everything from here on is missing.
    Cut { at: usize },
    /// A stretch is missing.
    Remove { at: usize, len: usize },
    /// A stretch came in.
    Insert { at: usize, bytes: Vec<u8> },
    /// A copy of a stretch came in.
    Copy { from: usize, len: usize, to: usize },
}

/// Does the damage to a snapshot; back comes the stretch of the old bytes that it touched. Bytes that come in touch
/// what lies on both sides of their place, if they part it.
pub fn spoil(bytes: &mut Vec<u8>, damage: &Damage) -> Range<usize> {
    let len = bytes.len();
    match damage {
        Damage::Flip { at, bits } => {
            let at = at % len;
            bytes[at] ^= (*bits).max(1);
            at..at + 1
        }
        Damage::Cut { at } => {
            let at = at % (len + 1);
            bytes.truncate(at);
            at..len
        }
        Damage::Remove { at, len: gone } => {
            let at = at % len;
            let end = (at + gone).min(len);
            bytes.drain(at..end);
            at..end
        }
        Damage::Insert { at, bytes: new } => {
            let at = at % (len + 1);
            bytes.splice(at..at, new.iter().copied());
            at..at
        }
        Damage::Copy { from, len: copied, to } => {
            let (from, to) = (from % len, to % (len + 1));
            let new = bytes[from..(from + copied).min(len)].to_vec();
            bytes.splice(to..to, new);
            to..to
        }
    }
}

/// Whether the damage left a page's bytes as they are.
fn is_untouched(place: &Range<usize>, damaged: &Range<usize>) -> bool {
    damaged.end <= place.start || place.end <= damaged.start
}

/// Writes pages, does the damage, reads, and holds what comes against what may.
pub fn run(pages: &[Page], seed: [u8; 16], damage: &Damage) {
    let written = write(pages, seed);
    let mut bytes = written.bytes.clone();
    let damaged = spoil(&mut bytes, damage);
    let ends = [&(0..64), &(written.bytes.len() - 64..written.bytes.len())];
    let left: Vec<&Page> = pages
        .iter()
        .zip(&written.places)
        .filter(|(_, place)| is_untouched(place, &damaged))
        .map(|(page, _)| page)
        .collect();
    let (found, tally) = match read(&bytes, MOST) {
        Ok(read) => read,
        Err(why) => {
            // Both ends must be out of their places.
            let begin = is_untouched(ends[0], &damaged) && damaged.start > 0;
            let end = is_untouched(ends[1], &damaged) && damaged.end < written.bytes.len();
            assert!(!begin && !end, "{why:?} after {damage:?}");
            return;
        }
    };
    // A page that was touched may still be whole (what was removed came back by what followed), and a copy may bring
    // one twice: but always as it was.
    for page in &found {
        assert!(pages.contains(page), "a page that was never written, after {damage:?}");
    }
    let mut rest = found.iter();
    let in_order = left.iter().all(|page| rest.any(|known| known == *page));
    assert!(in_order, "a page was lost that {damage:?} did not touch");
    if !tally.cut && !matches!(damage, Damage::Copy { .. }) {
        assert_eq!(tally.whole + tally.damaged, pages.len() as u64, "after {damage:?}");
    }
}
