//! Ages and dates: of an origin's clock that nginx does not show to clients, of its slowness, of files.

use std::time::{Duration, SystemTime};

use fixture::{Answer, Origin};

use super::{cached, caching, never_stored, stored};

/// A date, so many seconds from now.
fn date(seconds: i64) -> String {
    let now = SystemTime::now();
    let offset = Duration::from_secs(seconds.unsigned_abs());
    httpdate::fmt_http_date(if seconds < 0 { now - offset } else { now + offset })
}

#[test]
fn the_origins_date_counts_though_clients_do_not_see_it() {
    let origin = Origin::start();
    origin.on("/old", caching("max-age=1000").header("Date", date(-400)));
    origin.on("/ahead", caching("max-age=1000").header("Date", date(4000)));
    origin.on("/over", caching("max-age=300").header("Date", date(-400)));
    origin.on("/expires", Answer::html("x").header("Date", date(-400)).header("Expires", date(600)));
    // By the origin's clock it is over.
    origin.on("/past", Answer::html("x").header("Date", date(4000)).header("Expires", date(2000)));
    let nginx = cached(&origin, "").start();
    let age = |path: &str, ttl, least: u64| {
        let page = stored(&nginx, path, ttl);
        let age = page.header("Age").and_then(|age| age.parse::<u64>().ok()).unwrap_or(0);
        assert!((least..least + 20).contains(&age), "{path}: {page:?}");
        // nginx's own, of this moment.
        assert_eq!(page.all("Date").len(), 1);
    };
    age("/old", 600, 400);
    age("/ahead", 1000, 0);
    age("/expires", 600, 400);
    never_stored(&nginx, "/over", "zero_lifetime");
    never_stored(&nginx, "/past", "zero_lifetime");
}

#[test]
fn the_origins_date_leaves_where_the_location_passes_it_on() {
    let origin = Origin::start();
    let made = date(-400);
    origin.on("/", caching("max-age=1000").header("Date", &made));
    let nginx = cached(&origin, "proxy_pass_header Date;").start();
    assert_eq!(nginx.get("/").send().all("Date"), [&made]);
    assert_eq!(nginx.get("/").warm().all("Date"), [&made]);
}

#[test]
fn the_time_that_an_answer_takes_is_no_lifetime() {
    let origin = Origin::start();
    let slow = |answer: Answer| answer.delay(Duration::from_millis(2100));
    origin.on("/over", slow(caching("max-age=2")));
    origin.on("/most", slow(caching("max-age=1000")));
    // The app's own word speaks of the moment in which it comes.
    origin.on("/control", slow(Answer::page("x").header("X-Twice-Control", "max-age=2")));
    let nginx = cached(&origin, "").start();
    assert_eq!(nginx.get("/over").send().reason(), "zero_lifetime");
    let page = stored(&nginx, "/most", 998);
    assert!(page.header("Age").is_some_and(|age| age.parse::<u64>().unwrap() >= 2), "{page:?}");
    assert_eq!(nginx.get("/control").send().reason(), "recording");
}

#[test]
fn an_age_of_another_cache_goes_on() {
    let origin = Origin::start();
    origin.on("/", caching("max-age=1000").header("Age", "300"));
    let nginx = cached(&origin, "").start();
    assert_eq!(nginx.get("/").send().all("Age"), ["300"]);
    let hit = stored(&nginx, "/", 700);
    assert!(hit.header("Age").is_some_and(|age| age.parse::<u64>().unwrap() >= 300), "{hit:?}");
    assert_eq!(hit.all("Age").len(), 1);
}

#[test]
fn a_file_may_be_kept_by_its_own_time() {
    let nginx = fixture::Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always;")
        .location("/files/", "twice pages; twice_heuristic 50% max=100s;")
        .location("/plain/", "twice pages;")
        .file("html/files/a.html", "a")
        .file("html/plain/a.html", "a")
        .start();
    for folder in ["files", "plain"] {
        let path = nginx.setup().folder().join(format!("html/{folder}/a.html"));
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(100_000)).unwrap();
    }
    stored(&nginx, "/files/a.html", 100);
    never_stored(&nginx, "/plain/a.html", "no_lifetime");
}
