//! `twice_ignore_args`: what says where a visitor came from makes no page of its own.

use fixture::Nginx;

use super::{cached, echoing, said};

#[test]
fn ignored_arguments_make_no_page_of_their_own() {
    let origin = echoing();
    let nginx = cached(&origin).http("twice_ignore_args utm_* fbclid; add_header X-Key $twice_key;").start();
    let first = nginx.get("/u?a=1&utm_source=mail&b=2").header("Host", "h").send();
    // They are kept in the request.
    first.assert(200, "MISS", &said("h", "/u?a=1&utm_source=mail&b=2"));
    for target in ["/u?a=1&b=2", "/u?utm_x=y&a=1&b=2&fbclid=9", "/u?a=1&fbclid&b=2&utm_source=&utm_medium=z"]
    {
        let page = nginx.get(target).header("Host", "h").send();
        page.assert(200, "HIT", &said("h", "/u?a=1&utm_source=mail&b=2"));
        assert!(page.header("X-Key").unwrap().ends_with("/u?a=1&b=2"), "{page:?}");
    }
    for target in
        ["/u?b=2&a=1", "/u?a=1", "/u?a=1&b=2&c", "/u?a=1&b=2&Utm_source=x", "/u?a=1&b=2&utm%5Fsource=x"]
    {
        nginx.get(target).header("Host", "h").send().assert(200, "MISS", &said("h", target));
    }
    // With nothing left there is no question mark.
    nginx.get("/v").header("Host", "h").send().assert_cache("MISS");
    for target in ["/v?utm_source=x", "/v?fbclid=1&utm_", "/v?"] {
        nginx.get(target).header("Host", "h").send().assert(200, "HIT", &said("h", "/v"));
    }
}

#[test]
fn an_argument_that_may_hold_another_one_is_not_ignored() {
    let origin = echoing();
    let nginx = cached(&origin).http("twice_ignore_args utm_*;").start();
    // Some applications divide at a semicolon, too: what they see here is a = evil.
    let hidden = "/u?a=1&utm_source=x;a=evil";
    nginx.get(hidden).header("Host", "h").send().assert(200, "MISS", &said("h", hidden));
    nginx.get("/u?a=1").header("Host", "h").send().assert(200, "MISS", &said("h", "/u?a=1"));
    nginx.get("/u?a=1&utm_source=x").header("Host", "h").send().assert(200, "HIT", &said("h", "/u?a=1"));
}

#[test]
fn they_are_ignored_where_it_is_said() {
    let origin = echoing();
    let pass = format!("proxy_pass {}; proxy_set_header Host h;", origin.url());
    let nginx = Nginx::twice()
        .http("twice pages; twice_ignore_args utm_*;")
        .location("/", &pass)
        .location("/own/", format!("twice_ignore_args ref; {pass}"))
        .location("/off/", format!("twice_ignore_args off; {pass}"))
        .location("/key/", format!("twice_key $uri$is_args$args; {pass}"))
        .start();
    for (path, ignored, counts) in [
        ("/x", Some("utm_a=1"), "ref=1"),
        ("/own/x", Some("ref=1"), "utm_a=1"),
        ("/off/x", None, "utm_a=1"),
        ("/key/x", None, "utm_a=1"),
    ] {
        nginx.get(path).send().assert_cache("MISS");
        if let Some(ignored) = ignored {
            nginx.get(&format!("{path}?{ignored}")).send().assert_cache("HIT");
        }
        nginx.get(&format!("{path}?{counts}")).send().assert_cache("MISS");
    }
}

#[test]
fn requests_within_nginx_ignore_them_too() {
    let origin = echoing();
    let pass = format!("proxy_pass {}; proxy_set_header Host h;", origin.url());
    let nginx = Nginx::twice()
        .http("twice_ignore_args utm_*;")
        .location("/page", format!("ssi on; ssi_types *; {pass}"))
        .location("/rewritten", "rewrite ^ /to?b=1 last;")
        .location("/to", format!("twice pages; {pass}"))
        .location("/part", format!("twice pages; {pass}"))
        .start();
    // An internal redirect has its own query and the client's target.
    nginx.get("/rewritten?a=1&utm_x=1").send().assert_cache("MISS");
    nginx.get("/rewritten?utm_y=2&a=1").send().assert_cache("HIT");
    nginx.get("/rewritten?a=2").send().assert_cache("MISS");
    // A sub-request has a query of its own.
    let include = |query: &str| fixture::Answer::html(format!("<!--#include virtual=\"/part?{query}\" -->"));
    for (count, query) in [(1, "a=1&utm_x=1"), (1, "utm_x=2&a=1"), (2, "a=2"), (2, "a=2&utm_x=3")] {
        origin.on("/page", include(query));
        nginx.get("/page").send();
        assert_eq!(origin.count("/part"), count, "{query}");
    }
}
