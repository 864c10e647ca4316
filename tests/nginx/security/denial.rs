//! Denial of service: section 4 of the list of attacks, a story for each row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use fixture::{Answer, Gate, Nginx, Origin, Received, Request, process, until};

use super::{cached, cached_with, not_shared, proves_hits};
use crate::broken_origins::{self, WHOLE};
use crate::collapse::{collapsing, crowd};
use crate::zone::{self, ask, own_pages, page_of};

/// An origin that answers 400 to what it does not like; the next visitor must not get that.
#[track_caller]
fn error_is_not_kept(
    likes: impl Fn(&Received) -> bool + Send + Sync + 'static,
    evil: impl Fn(Request) -> Request,
) {
    let origin = Origin::start();
    origin.handle(
        "/u",
        move |request| {
            if likes(request) { Answer::page("good") } else { Answer::new(400, "bad") }
        },
    );
    let nginx = cached(&origin).server("large_client_header_buffers 4 16k;").start();
    let evil = evil(nginx.get("/u"));
    for _ in 0..2 {
        assert_eq!(evil.send().status, 400);
    }
    nginx.get("/u").send().assert(200, "MISS", "good");
    nginx.get("/u").warm().assert(200, "HIT", "good");
}

#[test]
fn cpdos_hho() {
    error_is_not_kept(
        |request| request.header("X-Oversize").is_none_or(|value| value.len() < 4_000),
        |request| request.header("X-Oversize", &"z".repeat(6_000)),
    );
}

/// nginx's own work: its own 400 is no page.
#[test]
fn cpdos_header_20k() {
    let origin = Origin::start();
    origin.on("/u", Answer::page("good"));
    let nginx = cached(&origin).start();
    for _ in 0..2 {
        assert_eq!(nginx.get("/u").header("X-Oversize", &"z".repeat(20_000)).send().status, 400);
    }
    assert_eq!(origin.count("/u"), 0);
    nginx.get("/u").send().assert(200, "MISS", "good");
    nginx.get("/u").warm();
    assert_eq!(nginx.get("/u").header("X-Oversize", &"z".repeat(20_000)).send().status, 400);
    nginx.get("/u").send().assert(200, "HIT", "good");
}

#[test]
fn cpdos_hmc() {
    for meta in ["a\u{7}b", "a\u{1b}b", "a\u{1}b"] {
        error_is_not_kept(
            |request| request.header("X-Meta").is_none_or(|value| value.bytes().all(|b| b >= b' ')),
            |request| request.header("X-Meta", meta),
        );
    }
}

#[test]
fn cpdos_hmo() {
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        error_is_not_kept(
            move |request| request.header(name).is_none(),
            |request| request.header(name, "DELETE"),
        );
    }
}

/// Errors that say themselves that they may be kept.
#[test]
fn cpdos_explicit() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        let status = request.path()[1..].parse().unwrap();
        let good = request.header("X-Big").is_none();
        Answer::new(if good { 200 } else { status }, "x").header("Cache-Control", "max-age=60")
    });
    let nginx = cached(&origin).start();
    for status in [400, 403, 405, 408, 413, 414, 429, 431, 500, 501, 502, 503] {
        let path = format!("/{status}");
        assert_eq!(nginx.get(&path).header("X-Big", "1").send().status, status);
        nginx.get(&path).send().assert(200, "MISS", "x");
        nginx.get(&path).warm();
    }
}

/// Whoever says so, by whichever header: these are the moment's, or one visitor's.
#[test]
fn status_poisoning_explicit() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid any 1h;").start();
    proves_hits(&nginx, &origin);
    for status in [307, 401, 407, 408, 413, 428, 429, 431, 500, 501, 502, 503, 504, 599] {
        for (folder, name, value) in [
            ("control", "X-Twice-Control", "max-age=60"),
            ("cache", "Cache-Control", "public, max-age=60"),
            ("expires", "Expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
            // The location says so.
            ("valid", "X-None", "none"),
        ] {
            let path = format!("/{folder}/{status}");
            origin.on(&path, Answer::new(status, "x").header(name, value));
            assert_eq!(not_shared(&origin, &path, &nginx.get(&path), &nginx.get(&path)).reason(), "status");
        }
    }
    // Those that are of use, and stay the same.
    for status in [203, 301, 308, 404, 410] {
        let path = format!("/good/{status}");
        origin.on(&path, Answer::new(status, "x").header("Cache-Control", "max-age=60"));
        nginx.get(&path).warm().assert(status, "HIT", "x");
    }
}

#[test]
fn status_poisoning() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let statuses = [
        201, 202, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 408, 410, 413, 414,
        429, 431, 451, 500, 501, 502, 503, 504,
    ];
    for status in statuses {
        let path = format!("/{status}");
        origin.on(&path, Answer::new(status, "x").header("Location", "/y"));
        not_shared(&origin, &path, &nginx.get(&path), &nginx.get(&path));
    }
}

/// A page has a bounded number of variants, and they push out each other, not other pages.
#[test]
fn vary_explosion() {
    let origin = Origin::start();
    origin.handle("/u", |request| {
        Answer::page(request.header("X-V").unwrap_or("none").to_owned()).header("Vary", "X-V")
    });
    origin.on("/other/*", Answer::page("other"));
    let nginx = cached_with(&origin, "twice_max_variants 16;").figures().start();
    for n in 0..50 {
        nginx.get(&format!("/other/{n}")).warm();
    }
    let mut raw = nginx.raw();
    for n in 0..400 {
        let host = format!("127.0.0.1:{}", nginx.port());
        raw.send(format!("GET /u HTTP/1.1\r\nHost: {host}\r\nX-V: {n}\r\n\r\n"));
        raw.response().assert(200, "MISS", &n.to_string());
    }
    for n in 0..50 {
        nginx.get(&format!("/other/{n}")).send().assert(200, "HIT", "other");
    }
    // 50 pages, the rules and 16 variants.
    let pages = nginx.figure("pages");
    assert!(pages <= 50 + 1 + 16, "{pages} pages");
}

/// Ten times what the zone holds passes through it: nobody sees an error, room is made, and what is used stays.
#[test]
fn many_keys() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x".repeat(3_000)));
    let nginx = zone::cached(&origin, "pages 1m max_object=64k").figures().start();
    let mut raw = nginx.raw();
    ask(&mut raw, "/hot");
    let mut n: u64 = 1;
    for _ in 0..3_500 {
        // xorshift: the same keys each time.
        n ^= n << 13;
        n ^= n >> 7;
        n ^= n << 17;
        let page = ask(&mut raw, &format!("/{n:x}?{n}={}", "k".repeat((n % 300) as usize)));
        assert_eq!((page.status, page.cache()), (200, "MISS"));
        if n.is_multiple_of(8) {
            ask(&mut raw, "/hot").assert_cache("HIT");
        }
    }
    assert_eq!(origin.count("/hot"), 1);
    let (pages, evicted) = (nginx.figure("pages"), nginx.figure("evicted"));
    assert!(evicted >= 9 * pages, "{pages} pages, {evicted} evicted");
}

/// It passes through whole, and a worker keeps no more of it than it could store.
#[test]
fn oversize_body() {
    /// In KB: what a worker may need more than before, and what it would if it kept the body.
    const MORE: usize = 12 << 10;
    const BODY: usize = 24 << 10;
    let origin = Origin::start();
    let huge = "0123456789abcdef".repeat(BODY << 6);
    let plain = Answer::page(huge.clone()).header("X-Twice-Control", "no-tags");
    origin.on("/length", plain.clone());
    origin.on("/chunks", plain.chunked());
    origin.on("/tags", Answer::page(huge.clone()).chunked());
    let nginx = Nginx::bare()
        .http("twice_zone large 64m max_object=1m; add_header X-Cache $twice_cache_status always;")
        .location(
            "/",
            format!(
                "twice large; proxy_max_temp_file_size 0; proxy_http_version 1.1; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    broken_origins::proves_hits(&nginx, &origin);
    let peaks = || nginx.workers().into_iter().map(process::peak_memory).collect::<Vec<_>>();
    let before = peaks();
    for path in ["/length", "/chunks", "/tags"] {
        for _ in 0..2 {
            let page = nginx.get(path).send();
            page.assert_cache("MISS");
            assert!(page.body == huge.as_bytes(), "{path}: {} bytes", page.body.len());
        }
        for (before, after) in before.iter().zip(peaks()) {
            if let Some((before, after)) = before.zip(after) {
                assert!(after < before + MORE, "{path}: {after} KB after {before} KB");
            }
        }
    }
    nginx.get("/good").send().assert(200, "HIT", WHOLE);
}

/// Origins that drip or say nothing delay nobody who asks for another page, and those who wait for the same page no longer
/// than they are to.
#[test]
fn slow_upstream() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/slow/*", Answer::page(WHOLE).gate_at(3, &gate));
    origin.on("/silent/*", Answer::page(WHOLE).gate(&gate));
    origin.on("/other/*", Answer::page("other"));
    let lines = "proxy_buffering off; twice_lock_timeout 50ms;";
    let nginx = broken_origins::cached_with(&origin, lines).start();
    broken_origins::proves_hits(&nginx, &origin);
    let paths: Vec<String> = (0..20).map(|n| format!("/{}/{n}", ["slow", "silent"][n % 2])).collect();
    let waiting: Vec<_> = paths.iter().map(|path| nginx.get(path).spawn()).collect();
    gate.wait_arrived(20);
    for n in 0..10 {
        let fast = |path: &str| nginx.get(path).arg("--max-time").arg("5").send();
        fast("/good").assert(200, "HIT", WHOLE);
        fast(&format!("/other/{n}")).assert(200, "MISS", "other");
        fast(&format!("/other/{n}")).assert(200, "HIT", "other");
    }
    // For these somebody else's fetch goes on: they ask for themselves.
    let again: Vec<_> = paths.iter().take(2).map(|path| nginx.get(path).spawn()).collect();
    gate.wait_arrived(22);
    assert!(waiting.iter().all(|one| !one.is_finished()));
    gate.open();
    for one in waiting.into_iter().chain(again) {
        one.join().unwrap().assert(200, "MISS", WHOLE);
    }
    for path in &paths {
        nginx.get(path).send().assert(200, "HIT", WHOLE);
    }
}

/// Twenty at once make one fetch, and all go on, whatever becomes of it.
#[test]
fn stampede() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").start();
    let private = Answer::html("own").header("Cache-Control", "private, max-age=60");
    for (path, answer, status, fetches) in [
        ("/good", Answer::page("good"), 200, 1),
        ("/private", private, 200, 20),
        ("/failing", Answer::new(503, "no"), 503, 20),
    ] {
        let gate = Gate::new();
        origin.on(path, answer.gate(&gate));
        until("the round before has ended", || nginx.pending() == 0);
        let mut clients = crowd(&nginx, &origin, path, 20);
        gate.open();
        for client in &mut clients {
            assert_eq!(client.response().status, status, "{path}");
        }
        assert_eq!(origin.count(path), fetches, "{path}");
    }
    nginx.get("/good").send().assert(200, "HIT", "good");
}

/// CVE-2011-3192: parts that are more than the whole. nginx's filter of ranges works on hits: it gives the whole.
#[test]
fn range_flood() {
    let origin = Origin::start();
    origin.on("/u", Answer::page("0123456789"));
    let nginx = cached(&origin).server("large_client_header_buffers 4 16k;").start();
    nginx.get("/u").warm();
    let many = vec!["0-"; 1_000].join(",");
    nginx.get("/u").range(&many).send().assert(200, "HIT", "0123456789");
    nginx.get("/u").range("2-4").send().assert(206, "HIT", "234");
}

/// CVE-2017-7529: a part that begins before the page, or far behind it.
#[test]
fn range_overflow() {
    let origin = Origin::start();
    origin.on("/u", Answer::page("0123456789"));
    let nginx = cached(&origin).start();
    nginx.get("/u").warm();
    for (range, status, body) in [
        ("-5", 206, Some("56789")),
        ("-11", 206, Some("0123456789")),
        ("-9223372036854775608", 206, Some("0123456789")),
        ("-9223372036854775608,-17208", 200, Some("0123456789")),
        ("10-", 416, None),
        ("9223372036854775807-", 416, None),
        ("99999999999999999999-", 416, None),
        ("5-2", 416, None),
    ] {
        let page = nginx.get("/u").range(range).send();
        assert!(page.status == status || page.status == 416, "{range}: {page:?}");
        if page.status != 416 {
            assert_eq!((page.cache(), Some(page.text().as_str())), ("HIT", body), "{range}");
        }
        nginx.get("/u").send().assert(200, "HIT", "0123456789");
    }
}

#[test]
fn max_age_overflow() {
    let origin = Origin::start();
    let nginx = cached(&origin).http("add_header X-Ttl $twice_ttl always;").start();
    let workers = nginx.workers();
    nginx.allow_log("twice: response header");
    let large = [
        "2147483647",
        "2147483648",
        "4294967297",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "10000000000000000000000",
    ];
    for (kind, name) in [("control", "X-Twice-Control"), ("cache", "Cache-Control")] {
        for (n, value) in large.into_iter().enumerate() {
            let path = format!("/{kind}/{n}");
            origin.on(&path, Answer::html("x").header(name, format!("max-age={value}")));
            let ttl: u64 = nginx.get(&path).warm().header("X-Ttl").unwrap().parse().unwrap();
            assert!((1 << 31) - ttl.min(1 << 31) <= 20 && ttl <= 1 << 31, "{name} {value}: {ttl}");
        }
        for (n, value) in ["-1", "1e9", "0x10", "", "+60", "60s"].into_iter().enumerate() {
            let path = format!("/{kind}/none/{n}");
            origin.on(&path, Answer::html("x").header(name, format!("max-age={value}")));
            not_shared(&origin, &path, &nginx.get(&path), &nginx.get(&path));
        }
    }
    assert_eq!(nginx.workers(), workers);
}

/// Workers die at any moment, holding the zone's lock or not. That one dies in the middle of a change is rare here:
/// `tests/pure/store/crash.rs` cuts a change at every single write, and `scripts/torture` kills workers there.
#[test]
fn lock_poisoning() {
    let origin = Origin::start();
    own_pages(&origin, 30_000);
    let nginx = Arc::new(zone::cached(&origin, "pages 2m").start());
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|client: usize| {
            let (nginx, stop, served) = (Arc::clone(&nginx), Arc::clone(&stop), Arc::clone(&served));
            thread::spawn(move || {
                let mut n = client;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let path = format!("/{}", (n * 13) % 120);
                    // Those whose worker dies see an end; nobody sees another's page.
                    let page = nginx.get(&path).try_send();
                    if page.exit == 0 {
                        assert_eq!(page.status, 200, "{page:?}");
                        assert!(page.body == page_of(&path, 30_000).as_bytes(), "{path} {}", page.cache());
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for round in 0..6 {
        let before = served.load(Ordering::Relaxed);
        until("visitors are served", || served.load(Ordering::Relaxed) >= before + 10);
        let workers = nginx.workers();
        nginx.kill_worker(workers[round % workers.len()]);
    }
    let before = served.load(Ordering::Relaxed);
    until("visitors are served", || served.load(Ordering::Relaxed) >= before + 10);
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    // Every worker, the new ones too, stores and serves; room is made as before.
    let mut raw = nginx.raw();
    for n in 1_000..1_150 {
        let path = format!("/{n}");
        let page = ask(&mut raw, &path);
        assert_eq!((page.status, page.cache()), (200, "MISS"), "{path}");
        assert_eq!(ask(&mut raw, &path).cache(), "HIT", "{path}");
    }
    let mut seen: Vec<u32> = Vec::new();
    until("each worker serves what is stored", || {
        let page = nginx.get("/1149").header("Host", "localhost").send();
        page.assert_cache("HIT");
        seen.push(page.worker());
        nginx.workers().iter().all(|pid| seen.contains(pid))
    });
}
