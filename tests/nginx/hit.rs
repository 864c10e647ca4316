//! The main job: a page stored once, filled for each visitor.

use fixture::{Answer, Nginx, Origin, Setup, until};

const GREETING: &str = "Hello <& get cookie username Guest &>!\n";

fn cached(origin: &Origin) -> Setup {
    Nginx::twice().location("/", format!("twice pages; proxy_pass {};", origin.url()))
}

#[test]
fn the_second_request_is_a_hit() {
    let origin = Origin::start();
    origin.on("/", Answer::page("hello"));
    let nginx = cached(&origin).start();
    nginx.get("/").send().assert(200, "MISS", "hello");
    let hit = nginx.get("/").warm();
    hit.assert(200, "HIT", "hello");
    assert_eq!(hit.header("Content-Type"), Some("text/html"));
    let count = origin.count("/");
    for _ in 0..20 {
        nginx.get("/").send().assert(200, "HIT", "hello");
    }
    assert_eq!(origin.count("/"), count);
}

#[test]
fn one_stored_page_greets_each_visitor() {
    let origin = Origin::start();
    origin.on("/", Answer::page(GREETING));
    let nginx = cached(&origin).start();
    nginx.get("/").cookie("username=Eve").send().assert(200, "MISS", "Hello Eve!\n");
    nginx.get("/").warm().assert(200, "HIT", "Hello Guest!\n");
    nginx.get("/").cookie("username=Ann").send().assert(200, "HIT", "Hello Ann!\n");
    nginx.get("/").cookie("a=b; username=Bob").send().assert(200, "HIT", "Hello Bob!\n");
}

#[test]
fn a_hostile_cookie_arrives_escaped() {
    let origin = Origin::start();
    origin.on("/", Answer::page(GREETING));
    let nginx = cached(&origin).start();
    nginx.get("/").warm();
    let page = nginx.get("/").cookie("username=<script>alert(1)</script>").send();
    page.assert(200, "HIT", "Hello &lt;script&gt;alert(1)&lt;/script&gt;!\n");
    // A value is data: no tag in it runs.
    let page = nginx.get("/").cookie("username=<& get var pid &>").send();
    page.assert(200, "HIT", "Hello &lt;&amp; get var pid &amp;&gt;!\n");
}

#[test]
fn the_app_is_told_and_its_steering_stays_inside() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x"));
    let nginx = cached(&origin).start();
    let miss = nginx.get("/").range("0-0").header("If-None-Match", "\"x\"").send();
    assert_eq!(miss.header("X-Twice-Control"), None);
    let hit = nginx.get("/").warm();
    assert_eq!(hit.header("X-Twice-Control"), None);
    assert!(hit.header("Age").is_some() && hit.header("Cache-Status").is_some(), "{hit:?}");
    let request = &origin.requests("/")[0];
    assert_eq!(request.header("Twice"), Some("true"));
    assert_eq!(request.header("Range"), None);
    assert_eq!(request.header("If-None-Match"), None);
}

#[test]
fn what_one_worker_stores_another_serves() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x"));
    let nginx = cached(&origin).start();
    nginx.get("/").warm();
    let count = origin.count("/");
    let mut seen = Vec::new();
    until("each worker serves a hit", || {
        let hit = nginx.get("/").send();
        hit.assert_cache("HIT");
        seen.push(hit.worker());
        nginx.workers().iter().all(|pid| seen.contains(pid))
    });
    assert_eq!(origin.count("/"), count);
}
