//! Visitors that leave, workers that die or end, and services that take their time.

use super::*;
use fixture::{Gate, until};

/// A service that answers when its gate is open.
fn slow(origin: &Origin, gate: &Gate) {
    let gate = gate.clone();
    origin
        .handle("/session", move |asked| Answer::ok(record(asked.cookie("persistent").unwrap())).gate(&gate));
}

/// Connections of both workers: each has answered a page of nobody.
fn by_worker(nginx: &Nginx) -> [(u32, Raw); 2] {
    let mut clients: Vec<(u32, Raw)> = Vec::new();
    until("there is one of each worker", || {
        let mut client = nginx.raw();
        let worker = client.get("/").response().worker();
        if clients.iter().all(|(other, _)| *other != worker) {
            clients.push((worker, client));
        }
        clients.len() == 2
    });
    clients.try_into().unwrap_or_else(|_| unreachable!())
}

#[test]
fn the_others_get_what_was_asked_for_one_who_left() {
    let origin = Origin::start();
    let gate = Gate::new();
    slow(&origin, &gate);
    let nginx = site(&origin, "timeout=60s").start();
    stored(&nginx);
    let mut first = nginx.raw();
    ask(&mut first, "/", "ann");
    gate.wait_arrived(1);
    let mut others = visits(&nginx, "ann");
    until("all of them wait", || nginx.pending() == 1 + MANY);
    first.reset();
    // In somebody else's name.
    gate.wait_arrived(2);
    until("the first one is gone", || nginx.pending() == MANY);
    gate.open();
    all_got(&mut others, &shown("ann"));
    all_got(&mut visits(&nginx, "ann"), &shown("ann"));
    assert_eq!(origin.count("/session"), 2);
}

#[test]
fn all_of_them_leave() {
    let origin = Origin::start();
    let gate = Gate::new();
    slow(&origin, &gate);
    let nginx = site(&origin, "timeout=60s").start();
    stored(&nginx);
    let waiting = visits(&nginx, "ann");
    until("all of them wait", || nginx.pending() == MANY);
    drop(waiting);
    until("nobody is left", || nginx.pending() == 0);
    gate.open();
    assert_eq!(page(&nginx, "ann").text(), shown("ann"));
    assert_eq!(nginx.workers().len(), 2);
}

#[test]
fn a_worker_dies_while_it_asks_for_both() {
    let origin = Origin::start();
    let gate = Gate::new();
    slow(&origin, &gate);
    let nginx = site(&origin, "timeout=60s").start();
    stored(&nginx);
    let [(dying, mut first), (_, mut second)] = by_worker(&nginx);
    ask(&mut first, "/", "ann");
    gate.wait_arrived(1);
    ask(&mut second, "/", "ann");
    until("both wait", || nginx.pending() == 2);
    nginx.kill_worker(dying);
    gate.wait_arrived(2);
    gate.open();
    assert_eq!(second.response().text(), shown("ann"));
    assert_eq!(page(&nginx, "ann").text(), shown("ann"));
    assert_eq!(origin.count("/session"), 2);
    nginx.allow_log("Connection reset by peer");
}

#[test]
fn a_reload_asks_nothing_twice() {
    let origin = Origin::start();
    let gate = Gate::new();
    slow(&origin, &gate);
    let nginx = site(&origin, "timeout=60s").start();
    stored(&nginx);
    let mut first = nginx.raw();
    ask(&mut first, "/", "ann");
    gate.wait_arrived(1);
    nginx.reload();
    let mut others = visits(&nginx, "ann");
    until("all of them wait", || nginx.pending() == 1 + MANY);
    gate.open();
    assert_eq!(first.response().text(), shown("ann"));
    all_got(&mut others, &shown("ann"));
    assert_eq!(origin.count("/session"), 1);
}

#[test]
fn the_next_request_does_not_wait_for_a_late_answer() {
    let origin = Origin::start();
    let never = Gate::new();
    let nginx = site(&origin, "timeout=100ms server_failure_limit=1000").start();
    nginx.allow_log("source \"session\" failed");
    origin.on("/plain", Answer::page("plain"));
    let answers = [
        Answer::ok(record("ann")).gate(&never),
        Answer::ok(record("ann")).gate_at(20, &never),
        Answer::ok(record("ann")).chunked().gate_at(20, &never),
        // What has failed by its head alone is not read to its end for ever either.
        Answer::new(500, record("ann")).gate_at(20, &never),
        Answer::new(404, record("ann")).gate_at(20, &never),
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        origin.on("/session", answer);
        for cache in ["MISS", "HIT"] {
            let path = format!("/{n}");
            origin.on(&path, Answer::page(PAGE));
            if cache == "HIT" {
                nginx.get(&path).warm();
            }
            let mut client = nginx.raw();
            for visit in 0..2 {
                // Both are sent at once: the second one has to wait for the first, and for nothing else.
                ask(&mut client, &path, &format!("ann{n}{cache}{visit}"));
                client.get("/plain");
                let page = client.response();
                assert_eq!((page.status, page.text().as_str()), (200, NOBODY), "answer {n}, {cache}");
                assert_eq!(
                    page.header("Connection").unwrap_or("keep-alive"),
                    "keep-alive",
                    "answer {n}, {cache}"
                );
                assert_eq!(client.response().text(), "plain", "answer {n}, {cache}");
            }
        }
    }
    until("none is left", || nginx.pending() == 0);
}
