//! The ways inside nginx that lead to a stored page (sub-requests, redirects, error pages), and what stands before
//! it.

use fixture::{Answer, Nginx, Origin};

use super::cached;

/// A location's lines.
fn proxied(origin: &Origin) -> String {
    format!("twice pages; proxy_pass {};", origin.url())
}

#[test]
fn ssi_includes_stored_fragments() {
    let origin = Origin::start();
    let page = "[<!--#include virtual=\"/part?x=1\" -->|<!--#include virtual=\"/part?x=2\" -->]";
    origin.on("/page", Answer::page(page));
    origin.on("/part", Answer::page("<& get cookie name Guest &>/<& get arg x &>"));
    let nginx = cached(&origin).server("ssi on;").start();
    nginx.get("/page").cookie("name=Eve").send().assert(200, "MISS", "[Eve/1|Eve/2]");
    nginx.get("/page").warm();
    let asked = (origin.count("/page"), origin.count("/part"));
    nginx.get("/page").cookie("name=Ann").send().assert(200, "HIT", "[Ann/1|Ann/2]");
    nginx.get("/page").send().assert(200, "HIT", "[Guest/1|Guest/2]");
    assert_eq!((origin.count("/page"), origin.count("/part")), asked);
    assert_eq!(asked, (1, 2));
    // A fragment and its page are each what they say when asked for alone, too.
    nginx.get("/part?x=1").cookie("name=Bob").send().assert(200, "MISS", "Bob/1");
}

#[test]
fn ssi_in_a_page_that_is_not_stored_includes_stored_fragments() {
    let origin = Origin::start();
    origin.on("/part", Answer::page("0123456789".repeat(3_000) + "<& get cookie name Guest &>"));
    let nginx = Nginx::twice()
        .file("html/page.shtml.html", "a<!--#include virtual=\"/part\" -->z")
        .location("= /page", "ssi on; try_files /html/page.shtml.html =404; root .;")
        .location("/part", proxied(&origin))
        .start();
    let part = "0123456789".repeat(3_000);
    for name in ["Eve", "Ann", "Bob"] {
        let page = nginx.get("/page").cookie(&format!("name={name}")).send();
        assert!(page.text() == format!("a{part}{name}z"), "{name}");
    }
    assert_eq!(origin.count("/part"), 1);
}

#[test]
fn several_includes_of_one_fragment_are_all_filled() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("<!--#include virtual=\"/part\" -->".repeat(20)));
    origin.on("/part", Answer::page("<& get cookie name Guest &>,"));
    let nginx = cached(&origin).server("ssi on;").start();
    nginx.get("/page").send();
    nginx.get("/page").warm();
    nginx.get("/page").cookie("name=Ann").send().assert(200, "HIT", &"Ann,".repeat(20));
}

#[test]
fn the_addition_module_adds_stored_pages() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("page"));
    origin.on("/before", Answer::page("before "));
    origin.on("/after", Answer::page(" after <& get cookie name Guest &>"));
    let nginx = Nginx::twice()
        .location("/", proxied(&origin))
        .location("= /page", proxied(&origin) + " add_before_body /before; add_after_body /after;")
        .start();
    nginx.get("/page").send().assert(200, "MISS", "before page after Guest");
    nginx.get("/page").warm();
    nginx.get("/page").cookie("name=Ann").send().assert(200, "HIT", "before page after Ann");
    assert_eq!((origin.count("/before"), origin.count("/after")), (1, 1));
}

#[test]
fn an_error_page_comes_from_the_store() {
    let origin = Origin::start();
    origin.on("/missing", Answer::page("Sorry, <& get cookie name Guest &>"));
    let nginx = Nginx::twice()
        .location("= /missing", proxied(&origin))
        .location("/gone", "return 404; error_page 404 /missing;")
        .location("/soft", "return 404; error_page 404 =200 /missing;")
        .location("/forbidden", "deny all; error_page 403 /missing;")
        .start();
    nginx.get("/gone").cookie("name=Eve").send().assert(404, "MISS", "Sorry, Eve");
    nginx.get("/gone").warm().assert(404, "HIT", "Sorry, Guest");
    let gone = nginx.get("/gone/2").cookie("name=Ann").send();
    // The origin may be told what was asked for: another URL's error page may be another page.
    gone.assert(404, "MISS", "Sorry, Ann");
    nginx.get("/gone/2").cookie("name=Bob").send().assert(404, "HIT", "Sorry, Bob");
    // The status is that of the error, whoever caused the fetch.
    let soft = nginx.get("/soft").send();
    assert_eq!((soft.status, soft.text().as_str()), (200, "Sorry, Guest"));
    let forbidden = nginx.get("/forbidden").send();
    assert_eq!((forbidden.status, forbidden.text().as_str()), (403, "Sorry, Guest"));
    nginx.expect_log("access forbidden by rule");
}

#[test]
fn an_error_page_does_not_pass_its_status_on() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("page"));
    let nginx = Nginx::twice()
        .location("= /page", proxied(&origin))
        .location("/gone", "return 404; error_page 404 /page;")
        .location("/pretty", "rewrite ^ /page last;")
        .start();
    nginx.get("/gone").send().assert(404, "MISS", "page");
    nginx.get("/gone").warm();
    let pretty = nginx.get("/pretty").send();
    assert_eq!((pretty.status, pretty.text().as_str()), (200, "page"));
    // Nor the other way round.
    nginx.get("/pretty").warm();
    let gone = nginx.get("/gone").send();
    assert_eq!((gone.status, gone.text().as_str()), (404, "page"));
}

#[test]
fn an_origins_error_shows_the_stored_error_page() {
    let origin = Origin::start();
    origin.on("/broken", Answer::new(500, "broken"));
    origin.on("/sorry", Answer::page("Sorry"));
    let nginx = Nginx::twice()
        .location("/", proxied(&origin) + " proxy_intercept_errors on; error_page 500 /sorry;")
        .location("= /sorry", proxied(&origin))
        .start();
    for _ in 0..3 {
        let page = nginx.get("/broken").send();
        assert_eq!((page.status, page.text().as_str()), (500, "Sorry"));
    }
    // What was never an answer to /broken was not stored as one.
    origin.on("/broken", Answer::page("whole again"));
    nginx.get("/broken").send().assert(200, "MISS", "whole again");
}

#[test]
fn a_rewrite_leads_to_a_stored_page() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("page <& get arg id &>"));
    origin.on("/stripped", Answer::page("stripped"));
    let nginx = Nginx::twice()
        .location("= /page", proxied(&origin))
        .location("~ ^/pretty/", "rewrite ^/pretty/(.*)$ /page?id=$1 last;")
        .location("/prefix/", format!("rewrite ^/prefix(.*)$ $1 break; {}", proxied(&origin)))
        .start();
    nginx.get("/pretty/7").send().assert(200, "MISS", "page 7");
    nginx.get("/pretty/7").warm().assert(200, "HIT", "page 7");
    nginx.get("/pretty/8").send().assert(200, "MISS", "page 8");
    nginx.get("/prefix/stripped").send().assert(200, "MISS", "stripped");
    nginx.get("/prefix/stripped").warm().assert(200, "HIT", "stripped");
    assert_eq!(origin.last("/page").query(), "id=8");
}

#[test]
fn x_accel_redirect_leads_to_a_stored_page() {
    let origin = Origin::start();
    origin.on("/gate", Answer::page("never seen").header("X-Accel-Redirect", "/inside/page"));
    origin.on("/inside/page", Answer::page("Hello <& get cookie name Guest &>"));
    let nginx = Nginx::twice()
        .location("= /gate", proxied(&origin))
        .location("/inside/", format!("internal; {}", proxied(&origin)))
        .start();
    for (count, cache) in [(1, "MISS"), (2, "HIT"), (3, "HIT")] {
        nginx.get("/gate").send().assert(200, cache, "Hello Guest");
        // Each time it is the app that lets the visitor in.
        assert_eq!((origin.count("/gate"), origin.count("/inside/page")), (count, 1));
    }
    assert_eq!(nginx.get("/inside/page").send().status, 404);
}

#[test]
fn try_files_leads_to_a_named_location() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("Hello <& get cookie name Guest &>"));
    let nginx = Nginx::twice()
        .file("html/file.html", "a file")
        .server("root html;")
        .location("/", "try_files $uri @app;")
        .location("@app", proxied(&origin))
        .start();
    assert_eq!(nginx.get("/file.html").send().text(), "a file");
    nginx.get("/page").send().assert(200, "MISS", "Hello Guest");
    nginx.get("/page").warm();
    nginx.get("/page").cookie("name=Ann").send().assert(200, "HIT", "Hello Ann");
    assert_eq!(origin.count("/page"), 1);
}

#[test]
fn try_files_in_a_cached_location_is_asked_on_misses_only() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("page"));
    let nginx = Nginx::twice()
        .file("html/file.html", "a file")
        .server("root html; twice pages; twice_valid 60s;")
        .location("/", "try_files $uri @app;")
        .location("@app", format!("proxy_pass {};", origin.url()))
        .start();
    nginx.get("/file.html").send().assert(200, "MISS", "a file");
    nginx.get("/file.html").warm().assert(200, "HIT", "a file");
    nginx.setup().clone().file("html/file.html", "another");
    nginx.get("/file.html").send().assert(200, "HIT", "a file");
    nginx.get("/page").send().assert(200, "MISS", "page");
    nginx.get("/page").warm().assert(200, "HIT", "page");
    assert_eq!(origin.count("/page"), 1);
}

#[test]
fn who_is_denied_gets_no_hit() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("secret"));
    let both = format!("twice pages; twice_key same; proxy_pass {}/page;", origin.url());
    let nginx = Nginx::twice()
        .location("= /open", &both)
        .location("= /closed", format!("deny all; {both}"))
        .location("= /checked", format!("auth_request /check; {both}"))
        .location("= /check", "if ($http_x_ok) { return 204; } return 403;")
        .start();
    nginx.get("/open").warm();
    for path in ["/closed", "/checked"] {
        let closed = nginx.get(path).send();
        assert_eq!((closed.status, closed.cache()), (403, ""), "{path}");
        assert!(!closed.text().contains("secret"));
    }
    nginx.expect_log("access forbidden by rule");
    nginx.get("/checked").header("X-Ok", "1").send().assert(200, "HIT", "secret");
}
