//! What a response's header lines say, gathered line by line.

use std::time::UNIX_EPOCH;

use crate::marks::Keys;

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
}

/// What the lines say together.
#[derive(Clone, Debug)]
pub struct Facts<'n> {
    names: &'n HeaderNames,
    /// The control header, if there was one.
    pub control: Option<Control>,
    /// `Cache-Control`.
    pub cache_control: CacheControl,
    /// `Expires` as seconds since the epoch; a date that can't be read is in the past (RFC 9111 5.3).
    pub expires: Option<i64>,
    /// There was a `Set-Cookie`.
    pub set_cookie: bool,
    /// There was a `Content-Encoding` other than `identity`.
    pub encoded: bool,
    /// What of the request the response depends on besides the page's key.
    pub varies: Varies,
    /// `Age` in seconds: the greatest of several, 0 where it can't be read.
    pub age: u64,
    /// What `Surrogate-Key` and `Cache-Tag` name: the page can be purged by it.
    pub keys: Keys,
    /// `Twice-Guard`.
    pub guard: Guard,
    /// `Twice-Headers`.
    pub tag_headers: TagHeaders,
}

impl<'n> Facts<'n> {
    /// No line seen yet.
    pub fn new(names: &'n HeaderNames) -> Self {
        Self {
            names,
            control: None,
            cache_control: CacheControl::default(),
            expires: None,
            set_cookie: false,
            encoded: false,
            varies: Varies::default(),
            age: 0,
            keys: Keys::default(),
            guard: Guard::default(),
            tag_headers: TagHeaders::default(),
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
        let fate = match name.to_ascii_lowercase().as_slice() {
            b"cache-control" => {
                note = self.cache_control.add(value).map(Note::Lifetime);
                Fate::Keep
            }
            b"expires" => {
                self.expires = Some(http_date(value).unwrap_or(0));
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
                self.age = self.age.max(Lifetime::parse(value.trim_ascii()).seconds().unwrap_or(0));
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
            b"connection"
            | b"keep-alive"
            | b"proxy-connection"
            | b"proxy-authenticate"
            | b"proxy-authentication-info"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
            | b"cache-status"
            | b"date"
            | b"content-length"
            | b"accept-ranges"
            | b"www-authenticate" => Fate::Once,
            _ => Fate::Keep,
        };
        (fate, note)
    }

    /// The lifetime in seconds that ordinary caching headers state.
    pub fn stated_lifetime(&self, now: i64) -> Option<u64> {
        self.cache_control.lifetime().or_else(|| {
            let left = self.expires?.saturating_sub(now);
            Some(u64::try_from(left).unwrap_or(0).min(MAX_LIFETIME))
        })
    }
}

/// Seconds since the epoch of an HTTP date (RFC 9110 5.6.7).
fn http_date(text: &[u8]) -> Option<i64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(text).ok()?).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}
