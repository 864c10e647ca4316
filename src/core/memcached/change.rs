//! A change at a server, from its first command to its end.
//!
//! ```text
//!   incr, decr ── a number ──────────────────────────────> done
//!        '─────── NOT_FOUND ──> add ── STORED ───────────> done
//!                                '──── NOT_STORED ──> again ── a number ──> done
//!                        (another one was faster)       '───── NOT_FOUND ──> lost
//!   delete ────── DELETED, NOT_FOUND ────────────────────> done
//! ```
//!
//! Whatever is refused is lost.

use super::{Expected, Reply, encode};
use crate::source::Change;

/// A change that is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doing {
    key: Box<[u8]>,
    change: Change,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    First,
    Add,
    Again,
}

/// What follows a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Done,
    /// One more command.
    Send(Doing),
    /// It was not done.
    Lost,
}

impl Doing {
    /// A change of a key that passed [`crate::source::key::check`].
    pub fn new(key: &[u8], change: Change) -> Self {
        Self { key: key.into(), change, step: Step::First }
    }

    /// Its key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Appends its command; tells what answers that.
    pub fn encode(&self, out: &mut Vec<u8>) -> Expected {
        match (self.change, self.step) {
            (Change::Delete, _) => {
                encode::delete(out, &self.key);
                Expected::Delete
            }
            (Change::Incr(initial) | Change::Decr(initial), Step::Add) => {
                encode::add(out, &self.key, initial.to_string().as_bytes());
                Expected::Store
            }
            (Change::Incr(_), Step::First | Step::Again) => {
                encode::incr(out, &self.key);
                Expected::Arith
            }
            (Change::Decr(_), Step::First | Step::Again) => {
                encode::decr(out, &self.key);
                Expected::Arith
            }
        }
    }

    /// Its command was answered so.
    pub fn next(self, reply: Reply<'_>) -> Next {
        match (reply, self.step, self.change) {
            (Reply::Number(_) | Reply::Stored | Reply::Deleted, ..) => Next::Done,
            (Reply::NotFound, _, Change::Delete) => Next::Done,
            (Reply::NotFound, Step::First, _) => Next::Send(Self { step: Step::Add, ..self }),
            (Reply::NotStored, Step::Add, _) => Next::Send(Self { step: Step::Again, ..self }),
            _ => Next::Lost,
        }
    }
}
