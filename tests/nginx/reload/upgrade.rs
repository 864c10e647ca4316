//! Another build of the module: by a reload, which goes on with the old code, and by an upgrade of nginx's binary.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fixture::process::{self, SIGHUP, SIGQUIT, SIGTERM, SIGUSR2, SIGWINCH, signal};
use fixture::{Nginx, Origin, Request, Setup, get, log, patience, raw, until, until_some};

use super::{BIG, Slow, ask, front, module, numbered, old_workers_end, on, shared_memory};

const UNUSED: &str = "twice: this build of the module stays unused";

/// A setup for each file name, all of one nginx; each file is a copy of the module, changed by `build`.
fn copies<const N: usize>(
    origin: &Origin,
    names: [&str; N],
    build: impl Fn(Vec<u8>) -> Vec<u8>,
) -> [Setup; N] {
    let plain = Nginx::plain();
    names.map(|name| {
        let file = plain.folder().join(name);
        fs::write(&file, build(fs::read(module()).unwrap())).unwrap();
        on(plain.clone(), origin)
            .main(format!("load_module {};", file.display()))
            .http("twice_zone pages 8m;")
    })
}

#[test]
fn a_reload_with_another_file_goes_on_with_the_old_code_and_says_so() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let [first, second] = copies(&origin, ["first.so", "second.so"], |file| file);
    let mut nginx = first.start();
    let slow = Slow::start(&nginx, "/held");
    nginx.expect_log(UNUSED);
    nginx.write_conf(second.clone());
    nginx.reload();
    assert_eq!(nginx.log_count(UNUSED), 1);
    // The same code has the same zone.
    assert!(ask(&nginx, "/held").warm().body == slow.whole);
    for pid in nginx.workers() {
        nginx.kill_worker(pid);
    }
    nginx.reload();
    assert!(ask(&nginx, "/held").warm().body == slow.whole);
    ask(&nginx, "/new").warm();
    slow.finish();
    old_workers_end(&nginx);
    // Back, and there again: nginx has let the second file go meanwhile.
    for setup in [first, second] {
        nginx.write_conf(setup);
        nginx.reload();
        ask(&nginx, "/new").send().assert_cache("HIT");
    }
    assert_eq!((nginx.log_count(UNUSED), nginx.log_count("starts empty")), (2, 0));
}

/// The module bound to its own symbols, whatever was loaded before (`ld -Bsymbolic`): such a build takes over.
fn symbolic(mut file: Vec<u8>) -> Vec<u8> {
    // In the dynamic section an entry is a tag and a value; of DT_FLAGS (30) the bit DF_SYMBOLIC is 2.
    let word = |at: usize| u64::from_ne_bytes(file[at..at + 8].try_into().unwrap());
    let headers = usize::try_from(word(32)).unwrap();
    let dynamic = (headers..).step_by(56).find(|&at| word(at) as u32 == 2).expect("a dynamic section");
    let at = usize::try_from(word(dynamic + 8)).unwrap();
    let flags = (at..).step_by(16).take_while(|&at| word(at) != 0).find(|&at| word(at) == 30);
    let flags = flags.expect("flags in the dynamic section");
    file[flags + 8] |= 2;
    file
}

#[test]
fn a_build_that_takes_over_starts_empty_and_says_so_once() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let [first, second] = copies(&origin, ["first.so", "second.so"], symbolic);
    let mut nginx = first.start();
    for (round, setup) in [second.clone(), first, second].into_iter().enumerate() {
        let slow = Slow::start(&nginx, "/held");
        nginx.write_conf(setup);
        nginx.reload();
        let told = "[notice]";
        let line = "twice: zone \"pages\" starts empty: the module is another build";
        let log = nginx.log();
        let lines: Vec<_> = log.lines().filter(|l| l.contains("starts empty")).collect();
        assert!(lines.len() == round + 1, "{lines:?}");
        assert!(lines[round].contains(line) && lines[round].contains(told), "{lines:?}");
        assert_eq!(shared_memory(nginx.master()).len(), 1);
        let page = ask(&nginx, "/held").send();
        page.assert_cache("MISS");
        assert!(page.body != slow.whole);
        ask(&nginx, "/held").warm();
        for pid in nginx.workers() {
            nginx.kill_worker(pid);
        }
        ask(&nginx, "/held").send().assert_cache("HIT");
        slow.finish();
        old_workers_end(&nginx);
    }
    assert_eq!(nginx.log_count(UNUSED), 0);
}

/// An nginx that left its parent, as only such a one can be upgraded; ends with the story.
struct Daemon {
    setup: Setup,
}

impl Daemon {
    #[track_caller]
    fn start(setup: Setup) -> Daemon {
        let folder = setup.folder();
        fs::write(folder.join("nginx.conf"), setup.conf().replace("daemon off;", "daemon on;")).unwrap();
        let daemon = Daemon { setup: setup.clone() };
        let mut command = Command::new(std::env::var_os("TWICE_NGINX").expect("TWICE_NGINX is not set"));
        // It leaves no copies of the tests' own files open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "error.log"]).status();
        assert!(status.expect("TWICE_NGINX can't be run").success(), "{}", daemon.log());
        daemon.wait_workers("nginx.pid");
        daemon
    }

    /// The master that has written this file.
    fn master(&self, file: &str) -> Option<u32> {
        fs::read_to_string(self.setup.folder().join(file)).ok()?.trim().parse().ok()
    }

    fn workers(master: u32) -> Vec<u32> {
        let taking = |line: &str| line.contains("worker process") && !line.contains("shutting down");
        let children = process::children(master).into_iter();
        children.filter(|(_, line)| taking(line)).map(|(pid, _)| pid).collect()
    }

    #[track_caller]
    fn wait_workers(&self, file: &str) -> (u32, Vec<u32>) {
        until_some("a master has its workers", || {
            let master = self.master(file)?;
            let workers = Daemon::workers(master);
            (workers.len() == 2).then_some((master, workers))
        })
    }

    fn get(&self, path: &str) -> Request {
        get(format!("http://127.0.0.1:{}{path}", self.setup.port())).header("Host", "localhost")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.setup.folder().join("error.log")).unwrap_or_default()
    }
}

fn is_there(pid: u32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let masters = ["nginx.pid", "nginx.pid.oldbin"].map(|file| self.master(file));
        for pid in masters.iter().flatten() {
            signal(*pid, SIGQUIT);
        }
        let start = Instant::now();
        while masters.iter().flatten().any(|pid| is_there(*pid)) {
            if start.elapsed() > patience() {
                for pid in masters.iter().flatten() {
                    signal(*pid, SIGTERM);
                }
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        if thread::panicking() {
            eprintln!("the end of nginx's error log:\n{}", log::tail(&self.log(), 40));
        } else {
            assert!(start.elapsed() <= patience(), "nginx did not end gracefully");
            assert_eq!(log::judge(&self.log(), &[]), None);
        }
    }
}

#[test]
fn an_upgraded_nginx_has_a_zone_of_its_own_and_the_old_one_keeps_its_own() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let nginx = Daemon::start(front(&origin).http("twice_zone pages 8m;"));
    let (old, workers) = nginx.wait_workers("nginx.pid");
    let first = nginx.get("/held").warm().body;
    let mut slow = raw(nginx.setup.port());
    slow.get("/held");
    let head = slow.response_head();
    head.assert_cache("HIT");

    assert!(signal(old, SIGUSR2));
    until("there is a new master", || nginx.master("nginx.pid").is_some_and(|pid| pid != old));
    let (new, mut seen) = nginx.wait_workers("nginx.pid");
    assert_eq!(nginx.master("nginx.pid.oldbin"), Some(old));
    // Both serve, each from its own zone.
    seen.extend(&workers);
    until("each worker of both has served", || {
        let page = nginx.get("/held").send();
        let of_old = workers.contains(&page.worker());
        assert_eq!((page.status, page.body == first), (200, of_old), "{}", page.cache());
        seen.retain(|pid| *pid != page.worker());
        seen.is_empty()
    });
    // The old workers leave; the one with the slow client stays until it is served.
    signal(old, SIGWINCH);
    until("the old workers take no more", || Daemon::workers(old).is_empty());
    assert!(nginx.get("/held").warm().body != first);
    assert!(is_there(head.worker()));
    assert!(slow.bytes(first.len()) == first);
    until("it has left", || !is_there(head.worker()));
    // The way back: the old master's zone was there all the time.
    signal(old, SIGHUP);
    until("the old master has workers again", || Daemon::workers(old).len() == 2);
    signal(new, SIGQUIT);
    until("the new nginx is gone", || !is_there(new) && nginx.master("nginx.pid") == Some(old));
    let page = nginx.get("/held").send();
    assert_eq!((page.cache(), page.body == first), ("HIT", true));
    // And forth, for good.
    signal(old, SIGUSR2);
    until("there is a new master", || nginx.master("nginx.pid").is_some_and(|pid| pid != old));
    nginx.wait_workers("nginx.pid");
    signal(old, SIGQUIT);
    until("the old nginx is gone", || !is_there(old));
    assert!(nginx.get("/held").warm().body != first);
    assert!(!nginx.log().contains("starts empty") && !nginx.log().contains(UNUSED));
}
