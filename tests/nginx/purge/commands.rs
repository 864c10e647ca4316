//! How commands are written, and who may give them.

use super::{command, is_gone, page, purge, site, stays};
use fixture::{Answer, Nginx, Origin};

#[test]
fn a_mistake_is_told_and_purges_nothing() {
    let origin = Origin::start();
    origin.on("/a", page("x"));
    let nginx = site(&origin).start();
    nginx.get("/a").warm();
    for (json, why) in [
        ("", "no object"),
        ("{\"urls\":[\"/a\"}", "no purge command"),
        (r#"{"urls":["/a"],"everything":true}"#, "unknown field `everything`"),
        (r#"{"urls":["/a","a"]}"#, "\\\"a\\\" is no URL"),
        (r#"{"urls":["/a"],"prefixes":["ftp://x/"]}"#, "is no URL"),
        ("{}", "names nothing"),
    ] {
        let done = command(&nginx, json);
        assert_eq!(done.status, 400, "{json}");
        assert!(
            done.text().starts_with("{\"error\":\"") && done.text().contains(why),
            "{json}: {}",
            done.text()
        );
    }
    let long = format!("/{}?prefix=1", "x".repeat(600));
    assert_eq!(purge(&nginx, &long).send().status, 400);
    let get = nginx.get("/_twice/purge/a").send();
    assert_eq!((get.status, get.header("Allow")), (405, Some("PURGE, POST")));
    stays(&nginx, "/a");
    assert_eq!(nginx.figure("purges"), 0);
}

#[test]
fn a_long_body_comes_through_a_file() {
    let origin = Origin::start();
    origin.on("/a", page("x"));
    let nginx = site(&origin).server("client_body_buffer_size 1k;").start();
    nginx.get("/a").warm();
    let urls: Vec<_> = (0..5000).map(|n| format!("/none/{n}")).chain(["/a".to_owned()]).collect();
    let done = command(&nginx, &serde_json::json!({ "urls": urls }).to_string());
    assert!(done.text().contains("\"urls\":5001"), "{done:?}");
    is_gone(&nginx, "/a");
    let nginx_limit = "x".repeat(1_100_000);
    assert_eq!(command(&nginx, &nginx_limit).status, 413);
    nginx.expect_log("client intended to send too large body");
    nginx.allow_log("a client request body is buffered to a temporary file");
}

#[test]
fn a_body_beyond_our_limit_is_refused_where_nginx_has_a_greater_one() {
    let origin = Origin::start();
    let nginx = site(&origin).server("client_max_body_size 4m; client_body_buffer_size 3m;").start();
    let body = format!("{{\"keys\":[\"{}\"]}}", "k".repeat(1_100_000));
    let done = command(&nginx, &body);
    assert_eq!(done.status, 413);
    assert!(done.text().contains("1 MB"), "{done:?}");
}

#[test]
fn only_whom_nginx_lets_in() {
    let origin = Origin::start();
    origin.handle("/a", |request| match request.method.as_str() {
        "PURGE" => Answer::new(405, ""),
        _ => page("x"),
    });
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .location("/_twice/purge", "twice_purge pages; deny all;")
        .figures()
        .start();
    nginx.get("/a").warm();
    for request in [purge(&nginx, "/a"), nginx.get("/_twice/purge").method("POST").body(r#"{"all":true}"#)] {
        assert_eq!(request.send().status, 403);
    }
    // The location has no endpoint: it is the app's to answer.
    assert_eq!(nginx.get("/a").method("PURGE").send().status, 405);
    assert_eq!(origin.last("/a").method, "PURGE");
    nginx.expect_log("access forbidden by rule");
    assert_eq!(nginx.get("/").header("X-Mark-Dirty", "*").send().status, 404);
    stays(&nginx, "/a");
}

#[test]
fn the_originals_header_works_where_the_location_allows_it() {
    let origin = Origin::start();
    for path in ["/a", "/b"] {
        origin.on(path, page("x"));
    }
    let nginx = Nginx::twice()
        .http("geo $http_x_from $purger { default 0; 10.0.0.1 1; }")
        .location("/", format!("twice pages; twice_mark_dirty $purger; proxy_pass {};", origin.url()))
        .location("/purge", "twice_purge pages;")
        .start();
    let mark = |path: &str, kind: &str, from: &str| {
        nginx.get(path).header("X-Mark-Dirty", kind).header("X-From", from).send()
    };
    nginx.get("/a").warm();
    nginx.get("/b").warm();
    // From elsewhere it means nothing, and the app never sees it.
    mark("/a", "url", "10.0.0.2").assert(200, "HIT", "x");
    mark("/a?1", "*", "10.0.0.2").assert(200, "MISS", "x");
    assert_eq!(origin.last("/a").header("X-Mark-Dirty"), None);
    stays(&nginx, "/a");

    let done = mark("/a", "url", "10.0.0.1");
    assert_eq!((done.status, done.text().as_str()), (200, "expired: url /a\n"));
    assert_eq!(done.header("Content-Type"), Some("text/plain"));
    stays(&nginx, "/b");
    is_gone(&nginx, "/a");
    let done = mark("/whatever", "*", "10.0.0.1");
    assert_eq!((done.status, done.text().as_str()), (200, "expired: the whole cache\n"));
    is_gone(&nginx, "/a");
    is_gone(&nginx, "/b");
    assert_eq!(mark("/1", "nonsense", "10.0.0.1").status, 400);

    // At an endpoint, with its own path in front.
    let done = nginx.get("/purge/b").header("X-Mark-Dirty", "url").send();
    assert_eq!((done.status, done.text().as_str()), (200, "expired: url /b\n"));
    stays(&nginx, "/a");
    is_gone(&nginx, "/b");
}

#[test]
fn a_renamed_header_is_the_purge_header() {
    let origin = Origin::start();
    origin.on("/a", page("x"));
    let nginx = Nginx::twice()
        .location(
            "/",
            format!(
                "twice pages; twice_mark_dirty 1; twice_headers purge=X-Away; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    nginx.get("/a").warm();
    nginx.get("/a").header("X-Mark-Dirty", "*").send().assert_cache("HIT");
    assert_eq!(nginx.get("/a").header("X-Away", "*").send().status, 200);
    is_gone(&nginx, "/a");
}

#[test]
fn over_http2() {
    let origin = Origin::start();
    origin.on("/a", page("x"));
    let nginx = site(&origin).http2().start();
    nginx.get_h2("/a").warm();
    let done = nginx.get_h2("/_twice/purge/a").method("PURGE").send();
    assert_eq!((done.status, done.version.as_str()), (200, "2"));
    nginx.get_h2("/a").send().assert_cache("MISS");
}
