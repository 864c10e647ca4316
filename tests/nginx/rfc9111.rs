//! What only nginx can show of HTTP's rules for caches (RFC 9111): the rules themselves are tables in the core
//! (`tests/pure/policy`).

mod age;
mod fields;
mod honor;
mod interim;
mod request;

use fixture::{Answer, Nginx, Origin, Response, Setup};

use crate::steering::stored;

fn cached(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always;")
        .location("/", format!("twice pages; {lines} proxy_pass {};", origin.url()))
}

fn caching(value: &str) -> Answer {
    Answer::html("x").header("Cache-Control", value)
}

/// Not stored, and for this reason.
#[track_caller]
fn never_stored(nginx: &Nginx, path: &str, reason: &str) -> Response {
    nginx.get(path).send();
    let again = nginx.get(path).send();
    assert_eq!((again.cache(), again.reason()), ("MISS", reason), "{path}: {again:?}");
    again
}
