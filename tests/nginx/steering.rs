//! What an app says in its headers, what a location says in its directives, and who gets to see it.

use fixture::{Answer, Nginx, Origin, Response, Setup, until_some};

fn cached(origin: &Origin) -> Setup {
    cached_with(origin, "")
}

fn cached_with(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always; add_header X-Page-Age $twice_age always;")
        .location("/", format!("twice pages; {lines} proxy_pass {};", origin.url()))
}

/// Each answer at a path of its own: `/folder/0`, `/folder/1`, ...
fn each(origin: &Origin, folder: &str, answers: impl IntoIterator<Item = Answer>) -> Vec<String> {
    let paths = answers.into_iter().enumerate().map(|(n, answer)| {
        let path = format!("/{folder}/{n}");
        origin.on(&path, answer);
        path
    });
    paths.collect()
}

/// Not stored, and for this reason: every request comes to the origin.
#[track_caller]
fn never_stored(nginx: &Nginx, origin: &Origin, path: &str, reason: &str) -> Response {
    let mut last = Response::default();
    for count in 1..=3 {
        last = nginx.get(path).send();
        assert_eq!((last.cache(), last.reason()), ("MISS", reason), "{path}: {last:?}");
        assert_eq!(origin.count(path), count, "{path}: {last:?}");
    }
    last
}

/// Stored, for about so long.
#[track_caller]
fn stored(nginx: &Nginx, path: &str, seconds: u64) -> Response {
    let page = nginx.get(path).warm();
    let ttl: u64 = page.header("X-Ttl").unwrap_or_default().parse().unwrap_or(0);
    assert!(ttl <= seconds && ttl + 10 >= seconds, "{path}: {ttl} s, expected {seconds}: {page:?}");
    page
}

fn control(value: &str) -> Answer {
    Answer::html("x").header("X-Twice-Control", value)
}

fn caching(value: &str) -> Answer {
    Answer::html("x").header("Cache-Control", value)
}

#[test]
fn the_control_header_is_read_leniently() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let values = [
        "max-age=60",
        "MAX-AGE=60",
        "Max-Age = 60",
        "max-age=\"60\"",
        "  max-age=60  ",
        "max-age=60; no-such=1",
        "max-age=60;no-such",
        "no-such=\"a, max-age=5; b\", max-age=60",
        "stale-while-revalidate=9,max-age=60,,;",
        ";;,max-age=60",
        "max-age=060",
        "max-age=60, max-age=90",
    ];
    for (path, value) in each(&origin, "x", values.map(control)).iter().zip(values) {
        let page = stored(&nginx, path, 60);
        assert_eq!((page.reason(), page.header("X-Twice-Control")), ("hit", None), "{value}");
    }
    origin.on("/lines", control("max-age=90").header("x-twice-control", "max-age=60"));
    stored(&nginx, "/lines", 60);
}

#[test]
fn a_lifetime_that_is_no_number_counts_as_not_given() {
    let origin = Origin::start();
    let nginx = cached(&origin)
        .location("/valid/", format!("twice pages; twice_valid 50s; proxy_pass {};", origin.url()))
        .start();
    let values = [
        "max-age=abc",
        "max-age=-1",
        "max-age=",
        "max-age",
        "max-age=0x10",
        "max-age=1.5",
        "max-age=60s",
        "max-age=+1",
        "max-age=\"",
        "max-age=1 2",
    ];
    for (path, value) in each(&origin, "x", values.map(control)).iter().zip(values) {
        never_stored(&nginx, &origin, path, "no_lifetime");
        nginx.expect_log(&format!(
            "\"X-Twice-Control: {}\" holds no number of seconds, taken as not given",
            value.escape_default()
        ));
        // As if it were not there: the location's own lifetime holds, or what ordinary headers say.
        origin.on(&format!("/valid{path}"), control(value));
        stored(&nginx, &format!("/valid{path}"), 50);
    }
    origin.on("/plain", control("max-age=abc").header("Cache-Control", "max-age=40"));
    stored(&nginx, "/plain", 40);
    nginx.expect_log("holds no number of seconds, taken as not given");
    // The good one of two counts.
    origin.on("/two", control("max-age=abc, max-age=40"));
    stored(&nginx, "/two", 40);
}

#[test]
fn a_lifetime_that_is_too_large_saturates() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    const MOST: u64 = 1 << 31;
    let values = [
        "4294967297",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "10000000000000000000000",
    ];
    let answers = values.iter().map(|value| control(&format!("max-age={value}")));
    for path in each(&origin, "x", answers) {
        stored(&nginx, &path, MOST);
        nginx.get(&path).send().assert(200, "HIT", "x");
    }
    nginx.expect_log("holds a number that is too large, taken as 2147483648 seconds");
    origin.on("/most", control("max-age=2147483647"));
    stored(&nginx, "/most", MOST - 1);
    origin.on("/s", caching("s-maxage=99999999999999999999999999"));
    stored(&nginx, "/s", MOST);
}

#[test]
fn a_lifetime_of_zero_is_not_stored() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid 1h;").start();
    let answers = [
        control("max-age=0"),
        control("max-age=00"),
        control("max-age=60, max-age=0"),
        caching("max-age=0"),
        caching("s-maxage=0, max-age=60"),
        Answer::html("x").header("Expires", "0"),
        Answer::html("x").header("Expires", "Thu, 01 Jan 1970 00:00:01 GMT"),
        Answer::html("x").header("Expires", "tomorrow"),
        Answer::new(404, "x").header("X-Twice-Control", "max-age=0"),
    ];
    for path in each(&origin, "x", answers) {
        never_stored(&nginx, &origin, &path, "zero_lifetime");
    }
}

#[test]
fn without_a_lifetime_nothing_is_stored() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let answers = [
        Answer::html("x"),
        control("no-tags"),
        control(""),
        caching("public"),
        Answer::html("x").header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT").header("ETag", "\"x\""),
        Answer::new(404, "x"),
        Answer::new(301, "x").header("Location", "/y"),
    ];
    for path in each(&origin, "x", answers) {
        never_stored(&nginx, &origin, &path, "no_lifetime");
    }
}

#[test]
fn a_missing_page_is_kept_for_thirty_seconds() {
    let origin = Origin::start();
    let nginx = cached(&origin)
        .location("/valid/", format!("twice pages; twice_valid 404 5m; proxy_pass {};", origin.url()))
        .start();
    for (path, value, seconds) in
        [("/a", "max-age=600", 30), ("/b", "", 30), ("/c", "max-age=20", 20), ("/d", "no-tags", 30)]
    {
        origin.on(path, Answer::new(404, "gone").header("X-Twice-Control", value));
        stored(&nginx, path, seconds).assert(404, "HIT", "gone");
    }
    origin.on("/valid/a", Answer::new(404, "gone").header("X-Twice-Control", "max-age=600"));
    stored(&nginx, "/valid/a", 600).assert(404, "HIT", "gone");
    origin.on("/valid/b", Answer::new(404, "gone").header("X-Twice-Control", ""));
    stored(&nginx, "/valid/b", 300).assert(404, "HIT", "gone");
    origin.on("/valid/c", Answer::new(404, "gone"));
    stored(&nginx, "/valid/c", 300).assert(404, "HIT", "gone");
}

#[test]
fn some_statuses_are_never_stored() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid any 1h; proxy_http_version 1.1;").start();
    let never = [206, 303, 307, 401, 403, 407, 408, 413, 429, 431, 500, 501, 502, 503, 504, 505, 599];
    for status in never {
        let path = format!("/{status}");
        let answer = Answer::new(status, "x").header("Content-Type", "text/html");
        origin.on(&path, answer.clone().header("X-Twice-Control", "max-age=60"));
        let page = never_stored(&nginx, &origin, &path, "status");
        assert_eq!((page.status, page.text().as_str()), (status, "x"));
        let path = format!("/plain{status}");
        origin.on(&path, answer.header("Cache-Control", "public, max-age=60"));
        never_stored(&nginx, &origin, &path, "status");
    }
    // Without being asked for: an origin's own mistake.
    origin.on("/304", Answer::new(304, "").header("X-Twice-Control", "max-age=60"));
    assert_eq!(never_stored(&nginx, &origin, "/304", "status").status, 304);
    origin.on("/304", Answer::page("whole"));
    nginx.get("/304").warm().assert(200, "HIT", "whole");
}

#[test]
fn a_status_that_may_be_stored_is_stored_with_all_it_says() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    for status in [200, 203, 300, 301, 302, 308, 404, 410] {
        let path = format!("/{status}");
        let answer =
            Answer::new(status, "x").header("Content-Type", "text/html").header("Location", "/there");
        origin.on(&path, answer.header("X-Twice-Control", "max-age=25"));
        let miss = nginx.get(&path).send();
        assert_eq!((miss.status, miss.cache(), miss.header("Location")), (status, "MISS", Some("/there")));
        let hit = stored(&nginx, &path, 25);
        hit.assert(status, "HIT", "x");
        assert_eq!(hit.header("Location"), Some("/there"), "{hit:?}");
    }
}

#[test]
fn a_status_that_ordinary_headers_do_not_store() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    for status in [300, 302, 400, 403, 405, 414, 418, 451] {
        let path = format!("/{status}");
        origin.on(
            &path,
            Answer::new(status, "x").header("Cache-Control", "max-age=60").header("Location", "/y"),
        );
        never_stored(&nginx, &origin, &path, "status");
    }
}

#[test]
fn the_locations_lifetimes_hold_where_the_app_states_none() {
    let origin = Origin::start();
    let lines = "twice_valid 404 410 20s; twice_valid 10m; twice_valid 410 1h; twice_valid 203 0;";
    let nginx = cached_with(&origin, lines)
        .location(
            "/any/",
            format!("twice pages; twice_valid 302 2m; twice_valid any 3m; proxy_pass {};", origin.url()),
        )
        .start();
    for (status, seconds) in [(200, 600), (301, 600), (302, 600), (404, 20), (410, 20)] {
        let path = format!("/{status}");
        origin.on(&path, Answer::new(status, "x").header("Location", "/y"));
        stored(&nginx, &path, seconds).assert(status, "HIT", "x");
        let path = format!("/any/{status}");
        origin.on(&path, Answer::new(status, "x").header("Location", "/y"));
        stored(&nginx, &path, if status == 302 { 120 } else { 180 });
    }
    origin.on("/203", Answer::new(203, "x"));
    never_stored(&nginx, &origin, "/203", "zero_lifetime");
    origin.on("/418", Answer::new(418, "x"));
    never_stored(&nginx, &origin, "/418", "no_lifetime");
    // What the app states goes first.
    origin.on("/own", control("max-age=40"));
    stored(&nginx, "/own", 40);
    origin.on("/cc", caching("max-age=40"));
    stored(&nginx, "/cc", 40);
}

#[test]
fn ordinary_headers_steer_where_the_control_header_does_not() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let good = [
        caching("max-age=60"),
        caching("public, MAX-AGE=\"60\""),
        caching("max-age=10, s-maxage=60"),
        caching("public").header("Cache-Control", "max-age=60"),
        caching("max-age=60").header("Expires", "0"),
        caching("s-maxage=60").header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
        caching("must-revalidate, max-age=60"),
    ];
    for path in each(&origin, "good", good) {
        let page = stored(&nginx, &path, 60);
        assert!(page.header("Cache-Control").is_some(), "{page:?}");
    }
    let bad = [
        "private",
        "no-store",
        "no-cache",
        "max-age=60, private",
        "NO-STORE, max-age=60",
        "private=\"X-Own\", max-age=60",
        "no-cache=\"Set-Cookie\", s-maxage=9",
        "public,no-store;max-age=60",
    ];
    let two_lines = caching("max-age=60").header("Cache-Control", "private");
    for path in each(&origin, "bad", bad.map(caching).into_iter().chain([two_lines])) {
        never_stored(&nginx, &origin, &path, "cache_control");
    }
    origin.on("/year", Answer::html("x").header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"));
    nginx.get("/year").warm();
}

#[test]
fn the_control_header_outranks_what_is_written_for_other_caches() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let values = ["private", "no-store, no-cache, must-revalidate", "max-age=0", "max-age=5"];
    for (n, value) in values.into_iter().enumerate() {
        let path = format!("/{n}");
        origin.on(&path, control("max-age=60").header("Cache-Control", value).header("Expires", "0"));
        let page = stored(&nginx, &path, 60);
        assert_eq!((page.header("Cache-Control"), page.header("Expires")), (Some(value), Some("0")));
    }
}

#[test]
fn a_cookie_goes_to_the_visitor_that_caused_the_fetch_and_to_nobody_else() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid any 1h;").start();
    origin.on(
        "/",
        Answer::page("x").header("Set-Cookie", "sid=1").header("Set-Cookie", "b=2").header("X-Kept", "y"),
    );
    let miss = nginx.get("/").send();
    assert_eq!((miss.cache(), miss.all("Set-Cookie")), ("MISS", vec!["sid=1", "b=2"]));
    let hit = nginx.get("/").warm();
    assert_eq!((hit.all("Set-Cookie"), hit.header("X-Kept")), (vec![], Some("y")));
    // Without the control header such an answer is one visitor's.
    let answers = [
        Answer::html("x").header("Cache-Control", "public, max-age=60"),
        Answer::html("x").header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
        Answer::html("x"),
        Answer::html("x").header("X-Twice-Control", "no-tags"),
    ];
    let answers = answers.map(|answer| answer.header("set-cookie", "sid=1"));
    for path in each(&origin, "plain", answers) {
        let page = never_stored(&nginx, &origin, &path, "set_cookie");
        assert_eq!(page.header("Set-Cookie"), Some("sid=1"));
    }
}

#[test]
fn an_answer_to_a_password_is_shared_only_where_it_says_so() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid 201 1h;").start();
    let secret = ["max-age=60", "max-age=60, stale-while-revalidate=5"];
    for path in each(&origin, "secret", secret.map(caching)) {
        for count in 1..=2 {
            let page = nginx.get(&path).header("Authorization", "Basic dTpw").send();
            assert_eq!((page.cache(), page.reason(), origin.count(&path)), ("MISS", "authorization", count));
        }
        assert_eq!(origin.last(&path).header("Authorization"), Some("Basic dTpw"));
        // Whoever has none gets what the origin gives to everybody.
        nginx.get(&path).send().assert_cache("MISS");
        nginx.get(&path).warm();
    }
    origin.on("/valid", Answer::new(201, "x"));
    assert_eq!(nginx.get("/valid").header("authorization", "x").send().reason(), "authorization");
    let shared = [
        caching("public, max-age=60"),
        caching("must-revalidate, max-age=60"),
        caching("s-maxage=60"),
        Answer::page("x"),
    ];
    for path in each(&origin, "shared", shared) {
        nginx.get(&path).header("Authorization", "Basic dTpw").warm();
        stored(&nginx, &path, 60);
    }
}

#[test]
fn an_answer_that_varies_is_not_stored_yet() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let one = [
        "Accept-Encoding",
        "accept-ENCODING",
        "Accept-Encoding, accept-encoding",
        " , Accept-Encoding ,",
        "",
    ];
    for path in each(&origin, "one", one.map(|value| Answer::page("x").header("Vary", value))) {
        stored(&nginx, &path, 60);
    }
    let many = [
        "Cookie",
        "*",
        "*, Accept-Encoding",
        "Accept-Encoding,*",
        "Accept-Encoding, Cookie",
        "cookie,accept-encoding",
        "X-Forwarded-Host",
        "Accept-Encoding Cookie",
    ];
    for path in each(&origin, "many", many.map(|value| Answer::page("x").header("Vary", value))) {
        never_stored(&nginx, &origin, &path, "varies");
    }
    let long = format!("Accept-Encoding, {}", "X-Long, ".repeat(200));
    origin.on("/long", Answer::page("x").header("Vary", long));
    never_stored(&nginx, &origin, "/long", "varies");
    origin.on("/lines", caching("max-age=60").header("Vary", "Accept-Encoding").header("Vary", "Origin"));
    never_stored(&nginx, &origin, "/lines", "varies");
    for (path, name) in [("/cookies", "Twice-Cookies"), ("/ab", "X-ABDependency")] {
        origin.on(path, Answer::page("x").header(name, "a, b"));
        let page = never_stored(&nginx, &origin, path, "varies");
        assert_eq!(page.header(name), None);
    }
}

#[test]
fn an_encoded_body_is_not_stored_and_not_touched() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    for coding in ["gzip", "br", "GZIP", "gzip, br", "identity, gzip"] {
        let path = format!("/{}", coding.replace(", ", "-"));
        origin.on(&path, Answer::page("<& get var pid &>").header("Content-Encoding", coding));
        let page = never_stored(&nginx, &origin, &path, "content_encoding");
        assert_eq!(
            (page.text().as_str(), page.header("Content-Encoding")),
            ("<& get var pid &>", Some(coding))
        );
    }
    origin.on("/identity", Answer::page("x").header("Content-Encoding", "identity"));
    stored(&nginx, "/identity", 60);
}

const INSIDE: [&str; 8] = [
    "X-Twice-Control",
    "Twice",
    "Twice-Cookies",
    "X-ABDependency",
    "X-App-Server",
    "Surrogate-Key",
    "Cache-Tag",
    "Twice-Guard",
];

fn nothing_of_ours(page: &Response) {
    for name in INSIDE {
        assert_eq!(page.header(name), None, "{page:?}");
    }
    assert_eq!(page.header("X-Kept"), Some("y"), "{page:?}");
}

#[test]
fn the_control_headers_never_reach_the_client() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_bypass $cookie_b; twice_no_store $cookie_n;").start();
    let long = "key ".repeat(500);
    let base = Answer::html("x")
        .header("x-twice-control", "max-age=60")
        .header("TWICE", "true")
        .header("X-App-Server", "app7")
        .header("Surrogate-Key", long)
        .header("surrogate-key", "more")
        .header("Cache-Tag", "a,b")
        .header("Twice-Guard", "d41d8cd9")
        .header("X-Kept", "y");
    origin.on("/stored", base.clone().header("Twice-Cookies", "").header("X-ABDependency", ""));
    origin.on("/not", base.header("Twice-Cookies", "a").header("X-ABDependency", "t"));
    for path in ["/stored", "/not"] {
        nothing_of_ours(&nginx.get(path).send());
        for request in [
            nginx.get(path),
            nginx.get(path).head(),
            nginx.get(path).body("b"),
            nginx.get(path).method("OPTIONS"),
            nginx.get(path).cookie("b=1"),
            nginx.get(path).cookie("n=1"),
            nginx.get(path).range("0-0"),
        ] {
            nothing_of_ours(&request.send());
        }
    }
    let hit = nginx.get("/stored").warm();
    nothing_of_ours(&hit);
}

#[test]
fn the_headers_may_be_renamed() {
    let origin = Origin::start();
    let nginx = cached_with(
        &origin,
        "twice_headers control=X-Keep-For request=X-Fill; twice_headers cookies=X-By purge=X-Drop;",
    )
    .start();
    origin.on(
        "/",
        Answer::html("<& get cookie a &>")
            .header("x-keep-for", "max-age=60")
            .header("X-Twice-Control", "max-age=5"),
    );
    let request = nginx
        .get("/")
        .cookie("a=1")
        .header("X-Fill", "no")
        .header("X-Drop", "*")
        .header("X-Mark-Dirty", "mine")
        .header("Twice", "mine");
    request.send().assert(200, "MISS", "1");
    let page = stored(&nginx, "/", 60);
    // The names that are free again are nobody's business.
    assert_eq!((page.header("X-Keep-For"), page.header("X-Twice-Control")), (None, Some("max-age=5")));
    let asked = origin.last("/");
    assert_eq!((asked.header("X-Fill"), asked.header("X-Drop")), (Some("true"), None));
    let asked = &origin.requests("/")[0];
    assert_eq!((asked.header("X-Mark-Dirty"), asked.header("Twice")), (Some("mine"), Some("mine")));
    origin.on("/by", Answer::html("x").header("X-Keep-For", "max-age=60").header("X-By", "sid"));
    never_stored(&nginx, &origin, "/by", "varies");
}

#[test]
fn the_app_is_told_once_whatever_the_client_says() {
    let origin = Origin::start();
    origin.on("/*", Answer::html("x"));
    let nginx = cached_with(&origin, "twice_bypass $cookie_b;").start();
    let hostile = |path: &str| {
        let request =
            nginx.get(path).header("twice", "false").header("TWICE", "2").header("X-ABValue", "t:1");
        request
            .header("X-Mark-Dirty", "*")
            .header("X-Geo", "xx")
            .header("X-Twice-Control", "max-age=1")
            .header("X-Own", "kept")
    };
    for request in [
        hostile("/get"),
        hostile("/post").body("b"),
        hostile("/put").method("PUT").body("b"),
        hostile("/head").head(),
        hostile("/options").method("OPTIONS"),
        hostile("/bypass").cookie("b=1"),
        hostile("/body").method("GET").body("b"),
        hostile("/upgrade").header("Upgrade", "x"),
    ] {
        request.send();
    }
    for path in ["/get", "/post", "/put", "/head", "/options", "/bypass", "/body", "/upgrade"] {
        let asked = origin.last(path);
        let marks: Vec<_> =
            asked.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("twice")).collect();
        assert_eq!(marks, [&("Twice".to_owned(), "true".to_owned())], "{path}");
        for name in ["X-Mark-Dirty", "X-ABValue", "X-Geo", "X-Twice-Control"] {
            assert_eq!(asked.header(name), None, "{path}");
        }
        assert_eq!(asked.header("X-Own"), Some("kept"), "{path}");
    }
    for (path, body) in [("/post", "b"), ("/put", "b"), ("/body", "b"), ("/get", "")] {
        assert_eq!(origin.last(path).body, body.as_bytes(), "{path}");
    }
}

#[test]
fn what_would_make_an_answer_one_clients_own_stays_behind() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("0123456789"));
    let nginx = cached_with(&origin, "twice_bypass $cookie_b;").start();
    let own = [
        ("Range", "bytes=1-2"),
        ("If-Range", "\"x\""),
        ("If-Match", "\"x\""),
        ("If-None-Match", "\"x\""),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Accept-Encoding", "gzip"),
        ("Cache-Control", "no-cache"),
    ];
    let with_own =
        |path: &str| own.iter().fold(nginx.get(path), |request, (name, value)| request.header(name, value));
    with_own("/get").header("User-Agent", "me").header("X-Own", "kept").try_send();
    with_own("/bypass").cookie("b=1").try_send();
    for path in ["/get", "/bypass"] {
        let asked = origin.last(path);
        for (name, _) in own {
            assert_eq!(asked.header(name), None, "{path}");
        }
    }
    let asked = origin.last("/get");
    assert_eq!((asked.header("User-Agent"), asked.header("X-Own")), (Some("me"), Some("kept")));
    assert_eq!(origin.last("/bypass").cookie("b"), Some("1"));
    for path in ["/get", "/bypass"] {
        nginx.get(path).warm().assert(200, "HIT", "0123456789");
    }
    with_own("/post").body("b").try_send();
    with_own("/head").head().try_send();
    for path in ["/post", "/head"] {
        let asked = origin.last(path);
        for (name, value) in own {
            assert_eq!(asked.header(name), Some(value), "{path}");
        }
    }
}

#[test]
fn a_bypass_is_not_looked_up_and_still_stored() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_bypass $cookie_a $cookie_b;").start();
    origin.on("/", Answer::page("old"));
    nginx.get("/").warm();
    origin.on("/", Answer::page("new"));
    for untrue in ["a=0", "a=; b=0", "c=1"] {
        nginx.get("/").cookie(untrue).send().assert(200, "HIT", "old");
    }
    let bypass = nginx.get("/").cookie("a=0; b=yes").send();
    bypass.assert(200, "BYPASS", "new");
    assert_eq!(bypass.reason(), "recording");
    assert_eq!(bypass.header("Cache-Status"), Some("Twice; fwd=bypass; stored"));
    nginx.get("/").send().assert(200, "HIT", "new");
    // An error does not take the good page's place.
    origin.on("/", Answer::new(500, "broken"));
    nginx.get("/").cookie("a=1").send().assert(500, "BYPASS", "broken");
    nginx.get("/").send().assert(200, "HIT", "new");
}

#[test]
fn what_must_not_be_stored_is_served_from_the_store_all_the_same() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_no_store $cookie_n $sent_http_x_own;").start();
    origin.on("/", Answer::page("x"));
    for count in 1..=3 {
        let page = nginx.get("/").cookie("n=1").send();
        assert_eq!((page.cache(), page.reason(), origin.count("/")), ("MISS", "no_store", count));
    }
    nginx.get("/").cookie("n=0").warm();
    nginx.get("/").cookie("n=1").send().assert(200, "HIT", "x");
    // The response's own headers may be asked.
    origin.on("/own", Answer::page("x").header("X-Own", "1"));
    never_stored(&nginx, &origin, "/own", "no_store");
}

#[test]
fn other_methods_pass_through() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        Answer::page(format!("{} {} <& get arg v &>", request.method, String::from_utf8_lossy(&request.body)))
    });
    let nginx = cached(&origin).start();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "PURGE", "BREW"] {
        for count in 1..=2 {
            let path = format!("/{method}");
            let page = nginx.get(&format!("{path}?v=7")).method(method).body("data").send();
            page.assert(200, "", &format!("{method} data 7"));
            assert_eq!((page.reason(), origin.count(&path)), ("method", count));
            assert_eq!(page.header("Cache-Status"), Some("Twice; fwd=method; detail=method"));
            assert_eq!(page.header("X-Twice-Control"), None);
        }
        // Nothing of it is a GET's answer.
        let path = format!("/{method}?v=7");
        nginx.get(&path).send().assert(200, "MISS", "GET  7");
        nginx.get(&path).warm();
        nginx.get(&path).method(method).body("data").send().assert(200, "", &format!("{method} data 7"));
    }
}

#[test]
fn a_head_is_answered_from_the_store_and_never_stored() {
    let origin = Origin::start();
    origin.on("/", Answer::page("0123456789"));
    let nginx = cached(&origin).start();
    for count in 1..=2 {
        let head = nginx.get("/").head().send();
        assert_eq!((head.status, head.cache(), head.reason()), (200, "MISS", "head"), "{head:?}");
        assert_eq!((origin.count("/"), origin.last("/").method.as_str()), (count, "HEAD"));
    }
    nginx.get("/").send().assert(200, "MISS", "0123456789");
    nginx.get("/").warm().assert(200, "HIT", "0123456789");
    let head = nginx.get("/").head().send();
    assert_eq!((head.cache(), head.header("Content-Length")), ("HIT", Some("10")));
}

#[test]
fn an_expired_page_is_fetched_anew() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    origin.on("/", control("max-age=1"));
    nginx.get("/").warm();
    origin.on("/", Answer::html("new").header("X-Twice-Control", "max-age=60"));
    let expired = until_some("the page expires", || {
        let page = nginx.get("/").send();
        (page.cache() != "HIT").then_some(page)
    });
    expired.assert(200, "EXPIRED", "new");
    assert_eq!(expired.header("Cache-Status"), Some("Twice; fwd=stale; stored"));
    nginx.get("/").send().assert(200, "HIT", "new");
    assert_eq!(origin.last("/").header("If-None-Match"), None);
}

#[test]
fn age_and_time_to_live_are_told() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    origin.on("/", Answer::page("x").header("Age", "1000").header("Cache-Status", "Inner; hit"));
    let miss = nginx.get("/").send();
    assert_eq!((miss.header("X-Page-Age"), miss.header("X-Ttl")), (None, Some("60")));
    assert_eq!(miss.all("Cache-Status"), ["Inner; hit", "Twice; fwd=uri-miss; stored"]);
    let page = until_some("the page is a second old", || {
        let page = nginx.get("/").warm();
        (page.header("X-Page-Age") != Some("0")).then_some(page)
    });
    assert_eq!((page.all("Age"), page.header("X-Page-Age")), (vec!["1"], Some("1")), "{page:?}");
    let ttl: u64 = page.header("X-Ttl").unwrap().parse().unwrap();
    assert!((58..=59).contains(&ttl), "{page:?}");
    assert_eq!(page.all("Cache-Status"), [format!("Twice; hit; ttl={ttl}")]);
}

#[test]
fn the_reason_is_one_word() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let nginx = cached(&origin)
        .http("log_format reasons '$request_method $uri $twice_cache_status $twice_reason';")
        .location(
            "/log/",
            format!("twice pages; access_log access.log reasons; proxy_pass {};", origin.url()),
        )
        .location("/denied/", format!("twice pages; deny all; proxy_pass {};", origin.url()))
        .location(
            "/long/",
            format!("twice pages; twice_key $arg_k$arg_k$arg_k$arg_k$arg_k; proxy_pass {};", origin.url()),
        )
        .start();
    let mut reasons = Vec::new();
    for (request, reason) in [
        (nginx.get("/"), "recording"),
        (nginx.get("/"), "hit"),
        (nginx.get("/body").method("GET").body("b"), "request_body"),
        (nginx.get("/upgrade").header("Upgrade", "websocket").header("Connection", "upgrade"), "upgrade"),
        (nginx.get("/delete").method("DELETE"), "method"),
        (nginx.get("/head").head(), "head"),
        (nginx.get("/denied/x"), "early"),
        (nginx.get(&format!("/long/?k={}", "k".repeat(4000))), "key_too_long"),
        (nginx.get("/long/?k=k"), "recording"),
    ] {
        let page = request.send();
        assert_eq!(page.reason(), reason, "{page:?}");
        reasons.push(page);
    }
    nginx.expect_log("access forbidden by rule");
    // At the request's end it is known whether the page was stored.
    nginx.get("/log/x").send().assert_cache("MISS");
    nginx.get("/log/x").warm();
    fixture::until("the log is written", || nginx.access_log().contains("HIT hit"));
    assert!(nginx.access_log().contains("GET /log/x MISS stored"), "{}", nginx.access_log());
}

#[test]
fn a_denied_visitor_gets_nothing_from_the_store() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("secret"));
    let nginx = cached_with(&origin, "auth_basic x; auth_basic_user_file users;")
        .file("users", "u:{PLAIN}p\n")
        .start();
    nginx.get("/").arg("-u").arg("u:p").warm().assert(200, "HIT", "secret");
    for request in [nginx.get("/"), nginx.get("/").arg("-u").arg("u:q")] {
        let page = request.send();
        assert_eq!((page.status, page.cache()), (401, ""), "{page:?}");
        assert!(!page.text().contains("secret"));
    }
    nginx.expect_log("password mismatch");
}
