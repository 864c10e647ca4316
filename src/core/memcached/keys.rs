//! The keys of one `get`, each once, as they stand in its line.

use std::hash::{BuildHasher, RandomState};

/// Longest command line, with its end. memcached takes longer ones, but its first read buffer has 16 KB; twemproxy keeps a
/// request in buffers (`--mbuf-size`) of 16 KB unless told otherwise, and splits a long line in quadratic time.
pub const MAX_LINE: usize = 8 * 1024;

/// Most keys of one line.
pub const MAX_KEYS: usize = 1024;

/// What stands around the keys: `get` and the end of the line.
const AROUND: usize = 5;

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It has this number.
    New(usize),
    /// It was there, under this number.
    Known(usize),
    /// It has no place in this line.
    Full,
}

/// The keys of one `get`. Their numbers count from 0, in the order in which they were pushed.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Each key behind a space.
    bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    ends: Vec<u32>,
    /// Open addressing: the number of a key plus 1; 0: free. A power of two, at least twice as long as `ends`. The hash is
    /// keyed, as visitors choose some keys.
    places: Vec<u16>,
    hasher: RandomState,
}

impl Keys {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key of this number.
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        let start = match number.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)?,
        };
        self.bytes.get(start as usize + 1..*self.ends.get(number)? as usize)
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|number| self.get(number))
    }

    /// The number of a key.
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        self.place(key).ok()
    }

    /// Adds a key that passed [`crate::source::key::check`].
    pub fn push(&mut self, key: &[u8]) -> Pushed {
        if self.places.len() < 2 * (self.len() + 1) {
            self.grow();
        }
        let free = match self.place(key) {
            Ok(known) => return Pushed::Known(known),
            Err(free) => free,
        };
        let number = self.len();
        // The first one always has a place: a key has 250 bytes at most.
        if number > 0 && (number >= MAX_KEYS || self.bytes.len() + 1 + key.len() + AROUND > MAX_LINE) {
            return Pushed::Full;
        }
        self.bytes.push(b' ');
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len() as u32);
        self.note(free, number);
        Pushed::New(number)
    }

    /// The keys as they stand in their line, each behind a space.
    pub(super) fn in_line(&self) -> &[u8] {
        &self.bytes
    }

    /// How much memory they stand for.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len()
    }

    /// The number of the key, or else the free place where it would be noted.
    fn place(&self, key: &[u8]) -> Result<usize, usize> {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = self.hasher.hash_one(key) as usize;
        loop {
            at &= mask;
            match self.places.get(at) {
                // The table is half empty: a free place comes.
                Some(0) | None => return Err(at),
                Some(&noted) => {
                    let number = usize::from(noted) - 1;
                    if self.get(number) == Some(key) {
                        return Ok(number);
                    }
                }
            }
            at += 1;
        }
    }

    fn note(&mut self, free: usize, number: usize) {
        if let Some(place) = self.places.get_mut(free) {
            *place = number as u16 + 1;
        }
    }

    fn grow(&mut self) {
        self.places = vec![0; (4 * (self.len() + 1)).next_power_of_two().max(16)];
        for number in 0..self.len() {
            // Of keys that differ each has a free place.
            if let Some(Err(free)) = self.get(number).map(|key| self.place(key)) {
                self.note(free, number);
            }
        }
    }
}
