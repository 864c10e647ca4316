//! A filled page has a tag of its own, made of what is in it.

use std::collections::HashSet;

use super::*;

fn filled(lines: &str, body: &str) -> (Origin, Nginx) {
    stored(lines, Answer::page(body).header("ETag", ETAG).header("Last-Modified", MODIFIED))
}

fn tag(request: Request) -> String {
    request.send().header("ETag").unwrap_or_default().to_owned()
}

#[test]
fn an_unchanged_visitor_is_not_sent_the_page_again() {
    let (_origin, nginx) = filled("", "Hello <& get cookie name Guest &>! <& if arg q one two &>");
    let ask = |name: &str| nginx.get("/").cookie(&format!("name={name}; other={}", name.len()));
    let ann = ask("Ann").send();
    assert_eq!((ann.header("Cache-Control"), ann.header("Last-Modified")), (Some("private, no-cache"), None));
    let tag = ann.header("ETag").unwrap();
    assert!(tag.starts_with('"') && tag != ETAG, "{tag}");
    let mut workers = HashSet::new();
    until("every worker was asked", || {
        let same = ask("Ann").header("If-None-Match", tag).send();
        same.assert(304, "HIT", "");
        assert_eq!(
            (same.header("ETag"), same.header("Cache-Control")),
            (Some(tag), Some("private, no-cache"))
        );
        workers.insert(same.worker());
        workers.len() == 2
    });
    ask("Ann").head().header("If-None-Match", tag).send().assert(304, "HIT", "");
    ask("Anna").header("If-None-Match", tag).send().assert(200, "HIT", "Hello Anna! two");
    nginx.get("/").header("If-None-Match", tag).send().assert(200, "HIT", "Hello Guest! two");
    // The origin's own speaks of the template.
    ask("Ann").header("If-None-Match", ETAG).send().assert(200, "HIT", "Hello Ann! two");
    ask("Ann").header("If-Modified-Since", MODIFIED).send().assert(200, "HIT", "Hello Ann! two");
    assert_eq!(ask("Ann").header("If-Match", ETAG).send().status, 412);
    assert_eq!(ask("Ann").header("If-Match", tag).send().status, 200);
}

#[test]
fn the_tag_changes_with_the_page_and_with_nothing_else() {
    let (origin, nginx) = filled("", "one <& get cookie name Guest &>");
    let first = tag(nginx.get("/"));
    // The same body at another time, with another header.
    origin.on("/again", Answer::page("one <& get cookie name Guest &>").header("X-Other", "1"));
    nginx.get("/again").warm();
    // A name that is given, and one that is not, print the same here; that they do nobody looks at.
    assert_eq!(tag(nginx.get("/again")), first);
    for (path, page) in [
        ("/text", Answer::page("two <& get cookie name Guest &>")),
        ("/default", Answer::page("one <& get cookie name guest &>")),
        ("/filter", Answer::page("one <& get cookie name Guest | js &>")),
        (
            "/type",
            Answer::ok("one <& get cookie name Guest &>")
                .header("Content-Type", "text/html; charset=utf-8")
                .header("X-Twice-Control", "max-age=60"),
        ),
    ] {
        origin.on(path, page);
        nginx.get(path).warm();
        assert_ne!(tag(nginx.get(path)), first, "{path}");
    }
}

#[test]
fn a_page_that_is_another_one_each_time_has_none() {
    for body in [
        "<& get page age &>",
        "<& get var request_id &>",
        "<& get var msec &>",
        "<& incr counts hits 1 &>",
        "<& decr counts hits 1 &>",
        "<& pop counts hits &>",
    ] {
        let origin = Origin::start();
        origin.on("/", Answer::page(format!("page {body}")).header("ETag", ETAG));
        let nginx = site(&origin, "").http("twice_source counts local;").start();
        nginx.get("/").warm();
        let page = nginx.get("/").send();
        assert_eq!(
            (page.status, page.header("ETag"), page.header("Last-Modified")),
            (200, None, None),
            "{body}"
        );
        for (name, value) in [("If-None-Match", "*"), ("If-None-Match", ETAG), ("If-Match", ETAG)] {
            let page = nginx.get("/").header(name, value).send();
            assert_eq!((page.status, page.cache()), (200, "HIT"), "{body} {name}");
        }
        // Nor is it a thing that could have parts.
        let part = nginx.get("/").range("0-1").send();
        assert_eq!((part.status, part.header("Accept-Ranges")), (200, None), "{body}");
    }
}

#[test]
fn values_of_sources_and_fragments_are_in_it() {
    let memcached = fixture::Memcached::start();
    memcached.set("greeting", "Hello");
    let origin = Origin::start();
    origin.on("/part", Answer::html("part"));
    origin.on("/", Answer::page("<& get memcache greeting &> <& include /part &>"));
    let nginx = site(&origin, "")
        .http(format!("twice_source memcache memcached {} ttl=0 timeout=10s;", memcached.address()))
        .start();
    nginx.get("/").warm();
    let first = nginx.get("/").send();
    first.assert(200, "HIT", "Hello part");
    let old = first.header("ETag").unwrap().to_owned();
    nginx.get("/").header("If-None-Match", &old).send().assert(304, "HIT", "");
    // Nobody asks for what a HEAD does not show.
    assert_eq!(nginx.get("/").head().send().header("ETag"), None);
    memcached.set("greeting", "Bye");
    let second = nginx.get("/").header("If-None-Match", &old).send();
    second.assert(200, "HIT", "Bye part");
    origin.on("/part", Answer::html("PART"));
    let third = nginx.get("/").header("If-None-Match", second.header("ETag").unwrap()).send();
    third.assert(200, "HIT", "Bye PART");
    let third = third.header("ETag").unwrap();
    nginx.get("/").header("If-None-Match", third).send().assert(304, "HIT", "");
    assert_eq!(HashSet::from([old.as_str(), second.header("ETag").unwrap(), third]).len(), 3);
}

#[test]
fn the_first_visitors_page_has_none_yet() {
    let origin = Origin::start();
    origin.on("/", Answer::page("Hello <& get cookie name Guest &>!").header("ETag", ETAG));
    let nginx = site(&origin, "").start();
    let miss = nginx.get("/").send();
    miss.assert(200, "MISS", "Hello Guest!");
    assert_eq!(miss.header("ETag"), None);
    assert!(nginx.get("/").send().header("ETag").is_some());
}
