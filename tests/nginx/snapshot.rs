//! Zones that outlive nginx: `snapshot=FILE` and `snapshot_interval=TIME`.

mod broken;
mod counters;
mod loading;
mod purged;

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use fixture::process::{self, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, SIGUSR2};
use fixture::{Answer, Nginx, Origin, Setup, until, until_some};
use twice_core::page::PAGE_FORMAT;
use twice_core::snapshot::{Reader, Record, Step, Writer};

const GREETING: &str = "Hello <& get cookie username Guest &>!\n";
const SEED: [u8; 16] = *b"seed of a story.";

/// A zone with a snapshot `pages.snap`.
fn kept(origin: &Origin, options: &str) -> Setup {
    cached(origin, &format!("16m snapshot=pages.snap {options}"))
}

fn cached(origin: &Origin, zone: &str) -> Setup {
    Nginx::bare()
        .http(format!(
            "twice_zone pages {zone};
add_header X-Cache $twice_cache_status always; add_header X-Reason $twice_reason always;
add_header X-Worker $pid always;"
        ))
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
}

/// An origin with a page of its own for each path.
fn origin() -> Origin {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        Answer::html(format!("{} {GREETING}", request.target)).header("X-Twice-Control", "max-age=3600")
    });
    origin
}

fn greeting(path: &str) -> String {
    format!("{path} Hello Ann!\n")
}

#[track_caller]
fn ask(nginx: &Nginx, path: &str, cache: &str) {
    nginx.get(path).cookie("username=Ann").send().assert(200, cache, &greeting(path));
}

fn file(setup: &Setup) -> PathBuf {
    setup.folder().join("pages.snap")
}

fn temp(setup: &Setup) -> PathBuf {
    setup.folder().join("pages.snap.tmp")
}

/// A page of a snapshot: its key, its value, and all else.
type Page = (Vec<u8>, Vec<u8>, Record<'static>);

fn pages_of(bytes: &[u8]) -> Vec<Page> {
    let mut reader = Reader::open(Cursor::new(bytes), PAGE_FORMAT, 1 << 30).expect("a snapshot");
    let mut pages = Vec::new();
    loop {
        match reader.step().unwrap() {
            Step::Record(record) => pages.push((
                record.key.to_vec(),
                record.value.to_vec(),
                Record { key: &[], value: &[], ..record },
            )),
            Step::Passed => {}
            Step::End => {
                let tally = reader.tally();
                assert!(tally.damaged == 0 && !tally.cut, "{tally:?}");
                return pages;
            }
        }
    }
}

fn snapshot_of(pages: &[Page]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), PAGE_FORMAT, SEED, 1).unwrap();
    for (key, value, record) in pages {
        writer.add(&Record { key, value, ..*record }).unwrap();
    }
    writer.finish().unwrap()
}

/// Whether the snapshot holds a page of this path.
fn holds(setup: &Setup, path: &str) -> bool {
    let Ok(bytes) = fs::read(file(setup)) else { return false };
    pages_of(&bytes).iter().any(|(key, ..)| key.ends_with(path.as_bytes()))
}

/// Stops it, takes its log away and starts it again.
#[track_caller]
fn restarted(nginx: Nginx) -> Nginx {
    let setup = stopped(nginx);
    setup.start()
}

#[track_caller]
fn stopped(nginx: Nginx) -> Setup {
    let setup = nginx.setup().clone();
    nginx.finish();
    forget_log(&setup);
    setup
}

/// The log of a run that was judged.
fn forget_log(setup: &Setup) {
    fs::remove_file(setup.folder().join("error.log")).unwrap();
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

#[test]
fn pages_survive_a_stop_and_a_start() {
    for signal in [SIGQUIT, SIGTERM] {
        let origin = origin();
        let nginx = kept(&origin, "").start();
        for path in ["/a", "/b", "/c"] {
            ask(&nginx, path, "MISS");
            ask(&nginx, path, "HIT");
        }
        nginx.signal(signal);
        let nginx = restarted(nginx);
        nginx.wait_log("was loaded: 3 pages");
        for path in ["/a", "/b", "/c"] {
            ask(&nginx, path, "HIT");
            assert_eq!(origin.count(path), 1);
        }
        // And once more, with one that is new.
        ask(&nginx, "/d", "MISS");
        let nginx = restarted(nginx);
        nginx.wait_log("was loaded: 4 pages");
        ask(&nginx, "/d", "HIT");
    }
}

#[test]
fn pages_keep_their_age() {
    let origin = origin();
    let nginx = kept(&origin, "").http("twice_stale_factor 1; twice_use_stale off;").start();
    for path in ["/old", "/over", "/future"] {
        ask(&nginx, path, "MISS");
    }
    let setup = stopped(nginx);
    // As if 1,000 seconds had passed for the first, its lifetime for the second; and the clock had been set back.
    let mut pages = pages_of(&fs::read(file(&setup)).unwrap());
    assert_eq!(pages.len(), 3);
    for (key, _, record) in &mut pages {
        let shift = if key.ends_with(b"/old") { 1_000_000 } else { 4_000_000 };
        if key.ends_with(b"/future") {
            record.created_ms += shift;
            record.expires_ms += shift;
        } else {
            record.created_ms -= shift;
            record.expires_ms -= shift;
        }
    }
    fs::write(file(&setup), snapshot_of(&pages)).unwrap();
    let nginx = setup.start();
    nginx.wait_log("was loaded: 1 pages");
    nginx.wait_log("2 out of their time");
    let old = nginx.get("/old").send();
    let age: u64 = old.header("Age").and_then(|age| age.parse().ok()).expect("an age");
    let created = pages.iter().find(|(key, ..)| key.ends_with(b"/old")).unwrap().2.created_ms;
    assert!((1000..=(now_ms() - created) / 1000).contains(&age), "{age}");
    for path in ["/over", "/future"] {
        ask(&nginx, path, "MISS");
    }
}

#[test]
fn the_zone_is_accounted_for_when_nginx_stops() {
    let origin = origin();
    let nginx = kept(&origin, "").start();
    for n in 0..50 {
        ask(&nginx, &format!("/{n}"), "MISS");
    }
    let setup = nginx.setup().clone();
    nginx.finish();
    let log = fs::read_to_string(setup.folder().join("error.log")).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("[notice]") && line.contains("accounts for all its units"))
        .expect("an account");
    assert!(line.contains("twice: zone \"pages\" accounts for all its units: arena="), "{line}");
    let figure = |name: &str| -> u64 {
        let rest = line.split_once(&format!("{name}=")).expect(name).1;
        rest.split(' ').next().unwrap().parse().expect(name)
    };
    assert_eq!(figure("arena"), ["free", "live", "pending", "zombie"].map(figure).iter().sum::<u64>());
    assert_eq!((figure("entries"), figure("pending"), figure("zombie")), (50, 0, 0));
    assert!(log.contains("was written: 50 pages"), "{log}");
    assert!(!temp(&setup).exists());
}

#[test]
fn snapshots_are_written_while_nginx_runs_and_outlive_a_crash() {
    let origin = origin();
    let nginx = kept(&origin, "snapshot_interval=1s").start();
    ask(&nginx, "/a", "MISS");
    let setup = nginx.setup().clone();
    until("the page is in the snapshot", || holds(&setup, "/a"));
    let first = fs::metadata(file(&setup)).unwrap().ino();
    until("another one follows", || fs::metadata(file(&setup)).unwrap().ino() != first);
    nginx.crash();
    forget_log(&setup);
    let nginx = setup.start();
    nginx.wait_log("was loaded: 1 pages");
    ask(&nginx, "/a", "HIT");
    assert_eq!(origin.count("/a"), 1);
}

#[test]
fn without_an_interval_a_crash_leaves_the_snapshot_of_the_last_stop() {
    let origin = origin();
    let nginx = kept(&origin, "").start();
    ask(&nginx, "/a", "MISS");
    let nginx = restarted(nginx);
    nginx.wait_log("was loaded: 1 pages");
    ask(&nginx, "/b", "MISS");
    let setup = nginx.setup().clone();
    nginx.crash();
    forget_log(&setup);
    let nginx = setup.start();
    nginx.wait_log("was loaded: 1 pages");
    ask(&nginx, "/a", "HIT");
    ask(&nginx, "/b", "MISS");
}

#[test]
fn a_reload_does_not_load_again() {
    let origin = origin();
    let nginx = kept(&origin, "").start();
    ask(&nginx, "/a", "MISS");
    let setup = stopped(nginx);
    let mut nginx = setup.start();
    nginx.wait_log("was loaded: 1 pages");
    // The new configuration's helper has looked at the zone when it has written a snapshot.
    nginx.write_conf(with_interval(&setup, &origin));
    nginx.reload();
    nginx.wait_log("was written: 1 pages");
    assert_eq!(nginx.log_count("was loaded"), 1);
    ask(&nginx, "/a", "HIT");
}

/// The same nginx with another zone line.
fn with_interval(setup: &Setup, origin: &Origin) -> Setup {
    setup.again(kept(origin, "snapshot_interval=1s"))
}

#[test]
fn a_snapshot_that_a_reload_names_is_not_loaded_over_what_is_there() {
    let origin = origin();
    let nginx = kept(&origin, "").start();
    ask(&nginx, "/old", "MISS");
    let setup = stopped(nginx);
    let mut nginx = setup.again(cached(&origin, "16m")).start();
    ask(&nginx, "/new", "MISS");
    nginx.write_conf(with_interval(&setup, &origin));
    nginx.reload();
    nginx.wait_log("was written: 1 pages");
    assert_eq!(nginx.log_count("was loaded"), 0);
    ask(&nginx, "/new", "HIT");
    ask(&nginx, "/old", "MISS");
}

#[test]
fn a_single_process_does_all_of_it() {
    let origin = origin();
    let nginx = kept(&origin, "snapshot_interval=1s").single_process().start();
    ask(&nginx, "/a", "MISS");
    until("the page is in the snapshot", || holds(nginx.setup(), "/a"));
    ask(&nginx, "/b", "MISS");
    let nginx = restarted(nginx);
    nginx.wait_log("was loaded: 2 pages");
    ask(&nginx, "/a", "HIT");
    ask(&nginx, "/b", "HIT");
}

/// The folder is the user's, not the master's. Back comes who that is: nobody, where the tests are root's.
fn give_to_nobody(setup: &Setup) -> u32 {
    // SAFETY: takes no memory and can't fail.
    let me = unsafe { libc::geteuid() };
    let nobody = fs::read_to_string("/etc/passwd")
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("nobody:")?.split(':').nth(1)?.parse::<u32>().ok())
        .expect("a user nobody");
    let owner = if me == 0 { nobody } else { me };
    std::os::unix::fs::chown(setup.folder(), Some(owner), None).unwrap();
    owner
}

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
fn two_zones_have_a_file_each() {
    let origin = origin();
    let nginx = Nginx::bare()
        .http("twice_zone one 4m snapshot=one.snap; twice_zone two 4m snapshot=two.snap;")
        .http("add_header X-Cache $twice_cache_status always;")
        .location("/one", format!("twice one; proxy_pass {};", origin.url()))
        .location("/two", format!("twice two; proxy_pass {};", origin.url()))
        .start();
    for path in ["/one/1", "/two/1", "/two/2"] {
        ask(&nginx, path, "MISS");
    }
    let nginx = restarted(nginx);
    nginx.wait_log("zone \"one\": snapshot");
    nginx.wait_log("was loaded: 1 pages");
    nginx.wait_log("was loaded: 2 pages");
    for path in ["/one/1", "/two/1", "/two/2"] {
        ask(&nginx, path, "HIT");
    }
}

#[test]
fn a_bad_snapshot_option_is_refused() {
    let check = |zones: &str| Nginx::bare().http(zones).check();
    for bad in ["snapshot=", "snapshot=/", "snapshot=folder/", "snapshot=.."] {
        let value = format!("\"{bad}\"");
        let texts = ["\"twice_zone\"", &value, "allowed is the name of a file"];
        check(&format!("twice_zone pages 16m {bad};")).fails_with(&texts);
    }
    for bad in
        ["snapshot_interval=", "snapshot_interval=0", "snapshot_interval=often", "snapshot_interval=-1"]
    {
        let value = format!("\"{bad}\"");
        let texts = ["\"twice_zone\"", &value, "allowed is a time such as 1m"];
        check(&format!("twice_zone pages 16m snapshot=a {bad};")).fails_with(&texts);
    }
    let alone = ["\"twice_zone\"", "snapshot_interval=TIME alone", "allowed is snapshot=FILE with it"];
    check("twice_zone pages 16m snapshot_interval=1m;").fails_with(&alone);
    for other in ["a", "./a", "a.tmp"] {
        let same = ["\"twice_zone\"", "the snapshot of the zone \"one\"", "allowed is another file"];
        check(&format!("twice_zone one 1m snapshot=a;\ntwice_zone two 1m snapshot={other};"))
            .fails_with(&same);
    }
    check("twice_zone one 1m snapshot=a snapshot_interval=1s;\ntwice_zone two 1m snapshot=b;").passes();
}

#[test]
fn a_configuration_test_touches_no_file() {
    let origin = origin();
    let setup = kept(&origin, "snapshot_interval=1s").file("pages.snap", "something");
    let before: Vec<_> =
        fs::metadata(file(&setup)).into_iter().map(|m| (m.ino(), m.mtime_nsec(), m.len())).collect();
    setup.check().passes();
    let after: Vec<_> =
        fs::metadata(file(&setup)).into_iter().map(|m| (m.ino(), m.mtime_nsec(), m.len())).collect();
    assert_eq!(before, after);
    assert!(!temp(&setup).exists());
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
