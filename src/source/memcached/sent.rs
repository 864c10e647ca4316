//! What a connection has sent and not heard of, and what it is still to send.

use std::time::Instant;

use ngx::ffi::ngx_msec_t;
use twice_core::health::Probe;
use twice_core::memcached::change::Doing;
use twice_core::memcached::turn::Askers;

/// What is kept of a buffer that grew.
const KEPT: usize = 64 * 1024;

/// A command that is outstanding.
pub struct Note {
    /// What it is, and for whom.
    pub what: What,
    /// Where its bytes end among all that were put into [`Out`].
    pub end: u64,
    /// When it was asked, by nginx's clock.
    pub asked: ngx_msec_t,
    /// The same, for how long an answer took.
    pub began: Instant,
    /// Keys of which nothing came yet.
    pub keys: u64,
}

/// What was asked.
pub enum What {
    /// Keys, by these.
    Get(Askers),
    /// A change, by nobody who waits.
    Change(Doing),
    /// Whether it is there, in the name of all.
    Probe(Probe),
}

/// What is to be sent.
#[derive(Default)]
pub struct Out {
    /// What the socket has not taken.
    pub bytes: Vec<u8>,
    /// How many went before them.
    pub sent: u64,
}

impl Out {
    /// Where all that was put in ends.
    pub fn end(&self) -> u64 {
        self.sent + self.bytes.len() as u64
    }

    /// The socket has taken so many bytes.
    pub fn took(&mut self, count: usize) {
        self.sent += count as u64;
        self.bytes.drain(..count.min(self.bytes.len()));
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEPT);
        }
    }
}
