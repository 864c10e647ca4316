//! `mirror` copies visitors' requests, each once: those that the store answers too, and none of Twice's own.

use fixture::{Gate, until, until_some};

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
        // In whatever order they come.
        let copies = both.with.origin.requests(&format!("/copied{path}"));
        assert_eq!(
            copies.iter().filter(|copy| copy.cookie("name") == Some("ann")).count(),
            each * 3,
            "{path}"
        );
    }
    // What is posted goes with its copy.
    both.ask("/page", |r| r.body("a=b"));
    for side in both.sides() {
        side.origin.wait_count("/copied/page", 1);
        until("the body is copied", || side.origin.last("/copied/page").body == b"a=b");
    }
}

#[test]
fn whatever_a_hit_is_made_of_it_is_mirrored() {
    let origin = Origin::start();
    let url = origin.url();
    let nginx = Nginx::twice()
        .http2()
        .location("/", format!("twice pages; mirror /copy; proxy_pass {url};"))
        .location("= /copy", format!("internal; proxy_pass {url}/copied$request_uri;"))
        .start();
    let large = "0123456789".repeat(20_000);
    origin.on("/copied/*", Answer::ok("nobody reads this"));
    origin.on("/part", Answer::page("part of <& get cookie name &>"));
    origin.on("/large", Answer::page(format!("{large}<& get cookie name &>{large}")));
    origin.on("/included", Answer::page("[<& include /part &>]"));
    for (path, text) in [("/large", format!("{large}ann{large}")), ("/included", "[part of ann]".to_owned())]
    {
        nginx.get_h2(path).warm();
        let copied = format!("/copied{path}");
        let ask = |request: Request, headers: &str| {
            let before = origin.count(&copied);
            let page = request.cookie("name=ann").send();
            page.assert_cache("HIT");
            assert!(page.text() == text || headers == "head" && page.text().is_empty(), "{path} {headers}");
            until("it is copied", || origin.count(&copied) > before);
        };
        nginx.get(path).warm();
        ask(nginx.get(path), "");
        ask(nginx.get_h2(path), "");
        ask(nginx.get(path).head(), "head");
        // A connection goes on.
        let mut client = nginx.raw();
        for _ in 0..3 {
            client.send(format!(
                "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nCookie: name=ann\r\n\r\n",
                nginx.port()
            ));
            let page = client.response();
            assert!(page.cache() == "HIT" && page.text() == text);
        }
    }
    // A part is none of the visitors' requests.
    assert_eq!(origin.count("/copied/part"), 0);
}

#[test]
fn beside_try_files_hits_are_not_mirrored() {
    let origin = Origin::start();
    let nginx = Nginx::twice()
        .file("html/file.txt", "a file")
        .location("/", "twice pages; twice_valid 60s; root html; mirror /copy; try_files $uri =404;")
        .location("= /copy", format!("internal; proxy_pass {}/copied;", origin.url()))
        .start();
    origin.on("/copied", Answer::ok("nobody reads this"));
    nginx.get("/file.txt").send().assert(200, "MISS", "a file");
    origin.wait_count("/copied", 1);
    nginx.get("/file.txt").warm().assert(200, "HIT", "a file");
    // nginx's phase would come to the file first: what is stored is served though it is gone.
    std::fs::remove_file(nginx.setup().folder().join("html/file.txt")).unwrap();
    nginx.get("/file.txt").send().assert(200, "HIT", "a file");
}

#[test]
fn a_copy_that_does_not_arrive_holds_up_nobody() {
    let origin = Origin::start();
    let url = origin.url();
    let nginx = Nginx::twice()
        .server("twice pages;")
        .location("/", format!("mirror /copy; proxy_pass {url};"))
        .location("= /copy", format!("internal; proxy_pass {url}/copied;"))
        .start();
    let gate = Gate::new();
    origin.on("/copied", Answer::ok("late").gate(&gate));
    origin.on("/page", public("page"));
    nginx.get("/page").send().assert(200, "MISS", "page");
    gate.wait_arrived(1);
    nginx.get("/page").warm();
    let arrived = gate.arrived();
    for _ in 0..3 {
        nginx.get("/page").send().assert(200, "HIT", "page");
    }
    // All of them at once: no copy waits for another one.
    gate.wait_arrived(arrived + 3);
    gate.open();
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
    // It ends when all copies have gone.
    nginx.finish();
    assert_eq!(origin.count("/copied"), asked);
}
