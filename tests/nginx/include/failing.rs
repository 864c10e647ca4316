//! An include that fails prints its default, and the page survives.

use fixture::{Answer, FastCgi, Gate, Nginx, Origin, until};

use super::{both, site};

/// What an include of the page says when it fails, in the log.
const WITHOUT: &str = "goes without its include";

#[test]
fn what_is_no_good_answer_prints_the_default() {
    let origin = Origin::start();
    for (path, answer) in [
        ("/missing", Answer::html("not this").status(404)),
        ("/broken", Answer::html("not this").status(500)),
        ("/moved", Answer::html("not this").status(302).header("Location", "/a")),
        ("/empty", Answer::new(204, "")),
        ("/cut", Answer::html("not all of this").truncated(5)),
        ("/cut/chunked", Answer::html("not all of this").chunked().truncated(5)),
        ("/reset", Answer::html("not all of this").reset(5)),
        ("/large", Answer::html("x".repeat((1 << 20) + 1))),
        ("/large/chunked", Answer::html("x".repeat((1 << 20) + 1)).chunked()),
        ("/packed", Answer::html("\u{1}\u{2}").header("Content-Encoding", "gzip")),
    ] {
        origin.on(path, answer);
    }
    let nginx = site(&origin)
        .location("= /dead", "proxy_pass http://127.0.0.1:1;")
        .location("= /closed", "return 444;")
        .location("= /late", "return 408;")
        .location("= /left", "return 499;")
        .location("= /denied", "return 403 'not this';")
        .location("= /loop", "rewrite ^ /loop;")
        .location("= /no/file", "root html;")
        .start();
    nginx.expect_log(WITHOUT);
    for declared in [
        "upstream prematurely closed",
        "recv() failed",
        "reset by peer",
        "Connection refused",
        "rewrite or internal redirection cycle",
        "No such file",
    ] {
        nginx.allow_log(declared);
    }
    let paths = [
        "/missing",
        "/broken",
        "/moved",
        "/empty",
        "/cut",
        "/cut/chunked",
        "/reset",
        "/large",
        "/large/chunked",
        "/packed",
        "/dead",
        "/closed",
        "/late",
        "/left",
        "/denied",
        "/loop",
        "/no/file",
    ];
    origin.on("/good", Answer::html("good"));
    for path in paths {
        let page = format!("/page{path}");
        origin.on(
            &page,
            Answer::page(format!("[<& include {path} | default:\"<b>sorry</b>\" &>|<& include /good &>]")),
        );
        both(&nginx, &page, "[<b>sorry</b>|good]");
        let before = nginx.figure("include_failures");
        assert!(before >= 2, "{path}");
    }
    // One page with all of them.
    let all: String = paths.iter().map(|path| format!("<& include {path} &>,")).collect();
    origin.on("/all", Answer::page(all));
    both(&nginx, "/all", &",".repeat(paths.len()));
}

#[test]
fn a_fragment_that_came_empty_prints_nothing() {
    let origin = Origin::start();
    origin.on("/", Answer::page("[<& include /a | default:none &><& include /b | default:none &>]"));
    origin.on("/a", Answer::html(""));
    origin.on("/b", Answer::page("").chunked());
    let nginx = site(&origin).start();
    both(&nginx, "/", "[]");
}

#[test]
fn a_bad_include_is_told_where_it_stands() {
    let origin = Origin::start();
    let many: String = (0..33).map(|n| format!("<& include /n/{n} | default:{n}. &>")).collect();
    origin.handle("/n/*", |_| Answer::page("x"));
    origin.on("/a", Answer::html("<a>"));
    let nginx = site(&origin).start();
    for (n, (tag, page, told)) in [
        ("<& include a | default:bad &>", "bad", "bad URI to include at line 2"),
        ("<& include /../etc | default:bad &>", "bad", "bad URI to include at line 2"),
        ("<& include /a/%2e%2e/b | default:bad &>", "bad", "bad URI to include at line 2"),
        ("<& include /a#b | default:bad &>", "bad", "bad URI to include at line 2"),
        ("<& include '/a b' | default:bad &>", "bad", "bad URI to include at line 2"),
        ("<& include http://localhost/a | default:bad &>", "bad", "bad URI to include at line 2"),
        ("<& include /a | html &>", "<a>", "filter on an include at line 2"),
        (many.as_str(), &("x".repeat(32) + "32."), "too many includes at line 2"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/page/{n}");
        origin.on(&path, Answer::page(format!("\n{tag}")));
        nginx.expect_log(told);
        both(&nginx, &path, &format!("\n{page}"));
        nginx.wait_log(&format!("bad tag in page \"{path}\": {told}"));
    }
}

#[test]
fn a_late_fragment_is_not_waited_for() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("[<& include /slow | default:late &>]"));
    origin.on("/slow", Answer::page("slow").gate(&gate));
    let nginx = site(&origin)
        .http("twice_key $uri;")
        .location("= /", format!("twice pages; twice_include_timeout 50ms; proxy_pass {};", origin.url()))
        .start();
    nginx.expect_log("it took too long");
    nginx.get("/").send().assert(200, "MISS", "[late]");
    let mut client = nginx.raw();
    let page = client.get("/").response();
    page.assert(200, "HIT", "[late]");
    // nginx has to wait for the late one before it takes this connection's next request: the client is told.
    assert_eq!(page.header("Connection"), Some("close"));
    assert!(nginx.figure("include_failures") >= 2);
    // It goes on, and what comes of it is kept for the next visitor.
    let stored = nginx.figure("stored");
    gate.open();
    until("the late fragment is stored", || nginx.figure("stored") > stored);
    until("the page has it", || nginx.get("/").send().text() == "[slow]");
}

#[test]
fn what_comes_late_goes_nowhere() {
    // In every state: before the header, and in the middle of the body.
    let origin = Origin::start();
    let (head, middle) = (Gate::new(), Gate::new());
    origin.on("/", Answer::page("[<& include /head &><& include /middle &>]"));
    origin.on("/head", Answer::html("x".repeat(100_000)).gate(&head));
    origin.on("/middle", Answer::html("x".repeat(100_000)).chunked().gate_at(50_000, &middle));
    let nginx = site(&origin)
        .location("= /", format!("twice pages; twice_include_timeout 20ms; proxy_pass {};", origin.url()))
        .start();
    nginx.expect_log("it took too long");
    let workers = nginx.workers();
    let mut clients: Vec<_> = (0..10).map(|_| nginx.raw()).collect();
    for client in &mut clients {
        let page = client.get("/").response();
        assert_eq!((page.status, page.text().as_str()), (200, "[]"));
    }
    head.open();
    middle.open();
    until("the late ones have ended", || nginx.pending() == 0);
    assert_eq!(nginx.workers(), workers);
}

#[test]
fn a_late_fragment_that_nobody_keeps_is_ended() {
    // Without an end, and without even a beginning; the second page has a fragment that is too large and has no end.
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/1", Answer::page("[<& include /off/silent &>|<& include /off/endless &>]"));
    origin.on("/2", Answer::page("[<& include /off/large &>|<& include /kept/large &>]"));
    origin.on("/off/silent", Answer::html("x").gate(&gate));
    origin.on("/off/endless", Answer::html("x".repeat(200)).chunked().gate_at(100, &gate));
    let large = || Answer::page("x".repeat(2 << 20)).chunked().gate_at((1 << 20) + 100_000, &gate);
    origin.on("/off/large", large());
    origin.on("/kept/large", large());
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = site(&origin)
        .location("/off/", format!("twice off; {pass}"))
        .location("= /1", format!("twice pages; twice_include_timeout 50ms; {pass}"))
        .start();
    nginx.expect_log(WITHOUT);
    // On a miss the client was told before that its connection stays open; on a hit both worlds are tried.
    let mut client = nginx.raw();
    for path in ["/1", "/2", "/2", "/1"] {
        let page = client.get(path).response();
        assert_eq!((page.status, page.text().as_str()), (200, "[|]"), "{path}");
        if page.header("Connection") == Some("close") {
            // And closed it is, although no fragment has ended by itself.
            assert_eq!(client.rest(), b"");
            client = nginx.raw();
        }
    }
    assert_eq!((origin.count("/off/large"), nginx.figure("include_failures")), (2, 8));
}

#[test]
fn a_page_too_large_to_be_held_back_goes_on_without_its_fragments() {
    let origin = Origin::start();
    let gate = Gate::new();
    let text = "x".repeat(3 << 20);
    // Too large when its last piece comes, and long before.
    let last = "x".repeat((1 << 20) + 70_000);
    origin.on(
        "/long",
        Answer::page(format!("<& include /slow | default:none &>{text}<& include /a &>")).chunked(),
    );
    origin.on("/last", Answer::page(format!("<& include /slow | default:none &>{last}")));
    origin.on("/slow", Answer::html("slow").gate(&gate));
    origin.on("/a", Answer::html("A"));
    let nginx = site(&origin).start();
    nginx.expect_log("the page is too large to wait for it");
    nginx.allow_log("buffered to a temporary file");
    let page = nginx.get("/last").send();
    assert!(page.text() == format!("none{last}"), "{} bytes", page.body.len());
    let page = nginx.get("/long").send();
    let rest = page.text().strip_prefix(&format!("none{text}")).map(str::to_owned);
    // What comes later is not there, or just so: nobody waits for it.
    assert!(matches!(rest.as_deref(), Some("" | "A")), "{} bytes", page.body.len());
    assert_eq!(page.reason(), "recording");
    gate.open();
}

#[test]
fn a_page_that_includes_itself_ends() {
    let origin = Origin::start();
    origin.on("/", Answer::page("(<& include / | default:end &>)"));
    let nginx = site(&origin).start();
    nginx.expect_log("it is nested too deep");
    both(&nginx, "/", "((((end))))");
    // By way of another, and twice.
    origin.on("/a", Answer::page("a<& include /b &><& include /b?2 &>"));
    origin.on("/b", Answer::page("b<& include /a | default:. &>"));
    both(&nginx, "/a", "abab.b.bab.b.");
}

#[test]
fn a_page_has_no_end_of_fragments() {
    // 32 fragments, each with 32 of its own: more than a request may have.
    let origin = Origin::start();
    let page =
        |prefix: &str| (0..32).map(|n| format!("<& include {prefix}/{n} | default:. &>")).collect::<String>();
    origin.on("/", Answer::page(page("/one")));
    let inner = page("/two");
    origin.handle("/one/*", move |_| Answer::page(inner.clone()));
    origin.handle("/two/*", |_| Answer::page("x"));
    let nginx = site(&origin).start();
    nginx.expect_log("the request has too many");
    nginx.get("/").warm();
    let page = nginx.get("/").send().text();
    let came = page.matches('x').count();
    assert_eq!((page.len(), came), (32 * 32, 128 - 32));
}

#[test]
fn a_failing_page_is_replaced_by_a_stale_one_with_its_fragments() {
    let origin = Origin::start();
    let stale = "max-age=1, stale-while-revalidate=0, stale-if-error=600";
    origin.on("/", Answer::page("[<& include /a &>]").header("X-Twice-Control", stale));
    let gate = Gate::new();
    let nginx = site(&origin).start();
    origin.on("/a", Answer::html("A"));
    let page = Answer::html("[<& include /a &>]").header("X-Twice-Control", stale);
    origin.on("/", page);
    nginx.get("/").send().assert(200, "MISS", "[A]");
    until("it has expired", || nginx.get("/").head().send().cache() == "EXPIRED");
    origin.on("/", Answer::html("broken").status(503));
    origin.on("/a", Answer::html("A").gate(&gate));
    let failing = nginx.get("/").spawn();
    gate.wait_arrived(1);
    gate.open();
    failing.join().unwrap().assert(200, "STALE", "[A]");
    // Where the fragment fails as well.
    origin.on("/a", Answer::html("broken").status(503));
    nginx.expect_log("it has status 503");
    nginx.get("/").send().assert(200, "STALE", "[]");
}

#[test]
fn an_application_that_gives_up_in_a_fragment_spoils_no_page() {
    let app = FastCgi::shell("printf 'Status: 500\\n\\nnot this'");
    let nginx = Nginx::twice()
        .file("html/index.html", "[<& include /app | default:sorry &>]")
        .location("= /app", app.pass())
        .location("= /", "twice pages; twice_valid 60s; twice_tags all; root html; index index.html;")
        .location("/index.html", "twice pages; twice_valid 60s; twice_tags all; root html;")
        .start();
    nginx.expect_log("it has status 500");
    both(&nginx, "/index.html", "[sorry]");
}
