//! What clients ask about a stored page under a condition.

use super::*;

fn page() -> Answer {
    Answer::page("page").header("ETag", "\"a\"").header("Last-Modified", MODIFIED)
}

#[test]
fn tags_go_before_dates() {
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    let (origin, nginx) = stored("", page());
    let rows: &[(&[(&str, &str)], u16)] = &[
        (&[("If-None-Match", "\"a\""), ("If-Modified-Since", BEFORE)], 304),
        (&[("If-None-Match", "\"b\""), ("If-Modified-Since", MODIFIED)], 200),
        (&[("If-Match", "\"a\""), ("If-Unmodified-Since", BEFORE)], 200),
        (&[("If-Match", "\"b\""), ("If-Unmodified-Since", MODIFIED)], 412),
        (&[("If-Unmodified-Since", BEFORE)], 412),
        (&[("If-Unmodified-Since", "yesterday")], 200),
        (&[("If-Modified-Since", "Sun, 06 Nov 2044 08:49:37 GMT")], 304),
    ];
    for (lines, status) in rows {
        for head in [false, true] {
            let request =
                lines.iter().fold(nginx.get("/"), |request, (name, value)| request.header(name, value));
            let answer = if head { request.head() } else { request }.send();
            assert_eq!((answer.status, answer.cache()), (*status, "HIT"), "{lines:?}");
            let own = *status != 412;
            assert_eq!(answer.header("ETag").is_some(), own, "{lines:?} {answer:?}");
        }
    }
    assert_eq!(origin.count("/"), 1);
}

#[test]
fn a_304_has_what_a_cache_needs_and_no_more_than_nginxs_own() {
    let more = page()
        .header("Cache-Control", "max-age=30")
        .header("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
        .header("Content-Location", "/here")
        .header("Vary", "Accept-Language")
        .header("X-Own", "1");
    let (_origin, nginx) = stored("", more);
    let whole = nginx.get("/").send();
    let same = nginx.get("/").header("If-None-Match", "\"a\"").send();
    same.assert(304, "HIT", "");
    // RFC 9110 15.4.5.
    for name in
        ["Cache-Control", "Content-Location", "ETag", "Expires", "Vary", "X-Own", "X-Ttl", "Last-Modified"]
    {
        assert_eq!(same.all(name), whole.all(name), "{name}");
        assert!(same.header(name).is_some(), "{name}");
    }
    assert!(same.header("Date").is_some());
    for name in ["Content-Type", "Content-Length", "Accept-Ranges", "Content-Encoding"] {
        assert_eq!(same.header(name), None, "{name}");
    }
    let (_origin, nginx) = stored("expires 1h;", page());
    let same = nginx.get("/").header("If-None-Match", "\"a\"").send();
    assert_eq!((same.status, same.header("Cache-Control")), (304, Some("max-age=3600")));
    assert!(same.header("Expires").is_some());
}

#[test]
fn a_compressed_page_is_found_by_its_weak_tag() {
    let text = "page <& get cookie name Guest &> ".repeat(100);
    for body in ["page ".repeat(100), text] {
        let answer = Answer::page(body.as_str()).header("ETag", "\"a\"");
        let (_origin, nginx) = stored("gzip on; gzip_min_length 1;", answer);
        let whole = nginx.get("/").compressed().send();
        assert_eq!(whole.header("Content-Encoding"), Some("gzip"));
        let tag = whole.header("ETag").unwrap();
        assert!(tag.starts_with("W/\""), "{tag}");
        let same = nginx.get("/").compressed().header("If-None-Match", tag).send();
        same.assert(304, "HIT", "");
        // RFC 9111 4.3.4: what the client has is found by it.
        assert_eq!(same.header("ETag"), Some(tag));
        nginx.get("/").header("If-None-Match", tag.trim_start_matches("W/")).send().assert(304, "HIT", "");
        // A part must be one of the very bytes (RFC 9110 13.1.5).
        let part = nginx.get("/").range("0-3").header("If-Range", tag).send();
        assert_eq!(part.status, 200);
    }
}

#[test]
fn dates_say_nothing_where_nginx_is_told_so() {
    let (_origin, nginx) = stored("if_modified_since off;", page());
    nginx.get("/").header("If-Modified-Since", MODIFIED).send().assert(200, "HIT", "page");
    nginx.get("/").header("If-None-Match", "\"a\"").send().assert(304, "HIT", "");
}

#[test]
fn a_page_that_is_not_found_has_no_conditions() {
    let gone = Answer::new(404, "gone").header("X-Twice-Control", "max-age=30").header("ETag", "\"a\"");
    let (_origin, nginx) = stored("", gone);
    nginx.get("/").header("If-None-Match", "\"a\"").send().assert(404, "HIT", "gone");
    nginx.get("/").header("If-Match", "\"b\"").send().assert(404, "HIT", "gone");
}

#[test]
fn a_failed_condition_is_answered_by_nginx() {
    let (_origin, nginx) = {
        let origin = Origin::start();
        origin.on("/", page().header("X-Own", "1").header("Set-Cookie", "a=1"));
        let nginx = site(&origin, "twice_key $uri; error_page 412 /sorry.html;")
            .file("html/sorry.html", "sorry")
            .location("= /sorry.html", "root html;")
            .start();
        nginx.get("/").warm();
        (origin, nginx)
    };
    let failed = nginx.get("/").header("If-Match", "\"b\"").send();
    assert_eq!((failed.status, failed.text().as_str(), failed.header("X-Own")), (412, "sorry", None));
    // The connection goes on.
    let mut raw = nginx.raw();
    for _ in 0..2 {
        raw.send("GET / HTTP/1.1\r\nHost: localhost\r\nIf-Match: \"b\"\r\n\r\n");
        assert_eq!(raw.response().status, 412);
        raw.get("/");
        raw.response();
    }
}

#[test]
fn an_error_page_has_no_conditions() {
    let origin = Origin::start();
    origin.on("/gone", Answer::new(404, "origin's own"));
    for (path, body) in [("/plain", "gone"), ("/filled", "gone <& get cookie name &>")] {
        origin.on(path, Answer::page(body).header("ETag", "\"a\"").header("Last-Modified", MODIFIED));
        let nginx = site(&origin, "twice_key $uri;")
            .location(
                "= /gone",
                format!("error_page 404 {path}; proxy_intercept_errors on; proxy_pass {};", origin.url()),
            )
            .start();
        let first = nginx.get(path).warm();
        let whole = nginx.get("/gone").send();
        let tag = first.header("ETag").unwrap();
        for (name, value) in [
            ("If-None-Match", tag),
            ("If-None-Match", "*"),
            ("If-Modified-Since", MODIFIED),
            ("If-Match", "\"b\""),
            ("If-Range", "\"b\""),
        ] {
            for _ in 0..2 {
                let answer = nginx.get("/gone").header(name, value).header("Range", "bytes=0-1").send();
                assert_eq!((answer.status, answer.text()), (404, whole.text()), "{path} {name} {answer:?}");
            }
        }
    }
}

/// curl keeps the tag of what it has in a file, and asks by it.
#[test]
fn curl_asks_by_the_tag_that_it_has() {
    let (_origin, nginx) = stored("", Answer::page("Hello <& get cookie name Guest &>!"));
    let folder = fixture::folder::Folder::new();
    let file = folder.path().join("tag").display().to_string();
    let ask = |name: &str| {
        let request = nginx.get("/").cookie(&format!("name={name}"));
        request.arg("--etag-compare").arg(&file).arg("--etag-save").arg(&file).send()
    };
    std::fs::write(&file, "").unwrap();
    ask("Ann").assert(200, "HIT", "Hello Ann!");
    ask("Ann").assert(304, "HIT", "");
    ask("Bob").assert(200, "HIT", "Hello Bob!");
    ask("Bob").assert(304, "HIT", "");
}

#[test]
fn a_condition_that_the_origin_was_told_is_the_origins_to_judge() {
    let origin = Origin::start();
    let nginx = site(&origin, "").start();
    // It has done what it was asked to: the page is another one now.
    let done = Answer::html("done").header("ETag", "\"new\"").header("Last-Modified", MODIFIED);
    origin.on("/", done);
    let rows = [
        ("PUT", "If-Match", "\"old\""),
        ("PATCH", "If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"),
        ("POST", "If-None-Match", "\"new\""),
        ("POST", "If-Modified-Since", MODIFIED),
        // A GET with a body is not looked up, and is the origin's as well.
        ("GET", "If-None-Match", "\"new\""),
    ];
    for (method, name, value) in rows {
        let page = nginx.get("/").method(method).header(name, value).body("x").send();
        page.assert(200, "", "done");
        assert_eq!(origin.last("/").header(name), Some(value), "{method}");
    }
    // A HEAD that finds no page goes there as it is.
    let head = nginx.get("/").head().header("If-None-Match", "\"new\"").send();
    assert_eq!((head.status, origin.last("/").header("If-None-Match")), (200, Some("\"new\"")));
    // Where the origin was not told, what is not stored is held against it here.
    let page = nginx.get("/").header("If-None-Match", "\"new\"").send();
    assert_eq!((page.status, origin.last("/").header("If-None-Match")), (304, None));
}
