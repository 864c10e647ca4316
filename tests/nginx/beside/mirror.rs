//! `mirror` copies visitors' requests, each once: those that the store answers too, and none of Twice's own.

use fixture::{until, until_some};

use super::*;

#[test]
fn hits_are_mirrored_as_misses_are() {
    // Twice is on for the whole server: also where the copies go.
    let both = Beside::start(|setup, origin, twice| {
        setup
            .server(twice)
            .location("/", format!("mirror /copy; proxy_pass {origin};"))
            .location("/bodyless/", format!("mirror /copy; mirror_request_body off; proxy_pass {origin};"))
            .location("/twofold/", format!("mirror /copy; mirror /copy; proxy_pass {origin};"))
            .location("/unmirrored/", format!("proxy_pass {origin};"))
            .location("= /copy", format!("internal; proxy_pass {origin}/copied$request_uri;"))
    });
    both.on("/copied/*", public("nobody reads this"));
    for (path, each) in [("/page", 1), ("/bodyless/page", 1), ("/twofold/page", 2), ("/unmirrored/page", 0)] {
        both.on(path, public("page"));
        both.ask(path, as_it_is).assert(200, "MISS", "page");
        // The recording may end a moment after the answer.
        let mut asked = 1;
        let warm = until_some("it is stored", || {
            asked += 1;
            let page = both.ask(path, as_it_is);
            (page.cache() == "HIT").then_some(page)
        });
        warm.assert(200, "HIT", "page");
        for _ in 0..3 {
            asked += 1;
            both.ask(path, |r| r.cookie("name=ann")).assert(200, "HIT", "page");
        }
        for side in both.sides() {
            let copied = format!("/copied{path}");
            until(&format!("{path} is copied {} times", each * asked), || {
                side.origin.count(&copied) == each * asked
            });
        }
        assert!(each == 0 || both.with.origin.last(&format!("/copied{path}")).cookie("name") == Some("ann"));
    }
    // What is posted goes with its copy.
    both.ask("/page", |r| r.body("a=b"));
    for side in both.sides() {
        side.origin.wait_count("/copied/page", 1);
        until("the body is copied", || side.origin.last("/copied/page").body == b"a=b");
    }
}

#[test]
fn a_visitor_of_a_stale_page_is_mirrored_once() {
    let origin = Origin::start();
    let url = origin.url();
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; twice_stale_factor 1000; mirror /copy; proxy_pass {url};"))
        .location("= /copy", format!("internal; proxy_pass {url}/copied;"))
        .start();
    origin.on("/copied", Answer::ok(""));
    origin.on("/page", Answer::html("old").header("X-Twice-Control", "max-age=1"));
    let mut asked = 0;
    let mut ask = |wanted: &str| {
        asked += 1;
        nginx.get("/page").send().text() == wanted
    };
    ask("old");
    origin.on("/page", Answer::page("new"));
    until("it is renewed", || ask("new"));
    // By a refresh, which is nobody's request.
    assert_eq!(origin.count("/page"), 2);
    until("all are copied", || origin.count("/copied") >= asked);
    // A copy more would have come before the page that the refresh has brought.
    assert_eq!(origin.count("/copied"), asked);
}
