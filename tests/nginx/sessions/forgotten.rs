//! `X-Mark-Dirty`: what is remembered of a visitor is forgotten when it changes.

use super::*;
use fixture::{Gate, Memcached};

/// All that the original keeps of a visitor, and two more sources.
fn all_kinds(origin: &Origin, server: &Memcached) -> Setup {
    knows_all(origin);
    origin.handle("/favorite", |asked| {
        Answer::ok(format!("{{\"team\":\"{}'s\"}}", asked.cookie("persistent").unwrap()))
    });
    site(origin, "timeout=60s")
        .http(format!(
            "upstream kept {{ server {}; }}
             twice_source favorite http /_favorite key=$cookie_persistent timeout=60s;
             twice_source subscription memcached kept key=sub_$cookie_persistent format=json timeout=10s;
             twice_source unread memcached kept key=unread$cookie_persistent ttl=60s timeout=10s;
             twice_source memcache memcached kept ttl=1h timeout=10s;
             twice_source menu http /_menu key=all format=text ttl=1h timeout=60s;
             geo $http_x_from $may {{ default 0; 10.0.0.1 1; }}",
            server.address()
        ))
        .location("= /_favorite", format!("internal; proxy_pass {}/favorite;", origin.url()))
        .location("= /_menu", format!("internal; proxy_pass {}/menu;", origin.url()))
        .location("/app/", format!("twice pages; twice_mark_dirty $may; proxy_pass {};", origin.url()))
        .location("/purge", "twice_purge pages;")
}

/// The command by an address that may give it.
fn mark(nginx: &Nginx, path: &str, kind: &str) -> Response {
    nginx.get(path).header("X-Mark-Dirty", kind).header("X-From", "10.0.0.1").send()
}

#[track_caller]
fn marked(nginx: &Nginx, path: &str, kind: &str, what: &str) {
    let done = mark(nginx, path, kind);
    assert_eq!((done.status, done.text()), (200, format!("expired: {what}\n")), "{kind} {path}");
}

#[test]
fn a_session_goes_with_all_that_hangs_on_it() {
    let origin = Origin::start();
    let server = Memcached::start();
    let nginx = all_kinds(&origin, &server).start();
    let tags = "<& get session login - &> <& get favorite team - | raw &> <& get subscription level - &> <& get unread count 0 &> \
                <& get memcache ann - &>";
    origin.on("/all", Answer::page(tags));
    let all = |name: &str| nginx.get("/all").cookie(&format!("persistent={name}")).send().text();
    let set = |level: &str| {
        for name in ["ann", "bob"] {
            server.set(&format!("sub_{name}"), &format!("{{\"level\":\"{level}\"}}"));
            server.set(&format!("unread{name}"), level);
        }
        server.set("ann", level);
    };
    set("1");
    for name in ["ann", "bob"] {
        assert_eq!(all(name), format!("{name} {name}'s 1 1 1"));
    }
    set("2");
    origin.on("/session", Answer::ok("{\"login\":\"changed\"}"));
    origin.on("/favorite", Answer::ok("{\"team\":\"other\"}"));
    assert_eq!(all("ann"), "ann ann's 1 1 1");
    marked(&nginx, "/purge/ann", "session", "session_ann");
    assert_eq!(all("ann"), "changed other 2 2 1");
    assert_eq!(all("bob"), "bob bob's 1 1 1");
    // By name, each for itself; where locations allow it the whole path is the name.
    marked(&nginx, "/purge/ann", "memcache", "memcache_ann");
    assert_eq!(all("ann"), "changed other 2 2 2");
    marked(&nginx, "/purge/bob", "unread", "unread_bob");
    assert_eq!(all("bob"), "bob bob's 1 2 2");
    assert_eq!((origin.count("/session"), origin.count("/favorite")), (3, 3));
}

#[test]
fn a_path_is_read_as_a_cookie_is() {
    let origin = Origin::start();
    let server = Memcached::start();
    let nginx = all_kinds(&origin, &server).start();
    stored(&nginx);
    for (n, (cookie, path, name)) in [
        ("a%2Fb", "/purge/a%2Fb", "a/b"),
        ("a%2Fb", "/purge/a/b", "a/b"),
        ("a%2Fb", "/purge/a%2fb?x=1", "a/b"),
        ("a%252Fb", "/purge/a%252Fb", "a%2Fb"),
        ("%E4%B8%96", "/purge/%e4%b8%96", "\\xe4\\xb8\\x96"),
        ("x.y~z", "/purge/x.y~z", "x.y~z"),
    ]
    .into_iter()
    .enumerate()
    {
        let (before, after) = (format!("before{n}"), format!("after{n}"));
        // What an earlier row has left is another's.
        marked(&nginx, path, "session", &format!("session_{name}"));
        origin.on("/session", Answer::ok(record(&before)));
        assert_eq!(page(&nginx, cookie).text(), shown(&before), "{path}");
        origin.on("/session", Answer::ok(record(&after)));
        assert_eq!(page(&nginx, cookie).text(), shown(&before), "{path}");
        marked(&nginx, path, "session", &format!("session_{name}"));
        assert_eq!(page(&nginx, cookie).text(), shown(&after), "{path}");
    }
    // Where a location allows it, its own path is the name.
    origin.on("/session", Answer::ok(record("old")));
    assert_eq!(page(&nginx, "app/ann").text(), shown("old"));
    origin.on("/session", Answer::ok(record("new")));
    marked(&nginx, "/app/ann", "session", "session_app/ann");
    assert_eq!(page(&nginx, "app/ann").text(), shown("new"));
    // What is one for all has any name.
    origin.on("/menu", Answer::ok("old"));
    origin.on("/m", Answer::page("<& get menu x - &>"));
    assert_eq!(nginx.get("/m").send().text(), "old");
    origin.on("/menu", Answer::ok("new"));
    marked(&nginx, "/purge/whatever", "menu", "menu_whatever");
    assert_eq!(nginx.get("/m").send().text(), "new");
    marked(&nginx, "/purge", "menu", "menu_");
}

#[test]
fn a_name_that_says_nothing_is_refused_and_forgets_nothing() {
    let origin = Origin::start();
    let server = Memcached::start();
    let nginx = all_kinds(&origin, &server).start();
    stored(&nginx);
    assert_eq!(page(&nginx, "ann").text(), shown("ann"));
    let long = format!("/purge/{}", "x".repeat(4097));
    for (path, kind, why) in [
        ("/purge/ann", "nonsense", "nothing is kept of the kind nonsense"),
        ("/purge/ann", "Session", "nothing is kept of the kind Session"),
        ("/purge/ann", "cookie", "nothing is kept of the kind cookie"),
        ("/purge/ann", "a\"b", "nothing is kept of the kind a\\\"b"),
        ("/purge/", "session", "the path names no value of the source session: an empty key"),
        ("/purge", "session", "the path names no value of the source session: an empty key"),
        ("/purge/", "subscription", "the path names no value of the source subscription: an empty key"),
        ("/purge/", "memcache", "the path names no value of the source memcache: an empty key"),
        (&long, "session", "the path names no value of the source session: a key that is too long"),
        (
            "/purge/a%0ab",
            "session",
            "the path names no value of the source session: a key with a space or a control byte",
        ),
        (
            "/purge/a%20b",
            "memcache",
            "the path names no value of the source memcache: a key with a space or a control byte",
        ),
    ] {
        let refused = mark(&nginx, path, kind);
        assert_eq!((refused.status, refused.text()), (400, format!("{why}\n")), "{kind} {path}");
    }
    // From elsewhere it is no command, and the app does not see it.
    origin.on("/app/ann", Answer::page("the app's"));
    let other = nginx.get("/app/ann").header("X-Mark-Dirty", "session").send();
    assert_eq!((other.status, other.text().as_str()), (200, "the app's"));
    assert_eq!(origin.last("/app/ann").header("X-Mark-Dirty"), None);
    let other = nginx
        .get("/")
        .header("X-Mark-Dirty", "session")
        .header("X-From", "10.0.0.1")
        .cookie("persistent=ann");
    assert_eq!(other.send().text(), shown("ann"));
    assert_eq!(origin.count("/session"), 1);
}

#[test]
fn everything_is_forgotten_but_what_was_counted() {
    let origin = Origin::start();
    let server = Memcached::start();
    let nginx = all_kinds(&origin, &server).start();
    origin.on("/count", Answer::page("<& get viewdb views 0 &> <& get session login - &> <& get memcache k - &><& incr viewdb views &>"));
    server.set("k", "old");
    let count = || nginx.get("/count").cookie("persistent=ann").send().text();
    assert_eq!(count(), "0 ann old");
    fixture::until("it is counted", || nginx.figure("counter_changes") == 1);
    server.set("k", "new");
    origin.on("/session", Answer::ok("{\"login\":\"changed\"}"));
    assert_eq!(count(), "1 ann old");
    fixture::until("it is counted", || nginx.figure("counter_changes") == 2);
    marked(&nginx, "/purge", "*", "the whole cache");
    assert_eq!(count(), "2 changed new");
    fixture::until("it is counted", || nginx.figure("counter_changes") == 3);
    server.set("k", "newer");
    let purged = nginx.get("/purge").method("POST").body(r#"{"all":true}"#).send();
    assert_eq!(purged.status, 200);
    assert_eq!(count(), "3 changed newer");
    // Counters are what they are: to forget them would be to lose them.
    marked(&nginx, "/purge/views", "viewdb", "viewdb_views");
    fixture::until("it is counted", || nginx.figure("counter_changes") == 4);
    assert_eq!(count(), "4 changed newer");
}

/// Asked before a purge, answered after it.
fn under_way(setup: Setup, origin: &Origin) {
    let gate = Gate::new();
    let nginx = setup.location("/purge", "twice_purge pages;").start();
    stored(&nginx);
    origin.on("/session", Answer::ok(record("old")).gate(&gate));
    let mut first = nginx.raw();
    ask(&mut first, "/", "ann");
    gate.wait_arrived(1);
    marked(&nginx, "/purge/ann", "session", "session_ann");
    // Who comes after the purge does not wait for what was asked before it.
    origin.on("/session", Answer::ok(record("new")));
    all_got(&mut visits(&nginx, "ann"), &shown("new"));
    gate.open();
    assert_eq!(first.response().text(), shown("old"), "what he asked for he got");
    all_got(&mut visits(&nginx, "ann"), &shown("new"));
}

#[test]
fn what_was_asked_before_the_purge_is_not_remembered_after_it() {
    let origin = Origin::start();
    under_way(site(&origin, "timeout=60s"), &origin);
    assert_eq!(origin.count("/session"), 2);
}

#[test]
fn nor_is_it_shared_where_there_is_no_memory() {
    let origin = Origin::start();
    let setup = Nginx::bare()
        .http("twice_zone pages 16m elements=0%; add_header X-Cache $twice_cache_status always; add_header X-Worker $pid always;")
        .http("twice_key $uri; twice_source session http /_session key=$cookie_persistent timeout=60s;")
        .location("= /_session", format!("internal; proxy_pass {}/session;", origin.url()))
        .location("/", format!("twice pages; proxy_pass {};", origin.url()));
    origin.on("/", Answer::page(PAGE));
    under_way(setup, &origin);
}

#[test]
fn a_purge_of_everything_overtakes_a_question_too() {
    let origin = Origin::start();
    let gate = Gate::new();
    let nginx = site(&origin, "timeout=60s").location("/purge", "twice_purge pages;").start();
    stored(&nginx);
    origin.on("/session", Answer::ok(record("old")).gate(&gate));
    let mut first = visits(&nginx, "ann");
    gate.wait_arrived(1);
    fixture::until("all of them wait", || nginx.pending() == MANY);
    marked(&nginx, "/purge", "*", "the whole cache");
    origin.on("/session", Answer::ok(record("new")));
    // Nobody who comes now waits for what was asked before, whichever worker he meets.
    stored(&nginx);
    all_got(&mut visits(&nginx, "ann"), &shown("new"));
    assert_eq!(origin.count("/session"), 2);
    gate.open();
    for visit in &mut first {
        let text = visit.response().text();
        assert!(text == shown("old") || text == shown("new"), "{text}");
    }
    all_got(&mut visits(&nginx, "ann"), &shown("new"));
    assert_eq!(origin.count("/session"), 2);
}

#[test]
fn a_changed_session_is_seen_at_once_by_all_workers() {
    let origin = Origin::start();
    let nginx = site(&origin, "timeout=60s").location("/purge", "twice_purge pages;").start();
    for n in 1..6 {
        let name = format!("name{n}");
        origin.on("/session", Answer::ok(record(&name)));
        // Read by each worker, and again from what each has kept.
        for _ in 0..2 {
            all_got(&mut visits(&nginx, "ann"), &shown(&name));
        }
        assert_eq!(origin.count("/session"), n);
        marked(&nginx, "/purge/ann", "session", "session_ann");
    }
}

#[test]
fn each_zone_has_its_own_memory() {
    let origin = Origin::start();
    knows_all(&origin);
    let nginx = site(&origin, "timeout=60s")
        .http("twice_zone other 16m;")
        .location("/other", format!("twice other; rewrite ^ / break; proxy_pass {};", origin.url()))
        .location("/purge", "twice_purge pages;")
        .location("/purge_other", "twice_purge other;")
        .start();
    let other = || nginx.get("/other").cookie("persistent=ann").send().text();
    for _ in 0..3 {
        assert_eq!((page(&nginx, "ann").text(), other()), (shown("ann"), shown("ann")));
    }
    assert_eq!(origin.count("/session"), 2);
    origin.on("/session", Answer::ok(record("new")));
    marked(&nginx, "/purge/ann", "session", "session_ann");
    assert_eq!((page(&nginx, "ann").text(), other()), (shown("new"), shown("ann")));
    marked(&nginx, "/purge_other/ann", "session", "session_ann");
    assert_eq!(other(), shown("new"));
}
