//! Several ask about one page at once (`twice_lock off`): what has come meanwhile is not undone by a slow answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// The first who asks about it gets this slow answer, everybody else the other one.
fn slow_and_fast(origin: &Origin, path: &str, slow: Answer, fast: Answer) -> Gate {
    let gate = Gate::new();
    let (held, asked) = (gate.clone(), AtomicUsize::new(0));
    origin.handle(path, move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => slow.clone().gate(&held),
        _ => fast.clone(),
    });
    gate
}

/// While the origin is asked about the old page a new one comes, which stays.
fn stays(old: Answer, new: Answer) {
    let origin = Origin::start();
    let nginx = site(&origin, "twice_lock off;").start();
    expire(&nginx, &origin, "/", old);
    let gate = slow_and_fast(&origin, "/", same(), new.header("ETag", "\"new\""));
    let late = nginx.get("/").spawn();
    gate.wait_arrived(1);
    nginx.get("/").send().assert(200, "EXPIRED", "new");
    gate.open();
    let late = late.join().unwrap();
    late.assert(200, "REVALIDATED", "old");
    assert_eq!(late.reason(), "overtaken");
    nginx.get("/").send().assert(200, "HIT", "new");
}

#[test]
fn a_page_that_has_come_meanwhile_stays() {
    stays(named("old"), Answer::page("new"));
}

#[test]
fn so_does_one_that_varies_by_more_than_the_one_that_was_asked_about() {
    stays(named("old").header("Vary", "X-One"), Answer::page("new").header("Vary", "X-One, X-Two"));
}

#[test]
fn a_page_that_its_origin_has_taken_back_meanwhile_does_not_come_again() {
    let origin = Origin::start();
    let nginx = site(&origin, "twice_lock off;").start();
    let page = Answer::html("page").header("Cache-Control", "max-age=1").header("ETag", ETAG);
    expire(&nginx, &origin, "/", page);
    let again = Answer::new(304, "").header("Cache-Control", "max-age=3600");
    let gate = slow_and_fast(&origin, "/", again, Answer::new(304, "").header("Cache-Control", "no-store"));
    let late = nginx.get("/").spawn();
    gate.wait_arrived(1);
    let page = nginx.get("/").send();
    page.assert(200, "REVALIDATED", "page");
    assert_eq!(page.reason(), "cache_control");
    gate.open();
    let late = late.join().unwrap();
    late.assert(200, "REVALIDATED", "page");
    assert_eq!(late.reason(), "overtaken");
    origin.on("/", Answer::html("new"));
    nginx.get("/").send().assert(200, "MISS", "new");
}
