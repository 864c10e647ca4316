//! The first answer to a visitor: it gives him his id and shows what he will see from then on.

use std::collections::HashSet;

use fixture::{Answer, Nginx, Origin};

use super::{PAGE, TEST, given, known, tested};
use crate::keys::CERTIFICATE;

#[test]
fn page_and_application_agree_from_the_first_answer_on() {
    let origin = Origin::start();
    origin.on("/*", Answer::page(PAGE));
    let nginx = tested(&origin).start();
    for n in 0..10 {
        // The one who causes the fetch.
        let path = format!("/{n}");
        let miss = nginx.get(&path).send();
        miss.assert_cache("MISS");
        let values = miss.header("X-Values").unwrap().to_owned();
        let told = origin.last(&path).header("X-ABValue").unwrap().to_owned();
        assert_eq!(miss.text(), values);
        assert_eq!(told.replace("button:", "").replace(",Shade-8:", " "), values);
        let id = given(&miss).expect("an id");
        known(nginx.get(&path), &id).send().assert(200, "HIT", &values);
        // And one who gets it from the store.
        let hit = nginx.get(&path).send();
        hit.assert(200, "HIT", hit.header("X-Values").unwrap());
        let other = given(&hit).expect("an id");
        assert_ne!(id, other);
        known(nginx.get(&path), &other).send().assert(200, "HIT", &hit.text());
    }
    assert_eq!(origin.total(), 10);
}

#[test]
fn what_nobody_may_keep_is_told_so_still() {
    let origin = Origin::start();
    origin.on("/account", Answer::html("secret").header("Cache-Control", "no-store, must-revalidate"));
    origin.on("/tags", Answer::page(PAGE).header("Cache-Control", "No-Store"));
    let nginx = tested(&origin).start();
    let kept_nowhere = ["private, no-cache, no-store"];
    assert_eq!(nginx.get("/account").send().all("Cache-Control"), kept_nowhere);
    for cache in ["MISS", "HIT", "HIT"] {
        let page = nginx.get("/tags").send();
        page.assert_cache(cache);
        assert_eq!(page.all("Cache-Control"), kept_nowhere);
        let page = known(nginx.get("/tags"), &given(&page).unwrap()).send();
        assert_eq!(page.all("Cache-Control"), kept_nowhere);
    }
}

#[test]
fn the_cookie_is_the_visitors_alone() {
    let origin = Origin::start();
    // One that other caches may keep, with and without tags.
    let caching = "Cache-Control";
    origin.on("/tags", Answer::page(PAGE).header(caching, "max-age=60"));
    let plain = Answer::html("plain").header(caching, "public, max-age=60").header("ETag", "\"e\"");
    origin.on("/plain", plain.header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"));
    let pass = format!("twice pages; proxy_pass {};", origin.url());
    let nginx = tested(&origin)
        .http2()
        .location("/plain", &pass)
        .location("/expires/", format!("expires 1h; twice pages; proxy_pass {}/;", origin.url()))
        .start();
    let mut ids = HashSet::new();
    for path in ["/plain", "/tags", "/expires/plain"] {
        for cache in ["MISS", "HIT", "HIT"] {
            let page = nginx.get(path).send();
            page.assert_cache(cache);
            let lines = page.all("Set-Cookie");
            assert_eq!(lines.len(), 1, "{path}: {page:?}");
            let id = given(&page).unwrap();
            assert_eq!(lines[0], format!("uniq={id}; Path=/; Max-Age=63072000; HttpOnly; SameSite=Lax"));
            assert!(id.len() == 25 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
            // No outside cache hands it on.
            assert_eq!(page.all(caching), ["private, no-cache"], "{path}: {page:?}");
            assert_eq!(page.header("Expires"), None, "{path}");
            assert!(ids.insert(id), "{path}: an id was given twice");
        }
    }
    // Who has one gets the page as its origin meant it.
    let page = known(nginx.get("/plain"), "ann").send();
    page.assert(200, "HIT", "plain");
    assert_eq!((page.header(caching), page.header("Set-Cookie")), (Some("public, max-age=60"), None));
    assert!(page.header("Expires").is_some());
    let expires = known(nginx.get("/expires/plain"), "ann").send();
    assert_eq!(expires.header(caching), Some("max-age=3600"), "{expires:?}");
    // An answer without a body gives it too, HTTP/2 as well.
    let same = nginx.get("/plain").header("If-None-Match", "\"e\"").send();
    assert_eq!((same.status, given(&same).is_some()), (304, true), "{same:?}");
    let head = nginx.get("/plain").head().send();
    assert!(given(&head).is_some(), "{head:?}");
    let h2 = nginx.get_h2("/plain").warm();
    h2.assert(200, "HIT", "plain");
    assert!(given(&h2).is_some(), "{h2:?}");
    let cut = nginx.get("/plain").range("9-").send();
    assert_eq!((cut.status, given(&cut).is_some()), (416, true), "{cut:?}");
}

#[test]
fn an_origins_own_cookies_stay_beside_it() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x").header("Set-Cookie", "own=1"));
    let nginx = tested(&origin).start();
    let miss = nginx.get("/").send();
    assert_eq!((miss.all("Set-Cookie").len(), given(&miss).is_some()), (2, true), "{miss:?}");
    let hit = nginx.get("/").send();
    assert_eq!((hit.all("Set-Cookie").len(), given(&hit).is_some()), (1, true), "{hit:?}");
}

#[test]
fn over_tls_it_is_secure() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x"));
    let port = fixture::folder::free_port();
    let nginx = tested(&origin)
        .file("localhost.pem", CERTIFICATE)
        .server(format!("listen 127.0.0.1:{port} ssl;"))
        .server("ssl_certificate localhost.pem; ssl_certificate_key localhost.pem;")
        .start();
    let secure = fixture::get(format!("https://127.0.0.1:{port}/")).arg("-k");
    for cache in ["MISS", "HIT"] {
        let page = secure.send();
        page.assert(200, cache, "x");
        let line = page.header("Set-Cookie").unwrap();
        assert!(line.ends_with("; Path=/; Max-Age=63072000; HttpOnly; SameSite=Lax; Secure"), "{line}");
    }
    assert!(!nginx.get("/").send().header("Set-Cookie").unwrap().contains("Secure"));
}

#[test]
fn an_id_that_is_none_is_replaced() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    let nginx = tested(&origin).start();
    nginx.get("/").warm();
    let (longest, long) = ("x".repeat(128), "x".repeat(129));
    for good in ["1", "aGVsbG8+Lz8=", "b1946ac9-2492-4d23-8a1e-0c1d2e3f4a5b", &longest] {
        let page = known(nginx.get("/"), good).send();
        assert_eq!((page.cache(), given(&page)), ("HIT", None), "{good}");
    }
    for bad in ["", "<script>", "a b", "a,b", "\"a\"", "a\u{e9}", &long] {
        let page = known(nginx.get("/"), bad).send();
        let id = given(&page).unwrap_or_else(|| panic!("{bad} was taken"));
        known(nginx.get("/"), &id).send().assert(200, "HIT", &page.text());
        // Of two the one that is good.
        let both = nginx.get("/").cookie(&format!("uniq={bad}; uniq={id}")).send();
        both.assert(200, "HIT", &page.text());
        assert_eq!(given(&both), None, "{bad}");
    }
    // A name that begins alike, or is written otherwise, is another cookie's.
    for other in ["uniq2=ann", "Uniq=ann", "xuniq=ann"] {
        assert!(given(&nginx.get("/").cookie(other).send()).is_some(), "{other}");
    }
}

#[test]
fn the_cookie_may_have_another_name() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    let nginx = tested(&origin).http("twice_ab_cookie visitor;").start();
    let page = nginx.get("/").cookie("uniq=ann").send();
    let line = page.header("Set-Cookie").unwrap().to_owned();
    let pair = line.split(';').next().unwrap();
    assert!(pair.starts_with("visitor="), "{line}");
    let again = nginx.get("/").cookie(pair).send();
    again.assert(200, "HIT", &page.text());
    assert_eq!(again.header("Set-Cookie"), None);
}

#[test]
fn everything_in_one_answer_is_for_one_visitor() {
    let origin = Origin::start();
    origin.on("/page", Answer::page(format!("{PAGE}|<!--#include virtual=\"/part\" -->")));
    origin.on("/part", Answer::page(PAGE));
    origin.on("/gone", Answer::new(404, "gone"));
    origin.on("/auth", Answer::ok(""));
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = tested(&origin)
        .server("twice pages; set $early $twice_ab_shade_8; add_header X-Early $early always;")
        .location("/page", format!("ssi on; {pass}"))
        .location("/gone", format!("proxy_intercept_errors on; error_page 404 /part; {pass}"))
        // A sub-request comes before the answer's header.
        .location("/asks", format!("auth_request /auth; proxy_pass {}/part;", origin.url()))
        .start();
    for _ in 0..5 {
        let page = nginx.get("/page").send();
        let id = given(&page).expect("an id");
        let text = page.text();
        let (outer, inner) = text.split_once('|').unwrap();
        assert_eq!(outer, inner);
        assert_eq!(outer.split(' ').nth(1), page.header("X-Early"));
        assert_eq!(known(nginx.get("/page"), &id).send().text(), text);

        let gone = nginx.get("/gone").send();
        let id = given(&gone).expect("an id");
        assert_eq!(gone.text().split(' ').nth(1), gone.header("X-Early"));
        assert_eq!(known(nginx.get("/gone"), &id).send().text(), gone.text());

        let asks = nginx.get("/asks").send();
        let told = origin.last("/auth").header("X-ABValue").unwrap().to_owned();
        assert_eq!(told.replace("button:", "").replace(",Shade-8:", " "), asks.text());
        assert_eq!(known(nginx.get("/asks"), &given(&asks).unwrap()).send().text(), asks.text());
    }
}

#[test]
fn it_is_set_where_twice_is_on() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = Nginx::twice()
        .http(TEST)
        .location("/on", format!("twice pages; {pass}"))
        .location("/off", &pass)
        .location("/moved", "twice pages; return 301 /on;")
        .start();
    for _ in 0..2 {
        assert!(given(&nginx.get("/on").send()).is_some());
        assert!(given(&nginx.get("/on").body("a post").send()).is_some());
        assert!(given(&nginx.get("/moved").send()).is_some());
        let off = nginx.get("/off").send();
        assert_eq!((off.header("Set-Cookie"), off.header("Via")), (None, None));
        assert_eq!(origin.last("/off").header("X-ABValue"), None);
    }
}

#[test]
fn a_page_fetched_for_somebody_new_is_kept_for_all() {
    let origin = Origin::start();
    origin.on("/", Answer::html("x").header("Cache-Control", "max-age=60"));
    let nginx = tested(&origin).http("twice_bypass $http_x_refresh;").start();
    for (refresh, cache) in [("", "MISS"), ("1", "BYPASS"), ("", "HIT")] {
        let page = nginx.get("/").header("X-Refresh", refresh).send();
        page.assert(200, cache, "x");
        assert_eq!(page.all("Cache-Control"), ["private, no-cache"], "{cache}");
        // What was stored is the origin's word.
        let page = known(nginx.get("/"), "ann").warm();
        assert_eq!((page.all("Cache-Control"), page.header("Set-Cookie")), (vec!["max-age=60"], None));
    }
    assert_eq!(origin.count("/"), 2);
}
