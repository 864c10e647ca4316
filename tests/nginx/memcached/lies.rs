//! Servers that lie: whatever they say, a page comes whole and in time, with its defaults, and the server is left alone
//! until it tells the truth.

use std::time::Duration;

use fixture::{Answer, Liar, Lie, Nginx, Origin, patiently, until};

use super::{pages, until_all_print};

const PAGE: &str = "<& get memcache a A &> <& get memcache b B &>";

/// A server that says this rests, however often pages ask, and is trusted again when it tells the truth.
pub(crate) struct Trial {
    origin: Origin,
    server: Liar,
    nginx: Nginx,
}

impl Trial {
    pub(crate) fn new(timeout: &str) -> Self {
        let origin = Origin::start();
        let server = Liar::start(truth());
        let options = format!("ttl=0 timeout={timeout} server_failure_limit=2 server_retry_timeout=50ms");
        let nginx = pages(&origin, [server.address().as_str()], &options).start();
        nginx.allow_log("memcached server");
        origin.on("/p", Answer::page(PAGE));
        until_all_print(&nginx, "/p", "1 2");
        Self { origin, server, nginx }
    }

    #[track_caller]
    pub(crate) fn of(&self, what: &str, page: &str, lie: Lie) {
        self.server.says(move |line| if line == "version" { Lie::Close(Vec::new()) } else { lie.clone() });
        let response = self.nginx.get("/p").send();
        assert_eq!((response.status, response.text().as_str()), (200, page), "{what}");
        until("no page asks it any more", || {
            let before = self.server.count("get");
            let pages: Vec<String> = (0..5).map(|_| self.nginx.get("/p").send().text()).collect();
            pages.iter().all(|page| page == "A B") && self.server.count("get") == before
        });
        self.server.says(truth());
        until_all_print(&self.nginx, "/p", "1 2");
    }

    pub(crate) fn end(self) {
        self.nginx.finish();
        drop(self.origin);
    }
}

fn truth() -> impl Fn(&str) -> Lie + Send + Sync + 'static {
    Liar::truth(&[("a", "1"), ("b", "2")])
}

#[test]
fn a_server_that_is_too_slow_is_left_alone() {
    let trial = Trial::new(&format!("{}ms", patiently(Duration::from_millis(700)).as_millis()));
    for (what, page, lie) in [
        ("nothing comes", "A B", Lie::Hang),
        ("the end is missing", "1 B", Lie::say("VALUE a 0 1\r\n1\r\n")),
        ("a length too long", "A B", Lie::say("VALUE a 0 9\r\nx\r\nEND\r\n")),
        (
            "a byte now and then",
            "A B",
            Lie::Drip(b"VALUE a 0 1\r\n1\r\nEND\r\n".into(), patiently(Duration::from_millis(500))),
        ),
    ] {
        trial.of(what, page, lie);
    }
    trial.end();
}

/// What a server answers in step says nothing against it.
#[test]
fn a_server_that_refuses_is_asked_again() {
    let origin = Origin::start();
    let server = Liar::start(Liar::truth(&[]));
    let options = "ttl=0 timeout=10s server_failure_limit=1 server_retry_timeout=1h";
    let nginx = pages(&origin, [server.address().as_str()], options).start();
    nginx.allow_log("memcached server");
    origin.on("/p", Answer::page(PAGE));
    assert_eq!(nginx.get("/p").warm().text(), "A B");
    let large = |len: usize| format!("VALUE a 0 {len}\r\n{}\r\nVALUE b 0 1\r\n2\r\nEND\r\n", "x".repeat(len));
    for (answer, page) in [
        ("SERVER_ERROR out of memory\r\n".to_owned(), "A B"),
        ("VALUE a 0 1\r\n1\r\nSERVER_ERROR out of memory\r\n".to_owned(), "1 B"),
        ("CLIENT_ERROR bad command line format\r\n".to_owned(), "A B"),
        ("ERROR\r\n".to_owned(), "A B"),
        (large(2 << 20), "A 2"),
        ("VALUE b 7 1\r\n2\r\nVALUE a 0 1 99\r\n1\r\nEND\r\n".to_owned(), "1 2"),
    ] {
        let connections = server.connections();
        let said = answer.clone();
        server.says(move |_| Lie::say(&said));
        assert_eq!(nginx.get("/p").send().text(), page, "{answer:.60}");
        server.says(Liar::truth(&[("a", "1"), ("b", "2")]));
        assert_eq!(nginx.get("/p").send().text(), "1 2", "after {answer:.60}");
        // At most the one of a worker that was not asked before.
        assert!(server.connections() <= connections.max(1) + 1, "{answer:.60}");
    }
    assert!(server.connections() <= 2, "one for each worker: {}", server.connections());
    assert_eq!(server.count("version"), 0);
    nginx.finish();
}

#[test]
fn all_keys_of_a_page_go_out_together() {
    let origin = Origin::start();
    let server = Liar::start(Liar::truth(&[("k7", "seven"), ("k3999", "last")]));
    let nginx = pages(&origin, [server.address().as_str()], "ttl=0 timeout=10s").start();
    let tags: String = (0..40).map(|key| format!("<& get memcache k{} &>", key % 20)).collect();
    origin.on("/p", Answer::page(tags));
    assert_eq!(nginx.get("/p").send().text(), "sevenseven");
    let lines = server.lines();
    let keys: Vec<String> = (0..20).map(|key| format!("k{key}")).collect();
    assert_eq!(lines, [format!("get {}", keys.join(" "))]);

    // More than a line has room for: as many lines as it takes, in one piece nevertheless.
    let tags: String = (0..4000).map(|key| format!("<& get memcache k{key} &>")).collect();
    origin.on("/many", Answer::page(tags));
    assert_eq!(nginx.get("/many").send().text(), "sevenlast");
    let lines = server.lines().split_off(1);
    assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= 8190), "{} lines", lines.len());
    let asked: Vec<&str> = lines.iter().flat_map(|line| line.split(' ').skip(1)).collect();
    assert_eq!(asked.len(), 4000);
    nginx.finish();
}
