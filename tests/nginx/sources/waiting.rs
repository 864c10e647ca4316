//! Pages whose values are on their way: all are asked at once, the page goes on when the last is there or its time is up.

use super::*;

const PAGE: &str = "<1><& get a x none &><2><& if b x &>B<& else &>no<& end &><3>";

/// Two services, which wait for ever if they are let.
fn two(origin: &Origin) -> Setup {
    service(service(site(origin), origin, "a", "timeout=60s"), origin, "b", "timeout=60s")
}

/// Both services answer when their gates are open.
fn gates(origin: &Origin) -> (Gate, Gate) {
    let (a, b) = (Gate::new(), Gate::new());
    origin.on("/a", Answer::ok("<a>").gate(&a));
    origin.on("/b", Answer::ok("b").gate(&b));
    (a, b)
}

#[test]
fn values_are_there_when_the_page_is() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    origin.on("/a", Answer::ok("<a>"));
    origin.on("/b", Answer::ok("0"));
    let nginx = two(&origin).start();
    let text = "<1>&lt;a&gt;<2>no<3>";
    nginx.get("/").send().assert(200, "MISS", text);
    let hit = nginx.get("/").warm();
    hit.assert(200, "HIT", text);
    assert_eq!(hit.header("Content-Length"), Some(text.len().to_string().as_str()));
    assert_eq!(hit.header("Cache-Control"), Some("private, no-cache"));
    origin.on("/a", Answer::new(404, "none"));
    origin.on("/b", Answer::ok("yes"));
    nginx.get("/").send().assert(200, "HIT", "<1>none<2>B<3>");
    assert_eq!(origin.count("/"), 1);
}

#[test]
fn all_are_asked_before_any_is_there() {
    for workers in [1, 2] {
        let origin = Origin::start();
        origin.on("/", Answer::page(PAGE));
        let nginx = two(&origin).workers(workers).start();
        for cache in ["MISS", "HIT"] {
            let (a, b) = gates(&origin);
            let page = nginx.get("/").spawn();
            a.wait_arrived(1);
            b.wait_arrived(1);
            // The last one first.
            b.open();
            a.open();
            page.join().unwrap().assert(200, cache, "<1>&lt;a&gt;<2>B<3>");
            if cache == "MISS" {
                nginx.get("/").warm();
            }
        }
    }
}

#[test]
fn what_stands_before_a_value_is_not_kept_from_the_client() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    let (a, b) = gates(&origin);
    let nginx = two(&origin).start();
    let mut client = nginx.raw();
    assert_eq!(client.get("/").response_head().cache(), "MISS");
    a.wait_arrived(1);
    b.wait_arrived(1);
    // The page is in the store before its values are there.
    until("it is stored", || nginx.figure("stored") == 1);
    let mut read = |text: &str| {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        assert_eq!(String::from_utf8_lossy(&client.bytes(chunk.len())), chunk);
    };
    read("<1>");
    a.open();
    read("&lt;a&gt;<2>");
    b.open();
    read("B<3>");
}

#[test]
fn a_value_does_not_wait_for_an_origin_that_pauses() {
    let origin = Origin::start();
    for answer in [Answer::page(PAGE), passing(PAGE)] {
        let (a, b) = gates(&origin);
        b.open();
        // As far as the value, and the rest when it has come.
        let pause = Gate::new();
        let at = PAGE.find("<2>").unwrap() + 3;
        origin.on("/", answer.gate_at(at, &pause));
        let nginx = two(&origin)
            .location("/page", format!("twice pages; proxy_buffering off; proxy_pass {}/;", origin.url()))
            .start();
        let mut client = nginx.raw();
        assert_eq!(client.get("/page").response_head().status, 200);
        let mut read = |text: &str| {
            let chunk = format!("{:x}\r\n{text}\r\n", text.len());
            assert_eq!(String::from_utf8_lossy(&client.bytes(chunk.len())), chunk);
        };
        read("<1>");
        a.wait_arrived(1);
        a.open();
        read("&lt;a&gt;<2>");
        pause.open();
        read("B<3>");
    }
}

#[test]
fn a_value_that_does_not_come_costs_its_time_once() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    let (a, _b) = gates(&origin);
    a.open();
    let nginx = service(site(&origin), &origin, "a", "timeout=60s");
    let nginx = service(nginx, &origin, "b", "timeout=100ms").start();
    nginx.expect_log("the service of source \"b\" failed (timeout): it took too long");
    // The gate of the other one is never opened.
    nginx.get("/").send().assert(200, "MISS", "<1>&lt;a&gt;<2>no<3>");
    nginx.get("/").warm().assert(200, "HIT", "<1>&lt;a&gt;<2>no<3>");
}

#[test]
fn each_source_has_its_own_time() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    let (a, _b) = gates(&origin);
    let nginx = service(site(&origin), &origin, "a", "timeout=60s");
    let nginx = service(nginx, &origin, "b", "timeout=100ms").start();
    nginx.expect_log("the service of source \"b\" failed (timeout): it took too long");
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/").spawn();
        a.wait_arrived(if cache == "MISS" { 1 } else { 2 });
        // The request of the late one is ended; the page goes on waiting for the other one.
        until("one is given up", || origin.count("/b") > 0 && nginx.pending() == 1);
        a.open();
        page.join().unwrap().assert(200, cache, "<1>&lt;a&gt;<2>no<3>");
        if cache == "MISS" {
            nginx.get("/").warm();
            a.close();
        }
    }
}

#[test]
fn a_service_that_fails_spoils_nothing() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    origin.on("/b", Answer::ok("b"));
    let nginx = two(&origin).start();
    nginx.allow_log("the service of source \"a\" failed");
    nginx.allow_log("upstream prematurely closed");
    nginx.allow_log("Connection reset by peer");
    for bad in [
        Answer::new(500, "<a>"),
        Answer::new(404, "<a>"),
        Answer::ok("").header("X-Empty", "yes"),
        Answer::ok("<a>").truncated(1),
        Answer::ok("<a>").reset(0),
        Answer::ok("a".repeat((1 << 20) + 1)),
    ] {
        origin.on("/a", bad);
        let page = nginx.get("/").send();
        assert_eq!((page.status, page.text().as_str()), (200, "<1>none<2>B<3>"));
    }
    origin.on("/a", Answer::ok("a".repeat(1 << 20)));
    assert_eq!(nginx.get("/").send().body.len(), "<1><2>B<3>".len() + (1 << 20));
}

#[test]
fn fragments_come_after_the_values_that_choose_them() {
    let origin = Origin::start();
    let page = "<& if a member &><& include /member &><& else &><& include /guest &><& end &>";
    origin.on("/", Answer::page(page));
    origin.on("/member", Answer::html("member"));
    origin.on("/guest", Answer::html("guest"));
    origin.on("/b", Answer::ok("b"));
    let nginx = two(&origin).start();
    let gate = Gate::new();
    origin.on("/a", Answer::ok("yes").gate(&gate));
    let first = nginx.get("/").spawn();
    gate.wait_arrived(1);
    assert_eq!(origin.count("/member") + origin.count("/guest"), 0);
    gate.open();
    first.join().unwrap().assert(200, "MISS", "member");
    nginx.get("/").warm().assert(200, "HIT", "member");
    assert_eq!(origin.count("/guest"), 0);
    origin.on("/a", Answer::ok("0"));
    let members = origin.count("/member");
    nginx.get("/").send().assert(200, "HIT", "guest");
    assert_eq!((origin.count("/member"), origin.count("/guest")), (members, 1));
}

#[test]
fn a_fragment_waits_for_its_own_values() {
    let origin = Origin::start();
    origin.on("/", Answer::page("[<& include /part &>]<& get b x &>"));
    origin.on("/part", Answer::page("part <& get a x &>"));
    let (a, b) = gates(&origin);
    b.open();
    let nginx = two(&origin).start();
    let first = nginx.get("/").spawn();
    a.wait_arrived(1);
    a.open();
    first.join().unwrap().assert(200, "MISS", "[part &lt;a&gt;]b");
    nginx.get("/").warm().assert(200, "HIT", "[part &lt;a&gt;]b");
}

#[test]
fn a_head_asks_for_nothing() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    origin.on("/a", Answer::ok("a"));
    origin.on("/b", Answer::ok("b"));
    let nginx = two(&origin).start();
    nginx.get("/").send();
    nginx.get("/").warm();
    let before = origin.total();
    let head = nginx.get("/").head().send();
    head.assert(200, "HIT", "");
    assert_eq!((head.header("Content-Length"), origin.total()), (None, before));
}

#[test]
fn a_stale_page_that_stands_in_has_its_values() {
    let origin = Origin::start();
    let text = "<1>&lt;a&gt;<2>B<3>";
    origin.on(
        "/",
        Answer::html(PAGE)
            .header("X-Twice-Control", "max-age=1, stale-while-revalidate=0, stale-if-error=3600"),
    );
    origin.on("/a", Answer::ok("<a>"));
    origin.on("/b", Answer::ok("b"));
    let nginx = two(&origin).start();
    nginx.get("/").send().assert(200, "MISS", text);
    origin.on("/", Answer::new(503, "down"));
    until("it stands in", || {
        let page = nginx.get("/").send();
        assert_eq!((page.status, page.text().as_str()), (200, text));
        page.cache() == "STALE"
    });
    let (a, b) = gates(&origin);
    let page = nginx.get("/").spawn();
    a.wait_arrived(1);
    b.wait_arrived(1);
    b.open();
    a.open();
    page.join().unwrap().assert(200, "STALE", text);
}

#[test]
fn locations_that_return_wait_too() {
    let origin = Origin::start();
    let nginx = two(&origin)
        .location(
            "= /made",
            format!(
                "twice pages; twice_valid 1m; twice_tags all; default_type text/html; return 200 '{PAGE}';"
            ),
        )
        .start();
    for cache in ["MISS", "HIT"] {
        let (a, b) = gates(&origin);
        let page = nginx.get("/made").spawn();
        a.wait_arrived(1);
        b.wait_arrived(1);
        a.open();
        b.open();
        page.join().unwrap().assert(200, cache, "<1>&lt;a&gt;<2>B<3>");
        if cache == "MISS" {
            nginx.get("/made").warm();
        }
    }
}

#[test]
fn answers_that_pass_through_wait_too() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    origin.on("/never", passing(PAGE));
    let nginx = two(&origin).start();
    for request in [nginx.get("/").body("x"), nginx.get("/never")] {
        let (a, b) = gates(&origin);
        let page = request.spawn();
        a.wait_arrived(1);
        b.wait_arrived(1);
        b.open();
        a.open();
        assert_eq!(page.join().unwrap().text(), "<1>&lt;a&gt;<2>B<3>");
    }
}

#[test]
fn a_large_page_waits_as_a_small_one() {
    let origin = Origin::start();
    let text = |letter: &str| letter.repeat(300_000);
    origin.on("/", Answer::page(text("x") + "<& get a x &>" + &text("y") + "<& get b x &>"));
    let nginx = two(&origin).start();
    let expected = text("x") + "&lt;a&gt;" + &text("y") + "b";
    for cache in ["MISS", "HIT"] {
        let (a, b) = gates(&origin);
        let page = nginx.get("/").spawn();
        a.wait_arrived(1);
        b.wait_arrived(1);
        b.open();
        a.open();
        page.join().unwrap().assert(200, cache, &expected);
        if cache == "MISS" {
            nginx.get("/").warm();
        }
    }
}

#[test]
fn views_are_counted_when_the_page_is_there() {
    let origin = Origin::start();
    origin.on(
        "/",
        Answer::page("<& incr viewdb views &><& get a x &><& if b x &><& incr viewdb more &><& end &>"),
    );
    let nginx = two(&origin).start();
    for (cache, views) in [("MISS", "1"), ("HIT", "2")] {
        let (a, b) = gates(&origin);
        let page = nginx.get("/").spawn();
        a.wait_arrived(1);
        b.wait_arrived(1);
        a.open();
        b.open();
        page.join().unwrap().assert(200, cache, "&lt;a&gt;");
        becomes(&nginx, "views", views);
        becomes(&nginx, "more", views);
    }
}

#[test]
fn over_http2() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    let nginx = two(&origin).http2().start();
    for cache in ["MISS", "HIT"] {
        let (a, b) = gates(&origin);
        let page = nginx.get_h2("/").spawn();
        a.wait_arrived(1);
        b.wait_arrived(1);
        b.open();
        a.open();
        page.join().unwrap().assert(200, cache, "<1>&lt;a&gt;<2>B<3>");
        if cache == "MISS" {
            nginx.get_h2("/").warm();
        }
    }
}

#[test]
fn the_next_request_of_a_connection_comes_after_the_page_that_waits() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    origin.on("/plain", Answer::page("plain"));
    let (a, b) = gates(&origin);
    a.open();
    b.open();
    let nginx = two(&origin).start();
    for path in ["/", "/plain"] {
        nginx.get(path).header("Host", "localhost").warm();
    }
    a.close();
    let mut client = nginx.raw();
    let before = a.arrived();
    // Both at once, and the second one must not be taken for the client's leaving.
    client.get("/").get("/plain").get("/");
    a.wait_arrived(before + 1);
    a.open();
    for text in ["<1>&lt;a&gt;<2>B<3>", "plain", "<1>&lt;a&gt;<2>B<3>"] {
        client.response().assert(200, "HIT", text);
    }
}
