//! What a response's header lines say, gathered line by line.

use std::collections::BTreeSet;

use crate::marks::Keys;

use super::age::Dates;
use super::cache_control::is_essential;
use super::directives::elements;
use super::targeted::{Targeted, is_targeted};
use super::{
    CacheControl, Control, Guard, HeaderKey, HeaderNames, Lifetime, MAX_LIFETIME, TagHeaders, Varies,
};

/// What becomes of a header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Goes to the client and, with the page, into the store.
    Keep,
    /// Goes to the client that caused the fetch only.
    Once,
    /// For Twice alone: no client sees it.
    Strip,
}

/// Something that the log should say about a header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A number of seconds that was none, or too large.
    Lifetime(Lifetime),
    /// The same, where a lifetime that can't be read is over.
    Over(Lifetime),
}

/// `X-Accel-Expires`, nginx's own header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// For so many seconds from now.
    Seconds(u64),
    /// Until this moment, seconds since the epoch.
    Until(i64),
}

impl Accel {
    /// Reads `N` or `@N`; nginx ignores what is neither.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        match text.strip_prefix(b"@") {
            Some(moment) if moment.is_empty() || !moment.iter().all(u8::is_ascii_digit) => None,
            Some(moment) => Some(Self::Until(std::str::from_utf8(moment).ok()?.parse().unwrap_or(i64::MAX))),
            None => Lifetime::parse(text).seconds().map(Self::Seconds),
        }
    }

    /// Seconds from now on.
    pub fn seconds(self, now: i64) -> u64 {
        match self {
            Self::Seconds(n) => n,
            Self::Until(moment) => u64::try_from(moment.saturating_sub(now)).unwrap_or(0).min(MAX_LIFETIME),
        }
    }
}

/// What the lines say together.
#[derive(Clone, Debug)]
pub struct Facts<'n> {
    names: &'n HeaderNames,
    /// The control header, if there was one.
    pub control: Option<Control>,
    /// `Cache-Control`.
    pub cache_control: CacheControl,
    /// `Surrogate-Control`, if there was one.
    pub surrogate: Option<CacheControl>,
    /// The targeted fields.
    pub targeted: Targeted,
    /// `X-Accel-Expires`; the first that can be read.
    pub accel: Option<Accel>,
    /// `Date`, `Expires`, `Last-Modified` and `Age`.
    pub dates: Dates,
    /// There was a `Set-Cookie`.
    pub set_cookie: bool,
    /// There was a `Content-Encoding` other than `identity`.
    pub encoded: bool,
    /// What of the request the response depends on besides the page's key.
    pub varies: Varies,
    /// What `Surrogate-Key` and `Cache-Tag` name: the page can be purged by it.
    pub keys: Keys,
    /// `Twice-Guard`.
    pub guard: Guard,
    /// `Twice-Headers`.
    pub tag_headers: TagHeaders,
    /// Fields that `Connection` names, in lower case: of this one connection (RFC 9110 7.6.1).
    connection: BTreeSet<Vec<u8>>,
}

impl<'n> Facts<'n> {
    /// No line seen yet.
    pub fn new(names: &'n HeaderNames) -> Self {
        Self {
            names,
            control: None,
            cache_control: CacheControl::default(),
            surrogate: None,
            targeted: Targeted::default(),
            accel: None,
            dates: Dates::default(),
            set_cookie: false,
            encoded: false,
            varies: Varies::default(),
            keys: Keys::default(),
            guard: Guard::default(),
            tag_headers: TagHeaders::default(),
            connection: BTreeSet::new(),
        }
    }

    /// Takes one header line in; `name` in any case.
    pub fn line(&mut self, name: &[u8], value: &[u8]) -> (Fate, Option<Note>) {
        match self.names.find(name) {
            Some(HeaderKey::Control) => {
                let odd = self.control.get_or_insert_default().add(value);
                return (Fate::Strip, odd.map(Note::Lifetime));
            }
            Some(HeaderKey::Cookies) => {
                self.varies.cookies(value);
                return (Fate::Strip, None);
            }
            Some(HeaderKey::AbDependency) => {
                self.varies.tests(value);
                return (Fate::Strip, None);
            }
            Some(HeaderKey::Request) => return (Fate::Strip, None),
            Some(HeaderKey::Purge | HeaderKey::AbValue | HeaderKey::Geo) | None => {}
        }
        let mut note = None;
        let lower = name.to_ascii_lowercase();
        let fate = match lower.as_slice() {
            b"cache-control" => {
                note = self.cache_control.add(value).map(Note::Over);
                Fate::Keep
            }
            b"surrogate-control" => {
                note = self.surrogate.get_or_insert_default().add_surrogate(value).map(Note::Over);
                Fate::Keep
            }
            b"x-accel-expires" => {
                self.accel = self.accel.or(Accel::parse(value));
                Fate::Keep
            }
            b"expires" => {
                self.dates.add_expires(value);
                Fate::Keep
            }
            // It is there where the location passes it on (`proxy_pass_header`); else nginx sends its own.
            b"date" => {
                self.dates.add_date(value);
                Fate::Keep
            }
            b"last-modified" => {
                self.dates.add_last_modified(value);
                Fate::Keep
            }
            b"set-cookie" | b"set-cookie2" => {
                self.set_cookie = true;
                Fate::Once
            }
            b"content-encoding" => {
                self.encoded |= !value.trim_ascii().eq_ignore_ascii_case(b"identity");
                Fate::Keep
            }
            b"vary" => {
                self.varies.vary(value, self.names);
                Fate::Keep
            }
            b"age" => {
                self.dates.add_age(value);
                Fate::Once
            }
            // The original's own mark of the app server that answered.
            b"x-app-server" => Fate::Strip,
            // Read by Twice only: never an error to the client, never seen by it.
            b"surrogate-key" | b"cache-tag" => {
                self.keys.add(value);
                Fate::Strip
            }
            b"twice-guard" => {
                self.guard.add(value);
                Fate::Strip
            }
            b"twice-headers" => {
                self.tag_headers.add(value, self.names);
                Fate::Strip
            }
            // Of this one connection or this one answer (RFC 9110 7.6.1), or made anew on each hit.
            b"connection" => {
                self.connection.extend(elements(value).map(<[u8]>::to_ascii_lowercase));
                Fate::Once
            }
            b"keep-alive"
            | b"proxy-connection"
            | b"proxy-authenticate"
            | b"proxy-authentication-info"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
            | b"cache-status"
            | b"content-length"
            | b"accept-ranges"
            | b"www-authenticate" => Fate::Once,
            targeted if is_targeted(targeted) => {
                self.targeted.add(targeted, value);
                Fate::Keep
            }
            _ => Fate::Keep,
        };
        (fate, note)
    }

    /// Whether a later answer about the same page needs to know of this line, though clients are not to see it.
    pub fn steers(&self, name: &[u8]) -> bool {
        const STEERING: [&[u8]; 7] = [
            b"cache-control",
            b"surrogate-control",
            b"x-accel-expires",
            b"expires",
            b"vary",
            b"surrogate-key",
            b"cache-tag",
        ];
        let lower = name.to_ascii_lowercase();
        STEERING.contains(&lower.as_slice()) || is_targeted(&lower) || self.names.find(name).is_some()
    }

    /// Whether the response is stored without a field that [`Facts::line`] would have kept, which is known when all
    /// lines were read: `Connection`, `private` or `no-cache` names it.
    pub fn withholds(&self, name: &[u8]) -> bool {
        let lower = name.to_ascii_lowercase();
        self.cache_control.withholds(&lower) || self.is_of_the_connection(&lower)
    }

    /// Whether `Connection` names a field, given in lower case: then it is this one answer's, whatever page that is about.
    pub fn is_of_the_connection(&self, lower: &[u8]) -> bool {
        // To name an essential one is an error (RFC 9110 7.6.1).
        self.connection.contains(lower) && !is_essential(lower)
    }
}
