//! `twice_use_stale`: an expired page in place of an origin's failure.

use std::thread;

use super::*;

/// Expired after a second, and kept.
fn over(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always;")
        .location("/", format!("twice pages; twice_stale_factor 1; {lines} proxy_pass {};", origin.url()))
}

/// Stores pages, and waits until their lifetime is over.
#[track_caller]
fn expire(nginx: &Nginx, origin: &Origin, paths: &[&str]) {
    origin.on("/clock", short("clock"));
    for path in paths {
        origin.on(path, short("old").header("ETag", "\"old\"").header("X-Own", "old"));
        nginx.get(path).send().assert(200, "MISS", "old");
    }
    // Stored after them, and so over after them.
    nginx.get("/clock").send();
    until("their lifetime is over", || nginx.get("/clock").send().cache() == "EXPIRED");
}

#[test]
fn a_failing_origin_is_stood_in_for() {
    let mut origin = Origin::start();
    let nginx = over(&origin, SILENCE).start();
    let never = Gate::new();
    let bad = [
        (
            "/500",
            Answer::new(500, "bad").header("X-Bad", "bad").header("Content-Type", "text/plain"),
            Some(500),
        ),
        ("/502", Answer::new(502, "bad"), Some(502)),
        ("/503", Answer::new(503, "bad".repeat(100_000)).header("Retry-After", "9"), Some(503)),
        ("/504", Answer::new(504, "bad").chunked(), Some(504)),
        ("/empty", Answer::new(503, ""), Some(503)),
        ("/cut", Answer::new(503, "bad".repeat(100)).truncated(10), Some(503)),
        ("/timeout", Answer::page("late").gate(&never), None),
        ("/closed", Answer::raw(""), None),
    ];
    let paths: Vec<_> = bad.iter().map(|row| row.0).chain(["/down"]).collect();
    expire(&nginx, &origin, &paths);
    for text in ["upstream timed out", "prematurely closed"] {
        nginx.allow_log(text);
    }
    for (path, answer, status) in bad {
        origin.on(path, answer);
        for _ in 0..2 {
            let page = nginx.get(path).send();
            page.assert(200, "STALE", "old");
            assert_eq!((page.reason(), page.header("X-Own")), ("origin_failed", Some("old")), "{path}");
            for name in ["X-Bad", "Retry-After"] {
                assert_eq!(page.header(name), None, "{path}");
            }
            let told = page.header("Cache-Status").unwrap();
            let status = status.map_or(String::new(), |status| format!("; fwd-status={status}"));
            assert!(
                told.starts_with(&format!("Twice; fwd=stale{status}; detail=origin_failed; ttl=")),
                "{told}"
            );
            assert_eq!(page.all("Content-Type"), ["text/html"], "{path}");
            assert_eq!(page.all("Content-Length"), ["3"], "{path}");
        }
    }
    never.open();
    nginx.expect_log("Connection refused");
    origin.stop();
    for _ in 0..3 {
        nginx.get("/down").send().assert(200, "STALE", "old");
    }
    origin.restart();
    origin.on("/down", Answer::page("new"));
    // It has failed others: it is tried again after a while.
    until("the origin is asked again", || nginx.get("/down").send().text() == "new");
}

#[test]
fn what_its_origin_has_taken_back_does_not_come_again() {
    let origin = Origin::start();
    let nginx = over(&origin, "").start();
    let forbidden = |value: &str| Answer::html("own").header("Cache-Control", value);
    let rows = [
        ("/404", Answer::new(404, "gone"), "", true),
        ("/410", Answer::new(410, "gone").header("Cache-Control", "no-store"), "", true),
        ("/known/404", Answer::new(404, "gone"), "name=Ann", true),
        ("/forbidden", forbidden("no-store"), "", true),
        // It may be so for one visitor alone.
        ("/known/forbidden", forbidden("private"), "name=Ann", false),
        ("/session", forbidden("max-age=60").header("Set-Cookie", "sid=1"), "", false),
        ("/403", Answer::new(403, "no"), "", false),
    ];
    let paths = rows.each_ref().map(|row| row.0);
    expire(&nginx, &origin, &paths);
    for (path, answer, cookie, ends) in rows {
        origin.on(path, answer);
        let ask = if cookie.is_empty() { nginx.get(path) } else { nginx.get(path).cookie(cookie) };
        assert_eq!(ask.send().cache(), "EXPIRED", "{path}");
        origin.on(path, Answer::new(503, "bad"));
        let page = nginx.get(path).send();
        let expected = if ends { (503, "MISS", "bad") } else { (200, "STALE", "old") };
        assert_eq!((page.status, page.cache(), page.text().as_str()), expected, "{path}");
    }
}

#[test]
fn each_word_says_for_what() {
    let mut origin = Origin::start();
    let never = Gate::new();
    let words = [
        "error",
        "timeout",
        "invalid_header",
        "http_500",
        "http_502",
        "http_503",
        "http_504",
        "http_403",
        "http_404",
        "http_429",
    ];
    let mut setup = over(&origin, "");
    for word in words.into_iter().chain(["off", "updating"]) {
        setup = setup.location(
            &format!("/{word}/"),
            format!(
                "twice pages; twice_stale_factor 1; twice_use_stale {word}; {SILENCE} proxy_pass {};",
                origin.url()
            ),
        );
    }
    let nginx = setup.start();
    let failures = |word: &str| match word {
        "timeout" => Answer::page("late").gate(&never),
        "invalid_header" => Answer::raw("HTTP/1.1 200 OK\r\n\0\r\n\r\n"),
        _ => Answer::new(word.trim_start_matches("http_").parse().unwrap_or(599), "bad"),
    };
    let all: Vec<_> = words.iter().copied().chain(["off", "updating"]).collect();
    let paths: Vec<_> =
        all.iter().flat_map(|place| words.iter().map(move |word| format!("/{place}/{word}"))).collect();
    expire(&nginx, &origin, &paths.iter().map(String::as_str).collect::<Vec<_>>());
    for text in ["upstream timed out", "upstream sent invalid header", "Connection refused"] {
        nginx.allow_log(text);
    }
    let ask = &|place: &str, word: &str| {
        let page = nginx.get(&format!("/{place}/{word}")).send();
        let served = (page.cache(), page.text().as_str()) == ("STALE", "old");
        assert!(served || page.cache() == "EXPIRED", "{page:?}");
        served
    };
    for word in words.into_iter().filter(|word| *word != "error") {
        // All at once: each waits for an origin that says nothing.
        thread::scope(|scope| {
            for place in &all {
                origin.on(&format!("/{place}/{word}"), failures(word));
                scope.spawn(move || assert_eq!(ask(place, word), *place == word, "{place} with {word}"));
            }
        });
    }
    never.open();
    origin.stop();
    for place in &all {
        assert_eq!(ask(place, "error"), *place == "error", "{place}");
    }
}

#[test]
fn nginxs_own_error_pages_stay_out() {
    let origin = Origin::start();
    let nginx = over(&origin, "proxy_intercept_errors on; error_page 502 503 404 /sorry.html;")
        .file("html/sorry.html", "sorry")
        .location("= /sorry.html", "root html;")
        .start();
    expire(&nginx, &origin, &["/503", "/404", "/closed"]);
    origin.on("/503", Answer::new(503, "bad"));
    origin.on("/404", Answer::new(404, "bad"));
    origin.on("/closed", Answer::raw(""));
    nginx.expect_log("prematurely closed");
    nginx.get("/503").send().assert(200, "STALE", "old");
    nginx.get("/closed").send().assert(200, "STALE", "old");
    // Where no page stands in they are what they were.
    assert_eq!(nginx.get("/404").send().text(), "sorry");
    origin.on("/new", Answer::new(503, "bad"));
    assert_eq!(nginx.get("/new").send().text(), "sorry");
}

#[test]
fn the_connection_stays_open() {
    let origin = Origin::start();
    let nginx = over(&origin, "twice_key $uri; proxy_intercept_errors on;").start();
    expire(&nginx, &origin, &["/"]);
    origin.on("/", Answer::new(500, "bad"));
    origin.on("/other", Answer::html("other"));
    let mut client = nginx.raw();
    for _ in 0..3 {
        client.get("/").response().assert(200, "STALE", "old");
        client.get("/other").response().assert(200, "MISS", "other");
    }
}

#[test]
fn it_is_a_page_like_any_other() {
    let origin = Origin::start();
    let nginx = over(&origin, "twice_key $uri;").http("gzip on; gzip_min_length 1;").http2().start();
    let text = "old <& get cookie username Guest &> ".repeat(1000);
    let told = |name: &str| text.replace("<& get cookie username Guest &>", name);
    expire(&nginx, &origin, &["/plain"]);
    origin.on("/tags", short(&text));
    nginx.get("/tags").send();
    until("its lifetime is over", || {
        origin.on("/tags", Answer::new(503, "bad"));
        nginx.get("/tags").send().cache() == "STALE"
    });
    origin.on("/plain", Answer::new(503, "bad".repeat(10)));
    let page = nginx.get("/tags").cookie("username=Ann").compressed().send();
    page.assert(200, "STALE", &told("Ann"));
    assert_eq!(page.header("Content-Encoding"), Some("gzip"));
    assert_eq!(page.header("Cache-Control"), Some("private, no-cache"));
    nginx.get_h2("/tags").cookie("username=Bob").send().assert(200, "STALE", &told("Bob"));
    // A range is not cut out of it.
    nginx.get("/plain").range("0-1").send().assert(200, "STALE", "old");
    nginx.get("/plain").head().send().assert(200, "STALE", "");
    assert_eq!(nginx.get("/plain").header("If-None-Match", "\"old\"").send().status, 304);
    nginx.get("/plain").http10().send().assert(200, "STALE", "old");
}

#[test]
fn the_next_origin_is_asked_first() {
    let (first, second) = (Origin::start(), Origin::start());
    let nginx = Nginx::twice()
        .http(format!(
            "upstream both {{ server 127.0.0.1:{} max_fails=0; server 127.0.0.1:{} backup; }}",
            first.port(),
            second.port()
        ))
        .location(
            "/",
            "twice pages; twice_stale_factor 1; proxy_next_upstream error http_503; proxy_pass http://both;",
        )
        .start();
    expire(&nginx, &first, &["/"]);
    first.on("/", Answer::new(503, "bad"));
    second.on("/", Answer::new(503, "bad"));
    nginx.get("/").send().assert(200, "STALE", "old");
    assert_eq!(second.count("/"), 1);
    second.on("/", Answer::page("second"));
    nginx.get("/").send().assert(200, "EXPIRED", "second");
}

#[test]
fn an_answer_may_state_how_long_it_may_stand_in() {
    let origin = Origin::start();
    let nginx = over(&origin, "")
        .location(
            "/off/",
            format!("twice pages; twice_stale_factor 1; twice_use_stale off; proxy_pass {};", origin.url()),
        )
        .start();
    let rows = [
        ("/never", "max-age=1, stale-if-error=0", "EXPIRED"),
        ("/long", "max-age=1, stale-if-error=3600", "STALE"),
        ("/off/stated", "max-age=1, stale-if-error=3600", "STALE"),
        ("/off/silent", "max-age=1", "EXPIRED"),
    ];
    for (path, control, _) in rows {
        origin.on(path, Answer::html("old").header("X-Twice-Control", control));
        nginx.get(path).send();
    }
    origin.on("/must", Answer::html("old").header("Cache-Control", "max-age=1, must-revalidate"));
    nginx.get("/must").send();
    expire(&nginx, &origin, &[]);
    for (path, _, cache) in rows.into_iter().chain([("/must", "", "EXPIRED")]) {
        origin.on(path, Answer::new(503, "bad"));
        nginx.get(path).send().assert_cache(cache);
    }
}

#[test]
fn a_content_handlers_own_failure_is_one_too() {
    let origin = Origin::start();
    // proxy_pass finds nothing to connect to.
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; twice_stale_factor 1; set $to 127.0.0.1:{}; if ($http_x_away) {{ set $to \"\"; }} proxy_pass http://$to;", origin.port()))
        .start();
    expire(&nginx, &origin, &["/"]);
    nginx.expect_log("invalid URL prefix");
    nginx.get("/").header("X-Away", "1").send().assert(200, "STALE", "old");
}

#[test]
fn an_origin_that_hangs_holds_up_two_visitors_and_nobody_after_them() {
    let origin = Origin::start();
    origin.on("/", Answer::html("old").header("X-Twice-Control", "max-age=1"));
    let lines = format!("twice pages; twice_stale_factor 1; {SILENCE} proxy_next_upstream off;");
    let nginx =
        Nginx::twice().location("/", format!("{lines} proxy_pass {};", origin.url())).figures().start();
    nginx.get("/").send().assert(200, "MISS", "old");
    until("it has expired", || nginx.get("/").head().send().cache() == "EXPIRED");
    let gate = Gate::new();
    origin.on("/", Answer::html("new").header("X-Twice-Control", "max-age=60").gate(&gate));
    let before = origin.requests("/").iter().filter(|request| request.method == "GET").count();
    let asked = || origin.requests("/").iter().filter(|request| request.method == "GET").count() - before;
    until("the page stands in without the origin being asked", || {
        let count = asked();
        let page = nginx.get("/").send();
        page.assert(200, "STALE", "old");
        assert_eq!(page.reason(), "origin_failed");
        asked() == count
    });
    assert!(asked() >= 2, "{}", asked());
    nginx.expect_log("upstream timed out");
    gate.open();
    until("one that tries again brings the new page", || nginx.get("/").send().text() == "new");
}
