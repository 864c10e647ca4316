//! Figures of sources and their servers: two tables of names, and rows of words in shared memory that a source or a
//! server keeps over reloads, by its name.
//!
//! Invariants
//! - A row is one name's for as long as a configuration of now or of before names it, so that workers of both count in
//!   the same one. Only then another name may have it, with all its words 0.
//! - Rows are given out by one process at a time (the one that reads the configuration). Everybody else adds to those
//!   that he was given, without a lock: two at once lose nothing.
//! - Memory of zeros is rows that nobody has; whatever else is in it is read as numbers and can do no harm.

use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip128::SipHasher13;

use super::Failure;
use crate::health::Health;

macro_rules! figures {
    ($(#[doc = $what:literal])+ $enum:ident: $($(#[doc = $help:literal])+ $name:ident = $word:literal;)+) => {
        $(#[doc = $what])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $enum { $($(#[doc = $help])+ $name,)+ }

        impl $enum {
            /// Every figure, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// One sentence for the documentation.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => concat!($($help,)+).trim_ascii(),)+ }
            }

            /// The figure of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|figure| figure.as_str() == name)
            }
        }
    };
}

figures! {
    /// What is counted for a source: as pages see it.
    Stat:
    /// Values that pages asked for.
    Requests = "requests";
    /// Of these, those that the zone remembered.
    Remembered = "remembered";
    /// Values that were there.
    Hits = "hits";
    /// Values that were not.
    Misses = "misses";
    /// Values that the source failed to give: it closed the connection, refused, gave no answer or one too large.
    Errors = "errors";
    /// Values that did not come in the source's time.
    Timeouts = "timeouts";
    /// Values that nobody could be asked for: the server rests, or too much is under way.
    ForwardErrors = "forward_error";
    /// Values whose keys can't be sent.
    BadKeys = "bad_keys";
    /// Changes that pages made.
    Writes = "writes";
    /// Of these, those that came to nothing.
    LostWrites = "lost_writes";
}

figures! {
    /// What is counted for a server: as its connections see it. Where twemproxy counts it, too, the name is
    /// twemproxy's.
    ServerStat:
    /// Commands sent; many keys asked for together are one.
    Requests = "requests";
    /// Their bytes.
    RequestBytes = "request_bytes";
    /// Commands answered.
    Responses = "responses";
    /// The bytes of their answers.
    ResponseBytes = "response_bytes";
    /// Commands that asked for values.
    Batches = "batches";
    /// Keys in these.
    BatchedKeys = "batched_keys";
    /// Keys that the server had.
    Hits = "hits";
    /// Keys that it had not.
    Misses = "misses";
    /// Microseconds from asking to the answer, over all commands answered.
    Latency = "latency_us";
    /// Connections that were made.
    Connections = "server_connects";
    /// Connections that the server closed.
    Eof = "server_eof";
    /// Connections that failed, or brought what is no answer.
    Err = "server_err";
    /// Connections that were given up because an answer did not come in time.
    TimedOut = "server_timedout";
    /// Times that it began to rest.
    Ejects = "server_ejects";
}

impl Stat {
    /// Where a value is counted that did not come.
    pub const fn of(why: Failure) -> Stat {
        match why {
            Failure::Timeout => Stat::Timeouts,
            Failure::Closed | Failure::Protocol | Failure::Refused | Failure::TooLarge => Stat::Errors,
            Failure::Resting | Failure::Busy => Stat::ForwardErrors,
            Failure::BadKey => Stat::BadKeys,
        }
    }
}

/// What a row counts.
pub trait Figure: Copy {
    /// Its place in a line.
    fn place(self) -> usize;
}

impl Figure for Stat {
    fn place(self) -> usize {
        self as usize
    }
}

impl Figure for ServerStat {
    fn place(self) -> usize {
        self as usize
    }
}

/// Words of a line: whole cache lines, so that two workers seldom share one.
const LINE: usize = 16;
/// Lines of a row, a power of two.
const LINES: usize = 16;

const _: () = assert!(Stat::ALL.len() <= LINE && ServerStat::ALL.len() <= LINE);

/// What a source or a server has in the memory.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Row {
    /// Its name's hash; 0: nobody's.
    name: [AtomicU64; 2],
    /// The latest configuration that names it.
    named: AtomicU64,
    /// Whether the server is asked.
    pub health: Health,
    /// When it last began to rest, milliseconds.
    ejected_ms: AtomicU64,
    lines: Lines,
}

/// A line of counters for each of a few workers.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Lines([[AtomicU64; LINE]; LINES]);

impl Row {
    /// Counts more of something, in the line of a worker.
    #[inline]
    pub fn add(&self, worker: usize, figure: impl Figure, count: u64) {
        if let Some(word) = self.lines.0.get(worker & (LINES - 1)).and_then(|line| line.get(figure.place())) {
            word.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// A figure, over all workers.
    pub fn figure(&self, figure: impl Figure) -> u64 {
        let words = self.lines.0.iter().filter_map(|line| line.get(figure.place()));
        words.fold(0u64, |sum, word| sum.wrapping_add(word.load(Ordering::Relaxed)))
    }

    /// When a server last began to rest, milliseconds; 0: never.
    pub fn ejected_ms(&self) -> u64 {
        self.ejected_ms.load(Ordering::Relaxed)
    }

    /// It begins to rest.
    pub fn set_ejected_ms(&self, now_ms: u64) {
        self.ejected_ms.store(now_ms, Ordering::Relaxed);
    }

    fn name(&self) -> [u64; 2] {
        self.name.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    fn named(&self) -> u64 {
        self.named.load(Ordering::Relaxed)
    }

    /// Whether nobody has it: nobody ever had, or not in this configuration and the one before.
    fn is_free(&self, configuration: u64) -> bool {
        self.name() == [0; 2] || self.named().saturating_add(1) < configuration
    }

    fn begin(&self, name: [u64; 2]) {
        self.copy_from(&Row::default());
        for (word, part) in self.name.iter().zip(name) {
            word.store(part, Ordering::Relaxed);
        }
    }

    /// Everything but whose it is.
    fn copy_from(&self, other: &Row) {
        self.health.take_over(&other.health);
        self.set_ejected_ms(other.ejected_ms());
        for (word, other) in self.lines.0.iter().flatten().zip(other.lines.0.iter().flatten()) {
            word.store(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// How many rows the memory should have for so many sources and servers. Seldom another number after a reload with a few
/// more or less, so that the memory stays.
pub fn rows_for(needed: usize) -> usize {
    const LEAST: usize = 64;
    // Twice as many: those of the configuration before stay while its workers leave.
    needed.saturating_mul(2).max(LEAST).next_power_of_two()
}

/// All rows of the memory.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a>(pub &'a [Row]);

impl<'a> Rows<'a> {
    /// The row of a name for this configuration, whose number is greater than those before. None: there are too many.
    pub fn take(self, name: &[u8], configuration: u64) -> Option<&'a Row> {
        let name = hash(name);
        let row = self.find(name).or_else(|| {
            let free = self.0.iter().filter(|row| row.is_free(configuration));
            // That of nobody, else that which was left first.
            let row = free.min_by_key(|row| row.named())?;
            row.begin(name);
            Some(row)
        })?;
        row.named.store(configuration, Ordering::Relaxed);
        Some(row)
    }

    /// Gives each row what other memory has under its name: for memory that takes the place of other memory.
    pub fn take_over(self, other: Rows<'_>) {
        for row in self.0.iter().filter(|row| row.name() != [0; 2]) {
            if let Some(old) = other.find(row.name()) {
                row.copy_from(old);
            }
        }
    }

    /// The number of the latest configuration that took a row.
    pub fn latest(self) -> u64 {
        self.0.iter().map(Row::named).max().unwrap_or(0)
    }

    fn find(self, name: [u64; 2]) -> Option<&'a Row> {
        self.0.iter().find(|row| row.name() == name)
    }
}

/// Names are those of a configuration: nobody makes two of the same hash. Never 0.
fn hash(name: &[u8]) -> [u64; 2] {
    let hash = SipHasher13::new().hash(name);
    [hash.h1 | 1, hash.h2]
}
