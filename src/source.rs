//! Sources: where the values of tags come from that are neither the visitor's nor the page's.
//!
//! ```text
//!  a page's slots --> asked --> fetches --- remembered? ------------> shm/elements
//!                       ^         |  one fetch for each key          (all workers)
//!                       |         v
//!                       '---- memcached, http, local
//! ```
//!
//! A [`Source`] is what its directive says. It lives as long as its configuration.

pub mod asked;
pub mod changes;
pub mod fetches;
pub mod figures;
pub mod http;
pub mod keys;
pub mod memcached;
mod records;
mod told;
pub mod variables;

use std::fmt;

use ngx::ffi::{sockaddr, socklen_t};
use twice_core::elements::SmallValue;
use twice_core::health::State;
use twice_core::ring::{self, Distribution, Hash, Ring};
use twice_core::source::Change;
use twice_core::source::figures::Stat;
use twice_core::source::key::Template;

use crate::conf::MainConf;
use crate::shm::{self, Zone};
use crate::sys::Request;

use http::Service;
use memcached::Pool;

/// A `twice_source`.
pub struct Source {
    /// Its name, which is a target of tags.
    pub name: String,
    /// What its values are found by.
    pub key: Key,
    /// What its values are.
    pub format: Format,
    /// How long a value is remembered, milliseconds; 0: not at all.
    pub ttl_ms: u64,
    /// What a page waits for it at most, milliseconds.
    pub timeout_ms: u64,
    /// Where it asks.
    pub kind: Kind,
    /// What is counted.
    pub figures: figures::OfSource,
}

/// `key=`.
pub struct Key {
    /// Its parts.
    pub template: Template,
    /// nginx's numbers of its variables, in their order.
    pub variables: Vec<usize>,
}

impl Default for Key {
    /// The tag's own.
    fn default() -> Self {
        Self { template: Template::tag_key(), variables: Vec::new() }
    }
}

/// `format=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A value is what the tag prints.
    Text,
    /// A value is a record in JSON, and the tag's key a path in it.
    Json,
}

/// A source's type.
pub enum Kind {
    /// Counters in the zone of the location.
    Local,
    /// A sub-request.
    Http(Service),
    /// memcached servers.
    Memcached(Pool),
}

/// A pool of memcached servers, as it is configured. Named as in twemproxy's file.
#[derive(Clone)]
pub struct Settings {
    /// At least one, each with a name of its own.
    pub servers: Vec<Server>,
    /// Of each worker, to each server.
    pub connections: u64,
    pub hash: Hash,
    pub distribution: Distribution,
    pub hash_tag: Option<[u8; 2]>,
    pub auto_eject_hosts: bool,
    pub server_failure_limit: u64,
    pub server_retry_timeout_ms: u64,
    pub preconnect: bool,
    /// The source's.
    pub figures: figures::OfSource,
}

impl Settings {
    /// Which of the servers has a key; by their numbers in `servers`.
    pub fn ring(&self) -> Result<Ring, ring::Error> {
        let as_placed = |server: &Server| ring::Server { name: server.name.clone(), weight: server.weight };
        let servers: Vec<_> = self.servers.iter().map(as_placed).collect();
        Ring::new(&servers, self.distribution, self.hash, self.hash_tag)
    }
}

/// A memcached server.
#[derive(Clone)]
pub struct Server {
    /// What it is called where keys are placed.
    pub name: String,
    /// As its directive has it.
    pub label: String,
    pub weight: u32,
    /// Lives as long as the configuration.
    pub sockaddr: *mut sockaddr,
    pub socklen: socklen_t,
    /// What is counted, and whether it is asked.
    pub figures: figures::OfServer,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memcached server \"{}\"", self.label)
    }
}

/// Who answers for a source, as its figures know him: a memcached server, or the service behind a URI.
#[derive(Clone, Copy)]
pub struct Backend<'a> {
    /// Its name in the figures.
    pub name: &'a str,
    /// What is counted, and whether it is asked.
    pub figures: &'a figures::OfServer,
}

impl Source {
    /// One that remembers nothing.
    pub fn new(name: &str, key: Key, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            key,
            format: Format::Text,
            ttl_ms: 0,
            timeout_ms: 0,
            kind,
            figures: figures::OfSource::default(),
        }
    }

    /// The name of its type.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Local => "local",
            Kind::Http(_) => "http",
            Kind::Memcached(_) => "memcached",
        }
    }

    /// How one of those does who answer for it.
    pub fn state(&self, backend: Backend<'_>) -> State {
        let rules = match &self.kind {
            Kind::Local => return State::Up,
            Kind::Http(service) => service.rules(),
            Kind::Memcached(pool) => pool.rules(),
        };
        backend.figures.health().map_or(State::Up, |health| health.state(shm::now_ms(), rules))
    }

    /// Those who answer for it; nobody for what is in the zone itself.
    pub fn backends(&self) -> impl Iterator<Item = Backend<'_>> {
        let (servers, service): (&[Server], _) = match &self.kind {
            Kind::Local => (&[], None),
            Kind::Http(service) => (&[], Some(service)),
            Kind::Memcached(pool) => (pool.servers(), None),
        };
        let servers = servers.iter().map(|server| Backend { name: &server.name, figures: &server.figures });
        servers.chain(service.map(Service::backend))
    }

    /// The key at the source, of what its element is remembered by.
    pub fn key_of<'a>(&self, id: &'a [u8]) -> &'a [u8] {
        id.get(self.name.len() + 1..).unwrap_or_default()
    }
}

/// The source of a name.
pub fn by_name<'a>(main: &'a MainConf, name: &[u8]) -> Option<&'a Source> {
    main.sources.iter().find(|source| source.name.as_bytes() == name)
}

/// Changes something at a source. Nobody waits for it: what is lost is counted.
pub fn write(request: Request<'_>, zone: &Zone, source: &Source, tag_key: &[u8], change: Change) {
    let id = match keys::id_of(request, source, tag_key) {
        Ok(Some(id)) => id,
        // Whoever is nobody has nothing that could be changed.
        Ok(None) => return,
        Err(why) => {
            source.count(Stat::of(why));
            source.count(Stat::Writes);
            return source.count(Stat::LostWrites);
        }
    };
    source.count(Stat::Writes);
    match &source.kind {
        Kind::Local => {
            if zone.local_change(id, change, shm::now_ms()).is_none() {
                source.count(Stat::LostWrites);
            }
        }
        Kind::Memcached(pool) => {
            if source.ttl_ms > 0 {
                change_remembered(zone, id, change);
            }
            pool.change(source.key_of(id), change);
        }
        // It answers questions only.
        Kind::Http(_) => source.count(Stat::LostWrites),
    }
}

/// The next page shows what was changed, although it does not ask for it anew.
fn change_remembered(zone: &Zone, id: &[u8], change: Change) {
    let (hash, now) = (zone.element_hash(id), shm::now_ms());
    let changed = change != Change::Delete
        && zone.change_element(hash, id, now, |value| SmallValue::of([change.of_text(value)?.as_bytes()]));
    // What can't be counted, or was remembered as missing, is asked for anew.
    if !changed && zone.look_at_element(hash, id, now, |_| ()).is_some() {
        zone.forget_element(hash, id);
    }
}
