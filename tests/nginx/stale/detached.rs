//! A refresh has nothing to do with the client that it was started beside.

use super::*;
use crate::keys::CERTIFICATE;
use fixture::folder::free_port;
use std::cell::Cell;

#[test]
fn the_next_request_on_the_connection_does_not_wait() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    origin.on("/other", Answer::html("other"));
    let nginx = cached(&origin, "").start();
    let mut client = nginx.raw();
    client.get("/").response().assert(200, "MISS", "old");
    let gate = Gate::new();
    origin.on("/", Answer::page("new").gate(&gate));
    until("the page is stale", || client.get("/").response().cache() == "STALE");
    gate.wait_arrived(1);
    // The refresh hangs until the gate is opened, below.
    client.get("/").response().assert(200, "UPDATING", "old");
    client.get("/other").response().assert(200, "MISS", "other");
    client.get("/").response().assert(200, "UPDATING", "old");
    gate.open();
    until("the page is renewed", || client.get("/").response().text() == "new");
}

#[test]
fn a_client_that_leaves_ends_nothing() {
    let origin = Origin::start();
    origin.on("/", short(&"old ".repeat(100_000)));
    let nginx = cached(&origin, "twice_key $uri;").start();
    fill(&nginx, "/");
    let gate = Gate::new();
    origin.on("/", Answer::page("new").gate(&gate));
    until("the page is stale", || nginx.get("/").head().send().cache() != "HIT");
    // Somebody may have had it begin; if not, this one has, and leaves before it has read the answer.
    let mut client = nginx.raw();
    client.get("/");
    gate.wait_arrived(1);
    client.reset();
    nginx.get("/").head().send().assert_cache("UPDATING");
    gate.open();
    renewed(&nginx, "/", "new");
    assert_eq!(gate.arrived(), 1);
}

#[test]
fn a_head_has_the_page_renewed_whole() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx =
        cached(&origin, "proxy_set_header X-Line $request; proxy_set_header X-Method $request_method;")
            .start();
    fill(&nginx, "/");
    origin.on("/", Answer::page("new"));
    until("the page is stale", || nginx.get("/").head().send().cache() == "STALE");
    until("it is renewed", || nginx.get("/").head().send().cache() == "HIT");
    nginx.get("/").send().assert(200, "HIT", "new");
    let asked = origin.last("/");
    assert_eq!((asked.method.as_str(), asked.header("X-Line")), ("GET", Some("GET / HTTP/1.1")));
    assert_eq!(asked.header("X-Method"), Some("GET"));
}

#[test]
fn http2_clients_are_served_as_all_others() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx = cached(&origin, "proxy_set_header X-Host $host;").http2().start();
    nginx.get_h2("/").send();
    let gate = Gate::new();
    origin.on("/", Answer::page("new").gate(&gate));
    let page = until_some("the page is stale", || {
        let page = nginx.get_h2("/").send();
        (page.cache() == "STALE").then_some(page)
    });
    page.assert(200, "STALE", "old");
    gate.wait_arrived(1);
    nginx.get_h2("/").send().assert(200, "UPDATING", "old");
    gate.open();
    until("it is renewed", || nginx.get_h2("/").send().text() == "new");
    assert_eq!(origin.last("/").header("X-Host"), Some("127.0.0.1"));
}

#[test]
fn tls_clients_and_tls_keep_alive_origins_work() {
    let origin = Origin::start();
    let (front, inner) = (free_port(), free_port());
    origin.handle("/", |request| {
        let seen = |name| request.header(name).unwrap_or_default().to_owned();
        short(&format!("{} {} {}", seen("X-Scheme"), seen("X-Protocol"), seen("X-Port")))
    });
    let _nginx = Nginx::twice()
        .file("localhost.pem", CERTIFICATE)
        .http("ssl_certificate localhost.pem; ssl_certificate_key localhost.pem;")
        .http(format!("upstream inner {{ server 127.0.0.1:{inner}; keepalive 4; }}"))
        .http(format!(
            "server {{ listen 127.0.0.1:{inner} ssl; location / {{ proxy_set_header X-Connection $connection;
proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_pass {}; }} }}",
            origin.url()
        ))
        .server(format!("listen 127.0.0.1:{front} ssl;"))
        .location(
            "/",
            format!(
                "twice pages; {LONG} proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header X-Scheme $scheme;
proxy_set_header X-Protocol $ssl_protocol; proxy_set_header X-Port $server_port; proxy_ssl_session_reuse off; proxy_pass https://inner;"
            ),
        )
        .workers(1)
        .start();
    let secure = fixture::get(format!("https://127.0.0.1:{front}/")).arg("-k");
    let first = secure.send();
    assert!(first.text().starts_with("https TLSv1."), "{first:?}");
    let served = first.text();
    until("three refreshes were made", || {
        assert_eq!(secure.send().text(), served);
        origin.count("/") >= 4
    });
    // What the client's TLS said reached the origin each time, and the connection to it stayed open.
    let connections: Vec<_> =
        origin.requests("/").iter().map(|r| r.header("X-Connection").unwrap().to_owned()).collect();
    assert!(connections.iter().all(|c| *c == connections[0]), "{connections:?}");
}

#[test]
fn a_sub_requests_page_is_renewed() {
    let origin = Origin::start();
    origin.on("/part", short("old"));
    let nginx = cached(&origin, "")
        .file("html/outer.html", "[<!--# include virtual=\"/part\" -->]")
        .location("= /outer.html", "ssi on; root html;")
        .start();
    nginx.get("/outer.html").send();
    origin.on("/part", Answer::page("new"));
    until("it is renewed", || nginx.get("/outer.html").send().text() == "[new]");
    assert_eq!(origin.last("/part").target, "/part");
}

#[test]
fn a_refresh_is_no_request_of_a_client() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx = cached(&origin, "access_log access.log combined;")
        .location("= /status", "stub_status; access_log off;")
        .start();
    fill(&nginx, "/");
    origin.on("/", Answer::page("new"));
    stale(&nginx, "/");
    renewed(&nginx, "/", "new");
    assert_eq!(origin.count("/"), 2);
    let asked = Cell::new(0);
    let status = || {
        asked.set(asked.get() + 1);
        nginx.get("/status").send().text()
    };
    // Reading, writing, waiting: this request alone.
    until("the refresh's connection is closed", || {
        let text = status();
        text.contains("Active connections: 1 ") && text.contains("Reading: 0 Writing: 1 Waiting: 0")
    });
    let requests: usize =
        status().lines().nth(2).unwrap().split_whitespace().nth(2).unwrap().parse().unwrap();
    until("all visitors are in the log", || nginx.access_log().lines().count() + asked.get() >= requests);
    assert_eq!(nginx.access_log().lines().count() + asked.get(), requests);
}
