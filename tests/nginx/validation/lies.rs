//! Origins that say "not modified" where they should not.

use super::*;

#[test]
fn a_304_that_nobody_asked_for_reaches_nobody() {
    let origin = Origin::start();
    let nginx = site(&origin, "twice_key $uri;").start();
    nginx.expect_log("status 304 has come though no condition was sent");
    origin.on("/", same().header("X-Own", "1"));
    // He has a condition, of which the origin was not told.
    for request in [nginx.get("/"), nginx.get("/").header("If-None-Match", ETAG)] {
        let page = request.send();
        assert_eq!((page.status, page.cache(), page.reason()), (502, "MISS", "status"));
        assert_eq!(page.header("X-Own"), None);
        assert_eq!(condition(&origin.last("/")), [None, None]);
    }
    origin.on("/", Answer::page("whole"));
    nginx.get("/").send().assert(200, "MISS", "whole");
    nginx.get("/").send().assert(200, "HIT", "whole");
    // The connection goes on.
    origin.on("/other", same());
    let mut raw = nginx.raw();
    raw.get("/other");
    assert_eq!(raw.response().status, 502);
    raw.get("/").response().assert(200, "HIT", "whole");
}

#[test]
fn a_stale_page_stands_in_for_it() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    nginx.expect_log("status 304 has come though no condition was sent");
    // It has nothing to ask by.
    expire(&nginx, &origin, "/", short("old"));
    let page = nginx.get("/").send();
    page.assert(200, "STALE", "old");
    assert_eq!(page.reason(), "origin_failed");
    let status = page.header("Cache-Status").unwrap();
    assert!(status.starts_with("Twice; fwd=stale; fwd-status=304; detail=origin_failed; ttl="), "{status}");
}

#[test]
fn an_answer_that_is_not_shared_is_the_clients_alone() {
    let origin = Origin::start();
    let nginx = site(&origin, "").location("/own/", format!("proxy_pass {};", origin.url())).start();
    origin.handle("/", |request| {
        if request.header("If-None-Match") == Some(ETAG) {
            Answer::new(304, "")
        } else {
            Answer::html("page")
        }
    });
    // A HEAD that finds no page goes to the origin as it is.
    let head = nginx.get("/").head().header("If-None-Match", ETAG).send();
    assert_eq!((head.status, head.reason()), (304, "head"));
    assert_eq!(nginx.get("/").head().send().status, 200);
}

#[test]
fn a_304_about_another_page_ends_the_one_that_was_asked_about() {
    let origin = Origin::start();
    let nginx = site(&origin, "")
        .location("/alone/", format!("twice pages; twice_use_stale off; proxy_pass {};", origin.url()))
        .start();
    nginx.expect_log("status 304 is about another page than was asked about");
    for (path, status, cache) in [("/", 200, "STALE"), ("/alone/", 502, "EXPIRED")] {
        expire(&nginx, &origin, path, named("old"));
        origin.on(path, same().header("ETag", "\"other\""));
        let page = nginx.get(path).send();
        assert_eq!((page.status, page.cache()), (status, cache), "{path}");
        assert_eq!(condition(&origin.last(path)), [Some(ETAG), Some(MODIFIED)]);
        origin.on(path, Answer::page("new"));
        nginx.get(path).send().assert(200, "MISS", "new");
        assert_eq!(condition(&origin.last(path)), [None, None]);
    }
}

#[test]
fn a_fragment_that_is_no_answer_prints_its_default() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    nginx.expect_log("status 304 has come though no condition was sent");
    nginx.expect_log("/part");
    origin.on("/", Answer::page("a <& include /part | default:none &> b"));
    origin.on("/part", same());
    nginx.get("/").send().assert(200, "MISS", "a none b");
    nginx.get("/").send().assert(200, "HIT", "a none b");
}

#[test]
fn nginx_itself_may_be_told_to_say_so() {
    let origin = Origin::start();
    let nginx = site(&origin, "").location("= /304", "twice pages; return 304;").start();
    assert_eq!(nginx.get("/304").send().status, 304);
}

/// While the origin was asked about a page somebody else's fetch has brought another one, which stays.
#[test]
fn a_304_renews_no_page_that_was_replaced_meanwhile() {
    let origin = Origin::start();
    let nginx = site(&origin, "twice_key $uri; twice_bypass $arg_fresh; twice_lock off;").start();
    expire(&nginx, &origin, "/", named("old"));
    let gate = Gate::new();
    origin.on("/", same().gate(&gate));
    let asking = nginx.get("/").spawn();
    gate.wait_arrived(1);
    origin.on("/", Answer::page("new"));
    nginx.get("/?fresh=1").send().assert(200, "BYPASS", "new");
    nginx.get("/").warm().assert(200, "HIT", "new");
    gate.open();
    asking.join().unwrap().assert(200, "REVALIDATED", "old");
    nginx.get("/").send().assert(200, "HIT", "new");
}

/// nginx takes the first of two tags from 1.23 on. Before, both come.
#[test]
fn of_two_different_tags_neither_is_one() {
    let takes_the_first = nginx_version() >= (1, 23, 0);
    let both = |answer: Answer| answer.header("ETag", "\"one\"").header("ETag", "\"two\"");
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    nginx.allow_log("upstream sent duplicate header line");
    expire(&nginx, &origin, "/", both(short("page").header("Last-Modified", MODIFIED)));
    // A 304 that names both is about the page, which says no more of itself than before.
    origin.on("/", both(same()));
    let page = nginx.get("/").send();
    page.assert(200, "REVALIDATED", "page");
    let tag = takes_the_first.then_some("\"one\"");
    assert_eq!(condition(&origin.last("/")), [tag, Some(MODIFIED)]);
    for (asked, has_it) in [("\"one\"", takes_the_first), ("\"two\"", false)] {
        let page = nginx.get("/").header("If-None-Match", asked).send();
        assert_eq!((page.status, page.cache()), (if has_it { 304 } else { 200 }, "HIT"), "{asked}: {page:?}");
    }
    let hit = nginx.get("/").send();
    assert_eq!((hit.header("ETag"), hit.header("Last-Modified")), (tag, Some(MODIFIED)), "{hit:?}");
    assert_eq!(nginx.get("/").header("If-Modified-Since", MODIFIED).send().status, 304);
    assert_eq!(origin.count("/"), 2);
}

/// What the application confirms to an odd request it may confirm of another page than that which others are sent.
#[test]
fn a_304_to_a_request_that_may_be_read_otherwise_renews_nothing() {
    let origin = Origin::start();
    let nginx = site(&origin, "twice_vary_cookies lang;").start();
    expire(&nginx, &origin, "/", named("page"));
    let odd = nginx.get("/").cookie("LANG=evil").send();
    odd.assert(200, "REVALIDATED", "page");
    assert_eq!(odd.reason(), "unclear");
    let page = nginx.get("/").send();
    page.assert(200, "REVALIDATED", "page");
    assert_eq!(page.reason(), "stored");
    nginx.get("/").cookie("LANG=evil").send().assert(200, "HIT", "page");
    assert_eq!((origin.count("/"), nginx.figure("refresh_failures")), (3, 0));
}
