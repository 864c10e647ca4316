//! Which server has a key: as twemproxy 0.5 decides it, bit for bit.
//!
//! ```text
//!   key ── hash_tag: what stands between its two letters ──> Hash ──> 32 bits ──> Distribution ──> server
//!   "{user7}:name"          "user7"                        fnv1a_64  0x3c0d...     ketama
//! ```
//!
//! Invariants
//! - Servers are taken in twemproxy's order (shorter names first, then by bytes), not in the caller's: `modula`
//!   depends on it. The caller sees its own numbers only.
//! - A ring is built for a set of live servers and built anew when asked with another set; a look-up allocates nothing.
//! - A server that is not live has no keys. Where none is live, no key has a server.

mod hash;
mod ketama;

use std::fmt;

pub use hash::Hash;

/// Servers of a source at most.
pub const MAX_SERVERS: usize = 256;

/// A server as its distribution sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What its points on the circle come from: an alias, or [`default_name`].
    pub name: String,
    /// Its share, at least 1.
    pub weight: u32,
}

/// How hashes become servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// By points on a circle: few keys move when a server goes.
    #[default]
    Ketama,
    /// By the remainder: nearly all keys move when a server goes.
    Modula,
    /// Any server, whatever the key, and whatever the weights.
    Random,
}

impl Distribution {
    /// All of them, in twemproxy's order.
    pub const ALL: [Distribution; 3] = [Distribution::Ketama, Distribution::Modula, Distribution::Random];

    /// Its name in twemproxy's configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Distribution::Ketama => "ketama",
            Distribution::Modula => "modula",
            Distribution::Random => "random",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Distribution> {
        Distribution::ALL.into_iter().find(|distribution| distribution.as_str() == name)
    }
}

/// The name of a server that was given none: that of its address in an nginx upstream. twemproxy leaves out
/// memcached's usual port, as libmemcached does, has IPv6 addresses without brackets, and keeps the `:` behind the path
/// of a socket.
pub fn default_name(address: &str) -> String {
    if let Some(path) = path_of(address) {
        return format!("{}:", path.strip_suffix(':').unwrap_or(path));
    }
    let (host, port) = host_and_port(address);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match port {
        Some(port) if port != "11211" => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

/// Whether an address says where to go on its host: a port, or the path of a socket.
pub fn has_port(address: &str) -> bool {
    path_of(address).is_some() || host_and_port(address).1.is_some()
}

fn path_of(address: &str) -> Option<&str> {
    address.strip_prefix("unix:")
}

fn host_and_port(address: &str) -> (&str, Option<&str>) {
    match address.rsplit_once(':') {
        // A colon inside brackets belongs to the host.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (address, None),
    }
}

/// Why there can't be such a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no server.
    NoServers,
    /// There are more than [`MAX_SERVERS`].
    TooMany,
    /// A server's weight is 0.
    NoWeight(String),
    /// All weights together are 2^32 or more.
    TooHeavy,
    /// Two servers have the same name, and so the same points.
    SameName(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoServers => f.write_str("there is no server"),
            Error::TooMany => write!(f, "there are more than {MAX_SERVERS} servers"),
            Error::NoWeight(name) => write!(f, "the weight of server \"{name}\" is 0"),
            Error::TooHeavy => f.write_str("the sum of the servers' weights is 2^32 or more"),
            Error::SameName(name) => write!(f, "two servers have the name \"{name}\""),
        }
    }
}

impl std::error::Error for Error {}

/// A set of servers, by the caller's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live([u64; MAX_SERVERS / 64]);

impl Live {
    /// The first so many.
    pub fn all(servers: usize) -> Live {
        let mut live = Live::default();
        (0..servers).for_each(|server| live.insert(server));
        live
    }

    /// Adds a server; a number that no server can have changes nothing.
    pub fn insert(&mut self, server: usize) {
        if let Some(word) = self.0.get_mut(server / 64) {
            *word |= 1 << (server % 64);
        }
    }

    /// Takes a server out.
    pub fn remove(&mut self, server: usize) {
        if let Some(word) = self.0.get_mut(server / 64) {
            *word &= !(1 << (server % 64));
        }
    }

    /// Whether it is in.
    pub fn contains(&self, server: usize) -> bool {
        self.0.get(server / 64).is_some_and(|word| word >> (server % 64) & 1 == 1)
    }
}

/// The servers of a source, and which of them has a key.
#[derive(Clone, Debug)]
pub struct Ring {
    /// In twemproxy's order, with the caller's numbers.
    servers: Vec<(usize, Server)>,
    distribution: Distribution,
    hash: Hash,
    tag: Option<[u8; 2]>,
    /// The set for which `places` was built.
    live: Live,
    places: Places,
    circle: ketama::Circle,
}

/// Where the live servers are; servers by their place in [`Ring::servers`].
#[derive(Clone, Debug)]
enum Places {
    Ketama(Vec<ketama::Point>),
    /// For each server the sum of the weights up to and with it.
    Modula(Vec<(u32, u32)>),
    Random(Vec<u32>),
}

impl Ring {
    /// A ring of these servers, all of them live. `tag`: the two letters between which the part of a key stands that
    /// counts.
    pub fn new(
        servers: &[Server],
        distribution: Distribution,
        hash: Hash,
        tag: Option<[u8; 2]>,
    ) -> Result<Ring, Error> {
        if servers.is_empty() {
            return Err(Error::NoServers);
        }
        if servers.len() > MAX_SERVERS {
            return Err(Error::TooMany);
        }
        if let Some(server) = servers.iter().find(|server| server.weight == 0) {
            return Err(Error::NoWeight(server.name.clone()));
        }
        servers.iter().try_fold(0u32, |sum, server| sum.checked_add(server.weight)).ok_or(Error::TooHeavy)?;
        let mut servers: Vec<_> = servers.iter().cloned().enumerate().collect();
        servers.sort_by(|(_, a), (_, b)| a.name.len().cmp(&b.name.len()).then_with(|| a.name.cmp(&b.name)));
        for ((_, a), (_, b)) in servers.iter().zip(servers.iter().skip(1)) {
            if a.name == b.name {
                return Err(Error::SameName(a.name.clone()));
            }
        }
        let live = Live::all(servers.len());
        let mut circle = ketama::Circle::default();
        let places = Places::of(&servers, distribution, &live, &mut circle);
        Ok(Ring { servers, distribution, hash, tag, live, places, circle })
    }

    /// How many servers it has.
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// The live server that has a key; none: no server is live. `random` is any number, other ones for other calls: the
    /// distribution of that name needs it.
    pub fn server_of(&mut self, key: &[u8], live: &Live, random: u32) -> Option<usize> {
        if *live != self.live {
            self.places = Places::of(&self.servers, self.distribution, live, &mut self.circle);
            self.live = *live;
        }
        let place = match &self.places {
            Places::Ketama(points) => ketama::server_of(points, self.hash_of(key)),
            Places::Modula(ends) => {
                let rest = self.hash_of(key).checked_rem(ends.last()?.0)?;
                let next = ends.partition_point(|(end, _)| *end <= rest);
                ends.get(next).map(|(_, server)| *server)
            }
            Places::Random(servers) => {
                let number = (random as usize).checked_rem(servers.len())?;
                servers.get(number).copied()
            }
        }?;
        self.servers.get(place as usize).map(|(number, _)| *number)
    }

    fn hash_of(&self, key: &[u8]) -> u32 {
        self.hash.of(self.tag.and_then(|tag| tagged(key, tag)).unwrap_or(key))
    }
}

impl Places {
    fn of(
        servers: &[(usize, Server)],
        distribution: Distribution,
        live: &Live,
        circle: &mut ketama::Circle,
    ) -> Places {
        let live = (0..).zip(servers).filter(|(_, (number, _))| live.contains(*number));
        match distribution {
            Distribution::Ketama => Places::Ketama(
                circle.points(live.map(|(place, (_, server))| (place, server.name.as_str(), server.weight))),
            ),
            Distribution::Modula => {
                // `Ring::new` has seen that the sum is a number of 32 bits.
                let ends = live.scan(0u32, |sum, (place, (_, server))| {
                    *sum = sum.saturating_add(server.weight);
                    Some((*sum, place))
                });
                Places::Modula(ends.collect())
            }
            Distribution::Random => Places::Random(live.map(|(place, _)| place).collect()),
        }
    }
}

/// What stands between the first opening letter and the next closing one; none: nothing does.
fn tagged(key: &[u8], [open, close]: [u8; 2]) -> Option<&[u8]> {
    let start = memchr::memchr(open, key)? + 1;
    let rest = key.get(start..)?;
    let end = memchr::memchr(close, rest)?;
    rest.get(..end).filter(|part| !part.is_empty())
}
