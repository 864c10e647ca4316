//! Pages whose time is over: their origin is asked by what it gave itself whether they are still the same. What clients ask
//! of what is stored.
//!
//! A page lives for a second here and is expired then; stories wait for that by a page that was stored after it.

mod beside;
mod clients;
mod heads;
mod leftovers;
mod lies;
mod lines;
mod own_tags;
mod refreshes;

use fixture::{Answer, Gate, Nginx, Origin, Received, Request, Setup, nginx_version, until};

const ETAG: &str = "\"origin's\"";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn site(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always; twice_stale_factor 1;")
        .location("/", format!("twice pages; {lines} proxy_pass {};", origin.url()))
        .figures()
}

/// A stored page.
pub fn stored(lines: &str, page: Answer) -> (Origin, Nginx) {
    let origin = Origin::start();
    origin.on("/", page);
    let nginx = site(&origin, lines).start();
    nginx.get("/").warm();
    (origin, nginx)
}

fn short(body: &str) -> Answer {
    Answer::html(body).header("X-Twice-Control", "max-age=1")
}

/// With both validators.
fn named(body: &str) -> Answer {
    short(body).header("ETag", ETAG).header("Last-Modified", MODIFIED)
}

/// Its lifetime is over now, for pages that were stored before.
#[track_caller]
fn wait_over(nginx: &Nginx, origin: &Origin) {
    let path = format!("/clock{}", origin.total());
    origin.on(&path, short("clock"));
    nginx.get(&path).send();
    until("their lifetime is over", || nginx.get(&path).send().cache() == "EXPIRED");
}

/// Stores a page and waits until it has expired. From then on the origin says that it is still the same, for a minute.
#[track_caller]
fn expire(nginx: &Nginx, origin: &Origin, path: &str, page: Answer) {
    origin.on(path, page);
    nginx.get(path).send().assert_cache("MISS");
    wait_over(nginx, origin);
    origin.on(path, same());
}

/// 304, for another minute.
fn same() -> Answer {
    Answer::new(304, "").header("X-Twice-Control", "max-age=60")
}

fn condition(request: &Received) -> [Option<&str>; 2] {
    [request.header("If-None-Match"), request.header("If-Modified-Since")]
}

#[test]
fn an_expired_page_is_asked_for_by_its_own_validators() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    expire(&nginx, &origin, "/", named("page").header("X-Own", "old").header("X-Stays", "1"));
    let answer = same().header("ETag", ETAG).header("X-Own", "new").header("Content-Type", "text/plain");
    origin.on("/", answer);
    let page = nginx.get("/").header("If-None-Match", "\"client's\"").send();
    page.assert(200, "REVALIDATED", "page");
    assert_eq!(condition(&origin.last("/")), [Some(ETAG), Some(MODIFIED)]);
    assert_eq!(page.header("Cache-Status"), Some("Twice; fwd=stale; fwd-status=304; stored; ttl=60"));
    assert_eq!((page.reason(), page.header("X-Ttl"), page.header("Age")), ("stored", Some("60"), Some("0")));
    let hit = nginx.get("/").send();
    for page in [&page, &hit] {
        // RFC 9111 3.2: lines of the 304 take the place of those of their name, but for what speaks of the bytes.
        let line = |name: &str| page.all(name).join("|");
        assert_eq!((line("X-Own"), line("X-Stays")), ("new".into(), "1".into()), "{page:?}");
        assert_eq!((line("ETag"), line("Last-Modified")), (ETAG.into(), MODIFIED.into()), "{page:?}");
        assert_eq!(
            (line("Content-Type"), line("Content-Length")),
            ("text/html".into(), "4".into()),
            "{page:?}"
        );
        assert_eq!(page.header("X-Twice-Control"), None, "{page:?}");
    }
    hit.assert(200, "HIT", "page");
    assert_eq!((origin.count("/"), nginx.figure("revalidated")), (2, 1));
}

#[test]
fn a_filled_page_is_asked_for_by_what_its_visitors_never_see() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    expire(&nginx, &origin, "/", named("Hello <& get cookie name Guest &>!").header("X-Own", "old"));
    origin.on("/", same().header("X-Own", "new"));
    let page = nginx.get("/").cookie("name=Ann").send();
    page.assert(200, "REVALIDATED", "Hello Ann!");
    assert_eq!(condition(&origin.last("/")), [Some(ETAG), Some(MODIFIED)]);
    assert_eq!(page.all("Cache-Control"), ["private, no-cache"]);
    assert_eq!((page.header("X-Own"), page.header("Last-Modified")), (Some("new"), None));
    let hit = nginx.get("/").cookie("name=Ann").send();
    hit.assert(200, "HIT", "Hello Ann!");
    assert_eq!((hit.header("ETag"), hit.header("X-Own")), (page.header("ETag"), Some("new")));
    nginx.get("/").send().assert(200, "HIT", "Hello Guest!");
    // And once more: what the origin gave has stayed with the page.
    let nginx = site(&origin, "").start();
    expire(&nginx, &origin, "/", named("<& get cookie name &>"));
    for _ in 0..2 {
        origin.on("/", Answer::new(304, "").header("X-Twice-Control", "max-age=1"));
        nginx.get("/").cookie("name=Bob").send().assert(200, "REVALIDATED", "Bob");
        assert_eq!(condition(&origin.last("/")), [Some(ETAG), Some(MODIFIED)]);
        wait_over(&nginx, &origin);
    }
}

#[test]
fn a_visitor_who_has_the_page_gets_no_bytes() {
    let origin = Origin::start();
    let nginx = site(&origin, "twice_key $uri; expires 1h;").http("add_header X-Added yes;").http2().start();
    expire(&nginx, &origin, "/plain", named("page"));
    expire(&nginx, &origin, "/personal", named("Hello <& get cookie name Guest &>!"));
    let page = nginx.get("/plain").header("If-None-Match", ETAG).send();
    page.assert(304, "REVALIDATED", "");
    assert_eq!((page.header("ETag"), page.header("X-Added")), (Some(ETAG), Some("yes")));
    assert_eq!(page.header("Content-Length"), None);
    nginx.get("/plain").send().assert(200, "HIT", "page");
    let tag = nginx.get("/personal").cookie("name=Ann").send();
    tag.assert(200, "REVALIDATED", "Hello Ann!");
    let tag = tag.header("ETag").unwrap();
    // Expired once more.
    expire(&nginx, &origin, "/again", named("Hello <& get cookie name Guest &>!"));
    let first = nginx.get("/again").cookie("name=Ann").header("If-None-Match", tag);
    // The same page at another place has the same tag.
    first.send().assert(304, "REVALIDATED", "");
    nginx.get_h2("/again").cookie("name=Ann").header("If-None-Match", tag).send().assert(304, "HIT", "");
    nginx.get("/again").cookie("name=Bob").header("If-None-Match", tag).send().assert(
        200,
        "HIT",
        "Hello Bob!",
    );
    // His condition fails.
    expire(&nginx, &origin, "/match", named("page"));
    let failed = nginx.get("/match").header("If-Match", "\"other\"").send();
    assert_eq!((failed.status, failed.cache(), failed.header("X-Own")), (412, "REVALIDATED", None));
    nginx.get("/match").send().assert(200, "HIT", "page");
}

#[test]
fn a_page_that_has_changed_takes_its_place() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    expire(&nginx, &origin, "/", named("old"));
    origin.on("/", Answer::page("new").header("ETag", "\"new\""));
    nginx.get("/").send().assert(200, "EXPIRED", "new");
    assert_eq!(condition(&origin.last("/")), [Some(ETAG), Some(MODIFIED)]);
    nginx.get("/").send().assert(200, "HIT", "new");
}

#[test]
fn there_must_be_something_to_ask_by() {
    let origin = Origin::start();
    let nginx = site(&origin, "")
        .location("/off/", format!("twice pages; twice_revalidate off; proxy_pass {};", origin.url()))
        .start();
    let rows = [
        ("/none", short("page"), [None, None]),
        ("/off/", named("page"), [None, None]),
        ("/tag", short("page").header("ETag", "W/\"a\""), [Some("W/\"a\""), None]),
        ("/date", short("page").header("Last-Modified", MODIFIED), [None, Some(MODIFIED)]),
        // Sent back, these would ask something else.
        ("/any", short("page").header("ETag", "*"), [None, None]),
        ("/bad", short("page").header("ETag", "a").header("Last-Modified", "yesterday"), [None, None]),
        (
            "/gone",
            Answer::new(404, "page").header("X-Twice-Control", "max-age=1").header("ETag", ETAG),
            [None, None],
        ),
    ];
    for (path, page, _) in &rows {
        origin.on(path, page.clone());
        nginx.get(path).send().assert_cache("MISS");
    }
    wait_over(&nginx, &origin);
    for (path, _, asked) in &rows {
        origin.on(path, if *asked == [None, None] { Answer::page("new") } else { same() });
        let page = nginx.get(path).header("If-None-Match", "\"client's\"").send();
        assert_eq!(condition(&origin.last(path)), *asked, "{path}");
        let (cache, body) = if *asked == [None, None] { ("EXPIRED", "new") } else { ("REVALIDATED", "page") };
        page.assert(200, cache, body);
        nginx.get(path).send().assert(200, "HIT", body);
    }
}

#[test]
fn who_waits_for_the_answer_gets_the_page_with_it() {
    let origin = Origin::start();
    let nginx = site(&origin, "").workers(3).start();
    expire(&nginx, &origin, "/", named("page <& get cookie name Guest &>"));
    let gate = Gate::new();
    origin.on("/", same().gate(&gate));
    let clients: Vec<_> = (0..6).map(|n| nginx.get("/").cookie(&format!("name={n}")).spawn()).collect();
    gate.wait_arrived(1);
    until("the others wait", || nginx.figure("waits") == 5);
    gate.open();
    let mut revalidated = 0;
    for (n, client) in clients.into_iter().enumerate() {
        let page = client.join().unwrap();
        assert_eq!(page.text(), format!("page {n}"));
        revalidated += usize::from(page.cache() == "REVALIDATED");
    }
    assert_eq!((revalidated, origin.count("/")), (1, 2));
}

#[test]
fn what_the_304_says_decides() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    let rows = [
        ("/no-store", Answer::new(304, "").header("Cache-Control", "no-store"), "cache_control"),
        ("/private", Answer::new(304, "").header("Cache-Control", "private"), "cache_control"),
        ("/over", Answer::new(304, "").header("Cache-Control", "max-age=0"), "zero_lifetime"),
        ("/cookie", Answer::new(304, "").header("Set-Cookie", "a=1"), "set_cookie"),
        ("/vary", Answer::new(304, "").header("Vary", "*"), "varies"),
    ];
    for (path, _, _) in &rows {
        origin.on(path, Answer::html("page").header("Cache-Control", "max-age=1").header("ETag", ETAG));
        nginx.get(path).send().assert_cache("MISS");
    }
    wait_over(&nginx, &origin);
    for (path, answer, reason) in rows {
        origin.on(path, answer);
        let page = nginx.get(path).send();
        page.assert(200, "REVALIDATED", "page");
        assert_eq!(page.reason(), reason, "{path}");
        assert_eq!(page.header("Set-Cookie").is_some(), path == "/cookie");
        // It is gone: nobody asks about it any more.
        origin.on(path, Answer::html("new"));
        nginx.get(path).send().assert(200, "MISS", "new");
        assert_eq!(condition(&origin.last(path)), [None, None], "{path}");
    }
}

#[test]
fn a_purge_in_between_counts() {
    for soft in [false, true] {
        let origin = Origin::start();
        let nginx =
            site(&origin, "").location("/purge", "twice_purge pages; allow 127.0.0.1; deny all;").start();
        expire(&nginx, &origin, "/a", named("old"));
        let gate = Gate::new();
        origin.on("/a", same().gate(&gate));
        let waiting = nginx.get("/a").spawn();
        gate.wait_arrived(1);
        let purge = nginx.get("/purge").header("Content-Type", "application/json");
        let purged = purge.body(format!("{{\"urls\":[\"/a\"],\"soft\":{soft}}}")).send();
        assert_eq!(purged.status, 200, "{purged:?}");
        gate.open();
        // Its own client gets it: he had asked before.
        let page = waiting.join().unwrap();
        page.assert(200, "REVALIDATED", "old");
        assert_eq!(
            (page.reason(), page.header("Cache-Status")),
            ("purged", Some("Twice; fwd=stale; fwd-status=304; ttl=60"))
        );
        origin.on("/a", Answer::page("new"));
        let page = nginx.get("/a").send();
        assert_eq!((page.text().as_str(), page.cache() == "HIT"), ("new", false), "{soft}");
    }
}

#[test]
fn each_variant_is_asked_for_by_its_own() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    let of = |request: &Received| request.cookie("lang").unwrap_or("none").to_owned();
    origin.handle("/", move |request| {
        let lang = of(request);
        let tag = format!("\"{lang}\"");
        short(&lang).header("Vary", "Cookie").header("Twice-Cookies", "lang").header("ETag", tag)
    });
    origin.on("/clock", short("clock"));
    for lang in ["en", "de"] {
        nginx.get("/").cookie(&format!("lang={lang}")).send().assert(200, "MISS", lang);
    }
    wait_over(&nginx, &origin);
    origin.handle("/", move |request| {
        let lang = of(request);
        let same = request.header("If-None-Match") == Some(&format!("\"{lang}\""));
        // The variant's steering lines are left out, and hold.
        if same {
            Answer::new(304, "").header("X-Twice-Control", "max-age=60")
        } else {
            Answer::new(500, "bad")
        }
    });
    for cache in ["REVALIDATED", "HIT"] {
        for lang in ["en", "de"] {
            let page = nginx.get("/").cookie(&format!("lang={lang}")).send();
            page.assert(200, cache, lang);
            assert_eq!(page.all("Vary"), ["Cookie"]);
        }
    }
    assert_eq!(origin.count("/"), 4);
}

#[test]
fn a_large_page_is_renewed_where_it_is() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    let text: String = (0..40_000).map(|n| format!("{n} ")).collect();
    expire(&nginx, &origin, "/plain", named(&text));
    expire(&nginx, &origin, "/tags", named(&format!("{text}<& get cookie name Guest &>{text}")));
    for cache in ["REVALIDATED", "HIT"] {
        nginx.get("/plain").send().assert(200, cache, &text);
        nginx.get("/tags").cookie("name=Ann").send().assert(200, cache, &format!("{text}Ann{text}"));
    }
    nginx.get("/plain").range("-6").send().assert(206, "HIT", "39999 ");
}

#[test]
fn pages_of_another_configuration_are_made_anew() {
    let origin = Origin::start();
    let mut nginx = site(&origin, "").start();
    expire(&nginx, &origin, "/", named("[[ get cookie name Guest ]]<& get cookie name Guest &>"));
    origin.on("/", named("[[ get cookie name Guest ]]<& get cookie name Guest &>"));
    nginx.reload_with(|setup| setup.http("twice_delimiters [[ ]];"));
    let page = nginx.get("/").cookie("name=Ann").send();
    page.assert(200, "EXPIRED", "Ann<& get cookie name Guest &>");
    assert_eq!(condition(&origin.last("/")), [None, None]);
}

#[test]
fn lines_of_a_former_name_do_not_come_out_with_a_304() {
    let origin = Origin::start();
    let mut nginx = site(&origin, "").start();
    expire(&nginx, &origin, "/", named("page").header("Twice-Cookies", "lang"));
    origin.handle("/", |request| match condition(request) {
        [None, None] => Answer::html("page").header("X-Own-Control", "max-age=60"),
        _ => Answer::new(304, "").header("X-Own-Control", "max-age=60"),
    });
    nginx.reload_with(|setup| setup.http("twice_headers control=X-Own-Control cookies=X-Own-Cookies;"));
    for cache in ["EXPIRED", "HIT"] {
        let page = nginx.get("/").send();
        page.assert(200, cache, "page");
        assert_eq!(["X-Twice-Control", "Twice-Cookies"].map(|name| page.header(name)), [None, None]);
    }
}

#[test]
fn pages_with_values_that_come_later_are_renewed_too() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    let gate = Gate::new();
    origin.on("/part", Answer::html("part").gate(&gate));
    gate.open();
    expire(&nginx, &origin, "/", named("a <& include /part &> <& get cookie name Guest &>"));
    let gate = Gate::new();
    origin.on("/part", Answer::html("PART").gate(&gate));
    let waiting = nginx.get("/").cookie("name=Ann").spawn();
    gate.wait_arrived(1);
    gate.open();
    waiting.join().unwrap().assert(200, "REVALIDATED", "a PART Ann");
    nginx.get("/").send().assert(200, "HIT", "a PART Guest");
}

#[test]
fn what_is_loaded_from_a_snapshot_can_be_asked_about() {
    let origin = Origin::start();
    let setup = Nginx::bare()
        .http("twice_zone pages 16m snapshot=pages.snap; add_header X-Cache $twice_cache_status always;")
        .location("/", format!("twice pages; twice_use_stale error; proxy_pass {};", origin.url()));
    let nginx = setup.start();
    origin.on("/", named("Hello <& get cookie name Guest &>!"));
    nginx.get("/").send().assert_cache("MISS");
    drop(nginx);
    // What a HEAD is told renews nothing.
    let answer = |request: &Received| if request.method == "HEAD" { Answer::new(404, "") } else { same() };
    origin.handle("/", answer);
    let nginx = setup.start();
    until("the snapshot is loaded", || nginx.log_count("was loaded") > 0);
    until("it has expired", || nginx.get("/").head().send().cache() != "HIT");
    let page: Request = nginx.get("/").cookie("name=Ann");
    page.send().assert(200, "REVALIDATED", "Hello Ann!");
    page.send().assert(200, "HIT", "Hello Ann!");
}

#[test]
fn fragments_are_asked_for_as_pages_are_and_pages_wait_for_them() {
    let origin = Origin::start();
    let nginx = site(&origin, "twice_include_timeout 10m;").start();
    origin.on("/part", named("<& get cookie name Guest &>"));
    expire(&nginx, &origin, "/", named("a <& include /part &> b"));
    let gate = Gate::new();
    origin.on("/part", same().gate(&gate));
    let waiting = nginx.get("/").cookie("name=Ann").spawn();
    gate.wait_arrived(1);
    gate.open();
    waiting.join().unwrap().assert(200, "REVALIDATED", "a Ann b");
    assert_eq!(condition(&origin.last("/part")), [Some(ETAG), Some(MODIFIED)]);
    nginx.get("/").send().assert(200, "HIT", "a Guest b");
    assert_eq!((origin.count("/"), origin.count("/part"), nginx.figure("revalidated")), (2, 2, 2));
}

#[test]
fn a_304_may_say_that_the_page_varies_from_now_on() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    origin.handle("/*", |request| {
        let of = request.header("X-Of").unwrap_or("-").to_owned();
        let tag = format!("\"{of}\"");
        if request.header("If-None-Match") == Some(&tag) {
            return same().header("Vary", "X-Of");
        }
        short(&of).header("ETag", tag)
    });
    nginx.get("/").header("X-Of", "a").send().assert(200, "MISS", "a");
    wait_over(&nginx, &origin);
    nginx.get("/").header("X-Of", "a").send().assert(200, "REVALIDATED", "a");
    let hit = nginx.get("/").header("X-Of", "a").send();
    hit.assert(200, "HIT", "a");
    assert_eq!(hit.all("Vary"), ["X-Of"]);
    nginx.get("/").header("X-Of", "b").send().assert(200, "MISS", "b");
    nginx.get("/").header("X-Of", "a").send().assert(200, "HIT", "a");
}
