//! Requests that nginx sends on within itself: what a page is stored for is what its application was asked.

use fixture::{Answer, FastCgi, Nginx, Origin, Response, Setup, nginx_version};

use super::proxied;

/// Says which Cookie lines its environment holds as it was handed over: of two lines a shell would keep one.
const COOKIES: &str = r#"printf 'X-Twice-Control: max-age=60\nContent-Type: text/html\n'
case $STEP in
missing) printf 'Status: 404\n\n' ;;
page) printf '\n[<!--#include virtual="/part" -->]' ;;
*) printf '\n'; tr '\0' '\n' </proc/$$/environ | grep ^HTTP_COOKIE= ;;
esac"#;

#[test]
fn an_application_asked_twice_for_one_request_sees_its_cookies_once() {
    let app = FastCgi::shell(COOKIES);
    let step = |name: &str, lines: &str| format!("{} fastcgi_param STEP {name}; {lines}", app.pass());
    let with = |setup: Setup, lines: &str| {
        setup
            .server(lines)
            .location("/missing", step("missing", "fastcgi_intercept_errors on; error_page 404 /part;"))
            .location("/page", step("page", "ssi on;"))
            .location("/part", step("part", ""))
            .start()
    };
    let plain = with(Nginx::plain(), "");
    // Each time the application is asked, on every way.
    let nginx = with(Nginx::twice(), "twice pages; twice_bypass 1;");
    let workers = nginx.workers();
    let ask = |nginx: &Nginx, path: &str, cookies: &[String]| -> Response {
        let lines: String = cookies.iter().map(|cookie| format!("Cookie: {cookie}\r\n")).collect();
        let mut raw = nginx.raw();
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"));
        raw.response()
    };
    for count in [1, 2, 400] {
        let cookies: Vec<String> = (0..count).map(|n| format!("a{n}")).collect();
        for path in ["/part", "/missing", "/page"] {
            for _ in 0..3 {
                let page = ask(&nginx, path, &cookies);
                assert_eq!(page.text(), ask(&plain, path, &cookies).text(), "{count} cookies: {path}");
                if nginx_version() >= (1, 23, 0) {
                    let line = format!("HTTP_COOKIE={}\n", cookies.join("; "));
                    assert_eq!(page.text().trim_matches(['[', ']']), line, "{count} cookies: {path}");
                }
            }
        }
    }
    assert_eq!(nginx.workers(), workers);
}

#[test]
fn a_front_controllers_pages_are_apart() {
    let app = FastCgi::shell(
        r#"echo "$REQUEST_URI" >>asked
printf 'X-Twice-Control: max-age=60\nContent-Type: text/html\n\n%s' "$REQUEST_URI""#,
    );
    for front in
        ["try_files $uri /index.php?$args;", "try_files $uri /index.php;", "rewrite ^ /index.php last;"]
    {
        let nginx = Nginx::twice()
            .server("twice pages; root html;")
            .location("/", front)
            .location("= /index.php", app.pass())
            .start();
        let asked = || app.folder().read("asked").lines().count();
        let before = asked();
        let paths = ["/about", "/contact", "/about?page=2", "/contact?page=2", "/index.php"];
        for cache in ["MISS", "HIT"] {
            for path in paths {
                nginx.get(path).send().assert(200, cache, path);
            }
        }
        assert_eq!(asked() - before, paths.len(), "{front}");
    }
}

#[test]
fn a_named_location_tells_the_targets_apart_that_its_origin_does() {
    let origin = Origin::start();
    origin.handle("/*", |request| Answer::page(request.target.clone()));
    let nginx = Nginx::twice()
        .server("root html;")
        .location("/", "try_files $uri @app;")
        .location("@app", proxied(&origin))
        .start();
    let targets =
        ["/q%2fb", "/q/b", "/q%2Fb", "//a/b", "/a/b", "/x/../a/b", "/a/./b", "/%61/b", "/a/b?", "/a/b?c"];
    // The `?` of an empty query alone is dropped.
    let asked = |target: &str| target.strip_suffix('?').unwrap_or(target).to_owned();
    for target in targets {
        let page = nginx.get(target).send();
        assert_eq!(asked(&page.text()), asked(target), "{}", page.cache());
    }
    for target in targets {
        let page = nginx.get(target).send();
        page.assert_cache("HIT");
        assert_eq!(asked(&page.text()), asked(target));
    }
}

#[test]
fn a_fragment_of_an_answer_to_a_post_is_not_stored() {
    let origin = Origin::start();
    origin.on("/page", Answer::html("[<!--#include virtual=\"/part\" -->]"));
    origin.handle("/part", |request| Answer::page(String::from_utf8_lossy(&request.body).into_owned()));
    let nginx = Nginx::twice().server("ssi on;").location("/", proxied(&origin)).start();
    let post = nginx.get("/page").body("evil");
    // What the fragment's application makes of a body that is its page's is the visitor's own.
    for request in [post.clone(), post.clone().header("Transfer-Encoding", "chunked"), post.method("GET")] {
        assert_eq!(request.send().text(), "[evil]");
    }
    let asked = origin.count("/part");
    for _ in 0..2 {
        assert_eq!(nginx.get("/page").send().text(), "[]");
    }
    nginx.get("/part").send().assert(200, "MISS", "");
    // Of two visitors the second finds the fragment.
    assert_eq!(origin.count("/part"), asked + 2);
}

#[test]
fn what_an_app_says_to_one_visitor_on_the_way_to_a_page_is_not_stored() {
    let origin = Origin::start();
    origin.handle("/gate/*", |request| {
        let visitor = request.cookie("name").unwrap_or_default().to_owned();
        Answer::html("never seen")
            .header("X-Accel-Redirect", request.path().replace("gate", "inside"))
            .header("Content-Disposition", format!("attachment; filename={visitor}"))
            .header("Set-Cookie", format!("visitor={visitor}"))
    });
    origin.on("/inside/*", Answer::page("page").header("X-Page", "yes"));
    let nginx = Nginx::twice()
        .file("html/inside/file", "page")
        .location("/gate/", format!("proxy_pass {};", origin.url()))
        .location("/gate/cached/", proxied(&origin))
        .location("/inside/", format!("internal; {}", proxied(&origin)))
        .location("= /inside/file", "internal; twice pages; twice_valid 60s; root html;")
        .start();
    for path in ["/gate/page", "/gate/cached/page", "/gate/file"] {
        for name in ["alice", "bob", "bob", "carol"] {
            let page = nginx.get(path).cookie(&format!("name={name}")).send();
            assert_eq!((page.status, page.text().as_str()), (200, "page"), "{path} {name}");
            let file = format!("attachment; filename={name}");
            assert_eq!(page.all("Content-Disposition"), [file], "{path} {name}: {page:?}");
            assert_eq!(page.all("Set-Cookie"), [format!("visitor={name}")], "{path} {name}: {page:?}");
        }
    }
}

#[test]
fn conditions_hold_where_an_app_sends_its_visitor_to_a_file() {
    let origin = Origin::start();
    origin.on("/gate", Answer::html("never seen").header("X-Accel-Redirect", "/files/page.html"));
    let nginx = Nginx::twice()
        .file("html/files/page.html", "0123456789")
        .server("root html;")
        .location("= /gate", proxied(&origin))
        .location("/files/", "twice off;")
        .start();
    let file = nginx.get("/files/page.html").send();
    let gate = || nginx.get("/gate");
    assert_eq!(gate().header("If-None-Match", file.header("ETag").unwrap()).send().status, 304);
    assert_eq!(gate().header("If-Modified-Since", file.header("Last-Modified").unwrap()).send().status, 304);
    let part = gate().range("2-4").send();
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(gate().header("If-None-Match", "\"other\"").send().text(), "0123456789");
    assert_eq!(origin.count("/gate"), 4);
}

#[test]
fn what_a_location_hides_of_a_page_steers_beside_what_its_app_said_on_the_way() {
    let origin = Origin::start();
    let accel = Answer::html("never seen").header("X-Accel-Redirect", "/inside/page");
    origin.on("/gate", accel.header("Cache-Control", "max-age=60"));
    origin.on("/inside/page", Answer::html("Ann's").header("Cache-Control", "private"));
    let nginx = Nginx::twice()
        .location("= /gate", format!("proxy_pass {};", origin.url()))
        .location("/inside/", format!("internal; proxy_hide_header Cache-Control; {}", proxied(&origin)))
        .start();
    for _ in 0..2 {
        let page = nginx.get("/gate").send();
        page.assert(200, "MISS", "Ann's");
        assert_eq!(page.reason(), "cache_control");
    }
}
