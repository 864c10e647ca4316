//! What a reload keeps, and what it changes.

use super::*;

#[test]
fn a_reload_keeps_what_is_stored() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("Hello <& get cookie username Guest &>"));
    let nginx = cached(&origin).start();
    for path in ["/a", "/b"] {
        nginx.get(path).warm();
    }
    let total = origin.total();
    for _ in 0..3 {
        nginx.reload();
        for path in ["/a", "/b"] {
            nginx.get(path).cookie("username=Ann").send().assert(200, "HIT", "Hello Ann");
        }
    }
    assert_eq!(origin.total(), total);
    nginx.get("/c").warm();
}

#[test]
fn a_reload_with_another_size_starts_empty() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x"));
    let base = Nginx::bare()
        .http("add_header X-Cache $twice_cache_status always;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()));
    let mut nginx = base.clone().http("twice_zone pages 16m;").start();
    nginx.get("/").warm();
    for size in ["32m", "4m"] {
        nginx.write_conf(base.clone().http(format!("twice_zone pages {size};")));
        nginx.reload();
        nginx.get("/").send().assert(200, "MISS", "x");
        nginx.get("/").warm();
    }
}

#[test]
fn a_reload_that_changes_max_object_takes_effect() {
    let origin = Origin::start();
    let body = "x".repeat(10_000);
    origin.on("/*", Answer::page(body.clone()));
    let base = Nginx::bare()
        .http("add_header X-Cache $twice_cache_status always; add_header X-Reason $twice_reason always;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()));
    let mut nginx = base.clone().http("twice_zone pages 16m max_object=1k;").start();
    for _ in 0..2 {
        let page = nginx.get("/a").send();
        page.assert(200, "MISS", &body);
        assert_eq!(page.reason(), "too_large");
    }
    // Larger than the limit and what may come on top of it together, before.
    let large = "y".repeat(200_000);
    origin.on("/large", Answer::page(large.clone()));
    nginx.write_conf(base.clone().http("twice_zone pages 16m max_object=1m;"));
    nginx.reload();
    nginx.get("/a").warm().assert(200, "HIT", &body);
    nginx.get("/large").warm().assert(200, "HIT", &large);
    nginx.write_conf(base.clone().http("twice_zone pages 16m max_object=1k;"));
    nginx.reload();
    assert_eq!(nginx.get("/b").send().reason(), "too_large");
    assert_eq!(nginx.get("/b").send().reason(), "too_large");
}

#[test]
fn a_reload_may_switch_the_cache_off_and_on() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x"));
    let mut nginx = cached(&origin).start();
    nginx.get("/").warm();
    let on = nginx.setup().clone();
    nginx.reload_with(|setup| setup.location("= /", format!("twice off; proxy_pass {};", origin.url())));
    nginx.get("/").send().assert(200, "", "x");
    let count = origin.count("/");
    nginx.write_conf(on);
    nginx.reload();
    nginx.get("/").send().assert(200, "HIT", "x");
    assert_eq!(origin.count("/"), count);
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x"));
    let mut nginx = cached(&origin).start();
    nginx.get("/").warm();
    let good = nginx.setup().clone();
    let workers = nginx.workers();
    nginx.write_conf(good.clone().http("twice_zone more 16m; twice mroe;"));
    nginx.signal(SIGHUP);
    nginx.wait_log("has the zone \"mroe\"");
    assert_eq!(nginx.workers(), workers);
    nginx.get("/").send().assert(200, "HIT", "x");
    nginx.write_conf(good);
    nginx.reload();
    until("the old workers are gone", || nginx.leaving_workers().is_empty());
    nginx.get("/").send().assert(200, "HIT", "x");
}
