//! A service that fails rests, as a memcached server does: no page waits for it, and it comes back by itself.

use super::*;
use fixture::{Gate, patiently, until, until_some};
use std::time::Duration;

/// How the service does.
fn state(nginx: &Nginx) -> String {
    of_service(nginx)["state"].as_str().unwrap().to_owned()
}

fn of_service(nginx: &Nginx) -> serde_json::Value {
    nginx.source_figures("session")["servers"]["service"].clone()
}

/// Answers differ from visitor to visitor, so that nothing that is remembered stands in the way.
fn visitor() -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("v{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A site whose service has failed so often that it rests.
fn resting(origin: &Origin, rest: &str) -> Nginx {
    let options = format!("timeout=60s server_failure_limit=2 server_retry_timeout={rest}");
    let nginx = site(origin, &options).start();
    stored(&nginx);
    origin.on("/session", Answer::new(500, "oops"));
    nginx.allow_log("the service of source \"session\" failed (refused): it has status 500");
    nginx.expect_log(
        "twice: the service of source \"session\" failed (refused): it has status 500, it rests for",
    );
    for asked in 1..3 {
        assert_eq!(state(&nginx), "up");
        assert_eq!(page(&nginx, &visitor()).text(), NOBODY);
        assert_eq!(origin.count("/session"), asked);
    }
    nginx
}

#[test]
fn a_service_that_fails_is_left_alone() {
    let origin = Origin::start();
    let nginx = resting(&origin, "1h");
    assert_eq!(state(&nginx), "resting");
    // All workers know it, and nobody waits.
    let never = Gate::new();
    origin.on("/session", Answer::ok(record("ann")).gate(&never));
    all_got(&mut visits(&nginx, "ann"), NOBODY);
    assert_eq!(origin.count("/session"), 2);
    let service = of_service(&nginx);
    for (name, expected) in
        [("requests", 2), ("responses", 2), ("server_ejects", 1), ("hits", 0), ("server_err", 0)]
    {
        assert_eq!(service[name], expected, "{name}");
    }
    assert!(service["server_ejected_at"].as_u64().unwrap() > 1_700_000_000_000_000);
    assert_eq!(figure(&nginx, "session", "errors"), 2 * 5);
    assert_eq!(figure(&nginx, "session", "forward_error"), 5 * MANY as u64);
    assert_balanced(&nginx, "session");
    // A reload has no reason to hope.
    nginx.reload();
    all_got(&mut visits(&nginx, "ann"), NOBODY);
    assert_eq!((origin.count("/session"), state(&nginx)), (2, "resting".to_owned()));
}

#[test]
fn what_is_remembered_is_shown_while_it_rests() {
    let origin = Origin::start();
    let options = "timeout=60s server_failure_limit=1 server_retry_timeout=1h";
    let nginx = site(&origin, options).start();
    nginx.expect_log("it rests for 3600000 ms");
    origin.on("/session", Answer::ok(record("ann")));
    assert_eq!(page(&nginx, "ann").text(), shown("ann"));
    origin.on("/session", Answer::new(502, ""));
    assert_eq!(page(&nginx, "bob").text(), NOBODY);
    all_got(&mut visits(&nginx, "ann"), &shown("ann"));
    assert_eq!(origin.count("/session"), 2);
}

#[test]
fn it_is_probed_with_no_page_waiting() {
    let origin = Origin::start();
    let nginx = resting(&origin, "50ms");
    let gate = Gate::new();
    origin.on("/session", Answer::ok(record("ann")).gate(&gate));
    // One connection for all: whoever waited for the probe would be seen.
    let mut client = nginx.raw();
    until("it is probed", || {
        ask(&mut client, "/", "ann");
        let page = client.response();
        assert_eq!(page.text(), NOBODY);
        assert_eq!(page.header("Connection").unwrap_or("keep-alive"), "keep-alive");
        gate.arrived() == 1
    });
    for _ in 0..3 {
        ask(&mut client, "/", "ann");
        assert_eq!(client.response().text(), NOBODY);
    }
    all_got(&mut visits(&nginx, "ann"), NOBODY);
    all_got(&mut visits(&nginx, "bob"), NOBODY);
    assert_eq!((gate.arrived(), state(&nginx)), (1, "probed".to_owned()));
    gate.open();
    until("it is back", || state(&nginx) == "up");
    nginx.wait_log("twice: the service of source \"session\" answers again");
    // What it said is remembered.
    all_got(&mut visits(&nginx, "ann"), &shown("ann"));
    assert_eq!(origin.count("/session"), 3);
    assert_balanced(&nginx, "session");
}

#[test]
fn a_probe_outlives_the_visitor_whose_page_began_it() {
    let origin = Origin::start();
    let nginx = resting(&origin, "50ms");
    let gate = Gate::new();
    origin.on("/session", Answer::ok(record("ann")).gate(&gate));
    until("it is probed", || {
        let mut client = nginx.raw();
        ask(&mut client, "/", "ann");
        client.response_head();
        client.reset();
        gate.arrived() == 1
    });
    until("he is gone", || nginx.pending() == 0);
    let asked = origin.last("/session");
    assert_eq!((asked.cookie("persistent"), asked.method.as_str()), (Some("ann"), "GET"));
    gate.open();
    until("it is back", || state(&nginx) == "up");
    assert_eq!(page(&nginx, "ann").text(), shown("ann"));
    assert_eq!((gate.arrived(), origin.count("/session")), (1, 3));
}

#[test]
fn a_probe_that_fails_is_another_rest() {
    let origin = Origin::start();
    let nginx = resting(&origin, "50ms");
    // Five of them, each begun by some page after a rest.
    until("it has been probed", || {
        assert_eq!(page(&nginx, &visitor()).text(), NOBODY);
        origin.count("/session") >= 7
    });
    assert_ne!(state(&nginx), "up");
    assert_eq!(figure(&nginx, "session", "errors"), 2 * 5, "pages of probes have not asked");
    knows_all(&origin);
    let name = until_some("it is back", || {
        let name = visitor();
        (page(&nginx, &name).text() == shown(&name)).then_some(name)
    });
    assert_eq!(page(&nginx, &name).text(), shown(&name));
    assert_balanced(&nginx, "session");
}

#[test]
fn what_an_answer_says_is_nothing_against_the_service() {
    let origin = Origin::start();
    let options = "timeout=60s server_failure_limit=1 server_retry_timeout=1h";
    let nginx = site(&origin, options).start();
    nginx.allow_log("is no JSON");
    let good = || Answer::ok(record("ann"));
    for (n, answer) in [
        Answer::new(404, ""),
        Answer::new(204, ""),
        Answer::new(410, ""),
        Answer::new(403, ""),
        Answer::new(401, ""),
        Answer::new(302, "").header("Location", "/login"),
        good().header("Content-Encoding", "gzip"),
        Answer::ok("{"),
        Answer::ok(""),
        Answer::ok("x".repeat((1 << 20) + 1)),
    ]
    .into_iter()
    .enumerate()
    {
        origin.on("/session", answer);
        assert_eq!(page(&nginx, &visitor()).text(), NOBODY, "answer {n}");
        assert_eq!((origin.count("/session"), state(&nginx)), (n + 1, "up".to_owned()), "answer {n}");
    }
    origin.on("/session", good());
    assert_eq!(page(&nginx, &visitor()).text(), shown("ann"));
}

#[test]
fn whoever_gives_no_answer_rests() {
    let mut origin = Origin::start();
    let timeout = patiently(Duration::from_secs(1)).as_millis();
    let options = format!("timeout={timeout}ms server_failure_limit=1 server_retry_timeout=50ms");
    let nginx = site(&origin, &options).start();
    stored(&nginx);
    nginx.allow_log("the service of source \"session\" failed");
    nginx.allow_log("upstream prematurely closed");
    nginx.allow_log("reset by peer");
    nginx.allow_log("connect() failed");
    nginx.allow_log("no live upstreams");
    let never = Gate::new();
    let good = || Answer::ok(record("ann"));
    let back = |what: &str| {
        until(what, || page(&nginx, &visitor()).text() == shown("ann"));
        until(what, || state(&nginx) == "up");
    };
    origin.on("/session", good());
    back("it begins well");
    for (what, answer) in [
        ("it is silent", good().gate(&never)),
        ("it stops in the middle", good().gate_at(20, &never)),
        ("it is cut short", good().truncated(20)),
        ("it closes", Answer::raw("")),
        ("it is in trouble", Answer::new(503, "")),
    ] {
        let before = of_service(&nginx)["server_ejects"].as_u64().unwrap();
        origin.on("/session", answer);
        // One that fails before it comes may have asked before.
        until(what, || page(&nginx, &visitor()).text() == NOBODY);
        until(what, || of_service(&nginx)["server_ejects"].as_u64().unwrap() > before);
        origin.on("/session", good());
        back(what);
    }
    origin.stop();
    until("it is down", || page(&nginx, &visitor()).text() == NOBODY);
    origin.restart();
    back("it is up");
    let service = of_service(&nginx);
    assert!(service["server_timedout"].as_u64().unwrap() >= 2, "{service}");
    assert!(service["server_err"].as_u64().unwrap() >= 1, "{service}");
    assert!(service["hits"].as_u64().unwrap() >= 6, "{service}");
    assert!(service["latency_us"].as_u64().is_some(), "{service}");
}

#[test]
fn a_worker_that_dies_with_the_probe_takes_nothing_with_it() {
    let origin = Origin::start();
    let timeout = patiently(Duration::from_millis(300)).as_millis();
    let options = format!("timeout={timeout}ms server_failure_limit=1 server_retry_timeout=50ms");
    let nginx = site(&origin, &options).start();
    stored(&nginx);
    nginx.allow_log("the service of source \"session\" failed");
    origin.on("/session", Answer::new(500, ""));
    assert_eq!(page(&nginx, "ann").text(), NOBODY);
    let gate = Gate::new();
    origin.on("/session", Answer::ok(record("ann")).gate(&gate));
    let worker = until_some("it is probed", || {
        let page = page(&nginx, "ann");
        assert_eq!(page.text(), NOBODY);
        // On a machine that is so slow the first probe may be over, and another one under way.
        (gate.arrived() > 0).then(|| page.worker())
    });
    nginx.kill_worker(worker);
    gate.open();
    until("another one has probed it", || page(&nginx, "ann").text() == shown("ann"));
}

#[test]
fn its_figures_are_variables_too() {
    let origin = Origin::start();
    let names = [
        "session_service_state",
        "session_service_hits",
        "session_servers_up",
        "session_service_server_ejected_at",
    ];
    let text: Vec<String> = names.iter().map(|name| format!("$twice_source_{name}")).collect();
    knows_all(&origin);
    let nginx = site(&origin, "timeout=60s")
        .location("= /_vars", format!("return 200 '{}';", text.join(" ")))
        .start();
    assert_eq!(page(&nginx, "ann").text(), shown("ann"));
    assert_eq!(nginx.get("/_vars").send().text(), "up 1 1 0");
    let text = nginx.get("/_figures?format=prometheus").send().text();
    let line = "twice_server_up{source=\"session\",server=\"service\"} 1";
    assert!(text.lines().any(|other| other == line), "{text}");
}
