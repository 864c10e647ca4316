//! Collapsing: many clients that miss one page at once cause one fetch, and the others wait for it.
//!
//! A story knows who waits from nginx itself (stub_status): a request that was read and is not answered is one that
//! "writes".

mod ends;
mod leaving;
mod measure;
mod own;
mod passwords;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::{Answer, Gate, Nginx, Origin, Raw, Response, Setup, until};

/// Three workers in front of an origin that is told which of them asks. Nobody gives up waiting within a story.
pub(crate) fn collapsing(origin: &Origin, lines: &str) -> Setup {
    // curl and plain connections name the host in two ways.
    Nginx::twice()
        .http("twice_key $uri;")
        .workers(3)
        .location("= /status", "stub_status;")
        .location("= /who", "return 200 $pid;")
        .figures()
        .location(
            "/",
            format!(
                "twice pages; twice_lock_timeout 10m; proxy_set_header X-Pid $pid; {lines} proxy_pass {};",
                origin.url()
            ),
        )
}

#[track_caller]
fn wait_pending(nginx: &Nginx, count: usize) {
    until(&format!("{count} requests are pending"), || nginx.pending() == count);
}

/// Connections, each with a request for this path under way: the first one fetches. No other request is.
#[track_caller]
pub(crate) fn crowd(nginx: &Nginx, origin: &Origin, path: &str, count: usize) -> Vec<Raw> {
    // An answer may have come whole before nginx is done with its request.
    wait_pending(nginx, 0);
    let before = origin.count(path);
    let mut clients: Vec<Raw> = (0..count).map(|_| nginx.raw()).collect();
    clients[0].get(path);
    origin.wait_count(path, before + 1);
    for client in &mut clients[1..] {
        client.get(path);
    }
    wait_pending(nginx, count);
    clients
}

/// A visitor with this header line has a fetch that others wait for, and what he is sent is his own: of the others one
/// fetches, and all have the page.
#[track_caller]
fn leaves_the_others_one_fetch(
    nginx: &Nginx,
    origin: &Origin,
    (name, value): (&'static str, &str),
    own: Answer,
    page: Answer,
) {
    let (first, second) = (Gate::new(), Gate::new());
    let (own, page) = (own.gate(&first), page.gate(&second));
    origin.handle("/", move |request| if request.header(name).is_some() { &own } else { &page }.clone());
    let before = origin.count("/");
    let mut visitor = nginx.raw();
    visitor.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n"));
    first.wait_arrived(1);
    let mut others: Vec<Raw> = (0..10).map(|_| nginx.raw()).collect();
    others.iter_mut().for_each(|client| _ = client.get("/"));
    wait_pending(nginx, 11);
    first.open();
    let his = visitor.response();
    // One of them fetches, and the others wait for that.
    second.wait_arrived(1);
    second.open();
    let fetched = others.iter_mut().filter_map(|client| {
        let response = client.response();
        assert!(response.status == 200 && response.text() != his.text(), "{response:?}");
        (response.cache() != "HIT").then_some(())
    });
    assert_eq!((fetched.count(), origin.count("/")), (1, before + 2));
}

/// A connection to each worker.
fn one_for_each(nginx: &Nginx) -> Vec<(u32, Raw)> {
    let mut found: Vec<(u32, Raw)> = Vec::new();
    until("there is a connection to each worker", || {
        let mut client = nginx.raw();
        let worker = client.get("/who").response().text().parse().unwrap();
        if found.iter().all(|(other, _)| *other != worker) {
            found.push((worker, client));
        }
        found.len() == nginx.workers().len()
    });
    found
}

#[track_caller]
fn assert_collapsed(response: &Response) {
    let status = response.header("Cache-Status").unwrap_or_default();
    assert!(status.starts_with("Twice; fwd=uri-miss; collapsed; ttl="), "{response:?}");
    response.assert_cache("HIT");
}

#[test]
fn sixty_clients_of_three_workers_make_one_fetch() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").start();
    for round in 0..3 {
        let (gate, path) = (Gate::new(), format!("/page/{round}"));
        origin.on(&path, Answer::page("Hello <& get cookie name Guest &>!").gate(&gate));
        // Those of the round before have ended for nginx, too.
        wait_pending(&nginx, 0);
        let mut clients = crowd(&nginx, &origin, &path, 60);
        gate.open();
        let mut workers = HashSet::new();
        for (number, client) in clients.iter_mut().enumerate() {
            let response = client.response();
            assert_eq!((response.status, response.text().as_str()), (200, "Hello Guest!"));
            workers.insert(response.worker());
            if number == 0 { _ = response.assert_cache("MISS") } else { assert_collapsed(&response) }
        }
        assert_eq!((origin.count(&path), workers.len()), (1, 3));
    }
}

#[test]
fn a_page_that_is_no_longer_fresh_is_fetched_once_too() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("old").header("X-Twice-Control", "max-age=1"));
    let nginx = collapsing(&origin, "twice_stale_factor 1;").start();
    nginx.get("/").send().assert(200, "MISS", "old");
    // A HEAD goes by without storing anything.
    until("it has expired", || nginx.get("/").head().send().cache() == "EXPIRED");
    origin.on("/", Answer::page("new").gate(&gate));
    let before = origin.count("/");
    let mut clients = crowd(&nginx, &origin, "/", 10);
    gate.open();
    clients[0].response().assert(200, "EXPIRED", "new");
    for client in &mut clients[1..] {
        let response = client.response();
        response.assert(200, "HIT", "new");
        assert!(response.header("Cache-Status").unwrap().starts_with("Twice; fwd=stale; collapsed; ttl="));
    }
    assert_eq!(origin.count("/"), before + 1);
}

#[test]
fn without_the_lock_each_client_fetches() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("page").gate(&gate));
    let nginx = collapsing(&origin, "twice_lock off;").start();
    let mut clients: Vec<Raw> = (0..5).map(|_| nginx.raw()).collect();
    clients.iter_mut().for_each(|client| _ = client.get("/"));
    origin.wait_count("/", 5);
    gate.open();
    for client in &mut clients {
        let response = client.response();
        response.assert(200, "MISS", "page");
        assert!(!response.header("Cache-Status").unwrap().contains("collapsed"));
    }
}

#[test]
fn head_bypass_and_other_methods_wait_for_nobody() {
    let origin = Origin::start();
    let gate = Gate::new();
    let first = gate.clone();
    let asked = AtomicUsize::new(0);
    origin.handle("/", move |_| {
        let answer = Answer::page("page");
        if asked.fetch_add(1, Ordering::SeqCst) == 0 { answer.gate(&first) } else { answer }
    });
    let nginx = collapsing(&origin, "twice_bypass $arg_fresh;").start();
    let mut client = nginx.raw();
    client.get("/");
    gate.wait_arrived(1);
    assert_eq!(nginx.get("/").head().send().cache(), "MISS");
    nginx.get("/").method("POST").send().assert(200, "", "page");
    nginx.get("/?fresh=1").send().assert(200, "BYPASS", "page");
    gate.open();
    client.response().assert(200, "MISS", "page");
    assert_eq!(origin.count("/"), 4);
}

#[test]
fn an_answer_that_cannot_be_stored_releases_all_while_its_body_drips() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").start();
    for (path, control) in [("/no-store", "no-store"), ("/plain", "private"), ("/zero", "max-age=0")] {
        let (head, body) = (Gate::new(), Gate::new());
        let (first_head, first_body) = (head.clone(), body.clone());
        let asked = AtomicUsize::new(0);
        origin.handle(path, move |_| {
            let answer = Answer::html("one's own").header("Cache-Control", control);
            match asked.fetch_add(1, Ordering::SeqCst) {
                0 => answer.gate(&first_head).gate_at(5, &first_body),
                _ => answer,
            }
        });
        // Those of the round before have ended for nginx, too.
        wait_pending(&nginx, 0);
        let mut clients = crowd(&nginx, &origin, path, 20);
        head.open();
        for client in &mut clients[1..] {
            let response = client.response();
            response.assert(200, "MISS", "one's own");
            let status = response.header("Cache-Status").unwrap();
            assert!(status.starts_with("Twice; fwd=uri-miss; collapsed=?0; detail="), "{status}");
        }
        body.wait_arrived(1);
        assert_eq!(origin.count(path), 20);
        body.open();
        clients[0].response().assert(200, "MISS", "one's own");
    }
}

#[test]
fn a_key_whose_answer_was_not_stored_is_remembered_as_such() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").start();
    // It is remembered for some seconds: on a machine that is so slow, again.
    let mut round = 0;
    until("two clients fetch at the same time", || {
        round += 1;
        let (gate, path) = (Gate::new(), format!("/{round}"));
        let answer = Answer::html("one's own").header("Cache-Control", "no-store");
        origin.on(&path, answer.clone());
        nginx.get(&path).send().assert(200, "MISS", "one's own");
        origin.on(&path, answer.gate(&gate));
        let mut clients = [nginx.raw(), nginx.raw()];
        clients.iter_mut().for_each(|client| _ = client.get(&path));
        wait_pending(&nginx, 2);
        gate.open();
        let responses = clients.each_mut().map(|client| client.response());
        responses.iter().all(|response| !response.header("Cache-Status").unwrap().contains("collapsed"))
    });
}

#[test]
fn a_page_that_turns_out_too_large_releases_all_and_streams_on() {
    let origin = Origin::start();
    let gate = Gate::new();
    let first = gate.clone();
    let body = "0123456789".repeat(200_000);
    let (answer, asked) = (Answer::page(body.clone()).chunked(), AtomicUsize::new(0));
    origin.handle("/", move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => answer.clone().gate_at(1_500_000, &first),
        _ => answer.clone(),
    });
    let nginx = collapsing(&origin, "").start();
    let mut clients = [nginx.raw(), nginx.raw()];
    clients[0].get("/");
    gate.wait_arrived(1);
    // The first has most of it, and the page is known not to be stored.
    clients[0].response_head().assert_cache("MISS");
    clients[0].bytes(1_000_000);
    let response = clients[1].get("/").response();
    assert!(response.body == body.as_bytes() && response.reason() == "recording");
    gate.open();
    clients[0].bytes(500_000);
}

#[test]
fn an_origin_that_keeps_failing_has_nobody_wait() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::new(503, "no").gate(&gate));
    let nginx = collapsing(&origin, "").start();
    let mut clients = crowd(&nginx, &origin, "/", 20);
    gate.open();
    for client in &mut clients {
        client.response().assert(503, "MISS", "no");
    }
    assert_eq!(origin.count("/"), 20);
    // It recovers: the page is stored, and fetched no more.
    origin.on("/", Answer::page("yes"));
    nginx.get("/").send().assert(200, "MISS", "yes");
    nginx.get("/").send().assert(200, "HIT", "yes");
}

#[test]
fn who_has_waited_long_enough_goes_alone_and_serves_the_others() {
    let origin = Origin::start();
    let gate = Gate::new();
    let first = gate.clone();
    let asked = AtomicUsize::new(0);
    origin.handle("/", move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::page("first").gate(&first),
        _ => Answer::page("second"),
    });
    let nginx = Nginx::twice()
        .workers(3)
        .http("twice_key $uri; twice_lock_timeout 10m;")
        .location("= /status", "stub_status;")
        .location(
            "/",
            format!("twice pages; if ($arg_soon) {{ rewrite ^ /soon last; }} proxy_pass {};", origin.url()),
        )
        .location(
            "/soon",
            format!(
                "internal; twice pages; twice_key /; twice_lock_timeout 100ms; proxy_pass {}/;",
                origin.url()
            ),
        )
        .start();
    let mut clients = crowd(&nginx, &origin, "/", 10);
    let impatient = nginx.get("/?soon=1").send();
    impatient.assert(200, "MISS", "second");
    assert!(impatient.header("Cache-Status").unwrap().contains("; collapsed=?0; stored"), "{impatient:?}");
    for client in &mut clients[1..] {
        client.response().assert(200, "HIT", "second");
    }
    gate.open();
    clients[0].response().assert(200, "MISS", "first");
    assert_eq!(origin.count("/"), 2);
}

#[test]
fn a_fetch_that_takes_too_long_is_overtaken_by_one_other() {
    let origin = Origin::start();
    let gate = Gate::new();
    let first = gate.clone();
    let asked = AtomicUsize::new(0);
    origin.handle("/", move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::page("first").gate(&first),
        _ => Answer::page("second"),
    });
    let nginx = collapsing(&origin, "twice_lock_age 1s;").start();
    let mut clients: Vec<Raw> = (0..20).map(|_| nginx.raw()).collect();
    clients[0].get("/");
    gate.wait_arrived(1);
    clients[1..].iter_mut().for_each(|client| _ = client.get("/"));
    let responses: Vec<Response> = clients[1..].iter_mut().map(|client| client.response()).collect();
    assert!(responses.iter().all(|response| response.text() == "second"));
    // Where the machine was slow some came after the second fetch had been stored: all others were served by it.
    assert_eq!(responses.iter().filter(|response| response.cache() == "MISS").count(), 1);
    gate.open();
    clients[0].response().assert(200, "MISS", "first");
    assert_eq!(origin.count("/"), 2);
}

#[test]
fn requests_behind_one_that_waits_are_answered_in_order() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/slow", Answer::page("slow").gate(&gate));
    origin.on("/fast", Answer::page("fast"));
    let nginx = collapsing(&origin, "").start();
    let mut first = nginx.raw();
    first.get("/slow");
    gate.wait_arrived(1);
    let mut pipelined = nginx.raw();
    pipelined.get("/fast").response().assert(200, "MISS", "fast");
    pipelined.get("/slow").get("/fast").get("/slow");
    wait_pending(&nginx, 2);
    gate.open();
    for body in ["slow", "fast", "slow"] {
        pipelined.response().assert(200, "HIT", body);
    }
    pipelined.get("/fast").response().assert(200, "HIT", "fast");
    first.response().assert(200, "MISS", "slow");
}

#[test]
fn one_process_wakes_itself() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("page").gate(&gate));
    let nginx = collapsing(&origin, "").single_process().start();
    let mut clients = crowd(&nginx, &origin, "/", 20);
    gate.open();
    clients[0].response().assert(200, "MISS", "page");
    for client in &mut clients[1..] {
        assert_collapsed(&client.response());
    }
    assert_eq!(origin.count("/"), 1);
}

#[test]
fn any_method_of_waiting_for_events_will_do() {
    for method in ["poll", "select"] {
        let origin = Origin::start();
        let gate = Gate::new();
        origin.on("/", Answer::page("page").gate(&gate));
        let setup = collapsing(&origin, "").events(format!("use {method};"));
        if !setup.check().ok {
            // Not built with it.
            setup.check().fails_with(&["invalid event type"]);
            continue;
        }
        let nginx = setup.start();
        let mut clients = crowd(&nginx, &origin, "/", 20);
        gate.open();
        clients[0].response().assert(200, "MISS", "page");
        clients[1..].iter_mut().for_each(|client| assert_collapsed(&client.response()));
    }
}

#[test]
fn fragments_are_fetched_once_for_all_pages_that_include_them() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/fragment", Answer::page("[fragment]").gate(&gate));
    for name in ["/a", "/b", "/c"] {
        let body = r#"<!--# include virtual="/fragment" --><!--# include virtual="/fragment" -->"#;
        origin.on(name, Answer::page(format!("{name}{body}")));
    }
    let nginx = collapsing(&origin, "ssi on;").start();
    let mut clients: Vec<Raw> = (0..12).map(|_| nginx.raw()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.get(["/a", "/b", "/c"][number % 3]);
    }
    gate.wait_arrived(1);
    wait_pending(&nginx, 12);
    gate.open();
    for (number, client) in clients.iter_mut().enumerate() {
        let name = ["/a", "/b", "/c"][number % 3];
        assert_eq!(client.response().text(), format!("{name}[fragment][fragment]"));
    }
    assert_eq!(origin.count("/fragment"), 1);
}

#[test]
fn a_part_does_not_wait_for_the_page_that_it_is_a_part_of() {
    let origin = Origin::start();
    let gate = Gate::new();
    let rest = gate.clone();
    let start = r#"<!--# include virtual="/?inner=1" -->"#;
    origin.handle("/", move |request| match request.query() {
        "" => Answer::page(format!("{start}rest")).gate_at(start.len(), &rest),
        _ => Answer::html("inner ").header("Cache-Control", "no-store"),
    });
    let nginx = collapsing(&origin, "ssi on; proxy_buffering off;").start();
    let mut client = nginx.raw();
    client.get("/");
    origin.wait_count("/", 2);
    gate.open();
    assert_eq!(client.response().text(), "inner rest");
}

#[test]
fn reloads_leave_no_descriptors_behind() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").start();
    let events = |pid: u32| {
        let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        links
            .filter(|link| {
                std::fs::read_link(link.path()).is_ok_and(|to| to.to_string_lossy().contains("eventfd"))
            })
            .count()
    };
    let all = |nginx: &Nginx| {
        let mut counts: Vec<usize> = nginx.workers().into_iter().map(events).collect();
        counts.push(events(nginx.master()));
        counts
    };
    // A worker is there before it has its own descriptors.
    drop(one_for_each(&nginx));
    let before = all(&nginx);
    for _ in 0..3 {
        nginx.reload();
        until("the former workers are gone", || nginx.leaving_workers().is_empty());
    }
    drop(one_for_each(&nginx));
    assert_eq!(all(&nginx), before);
}
