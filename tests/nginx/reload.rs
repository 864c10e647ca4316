//! A reload: what is stored stays, old workers finish what they send, and nothing is left behind.
//!
//! Old and new workers use one store as long as the zone's name and size stay; other memory is made otherwise, and
//! said. nginx itself answers every request over a reload: so must it with the cache.

mod drain;
mod load;
mod refused;
mod upgrade;
mod zones;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::process::{SIGKILL, signal};
use fixture::{Answer, Nginx, Origin, Raw, Request, Setup, until};

const BIG: usize = 900_000;

/// What the cache does, on each answer; X-Probe stores nothing, X-Fresh asks the origin.
const TELL: &str = "add_header X-Cache $twice_cache_status always; add_header X-Reason $twice_reason always;
add_header X-Worker $pid always; twice_no_store $http_x_probe; twice_bypass $http_x_fresh;";

/// A cache in front of the origin, without its zone `pages`. Connections to clients take little at a time.
fn front(origin: &Origin) -> Setup {
    on(Nginx::bare(), origin)
}

fn on(setup: Setup, origin: &Origin) -> Setup {
    setup
        .http(TELL)
        .listen_options("reuseport sndbuf=8k")
        .location("/", format!("twice pages; proxy_pass {}; proxy_max_temp_file_size 0;", origin.url()))
}

/// Pages of a size that tell their path and, from end to end, how many were made before.
fn numbered(origin: &Origin, size: usize) {
    let made = AtomicUsize::new(0);
    origin.handle("/*", move |request| {
        let line = format!("{}#{};", request.path(), made.fetch_add(1, Ordering::Relaxed));
        Answer::html(line.repeat(size / line.len() + 1)).header("X-Twice-Control", "max-age=3600, no-tags")
    });
}

/// Whether a body is a whole page of `numbered`: this path's, and one page only.
fn is_page_of(body: &[u8], path: &str, size: usize) -> bool {
    let end = body.iter().position(|&b| b == b';').map_or(0, |end| end + 1);
    let line = &body[..end];
    line.starts_with(format!("{path}#").as_bytes())
        && body.len() == (size / line.len() + 1) * line.len()
        && body.chunks(line.len()).all(|chunk| chunk == line)
}

/// A GET of the page that a `Slow` client asks for, too: pages are told apart by their host.
fn ask(nginx: &Nginx, path: &str) -> Request {
    nginx.get(path).header("Host", "localhost")
}

/// A client that has the head of a big page and rests.
struct Slow {
    raw: Raw,
    worker: u32,
    whole: Vec<u8>,
}

impl Slow {
    /// Its page is stored, and being sent from the zone by a worker.
    #[track_caller]
    fn start(nginx: &Nginx, path: &str) -> Slow {
        let whole = ask(nginx, path).warm().body;
        assert!(is_page_of(&whole, path, BIG), "{path}");
        let mut raw = nginx.raw();
        raw.get(path);
        let head = raw.response_head();
        head.assert_cache("HIT");
        Slow { raw, worker: head.worker(), whole }
    }

    /// Takes the rest, which is the page that was there at the start.
    #[track_caller]
    fn finish(mut self) {
        let body = self.raw.bytes(self.whole.len());
        assert!(body == self.whole, "the page changed while it was sent");
    }
}

/// Whether the page is stored, without changing that.
fn is_stored(nginx: &Nginx, path: &str) -> bool {
    ask(nginx, path).header("X-Probe", "1").send().cache() == "HIT"
}

/// Stores the page anew and gives its body.
#[track_caller]
fn replace(nginx: &Nginx, path: &str) -> Vec<u8> {
    let page = ask(nginx, path).header("X-Fresh", "1").send();
    page.assert_cache("BYPASS");
    until("the new page is stored", || ask(nginx, path).warm().body == page.body);
    page.body
}

/// How many big pages the zone has at once when more than that were asked for: what nobody finds takes room, too.
fn room(nginx: &Nginx) -> usize {
    let mut paths: Vec<_> = (0..8).map(|n| format!("/room/{n}")).collect();
    for path in &paths {
        ask(nginx, path).send();
    }
    paths.push("/held".to_owned());
    paths.iter().filter(|path| is_stored(nginx, path)).count()
}

#[track_caller]
fn old_workers_end(nginx: &Nginx) {
    until("the old workers are gone", || nginx.leaving_workers().is_empty());
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// The zones that a process has mapped: where and how many bytes.
fn shared_memory(pid: u32) -> Vec<(u64, u64)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let place = |line: &str| {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        Some((from, to - from))
    };
    // nginx itself shares a page of counters.
    let zones = maps.lines().filter(|line| line.contains("/dev/zero")).filter_map(place);
    zones.filter(|(_, len)| *len >= 1 << 19).collect()
}

/// The file of the module under test.
fn module() -> String {
    std::env::var("TWICE_MODULE").expect("TWICE_MODULE is not set: run scripts/test")
}

#[test]
fn an_old_worker_finishes_a_page_that_new_ones_replace() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let nginx = front(&origin).http("twice_zone pages 4m;").start();
    let slow = Slow::start(&nginx, "/held");
    nginx.reload();
    until("it alone of the old workers is left", || nginx.leaving_workers() == [slow.worker]);
    let mut seen = vec![slow.whole.clone()];
    for round in 0..5 {
        let body = replace(&nginx, "/held");
        assert!(is_page_of(&body, "/held", BIG) && !seen.contains(&body), "round {round}");
        seen.push(body);
        assert!(room(&nginx) > 0);
    }
    let page = ask(&nginx, "/small").send();
    assert!(nginx.workers().contains(&page.worker()), "a new worker");
    assert_eq!(nginx.leaving_workers(), [slow.worker]);
    slow.finish();
    old_workers_end(&nginx);
}

#[test]
fn what_an_old_worker_held_is_room_again_when_it_ends() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let nginx = front(&origin).http("twice_zone pages 4m;").start();
    let empty = room(&nginx);
    let slow = Slow::start(&nginx, "/held");
    nginx.reload();
    replace(&nginx, "/held");
    assert_eq!(room(&nginx), empty - 1);
    slow.finish();
    old_workers_end(&nginx);
    assert_eq!(room(&nginx), empty);
}

#[test]
fn what_a_killed_old_worker_held_is_room_again_after_the_next_reload() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let nginx = front(&origin).http("twice_zone pages 4m;").start();
    let empty = room(&nginx);
    let slow = Slow::start(&nginx, "/held");
    nginx.reload();
    replace(&nginx, "/held");
    assert_eq!(room(&nginx), empty - 1);
    nginx.expect_log(&format!("worker process {} exited on signal 9", slow.worker));
    assert!(signal(slow.worker, SIGKILL));
    old_workers_end(&nginx);
    nginx.reload();
    assert_eq!(room(&nginx), empty);
}

#[test]
fn limits_that_a_reload_changes_hold_at_once() {
    let origin = Origin::start();
    numbered(&origin, 50_000);
    let base = front(&origin);
    let mut nginx = base.clone().http("twice_zone pages 8m;").start();
    let stored = ask(&nginx, "/a").warm().body;
    // Smaller: what is stored stays, what would be too large is passed.
    nginx.write_conf(base.clone().http("twice_zone pages 8m max_object=40k;"));
    nginx.reload();
    assert!(ask(&nginx, "/a").warm().body == stored);
    assert_eq!(ask(&nginx, "/b").send().reason(), "too_large");
    assert_eq!(ask(&nginx, "/b").send().reason(), "too_large");
    nginx.write_conf(base.clone().http("twice_zone pages 8m max_object=60k inactive=1h;"));
    nginx.reload();
    ask(&nginx, "/b").warm();
    assert_eq!(nginx.log_count("starts empty"), 0);
}

#[test]
fn a_time_without_use_that_a_reload_changes_holds_at_once() {
    let origin = Origin::start();
    numbered(&origin, 1_000);
    let base = front(&origin);
    let mut nginx = base.clone().http("twice_zone pages 8m;").start();
    let rest = || {
        let start = std::time::Instant::now();
        until("nobody has asked in 2.5 s", || start.elapsed().as_millis() > 2_500);
    };
    let first = ask(&nginx, "/a").warm().body;
    nginx.write_conf(base.clone().http("twice_zone pages 8m inactive=1s;"));
    nginx.reload();
    rest();
    assert_eq!(ask(&nginx, "/a").send().cache(), "MISS");
    let second = ask(&nginx, "/a").warm().body;
    assert!(first != second);
    nginx.write_conf(base.clone().http("twice_zone pages 8m inactive=1h;"));
    nginx.reload();
    rest();
    let page = ask(&nginx, "/a").send();
    page.assert_cache("HIT");
    assert!(page.body == second);
}
