//! What app, cache and client say to each other, and what none of them gets to see.

use fixture::{Answer, Origin, Response, until};

use super::{cached, cached_with, stored};

const INSIDE: [&str; 8] = [
    "X-Twice-Control",
    "Twice",
    "Twice-Cookies",
    "X-ABDependency",
    "X-App-Server",
    "Surrogate-Key",
    "Cache-Tag",
    "Twice-Guard",
];

fn nothing_of_ours(page: &Response) {
    for name in INSIDE {
        assert_eq!(page.header(name), None, "{page:?}");
    }
    assert_eq!(page.header("X-Kept"), Some("y"), "{page:?}");
}

#[test]
fn the_control_headers_never_reach_the_client() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_bypass $cookie_b; twice_no_store $cookie_n;").start();
    let long = "key ".repeat(500);
    let base = Answer::html("x")
        .header("x-twice-control", "max-age=60")
        .header("TWICE", "true")
        .header("X-App-Server", "app7")
        .header("Surrogate-Key", long)
        .header("surrogate-key", "more")
        .header("Cache-Tag", "a,b")
        .header("Twice-Guard", "d41d8cd98f00b204")
        .header("X-Kept", "y");
    origin.on("/stored", base.clone().header("Twice-Cookies", "").header("X-ABDependency", ""));
    origin.on("/not", base.header("Twice-Cookies", "a").header("X-ABDependency", "t"));
    for path in ["/stored", "/not"] {
        nothing_of_ours(&nginx.get(path).send());
        for request in [
            nginx.get(path),
            nginx.get(path).head(),
            nginx.get(path).body("b"),
            nginx.get(path).method("OPTIONS"),
            nginx.get(path).cookie("b=1"),
            nginx.get(path).cookie("n=1"),
            nginx.get(path).range("0-0"),
        ] {
            nothing_of_ours(&request.send());
        }
    }
    let hit = nginx.get("/stored").warm();
    nothing_of_ours(&hit);
}

#[test]
fn the_headers_may_be_renamed() {
    let origin = Origin::start();
    let nginx = cached_with(
        &origin,
        "twice_headers control=X-Keep-For request=X-Fill; twice_headers cookies=X-By purge=X-Drop;",
    )
    .start();
    origin.on(
        "/",
        Answer::html("<& get cookie a &>")
            .header("x-keep-for", "max-age=60")
            .header("X-Twice-Control", "max-age=5"),
    );
    let request = nginx
        .get("/")
        .cookie("a=1")
        .header("X-Fill", "no")
        .header("X-Drop", "*")
        .header("X-Mark-Dirty", "mine")
        .header("Twice", "mine");
    request.send().assert(200, "MISS", "1");
    let page = stored(&nginx, "/", 60);
    // The names that are free again are nobody's business.
    assert_eq!((page.header("X-Keep-For"), page.header("X-Twice-Control")), (None, Some("max-age=5")));
    let asked = origin.last("/");
    assert_eq!((asked.header("X-Fill"), asked.header("X-Drop")), (Some("true"), None));
    let asked = &origin.requests("/")[0];
    assert_eq!((asked.header("X-Mark-Dirty"), asked.header("Twice")), (Some("mine"), Some("mine")));
    origin.on("/by", Answer::html("x").header("X-Keep-For", "max-age=60").header("X-By", "sid"));
    for cookie in ["sid=1", "sid=2"] {
        nginx.get("/by").cookie(cookie).send().assert(200, "MISS", "x");
        nginx.get("/by").cookie(cookie).send().assert(200, "HIT", "x");
    }
}

#[test]
fn the_app_is_told_once_whatever_the_client_says() {
    let origin = Origin::start();
    origin.on("/*", Answer::html("x"));
    let nginx = cached_with(&origin, "twice_bypass $cookie_b;").start();
    let hostile = |path: &str| {
        let request =
            nginx.get(path).header("twice", "false").header("TWICE", "2").header("X-ABValue", "t:1");
        request
            .header("X-Mark-Dirty", "*")
            .header("X-Geo", "xx")
            .header("X-Twice-Control", "max-age=1")
            .header("X-Own", "kept")
    };
    for request in [
        hostile("/get"),
        hostile("/post").body("b"),
        hostile("/put").method("PUT").body("b"),
        hostile("/head").head(),
        hostile("/options").method("OPTIONS"),
        hostile("/bypass").cookie("b=1"),
        hostile("/body").method("GET").body("b"),
        hostile("/upgrade").header("Upgrade", "x"),
    ] {
        request.send();
    }
    for path in ["/get", "/post", "/put", "/head", "/options", "/bypass", "/body", "/upgrade"] {
        let asked = origin.last(path);
        let marks: Vec<_> =
            asked.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("twice")).collect();
        assert_eq!(marks, [&("Twice".to_owned(), "true".to_owned())], "{path}");
        for name in ["X-Mark-Dirty", "X-ABValue", "X-Geo", "X-Twice-Control"] {
            assert_eq!(asked.header(name), None, "{path}");
        }
        assert_eq!(asked.header("X-Own"), Some("kept"), "{path}");
    }
    for (path, body) in [("/post", "b"), ("/put", "b"), ("/body", "b"), ("/get", "")] {
        assert_eq!(origin.last(path).body, body.as_bytes(), "{path}");
    }
}

#[test]
fn what_would_make_an_answer_one_clients_own_stays_behind() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("0123456789"));
    let nginx = cached_with(&origin, "twice_bypass $cookie_b;").start();
    let own = [
        ("Range", "bytes=1-2"),
        ("If-Range", "\"x\""),
        ("If-Match", "\"x\""),
        ("If-None-Match", "\"x\""),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Accept-Encoding", "gzip"),
        ("Cache-Control", "no-cache"),
    ];
    let with_own =
        |path: &str| own.iter().fold(nginx.get(path), |request, (name, value)| request.header(name, value));
    with_own("/get").header("User-Agent", "me").header("X-Own", "kept").try_send();
    with_own("/bypass").cookie("b=1").try_send();
    for path in ["/get", "/bypass"] {
        let asked = origin.last(path);
        for (name, _) in own {
            assert_eq!(asked.header(name), None, "{path}");
        }
    }
    let asked = origin.last("/get");
    assert_eq!((asked.header("User-Agent"), asked.header("X-Own")), (Some("me"), Some("kept")));
    assert_eq!(origin.last("/bypass").cookie("b"), Some("1"));
    for path in ["/get", "/bypass"] {
        nginx.get(path).warm().assert(200, "HIT", "0123456789");
    }
    with_own("/post").body("b").try_send();
    with_own("/head").head().try_send();
    for path in ["/post", "/head"] {
        let asked = origin.last(path);
        for (name, value) in own {
            assert_eq!(asked.header(name), Some(value), "{path}");
        }
    }
}

#[test]
fn other_methods_pass_through() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        Answer::page(format!("{} {} <& get arg v &>", request.method, String::from_utf8_lossy(&request.body)))
    });
    let nginx = cached(&origin).start();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "PURGE", "BREW"] {
        for count in 1..=2 {
            let path = format!("/{method}");
            let page = nginx.get(&format!("{path}?v=7")).method(method).body("data").send();
            page.assert(200, "", &format!("{method} data 7"));
            assert_eq!((page.reason(), origin.count(&path)), ("method", count));
            assert_eq!(page.header("Cache-Status"), Some("Twice; fwd=method; detail=method"));
            assert_eq!(page.header("X-Twice-Control"), None);
        }
        // Nothing of it is a GET's answer.
        let path = format!("/{method}?v=7");
        nginx.get(&path).send().assert(200, "MISS", "GET  7");
        nginx.get(&path).warm();
        nginx.get(&path).method(method).body("data").send().assert(200, "", &format!("{method} data 7"));
    }
}

#[test]
fn a_head_is_answered_from_the_store_and_never_stored() {
    let origin = Origin::start();
    origin.on("/", Answer::page("0123456789"));
    let nginx = cached(&origin).start();
    for count in 1..=2 {
        let head = nginx.get("/").head().send();
        assert_eq!((head.status, head.cache(), head.reason()), (200, "MISS", "head"), "{head:?}");
        assert_eq!((origin.count("/"), origin.last("/").method.as_str()), (count, "HEAD"));
    }
    nginx.get("/").send().assert(200, "MISS", "0123456789");
    nginx.get("/").warm().assert(200, "HIT", "0123456789");
    let head = nginx.get("/").head().send();
    assert_eq!((head.cache(), head.header("Content-Length")), ("HIT", Some("10")));
}

#[test]
fn the_reason_is_one_word() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let nginx = cached(&origin)
        .http("log_format reasons '$request_method $uri $twice_cache_status $twice_reason';")
        .location(
            "/log/",
            format!("twice pages; access_log access.log reasons; proxy_pass {};", origin.url()),
        )
        .location("/denied/", format!("twice pages; deny all; proxy_pass {};", origin.url()))
        .location(
            "/long/",
            format!("twice pages; twice_key $arg_k$arg_k$arg_k$arg_k$arg_k; proxy_pass {};", origin.url()),
        )
        .start();
    let mut reasons = Vec::new();
    for (request, reason) in [
        (nginx.get("/"), "recording"),
        (nginx.get("/"), "hit"),
        (nginx.get("/body").method("GET").body("b"), "request_body"),
        (nginx.get("/upgrade").header("Upgrade", "websocket").header("Connection", "upgrade"), "upgrade"),
        (nginx.get("/delete").method("DELETE"), "method"),
        (nginx.get("/head").head(), "head"),
        (nginx.get("/denied/x"), "early"),
        (nginx.get(&format!("/long/?k={}", "k".repeat(4000))), "key_too_long"),
        (nginx.get("/long/?k=k"), "recording"),
    ] {
        let page = request.send();
        assert_eq!(page.reason(), reason, "{page:?}");
        reasons.push(page);
    }
    nginx.expect_log("access forbidden by rule");
    // At the request's end it is known whether the page was stored.
    nginx.get("/log/x").send().assert_cache("MISS");
    nginx.get("/log/x").warm();
    for end in ["HIT hit", "MISS stored"] {
        until("the log is written", || nginx.access_log().contains(&format!("GET /log/x {end}")));
    }
}
