//! Clients that leave, workers that wait, fragments that many want.

use fixture::{Answer, Gate, Origin, until};

use super::site;

#[test]
fn clients_that_leave_while_they_wait_leave_nothing_behind() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("[<& include /off/a &><& include /b &>]"));
    origin.on("/kept", Answer::page("[<& include /a &><& include /b &>]"));
    origin.on("/b", Answer::page("B<& include /off/a &>"));
    origin.on("/off/a", Answer::html("A").gate(&gate));
    origin.on("/a", Answer::page("A").gate(&gate));
    let nginx = site(&origin)
        .http("twice_lock_timeout 10m;")
        .location("/off/", format!("twice off; proxy_pass {};", origin.url()))
        .start();
    let workers = nginx.workers();
    // As misses, as hits, and where others may wait for what a fragment brings.
    for path in ["/", "/", "/kept"] {
        let mut clients: Vec<_> = (0..20).map(|_| nginx.raw()).collect();
        for client in &mut clients {
            client.get(path);
        }
        until("all wait", || nginx.pending() == 20);
        gate.wait_arrived(1);
        for (n, client) in clients.into_iter().enumerate() {
            if n % 2 == 0 { client.reset() } else { drop(client) }
        }
        if path == "/kept" {
            gate.open();
        }
        until("none is left", || nginx.pending() == 0);
    }
    assert_eq!(nginx.get("/").send().text(), "[ABA]");
    assert_eq!(nginx.get("/kept").send().text(), "[ABA]");
    assert_eq!(nginx.workers(), workers);
}

#[test]
fn a_fragment_that_many_pages_want_is_fetched_once() {
    let origin = Origin::start();
    let gate = Gate::new();
    // Stored by a visitor who does not see the fragment.
    let page = |number: &str| Answer::page(format!("{number}<& if cookie see &><& include /a &><& end &>"));
    origin.on("/1", page("1"));
    origin.on("/2", page("2"));
    let nginx = site(&origin).http("twice_key $uri; twice_lock_timeout 10m;").start();
    nginx.get("/1").warm();
    nginx.get("/2").warm();
    origin.on("/a", Answer::page("A").gate(&gate));
    let pages: Vec<_> =
        (0..30).map(|n| nginx.get(if n % 2 == 0 { "/1" } else { "/2" }).cookie("see=1").spawn()).collect();
    gate.wait_arrived(1);
    until("all wait", || nginx.pending() == 30);
    gate.open();
    for (n, page) in pages.into_iter().enumerate() {
        page.join().unwrap().assert(200, "HIT", if n % 2 == 0 { "1A" } else { "2A" });
    }
    assert_eq!(origin.count("/a"), 1);
}

#[test]
fn a_stale_fragment_is_served_and_renewed() {
    let origin = Origin::start();
    origin.on("/", Answer::page("[<& include /a &>]"));
    origin.on("/a", Answer::html("old").header("X-Twice-Control", "max-age=1, stale-while-revalidate=600"));
    let nginx = site(&origin).start();
    nginx.get("/").warm();
    let gate = Gate::new();
    origin.on("/a", Answer::page("new").gate(&gate));
    // As long as it is fresh nobody renews it; then nobody waits for that.
    until("it is renewed", || {
        nginx.get("/").send().assert(200, "HIT", "[old]");
        gate.arrived() > 0
    });
    for _ in 0..5 {
        nginx.get("/").send().assert(200, "HIT", "[old]");
    }
    gate.open();
    until("it is new", || nginx.get("/").send().text() == "[new]");
}

#[test]
fn a_reload_ends_no_page_that_waits() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("[<& include /a &>]"));
    origin.on("/a", Answer::html("A"));
    let nginx = site(&origin).start();
    nginx.get("/").warm();
    origin.on("/a", Answer::html("A").gate(&gate));
    let waiting = nginx.get("/").spawn();
    gate.wait_arrived(1);
    let before = nginx.workers();
    nginx.reload();
    until("the old workers are on their way out", || nginx.workers() != before);
    gate.open();
    waiting.join().unwrap().assert(200, "HIT", "[A]");
}
