//! Origins that break off, lie or are down: nothing of it is stored, nothing else suffers.

use std::time::Duration;

use fixture::{Answer, Gate, Nginx, Origin, Response, Setup, nginx_version, until};

fn cached(origin: &Origin) -> Setup {
    cached_with(origin, "")
}

fn cached_with(origin: &Origin, lines: &str) -> Setup {
    // Whatever comes whole is kept, whether it says so or not.
    let twice = "twice pages; twice_valid any 1h; proxy_http_version 1.1;";
    Nginx::twice().location("/", format!("{twice} {lines} proxy_pass {};", origin.url()))
}

const WHOLE: &str = "0123456789";

/// A cache that stores too late looks like one that stores nothing: first a good page must be a hit.
#[track_caller]
fn proves_hits(nginx: &Nginx, origin: &Origin) {
    origin.on("/good", Answer::page(WHOLE).chunked());
    nginx.get("/good").warm().assert(200, "HIT", WHOLE);
    let count = origin.count("/good");
    nginx.get("/good").send().assert(200, "HIT", WHOLE);
    assert_eq!(origin.count("/good"), count);
}

/// The answer is asked for each time anew, and a good one after it is stored in its place.
#[track_caller]
fn never_stored(nginx: &Nginx, origin: &Origin, path: &str, bad: Answer) -> Response {
    origin.on(path, bad);
    let mut last = Response::default();
    for count in 1..=3 {
        last = nginx.get(path).try_send();
        assert_ne!(last.cache(), "HIT", "{path}: {last:?}");
        assert_eq!(origin.count(path), count, "{path}: {last:?}");
    }
    origin.on(path, Answer::page(WHOLE));
    nginx.get(path).send().assert(200, "MISS", WHOLE);
    nginx.get(path).warm().assert(200, "HIT", WHOLE);
    last
}

/// A whole head for an answer of raw bytes.
fn head(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Twice-Control: max-age=60\r\n{lines}\r\n")
}

#[test]
fn an_answer_that_is_cut_short_is_never_stored() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    nginx.expect_log("upstream prematurely closed connection while reading upstream");
    let chunk_cut = head("Transfer-Encoding: chunked\r\n") + "a\r\n01234";
    let no_last_chunk = head("Transfer-Encoding: chunked\r\n") + "a\r\n0123456789\r\n";
    let last_chunk_cut = head("Transfer-Encoding: chunked\r\n") + "a\r\n0123456789\r\n0\r\n";
    for (path, bad, text) in [
        ("/length", Answer::page(WHOLE).truncated(5), "01234"),
        ("/empty", Answer::page(WHOLE).truncated(0), ""),
        ("/chunked", Answer::page(WHOLE).chunked().truncated(5), "01234"),
        ("/in-chunk", Answer::raw(chunk_cut), "01234"),
        ("/no-last-chunk", Answer::raw(no_last_chunk), WHOLE),
        ("/last-chunk-cut", Answer::raw(last_chunk_cut), WHOLE),
        ("/large", Answer::page("x".repeat(300_000)).truncated(299_999), ""),
    ] {
        let page = never_stored(&nginx, &origin, path, bad);
        // The client is told: its connection ends before the body does.
        assert_ne!(page.exit, 0, "{path}: {page:?}");
        if !text.is_empty() {
            assert_eq!(page.text(), text, "{path}");
        }
    }
}

#[test]
fn a_page_with_tags_that_is_cut_short_is_never_stored() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    nginx.expect_log("upstream prematurely closed connection while reading upstream");
    let page = "Hello <& get arg name Guest &>, and more";
    for (path, after) in [("/in-tag", 15), ("/behind-tag", 35), ("/before-tag", 3)] {
        for chunked in [false, true] {
            let path = format!("{path}-{chunked}");
            let answer = Answer::page(page).truncated(after);
            let page = never_stored(&nginx, &origin, &path, if chunked { answer.chunked() } else { answer });
            assert_ne!(page.exit, 0, "{path}: {page:?}");
        }
    }
}

#[test]
fn an_answer_that_is_cut_in_its_header_is_never_stored() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    nginx.expect_log("upstream prematurely closed connection while reading response header");
    for (path, bytes) in [
        ("/nothing", ""),
        ("/status", "HTTP/1.1 200"),
        ("/header", "HTTP/1.1 200 OK\r\nX-Twice-Control: max-age=60\r\nContent-Le"),
        ("/end", "HTTP/1.1 200 OK\r\nX-Twice-Control: max-age=60\r\n"),
    ] {
        let page = never_stored(&nginx, &origin, path, Answer::raw(bytes));
        assert_eq!((page.status, page.reason()), (502, "status"), "{path}: {page:?}");
    }
}

#[test]
fn a_bad_chunk_is_never_stored() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let chunked = head("Transfer-Encoding: chunked\r\n");
    for (path, body) in [
        ("/size", "zz\r\n0123456789\r\n0\r\n\r\n"),
        ("/later", "5\r\n01234\r\nzz\r\n56789\r\n0\r\n\r\n"),
        ("/negative", "-5\r\n01234\r\n0\r\n\r\n"),
        ("/huge", "ffffffffffffffffff\r\n01234\r\n0\r\n\r\n"),
        ("/long", "5\r\n0123456789\r\n0\r\n\r\n"),
    ] {
        never_stored(&nginx, &origin, path, Answer::raw(chunked.clone() + body));
    }
    nginx.expect_log("upstream sent invalid chunked response");
}

#[test]
fn a_reset_is_never_stored() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    for (path, bad) in [
        ("/no-length", Answer::page(WHOLE).until_close().reset(10)),
        ("/no-length-cut", Answer::page(WHOLE).until_close().reset(5)),
        ("/length", Answer::page(WHOLE).reset(5)),
        ("/chunked", Answer::page(WHOLE).chunked().reset(5)),
        ("/head", Answer::page(WHOLE).reset(0)),
    ] {
        let page = never_stored(&nginx, &origin, path, bad);
        assert_ne!((page.exit, page.text().as_str()), (0, WHOLE), "{path}: {page:?}");
    }
    nginx.expect_log("Connection reset by peer");
    // An end without a length can't be told from the whole.
    origin.on("/closed", Answer::page(WHOLE).until_close());
    nginx.get("/closed").warm().assert(200, "HIT", WHOLE);
}

#[test]
fn what_follows_an_answers_end_belongs_to_nobody() {
    let origin = Origin::start();
    let second = "HTTP/1.1 200 OK\r\nX-Twice-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil";
    origin.on("/split", Answer::raw(head("Content-Length: 4\r\n") + "good" + second));
    origin.on(
        "/split-chunked",
        Answer::raw(head("Transfer-Encoding: chunked\r\n") + "4\r\ngood\r\n0\r\n\r\n" + second),
    );
    origin.handle("/other/*", |request| Answer::page(format!("own {}", request.path())));
    let nginx = Nginx::twice()
        .http(format!("upstream app {{ server 127.0.0.1:{}; keepalive 8; }}", origin.port()))
        .location(
            "/",
            "twice pages; proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\";",
        )
        .start();
    proves_hits(&nginx, &origin);
    for path in ["/split", "/split-chunked"] {
        for _ in 0..3 {
            let page = nginx.get(path).send();
            assert_eq!((page.status, page.text().as_str()), (200, "good"), "{page:?}");
        }
        for n in 0..6 {
            let other = format!("/other{path}/{n}");
            nginx.get(&other).send().assert(200, "MISS", &format!("own {other}"));
        }
    }
    nginx.expect_log("upstream sent more data than specified in \"Content-Length\" header");
    nginx.expect_log("upstream sent data after final chunk");
}

#[test]
fn an_answer_with_two_framings_is_right_or_refused() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let refused = nginx_version() >= (1, 23, 0);
    let both = head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "a\r\n0123456789\r\n0\r\n\r\n";
    origin.on("/both", Answer::raw(both.clone()));
    if refused {
        assert_eq!(never_stored(&nginx, &origin, "/both", Answer::raw(both)).status, 502);
        nginx.expect_log("headers at the same time");
    } else {
        nginx.get("/both").send().assert(200, "MISS", WHOLE);
        nginx.get("/both").send().assert(200, "HIT", WHOLE);
    }
    for (path, lines, body) in [
        ("/short-first", "Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
        ("/long-first", "Content-Length: 4\r\nContent-Length: 3\r\n", "abcd"),
    ] {
        let page = never_stored(&nginx, &origin, path, Answer::raw(head(lines) + body));
        if refused {
            assert_eq!(page.status, 502, "{path}: {page:?}");
        }
    }
    nginx.expect_log(if refused {
        "upstream sent duplicate header line"
    } else {
        "upstream sent more data than"
    });
}

#[test]
fn a_header_with_a_nul_is_refused() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    for (path, line) in [
        ("/value", "X-A: a\0b\r\n"),
        ("/name", "X\0A: b\r\n"),
        ("/control", "X-Twice-Control: max-age=6\0\r\n"),
    ] {
        let bad = Answer::raw(head(&format!("{line}Content-Length: 4\r\n")) + "evil");
        assert_eq!(never_stored(&nginx, &origin, path, bad).status, 502, "{path}");
    }
    nginx.expect_log("upstream sent invalid header");
}

#[test]
fn an_answer_without_a_header_is_never_stored() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    origin.on("/", Answer::raw("just a body, nothing more\r\n"));
    for count in 1..=3 {
        // nginx passes it on as it came, or refuses it (502, since 1.29).
        let mut raw = nginx.raw();
        raw.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let text = String::from_utf8_lossy(&raw.rest()).into_owned();
        assert!(!text.contains("HIT"), "{text}");
        assert_eq!(origin.count("/"), count, "{text}");
    }
    nginx.expect_log("upstream sent no valid HTTP/1.0 header");
    origin.on("/", Answer::page(WHOLE));
    nginx.get("/").send().assert(200, "MISS", WHOLE);
}

#[test]
fn trailers_are_dropped() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let bytes = head("Transfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n")
        + "a\r\n0123456789\r\n0\r\nSet-Cookie: sid=1\r\nX-Twice-Control: max-age=9\r\n\r\n";
    origin.on("/", Answer::raw(bytes));
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/").raw().send();
        assert_eq!((page.cache(), page.header("Set-Cookie")), (cache, None), "{page:?}");
        assert!(page.text().contains(WHOLE) && !page.text().contains("sid"), "{page:?}");
    }
}

#[test]
fn a_client_that_leaves_leaves_nothing_partial() {
    let origin = Origin::start();
    // Where others may wait for the page, the fetch goes on: see the stories of collapsing.
    let nginx = cached_with(&origin, "proxy_buffering off; twice_lock off;")
        .location(
            "/stays/",
            format!("twice pages; proxy_ignore_client_abort on; proxy_pass {};", origin.url()),
        )
        .start();
    proves_hits(&nginx, &origin);
    let body = "<& get arg v &>x".repeat(4_000);
    let shown = "x".repeat(4_000);
    for (path, tags) in [("/tags", true), ("/plain", false), ("/stays/tags", true), ("/stays/plain", false)] {
        let gate = Gate::new();
        let answer = if tags {
            Answer::page(body.clone())
        } else {
            Answer::page(body.clone()).header("X-Twice-Control", "no-tags")
        };
        origin.on(path, answer.clone().gate_at(20_000, &gate));
        let left = nginx.log_count("Connection reset by peer");
        let mut raw = nginx.raw();
        raw.get(path);
        gate.wait_arrived(1);
        raw.reset();
        if !path.starts_with("/stays") {
            until("nginx sees it leave", || nginx.log_count("Connection reset by peer") > left);
        }
        gate.open();
        origin.on(path, answer);
        // Whole or nothing.
        let whole = if tags { &shown } else { &body };
        let next = nginx.get(path).send();
        assert!(next.text() == *whole, "{path}: {} of {} bytes", next.body.len(), whole.len());
        assert!(nginx.get(path).warm().text() == *whole, "{path}");
    }
}

#[test]
fn a_header_larger_than_64_kilobytes_is_kept_whole() {
    let origin = Origin::start();
    let large = "h".repeat(70_000);
    let many: Vec<String> = (0..50).map(|n| format!("{n}-{}", "v".repeat(100))).collect();
    let answer = |value: &str| Answer::page(WHOLE).header("X-Large", value);
    origin.on("/large", answer(&large));
    origin.on("/many", many.iter().fold(Answer::page(WHOLE), |answer, value| answer.header("X-Many", value)));
    let nginx =
        cached_with(&origin, "proxy_buffer_size 128k; proxy_buffers 8 128k; proxy_busy_buffers_size 256k;")
            .location("/small/", format!("twice pages; proxy_pass {};", origin.url()))
            .start();
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/large").send();
        page.assert(200, cache, WHOLE);
        assert!(page.header("X-Large") == Some(large.as_str()));
        let page = nginx.get("/many").send();
        page.assert(200, cache, WHOLE);
        assert!(page.all("X-Many").iter().eq(many.iter()), "{page:?}");
    }
    assert_eq!(never_stored(&nginx, &origin, "/small/x", answer(&large)).status, 502);
    nginx.expect_log("upstream sent too big header");
}

#[test]
fn a_page_larger_than_the_limit_passes_through_whole() {
    let origin = Origin::start();
    let large: String = (0..400_000).map(|n: u32| char::from(b'a' + (n % 23) as u8)).collect();
    let tagged = format!("<& get arg v none &>{large}");
    let nginx = Nginx::bare()
        .http(
            "twice_zone pages 16m max_object=300k;
add_header X-Cache $twice_cache_status always; add_header X-Reason $twice_reason always;",
        )
        .location("/", format!("twice pages; proxy_http_version 1.1; proxy_pass {};", origin.url()))
        .start();
    proves_hits(&nginx, &origin);
    let plain = Answer::page(large.clone()).header("X-Twice-Control", "no-tags");
    for (path, answer, body) in [
        ("/length", plain.clone(), large.clone()),
        ("/chunked", plain.clone().chunked().cut_at([1, 250_000, 310_000]), large.clone()),
        ("/closed", plain.until_close(), large.clone()),
        ("/tagged", Answer::page(tagged.clone()), tagged.replace("<& get arg v none &>", "none")),
        (
            "/tagged-chunked",
            Answer::page(tagged.clone()).chunked().cut_at([10, 290_000]),
            tagged.replace("<& get arg v none &>", "none"),
        ),
    ] {
        origin.on(path, answer);
        for count in 1..=2 {
            let page = nginx.get(path).send();
            assert!(page.body == body.as_bytes(), "{path}: {} of {} bytes", page.body.len(), body.len());
            assert_eq!((page.cache(), origin.count(path)), ("MISS", count), "{path}");
        }
    }
    assert_eq!(nginx.get("/length").send().reason(), "too_large");
    // One byte more or less.
    let limit = 300 * 1024;
    for (path, size, cache) in [("/fits", limit, "HIT"), ("/over", limit + 1, "MISS")] {
        origin.on(path, Answer::page("x".repeat(size)).header("X-Twice-Control", "no-tags").chunked());
        nginx.get(path).send().assert_cache("MISS");
        nginx.get(path).send().assert_cache(cache);
    }
}

#[test]
fn a_page_larger_than_the_zone_passes_through_whole() {
    let origin = Origin::start();
    let huge = "0123456789abcdef".repeat(1 << 19);
    origin.on("/", Answer::page(huge.clone()).chunked());
    let nginx = Nginx::bare()
        .http("twice_zone small 2m; add_header X-Cache $twice_cache_status always;")
        .location(
            "/",
            format!(
                "twice small; proxy_max_temp_file_size 0; proxy_http_version 1.1; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    proves_hits(&nginx, &origin);
    for _ in 0..2 {
        let page = nginx.get("/").send();
        page.assert_cache("MISS");
        assert!(page.body == huge.as_bytes(), "{} bytes", page.body.len());
    }
    nginx.get("/good").send().assert(200, "HIT", WHOLE);
}

#[test]
fn a_slow_origin_delays_nobody_else() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/slow/*", Answer::page(WHOLE).gate_at(3, &gate));
    origin.on("/silent/*", Answer::page(WHOLE).gate(&gate));
    origin.on("/other/*", Answer::page("other"));
    let nginx = cached_with(&origin, "proxy_buffering off;").start();
    proves_hits(&nginx, &origin);
    let paths: Vec<String> = (0..20).map(|n| format!("/{}/{n}", ["slow", "silent"][n % 2])).collect();
    let waiting: Vec<_> = paths.iter().map(|path| nginx.get(path).spawn()).collect();
    gate.wait_arrived(20);
    for n in 0..10 {
        let fast = |path: &str| nginx.get(path).arg("--max-time").arg("5").send();
        fast("/good").assert(200, "HIT", WHOLE);
        fast(&format!("/other/{n}")).assert(200, "MISS", "other");
        fast(&format!("/other/{n}")).assert(200, "HIT", "other");
    }
    assert!(waiting.iter().all(|one| !one.is_finished()));
    gate.open();
    for one in waiting {
        one.join().unwrap().assert(200, "MISS", WHOLE);
    }
    for path in &paths {
        nginx.get(path).send().assert(200, "HIT", WHOLE);
    }
}

#[test]
fn a_page_that_drips_byte_by_byte_is_stored_whole() {
    let origin = Origin::start();
    let page = "Hello <& get arg name Guest &>!";
    origin.on("/", Answer::page(page).chunked().cut_every(1).delay(Duration::from_millis(1)));
    let nginx = cached_with(&origin, "proxy_buffering off;").start();
    nginx.get("/?name=Ann").send().assert(200, "MISS", "Hello Ann!");
    nginx.get("/?name=Ann").warm().assert(200, "HIT", "Hello Ann!");
}

#[test]
fn an_origin_that_is_down_takes_no_page_with_it() {
    let mut origin = Origin::start();
    origin.on("/short", Answer::html(WHOLE).header("X-Twice-Control", "max-age=1"));
    let nginx = cached_with(&origin, "twice_stale_factor 1; twice_use_stale off;").start();
    proves_hits(&nginx, &origin);
    nginx.get("/short").warm();
    origin.stop();
    nginx.expect_log("Connection refused");
    for _ in 0..3 {
        nginx.get("/good").send().assert(200, "HIT", WHOLE);
        let down = nginx.get("/new").send();
        assert_eq!((down.status, down.cache(), down.reason()), (502, "MISS", "status"));
        // Not looked up, not refused: the origin is asked, and what it does not say is not stored.
        assert_eq!(nginx.get("/good").body("b").send().status, 502);
    }
    until("a page's time is over", || nginx.get("/short").send().cache() != "HIT");
    let down = nginx.get("/short").send();
    assert_eq!((down.status, down.cache()), (502, "EXPIRED"));
    origin.restart();
    origin.on("/short", Answer::page("back"));
    nginx.get("/short").send().assert(200, "EXPIRED", "back");
    nginx.get("/short").warm().assert(200, "HIT", "back");
    nginx.get("/good").send().assert(200, "HIT", WHOLE);
}

#[test]
fn errors_of_the_origin_never_replace_a_good_page() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_bypass $cookie_b;").start();
    proves_hits(&nginx, &origin);
    nginx.expect_log("upstream prematurely closed connection");
    for bad in [
        Answer::new(500, "broken").header("X-Twice-Control", "max-age=60"),
        Answer::new(503, "busy"),
        Answer::new(206, "0").header("Content-Range", "bytes 0-0/10").header("X-Twice-Control", "max-age=60"),
        Answer::new(429, "slow down").header("Cache-Control", "max-age=60"),
        Answer::page(WHOLE).truncated(3),
        Answer::page(WHOLE).chunked().truncated(3),
        Answer::raw(""),
    ] {
        origin.on("/good", bad);
        let count = origin.count("/good");
        let fetched = nginx.get("/good").cookie("b=1").try_send();
        assert_ne!(fetched.text(), WHOLE, "{fetched:?}");
        assert_eq!(origin.count("/good"), count + 1);
        nginx.get("/good").send().assert(200, "HIT", WHOLE);
    }
}

#[test]
fn a_page_of_tags_passes_through_nginxs_own_buffers() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    for count in [100, 1_000, 2_000, 4_000, 50_000] {
        let path = format!("/{count}");
        let body = "<& get arg v &>x".repeat(count);
        origin.on(&path, Answer::page(body.clone()));
        nginx.get(&path).arg("--max-time").arg("5").send().assert(200, "MISS", &"x".repeat(count));
    }
}
