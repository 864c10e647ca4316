//! Origins that break off, lie or are down: nothing of it is stored, nothing else suffers.

use std::time::Duration;

use fixture::{Answer, Nginx, Origin, Response, Setup, until};

pub(crate) fn cached(origin: &Origin) -> Setup {
    cached_with(origin, "")
}

pub(crate) fn cached_with(origin: &Origin, lines: &str) -> Setup {
    // Whatever comes whole is kept, whether it says so or not.
    let twice = "twice pages; twice_valid any 1h; proxy_http_version 1.1;";
    Nginx::twice().location("/", format!("{twice} {lines} proxy_pass {};", origin.url()))
}

pub(crate) const WHOLE: &str = "0123456789";

/// A cache that stores too late looks like one that stores nothing: first a good page must be a hit.
#[track_caller]
pub(crate) fn proves_hits(nginx: &Nginx, origin: &Origin) {
    origin.on("/good", Answer::page(WHOLE).chunked());
    nginx.get("/good").warm().assert(200, "HIT", WHOLE);
    let count = origin.count("/good");
    nginx.get("/good").send().assert(200, "HIT", WHOLE);
    assert_eq!(origin.count("/good"), count);
}

/// The answer is asked for each time anew, and a good one after it is stored in its place.
#[track_caller]
pub(crate) fn never_stored(nginx: &Nginx, origin: &Origin, path: &str, bad: Answer) -> Response {
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
pub(crate) fn head(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Twice-Control: max-age=60\r\n{lines}\r\n")
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
