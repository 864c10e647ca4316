//! What goes wrong only where several parts of nginx meet: a range of an answer that is not stored, servers that share
//! a zone, a request that ends early, variables that ask the cache about itself, a reload that fails late.

mod headers;
mod inside;

use std::fs;

use fixture::process::SIGHUP;
use fixture::{Answer, Gate, Nginx, Origin, get, until_some};

/// A location's lines.
fn proxied(origin: &Origin) -> String {
    format!("twice pages; proxy_pass {};", origin.url())
}

#[test]
fn a_range_outside_of_an_answer_is_not_stored_as_the_page() {
    let origin = Origin::start();
    let text = |control: &str| {
        Answer::ok("0123456789").header("Content-Type", "text/plain").header("X-Twice-Control", control)
    };
    // What depends on anything is not stored; the second states no lifetime of its own.
    origin.on("/varies", text("max-age=60").header("Vary", "*"));
    origin.on("/cookie", text("no-tags").header("Set-Cookie", "a=b"));
    let nginx = Nginx::twice()
        .location("/", format!("proxy_force_ranges on; twice_valid any 1m; {}", proxied(&origin)))
        .start();
    for path in ["/varies", "/cookie"] {
        for range in ["999999-", "10-"] {
            assert_eq!(nginx.get(path).range(range).send().status, 416, "{path}");
            nginx.get(path).send().assert(200, "MISS", "0123456789");
        }
        nginx.get(path).range("2-4").send().assert(206, "MISS", "234");
        nginx.get(path).send().assert(200, "MISS", "0123456789");
    }
}

#[test]
fn servers_on_two_ports_share_a_zone_and_no_page() {
    let origin = Origin::start();
    origin.on("/one/page", Answer::page("one"));
    origin.on("/two/page", Answer::page("two"));
    let port = fixture::folder::free_port();
    let pass = |folder: &str| format!("twice pages; proxy_pass {}/{folder}/;", origin.url());
    let second = format!("server {{ listen 127.0.0.1:{port}; location / {{ {} }} }}", pass("two"));
    let nginx = Nginx::twice().location("/", pass("one")).http(second).start();
    let two = get(format!("http://127.0.0.1:{port}/page"));
    // A host without a port, and one with a port that is neither server's.
    for host in ["example", "example:1"] {
        for cache in ["MISS", "HIT"] {
            nginx.get("/page").header("Host", host).send().assert(200, cache, "one");
            two.clone().header("Host", host).send().assert(200, cache, "two");
        }
    }
}

/// What the access log says of the request for `path`, as soon as it does.
#[track_caller]
fn logged(nginx: &Nginx, path: &str) -> String {
    until_some(&format!("{path} is logged"), || {
        let log = fs::read_to_string(nginx.setup().folder().join("reasons.log")).unwrap_or_default();
        log.lines().find_map(|line| line.strip_prefix(&format!("{path} "))).map(str::to_owned)
    })
}

#[test]
fn the_access_log_knows_which_answers_did_not_come_whole() {
    let origin = Origin::start();
    let nginx = Nginx::twice()
        .http("log_format reasons '$request_uri $twice_reason'; access_log reasons.log reasons;")
        .location(
            "/",
            format!("twice_lock off; proxy_buffering off; proxy_http_version 1.1; {}", proxied(&origin)),
        )
        .start();
    let body = "0123456789".repeat(100);
    for control in ["max-age=60", "max-age=60, no-tags"] {
        let page = Answer::html(body.clone()).header("X-Twice-Control", control);
        let name = |what: &str| format!("/{what}/{}", control.len());
        origin.on(&name("whole"), page.clone());
        origin.on(&name("cut"), page.clone().truncated(500));
        origin.on(&name("cut-chunk"), page.clone().chunked().truncated(500));
        nginx.get(&name("whole")).send().assert(200, "MISS", &body);
        assert_eq!(logged(&nginx, &name("whole")), "stored", "{control}");
        for cut in ["cut", "cut-chunk"] {
            assert_ne!(nginx.get(&name(cut)).try_send().exit, 0);
            assert_eq!(logged(&nginx, &name(cut)), "incomplete", "{control}");
        }
        nginx.expect_log("upstream prematurely closed connection");

        let gate = Gate::new();
        origin.on(&name("left"), page.clone().gate_at(500, &gate));
        origin.on(&name("left-early"), page.gate(&gate));
        let mut visitor = nginx.raw();
        visitor.get(&name("left"));
        visitor.response_head().assert_cache("MISS");
        visitor.reset();
        assert_eq!(logged(&nginx, &name("left")), "incomplete", "{control}");
        let mut visitor = nginx.raw();
        visitor.get(&name("left-early"));
        origin.wait_count(&name("left-early"), 1);
        visitor.reset();
        assert_eq!(logged(&nginx, &name("left-early")), "incomplete", "{control}");
        gate.open();
    }
}

#[test]
fn variables_about_the_cache_may_stand_wherever_variables_stand() {
    let origin = Origin::start();
    let names = ["twice_cache_status", "twice_key", "twice_ttl", "twice_age"];
    origin.on("/", Answer::page(names.map(|name| format!("<& get var {name} none &>")).join("|")));
    let nginx = Nginx::twice()
        .http("map $twice_reason $twice_reason_none { default ''; }")
        .location(
            "/",
            format!(
                "twice_key \"$host$twice_cache_status$request_uri\"; twice_bypass $twice_age $twice_cache_status;
twice_no_store $twice_reason_none $twice_age; twice_geo $twice_cache_status; {}",
                proxied(&origin)
            ),
        )
        .start();
    let miss = nginx.get("/").send();
    miss.assert(200, "MISS", "MISS|127.0.0.1/|3600|none");
    for _ in 0..3 {
        let hit = nginx.get("/").send();
        hit.assert_cache("HIT");
        let text = hit.text();
        let seconds = text.strip_prefix("HIT|127.0.0.1/|").and_then(|text| text.split_once('|'));
        let (ttl, age) = seconds.unwrap_or_else(|| panic!("{hit:?}"));
        assert!(ttl.parse::<u32>().is_ok() && age.parse::<u32>().is_ok(), "{hit:?}");
    }
    assert_eq!(origin.count("/"), 1);
}

#[test]
fn a_reload_that_fails_at_any_point_leaves_the_limit_of_pages() {
    let origin = Origin::start();
    // Larger than the lower limit and what may come on top of it together.
    let body = "x".repeat(200_000);
    origin.on("/*", Answer::page(body.clone()));
    for (max, other, cache, reason) in [("1m", "1k", "HIT", "hit"), ("1k", "1m", "MISS", "too_large")] {
        let base = Nginx::bare()
            .http("add_header X-Cache $twice_cache_status always; add_header X-Reason $twice_reason always;")
            .location("/", proxied(&origin));
        let with = |max: &str, key: &str, lines: &str| {
            let zones =
                format!("twice_zone pages 16m max_object={max}; limit_req_zone {key} zone=x:1m rate=1r/s;");
            base.clone().http(zones).server(lines)
        };
        let mut nginx = with(max, "$uri", "").start();
        let workers = nginx.workers();
        for (number, (key, lines, error)) in [
            // While it is read, when the zone after this one is made, when all zones are there.
            ("$uri", "no_such_directive;", "unknown directive"),
            ("$args", "", "previously it used the \"$uri\" key"),
            ("$uri", "listen 192.0.2.1:8;", "bind() to 192.0.2.1:8 failed"),
        ]
        .into_iter()
        .enumerate()
        {
            nginx.write_conf(with(other, key, lines));
            nginx.signal(SIGHUP);
            nginx.wait_log(error);
            assert_eq!(nginx.workers(), workers);
            let path = format!("/{max}/{number}");
            nginx.get(&path).send().assert(200, "MISS", &body);
            let second = nginx.get(&path).send();
            assert_eq!((second.cache(), second.reason()), (cache, reason), "{error}");
        }
    }
}
