//! A URL is gone however it was written, by whoever asked for it and whoever purges it.

use super::{command, page, purge, site};
use fixture::{Nginx, Origin};

#[test]
fn it_may_be_written_in_many_ways() {
    let origin = Origin::start();
    origin.on("/*", page("x"));
    let nginx = site(&origin).start();
    let ways =
        ["/caf%C3%A9/~me?a=%7E", "/caf%c3%a9/%7eme?a=~", "//caf%C3%A9/./~me?a=~", "/x/../caf%C3%A9/~me?a=~"];
    let ask = |target: &str| nginx.get(target).arg("--path-as-is");
    let commands = [
        r#"{"urls":["/café/~me?a=~"]}"#,
        r#"{"urls":["/caf%c3%a9/~me?a=~"]}"#,
        r#"{"prefixes":["/caf%C3%A9/"]}"#,
        r#"{"prefixes":["/café"]}"#,
    ];
    for json in commands {
        for target in ways {
            ask(target).warm();
        }
        assert_eq!(command(&nginx, json).status, 200);
        for target in ways {
            ask(target).send().assert_cache("MISS");
        }
    }
    for target in ways {
        ask("/café").warm();
        ask(target).warm();
        purge(&nginx, ways[0]).arg("--path-as-is").send();
        ask(target).send().assert_cache("MISS");
        ask("/café").send().assert_cache("HIT");
    }
}

#[test]
fn a_fragment_is_purged_by_its_own_path_whatever_it_holds() {
    let origin = Origin::start();
    origin.on("/page", fixture::Answer::html("<!--#include virtual=\"/part%20of%25it\" -->"));
    origin.on("/part*", page("part"));
    let nginx = Nginx::twice()
        .location("= /page", format!("ssi on; proxy_pass {};", origin.url()))
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .location("/_twice/purge", "twice_purge pages;")
        .figures()
        .start();
    let ask = || assert_eq!(nginx.get("/page").send().text(), "part");
    ask();
    fixture::until("it is stored", || {
        ask();
        nginx.figure("hits") > 0
    });
    let fetches = nginx.figure("fetches");
    purge(&nginx, "/part%20of%25it").send();
    ask();
    assert_eq!(nginx.figure("fetches"), fetches + 1);
}

#[test]
fn a_client_who_names_no_host_asked_for_the_servers_own() {
    let origin = Origin::start();
    origin.on("/a", page("x"));
    // The first of its names is localhost.
    let nginx = site(&origin).server("server_name other.example;").start();
    let ask = || nginx.get("/a").http10().without("Host").send();
    fixture::until("it is stored", || ask().cache() == "HIT");
    purge(&nginx, "/a").header("Host", "other.example").send();
    ask().assert_cache("HIT");
    purge(&nginx, "/a").header("Host", "LOCALHOST:1").send();
    ask().assert_cache("MISS");
    fixture::until("it is stored", || ask().cache() == "HIT");
    purge(&nginx, "/a").http10().without("Host").send();
    ask().assert_cache("MISS");
    fixture::until("it is stored", || ask().cache() == "HIT");
    command(&nginx, r#"{"prefixes":["http://localhost/"]}"#);
    ask().assert_cache("MISS");
}

#[test]
fn arguments_that_do_not_count_do_not_count_in_a_command() {
    let origin = Origin::start();
    origin.on("/a", page("x"));
    let nginx = site(&origin).server("twice_ignore_args utm_*;").start();
    nginx.get("/a?utm_source=x&b=1").warm();
    purge(&nginx, "/a?utm_medium=y&b=1&utm_source=x").send();
    nginx.get("/a?b=1").send().assert_cache("MISS");
    nginx.get("/a?b=1").warm();
    command(&nginx, r#"{"urls":["/a?b=1&utm_source=x"]}"#);
    nginx.get("/a?b=1").send().assert_cache("MISS");
}

#[test]
fn a_command_that_can_not_be_read_by_its_location_is_refused() {
    let origin = Origin::start();
    let nginx = site(&origin)
        .location("~ ^/regex/purge", "twice_purge pages;")
        .location("@purge", "twice_purge pages;")
        .location("/by-method", "error_page 418 = @purge; return 418;")
        .start();
    for target in ["/regex/purge/a", "/_twice//purge/a", "/%5ftwice/purge/a"] {
        let done = nginx.get(target).method("PURGE").arg("--path-as-is").send();
        assert_eq!(done.status, 400, "{target}: {}", done.text());
        assert!(done.text().contains("begin with the location's path"), "{}", done.text());
    }
    // A named location has no path of its own.
    assert_eq!(nginx.get("/by-method").method("PURGE").send().status, 200);
    assert_eq!(nginx.figure("purges"), 1);
}

#[test]
fn more_prefixes_than_a_zone_can_note_are_refused_at_once() {
    let origin = Origin::start();
    origin.on("/1/a", page("x"));
    let nginx = site(&origin).start();
    nginx.get("/1/a").warm();
    let prefixes = |count: usize| {
        let all: Vec<_> = (0..count).map(|n| format!("/{n}/")).collect();
        command(&nginx, &serde_json::json!({ "prefixes": all }).to_string())
    };
    let done = prefixes(65);
    assert_eq!(done.status, 400);
    assert!(done.text().contains("64"), "{}", done.text());
    nginx.get("/1/a").send().assert_cache("HIT");
    assert_eq!(prefixes(64).status, 200);
    nginx.get("/1/a").send().assert_cache("MISS");
}
