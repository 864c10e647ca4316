//! Fragments from anywhere, and pages on any way.

use fixture::{Answer, FastCgi, Gate, Nginx, Origin};

use super::{both, site};

#[test]
fn a_fragment_comes_from_any_handler() {
    let origin = Origin::start();
    let app = FastCgi::shell("printf 'Content-Type: text/html\\n\\napp %s' \"$QUERY_STRING\"");
    for (path, answer) in [
        ("/chunked", Answer::html("chunked").chunked()),
        ("/until/close", Answer::html("until close").until_close()),
        ("/pieces", Answer::html("pieces").chunked().cut_every(1)),
        ("/large", Answer::html("x".repeat(500_000))),
        ("/unbuffered", Answer::html("unbuffered").cut_every(3)),
        ("/unbuffered/large", Answer::page("x".repeat(500_000)).chunked()),
        ("/error", Answer::html("never seen").status(500)),
        ("/page/with/tags", Answer::page("<& get arg a none &>")),
    ] {
        origin.on(path, answer);
    }
    let nginx = site(&origin)
        .http("sendfile on; tcp_nopush on;")
        .server("root html;")
        .file("html/file.html", "file")
        .file("html/large.html", "y".repeat(700_000))
        .file("html/empty.html", "")
        .file("html/try/this.html", "tried")
        .file("html/kept/page.html", "kept <& get cookie a none &>")
        .file("html/oops.html", "oops")
        .location("= /file.html", "")
        .location("= /large.html", "")
        .location("= /empty.html", "")
        .location("= /said", "return 200 said;")
        .location("= /said/kept", "twice pages; twice_valid 60s; return 200 'said and kept';")
        .location("= /app", app.pass())
        .location("= /try", "try_files $uri /try/this.html =404;")
        .location("= /try/this.html", "")
        .location("= /kept/page.html", "twice pages; twice_valid 60s; twice_tags all;")
        .location("/unbuffered", format!("twice pages; proxy_buffering off; proxy_pass {};", origin.url()))
        .location(
            "= /error",
            format!("proxy_intercept_errors on; error_page 500 = /oops.html; proxy_pass {};", origin.url()),
        )
        .location("= /oops.html", "")
        .location("= /inside", "internal; return 200 inside;")
        .location("= /rewritten", "rewrite ^ /said last;")
        .location("~ ^/regex/(.*)$", "return 200 $1;")
        .start();
    let (x, y) = ("x".repeat(500_000), "y".repeat(700_000));
    for (n, (uri, text)) in [
        ("/chunked", "chunked"),
        ("/until/close", "until close"),
        ("/pieces", "pieces"),
        ("/large", x.as_str()),
        ("/unbuffered", "unbuffered"),
        ("/unbuffered/large", &x),
        ("/error", "oops"),
        ("/page/with/tags?a=b", "b"),
        ("/file.html", "file"),
        ("/large.html", &y),
        ("/empty.html", ""),
        ("/said", "said"),
        ("/said/kept", "said and kept"),
        ("/app?a=b", "app a=b"),
        ("/try", "tried"),
        ("/kept/page.html", "kept none"),
        ("/inside", "inside"),
        ("/rewritten", "said"),
        ("/regex/%61%20b", "a b"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/page/{n}");
        origin.on(&path, Answer::page(format!("[<& include {uri} &>]<& include {uri} &>")));
        both(&nginx, &path, &format!("[{text}]{text}"));
    }
}

#[test]
fn a_page_with_fragments_comes_on_any_way() {
    let origin = Origin::start();
    let app = FastCgi::shell(
        "printf 'X-Twice-Control: max-age=60\\nContent-Type: text/html\\n\\napp <& include /a &>'",
    );
    let page = || Answer::page("page <& include /a &>!");
    origin.on("/a", Answer::html("AAA"));
    origin.on("/sub", page());
    origin.on("/gzip", page());
    origin.on("/unbuffered", page().chunked().cut_every(2));
    let text = Answer::ok("page <& include /a &>!").header("Content-Type", "text/plain");
    origin.on("/text", text.header("X-Twice-Control", "max-age=60"));
    origin.on("/missing", Answer::html("never seen").status(404));
    origin.on("/error.html", Answer::page("error <& include /a &>"));
    let pass = format!("twice pages; proxy_pass {};", origin.url());
    let nginx = site(&origin)
        .http2()
        .server("root html; gzip_min_length 1; gzip_types text/plain;")
        .file("html/file.html", "file <& include /a &>")
        .location("= /sub", format!("{pass} sub_filter AAA BBB;"))
        .location("= /gzip", format!("{pass} gzip on;"))
        .location("= /unbuffered", format!("{pass} proxy_buffering off;"))
        .location("= /text", format!("{pass} twice_types text/plain; gzip on;"))
        .location("= /app", format!("twice pages; {}", app.pass()))
        .location("= /file.html", "twice pages; twice_valid 60s; twice_tags all;")
        .location("= /said", "default_type text/html; twice pages; twice_valid 60s; twice_tags all; return 200 'said <& include /a &>';")
        .location("= /missing", format!("{pass} proxy_intercept_errors on; error_page 404 /error.html;"))
        .location("= /post", pass.clone())
        .start();
    for (path, text) in [
        ("/sub", "page BBB!"),
        ("/gzip", "page AAA!"),
        ("/unbuffered", "page AAA!"),
        ("/text", "page AAA!"),
        ("/app", "app AAA"),
        ("/file.html", "file AAA"),
        ("/said", "said AAA"),
    ] {
        for cache in ["MISS", "HIT"] {
            if cache == "HIT" {
                nginx.get(path).warm();
            }
            let page = nginx.get(path).compressed().send();
            page.assert(200, cache, text);
            let packed = matches!(path, "/gzip" | "/text");
            assert_eq!(page.header("Content-Encoding"), packed.then_some("gzip"), "{path}");
            assert_eq!(nginx.get_h2(path).send().text(), text, "{path}");
            let old = nginx.get(path).http10().send();
            assert_eq!(old.text(), text, "{path}");
        }
    }
    for _ in 0..3 {
        let missing = nginx.get("/missing").send();
        assert_eq!((missing.status, missing.text().as_str()), (404, "error AAA"));
    }
    origin.handle("/post", |request| {
        Answer::page(String::from_utf8_lossy(&request.body).into_owned() + " <& include /a &>")
    });
    let post = nginx.get("/post").body("posted").send();
    assert_eq!((post.status, post.text().as_str()), (200, "posted AAA"));
    // The fragment is a GET without a body.
    let asked = origin.last("/a");
    assert_eq!((asked.method.as_str(), asked.body.len(), asked.header("Content-Length")), ("GET", 0, None));
}

#[test]
fn fragments_and_server_side_includes_mix() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("(<!--#include virtual=\"/part\" -->|<& include /a &>)"));
    origin.on("/part", Answer::page("part <& include /a &> <& include /b &>"));
    origin.on("/a", Answer::html("A"));
    origin.on("/b", Answer::page("B <& include /a &>"));
    // What a fragment holds is run where it ends up, as the page's own.
    origin.on("/outer", Answer::page("<& include /inner &>"));
    origin.on("/inner", Answer::page("<!--#include virtual=\"/a\" -->"));
    let nginx = site(&origin)
        .location("~ ^/(page|outer|inner)$", format!("ssi on; twice pages; proxy_pass {};", origin.url()))
        .start();
    for _ in 0..3 {
        for (path, text) in [("/page", "(part A B A|A)"), ("/outer", "A")] {
            let page = nginx.get(path).send();
            assert_eq!((page.status, page.text().as_str()), (200, text), "{page:?}");
            nginx.get(path).warm();
        }
    }
    // Both kinds of waiting at once.
    let gate = Gate::new();
    origin.on("/a", Answer::html("A").gate(&gate));
    let page = nginx.get("/page").spawn();
    gate.wait_arrived(1);
    gate.open();
    assert_eq!(page.join().unwrap().text(), "(part A B A|A)");
}

#[test]
fn access_is_the_pages_to_ask_for() {
    // nginx asks for access to the client's own request alone, with includes of its own as well.
    let nginx = Nginx::twice()
        .file("html/page.html", "[<& include /private &>]")
        .location("/page.html", "twice pages; twice_valid 60s; twice_tags all; root html;")
        .location("= /private", "deny all; default_type text/html; try_files /none /private.html;")
        .file("html/private.html", "private")
        .location("= /private.html", "deny all; root html;")
        .start();
    nginx.allow_log("access forbidden by rule");
    assert_eq!(nginx.get("/private").send().status, 403);
    both(&nginx, "/page.html", "[private]");
}

/// What only Twice may say, and a purge, go no further than the client's own request.
#[test]
fn a_purge_that_is_asked_for_with_a_page_is_not_asked_for_with_its_fragments() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& include /stored/a &><& include /plain/b &>"));
    origin.on("/stored/a", Answer::page("A"));
    origin.on("/plain/b", Answer::html("B"));
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = site(&origin)
        .location("/stored/", format!("twice pages; twice_mark_dirty 1; {pass}"))
        .location("/plain/", pass)
        .start();
    both(&nginx, "/", "AB");
    let names = ["X-Mark-Dirty", "Twice", "X-Twice-Control", "X-ABValue", "X-Geo"];
    let evil = names.iter().fold(nginx.get("/"), |page, name| page.header(name, "*"));
    evil.send().assert(200, "HIT", "AB");
    let asked = origin.last("/plain/b");
    for name in names {
        assert_eq!(asked.header(name), None, "{name}");
    }
    nginx.get("/").send().assert(200, "HIT", "AB");
    assert_eq!((origin.count("/stored/a"), origin.count("/plain/b")), (1, 4));
    // The location itself hears of it.
    assert_ne!(nginx.get("/stored/a").header("X-Mark-Dirty", "*").send().text(), "A");
}
