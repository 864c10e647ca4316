//! Which header lines of a 304 become the page's, and which are that answer's alone.

use super::*;

#[test]
fn what_a_location_hides_from_now_on_does_not_come_out_with_a_304() {
    let origin = Origin::start();
    let mut nginx = site(&origin, "").start();
    let own = |answer: Answer| answer.header("X-Own", "1").header("X-Kept", "1").header("Vary", "Cookie");
    expire(&nginx, &origin, "/", own(named("page")));
    origin.on("/", own(same()));
    nginx.reload_with(|setup| setup.http("proxy_hide_header X-Own; proxy_hide_header Vary;"));
    for cache in ["REVALIDATED", "HIT"] {
        let page = nginx.get("/").send();
        page.assert(200, cache, "page");
        let lines = ["X-Own", "Vary", "X-Kept"].map(|name| page.header(name));
        assert_eq!(lines, [None, None, Some("1")], "{page:?}");
    }
    // What is hidden steers.
    origin.on("/", own(Answer::page("Ann's")));
    nginx.get("/").cookie("name=Ann").send().assert(200, "MISS", "Ann's");
    nginx.get("/").send().assert(200, "HIT", "page");
}

#[test]
fn fields_of_one_answer_are_not_stored_of_a_304_either() {
    let origin = Origin::start();
    let nginx = site(&origin, "proxy_hide_header Cache-Control;").start();
    let control = "private=\"X-Name\", no-cache=\"Set-Cookie\"";
    expire(&nginx, &origin, "/", short("page").header("ETag", ETAG).header("Cache-Control", control));
    let answer = same().header("X-Name", "Ann").header("X-Hop", "1").header("X-Own", "1");
    origin.on("/", answer.header("Connection", "X-Hop, close").header("Set-Cookie", "a=1"));
    let page = nginx.get("/").send();
    page.assert(200, "REVALIDATED", "page");
    assert_eq!(page.all("Set-Cookie"), ["a=1"]);
    let hit = nginx.get("/").send();
    hit.assert(200, "HIT", "page");
    for page in [&page, &hit] {
        let lines = ["X-Own", "X-Name", "X-Hop", "Cache-Control"].map(|name| page.header(name));
        assert_eq!(lines, [Some("1"), None, None, None], "{page:?}");
    }
    assert_eq!(hit.header("Set-Cookie"), None);
}

#[test]
fn a_field_of_a_304s_connection_is_not_the_pages_of_that_name() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    expire(&nginx, &origin, "/", short("page").header("ETag", ETAG).header("X-Own", "the page's"));
    origin.on("/", same().header("X-Own", "the hop's").header("Connection", "x-own"));
    for cache in ["REVALIDATED", "HIT"] {
        let page = nginx.get("/").send();
        page.assert(200, cache, "page");
        assert_eq!(page.all("X-Own"), ["the page's"]);
    }
}

#[test]
fn an_answer_without_a_date_was_made_when_it_came() {
    let origin = Origin::start();
    let nginx = site(&origin, "proxy_pass_header Date;").start();
    let dated = |answer: Answer| answer.header("Date", MODIFIED).header("ETag", ETAG);
    expire(&nginx, &origin, "/", dated(short("page")));
    // By the page's own date the lifetime that it states would be over.
    origin.on("/", Answer::new(304, "").header("X-Twice-Control", "").header("Cache-Control", "max-age=60"));
    let pages = ["REVALIDATED", "HIT"].map(|cache| {
        let page = nginx.get("/").send();
        page.assert(200, cache, "page");
        page
    });
    for page in &pages {
        assert_eq!(page.all("Date").len(), 1, "{page:?}");
        assert_ne!(page.header("Date"), Some(MODIFIED));
    }
}
