//! Reading a snapshot, whatever has become of it.
//!
//! ```text
//!           head good, body good
//!        +-------- a record <------+
//!        v                         |
//!     at a mark? ----- yes --------+
//!        | no, or damaged
//!        v
//!     searching for the mark, from the next byte on
//! ```
//!
//! A damaged record's length is not trusted, though its head may be good: where bytes are missing in it, a step of
//! that length would end inside the next record. So the search begins right behind its head.
//!
//! Where a stretch of the file stands in it twice, its records come twice: the caller knows what it has.
//!
//! Invariant: `window` holds the file's bytes from `base` on; the first `done` of them are behind us. It grows to one
//! record of the greatest allowed length and not beyond.

use super::format::{
    BEGIN, EDGE_BYTES, END, Edge, EdgeRead, HEAD_BYTES, Head, Keys, Record, SUM_BYTES, UNKNOWN,
};
use memchr::memmem::Finder;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes read at a time, and searched in one step.
const CHUNK: usize = 256 * 1024;

/// Why there is nothing to read.
#[derive(Debug)]
pub enum OpenError {
    /// The file can't be read.
    Io(io::Error),
    /// It is no snapshot, or damaged at both ends.
    Foreign,
    /// It is a snapshot of another version.
    Version,
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        OpenError::Io(error)
    }
}

/// What a reader has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that were whole.
    pub whole: u64,
    /// Records that were written but damaged, or not there. Where the end is missing, those behind the last one that
    /// was seen can't be counted.
    pub damaged: u64,
    /// Records that are longer than the caller takes.
    pub too_large: u64,
    /// Whether the end was missing: the file was cut, or just its end is damaged.
    pub cut: bool,
}

/// One step of reading.
#[derive(Debug)]
pub enum Step<'a> {
    /// A page.
    Record(Record<'a>),
    /// Bytes that are no page were passed over. There may be more behind.
    Passed,
    /// There is no more.
    End,
}

/// Where the next record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Here, if all is well.
    Here,
    /// Somewhere behind.
    Behind,
}

/// A snapshot being read.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    edge: Edge,
    keys: Keys,
    finder: Finder<'static>,
    most: u64,
    window: Vec<u8>,
    done: usize,
    /// Bytes of the file that are not in the window yet.
    unread: u64,
    place: Place,
    /// One more than the greatest number of a record that was seen.
    seen: u64,
    tally: Tally,
}

impl<R: Read + Seek> Reader<R> {
    /// Looks at both ends of the file. `content` is what the writer gave; records with more than `most` bytes of key
    /// and value are passed over.
    pub fn open(mut from: R, content: u32, most: usize) -> Result<Self, OpenError> {
        let len = from.seek(SeekFrom::End(0))?;
        let begin = edge_at(&mut from, len, 0, BEGIN)?;
        let end = edge_at(&mut from, len, len.saturating_sub(EDGE_BYTES as u64), END)?;
        let (edge, at, until) = match (begin, end) {
            (EdgeRead::Good(edge), EdgeRead::Good(end)) if end.seed == edge.seed => {
                (end, EDGE_BYTES as u64, len - EDGE_BYTES as u64)
            }
            (EdgeRead::Good(edge), _) => (edge, EDGE_BYTES as u64, len),
            // Something may be missing before the first record, too.
            (_, EdgeRead::Good(edge)) => (edge, 0, len - EDGE_BYTES as u64),
            (EdgeRead::OtherFormat, _) | (_, EdgeRead::OtherFormat) => return Err(OpenError::Version),
            _ => return Err(OpenError::Foreign),
        };
        if edge.content != content {
            return Err(OpenError::Version);
        }
        from.seek(SeekFrom::Start(at))?;
        let keys = Keys::new(edge.seed);
        Ok(Reader {
            from,
            edge,
            keys,
            finder: Finder::new(&keys.mark).into_owned(),
            most: most as u64,
            window: Vec::new(),
            done: 0,
            unread: until.saturating_sub(at),
            place: Place::Here,
            seen: 0,
            tally: Tally { cut: edge.records == UNKNOWN, ..Tally::default() },
        })
    }

    /// When the snapshot was written.
    pub fn written_ms(&self) -> u64 {
        self.edge.written_ms
    }

    /// What was seen. The damaged ones are counted when the end was reached.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The next page, after a bounded piece of work.
    pub fn step(&mut self) -> io::Result<Step<'_>> {
        if self.place == Place::Behind {
            self.want(CHUNK)?;
            let rest = self.rest();
            match self.finder.find(rest) {
                Some(at) => self.pass(at),
                None => {
                    // A mark may begin in the last bytes.
                    let kept = if self.unread == 0 { 0 } else { rest.len().min(self.keys.mark.len() - 1) };
                    self.pass(rest.len() - kept);
                    return Ok(if self.unread == 0 { self.end() } else { Step::Passed });
                }
            }
            self.place = Place::Here;
        }
        self.want(HEAD_BYTES)?;
        if self.rest().is_empty() {
            return Ok(self.end());
        }
        let Some(head) = Head::decode(self.rest().get(..HEAD_BYTES).unwrap_or_default(), &self.keys) else {
            return Ok(self.search_from(1));
        };
        self.seen = self.seen.max(u64::from(head.number) + 1);
        if head.content() > self.most {
            self.tally.too_large += 1;
            return Ok(self.search_from(HEAD_BYTES));
        }
        let len = HEAD_BYTES + head.key_len + head.value_len + SUM_BYTES;
        self.want(len)?;
        if !self.rest().get(..len).is_some_and(|bytes| head.is_whole(bytes, &self.keys)) {
            return Ok(self.search_from(HEAD_BYTES));
        }
        self.tally.whole += 1;
        self.pass(len);
        let bytes = self.window.get(self.done.saturating_sub(len)..self.done).unwrap_or_default();
        Ok(head.record(bytes).map_or(Step::Passed, Step::Record))
    }

    fn search_from<'a>(&mut self, step: usize) -> Step<'a> {
        self.pass(step);
        self.place = Place::Behind;
        Step::Passed
    }

    fn end<'a>(&mut self) -> Step<'a> {
        let written = if self.edge.records == UNKNOWN { self.seen } else { self.edge.records };
        self.tally.damaged = written.saturating_sub(self.tally.whole + self.tally.too_large);
        Step::End
    }

    fn rest(&self) -> &[u8] {
        self.window.get(self.done..).unwrap_or_default()
    }

    fn pass(&mut self, step: usize) {
        self.done = self.done.saturating_add(step).min(self.window.len());
    }

    /// Has at least `len` bytes in the window, or all that there are.
    fn want(&mut self, len: usize) -> io::Result<()> {
        if self.rest().len() >= len || self.unread == 0 {
            return Ok(());
        }
        self.window.drain(..self.done);
        self.done = 0;
        let missing = len.max(CHUNK) - self.window.len();
        let missing = usize::try_from(self.unread).unwrap_or(usize::MAX).min(missing);
        self.window.try_reserve(missing).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let got = self.from.by_ref().take(missing as u64).read_to_end(&mut self.window)?;
        self.unread = if got < missing { 0 } else { self.unread - got as u64 };
        Ok(())
    }
}

fn edge_at<R: Read + Seek>(from: &mut R, len: u64, at: u64, magic: [u8; 8]) -> io::Result<EdgeRead> {
    let mut bytes = [0; EDGE_BYTES];
    if len < EDGE_BYTES as u64 {
        return Ok(EdgeRead::Bad);
    }
    from.seek(SeekFrom::Start(at))?;
    match from.read_exact(&mut bytes) {
        Ok(()) => Ok(Edge::decode(&bytes, magic)),
        // Shorter than it was a moment ago.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(EdgeRead::Bad),
        Err(error) => Err(error),
    }
}
