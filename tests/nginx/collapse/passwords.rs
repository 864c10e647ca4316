//! Requests with `Authorization`: anybody can make one up, and what it is sent is no other's business.

use super::*;

fn site(origin: &Origin) -> Nginx {
    collapsing(origin, "twice_stale_factor 1;").start()
}

/// Stores a page and waits until it has expired: what a HEAD is told renews nothing.
#[track_caller]
fn expire(nginx: &Nginx, origin: &Origin) {
    let old = Answer::html("old").header("Cache-Control", "max-age=1").header("ETag", "\"old\"");
    origin.handle("/", move |request| match request.method.as_str() {
        "HEAD" => Answer::new(404, ""),
        _ => old.clone(),
    });
    until("it has expired", || match nginx.get("/").head().send().cache() {
        // What takes a second to come has no lifetime: on a machine that is so slow, again.
        "MISS" => nginx.get("/").send().assert(200, "MISS", "old").cache() == "EXPIRED",
        cache => cache == "EXPIRED",
    });
}

#[test]
fn a_made_up_password_leaves_the_others_one_fetch() {
    // What it brings: a refusal, a page that is not shared, a 304 about one that is.
    let refused = Answer::new(401, "no").header("WWW-Authenticate", "Basic");
    let own = Answer::html("one's own").header("Cache-Control", "max-age=60");
    let same = Answer::new(304, "").header("Cache-Control", "max-age=60");
    for answer in [refused, own, same] {
        let origin = Origin::start();
        let nginx = site(&origin);
        expire(&nginx, &origin);
        let new = Answer::html("new").header("Cache-Control", "max-age=3600");
        leaves_the_others_one_fetch(&nginx, &origin, ("Authorization", "Basic anVuaw=="), answer, new);
    }
}

#[test]
fn those_with_a_password_do_not_queue_for_what_is_not_shared() {
    let origin = Origin::start();
    let nginx = site(&origin);
    let own = |request: &fixture::Received| {
        let name = request.header("Authorization").unwrap_or("nobody").to_owned();
        Answer::html(name).header("Cache-Control", "max-age=3600")
    };
    origin.handle("/", own);
    let ask = |name: &str| nginx.get("/").header("Authorization", name);
    ask("Ann").send().assert(200, "MISS", "Ann");
    let gate = Gate::new();
    let held = gate.clone();
    origin.handle("/", move |request| own(request).gate(&held));
    let clients = ["Bob", "Eve", "Joe"].map(|name| (name, ask(name).spawn()));
    // All of them are at the origin at once. It is remembered for some seconds: on a machine that is so slow they wait for
    // the first one, and are told apart all the same.
    until("all are there", || origin.count("/") == 4 || nginx.figure("waits") > 0);
    gate.open();
    for (name, client) in clients {
        client.join().unwrap().assert(200, "MISS", name);
    }
    // And nobody's page is what the others get.
    nginx.get("/").send().assert(200, "MISS", "nobody");
    ask("Ann").send().assert(200, "HIT", "nobody");
}
