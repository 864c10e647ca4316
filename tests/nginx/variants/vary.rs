//! `Vary`: what of it makes variants, and what of them other caches are told.

use fixture::{Answer, Nginx, Origin, Received};

use super::{cached, cached_with, told};

/// The lines of a header, as the origin got them.
fn given(request: &Received, name: &str) -> String {
    let lines: Vec<_> = request
        .headers
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
        .collect();
    if lines.is_empty() { "none".to_owned() } else { lines.join("+") }
}

#[test]
fn any_header_can_make_variants() {
    let origin = Origin::start();
    let names = [
        "Accept-Language",
        "User-Agent",
        "Cookie",
        "Origin",
        "X-Forwarded-Host",
        "X-Own",
        "Accept",
        "Referer",
    ];
    origin.handle("/*", move |request| {
        let name = request.path()[1..].to_owned();
        Answer::page(given(request, &name)).header("Vary", name)
    });
    let nginx = cached(&origin).start();
    for name in names {
        let path = format!("/{name}");
        for cache in ["MISS", "HIT"] {
            for value in ["a", "b", "A"] {
                nginx.get(&path).header(name, value).send().assert(200, cache, value);
            }
            nginx.get(&path).without(name).send().assert(200, cache, "none");
            nginx.get(&path).header(name, "a ").send().assert(200, "HIT", "a");
        }
        assert_eq!(origin.count(&path), 4, "{name}");
    }
}

#[test]
fn a_password_makes_a_variant_only_where_it_may_be_shared() {
    let origin = Origin::start();
    let answer = |control: &'static str| {
        move |request: &Received| {
            let page = Answer::html(given(request, "Authorization")).header("Vary", "Authorization");
            page.header("Cache-Control", control)
        }
    };
    origin.handle("/private", answer("max-age=60"));
    origin.handle("/public", answer("public, max-age=60"));
    let nginx = cached(&origin).start();
    for cache in ["MISS", "HIT"] {
        for path in ["/private", "/public"] {
            let expected = if path == "/private" { "MISS" } else { cache };
            for secret in ["Basic YTpi", "Basic Yzpk"] {
                nginx.get(path).header("Authorization", secret).send().assert(200, expected, secret);
            }
            nginx.get(path).send().assert(200, cache, "none");
        }
    }
}

#[test]
fn an_empty_header_is_not_a_missing_one() {
    let origin = Origin::start();
    origin.handle("/", |request| Answer::page(given(request, "X-Own")).header("Vary", "x-own"));
    let nginx = cached(&origin).start();
    for cache in ["MISS", "HIT"] {
        let ask = |line: &str| {
            let mut raw = nginx.raw();
            raw.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n"));
            raw.response()
        };
        ask("").assert(200, cache, "none");
        ask("X-Own:\r\n").assert(200, cache, "");
        ask("X-Own: \t\r\n").assert(200, "HIT", "");
        ask("X-Own: a\r\nX-Own: b\r\n").assert(200, cache, "a+b");
        ask("x-own: b\r\nx-own: a\r\n").assert(200, cache, "b+a");
        ask("x-own:  a\r\nX-OWN: b \r\n").assert(200, "HIT", "a+b");
    }
}

#[test]
fn several_lines_and_names_in_any_case_count_once() {
    let origin = Origin::start();
    origin.handle("/", |request| {
        let page = Answer::page(format!("{} {}", given(request, "Origin"), given(request, "X-Own")));
        page.header("Vary", "Accept-Encoding, origin").header("vary", " , ORIGIN, x-OWN,")
    });
    let nginx = cached(&origin).start();
    for cache in ["MISS", "HIT"] {
        for (from, own) in [("a", "1"), ("a", "2"), ("b", "1")] {
            let page = nginx.get("/").header("Origin", from).header("X-Own", own).send();
            page.assert(200, cache, &format!("{from} {own}"));
            let first = cache == "MISS" && (from, own) == ("a", "1");
            let forward = if first { "Twice; fwd=uri-miss; stored" } else { "Twice; fwd=vary-miss; stored" };
            assert!(cache == "HIT" || page.header("Cache-Status") == Some(forward), "{page:?}");
            assert_eq!(page.all("Vary"), ["Accept-Encoding, origin, x-OWN"]);
        }
    }
    assert_eq!(origin.count("/"), 3);
}

#[test]
fn a_list_is_one_however_it_is_spaced() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        let name = request.path()[1..].to_owned();
        Answer::page("x").header("Vary", name)
    });
    let nginx = cached(&origin).start();
    let ask = |path: &str, lines: &str| {
        let mut raw = nginx.raw();
        raw.send(format!("GET /{path} HTTP/1.1\r\nHost: h\r\n{lines}\r\n"));
        raw.response()
    };
    ask("Accept-Language", "Accept-Language: de, en;q=0.5\r\n").assert_cache("MISS");
    for lines in ["Accept-Language: de,en;q=0.5\r\n", "accept-language: de\r\nAccept-Language: en;q=0.5\r\n"]
    {
        ask("Accept-Language", lines).assert_cache("HIT");
    }
    ask("Accept-Language", "Accept-Language: en;q=0.5, de\r\n").assert_cache("MISS");
    // Nobody knows what a space means to an app.
    ask("X-Own", "X-Own: a, b\r\n").assert_cache("MISS");
    ask("X-Own", "X-Own: a,b\r\n").assert_cache("MISS");
    ask("X-Own", "X-Own: a\r\nX-Own: b\r\n").assert_cache("HIT");
}

#[test]
fn the_country_counts_as_twice_knows_it_and_not_as_a_client_says() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get geo ip nowhere &>").header("Vary", "X-Geo"));
    let nginx = cached_with(&origin, "twice_geo $http_x_country;").start();
    let ask = |country: &str| nginx.get("/").header("X-Country", country);
    ask("de").send().assert(200, "MISS", "de");
    ask("fr").send().assert(200, "MISS", "fr");
    for said in ["de", "us", "xx"] {
        ask("de").header("X-Geo", said).send().assert(200, "HIT", "de");
    }
    assert_eq!(origin.count("/"), 2);
}

#[test]
fn other_caches_are_told_by_one_line() {
    let origin = Origin::start();
    let page = || Answer::page("x");
    let rows = [
        (page(), None),
        (page().header("Vary", "Accept-Encoding"), Some("Accept-Encoding")),
        (page().header("Vary", "Origin"), Some("Origin")),
        (page().header("Twice-Cookies", "a"), Some("Cookie")),
        (
            page().header("Twice-Cookies", "a").header("Vary", "Origin, Accept-Encoding"),
            Some("Origin, Accept-Encoding, Cookie"),
        ),
        (page().header("Twice-Cookies", "a").header("Vary", "cookie"), Some("cookie")),
        (page().header("Vary", "Origin").header("Vary", "X-Own"), Some("Origin, X-Own")),
    ];
    for (n, (answer, _)) in rows.iter().enumerate() {
        origin.on(&format!("/{n}"), answer.clone());
        // One that is not stored.
        origin.on(&format!("/never/{n}"), answer.clone().status(500));
    }
    let nginx = cached(&origin).start();
    for (n, (_, vary)) in rows.iter().enumerate() {
        for cache in ["MISS", "HIT"] {
            let page = nginx.get(&format!("/{n}")).send();
            page.assert(200, cache, "x");
            assert_eq!(page.all("Vary"), vary.iter().copied().collect::<Vec<_>>(), "{n} {cache}");
        }
        assert_eq!(nginx.get(&format!("/never/{n}")).send().header("Vary"), *vary, "{n}");
    }
}

#[test]
fn a_variant_tells_what_the_page_varies_by_and_not_its_own_answer_alone() {
    let origin = Origin::start();
    origin.handle("/", |request| match request.cookie("a") {
        Some("1") => Answer::page("one").header("Twice-Cookies", "a"),
        _ => Answer::page("other").header("Vary", "Origin"),
    });
    let nginx = cached(&origin).start();
    let vary = |cookies: &str, cache: &str| {
        let page = nginx.get("/").cookie(cookies).send();
        page.assert_cache(cache);
        page.header("Vary").map(str::to_owned)
    };
    assert_eq!(vary("a=1", "MISS").as_deref(), Some("Cookie"));
    assert_eq!(vary("a=2", "MISS").as_deref(), Some("Origin, Cookie"));
    assert_eq!(vary("a=2", "HIT").as_deref(), Some("Origin, Cookie"));
    assert_eq!(vary("a=1", "MISS").as_deref(), Some("Cookie, origin"));
    assert_eq!(vary("a=1", "HIT").as_deref(), Some("Cookie, origin"));
    // A page for one visitor alone keeps it.
    origin.on("/tags", Answer::page("<& get cookie a none &>").header("Twice-Cookies", "a"));
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/tags").cookie("a=1").send();
        page.assert(200, cache, "1");
        assert_eq!(
            (page.header("Vary"), page.header("Cache-Control")),
            (Some("Cookie"), Some("private, no-cache"))
        );
    }
}

#[test]
fn gzip_and_variants_get_along() {
    let origin = Origin::start();
    origin.handle("/", |request| {
        let body = told(request, "lang").repeat(200);
        Answer::page(body).header("Twice-Cookies", "lang").header("Vary", "Accept-Encoding")
    });
    let nginx = Nginx::twice()
        .http("gzip on; gzip_min_length 1; gzip_vary on; gzip_proxied any;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .start();
    for cache in ["MISS", "HIT"] {
        for lang in ["de", "en"] {
            let page = nginx.get("/").cookie(&format!("lang={lang}")).compressed().send();
            page.assert(200, cache, &format!("lang={lang}").repeat(200));
            assert!(page.all("Vary").join(", ").contains("Cookie"), "{page:?}");
        }
    }
    nginx.get("/").cookie("lang=de").send().assert(200, "HIT", &"lang=de".repeat(200));
}
