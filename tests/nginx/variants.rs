//! One URL, several pages: by cookies, by headers, and never another visitor's.

mod bound;
mod lives;
mod vary;
mod visitors;

use fixture::{Answer, Nginx, Origin, Received, Setup, until};

fn cached(origin: &Origin) -> Setup {
    cached_with(origin, "")
}

fn cached_with(origin: &Origin, lines: &str) -> Setup {
    let pass = format!("proxy_pass {}; proxy_http_version 1.1;", origin.url());
    Nginx::twice()
        .http("add_header X-Key $twice_key always; keepalive_requests 100000;")
        .location("/", format!("twice pages; {lines} {pass}"))
}

/// What the origin was told of a cookie: a page that is given to the wrong one shows it.
fn told(request: &Received, name: &str) -> String {
    request.cookie(name).map_or(format!("no {name}"), |value| format!("{name}={value}"))
}

/// An origin whose pages vary by the cookie `lang`, and say so.
fn by_language() -> Origin {
    let origin = Origin::start();
    origin.handle("/*", |request| Answer::page(told(request, "lang")).header("Twice-Cookies", "lang"));
    origin
}

#[test]
fn two_visitors_have_two_variants_on_every_worker() {
    let origin = by_language();
    let nginx = cached(&origin).start();
    for cache in ["MISS", "HIT"] {
        for lang in ["de", "en"] {
            let cookies = format!("lang={lang}; own={cache}");
            nginx.get("/").cookie(&cookies).send().assert(200, cache, &format!("lang={lang}"));
        }
    }
    let mut seen = Vec::new();
    until("both workers have served both", || {
        for lang in ["de", "en"] {
            let page = nginx.get("/").cookie(&format!("lang={lang}")).send();
            page.assert(200, "HIT", &format!("lang={lang}"));
            if !seen.contains(&(page.worker(), lang)) {
                seen.push((page.worker(), lang));
            }
        }
        seen.len() == 4
    });
    assert_eq!(origin.count("/"), 2);
    // The app saw all of a visitor's cookies, and its own header is nobody's business.
    assert_eq!(origin.requests("/")[0].cookie("own"), Some("MISS"));
    let hit = nginx.get("/").cookie("lang=de").send();
    assert_eq!((hit.reason(), hit.header("Twice-Cookies")), ("hit", None));
}

#[test]
fn a_missing_cookie_is_no_empty_one() {
    let origin = by_language();
    let nginx = cached(&origin).start();
    for cache in ["MISS", "HIT"] {
        nginx.get("/").send().assert(200, cache, "no lang");
        nginx.get("/").cookie("lang=").send().assert(200, cache, "lang=");
        nginx.get("/").cookie("lang=de").send().assert(200, cache, "lang=de");
        nginx.get("/").cookie("lang=DE").send().assert(200, cache, "lang=DE");
        // Of several all count: this origin takes the first one, others take the last.
        nginx.get("/").cookie("x=1; lang=de; lang=en").send().assert(200, cache, "lang=de");
        nginx.get("/").cookie("Lang=de").send().assert(200, "HIT", "no lang");
    }
    assert_eq!(origin.count("/"), 5);
}

#[test]
fn values_can_not_be_cut_elsewhere() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        Answer::page(format!("{}|{}|{}", told(request, "a"), told(request, "b"), request.target))
            .header("Twice-Cookies", "a")
            .header("Twice-Cookies", "b")
    });
    let nginx = cached(&origin).start();
    let visitors =
        ["a=xy", "a=x; b=y", "b=xy", "b=y; a=", "a=x", "b=y", "", "a=; b=", "a=%00; b=y", "a=x,y; b=z"];
    for cache in ["MISS", "HIT"] {
        for path in ["/", "/x", "/y"] {
            for cookies in visitors {
                let page = nginx.get(path).cookie(cookies).send();
                let value = |name: &str| {
                    let prefix = format!("{name}=");
                    let found = cookies.split("; ").find(|pair| pair.starts_with(&prefix));
                    found.map_or(format!("no {name}"), str::to_owned)
                };
                page.assert(200, cache, &format!("{}|{}|{path}", value("a"), value("b")));
            }
        }
    }
    assert_eq!(origin.total(), 3 * visitors.len());
}

#[test]
fn a_location_says_by_which_cookies_its_pages_vary() {
    let origin = Origin::start();
    origin.handle("/*", |request| Answer::page(told(request, "theme")));
    let nginx = cached_with(&origin, "twice_vary_cookies theme other;").start();
    for cache in ["MISS", "HIT"] {
        for theme in ["dark", "light"] {
            let page = nginx.get("/").cookie(&format!("theme={theme}")).send();
            page.assert(200, cache, &format!("theme={theme}"));
            assert_eq!(page.header("Vary"), Some("Cookie"));
        }
        nginx.get("/").cookie("unheard=of").send().assert(200, cache, "no theme");
    }
}

#[test]
fn a_location_that_begins_to_say_it_serves_no_page_of_before() {
    let origin = Origin::start();
    origin.handle("/*", |request| Answer::page(told(request, "theme")));
    let mut nginx = cached(&origin).start();
    nginx.get("/").cookie("theme=dark").send();
    nginx.get("/").cookie("theme=light").send().assert(200, "HIT", "theme=dark");
    nginx.reload_with(|setup| setup.again(cached_with(&origin, "twice_vary_cookies theme;")));
    for cache in ["MISS", "HIT"] {
        nginx.get("/").cookie("theme=light").send().assert(200, cache, "theme=light");
    }
    // And one cookie more.
    nginx.reload_with(|setup| setup.again(cached_with(&origin, "twice_vary_cookies theme size;")));
    for cache in ["MISS", "HIT"] {
        for size in ["s", "l"] {
            let cookies = format!("theme=light; size={size}");
            nginx.get("/").cookie(&cookies).send().assert(200, cache, "theme=light");
        }
    }
    assert_eq!(origin.count("/"), 4);
}

#[test]
fn rules_grow_and_an_answer_that_says_nothing_keeps_to_them() {
    let origin = Origin::start();
    // Says what it varies by, where the visitor has it.
    origin.handle("/*", |request| {
        let page = Answer::page(format!("{} {}", told(request, "a"), told(request, "b")));
        let names = ["a", "b"].iter().filter(|name| request.cookie(name).is_some());
        names.fold(page, |page, name| page.header("Twice-Cookies", *name))
    });
    let nginx = cached(&origin).start();
    nginx.get("/").send().assert(200, "MISS", "no a no b");
    nginx.get("/").send().assert(200, "HIT", "no a no b");
    // Whoever asks for it is given that page, as long as nobody said that it varies; a bypass finds out.
    nginx.get("/").cookie("a=1").send().assert(200, "HIT", "no a no b");
    let fresh = |cookies: &str| nginx.get("/x").cookie(cookies).send();
    fresh("a=1").assert(200, "MISS", "a=1 no b");
    fresh("a=2").assert(200, "MISS", "a=2 no b");
    // By the rules of before it is one page for all who lack `a`.
    fresh("").assert(200, "MISS", "no a no b");
    fresh("b=1").assert(200, "HIT", "no a no b");
    fresh("a=3; b=1").assert(200, "MISS", "a=3 b=1");
    // Now it varies by both, and what was stored by one of them is not found any more.
    for cookies in ["a=1", "", "b=1", "a=1; b=1"] {
        fresh(cookies).assert_cache("MISS");
        fresh(cookies).assert_cache("HIT");
    }
    fresh("a=3; b=1").assert(200, "HIT", "a=3 b=1");
    fresh("b=1").assert(200, "HIT", "no a b=1");
}

#[test]
fn a_page_that_begins_to_vary_is_everybodys_no_more() {
    let origin = Origin::start();
    origin.on("/", Answer::page("everybody's"));
    let nginx = cached_with(&origin, "twice_bypass $arg_fresh; twice_key $host$uri;").start();
    nginx.get("/").warm();
    origin.handle("/", |request| Answer::page(told(request, "a")).header("Twice-Cookies", "a"));
    nginx.get("/").cookie("a=1").send().assert(200, "HIT", "everybody's");
    nginx.get("/?fresh=1").cookie("a=1").send().assert(200, "BYPASS", "a=1");
    for cache in ["MISS", "HIT"] {
        nginx.get("/").send().assert(200, cache, "no a");
        nginx.get("/").cookie("a=1").send().assert(200, "HIT", "a=1");
        nginx.get("/").cookie("a=2").send().assert(200, cache, "a=2");
    }
    // A page that ceases to vary is stored for each all the same: who knows.
    origin.on("/", Answer::page("everybody's"));
    nginx.get("/").cookie("a=3").send().assert(200, "MISS", "everybody's");
    nginx.get("/").cookie("a=4").send().assert(200, "MISS", "everybody's");
    nginx.get("/").cookie("a=1").send().assert(200, "HIT", "a=1");
}

#[test]
fn a_head_finds_the_variant_and_fills_none() {
    let origin = by_language();
    let nginx = cached(&origin).start();
    let head = nginx.get("/").cookie("lang=de").head().send();
    assert_eq!((head.cache(), head.reason(), head.header("Vary")), ("MISS", "head", Some("Cookie")));
    nginx.get("/").cookie("lang=de").send().assert(200, "MISS", "lang=de");
    let head = nginx.get("/").cookie("lang=de").head().send();
    assert_eq!((head.cache(), head.header("Content-Length")), ("HIT", Some("7")));
    assert_eq!(nginx.get("/").cookie("lang=en").head().send().reason(), "head");
}

#[test]
fn a_variant_has_tags_large_pages_and_conditions_as_any_page() {
    let origin = Origin::start();
    let large = "x".repeat(60_000);
    let body = large.clone();
    origin.handle("/*", move |request| {
        let text = format!("{} <& get cookie name Guest &> {body}", told(request, "lang"));
        Answer::page(text).header("Twice-Cookies", "lang")
    });
    origin.handle("/plain", |request| {
        let page = Answer::page(told(request, "lang").repeat(10_000));
        page.header("Twice-Cookies", "lang").header("ETag", format!("\"{}\"", told(request, "lang")))
    });
    let nginx = cached(&origin).start();
    for (cache, name) in [("MISS", "Ann"), ("HIT", "Bob")] {
        for lang in ["de", "en"] {
            let page = nginx.get("/").cookie(&format!("lang={lang}; name={name}")).send();
            page.assert(200, cache, &format!("lang={lang} {name} {large}"));
            assert_eq!(page.header("Vary"), Some("Cookie"));
        }
    }
    for cache in ["MISS", "HIT"] {
        for lang in ["de", "en"] {
            let ask = || nginx.get("/plain").cookie(&format!("lang={lang}"));
            ask().send().assert(200, cache, &format!("lang={lang}").repeat(10_000));
            let etag = format!("\"lang={lang}\"");
            assert_eq!(ask().header("If-None-Match", &etag).send().status, 304);
            assert_eq!(ask().header("If-None-Match", "\"lang=fr\"").send().status, 200);
            assert_eq!(ask().range("5-6").send().text(), lang);
        }
    }
}

#[test]
fn the_key_tells_the_variant_but_no_secret() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        let page = Answer::page("x").header("Twice-Cookies", "lang, none");
        page.header("Vary", if request.path() == "/" { "Origin" } else { "Origin, Cookie, Authorization" })
    });
    let nginx = cached(&origin).start();
    let ask =
        |path: &str| nginx.get(path).header("Host", "h").cookie("lang=d\u{1}e").header("Origin", "http://o");
    let miss = ask("/").send();
    assert!(miss.header("X-Key").is_some_and(|key| key.ends_with("://h/")), "{miss:?}");
    let hit = ask("/").warm();
    let key = hit.header("X-Key").unwrap();
    assert!(key.starts_with("http"), "{key}");
    assert!(key.ends_with(" cookie.lang=d\\x01e cookie.none header.origin=http://o"), "{key}");
    let hit = ask("/secret").warm();
    let key = hit.header("X-Key").unwrap();
    assert!(key.ends_with(" header.cookie=* header.authorization"), "{key}");
}

#[test]
fn a_variant_with_too_long_a_key_is_not_looked_up() {
    let origin = by_language();
    let nginx = cached_with(&origin, "").server("large_client_header_buffers 8 64k;").start();
    let long = format!("lang={}", "x".repeat(17_000));
    nginx.get("/").cookie("lang=de").send().assert(200, "MISS", "lang=de");
    for count in 2..=4 {
        let page = nginx.get("/").cookie(&long).send();
        assert_eq!((page.cache(), page.reason(), page.text()), ("", "key_too_long", long.clone()));
        assert_eq!(origin.count("/"), count);
    }
    // Where nothing is known of the page yet it is not stored.
    for _ in 0..2 {
        let page = nginx.get("/new").cookie(&long).send();
        assert_eq!((page.cache(), page.reason()), ("MISS", "key_too_long"));
    }
    nginx.get("/").cookie("lang=de").send().assert(200, "HIT", "lang=de");
}

/// A slip of the application's: no visitor has such a cookie, so all would share what is one's own.
#[test]
fn what_names_no_cookie_is_not_stored() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        let names = ["lang; user", "*", "\"lang\"", "lang=de"];
        let name = request.target[1..].parse::<usize>().map_or("lang", |at| names[at]);
        Answer::page(request.header("Cookie").unwrap_or("none")).header("Twice-Cookies", name)
    });
    let nginx = cached(&origin).start();
    for path in ["/0", "/1", "/2", "/3"] {
        let page = nginx.get(path).cookie("lang=de; user=ann").send();
        page.assert(200, "MISS", "lang=de; user=ann");
        assert_eq!(page.reason(), "varies", "{path}");
        nginx.get(path).send().assert(200, "MISS", "none");
    }
    for cache in ["MISS", "HIT"] {
        nginx.get("/x").cookie("lang=de").send().assert(200, cache, "lang=de");
    }
}
