//! A real nutcracker and the core's ring agree which of several real memcacheds has a key. The recorded vectors
//! (tests/data/placement) say it of more keys; this says it of the programs that are installed here.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use fixture::placement::{self, Case};
use fixture::{Memcached, Nutcracker, until};
use twice_core::ring::{Distribution, Hash, Live, Ring, Server, default_name};

/// Weights and names of four servers.
type Servers = [(u32, Option<&'static str>); 4];

const EQUAL: Servers = [(1, None); 4];
const NAMED: Servers = [(3, Some("d")), (1, Some("bb")), (2, Some("a")), (1, Some("ccc"))];

struct Pool {
    case: Case,
    ring: Ring,
}

fn pool(servers: &[Memcached], shares: Servers, distribution: &str, hash: &str, tag: Option<&str>) -> Pool {
    let case = Case {
        name: format!("{distribution} {hash}"),
        distribution: distribution.to_owned(),
        hash: hash.to_owned(),
        tag: tag.map(str::to_owned),
        servers: servers
            .iter()
            .zip(shares)
            .map(|(server, (weight, name))| {
                let name = name.map(|name| format!(" {name}")).unwrap_or_default();
                format!("{}:{weight}{name}", server.nutcracker_address())
            })
            .collect(),
        placed: Vec::new(),
    };
    let named = |(server, (weight, name)): (&Memcached, (u32, Option<&str>))| {
        let name = name.map_or_else(|| default_name(&server.address()), str::to_owned);
        Server { name, weight }
    };
    let all: Vec<_> = servers.iter().zip(shares).map(named).collect();
    let ring = Ring::new(
        &all,
        Distribution::from_name(distribution).unwrap(),
        Hash::from_name(hash).unwrap(),
        tag.map(|tag| tag.as_bytes().try_into().unwrap()),
    );
    Pool { case, ring: ring.unwrap() }
}

fn placed(ring: &mut Ring, keys: &[String], live: &Live) -> Vec<usize> {
    keys.iter().map(|key| ring.server_of(key.as_bytes(), live, 0).unwrap()).collect()
}

/// Three on ports, one on a socket file: that has another kind of name.
fn four_servers() -> Vec<Memcached> {
    let mut servers = Memcached::start_many(3);
    servers.push(Memcached::on_a_socket());
    servers
}

fn addresses(servers: &[Memcached]) -> Vec<String> {
    servers.iter().map(Memcached::nutcracker_address).collect()
}

#[test]
fn nutcracker_and_the_ring_agree_for_every_hash() {
    let servers = four_servers();
    let mut pools = Vec::new();
    for (number, hash) in Hash::ALL.iter().enumerate() {
        let shares = if number % 2 == 0 { EQUAL } else { NAMED };
        pools.push(pool(&servers, shares, "ketama", hash.as_str(), None));
    }
    pools.push(pool(&servers, NAMED, "modula", "fnv1a_64", None));
    pools.push(pool(&servers, EQUAL, "modula", "jenkins", Some("{}")));
    pools.push(pool(&servers, EQUAL, "ketama", "fnv1a_64", Some("{}")));
    let configured: Vec<_> = pools.iter().map(|pool| pool.case.pool(&addresses(&servers))).collect();
    let proxy = Nutcracker::start(&configured);
    let keys = placement::keys(3_000);
    let live = Live::all(servers.len());
    // Each pool has other keys than the one before.
    for (number, pool) in pools.iter_mut().enumerate() {
        let keys = &keys[number * 200..][..200];
        let found = placement::ask(proxy.port(number), &servers, keys, &format!("case {number}"));
        assert_eq!(placed(&mut pool.ring, keys, &live), found, "{}", pool.case.name);
    }
}

#[test]
fn they_agree_when_a_server_was_ejected() {
    let mut servers = four_servers();
    let mut pools = [
        pool(&servers, NAMED, "ketama", "fnv1a_64", None),
        pool(&servers, EQUAL, "ketama", "md5", None),
        pool(&servers, NAMED, "modula", "murmur", None),
    ];
    let eject = |pool: &Pool| {
        let pool = pool.case.pool(&addresses(&servers)).line("auto_eject_hosts: true");
        pool.line("server_failure_limit: 1").line("server_retry_timeout: 600000").line("timeout: 5000")
    };
    let proxy = Nutcracker::start(&pools.iter().map(eject).collect::<Vec<_>>());
    let keys = placement::keys(200);
    let mut live = Live::all(servers.len());
    for (number, pool) in pools.iter_mut().enumerate() {
        let found = placement::ask(proxy.port(number), &servers, &keys, &format!("before {number}"));
        assert_eq!(placed(&mut pool.ring, &keys, &live), found, "{}", pool.case.name);
    }
    const LOST: usize = 1;
    drop(servers.remove(LOST));
    live.remove(LOST);
    for (number, pool) in pools.iter_mut().enumerate() {
        // Whoever asks the lost one has it ejected.
        let lost_key =
            keys.iter().find(|key| pool.ring.server_of(key.as_bytes(), &Live::all(4), 0) == Some(LOST));
        ask_until_ejected(&proxy, number, lost_key.unwrap());
        let found = placement::ask(proxy.port(number), &servers, &keys, &format!("after {number}"));
        let numbers: Vec<_> = found.iter().map(|n| if *n >= LOST { n + 1 } else { *n }).collect();
        assert_eq!(placed(&mut pool.ring, &keys, &live), numbers, "{}", pool.case.name);
    }
}

fn ask_until_ejected(proxy: &Nutcracker, pool: usize, key: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port(pool))).unwrap();
    stream.set_read_timeout(Some(fixture::patience())).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    until("nutcracker gives the key to another server", || {
        stream.write_all(format!("set {key} 0 0 1\r\nx\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        line == "STORED\r\n"
    });
}
