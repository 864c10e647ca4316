//! Clients that leave while their page waits for values, and workers that end meanwhile.

use super::*;
use fixture::until_some;

const PAGE: &str = "before <& incr viewdb views &><& get a x none &> after";

fn slow(origin: &Origin) -> (Setup, Gate) {
    let gate = Gate::new();
    origin.on("/", Answer::page(PAGE));
    origin.on("/a", Answer::ok("a").gate(&gate));
    (service(site(origin), origin, "a", "timeout=60s"), gate)
}

/// Has the page in the store.
fn stored(nginx: &Nginx, gate: &Gate) {
    gate.open();
    nginx.get("/").send().assert(200, "MISS", "before a after");
    nginx.get("/").warm();
    gate.close();
}

#[test]
fn who_leaves_before_the_value_is_there_leaves_nothing_behind() {
    let origin = Origin::start();
    let (setup, gate) = slow(&origin);
    let nginx = setup.start();
    for stored_before in [false, true] {
        if stored_before {
            stored(&nginx, &gate);
        }
        let views = changes(&nginx);
        let before = gate.arrived();
        let mut client = nginx.raw();
        client.get("/");
        gate.wait_arrived(before + 1);
        drop(client);
        until("the request is over", || nginx.pending() == 0);
        gate.open();
        // Nobody has seen it.
        if stored_before {
            assert_eq!(changes(&nginx), views);
        }
        gate.close();
    }
}

#[test]
fn the_others_get_the_value_that_one_asked_for_who_left() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("<& get a x none &>"));
    origin.on("/a", Answer::ok("a"));
    let nginx = site(&origin)
        .http("twice_source a http /_a key=all format=text ttl=1s timeout=60s;")
        .location("= /_a", format!("internal; proxy_pass {}/a;", origin.url()))
        .start();
    nginx.get("/").send().assert(200, "MISS", "a");
    nginx.get("/").warm();
    origin.on("/a", Answer::ok("b").gate(&gate));
    // By connections of our own, which name no agent.
    let is_ours = |line: &&str| line.contains("\"GET / ") && !line.contains("curl/");
    let over = || nginx.access_log().lines().filter(is_ours).count();
    let mut asked = 0;
    let mut first = until_some("the value is old", || {
        let mut client = nginx.raw();
        client.get("/");
        asked += 1;
        // It waits, or has had the value that is remembered.
        until("it waits or has its page", || over() >= asked || gate.arrived() == 1);
        (gate.arrived() == 1).then_some(client)
    });
    let others: Vec<_> = (0..4).map(|_| nginx.get("/").spawn()).collect();
    until("they wait", || nginx.pending() >= 5);
    first.send("");
    drop(first);
    gate.open();
    for other in others {
        other.join().unwrap().assert(200, "HIT", "b");
    }
}

#[test]
fn a_worker_that_ends_waits_for_its_pages() {
    let origin = Origin::start();
    let (setup, gate) = slow(&origin);
    let nginx = setup.start();
    stored(&nginx, &gate);
    let before = gate.arrived();
    let page = nginx.get("/").spawn();
    gate.wait_arrived(before + 1);
    nginx.reload();
    gate.open();
    page.join().unwrap().assert(200, "HIT", "before a after");
}
