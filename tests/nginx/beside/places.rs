//! Where nginx finds an answer: in another location, in a file, in slices.

use fixture::{Answer, Nginx};

use super::{Pair, equal, page, plainly};

#[test]
fn error_page() {
    let lines = "proxy_intercept_errors on; error_page 404 /sorry; error_page 500 502 =503 /sorry;
        error_page 403 =302 http://other.example/; error_page 410 = @app;";
    let pair = Pair::new(lines, |setup, origin| {
        setup
            .location("= /sorry", format!("internal; proxy_pass {}/sorry;", origin.url()))
            .location("@app", format!("proxy_pass {};", origin.url()))
    });
    pair.origin.on("/sorry", Answer::html("sorry"));
    pair.origin.on("/good", page("good"));
    for (path, status) in [("/404", 404), ("/500", 500), ("/403", 403)] {
        pair.origin.on(path, page("bad").status(status));
    }
    pair.origin.on("/410", page("gone").status(410));
    pair.origin.on("/with/410", Answer::html("instead"));
    pair.origin.on("/without/410", Answer::html("instead"));
    pair.origin.on("/502", Answer::raw("").close());
    pair.same("/good", plainly);
    for (path, status, text) in [("/404", 404, "sorry"), ("/500", 503, "sorry"), ("/410", 200, "instead")] {
        let seen = pair.same_unstored(path, plainly);
        assert_eq!((seen.status, seen.text().as_str()), (status, text), "{path}");
    }
    let moved = pair.same_unstored("/403", plainly);
    assert_eq!((moved.status, moved.header("Location")), (302, Some("http://other.example/")));
    assert_eq!(pair.same_unstored("/502", plainly).status, 503);
    pair.nginx.expect_log("upstream prematurely closed connection while reading response header");
}

#[test]
fn try_files() {
    let files = |setup: fixture::Setup| {
        setup.file("html/a/file.html", "a file").file("html/a/index.html", "an index")
    };
    let origin = fixture::Origin::start();
    origin.on("/*", page("app"));
    let app = format!("proxy_pass {};", origin.url());
    let site = |twice: &str| {
        let lines = format!("{twice} root html; try_files $uri $uri/index.html @app;");
        let setup = files(Nginx::twice()).location("/", lines).location("@app", format!("{twice} {app}"));
        setup.location("= /a/fixed", format!("{twice} root html; try_files /none =404;")).start()
    };
    let (with, without) = (site("twice pages; twice_valid any 1h;"), site(""));
    for (path, text) in [("/a/file.html", "a file"), ("/a", "an index"), ("/b?x=1", "app")] {
        let other = without.get(path).send();
        assert_eq!(other.text(), text, "{path}");
        for cache in ["MISS", "HIT"] {
            let page = with.get(path).send();
            page.assert_cache(cache);
            // Two files were written at two moments.
            assert_eq!((page.status, page.text()), (200, other.text()), "{path}");
            assert_eq!(page.header("Content-Type"), other.header("Content-Type"), "{path}");
        }
    }
    for _ in 0..2 {
        equal(&with.get("/a/fixed").send(), &without.get("/a/fixed").send());
    }
}

/// nginx's slices ask for parts, and parts are not stored: the visitor gets them put together, as without.
#[test]
fn slice() {
    let lines = "slice 1k; proxy_set_header Range $slice_range; proxy_force_ranges on;";
    let pair = Pair::of(lines);
    let body: Vec<u8> = (0..5_300u32).map(|n| b'a' + (n % 23) as u8).collect();
    let whole = body.clone();
    pair.origin.handle("/page", move |request| {
        let range = request.header("Range").and_then(|range| range.strip_prefix("bytes="));
        let Some((from, to)) = range.and_then(|range| range.split_once('-')) else {
            return page(whole.clone());
        };
        let from: usize = from.parse().unwrap();
        let to = to.parse().unwrap_or(usize::MAX).min(whole.len() - 1);
        page(&whole[from..=to])
            .status(206)
            .header("Content-Range", format!("bytes {from}-{to}/{}", whole.len()))
    });
    let seen = pair.same_unstored("/page", plainly);
    assert!(seen.status == 200 && seen.body == body);
    for range in ["0-99", "1000-1100", "2048-4095", "5000-", "-10"] {
        let part = pair.same_unstored("/page", |request| request.range(range));
        assert_eq!(part.status, 206, "{range}");
    }
    // Each location has asked for the same parts of the origin: nothing came from a store.
    assert_eq!(pair.origin.count("/page") % 3, 0);
    let slices =
        |from: &str| pair.origin.requests("/page").iter().filter(|r| r.header("Range") == Some(from)).count();
    assert_eq!(slices("bytes=1024-2047"), 3 * 2);
}
