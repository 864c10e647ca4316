//! Visitors whose own requests are why their answers are not stored: that says nothing of what others are sent.

use super::*;

/// A visitor is known by a cookie, by what a `map` makes of it, or of his answer.
const MEMBERS: &str = "map $cookie_session $member { default ''; ~^(.+)$ 1; }
map $upstream_http_x_own $is_own { default ''; yes 1; }";
/// Each of these is true of a member.
const CONDITIONS: [&str; 3] = ["$cookie_session", "$member", "$is_own $member"];

fn page() -> Answer {
    Answer::html("for all").header("Cache-Control", "max-age=3600")
}

fn own() -> Answer {
    Answer::html("a member's").header("Cache-Control", "max-age=3600")
}

#[test]
fn a_member_leaves_the_others_one_fetch() {
    for condition in CONDITIONS {
        let origin = Origin::start();
        let nginx = collapsing(&origin, &format!("twice_no_store {condition};")).http(MEMBERS).start();
        leaves_the_others_one_fetch(&nginx, &origin, ("Cookie", "session=ann"), own(), page());
        nginx.get("/").cookie("session=ann").send().assert(200, "HIT", "for all");
    }
}

#[test]
fn members_do_not_queue_for_each_other() {
    for condition in CONDITIONS {
        let origin = Origin::start();
        let nginx = collapsing(&origin, &format!("twice_no_store {condition};")).http(MEMBERS).start();
        origin.on("/", own());
        let ask = || nginx.get("/").cookie("session=ann");
        assert_eq!(ask().send().reason(), "no_store");
        let gate = Gate::new();
        origin.on("/", own().gate(&gate));
        let clients = [ask().spawn(), ask().spawn(), ask().spawn()];
        // It is remembered for some seconds: on a machine that is so slow they wait for the first one.
        until("all are there", || origin.count("/") == 4 || nginx.figure("waits") > 0);
        gate.open();
        for client in clients {
            client.join().unwrap().assert(200, "MISS", "a member's");
        }
    }
}

#[test]
fn what_the_answer_is_the_reason_of_is_said_to_all() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "twice_no_store $member $is_own;").http(MEMBERS).start();
    // A variable that was asked before there was an answer is asked again.
    let private = Answer::html("private").header("Cache-Control", "private");
    let cookie = page().header("Set-Cookie", "a=1");
    for (path, answer) in
        [("/own", page().header("X-Own", "yes")), ("/private", private), ("/cookie", cookie)]
    {
        let gate = Gate::new();
        let (first, asked) = (gate.clone(), AtomicUsize::new(0));
        origin.handle(path, move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => answer.clone().gate(&first),
            _ => answer.clone(),
        });
        let mut clients = crowd(&nginx, &origin, path, 10);
        gate.open();
        for client in &mut clients {
            let response = client.response();
            assert_eq!((response.status, response.cache()), (200, "MISS"), "{response:?}");
        }
        assert_eq!(origin.count(path), 10);
    }
}

#[test]
fn what_is_asked_before_the_answer_leaves_nothing_behind() {
    let origin = Origin::start();
    // Groups of the location, one that a condition finds, and variables that nginx would remember.
    let nginx = Nginx::twice()
        .http(MEMBERS)
        .http("map $sent_http_x_own $told { default no; yes 1; } map $told $is_told { default ''; 1 1; }")
        .location(
            "~ ^/pages/(.+)/(.+)$",
            format!(
                "twice pages; twice_no_store $member $is_told; proxy_set_header X-Second $2;
add_header X-Told $told; proxy_pass {}/$1;",
                origin.url()
            ),
        )
        .location("= /elsewhere", "error_page 418 = /pages/one/two; return 418;")
        .location("= /around", format!("twice pages; twice_no_store $member; proxy_pass {};", origin.url()))
        .start();
    origin.on("/one", own().header("X-Own", "yes"));
    origin.on("/around", Answer::page("(<& include /pages/one/two &>)"));
    let second = || origin.last("/one").header("X-Second").map(str::to_owned);
    for cookies in ["session=ann", "other=1"] {
        for path in ["/pages/one/two", "/elsewhere"] {
            let response = nginx.get(path).cookie(cookies).send();
            assert!(response.header("Cache-Status").unwrap().ends_with("detail=no_store"), "{response:?}");
            assert_eq!(response.header("X-Told"), Some("1"));
            assert_eq!(second().as_deref(), Some("two"));
        }
        // A part asks for itself, and has its page's variables.
        let before = origin.count("/one");
        assert_eq!(nginx.get("/around").cookie(cookies).send().text(), "(a member's)");
        assert_eq!((second().as_deref(), origin.count("/one")), (Some("two"), before + 1));
    }
}

#[test]
fn a_visitor_without_a_key_leaves_the_others_one_fetch() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").http("large_client_header_buffers 4 64k;").start();
    let (own, page) = (own().header("Vary", "X-Long"), page().header("Vary", "X-Long"));
    leaves_the_others_one_fetch(&nginx, &origin, ("X-Long", &"long".repeat(5000)), own, page);
}

#[test]
fn a_refresh_beside_a_visitor_who_is_not_stored_leaves_the_others_one() {
    let origin = Origin::start();
    let old = Answer::html("old").header("Cache-Control", "max-age=1, stale-while-revalidate=3600");
    origin.on("/", old.clone());
    let nginx = collapsing(&origin, "twice_no_store $http_x_preview;").start();
    nginx.expect_log("a refresh brought no page (no_store, status 200)");
    nginx.get("/").send().assert(200, "MISS", "old");
    until("one was started beside him", || {
        let response = nginx.get("/").header("X-Preview", "1").send();
        assert_eq!(response.text(), "old");
        response.cache() == "STALE"
    });
    until("it has ended", || nginx.log_count("a refresh brought no page") > 0);
    origin.on("/", page());
    nginx.get("/").send().assert(200, "STALE", "old");
    until("it is renewed", || nginx.get("/").send().text() == "for all");
}
