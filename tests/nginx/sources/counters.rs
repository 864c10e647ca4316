//! Counters in the zone itself: what is shown, and what counts.

use super::*;
use fixture::until_some;
use fixture::visitor::Visitor;
use std::thread;

#[test]
fn a_view_is_counted_and_shown() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& incr viewdb views_42 &>seen <& get viewdb views_42 0 &> times"));
    let nginx = site(&origin).start();
    // The page's own view is not among those that it shows.
    nginx.get("/").send().assert(200, "MISS", "seen 0 times");
    becomes(&nginx, "views_42", "1");
    let hit = nginx.get("/").warm();
    assert_eq!(hit.header("Cache-Control"), Some("private, no-cache"));
    assert_eq!(hit.header("Content-Length"), Some(hit.body.len().to_string().as_str()));
    let so_far = changes(&nginx);
    becomes(&nginx, "views_42", &so_far.to_string());
    nginx.get("/").send().assert(200, "HIT", &format!("seen {so_far} times"));
    becomes(&nginx, "views_42", &(so_far + 1).to_string());
    assert_eq!(origin.count("/"), 1);
    assert_eq!(changes(&nginx), so_far + 1);
}

#[test]
fn what_nobody_sees_is_not_counted() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& incr viewdb views &><& pop viewdb gone &>page <& get viewdb views 0 &>"));
    let nginx = site(&origin).start();
    // Not in the store: a refresh in the background fills it, after the answer that has no body.
    assert_eq!(nginx.get("/").head().send().status, 200);
    nginx.get("/").warm();
    let seen = changes(&nginx) / 2;
    for _ in 0..5 {
        let head = nginx.get("/").head().send();
        head.assert(200, "HIT", "");
        assert_eq!(head.header("Content-Length"), None, "nobody was asked");
    }
    // A part of a page that is another one each time would be a part of nothing: it comes whole.
    let whole = nginx.get("/").range("0-3").send();
    whole.assert(200, "HIT", &format!("page {seen}"));
    becomes(&nginx, "views", &(seen + 1).to_string());
    assert_eq!(changes(&nginx), 2 * seen + 2);
}

#[test]
fn a_refresh_is_nobodys_view() {
    let origin = Origin::start();
    let page = |name: &str| Answer::html(format!("{name} <& incr viewdb views &>"));
    let stale = "max-age=1, stale-while-revalidate=3600";
    origin.on("/", page("old").header("X-Twice-Control", stale));
    let nginx = site(&origin).start();
    let mut seen = 0;
    let mut ask = || {
        seen += 1;
        nginx.get("/").send()
    };
    ask().assert(200, "MISS", "old ");
    origin.on("/", page("new").header("X-Twice-Control", "max-age=3600"));
    until("it is stale, and renewed", || ask().text() == "new ");
    assert_eq!(origin.count("/"), 2);
    becomes(&nginx, "views", &seen.to_string());
    assert_eq!(changes(&nginx), seen);
}

#[test]
fn who_waits_for_anothers_fetch_is_counted_too() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("<& incr viewdb views &>page").gate(&gate));
    let nginx = site(&origin).start();
    let first = nginx.get("/").spawn();
    gate.wait_arrived(1);
    let others: Vec<_> = (0..6).map(|_| nginx.get("/").spawn()).collect();
    until("they wait", || nginx.figure("waits") == 6);
    gate.open();
    first.join().unwrap().assert(200, "MISS", "page");
    for other in others {
        other.join().unwrap().assert(200, "HIT", "page");
    }
    becomes(&nginx, "views", "7");
    assert_eq!((origin.count("/"), changes(&nginx)), (1, 7));
}

#[test]
fn a_counter_begins_where_its_tag_says() {
    let origin = Origin::start();
    for (path, tags) in [
        ("/plain", "<& incr viewdb plain &><& decr viewdb down &>"),
        ("/given", "<& incr viewdb given 100 &><& decr viewdb given_down 7 &>"),
        ("/zero", "<& incr viewdb zero 0 &>"),
        ("/twice", "<& incr viewdb twice 10 &><& incr viewdb twice 10 &>"),
    ] {
        // Each is asked for once, and not kept.
        origin.on(path, passing(tags));
    }
    let nginx = site(&origin).start();
    let ask = |path: &str| assert_eq!(nginx.get(path).send().text(), "");
    ["/plain", "/given", "/zero", "/twice"].into_iter().for_each(ask);
    for (key, expected) in
        [("plain", "1"), ("down", "0"), ("given", "100"), ("given_down", "7"), ("zero", "0"), ("twice", "11")]
    {
        becomes(&nginx, key, expected);
    }
    ["/plain", "/given", "/zero"].into_iter().for_each(ask);
    // Nothing is less than nothing.
    for (key, expected) in
        [("plain", "2"), ("down", "0"), ("given", "101"), ("given_down", "6"), ("zero", "1")]
    {
        becomes(&nginx, key, expected);
    }
}

#[test]
fn a_value_that_is_popped_is_gone() {
    let origin = Origin::start();
    origin.on("/set", passing("<& incr viewdb note 5 &>"));
    origin.on("/", Answer::page("[<& pop viewdb note nothing &>]"));
    let nginx = site(&origin).start();
    nginx.get("/").send().assert(200, "MISS", "[nothing]");
    nginx.get("/").warm();
    nginx.get("/set").send();
    becomes(&nginx, "note", "5");
    nginx.get("/").send().assert(200, "HIT", "[5]");
    becomes(&nginx, "note", "none");
    nginx.get("/").send().assert(200, "HIT", "[nothing]");
}

#[test]
fn only_what_is_printed_counts() {
    let origin = Origin::start();
    let page = "<& if cookie member &>member<& incr viewdb members &><& else &>guest<& incr viewdb guests &><& end &>\
                <& if viewdb guests ' (there were guests)' &><& unless viewdb members ' (no member)' &>";
    origin.on("/", Answer::page(page));
    let nginx = site(&origin).start();
    nginx.get("/").send().assert(200, "MISS", "guest (no member)");
    becomes(&nginx, "guests", "1");
    let member = || nginx.get("/").cookie("member=1").send();
    let page = until_some("it is stored", || Some(member()).filter(|page| page.cache() == "HIT"));
    assert!(page.text().starts_with("member (there were guests)"), "{}", page.text());
    until("members are counted", || value(&nginx, "members") != "none");
    assert_eq!(value(&nginx, "guests"), "1");
    member().assert(200, "HIT", "member (there were guests)");
}

#[test]
fn two_workers_lose_no_view() {
    const CLIENTS: usize = 8;
    const VIEWS: usize = 100;
    let origin = Origin::start();
    origin.on("/", Answer::page("<& incr viewdb views &><& decr viewdb left 100000 &>page"));
    let nginx = site(&origin).start();
    nginx.get("/").warm();
    let before = changes(&nginx) / 2;
    // Which worker takes a connection is the kernel's choice: as many as it takes until both have some.
    let mut workers = std::collections::BTreeSet::new();
    let mut visitors = Vec::new();
    while visitors.len() < CLIENTS || workers.len() < 2 {
        assert!(visitors.len() < 500, "one worker takes all connections");
        let mut visitor = Visitor::connect(nginx.port(), false).unwrap();
        workers.insert(visitor.get("/", "", false).unwrap().worker());
        visitors.push(visitor);
    }
    let count = visitors.len();
    let view = |mut visitor: Visitor| {
        thread::spawn(move || (0..VIEWS).for_each(|n| drop(visitor.get("/", "", n + 1 == VIEWS).unwrap())))
    };
    let clients: Vec<_> = visitors.into_iter().map(view).collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let views = before + (count * (VIEWS + 1)) as u64;
    becomes(&nginx, "views", &views.to_string());
    becomes(&nginx, "left", &(100_001 - views).to_string());
}

#[test]
fn answers_that_pass_through_are_filled_and_counted() {
    let origin = Origin::start();
    let page = "<& get viewdb views 0 &><& incr viewdb views &>";
    origin.on("/", Answer::page(page));
    origin.on("/never", passing(page));
    origin.on("/missing", Answer::page(page).status(404));
    let nginx = site(&origin).start();
    let post = nginx.get("/").body("x").send();
    assert_eq!((post.text().as_str(), post.reason()), ("0", "method"));
    becomes(&nginx, "views", "1");
    assert_eq!(nginx.get("/never").send().text(), "1");
    becomes(&nginx, "views", "2");
    assert_eq!(nginx.get("/missing").send().text(), "2");
    becomes(&nginx, "views", "3");
}

#[test]
fn locations_that_return_are_counted() {
    let nginx = Nginx::twice()
        .figures()
        .location("= /status", "stub_status;")
        .location(
            "/",
            "twice pages; twice_valid 1m; twice_tags all; default_type text/html; return 200 \
             '<& get viewdb views 0 &><& incr viewdb views &>';",
        )
        .start();
    assert_eq!(nginx.get("/").send().text(), "0");
    nginx.get("/").warm();
    let views = changes(&nginx);
    nginx.get("/").send().assert(200, "HIT", &views.to_string());
}

#[test]
fn fragments_count_their_own_views() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& include /part &><& incr viewdb pages &>"));
    origin.on("/part", Answer::page("part <& get viewdb parts 0 &><& incr viewdb parts &>"));
    let nginx = site(&origin).start();
    nginx.get("/").send().assert(200, "MISS", "part 0");
    becomes(&nginx, "parts", "1");
    nginx.get("/").warm();
    let views = changes(&nginx) / 2;
    becomes(&nginx, "parts", &views.to_string());
    nginx.get("/").send().assert(200, "HIT", &format!("part {views}"));
    becomes(&nginx, "pages", &(views + 1).to_string());
    becomes(&nginx, "parts", &(views + 1).to_string());
}

#[test]
fn a_stored_page_outlives_its_source() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get hits views none &><& incr hits views &>"));
    origin.on("/shown", Answer::page("<& get hits views none &>"));
    let with = site(&origin).http("twice_source hits local;");
    let mut nginx = with.start();
    nginx.get("/").send().assert(200, "MISS", "none");
    until("it is counted", || nginx.get("/shown").send().text() == "1");
    nginx.get("/").warm();
    let seen = until_some("it is shown", || {
        let page = nginx.get("/shown").warm();
        (page.text() == changes(&nginx).to_string()).then(|| page.text())
    });
    nginx.reload_with(|setup| setup.again(site(&origin)));
    nginx.get("/").send().assert(200, "HIT", "none");
    nginx.reload_with(|setup| setup.again(with.clone()));
    nginx.get("/shown").send().assert(200, "HIT", &seen);
}

#[test]
fn a_page_changes_no_more_than_it_may() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& incr viewdb views &>".repeat(1_100) + "end"));
    let nginx = site(&origin).start();
    nginx.expect_log("or its changes 1024");
    nginx.get("/").send().assert(200, "MISS", "end");
    becomes(&nginx, "views", "1024");
}

#[test]
fn what_is_wrong_with_a_counter_is_told_and_not_seen() {
    let origin = Origin::start();
    origin.on("/", Answer::page("a<& incr viewdb views many &>b<& incr cookie x &>c"));
    let nginx = site(&origin).start();
    nginx.expect_log("initial value is no number at line 1 in \"<& incr viewdb views many &>\"");
    nginx.expect_log("target is not a source at line 1 in \"<& incr cookie x &>\"");
    nginx.get("/").send().assert(200, "MISS", "abc");
    nginx.get("/").warm().assert(200, "HIT", "abc");
    assert_eq!(value(&nginx, "views"), "none");
}

#[test]
fn a_zone_without_room_for_counters_says_so() {
    let origin = Origin::start();
    origin.on("/", Answer::page("seen <& get viewdb views 0 &><& incr viewdb views &><& pop viewdb note &>"));
    for zone in ["small 1m", "small 16m local=0%"] {
        let nginx = Nginx::bare()
            .http(format!("twice_zone {zone};"))
            .location("/", format!("twice small; proxy_pass {};", origin.url()))
            .start();
        let told =
            "zone \"small\" has no room for local counters, allowed are a larger zone and a greater share";
        for _ in 0..5 {
            assert_eq!(nginx.get("/").send().text(), "seen 0");
        }
        nginx.wait_log(told);
        // Once for each of two workers: it will not be otherwise.
        assert!(nginx.log_count(told) <= 2);
    }
}
