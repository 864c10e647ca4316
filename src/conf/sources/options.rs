//! What may stand behind a source's type.

use twice_core::ring::{Distribution, Hash};

use crate::conf::setters::Directive;
use crate::source::{Format, Source};

/// Most connections of a worker to a server.
const MOST_CONNECTIONS: u64 = 64;

/// Nothing is remembered for longer: a year.
const MAX_TTL_MS: u64 = 365 * 24 * 3600 * 1000;

/// No page waits for longer.
const MAX_TIMEOUT_MS: u64 = 60_000;

const TTL_OF_TEXT_MS: u64 = 30_000;
const TTL_OF_UNREAD_MS: u64 = 60_000;
const TTL_OF_RECORDS_MS: u64 = 24 * 3600 * 1000;
const TIMEOUT_MS: u64 = 50;
const FAILURE_LIMIT: u64 = 2;
const RETRY_MS: u64 = 30_000;

/// What stands behind a source's type.
#[derive(Default)]
pub(super) struct Options {
    given: Vec<String>,
    pub(super) key: Option<String>,
    ttl_ms: Option<u64>,
    timeout_ms: Option<u64>,
    pub(super) format: Option<Format>,
    pub(super) hash: Hash,
    pub(super) distribution: Distribution,
    pub(super) hash_tag: Option<[u8; 2]>,
    pub(super) names: Vec<String>,
    pub(super) connections: Option<u64>,
    pub(super) auto_eject_hosts: bool,
    pub(super) preconnect: bool,
    server_failure_limit: Option<u64>,
    server_retry_timeout_ms: Option<u64>,
}

const ALLOWED: &str = "key=STRING, ttl=TIME, timeout=TIME, format=text|json, server_failure_limit=N, \
                       server_retry_timeout=TIME and, for memcached, hash=NAME, distribution=NAME, hash_tag=XY, \
                       names=NAME,..., connections=N, auto_eject_hosts and preconnect";

impl Options {
    pub(super) fn read(directive: &Directive, words: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        for word in words {
            options.add(directive, word)?;
        }
        Ok(options)
    }

    fn add(&mut self, directive: &Directive, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        if self.given.iter().any(|given| given == name) {
            return Err(format!("has the option \"{word}\" besides another one of its name, allowed is one"));
        }
        self.given.push(name.to_owned());
        let has = |allowed: &str| format!("has the option \"{word}\", allowed is {allowed}");
        let time = |text: &str, least: u64, most: u64| {
            directive.milliseconds_of(text).filter(|time| (least..=most).contains(time))
        };
        let number = |text: &str, most: u64| {
            let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|number| is_plain && (1..=most).contains(number))
        };
        match (name, value) {
            ("key", Some(text)) if !text.is_empty() => self.key = Some(text.to_owned()),
            ("key", _) => return Err(has("a string such as key=session_$cookie_persistent")),
            ("ttl", Some(text)) => {
                self.ttl_ms = Some(time(text, 0, MAX_TTL_MS).ok_or_else(|| has("a time from 0s to 365d"))?);
            }
            ("timeout", Some(text)) => {
                let found = time(text, 1, MAX_TIMEOUT_MS);
                self.timeout_ms = Some(found.ok_or_else(|| has("a time from 1ms to 60s"))?);
            }
            ("format", Some("text")) => self.format = Some(Format::Text),
            ("format", Some("json")) => self.format = Some(Format::Json),
            ("format", _) => return Err(has("format=text or format=json")),
            ("hash", Some(text)) => {
                self.hash = Hash::from_name(text)
                    .ok_or_else(|| has(&format!("one of {}", Hash::ALL.map(Hash::as_str).join(", "))))?;
            }
            ("distribution", Some(text)) => {
                self.distribution = Distribution::from_name(text).ok_or_else(|| {
                    has(&format!("one of {}", Distribution::ALL.map(Distribution::as_str).join(", ")))
                })?;
            }
            ("hash_tag", Some(text)) => {
                let pair = <[u8; 2]>::try_from(text.as_bytes());
                self.hash_tag = Some(pair.map_err(|_| {
                    has("two characters; braces need quotes around the whole option: \"hash_tag={}\"")
                })?);
            }
            ("names", Some(text)) => {
                self.names = text.split(',').map(str::to_owned).collect();
                let is_good = |name: &String| {
                    !name.is_empty() && name.len() <= 250 && name.bytes().all(|b| b.is_ascii_graphic())
                };
                if !self.names.iter().all(is_good) {
                    return Err(has("names=NAME,NAME,... in the order of the upstream's servers"));
                }
            }
            ("connections", Some(text)) => {
                let found = number(text, MOST_CONNECTIONS);
                self.connections =
                    Some(found.ok_or_else(|| has(&format!("a number from 1 to {MOST_CONNECTIONS}")))?);
            }
            ("server_failure_limit", Some(text)) => {
                let found = number(text, 1000);
                self.server_failure_limit = Some(found.ok_or_else(|| has("a number from 1 to 1000"))?);
            }
            ("server_retry_timeout", Some(text)) => {
                let found = time(text, 10, 24 * 3600 * 1000);
                self.server_retry_timeout_ms = Some(found.ok_or_else(|| has("a time from 10ms to 1d"))?);
            }
            ("auto_eject_hosts", None) => self.auto_eject_hosts = true,
            ("preconnect", None) => self.preconnect = true,
            _ => return Err(format!("has the option \"{word}\", allowed are {ALLOWED}")),
        }
        Ok(())
    }

    /// Refuses what a type does not know.
    pub(super) fn only(&self, allowed: &[&str], kind: &str) -> Result<(), String> {
        match self.given.iter().find(|given| !allowed.contains(&given.as_str())) {
            Some(given) => Err(format!(
                "has the option \"{given}\" for a source of the type {kind}, allowed are {}",
                allowed.join(", ")
            )),
            None => Ok(()),
        }
    }

    pub(super) fn timeout_ms(&self) -> u64 {
        self.timeout_ms.unwrap_or(TIMEOUT_MS)
    }

    pub(super) fn failure_limit(&self) -> u64 {
        self.server_failure_limit.unwrap_or(FAILURE_LIMIT)
    }

    pub(super) fn retry_timeout_ms(&self) -> u64 {
        self.server_retry_timeout_ms.unwrap_or(RETRY_MS)
    }

    pub(super) fn apply(&self, source: Source) -> Source {
        let ttl = match source.format {
            Format::Json => TTL_OF_RECORDS_MS,
            // As the original remembers it.
            Format::Text if source.name == "unread" => TTL_OF_UNREAD_MS,
            Format::Text => TTL_OF_TEXT_MS,
        };
        Source { ttl_ms: self.ttl_ms.unwrap_or(ttl), timeout_ms: self.timeout_ms(), ..source }
    }
}
