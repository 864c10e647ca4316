//! Fetches that began before a purge, workers that die, reloads.

use super::{command, page, purge, site, stays};
use fixture::{Gate, Origin, until};

#[test]
fn what_was_fetched_before_the_purge_is_not_stored_after_it() {
    for json in [
        r#"{"urls":["/a"]}"#,
        r#"{"prefixes":["/"]}"#,
        r#"{"keys":["k"]}"#,
        r#"{"all":true}"#,
        r#"{"urls":["/a"],"soft":true}"#,
    ] {
        let origin = Origin::start();
        let gate = Gate::new();
        origin.on("/a", page("old").header("Surrogate-Key", "k").gate(&gate));
        let nginx = site(&origin).start();
        let waiting = nginx.get("/a").spawn();
        origin.wait_count("/a", 1);
        assert_eq!(command(&nginx, json).status, 200);
        origin.on("/a", page("new"));
        gate.open();
        // Its own client gets it: it had asked before.
        assert_eq!(waiting.join().unwrap().text(), "old");
        until("its fate is known", || nginx.access_log().contains("purged") || nginx.figure("fetches") == 1);
        assert_eq!(nginx.figure("stored"), 0, "{json}");
        assert_eq!(nginx.get("/a").send().text(), "new", "{json}");
        stays_new(&nginx);
    }
}

fn stays_new(nginx: &fixture::Nginx) {
    assert_eq!(nginx.get("/a").warm().text(), "new");
}

#[test]
fn a_purge_of_something_else_does_not_keep_a_fetch_out() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/a", page("x").header("Surrogate-Key", "k").gate(&gate));
    let nginx = site(&origin).start();
    let waiting = nginx.get("/a").spawn();
    origin.wait_count("/a", 1);
    assert_eq!(command(&nginx, r#"{"urls":["/b"],"prefixes":["/b"],"keys":["b"]}"#).status, 200);
    gate.open();
    assert_eq!(waiting.join().unwrap().text(), "x");
    nginx.get("/a").warm();
    assert_eq!(origin.count("/a"), 1);
}

#[test]
fn a_purge_holds_over_a_reload_and_a_killed_worker() {
    let origin = Origin::start();
    for path in ["/a", "/b"] {
        origin.on(path, page("x"));
    }
    let nginx = site(&origin).start();
    nginx.get("/a").warm();
    nginx.get("/b").warm();
    purge(&nginx, "/a").send();
    nginx.reload();
    for pid in nginx.workers() {
        nginx.kill_worker(pid);
    }
    stays(&nginx, "/b");
    nginx.get("/a").send().assert_cache("MISS");
}

#[test]
fn a_sweep_whose_worker_dies_is_done_by_another() {
    let origin = Origin::start();
    let nginx = site(&origin).start();
    for n in 0..3000 {
        origin.on(&format!("/{n}"), page("x"));
    }
    for n in 0..300 {
        nginx.get(&format!("/{n}")).send();
    }
    until("all are stored", || nginx.figure("pages") == 300);
    let done = command(&nginx, r#"{"all":true}"#);
    // Whoever walks: both go.
    let worker = done.worker();
    nginx.kill_worker(worker);
    until("none is left", || nginx.figure("pages") == 0);
}
