//! The ways that lead elsewhere: error pages and `try_files`.

use super::*;

#[test]
fn an_origins_errors_are_shown_as_without() {
    let both = Beside::start(|setup, origin, twice| {
        setup
            .file("html/sorry.html", "Sorry")
            .location(
                "/",
                format!(
                    "{twice} proxy_intercept_errors on; error_page 404 =200 /sorry.html; error_page 500 503 /sorry.html;
                     error_page 502 504 = @other; proxy_pass {origin};"
                ),
            )
            .location("= /sorry.html", "internal; root html;")
            .location("@other", format!("proxy_pass {origin};"))
            .location("/plain/", format!("{twice} proxy_pass {origin};"))
    });
    both.expect_log("prematurely closed");
    for status in [404, 500, 503, 502, 504] {
        both.on(&format!("/{status}"), Answer::new(status, "bad"));
        both.on(&format!("/plain/{status}"), Answer::new(status, "bad"));
    }
    both.on("/closed", Answer::raw(""));
    both.on("/plain/closed", Answer::raw(""));
    for _ in 0..2 {
        for (path, status, text) in [
            ("/404", 200, "Sorry"),
            ("/500", 500, "Sorry"),
            ("/503", 503, "Sorry"),
            // The other origin is the same one.
            ("/502", 502, "bad"),
            ("/504", 504, "bad"),
            ("/plain/500", 500, "bad"),
        ] {
            let page = both.ask(path, as_it_is);
            assert_eq!((page.status, page.text().as_str()), (status, text), "{path}");
        }
        assert_eq!(both.ask("/closed", as_it_is).status, 502);
        assert_eq!(both.ask("/plain/closed", as_it_is).status, 502);
        for path in ["/plain/404", "/plain/502"] {
            both.ask(path, as_it_is);
        }
    }
    // None of that is the page.
    for path in ["/404", "/500", "/502"] {
        both.on(path, public("well again"));
        assert_eq!(both.ask(path, as_it_is).text(), "well again", "{path}");
        both.hit(path, as_it_is);
    }
    // A page that is stored is what visitors see.
    both.on("/500", public("well again"));
    both.ask("/500", as_it_is).assert(200, "HIT", "well again");
}

#[test]
fn try_files_finds_the_same_on_a_miss_and_on_a_hit() {
    let both = Beside::start(|setup, origin, twice| {
        setup
            .file("html/file.html", "a file")
            .file("html/folder/index.html", "an index")
            .location("/", format!("{twice} root html; try_files $uri $uri/ $uri.html @app;"))
            .location("/strict/", format!("{twice} root html; try_files $uri /file.html =404;"))
            .location("/none/", format!("{twice} root html; try_files /nowhere =410;"))
            .location("@app", format!("{twice} proxy_pass {origin};"))
    });
    both.on("/page", public("from the app"));
    for (path, status, text) in [
        ("/file.html", 200, "a file"),
        ("/file", 200, "a file"),
        ("/folder/", 200, "an index"),
        ("/page", 200, "from the app"),
        ("/strict/x", 200, "a file"),
    ] {
        both.ask(path, as_it_is).assert(status, "MISS", text);
        both.hit(path, as_it_is).assert(status, "HIT", text);
    }
    for _ in 0..2 {
        assert_eq!(both.ask("/none/x", as_it_is).status, 410);
        assert_eq!(both.ask("/folder", as_it_is).status, 301);
        assert_eq!(both.ask("/nothing", as_it_is).status, 404);
    }
    assert_eq!(both.with.origin.count("/page"), 1);
}
