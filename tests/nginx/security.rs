//! The list of attacks on a page cache that renders tags: a story for each, by the name that it has there, so that a
//! reader can go through both side by side.
//!
//! A cache that stores nothing withstands nearly all of them. So each story also sees hits, of the very location that it
//! attacks; where that is not plain from the story, [`proves_hits`] does it.

mod denial;
mod keys;
mod origins;
mod readings;
mod sharing;
mod smuggling;
mod tags;

use fixture::{Answer, Nginx, Origin, Request, Response, Setup};

fn cached(origin: &Origin) -> Setup {
    cached_with(origin, "")
}

fn cached_with(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice().location("/", format!("twice pages; {lines} proxy_pass {};", origin.url()))
}

/// The location stores what may be stored, and serves it.
#[track_caller]
fn proves_hits(nginx: &Nginx, origin: &Origin) {
    origin.on("/proof", Answer::page("proof"));
    nginx.get("/proof").warm();
    nginx.get("/proof").send().assert(200, "HIT", "proof");
    assert_eq!(origin.count("/proof"), 1);
}

/// After the first of these requests the second, which is somebody else's, still goes to the origin, as does each after
/// it. Gives the last answer.
#[track_caller]
fn not_shared(origin: &Origin, path: &str, first: &Request, second: &Request) -> Response {
    let before = origin.count(path);
    first.try_send();
    let mut last = Response::default();
    for count in 2..=4 {
        last = second.send();
        assert_ne!(last.cache(), "HIT", "{path}: {last:?}");
        assert_eq!(origin.count(path), before + count, "{path}: {last:?}");
    }
    last
}
