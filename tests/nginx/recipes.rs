//! The recipes of docs/from-uwsgi.md for those who come from uWSGI's cache router: each of its blocks is run as it stands there, in
//! front of an application that says nothing about caching.

use std::fs;

use fixture::docs::in_language;
use fixture::{Answer, Nginx, Origin, Response, Setup, until};

/// What each recipe is known by here.
const RECIPES: [&str; 10] = [
    "remember_token",
    "shop.example",
    "utm_*",
    "PHPSESSID",
    "twice_languages",
    "stylesheets",
    "$is_no_page",
    "gzip_types",
    "root html",
    "twice_set_cookie",
];

/// Examples that are no whole configurations.
fn blocks() -> Vec<String> {
    in_language("nginx recipe")
}

/// Runs a recipe in front of this application.
fn recipe(name: &str, origin: &Origin) -> Setup {
    let block = blocks().into_iter().find(|block| block.contains(name)).expect("no such recipe");
    let mut setup = Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always;")
        .http(format!("upstream app {{ server 127.0.0.1:{}; }}", origin.port()));
    // Lines at the beginning of a line begin a statement; maps and zones stand outside of servers.
    let (mut statement, mut depth) = (String::new(), 0);
    for line in block.lines().filter(|line| !line.starts_with('#')) {
        statement += &format!("{line}\n");
        depth += line.matches('{').count() - line.matches("${").count();
        depth -= line.matches('}').count() - line.matches("${").count();
        if depth == 0 && (line.ends_with(';') || line.ends_with('}')) {
            let outside = ["map ", "twice_zone "].iter().any(|word| statement.starts_with(word));
            setup = if outside { setup.http(&statement) } else { setup.server(&statement) };
            statement.clear();
        }
    }
    assert_eq!((statement.as_str(), depth), ("", 0), "{block}");
    setup
}

/// An application without a word on caching: it counts, so that two answers are never the same, and greets.
fn counting() -> Origin {
    let origin = Origin::start();
    let count = std::sync::atomic::AtomicUsize::new(0);
    origin.handle("/*", move |request| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Answer::html(format!("{number} {}", request.header("Cookie").unwrap_or("nobody")))
    });
    origin
}

/// The first of them stores the page that the second gets.
#[track_caller]
fn same(first: Response, second: Response) {
    assert_eq!((first.cache(), second.cache(), second.text()), ("MISS", "HIT", first.text()));
}

/// They have nothing to do with each other.
#[track_caller]
fn apart(first: Response, second: Response) {
    assert_ne!(first.text(), second.text());
    assert!(second.cache() != "HIT", "{second:?}");
}

#[test]
fn every_recipe_is_told_from_the_others() {
    let blocks = blocks();
    assert_eq!(blocks.len(), RECIPES.len());
    for name in RECIPES {
        assert_eq!(blocks.iter().filter(|block| block.contains(name)).count(), 1, "{name}");
    }
}

#[test]
fn unless_the_visitor_has_a_cookie() {
    let origin = counting();
    let nginx = recipe("remember_token", &origin).start();
    let first = nginx.get("/news/1").send();
    assert_eq!(first.header("X-Ttl"), Some("10"));
    same(first, nginx.get("/news/1").cookie("theme=dark").send());
    let stored = nginx.get("/news/1").send().text();
    for _ in 0..3 {
        // Neither from the store nor into it.
        let own = nginx.get("/news/1").cookie("remember_token=ann").send();
        assert_eq!(own.cache(), "BYPASS");
        assert!(own.text().ends_with("remember_token=ann"), "{own:?}");
        nginx.get("/news/1").send().assert(200, "HIT", &stored);
    }
    apart(nginx.get("/forum/new").cookie("remember_token=ann").send(), nginx.get("/forum/new").send());
    // Other pages are not the cache's.
    for _ in 0..2 {
        assert_eq!(nginx.get("/newsletter").send().status, 404);
    }
    // As uWSGI: of an application that fails nothing is kept.
    origin.on("/news/broken", Answer::new(500, "broken"));
    origin.on("/news/missing", Answer::new(404, "missing"));
    for path in ["/news/broken", "/news/missing"] {
        nginx.get(path).send().assert_cache("MISS");
        nginx.get(path).send().assert_cache("MISS");
    }
    // A page that greets somebody by a cookie of its own is nobody else's.
    origin.on("/news/own", Answer::html("x").header("Set-Cookie", "sid=1"));
    nginx.get("/news/own").send().assert_cache("MISS");
    assert_eq!(nginx.get("/news/own").send().reason(), "set_cookie");
    nginx.allow_log("No such file or directory");
}

#[test]
fn by_host_and_key() {
    let origin = counting();
    let nginx = recipe("shop.example", &origin).start();
    let of = |host: &str, path: &str| nginx.get(path).header("Host", host).send();
    same(of("shop.example", "/a?x=1"), of("www.shop.example", "/a?x=1"));
    apart(of("shop.example", "/b"), of("other.example", "/b"));
    apart(of("shop.example", "/c?x=1"), of("shop.example", "/c?x=2"));
}

#[test]
fn without_the_query() {
    let origin = counting();
    let nginx = recipe("utm_*", &origin).start();
    same(nginx.get("/about?x=1").send(), nginx.get("/about?x=2").send());
    same(nginx.get("/articles/1?utm_source=a").send(), nginx.get("/articles/1?fbclid=b").send());
    apart(nginx.get("/articles/2?page=1").send(), nginx.get("/articles/2?page=2").send());
}

#[test]
fn a_page_for_each_session() {
    let origin = counting();
    let nginx = recipe("PHPSESSID", &origin).start();
    let of = |cookies: &str| nginx.get("/home").cookie(cookies).send();
    same(of("PHPSESSID=ann"), of("theme=dark; PHPSESSID=ann"));
    apart(of("PHPSESSID=bob"), of("PHPSESSID=eve"));
    same(nginx.get("/home").send(), of("theme=dark"));
}

#[test]
fn by_language() {
    let origin = counting();
    let nginx = recipe("twice_languages", &origin).start();
    let of = |languages: &str| nginx.get("/").header("Accept-Language", languages).send();
    same(of("de-CH,de;q=0.9,en;q=0.8"), of("de"));
    same(of("fr"), of("it,fr;q=0.5"));
    same(of("it"), of("en-GB"));
    assert_eq!(origin.count("/"), 3);
}

#[test]
fn several_zones_and_what_browsers_are_told() {
    let origin = counting();
    origin.on("/img/large", Answer::ok("x".repeat(2 << 20)).header("Content-Type", "image/png"));
    let nginx = recipe("stylesheets", &origin).figures().start();
    for (path, seconds) in [("/img/a", 3600), ("/site.css", 600)] {
        same(nginx.get(path).send(), nginx.get(path).send());
        let page = nginx.get(path).send();
        let number = |text: &str| text.trim_start_matches("max-age=").parse::<u64>().unwrap();
        let told = number(page.header("Cache-Control").unwrap());
        assert!(told <= seconds && told + 20 >= seconds, "{page:?}");
        assert_eq!(told, number(page.header("X-Ttl").unwrap()), "{page:?}");
    }
    nginx.get("/img/large").warm();
    assert_eq!((nginx.figure_of("images", "pages"), nginx.figure_of("stylesheets", "pages")), (2, 1));
}

#[test]
fn some_types_and_statuses() {
    let origin = counting();
    let of = |status: u16, kind: &str| Answer::new(status, "x").header("Content-Type", kind);
    origin.on("/page", of(200, "text/html; charset=utf-8"));
    origin.on("/missing", of(404, "text/html"));
    origin.on("/json", of(200, "application/json"));
    origin.on("/moved", of(302, "text/html").header("Location", "/page"));
    origin.handle("/named", move |request| {
        let named = |answer: Answer, age| {
            answer.header("ETag", "\"a\"").header("Cache-Control", format!("max-age={age}"))
        };
        let is_same = request.header("If-None-Match").is_some();
        if is_same { named(Answer::new(304, ""), 3600) } else { named(of(200, "text/html"), 1) }
    });
    let nginx = recipe("$is_no_page", &origin).start();
    nginx.get("/page").warm().assert(200, "HIT", "x");
    nginx.get("/missing").warm().assert(404, "HIT", "x");
    for path in ["/json", "/moved"] {
        nginx.get(path).send().assert_cache("MISS");
        nginx.get(path).send().assert_cache("MISS");
    }
    // What its application confirms is of the type that it was.
    until("it is confirmed", || nginx.get("/named").send().cache() == "REVALIDATED");
    nginx.get("/named").send().assert(200, "HIT", "x");
}

#[test]
fn compressed_for_those_who_can_read_it() {
    let origin = counting();
    let body = "0123456789".repeat(100);
    origin.on("/", Answer::html(body.clone()));
    let nginx = recipe("gzip_types", &origin).start();
    let packed = nginx.get("/").compressed().send();
    packed.assert(200, "MISS", &body);
    let plain = nginx.get("/").send();
    plain.assert(200, "HIT", &body);
    assert_eq!(plain.header("Content-Encoding"), None);
    let packed = nginx.get("/").compressed().send();
    packed.assert(200, "HIT", &body);
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    assert_eq!(origin.count("/"), 1);
}

#[test]
fn files() {
    let origin = counting();
    let setup = recipe("root html", &origin).file("html/docs/a.css", "body { }");
    let file = setup.folder().join("html/docs/a.css");
    let nginx = setup.start();
    nginx.get("/docs/a.css").send().assert(200, "MISS", "body { }");
    fs::remove_file(file).unwrap();
    let hit = nginx.get("/docs/a.css").send();
    hit.assert(200, "HIT", "body { }");
    assert_eq!(hit.header("Content-Type"), Some("text/css"));
    assert_eq!(nginx.get("/docs/b").send().status, 404);
    assert_eq!(nginx.get("/docs/b").send().cache(), "HIT");
    nginx.expect_log("No such file or directory");
}

#[test]
fn an_application_that_means_nothing_by_its_headers() {
    let origin = counting();
    origin.handle("/public/*", |request| {
        Answer::html(format!("hello {}", request.header("Cookie").unwrap_or("nobody")))
            .header("Set-Cookie", "sid=1")
            .header("Cache-Control", "private, no-store")
            .header("Expires", "Thu, 01 Jan 1970 00:00:01 GMT")
            .header("Vary", "Cookie")
    });
    let nginx = recipe("twice_set_cookie", &origin).start();
    same(nginx.get("/public/a").cookie("sid=ann").send(), nginx.get("/public/a").cookie("sid=bob").send());
    let page = nginx.get("/public/a").send();
    page.assert(200, "HIT", "hello nobody");
    assert_eq!(page.header("Set-Cookie"), None);
}
