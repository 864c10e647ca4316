//! What nginx's filters make of a body: the store holds what the origin sent, and they run for each visitor.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

#[test]
fn ssi_runs_on_a_stored_page_for_each_visitor() {
    let both = Beside::start(|setup, origin, twice| {
        setup.location("/", format!("{twice} ssi on; proxy_pass {origin};"))
    });
    let page = "<!--# if expr=\"$cookie_name = ann\" -->Hello <!--# echo var=\"cookie_name\" -->\
                <!--# else -->Hello you<!--# endif -->, <!--# echo var=\"http_x_raw\" default=\"-\" -->, \
                <!--# set var=\"a\" value=\"$arg_x\" --><!--# echo var=\"a\" -->, \
                <!--# include virtual=\"/part?$args\" -->, <!--# include file=\"none\" -->.";
    both.on("/page", public(page).header("ETag", "\"v1\""));
    both.on("/none", Answer::new(404, "[none]"));
    both.handle("/part", |request| public(format!("part {}", request.query())));
    let ann = |request: Request| request.cookie("name=ann");
    let raw = |request: Request| request.header("X-Raw", "<b>");
    both.ask("/page?x=1", ann).assert(200, "MISS", "Hello ann, -, 1, part x=1, [none].");
    both.hit("/page?x=1", as_it_is).assert(200, "HIT", "Hello you, -, 1, part x=1, [none].");
    both.ask("/page?x=1", ann).assert(200, "HIT", "Hello ann, -, 1, part x=1, [none].");
    both.ask("/page?x=1", raw).assert(200, "HIT", "Hello you, &lt;b&gt;, 1, part x=1, [none].");
    both.ask("/page?x=2", ann).assert(200, "MISS", "Hello ann, -, 2, part x=2, [none].");
    both.ask("/page?x=1", |r| r.head()).assert(200, "HIT", "");
    assert_eq!(both.with.origin.count("/page"), 2);
}

#[test]
fn sub_filter_is_applied_to_hits() {
    let both = Beside::start(|setup, origin, twice| {
        setup.location(
            "/",
            format!(
                "{twice} sub_filter NAME $cookie_name; sub_filter 'old' 'new'; sub_filter_once off;
                 sub_filter_types text/plain; sub_filter_last_modified on; proxy_pass {origin};"
            ),
        )
    });
    both.on("/page", public("old NAME, old").header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"));
    both.on("/other", Answer::ok("old NAME").header("Content-Type", "image/png"));
    let named = |name: &'static str| move |request: Request| request.cookie(&format!("name={name}"));
    both.ask("/page", named("ann")).assert(200, "MISS", "new ann, new");
    both.hit("/page", named("ann")).assert(200, "HIT", "new ann, new");
    both.ask("/page", named("bob")).assert(200, "HIT", "new bob, new");
    both.ask("/other", named("ann")).assert(200, "MISS", "old NAME");
    both.hit("/other", named("ann")).assert(200, "HIT", "old NAME");
}

#[test]
fn hits_are_packed_for_whom_the_configuration_says() {
    let both = Beside::start(|setup, origin, twice| {
        setup
            .http("gzip on; gzip_min_length 20; gzip_vary on; gzip_proxied no-store; gzip_types text/plain;")
            .location("/", format!("{twice} proxy_pass {origin};"))
    });
    let text = "0123456789".repeat(50);
    let page = |kind: &str, body: &str| {
        let page = Answer::ok(body).header("Content-Type", kind).header("ETag", "\"v1\"");
        page.header("Cache-Control", "public, max-age=60")
    };
    both.on("/html", page("text/html", &text));
    both.on("/text", page("text/plain; charset=utf-8", &text));
    both.on("/image", page("image/png", &text));
    both.on("/short", page("text/html", "short"));
    for (path, packed) in [("/html", true), ("/text", true), ("/image", false), ("/short", false)] {
        let miss = both.ask(path, Request::compressed);
        miss.assert_cache("MISS");
        both.hit(path, as_it_is);
        let hit = both.ask(path, Request::compressed);
        hit.assert_cache("HIT");
        for answer in [&miss, &hit] {
            assert_eq!(answer.header("Content-Encoding"), packed.then_some("gzip"), "{path}: {answer:?}");
            assert_eq!(answer.header("ETag"), Some(if packed { "W/\"v1\"" } else { "\"v1\"" }), "{path}");
        }
        for accepted in ["gzip;q=0", "identity", "br", "*", "deflate, gzip;q=0.5"] {
            // Left packed: byte for byte what the other nginx sends.
            both.ask(path, |r| r.header("Accept-Encoding", accepted)).assert_cache("HIT");
        }
        both.ask(path, |r| r.compressed().header("Via", "1.1 other")).assert_cache("HIT");
        both.ask(path, |r| r.compressed().http10()).assert_cache("HIT");
        both.ask(path, |r| r.head().header("Accept-Encoding", "gzip")).assert_cache("HIT");
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut gzip =
        Command::new("gzip").arg("-nc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    gzip.wait_with_output().unwrap().stdout
}

#[test]
fn what_an_origin_packs_is_unpacked_for_who_cannot() {
    let both = Beside::start(|setup, origin, twice| {
        setup.http("gunzip on;").location("/", format!("{twice} proxy_pass {origin};"))
    });
    let answer = public(packed("page")).header("Content-Encoding", "gzip").header("Vary", "Accept-Encoding");
    both.on("/page", answer);
    for _ in 0..2 {
        let whole = both.ask("/page", as_it_is);
        whole.assert(200, "MISS", "page");
        assert_eq!((whole.header("Content-Encoding"), whole.reason()), (None, "content_encoding"));
        let packed = both.ask("/page", Request::compressed);
        packed.assert(200, "MISS", "page");
        assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    }
}

#[test]
fn a_file_that_is_always_packed_is_unpacked_for_who_cannot() {
    let both = Beside::start(|setup, _, twice| {
        setup
            .file("html/page.html.gz", packed("page"))
            .location("/", format!("{twice} root html; gzip_static always; gunzip on; gzip_vary on;"))
    });
    for _ in 0..2 {
        both.ask("/page.html", as_it_is).assert(200, "MISS", "page");
        both.ask("/page.html", Request::compressed).assert(200, "MISS", "page");
    }
}
