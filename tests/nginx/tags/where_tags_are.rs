//! Which answers have tags, what a tag looks like there, and what becomes of answers that are not stored.

use fixture::{Answer, Nginx, Origin, Setup};

use super::{Pages, cached};

const TEMPLATE: &str = "Hello <& get cookie name Guest &>!";
const FILLED: &str = "Hello Ann!";

/// A location for each of these lines, named by number, in front of one origin.
fn locations(origin: &Origin, lines: &[&str]) -> Setup {
    let location = |setup: Setup, (number, lines): (usize, &&str)| {
        setup.location(&format!("/{number}/"), format!("twice pages; {lines} proxy_pass {}/;", origin.url()))
    };
    lines.iter().enumerate().fold(Nginx::twice(), location)
}

/// What Ann sees at first, and what she sees then.
#[track_caller]
fn sees(nginx: &Nginx, path: &str, caches: [&str; 2], page: &str) {
    for cache in caches {
        nginx.get(path).cookie("name=Ann").send().assert(200, cache, page);
    }
}

#[test]
fn twice_tags_says_which_answers_have_tags() {
    let origin = Origin::start();
    origin.on("/marked", Answer::page(TEMPLATE));
    origin.on("/plain", Answer::html(TEMPLATE));
    origin.on("/headers", Answer::html(TEMPLATE).header("Cache-Control", "max-age=60"));
    origin.on("/no-tags", Answer::html(TEMPLATE).header("X-Twice-Control", "max-age=60, no-tags"));
    let nginx = locations(
        &origin,
        &["", "twice_tags marked;", "twice_tags off;", "twice_tags all;", "twice_tags all; twice_valid 60s;"],
    )
    .start();
    let (stored, passed) = (["MISS", "HIT"], ["MISS", "MISS"]);
    for default in ["/0", "/1"] {
        sees(&nginx, &format!("{default}/marked"), stored, FILLED);
        sees(&nginx, &format!("{default}/plain"), passed, TEMPLATE);
        sees(&nginx, &format!("{default}/headers"), stored, TEMPLATE);
        sees(&nginx, &format!("{default}/no-tags"), stored, TEMPLATE);
    }
    for path in ["/2/marked", "/2/headers", "/2/no-tags"] {
        sees(&nginx, path, stored, TEMPLATE);
    }
    sees(&nginx, "/2/plain", passed, TEMPLATE);
    sees(&nginx, "/3/marked", stored, FILLED);
    sees(&nginx, "/3/headers", stored, FILLED);
    sees(&nginx, "/3/plain", passed, FILLED);
    sees(&nginx, "/3/no-tags", stored, TEMPLATE);
    sees(&nginx, "/4/plain", stored, FILLED);
}

#[test]
fn twice_types_says_which_types_have_tags() {
    let origin = Origin::start();
    let marked = |kind: &str| {
        Answer::ok("{\"name\": \"<& get cookie name Guest | json &>\"}")
            .header("Content-Type", kind)
            .header("X-Twice-Control", "max-age=60")
    };
    origin.on("/html", marked("text/HTML; charset=utf-8"));
    origin.on("/json", marked("application/json"));
    origin.on("/text", marked("text/plain"));
    origin.on(
        "/none",
        Answer::ok("{\"name\": \"<& get cookie name Guest | json &>\"}")
            .header("X-Twice-Control", "max-age=60"),
    );
    let nginx = locations(&origin, &["", "twice_types application/json text/x;", "twice_types *;"]).start();
    let plain = "{\"name\": \"<& get cookie name Guest | json &>\"}";
    let filled = "{\"name\": \"Ann\"}";
    for (path, page) in [
        ("/0/html", filled),
        ("/0/json", plain),
        ("/0/text", plain),
        ("/0/none", plain),
        // As with nginx's own *_types text/html is always among them.
        ("/1/html", filled),
        ("/1/json", filled),
        ("/1/text", plain),
        ("/2/json", filled),
        ("/2/text", filled),
    ] {
        sees(&nginx, path, ["MISS", "HIT"], page);
    }
    let hit = nginx.get("/1/json").cookie("name=\"</x>").send();
    hit.assert(200, "HIT", "{\"name\": \"\\u0022\\u003c/x\\u003e\"}");
    assert_eq!(hit.header("Content-Type"), Some("application/json"));
}

#[test]
fn delimiters_are_the_locations_choice() {
    let origin = Origin::start();
    origin.on("/strings", Answer::page("<& get cookie name &> [[ get cookie name ]] [[x]"));
    origin.on(
        "/regex",
        Answer::page("<& get cookie name &> {{get cookie name}} {{ get cookie name Guest | upper }}"),
    );
    origin.on("/comments", Answer::page("<!--# get cookie name Guest #--> <!-- get cookie name -->"));
    origin.on("/equal", Answer::page("100%% %% get cookie name %%"));
    let nginx = locations(
        &origin,
        &[
            "twice_delimiters [[ ]];",
            "twice_delimiters \"~\\{\\{(.*?)\\}\\}\";",
            "twice_delimiters \"<!--#\" \"#-->\";",
            "twice_delimiters %% %%;",
        ],
    )
    .start();
    nginx.expect_log("unterminated tag at line 1 in \"[[x]\"");
    sees(&nginx, "/0/strings", ["MISS", "HIT"], "<& get cookie name &> Ann [[x]");
    sees(&nginx, "/1/regex", ["MISS", "HIT"], "<& get cookie name &> Ann ANN");
    sees(&nginx, "/2/comments", ["MISS", "HIT"], "Ann <!-- get cookie name -->");
    nginx.expect_log("empty tag at line 1 in \"%% %%\"");
    nginx.expect_log("unterminated tag at line 1 in \"%%\"");
    sees(&nginx, "/3/equal", ["MISS", "HIT"], "100%% %% get cookie name %%");
}

#[test]
fn what_a_location_says_is_inherited() {
    let origin = Origin::start();
    origin.on("/", Answer::page("[[ get cookie name ]]"));
    let nginx = Nginx::twice()
        .http("twice pages; twice_delimiters [[ ]]; twice_escape off;")
        .location("/", format!("proxy_pass {};", origin.url()))
        .location("/own/", format!("twice_escape html; proxy_pass {}/;", origin.url()))
        .location("/off/", format!("twice off; proxy_pass {}/;", origin.url()))
        .start();
    nginx.get("/").cookie("name=<").send().assert(200, "MISS", "<");
    nginx.get("/own/").cookie("name=<").send().assert(200, "MISS", "&lt;");
    nginx.get("/off/").cookie("name=<").send().assert(200, "", "[[ get cookie name ]]");
    nginx.get("/").cookie("name=>").send().assert(200, "HIT", ">");
}

#[test]
fn a_bad_tag_is_told_once_when_its_page_is_stored() {
    let origin = Origin::start();
    let template =
        "one\n<& get cookie name | nonsense &>\n<& fetch cookie name &>\n<& get shop name none &>\n";
    origin.on("/shop/page", Answer::page(template));
    let nginx = cached(&origin).start();
    let page = "one\nAnn\n<& fetch cookie name &>\nnone\n";
    sees(&nginx, "/shop/page", ["MISS", "HIT"], page);
    for _ in 0..10 {
        sees(&nginx, "/shop/page", ["HIT", "HIT"], page);
    }
    for what in [
        "unknown filter at line 2 in \"<& get cookie name | nonsense &>\"",
        "unknown command at line 3 in \"<& fetch cookie name &>\"",
        "unknown target at line 4 in \"<& get shop name none &>\"",
    ] {
        let line = format!("bad tag in page \"/shop/page\": {what}");
        nginx.expect_log(&line);
        assert_eq!(nginx.log_count(&line), 1, "{}", nginx.log());
    }
    assert_eq!(nginx.log_count("bad tag"), 3);
}

#[test]
fn what_is_no_tag_stays_in_the_page() {
    let pages = Pages::new();
    for (text, what) in [
        ("<& get cookie &>", "missing word"),
        ("<& get cookie name a b &>", "too many words"),
        ("<& get cookie name 'a &>", "quote not closed"),
        ("<&  &>", "empty tag"),
        ("<& else &>", "else without block"),
        ("<& end &>", "end without block"),
        ("a <& get cookie name\nz &>", "unterminated tag"),
    ] {
        pages.nginx.expect_log(&format!("{what} at line 1"));
        pages.check(text, |r| r.cookie("name=Ann"), text);
    }
    pages.nginx.expect_log("block without end at line 1");
    pages.check("a<& if cookie name &>b", |r| r.cookie("name=Ann"), "ab");
    pages.nginx.expect_log("target is not a source at line 1");
    pages.check("a<& incr cookie name &>b<& pop cookie name none &>", |r| r.cookie("name=Ann"), "abnone");
    // No tag and no mistake.
    pages.check("a &> b < & c & d", |r| r.cookie("name=Ann"), "a &> b < & c & d");
}

#[test]
fn answers_to_other_methods_are_filled_and_not_stored() {
    let origin = Origin::start();
    origin.handle("/form", |request| {
        Answer::page(
            format!("{} <& get cookie name Guest &> ", request.method)
                + &String::from_utf8_lossy(&request.body),
        )
    });
    let nginx = cached(&origin).start();
    for count in 1..=2 {
        for method in ["POST", "PUT", "DELETE"] {
            let answer =
                nginx.get("/form").cookie("name=Ann").method(method).body("<& get var pid &>").send();
            // What a visitor posts and the app writes into its page is the app's text.
            assert!(answer.text().starts_with(&format!("{method} Ann ")), "{answer:?}");
            assert_eq!((answer.cache(), answer.reason()), ("", "method"));
            assert_eq!(answer.header("Cache-Control"), Some("private, no-cache"));
        }
        assert_eq!(origin.count("/form"), 3 * count);
        assert_eq!(origin.last("/form").header("Twice"), Some("true"));
    }
    nginx.get("/form").send().assert(200, "MISS", "GET Guest ");
}

#[test]
fn an_answer_that_is_too_large_is_filled_whole() {
    let origin = Origin::start();
    let part = "<& get cookie name Guest &> ".to_owned() + &"x".repeat(100_000);
    origin.on("/length", Answer::page(part.repeat(30)));
    origin.on("/chunks", Answer::page(part.repeat(30)).chunked());
    origin.on("/close", Answer::page(part.repeat(30)).until_close());
    let nginx = cached(&origin)
        .server("proxy_http_version 1.1; proxy_max_temp_file_size 0;")
        .listen_options("reuseport sndbuf=4k")
        .start();
    let page = part.replace("<& get cookie name Guest &>", "Ann").repeat(30);
    for path in ["/length", "/chunks", "/close"] {
        for count in 1..=2 {
            let answer = nginx.get(path).cookie("name=Ann").send();
            assert!(answer.text() == page, "{path}: {} of {} bytes", answer.body.len(), page.len());
            answer.assert_cache("MISS");
            assert_eq!(origin.count(path), count, "{path}");
        }
        // A client that lags behind makes the origin wait.
        let mut raw = nginx.raw();
        raw.send(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nCookie: name=Ann\r\n\r\n"));
        raw.response_head().assert_cache("MISS");
        for _ in 0..5 {
            nginx.get("/length").send();
        }
        assert!(raw.rest() == page.as_bytes(), "{path}");
    }
}

#[test]
fn a_template_of_which_little_is_left_does_not_stall() {
    let origin = Origin::start();
    let hidden = format!("<& if cookie vip &>{}<& end &>.", "x".repeat(2_000));
    origin.on("/", Answer::page(hidden.repeat(100)));
    // Nothing but the buffers may hold what the client does not get.
    let nginx = cached(&origin).server("proxy_max_temp_file_size 0;").start();
    sees(&nginx, "/", ["MISS", "HIT"], &".".repeat(100));
}

#[test]
fn a_marked_error_page_is_filled() {
    let origin = Origin::start();
    origin.on("/missing", Answer::page(TEMPLATE).status(404));
    origin.on("/broken", Answer::page(TEMPLATE).status(500));
    let nginx = cached(&origin).start();
    let ann = |path: &str| nginx.get(path).cookie("name=Ann").send();
    ann("/missing").assert(404, "MISS", FILLED);
    ann("/missing").assert(404, "HIT", FILLED);
    ann("/broken").assert(500, "MISS", FILLED);
    ann("/broken").assert(500, "MISS", FILLED);
}

#[test]
fn an_encoded_answer_is_left_alone() {
    let origin = Origin::start();
    origin.on("/", Answer::page(TEMPLATE).header("Content-Encoding", "br"));
    let nginx = cached(&origin).start();
    let answer = nginx.get("/").send();
    answer.assert(200, "MISS", TEMPLATE);
    assert_eq!((answer.reason(), answer.header("Content-Encoding")), ("content_encoding", Some("br")));
}
