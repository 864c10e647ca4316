//! Reloads one after the other while visitors come.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use fixture::process::{SIGHUP, SIGUSR1};
use fixture::{Nginx, Origin, until};

use super::{ask, front, is_page_of, numbered, old_workers_end, open_files, shared_memory};

const SIZE: usize = 30_000;

/// Has visitors come, each with a connection of its own, until `work` is done. Every one must be answered.
fn with_visitors(nginx: &Nginx, work: impl FnOnce(&AtomicUsize)) {
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..4 {
            let (stop, served) = (&stop, &served);
            scope.spawn(move || {
                let mut n = client;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let path = format!("/{}", (n * 7 + client * 31) % 97);
                    let mut raw = nginx.raw();
                    raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
                    let page = raw.response();
                    assert!(
                        page.status == 200 && is_page_of(&page.body, &path, SIZE),
                        "{path}: {} {} {}",
                        page.status,
                        page.cache(),
                        page.body.len()
                    );
                    assert!(raw.rest().is_empty());
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // A failure of `work` must end the visitors too.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        work(&served);
    });
}

fn some_are_served(served: &AtomicUsize) {
    let before = served.load(Ordering::Relaxed);
    until("visitors are served", || served.load(Ordering::Relaxed) >= before + 20);
}

/// Waits until the master has closed what belonged to the old workers, which it does some time after they have ended:
/// before it obeys the next signal.
fn settled(nginx: &Nginx) {
    old_workers_end(nginx);
    let workers = nginx.workers().len();
    until("the master knows who has ended", || {
        nginx.log_count("start worker process ") - nginx.log_count("exited with code 0") == workers
    });
    let before = nginx.log_count(": reopening logs");
    nginx.signal(SIGUSR1);
    until("it has obeyed, and the workers too", || {
        nginx.log_count(": reopening logs") == before + 1 + workers
    });
}

#[test]
fn every_visitor_is_answered_over_ten_reloads_and_nothing_leaks() {
    let origin = Origin::start();
    numbered(&origin, SIZE);
    // Too small for all pages: hits, misses and evictions go on all the time.
    let nginx = front(&origin).http("twice_zone pages 2m;").start();
    nginx.reload();
    settled(&nginx);
    let (files, memory) = (open_files(nginx.master()), shared_memory(nginx.master()));
    with_visitors(&nginx, |served| {
        for _ in 0..10 {
            some_are_served(served);
            nginx.reload();
        }
        some_are_served(served);
    });
    old_workers_end(&nginx);
    assert_eq!(nginx.workers().len(), 2);
    until("the master has closed what it opened", || open_files(nginx.master()) == files);
    assert_eq!(shared_memory(nginx.master()), memory);
    ask(&nginx, "/after").warm();
}

#[test]
fn every_visitor_is_answered_while_the_size_changes() {
    let origin = Origin::start();
    numbered(&origin, SIZE);
    let base = front(&origin);
    let mut nginx = base.clone().http("twice_zone pages 2m;").start();
    nginx.reload();
    settled(&nginx);
    let (files, memory) = (open_files(nginx.master()), shared_memory(nginx.master()));
    // The threads only read; the story writes configurations.
    let setups = ["3m", "2m", "4m", "2m"].map(|size| base.clone().http(format!("twice_zone pages {size};")));
    let conf = nginx.setup().folder().join("nginx.conf");
    with_visitors(&nginx, |served| {
        for setup in &setups {
            some_are_served(served);
            std::fs::write(&conf, setup.conf()).unwrap();
            nginx.reload();
        }
        some_are_served(served);
    });
    nginx.write_conf(setups[3].clone());
    old_workers_end(&nginx);
    assert_eq!(nginx.log_count("starts empty"), 4);
    until("the master has closed what it opened", || open_files(nginx.master()) == files);
    let sizes = |memory: Vec<(u64, u64)>| memory.iter().map(|(_, size)| *size).collect::<Vec<_>>();
    assert_eq!(sizes(shared_memory(nginx.master())), sizes(memory));
}

#[test]
fn many_signals_at_once_are_as_good_as_one() {
    let origin = Origin::start();
    numbered(&origin, SIZE);
    let nginx = front(&origin).http("twice_zone pages 8m;").start();
    let body = ask(&nginx, "/a").warm().body;
    with_visitors(&nginx, |served| {
        for _ in 0..30 {
            nginx.signal(SIGHUP);
        }
        some_are_served(served);
    });
    nginx.reload();
    old_workers_end(&nginx);
    until("two workers are left", || nginx.workers().len() == 2);
    assert!(ask(&nginx, "/a").warm().body == body);
}
