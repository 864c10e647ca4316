//! What an app says in its headers and a location in its directives: whether an answer is stored, and for how long.

mod sharing;
mod words;

use fixture::{Answer, Nginx, Origin, Response, Setup, until_some};

fn cached(origin: &Origin) -> Setup {
    cached_with(origin, "")
}

fn cached_with(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always; add_header X-Page-Age $twice_age always;")
        .location("/", format!("twice pages; {lines} proxy_pass {};", origin.url()))
}

/// Each answer at a path of its own: `/folder/0`, `/folder/1`, ...
fn each(origin: &Origin, folder: &str, answers: impl IntoIterator<Item = Answer>) -> Vec<String> {
    let paths = answers.into_iter().enumerate().map(|(n, answer)| {
        let path = format!("/{folder}/{n}");
        origin.on(&path, answer);
        path
    });
    paths.collect()
}

/// Not stored, and for this reason: every request comes to the origin.
#[track_caller]
fn never_stored(nginx: &Nginx, origin: &Origin, path: &str, reason: &str) -> Response {
    let mut last = Response::default();
    for count in 1..=3 {
        last = nginx.get(path).send();
        assert_eq!((last.cache(), last.reason()), ("MISS", reason), "{path}: {last:?}");
        assert_eq!(origin.count(path), count, "{path}: {last:?}");
    }
    last
}

/// Stored, for about so long.
#[track_caller]
pub fn stored(nginx: &Nginx, path: &str, seconds: u64) -> Response {
    let page = nginx.get(path).warm();
    let ttl: u64 = page.header("X-Ttl").unwrap_or_default().parse().unwrap_or(0);
    assert!(ttl <= seconds && ttl + 10 >= seconds, "{path}: {ttl} s, expected {seconds}: {page:?}");
    page
}

fn control(value: &str) -> Answer {
    Answer::html("x").header("X-Twice-Control", value)
}

fn caching(value: &str) -> Answer {
    Answer::html("x").header("Cache-Control", value)
}

#[test]
fn the_control_header_is_read_leniently() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let values = [
        "max-age=60",
        "MAX-AGE=60",
        "Max-Age = 60",
        "max-age=\"60\"",
        "  max-age=60  ",
        "max-age=60; no-such=1",
        "max-age=60;no-such",
        "no-such=\"a, max-age=5; b\", max-age=60",
        "stale-while-revalidate=9,max-age=60,,;",
        ";;,max-age=60",
        "max-age=060",
        "max-age=60, max-age=90",
    ];
    for (path, value) in each(&origin, "x", values.map(control)).iter().zip(values) {
        let page = stored(&nginx, path, 60);
        assert_eq!((page.reason(), page.header("X-Twice-Control")), ("hit", None), "{value}");
    }
    origin.on("/lines", control("max-age=90").header("x-twice-control", "max-age=60"));
    stored(&nginx, "/lines", 60);
}

#[test]
fn a_lifetime_that_is_no_number_counts_as_not_given() {
    let origin = Origin::start();
    let nginx = cached(&origin)
        .location("/valid/", format!("twice pages; twice_valid 50s; proxy_pass {};", origin.url()))
        .start();
    let values = [
        "max-age=abc",
        "max-age=-1",
        "max-age=",
        "max-age",
        "max-age=0x10",
        "max-age=1.5",
        "max-age=60s",
        "max-age=+1",
        "max-age=\"",
        "max-age=1 2",
    ];
    for (path, value) in each(&origin, "x", values.map(control)).iter().zip(values) {
        never_stored(&nginx, &origin, path, "no_lifetime");
        nginx.expect_log(&format!(
            "\"X-Twice-Control: {}\" holds no number of seconds, taken as not given",
            value.escape_default()
        ));
        // As if it were not there: the location's own lifetime holds, or what ordinary headers say.
        origin.on(&format!("/valid{path}"), control(value));
        stored(&nginx, &format!("/valid{path}"), 50);
    }
    origin.on("/plain", control("max-age=abc").header("Cache-Control", "max-age=40"));
    stored(&nginx, "/plain", 40);
    nginx.expect_log("holds no number of seconds, taken as not given");
    // The good one of two counts.
    origin.on("/two", control("max-age=abc, max-age=40"));
    stored(&nginx, "/two", 40);
}

#[test]
fn a_lifetime_that_is_too_large_saturates() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    const MOST: u64 = 1 << 31;
    let values = [
        "4294967297",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "10000000000000000000000",
    ];
    let answers = values.iter().map(|value| control(&format!("max-age={value}")));
    for path in each(&origin, "x", answers) {
        stored(&nginx, &path, MOST);
        nginx.get(&path).send().assert(200, "HIT", "x");
    }
    nginx.expect_log("holds a number that is too large, taken as 2147483648 seconds");
    origin.on("/most", control("max-age=2147483647"));
    stored(&nginx, "/most", MOST - 1);
    origin.on("/s", caching("s-maxage=99999999999999999999999999"));
    stored(&nginx, "/s", MOST);
}

#[test]
fn a_lifetime_of_zero_is_not_stored() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid 1h;").start();
    let answers = [
        control("max-age=0"),
        control("max-age=00"),
        control("max-age=60, max-age=0"),
        caching("max-age=0"),
        caching("s-maxage=0, max-age=60"),
        Answer::html("x").header("Expires", "0"),
        Answer::html("x").header("Expires", "Thu, 01 Jan 1970 00:00:01 GMT"),
        Answer::html("x").header("Expires", "tomorrow"),
        Answer::new(404, "x").header("X-Twice-Control", "max-age=0"),
    ];
    for path in each(&origin, "x", answers) {
        never_stored(&nginx, &origin, &path, "zero_lifetime");
    }
}

#[test]
fn without_a_lifetime_nothing_is_stored() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let answers = [
        Answer::html("x"),
        control("no-tags"),
        control(""),
        caching("public"),
        Answer::html("x").header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT").header("ETag", "\"x\""),
        Answer::new(404, "x"),
        Answer::new(301, "x").header("Location", "/y"),
    ];
    for path in each(&origin, "x", answers) {
        never_stored(&nginx, &origin, &path, "no_lifetime");
    }
}

#[test]
fn a_missing_page_is_kept_for_thirty_seconds() {
    let origin = Origin::start();
    let nginx = cached(&origin)
        .location("/valid/", format!("twice pages; twice_valid 404 5m; proxy_pass {};", origin.url()))
        .start();
    for (path, value, seconds) in
        [("/a", "max-age=600", 30), ("/b", "", 30), ("/c", "max-age=20", 20), ("/d", "no-tags", 30)]
    {
        origin.on(path, Answer::new(404, "gone").header("X-Twice-Control", value));
        stored(&nginx, path, seconds).assert(404, "HIT", "gone");
    }
    origin.on("/valid/a", Answer::new(404, "gone").header("X-Twice-Control", "max-age=600"));
    stored(&nginx, "/valid/a", 600).assert(404, "HIT", "gone");
    origin.on("/valid/b", Answer::new(404, "gone").header("X-Twice-Control", ""));
    stored(&nginx, "/valid/b", 300).assert(404, "HIT", "gone");
    origin.on("/valid/c", Answer::new(404, "gone"));
    stored(&nginx, "/valid/c", 300).assert(404, "HIT", "gone");
}

#[test]
fn some_statuses_are_never_stored() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid any 1h; proxy_http_version 1.1;").start();
    let never = [206, 303, 307, 401, 403, 407, 408, 413, 428, 429, 431, 500, 501, 502, 503, 504, 505, 599];
    for status in never {
        let path = format!("/{status}");
        let answer = Answer::new(status, "x").header("Content-Type", "text/html");
        origin.on(&path, answer.clone().header("X-Twice-Control", "max-age=60"));
        let page = never_stored(&nginx, &origin, &path, "status");
        assert_eq!((page.status, page.text().as_str()), (status, "x"));
        let path = format!("/plain{status}");
        origin.on(&path, answer.header("Cache-Control", "public, max-age=60"));
        never_stored(&nginx, &origin, &path, "status");
    }
    // Without being asked for: an origin's own mistake.
    nginx.expect_log("status 304 has come though no condition was sent");
    origin.on("/304", Answer::new(304, "").header("X-Twice-Control", "max-age=60"));
    assert_eq!(never_stored(&nginx, &origin, "/304", "status").status, 502);
    origin.on("/304", Answer::page("whole"));
    nginx.get("/304").warm().assert(200, "HIT", "whole");
}

#[test]
fn a_status_that_may_be_stored_is_stored_with_all_it_says() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    for status in [200, 203, 300, 301, 302, 308, 404, 410] {
        let path = format!("/{status}");
        let answer =
            Answer::new(status, "x").header("Content-Type", "text/html").header("Location", "/there");
        origin.on(&path, answer.header("X-Twice-Control", "max-age=25"));
        let miss = nginx.get(&path).send();
        assert_eq!((miss.status, miss.cache(), miss.header("Location")), (status, "MISS", Some("/there")));
        let hit = stored(&nginx, &path, 25);
        hit.assert(status, "HIT", "x");
        assert_eq!(hit.header("Location"), Some("/there"), "{hit:?}");
    }
}

#[test]
fn a_status_that_ordinary_headers_do_not_store() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    for status in [300, 302, 400, 403, 405, 414, 418, 451] {
        let path = format!("/{status}");
        origin.on(
            &path,
            Answer::new(status, "x").header("Cache-Control", "max-age=60").header("Location", "/y"),
        );
        never_stored(&nginx, &origin, &path, "status");
    }
}

#[test]
fn the_locations_lifetimes_hold_where_the_app_states_none() {
    let origin = Origin::start();
    let lines = "twice_valid 404 410 20s; twice_valid 10m; twice_valid 410 1h; twice_valid 203 0;";
    let nginx = cached_with(&origin, lines)
        .location(
            "/any/",
            format!("twice pages; twice_valid 302 2m; twice_valid any 3m; proxy_pass {};", origin.url()),
        )
        .start();
    for (status, seconds) in [(200, 600), (301, 600), (302, 600), (404, 20), (410, 20)] {
        let path = format!("/{status}");
        origin.on(&path, Answer::new(status, "x").header("Location", "/y"));
        stored(&nginx, &path, seconds).assert(status, "HIT", "x");
        let path = format!("/any/{status}");
        origin.on(&path, Answer::new(status, "x").header("Location", "/y"));
        stored(&nginx, &path, if status == 302 { 120 } else { 180 });
    }
    origin.on("/203", Answer::new(203, "x"));
    never_stored(&nginx, &origin, "/203", "zero_lifetime");
    origin.on("/418", Answer::new(418, "x"));
    never_stored(&nginx, &origin, "/418", "no_lifetime");
    // What the app states goes first.
    origin.on("/own", control("max-age=40"));
    stored(&nginx, "/own", 40);
    origin.on("/cc", caching("max-age=40"));
    stored(&nginx, "/cc", 40);
}

#[test]
fn ordinary_headers_steer_where_the_control_header_does_not() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let good = [
        caching("max-age=60"),
        caching("public, MAX-AGE=\"60\""),
        caching("max-age=10, s-maxage=60"),
        caching("public").header("Cache-Control", "max-age=60"),
        caching("max-age=60").header("Expires", "0"),
        caching("s-maxage=60").header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
        caching("must-revalidate, max-age=60"),
    ];
    for path in each(&origin, "good", good) {
        let page = stored(&nginx, &path, 60);
        assert!(page.header("Cache-Control").is_some(), "{page:?}");
    }
    let bad = [
        "private",
        "no-store",
        "no-cache",
        "max-age=60, private",
        "NO-STORE, max-age=60",
        "private=\"\", max-age=60",
        "private=\"Content-Type\", max-age=60",
        "max-age=60, x=\"never closed",
        "public,no-store;max-age=60",
    ];
    let two_lines = caching("max-age=60").header("Cache-Control", "private");
    for path in each(&origin, "bad", bad.map(caching).into_iter().chain([two_lines])) {
        never_stored(&nginx, &origin, &path, "cache_control");
    }
    origin.on("/year", Answer::html("x").header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"));
    nginx.get("/year").warm();
}

#[test]
fn the_control_header_outranks_what_is_written_for_other_caches() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let values = ["private", "no-store, no-cache, must-revalidate", "max-age=0", "max-age=5"];
    for (n, value) in values.into_iter().enumerate() {
        let path = format!("/{n}");
        origin.on(&path, control("max-age=60").header("Cache-Control", value).header("Expires", "0"));
        let page = stored(&nginx, &path, 60);
        assert_eq!((page.header("Cache-Control"), page.header("Expires")), (Some(value), Some("0")));
    }
}

#[test]
fn an_expired_page_is_fetched_anew() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_stale_factor 1;").start();
    origin.on("/", control("max-age=1"));
    nginx.get("/").warm();
    origin.on("/", Answer::html("new").header("X-Twice-Control", "max-age=60"));
    let expired = until_some("the page expires", || {
        let page = nginx.get("/").send();
        (page.cache() != "HIT").then_some(page)
    });
    expired.assert(200, "EXPIRED", "new");
    assert_eq!(expired.header("Cache-Status"), Some("Twice; fwd=stale; stored"));
    nginx.get("/").send().assert(200, "HIT", "new");
    assert_eq!(origin.last("/").header("If-None-Match"), None);
}

#[test]
fn age_and_time_to_live_are_told() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    origin.on("/", Answer::page("x").header("Age", "1000").header("Cache-Status", "Inner; hit"));
    let miss = nginx.get("/").send();
    assert_eq!((miss.header("X-Page-Age"), miss.header("X-Ttl")), (None, Some("3600")));
    assert_eq!(miss.all("Cache-Status"), ["Inner; hit", "Twice; fwd=uri-miss; stored"]);
    let page = until_some("the page is a second old", || {
        let page = nginx.get("/").warm();
        (page.header("X-Page-Age") != Some("0")).then_some(page)
    });
    let age: u64 = page.header("X-Page-Age").unwrap().parse().unwrap();
    let ttl: u64 = page.header("X-Ttl").unwrap().parse().unwrap();
    assert_eq!(page.all("Age"), [age.to_string()], "{page:?}");
    // What is left of a second was still its own.
    assert!(age + ttl == 3600 || age + ttl == 3599, "{page:?}");
    assert_eq!(page.all("Cache-Status"), [format!("Twice; hit; ttl={ttl}")]);
}
