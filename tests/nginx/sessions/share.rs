//! Many sessions: they have their share of the zone, and pages have theirs.

use super::*;

#[test]
fn more_sessions_than_there_is_room_for() {
    const PAGES: usize = 200;
    let origin = Origin::start();
    knows_all(&origin);
    origin.handle("/p/*", |asked| Answer::page(format!("{} <& get session login nobody &>", asked.path())));
    let nginx = Nginx::bare()
        .figures()
        .http("twice_zone pages 4m elements=5%; add_header X-Cache $twice_cache_status always;")
        .http("twice_key $uri; keepalive_requests 100000;")
        .http(format!("upstream app {{ server 127.0.0.1:{}; keepalive 8; }}", origin.port()))
        .http("twice_source session http /_session key=$cookie_persistent timeout=60s;")
        .location("= /_session", "internal; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://app/session;")
        .location("/", "twice pages; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://app;")
        .start();
    let mut client = nginx.raw();
    for n in 0..PAGES {
        client.get(&format!("/p/{n}"));
        assert_eq!(client.response().text(), format!("/p/{n} nobody"));
    }
    fixture::until("all pages are stored", || nginx.figure("stored") == PAGES as u64);
    let mut visitors = 0;
    while nginx.figure("elements_evicted") < 1000 {
        for _ in 0..200 {
            // One comes all the time.
            for name in [format!("visitor{visitors}"), "ann".to_owned()] {
                ask(&mut client, &format!("/p/{}", visitors % PAGES), &name);
                let page = client.response();
                let expected = format!("/p/{} {name}", visitors % PAGES);
                assert_eq!((page.cache(), page.text()), ("HIT", expected));
            }
            visitors += 1;
        }
        assert!(visitors < 20_000, "{:?}", nginx.figures("pages"));
    }
    let figures = nginx.figures("pages");
    // Who comes all the time is hardly ever asked about again: that he comes is noted ten times a second, and as many others as
    // fit may come in between.
    let asked = origin.count("/session");
    assert!(
        (visitors + 1..=visitors + 1 + visitors / 20).contains(&asked),
        "{asked} of {visitors}: {figures:?}"
    );
    assert_eq!((figures["pages"], figures["evicted"]), (PAGES as u64, 0));
    assert_eq!(figures["elements"] + figures["elements_evicted"], asked as u64);
    assert!(figures["element_used_bytes"] <= figures["element_arena_bytes"], "{figures:?}");
    // The first is asked about anew, and the latest is not.
    for (visitor, asked) in [(visitors - 1, 0), (0, 1)] {
        let before = origin.count("/session");
        ask(&mut client, "/p/0", &format!("visitor{visitor}"));
        assert_eq!(client.response().text(), format!("/p/0 visitor{visitor}"));
        assert_eq!(origin.count("/session"), before + asked, "visitor {visitor} of {visitors}");
    }
}
