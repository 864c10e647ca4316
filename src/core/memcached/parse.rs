//! The replies of one connection, read in whatever pieces they come.
//!
//! What a reply means depends on the command that it answers ([`super::reply`]). So the parser holds the commands that are
//! outstanding, in their order, each with a note of its owner's, which comes back with what is said about it. A byte that
//! comes when nothing is outstanding is a violation.

use std::collections::VecDeque;

use super::reply::{Expected, Refusal, Reply, Violation, Wrong, plain_reply, refusal, tail, value_line};
use crate::source::MAX_VALUE;

/// Longest line of a reply, with its end: a `VALUE` line has 300 bytes at most.
pub const MAX_REPLY: usize = 1024;

/// Largest value that is skipped to stay in step; servers refuse values over 1 MB unless told otherwise.
pub const MAX_SKIPPED: u64 = 8 << 20;

/// Most commands outstanding.
pub const MAX_COMMANDS: usize = 16 * 1024;

/// Most bytes of keys outstanding: some 100,000 keys.
pub const MAX_KEY_BYTES: usize = 4 << 20;

/// What is kept of the buffer for a value that came in pieces.
const KEPT: usize = 64 * 1024;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a, N> {
    /// A value of the first command outstanding, which is a `get`.
    Value {
        /// The command's note.
        note: &'a mut N,
        /// The number of its key.
        key: usize,
        /// The value.
        value: &'a [u8],
    },
    /// The same, but it has more than [`MAX_VALUE`] bytes.
    TooLarge {
        /// The command's note.
        note: &'a mut N,
        /// The number of its key.
        key: usize,
    },
    /// The first command outstanding is answered, and is none any more. Keys of a `get` that had no value have none.
    Done {
        /// Its note.
        note: N,
        /// How it was answered.
        reply: Reply<'a>,
    },
}

/// The commands that are outstanding on a connection, and what has come of the next reply. `N`: notes of their owner's.
#[derive(Debug)]
pub struct Parser<N> {
    waiting: VecDeque<Waiting<N>>,
    key_bytes: usize,
    state: State,
    /// What has come of a line; where `spent`, the line before.
    line: Vec<u8>,
    spent: bool,
    /// What has come of a value.
    value: Vec<u8>,
    broken: Option<Violation>,
}

#[derive(Debug)]
struct Waiting<N> {
    expected: Expected,
    /// Which keys of a `get` had their value.
    seen: Vec<bool>,
    note: N,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum State {
    Line,
    /// A value and the end of its line: so many bytes.
    Value {
        key: usize,
        len: usize,
    },
    /// The same, of a value that nobody wants: so many bytes are left.
    Skip {
        left: u64,
    },
}

/// Bytes that lie in what was fed, or were kept.
#[derive(Clone, Copy)]
enum Place<'i> {
    Fed(&'i [u8]),
    Kept,
}

/// An [`Event`], without borrowing the parser.
enum Step<'i, N> {
    Starved,
    Value { key: usize, value: Place<'i> },
    TooLarge { key: usize },
    Done { note: N, reply: Reply<'i> },
    Refused { note: N, by: Refusal, line: Place<'i> },
}

impl<N> Default for Parser<N> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            key_bytes: 0,
            state: State::Line,
            line: Vec::new(),
            spent: false,
            value: Vec::new(),
            broken: None,
        }
    }
}

impl<N> Parser<N> {
    /// Of a connection on which nothing was sent yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many commands are outstanding.
    pub fn outstanding(&self) -> usize {
        self.waiting.len()
    }

    /// The note of the command whose answer comes next.
    pub fn first(&self) -> Option<&N> {
        self.waiting.front().map(|waiting| &waiting.note)
    }

    /// Notes a command that is about to be sent. Gives the note back where too much is outstanding: then it must not be.
    pub fn expect(&mut self, expected: Expected, note: N) -> Result<(), N> {
        let (keys, bytes) = match &expected {
            Expected::Get(keys) => (keys.len(), keys.weight()),
            _ => (0, 0),
        };
        if self.waiting.len() >= MAX_COMMANDS || self.key_bytes + bytes > MAX_KEY_BYTES {
            return Err(note);
        }
        self.key_bytes += bytes;
        self.waiting.push_back(Waiting { expected, seen: vec![false; keys], note });
        Ok(())
    }

    /// The notes of what is outstanding, in order: the connection is gone, and no answer comes.
    pub fn give_up(self) -> impl Iterator<Item = N> {
        self.waiting.into_iter().map(|waiting| waiting.note)
    }

    /// Reads on; `input` goes on behind what was read. None: all of it was read, and nothing is whole.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<Event<'s, N>>, Violation> {
        if let Some(violation) = &self.broken {
            return Err(violation.clone());
        }
        let step = match self.step(input) {
            Ok(step) => step,
            Err(violation) => {
                self.broken = Some(violation.clone());
                return Err(violation);
            }
        };
        let (key, value) = match step {
            Step::Starved => return Ok(None),
            Step::Done { note, reply } => return Ok(Some(Event::Done { note, reply })),
            Step::Refused { note, by, line } => {
                let line = self.line_at(line);
                let text = line.get(by.as_str().len() + 1..).unwrap_or_default();
                return Ok(Some(Event::Done { note, reply: Reply::Refused { by, text } }));
            }
            Step::Value { key, value } => (key, Some(value)),
            Step::TooLarge { key } => (key, None),
        };
        let Self { waiting, value: kept, .. } = self;
        let Some(first) = waiting.front_mut() else { return Ok(None) };
        let note = &mut first.note;
        let value = match value {
            None => return Ok(Some(Event::TooLarge { note, key })),
            Some(Place::Fed(value)) => value,
            Some(Place::Kept) => kept.get(..kept.len().saturating_sub(2)).unwrap_or_default(),
        };
        Ok(Some(Event::Value { note, key, value }))
    }

    fn line_at<'s>(&'s self, place: Place<'s>) -> &'s [u8] {
        match place {
            Place::Fed(line) => line,
            Place::Kept => &self.line,
        }
    }

    fn step<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<'i, N>, Violation> {
        loop {
            match self.state {
                State::Line => {
                    if let Some(line) = self.take_line(input)? {
                        if let Some(step) = self.read_line(line)? {
                            return Ok(step);
                        }
                    } else {
                        return Ok(Step::Starved);
                    }
                }
                State::Value { key, len } => {
                    let Some(value) = self.take_value(input, len)? else { return Ok(Step::Starved) };
                    self.state = State::Line;
                    return Ok(Step::Value { key, value });
                }
                State::Skip { left } => {
                    let left = skip(input, left)?;
                    self.state = if left == 0 { State::Line } else { State::Skip { left } };
                    if left > 0 {
                        return Ok(Step::Starved);
                    }
                }
            }
        }
    }

    /// The next line, without its end, once it is whole.
    fn take_line<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Place<'i>>, Violation> {
        if std::mem::take(&mut self.spent) {
            self.line.clear();
        }
        if input.is_empty() {
            return Ok(None);
        }
        if self.waiting.is_empty() {
            return Err(Wrong::Unasked.with(input));
        }
        let room = MAX_REPLY.saturating_sub(self.line.len());
        let piece = input.get(..room).unwrap_or(input);
        let Some(end) = memchr::memchr(b'\n', piece) else {
            self.line.extend_from_slice(piece);
            *input = input.get(piece.len()..).unwrap_or_default();
            if self.line.len() >= MAX_REPLY {
                return Err(Wrong::LineTooLong.with(&self.line));
            }
            return Ok(None);
        };
        let (piece, rest) = input.split_at_checked(end).unwrap_or_default();
        *input = rest.get(1..).unwrap_or_default();
        if self.line.is_empty() {
            let Some(line) = piece.strip_suffix(b"\r") else { return Err(Wrong::LineEnd.with(piece)) };
            return Ok(Some(Place::Fed(line)));
        }
        self.line.extend_from_slice(piece);
        if self.line.pop() != Some(b'\r') {
            return Err(Wrong::LineEnd.with(&self.line));
        }
        self.spent = true;
        Ok(Some(Place::Kept))
    }

    /// What a line says. None: a value follows.
    fn read_line<'i>(&mut self, at: Place<'i>) -> Result<Option<Step<'i, N>>, Violation> {
        let line = match at {
            Place::Fed(line) => line,
            Place::Kept => &self.line,
        };
        let Some(first) = self.waiting.front_mut() else { return Err(Wrong::Unasked.with(line)) };
        if let (Expected::Get(keys), Some(rest)) = (&first.expected, line.strip_prefix(b"VALUE ")) {
            let (key, len) = value_line(rest).ok_or_else(|| Wrong::Value.with(line))?;
            let key = keys.find(key).ok_or_else(|| Wrong::Key.with(line))?;
            match first.seen.get_mut(key) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(Wrong::Twice.with(line)),
            }
            if len > MAX_SKIPPED {
                return Err(Wrong::Length.with(line));
            }
            return Ok(match usize::try_from(len) {
                Ok(len) if len <= MAX_VALUE => {
                    self.state = State::Value { key, len: len + 2 };
                    self.value.clear();
                    self.value.shrink_to(KEPT);
                    None
                }
                _ => {
                    self.state = State::Skip { left: len + 2 };
                    Some(Step::TooLarge { key })
                }
            });
        }
        let refused = refusal(line);
        let reply = match (refused, plain_reply(&first.expected, line)) {
            (_, Some(reply)) => Ok(reply),
            (Some(Refusal::Error | Refusal::Client), _) if matches!(first.expected, Expected::Store) => {
                return Err(Wrong::Reply.with(line));
            }
            (Some(by), _) => Err(by),
            (None, None) => return Err(Wrong::Reply.with(line)),
        };
        let Some(done) = self.waiting.pop_front() else { return Ok(None) };
        if let Expected::Get(keys) = &done.expected {
            self.key_bytes = self.key_bytes.saturating_sub(keys.weight());
        }
        let note = done.note;
        Ok(Some(match reply {
            Ok(reply) => Step::Done { note, reply },
            Err(by) => Step::Refused { note, by, line: at },
        }))
    }

    /// The value of `len` bytes with the end of its line, once it is whole.
    fn take_value<'i>(&mut self, input: &mut &'i [u8], len: usize) -> Result<Option<Place<'i>>, Violation> {
        let left = len.saturating_sub(self.value.len());
        let Some((piece, rest)) = input.split_at_checked(left) else {
            self.value.extend_from_slice(input);
            *input = &[];
            return Ok(None);
        };
        *input = rest;
        if self.value.is_empty() {
            let value = piece.strip_suffix(b"\r\n").ok_or_else(|| Wrong::ValueEnd.with(tail(piece)))?;
            return Ok(Some(Place::Fed(value)));
        }
        self.value.extend_from_slice(piece);
        if !self.value.ends_with(b"\r\n") {
            return Err(Wrong::ValueEnd.with(tail(&self.value)));
        }
        Ok(Some(Place::Kept))
    }
}

/// Skips a value and the end of its line; gives how much of it is left.
fn skip(input: &mut &[u8], mut left: u64) -> Result<u64, Violation> {
    let inner = usize::try_from(left.saturating_sub(2)).unwrap_or(usize::MAX).min(input.len());
    *input = input.get(inner..).unwrap_or_default();
    left -= inner as u64;
    while (1..=2).contains(&left)
        && let Some((&byte, rest)) = input.split_first()
    {
        if byte != if left == 2 { b'\r' } else { b'\n' } {
            return Err(Wrong::ValueEnd.with(input));
        }
        *input = rest;
        left -= 1;
    }
    Ok(left)
}
