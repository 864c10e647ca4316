//! `twice_honor` and `twice_statuses` on a real nginx: headers that nginx keeps to itself, headers for other caches.

use fixture::{Answer, Origin};

use super::{cached, caching, never_stored, stored};

#[test]
fn nginx_own_header_steers() {
    let origin = Origin::start();
    let accel = |value: &str| caching("max-age=10").header("X-Accel-Expires", value);
    origin.on("/seconds", accel("1000"));
    origin.on("/far", accel("@99999999999"));
    origin.on("/past", accel("@1"));
    origin.on("/zero", accel("0"));
    origin.on("/bad", accel("soon"));
    origin.on(
        "/forbidden",
        Answer::html("x").header("Cache-Control", "private").header("X-Accel-Expires", "60"),
    );
    origin.on("/shown/x", accel("1000"));
    origin.on("/off/x", accel("1000"));
    let location = |lines: &str| format!("twice pages; {lines} proxy_pass {};", origin.url());
    let nginx = cached(&origin, "")
        .location("/shown/", location("proxy_pass_header X-Accel-Expires;"))
        .location("/off/", location("twice_honor Cache-Control;"))
        .start();
    assert_eq!(stored(&nginx, "/seconds", 1000).header("X-Accel-Expires"), None);
    stored(&nginx, "/far", 1 << 31);
    never_stored(&nginx, "/past", "zero_lifetime");
    never_stored(&nginx, "/zero", "zero_lifetime");
    stored(&nginx, "/bad", 10);
    stored(&nginx, "/forbidden", 60);
    assert_eq!(stored(&nginx, "/shown/x", 1000).header("X-Accel-Expires"), Some("1000"));
    stored(&nginx, "/off/x", 10);
}

#[test]
fn headers_for_other_caches_go_on_to_them() {
    let origin = Origin::start();
    let answer = caching("max-age=1000")
        .header("Surrogate-Control", "max-age=500, content=\"ESI/1.0\"")
        .header("CDN-Cache-Control", "max-age=250");
    origin.on("/*", answer);
    let location = |lines: &str| format!("twice pages; {lines} proxy_pass {};", origin.url());
    let nginx = cached(&origin, "")
        .location("/cdn/", location("twice_honor CDN-Cache-Control Cache-Control;"))
        .start();
    for (path, seconds, surrogate) in [("/x", 500, false), ("/cdn/x", 250, true)] {
        let miss = nginx.get(path).send();
        let hit = stored(&nginx, path, seconds);
        for page in [miss, hit] {
            assert_eq!(page.header("Surrogate-Control").is_some(), surrogate, "{path}: {page:?}");
            assert_eq!(page.header("CDN-Cache-Control"), Some("max-age=250"), "{path}: {page:?}");
            assert_eq!(page.header("Cache-Control"), Some("max-age=1000"), "{path}: {page:?}");
        }
    }
}

#[test]
fn a_page_with_a_visitors_values_tells_no_cache_to_keep_it() {
    let origin = Origin::start();
    let page = Answer::page("Hello <& get cookie name Guest &>")
        .header("Cache-Control", "max-age=1000")
        .header("Surrogate-Control", "max-age=500")
        .header("Foo-Cache-Control", "max-age=250")
        .header("X-Accel-Expires", "125");
    origin.on("/", page);
    let nginx = cached(&origin, "twice_honor X-Twice-Control; proxy_pass_header X-Accel-Expires;").start();
    let miss = nginx.get("/").cookie("name=Ann").send();
    let hit = nginx.get("/").cookie("name=Ann").warm();
    for page in [miss, hit] {
        assert_eq!(page.all("Cache-Control"), ["private, no-cache"], "{page:?}");
        for name in ["Surrogate-Control", "Foo-Cache-Control", "X-Accel-Expires"] {
            assert_eq!(page.header(name), None, "{page:?}");
        }
    }
}

#[test]
fn an_app_that_knows_nothing_of_caching_is_cached() {
    let origin = Origin::start();
    let answer = || {
        caching("no-store, no-cache, must-revalidate")
            .header("Expires", "Thu, 19 Nov 1981 08:52:00 GMT")
            .header("Pragma", "no-cache")
    };
    origin.on("/plain", answer());
    origin.on("/cookie", answer().header("Set-Cookie", "sid=1"));
    let nginx = cached(&origin, "twice_honor off; twice_valid 100s;").start();
    let page = stored(&nginx, "/plain", 100);
    // Clients are told what they would be told without Twice.
    assert_eq!(page.header("Cache-Control"), Some("no-store, no-cache, must-revalidate"));
    never_stored(&nginx, "/cookie", "set_cookie");
    assert_eq!(nginx.get("/plain?2").header("Authorization", "Basic dTpw").send().reason(), "authorization");
}

#[test]
fn the_control_header_steers_by_the_name_that_it_has() {
    let origin = Origin::start();
    origin.on("/", caching("max-age=10").header("X-Keep-For", "max-age=1000"));
    let nginx =
        cached(&origin, "twice_headers control=X-Keep-For; twice_honor X-Keep-For Cache-Control;").start();
    stored(&nginx, "/", 1000);
}

#[test]
fn statuses_that_a_location_names() {
    let origin = Origin::start();
    let location = |lines: &str| format!("twice pages; {lines} proxy_pass {};", origin.url());
    let nginx = cached(&origin, "twice_statuses 200 302 403;")
        .location("/any/", location("twice_statuses any;"))
        .location("/default/", location(""))
        .start();
    let all = [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 429, 499, 500, 503];
    for (folder, kept) in [
        ("", vec![200, 302, 403]),
        ("/default", vec![200, 203, 301, 308, 404, 410]),
        ("/any", vec![200, 203, 204, 299, 301, 302, 303, 308, 400, 403, 404, 405, 410, 499]),
    ] {
        for status in all {
            let path = format!("{folder}/{status}");
            origin.on(
                &path,
                Answer::new(status, "x").header("Cache-Control", "max-age=100").header("Location", "/y"),
            );
            if kept.contains(&status) {
                assert_eq!(stored(&nginx, &path, 100).status, status);
            } else {
                never_stored(&nginx, &path, "status");
            }
        }
    }
}

#[test]
fn a_lifetime_that_can_not_be_read_is_over() {
    let origin = Origin::start();
    origin.on("/", caching("max-age=soon").header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"));
    let nginx = cached(&origin, "twice_valid 100s;").start();
    never_stored(&nginx, "/", "zero_lifetime");
    nginx.expect_log("\"Cache-Control: max-age=soon\" holds no number of seconds, taken as 0");
}
