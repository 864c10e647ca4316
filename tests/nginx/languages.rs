//! Languages: the one that a visitor gets, and the way to its host.

use fixture::{Answer, Nginx, Origin, Response, Setup};

fn with(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .http("add_header X-Language $twice_language always;")
        .server(format!("twice pages; {lines}"))
        .location("/", format!("proxy_pass {};", origin.url()))
}

#[test]
fn a_visitor_gets_one_of_the_sites_languages() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get lang tag &>:<& if lang de ja nein &>:<& if lang de-ch Grüezi - &>"));
    let nginx = with(&origin, "twice_languages en de de-CH pt-BR;").start();
    for (n, (accept, language, page)) in [
        ("", "en", "en:nein:-"),
        ("de", "de", "de:ja:-"),
        ("de-CH, de;q=0.9", "de-CH", "de-ch:ja:Grüezi"),
        ("de-AT, en;q=0.9", "de", "de:ja:-"),
        ("fr, PT-br;q=0.5, en;q=0.4", "pt-BR", "pt-br:nein:-"),
        ("en;q=0.3, de;q=0.4", "de", "de:ja:-"),
        ("en;q=0", "de", "de:ja:-"),
        ("fr", "en", "en:nein:-"),
        ("*, <b>;q=x", "en", "en:nein:-"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = nginx.get("/").header("Accept-Language", accept).send();
        answer.assert(200, if n == 0 { "MISS" } else { "HIT" }, page);
        assert_eq!(answer.header("X-Language"), Some(language), "{accept}");
    }
}

#[test]
fn without_a_list_it_is_the_visitors_own() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get lang tag &>"));
    let nginx = with(&origin, "").start();
    nginx.get("/").warm();
    for (accept, language) in [("", "en-us"), ("De-CH", "de-ch"), ("en;q=0.5, fr", "fr")] {
        let hit = nginx.get("/").header("Accept-Language", accept).send();
        hit.assert(200, "HIT", language);
        assert_eq!(hit.header("X-Language"), Some(language));
    }
}

#[test]
fn each_location_has_its_own_list() {
    let origin = Origin::start();
    origin.on(
        "/page",
        Answer::page("<& get lang tag &>[<!--#include virtual=\"/part\" -->]<& get lang current &>"),
    );
    origin.on("/part", Answer::page("<& get lang tag &>"));
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = with(&origin, "twice_languages en de;")
        .location("/page", format!("ssi on; {pass}"))
        .location("/part", format!("twice_languages nl fr; {pass}"))
        .start();
    for _ in 0..2 {
        let page = nginx.get("/page").header("Accept-Language", "de, fr;q=0.5").send();
        assert_eq!(page.text(), "de[fr]de");
        assert_eq!(page.header("X-Language"), Some("de"));
    }
}

#[test]
fn an_origin_hears_of_the_one_language_that_a_page_is_in() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = with(&origin, "twice_languages en de pt-BR;")
        .location("/on/", format!("twice_vary_language on; {pass}"))
        .location("/off/", format!("twice_vary_language off; {pass}"))
        .location("/free/", format!("twice_vary_language on; twice_languages x-none; {pass}"))
        .start();
    let told = |path: &str| {
        let received = origin.last(path);
        let lines = received.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("accept-language"));
        lines.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let accept = "fr, pt-br;q=0.8, *;q=0.1";
    for (path, expected) in [("/on/a", "pt-BR"), ("/off/a", accept), ("/free/a", "x-none"), ("/a", accept)] {
        nginx.get(path).header("Accept-Language", accept).send();
        assert_eq!(told(path), [expected], "{path}");
    }
    nginx.get("/on/none").send();
    assert_eq!(told("/on/none"), ["en"], "who names none gets the default");
    // What passes through is the client's own.
    nginx.get("/on/post").header("Accept-Language", accept).body("b").send();
    assert_eq!(told("/on/post"), [accept]);
}

const REDIRECT: &str = "twice_languages en de pt-BR; twice_language_redirect https://*.example.com;";

#[track_caller]
fn sent(response: &Response, to: &str) {
    assert_eq!((response.status, response.header("Location")), (302, Some(to)), "{response:?}");
    assert_eq!(response.header("Cache-Control"), Some("private"), "{response:?}");
    assert_eq!(response.header("Vary"), Some("Accept-Language"), "{response:?}");
    assert_eq!(response.reason(), "language_host", "{response:?}");
}

#[test]
fn a_visitor_is_sent_to_the_host_of_his_language() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let nginx = with(&origin, REDIRECT)
        .http2()
        .location("/text", "return 200 text;")
        .location("= /closed", format!("deny all; proxy_pass {};", origin.url()))
        .location("/off/", format!("twice off; proxy_pass {};", origin.url()))
        .location("/stays/", format!("twice_language_redirect off; proxy_pass {};", origin.url()))
        .start();
    let ask = |host: &str, accept: &str, path: &str| {
        nginx.get(path).header("Host", host).header("Accept-Language", accept)
    };
    for host in ["www.example.com", "example.com", "WWW.Example.COM:8080"] {
        sent(&ask(host, "de-CH, en;q=0.9", "/a?b=c&d=%20").send(), "https://de.example.com/a?b=c&d=%20");
        sent(&ask(host, "pt-BR", "/").head().send(), "https://pt-br.example.com/");
        // A location that begins with `return` is no exception.
        sent(&ask(host, "de", "/text").send(), "https://de.example.com/text");
    }
    assert_eq!(origin.total(), 0);
    let raw_target = {
        let mut raw = nginx.raw();
        raw.send(
            "GET http://www.example.com?x HTTP/1.1\r\nHost: www.example.com\r\nAccept-Language: de\r\n\r\n",
        );
        raw.response()
    };
    sent(&raw_target, "https://de.example.com/?x");
    let h2 = nginx.get_h2("/x").header("Host", "www.example.com").header("Accept-Language", "de").send();
    sent(&h2, "https://de.example.com/x");

    // Who stays. The default host's answers are other ones for other languages, and say so.
    for (host, accept, vary) in [
        ("www.example.com", "en, de;q=0.9", true),
        ("www.example.com", "fr, de;q=0.9", true),
        ("example.com", "", true),
        ("de.example.com", "de", false),
        ("de.example.com", "pt-BR", false),
        ("fr.example.com", "de", false),
        ("www.example.com.evil.example", "de", false),
        ("evil.example", "de", false),
    ] {
        for _ in 0..2 {
            let page = ask(host, accept, "/page").send();
            assert_eq!((page.status, page.header("Location")), (200, None), "{host} {accept}");
            assert_eq!(page.header("Vary"), vary.then_some("Accept-Language"), "{host} {accept}: {page:?}");
        }
    }
    // A page in the store changes nothing.
    ask("www.example.com", "en", "/page").send().assert_cache("HIT");
    sent(&ask("www.example.com", "de", "/page").send(), "https://de.example.com/page");
    assert_eq!(ask("www.example.com", "de", "/off/").send().status, 200);
    assert_eq!(ask("www.example.com", "de", "/stays/").send().status, 200);
    // What is sent there, stays sent; what nobody may see is nowhere.
    assert_eq!(ask("www.example.com", "de", "/post").body("b").send().status, 200);
    nginx.expect_log("access forbidden by rule");
    assert_eq!(ask("www.example.com", "de", "/closed").send().status, 403);
}

#[test]
fn nobody_goes_round_in_circles() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    // As odd as it gets: one language is named like the default host.
    let lines = "twice_languages en www de; twice_language_redirect http://*.example.com;";
    let nginx = with(&origin, lines).start();
    for accept in ["en", "www", "de", "www-x", "de-CH, www"] {
        let mut host = "example.com".to_owned();
        let mut steps = 0;
        loop {
            let page = nginx.get("/x").header("Host", &host).header("Accept-Language", accept).send();
            let Some(to) = page.header("Location") else {
                assert_eq!(page.status, 200);
                break;
            };
            steps += 1;
            assert!(steps <= 1, "{accept}");
            host = to.strip_prefix("http://").unwrap().strip_suffix("/x").unwrap().to_owned();
        }
    }
}

#[test]
fn only_what_the_client_asked_for_is_sent_elsewhere() {
    let origin = Origin::start();
    origin.on("/part", Answer::page("part"));
    origin.on("/page", Answer::page("[<!--#include virtual=\"/part\" -->]"));
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = Nginx::twice()
        .server(REDIRECT)
        .location("/page", format!("ssi on; {pass}"))
        .location("/inner", "rewrite ^ /part last;")
        .location("/part", format!("twice pages; {pass}"))
        .start();
    let ask =
        |path: &str| nginx.get(path).header("Host", "www.example.com").header("Accept-Language", "de").send();
    assert_eq!(ask("/page").text(), "[part]");
    sent(&ask("/part"), "https://de.example.com/part");
}
