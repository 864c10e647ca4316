//! Sessions: what pages print of their visitor, known by a cookie, as a service of the site's own or memcached has it.

mod failing;
mod fields;
mod forgotten;
mod keys;
mod leaving;
mod service;
mod share;
mod written;

use std::collections::BTreeSet;

use fixture::{Answer, Nginx, Origin, Raw, Response, Setup};

/// So many visits that no worker is left out.
const MANY: usize = 24;

const PAGE: &str = "<& get session login nobody &>|<& get session mail - &>|<& get session age - &>|\
                    <& get session address.city - &>|<& get session admin - &>";
/// What it prints of nobody.
const NOBODY: &str = "nobody|-|-|-|-";

/// The page `/`, and a source `session` that asks the origin's `/session` for whoever has the cookie `persistent`.
fn site(origin: &Origin, options: &str) -> Setup {
    origin.on("/", Answer::page(PAGE));
    Nginx::twice()
        .figures()
        .http("twice_key $uri;")
        .http(format!("twice_source session http /_session key=$cookie_persistent {options};"))
        .location("= /status", "stub_status;")
        .location("= /_session", format!("internal; proxy_pass {}/session;", origin.url()))
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
}

/// What the service says of a visitor.
fn record(name: &str) -> String {
    format!(
        r#"{{"login":"{name}","mail":"{name}@example.com","age":42,"address":{{"city":"Ulm"}},"admin":false}}"#
    )
}

/// What the page prints of that.
fn shown(name: &str) -> String {
    format!("{name}|{name}@example.com|42|Ulm|-")
}

/// A service that knows everybody by the value of the cookie.
fn knows_all(origin: &Origin) {
    origin.handle("/session", |asked| match asked.cookie("persistent") {
        Some(name) => Answer::ok(record(name)),
        None => Answer::new(500, "nobody should have asked"),
    });
}

/// The page as this visitor gets it.
#[track_caller]
fn page(nginx: &Nginx, visitor: &str) -> Response {
    let page = nginx.get("/").cookie(&format!("persistent={visitor}")).send();
    assert_eq!(page.status, 200, "{page:?}");
    page
}

/// A visitor asks on a connection that stays open.
#[track_caller]
fn ask(client: &mut Raw, path: &str, visitor: &str) {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: persistent={visitor}\r\n\r\n"));
}

/// Visits by all workers. Nobody has asked for the answers yet.
fn visits(nginx: &Nginx, visitor: &str) -> Vec<Raw> {
    let visit = |_| {
        let mut client = nginx.raw();
        ask(&mut client, "/", visitor);
        client
    };
    (0..MANY).map(visit).collect()
}

/// Each of them got this page, and every worker had its part.
#[track_caller]
fn all_got(visits: &mut [Raw], text: &str) {
    let mut workers = BTreeSet::new();
    for visit in visits {
        let page = visit.response();
        assert_eq!((page.status, page.text().as_str()), (200, text));
        workers.insert(page.worker());
    }
    assert_eq!(workers.len(), 2, "so many connections all went to one worker");
}

/// A figure of a source.
fn figure(nginx: &Nginx, source: &str, name: &str) -> u64 {
    let figures = nginx.source_figures(source);
    figures[name].as_u64().unwrap_or_else(|| panic!("{name} in {figures}"))
}

/// Whatever pages asked for ended in one way.
#[track_caller]
fn assert_balanced(nginx: &Nginx, source: &str) {
    let ends = ["hits", "misses", "errors", "timeouts", "forward_error", "bad_keys"];
    let sum: u64 = ends.iter().map(|end| figure(nginx, source, end)).sum();
    assert_eq!(figure(nginx, source, "requests"), sum, "{}", nginx.source_figures(source));
}

/// The anonymous page is in the store.
fn stored(nginx: &Nginx) {
    assert_eq!(nginx.get("/").warm().text(), NOBODY);
}
