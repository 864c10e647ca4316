//! Purges as they are written beside a snapshot, so that it can't bring back what was purged after it.
//!
//! ```text
//! record   0 magic | 4 length of the text | 6 kind | 7 soft | 8 stamp | 16 mark | 24 text ... | checksum, 8 bytes
//! ```
//!
//! Each record goes out in one write to the end of a file. A record that is cut or damaged ends the reading: what was
//! written behind it can't be told from it. Whoever reads then takes it that everything was purged.

use siphasher::sip::SipHasher13;

use crate::board::Purge;
use crate::board::stamps::MAX_PREFIX;

const MAGIC: u32 = u32::from_le_bytes(*b"2pur");
const HEAD: usize = 24;
const SUM: usize = 8;

const ALL: u8 = 0;
const MARK: u8 = 1;
const PREFIX: u8 = 2;

/// A purge that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted<'a> {
    /// What was purged.
    pub what: Purge<'a>,
    /// Marked stale, not removed.
    pub soft: bool,
    /// Its stamp.
    pub stamp: u64,
}

fn sum(bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(0x7075_7267, 1).hash(bytes)
}

impl Noted<'_> {
    /// As one record.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, mark, text) = match self.what {
            Purge::All => (ALL, 0, &b""[..]),
            Purge::Mark(mark) => (MARK, mark, &b""[..]),
            Purge::Prefix(text) => (PREFIX, 0, text.get(..text.len().min(MAX_PREFIX)).unwrap_or_default()),
        };
        let mut out = Vec::with_capacity(HEAD + text.len() + SUM);
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&(text.len() as u16).to_le_bytes());
        out.extend_from_slice(&[kind, u8::from(self.soft)]);
        out.extend_from_slice(&self.stamp.to_le_bytes());
        out.extend_from_slice(&mark.to_le_bytes());
        out.extend_from_slice(text);
        out.extend_from_slice(&sum(&out).to_le_bytes());
        out
    }
}

/// Reads records one by one.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Of a whole file.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything was read. False at the end: a record is cut or damaged.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn read(&mut self) -> Option<Noted<'a>> {
        let word = |at: usize| Some(u64::from_le_bytes(self.rest.get(at..at + 8)?.try_into().ok()?));
        let magic = u32::from_le_bytes(self.rest.get(..4)?.try_into().ok()?);
        let len = usize::from(u16::from_le_bytes(self.rest.get(4..6)?.try_into().ok()?));
        let (kind, soft, stamp, mark) = (*self.rest.get(6)?, *self.rest.get(7)? != 0, word(8)?, word(16)?);
        let text = self.rest.get(HEAD..HEAD + len)?;
        if magic != MAGIC || word(HEAD + len)? != sum(self.rest.get(..HEAD + len)?) {
            return None;
        }
        let what = match kind {
            ALL => Purge::All,
            MARK => Purge::Mark(mark),
            PREFIX => Purge::Prefix(text),
            _ => return None,
        };
        self.rest = self.rest.get(HEAD + len + SUM..)?;
        Some(Noted { what, soft, stamp })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Noted<'a>;

    fn next(&mut self) -> Option<Noted<'a>> {
        self.read()
    }
}
