//! Which requests share a page, and which must not.

mod ignored;
mod requests;

use fixture::{Answer, Nginx, Origin, Received, Setup};

/// The origin is told the host that the client asked for.
pub(crate) fn cached(origin: &Origin) -> Setup {
    forwarding(origin, "$http_host")
}

fn forwarding(origin: &Origin, host: &str) -> Setup {
    let pass = format!("proxy_pass {}; proxy_set_header Host {host}; proxy_http_version 1.1;", origin.url());
    Nginx::twice().location("/", format!("twice pages; {pass}"))
}

/// Says what it was asked: a page that is given to the wrong one shows it.
fn echo(request: &Received) -> Answer {
    Answer::page(said(request.header("Host").unwrap_or("none"), &request.target))
}

pub(crate) fn said(host: &str, target: &str) -> String {
    format!("{host} {target}")
}

pub(crate) fn echoing() -> Origin {
    let origin = Origin::start();
    origin.handle("/*", echo);
    origin
}

/// Each request gets its own page, first from the origin, then from the store.
#[track_caller]
pub(crate) fn apart(nginx: &Nginx, origin: &Origin, targets: &[&str]) {
    let ask = |target: &str| {
        let mut raw = nginx.raw();
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        raw.response()
    };
    for cache in ["MISS", "HIT"] {
        for target in targets {
            let page = ask(target);
            page.assert(200, cache, &said("localhost", target));
        }
    }
    assert_eq!(origin.total(), targets.len(), "{targets:?}");
}

#[test]
fn a_host_that_holds_half_a_target_is_another_host() {
    let origin = echoing();
    let nginx = forwarding(&origin, "$host").start();
    let ask = |target: &str, host: &str| {
        let mut raw = nginx.raw();
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        raw.response()
    };
    // One text, cut in two places. An nginx may refuse such a host.
    for (target, host, other, other_host) in [
        ("/y", "b?x=1", "http://b?x=1/y", "b"),
        ("/y", "c?", "http://c?/y", "c"),
        ("/z", "d#e", "http://d/#e/z", "d"),
    ] {
        let first = ask(target, host);
        let second = ask(other, other_host);
        assert!(first.status == 400 || second.text() != first.text(), "{first:?}\n{second:?}");
        assert!(first.status == 400 || second.cache() != "HIT", "{second:?}");
    }
}

#[test]
fn a_request_without_a_host_is_no_hosts() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    let old = |target: &str| {
        let mut raw = nginx.raw();
        raw.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        raw.response()
    };
    // The origin was told no host: what it says is not for those who name one.
    for target in ["/u", "http://localhost/v", "http://b.example/w"] {
        assert_eq!(old(target).status, 200, "{target}");
    }
    let ask = |host: &str, path: &str| nginx.get(path).header("Host", host).send();
    ask("localhost", "/u").assert(200, "MISS", &said("localhost", "/u"));
    ask("localhost", "/v").assert(200, "MISS", &said("localhost", "/v"));
    ask("b.example", "/w").assert(200, "MISS", &said("b.example", "/w"));
}

#[test]
fn a_question_mark_at_the_end_adds_nothing() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    nginx.get("/u").send();
    nginx.get("/u?").send().assert_cache("HIT");
    nginx.get("/u%3F").send().assert_cache("MISS");
    // Behind the first one it is a part of the query.
    for path in ["/u?a?", "/u?a", "/u??", "/u???", "/??", "/"] {
        nginx.get(path).send().assert_cache("MISS");
    }
    nginx.get("/?").send().assert_cache("HIT");
}

#[test]
fn a_key_of_ones_own() {
    let origin = echoing();
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; twice_key $host$uri$cookie_group; proxy_pass {};", origin.url()))
        .location("/fixed", format!("twice pages; twice_key everything; proxy_pass {};", origin.url()))
        .location("/empty", format!("twice pages; twice_key $arg_none; proxy_pass {};", origin.url()))
        .http("add_header X-Key $twice_key;")
        .start();
    let first = nginx.get("/u?a").send();
    assert_eq!((first.cache(), first.header("X-Key")), ("MISS", Some("127.0.0.1/u")));
    nginx.get("/u?b").send().assert(200, "HIT", &first.text());
    nginx.get("/u").cookie("group=red").send().assert_cache("MISS");
    nginx.get("/u").cookie("group=red").send().assert_cache("HIT");
    nginx.get("/u").cookie("group=re").send().assert_cache("MISS");
    nginx.get("/fixed/a").send().assert_cache("MISS");
    nginx.get("/fixed/b?c").send().assert_cache("HIT");
    assert_eq!(nginx.get("/empty").send().status, 200);
}

#[test]
fn an_internal_redirect_has_a_page_of_its_own() {
    let origin = Origin::start();
    origin.handle("/*", |request| Answer::page(request.target.clone()));
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; {pass}"))
        .location("= /moved", "rewrite ^ /page last;")
        .location("= /moved-too", "rewrite ^ /page last;")
        .location("= /args", "rewrite ^ /page?from=args last;")
        .location("= /missing", "error_page 404 =200 /page; return 404;")
        .location("= /decoded", "rewrite ^ /a%2Fb? last;")
        .start();
    // First through the redirect, then directly, and each again.
    for cache in ["MISS", "HIT"] {
        nginx.get("/moved").send().assert(200, cache, "/page");
        nginx.get("/page").send().assert(200, cache, "/page");
        nginx.get("/args").send().assert(200, cache, "/page?from=args");
        nginx.get("/page?from=args").send().assert(200, cache, "/page?from=args");
    }
    assert_eq!(origin.total(), 4);
    // The origin may be told what was asked for: what leads to one place inside is not one page.
    nginx.get("/moved-too").send().assert(200, "MISS", "/page");
    for cache in ["MISS", "HIT"] {
        nginx.get("/missing").send().assert(200, cache, "/page");
    }
    assert_eq!(origin.total(), 6);
    let inner = nginx.get("/decoded").send();
    let outer = nginx.get("/a%2Fb").send();
    assert_eq!(
        (inner.cache(), outer.cache(), outer.text().as_str()),
        ("MISS", "MISS", "/a%2Fb"),
        "{inner:?}"
    );
}

#[test]
fn http_and_https_have_two_pages() {
    let origin = Origin::start();
    origin.handle("/", |request| Answer::page(request.header("X-Scheme").unwrap_or_default().to_owned()));
    let setup = Nginx::twice();
    let port = fixture::folder::free_port();
    let nginx = setup
        .file("localhost.pem", CERTIFICATE)
        .server(format!("listen 127.0.0.1:{port} ssl;"))
        .server("ssl_certificate localhost.pem; ssl_certificate_key localhost.pem;")
        .location(
            "/",
            format!("twice pages; proxy_set_header X-Scheme $scheme; proxy_pass {};", origin.url()),
        )
        .start();
    let secure = fixture::get(format!("https://127.0.0.1:{port}/")).arg("-k").header("Host", "localhost");
    for cache in ["MISS", "HIT"] {
        nginx.get("/").header("Host", "localhost").send().assert(200, cache, "http");
        secure.send().assert(200, cache, "https");
    }
}

/// For `localhost`, valid for a hundred years, known to everybody: for tests and nothing else.
pub(crate) const CERTIFICATE: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghCQ/Ew6tS8iLGWMv
gKlCO7Vn/8rDfC9eXMfYnT3fjgihRANCAAQh3Tr2ur4WgkQ/N9UgdL8M+UKoBcq/
3vvuRTK4jeW1XWJeQ5wWIIsHf7vMFJWW7lR9NcaQa9TuX9IEV4DBC/kb
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUWcr0L7QwNdaYLl27P69tea0nCs0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjE3MDQyN1oYDzIxMjYxMDI5
MTcwNDI3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQh3Tr2ur4WgkQ/N9UgdL8M+UKoBcq/3vvuRTK4jeW1XWJeQ5wWIIsH
f7vMFJWW7lR9NcaQa9TuX9IEV4DBC/kbo1MwUTAdBgNVHQ4EFgQUASL55giWeIcU
DKLDlGNfdmPXYNIwHwYDVR0jBBgwFoAUASL55giWeIcUDKLDlGNfdmPXYNIwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAjHozHB9efArd1N6DtsjN
xqt3klNeg2clmjVw2eNlyNQCIBAWw57F+I8OQ64a2KLeg+VhvetGzXujQpApJlRJ
Z39X
-----END CERTIFICATE-----
";
