//! Sessions in memcached, and the keys that visitors' cookies make.

use super::*;
use fixture::{Liar, Memcached, until};

/// Sources whose records and numbers are in memcached.
fn stored_in(origin: &Origin, address: &str, options: &str) -> Setup {
    origin.on(
        "/",
        Answer::page(
            "<& get session login nobody &>|<& get session address.city - &>|<& get unread count 0 &>",
        ),
    );
    Nginx::twice()
        .figures()
        .http("twice_key $uri;")
        .http(format!("upstream kept {{ server {address}; }}"))
        .http(format!(
            "twice_source session memcached kept key=session_$cookie_persistent format=json timeout=10s {options};
             twice_source unread memcached kept key=unread$cookie_persistent ttl=60s timeout=10s;"
        ))
        .location("= /status", "stub_status;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
}

#[test]
fn sessions_and_numbers_by_the_same_cookie() {
    let origin = Origin::start();
    let server = Memcached::start();
    server.set("session_ann", &record("Ann"));
    server.set("unreadann", "7");
    server.set("session_bob", &record("Bob"));
    let nginx = stored_in(&origin, &server.address(), "").start();
    assert_eq!(page(&nginx, "ann").text(), "Ann|Ulm|7");
    assert_eq!(page(&nginx, "bob").text(), "Bob|Ulm|0");
    assert_eq!(page(&nginx, "eve").text(), "nobody|-|0");
    let asked = server.figure("cmd_get");
    all_got(&mut visits(&nginx, "ann"), "Ann|Ulm|7");
    all_got(&mut visits(&nginx, "eve"), "nobody|-|0");
    assert_eq!(server.figure("cmd_get"), asked, "all of it is remembered");
}

#[test]
fn a_cookie_is_decoded_once() {
    let origin = Origin::start();
    let server = Liar::start(Liar::truth(&[]));
    let nginx = stored_in(&origin, &server.address(), "").start();
    for (cookie, key) in [
        ("ann%2F1", "ann/1"),
        ("a%252Fb", "a%2Fb"),
        ("a+b", "a+b"),
        ("a%zzb%", "a%zzb%"),
        ("%E4%B8%96", "\u{4e16}"),
        ("\"quoted\"", "\"quoted\""),
    ] {
        let before = server.lines().len();
        assert_eq!(page(&nginx, cookie).text(), "nobody|-|0");
        let asked = server.lines().split_off(before);
        let mut keys: Vec<&str> = asked.iter().flat_map(|line| line.split(' ').skip(1)).collect();
        keys.sort_unstable();
        assert_eq!(keys, [format!("session_{key}"), format!("unread{key}")], "{cookie}");
    }
}

#[test]
fn no_cookie_speaks_to_the_server() {
    let origin = Origin::start();
    let server = Liar::start(Liar::truth(&[("session_ann", "{\"login\":\"Ann\"}")]));
    let nginx = stored_in(&origin, &server.address(), "").start();
    assert_eq!(nginx.get("/").warm().text(), "nobody|-|0");
    let asked = server.lines().len();
    let (long, longer) = ("x".repeat(250), "x".repeat(3000));
    let bad: [&[u8]; 12] = [
        b"a%0d%0aflush_all",
        b"a%0Aset%20session_ann%200%200%201%0D%0Ax",
        b"a b",
        b"a%20session_bob",
        b"a\tb",
        b"%00",
        b"a%7f",
        b"a\x01b",
        b"a\x7fb",
        b"%20",
        long.as_bytes(),
        longer.as_bytes(),
    ];
    let (bad_before, requests) =
        (figure(&nginx, "session", "bad_keys"), figure(&nginx, "session", "requests"));
    for cookie in bad {
        let mut client = nginx.raw();
        client.send([b"GET / HTTP/1.1\r\nHost: x\r\nCookie: persistent=", cookie, b"\r\n\r\n"].concat());
        let page = client.response();
        assert_eq!((page.status, page.text().as_str()), (200, "nobody|-|0"), "{}", cookie.escape_ascii());
    }
    assert_eq!(server.lines()[asked..], [] as [String; 0]);
    let counted = figure(&nginx, "session", "bad_keys") - bad_before;
    assert_eq!((counted, figure(&nginx, "session", "requests") - requests), (2 * bad.len() as u64, counted));
    assert_eq!(figure(&nginx, "unread", "bad_keys"), bad.len() as u64);
    assert_eq!(page(&nginx, "ann").text(), "Ann|-|0");
    for source in ["session", "unread"] {
        assert_balanced(&nginx, source);
    }
}

#[test]
fn a_broken_record_is_told_without_its_key_and_not_kept() {
    let origin = Origin::start();
    let server = Memcached::start();
    let nginx = stored_in(&origin, &server.address(), "").start();
    let started = std::time::Instant::now();
    nginx.expect_log("twice: a record of source \"session\" is no JSON");
    for (n, broken) in
        ["", "{", "{\"login\":\"Ann\"", "{'login':'Ann'}", "\u{feff}{}", "nothing"].into_iter().enumerate()
    {
        let visitor = format!("secretid{n}");
        server.set(&format!("session_{visitor}"), broken);
        all_got(&mut visits(&nginx, &visitor), "nobody|-|0");
        server.set(&format!("session_{visitor}"), &record("Ann"));
        assert_eq!(page(&nginx, &visitor).text(), "Ann|Ulm|0", "{broken:?}");
    }
    let lines = nginx.log_count("is no JSON") as u64;
    let most = 2 * (started.elapsed().as_secs() + 2);
    assert!(lines <= most, "{lines} lines, {most} would be one a second and worker");
    assert_eq!(nginx.log_count("secretid"), 0);
}

#[test]
fn keys_of_two_variables() {
    let origin = Origin::start();
    let server = Memcached::start();
    let nginx = stored_in(&origin, &server.address(), "")
        .http("twice_source cart memcached kept key=cart_$cookie_site/$cookie_persistent timeout=10s;")
        .location("= /forget/x", "twice pages; twice_mark_dirty 1; return 404;")
        .location("/forget", "twice_purge pages;")
        .start();
    origin.on("/cart", Answer::page("<& get cart items none &>"));
    server.set("cart_de/ann", "3");
    server.set("cart_fr/ann", "5");
    let cart = |cookies: &str| nginx.get("/cart").cookie(cookies).send().text();
    for _ in 0..3 {
        assert_eq!(cart("site=de; persistent=ann"), "3");
        assert_eq!(cart("persistent=ann; site=fr"), "5");
        assert_eq!(cart("persistent=ann"), "none");
        assert_eq!(cart("site=de"), "none");
        assert_eq!(cart("site=de; persistent=bob"), "none");
    }
    // No path says what both are.
    let refused = nginx.get("/forget/ann").header("X-Mark-Dirty", "cart").send();
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (400, "the path names no value of the source cart: the source's keys are made of several values\n")
    );
    assert_eq!(cart("site=de; persistent=ann"), "3");
    until("what is remembered goes with everything", || {
        server.set("cart_de/ann", "4");
        nginx.get("/forget").header("X-Mark-Dirty", "*").send();
        cart("site=de; persistent=ann") == "4"
    });
}
