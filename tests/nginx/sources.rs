//! Values of sources in pages.

mod counters;
mod ends;
mod leaving;
mod waiting;

use fixture::{Answer, Gate, Nginx, Origin, Setup, until};

/// Pages from one origin, each with what its own headers say of it; `/probe?KEY` shows what `viewdb` has under a key.
fn site(origin: &Origin) -> Setup {
    origin.handle("/probe", |asked| Answer::page(format!("<& get viewdb {} none &>", asked.query())));
    Nginx::twice()
        .figures()
        .location("= /status", "stub_status;")
        .location("/", format!("twice pages; twice_include_timeout 10m; proxy_pass {};", origin.url()))
}

/// A page with tags that is not kept.
fn passing(body: &str) -> Answer {
    Answer::html(body).header("X-Twice-Control", "max-age=0")
}

/// What `viewdb` has under a key, by way of a page.
fn value(nginx: &Nginx, key: &str) -> String {
    nginx.get(&format!("/probe?{key}")).send().text()
}

/// A change is made when its answer is on its way, so that the answer may be here before it.
#[track_caller]
fn becomes(nginx: &Nginx, key: &str, expected: &str) {
    until(&format!("{key} is {expected}"), || value(nginx, key) == expected);
}

/// Changes of local counters so far. What was seen is counted when its request is over, which may be a moment after the
/// answer has come.
#[track_caller]
fn changes(nginx: &Nginx) -> u64 {
    until("nothing is under way", || nginx.pending() == 0);
    nginx.figure("counter_changes")
}

/// A source whose value is what the origin answers to this path; it remembers nothing, and is asked however often it fails.
fn service(setup: Setup, origin: &Origin, name: &str, options: &str) -> Setup {
    setup
        .http(format!("twice_source {name} http /_{name} key=all format=text ttl=0s server_failure_limit=1000 {options};"))
        .location(&format!("= /_{name}"), format!("internal; proxy_pass {}/{name};", origin.url()))
}
