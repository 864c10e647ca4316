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
