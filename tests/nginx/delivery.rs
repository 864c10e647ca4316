//! What a visitor may ask of a stored page: a part of it, its head alone, whether it has changed, another encoding
//! or protocol. What nginx does to a fetched answer it does to a stored one.

mod large;
mod routes;

use std::fs;

use fixture::{Answer, Nginx, Origin, Response, Setup, until_some};

const ETAG: &str = "\"v1\"";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn cached(origin: &Origin) -> Setup {
    Nginx::twice().location("/", format!("twice pages; proxy_pass {};", origin.url()))
}

/// A page without tags, with both validators.
fn plain(body: &str) -> Answer {
    Answer::page(body).header("ETag", ETAG).header("Last-Modified", MODIFIED)
}

/// The same with a visitor's value in it.
fn personal() -> Answer {
    plain("Hello <& get cookie name Guest &>!")
}

/// A page of another type than text/html.
fn page(body: impl AsRef<[u8]>, content_type: &str) -> Answer {
    Answer::ok(body.as_ref()).header("Content-Type", content_type).header("X-Twice-Control", "max-age=60")
}

#[test]
fn head_on_a_hit_has_the_headers_and_no_body() {
    let origin = Origin::start();
    origin.on("/", plain("0123456789"));
    origin.on("/personal", personal());
    let nginx = cached(&origin).start();
    nginx.get("/").warm();
    let head = nginx.get("/").head().send();
    head.assert(200, "HIT", "");
    assert_eq!(head.header("Content-Length"), Some("10"));
    assert_eq!(head.header("Content-Type"), Some("text/html"));
    assert_eq!(head.header("ETag"), Some(ETAG));
    nginx.get("/personal").warm();
    let head = nginx.get("/personal").cookie("name=Ann").head().send();
    assert_eq!((head.cache(), head.header("Content-Length")), ("HIT", Some("10")));
    // No byte of a body between one head and the next.
    let mut raw = nginx.raw();
    raw.send(format!("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", nginx.port()));
    raw.response_head().assert(200, "HIT", "");
    raw.send("GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(raw.response_head().status, 404);
}

#[test]
fn head_on_a_miss_goes_to_the_origin_and_stores_nothing() {
    let origin = Origin::start();
    origin.on("/", Answer::page("0123456789"));
    let nginx = cached(&origin).start();
    for count in 1..=2 {
        let head = nginx.get("/").head().send();
        head.assert(200, "MISS", "");
        assert_eq!(head.reason(), "head");
        assert_eq!(origin.count("/"), count);
        assert_eq!(origin.last("/").method, "HEAD");
    }
    nginx.get("/").send().assert(200, "MISS", "0123456789");
}

#[test]
fn a_part_of_a_stored_page_is_served() {
    let origin = Origin::start();
    origin.on("/", plain("0123456789"));
    let nginx = cached(&origin).start();
    nginx.get("/").warm();
    for (range, part, place) in
        [("2-4", "234", "2-4"), ("-3", "789", "7-9"), ("7-", "789", "7-9"), ("0-99", "0123456789", "0-9")]
    {
        let response = nginx.get("/").range(range).send();
        response.assert(206, "HIT", part);
        assert_eq!(response.header("Content-Range"), Some(format!("bytes {place}/10").as_str()));
        assert_eq!(response.header("Content-Length"), Some(part.len().to_string().as_str()));
    }
    let outside = nginx.get("/").range("10-").send();
    assert_eq!((outside.status, outside.header("Content-Range")), (416, Some("bytes */10")));
    nginx.get("/").range("nonsense").send().assert(416, "HIT", &outside.text());
    // Several at once: see ranges.rs.
    assert_eq!(nginx.get("/").range("0-1,5-6").send().status, 206);
    assert_eq!(origin.count("/"), 1);
}

#[test]
fn if_range_gives_a_part_of_the_same_page_only() {
    let origin = Origin::start();
    origin.on("/", plain("0123456789"));
    let nginx = cached(&origin).start();
    nginx.get("/").warm();
    let part = |condition: &str| nginx.get("/").range("2-4").header("If-Range", condition).send();
    part(ETAG).assert(206, "HIT", "234");
    part(MODIFIED).assert(206, "HIT", "234");
    part("\"v2\"").assert(200, "HIT", "0123456789");
    part("Sun, 06 Nov 1994 08:49:38 GMT").assert(200, "HIT", "0123456789");
}

#[test]
fn ranges_of_a_filled_page_count_what_the_visitor_sees() {
    let origin = Origin::start();
    origin.on("/", personal());
    let nginx = cached(&origin).start();
    nginx.get("/").warm();
    let part = nginx.get("/").cookie("name=Annabel").range("6-12").send();
    part.assert(206, "HIT", "Annabel");
    assert_eq!(part.header("Content-Range"), Some("bytes 6-12/14"));
    nginx.get("/").cookie("name=<").range("-5").send().assert(206, "HIT", "&lt;!");
    // What it is a part of can't be named.
    nginx.get("/").range("0-1").header("If-Range", ETAG).send().assert(200, "HIT", "Hello Guest!");
}

#[test]
fn a_fetch_for_a_range_or_a_condition_stores_the_whole_page() {
    let origin = Origin::start();
    origin.on("/range", plain("0123456789"));
    origin.on("/condition", plain("0123456789"));
    let nginx = cached(&origin).start();
    nginx.get("/range").range("0-1").send().assert(200, "MISS", "0123456789");
    nginx.get("/range").send().assert(200, "HIT", "0123456789");
    nginx.get("/condition").header("If-None-Match", ETAG).send().assert(200, "MISS", "0123456789");
    nginx.get("/condition").send().assert(200, "HIT", "0123456789");
}

#[test]
fn an_unchanged_plain_page_is_not_sent_again() {
    let origin = Origin::start();
    origin.on("/", plain("page"));
    let nginx = cached(&origin).start();
    let hit = nginx.get("/").warm();
    assert_eq!((hit.header("ETag"), hit.header("Last-Modified")), (Some(ETAG), Some(MODIFIED)));
    let ask = |name: &str, value: &str| nginx.get("/").header(name, value).send();
    for (name, value, told) in [
        ("If-None-Match", ETAG, ETAG),
        ("If-None-Match", "\"v0\", W/\"v1\"", "W/\"v1\""),
        ("If-None-Match", "*", ETAG),
        ("If-Modified-Since", MODIFIED, ETAG),
    ] {
        let response = ask(name, value);
        response.assert(304, "HIT", "");
        assert_eq!(response.header("ETag"), Some(told), "{name}: {value}");
    }
    ask("If-None-Match", "\"v2\"").assert(200, "HIT", "page");
    ask("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT").assert(200, "HIT", "page");
    assert_eq!(ask("If-Match", "\"v2\"").status, 412);
    assert_eq!(origin.count("/"), 1);
}

#[test]
fn a_filled_page_is_not_its_template() {
    let origin = Origin::start();
    origin.on("/", personal());
    let nginx = cached(&origin).start();
    nginx.get("/").warm();
    for (name, value) in [
        ("If-None-Match", ETAG),
        ("If-Modified-Since", MODIFIED),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"),
    ] {
        nginx.get("/").header(name, value).send().assert(200, "HIT", "Hello Guest!");
    }
    assert_eq!(nginx.get("/").header("If-Match", ETAG).send().status, 412);
}

#[test]
fn an_answer_that_is_not_stored_keeps_the_clients_conditions() {
    let origin = Origin::start();
    origin.on("/", Answer::html("page").header("ETag", ETAG));
    let nginx = cached(&origin).start();
    nginx.get("/").header("If-None-Match", ETAG).send().assert(304, "MISS", "");
    nginx.get("/").header("If-None-Match", "\"v2\"").send().assert(200, "MISS", "page");
}

#[test]
fn a_filled_page_is_for_its_visitor_alone() {
    let origin = Origin::start();
    origin.on(
        "/",
        personal()
            .header("Cache-Control", "public, max-age=600")
            .header("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
            .header("X-App", "yes"),
    );
    let nginx = cached(&origin).start();
    let miss = nginx.get("/").send();
    miss.assert(200, "MISS", "Hello Guest!");
    let hit = nginx.get("/").warm();
    for response in [&miss, &hit] {
        assert_eq!(response.all("Cache-Control"), ["private, no-cache"], "{response:?}");
        for gone in ["Last-Modified", "Expires"] {
            assert_eq!(response.header(gone), None, "{gone} {response:?}");
        }
        assert_ne!(response.header("ETag"), Some(ETAG), "{response:?}");
        assert_eq!(response.header("X-App"), Some("yes"));
        // The origin's length is that of the template.
        assert!(response.header("Content-Length").is_none_or(|length| length == "12"), "{response:?}");
    }
}

#[test]
fn a_page_without_tags_keeps_what_the_origin_said() {
    let origin = Origin::start();
    let expires = "Thu, 01 Jan 2099 00:00:00 GMT";
    origin.on(
        "/",
        plain("page")
            .header("Cache-Control", "public")
            .header("Cache-Control", "max-age=600")
            .header("Expires", expires)
            .header("X-Two", "a")
            .header("X-Two", "b")
            .header("X-Empty", ""),
    );
    // By its type it could have tags, and by its path it can't.
    let nginx = cached(&origin)
        .location("= /off", format!("twice pages; twice_tags off; proxy_pass {}/;", origin.url()))
        .start();
    nginx.get("/off").warm();
    for hit in [nginx.get("/").warm(), nginx.get("/off").send()] {
        hit.assert(200, "HIT", "page");
        assert_eq!(hit.all("Cache-Control").join(", "), "public, max-age=600");
        assert_eq!(hit.header("ETag"), Some(ETAG));
        assert_eq!(hit.header("Last-Modified"), Some(MODIFIED));
        assert_eq!(hit.header("Expires"), Some(expires));
        assert_eq!(hit.all("X-Two"), ["a", "b"]);
        assert_eq!(hit.header("X-Empty"), Some(""));
        assert_eq!(hit.header("Content-Length"), Some("4"));
        assert_eq!(hit.all("Date").len(), 1);
    }
}

#[test]
fn only_the_first_visitor_gets_the_set_cookie() {
    let origin = Origin::start();
    origin.on("/", Answer::page("page").header("Set-Cookie", "a=1").header("Set-Cookie", "b=2"));
    let nginx = cached(&origin).start();
    assert_eq!(nginx.get("/").send().all("Set-Cookie"), ["a=1", "b=2"]);
    assert_eq!(nginx.get("/").warm().header("Set-Cookie"), None);
}

#[test]
fn a_stored_redirect_leads_to_the_same_place() {
    let origin = Origin::start();
    origin.on("/far", Answer::page("").status(301).header("Location", "https://example.com/x?y=1"));
    origin.on("/near", Answer::page("").status(302).header("Location", "/x"));
    origin.on("/gone", Answer::page("gone").status(410));
    let nginx = cached(&origin).start();
    for path in ["/far", "/near", "/gone"] {
        let miss = nginx.get(path).send();
        let hit = nginx.get(path).warm();
        assert_eq!((hit.status, hit.text()), (miss.status, miss.text()), "{path}");
        assert_eq!(hit.all("Location"), miss.all("Location"), "{path}");
    }
    assert_eq!(nginx.get("/near").send().all("Location"), ["/x"]);
}

#[test]
fn hits_travel_by_http2() {
    let origin = Origin::start();
    origin.on("/", plain("0123456789"));
    origin.on("/personal", personal());
    let nginx = cached(&origin).http2().start();
    let hit = nginx.get_h2("/").warm();
    assert_eq!((hit.version.as_str(), hit.text().as_str()), ("2", "0123456789"));
    nginx.get_h2("/").range("2-4").send().assert(206, "HIT", "234");
    nginx.get_h2("/").header("If-None-Match", ETAG).send().assert(304, "HIT", "");
    let head = nginx.get_h2("/").head().send();
    assert_eq!((head.cache(), head.header("content-length")), ("HIT", Some("10")));
    nginx.get_h2("/personal").cookie("name=Eve").send().assert(200, "MISS", "Hello Eve!");
    nginx.get_h2("/personal").warm();
    // curl -b gives one cookie header; a browser may give one for each cookie.
    let two = nginx.get_h2("/personal").cookie("a=b").cookie("name=Ann");
    two.send().assert(200, "HIT", "Hello Ann!");
}

#[test]
fn hits_are_compressed_and_the_origin_never_is_asked_to() {
    let origin = Origin::start();
    let body = "Hello <& get cookie name Guest &>! ".repeat(50);
    origin.on("/", Answer::page(body));
    origin.on("/plain", plain(&"0123456789".repeat(50)));
    let nginx = cached(&origin).http("gzip on; gzip_min_length 1; gzip_vary on; etag on;").start();
    let greeting = |name: &str| format!("Hello {name}! ").repeat(50);
    let miss = nginx.get("/").compressed().send();
    miss.assert(200, "MISS", &greeting("Guest"));
    nginx.get("/").warm().assert(200, "HIT", &greeting("Guest"));
    let hit = nginx.get("/").compressed().cookie("name=Ann").send();
    hit.assert(200, "HIT", &greeting("Ann"));
    for response in [&miss, &hit] {
        assert_eq!(response.header("Content-Encoding"), Some("gzip"));
        assert_eq!(response.header("Vary"), Some("Accept-Encoding"));
    }
    nginx.get("/plain").warm();
    let hit = nginx.get("/plain").compressed().send();
    assert_eq!((hit.header("Content-Encoding"), hit.body.len()), (Some("gzip"), 500));
    // Weak, as nginx has it for a body that it changes.
    assert_eq!(hit.header("ETag"), Some("W/\"v1\""));
    for path in ["/", "/plain"] {
        assert!(origin.requests(path).iter().all(|r| r.header("Accept-Encoding").is_none()), "{path}");
    }
}

#[test]
fn the_charset_directive_speaks_for_hits_too() {
    let origin = Origin::start();
    origin.on("/none", Answer::page("x"));
    origin.on("/own", page("x", "text/html; charset=koi8-r"));
    origin.on("/parameter", page("x", "text/plain; format=flowed; charset=utf-8"));
    let nginx = cached(&origin).server("charset utf-8;").start();
    for (path, wanted) in [
        ("/none", "text/html; charset=utf-8"),
        // Without a table nginx can't recode it, so that it stays.
        ("/own", "text/html; charset=koi8-r"),
        ("/parameter", "text/plain; format=flowed; charset=utf-8"),
    ] {
        let miss = nginx.get(path).send();
        let hit = nginx.get(path).warm();
        assert_eq!(hit.header("Content-Type"), miss.header("Content-Type"), "{path}");
        assert_eq!(hit.all("Content-Type"), [wanted], "{path}");
    }
}

#[test]
fn hits_are_recoded_as_misses_are() {
    let origin = Origin::start();
    // "абв" in windows-1251.
    origin.on("/", Answer::page(b"<b>\xe0\xe1\xe2</b>".to_vec()));
    origin.on("/own", page(b"\xe0<& get arg x - &>\xe2", "text/html; charset=windows-1251"));
    let nginx = cached(&origin)
        .http("charset_map windows-1251 utf-8 { E0 D0B0; E1 D0B1; E2 D0B2; }")
        .server("charset utf-8; source_charset windows-1251; override_charset on;")
        .start();
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/").send();
        page.assert(200, cache, "<b>абв</b>");
        assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
        let page = nginx.get("/own").send();
        page.assert(200, cache, "а-в");
        assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    }
}

#[test]
fn a_pages_own_charset_is_kept() {
    let origin = Origin::start();
    // Quotes and spaces may differ, they mean nothing there.
    let plain = |response: &Response| response.all("Content-Type").join(" | ").replace(['"', ' '], "");
    let types =
        ["text/html; charset=koi8-r", "text/html;charset=\"UTF-8\"", "text/plain; format=flowed", "x/y"];
    for (number, kind) in types.iter().enumerate() {
        origin.on(&format!("/{number}"), page("x", kind));
    }
    let nginx = cached(&origin).start();
    for (number, kind) in types.iter().enumerate() {
        let path = format!("/{number}");
        let miss = nginx.get(&path).send();
        let hit = nginx.get(&path).warm();
        assert_eq!(plain(&miss), kind.replace(['"', ' '], ""));
        assert_eq!(plain(&hit), plain(&miss));
    }
    assert_eq!(nginx.get("/0").send().header("Content-Type"), Some(types[0]));
}

#[test]
fn sub_filter_and_add_header_work_on_hits() {
    let origin = Origin::start();
    origin.on("/", Answer::page("old and <& get cookie name old &>").header("X-App", "yes"));
    let nginx = Nginx::twice()
        .location(
            "/",
            format!(
                "twice pages; proxy_pass {}; sub_filter old new; sub_filter_once off; expires 1h;
add_header X-Cache $twice_cache_status; add_header X-Mine $twice_reason; proxy_hide_header X-App;",
                origin.url()
            ),
        )
        .start();
    for (cache, reason) in [("MISS", "recording"), ("HIT", "hit")] {
        let page = nginx.get("/").send();
        page.assert(200, cache, "new and new");
        assert_eq!((page.header("X-Mine"), page.header("X-App")), (Some(reason), None));
    }
    nginx.get("/").cookie("name=Bold").send().assert(200, "HIT", "new and Bnew");
}

#[test]
fn cache_status_says_what_became_of_a_request() {
    let origin = Origin::start();
    origin.on("/", Answer::page("page"));
    origin.on("/short", Answer::page("page").header("X-Twice-Control", "max-age=1"));
    origin.on("/never", Answer::html("page"));
    let nginx =
        cached(&origin).server("twice_bypass $arg_fresh; twice_key $uri; twice_stale_factor 1;").start();
    let status = |path: &str| nginx.get(path).send().all("Cache-Status").join(" | ");
    assert_eq!(status("/"), "Twice; fwd=uri-miss; stored");
    let hit = nginx.get("/").warm();
    let line = hit.header("Cache-Status").unwrap();
    let ttl = line.strip_prefix("Twice; hit; ttl=").and_then(|ttl| ttl.parse::<u32>().ok());
    assert!(ttl.is_some_and(|ttl| (1..=3600).contains(&ttl)), "{line}");
    assert_eq!(status("/?fresh=1"), "Twice; fwd=bypass; stored");
    assert_eq!(status("/never"), "Twice; fwd=uri-miss; detail=no_lifetime");
    assert_eq!(
        nginx.get("/").body("x").send().header("Cache-Status"),
        Some("Twice; fwd=method; detail=method")
    );
    nginx.get("/short").send();
    let expired = until_some("the page expires", || {
        let page = nginx.get("/short").send();
        (page.cache() == "EXPIRED").then_some(page)
    });
    assert_eq!(expired.header("Cache-Status"), Some("Twice; fwd=stale; stored"));
}

#[test]
fn age_is_of_this_cache() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get page age &>").header("Age", "12345"));
    let nginx = cached(&origin).start();
    nginx.get("/").send();
    let hit = nginx.get("/").warm();
    assert_eq!(hit.all("Age").len(), 1);
    assert_eq!(hit.header("Age"), Some(hit.text().as_str()));
    assert!(hit.text().parse::<u32>().unwrap() < 60);
}

#[test]
fn the_access_log_knows_what_happened() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("page"));
    let nginx = cached(&origin)
        .http(
            "log_format twice '$twice_cache_status $twice_reason $twice_key age=$twice_age ttl=$twice_ttl';
access_log twice.log twice;",
        )
        .location("= /other", "return 200 x;")
        .start();
    nginx.get("/page?x=1").send();
    nginx.get("/page?x=1").warm();
    nginx.get("/page?x=1").body("posted").send();
    nginx.get("/other").send();
    let lines = until_some("four lines", || {
        let log = fs::read_to_string(nginx.setup().folder().join("twice.log")).unwrap_or_default();
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        (lines.len() == 4).then_some(lines)
    });
    let key = nginx.url("/page?x=1");
    assert!(lines[0].starts_with(&format!("MISS stored {key} age=- ttl=")), "{lines:?}");
    assert!(lines[1].starts_with(&format!("HIT hit {key} age=")), "{lines:?}");
    assert!(!lines[1].contains("=-"), "{lines:?}");
    assert_eq!(lines[2], "- method - age=- ttl=-");
    assert_eq!(lines[3], "- - - age=- ttl=-");
}
