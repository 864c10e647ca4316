//! Records which server real programs give a key to, for tests/pure/ring: nutcracker, and libmemcached by a small C
//! program beside this one.
//!
//! usage: placement LIBMEMCACHED_PROGRAM FOLDER

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::placement::{self, Case};
use fixture::{Memcached, Nutcracker};

/// Not in nutcracker's order, two of them without a port in their name. Whole 127.0.0.0/8 is this machine.
const ADDRESSES: [(&str, u16); 4] =
    [("127.0.1.3", 11_212), ("127.0.1.2", 11_211), ("127.0.1.14", 11_212), ("127.0.1.1", 11_211)];
const EQUAL: [&str; 4] =
    ["127.0.1.3:11212:1", "127.0.1.2:11211:1", "127.0.1.14:11212:1", "127.0.1.1:11211:1"];
const UNEQUAL: [&str; 4] =
    ["127.0.1.3:11212:2", "127.0.1.2:11211:7", "127.0.1.14:11212:1", "127.0.1.1:11211:3"];
const NAMED: [&str; 4] =
    ["127.0.1.3:11212:1 beta", "127.0.1.2:11211:1 alpha", "127.0.1.14:11212:1 cache", "127.0.1.1:11211:1 a1"];
/// One of them has too little for a single point.
const NAMED_UNEQUAL: [&str; 4] = [
    "127.0.1.3:11212:1000 beta",
    "127.0.1.2:11211:333 alpha",
    "127.0.1.14:11212:1 cache",
    "127.0.1.1:11211:77 a1",
];
const HASHES: [&str; 12] = [
    "one_at_a_time",
    "md5",
    "crc16",
    "crc32",
    "crc32a",
    "fnv1_64",
    "fnv1a_64",
    "fnv1_32",
    "fnv1a_32",
    "hsieh",
    "murmur",
    "jenkins",
];
const KEYS: usize = 10_000;

fn case(name: &str, distribution: &str, hash: &str, tag: Option<&str>, servers: [&str; 4]) -> Case {
    Case {
        name: name.to_owned(),
        distribution: distribution.to_owned(),
        hash: hash.to_owned(),
        tag: tag.map(str::to_owned),
        servers: servers.map(str::to_owned).to_vec(),
        placed: Vec::new(),
    }
}

fn cases_of_nutcracker() -> Vec<Case> {
    let mut cases = vec![
        case("equal weights", "ketama", "fnv1a_64", None, EQUAL),
        case("unequal weights", "ketama", "fnv1a_64", None, UNEQUAL),
        case("names", "ketama", "fnv1a_64", None, NAMED),
        case("names and unequal weights", "ketama", "fnv1a_64", None, NAMED_UNEQUAL),
        case("tag", "ketama", "fnv1a_64", Some("{}"), EQUAL),
        case("tag of equal letters", "ketama", "murmur", Some("$$"), UNEQUAL),
        case("modula, names", "modula", "fnv1a_64", None, NAMED),
        case("modula, tag", "modula", "fnv1a_64", Some("{}"), UNEQUAL),
    ];
    // Ketama looks at a hash's upper bits, modula at all of them.
    for hash in HASHES.iter().filter(|hash| **hash != "fnv1a_64") {
        cases.push(case(&format!("hash {hash}"), "ketama", hash, None, NAMED));
    }
    for hash in HASHES {
        cases.push(case(&format!("modula, hash {hash}"), "modula", hash, None, UNEQUAL));
    }
    cases
}

fn cases_of_libmemcached() -> Vec<Case> {
    let mut cases = vec![case("unequal weights, hash md5", "ketama", "md5", None, UNEQUAL)];
    // Those that Debian's library has.
    for hash in
        ["fnv1_64", "md5", "one_at_a_time", "crc32", "fnv1a_64", "fnv1_32", "fnv1a_32", "murmur", "jenkins"]
    {
        cases.push(case(&format!("equal weights, hash {hash}"), "ketama", hash, None, EQUAL));
    }
    cases
}

fn nutcracker(keys: &[String]) -> Vec<Case> {
    let servers: Vec<_> = ADDRESSES.iter().map(|(host, port)| Memcached::at(host, *port)).collect();
    let addresses: Vec<_> = servers.iter().map(Memcached::nutcracker_address).collect();
    let mut cases = cases_of_nutcracker();
    let pools: Vec<_> = cases.iter().map(|case| case.pool(&addresses)).collect();
    let proxy = Nutcracker::start(&pools);
    for (number, case) in cases.iter_mut().enumerate() {
        case.placed = placement::ask(proxy.port(number), &servers, keys, &format!("case {number}"));
    }
    cases
}

/// The program places the keys that it reads; no server runs.
fn libmemcached(program: &str, keys: &[String]) -> Vec<Case> {
    let mut cases = cases_of_libmemcached();
    for case in &mut cases {
        let mut command = Command::new(program);
        command.arg(&case.hash).args(&case.servers).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program of libmemcached");
        let mut input = child.stdin.take().expect("a pipe");
        let text = keys.join("\n") + "\n";
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = child.wait_with_output().expect("the program of libmemcached");
        writer.join().expect("a writer").expect("the program reads its keys");
        assert!(output.status.success(), "{case:?}");
        case.placed = output.stdout.iter().map(|digit| usize::from(digit - b'0')).collect();
        assert_eq!(case.placed.len(), keys.len());
    }
    cases
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [program, folder] = arguments.as_slice() else {
        eprintln!("usage: placement LIBMEMCACHED_PROGRAM FOLDER");
        std::process::exit(2);
    };
    let keys = placement::keys(KEYS);
    for (name, cases) in
        [("nutcracker.txt", nutcracker(&keys)), ("libmemcached.txt", libmemcached(program, &keys))]
    {
        let text: String = cases.iter().map(Case::write).collect();
        fs::write(Path::new(folder).join(name), text).expect("a file in the folder");
        println!("{name}: {} cases of {KEYS} keys", cases.len());
    }
}
