//! What nginx does before it looks for an answer: who may have it, how often, who he is, who else shall hear of it.

use fixture::{Answer, Gate, Origin, until};

use super::{Pair, equal, page, plainly};

#[test]
fn auth_basic() {
    let pair = Pair::new("auth_basic closed; auth_basic_user_file users;", |setup, _| {
        setup.file("users", "ann:{PLAIN}pass\n")
    });
    pair.origin.on("/page", page("secret"));
    let ann = |request: fixture::Request| request.arg("-u").arg("ann:pass");
    assert_eq!(pair.same("/page", ann).text(), "secret");
    let refused = pair.same_unstored("/page", plainly);
    assert_eq!((refused.status, refused.header("WWW-Authenticate")), (401, Some("Basic realm=\"closed\"")));
    pair.same_unstored("/page", |request| request.arg("-u").arg("ann:wrong"));
    pair.nginx.expect_log("password mismatch");
    // What it refuses to one it still gives to the other.
    pair.nginx.get("/with/page").arg("-u").arg("ann:pass").send().assert(200, "HIT", "secret");
}

/// Each request is asked about, hits too, and what is answered counts.
#[test]
fn auth_request() {
    let lines = "auth_request /auth; auth_request_set $user $upstream_http_x_user; add_header X-User $user;
        add_header X-Cache $twice_cache_status;";
    let pair = Pair::new(lines, |setup, origin| {
        setup.location("= /auth", format!("internal; proxy_pass {}/auth;", origin.url()))
    });
    pair.origin.on("/page", page("secret"));
    pair.origin.handle("/auth", |request| match request.cookie("user") {
        Some("evil") => Answer::new(403, ""),
        Some(user) => Answer::new(204, "").header("X-User", user),
        None => Answer::new(401, "").header("WWW-Authenticate", "Own"),
    });
    let allowed = pair.same("/page", |request| request.cookie("user=ann"));
    assert_eq!((allowed.text().as_str(), allowed.header("X-User")), ("secret", Some("ann")));
    assert_eq!(pair.origin.count("/auth"), 3);
    // Another one has his own name, on a hit.
    let bob = pair.nginx.get("/with/page").cookie("user=bob").send();
    assert_eq!((bob.cache(), bob.header("X-User")), ("HIT", Some("bob")));
    assert_eq!(pair.same_unstored("/page", |request| request.cookie("user=evil")).status, 403);
    let nobody = pair.same_unstored("/page", plainly);
    assert_eq!((nobody.status, nobody.header("WWW-Authenticate")), (401, Some("Own")));
}

/// Hits are requests as others.
#[test]
fn limit_req() {
    let lines = "limit_req zone=few burst=2 nodelay; limit_req_status 429;";
    let pair = Pair::new(lines, |setup, _| setup.http("limit_req_zone $uri zone=few:1m rate=1r/m;"));
    pair.origin.on("/*", page("x"));
    for attempt in 0..6 {
        let ask = |location: &str| pair.nginx.get(&format!("/{location}/page")).send();
        let (with, without) = (ask("with"), ask("without"));
        equal(&with, &without);
        assert_eq!(with.status, if attempt < 3 { 200 } else { 429 });
        assert_eq!(with.cache(), ["MISS", "HIT", "HIT", "", "", ""][attempt]);
    }
    pair.nginx.expect_log("limiting requests");
}

/// While one is being answered another is refused: by the origin, or slowly from the store.
#[test]
fn limit_conn() {
    let lines = "limit_conn few 1; limit_conn_status 429; proxy_max_temp_file_size 0;";
    let pair = Pair::new(lines, |setup, _| {
        setup.http("limit_conn_zone $uri zone=few:1m;").listen_options("reuseport sndbuf=4k")
    });
    let body = "0123456789".repeat(90_000);
    for location in ["with", "without"] {
        let path = format!("/{location}/page");
        let gate = Gate::new();
        pair.origin.on("/page", page(body.clone()).gate(&gate));
        let mut first = pair.nginx.raw();
        first.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        gate.wait_arrived(1);
        let second = pair.nginx.get(&path).header("Host", "h").send();
        assert_eq!((second.status, second.cache()), (429, ""));
        gate.open();
        assert!(first.response().body == body.as_bytes());
        // He reads nothing: his request goes on.
        let mut slow = pair.nginx.raw();
        until("the first request has ended", || {
            slow = pair.nginx.raw();
            slow.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            let head = slow.response_head();
            assert!(matches!(head.cache(), "HIT" | "MISS" | ""), "{head:?}");
            head.status == 200
        });
        assert_eq!(pair.nginx.get(&path).header("Host", "h").send().status, 429);
        slow.reset();
        until("there is room again", || pair.nginx.get(&path).header("Host", "h").send().status == 200);
    }
    assert_eq!(pair.nginx.get("/with/page").header("Host", "h").send().cache(), "HIT");
    pair.nginx.expect_log("limiting connections");
    pair.nginx.allow_log("upstream prematurely closed");
}

/// The address that nginx believes is the one that access, variables and tags go by.
#[test]
fn realip() {
    let pair = Pair::new(
        "deny 192.0.2.66; add_header X-Addr $remote_addr; add_header X-Cache $twice_cache_status;",
        |setup, _| setup.http("set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"),
    );
    pair.origin.on("/page", page("x"));
    let from = |address: &'static str| move |r: fixture::Request| r.header("X-Forwarded-For", address);
    let seen = pair.same("/page", from("192.0.2.7"));
    assert_eq!(seen.header("X-Addr"), Some("192.0.2.7"));
    assert_eq!(pair.same_unstored("/page", from("192.0.2.66")).status, 403);
    pair.nginx.expect_log("access forbidden by rule");
    let other = pair.nginx.get("/with/page").header("X-Forwarded-For", "192.0.2.8").send();
    assert_eq!((other.cache(), other.header("X-Addr")), ("HIT", Some("192.0.2.8")));
}

/// Whoever mirrors traffic gets all of it: the origin is not asked for a hit, the mirror is.
#[test]
fn mirror() {
    let second = Origin::start();
    second.on("/*", Answer::ok("nobody sees it"));
    let url = second.url();
    let pair = Pair::new("mirror /mirror; mirror /mirror-too;", |setup, _| {
        setup
            .location("= /mirror", format!("internal; proxy_pass {url}/first$request_uri;"))
            .location("= /mirror-too", format!("internal; proxy_pass {url}/second$request_uri;"))
    });
    pair.origin.on("/page", page("x"));
    pair.same("/page?a=1", |request| request.cookie("name=Ann"));
    pair.same_unstored("/page?b=1", |request| request.head());
    for folder in ["/first", "/second"] {
        // A fetch with Twice and a hit; what is asked by HEAD is stored by none of them.
        second.wait_count(&format!("{folder}/with/page"), 4);
        second.wait_count(&format!("{folder}/without/page"), 2);
        let heard = second.requests(&format!("{folder}/with/page"));
        assert_eq!(heard.iter().filter(|request| request.method == "GET").count(), 2);
        let same = |request: &fixture::Received| request.target.replace("/with/", "/without/");
        let without = second.requests(&format!("{folder}/without/page"));
        assert!(heard.iter().all(|request| without.iter().any(|other| other.target == same(request))));
        assert!(heard.iter().any(|request| request.header("Cookie") == Some("name=Ann")));
    }
    assert_eq!(second.total(), 12);
    assert_eq!(pair.origin.requests("/page").iter().filter(|r| r.target == "/page?a=1").count(), 2);
}
