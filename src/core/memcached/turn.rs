//! What is asked of a connection within one turn of the event loop, before it is sent.
//!
//! Invariants
//! - A key is sent once, however many ask for it: each of them has its answer.
//! - Who asked is told once: [`Askers::take`] and [`Askers::take_rest`] hand a ticket out and forget it.
//! - What can be asked in a turn is bounded by [`MAX_LINES`] and [`MAX_TICKETS`].

use super::{Keys, Pushed};

/// Most lines of a turn: with [`super::MAX_LINE`] less than 1 MB.
pub const MAX_LINES: usize = 120;

/// Most who ask in a turn.
pub const MAX_TICKETS: usize = 64 * 1024;

/// Nothing more can be asked in this turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The keys that are asked for in a turn, and by whom.
#[derive(Debug, Default)]
pub struct Turn {
    lines: Vec<Line>,
    tickets: usize,
}

/// The keys of one `get`.
#[derive(Debug, Default)]
pub struct Line {
    /// What is sent.
    pub keys: Keys,
    /// Who asked for it.
    pub askers: Askers,
}

/// Who asked for the keys of a line.
#[derive(Debug, Default)]
pub struct Askers {
    /// For each key the first of its tickets: a place in `tickets` plus 1; 0: nobody.
    first: Vec<u32>,
    /// A ticket, and in the same way the next one of its key.
    tickets: Vec<(u64, u32)>,
}

impl Turn {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many keys are asked for.
    pub fn keys(&self) -> usize {
        self.lines.iter().map(|line| line.keys.len()).sum()
    }

    /// Asks for a key that passed [`crate::source::key::check`].
    pub fn ask(&mut self, key: &[u8], ticket: u64) -> Result<(), Full> {
        if self.tickets >= MAX_TICKETS {
            return Err(Full);
        }
        let (at, number) = match self.known_before(key) {
            Some(known) => known,
            None => self.place(key)?,
        };
        let line = self.lines.get_mut(at).ok_or(Full)?;
        line.askers.add(number, ticket);
        self.tickets += 1;
        Ok(())
    }

    /// The line of a key and its number there, if it is in one before the last.
    fn known_before(&self, key: &[u8]) -> Option<(usize, usize)> {
        let (_, before) = self.lines.split_last()?;
        before.iter().enumerate().find_map(|(at, line)| Some((at, line.keys.find(key)?)))
    }

    /// The line of another key, and its number there: the last one, or a new one.
    fn place(&mut self, key: &[u8]) -> Result<(usize, usize), Full> {
        loop {
            if let Some((last, line)) = self.lines.iter_mut().enumerate().next_back()
                && let Pushed::New(number) | Pushed::Known(number) = line.keys.push(key)
            {
                return Ok((last, number));
            }
            if self.lines.len() >= MAX_LINES {
                return Err(Full);
            }
            self.lines.push(Line::default());
        }
    }

    /// What was asked, in the order in which it was. Nothing is, after.
    pub fn take(&mut self) -> Vec<Line> {
        std::mem::take(self).lines
    }
}

impl Askers {
    fn add(&mut self, key: usize, ticket: u64) {
        if self.first.len() <= key {
            self.first.resize(key + 1, 0);
        }
        if let Some(first) = self.first.get_mut(key) {
            let next = std::mem::replace(first, self.tickets.len() as u32 + 1);
            self.tickets.push((ticket, next));
        }
    }

    /// Those who asked for the key of this number, each once.
    pub fn take(&mut self, key: usize) -> impl Iterator<Item = u64> {
        let mut at = self.first.get_mut(key).map_or(0, std::mem::take);
        std::iter::from_fn(move || {
            let (ticket, next) = self.tickets.get((at as usize).checked_sub(1)?)?;
            at = *next;
            Some(*ticket)
        })
    }

    /// Those who asked for a key that was not taken.
    pub fn take_rest(&mut self) -> impl Iterator<Item = u64> {
        let keys = self.first.len();
        let mut at = 0;
        let mut key = 0;
        std::iter::from_fn(move || {
            while at == 0 {
                if key == keys {
                    return None;
                }
                at = self.first.get_mut(key).map_or(0, std::mem::take);
                key += 1;
            }
            let (ticket, next) = self.tickets.get((at as usize).checked_sub(1)?)?;
            at = *next;
            Some(*ticket)
        })
    }
}
