//! A/B tests: which value of a test a visitor sees.
//!
//! Nothing is remembered: the value follows from the visitor's id. Each value of a test draws a number for the id,
//! and the smallest one in proportion to its weight wins (weighted rendezvous hashing: the numbers are exponentially
//! distributed, so that values win as often as their weights say).
//!
//! Invariants
//! - A value depends on the names of test and value, the weights and the id, and on nothing else: not on the machine,
//!   the order in the configuration, other tests or other values' names. The arithmetic is whole numbers only.
//! - A changed weight moves visitors to or from that value alone, and no more than it must.
//! - `tests/data/ab/vectors.txt` holds what visitors were given: a change of the key or of the arithmetic would move them all.

use std::cmp::Ordering;
use std::fmt;

use siphasher::sip::SipHasher13;

/// Most tests of a configuration, and most values of a test.
pub const MOST: usize = 64;

/// Longest name of a test or a value, in bytes.
pub const MAX_NAME: usize = 64;

/// Greatest weight of a value.
pub const MAX_WEIGHT: u32 = 1_000_000;

/// Longest id of a visitor that is taken, in bytes.
pub const MAX_ID: usize = 128;

/// Bytes of an id that is made here.
pub const ID_LEN: usize = 25;

/// Random bytes that [`make_id`] takes.
pub const ID_RANDOM: usize = 2 * ID_LEN;

/// The hash's key. Part of what a visitor's values are: never to be changed.
const KEY: [u8; 16] = *b"Twice: A/B test.";

/// Bits of the logarithm behind its point.
const FRACTION: u32 = 40;

/// A test: a name and values with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    name: String,
    values: Vec<(String, u32)>,
}

/// What is wrong with a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTest {
    /// The name, of the test or of a value.
    Name(String),
    /// A word that is no VALUE=WEIGHT.
    NoPair(String),
    /// A weight that is no number, or too great.
    Weight(String),
    /// One value twice.
    Twice(String),
    /// More values than [`MOST`].
    TooMany,
    /// All weights are 0.
    NoWeight,
}

impl fmt::Display for BadTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(
                    f,
                    "has the name \"{name}\", allowed are 1 to {MAX_NAME} letters, digits, \"_\" and \"-\""
                )
            }
            Self::NoPair(word) => write!(f, "has the value \"{word}\", allowed is VALUE=WEIGHT"),
            Self::Weight(word) => {
                write!(f, "has the value \"{word}\", allowed are weights from 0 to {MAX_WEIGHT}")
            }
            Self::Twice(name) => write!(f, "has the value \"{name}\" twice, allowed is once"),
            Self::TooMany => write!(f, "has too many values, allowed are {MOST}"),
            Self::NoWeight => f.write_str("has no weight above 0, allowed is at least one"),
        }
    }
}

impl Test {
    /// A test of this name, with `VALUE=WEIGHT` words.
    pub fn parse<'w>(name: &str, words: impl IntoIterator<Item = &'w str>) -> Result<Self, BadTest> {
        let mut values: Vec<(String, u32)> = Vec::new();
        let name = good_name(name)?;
        for word in words {
            let (value, weight) = word.split_once('=').ok_or_else(|| BadTest::NoPair(word.to_owned()))?;
            let value = good_name(value)?;
            let digits = !weight.is_empty() && weight.bytes().all(|b| b.is_ascii_digit());
            let weight = weight.parse().ok().filter(|&weight| digits && weight <= MAX_WEIGHT);
            let weight = weight.ok_or_else(|| BadTest::Weight(word.to_owned()))?;
            if values.iter().any(|(other, _)| *other == value) {
                return Err(BadTest::Twice(value));
            }
            if values.len() == MOST {
                return Err(BadTest::TooMany);
            }
            values.push((value, weight));
        }
        if values.iter().all(|(_, weight)| *weight == 0) {
            return Err(BadTest::NoWeight);
        }
        Ok(Self { name, values })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The end of its variable's name: nginx knows letters in lower case, digits and underscores.
    pub fn variable(&self) -> String {
        self.name.to_ascii_lowercase().replace('-', "_")
    }

    /// The value that the visitor of this id sees.
    pub fn value(&self, id: &[u8]) -> &str {
        let mut best: Option<(&str, u64, u32)> = None;
        for (value, weight) in &self.values {
            if *weight == 0 {
                continue;
            }
            let draw = (value.as_str(), cost(self.hash(value, id)), *weight);
            if best.is_none_or(|best| is_before(draw, best)) {
                best = Some(draw);
            }
        }
        best.map_or("", |(value, _, _)| value)
    }

    /// No name holds a NUL, nor does an id: no two draws hash the same bytes.
    fn hash(&self, value: &str, id: &[u8]) -> u64 {
        let mut bytes = [0; 2 * MAX_NAME + 2 + MAX_ID];
        let mut len = 0;
        for part in [self.name.as_bytes(), b"\0", value.as_bytes(), b"\0", id] {
            // An id that is longer than any that is taken is cut.
            for (to, from) in bytes.iter_mut().skip(len).zip(part) {
                *to = *from;
                len += 1;
            }
        }
        SipHasher13::new_with_key(&KEY).hash(bytes.get(..len).unwrap_or_default())
    }
}

/// Whether the first draw, in proportion to its weight, is smaller than the second.
fn is_before(one: (&str, u64, u32), other: (&str, u64, u32)) -> bool {
    let ((one, cost, weight), (other, other_cost, other_weight)) = (one, other);
    let product = |cost: u64, weight: u32| u128::from(cost) * u128::from(weight);
    match product(cost, other_weight).cmp(&product(other_cost, weight)) {
        Ordering::Less => true,
        Ordering::Greater => false,
        // As good as never; the order of the configuration must not say it.
        Ordering::Equal => one < other,
    }
}

/// `-log2(u)` for the hash as a number `u` between 0 and 1, with [`FRACTION`] bits behind its point; at least 1.
fn cost(hash: u64) -> u64 {
    (64 << FRACTION) - log2(hash | 1)
}

/// The logarithm of a number other than 0, with [`FRACTION`] bits behind its point: one bit for each squaring.
fn log2(number: u64) -> u64 {
    let shift = number.leading_zeros();
    let mut log = u64::from(63 - shift);
    // From 1 up to 2, with 63 bits behind its point.
    let mut x = number << shift;
    for _ in 0..FRACTION {
        let square = u128::from(x) * u128::from(x);
        let two = square >> 127 != 0;
        log = log << 1 | u64::from(two);
        x = (square >> if two { 64 } else { 63 }) as u64;
    }
    log
}

fn good_name(name: &str) -> Result<String, BadTest> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(ok) {
        return Err(BadTest::Name(name.to_owned()));
    }
    Ok(name.to_owned())
}

/// Whether what a client's cookie says may be a visitor's id: a token, base64 or a UUID of some length.
pub fn is_id(text: &[u8]) -> bool {
    let ok = |b: &u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(b);
    !text.is_empty() && text.len() <= MAX_ID && text.iter().all(ok)
}

/// A new id, of letters and digits, from random bytes.
pub fn make_id(random: &[u8; ID_RANDOM]) -> [u8; ID_LEN] {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = [b'0'; ID_LEN];
    for (to, pair) in id.iter_mut().zip(random.chunks_exact(2)) {
        let number = pair.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte));
        // No letter is more likely than another one by more than a thousandth.
        *to = ALPHABET.get((number * ALPHABET.len()) >> 16).copied().unwrap_or(b'0');
    }
    id
}

/// Room for what [`write_values`] gives, whoever the visitor is.
pub fn values_room(tests: &[Test]) -> usize {
    let longest = |test: &Test| test.values.iter().map(|(value, _)| value.len()).max().unwrap_or(0);
    tests.iter().map(|test| test.name.len() + longest(test) + 2).sum()
}

/// What the app is told of a visitor: `test1:value,test2:value`, in the order of the configuration.
pub fn write_values(tests: &[Test], id: &[u8], mut out: impl FnMut(&[u8])) {
    for (i, test) in tests.iter().enumerate() {
        if i > 0 {
            out(b",");
        }
        out(test.name.as_bytes());
        out(b":");
        out(test.value(id).as_bytes());
    }
}
