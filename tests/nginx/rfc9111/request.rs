//! `twice_request_control`: clients that say what they want are heard where the location says so, and nowhere else.

use fixture::{Answer, Gate, Nginx, Origin, Request, until};

use super::{cached, caching, stored};

fn wants(nginx: &Nginx, path: &str, value: &str) -> Request {
    nginx.get(path).header("Cache-Control", value)
}

#[test]
fn nobody_is_heard_where_the_location_does_not_say_so() {
    let origin = Origin::start();
    origin.on("/", caching("max-age=1000"));
    let nginx = cached(&origin, "").start();
    stored(&nginx, "/", 1000);
    for value in ["no-cache", "no-store", "max-age=0", "min-fresh=9999", "only-if-cached"] {
        wants(&nginx, "/", value).header("Pragma", "no-cache").send().assert_cache("HIT");
    }
    assert_eq!(origin.count("/"), 1);
    wants(&nginx, "/other", "only-if-cached").send();
    assert_eq!(origin.count("/other"), 1);
}

#[test]
fn a_page_is_fetched_anew_and_stored() {
    let origin = Origin::start();
    origin.on("/", caching("max-age=1000"));
    let nginx = cached(&origin, "twice_request_control on;").start();
    stored(&nginx, "/", 1000);
    for (n, request) in [
        wants(&nginx, "/", "no-cache"),
        nginx.get("/").header("Pragma", "no-cache"),
        wants(&nginx, "/", "min-fresh=2000"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!("page {n}");
        origin.on("/", Answer::html(body.as_str()).header("Cache-Control", "max-age=1000"));
        let page = request.send();
        assert_eq!(page.text(), body);
        assert!(page.header("Cache-Status").unwrap().starts_with("Twice; fwd=request"), "{page:?}");
        // It does not go on to the origin, and others get what it has brought.
        assert_eq!(origin.last("/").header("Cache-Control"), None);
        until("others get it", || nginx.get("/").warm().text() == body);
    }
    assert_eq!(origin.count("/"), 4);
    // `Pragma` has no say beside `Cache-Control`.
    wants(&nginx, "/", "max-age=500").header("Pragma", "no-cache").send().assert_cache("HIT");
}

#[test]
fn a_page_is_asked_about_by_its_own_validators() {
    const ETAG: &str = "\"origin's\"";
    let origin = Origin::start();
    let page = |body: &str| caching("max-age=1000").header("ETag", ETAG).header("X-Body", body);
    origin.on("/", page("old").header("Vary", "X-Of"));
    let nginx = cached(&origin, "twice_request_control on;").figures().start();
    stored(&nginx, "/", 1000);
    let requests = [
        wants(&nginx, "/", "no-cache"),
        nginx.get("/").header("Pragma", "no-cache"),
        wants(&nginx, "/", "min-fresh=3000"),
        wants(&nginx, "/", "no-cache, max-age=5000, max-stale"),
    ];
    for (n, request) in requests.into_iter().enumerate() {
        let own = format!("{n}");
        origin.on("/", Answer::new(304, "").header("Cache-Control", "max-age=2000").header("X-Body", &own));
        let page = request.header("If-None-Match", "\"client's\"").send();
        page.assert(200, "REVALIDATED", "x");
        let asked = origin.last("/");
        assert_eq!([asked.header("If-None-Match"), asked.header("Cache-Control")], [Some(ETAG), None]);
        // RFC 9211 2.2: there was a fresh page, which the client would not have.
        assert_eq!(page.header("Cache-Status"), Some("Twice; fwd=request; fwd-status=304; stored; ttl=2000"));
        let hit = nginx.get("/").send();
        hit.assert(200, "HIT", "x");
        assert_eq!((page.header("X-Body"), hit.header("X-Body")), (Some(&*own), Some(&*own)));
    }
    assert_eq!((origin.count("/"), nginx.figure("revalidated")), (5, 4));
    // Who will not have it stored is told that it is the same, and the store keeps what it has.
    origin.on("/", Answer::new(304, "").header("X-Body", "his"));
    let page = wants(&nginx, "/", "no-cache, no-store").send();
    assert_eq!(
        (page.cache(), page.reason(), page.header("X-Body")),
        ("REVALIDATED", "no_store", Some("his"))
    );
    assert_eq!(nginx.get("/").send().header("X-Body"), Some("3"));
    // A HEAD says of the page what it is told.
    origin.on("/", page_of_head(ETAG));
    wants(&nginx, "/", "no-cache").head().send().assert(200, "EXPIRED", "");
    assert_eq!((nginx.get("/").send().header("X-Body"), nginx.figure("revalidated")), (Some("head"), 6));
}

fn page_of_head(etag: &str) -> Answer {
    caching("max-age=1000").header("ETag", etag).header("X-Body", "head").header("Vary", "X-Of")
}

#[test]
fn who_wants_a_page_anew_waits_for_nobody_and_sees_failures() {
    let origin = Origin::start();
    origin.on("/", caching("max-age=1000"));
    let nginx = cached(&origin, "twice_request_control on;").start();
    // What others wait for was asked for before he came.
    let gate = Gate::new();
    origin.on("/", caching("max-age=1000").gate(&gate));
    let first = nginx.get("/").spawn();
    gate.wait_arrived(1);
    origin.on("/", Answer::html("new").header("Cache-Control", "max-age=1000"));
    wants(&nginx, "/", "no-cache").send().assert(200, "MISS", "new");
    gate.open();
    first.join().unwrap();
    nginx.get("/").warm();
    origin.on("/", Answer::new(503, "down"));
    let page = wants(&nginx, "/", "no-cache").send();
    page.assert(503, "EXPIRED", "down");
    assert!(page.header("Cache-Status").unwrap().starts_with("Twice; fwd=request"), "{page:?}");
    assert_eq!(nginx.get("/").send().cache(), "HIT");
}

/// Anybody can ask for a page anew, and have the origin say something else of it by whatever it looks at.
#[test]
fn who_is_told_that_there_is_no_page_takes_it_from_nobody() {
    let origin = Origin::start();
    let nginx = cached(&origin, "twice_request_control on;").start();
    let none = Answer::new(404, "none");
    let own = Answer::html("own").header("Cache-Control", "no-store");
    for (path, answer) in [("/none", none), ("/own", own)] {
        origin.handle(path, move |request| match request.header("X-Odd") {
            Some(_) => answer.clone(),
            None => caching("max-age=1000"),
        });
        stored(&nginx, path, 1000);
        let page = wants(&nginx, path, "no-cache").header("X-Odd", "1").send();
        assert_eq!(page.cache(), "EXPIRED", "{page:?}");
        nginx.get(path).send().assert(200, "HIT", "x");
    }
}

#[test]
fn ages_are_bounded_by_what_the_client_says() {
    let origin = Origin::start();
    origin.on("/", caching("max-age=1000").header("Age", "300"));
    let nginx = cached(&origin, "twice_request_control on;").start();
    stored(&nginx, "/", 700);
    wants(&nginx, "/", "max-age=600").send().assert_cache("HIT");
    wants(&nginx, "/", "min-fresh=300").send().assert_cache("HIT");
    for value in ["max-age=299", "min-fresh=701", "max-age=0"] {
        let page = wants(&nginx, "/", value).send();
        assert_eq!((page.cache(), page.reason()), ("EXPIRED", "recording"), "{value}: {page:?}");
    }
}

#[test]
fn a_stale_page_is_taken_by_who_takes_stale_pages() {
    let origin = Origin::start();
    let old = |value: &str| Answer::html("old").header("Cache-Control", value);
    origin.on("/stale", old("max-age=1"));
    origin.on("/never", old("max-age=1, must-revalidate"));
    origin.on("/soft", old("max-age=1, stale-while-revalidate=1000"));
    let nginx = cached(&origin, "twice_request_control on;").start();
    for path in ["/stale", "/never", "/soft"] {
        nginx.get(path).send();
        until("it is over", || wants(&nginx, path, "only-if-cached, max-age=100").send().status == 504);
        origin.on(path, Answer::html("new").header("Cache-Control", "max-age=1000"));
    }
    // Stale as it is, it is renewed meanwhile.
    wants(&nginx, "/stale", "max-stale=1000").send().assert(200, "STALE", "old");
    nginx.get("/stale").warm().assert(200, "HIT", "new");
    wants(&nginx, "/never", "max-stale").send().assert(200, "EXPIRED", "new");
    // Others would have been served this one.
    wants(&nginx, "/soft", "min-fresh=0").send().assert(200, "EXPIRED", "new");
}

#[test]
fn who_wants_a_stored_page_or_none_gets_none() {
    let origin = Origin::start();
    origin.on("/*", caching("max-age=1000"));
    let nginx = cached(&origin, "twice_request_control on;").start();
    for request in [wants(&nginx, "/a", "only-if-cached"), wants(&nginx, "/a", "only-if-cached").head()] {
        let page = request.send();
        assert_eq!((page.status, page.cache(), page.reason()), (504, "MISS", "only_if_cached"), "{page:?}");
    }
    assert_eq!(origin.count("/a"), 0);
    stored(&nginx, "/a", 1000);
    wants(&nginx, "/a", "only-if-cached").send().assert(200, "HIT", "x");
    wants(&nginx, "/a", "only-if-cached, no-cache").send().assert_cache("EXPIRED");
    assert_eq!(origin.count("/a"), 1);
}

#[test]
fn what_a_client_will_not_have_stored_is_not() {
    let origin = Origin::start();
    origin.on("/", caching("max-age=1000"));
    let nginx = cached(&origin, "twice_request_control on;").start();
    for count in 1..=2 {
        let page = wants(&nginx, "/", "no-store").send();
        assert_eq!((page.cache(), page.reason(), origin.count("/")), ("MISS", "no_store", count));
    }
    // Others are not held up by it, and what is stored for them is good for it, too.
    stored(&nginx, "/", 1000);
    wants(&nginx, "/", "no-store").send().assert_cache("HIT");
}
