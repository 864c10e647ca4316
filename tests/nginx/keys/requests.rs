//! Methods, bodies, conditions and framings that must not share a page, nor become another request.

use fixture::{Answer, Nginx, Origin};

use super::{cached, echoing, said};

#[test]
fn a_get_with_a_body_is_never_stored_nor_served() {
    let origin = Origin::start();
    origin.handle("/u", |request| Answer::page(String::from_utf8_lossy(&request.body).into_owned()));
    let nginx = cached(&origin).start();
    let evil = nginx.get("/u").method("GET").body("evil");
    for request in [evil.clone(), evil.clone().header("Transfer-Encoding", "chunked")] {
        let page = request.send();
        page.assert(200, "", "evil");
        assert_eq!(page.reason(), "request_body");
    }
    nginx.get("/u").send().assert(200, "MISS", "");
    nginx.get("/u").warm().assert(200, "HIT", "");
    evil.send().assert(200, "", "evil");
    nginx.get("/u").send().assert(200, "HIT", "");
    // An empty body is none.
    nginx.get("/u").header("Content-Length", "0").send().assert(200, "HIT", "");
}

#[test]
fn an_answer_to_another_method_is_no_page() {
    let origin = Origin::start();
    origin.handle("/*", |request| Answer::page(request.method.clone()));
    let nginx = cached(&origin).start();
    for method in ["POST", "OPTIONS", "PROPFIND", "PURGE", "get", "GETS", "HEADS", "TRACK"] {
        let path = format!("/{method}");
        let _ = nginx.get(&path).method(method).try_send();
        nginx.get(&path).send().assert(200, "MISS", "GET");
        nginx.get(&path).warm().assert(200, "HIT", "GET");
        let other = nginx.get(&path).method(method).try_send();
        assert_ne!(other.cache(), "HIT", "{method}: {other:?}");
        // One that may have changed something, and said that it succeeded, invalidates the page.
        let harmless = other.status >= 400 || matches!(method, "OPTIONS" | "PROPFIND");
        nginx.get(&path).send().assert(200, if harmless { "HIT" } else { "MISS" }, "GET");
        nginx.get(&path).warm();
    }
    // Words in the client's headers make it no other request either.
    let page = nginx.get("/POST").header("X-HTTP-Method-Override", "DELETE").send();
    page.assert(200, "HIT", "GET");
}

#[test]
fn head_then_get_gets_the_whole_page() {
    let origin = Origin::start();
    origin.on("/", Answer::page("0123456789"));
    let nginx = cached(&origin).start();
    nginx.get("/").head().send();
    nginx.get("/").send().assert(200, "MISS", "0123456789");
    nginx.get("/").send().assert(200, "HIT", "0123456789");
    nginx.get("/").head().send();
    nginx.get("/").send().assert(200, "HIT", "0123456789");
}

#[test]
fn answers_to_a_condition_or_a_range_that_nobody_shares() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    nginx.expect_log("status 304 has come though no condition was sent");
    // An origin that answers with a part, asked or not.
    let part = Answer::new(206, "4567")
        .header("Content-Range", "bytes 4-7/10")
        .header("X-Twice-Control", "max-age=60");
    origin.on("/part", part);
    origin.on(
        "/unchanged",
        Answer::new(304, "").header("ETag", "\"x\"").header("X-Twice-Control", "max-age=60"),
    );
    for _ in 0..2 {
        nginx.get("/part").range("4-7").send();
        assert_eq!(nginx.get("/part").send().status, 206);
        nginx.get("/unchanged").header("If-None-Match", "\"x\"").send();
        assert_eq!(nginx.get("/unchanged").send().status, 502);
    }
    let whole = Answer::page("0123456789").header("ETag", "\"x\"").header("X-Twice-Control", "no-tags");
    for path in ["/part", "/unchanged"] {
        origin.on(path, whole.clone());
        // Of the whole page that came each client gets what it asked for.
        let first = nginx.get(path).range("4-5").header("If-None-Match", "\"y\"").send();
        assert!(matches!(first.status, 200 | 206), "{first:?}");
        nginx.get(path).send().assert(200, "HIT", "0123456789");
        nginx.get(path).range("4-5").send().assert(206, "HIT", "45");
        nginx.get(path).header("If-None-Match", "\"x\"").send().assert(304, "HIT", "");
    }
}

#[test]
fn a_body_on_a_hit_is_no_second_request() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let nginx = cached(&origin).location("= /said", "twice pages; twice_valid 1h; return 200 said;").start();
    for path in ["/hit", "/said"] {
        nginx.get(path).header("Host", "localhost").warm();
    }
    let evil = "GET /evil HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for path in ["/hit", "/said"] {
        for method in ["GET", "HEAD"] {
            for (framing, body) in [
                (format!("Content-Length: {}", evil.len()), evil.to_owned()),
                ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{evil}\r\n0\r\n\r\n", evil.len())),
            ] {
                let mut raw = nginx.raw();
                raw.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{body}"));
                let first = if method == "HEAD" { raw.response_head() } else { raw.response() };
                assert_eq!(first.status, 200, "{method} {path}: {first:?}");
                raw.get("/hit");
                raw.response().assert(200, "HIT", "x");
            }
        }
    }
    assert_eq!(origin.count("/evil"), 0);
}

#[test]
fn requests_in_a_row_get_their_own_pages() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    let mut raw = nginx.raw();
    for path in ["/a", "/b", "/a", "/c", "/b", "/a"] {
        raw.get(path);
    }
    for (path, cache) in
        [("/a", "MISS"), ("/b", "MISS"), ("/a", "HIT"), ("/c", "MISS"), ("/b", "HIT"), ("/a", "HIT")]
    {
        raw.response().assert(200, cache, &said("localhost", path));
    }
}

#[test]
fn ambiguous_requests_are_answered_as_without_the_module() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let with = cached(&origin).start();
    let without = Nginx::plain().location("/", format!("proxy_pass {};", origin.url())).start();
    let lines = [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\tchunked\r\nContent-Length: 6",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: \x0bchunked",
        "Content-Length: 6\r\nContent-Length: 5",
        "Content-Length: +6",
        "Content-Length: 6, 6",
        "Content-Length: 6\nX: y",
        "Content-Length: 0x6",
        "Content-Length: -1",
    ];
    let evil = "0\r\n\r\nGET /evil HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for method in ["GET", "POST"] {
        for lines in lines {
            let ask = |nginx: &Nginx| {
                let mut raw = nginx.raw();
                raw.send(format!(
                    "{method} /u HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n\r\n{evil}"
                ));
                raw.response().status
            };
            assert_eq!(ask(&with), ask(&without), "{method} {lines:?}");
        }
    }
    assert_eq!(origin.count("/evil"), 0);
    with.get("/u").warm();
}
