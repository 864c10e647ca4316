//! A reload that nginx refuses, and `nginx -t`, change nothing: not the pages, not the workers, and not the
//! workers that come later.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use fixture::process::SIGHUP;
use fixture::{Nginx, Origin, Setup, until};

use super::{ask, front, numbered, open_files, shared_memory};

const SIZE: usize = 20_000;

/// Everything works as before: what was stored, and a worker that takes the place of a killed one.
#[track_caller]
fn serves_on(nginx: &Nginx, workers: &[u32], stored: &[u8], round: usize) {
    assert_eq!(nginx.workers(), workers);
    let page = ask(nginx, "/stored").send();
    page.assert_cache("HIT");
    assert!(page.body == stored);
    for pid in workers {
        nginx.kill_worker(*pid);
    }
    assert!(ask(nginx, "/stored").warm().body == stored);
    let page = ask(nginx, &format!("/new/{round}")).send();
    page.assert_cache("MISS");
    assert_eq!((page.reason(), page.header("X-Twice-Control")), ("recording", None));
    ask(nginx, &format!("/new/{round}")).warm();
}

#[test]
fn a_refused_reload_changes_nothing() {
    let origin = Origin::start();
    numbered(&origin, SIZE);
    let base = front(&origin);
    let good = base.clone().http("twice_zone pages 8m;");
    let mut nginx = good.start();
    let stored = ask(&nginx, "/stored").warm().body;
    let memory = shared_memory(nginx.master());
    // Refused early and late: while it is read, when all was read, when zones and sockets are made.
    let refused: [(Setup, &str); 5] = [
        (good.clone().http("no_such_directive on;"), "unknown directive \"no_such_directive\""),
        (base.clone().http("twice_zone pages 4k;"), "too small for one page"),
        (good.clone().http("twice mroe;"), "has the zone \"mroe\""),
        (good.clone().server("set $x $no_such_variable;"), "unknown \"no_such_variable\" variable"),
        // 192.0.2.1 is nobody's address (RFC 5737).
        (
            base.clone().http("twice_zone pages 12m;").server("listen 192.0.2.1:80;"),
            "bind() to 192.0.2.1:80 failed",
        ),
    ];
    for (round, (setup, error)) in refused.into_iter().enumerate() {
        let (workers, files) = (nginx.workers(), open_files(nginx.master()));
        nginx.write_conf(setup);
        nginx.signal(SIGHUP);
        nginx.wait_log(error);
        until("the master has rolled back", || {
            shared_memory(nginx.master()) == memory && open_files(nginx.master()) == files
        });
        serves_on(&nginx, &workers, &stored, round);
    }
    // A zone of another size that never came to be is not told of.
    assert_eq!(nginx.log_count("starts empty"), 0);
    nginx.write_conf(good);
    nginx.reload();
    assert!(ask(&nginx, "/stored").warm().body == stored);
}

#[test]
fn a_check_beside_a_running_nginx_changes_nothing() {
    let origin = Origin::start();
    numbered(&origin, SIZE);
    let base = front(&origin);
    let mut nginx = base.clone().http("twice_zone pages 8m;").start();
    let stored = ask(&nginx, "/stored").warm().body;
    let (workers, memory) = (nginx.workers(), shared_memory(nginx.master()));
    nginx.setup().check().passes();
    base.clone().http("twice_zone pages 16m;").check().passes();
    base.clone().http("twice_zone pages 4k;").check().fails_with(&["too small for one page"]);
    assert_eq!(shared_memory(nginx.master()), memory);
    nginx.write_conf(base.http("twice_zone pages 8m;"));
    serves_on(&nginx, &workers, &stored, 0);
    assert_eq!(nginx.log_count("starts empty"), 0);
}

/// Overwrites the head of the store, as a stray write would.
fn damage(nginx: &Nginx) {
    let (at, len) = shared_memory(nginx.master())[0];
    let memory =
        OpenOptions::new().read(true).write(true).open(format!("/proc/{}/mem", nginx.master())).unwrap();
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    memory.read_exact_at(&mut bytes, at).unwrap();
    let found = bytes.windows(8).position(|window| window == b"twice\0st").expect("the store's magic number");
    memory.write_all_at(&[0; 8], at + found as u64).unwrap();
}

#[test]
fn a_damaged_store_stops_a_reload_until_its_size_is_changed() {
    let origin = Origin::start();
    numbered(&origin, SIZE);
    let base = front(&origin);
    let mut nginx = base.clone().http("twice_zone pages 8m;").start();
    let stored = ask(&nginx, "/stored").warm().body;
    let workers = nginx.workers();
    damage(&nginx);
    nginx.signal(SIGHUP);
    nginx.wait_log(
        "twice: zone \"pages\": holds no store that can be used, allowed is another size or a restart",
    );
    assert_eq!(nginx.workers(), workers);
    assert!(ask(&nginx, "/stored").warm().body == stored);
    nginx.write_conf(base.http("twice_zone pages 9m;"));
    nginx.reload();
    assert_eq!(nginx.log_count("starts empty: its size was changed from 8m to 9m"), 1);
    ask(&nginx, "/stored").send().assert_cache("MISS");
    ask(&nginx, "/stored").warm();
}
