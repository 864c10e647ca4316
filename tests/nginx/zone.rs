//! The zone under load: many pages, many workers, workers that die.

use std::thread;

use fixture::{Answer, Nginx, Origin, Raw, Response, Setup, until};

pub(crate) fn cached(origin: &Origin, zone: &str) -> Setup {
    Nginx::bare()
        .http(format!(
            "twice_zone {zone};
add_header X-Cache $twice_cache_status always; add_header X-Reason $twice_reason always;
add_header X-Worker $pid always;
upstream app {{ server 127.0.0.1:{}; keepalive 16; }}",
            origin.port()
        ))
        .http("keepalive_requests 100000;")
        .location(
            "/",
            "twice pages; proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_max_temp_file_size 0;",
        )
}

/// A page that shows whose it is, from end to end.
pub(crate) fn page_of(path: &str, size: usize) -> String {
    path.repeat(size / path.len() + 1)
}

pub(crate) fn ask(raw: &mut Raw, path: &str) -> Response {
    raw.get(path);
    raw.response()
}

pub(crate) fn own_pages(origin: &Origin, size: usize) {
    origin.handle("/*", move |request| {
        Answer::html(page_of(&request.target, size)).header("X-Twice-Control", "max-age=3600, no-tags")
    });
}

/// Three times what the zone holds passes through it, and between any two pages somebody asks for `/hot`.
fn filled_three_times(size: usize, pages: usize) {
    let origin = Origin::start();
    own_pages(&origin, size);
    let nginx = cached(&origin, "pages 4m").start();
    let mut raw = nginx.raw();
    for n in 0..pages {
        let path = format!("/{n}");
        let page = ask(&mut raw, &path);
        assert!(
            page.status == 200 && page.body == page_of(&path, size).as_bytes(),
            "{path}: {}",
            page.status
        );
        assert_eq!((page.cache(), page.reason()), ("MISS", "recording"), "{path}");
        let hot = ask(&mut raw, "/hot");
        assert!(hot.status == 200 && hot.body == page_of("/hot", size).as_bytes(), "{}", hot.status);
        assert_eq!(hot.cache(), if n == 0 { "MISS" } else { "HIT" }, "after {path}");
    }
    assert_eq!(origin.count("/hot"), 1);
    // The latest are there, and the first have made room for them.
    for n in pages - 10..pages {
        let path = format!("/{n}");
        let page = ask(&mut raw, &path);
        assert!(
            page.cache() == "HIT" && page.body == page_of(&path, size).as_bytes(),
            "{path}: {}",
            page.cache()
        );
    }
    assert_eq!(ask(&mut raw, "/0").cache(), "MISS");
}

#[test]
fn a_full_zone_makes_room_and_keeps_the_page_that_is_used() {
    filled_three_times(60_000, 220);
}

#[test]
fn a_zone_full_of_small_pages_makes_room_too() {
    filled_three_times(700, 12_000);
}

#[test]
fn pages_of_all_sizes_take_turns() {
    let origin = Origin::start();
    let size = |n: usize| [100, 900_000, 3_000, 70_000, 400_000, 1, 20_000][n % 7];
    origin.handle("/*", move |request| {
        let n = request.path().trim_start_matches('/').parse().unwrap_or(0);
        Answer::page(page_of(request.path(), size(n))).header("X-Twice-Control", "no-tags")
    });
    let nginx = cached(&origin, "pages 4m").start();
    let mut raw = nginx.raw();
    for n in 0..100 {
        let path = format!("/{n}");
        for cache in ["MISS", "HIT"] {
            let page = ask(&mut raw, &path);
            assert_eq!((page.status, page.cache()), (200, cache), "{path}");
            assert!(page.body == page_of(&path, size(n)).as_bytes(), "{path}: {} bytes", page.body.len());
        }
    }
}

#[test]
fn all_workers_share_one_zone() {
    let origin = Origin::start();
    own_pages(&origin, 20_000);
    let nginx = cached(&origin, "pages 16m").workers(4).start();
    // Each worker stores a page, and each serves all of them.
    let mut stored: Vec<u32> = Vec::new();
    let mut paths = Vec::new();
    until("each worker stores a page", || {
        let path = format!("/{}", paths.len());
        stored.push(nginx.get(&path).header("Host", "localhost").send().assert_cache("MISS").worker());
        paths.push(path);
        nginx.workers().iter().all(|pid| stored.contains(pid))
    });
    let mut seen: Vec<u32> = Vec::new();
    until("each worker serves all pages", || {
        let mut raw = nginx.raw();
        for path in &paths {
            let page = ask(&mut raw, path);
            page.assert(200, "HIT", &page_of(path, 20_000));
            seen.push(page.worker());
        }
        nginx.workers().iter().all(|pid| seen.contains(pid))
    });
    assert_eq!(origin.total(), paths.len());
}

#[test]
fn workers_that_store_and_evict_at_once_serve_no_wrong_page() {
    let origin = Origin::start();
    own_pages(&origin, 30_000);
    let nginx = cached(&origin, "pages 2m").start();
    thread::scope(|scope| {
        for client in 0..6 {
            let nginx = &nginx;
            scope.spawn(move || {
                let mut raw = nginx.raw();
                for n in 0..150 {
                    let path = format!("/{}", (n * 7 + client * 31) % 97);
                    let page = ask(&mut raw, &path);
                    assert_eq!(page.status, 200, "{path}");
                    assert!(page.body == page_of(&path, 30_000).as_bytes(), "{path} {}", page.cache());
                }
            });
        }
    });
    nginx.get("/after").warm();
}

#[test]
fn a_page_that_is_being_sent_stays_whole_while_others_are_evicted() {
    let origin = Origin::start();
    own_pages(&origin, 900_000);
    let nginx = cached(&origin, "pages 4m").listen_options("reuseport sndbuf=8k").start();
    nginx.get("/held").header("Host", "localhost").warm();
    // A reader that takes the head and then rests.
    let mut slow = nginx.raw();
    slow.get("/held");
    let head = slow.response_head();
    assert_eq!(head.cache(), "HIT");
    let mut raw = nginx.raw();
    for n in 0..20 {
        assert_eq!(ask(&mut raw, &format!("/{n}")).status, 200);
    }
    // What is being read is not chosen to go: its space would not come free.
    nginx.get("/held").header("Host", "localhost").send().assert_cache("HIT");
    let whole = page_of("/held", 900_000);
    assert!(slow.bytes(whole.len()) == whole.as_bytes());
}

#[test]
fn a_zone_in_use_by_slow_readers_serves_on() {
    let origin = Origin::start();
    own_pages(&origin, 900_000);
    let nginx = cached(&origin, "pages 4m").listen_options("reuseport sndbuf=8k").start();
    let mut slow = Vec::new();
    for n in 0..8 {
        let path = format!("/{n}");
        let mut raw = nginx.raw();
        ask(&mut raw, &path);
        raw.get(&path);
        raw.response_head();
        slow.push((path, raw));
    }
    // Pages that are being sent can't be evicted: what finds no room is not stored, and that is all.
    nginx.expect_log("twice: a page was not stored: ");
    for n in 100..110 {
        let path = format!("/{n}");
        let page = nginx.get(&path).send();
        assert!(page.status == 200 && page.body == page_of(&path, 900_000).as_bytes(), "{path}");
    }
    for (path, mut raw) in slow {
        let whole = page_of(&path, 900_000);
        assert!(raw.bytes(whole.len()) == whole.as_bytes(), "{path}");
    }
    nginx.get("/after").warm();
}
