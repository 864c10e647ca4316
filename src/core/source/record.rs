//! JSON records, whose fields tags name by their path: `login`, `address.city`, `friends.0.name`.
//!
//! Numbers print as they were written (`19.90`, and numbers of any length); objects and lists print as JSON, an object's
//! keys in order. `false` and `null` are missing, as a field that is not there, so that a tag prints its default.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

/// Deepest nesting: serde_json's own limit.
pub const MAX_DEPTH: usize = 127;

/// A record that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    value: Value,
    weight: usize,
}

/// No JSON: where it stops to be some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoJson {
    /// In this line.
    pub line: usize,
    /// In this column.
    pub column: usize,
}

impl fmt::Display for NoJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without a piece of it: a record is personal.
        write!(f, "no JSON from line {}, column {} on", self.line, self.column)
    }
}

impl std::error::Error for NoJson {}

impl Record {
    /// Reads a record. Its text may have [`super::MAX_VALUE`] bytes: longer ones don't come this far.
    pub fn parse(text: &[u8]) -> Result<Self, NoJson> {
        let value: Value =
            serde_json::from_slice(text).map_err(|why| NoJson { line: why.line(), column: why.column() })?;
        let weight = size_of::<Self>() + heap(&value);
        Ok(Self { value, weight })
    }

    /// About how many bytes of memory it takes: many times those of its text where that holds many small things.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// The field of this path. A key that holds a dot itself goes before the fields that its words would name: of all keys
    /// that a path could begin with, the longest counts, and no other is tried.
    pub fn text_at(&self, path: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut rest = std::str::from_utf8(path).ok()?;
        let mut at = &self.value;
        loop {
            let (next, behind) = match at {
                Value::Object(fields) => {
                    beginnings(rest).find_map(|(key, behind)| Some((fields.get(key)?, behind)))?
                }
                Value::Array(items) => {
                    let (index, behind) = match rest.split_once('.') {
                        Some((index, behind)) => (index, Some(behind)),
                        None => (rest, None),
                    };
                    (items.get(position(index)?)?, behind)
                }
                _ => return None,
            };
            at = next;
            match behind {
                Some(behind) => rest = behind,
                None => return text(at),
            }
        }
    }
}

/// The whole path, then what stands before each dot, from the last to the first; each with what follows.
fn beginnings(path: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let dots = path.rmatch_indices('.').filter_map(|(dot, _)| {
        let (key, behind) = path.split_at_checked(dot)?;
        Some((key, behind.get(1..)))
    });
    std::iter::once((path, None)).chain(dots)
}

/// A place in a list: digits without a sign or leading zeros.
fn position(index: &str) -> Option<usize> {
    let plain = index == "0" || !index.starts_with('0');
    (plain && index.bytes().all(|byte| byte.is_ascii_digit())).then(|| index.parse().ok())?
}

fn text(value: &Value) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(Cow::Borrowed(b"true")),
        Value::String(text) => Some(Cow::Borrowed(text.as_bytes())),
        Value::Number(number) => Some(Cow::Owned(number.to_string().into())),
        Value::Array(_) | Value::Object(_) => serde_json::to_vec(value).ok().map(Cow::Owned),
    }
}

/// Memory behind a value, roughly: a node of a map has room for more than is in it.
fn heap(value: &Value) -> usize {
    let one = size_of::<Value>();
    match value {
        Value::Null | Value::Bool(_) => 0,
        Value::Number(_) => one,
        Value::String(text) => text.capacity(),
        Value::Array(items) => items.capacity() * one + items.iter().map(heap).sum::<usize>(),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                2 * (one + size_of::<String>()) + key.capacity() + heap(value)
            };
            fields.iter().map(field).sum::<usize>() + 2 * one
        }
    }
}
