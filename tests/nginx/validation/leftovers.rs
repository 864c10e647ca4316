//! What conditions, renewals, audits and clients that leave take is given back: a worker's memory, and all of the zone's.

use fixture::{Answer, Nginx, Origin, process, until};

use super::{ETAG, named, same, site, wait_over};

/// Pages of each kind.
const PAGES: u64 = 25;

/// What is in the zone, and what takes its bytes.
fn room(nginx: &Nginx) -> [u64; 6] {
    ["pages", "used_bytes", "free_bytes", "filling", "leaving", "sending"].map(|name| nginx.figure(name))
}

/// Each page of a kind, by this visitor.
fn visit(nginx: &Nginx, kind: &str, user: &str, check: impl Fn(fixture::Response)) {
    for n in 0..PAGES {
        check(nginx.get(&format!("/{kind}?{n}")).cookie(&format!("user={user}")).send());
    }
}

#[test]
fn after_a_purge_nothing_is_left_of_renewals_witnesses_and_clients_that_left() {
    let origin = Origin::start();
    origin.handle("/named", |request| match request.header("If-None-Match") {
        Some(ETAG) => same(),
        _ => named(&"n".repeat(5_000)),
    });
    origin.on("/audited", Answer::page("a".repeat(3_000)));
    origin.handle("/differs", |request| Answer::page(request.cookie("user").unwrap_or_default()));
    origin.on("/large", Answer::page("x".repeat(600_000)));
    let audited = format!("twice pages; twice_audit on; proxy_pass {};", origin.url());
    // curl and plain connections name the host in two ways.
    let nginx = site(&origin, "")
        .http("twice_key $request_uri;")
        .location("/audited", &audited)
        .location("/differs", &audited)
        .location("/_twice/purge", "twice_purge pages;")
        .listen_options("reuseport sndbuf=4k")
        .start();
    nginx.allow_log("two visitors were sent different ones");
    let empty = room(&nginx);
    for round in 1..=2 {
        visit(&nginx, "named", "Ann", |page| _ = page.assert_cache("MISS"));
        wait_over(&nginx, &origin);
        visit(&nginx, "named", "Ann", |page| _ = page.assert_cache("REVALIDATED"));
        for n in 0..PAGES {
            let page = nginx.get(&format!("/named?{n}")).header("If-None-Match", ETAG).send();
            assert_eq!((page.status, page.cache()), (304, "HIT"));
        }
        for kind in ["audited", "differs"] {
            visit(&nginx, kind, "Ann", |_| ());
        }
        until("there are witnesses", || nginx.figure("audit_waits") == 2 * PAGES * round);
        for kind in ["audited", "differs"] {
            visit(&nginx, kind, "Bob", |_| ());
        }
        until("they were heard", || nginx.figure("audit_differs") == PAGES * round);
        for n in 0..PAGES {
            nginx.get(&format!("/audited?{n}")).cookie("user=Eve").warm();
        }
        nginx.get("/large").warm();
        for _ in 0..4 {
            let mut client = nginx.raw();
            client.get("/large").response_head().assert_cache("HIT");
            client.reset();
        }
        assert!(nginx.figure("used_bytes") > empty[1]);
        nginx.get("/_twice/purge").method("POST").body(r#"{"all":true}"#).send();
        until("all room is given back", || room(&nginx) == empty);
    }
    assert_eq!(nginx.figure("revalidated"), 2 * PAGES);
}

/// More for each request than this, in bytes, and the connection's pool has grown.
const NOISE: usize = 48;

#[test]
fn thousands_of_conditions_on_one_connection_take_no_memory() {
    const REQUESTS: usize = 5_000;
    let origin = Origin::start();
    origin.on("/named", Answer::page("n".repeat(2_000)).header("ETag", ETAG));
    origin.on("/own", Answer::page("Hello <& get cookie user &>!"));
    origin.on("/audited", Answer::page("a".repeat(2_000)));
    let nginx = site(&origin, "")
        .http("twice_key $uri;")
        .server("keepalive_requests 1000000;")
        .location("/audited", format!("twice pages; twice_audit on; proxy_pass {};", origin.url()))
        .start();
    for user in ["user=Ann", "user=Bob"] {
        nginx.get("/audited").cookie(user).send();
    }
    for path in ["/named", "/own", "/audited"] {
        nginx.get(path).cookie("user=Bob").warm();
    }
    let own = nginx.get("/own").cookie("user=Ann").send();
    let own = format!("Cookie: user=Ann\r\nIf-None-Match: {}\r\n", own.header("ETag").unwrap());
    let same = format!("If-None-Match: \"other\", {ETAG}\r\n");
    let kinds = [
        ("GET", "/named", same.as_str(), 304),
        ("GET", "/named", "If-Match: \"other\"\r\n", 412),
        ("GET", "/named", "Range: bytes=1-5,7-9\r\n", 206),
        ("HEAD", "/named", "", 200),
        ("GET", "/own", own.as_str(), 304),
        ("GET", "/own", "Cookie: user=Eve\r\n", 200),
        ("GET", "/audited", "Cookie: user=Eve\r\n", 200),
    ];
    let mut client = nginx.raw();
    let mut ask = |number: usize| {
        let (method, path, lines, status) = kinds[number % kinds.len()];
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"));
        let answer = if method == "HEAD" { client.response_head() } else { client.response() };
        assert_eq!((answer.status, answer.cache()), (status, "HIT"), "{method} {path} {lines}");
        answer.worker()
    };
    let worker = (0..500).map(&mut ask).last().unwrap();
    let before = process::peak_memory(worker);
    assert!((0..REQUESTS).all(|number| ask(number) == worker));
    if let Some((before, after)) = before.zip(process::peak_memory(worker)) {
        let grown = (after - before) << 10;
        assert!(grown < NOISE * REQUESTS, "the worker has {grown} bytes more after {REQUESTS} requests");
    }
}
