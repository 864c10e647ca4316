//! The leak guard: a page is shared when two visitors were sent the same, and nothing of what differs is told.

mod crowds;
mod page;
mod places;
mod renewal;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::{Answer, Nginx, Origin, Received, Request, Response, Setup, until, until_some};

/// What the stories must never find in a log.
const SECRET: &str = "Cinderella";

/// How each request ended, by the number of its visit.
const LOG: &str = "log_format reasons '$request_uri #$http_x_visit $twice_cache_status $twice_reason';
access_log reasons.log reasons;";

struct Site {
    origin: Origin,
    nginx: Nginx,
}

/// An nginx whose pages are audited, and which writes down how each request ended.
fn audited(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .http(LOG)
        .figures()
        .location("/", format!("twice pages; twice_audit on; {lines} proxy_pass {};", origin.url()))
}

/// Who asks, by the cookie `user`.
fn user(request: &Received) -> String {
    request.cookie("user").unwrap_or("Guest").to_owned()
}

impl Site {
    fn start(lines: &str) -> Self {
        let origin = Origin::start();
        let nginx = audited(&origin, lines).start();
        Self { origin, nginx }
    }

    /// How the requests for a path ended, in their order: number, status and reason.
    fn ends(&self, path: &str) -> Vec<String> {
        let log = fs::read_to_string(self.nginx.setup().folder().join("reasons.log")).unwrap_or_default();
        log.lines().filter_map(|line| line.strip_prefix(&format!("{path} #"))).map(str::to_owned).collect()
    }

    /// The same of so many requests, when they have.
    #[track_caller]
    fn ends_of(&self, path: &str, count: usize) -> Vec<String> {
        until(&format!("{count} requests have ended"), || self.ends(path).len() >= count);
        self.ends(path)
    }

    /// Sends a request, and tells how it ended, when it has.
    #[track_caller]
    fn send(&self, path: &str, request: Request) -> (Response, String) {
        static VISITS: AtomicUsize = AtomicUsize::new(0);
        let number = VISITS.fetch_add(1, Ordering::Relaxed).to_string();
        let response = request.header("X-Visit", &number).send();
        let end = until_some("it has ended", || {
            self.ends(path).iter().find_map(|end| end.strip_prefix(&format!("{number} ")).map(str::to_owned))
        });
        (response, end)
    }

    /// A visitor's request, and how it ended.
    #[track_caller]
    fn visit(&self, path: &str, cookies: &str) -> (Response, String) {
        let request = self.nginx.get(path);
        self.send(path, if cookies.is_empty() { request } else { request.cookie(cookies) })
    }

    #[track_caller]
    fn assert_end(&self, path: &str, cookies: &str, end: &str) -> Response {
        let (response, found) = self.visit(path, cookies);
        assert_eq!(found, end, "{path} by {cookies}: {response:?}");
        response
    }

    /// The log says this place of the page at least once, and nobody's data.
    #[track_caller]
    fn told(&self, path: &str, place: &str) {
        let line =
            format!("the page \"{path}\" is not stored, two visitors were sent different ones: {place}");
        self.nginx.wait_log(&line);
    }

    /// Lines of the log are rare: others than the first of a second may be missing.
    fn may_tell(&self) {
        self.nginx.allow_log("two visitors were sent different ones");
    }

    fn ends_without_secret(self) {
        let log = self.nginx.log();
        assert!(!log.contains(SECRET), "{log}");
    }
}

#[test]
fn two_visitors_who_agree_have_the_page_stored() {
    let site = Site::start("");
    site.origin.on("/", Answer::page("the same for all"));
    let first = site.assert_end("/", "user=Ann", "MISS audit_waits");
    // Whether it will be stored is known at its end.
    assert_eq!(first.header("Cache-Status"), Some("Twice; fwd=uri-miss; detail=recording"));
    site.assert_end("/", "user=Bob", "MISS stored");
    for cookies in ["user=Ann", "user=Bob", "user=Eve", ""] {
        site.assert_end("/", cookies, "HIT hit").assert(200, "HIT", "the same for all");
    }
    assert_eq!(site.origin.count("/"), 2);
    // The witness has gone with that.
    let figures = site.nginx.figures("pages");
    assert_eq!((figures["pages"], figures["stored"], figures["audit_waits"]), (1, 1, 1), "{figures:?}");
    assert_eq!(figures["audit_differs"], 0);
}

#[test]
fn one_of_the_two_may_have_no_cookies() {
    let site = Site::start("");
    site.origin.on("/*", Answer::page("the same for all"));
    site.assert_end("/a", "", "MISS audit_waits");
    site.assert_end("/a", "", "MISS audit_waits");
    site.assert_end("/a", "user=Ann", "MISS stored");
    site.assert_end("/b", "user=Ann", "MISS audit_waits");
    site.assert_end("/b", "", "MISS stored");
}

#[test]
fn the_same_visitor_proves_nothing() {
    let site = Site::start("");
    site.origin.handle("/*", |request| Answer::page(format!("Hello {}", user(request))));
    let session = "session=0123456789abcdef0123";
    let visits = ["user=Cinderella; x=1", "x=1; user=Cinderella", "user=Cinderella;x=1 ; user=Cinderella"];
    for cookies in visits {
        site.assert_end("/", cookies, "MISS audit_waits");
    }
    // What counts a visitor's pages changes with each of them; what he is known by does not.
    for views in 1..4 {
        let cookies = format!("user=Cinderella; views={views}; {session}");
        site.assert_end("/known", &cookies, "MISS audit_waits");
    }
    // By a password, too.
    for views in 1..4 {
        let request = site.nginx.get("/password").header("Authorization", "Basic Y2luZGVyZWxsYQ==");
        let (_, end) = site.send("/password", request.cookie(&format!("user=Cinderella; views={views}")));
        assert_eq!(end, "MISS audit_waits");
    }
    // Whoever is somebody else is sent another page.
    for path in ["/", "/known", "/password"] {
        site.assert_end(path, "user=Bob", "MISS audit_differs body line 1 column 7").assert(
            200,
            "MISS",
            "Hello Bob",
        );
    }
    site.may_tell();
    site.ends_without_secret();
}

#[test]
fn both_workers_know_the_witness() {
    let site = Site::start("");
    site.origin.on("/*", Answer::page("the same for all"));
    let mut pairs = Vec::new();
    let mut round = 0;
    until("witness and second visitor met different workers, both ways", || {
        round += 1;
        let path = format!("/{round}");
        let first = site.assert_end(&path, "user=Ann", "MISS audit_waits").worker();
        let second = site.assert_end(&path, "user=Bob", "MISS stored").worker();
        pairs.push((first, second));
        pairs.iter().any(|(a, b)| a != b && pairs.contains(&(*b, *a)))
    });
}

#[test]
fn a_killed_worker_leaves_the_witness() {
    let site = Site::start("");
    site.origin.on("/", Answer::page("the same for all"));
    let first = site.assert_end("/", "user=Ann", "MISS audit_waits");
    site.nginx.kill_worker(first.worker());
    site.assert_end("/", "user=Bob", "MISS stored");
}

#[test]
fn a_purge_takes_the_witness() {
    let origin = Origin::start();
    let nginx = audited(&origin, "").location("= /purge", "twice_purge pages;").start();
    let site = Site { origin, nginx };
    site.origin.on("/*", Answer::page("the same for all").header("Surrogate-Key", "all"));
    for (path, command) in [
        ("/url", r#"{"urls":["/url"]}"#),
        ("/key", r#"{"keys":["all"]}"#),
        ("/soft", r#"{"urls":["/soft"],"soft":true}"#),
        ("/all", r#"{"all":true}"#),
    ] {
        site.assert_end(path, "user=Ann", "MISS audit_waits");
        let done = site.nginx.get("/purge").method("POST").body(command).send();
        assert_eq!(done.status, 200, "{done:?}");
        site.assert_end(path, "user=Bob", "MISS audit_waits");
        site.assert_end(path, "user=Ann", "MISS stored");
        site.assert_end(path, "user=Ann", "HIT hit");
    }
}

#[test]
fn what_stands_in_tags_is_each_visitors_own() {
    let site = Site::start("");
    let page = "<p>Hello <& get cookie user Guest &>,\n<& if cookie user &>welcome back<& end &></p>";
    site.origin.on("/", Answer::page(page));
    site.assert_end("/", "user=Ann", "MISS audit_waits").assert(
        200,
        "MISS",
        "<p>Hello Ann,\nwelcome back</p>",
    );
    site.assert_end("/", "user=Bob", "MISS stored").assert(200, "MISS", "<p>Hello Bob,\nwelcome back</p>");
    site.assert_end("/", "user=Eve", "HIT hit").assert(200, "HIT", "<p>Hello Eve,\nwelcome back</p>");
    site.assert_end("/", "", "HIT hit").assert(200, "HIT", "<p>Hello Guest,\n</p>");
}

#[test]
fn a_page_passes_for_each_of_its_variants() {
    let site = Site::start("twice_vary_cookies theme;");
    site.origin.handle("/*", |request| {
        let lang = request.cookie("lang").unwrap_or("en");
        let theme = request.cookie("theme").unwrap_or("light");
        Answer::page(format!("{lang} {theme}")).header("Twice-Cookies", "lang")
    });
    site.assert_end("/", "user=Ann; lang=de; theme=dark", "MISS audit_waits");
    // Another variant is another page, whoever asks.
    site.assert_end("/", "user=Bob; lang=en; theme=dark", "MISS audit_waits");
    site.assert_end("/", "user=Bob; lang=de; theme=light", "MISS audit_waits");
    // What a variant is known by tells nobody apart.
    site.assert_end("/", "theme=dark; lang=de; user=Ann", "MISS audit_waits");
    site.assert_end("/", "user=Bob; lang=de; theme=dark", "MISS stored");
    site.assert_end("/", "user=Eve; lang=de; theme=dark", "HIT hit").assert(200, "HIT", "de dark");
    site.assert_end("/", "user=Eve; lang=en; theme=dark", "MISS stored").assert(200, "MISS", "en dark");
    site.assert_end("/", "user=Ann; lang=de; theme=light", "MISS stored").assert(200, "MISS", "de light");
}

#[test]
fn a_bypassed_request_is_heard_as_any_other() {
    let site = Site::start("twice_key $uri; twice_bypass $arg_fresh;");
    site.origin.on("/", Answer::page("the same for all"));
    site.assert_end("/?fresh=1", "user=Ann", "BYPASS audit_waits");
    site.assert_end("/?fresh=1", "user=Bob", "BYPASS stored");
    site.assert_end("/?fresh=1", "user=Bob", "BYPASS stored");
    site.assert_end("/", "user=Eve", "HIT hit");
}

#[test]
fn pages_of_before_are_served_to_nobody_where_audits_begin() {
    let origin = Origin::start();
    let setup = |audit: &str| {
        Nginx::twice()
            .http(LOG)
            .location("/", format!("twice pages; twice_audit {audit}; proxy_pass {};", origin.url()))
    };
    let nginx = setup("off").start();
    let (on, off) = (nginx.setup().again(setup("on")), nginx.setup().again(setup("off")));
    let mut site = Site { nginx, origin: Origin::start() };
    origin.handle("/", |request| Answer::page(format!("Hello {}", user(request))));
    site.assert_end("/", "user=Cinderella", "MISS stored");
    site.assert_end("/", "user=Bob", "HIT hit").assert(200, "HIT", "Hello Cinderella");
    site.nginx.reload_with(|_| on.clone());
    site.assert_end("/", "user=Bob", "MISS audit_waits").assert(200, "MISS", "Hello Bob");
    // It is no witness either.
    site.assert_end("/", "user=Cinderella", "MISS audit_differs body line 1 column 7");
    site.told("/", "body line 1 column 7");
    origin.on("/", Answer::page("the same for all"));
    site.assert_end("/", "user=Bob", "MISS audit_differs body line 1 column 1");
    site.assert_end("/", "user=Ann", "MISS stored");
    // What has passed is served everywhere.
    site.nginx.reload_with(|_| off.clone());
    site.assert_end("/", "user=Eve", "HIT hit").assert(200, "HIT", "the same for all");
    site.may_tell();
    site.ends_without_secret();
}

#[test]
fn a_page_that_is_too_large_or_finds_no_room_is_not_stored() {
    let origin = Origin::start();
    let nginx = audited(&origin, "")
        .http("twice_zone small 2m max_object=8k;")
        .location("/small/", format!("twice small; twice_audit on; proxy_pass {};", origin.url()))
        .start();
    let site = Site { origin, nginx };
    site.origin.on("/small/long", Answer::page("x".repeat(9000)));
    site.origin.on("/small/short", Answer::page("x".repeat(8000)));
    site.assert_end("/small/long", "user=Ann", "MISS too_large");
    site.assert_end("/small/long", "user=Bob", "MISS too_large");
    site.assert_end("/small/short", "user=Ann", "MISS audit_waits");
    site.assert_end("/small/short", "user=Bob", "MISS stored");
}

#[test]
fn witnesses_go_like_any_other_page_when_room_is_needed() {
    let origin = Origin::start();
    let nginx = audited(&origin, "")
        .http("twice_zone small 2m;")
        .location("/small/", format!("twice small; twice_audit on; proxy_pass {};", origin.url()))
        .start();
    let site = Site { origin, nginx };
    site.origin.on("/small/*", Answer::page("x".repeat(50_000)));
    for page in 0..60 {
        site.assert_end(&format!("/small/{page}"), "user=Ann", "MISS audit_waits");
    }
    assert!(site.nginx.figure_of("small", "evicted") > 0);
    // Nobody is left to agree with.
    site.assert_end("/small/0", "user=Bob", "MISS audit_waits");
    site.assert_end("/small/0", "user=Ann", "MISS stored");
}
