//! What values a page asks for: its slots.
//!
//! A slot is a target and a key; equal ones are one. The order is that of first use, and a program names
//! a slot by its number.
//!
//! ```text
//!   count, then for each: target, uses (varints), hash (8 bytes), length of the key (varint), key
//! ```
//!
//! Invariant: reading takes any bytes; what no compiler wrote ends the list early.

use super::include::MAX_INCLUDES;
use super::parse;
use super::program::{put_varint, take_varint};
use std::collections::HashMap;

/// Where a value comes from. One row of the table below for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A cookie of the request; case matters.
    Cookie,
    /// A header of the request; the key is in lower case.
    Header,
    /// An argument of the query.
    Arg,
    /// A variable of the server; the key is in lower case.
    Var,
    /// The negotiated language; the key is in lower case.
    Lang,
    /// The visitor's country: key `ip`.
    Geo,
    /// The visitor's address: key `current`.
    Ip,
    /// The page itself: key `status` or `age`. The same for every visitor.
    Page,
    /// The visitor's value of an A/B test; case matters.
    AbValue,
    /// A fragment of this server; the key is its URI.
    Include,
    /// A value of a configured source; the key is the source's name, a space, and the key as the tag has it. The name is
    /// looked up anew at each hit: a stored page outlives the configuration that it was compiled with.
    Source,
    /// The response's random value: another one each time. It has no key.
    Nonce,
}

/// What keys a target has.
enum Keys {
    /// Any; case matters.
    Any,
    /// Any, stored in lower case.
    Lower,
    /// What a command of their own names, and no tag that prints values.
    OfCommand,
    /// Of a source, which has a name of its own in tags.
    Named,
    /// Just these.
    Of(&'static [&'static [u8]]),
}

/// Everything there is to say about a target, in one place.
struct Row {
    name: &'static str,
    target: Target,
    keys: Keys,
    personal: bool,
}

/// The place of a row is its code: rows are only ever added at the end.
const TARGETS: [Row; 12] = [
    Row { name: "cookie", target: Target::Cookie, keys: Keys::Any, personal: true },
    Row { name: "header", target: Target::Header, keys: Keys::Lower, personal: true },
    Row { name: "arg", target: Target::Arg, keys: Keys::Any, personal: true },
    Row { name: "var", target: Target::Var, keys: Keys::Lower, personal: true },
    Row { name: "lang", target: Target::Lang, keys: Keys::Lower, personal: true },
    Row { name: "geo", target: Target::Geo, keys: Keys::Of(&[b"ip"]), personal: true },
    Row { name: "ip", target: Target::Ip, keys: Keys::Of(&[b"current"]), personal: true },
    Row { name: "page", target: Target::Page, keys: Keys::Of(&[b"status", b"age"]), personal: false },
    Row { name: "abvalue", target: Target::AbValue, keys: Keys::Any, personal: true },
    // What a fragment holds is its own application's to say: it may be one visitor's.
    Row { name: "include", target: Target::Include, keys: Keys::OfCommand, personal: true },
    Row { name: "source", target: Target::Source, keys: Keys::Named, personal: true },
    Row { name: "nonce", target: Target::Nonce, keys: Keys::OfCommand, personal: true },
];

impl Target {
    /// Its name in tags.
    pub fn as_str(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// Whether its values differ between visitors.
    pub fn personal(self) -> bool {
        self.row().is_none_or(|row| row.personal)
    }

    /// Whether a tag means one of Twice's own values by this name, or a command: no source can have it.
    pub fn is_built_in(name: &[u8]) -> bool {
        Target::parse(name).is_some() || parse::is_command(name)
    }

    /// The target of this name.
    pub(super) fn parse(name: &[u8]) -> Option<Target> {
        let has_values = |row: &&Row| !matches!(row.keys, Keys::OfCommand | Keys::Named);
        TARGETS.iter().filter(has_values).find(|row| row.name.as_bytes() == name).map(|row| row.target)
    }

    /// The key as it is stored, or `None` if the target has no such key.
    pub(super) fn key(self, key: &[u8]) -> Option<Vec<u8>> {
        match self.row()?.keys {
            Keys::Any | Keys::OfCommand | Keys::Named => Some(key.to_vec()),
            Keys::Lower => Some(key.to_ascii_lowercase()),
            Keys::Of(keys) => keys.contains(&key).then(|| key.to_vec()),
        }
    }

    /// What stands for it in stored slots.
    fn code(self) -> Option<usize> {
        TARGETS.iter().position(|row| row.target == self)
    }

    fn row(self) -> Option<&'static Row> {
        TARGETS.iter().find(|row| row.target == self)
    }
}

/// nginx's hash of a name (`ngx_hash_key`): of the key as it is stored, so that a variable or a header can
/// be looked up without hashing its name on each hit. Its low bits are right where nginx's word is
/// shorter.
pub fn ngx_key(name: &[u8]) -> u64 {
    name.iter().fold(0, |hash: u64, &byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// A value that a page asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot<'a> {
    /// Where it comes from.
    pub target: Target,
    /// Which one.
    pub key: &'a [u8],
    /// [`ngx_key`] of the key.
    pub hash: u64,
    /// How many tags of the page use it.
    pub uses: u32,
}

/// Variables of nginx that say something else each time.
const VOLATILE: [&[u8]; 16] = [
    b"body_bytes_sent",
    b"bytes_sent",
    b"connection",
    b"connection_requests",
    b"connection_time",
    b"connections_active",
    b"date_gmt",
    b"date_local",
    b"msec",
    b"request_id",
    b"request_time",
    b"time_iso8601",
    b"time_local",
    b"twice_age",
    b"twice_nonce",
    b"twice_ttl",
];

impl<'a> Slot<'a> {
    /// Whether its value is another one each time, so that nobody needs to be told that it has changed.
    pub fn is_volatile(&self) -> bool {
        match self.target {
            Target::Page => self.key == b"age",
            Target::Var => VOLATILE.contains(&self.key),
            Target::Nonce => true,
            _ => false,
        }
    }

    /// The source that has the value, and the key as the tag has it.
    pub fn source(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.target == Target::Source { split_source_key(self.key) } else { None }
    }
}

/// How a source and a key of a tag stand in a stored page. No source has a space in its name.
pub(super) fn source_key(name: &[u8], key: &[u8]) -> Vec<u8> {
    [name, b" ", key].concat()
}

/// The source's name and the tag's key, of what stands in a stored page.
pub(super) fn split_source_key(stored: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = stored.iter().position(|&byte| byte == b' ')?;
    let (name, key) = stored.split_at(space);
    Some((name, key.get(1..)?))
}

/// The slots of a stored page, in the order of their numbers. Reading allocates nothing.
#[derive(Clone, Debug)]
pub struct Slots<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Slots<'a> {
    /// Reads [`Parts::slots`](super::Parts::slots).
    pub fn new(mut bytes: &'a [u8]) -> Self {
        let left = take_varint(&mut bytes).unwrap_or(0);
        // A slot has 11 bytes at least, whatever the count says.
        Slots { left: left.min(bytes.len() / 11), rest: bytes }
    }

    /// How many slots are to come.
    pub fn remaining(&self) -> usize {
        self.left
    }

    fn take(&mut self) -> Option<Slot<'a>> {
        let mut rest = self.rest;
        let code = take_varint(&mut rest)?;
        // A target's code is its place in the table.
        let target = TARGETS.get(code)?.target;
        let uses = u32::try_from(take_varint(&mut rest)?).ok()?;
        let (hash, mut rest) = rest.split_first_chunk()?;
        let len = take_varint(&mut rest)?;
        let (key, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(Slot { target, key, hash: u64::from_le_bytes(*hash), uses })
    }
}

impl<'a> Iterator for Slots<'a> {
    type Item = Slot<'a>;

    fn next(&mut self) -> Option<Slot<'a>> {
        self.left = self.left.checked_sub(1)?;
        let slot = self.take();
        if slot.is_none() {
            self.left = 0;
        }
        slot
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

/// The slots of a page that is being compiled.
#[derive(Debug, Default)]
pub(super) struct SlotTable {
    /// Code and key, to the number.
    numbers: HashMap<Box<[u8]>, usize>,
    slots: Vec<Entry>,
    bytes: usize,
    includes: usize,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    key: Box<[u8]>,
    uses: u32,
}

impl SlotTable {
    /// The number of a slot, new if there is room; counts as a use.
    pub(super) fn number(&mut self, target: Target, key: &[u8], most: usize) -> Option<usize> {
        let code = u8::try_from(target.code()?).ok()?;
        let mut name = Vec::with_capacity(key.len() + 1);
        name.push(code);
        name.extend_from_slice(key);
        if let Some(&number) = self.numbers.get(name.as_slice()) {
            if let Some(entry) = self.slots.get_mut(number) {
                entry.uses = entry.uses.saturating_add(1);
            }
            return Some(number);
        }
        let number = self.slots.len();
        let is_include = target == Target::Include;
        if number >= most || is_include && self.includes >= MAX_INCLUDES {
            return None;
        }
        self.includes += usize::from(is_include);
        self.numbers.insert(name.into(), number);
        self.bytes += key.len() + 16;
        self.slots.push(Entry { target, key: key.into(), uses: 1 });
        Some(number)
    }

    /// How many different fragments are included.
    pub(super) fn includes(&self) -> usize {
        self.includes
    }

    pub(super) fn asks_sources(&self) -> bool {
        self.slots.iter().any(|slot| slot.target == Target::Source)
    }

    pub(super) fn volatile(&self) -> bool {
        self.iter().any(|slot| slot.is_volatile())
    }

    pub(super) fn personal(&self) -> bool {
        self.slots.iter().any(|slot| slot.target.personal())
    }

    /// The slots so far, as [`Slots`] gives them.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Slot<'_>> {
        self.slots.iter().map(|slot| Slot {
            target: slot.target,
            key: &slot.key,
            hash: ngx_key(&slot.key),
            uses: slot.uses,
        })
    }

    /// At least as many bytes as [`SlotTable::encode`] writes.
    pub(super) fn size(&self) -> usize {
        self.bytes + 5
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        put_varint(&mut bytes, self.slots.len());
        for slot in self.iter() {
            put_varint(&mut bytes, slot.target.code().unwrap_or(usize::MAX));
            put_varint(&mut bytes, slot.uses as usize);
            bytes.extend_from_slice(&slot.hash.to_le_bytes());
            put_varint(&mut bytes, slot.key.len());
            bytes.extend_from_slice(slot.key);
        }
        bytes
    }
}
