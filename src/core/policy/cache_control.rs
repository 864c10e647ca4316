//! `Cache-Control` of a response (RFC 9111 5.2.2), and what says the same in other words: targeted fields (RFC 9213),
//! `Surrogate-Control`.
//!
//! Where directives contradict each other the most restrictive one holds (4.2.1). A lifetime that can't be read is over
//! already; a list whose quotes do not close may have held anything, and is not stored.

use std::collections::BTreeSet;

use super::directives::{Lifetime, directives, elements, is_token, smaller};
use super::statuses;

/// Fields without which a response is another one, or whose loss nobody downstream could see: where `private` or
/// `no-cache` names one of them the whole response is meant.
const ESSENTIAL: &[&[u8]] = &[
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"location",
    b"transfer-encoding",
    b"vary",
];

/// Whether a field can't be left out of a stored response.
pub fn is_essential(lower: &[u8]) -> bool {
    ESSENTIAL.contains(&lower)
}

/// The response directives that decide here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `max-age`, in seconds.
    pub max_age: Option<u64>,
    /// `s-maxage`, in seconds; it outranks `max-age` for a shared cache.
    pub s_maxage: Option<u64>,
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache` of the whole response.
    pub no_cache: bool,
    /// `private` for the whole response.
    pub private: bool,
    /// Fields that `no-cache="..."` and `private="..."` name, in lower case: the response is stored without them.
    pub fields: BTreeSet<Vec<u8>>,
    /// `public`.
    pub public: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
    /// `proxy-revalidate`.
    pub proxy_revalidate: bool,
    /// `must-understand`.
    pub must_understand: bool,
    /// `no-transform`.
    pub no_transform: bool,
    /// `immutable` (RFC 8246): a client need not ask again while it is fresh, which nobody does here.
    pub immutable: bool,
    /// `stale-while-revalidate`, in seconds (RFC 5861).
    pub stale_while_revalidate: Option<u64>,
    /// `stale-if-error`, in seconds (RFC 5861).
    pub stale_if_error: Option<u64>,
    /// A quote was out of place.
    pub broken: bool,
}

impl CacheControl {
    /// Adds one header line. Gives back what was odd about its numbers.
    pub fn add(&mut self, line: &[u8]) -> Option<Lifetime> {
        let mut odd = None;
        let well = directives(line, |name, value| {
            let over = Some(0);
            match name.to_ascii_lowercase().as_slice() {
                b"max-age" => smaller(&mut self.max_age, value, over, &mut odd),
                b"s-maxage" => smaller(&mut self.s_maxage, value, over, &mut odd),
                b"stale-while-revalidate" => smaller(&mut self.stale_while_revalidate, value, None, &mut odd),
                b"stale-if-error" => smaller(&mut self.stale_if_error, value, None, &mut odd),
                b"no-store" => self.no_store = true,
                b"no-cache" => self.no_cache |= !add_fields(&mut self.fields, value),
                b"private" => self.private |= !add_fields(&mut self.fields, value),
                b"public" => self.public = true,
                b"must-revalidate" => self.must_revalidate = true,
                b"proxy-revalidate" => self.proxy_revalidate = true,
                b"must-understand" => self.must_understand = true,
                b"no-transform" => self.no_transform = true,
                b"immutable" => self.immutable = true,
                _ => {}
            }
        });
        self.broken |= !well;
        odd
    }

    /// Adds a line of `Surrogate-Control` (the W3C note "Edge Architecture"): `max-age=N[+M]`, where M is how long it may
    /// be served after that, and `no-store`. What it says to surrogates of other names is taken as said to all.
    pub fn add_surrogate(&mut self, line: &[u8]) -> Option<Lifetime> {
        let mut odd = None;
        let well = directives(line, |name, value| match name.to_ascii_lowercase().as_slice() {
            b"max-age" => {
                let mut numbers = value.unwrap_or_default().splitn(2, |&b| b == b'+');
                smaller(&mut self.max_age, numbers.next().map(<[u8]>::trim_ascii), Some(0), &mut odd);
                if let Some(more) = numbers.next() {
                    let more = Some(more.trim_ascii());
                    smaller(&mut self.stale_while_revalidate, more, Some(0), &mut odd);
                    smaller(&mut self.stale_if_error, more, Some(0), &mut odd);
                }
            }
            b"no-store" => self.no_store = true,
            _ => {}
        });
        self.broken |= !well;
        odd
    }

    /// Whether it keeps a response of this status out of a shared cache. `no-store` beside `must-understand` is for
    /// caches that do not know the status (RFC 9111 5.2.2.3).
    pub fn forbids(&self, status: u16) -> bool {
        let no_store = match (self.must_understand, statuses::is_understood(status)) {
            (true, understood) => !understood,
            (false, _) => self.no_store,
        };
        self.broken || no_store || self.private || self.no_cache
    }

    /// The lifetime that a shared cache takes from it.
    pub fn lifetime(&self) -> Option<u64> {
        self.s_maxage.or(self.max_age)
    }

    /// Whether a shared cache may keep the answer to a request with a password (RFC 9111 3.5).
    pub fn shares_what_was_asked_with_a_password(&self) -> bool {
        self.public || self.must_revalidate || self.s_maxage.is_some()
    }

    /// Whether it may never be served after its lifetime (RFC 9111 5.2.2.2, 5.2.2.8).
    pub fn never_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate
    }

    /// Whether the response is stored without this field, given in lower case.
    pub fn withholds(&self, lower: &[u8]) -> bool {
        self.fields.contains(lower)
    }
}

/// Adds the fields that a directive names. False: it names none, or what can't be left out, so that it speaks of the
/// whole response.
fn add_fields(fields: &mut BTreeSet<Vec<u8>>, value: Option<&[u8]>) -> bool {
    let Some(value) = value else { return false };
    let mut any = false;
    for name in elements(value) {
        let lower = name.to_ascii_lowercase();
        if !is_token(&lower) || is_essential(&lower) {
            return false;
        }
        any = true;
        fields.insert(lower);
    }
    any
}
