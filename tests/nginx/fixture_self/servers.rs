//! The fixture's memcached and nutcracker.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use fixture::folder::{free_port, take_port};
use fixture::{Memcached, Nutcracker, Pool};

#[test]
fn a_memcached_keeps_values_on_a_port_and_on_a_socket() {
    for server in [Memcached::start(), Memcached::on_a_socket()] {
        assert_eq!(server.get("a"), None);
        server.set("a", "1");
        assert_eq!(server.get("a").as_deref(), Some("1"));
        assert_eq!(server.client().increment("a", 2).unwrap(), 3);
        assert_eq!(server.figure("get_hits"), 1);
        assert_eq!(server.figure("get_misses"), 1);
        assert!(server.delete("a"));
    }
}

#[test]
fn it_comes_back_empty_at_the_same_place() {
    for mut server in [Memcached::start(), Memcached::on_a_socket()] {
        let address = server.address();
        server.set("a", "1");
        server.stop();
        server.restart();
        assert_eq!(server.get("a"), None);
        server.set("a", "1");
        server.kill();
        server.restart();
        assert_eq!(server.get("a"), None);
        assert_eq!(server.address(), address);
    }
}

#[test]
fn a_frozen_one_answers_when_it_is_let_go_on() {
    let server = Memcached::start();
    server.freeze();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the kernel accepts");
    stream.write_all(b"version\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut answer = [0; 7];
    assert_eq!(stream.read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);
    server.thaw();
    stream.set_read_timeout(Some(fixture::patience())).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"VERSION");
}

#[test]
fn a_nutcracker_stands_before_several() {
    let servers = [Memcached::start(), Memcached::on_a_socket()];
    let names: Vec<_> = servers.iter().map(|server| format!("{}:1", server.nutcracker_address())).collect();
    let proxy = Nutcracker::start(&[
        Pool::over(&names).line("distribution: modula").line("hash: crc32"),
        Pool::over(&names[..1]),
    ]);
    let keys: Vec<_> = (0..20).map(|number| format!("key{number}")).collect();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port(0))).unwrap();
    for key in &keys {
        stream.write_all(format!("set {key} 0 0 1\r\nx\r\n").as_bytes()).unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"STORED\r\n");
    }
    for key in &keys {
        let holders = servers.iter().filter(|server| server.get(key).is_some()).count();
        assert_eq!(holders, 1, "{key}");
    }
    for server in &servers {
        assert!(server.figure("curr_items") > 0);
    }
    fixture::until("nutcracker has counted", || {
        let figures = proxy.figures();
        let pool = figures["pool0"].as_object().unwrap();
        pool.values().filter_map(|server| server["requests"].as_u64()).sum::<u64>() == 20
    });
}

#[test]
fn a_port_is_free_for_a_server_whoever_else_has_tried_it() {
    let port = free_port();
    // As a process has it that is just being started, until it runs its program.
    let _tried = take_port(port).expect("it was free");
    let _server = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    assert!(take_port(port).is_none(), "somebody listens there");
}
