//! Header lines that nginx makes for each answer, and the variables in them: a visitor's own, on hits too.

use super::*;

#[test]
fn lines_that_a_location_adds_are_made_for_each_visitor() {
    let both = Beside::start(|setup, origin, twice| {
        setup
            .http("map $cookie_theme $theme { default light; dark dark; }")
            .http("geo $http_x_from $from { default elsewhere; 192.0.2.0/24 here; }")
            .http("map $sent_http_content_type $keep { default 1h; ~image/ max; ~css epoch; }")
            .location(
                "/",
                format!(
                    "{twice} add_header X-Theme $theme; add_header X-From $from always; add_header X-Path $uri;
                     add_header X-Kind $sent_http_content_type; add_header X-Empty $arg_none;
                     expires $keep; proxy_hide_header X-Hidden; proxy_pass {origin};"
                ),
            )
    });
    let kinds = [("/html", "text/html"), ("/css", "text/css"), ("/image", "image/png"), ("/none", "x/y")];
    for (path, kind) in kinds {
        let answer = Answer::ok("x").header("Content-Type", kind).header("X-Hidden", "x");
        both.on(path, answer.header("Cache-Control", "public, max-age=60"));
    }
    both.on("/missing", Answer::new(404, "x").header("Cache-Control", "public, max-age=60"));
    let dark = |request: Request| request.cookie("theme=dark").header("X-From", "192.0.2.1");
    for path in ["/html", "/css", "/image", "/none", "/missing"] {
        both.ask(path, dark).assert_cache("MISS");
        both.hit(path, as_it_is);
        let hit = both.ask(path, dark);
        hit.assert_cache("HIT");
        let theme = (path != "/missing").then_some("dark");
        assert_eq!((hit.header("X-Theme"), hit.header("X-From")), (theme, Some("here")));
    }
}

#[test]
fn a_files_etag_is_as_configured() {
    let both = Beside::start(|setup, _, twice| {
        setup
            .file("html/with/a.txt", "x")
            .file("html/off/a.txt", "x")
            .location("/with/", format!("{twice} root html;"))
            .location("/off/", format!("{twice} root html; etag off;"))
    });
    for (path, has) in [("/with/a.txt", true), ("/off/a.txt", false)] {
        let miss = both.ask(path, as_it_is);
        let hit = both.hit(path, as_it_is);
        for answer in [&miss, &hit] {
            assert_eq!(answer.header("ETag").is_some(), has, "{answer:?}");
            assert_eq!(answer.header("Last-Modified"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        }
    }
}

#[test]
fn new_visitors_get_ids_with_hits_and_each_his_own() {
    let origin = Origin::start();
    origin.on("/page", public("page"));
    let nginx = Nginx::twice()
        .location(
            "/",
            format!(
                "twice pages; userid on; userid_name uid; userid_expires 1h; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    let id =
        |page: &Response| page.header("Set-Cookie").map(|line| line.split(';').next().unwrap().to_owned());
    let miss = nginx.get("/page").send();
    let first = nginx.get("/page").warm();
    let second = nginx.get("/page").send();
    second.assert_cache("HIT");
    let ids = [id(&miss), id(&first), id(&second)];
    assert!(ids.iter().all(|id| id.as_deref().is_some_and(|id| id.starts_with("uid="))), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    // Who has one keeps it.
    let known = nginx.get("/page").cookie(ids[0].as_deref().unwrap()).send();
    assert_eq!((known.cache(), id(&known)), ("HIT", None));
}
