//! nginx's other features beside a cached location: from the store or not, they behave as without Twice.
//!
//! A story asks two nginx the same, one with Twice in the location and one without the module. Each has an origin of its
//! own. Their answers must be the same, status, header lines and body, but for what [`told`] lists.
//!
//! Elsewhere: `return`, files, folders and redirects in `handlers.rs`, SSI and the addition module's parts in
//! `delivery/routes.rs` with who shares a page and not its access, charset in `delivery.rs`, `expires` in `subtleties/headers.rs`, `error_page` beside stale pages
//! in `stale/instead.rs`, `limit_rate` in `delivery/large.rs`, access and refreshes in `stale/like_a_visitor.rs`.

mod access;
mod bodies;
mod http2;
mod images;
mod limits;
mod lines;
mod mirror;
mod slices;
mod ways;

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use fixture::{Answer, Nginx, Origin, Received, Request, Response, Setup};

/// A location's, or a server's, lines with Twice. What is steered by nothing else is kept for a minute.
const TWICE: &str = "twice pages; twice_valid 60s;
add_header X-Cache $twice_cache_status always; add_header X-Reason $twice_reason always;";

/// An nginx and its origin.
struct Side {
    nginx: Nginx,
    origin: Origin,
}

/// One with Twice and one without.
struct Beside {
    with: Side,
    without: Side,
}

impl Beside {
    /// `shape` makes the configuration, of an origin's URL and of what stands where Twice is switched on.
    #[track_caller]
    fn start(shape: impl Fn(Setup, &str, &str) -> Setup) -> Self {
        let side = |setup: Setup, twice: &str| {
            let origin = Origin::start();
            let setup = shape(setup, &origin.url(), twice);
            make_old(&setup.folder().join("html"));
            Side { nginx: setup.start(), origin }
        };
        Self {
            with: side(Nginx::bare().http("twice_zone pages 16m;"), TWICE),
            without: side(Nginx::plain(), ""),
        }
    }

    fn sides(&self) -> [&Side; 2] {
        [&self.with, &self.without]
    }

    /// What both origins answer.
    fn on(&self, path: &str, answer: Answer) {
        self.handle(path, move |_| answer.clone());
    }

    fn handle(&self, path: &str, route: impl Fn(&Received) -> Answer + Clone + Send + Sync + 'static) {
        for side in self.sides() {
            side.origin.handle(path, route.clone());
        }
    }

    /// Lines that both logs must have.
    fn expect_log(&self, text: &str) {
        for side in self.sides() {
            side.nginx.expect_log(text);
        }
    }

    /// The same request to both, with the same answer: that of the one with Twice.
    #[track_caller]
    fn ask(&self, path: &str, request: impl Fn(Request) -> Request) -> Response {
        self.compared(path, request, Request::send)
    }

    /// The same, from the store where there is one.
    #[track_caller]
    fn hit(&self, path: &str, request: impl Fn(Request) -> Request) -> Response {
        self.compared(path, request, Request::warm)
    }

    #[track_caller]
    fn compared(
        &self,
        path: &str,
        request: impl Fn(Request) -> Request,
        send: impl Fn(&Request) -> Response,
    ) -> Response {
        let ours = send(&request(self.with.nginx.get(path)));
        let plain = request(self.without.nginx.get(path)).send();
        let same = ours.status == plain.status
            && told(&ours, &self.with.nginx) == told(&plain, &self.without.nginx)
            && ours.body == plain.body;
        assert!(same, "{path} with Twice: {ours:?}\n{}\nwithout: {plain:?}\n{}", ours.text(), plain.text());
        ours
    }
}

/// Gives all files below a folder, if it is there, one time, of which nginx makes `Last-Modified` and `ETag`.
fn make_old(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            make_old(&path);
        } else {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        }
    }
}

/// What an answer tells, without what Twice adds to any answer and takes out of it.
fn told(answer: &Response, nginx: &Nginx) -> Vec<(String, String)> {
    let lines = answer.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()));
    let mut kept: Vec<(String, String)> = lines
        .filter(|(name, value)| match name.as_str() {
            // That it is there; a hit's age and what became of it.
            "via" => *value != "1.1 twice",
            "age" | "cache-status" => false,
            // A stored page can be had in parts, whatever its origin can.
            "accept-ranges" => *value != "bytes",
            // The app's word to Twice.
            "x-twice-control" => false,
            // The stories' own.
            "x-cache" | "x-reason" => false,
            _ => true,
        })
        .map(|(name, value)| {
            // The time of the answer, and one counted from it.
            let masked = matches!(name.as_str(), "date" | "expires") && value.ends_with(" GMT");
            let value = if masked { "a time".to_owned() } else { value.to_owned() };
            (name, value.replace(&format!("127.0.0.1:{}", nginx.port()), "us"))
        })
        .collect();
    kept.sort();
    kept
}

/// A page that any cache may keep for a minute.
fn public(body: impl Into<Vec<u8>>) -> Answer {
    Answer::html(body).header("Cache-Control", "public, max-age=60")
}

/// A request as it is.
fn as_it_is(request: Request) -> Request {
    request
}

/// With name and password.
fn signed(user: &'static str) -> impl Fn(Request) -> Request {
    move |request| request.arg("-u").arg(user)
}
