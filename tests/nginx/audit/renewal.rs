//! Pages that have passed, and are fetched again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fixture::{Answer, Origin, Received, Response, until};

use super::{SECRET, Site, audited, user};

/// Fresh for a second.
fn short(body: String) -> Answer {
    Answer::html(body).header("X-Twice-Control", "max-age=1")
}

/// Two visitors have the page stored.
#[track_caller]
fn store(site: &Site) {
    site.assert_end("/", "user=Ann", "MISS audit_waits");
    site.assert_end("/", "user=Bob", "MISS stored");
}

/// Waits until the page has expired; a HEAD goes by without storing anything.
#[track_caller]
fn expire(site: &Site) {
    until("it has expired", || site.nginx.get("/").head().send().cache() == "EXPIRED");
}

#[test]
fn an_expired_page_that_is_what_it_was_needs_no_second_visitor() {
    let site = Site::start("twice_stale_factor 1;");
    site.origin.on("/", short("old".to_owned()));
    store(&site);
    expire(&site);
    // Whoever it is: he was sent what all were.
    site.assert_end("/", "user=Bob", "EXPIRED stored");
    expire(&site);
    site.origin.on("/", short("new".to_owned()));
    site.assert_end("/", "user=Bob", "EXPIRED audit_waits").assert(200, "EXPIRED", "new");
    site.assert_end("/", "user=Bob", "EXPIRED audit_waits");
    site.assert_end("/", "user=Eve", "EXPIRED stored");
    // Where it has become one visitor's own it is shared no more.
    site.origin.handle("/", |request| short(user(request)));
    expire(&site);
    site.assert_end("/", "user=Cinderella", "EXPIRED audit_waits").assert(200, "EXPIRED", "Cinderella");
    site.assert_end("/", "user=Bob", "EXPIRED audit_differs body line 1 column 1")
        .assert(200, "EXPIRED", "Bob");
    site.told("/", "body line 1 column 1");
    site.ends_without_secret();
}

#[test]
fn an_old_page_stands_in_for_a_failing_origin_while_a_new_one_waits() {
    let site = Site::start("twice_stale_factor 1;");
    site.origin.on("/", short("old".to_owned()));
    store(&site);
    site.origin.on("/", short("new".to_owned()));
    expire(&site);
    site.assert_end("/", "user=Bob", "EXPIRED audit_waits");
    site.origin.on("/", Answer::new(503, "down"));
    site.assert_end("/", "user=Eve", "STALE origin_failed").assert(200, "STALE", "old");
}

#[test]
fn a_refresh_that_carries_nobodys_data_passes() {
    let site = Site::start("twice_stale_factor 1000;");
    site.origin.on("/", short("old".to_owned()));
    store(&site);
    site.origin.handle("/", |request| short(format!("new for {}", user(request))));
    until("it is renewed", || site.nginx.get("/").cookie("user=Cinderella").send().text() == "new for Guest");
    let refresh = site.origin.last("/");
    assert_eq!(refresh.header("Cookie"), None);
    site.ends_without_secret();
}

/// A location whose refreshes carry what the visitor is known by: one visitor's is no proof.
#[track_caller]
fn refreshed_as_a_visitor(lines: &str, tell: fn(&fixture::Received) -> String) {
    let origin = Origin::start();
    let nginx = audited(&origin, &format!("twice_stale_factor 1000; {lines}")).start();
    let site = Site { origin, nginx };
    let is_new = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&is_new);
    site.origin.handle("/", move |request| {
        short(if now.load(Ordering::SeqCst) { tell(request) } else { "old".to_owned() })
    });
    store(&site);
    until("a refresh that brings the same passes", || {
        site.nginx.get("/").cookie("user=Cinderella").send();
        let figures = site.nginx.figures("pages");
        assert_eq!((figures["audit_waits"], figures["refresh_failures"]), (1, 0));
        figures["stored"] >= 2
    });
    is_new.store(true, Ordering::SeqCst);
    until("a refresh is heard, and the old page goes on", || {
        assert_eq!(site.nginx.get("/").cookie("user=Cinderella").send().text(), "old");
        site.nginx.figure("audit_waits") == 2
    });
    // That is remembered for some seconds. Then another visitor's differs.
    until("another visitor's refresh is heard", || {
        assert_eq!(site.nginx.get("/").cookie("user=Bob").send().text(), "old");
        site.nginx.figure("audit_differs") == 1
    });
    site.told("/", "body line 1 column 1");
    until("it has failed", || site.nginx.figure("refresh_failures") == 1);
    site.ends_without_secret();
}

#[test]
fn a_refresh_of_a_location_that_writes_its_own_key_is_a_visitors() {
    refreshed_as_a_visitor("twice_key $uri;", user);
}

#[test]
fn a_refresh_that_carries_what_was_made_of_a_cookie_is_a_visitors() {
    refreshed_as_a_visitor("set $who $cookie_user; proxy_set_header X-Who $who;", |request| {
        request.header("X-Who").unwrap_or_default().to_owned()
    });
}

/// A page with a validator; a condition is answered by a 304 with this line. What a HEAD is told renews nothing.
fn validated(request: &Received, name: &str, value: &str) -> Answer {
    let answer = match (request.method.as_str(), request.header("If-None-Match")) {
        ("HEAD", _) => Answer::new(404, ""),
        (_, Some("\"v\"")) => Answer::new(304, ""),
        _ => Answer::html("page"),
    };
    answer.header("X-Twice-Control", "max-age=1, no-tags").header("ETag", "\"v\"").header(name, value)
}

/// The page is anybody's: from the store, or confirmed once more where its second is over.
#[track_caller]
fn shared(site: &Site, path: &str) -> Response {
    let page = site.nginx.get(path).cookie("user=Eve").send();
    assert!(matches!((page.cache(), page.text().as_str()), ("HIT" | "REVALIDATED", "page")), "{page:?}");
    page
}

#[test]
fn a_page_that_is_only_confirmed_needs_no_second_visitor() {
    let site = Site::start("twice_stale_factor 1;");
    site.origin.handle("/", |request| validated(request, "X-App", "1"));
    store(&site);
    expire(&site);
    site.assert_end("/", "user=Bob", "REVALIDATED stored").assert(200, "REVALIDATED", "page");
    shared(&site, "/");
    // A header that has come with a 304 may be one visitor's.
    site.origin.handle("/", |request| validated(request, "X-App", &user(request)));
    expire(&site);
    let page = site.assert_end("/", "user=Cinderella", "REVALIDATED audit_waits");
    assert_eq!(page.header("X-App"), Some(SECRET));
    let page = site.assert_end("/", "user=Bob", "REVALIDATED audit_differs header x-app");
    assert_eq!((page.text().as_str(), page.header("X-App")), ("page", Some("Bob")));
    site.told("/", "header x-app");
    site.ends_without_secret();
}

#[test]
fn lines_that_are_ignored_do_not_come_back_with_a_304() {
    let origin = Origin::start();
    let nginx = audited(&origin, "twice_stale_factor 1;")
        .location(
            "/x/",
            format!(
                "twice pages; twice_audit on ignore=X-Id; twice_stale_factor 1; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    let site = Site { origin, nginx };
    site.origin.handle("/x/", |request| validated(request, "X-Id", &user(request)));
    site.assert_end("/x/", "user=Cinderella", "MISS audit_waits");
    site.assert_end("/x/", "user=Bob", "MISS stored");
    until("it has expired", || site.nginx.get("/x/").head().send().cache() == "EXPIRED");
    site.assert_end("/x/", "user=Cinderella", "REVALIDATED stored");
    let page = shared(&site, "/x/");
    assert_eq!((page.header("X-Id"), page.header("ETag")), (None, Some("\"v\"")));
}

#[test]
fn lines_that_steer_hold_though_they_are_ignored() {
    let origin = Origin::start();
    let audit = "twice pages; twice_audit on ignore=Expires,Surrogate-Key; twice_stale_factor 1;";
    let nginx = audited(&origin, "")
        .location("/x/", format!("{audit} proxy_pass {};", origin.url()))
        .location("/purge", "twice_purge pages; allow 127.0.0.1; deny all;")
        .start();
    let site = Site { origin, nginx };
    site.origin.handle("/x/", |request| match request.header("If-None-Match") {
        Some(_) => Answer::new(304, "").header("X-Twice-Control", "max-age=60"),
        None => validated(request, "Surrogate-Key", "news"),
    });
    site.assert_end("/x/", "user=Ann", "MISS audit_waits");
    site.assert_end("/x/", "user=Bob", "MISS stored");
    until("it has expired", || site.nginx.get("/x/").head().send().cache() == "EXPIRED");
    site.assert_end("/x/", "user=Ann", "REVALIDATED stored");
    site.assert_end("/x/", "user=Eve", "HIT hit");
    let purge = site.nginx.get("/purge").header("Content-Type", "application/json");
    assert_eq!(purge.body("{\"keys\":[\"news\"]}").send().status, 200);
    site.assert_end("/x/", "user=Eve", "MISS audit_waits");
}
