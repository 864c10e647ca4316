//! `Via`: what came through Twice says so, once.

use fixture::{Answer, Nginx, Origin, Response};

const VIA: &str = "1.1 twice";

#[track_caller]
fn once(response: &Response) {
    assert_eq!(response.all("Via"), [VIA], "{response:?}");
}

#[test]
fn every_answer_says_that_it_came_through_twice() {
    let origin = Origin::start();
    let page = Answer::page("0123456789").header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    origin.on("/", page.header("Cache-Control", "max-age=60"));
    origin.on("/plain", Answer::html("x").header("Cache-Control", "max-age=60").header("ETag", "\"e\""));
    let nginx = Nginx::twice()
        .http2()
        .server("twice pages;")
        .location("/", format!("proxy_pass {};", origin.url()))
        .location("/moved", "return 301 /;")
        .location("/denied", "deny all;")
        .location("/off", format!("twice off; proxy_pass {};", origin.url()))
        .start();
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/").send();
        once(page.assert_cache(cache));
        let page = nginx.get("/plain").send();
        once(page.assert_cache(cache));
    }
    once(&nginx.get_h2("/").warm());
    once(nginx.get("/").head().send().assert_cache("HIT"));
    let cut = nginx.get("/").range("2-4").send();
    assert_eq!(cut.status, 206);
    once(&cut);
    let nothing = nginx.get("/").range("20-").send();
    assert_eq!(nothing.status, 416);
    once(&nothing);
    let same = nginx.get("/plain").header("If-None-Match", "\"e\"").send();
    assert_eq!(same.status, 304);
    once(&same);
    once(&nginx.get("/").body("a post").send());
    once(&nginx.get("/missing").send());
    once(&nginx.get("/moved").send());
    nginx.expect_log("access forbidden by rule");
    let denied = nginx.get("/denied").send();
    assert_eq!(denied.status, 403);
    once(&denied);
    assert_eq!(nginx.get("/off").send().header("Via"), None);
}

#[test]
fn an_origins_own_via_is_kept() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x").header("Via", "1.0 fred, 1.1 p.example").header("Via", "1.1 inner"));
    let nginx = Nginx::twice().location("/", format!("twice pages; proxy_pass {};", origin.url())).start();
    for cache in ["MISS", "HIT", "HIT"] {
        let page = nginx.get("/").send();
        page.assert_cache(cache);
        assert_eq!(page.all("Via"), ["1.0 fred, 1.1 p.example", "1.1 inner", VIA], "{page:?}");
    }
}

#[test]
fn what_takes_the_place_of_an_answer_says_it_once() {
    let origin = Origin::start();
    origin.on("/gone", Answer::new(404, "gone"));
    origin.on("/part", Answer::page("part"));
    origin.on("/page", Answer::page("[<!--#include virtual=\"/part\" -->]"));
    // A file's 416 comes after its first answer was decided on.
    let nginx = Nginx::twice()
        .file("html/file.txt", "0123456789")
        .server("twice pages;")
        .location(
            "/",
            format!("ssi on; proxy_pass {}; proxy_intercept_errors on; error_page 404 /part;", origin.url()),
        )
        .location("/file.txt", "root html;")
        .start();
    for _ in 0..2 {
        once(&nginx.get("/gone").send());
        let page = nginx.get("/page").send();
        assert_eq!(page.text(), "[part]");
        once(&page);
        let cut = nginx.get("/file.txt").range("20-").send();
        assert_eq!(cut.status, 416, "{cut:?}");
        once(&cut);
    }
}
