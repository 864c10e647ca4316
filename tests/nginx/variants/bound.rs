//! A page has so many variants and no more, whatever values visitors invent.

use std::thread;

use fixture::{Answer, Nginx, Origin, Raw};

use super::{by_language, cached_with, told};

fn ask(raw: &mut Raw, path: &str, cookies: &str) -> fixture::Response {
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nCookie: {cookies}\r\n\r\n"));
    raw.response()
}

/// How many of these have a page.
fn there(nginx: &Nginx, values: impl Iterator<Item = usize>) -> usize {
    let mut raw = nginx.raw();
    let probe = |n| {
        raw.send(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Probe: 1\r\nCookie: lang={n}\r\n\r\n"));
        raw.response().cache() == "HIT"
    };
    values.map(probe).filter(|hit| *hit).count()
}

#[test]
fn the_least_used_variant_goes() {
    let origin = by_language();
    let nginx = cached_with(&origin, "twice_max_variants 4; twice_no_store $http_x_probe;").start();
    let mut raw = nginx.raw();
    for n in 0..4 {
        ask(&mut raw, "/", &format!("lang={n}")).assert_cache("MISS");
    }
    for _ in 0..3 {
        for n in [0, 2, 3] {
            ask(&mut raw, "/", &format!("lang={n}")).assert_cache("HIT");
        }
    }
    ask(&mut raw, "/", "lang=4").assert_cache("MISS");
    ask(&mut raw, "/", "lang=4").assert_cache("HIT");
    for n in [0, 2, 3] {
        ask(&mut raw, "/", &format!("lang={n}")).assert(200, "HIT", &format!("lang={n}"));
    }
    ask(&mut raw, "/", "lang=1").assert_cache("MISS");
    assert_eq!(there(&nginx, 0..5), 4);
}

#[test]
fn ten_thousand_invented_cookies_leave_the_other_pages_alone() {
    let origin = by_language();
    origin.on("/other/*", Answer::page("other"));
    let nginx = cached_with(&origin, "twice_no_store $http_x_probe;").start();
    let mut raw = nginx.raw();
    for n in 0..200 {
        ask(&mut raw, &format!("/other/{n}"), "").assert_cache("MISS");
    }
    for cache in ["MISS", "HIT", "HIT"] {
        ask(&mut raw, "/", "lang=de").assert(200, cache, "lang=de");
    }
    let attackers: Vec<_> = (0..4)
        .map(|part| {
            let mut raw = nginx.raw();
            thread::spawn(move || {
                for n in (part..10_000).step_by(4) {
                    let cookie = format!("lang={n}");
                    let page = ask(&mut raw, "/", &cookie);
                    assert!(page.status == 200 && page.body == cookie.as_bytes(), "{page:?}");
                }
            })
        })
        .collect();
    for attacker in attackers {
        attacker.join().unwrap();
    }
    assert_eq!(origin.count("/"), 10_001);
    for n in 0..200 {
        ask(&mut raw, &format!("/other/{n}"), "").assert(200, "HIT", "other");
    }
    ask(&mut raw, "/", "lang=de").assert(200, "HIT", "lang=de");
    // 64 in all, the popular one among them.
    let left = there(&nginx, 0..10_000);
    assert!((50..=63).contains(&left), "{left}");
}

#[test]
fn a_bound_of_one_is_a_bound() {
    let origin = by_language();
    let nginx = cached_with(&origin, "twice_max_variants 1; twice_no_store $http_x_probe;").start();
    let mut raw = nginx.raw();
    for n in 0..20 {
        let cookie = format!("lang={n}");
        ask(&mut raw, "/", &cookie).assert(200, "MISS", &cookie);
        ask(&mut raw, "/", &cookie).assert(200, "HIT", &cookie);
    }
    assert_eq!(there(&nginx, 0..20), 1);
}

#[test]
fn a_page_may_have_very_many_variants() {
    let origin = by_language();
    let nginx = cached_with(&origin, "twice_max_variants 1024; twice_no_store $http_x_probe;").start();
    let mut raw = nginx.raw();
    for n in 0..1500 {
        ask(&mut raw, "/", &format!("lang={n}")).assert_cache("MISS");
    }
    assert_eq!(there(&nginx, 0..1500), 1024);
}

#[test]
fn workers_that_store_at_once_lose_no_variant() {
    let origin = Origin::start();
    origin.handle("/*", |request| Answer::page(told(request, "n")).header("Twice-Cookies", "n"));
    let nginx = cached_with(&origin, "").workers(4).start();
    for round in 0..5 {
        let path = format!("/{round}");
        let visitors: Vec<_> = (0..8)
            .map(|visitor| {
                let (mut raw, path) = (nginx.raw(), path.clone());
                thread::spawn(move || {
                    for n in 0..6 {
                        let cookie = format!("n={}", visitor * 6 + n);
                        ask(&mut raw, &path, &cookie).assert(200, "MISS", &cookie);
                    }
                })
            })
            .collect();
        for visitor in visitors {
            visitor.join().unwrap();
        }
        // But for those whose rules were made anew under them: two first variants that were stored at once.
        let mut raw = nginx.raw();
        for n in 0..48 {
            let cookie = format!("n={n}");
            ask(&mut raw, &path, &cookie).assert(200, "HIT", &cookie);
        }
        assert_eq!(origin.count(&path), 48);
    }
}
