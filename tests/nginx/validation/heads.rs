//! A HEAD that found its page expired goes to the origin; what it brings is said of the page, too (RFC 9111 4.3.5).

use super::*;

#[test]
fn a_head_says_that_the_page_is_still_the_same() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    for (path, body) in [("/plain", "page"), ("/tags", "page <& get cookie name Guest &>")] {
        expire(&nginx, &origin, path, named(body).header("X-Own", "old"));
        origin.on(path, named(body).header("X-Own", "new").header("Cache-Control", "max-age=60"));
        let fresh = Answer::page(body).header("ETag", ETAG).header("X-Own", "new");
        origin.on(path, fresh);
        let head = nginx.get(path).head().send();
        head.assert(200, "EXPIRED", "");
        assert_eq!((head.reason(), origin.last(path).method.as_str()), ("head", "HEAD"));
        let hit = nginx.get(path).cookie("name=Guest").send();
        hit.assert(200, "HIT", &body.replace("<& get cookie name Guest &>", "Guest"));
        assert_eq!(hit.header("X-Own"), Some("new"));
        assert_eq!(origin.count(path), 2);
    }
    assert_eq!(nginx.figure("revalidated"), 2);
}

#[test]
fn a_head_that_says_anything_else_renews_nothing() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    let rows = [
        ("/tag", Answer::page("page").header("ETag", "\"other\"")),
        ("/date", Answer::page("page").header("Last-Modified", "Mon, 07 Nov 1994 08:49:37 GMT")),
        ("/length", Answer::page("pages").header("ETag", ETAG)),
        ("/nothing", Answer::page("page")),
        ("/status", Answer::new(203, "page").header("X-Twice-Control", "max-age=60").header("ETag", ETAG)),
        ("/coded", Answer::page("page").header("ETag", ETAG).header("Content-Encoding", "gzip")),
        (
            "/no-store",
            Answer::html("page")
                .header("ETag", ETAG)
                .header("Cache-Control", "no-store")
                .header("X-Twice-Control", ""),
        ),
    ];
    for (path, _) in &rows {
        origin.on(path, named("page"));
        nginx.get(path).send().assert_cache("MISS");
    }
    wait_over(&nginx, &origin);
    for (path, answer) in rows {
        origin.on(path, answer);
        nginx.get(path).head().send().assert_cache("EXPIRED");
        origin.on(path, same());
        // What is stored is what it was: it is asked about.
        let page = nginx.get(path).send();
        assert_eq!((page.cache(), page.text().as_str()), ("REVALIDATED", "page"), "{path}");
    }
}

#[test]
fn a_head_that_may_renew_a_page_tells_the_origin_no_more_than_a_fetch() {
    let origin = Origin::start();
    let nginx = site(&origin, "twice_withhold X-Forwarded-Host Cookie;").start();
    let page = |request: &Received| {
        let said = |name: &str| request.header(name).unwrap_or("-").to_owned();
        let [host, name, coding] = ["X-Forwarded-Host", "Cookie", "Accept-Encoding"].map(said);
        let control = if request.method == "HEAD" { "max-age=60, no-tags" } else { "max-age=1, no-tags" };
        let page = Answer::html("page").header("X-Twice-Control", control).header("ETag", ETAG);
        page.header("X-Said", format!("{host} {name} {coding}"))
    };
    origin.handle("/", page);
    nginx.get("/").send().assert_cache("MISS");
    wait_over(&nginx, &origin);
    let head = nginx.get("/").head().header("X-Forwarded-Host", "evil").cookie("name=Ann");
    head.header("Accept-Encoding", "gzip").send().assert(200, "EXPIRED", "");
    let hit = nginx.get("/").send();
    hit.assert(200, "HIT", "page");
    assert_eq!(hit.header("X-Said"), Some("- - -"));
    // His own condition is held against what he is sent.
    origin.handle("/other", page);
    nginx.get("/other").send().assert_cache("MISS");
    wait_over(&nginx, &origin);
    nginx.get("/other").head().header("If-None-Match", ETAG).send().assert(304, "EXPIRED", "");
    assert_eq!(condition(&origin.last("/other")), [None, None]);
    nginx.get("/other").send().assert(200, "HIT", "page");
}

#[test]
fn a_head_that_was_handed_over_says_nothing_of_who_did() {
    let origin = Origin::start();
    let nginx = site(&origin, "")
        .location("= /gate", format!("proxy_pass {};", origin.url()))
        .location("/inside/", format!("internal; twice pages; twice_key $uri; proxy_pass {};", origin.url()))
        .start();
    origin.on(
        "/gate",
        Answer::ok("").header("X-Accel-Redirect", "/inside/page").header("Content-Disposition", "a"),
    );
    origin.on("/inside/page", named("page"));
    nginx.get("/gate").send().assert(200, "MISS", "page");
    wait_over(&nginx, &origin);
    origin.on("/inside/page", Answer::page("page").header("ETag", ETAG));
    nginx.get("/gate").head().send().assert(200, "EXPIRED", "");
    let hit = nginx.get("/gate").send();
    hit.assert(200, "HIT", "page");
    assert_eq!(hit.all("Content-Disposition"), ["a"]);
}

#[test]
fn a_late_head_says_nothing_of_a_page_that_came_meanwhile() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    origin.on("/", named("page"));
    nginx.get("/").send().assert_cache("MISS");
    wait_over(&nginx, &origin);
    let gate = Gate::new();
    origin.on("/", named("page").header("X-Own", "old").gate(&gate));
    let late = nginx.get("/").head().spawn();
    gate.wait_arrived(1);
    origin.on("/", same().header("X-Own", "new"));
    nginx.get("/").send().assert(200, "REVALIDATED", "page");
    gate.open();
    late.join().unwrap().assert(200, "EXPIRED", "");
    let hit = nginx.get("/").send();
    hit.assert(200, "HIT", "page");
    assert_eq!((hit.header("X-Own"), nginx.figure("revalidated")), (Some("new"), 1));
}

#[test]
fn a_head_of_a_page_asks_for_no_304() {
    let origin = Origin::start();
    let nginx = site(&origin, "")
        .location("/alone/", format!("twice pages; twice_use_stale off; proxy_pass {};", origin.url()))
        .start();
    nginx.expect_log("status 304 has come though no condition was sent");
    for (path, status, cache) in [("/", 200, "STALE"), ("/alone/", 502, "EXPIRED")] {
        expire(&nginx, &origin, path, named("page"));
        let head = nginx.get(path).head().send();
        assert_eq!((head.status, head.cache()), (status, cache), "{path}");
        assert_eq!(condition(&origin.last(path)), [None, None]);
    }
}
