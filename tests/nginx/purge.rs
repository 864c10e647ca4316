//! Purges: by URL, prefix, surrogate key and zone, hard and soft; who may, and what happens to fetches under way.

mod commands;
mod under_way;
mod urls;

use fixture::{Answer, Nginx, Origin, Request, Response, Setup};

/// A site whose pages last for an hour, with a purge endpoint.
pub fn site(origin: &Origin) -> Setup {
    Nginx::twice()
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .location("/_twice/purge", "twice_purge pages;")
        .figures()
}

pub fn page(body: &str) -> Answer {
    Answer::html(body).header("X-Twice-Control", "max-age=3600")
}

pub fn purge(nginx: &Nginx, target: &str) -> Request {
    nginx.get(&format!("/_twice/purge{target}")).method("PURGE")
}

pub fn command(nginx: &Nginx, json: &str) -> Response {
    nginx.get("/_twice/purge").method("POST").body(json).send()
}

/// The page comes from the store, whichever worker is asked.
#[track_caller]
pub fn stays(nginx: &Nginx, path: &str) {
    for _ in 0..6 {
        nginx.get(path).send().assert_cache("HIT");
    }
}

/// The page is gone for all workers: each has been asked before. Then it is stored anew.
#[track_caller]
pub fn is_gone(nginx: &Nginx, path: &str) {
    nginx.get(path).send().assert_cache("MISS");
    nginx.get(path).warm();
}

#[test]
fn by_url() {
    let origin = Origin::start();
    for path in ["/a", "/ab", "/a/b"] {
        origin.on(path, page("x"));
    }
    let nginx = site(&origin).start();
    let all = ["/a", "/a?x=1", "/ab", "/a/b"];
    for path in all {
        nginx.get(path).warm();
    }
    let done = purge(&nginx, "/a").send();
    assert_eq!(done.status, 200);
    assert_eq!(done.header("Content-Type"), Some("application/json"));
    assert_eq!(done.header("Cache-Control"), Some("no-store"));
    let value: serde_json::Value = serde_json::from_slice(&done.body).unwrap();
    assert_eq!((&value["urls"], &value["soft"]), (&1.into(), &false.into()));
    for path in &all[1..] {
        stays(&nginx, path);
    }
    is_gone(&nginx, "/a");
    purge(&nginx, "/a?x=1").send();
    stays(&nginx, "/a");
    is_gone(&nginx, "/a?x=1");
    // By now everything was looked at again.
    stays(&nginx, "/ab");
    assert_eq!(nginx.figure("purges"), 2);
    assert_eq!(nginx.figure("purged"), 2);
}

#[test]
fn a_url_is_gone_however_it_was_reached() {
    let origin = Origin::start();
    origin.on("/a", page("x"));
    let nginx = site(&origin).start();
    let hosts = ["example.com", "EXAMPLE.com:80", "example.com.:8080"];
    for host in hosts {
        nginx.get("/a").header("Host", host).warm();
    }
    nginx.get("/a").header("Host", "other.com").warm();
    purge(&nginx, "/a").header("Host", "example.com:99").send();
    for host in hosts {
        nginx.get("/a").header("Host", host).send().assert_cache("MISS");
    }
    nginx.get("/a").header("Host", "other.com").send().assert_cache("HIT");
    command(&nginx, r#"{"urls":["https://Other.com:1/a"]}"#);
    nginx.get("/a").header("Host", "other.com").send().assert_cache("MISS");
}

#[test]
fn by_prefix() {
    let origin = Origin::start();
    for path in ["/blog/1", "/blog/2", "/blog", "/shop/1"] {
        origin.on(path, page("x"));
    }
    let nginx = site(&origin).start();
    for path in ["/blog/1", "/blog/2", "/blog", "/shop/1"] {
        nginx.get(path).warm();
    }
    let done = purge(&nginx, "/blog/?prefix=1").send();
    assert!(done.text().contains("\"prefixes\":1"), "{done:?}");
    stays(&nginx, "/shop/1");
    stays(&nginx, "/blog");
    is_gone(&nginx, "/blog/1");
    is_gone(&nginx, "/blog/2");
    command(&nginx, r#"{"prefixes":["/"]}"#);
    for path in ["/blog/1", "/blog/2", "/blog", "/shop/1"] {
        is_gone(&nginx, path);
    }
}

#[test]
fn more_prefixes_than_are_remembered_at_once() {
    let origin = Origin::start();
    origin.on("/kept", page("x"));
    let nginx = site(&origin).start();
    nginx.get("/kept").warm();
    // A zone of 16 MB remembers 64 until they are swept, which a purge of a prefix starts.
    for n in 0..300 {
        fixture::until("there is room for one more", || {
            let done = purge(&nginx, &format!("/p{n}/?prefix=1")).send();
            assert!(matches!(done.status, 200 | 503), "{done:?}");
            done.status == 200
        });
    }
    stays(&nginx, "/kept");
}

#[test]
fn a_page_stays_marked_stale_when_the_prefix_is_forgotten() {
    let origin = Origin::start();
    origin.on("/a/1", page("x"));
    let nginx = site(&origin).start();
    nginx.get("/a/1").warm();
    purge(&nginx, "/a/?prefix=1&soft=1").send();
    // A zone of 16 MB remembers 64: by then the first one has given its place to another one.
    for n in 0..130 {
        fixture::until("there is room for one more", || {
            purge(&nginx, &format!("/p{n}/?prefix=1")).send().status == 200
        });
    }
    nginx.get("/a/1").send().assert_cache("STALE");
}

#[test]
fn by_surrogate_key() {
    let origin = Origin::start();
    origin.on("/1", page("x").header("Surrogate-Key", "red green").header("Cache-Tag", "a,b , c"));
    origin.on("/2", page("x").header("surrogate-key", "green").header("Surrogate-Key", "blue"));
    origin.on("/3", page("x"));
    let nginx = site(&origin).start();
    for path in ["/1", "/2", "/3"] {
        let page = nginx.get(path).send();
        assert!(page.header("Surrogate-Key").is_none() && page.header("Cache-Tag").is_none());
        nginx.get(path).warm();
    }
    for (key, gone, stay) in [
        ("red", &["/1"][..], &["/2", "/3"][..]),
        ("green", &["/1", "/2"], &["/3"]),
        ("blue", &["/2"], &["/1", "/3"]),
        ("b", &["/1"], &["/2", "/3"]),
        ("none", &[], &["/1", "/2", "/3"]),
        ("Red", &[], &["/1", "/2", "/3"]),
    ] {
        let done = command(&nginx, &format!("{{\"keys\":[\"{key}\"]}}"));
        assert_eq!(done.status, 200);
        for path in stay {
            stays(&nginx, path);
        }
        for path in gone {
            is_gone(&nginx, path);
        }
    }
}

#[test]
fn many_keys_on_long_lines_are_no_error_to_the_client() {
    let origin = Origin::start();
    let keys = |count: usize| (0..count).map(|n| format!("key-{n} ")).collect::<String>();
    // nginx's proxy takes a header of `proxy_buffer_size`.
    origin.on("/many", page("x").header("Surrogate-Key", keys(1000)).header("Surrogate-Key", "last"));
    origin.on("/too-many", page("x").header("Surrogate-Key", keys(4097)));
    let nginx = site(&origin)
        .http("proxy_buffer_size 256k; proxy_buffers 8 256k; proxy_busy_buffers_size 512k;")
        .start();
    nginx.get("/many").warm();
    command(&nginx, r#"{"keys":["key-999"]}"#);
    is_gone(&nginx, "/many");
    command(&nginx, r#"{"keys":["last"]}"#);
    is_gone(&nginx, "/many");
    for _ in 0..2 {
        let page = nginx.get("/too-many").send();
        page.assert(200, "MISS", "x");
        assert_eq!(page.reason(), "too_many_keys");
    }
}

#[test]
fn the_whole_zone_and_no_other() {
    let origin = Origin::start();
    for n in 0..50 {
        origin.on(&format!("/{n}"), page("x"));
        origin.on(&format!("/other/{n}"), page("x"));
    }
    let nginx = site(&origin)
        .http("twice_zone other 8m;")
        .location("/other/", format!("twice other; proxy_pass {};", origin.url()))
        .start();
    for n in 0..50 {
        nginx.get(&format!("/{n}")).warm();
        nginx.get(&format!("/other/{n}")).warm();
    }
    let done = command(&nginx, r#"{"all":true}"#);
    assert!(done.text().contains("\"all\":true"), "{done:?}");
    for n in 0..50 {
        nginx.get(&format!("/other/{n}")).send().assert_cache("HIT");
        nginx.get(&format!("/{n}")).send().assert_cache("MISS");
    }
}

#[test]
fn what_was_purged_is_swept_out_of_memory() {
    let origin = Origin::start();
    for n in 0..200 {
        origin.on(&format!("/{n}"), page("x"));
    }
    let nginx = site(&origin).start();
    for n in 0..200 {
        nginx.get(&format!("/{n}")).send();
    }
    fixture::until("all are stored", || nginx.figure("pages") == 200);
    command(&nginx, r#"{"all":true}"#);
    fixture::until("none is left", || nginx.figure("pages") == 0);
    assert_eq!(nginx.figure("purged"), 200);
}

#[test]
fn a_soft_purge_has_the_page_fetched_again() {
    let origin = Origin::start();
    origin.on("/a", page("old").header("Surrogate-Key", "k"));
    let nginx = site(&origin).start();
    nginx.get("/a").warm();
    for json in [
        r#"{"urls":["/a"],"soft":true}"#,
        r#"{"keys":["k"],"soft":true}"#,
        r#"{"prefixes":["/"],"soft":true}"#,
        r#"{"all":true,"soft":true}"#,
    ] {
        let count = origin.count("/a");
        command(&nginx, json);
        // Its page is stale: the next request, or one soon after, has it fetched anew.
        fixture::until("it was fetched again", || {
            nginx.get("/a").send();
            origin.count("/a") > count
        });
        nginx.get("/a").warm();
    }
    assert_eq!(nginx.figure("purged"), 0);
}

#[test]
fn an_unsafe_method_that_succeeds_invalidates_its_url() {
    let origin = Origin::start();
    origin.handle("/a", |request| match request.method.as_str() {
        "GET" | "HEAD" => page("x"),
        "POST" => Answer::new(303, "").header("Location", "/a"),
        "PUT" => Answer::new(200, "ok"),
        "DELETE" => Answer::new(204, ""),
        "PATCH" => Answer::new(422, "no"),
        _ => Answer::new(200, ""),
    });
    origin.on("/b", page("x"));
    let nginx = site(&origin).start();
    nginx.get("/b").warm();
    for (method, gone) in
        [("POST", true), ("PUT", true), ("DELETE", true), ("PATCH", false), ("OPTIONS", false)]
    {
        nginx.get("/a").warm();
        nginx.get("/a").method(method).send();
        if gone {
            nginx.get("/a").send().assert_cache("MISS");
        } else {
            stays(&nginx, "/a");
        }
        stays(&nginx, "/b");
    }
}

#[test]
fn an_unsafe_method_invalidates_what_its_answer_names() {
    let origin = Origin::start();
    for path in ["/list", "/list/1", "/other"] {
        origin.on(path, page("x"));
    }
    let nginx = site(&origin).start();
    let own = nginx.url("");
    let cases = [
        // What was made, and what the answer is about.
        (201, "Location", "/list".to_owned(), true),
        (200, "Location", "../list?".to_owned(), true),
        (200, "Content-Location", format!("{own}/list"), true),
        (303, "Content-Location", "/x/../list".to_owned(), true),
        // Where the visitor goes next.
        (303, "Location", "/list".to_owned(), false),
        // Another origin, by host, port or scheme.
        (200, "Content-Location", "//b.example/list".to_owned(), false),
        (200, "Content-Location", "http://127.0.0.1:1/list".to_owned(), false),
        (200, "Content-Location", own.replace("http", "https") + "/list", false),
        // It did not succeed.
        (409, "Content-Location", "/list".to_owned(), false),
    ];
    for (number, (status, header, value, gone)) in cases.into_iter().enumerate() {
        let path = format!("/do/{number}");
        origin.on(&path, Answer::new(status, "").header(header, &value));
        for path in ["/list", "/list/1", "/other"] {
            nginx.get(path).warm();
        }
        assert_eq!(nginx.get(&path).method("POST").send().status, status);
        let after = nginx.get("/list").send();
        assert_eq!(
            after.header("X-Cache"),
            Some(if gone { "MISS" } else { "HIT" }),
            "{status} {header}: {value}"
        );
        stays(&nginx, "/list/1");
        stays(&nginx, "/other");
    }
}

#[test]
fn an_unsafe_method_invalidates_its_url_wherever_nginx_sends_it_on() {
    let origin = Origin::start();
    let sent_on = |to: &str| Answer::new(200, "").header("X-Accel-Redirect", to);
    origin.handle("/a", move |request| match request.method.as_str() {
        "GET" => page("x"),
        "POST" => sent_on("/plain/done"),
        "PUT" => sent_on("/stored/done"),
        _ => sent_on("/none"),
    });
    origin.on("/plain/done", Answer::html("done"));
    origin.on("/stored/done", page("done"));
    let nginx = site(&origin)
        .location("/plain/", format!("internal; proxy_pass {};", origin.url()))
        .location("/stored/", format!("internal; twice pages; proxy_pass {};", origin.url()))
        .location("/none", "internal; return 404;")
        .start();
    for (method, gone) in [("POST", true), ("PUT", true), ("PUT", true), ("DELETE", false)] {
        nginx.get("/a").warm();
        let done = nginx.get("/a").method(method).send();
        assert_eq!(done.status, if gone { 200 } else { 404 });
        nginx.get("/a").send().assert_cache(if gone { "MISS" } else { "HIT" });
    }
}

#[test]
fn all_variants_of_a_url_go_at_once() {
    let origin = Origin::start();
    let varied = |body: &str| page(body).header("Twice-Cookies", "lang").header("Surrogate-Key", "k");
    origin.on("/a", varied("old"));
    let nginx = site(&origin).start();
    let ask = |lang: &str| nginx.get("/a").cookie(&format!("lang={lang}"));
    for (round, json) in
        [r#"{"urls":["/a"]}"#, r#"{"keys":["k"]}"#, r#"{"prefixes":["/"]}"#, r#"{"all":true}"#]
            .iter()
            .enumerate()
    {
        for lang in ["de", "fr", "en"] {
            ask(lang).warm();
        }
        command(&nginx, json);
        origin.on("/a", varied(&format!("new {round}")));
        for lang in ["de", "fr", "en"] {
            ask(lang).send().assert(200, "MISS", &format!("new {round}"));
        }
    }
    // A page that varies no more does so from then on.
    origin.on("/a", page("plain"));
    command(&nginx, r#"{"urls":["/a"]}"#);
    ask("de").send().assert_cache("MISS");
    ask("xx").warm();
    assert_eq!(nginx.get("/a").send().cache(), "HIT");
}

#[test]
fn arguments_that_do_not_count_do_not_hide_a_page() {
    let origin = Origin::start();
    origin.on("/a", page("x"));
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; twice_ignore_args utm_*; proxy_pass {};", origin.url()))
        .location("/_twice/purge", "twice_purge pages;")
        .start();
    nginx.get("/a?utm_source=x").warm();
    nginx.get("/a").send().assert_cache("HIT");
    purge(&nginx, "/a").send();
    nginx.get("/a").send().assert_cache("MISS");
}
