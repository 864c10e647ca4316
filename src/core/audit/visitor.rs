//! Whether two requests may be one visitor's.
//!
//! A visitor is known by his cookies and his password, but for what is part of the page's identity: of that all visitors of
//! a page have the same. Nothing of them is kept but keyed hashes.
//!
//! Two requests are of different visitors if their hashes over all of it differ, and they share neither the password nor a
//! cookie with a long value. The second is for the visitor whose counters and times of visit change from page to page: what
//! he is known by does not.

use crate::varint;

/// A cookie's value of so many bytes may be what somebody is known by.
pub const MIN_ID: usize = 16;

/// Most cookies and passwords that are told apart. Who has more is nobody's other visitor.
pub const MAX_IDS: usize = 64;

/// What a visitor is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Over everything.
    fingerprint: u64,
    /// Over each password and long cookie, in order and each once.
    ids: Vec<u64>,
}

impl Visitor {
    /// Of his cookies, in any order, and passwords. `hash` is keyed.
    pub fn new<'a>(
        cookies: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        passwords: impl Iterator<Item = &'a [u8]>,
        hash: impl Fn(&[u8]) -> u64,
    ) -> Visitor {
        let cookies = cookies.map(|(name, value)| (b'c', name, value));
        let passwords = passwords.map(|password| (b'p', &b""[..], password));
        let mut all: Vec<_> = cookies.chain(passwords).collect();
        all.sort_unstable();
        all.dedup();
        let mut whole = Vec::new();
        let mut ids = Vec::new();
        for (kind, name, value) in all {
            let start = whole.len();
            whole.push(kind);
            varint::put_bytes(&mut whole, name);
            varint::put_bytes(&mut whole, value);
            if kind == b'p' || value.len() >= MIN_ID {
                ids.push(hash(whole.get(start..).unwrap_or_default()));
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(MAX_IDS + 1);
        Visitor { fingerprint: hash(&whole), ids }
    }

    /// Whether the two are not one visitor's.
    pub fn differs_from(&self, other: &Visitor) -> bool {
        let is_known = |visitor: &Visitor| visitor.ids.len() <= MAX_IDS;
        let shares = || self.ids.iter().any(|id| other.ids.contains(id));
        self.fingerprint != other.fingerprint && is_known(self) && is_known(other) && !shares()
    }

    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.fingerprint).chain(self.ids.iter().copied())
    }

    pub(super) fn of_words(mut words: impl Iterator<Item = u64>) -> Option<Visitor> {
        Some(Visitor { fingerprint: words.next()?, ids: words.collect() })
    }
}
