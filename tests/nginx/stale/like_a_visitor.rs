//! A refresh asks as the visitor would have asked, but for what is that visitor's own.

use super::*;
use fixture::{FastCgi, Received};
use std::fs;

#[test]
fn regular_expressions_and_set_variables_are_as_they_were() {
    let origin = Origin::start();
    let nginx = Nginx::twice()
        .http("map $arg_m $mapped { default none; ~^x(?<rest>.*)$ rest-$rest; }")
        .server("rewrite ^/old/(.*)$ /app/$1/rewritten last;")
        .location(
            "~ ^/app/(?<first>[a-z]+)/([a-z]+)$",
            format!(
                "twice pages; {LONG} set $made $2-$arg_q; set $host_of_origin 127.0.0.1:{}; proxy_set_header X-Map $mapped;
proxy_set_header X-Made $made; proxy_pass http://$host_of_origin/inner/$2/$first?$args;",
                origin.port()
            ),
        )
        .start();
    origin.on("/inner/b/a", short("old"));
    origin.on("/inner/rewritten/a", short("old"));
    let pages = [("/app/a/b?q=1&m=xyz", "/inner/b/a"), ("/old/a?q=2&m=xyz", "/inner/rewritten/a")];
    for (path, target) in pages {
        fill(&nginx, path);
        origin.on(target, Answer::page("new"));
        stale(&nginx, path);
        renewed(&nginx, path, "new");
        let asked = origin.requests(target);
        let seen = |r: &Received| {
            (r.target.clone(), r.header("X-Made").map(str::to_owned), r.header("X-Map").map(str::to_owned))
        };
        assert_eq!(asked.len(), 2);
        assert_eq!(seen(&asked[0]), seen(&asked[1]));
        assert_eq!(asked[1].header("X-Map"), Some("rest-yz"));
    }
}

#[test]
fn what_is_the_visitors_own_stays_with_the_visitor() {
    let origin = Origin::start();
    origin.on("/", short("old"));
    let nginx = cached(
        &origin,
        "proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Local $server_addr:$server_port;",
    )
    .http("set_real_ip_from 127.0.0.1; real_ip_header X-Client;")
    .start();
    fill(&nginx, "/");
    origin.on("/", Answer::page("new"));
    let visitor = || {
        nginx
            .get("/?")
            .cookie("session=secret")
            .range("0-1")
            .header("Authorization", "Basic YTpi")
            .header("If-None-Match", "\"x\"")
            .header("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")
            .header("TE", "trailers")
            .header("X-Client", "192.0.2.7")
            .header("X-Other", "kept")
            .header("User-Agent", "A visitor")
            .header("Twice", "false")
    };
    until("it is stale", || visitor().send().cache() == "STALE");
    renewed(&nginx, "/", "new");
    assert_eq!(origin.count("/"), 2);
    let asked = origin.last("/");
    for name in
        ["Cookie", "Range", "Authorization", "If-None-Match", "If-Modified-Since", "TE", "Accept-Encoding"]
    {
        assert_eq!(asked.header(name), None, "{name}: {asked:?}");
    }
    let local = format!("127.0.0.1:{}", nginx.port());
    for (name, value) in [
        ("X-Other", "kept"),
        ("User-Agent", "A visitor"),
        ("X-Real-IP", "192.0.2.7"),
        ("Twice", "true"),
        ("X-Local", &local),
    ] {
        assert_eq!(asked.header(name), Some(value), "{asked:?}");
    }
}

#[test]
fn a_key_that_the_location_writes_may_be_made_of_anything_of_the_visitors() {
    let origin = Origin::start();
    origin.handle("/", |request| {
        short(&format!("{} {}", request.cookie("lang").unwrap_or("none"), request.connection))
    });
    let nginx = cached(&origin, "twice_key $uri-$cookie_lang;").start();
    for lang in ["de", "en"] {
        let ask = || nginx.get("/").cookie(&format!("lang={lang}")).send();
        let first = ask().text();
        let renewed = until_some("it is renewed", || Some(ask().text()).filter(|text| *text != first));
        assert!(renewed.starts_with(lang), "{renewed}");
    }
}

#[test]
fn fastcgi_is_renewed() {
    let app = FastCgi::shell(
        "printf 'Content-Type: text/html\\nX-Twice-Control: max-age=1\\n\\n%s %s' \"$REQUEST_URI\" \"$(cat count)\"",
    );
    let count = app.folder().path().join("count");
    fs::write(&count, "one").unwrap();
    // fcgiwrap runs a script in the script's folder.
    let nginx = Nginx::twice().location("/", format!("twice pages; {LONG} {}", app.pass())).start();
    nginx.get("/x?y=1").send().assert(200, "MISS", "/x?y=1 one");
    fs::write(&count, "two").unwrap();
    stale(&nginx, "/x?y=1").assert(200, "STALE", "/x?y=1 one");
    renewed(&nginx, "/x?y=1", "/x?y=1 two");
}

#[test]
fn named_locations_if_blocks_and_mirrors_are_as_in_a_fetch() {
    let origin = Origin::start();
    let url = origin.url();
    let nginx = Nginx::twice()
        .location("/named", "root html; try_files /nothing @app;")
        .location("@app", format!("twice pages; {LONG} proxy_pass {url};"))
        .location(
            "/if",
            format!("twice pages; {LONG} if ($arg_a) {{ proxy_pass {url}; }} proxy_pass {url}/never;"),
        )
        .location("/mirrored", format!("twice pages; {LONG} mirror /mirror; proxy_pass {url};"))
        .location("= /mirror", format!("internal; proxy_pass {url}/copy;"))
        .start();
    origin.on("/copy", Answer::ok("copied"));
    for path in ["/named", "/if", "/mirrored"] {
        let target = format!("{path}?a=1");
        origin.on(path, short("old"));
        fill(&nginx, &target);
        origin.on(path, Answer::page("new"));
        stale(&nginx, &target).assert(200, "STALE", "old");
        renewed(&nginx, &target, "new");
        assert_eq!((origin.last(path).target, origin.count(path)), (target, 2));
    }
    // For the visitors' requests, and not for the refresh.
    origin.wait_count("/copy", 2);
}

#[test]
fn static_files_and_returns_are_renewed() {
    let nginx = Nginx::twice()
        .file("html/page.html", "old")
        .location("/page", format!("twice pages; {LONG} twice_valid 1s; root html;"))
        .location("/return", format!("twice pages; {LONG} twice_valid 1s; return 200 $msec;"))
        .start();
    fill(&nginx, "/page.html");
    fs::write(nginx.setup().folder().join("html/page.html"), "new").unwrap();
    stale(&nginx, "/page.html").assert(200, "STALE", "old");
    renewed(&nginx, "/page.html", "new");
    let first = nginx.get("/return").send().text();
    stale(&nginx, "/return").assert(200, "STALE", &first);
    until("it is renewed", || nginx.get("/return").send().text() != first);
}

#[test]
fn access_is_neither_repeated_nor_passed_by() {
    let origin = Origin::start();
    origin.on("/guard", Answer::new(204, ""));
    origin.on("/page", short("old"));
    let nginx = cached(&origin, "auth_request /guard; auth_basic closed; auth_basic_user_file users;")
        .file("users", "ann:{PLAIN}secret\n")
        .location("= /guard", format!("internal; proxy_pass {};", origin.url()))
        .start();
    let ann = || nginx.get("/page").arg("-u").arg("ann:secret").send();
    ann().assert(200, "MISS", "old");
    let gate = Gate::new();
    origin.on("/page", Answer::page("new").gate(&gate));
    // Whoever may not see the page is refused, and nothing is started for him.
    until("the page's time is over", || {
        let age = ann();
        assert_eq!(age.text(), "old");
        age.cache() != "HIT"
    });
    gate.wait_arrived(1);
    nginx.allow_log("no user/password was provided");
    let (guards, pages) = (origin.count("/guard"), origin.count("/page"));
    for _ in 0..3 {
        let refused = nginx.get("/page").send();
        assert_eq!((refused.status, refused.cache()), (401, ""), "{refused:?}");
    }
    assert_eq!(origin.count("/page"), pages);
    gate.open();
    until("it is renewed", || ann().text() == "new");
    // A guard for each visitor who was let in, or came as far as that, and none for the refresh.
    let came = || {
        let log = nginx.access_log();
        log.lines()
            .filter(|line| line.contains("\"GET /page"))
            .map(|line| line.contains("\" 401 "))
            .collect::<Vec<_>>()
    };
    until("the log has all visitors", || {
        let refused = came().iter().filter(|&&refused| refused).count();
        let let_in = came().len() - refused;
        refused == 3 && (let_in == origin.count("/guard") || let_in + refused == origin.count("/guard"))
    });
    assert!(origin.count("/guard") >= guards);
    assert_eq!(origin.count("/page"), pages);
}

#[test]
fn a_visitor_who_is_refused_starts_nothing() {
    let origin = Origin::start();
    origin.on("/page", short("old"));
    origin.on("/clock", short("clock"));
    let nginx = cached(&origin, "auth_request /guard;")
        .location("= /guard", "internal; if ($http_x_let = in) { return 204; } return 403;")
        .location("= /clock", format!("twice pages; twice_stale_factor 1; proxy_pass {};", origin.url()))
        .start();
    let may = || nginx.get("/page").header("X-Let", "in").send();
    may().assert(200, "MISS", "old");
    // Only those who are refused come by after its lifetime; the other page's ends later.
    nginx.get("/clock").send();
    until("its lifetime is over", || {
        let refused = nginx.get("/page").send();
        assert_eq!(refused.status, 403, "{refused:?}");
        nginx.get("/clock").send().cache() == "EXPIRED"
    });
    assert_eq!(origin.count("/page"), 1);
    may().assert(200, "STALE", "old");
    origin.wait_count("/page", 2);
}

#[test]
fn a_refresh_that_nginx_sends_elsewhere_ends_there() {
    let origin = Origin::start();
    origin.on("/page", short("old"));
    origin.on("/inner", Answer::page("inner"));
    let nginx = cached(&origin, "proxy_intercept_errors on; error_page 503 @other;")
        .location("/accel/", format!("internal; deny all; twice pages; proxy_pass {}/;", origin.url()))
        .location("@other", format!("deny all; proxy_pass {};", origin.url()))
        .start();
    fill(&nginx, "/page");
    for answer in [Answer::new(503, "down"), Answer::ok("").header("X-Accel-Redirect", "/accel/inner")] {
        let before = origin.count("/page");
        origin.on("/page", answer);
        nginx.expect_log("a refresh brought no page");
        until("it was tried", || {
            assert_eq!(nginx.get("/page").send().text(), "old");
            origin.count("/page") > before
        });
        until("the refresh has ended", || nginx.log_count("a refresh brought no page") > 0);
    }
    assert_eq!(origin.count("/inner"), 0);
    nginx.get("/page").send();
}

/// What a location makes of a password goes with the refresh: its answer is somebody's, as that to a visitor with one is.
#[test]
fn what_was_told_of_a_password_is_not_shared() {
    let origin = Origin::start();
    origin.handle("/", |request| match request.header("X-Who") {
        Some(_) => Answer::html("secret").header("Cache-Control", "max-age=1000"),
        None => Answer::html("for all").header("Cache-Control", "max-age=1, stale-while-revalidate=1000"),
    });
    let nginx = cached(&origin, "set $who $http_authorization; proxy_set_header X-Who $who;").start();
    nginx.expect_log("a refresh brought no page (authorization, status 200)");
    let asked = |somebodys: bool| {
        let is_somebodys = |request: &&Received| request.header("X-Who").is_some();
        origin.requests("/").iter().filter(|request| is_somebodys(request) == somebodys).count()
    };
    nginx.get("/").send().assert(200, "MISS", "for all");
    until("somebody has it renewed", || {
        assert_eq!(nginx.get("/").arg("-u").arg("v:x").send().text(), "for all");
        asked(true) > 0
    });
    let before = asked(false);
    until("somebody else has it renewed", || {
        assert_eq!(nginx.get("/").send().text(), "for all");
        asked(false) > before
    });
}
