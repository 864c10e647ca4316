//! Where stale pages, collapsing, variants and purges meet.

use std::collections::HashSet;

use fixture::{Answer, Gate, Nginx, Origin, Raw, Setup, until, until_some};

/// Pages that last for a second and are stale for an hour.
const STALE: &str = "twice pages; twice_stale_factor 1000; twice_lock_timeout 10m;";

fn site(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .location("= /status", "stub_status;")
        .location("/", format!("{STALE} {lines} proxy_pass {};", origin.url()))
        .location("/_twice/purge", "twice_purge pages;")
        .figures()
}

fn short(body: &str) -> Answer {
    Answer::html(body).header("X-Twice-Control", "max-age=1")
}

#[track_caller]
fn purge(nginx: &Nginx, json: &str) {
    assert_eq!(nginx.get("/_twice/purge").method("POST").body(json).send().status, 200);
}

/// Clients that all ask for a page which one of them fetches.
#[track_caller]
fn crowd(nginx: &Nginx, origin: &Origin, path: &str, count: usize) -> Vec<Raw> {
    let mut clients: Vec<Raw> = (0..count).map(|_| nginx.raw()).collect();
    clients[0].get(path);
    origin.wait_count(path, 1);
    clients[1..].iter_mut().for_each(|client| _ = client.get(path));
    until("all are pending", || nginx.pending() == count);
    clients
}

#[test]
fn who_waited_for_a_page_that_was_purged_meanwhile_waits_for_the_next_one() {
    let origin = Origin::start();
    for (n, json) in
        [r#"{"all":true}"#, r#"{"keys":["k"]}"#, r#"{"all":true,"soft":true}"#].iter().enumerate()
    {
        let nginx = site(&origin, "").start();
        let (path, gates) = (format!("/{n}"), [Gate::new(), Gate::new()]);
        origin.on(&path, Answer::page("old").header("Surrogate-Key", "k").gate(&gates[0]));
        let mut clients = crowd(&nginx, &origin, &path, 20);
        purge(&nginx, json);
        origin.on(&path, Answer::page("new").gate(&gates[1]));
        gates[0].open();
        // It asked before the purge.
        assert_eq!(clients.remove(0).response().text(), "old");
        gates[1].wait_arrived(1);
        until("the others are pending", || nginx.pending() == 19);
        gates[1].open();
        for client in &mut clients {
            assert_eq!(client.response().text(), "new");
        }
        assert_eq!(origin.count(&path), 2, "{json}");
    }
}

#[test]
fn a_refresh_that_a_purge_overtakes_is_no_failure_and_brings_nothing_back() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx = site(&origin, "").start();
    nginx.get("/").send();
    let gate = Gate::new();
    origin.on("/", Answer::page("before the purge").gate(&gate));
    until("it is stale", || nginx.get("/").send().cache() == "STALE");
    gate.wait_arrived(1);
    purge(&nginx, r#"{"all":true}"#);
    origin.on("/", Answer::page("new"));
    // Who asks now may wait for the refresh, but gets none of what it brings.
    let waiting = nginx.get("/").spawn();
    until("it waits or has its page", || nginx.pending() == 1 || waiting.is_finished());
    gate.open();
    waiting.join().unwrap().assert(200, "MISS", "new");
    until("the refresh has ended", || nginx.figure("refreshes") == 1);
    nginx.get("/").warm();
    assert_eq!(nginx.get("/").send().text(), "new");
    assert_eq!(nginx.figure("refresh_failures"), 0);
}

#[test]
fn a_part_that_was_renewed_is_purged_by_its_own_url() {
    let origin = Origin::start();
    origin.on("/part", short("old"));
    let nginx = site(&origin, "")
        .file("html/outer.html", "[<!--# include virtual=\"/part?x=1\" -->]")
        .location("= /outer.html", "ssi on; root html;")
        .start();
    nginx.get("/outer.html").send();
    origin.on("/part", Answer::page("new"));
    until("it is renewed", || nginx.get("/outer.html").send().text() == "[new]");
    origin.on("/part", Answer::page("newer"));
    purge(&nginx, r#"{"urls":["/outer.html"]}"#);
    assert_eq!(nginx.get("/outer.html").send().text(), "[new]");
    purge(&nginx, r#"{"urls":["/part?x=1"]}"#);
    assert_eq!(nginx.get("/outer.html").send().text(), "[newer]");
}

/// Ann's request, with a password and a session.
fn ann(nginx: &Nginx) -> fixture::Response {
    nginx.get("/").arg("-u").arg("ann:secret").cookie("session=anns").send()
}

#[test]
fn variables_do_not_tell_a_refresh_who_it_was_started_for() {
    let origin = Origin::start();
    let nginx = site(
        &origin,
        "limit_req zone=passwords; limit_req zone=users; limit_req zone=cookies; limit_req zone=sessions;
         proxy_set_header Authorization $http_authorization; proxy_set_header X-User $remote_user;
         proxy_set_header X-Cookie $http_cookie; proxy_set_header X-Session $cookie_session;",
    )
    .http("limit_req_zone $http_authorization zone=passwords:1m rate=10000r/s; limit_req_zone $remote_user zone=users:1m rate=10000r/s;")
    .http("limit_req_zone $http_cookie zone=cookies:1m rate=10000r/s; limit_req_zone $cookie_session zone=sessions:1m rate=10000r/s;")
    .start();
    let anybodys = |body: &str| Answer::html(body).header("Cache-Control", "max-age=1");
    origin.on("/", anybodys("old"));
    nginx.get("/").send();
    origin.on("/", anybodys("new").header("Cache-Control", "stale-while-revalidate=3600"));
    until("it is stale", || ann(&nginx).cache() == "STALE");
    origin.wait_count("/", 2);
    let asked = origin.last("/");
    for name in ["Authorization", "X-User", "X-Cookie", "X-Session", "Cookie"] {
        assert_eq!(asked.header(name), None, "{asked:?}");
    }
}

#[test]
fn what_a_variable_tells_of_a_visitor_with_a_password_is_not_kept_for_all() {
    let origin = Origin::start();
    let nginx = site(
        &origin,
        "set $who $remote_user; if ($who) { set $who \"for $who\"; } proxy_set_header X-Who $who;",
    )
    .start();
    origin.handle("/", |request| {
        let body = request.header("X-Who").unwrap_or("for all").to_owned();
        Answer::html(body).header("Cache-Control", "max-age=1")
    });
    nginx.get("/").send().assert(200, "MISS", "for all");
    nginx.expect_log("a refresh brought no page");
    until("it was tried", || {
        assert_eq!(ann(&nginx).text(), "for all");
        nginx.log_count("a refresh brought no page") > 0
    });
    assert_eq!(nginx.get("/").send().text(), "for all");
}

#[test]
fn a_variant_by_any_header_is_renewed_itself() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    let names = ["TE", "Trailer", "Keep-Alive", "Proxy-Authorization", "X-Own"];
    for name in names {
        let path = format!("/{name}");
        origin.on(&path, short("old").header("Vary", name));
        let ask = || nginx.get(&path).header(name, "trailers").send();
        ask();
        origin.on(&path, Answer::page("new").header("Vary", name));
        until(&format!("the variant by {name} is renewed"), || ask().text() == "new");
    }
}

#[test]
fn an_expired_page_stands_in_at_once_for_no_failure_that_its_location_leaves_out() {
    let origin = Origin::start();
    let nginx = Nginx::twice()
        .location(
            "/",
            format!(
                "twice pages; twice_stale_factor 1; twice_use_stale http_404; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    origin.on("/", short("old"));
    nginx.get("/").send();
    until("it is over", || nginx.get("/").head().send().cache() == "EXPIRED");
    origin.on("/", Answer::new(503, "bad"));
    for _ in 0..5 {
        nginx.get("/").send().assert(503, "EXPIRED", "bad");
    }
    origin.on("/", Answer::new(404, "bad"));
    nginx.get("/").send().assert(200, "STALE", "old");
}

#[test]
fn clients_that_leave_are_no_failure_of_the_origin() {
    let text = "0123456789".repeat(50_000);
    let nginx = Nginx::twice()
        .file("html/file", &text)
        .location("= /status", "stub_status;")
        .location("/", "twice pages; twice_valid 1h; root html; if ($http_x_slow) { set $limit_rate 20k; }")
        .figures()
        .start();
    let slow = || {
        let mut client = nginx.raw();
        client.send("GET /file HTTP/1.1\r\nHost: a\r\nX-Slow: 1\r\n\r\n").bytes(1000);
        client
    };
    for _ in 0..3 {
        drop(slow());
        until("its request is over", || nginx.pending() == 0);
    }
    let last = slow();
    let mut other = nginx.raw();
    other.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the other waits", || nginx.figure("waits") == 1);
    drop(last);
    assert!(other.response().assert_cache("MISS").body == text.as_bytes());
    until("it is stored", || nginx.figure("stored") == 1);
}

#[test]
fn a_crowd_of_visitors_with_different_cookies_makes_a_fetch_for_each_value() {
    let origin = Origin::start();
    let gate = Gate::new();
    let held = gate.clone();
    origin.handle("/", move |request| {
        let lang = request.cookie("lang").unwrap_or("none").to_owned();
        Answer::page(lang).header("Twice-Cookies", "lang").gate(&held)
    });
    let nginx = site(&origin, "").start();
    let languages = ["de", "en", "fr", "pl"];
    let mut clients: Vec<(usize, Raw)> = (0..40).map(|n| (n % languages.len(), nginx.raw())).collect();
    for (language, client) in &mut clients {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: lang={}\r\n\r\n", languages[*language]));
    }
    until("all are pending", || nginx.pending() == clients.len());
    gate.wait_arrived(1);
    assert_eq!(origin.count("/"), 1);
    gate.open();
    for (language, client) in &mut clients {
        assert_eq!(client.response().text(), languages[*language]);
    }
    assert_eq!(origin.count("/"), languages.len());
}

#[test]
fn a_variant_is_renewed_for_the_visitors_it_is_for() {
    let origin = Origin::start();
    let fetched = |request: &fixture::Received| {
        let all = ["Accept-Language", "X-ABValue"].map(|name| request.header(name).unwrap_or("-").to_owned());
        format!(
            "{} {} {}",
            request.cookie("lang").unwrap_or("none"),
            all.join(" "),
            request.cookie("other").is_some()
        )
    };
    origin.handle("/", move |request| {
        let text = format!("{} #{}", fetched(request), request.connection);
        short(&text)
            .header("Twice-Cookies", "lang")
            .header("X-ABDependency", "button")
            .header("Vary", "Accept-Language")
    });
    let nginx = site(&origin, "twice_vary_language on;")
        .http("twice_languages en de fr; twice_ab_test button red=50 blue=50;")
        .start();
    let ask = |language: &str, lang: &str, other: bool| {
        let other = if other { "; other=x" } else { "" };
        let cookies = format!("uniq=abcdefghijklmnopqrstuvwxy; lang={lang}{other}");
        nginx.get("/").header("Accept-Language", language).cookie(&cookies).send()
    };
    let mut seen = HashSet::new();
    for (language, lang) in [("de-AT, en;q=0.5", "de"), ("en", "de"), ("fr", "x")] {
        let first = ask(language, lang, false).text();
        let renewed =
            until_some("it is renewed", || Some(ask(language, lang, true).text()).filter(|t| *t != first));
        let what = |text: &str| text.split(" #").next().unwrap().to_owned();
        assert_eq!(what(&first), what(&renewed));
        assert!(seen.insert(what(&first)), "{seen:?}");
    }
}

#[test]
fn pages_that_were_marked_stale_are_fetched_once_too() {
    let origin = Origin::start();
    let nginx = site(&origin, "twice_key $uri; twice_use_stale off;").start();
    let gate = Gate::new();
    origin.on("/", Answer::page("old"));
    nginx.get("/").warm();
    purge(&nginx, r#"{"urls":["/"],"soft":true}"#);
    origin.on("/", Answer::page("new").gate(&gate));
    let mut clients: Vec<Raw> = (0..20).map(|_| nginx.raw()).collect();
    clients.iter_mut().for_each(|client| _ = client.get("/"));
    until("all are pending", || nginx.pending() == 20);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "new");
    }
    assert_eq!(origin.count("/"), 2);
}

#[test]
fn a_page_of_before_that_says_nothing_of_a_locations_cookies_is_fetched_once_too() {
    let origin = Origin::start();
    let url = origin.url();
    let gate = Gate::new();
    let nginx = site(&origin, "")
        .location("/before", format!("{STALE} twice_key one; proxy_pass {url};"))
        .location("/after", format!("{STALE} twice_key one; twice_vary_cookies lang; proxy_pass {url};"))
        .start();
    origin.on("/before", Answer::page("before"));
    nginx.get("/before").warm();
    origin.on("/after", Answer::page("after").gate(&gate));
    let mut clients: Vec<Raw> = (0..20).map(|_| nginx.raw()).collect();
    clients.iter_mut().for_each(|client| _ = client.get("/after"));
    until("all are pending", || nginx.pending() == 20);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "after");
    }
    assert_eq!(origin.count("/after"), 1);
}

#[test]
fn where_nginx_sends_a_request_elsewhere_the_other_page_is_waited_for_and_renewed() {
    let origin = Origin::start();
    let url = origin.url();
    let gate = Gate::new();
    let nginx = site(&origin, "twice_key $uri;")
        .location("/inner/", format!("internal; {STALE} twice_key $uri; proxy_pass {url};"))
        .start();
    origin.on("/page", Answer::ok("").header("X-Accel-Redirect", "/inner/page"));
    origin.on("/inner/page", Answer::page("inner").gate(&gate));
    let mut clients: Vec<Raw> = (0..20).map(|_| nginx.raw()).collect();
    clients.iter_mut().for_each(|client| _ = client.get("/page"));
    until("all are pending", || nginx.pending() == 20);
    origin.wait_count("/inner/page", 1);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "inner");
    }
    assert_eq!(origin.count("/inner/page"), 1);
    origin.on("/inner/page", Answer::page("renewed"));
    purge(&nginx, r#"{"all":true,"soft":true}"#);
    nginx.get("/page").send().assert(200, "STALE", "inner");
    until("it is renewed", || nginx.get("/page").send().text() == "renewed");
    assert_eq!(origin.count("/inner/page"), 2);
}

#[test]
fn what_comes_after_an_answer_waits_for_nothing_and_fails_nobody() {
    let origin = Origin::start();
    let gate = Gate::new();
    let nginx = site(&origin, "twice_key $uri;")
        .location("/first", format!("post_action /after; proxy_pass {};", origin.url()))
        .start();
    origin.on("/first", Answer::page("first"));
    origin.on("/after", Answer::page("after").gate(&gate));
    let mut clients: Vec<Raw> = (0..10).map(|_| nginx.raw()).collect();
    for client in &mut clients {
        client.get("/first").response().assert(200, "", "first");
    }
    origin.wait_count("/after", 10);
    // Half of them leave meanwhile.
    clients.truncate(5);
    gate.open();
    until("nothing is pending", || nginx.pending() == 0);
    let gate = Gate::new();
    origin.on("/after", Answer::page("page").gate(&gate));
    let mut visitors: Vec<Raw> = (0..10).map(|_| nginx.raw()).collect();
    visitors.iter_mut().for_each(|client| _ = client.get("/after"));
    until("all are pending", || nginx.pending() == 10);
    gate.open();
    for client in &mut visitors {
        assert_eq!(client.response().text(), "page");
    }
    assert_eq!(origin.count("/after"), 11);
    // What is there is what the visitors get.
    nginx.raw().get("/first").response();
    nginx.get("/after").send().assert(200, "HIT", "page");
    assert_eq!(origin.count("/after"), 11);
}
