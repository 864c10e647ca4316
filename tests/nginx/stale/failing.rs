//! Refreshes that bring no page, and those that may not begin.

use super::*;
use fixture::process::SIGQUIT;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const FAILED: &str = "a refresh brought no page";

#[test]
fn a_refresh_that_fails_leaves_the_stale_page() {
    let origin = Origin::start();
    let nginx = cached(&origin, SILENCE).start();
    let body = "new ".repeat(50_000);
    let never = Gate::new();
    let bad = [
        ("/503", Answer::new(503, "down").header("X-Twice-Control", "max-age=60"), "status 503"),
        ("/cut", Answer::page(body.clone()).truncated(100_000), "prematurely closed"),
        ("/reset", Answer::page(body.clone()).reset(100_000), "Connection reset"),
        ("/timeout", Answer::page("new").gate(&never), "upstream timed out"),
        ("/garbage", Answer::raw("garbage\r\n\r\n"), ""),
        ("/encoded", Answer::page("new").header("Content-Encoding", "gzip"), ""),
        ("/large", Answer::page("x".repeat(2 << 20)), ""),
        ("/endless", Answer::page("x".repeat(2 << 20)).chunked(), ""),
        ("/redirect", Answer::new(302, "").header("Location", "/login"), ""),
        ("/refused", Answer::new(403, "who are you?"), ""),
    ];
    nginx.expect_log(FAILED);
    for text in ["prematurely closed", "Connection reset", "no valid HTTP/1.0 header"] {
        nginx.allow_log(text);
    }
    for (path, answer, text) in bad {
        origin.on(path, short("old"));
        fill(&nginx, path);
        origin.on(path, answer);
        stale(&nginx, path).assert(200, "STALE", "old");
        origin.wait_count(path, 2);
        if text.starts_with("status") {
            until("the failure is told", || nginx.log_count(text) > 0);
        }
        for _ in 0..3 {
            let page = nginx.get(path).send();
            assert_eq!((page.status, page.text().as_str()), (200, "old"), "{path}: {page:?}");
        }
    }
    nginx.wait_log("upstream timed out");
    never.open();
    // When the origin is well again the page is renewed.
    origin.on("/503", Answer::page("new"));
    renewed(&nginx, "/503", "new");
}

#[test]
fn an_origin_that_is_down_is_asked_less_and_less() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx = cached(&origin, "").start();
    fill(&nginx, "/");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&asked);
    origin.handle("/", move |_| {
        times.lock().unwrap().push(Instant::now());
        Answer::new(503, "down")
    });
    nginx.expect_log(FAILED);
    until("it is asked three times", || {
        assert_eq!(nginx.get("/").send().text(), "old");
        asked.lock().unwrap().len() >= 3
    });
    // A pause begins after the answer: from one asking to the next it is as long at least, but for the clock's grain.
    let asked = asked.lock().unwrap();
    let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        pauses[0] >= Duration::from_millis(990) && pauses[1] >= Duration::from_millis(1990),
        "{pauses:?}"
    );
}

#[test]
fn a_page_that_may_not_be_stored_any_more_goes() {
    let origin = Origin::start();
    let nginx = cached(&origin, "").start();
    let over = [
        Answer::html("own").header("X-Twice-Control", "max-age=0"),
        Answer::html("own").header("Cache-Control", "private"),
        Answer::html("own").header("Cache-Control", "max-age=60").header("Set-Cookie", "a=b"),
        Answer::html("own"),
        Answer::new(404, "own"),
        Answer::new(410, "own").header("Cache-Control", "no-store"),
    ];
    for (n, answer) in over.into_iter().enumerate() {
        let path = format!("/{n}");
        origin.on(&path, short("old"));
        fill(&nginx, &path);
        origin.on(&path, answer);
        stale(&nginx, &path).assert(200, "STALE", "old");
        until("the page is gone", || nginx.get(&path).send().cache() == "MISS");
        assert_eq!(nginx.get(&path).send().text(), "own");
    }
}

#[test]
fn a_worker_that_leaves_ends_its_refreshes_first_and_begins_none() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    origin.on("/held", Answer::html("held"));
    let nginx = cached(&origin, "").start();
    fill(&nginx, "/");
    let gate = Gate::new();
    origin.on("/", Answer::page("new").gate(&gate));
    stale(&nginx, "/");
    gate.wait_arrived(1);
    nginx.reload();
    until("a worker is leaving", || !nginx.leaving_workers().is_empty());
    gate.open();
    until("the old workers are gone", || nginx.leaving_workers().is_empty());
    // What the old worker fetched is there, and nobody else has asked.
    nginx.get("/").send().assert(200, "HIT", "new");
    assert_eq!(origin.count("/"), 2);
}

#[test]
fn a_worker_that_must_go_does_not_wait_for_its_refreshes() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx = cached(&origin, "").main("worker_shutdown_timeout 200ms;").start();
    fill(&nginx, "/");
    let gate = Gate::new();
    origin.on("/", Answer::page("new").gate(&gate));
    stale(&nginx, "/");
    gate.wait_arrived(1);
    nginx.allow_log(FAILED);
    nginx.signal(SIGQUIT);
    // It ends with the gate still closed.
    nginx.finish();
    gate.open();
}

#[test]
fn a_worker_runs_so_many_refreshes_and_no_more() {
    let origin = Origin::start();
    origin.on("/*", short("old"));
    let nginx = cached(&origin, "").workers(1).start();
    let paths: Vec<_> = (0..80).map(|n| format!("/{n}")).collect();
    for path in &paths {
        fill(&nginx, path);
    }
    let gate = Gate::new();
    origin.on("/*", Answer::page("new").gate(&gate));
    nginx.expect_log("64 refreshes are running");
    until("pages are stale and refreshes run", || {
        for path in &paths {
            assert_eq!(nginx.get(path).send().text(), "old");
        }
        gate.arrived() >= 64
    });
    for path in &paths {
        nginx.get(path).send();
    }
    assert_eq!(gate.arrived(), 64);
    gate.open();
    for path in &paths {
        renewed(&nginx, path, "new");
    }
}

#[test]
fn visitors_come_first_where_connections_are_scarce() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx = cached(&origin, "").workers(1).start();
    fill(&nginx, "/");
    origin.on("/", Answer::page("new"));
    // Requests that never end take 490 of 512 connections: one sixteenth, 32, is not free any more.
    let crowd: Vec<_> = (0..490)
        .map(|_| {
            let mut one = nginx.raw();
            one.send("GET / HTTP/1.1\r\n");
            one
        })
        .collect();
    nginx.expect_log("connections are scarce");
    nginx.allow_log("worker_connections are not enough, reusing connections");
    until("the page is stale", || nginx.get("/").send().cache() == "UPDATING");
    assert_eq!(origin.count("/"), 1);
    drop(crowd);
    renewed(&nginx, "/", "new");
    assert_eq!(origin.count("/"), 2);
}
