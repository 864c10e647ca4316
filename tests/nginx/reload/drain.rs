//! What old workers still do while new ones serve: recording pages, and holding on to zones that are gone.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use fixture::process::{SIGKILL, signal};
use fixture::{Answer, Gate, Nginx, Origin, Raw, until};

use super::{BIG, Slow, ask, front, numbered, old_workers_end, room, shared_memory};

/// Pages whose second half comes when the gate opens.
fn gated(origin: &Origin, gate: &Gate) {
    let gate = gate.clone();
    origin.handle("/gated/*", move |request| {
        let page = Answer::html(format!("{} ", request.path()).repeat(10_000)).gate_at(1_000, &gate);
        page.header("X-Twice-Control", "max-age=3600, no-tags")
    });
}

/// A client that waits for such a page, and the worker that is recording it.
#[track_caller]
fn recording(nginx: &Nginx, path: &str) -> (Raw, u32) {
    let mut raw = nginx.raw();
    raw.get(path);
    let head = raw.response_head();
    head.assert_cache("MISS");
    (raw, head.worker())
}

#[track_caller]
fn ends_right(raw: &mut Raw, path: &str) {
    let page = format!("{path} ").repeat(10_000);
    assert!(raw.bytes(page.len()) == page.as_bytes(), "{path}");
}

#[test]
fn a_page_that_an_old_worker_records_is_there_for_the_new_ones() {
    let (origin, gate) = (Origin::start(), Gate::new());
    gated(&origin, &gate);
    let nginx = front(&origin).http("twice_zone pages 8m; proxy_buffering off;").start();
    let (mut raw, worker) = recording(&nginx, "/gated/a");
    nginx.reload();
    until("it alone of the old workers is left", || nginx.leaving_workers() == [worker]);
    gate.open();
    ends_right(&mut raw, "/gated/a");
    old_workers_end(&nginx);
    let page = ask(&nginx, "/gated/a").send();
    page.assert_cache("HIT");
    assert_eq!(page.body.len(), "/gated/a ".len() * 10_000);
    assert_eq!(origin.count("/gated/a"), 1);
}

#[test]
fn a_page_that_became_too_large_or_lost_its_zone_is_sent_all_the_same() {
    for zone in ["twice_zone pages 8m max_object=5k;", "twice_zone pages 9m;"] {
        let (origin, gate) = (Origin::start(), Gate::new());
        gated(&origin, &gate);
        let base = front(&origin).http("proxy_buffering off;");
        let mut nginx = base.clone().http("twice_zone pages 8m;").start();
        let (mut raw, worker) = recording(&nginx, "/gated/a");
        nginx.write_conf(base.http(zone));
        nginx.reload();
        until("it alone of the old workers is left", || nginx.leaving_workers() == [worker]);
        gate.open();
        ends_right(&mut raw, "/gated/a");
        old_workers_end(&nginx);
        ask(&nginx, "/gated/a").send().assert_cache("MISS");
    }
}

#[test]
fn workers_that_are_told_to_leave_soon_give_back_what_they_held() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let nginx = front(&origin).http("twice_zone pages 4m;").main("worker_shutdown_timeout 1s;").start();
    let empty = room(&nginx);
    let _slow = Slow::start(&nginx, "/held");
    nginx.reload();
    old_workers_end(&nginx);
    assert_eq!(room(&nginx), empty);
}

#[test]
fn a_worker_killed_with_the_lock_of_a_dropped_zone_keeps_nobody_waiting() {
    let (origin, gate) = (Origin::start(), Gate::new());
    gated(&origin, &gate);
    let base = front(&origin).http("proxy_buffering off;");
    let mut nginx = base.clone().http("twice_zone pages 8m;").start();
    // Each of the two workers is recording a page.
    let mut clients: Vec<(String, Raw, u32)> = Vec::new();
    fixture::until("both workers are busy", || {
        let path = format!("/gated/{}", clients.len());
        let (raw, worker) = recording(&nginx, &path);
        clients.push((path, raw, worker));
        clients.iter().any(|(_, _, worker)| *worker != clients[0].2)
    });
    let victim = clients[0].2;
    let old = shared_memory(victim)[0].0;
    nginx.write_conf(base.http("twice_zone pages 9m;"));
    nginx.reload();
    // The zone begins with its lock: the pid of the process that has it. nginx's master, which frees the locks of
    // the dead, does not know this zone any more.
    let memory = OpenOptions::new().write(true).open(format!("/proc/{victim}/mem")).unwrap();
    memory.write_all_at(&u64::from(victim).to_ne_bytes(), old).unwrap();
    nginx.expect_log(&format!("worker process {victim} exited on signal 9"));
    assert!(signal(victim, SIGKILL));
    gate.open();
    for (path, raw, _) in clients.iter_mut().filter(|(_, _, worker)| *worker != victim) {
        ends_right(raw, path);
    }
    old_workers_end(&nginx);
}
