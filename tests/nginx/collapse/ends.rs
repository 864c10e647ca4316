//! Workers that end while they fetch: killed, or replaced by a reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::process::{self, SIGHUP, SIGKILL};
use fixture::{Answer, Gate, Nginx, Origin, Raw, until};

use super::{assert_collapsed, collapsing, one_for_each};

/// The first request is held, all others are answered.
fn hold_first(origin: &Origin, path: &str, gate: &Gate) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, gate) = (Arc::clone(&asked), gate.clone());
    origin.handle(path, move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::page("first").gate(&gate),
        _ => Answer::page("second"),
    });
    asked
}

/// The pid of the worker that asked the origin last.
fn fetcher(origin: &Origin, path: &str) -> u32 {
    origin.last(path).header("X-Pid").unwrap().parse().unwrap()
}

/// One connection to each worker with a request under way; that of the worker that fetches is apart.
fn all_workers_wait(nginx: &Nginx, origin: &Origin, path: &str) -> (u32, Raw, Vec<Raw>) {
    let mut clients = one_for_each(nginx);
    // Who waits is counted by the zone: nginx goes on counting what a killed worker had.
    let before = nginx.figure("waits");
    let (worker, mut first) = clients.remove(0);
    first.get(path);
    origin.wait_count(path, 1);
    assert_eq!(fetcher(origin, path), worker);
    let mut others: Vec<Raw> = clients.into_iter().map(|(_, client)| client).collect();
    others.iter_mut().for_each(|client| _ = client.get(path));
    let all = before + others.len() as u64;
    until("they wait", || nginx.figure("waits") == all);
    (worker, first, others)
}

#[test]
fn the_worker_that_fetches_is_killed() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").start();
    for round in 0..3 {
        let (path, gate) = (format!("/{round}"), Gate::new());
        let asked = hold_first(&origin, &path, &gate);
        let (worker, first, mut others) = all_workers_wait(&nginx, &origin, &path);
        nginx.kill_worker(worker);
        let caches: Vec<String> = others
            .iter_mut()
            .map(|client| {
                let response = client.response();
                assert_eq!(response.text(), "second");
                response.cache().to_owned()
            })
            .collect();
        assert_eq!(caches.iter().filter(|cache| *cache == "MISS").count(), 1, "{caches:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        gate.open();
        drop(first);
    }
}

#[test]
fn a_killed_worker_without_a_successor_is_noticed() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").start();
    let gate = Gate::new();
    let asked = hold_first(&origin, "/", &gate);
    let (worker, first, mut others) = all_workers_wait(&nginx, &origin, "/");
    // Old workers are not replaced.
    nginx.reload();
    let mut late = nginx.raw();
    late.get("/");
    nginx.expect_log(&format!("worker process {worker} exited on signal 9"));
    nginx.allow_log(&format!("{}{worker}", fixture::log::LOCK_BROKEN));
    assert!(process::signal(worker, SIGKILL));
    others.push(late);
    let mut fetched = 0;
    for client in &mut others {
        let response = client.response();
        assert_eq!(response.text(), "second");
        fetched += usize::from(response.cache() == "MISS");
    }
    assert_eq!((fetched, asked.load(Ordering::SeqCst)), (1, 2));
    gate.open();
    drop(first);
}

#[test]
fn a_reload_comes_between() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").start();
    for round in 0..3 {
        let (path, gate) = (format!("/{round}"), Gate::new());
        origin.on(&path, Answer::page("page").gate(&gate));
        let (_, mut first, mut others) = all_workers_wait(&nginx, &origin, &path);
        nginx.reload();
        let before = nginx.figure("waits");
        for (_, mut client) in one_for_each(&nginx) {
            client.get(&path);
            others.push(client);
        }
        until("the new ones wait, too", || nginx.figure("waits") == before + 3);
        gate.open();
        first.response().assert(200, "MISS", "page");
        others.iter_mut().for_each(|client| assert_collapsed(&client.response()));
        assert_eq!(origin.count(&path), 1);
        until("the former workers are gone", || nginx.leaving_workers().is_empty());
    }
}

#[test]
fn a_worker_that_must_end_lets_the_others_go_on() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").main("worker_shutdown_timeout 100ms;").start();
    let gate = Gate::new();
    let asked = hold_first(&origin, "/", &gate);
    let (_, first, others) = all_workers_wait(&nginx, &origin, "/");
    nginx.signal(SIGHUP);
    until("the former workers are gone", || {
        nginx.workers().len() == 3
            && nginx.leaving_workers().is_empty()
            && nginx.log_count("exited with code 0") >= 3
    });
    // Their clients are gone with them; nobody keeps the page from the next one, who may find what a worker that
    // ended a moment later than the first still fetched.
    let page = nginx.get("/").send();
    assert_eq!((page.status, page.text().as_str()), (200, "second"));
    assert!(["MISS", "HIT"].contains(&page.cache()), "{page:?}");
    // One for each worker that outlived another by a moment, at most.
    assert!((2..=4).contains(&asked.load(Ordering::SeqCst)));
    gate.open();
    drop((first, others));
}

#[test]
fn a_zone_of_another_size_begins_anew() {
    let origin = Origin::start();
    let mut nginx = Nginx::twice()
        .workers(3)
        .location("= /status", "stub_status;")
        .location("= /who", "return 200 $pid;")
        .figures()
        .location(
            "/",
            format!(
                "twice pages; twice_lock_timeout 10m; proxy_set_header X-Pid $pid; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    let gate = Gate::new();
    let asked = hold_first(&origin, "/", &gate);
    let (_, mut first, mut others) = all_workers_wait(&nginx, &origin, "/");
    let conf = nginx.setup().conf().replace("twice_zone pages 16m;", "twice_zone pages 17m;");
    assert!(conf.contains("17m"));
    std::fs::write(nginx.setup().folder().join("nginx.conf"), conf).unwrap();
    nginx.reload();
    nginx.get("/").send().assert(200, "MISS", "second");
    gate.open();
    first.response().assert(200, "MISS", "first");
    others.iter_mut().for_each(|client| _ = client.response().assert(200, "HIT", "first"));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let setup = nginx.setup().clone();
    nginx.write_conf(setup);
}
