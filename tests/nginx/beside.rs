//! nginx's other features beside a cached location: each is tried in two locations that are the same but for `twice pages`,
//! in front of one origin. What a visitor sees differs by what Twice adds, and by nothing else, whether the page was
//! fetched or stored.
//!
//! nginx's `image_filter` is in neither of the two nginx under test: that image types pass unharmed is told of their bytes.

mod before;
mod bodies;
mod places;

use fixture::{Answer, Nginx, Origin, Request, Response, Setup};

/// What Twice adds to an answer, what the setup adds to tell of it, and what differs from answer to answer. A page that
/// is being recorded is not cut into parts.
const ADDED: [&str; 8] =
    ["Via", "Cache-Status", "Age", "X-Cache", "X-Reason", "X-Worker", "Date", "Accept-Ranges"];

/// Two locations, `/with/` and `/without/`, that hand what is behind that to the origin.
struct Pair {
    origin: Origin,
    nginx: Nginx,
}

impl Pair {
    /// `lines` are for both locations; `change` adds what else is needed.
    fn new(lines: &str, change: impl FnOnce(Setup, &Origin) -> Setup) -> Self {
        let origin = Origin::start();
        let pass = format!("{lines} proxy_http_version 1.1; proxy_pass {}/;", origin.url());
        let setup =
            Nginx::twice().location("/with/", format!("twice pages; {pass}")).location("/without/", &pass);
        let nginx = change(setup, &origin).start();
        Self { origin, nginx }
    }

    fn of(lines: &str) -> Self {
        Self::new(lines, |setup, _| setup)
    }

    /// Asks both, Twice first for a fetch and then from the store, and compares. Gives the answer without Twice.
    #[track_caller]
    fn same(&self, path: &str, ask: impl Fn(Request) -> Request) -> Response {
        self.compare(path, ["MISS", "HIT"], ask)
    }

    /// The same where nothing is stored, for this or that reason.
    #[track_caller]
    fn same_unstored(&self, path: &str, ask: impl Fn(Request) -> Request) -> Response {
        self.compare(path, ["", ""], ask)
    }

    #[track_caller]
    fn compare(&self, path: &str, caches: [&str; 2], ask: impl Fn(Request) -> Request) -> Response {
        let without = ask(self.nginx.get(&format!("/without{path}"))).send();
        for cache in caches {
            let with = ask(self.nginx.get(&format!("/with{path}"))).send();
            if cache.is_empty() {
                assert_ne!(with.cache(), "HIT", "{with:?}");
            } else {
                with.assert_cache(cache);
            }
            equal(&with, &without);
        }
        without
    }
}

/// The two are the same to a visitor.
#[track_caller]
fn equal(with: &Response, without: &Response) {
    assert_eq!(with.status, without.status, "{with:?}\n{without:?}");
    assert!(with.body == without.body, "{} bytes, not {}", with.body.len(), without.body.len());
    assert_eq!(told(with), told(without));
}

/// The header lines, sorted, without those that tell of Twice. A body's length may be told in two ways.
fn told(response: &Response) -> Vec<(String, String)> {
    let is_added = |name: &str| ADDED.iter().any(|added| name.eq_ignore_ascii_case(added));
    let mut lines: Vec<(String, String)> = response
        .headers
        .iter()
        .filter(|(name, _)| !is_added(name) && name != "Content-Length" && name != "Transfer-Encoding")
        .map(|(name, value)| (name.to_ascii_lowercase(), value.replace("/with/", "/without/")))
        .collect();
    lines.sort();
    lines
}

/// Nothing to add.
fn plainly(request: Request) -> Request {
    request
}

/// A page that says more of itself than most, of an application that knows nothing of Twice.
fn page(body: impl Into<Vec<u8>>) -> Answer {
    Answer::html(body)
        .header("Cache-Control", "public, max-age=600")
        .header("ETag", "\"v1\"")
        .header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
        .header("X-Own", "a")
        .header("X-Own", "b")
}
