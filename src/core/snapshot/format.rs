//! How a snapshot is written down. All numbers are little-endian.
//!
//! ```text
//! | begin, 64 | record | record ... | end, 64 |
//!
//! begin, end   0 magic | 8 format | 12 content | 16 seed (16 bytes) | 32 written at | 40 records | 48 zero | 56 checksum
//! record       0 mark | 8 number | 12 flags | 16 created | 24 expires | 32 tag | 40 last used
//!             48 key len | 52 value len | 56 stale for | 60 error for | 64 began | 72 checksum of the head
//!             80 key | value | checksum of head, key and value
//! ```
//!
//! `begin` and `end` differ in the magic and in the count of records, which only the end knows. Either is enough to
//! read the records. Records are numbered from 0 on, so that a reader can tell how many it did not see.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// Changes with the layout above.
pub(super) const FORMAT: u32 = 2;
pub(super) const BEGIN: [u8; 8] = *b"twice\0sn";
pub(super) const END: [u8; 8] = *b"twice\0se";
/// Bytes of `begin` and of `end`.
pub(super) const EDGE_BYTES: usize = 64;
/// Bytes of a record before its key.
pub(super) const HEAD_BYTES: usize = 80;
/// Bytes of a record behind its value.
pub(super) const SUM_BYTES: usize = 8;
/// A count that is not known.
pub(super) const UNKNOWN: u64 = u64::MAX;

const PROVEN: u32 = 1;
const COUNTER: u32 = 2;

/// What a record holds. A reader that does not know of counters takes one for a page without marks, which it leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A page.
    #[default]
    Page,
    /// A local counter, whose value is 8 bytes.
    Counter,
}

/// A page in a snapshot, or a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is.
    pub kind: Kind,
    /// When the page was made, in milliseconds since the epoch, as all times here.
    pub created_ms: u64,
    /// Until when it is fresh.
    pub expires_ms: u64,
    /// For how many seconds after that it may be served while it is renewed.
    pub stale_s: u32,
    /// For how many seconds after that it may be served where its origin fails.
    pub error_s: u32,
    /// The stamp that was the latest when its fetch began.
    pub began: u64,
    /// The caller's word.
    pub tag: u64,
    /// When it was asked for last.
    pub last_used_ms: u64,
    /// Whether it has shown its worth to the eviction policy.
    pub proven: bool,
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// The first or last bytes of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub content: u32,
    pub seed: [u8; 16],
    pub written_ms: u64,
    pub records: u64,
}

/// What bytes at an edge's place are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EdgeRead {
    Good(Edge),
    /// The magic is there, the format is another one.
    OtherFormat,
    /// Damaged, or something else.
    Bad,
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

impl Edge {
    pub fn encode(&self, magic: [u8; 8]) -> [u8; EDGE_BYTES] {
        let mut out = [0; EDGE_BYTES];
        let parts: [&[u8]; 6] = [
            &magic,
            &FORMAT.to_le_bytes(),
            &self.content.to_le_bytes(),
            &self.seed,
            &self.written_ms.to_le_bytes(),
            &self.records.to_le_bytes(),
        ];
        lay_out(&mut out, &parts);
        let sum = Keys::new(self.seed).sum(out.split_at(EDGE_BYTES - SUM_BYTES).0);
        if let Some(last) = out.last_chunk_mut() {
            *last = sum.to_le_bytes();
        }
        out
    }

    pub fn decode(bytes: &[u8], magic: [u8; 8]) -> EdgeRead {
        if !bytes.starts_with(&magic) {
            return EdgeRead::Bad;
        }
        if half(bytes, 8).is_some_and(|format| format != FORMAT) {
            return EdgeRead::OtherFormat;
        }
        Edge::fields(bytes).map_or(EdgeRead::Bad, EdgeRead::Good)
    }

    fn fields(bytes: &[u8]) -> Option<Edge> {
        let edge = Edge {
            content: half(bytes, 12)?,
            seed: bytes.get(16..32)?.try_into().ok()?,
            written_ms: word(bytes, 32)?,
            records: word(bytes, 40)?,
        };
        let sum = Keys::new(edge.seed).sum(bytes.get(..EDGE_BYTES - SUM_BYTES)?);
        (word(bytes, EDGE_BYTES - SUM_BYTES)? == sum).then_some(edge)
    }
}

/// Writes parts one behind the other.
fn lay_out(out: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().flat_map(|part| part.iter());
    for (to, byte) in out.iter_mut().zip(bytes) {
        *to = *byte;
    }
}

/// Marks and checksums of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    hasher: SipHasher13,
    /// What a record begins with.
    pub mark: [u8; 8],
}

impl Keys {
    pub fn new(seed: [u8; 16]) -> Keys {
        let hasher = SipHasher13::new_with_key(&seed);
        Keys { hasher, mark: hasher.hash(b"record").to_le_bytes() }
    }

    pub fn sum(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash(bytes)
    }

    /// The checksum behind a record.
    pub fn sum_all(&self, head: &[u8], key: &[u8], value: &[u8]) -> u64 {
        let mut hasher = self.hasher;
        for part in [head, key, value] {
            hasher.write(part);
        }
        hasher.finish()
    }
}

/// A record's head, without its mark and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub number: u32,
    flags: u32,
    created_ms: u64,
    expires_ms: u64,
    stale_s: u32,
    error_s: u32,
    began: u64,
    tag: u64,
    last_used_ms: u64,
    pub key_len: usize,
    pub value_len: usize,
}

impl Head {
    /// The head of a record; `None` if a length does not fit.
    pub fn of(record: &Record<'_>, number: u32) -> Option<Head> {
        u32::try_from(record.key.len()).ok()?;
        u32::try_from(record.value.len()).ok()?;
        Some(Head {
            number,
            flags: if record.proven { PROVEN } else { 0 }
                | if record.kind == Kind::Counter { COUNTER } else { 0 },
            created_ms: record.created_ms,
            expires_ms: record.expires_ms,
            stale_s: record.stale_s,
            error_s: record.error_s,
            began: record.began,
            tag: record.tag,
            last_used_ms: record.last_used_ms,
            key_len: record.key.len(),
            value_len: record.value.len(),
        })
    }

    pub fn encode(&self, keys: &Keys) -> [u8; HEAD_BYTES] {
        let mut out = [0; HEAD_BYTES];
        let parts: [&[u8]; 12] = [
            &keys.mark,
            &self.number.to_le_bytes(),
            &self.flags.to_le_bytes(),
            &self.created_ms.to_le_bytes(),
            &self.expires_ms.to_le_bytes(),
            &self.tag.to_le_bytes(),
            &self.last_used_ms.to_le_bytes(),
            &(self.key_len as u32).to_le_bytes(),
            &(self.value_len as u32).to_le_bytes(),
            &self.stale_s.to_le_bytes(),
            &self.error_s.to_le_bytes(),
            &self.began.to_le_bytes(),
        ];
        lay_out(&mut out, &parts);
        let sum = keys.sum(out.split_at(HEAD_BYTES - SUM_BYTES).0);
        if let Some(last) = out.last_chunk_mut() {
            *last = sum.to_le_bytes();
        }
        out
    }

    /// `None` if these bytes are no head of this file.
    pub fn decode(bytes: &[u8], keys: &Keys) -> Option<Head> {
        let sum = word(bytes, HEAD_BYTES - SUM_BYTES)?;
        if !bytes.starts_with(&keys.mark) || sum != keys.sum(bytes.get(..HEAD_BYTES - SUM_BYTES)?) {
            return None;
        }
        Some(Head {
            number: half(bytes, 8)?,
            flags: half(bytes, 12)?,
            created_ms: word(bytes, 16)?,
            expires_ms: word(bytes, 24)?,
            stale_s: half(bytes, 56)?,
            error_s: half(bytes, 60)?,
            began: word(bytes, 64)?,
            tag: word(bytes, 32)?,
            last_used_ms: word(bytes, 40)?,
            key_len: usize::try_from(half(bytes, 48)?).ok()?,
            value_len: usize::try_from(half(bytes, 52)?).ok()?,
        })
    }

    /// Bytes of key and value.
    pub fn content(&self) -> u64 {
        self.key_len as u64 + self.value_len as u64
    }

    fn parts<'a>(&self, bytes: &'a [u8]) -> Option<[&'a [u8]; 4]> {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let (key, rest) = rest.split_at_checked(self.key_len)?;
        let (value, sum) = rest.split_at_checked(self.value_len)?;
        Some([head, key, value, sum])
    }

    /// Whether a record's bytes are what was written.
    pub fn is_whole(&self, bytes: &[u8], keys: &Keys) -> bool {
        self.parts(bytes)
            .is_some_and(|[head, key, value, sum]| word(sum, 0) == Some(keys.sum_all(head, key, value)))
    }

    /// The record whose head this is.
    pub fn record<'a>(&self, bytes: &'a [u8]) -> Option<Record<'a>> {
        let [_, key, value, _] = self.parts(bytes)?;
        Some(Record {
            kind: if self.flags & COUNTER != 0 { Kind::Counter } else { Kind::Page },
            created_ms: self.created_ms,
            expires_ms: self.expires_ms,
            stale_s: self.stale_s,
            error_s: self.error_s,
            began: self.began,
            tag: self.tag,
            last_used_ms: self.last_used_ms,
            proven: self.flags & PROVEN != 0,
            key,
            value,
        })
    }
}
