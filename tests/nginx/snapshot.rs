//! Zones that outlive nginx: `snapshot=FILE` and `snapshot_interval=TIME`.

mod broken;
mod counters;
mod loading;
mod purged;
mod writers;

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use fixture::process::{SIGQUIT, SIGTERM};
use fixture::{Answer, Nginx, Origin, Setup, until};
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
