//! A random value for each response: `<& nonce &>`, the same in the body, in header lines and in `$twice_nonce`.

use std::collections::HashSet;
use std::sync::Mutex;

use fixture::docs::examples;
use fixture::{Answer, Browser, Gate, Nginx, Origin, Response, Setup, until};

fn cached(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice().location("/", format!("twice pages; {lines} proxy_pass {};", origin.url()))
}

/// Twice in the body, and in a header line.
fn page() -> Answer {
    Answer::page("<& nonce &> <& nonce &>")
        .header("Twice-Headers", "X-Nonce")
        .header("X-Nonce", "nonce-<& nonce &>")
        .header("ETag", "\"template\"")
        .header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
}

/// The nonce of a response, which is the same wherever it stands.
#[track_caller]
fn nonce(answer: &Response) -> String {
    let text = answer.text();
    let (nonce, again) = text.split_once(' ').unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!(nonce, again, "{answer:?}");
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(nonce.len() == 22 && nonce.chars().all(allowed), "{answer:?}");
    assert_eq!(answer.header("X-Nonce"), Some(format!("nonce-{nonce}").as_str()), "{answer:?}");
    nonce.to_owned()
}

#[test]
fn every_response_has_its_own() {
    let origin = Origin::start();
    origin.on("/", page());
    let nginx = cached(&origin, "proxy_set_header X-Asked $twice_nonce; add_header X-Variable $twice_nonce; add_header X-Cache $twice_cache_status;")
        .start();
    let mut seen = HashSet::new();
    for count in 0..200 {
        let answer = nginx.get("/").send();
        answer.assert_cache(if count == 0 { "MISS" } else { "HIT" });
        let nonce = nonce(&answer);
        assert_eq!(answer.header("X-Variable"), Some(nonce.as_str()));
        if count == 0 {
            assert_eq!(origin.last("/").header("X-Asked"), Some(nonce.as_str()));
        }
        assert!(seen.insert(nonce), "the same nonce twice");
    }
}

#[test]
fn connections_and_workers_have_no_nonce_twice() {
    let origin = Origin::start();
    origin.on("/", page());
    let nginx = cached(&origin, "").start();
    nginx.get("/").send();
    let seen = Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut kept = nginx.raw();
                for count in 0..100 {
                    // On one connection, and on another one each.
                    let answer = if count % 2 == 0 {
                        nginx.get("/").send()
                    } else {
                        kept.get("/");
                        kept.response()
                    };
                    assert!(seen.lock().unwrap().insert(nonce(&answer)), "the same nonce twice");
                }
            });
        }
    });
    assert_eq!(seen.lock().unwrap().len(), 400);
}

#[test]
fn such_a_page_is_never_the_same() {
    let origin = Origin::start();
    origin.on("/*", page());
    let nginx = cached(&origin, "").start();
    for (n, (name, value)) in [
        ("If-None-Match", "*"),
        ("If-None-Match", "\"template\", *"),
        ("If-Modified-Since", "Sun, 06 Nov 2044 08:49:37 GMT"),
        ("If-Match", "\"template\""),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Range", "bytes=0-1"),
    ]
    .into_iter()
    .enumerate()
    {
        for cache in ["MISS", "HIT", "HIT"] {
            let answer = nginx.get(&format!("/{n}")).header(name, value).send();
            answer.assert_cache(cache);
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
            nonce(&answer);
            for name in ["ETag", "Last-Modified"] {
                assert_eq!(answer.header(name), None, "{answer:?}");
            }
            assert_eq!(answer.header("Cache-Control"), Some("private, no-cache"));
        }
    }
}

#[test]
fn visitors_of_one_fetch_have_different_ones() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", page().gate(&gate));
    let nginx = cached(&origin, "").figures().start();
    let visitors: Vec<_> = (0..8).map(|_| nginx.get("/").spawn()).collect();
    until("all wait for one fetch", || nginx.figure("waits") == 7);
    gate.open();
    let seen: HashSet<_> = visitors.into_iter().map(|visitor| nonce(&visitor.join().unwrap())).collect();
    assert_eq!((seen.len(), origin.count("/")), (8, 1));
}

#[test]
fn a_client_request_has_one_whatever_becomes_of_it() {
    let origin = Origin::start();
    origin.on("/page", Answer::page("<& nonce &> <& include /part &>"));
    origin.on("/part", Answer::page("<& nonce &>"));
    origin.on("/inner", page());
    let nginx = cached(&origin, "")
        // The variable is asked for before the request becomes another one.
        .location("= /redirected", "set $before $twice_nonce; add_header X-Before $before; rewrite ^ /inner last;")
        .location("= /missing", format!("error_page 404 =200 /inner; proxy_intercept_errors on; proxy_set_header X-Before $twice_nonce; proxy_pass {}/none;", origin.url()))
        .start();
    for _ in 0..2 {
        // A fragment is part of its page's response, wherever it was kept.
        let text = nginx.get("/page").send().text();
        let (outer, inner) = text.split_once(' ').unwrap();
        assert_eq!((outer, outer.len()), (inner, 22));
        nonce(&nginx.get("/redirected").send());
        let before = nonce(&nginx.get("/missing").send());
        assert_eq!(origin.last("/none").header("X-Before"), Some(before.as_str()));
    }
}

#[test]
fn a_refresh_is_another_response() {
    let origin = Origin::start();
    origin.on(
        "/",
        Answer::html("<& nonce &> <& nonce &>")
            .header("X-Twice-Control", "max-age=1")
            .header("Twice-Headers", "X-Nonce")
            .header("X-Nonce", "nonce-<& nonce &>"),
    );
    let nginx = cached(&origin, "twice_stale_factor 1000; proxy_set_header X-Asked $twice_nonce;").start();
    nonce(&nginx.get("/").send());
    origin.on("/", page());
    let mut shown = HashSet::new();
    until("a stale page is shown", || {
        let answer = nginx.get("/").send();
        shown.insert(nonce(&answer));
        answer.cache() == "STALE"
    });
    origin.wait_count("/", 2);
    let asked = origin.last("/").header("X-Asked").unwrap().to_owned();
    assert!(asked.len() == 22 && !shown.contains(&asked), "the visitor's nonce was the refresh's");
    until("the page is renewed", || {
        let answer = nginx.get("/").send();
        nonce(&answer);
        answer.cache() == "HIT"
    });
}

/// The page of docs/security.md with its policy; without `Twice-Headers` the policy's nonce is none.
fn with_policy(listed: bool) -> Answer {
    let head = examples("A nonce in every response", "http").concat();
    let page = examples("A nonce in every response", "html").concat();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    headers
        .filter(|(name, _)| listed || *name != "Twice-Headers")
        .fold(Answer::html(page), |answer, (name, value)| answer.header(name, value))
}

#[test]
fn a_stored_page_has_a_policy_that_a_browser_enforces() {
    let origin = Origin::start();
    origin.on("/", with_policy(true));
    origin.on("/without", with_policy(false));
    let nginx = cached(&origin, "").figures().start();
    for path in ["/", "/without"] {
        nginx.get(path).send().assert_cache("MISS");
    }
    let hits = nginx.figure("hits");
    let seen = Browser::new().open(&nginx.url("/"));
    assert!(seen.dom.contains("Hello Guest, your browser ran this"), "{seen:?}");
    assert!(seen.console.is_empty(), "{seen:?}");
    // The same page, whose policy allows no script any more: the browser says so, and runs none.
    let seen = Browser::new().open(&nginx.url("/without"));
    assert!(
        seen.dom.contains("Hello Guest") && !seen.dom.contains("Guest, your browser ran this"),
        "{seen:?}"
    );
    let refused = |what: &str| {
        seen.console.iter().any(|said| said.contains("Content Security Policy") && said.contains(what))
    };
    assert!(refused("script") && refused("style"), "{seen:?}");
    assert_eq!(nginx.figure("hits"), hits + 2);
    assert_eq!((origin.count("/"), origin.count("/without")), (1, 1));
}
