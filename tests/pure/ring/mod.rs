//! Which server has a key: held against what nutcracker and libmemcached did, and against what must be true of any
//! ring.

mod properties;

use fixture::placement::{self, Case};
use twice_core::ring::{Distribution, Error, Hash, Live, MAX_SERVERS, Ring, Server, default_name, has_port};

const NUTCRACKER: &str = include_str!("../../data/placement/nutcracker.txt");
const LIBMEMCACHED: &str = include_str!("../../data/placement/libmemcached.txt");
const KEYS: usize = 10_000;

fn server(name: &str, weight: u32) -> Server {
    Server { name: name.to_owned(), weight }
}

fn servers(weights: &[u32]) -> Vec<Server> {
    weights.iter().enumerate().map(|(number, weight)| server(&format!("s{number}"), *weight)).collect()
}

fn ring_of(case: &Case) -> Ring {
    let as_configured = |server: &String| {
        let (address, weight, name) = placement::split(server);
        let name = name.map_or_else(|| default_name(address), str::to_owned);
        Server { name, weight }
    };
    let servers: Vec<_> = case.servers.iter().map(as_configured).collect();
    let distribution = Distribution::from_name(&case.distribution).unwrap();
    let hash = Hash::from_name(&case.hash).unwrap();
    let tag = case.tag.as_ref().map(|tag| tag.as_bytes().try_into().unwrap());
    Ring::new(&servers, distribution, hash, tag).unwrap()
}

/// Holds the ring against a vector file.
fn hold_against(text: &str) -> Vec<Case> {
    let keys = placement::keys(KEYS);
    let cases = placement::read(text, KEYS);
    for case in &cases {
        let mut ring = ring_of(case);
        let live = Live::all(ring.servers());
        assert_eq!(case.placed.len(), KEYS, "{}", case.name);
        let differ = keys
            .iter()
            .zip(&case.placed)
            .filter(|(key, server)| ring.server_of(key.as_bytes(), &live, 0) != Some(**server));
        let differ: Vec<_> = differ.collect();
        assert!(
            differ.is_empty(),
            "{}: {} keys differ, the first of them {:?}",
            case.name,
            differ.len(),
            differ[0]
        );
    }
    cases
}

#[test]
fn every_key_is_where_nutcracker_put_it() {
    let cases = hold_against(NUTCRACKER);
    for hash in Hash::ALL {
        for distribution in [Distribution::Ketama, Distribution::Modula] {
            let is_it =
                |case: &&Case| case.hash == hash.as_str() && case.distribution == distribution.as_str();
            assert!(cases.iter().find(is_it).is_some(), "{} {}", hash.as_str(), distribution.as_str());
        }
    }
    // The vectors say something: no case has all its keys on one server, but for the hash of fifteen bits.
    for case in cases.iter().filter(|case| case.hash != "crc32" && case.hash != "crc16") {
        assert!(case.placed.iter().any(|server| *server != case.placed[0]), "{}", case.name);
    }
}

#[test]
fn every_key_is_where_libmemcached_puts_it() {
    assert_eq!(hold_against(LIBMEMCACHED).len(), 10);
}

/// Published values, for the functions that are the published ones; crc16 has 0x31C3 in its lower half.
#[test]
fn hashes_of_known_texts() {
    for (hash, text, value) in [
        (Hash::Md5, "", 0xD98C_1DD4),
        (Hash::Md5, "abc", 0x9850_0190),
        (Hash::Crc16, "123456789", 0x8690_31C3),
        (Hash::Crc32, "123456789", 0x4BF4),
        (Hash::Crc32a, "123456789", 0xCBF4_3926),
        (Hash::Fnv1_32, "foobar", 0x31F0_B262),
        (Hash::Fnv1a32, "foobar", 0xBF9C_F968),
        // The lower half of 0x340d8765a4dda9c2.
        (Hash::Fnv1_64, "foobar", 0xA4DD_A9C2),
        (Hash::OneAtATime, "a", 0xCA2E_9442),
        (Hash::OneAtATime, "The quick brown fox jumps over the lazy dog", 0x519E_91F5),
    ] {
        assert_eq!(hash.of(text.as_bytes()), value, "{} {text:?}", hash.as_str());
    }
}

#[test]
fn names_of_hashes_and_distributions_are_twemproxys() {
    let names: Vec<_> = Hash::ALL.iter().map(|hash| hash.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "one_at_a_time md5 crc16 crc32 crc32a fnv1_64 fnv1a_64 fnv1_32 fnv1a_32 hsieh murmur jenkins"
    );
    for hash in Hash::ALL {
        assert_eq!(Hash::from_name(hash.as_str()), Some(hash));
    }
    for distribution in Distribution::ALL {
        assert_eq!(Distribution::from_name(distribution.as_str()), Some(distribution));
    }
    for name in ["", "MD5", "md5 ", "ketama"] {
        assert_eq!(Hash::from_name(name), None);
    }
    assert_eq!(Distribution::from_name("Ketama"), None);
}

#[test]
fn a_server_is_named_after_its_address() {
    for (address, name) in [
        ("127.0.0.1:11212", "127.0.0.1:11212"),
        ("127.0.0.1:11211", "127.0.0.1"),
        ("cache.example.com:11211", "cache.example.com"),
        ("cache.example.com", "cache.example.com"),
        ("127.0.0.1:1121", "127.0.0.1:1121"),
        ("127.0.0.1:111211", "127.0.0.1:111211"),
        ("unix:/run/memcached.sock", "/run/memcached.sock:"),
        ("unix:/run/memcached.sock:", "/run/memcached.sock:"),
        ("[::1]:11212", "::1:11212"),
        ("[::1]:11211", "::1"),
        ("[::1]", "::1"),
        ("", ""),
        (":11211", ""),
    ] {
        assert_eq!(default_name(address), name, "{address}");
    }
}

#[test]
fn an_address_has_a_port_or_has_none() {
    for address in ["127.0.0.1:11211", "[::1]:11211", "mc.example:1", "unix:/tmp/mc", "unix:/tmp/mc:"] {
        assert!(has_port(address), "{address}");
    }
    for address in ["127.0.0.1", "[::1]", "mc.example", ""] {
        assert!(!has_port(address), "{address}");
    }
}

#[test]
fn a_ring_that_can_not_be_is_refused() {
    let refused = |servers: &[Server]| Ring::new(servers, Distribution::Ketama, Hash::Md5, None).unwrap_err();
    assert_eq!(refused(&[]), Error::NoServers);
    assert_eq!(refused(&servers(&[1; MAX_SERVERS + 1])), Error::TooMany);
    assert_eq!(refused(&servers(&[1, 0])), Error::NoWeight("s1".to_owned()));
    assert_eq!(refused(&servers(&[u32::MAX, 1])), Error::TooHeavy);
    assert_eq!(refused(&[server("a", 1), server("bb", 1), server("a", 2)]), Error::SameName("a".to_owned()));
    for weights in [&[1; MAX_SERVERS][..], &[u32::MAX], &[u32::MAX - 1, 1]] {
        assert!(Ring::new(&servers(weights), Distribution::Modula, Hash::Md5, None).is_ok());
    }
}

#[test]
fn what_stands_in_the_tag_decides() {
    let mut ring =
        Ring::new(&servers(&[1, 1, 1, 1]), Distribution::Ketama, Hash::Fnv1a64, Some(*b"{}")).unwrap();
    let mut plain = Ring::new(&servers(&[1, 1, 1, 1]), Distribution::Ketama, Hash::Fnv1a64, None).unwrap();
    let live = Live::all(4);
    for (key, part) in [
        ("{user7}:name", "user7"),
        ("a{b}{c}", "b"),
        ("a{b", "a{b"),
        ("a}b{c}", "c"),
        ("a{}b{c}", "a{}b{c}"),
        ("}{", "}{"),
        ("{", "{"),
        ("{{x}", "{x"),
    ] {
        // The name of the server says nothing about which part was taken: many of each do.
        for number in 0..50 {
            let key = key.replace(|c: char| c.is_ascii_alphanumeric(), &format!("k{number}"));
            let part = part.replace(|c: char| c.is_ascii_alphanumeric(), &format!("k{number}"));
            let found = ring.server_of(key.as_bytes(), &live, 0);
            assert_eq!(found, plain.server_of(part.as_bytes(), &live, 0), "{key}");
        }
    }
}
