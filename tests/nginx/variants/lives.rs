//! What becomes of variants over a reload, a stop, the death of a worker, and in a zone that is full.

use std::fs;

use fixture::{Answer, Nginx, Origin, until};

use super::{by_language, cached, told};

const LANGUAGES: [&str; 3] = ["de", "en", "fr"];

#[track_caller]
fn all_are(nginx: &Nginx, cache: &str) {
    for lang in LANGUAGES {
        let page = nginx.get("/").header("Host", "h").cookie(&format!("lang={lang}")).send();
        page.assert(200, cache, &format!("lang={lang}"));
    }
}

#[test]
fn variants_survive_a_reload_and_the_death_of_a_worker() {
    let origin = by_language();
    let nginx = cached(&origin).start();
    all_are(&nginx, "MISS");
    all_are(&nginx, "HIT");
    nginx.reload();
    all_are(&nginx, "HIT");
    let worker = nginx.workers()[0];
    nginx.kill_worker(worker);
    all_are(&nginx, "HIT");
    assert_eq!(origin.count("/"), 3);
}

#[test]
fn variants_survive_a_stop_and_a_start() {
    let origin = by_language();
    let setup = Nginx::bare()
        .http("twice_zone pages 16m snapshot=pages.snap; add_header X-Cache $twice_cache_status always;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()));
    let nginx = setup.start();
    all_are(&nginx, "MISS");
    all_are(&nginx, "HIT");
    let setup = nginx.setup().clone();
    nginx.finish();
    fs::remove_file(setup.folder().join("error.log")).unwrap();
    let nginx = setup.start();
    // Three variants and their page's rules.
    nginx.wait_log("was loaded: 4 pages");
    all_are(&nginx, "HIT");
    assert_eq!(origin.count("/"), 3);
    // The rules are in use as before.
    nginx.get("/").header("Host", "h").cookie("lang=it").send().assert(200, "MISS", "lang=it");
    nginx.get("/").header("Host", "h").cookie("lang=it").send().assert(200, "HIT", "lang=it");
    all_are(&nginx, "HIT");
}

#[test]
fn rules_that_were_evicted_take_no_old_variant_back() {
    let origin = Origin::start();
    let body = "x".repeat(20_000);
    let pages = body.clone();
    origin.handle("/*", move |request| {
        Answer::page(format!("{} {pages}", told(request, "lang"))).header("Twice-Cookies", "lang")
    });
    let nginx = Nginx::bare()
        .http("twice_zone pages 2m; add_header X-Cache $twice_cache_status always;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .start();
    let mut raw = nginx.raw();
    let mut ask = |path: &str, lang: &str| {
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nCookie: lang={lang}\r\n\r\n"));
        let page = raw.response();
        assert_eq!(page.text(), format!("lang={lang} {body}"), "{path}");
        page.cache().to_owned()
    };
    // Far more than there is room for, each with rules: whatever goes, nobody gets another one's.
    for n in 0..400 {
        for lang in ["de", "en"] {
            ask(&format!("/{}", n % 150), lang);
        }
    }
    ask("/last", "de");
    until("it is stored", || ask("/last", "de") == "HIT");
}

#[test]
fn two_first_answers_that_say_different_things_are_both_kept_apart() {
    let origin = Origin::start();
    let gates = [fixture::Gate::new(), fixture::Gate::new()];
    for (n, gate) in gates.iter().enumerate() {
        let gate = gate.clone();
        origin.handle(&format!("/{n}"), move |request| {
            let name = if request.cookie("a").is_some() { "a" } else { "b" };
            let page = Answer::page(format!("{} {}", told(request, "a"), told(request, "b")));
            page.header("Twice-Cookies", name).gate(&gate)
        });
    }
    let nginx = cached(&origin).start();
    for (path, gate) in ["/0", "/1"].into_iter().zip(&gates) {
        let first = nginx.get(path).cookie("a=1").spawn();
        let second = nginx.get(path).cookie("b=1").spawn();
        gate.wait_arrived(2);
        gate.open();
        first.join().unwrap().assert(200, "MISS", "a=1 no b");
        second.join().unwrap().assert(200, "MISS", "no a b=1");
        // Whichever came last: the page varies by both now.
        for (cookies, text) in
            [("a=1", "a=1 no b"), ("b=1", "no a b=1"), ("a=1; b=1", "a=1 b=1"), ("x=1", "no a no b")]
        {
            let ask = || nginx.get(path).cookie(cookies).send();
            assert_eq!(ask().text(), text);
            ask().assert(200, "HIT", text);
        }
    }
}
