//! Stale pages are asked about behind the visitors' backs.

use super::*;

fn stale_site(origin: &Origin) -> Setup {
    Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always; twice_stale_factor 1000;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .figures()
}

/// Stores a page and waits until it is stale; the answer of the origin to the refresh is this.
#[track_caller]
fn refreshed(nginx: &Nginx, origin: &Origin, path: &str, page: Answer, answer: Answer) {
    origin.on(path, page);
    nginx.get(path).send().assert_cache("MISS");
    origin.on(path, answer);
    until("it is stale", || nginx.get(path).send().cache() == "STALE");
    until("the refresh has come", || origin.count(path) == 2);
}

#[test]
fn a_304_renews_a_stale_page() {
    let origin = Origin::start();
    let nginx = stale_site(&origin).start();
    for (path, body) in [("/plain", "page"), ("/tags", "page <& get cookie name Guest &>")] {
        let page = named(body).header("X-Own", "old");
        refreshed(&nginx, &origin, path, page, same().header("X-Own", "new"));
        assert_eq!(condition(&origin.last(path)), [Some(ETAG), Some(MODIFIED)]);
        let guest = body.replace("<& get cookie name Guest &>", "Guest");
        until("it is renewed", || nginx.get(path).send().cache() == "HIT");
        let hit = nginx.get(path).send();
        hit.assert(200, "HIT", &guest);
        assert_eq!(hit.header("X-Own"), Some("new"));
        assert_eq!(origin.count(path), 2);
    }
    // The worker that has asked counts when the others have the page.
    until("both are counted", || nginx.figure("revalidated") == 2);
    assert_eq!(nginx.figure("refresh_failures"), 0);
}

#[test]
fn a_304_that_takes_its_word_back_ends_the_page() {
    let origin = Origin::start();
    let nginx = stale_site(&origin).start();
    let page = Answer::html("page")
        .header("ETag", ETAG)
        .header("Cache-Control", "max-age=1, stale-while-revalidate=3600");
    let answer = Answer::new(304, "").header("Cache-Control", "no-store");
    refreshed(&nginx, &origin, "/", page, answer);
    origin.on("/", Answer::html("new"));
    until("it is gone", || nginx.get("/").send().cache() == "MISS");
    assert_eq!(condition(&origin.last("/")), [None, None]);
}

#[test]
fn a_304_that_is_about_nothing_is_a_failure() {
    let origin = Origin::start();
    let nginx = stale_site(&origin).start();
    nginx.expect_log("status 304 has come though no condition was sent");
    nginx.expect_log("a refresh brought no page (status, status 502)");
    refreshed(&nginx, &origin, "/", short("old"), same());
    until("it is counted", || nginx.figure("refresh_failures") == 1);
    let page = nginx.get("/").send();
    assert_eq!((page.text().as_str(), page.status), ("old", 200));
}

#[test]
fn a_304_about_another_page_ends_it() {
    let origin = Origin::start();
    let nginx = stale_site(&origin).start();
    nginx.expect_log("status 304 is about another page than was asked about");
    nginx.expect_log("a refresh brought no page (status, status 502)");
    refreshed(&nginx, &origin, "/", named("old"), same().header("ETag", "\"other\""));
    origin.on("/", Answer::page("new"));
    until("it is gone", || nginx.get("/").send().text() == "new");
    assert_eq!(condition(&origin.last("/")), [None, None]);
}
