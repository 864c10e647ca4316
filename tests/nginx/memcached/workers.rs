//! Workers and their connections: how many there are, and that no worker stays for one.

use fixture::{Answer, Liar, Lie, Memcached, Origin, until};

use super::{asked_anew, pages};

#[test]
fn connections_are_made_early_if_told_so() {
    let origin = Origin::start();
    let server = Memcached::start();
    let before = server.figure("curr_connections");
    let nginx = pages(&origin, [server.address().as_str()], "preconnect connections=3 timeout=10s").start();
    until("two workers have three connections each", || server.figure("curr_connections") == before + 6);
    nginx.reload();
    until("so have the new ones, and the old ones are gone", || {
        server.figure("curr_connections") == before + 6 && nginx.leaving_workers().is_empty()
    });
    nginx.finish();
    until("none is left", || server.figure("curr_connections") == before);
}

#[test]
fn a_key_uses_one_of_its_server_s_connections() {
    let origin = Origin::start();
    let server = Memcached::start();
    let before = server.figure("total_connections");
    let nginx = pages(&origin, [server.address().as_str()], "ttl=0 timeout=10s connections=4").start();
    (0..100).for_each(|key| server.set(&format!("k{key}"), &key.to_string()));
    let tags: String = (0..100).map(|key| format!("<& get memcache k{key} &> ")).collect();
    let expected: String = (0..100).map(|key| format!("{key} ")).collect();
    origin.on("/p", Answer::page(tags));
    nginx.get("/p").warm();
    for _ in 0..20 {
        assert_eq!(nginx.get("/p").send().text(), expected);
    }
    let made = server.figure("total_connections") - before;
    assert!((4..=8).contains(&made), "{made} connections of two workers");
    nginx.finish();
}

#[test]
fn a_worker_leaves_although_it_is_connected() {
    let origin = Origin::start();
    let servers = Memcached::start_many(2);
    let nginx = asked_anew(&origin, &servers).start();
    let tags: String = (0..20).map(|key| format!("<& get memcache k{key} - &>")).collect();
    origin.on("/p", Answer::page(tags));
    assert_eq!(nginx.get("/p").warm().text(), "-".repeat(20));
    nginx.reload();
    until("the old workers are gone", || nginx.leaving_workers().is_empty());
    assert_eq!(nginx.get("/p").send().text(), "-".repeat(20));
    nginx.finish();
}

#[test]
fn a_worker_leaves_when_its_pages_have_their_values() {
    let origin = Origin::start();
    let server = Liar::start(Liar::truth(&[("k", "before")]));
    let nginx = pages(&origin, [server.address().as_str()], "ttl=0 timeout=10s").start();
    origin.on("/p", Answer::page("<& get memcache k none &>"));
    assert_eq!(nginx.get("/p").warm().text(), "before");
    let gate = fixture::Gate::new();
    let held = gate.clone();
    server.says(move |_| {
        held.pass();
        Lie::say("VALUE k 0 6\r\nduring\r\nEND\r\n")
    });
    let visitor = nginx.get("/p").spawn();
    gate.wait_arrived(1);
    nginx.reload();
    gate.open();
    assert_eq!(visitor.join().unwrap().text(), "during", "the old worker's visitor has its value");
    until("then it is gone", || nginx.leaving_workers().is_empty());
    nginx.finish();
}

#[test]
fn a_server_that_answers_nothing_keeps_no_worker() {
    let origin = Origin::start();
    let server = Liar::start(|_| Lie::Hang);
    let nginx =
        pages(&origin, [server.address().as_str()], "ttl=0 timeout=300ms server_failure_limit=1000").start();
    nginx.allow_log("memcached server");
    origin.on("/p", Answer::page("<& incr memcache views &><& get memcache k none &>"));
    assert_eq!(nginx.get("/p").send().text(), "none");
    let visitors: Vec<_> = (0..10).map(|_| nginx.get("/p").spawn()).collect();
    nginx.reload();
    for visitor in visitors {
        assert_eq!(visitor.join().unwrap().text(), "none");
    }
    until("the old workers are gone", || nginx.leaving_workers().is_empty());
    nginx.finish();
}

#[test]
fn a_worker_leaves_when_the_changes_of_its_pages_are_made() {
    let origin = Origin::start();
    let gate = fixture::Gate::new();
    let held = gate.clone();
    let server = Liar::start(move |line| {
        if line.starts_with("incr") {
            held.pass();
        }
        Lie::say("1\r\n")
    });
    let nginx = pages(&origin, [server.address().as_str()], "timeout=50s").start();
    origin.on("/p", Answer::page("<& incr memcache views &>seen"));
    // Nobody waits for a change.
    assert_eq!(nginx.get("/p").send().text(), "seen");
    gate.wait_arrived(1);
    nginx.reload();
    gate.open();
    until("the old workers are gone", || nginx.leaving_workers().is_empty());
    nginx.finish();
}

#[test]
fn a_worker_that_must_end_waits_for_no_change() {
    let origin = Origin::start();
    let server = Liar::start(|_| Lie::Hang);
    let nginx = pages(&origin, [server.address().as_str()], "timeout=50s")
        .main("worker_shutdown_timeout 100ms;")
        .start();
    nginx.allow_log("memcached server");
    origin.on("/p", Answer::page("<& incr memcache views &>seen"));
    assert_eq!(nginx.get("/p").send().text(), "seen");
    until("the server is asked", || server.count("incr") == 1);
    nginx.reload();
    until("the old workers are gone", || nginx.leaving_workers().is_empty());
    nginx.finish();
}

#[test]
fn a_worker_that_was_killed_leaves_nothing_behind() {
    let origin = Origin::start();
    let server = Memcached::start();
    let nginx = asked_anew(&origin, std::slice::from_ref(&server)).start();
    server.set("k", "there");
    origin.on("/p", Answer::page("<& get memcache k none &>"));
    assert_eq!(nginx.get("/p").warm().text(), "there");
    for worker in nginx.workers() {
        nginx.kill_worker(worker);
    }
    for _ in 0..4 {
        assert_eq!(nginx.get("/p").send().text(), "there");
    }
    nginx.finish();
}

#[test]
fn it_works_without_a_master_too() {
    let origin = Origin::start();
    let server = Memcached::start();
    let setup = pages(&origin, [server.address().as_str()], "ttl=0 timeout=10s preconnect").single_process();
    let nginx = setup.start();
    server.set("k", "there");
    origin.on("/p", Answer::page("<& get memcache k none &><& incr memcache views 1 &>"));
    assert_eq!(nginx.get("/p").warm().text(), "there");
    until("its views are counted", || server.get("views").as_deref() == Some("2"));
    nginx.finish();
}
