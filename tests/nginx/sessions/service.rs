//! A service of the site's own, asked by a sub-request.

use super::*;
use fixture::{Gate, until};

#[test]
fn one_question_for_each_visitor_whoever_asks() {
    let origin = Origin::start();
    let gate = Gate::new();
    let held = gate.clone();
    origin
        .handle("/session", move |asked| Answer::ok(record(asked.cookie("persistent").unwrap())).gate(&held));
    let nginx = site(&origin, "timeout=60s").start();
    stored(&nginx);
    let before = figure(&nginx, "session", "requests");
    let mut ann = visits(&nginx, "ann");
    let mut bob = visits(&nginx, "bob");
    until("all of them wait", || nginx.pending() == 2 * MANY && gate.arrived() == 2);
    assert_eq!(figure(&nginx, "session", "remembered"), 0);
    gate.open();
    all_got(&mut ann, &shown("ann"));
    all_got(&mut bob, &shown("bob"));
    // What one worker has brought all of them have.
    all_got(&mut visits(&nginx, "ann"), &shown("ann"));
    all_got(&mut visits(&nginx, "bob"), &shown("bob"));
    assert_eq!(origin.count("/session"), 2);
    let values = 5 * MANY as u64;
    let (missing, there) = (MANY as u64 * 4, 4 * 4 * MANY as u64);
    for (name, expected) in [
        ("requests", before + 4 * values),
        ("remembered", 2 * values),
        ("hits", there),
        // Nobody is an administrator.
        ("misses", before + missing),
        ("errors", 0),
        ("timeouts", 0),
    ] {
        assert_eq!(figure(&nginx, "session", name), expected, "{name}");
    }
    assert_balanced(&nginx, "session");
}

#[test]
fn one_question_for_all_fields_even_where_nothing_is_remembered() {
    let origin = Origin::start();
    let gate = Gate::new();
    let held = gate.clone();
    origin
        .handle("/session", move |asked| Answer::ok(record(asked.cookie("persistent").unwrap())).gate(&held));
    let nginx = site(&origin, "timeout=60s ttl=0s").start();
    stored(&nginx);
    for n in 1..3 {
        gate.close();
        let mut client = nginx.raw();
        ask(&mut client, "/", "ann");
        gate.wait_arrived(n);
        gate.open();
        assert_eq!(client.response().text(), shown("ann"));
        assert_eq!(origin.count("/session"), n);
    }
    // What is another's is asked for in his name.
    gate.close();
    let both: Vec<_> =
        ["bob", "bob"].map(|name| nginx.get("/").cookie(&format!("persistent={name}")).spawn()).into();
    gate.wait_arrived(4);
    gate.open();
    for page in both {
        assert_eq!(page.join().unwrap().text(), shown("bob"));
    }
    assert_eq!(origin.count("/session"), 4);
}

#[test]
fn it_is_asked_again_when_the_time_is_over() {
    let origin = Origin::start();
    knows_all(&origin);
    let nginx = site(&origin, "timeout=60s ttl=1s").start();
    assert_eq!(page(&nginx, "ann").text(), shown("ann"));
    origin.on("/session", Answer::ok(record("Ann")));
    until("the old one is forgotten", || {
        let text = page(&nginx, "ann").text();
        assert!(text == shown("ann") || text == shown("Ann"), "{text}");
        text == shown("Ann")
    });
    // By then each worker has seen an end of it.
    assert_eq!(page(&nginx, "ann").text(), shown("Ann"));
}

#[test]
fn nobody_is_asked_about_who_has_no_cookie() {
    let origin = Origin::start();
    origin.on("/session", Answer::ok(record("somebody")));
    let nginx = site(&origin, "timeout=60s").start();
    stored(&nginx);
    for cookies in ["", "other=ann", "persistent=", "persistent=; other=ann", "xpersistent=ann"] {
        assert_eq!(nginx.get("/").cookie(cookies).send().text(), NOBODY, "{cookies}");
    }
    assert_eq!(origin.count("/session"), 0);
    assert_eq!(figure(&nginx, "session", "misses"), figure(&nginx, "session", "requests"));
}

#[test]
fn who_is_unknown_is_asked_about_once() {
    let origin = Origin::start();
    for status in [404, 204, 410] {
        origin.on("/session", Answer::new(status, if status == 204 { "" } else { "<p>no such session</p>" }));
        let nginx = site(&origin, "timeout=60s").start();
        let before = origin.count("/session");
        for _ in 0..2 {
            all_got(&mut visits(&nginx, "ghost"), NOBODY);
        }
        assert_eq!(origin.count("/session"), before + 1, "{status}");
        assert!(figure(&nginx, "session", "remembered") >= 5 * MANY as u64);
        // Until he is known, which a purge tells.
        assert_eq!(figure(&nginx, "session", "misses"), figure(&nginx, "session", "requests"));
    }
}

/// Pages print their defaults, and each asks anew, until the service does better.
fn not_remembered(timeout: &str, answers: impl IntoIterator<Item = Answer>) {
    let origin = Origin::start();
    let nginx = site(&origin, &format!("timeout={timeout} server_failure_limit=1000")).start();
    for text in [
        "upstream prematurely closed",
        "reset by peer",
        "is no JSON",
        "source \"session\" failed",
        "upstream sent no valid HTTP/1.0 header",
    ] {
        nginx.allow_log(text);
    }
    stored(&nginx);
    for (n, bad) in answers.into_iter().enumerate() {
        let visitor = format!("ann{n}");
        origin.on("/session", bad);
        for visit in 1..3 {
            let before = origin.count("/session");
            assert_eq!(page(&nginx, &visitor).text(), NOBODY, "answer {n}");
            origin.wait_count("/session", before + 1);
            assert_eq!(origin.count("/session"), before + 1, "answer {n}, visit {visit}");
        }
        origin.on("/session", Answer::ok(record("ann")));
        until("it is asked again", || page(&nginx, &visitor).text() == shown("ann"));
        until("whoever was late has been counted", || nginx.pending() == 0);
    }
    assert_balanced(&nginx, "session");
}

#[test]
fn what_fails_is_not_remembered() {
    let good = || Answer::ok(record("ann"));
    let answers = [
        Answer::new(500, record("ann")),
        Answer::new(503, record("ann")),
        Answer::new(403, record("ann")),
        Answer::new(302, record("ann")).header("Location", "/login"),
        good().truncated(20),
        good().chunked().truncated(20),
        good().reset(20),
        good().header("Content-Encoding", "gzip"),
        Answer::ok("x".repeat((1 << 20) + 1)),
        Answer::ok("{\"login\":\"ann\""),
        Answer::raw("nonsense\r\n\r\n"),
    ];
    not_remembered("60s", answers);
}

#[test]
fn what_comes_too_late_is_not_remembered() {
    let never = Gate::new();
    let good = || Answer::ok(record("ann"));
    not_remembered(
        "100ms",
        [good().gate(&never), good().gate_at(20, &never), good().chunked().gate_at(20, &never)],
    );
}

#[test]
fn the_service_hears_who_asks_and_nothing_of_the_page() {
    let origin = Origin::start();
    knows_all(&origin);
    let nginx = site(&origin, "timeout=60s").start();
    stored(&nginx);
    let request = |path: &str| {
        nginx
            .get(path)
            .cookie("persistent=ann; lang=de")
            .header("Authorization", "Basic eA==")
            .header("Accept-Encoding", "gzip")
            .header("If-None-Match", "\"x\"")
            .header("X-Twice-Control", "max-age=1")
    };
    request("/").range("0-2").send();
    let asked = origin.last("/session");
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/session"));
    assert_eq!((asked.cookie("persistent"), asked.cookie("lang")), (Some("ann"), Some("de")));
    assert_eq!(asked.header("Authorization"), Some("Basic eA=="));
    for line in ["Range", "If-None-Match", "Accept-Encoding", "X-Twice-Control", "Content-Length"] {
        assert_eq!(asked.header(line), None, "{line}");
    }
    // The same for what has a body.
    let posted = nginx.get("/").cookie("persistent=bob").body("a=b").send();
    assert_eq!(posted.text(), shown("bob"));
    let asked = origin.last("/session");
    assert_eq!((asked.method.as_str(), asked.body.len(), asked.header("Content-Length")), ("GET", 0, None));
}

#[test]
fn its_answers_are_no_pages() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    // All that makes a page be stored and run.
    origin.handle("/session", |asked| {
        let name = asked.cookie("persistent").unwrap_or("nobody");
        Answer::page(record(name).replace("\"age\":42", "\"age\":\"<& get cookie persistent &>\""))
            .header("Set-Cookie", "a=b")
    });
    let nginx = Nginx::twice()
        .figures()
        .http("twice_key $uri; twice_valid 60s; twice_tags all;")
        .http("twice_source session http /session key=$cookie_persistent timeout=60s;")
        .server("twice pages;")
        .location("/", format!("proxy_pass {};", origin.url()))
        .start();
    assert_eq!(nginx.get("/").warm().text(), NOBODY);
    let before = nginx.figures("pages");
    for name in ["ann", "bob"] {
        for _ in 0..2 {
            let page = page(&nginx, name);
            let text = format!("{name}|{name}@example.com|&lt;&amp; get cookie persistent &amp;&gt;|Ulm|-");
            assert_eq!((page.cache(), page.text().as_str()), ("HIT", text.as_str()));
            assert_eq!(page.header("Set-Cookie"), None);
        }
    }
    let after = nginx.figures("pages");
    for name in ["stored", "misses", "fetches", "pages"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(origin.count("/session"), 2);
}

#[test]
fn a_session_that_is_all_in_its_cookie() {
    let origin = Origin::start();
    knows_all(&origin);
    let nginx = site(&origin, "timeout=60s").start();
    stored(&nginx);
    // Such as a signed token; the two differ in their last byte.
    for end in ["x", "y"] {
        let token = format!("{}{end}", "t".repeat(3000));
        assert_eq!(page(&nginx, &token).text(), shown(&token));
        all_got(&mut visits(&nginx, &token), &shown(&token));
    }
    assert_eq!(origin.count("/session"), 2);
    // Beyond that nobody is asked.
    assert_eq!(page(&nginx, &"t".repeat(4097)).text(), NOBODY);
    assert_eq!(origin.count("/session"), 2);
}
