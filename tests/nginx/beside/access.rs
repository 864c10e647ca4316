//! Who is let in: asked on hits as on misses. A page that somebody who was let in had stored is given to those only who
//! are let in.

use fixture::Gate;

use super::*;

/// A page that the app itself says may be shared, whoever has asked for it.
fn shared(body: &str) -> Answer {
    Answer::html(body).header("X-Twice-Control", "max-age=60, no-tags")
}

/// ann's password is pass.
const PASSWORDS: &str = "ann:{PLAIN}pass\n";

#[test]
fn a_password_is_asked_for_before_a_hit() {
    let both = Beside::start(|setup, origin, twice| {
        setup.file("passwords", PASSWORDS).location(
            "/",
            format!("{twice} auth_basic closed; auth_basic_user_file passwords; proxy_pass {origin};"),
        )
    });
    both.expect_log("password mismatch");
    both.on("/shared", shared("secret"));
    both.on("/public", public("secret"));
    for path in ["/shared", "/public"] {
        for cache in ["MISS", "HIT"] {
            let stranger = both.ask(path, as_it_is);
            assert_eq!((stranger.status, stranger.reason()), (401, "early"));
            assert_eq!(stranger.header("WWW-Authenticate"), Some("Basic realm=\"closed\""));
            assert_eq!(both.ask(path, signed("ann:wrong")).status, 401);
            both.ask(path, signed("ann:pass")).assert(200, cache, "secret");
            both.hit(path, signed("ann:pass"));
        }
    }
    // What does not say that it may be shared is each one's own.
    both.on("/own", Answer::html("ann's").header("Cache-Control", "max-age=60"));
    for _ in 0..2 {
        let own = both.ask("/own", signed("ann:pass"));
        own.assert(200, "MISS", "ann's");
        assert_eq!(own.reason(), "authorization");
    }
}

/// A service that knows ann, and bob whom it refuses.
fn guard(request: &Received) -> Answer {
    match request.cookie("user") {
        Some("ann") => Answer::ok("in").header("X-User", "ann").header("Cache-Control", "public, max-age=60"),
        Some(_) => Answer::new(403, "out").header("Cache-Control", "public, max-age=60"),
        None => Answer::new(401, "who?")
            .header("WWW-Authenticate", "Cookie")
            .header("Cache-Control", "max-age=60"),
    }
}

#[test]
fn a_services_verdict_is_asked_for_before_a_hit_and_never_kept() {
    // Twice is on for the whole server: also where the service is asked.
    let both = Beside::start(|setup, origin, twice| {
        setup
            .server(twice.replace("twice_valid", "twice_valid any"))
            .location(
                "/",
                format!(
                    "{twice} auth_request /guard; auth_request_set $user $upstream_http_x_user;
                     add_header X-User $user; proxy_pass {origin};"
                ),
            )
            .location("= /guard", format!("proxy_pass {origin}; proxy_pass_request_body off;"))
    });
    both.handle("/guard", guard);
    both.on("/page", public("secret"));
    let who = |name: &'static str| move |request: Request| request.cookie(&format!("user={name}"));
    // Whatever the service says when it is asked by itself.
    both.ask("/guard", who("ann"));
    both.hit("/guard", who("ann")).assert(200, "HIT", "in");
    for cache in ["MISS", "HIT"] {
        assert_eq!(both.ask("/page", as_it_is).status, 401);
        assert_eq!(both.ask("/page", who("bob")).status, 403);
        let page = both.ask("/page", who("ann"));
        page.assert(200, cache, "secret");
        assert_eq!(page.header("X-User"), Some("ann"));
        both.with.nginx.get("/page").cookie("user=ann").warm();
    }
    // For each request once.
    let asked = both.with.origin.count("/guard");
    for n in 1..=5 {
        both.ask("/page", who("ann"));
        assert_eq!(both.with.origin.count("/guard"), asked + n);
    }
}

#[test]
fn a_verdict_is_never_what_somebody_else_had_stored() {
    let both = Beside::start(|setup, origin, twice| {
        setup
            .server(twice.replace("twice_valid", "twice_valid any"))
            .location("/", format!("auth_request /guard; proxy_pass {origin};"))
            // Whoever is let in sees what the service says of him.
            .location("/open/", format!("ssi on; proxy_pass {origin};"))
            .location("= /guard", format!("proxy_pass {origin};"))
    });
    both.handle("/guard", guard);
    both.on("/page", public("secret"));
    both.on("/open/page", public("<!--# include virtual=\"/guard\" -->"));
    let ann = |request: Request| request.cookie("user=ann");
    both.ask("/open/page", ann).assert(200, "MISS", "in");
    both.hit("/open/page", ann).assert(200, "HIT", "in");
    both.ask("/page", ann).assert(200, "MISS", "secret");
    both.hit("/page", ann);
    assert_eq!(both.ask("/page", as_it_is).status, 401);
    assert_eq!(both.ask("/page", |r| r.cookie("user=bob")).status, 403);
}

#[test]
fn verdicts_do_not_wait_for_each_other() {
    let origin = Origin::start();
    let gate = Gate::new();
    let held = gate.clone();
    origin.handle("/guard", move |request| {
        let answer = guard(request);
        if request.cookie("user") == Some("ann") { answer.gate(&held) } else { answer }
    });
    origin.on("/page", public("secret"));
    let nginx = Nginx::twice()
        .server("twice pages; twice_valid any 60s; twice_lock_timeout 10m;")
        .location("/", format!("auth_request /guard; proxy_pass {};", origin.url()))
        .location("= /guard", format!("proxy_pass {};", origin.url()))
        .figures()
        .start();
    let ann = nginx.get("/page").cookie("user=ann").spawn();
    gate.wait_arrived(1);
    let bob = nginx.get("/page").cookie("user=bob").send();
    assert_eq!((bob.status, nginx.figure("waits")), (403, 0));
    gate.open();
    ann.join().unwrap().assert(200, "MISS", "secret");
}

#[test]
fn any_or_all_that_is_asked_for_satisfies() {
    let both = Beside::start(|setup, origin, twice| {
        let lines = |satisfy: &str| {
            format!(
                "{twice} satisfy {satisfy}; allow 192.0.2.7; deny all; auth_basic closed;
                 auth_basic_user_file passwords; proxy_pass {origin};"
            )
        };
        setup
            .file("passwords", PASSWORDS)
            .http("set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;")
            .location("/any", lines("any"))
            .location("/all", lines("all"))
    });
    both.expect_log("access forbidden by rule");
    let from = |address: &'static str| move |request: Request| request.header("X-Forwarded-For", address);
    let (inside, outside) = (from("192.0.2.7"), from("192.0.2.8"));
    let ann = signed("ann:pass");
    for path in ["/any", "/all"] {
        both.on(path, shared("secret"));
    }
    for cache in ["MISS", "HIT"] {
        assert_eq!(both.ask("/any", outside).status, 401);
        both.ask("/any", |r| ann(outside(r))).assert(200, cache, "secret");
        both.hit("/any", inside);
        assert_eq!(both.ask("/all", inside).status, 401);
        assert_eq!(both.ask("/all", |r| ann(outside(r))).status, 403);
        both.ask("/all", |r| ann(inside(r))).assert(200, cache, "secret");
        both.hit("/all", |r| ann(inside(r)));
    }
}

#[test]
fn a_forwarded_address_lets_in_whom_a_trusted_proxy_names() {
    for (trusted, status) in [("127.0.0.1", 200), ("192.0.2.0/24", 403)] {
        let both = Beside::start(|setup, origin, twice| {
            setup.http(format!("set_real_ip_from {trusted}; real_ip_header X-Forwarded-For;")).location(
                "/",
                format!(
                    "{twice} allow 198.51.100.7; deny all; add_header X-Address $remote_addr always;
                     proxy_pass {origin};"
                ),
            )
        });
        both.on("/page", public("secret"));
        both.expect_log("access forbidden by rule");
        for cache in ["MISS", "HIT"] {
            assert_eq!(both.ask("/page", as_it_is).status, 403);
            let named = both.ask("/page", |r| r.header("X-Forwarded-For", "198.51.100.7"));
            assert_eq!(named.status, status);
            if status == 200 {
                named.assert(200, cache, "secret");
                assert_eq!(named.header("X-Address"), Some("198.51.100.7"));
            }
        }
    }
}

#[test]
fn who_may_purge_is_not_the_clients_to_say() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("page"));
    let site = |realip: &str| {
        Nginx::twice()
            .http(realip)
            .http("geo $may_purge { default 0; 198.51.100.7 1; }")
            .server("twice pages; twice_mark_dirty $may_purge;")
            .location("/", format!("proxy_pass {};", origin.url()))
            .location("/_twice/purge", "twice_purge pages; allow 198.51.100.7; deny all;")
            .start()
    };
    let header = "real_ip_header X-Forwarded-For;";
    for (realip, may) in [
        (String::new(), false),
        (format!("set_real_ip_from 192.0.2.0/24; {header}"), false),
        (format!("set_real_ip_from 127.0.0.1; {header}"), true),
    ] {
        let nginx = site(&realip);
        let claims = |path: &str| nginx.get(path).header("X-Forwarded-For", "198.51.100.7");
        nginx.get("/page").warm();
        let answer = claims("/_twice/purge/page").method("PURGE").send();
        assert_eq!(answer.status, if may { 200 } else { 403 }, "{realip}");
        if !may {
            nginx.expect_log("access forbidden by rule");
        }
        nginx.get("/page").send().assert(200, if may { "MISS" } else { "HIT" }, "page");
        nginx.get("/page").warm();
        let marked = claims("/page").header("X-Mark-Dirty", "url").send();
        assert_eq!(marked.status, 200, "{marked:?}");
        nginx.get("/page").send().assert(200, if may { "MISS" } else { "HIT" }, "page");
    }
}

#[test]
fn a_condition_that_refuses_refuses_hits() {
    let both = Beside::start(|setup, origin, twice| {
        setup
            .location(
                "/",
                format!(
                    "{twice} valid_referers server_names none;
                     if ($invalid_referer) {{ return 403; }} proxy_pass {origin};"
                ),
            )
            .location("/only-get", format!("{twice} limit_except GET {{ deny all; }} proxy_pass {origin};"))
    });
    both.expect_log("access forbidden by rule");
    both.on("/page", public("page"));
    both.on("/only-get", public("page"));
    for cache in ["MISS", "HIT"] {
        let foreign = both.ask("/page", |r| r.header("Referer", "http://elsewhere.example/"));
        assert_eq!((foreign.status, foreign.cache()), (403, ""));
        both.ask("/page", |r| r.header("Referer", "http://localhost/")).assert(200, cache, "page");
        assert_eq!(both.ask("/only-get", |r| r.body("x=y")).status, 403);
        both.ask("/only-get", as_it_is).assert(200, cache, "page");
        both.hit("/page", as_it_is);
        both.hit("/only-get", as_it_is);
    }
}
