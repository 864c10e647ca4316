//! Pages after their lifetime: served at once while one refresh renews them, detached from whoever asked.
//!
//! A page lives for a second here and is stale for an hour; stories wait for its status, never for its time.

mod detached;
mod failing;
mod instead;
mod like_a_visitor;

use std::time::Duration;

use fixture::{Answer, Gate, Nginx, Origin, Response, Setup, until, until_some};

/// Stale after a second, for an hour.
const LONG: &str = "twice_stale_factor 1000;";

/// An origin that says nothing has failed; one that answers has its time, however busy the machine is.
const SILENCE: &str = "proxy_read_timeout 2s;";

fn cached(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always; add_header X-Page-Age $twice_age always;")
        .http("server_tokens off;")
        .location("/", format!("twice pages; {LONG} {lines} proxy_pass {};", origin.url()))
}

fn short(body: &str) -> Answer {
    Answer::html(body).header("X-Twice-Control", "max-age=1")
}

/// Asks until the page is stale; the answer is the first that says so. Whoever gets it has a refresh started, unless one
/// is under way.
#[track_caller]
fn stale(nginx: &Nginx, path: &str) -> Response {
    until_some(&format!("{path} is stale"), || {
        let page = nginx.get(path).send();
        (page.cache() == "STALE").then_some(page)
    })
}

/// Has the page in the store, in its lifetime.
fn fill(nginx: &Nginx, path: &str) {
    nginx.get(path).send();
}

/// Asks until the answer has this body.
#[track_caller]
fn renewed(nginx: &Nginx, path: &str, body: &str) {
    until(&format!("{path} is renewed"), || nginx.get(path).send().text() == body);
}

#[test]
fn a_stale_page_is_served_at_once_and_renewed_by_one_refresh() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx = cached(&origin, "").start();
    fill(&nginx, "/");
    let gate = Gate::new();
    origin.on("/", Answer::page("new").gate(&gate));
    let page = stale(&nginx, "/");
    page.assert(200, "STALE", "old");
    assert_eq!(page.reason(), "stale");
    let status = page.header("Cache-Status").unwrap();
    let ttl = status.strip_prefix("Twice; hit; ttl=").and_then(|ttl| ttl.parse::<i64>().ok());
    assert!(ttl.is_some_and(|ttl| ttl <= 0), "{status}");
    assert_eq!(ttl.map(|ttl| ttl.to_string()).as_deref(), page.header("X-Ttl"));
    gate.wait_arrived(1);
    // While it hangs everybody else is served.
    for _ in 0..5 {
        nginx.get("/").send().assert(200, "UPDATING", "old");
    }
    assert_eq!(origin.count("/"), 2);
    gate.open();
    renewed(&nginx, "/", "new");
    nginx.get("/").send().assert(200, "HIT", "new");
    assert_eq!(origin.count("/"), 2);
}

#[test]
fn a_page_has_its_factors_time_and_no_more() {
    let origin = Origin::start();
    let nginx = cached(&origin, "")
        .location("/none/", format!("twice pages; twice_stale_factor 1; proxy_pass {};", origin.url()))
        .start();
    origin.on("/none/x", short("old"));
    fill(&nginx, "/none/x");
    origin.on("/none/x", short("new"));
    let page = until_some("it is over", || {
        let page = nginx.get("/none/x").send();
        (page.cache() != "HIT").then_some(page)
    });
    page.assert(200, "EXPIRED", "new");
}

#[test]
fn what_an_answer_states_goes_before_the_factor() {
    let origin = Origin::start();
    let nginx = Nginx::twice().location("/", format!("twice pages; proxy_pass {};", origin.url())).start();
    let caching = |value: &str| Answer::html("old").header("Cache-Control", value);
    let control = |value: &str| Answer::html("old").header("X-Twice-Control", value);
    let gate = Gate::new();
    let stale_ones = [
        control("max-age=1, stale-while-revalidate=3600"),
        caching("max-age=1, stale-while-revalidate=3600"),
        caching("s-maxage=1, stale-while-revalidate=3600"),
        control("stale-while-revalidate=3600").header("Cache-Control", "max-age=1"),
        control("max-age=1, stale-while-revalidate=3600").header("Cache-Control", "must-revalidate"),
    ];
    let expired_ones = [
        control("max-age=1, stale-while-revalidate=0"),
        control("max-age=1, stale-while-revalidate=0").header("Cache-Control", "stale-while-revalidate=3600"),
        caching("max-age=1"),
        caching("max-age=1, must-revalidate, stale-while-revalidate=3600"),
        caching("max-age=1, proxy-revalidate, stale-while-revalidate=3600"),
        caching("s-maxage=1"),
    ];
    for (n, answer) in stale_ones.iter().enumerate() {
        let path = format!("/stale{n}");
        origin.on(&path, answer.clone());
        fill(&nginx, &path);
        origin.on(&path, Answer::page("new").gate(&gate));
        stale(&nginx, &path).assert(200, "STALE", "old");
    }
    for (n, answer) in expired_ones.iter().enumerate() {
        let path = format!("/expired{n}");
        origin.on(&path, answer.clone());
        fill(&nginx, &path);
        origin.on(&path, Answer::page("new"));
        let page = until_some("it is over", || {
            let page = nginx.get(&path).send();
            (page.cache() != "HIT").then_some(page)
        });
        page.assert(200, "EXPIRED", "new");
    }
    gate.open();
}

#[test]
fn an_origin_that_is_slower_than_its_pages_live_keeps_nobody_waiting() {
    let origin = Origin::start();
    let nginx = cached(&origin, "").start();
    let page = |body: &str| {
        let slow = Answer::html(body).delay(Duration::from_millis(1100));
        slow.header("Cache-Control", "max-age=1, stale-while-revalidate=3600")
    };
    origin.on("/", page("old"));
    // Its lifetime is over when it comes, but it may be served stale.
    nginx.get("/").send().assert(200, "MISS", "old");
    origin.on("/", page("new"));
    until("it is renewed", || {
        let page = nginx.get("/").send();
        assert!(["STALE", "UPDATING"].contains(&page.cache()), "{page:?}");
        page.text() == "new"
    });
}

#[test]
fn lifetimes_for_all_caches_are_stretched_where_the_location_says_so() {
    let origin = Origin::start();
    let nginx = cached(&origin, "")
        .location("/valid/", format!("twice pages; twice_valid 1s; proxy_pass {};", origin.url()))
        .start();
    origin.on("/", Answer::html("old").header("Cache-Control", "max-age=1"));
    origin.on("/valid/", Answer::html("old"));
    for path in ["/", "/valid/"] {
        fill(&nginx, path);
        origin.on(path, Answer::page("new"));
        stale(&nginx, path).assert(200, "STALE", "old");
        renewed(&nginx, path, "new");
    }
}

#[test]
fn tags_are_filled_for_each_visitor_and_none_for_the_refresh() {
    let origin = Origin::start();
    origin.on("/", short("old <& get cookie username Guest &>"));
    let nginx = cached(&origin, "").start();
    fill(&nginx, "/");
    origin.on("/", Answer::page("new <& get cookie username Guest &>").cut_every(3));
    let page = until_some("it is stale", || {
        let page = nginx.get("/").cookie("username=Ann").send();
        (page.cache() == "STALE").then_some(page)
    });
    page.assert(200, "STALE", "old Ann");
    until("it is renewed", || nginx.get("/").cookie("username=Bob").send().text() == "new Bob");
    nginx.get("/").send().assert(200, "HIT", "new Guest");
}

#[test]
fn one_refresh_runs_over_all_workers() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx = cached(&origin, "").workers(3).start();
    fill(&nginx, "/");
    let gate = Gate::new();
    origin.on("/", Answer::page("new").gate(&gate));
    stale(&nginx, "/");
    gate.wait_arrived(1);
    // Until each worker has been asked, several times.
    let mut asked = std::collections::HashMap::new();
    until("every worker is asked", || {
        let page = nginx.get("/").send();
        assert_eq!((page.cache(), page.text().as_str()), ("UPDATING", "old"), "{page:?}");
        *asked.entry(page.worker()).or_insert(0) += 1;
        asked.len() == 3 && asked.values().all(|&count| count >= 3)
    });
    assert_eq!(origin.count("/"), 2);
    gate.open();
    renewed(&nginx, "/", "new");
    assert_eq!(origin.count("/"), 2);
}

#[test]
fn a_snapshot_keeps_what_can_still_be_served() {
    let origin = Origin::start();
    origin.on("/*", short("old"));
    let setup = Nginx::bare()
        .http("twice_zone pages 16m snapshot=pages.snap; add_header X-Cache $twice_cache_status always;")
        .location("/", format!("twice pages; {LONG} proxy_pass {};", origin.url()))
        .location(
            "/over/",
            format!("twice pages; twice_stale_factor 1; twice_use_stale off; proxy_pass {};", origin.url()),
        );
    let nginx = setup.start();
    fill(&nginx, "/");
    fill(&nginx, "/over/");
    until("it is stale", || nginx.get("/").send().cache() != "HIT");
    until("the refresh has come back", || origin.count("/") >= 2);
    until("its time is over again", || nginx.get("/").send().cache() == "STALE");
    drop(nginx);
    let nginx = setup.start();
    until("the snapshot is loaded", || nginx.log_count("was loaded") > 0);
    let gate = Gate::new();
    origin.on("/", Answer::page("new").gate(&gate));
    let page = until_some("it is stale", || {
        let page = nginx.get("/").send();
        assert_ne!(page.cache(), "MISS", "{page:?}");
        (page.cache() == "STALE").then_some(page)
    });
    page.assert(200, "STALE", "old");
    gate.open();
}
