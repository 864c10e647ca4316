//! Writing a snapshot.

use super::format::{BEGIN, END, Edge, Head, Keys, Record, UNKNOWN};
use std::io::{self, Write};

/// A snapshot under way. It is whole when `finish` has come back well.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    edge: Edge,
    keys: Keys,
    records: u32,
}

impl<W: Write> Writer<W> {
    /// Begins a snapshot. `content` says what the pages are to their reader; `seed` is random, and new for each file.
    pub fn new(mut out: W, content: u32, seed: [u8; 16], now_ms: u64) -> io::Result<Self> {
        let edge = Edge { content, seed, written_ms: now_ms, records: UNKNOWN };
        out.write_all(&edge.encode(BEGIN))?;
        Ok(Writer { out, edge, keys: Keys::new(seed), records: 0 })
    }

    /// Adds a page. The reader meets pages in the order in which they were added.
    pub fn add(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Some(head) = Head::of(record, self.records) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a page's length does not fit its field",
            ));
        };
        let head = head.encode(&self.keys);
        let sum = self.keys.sum_all(&head, record.key, record.value);
        for part in [&head, record.key, record.value, &sum.to_le_bytes()] {
            self.out.write_all(part)?;
        }
        self.records = self.records.saturating_add(1);
        Ok(())
    }

    /// Pages that were added.
    pub fn records(&self) -> u64 {
        u64::from(self.records)
    }

    /// Ends the snapshot, and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        let edge = Edge { records: u64::from(self.records), ..self.edge };
        self.out.write_all(&edge.encode(END))?;
        Ok(self.out)
    }
}
