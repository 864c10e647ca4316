//! Requests in requests: section 5 of the list of attacks, a story for each row.

use fixture::{Answer, Nginx, Origin};

use crate::keys::cached;

/// nginx's own work: with Twice in the location each form is answered as without.
#[test]
fn smuggling() {
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

/// Of a request that is answered from the store the body is read and thrown away.
#[test]
fn body_on_hit() {
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
