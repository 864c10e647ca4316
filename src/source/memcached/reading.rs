//! What comes back on a connection, and who is told of it.

use std::cell::Cell;
use std::mem;

use twice_core::memcached::change::Next;
use twice_core::memcached::{Event, Parser, Reply, Violation, unpadded};
use twice_core::source::figures::ServerStat;
use twice_core::source::{Answer, Failure};

use super::connection::Connection;
use super::sent::{Note, What};
use super::socket::Read;
use crate::source::fetches;

/// What is read at once.
const READ: usize = 64 * 1024;

/// How often a turn reads before others have theirs.
const READS: usize = 32;

thread_local! {
    /// What this worker reads into.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Why a connection can't go on.
pub enum End {
    /// The server has closed it.
    Closed,
    /// It is broken.
    Broken,
    /// What came is no answer.
    Wrong(Violation),
}

/// A connection's parser while it is read: what is told may ask anew, which must find the connection free.
pub struct Reading<'a> {
    connection: &'a Connection,
    parser: Parser<Note>,
}

impl<'a> Reading<'a> {
    /// Reads what has come, and tells it. None: more may come.
    pub fn of(connection: &'a Connection) -> Option<End> {
        let mut buffer = BUFFER.take();
        buffer.resize(READ, 0);
        let reading = Self { connection, parser: connection.parser.take() };
        let end = reading.all(&mut buffer);
        BUFFER.set(buffer);
        end
    }

    fn all(mut self, buffer: &mut [u8]) -> Option<End> {
        for _ in 0..READS {
            let bytes = match self.recv(buffer) {
                Read::Bytes(count) => {
                    self.connection.count(ServerStat::ResponseBytes, count as u64);
                    buffer.get(..count).unwrap_or_default()
                }
                Read::Later => return None,
                Read::End => return Some(End::Closed),
                Read::Broken => return Some(End::Broken),
            };
            if let Err(violation) = self.feed(bytes) {
                return Some(End::Wrong(violation));
            }
        }
        if let Some(socket) = self.connection.socket.borrow().as_ref() {
            socket.read_on();
        }
        None
    }

    fn recv(&self, buffer: &mut [u8]) -> Read {
        self.connection.socket.borrow().as_ref().map_or(Read::Later, |socket| socket.recv(buffer))
    }

    fn feed(&mut self, mut input: &[u8]) -> Result<(), Violation> {
        let mut answered = false;
        while let Some(event) = self.parser.next(&mut input)? {
            match event {
                Event::Value { note, key, value } => {
                    self.connection.count(ServerStat::Hits, 1);
                    tell(note, key, Answer::Value(unpadded(value)));
                }
                Event::TooLarge { note, key } => {
                    self.connection.count(ServerStat::Hits, 1);
                    tell(note, key, Answer::Failed(Failure::TooLarge));
                }
                Event::Done { note, reply } => {
                    answered = true;
                    count(self.connection, &note, reply);
                    done(self.connection, note.what, reply);
                }
            }
        }
        // A value says nothing yet: the server may be one that never comes to the end.
        if answered {
            self.connection.pool().answered(self.connection.server);
        }
        Ok(())
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // Also where a panic ended the reading: whoever waits is told then.
        *self.connection.parser.borrow_mut() = mem::take(&mut self.parser);
    }
}

fn tell(note: &mut Note, key: usize, answer: Answer<'_>) {
    if let What::Get(askers) = &mut note.what {
        note.keys = note.keys.saturating_sub(1);
        for ticket in askers.take(key) {
            fetches::answered(ticket, answer);
        }
    }
}

/// Counts a command that was answered.
fn count(connection: &Connection, note: &Note, reply: Reply<'_>) {
    let took = note.began.elapsed().as_micros();
    connection.count(ServerStat::Responses, 1);
    connection.count(ServerStat::Latency, u64::try_from(took).unwrap_or(u64::MAX));
    if matches!(reply, Reply::End) {
        connection.count(ServerStat::Misses, note.keys);
    }
}

/// A command was answered.
fn done(connection: &Connection, what: What, reply: Reply<'_>) {
    if let Reply::Refused { by, text } = reply {
        connection.pool().refused(connection.server, by.as_str(), text);
    }
    match (what, reply) {
        (What::Get(mut askers), Reply::End) => {
            for ticket in askers.take_rest() {
                fetches::answered(ticket, Answer::Missing);
            }
        }
        (what @ What::Get(_), _) => connection.settle(what, Failure::Refused),
        (What::Change(doing), reply) => match doing.next(reply) {
            Next::Done => {}
            Next::Send(next) => {
                if !connection.do_later(next) {
                    connection.pool().lost_writes(1);
                }
            }
            Next::Lost => connection.pool().lost_writes(1),
        },
        (What::Probe(probe), _) => connection.pool().probed(connection.server, probe, true),
    }
}
