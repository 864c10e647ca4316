//! Fragments that a page includes, while they come: what counts as one that came, and what all of them may take.
//!
//! ```text
//!             header 200, body, last, ended
//!   pending ---------------------------------> came
//!      |
//!      +--> failed: another status, encoded, too large, cut short, late, not even asked for
//! ```
//!
//! Invariants: a fragment leaves `pending` once and stays where it is then, so that what was said to be its bytes don't
//! change under whoever sends them; a failed one has no bytes; all fragments of one client's request together have at
//! most [`MAX_BYTES`].

use std::fmt;

use crate::source;

/// Deepest nesting: a page includes fragments, these others, and these others still.
pub const MAX_DEPTH: usize = 3;

/// Most fragments of one request of a client, those of its fragments counted.
pub const MAX_FRAGMENTS: usize = 128;

/// Most bytes of all of them.
pub const MAX_BYTES: usize = 16 << 20;

/// Why an include prints its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// More than [`MAX_FRAGMENTS`].
    TooMany,
    /// The server would not ask for it.
    NotAsked,
    /// It ended without an answer.
    NoAnswer,
    /// It came with this status.
    Status(u16),
    /// It came compressed.
    Encoded,
    /// Larger than a fragment may be, or all of them than [`MAX_BYTES`].
    TooLarge,
    /// It was cut short.
    Incomplete,
    /// It took longer than it may.
    Late,
    /// The page that includes it is too large to be held back.
    PageTooLarge,
    /// Memory ran out.
    NoMemory,
}

impl Failure {
    /// What it means where the fragment was to be a source's value. None: the source says that it has none.
    pub const fn of_source(self) -> Option<source::Failure> {
        Some(match self {
            Failure::Status(204 | 404 | 410) => return None,
            Failure::TooDeep | Failure::TooMany | Failure::NotAsked | Failure::NoMemory => {
                source::Failure::Busy
            }
            Failure::Status(_) | Failure::PageTooLarge => source::Failure::Refused,
            Failure::Encoded => source::Failure::Protocol,
            Failure::TooLarge => source::Failure::TooLarge,
            Failure::NoAnswer | Failure::Incomplete => source::Failure::Closed,
            Failure::Late => source::Failure::Timeout,
        })
    }
}

/// What an answer, or that there was none, says of who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It works, whatever it says.
    Works,
    /// It gave no answer, or not in time, or says itself that it fails.
    Fails,
    /// Nothing: it was not asked, or not heard to the end for reasons of our own.
    Nothing,
}

impl Failure {
    /// What it says of who was asked.
    pub const fn sign(self) -> Sign {
        match self {
            Failure::Status(500..) | Failure::NoAnswer | Failure::Incomplete | Failure::Late => Sign::Fails,
            Failure::Status(_) | Failure::Encoded | Failure::TooLarge => Sign::Works,
            Failure::TooDeep
            | Failure::TooMany
            | Failure::NotAsked
            | Failure::PageTooLarge
            | Failure::NoMemory => Sign::Nothing,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Failure::TooDeep => "it is nested too deep",
            Failure::TooMany => "the request has too many",
            Failure::NotAsked => "it could not be asked for",
            Failure::NoAnswer => "it gave no answer",
            Failure::Status(status) => return write!(f, "it has status {status}"),
            Failure::Encoded => "it is compressed",
            Failure::TooLarge => "it is too large",
            Failure::Incomplete => "it was cut short",
            Failure::Late => "it took too long",
            Failure::PageTooLarge => "the page is too large to wait for it",
            Failure::NoMemory => "there is no memory for it",
        };
        f.write_str(word)
    }
}

/// What the fragments of one client's request may yet take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    fragments: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { fragments: MAX_FRAGMENTS, bytes: MAX_BYTES }
    }
}

impl Budget {
    /// One more fragment, of a page that is itself included `depth` times over.
    pub fn take(&mut self, depth: usize) -> Result<(), Failure> {
        if depth >= MAX_DEPTH {
            return Err(Failure::TooDeep);
        }
        self.fragments = self.fragments.checked_sub(1).ok_or(Failure::TooMany)?;
        Ok(())
    }
}

#[derive(Debug)]
enum State {
    Pending { max: usize, length: Option<u64>, answered: bool, whole: bool },
    Came,
    Failed(Failure),
}

/// One fragment.
#[derive(Debug)]
pub struct Fragment {
    state: State,
    body: Vec<u8>,
}

impl Fragment {
    /// One that was just asked for. It may have `max` bytes.
    pub fn new(max: usize) -> Self {
        let state = State::Pending { max, length: None, answered: false, whole: false };
        Fragment { state, body: Vec::new() }
    }

    /// Whether it is still to come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    /// Its bytes, if it came.
    pub fn bytes(&self) -> Option<&[u8]> {
        matches!(self.state, State::Came).then_some(self.body.as_slice())
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<Failure> {
        match self.state {
            State::Failed(why) => Some(why),
            _ => None,
        }
    }

    /// Takes its header. `length`: what it promises.
    pub fn header(&mut self, status: u16, encoded: bool, promised: Option<u64>, budget: &mut Budget) {
        let State::Pending { max, length, answered, .. } = &mut self.state else { return };
        *answered = true;
        *length = promised;
        let most = (*max).min(budget.bytes) as u64;
        match promised {
            _ if status != 200 => self.fail(Failure::Status(status), budget),
            _ if encoded => self.fail(Failure::Encoded, budget),
            Some(promised) if promised > most => self.fail(Failure::TooLarge, budget),
            _ => {}
        }
    }

    /// Takes the next piece of its body.
    pub fn feed(&mut self, piece: &[u8], budget: &mut Budget) {
        let State::Pending { max, .. } = self.state else { return };
        if piece.len() > budget.bytes || piece.len() > max.saturating_sub(self.body.len()) {
            return self.fail(Failure::TooLarge, budget);
        }
        if self.body.try_reserve(piece.len()).is_err() {
            return self.fail(Failure::NoMemory, budget);
        }
        budget.bytes -= piece.len();
        self.body.extend_from_slice(piece);
    }

    /// Its body has come to its end.
    pub fn last(&mut self) {
        if let State::Pending { whole, .. } = &mut self.state {
            *whole = true;
        }
    }

    /// Nothing more will come.
    pub fn end(&mut self, budget: &mut Budget) {
        let State::Pending { length, answered, whole, .. } = self.state else { return };
        let as_promised = length.is_none_or(|promised| promised == self.body.len() as u64);
        // nginx sends no body at all of an empty file.
        let whole = whole || length == Some(0);
        match answered {
            true if whole && as_promised => self.state = State::Came,
            true => self.fail(Failure::Incomplete, budget),
            false => self.fail(Failure::NoAnswer, budget),
        }
    }

    /// It is given up, if it is still to come.
    pub fn fail(&mut self, why: Failure, budget: &mut Budget) {
        if self.is_pending() {
            budget.bytes += self.body.len();
            self.body = Vec::new();
            self.state = State::Failed(why);
        }
    }
}
