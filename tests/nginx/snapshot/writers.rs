//! Who writes the file: the helper, the master when it ends, a new binary's. It is never two at once, and never half of it.

use super::*;
use fixture::process::{self, SIGKILL, SIGSTOP, SIGUSR2};
use fixture::until_some;

#[test]
fn the_file_belongs_to_the_workers_user_whoever_writes_it() {
    let origin = origin();
    let setup = kept(&origin, "snapshot_interval=1s").user("nobody nogroup");
    let owner = give_to_nobody(&setup);
    let nginx = setup.start();
    let owned = |what: &str| {
        let meta = fs::metadata(file(&setup)).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o777), (owner, 0o600), "{what}");
    };
    ask(&nginx, "/a", "MISS");
    until("the helper has written", || holds(&setup, "/a"));
    owned("by the helper");
    ask(&nginx, "/b", "MISS");
    let nginx = restarted(nginx);
    owned("by the master");
    nginx.wait_log("was loaded: 2 pages");
    ask(&nginx, "/b", "HIT");
}

/// Ends an nginx of which the test is not the parent.
struct Orphan(PathBuf);

impl Orphan {
    /// nginx takes SIGUSR2 only when who started it is gone.
    fn start(setup: &Setup) -> Self {
        setup.check().passes();
        let mut shell = std::process::Command::new("sh");
        // The shell outlives nginx's first look at its parent.
        let line = "\"$TWICE_NGINX\" -p \"$0\" -c nginx.conf -e stderr >/dev/null 2>&1 </dev/null &
            while kill -0 $! && [ ! -s \"$0/nginx.pid\" ]; do sleep 0.01; done";
        shell.args(["-c", line]);
        assert!(shell.arg(setup.folder()).status().unwrap().success());
        let pid_file = Orphan(setup.folder().join("nginx.pid"));
        until("nginx is there", || pid_file.master().is_some());
        pid_file
    }

    fn master(&self) -> Option<u32> {
        fs::read_to_string(&self.0).ok()?.trim().parse().ok()
    }

    fn end(pid: u32) {
        assert!(process::signal(pid, SIGQUIT));
        until("nginx has ended", || !process::is_alive(pid));
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if let Some(pid) = self.master() {
            process::signal(pid, SIGTERM);
        }
    }
}

#[test]
fn a_new_binary_starts_with_the_snapshot_and_keeps_it() {
    let origin = origin();
    let setup = kept(&origin, "snapshot_interval=1s");
    let nginx = Orphan::start(&setup);
    let old = nginx.master().unwrap();
    ask_at(&setup, "/a", "MISS");
    until("the page is in the snapshot", || holds(&setup, "/a"));
    let log = || fs::read_to_string(setup.folder().join("error.log")).unwrap();
    assert!(process::signal(old, SIGUSR2));
    let new = until_some("the new master is there", || nginx.master().filter(|pid| *pid != old));
    until("the new nginx has loaded", || log().contains("was loaded: 1 pages"));
    let left = "is not written any more: another nginx has taken over";
    until("the old one's helper leaves the file alone", || log().contains(left));
    Orphan::end(old);
    assert!(log().contains("was not written: another nginx has taken over"), "{}", log());
    ask_at(&setup, "/a", "HIT");
    ask_at(&setup, "/b", "MISS");
    Orphan::end(new);
    assert!(holds(&setup, "/b"));
    assert!(!log().lines().any(fixture::log::is_trouble), "{}", log());
}

#[test]
fn a_helper_whose_master_is_gone_leaves_the_file_to_another_nginx() {
    let origin = origin();
    let nginx = kept(&origin, "snapshot_interval=1s").start();
    nginx.wait_log("was not loaded: there is none yet");
    let helper = nginx.helpers()[0];
    let workers =
        process::children(nginx.master()).into_iter().map(|(pid, _)| pid).filter(|pid| *pid != helper);
    let workers: Vec<u32> = workers.collect();
    for pid in [nginx.master()].into_iter().chain(workers) {
        process::signal(pid, SIGKILL);
    }
    nginx.wait_log("is not written any more: its master is gone");
    process::signal(helper, SIGKILL);
    until("it is gone", || !process::is_alive(helper));
    nginx.crash();
}

#[track_caller]
fn ask_at(setup: &Setup, path: &str, cache: &str) {
    let url = format!("http://127.0.0.1:{}{path}", setup.port());
    fixture::get(url).cookie("username=Ann").send().assert(200, cache, &greeting(path));
}

#[test]
fn a_helper_killed_while_it_writes_leaves_the_old_file() {
    let origin = origin();
    let nginx = cached(&origin, "64m snapshot=pages.snap").start();
    ask(&nginx, "/00000000", "MISS");
    let setup = stopped(nginx);
    // Enough that writing takes its time.
    fs::write(file(&setup), loading::many(&setup, 12_000, 4_000)).unwrap();
    let nginx = setup.again(cached(&origin, "64m snapshot=pages.snap snapshot_interval=1s")).start();
    nginx.wait_log("was loaded: 12000 pages");
    let helper = until_some("the helper is caught while it writes", || {
        let helper = *nginx.helpers().first()?;
        if !temp(&setup).exists() {
            return None;
        }
        process::signal(helper, SIGSTOP);
        // It stops when the kernel comes to it.
        until("it stands still", || state_of(helper) == Some('T'));
        let caught = temp(&setup).exists() && fs::metadata(temp(&setup)).is_ok_and(|m| m.len() > 0);
        if !caught {
            process::signal(helper, libc::SIGCONT);
        }
        caught.then_some(helper)
    });
    let old = fs::read(file(&setup)).unwrap();
    nginx.kill_helper(helper);
    assert!(pages_of(&old).len() == 12_000);
    // Its successor clears away what it has left, and goes on.
    let first = fs::metadata(file(&setup)).unwrap().ino();
    until("the next one is written", || fs::metadata(file(&setup)).unwrap().ino() != first);
    loading::ask_copy(&nginx, "/00000007");
    let setup = stopped(nginx);
    assert!(!temp(&setup).exists());
    assert_eq!(pages_of(&fs::read(file(&setup)).unwrap()).len(), 12_000);
}

/// The letter that /proc has for what a process is doing.
fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}
