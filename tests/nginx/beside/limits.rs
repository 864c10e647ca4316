//! Limits count visitors' requests, whether a page comes from the store or not.

use fixture::{Gate, until};

use super::*;

/// One of the visitors that are counted; requests without a name are not.
fn visitor(name: &'static str) -> impl Fn(Request) -> Request {
    move |request| request.header("X-Visitor", name)
}

#[test]
fn a_rate_of_requests_holds_for_hits() {
    let both = Beside::start(|setup, origin, twice| {
        setup
            .http("limit_req_zone $http_x_visitor zone=visitors:1m rate=1r/m; limit_req_status 429;")
            .location("/", format!("{twice} limit_req zone=visitors burst=2 nodelay; proxy_pass {origin};"))
    });
    both.on("/page", public("page"));
    both.expect_log("limiting requests");
    both.ask("/page", visitor("ann")).assert(200, "MISS", "page");
    both.hit("/page", as_it_is);
    for _ in 0..2 {
        both.ask("/page", visitor("ann")).assert(200, "HIT", "page");
    }
    for _ in 0..2 {
        let refused = both.ask("/page", visitor("ann"));
        assert_eq!((refused.status, refused.reason()), (429, "early"));
    }
    both.ask("/page", visitor("bob")).assert(200, "HIT", "page");
}

#[test]
fn a_number_of_connections_holds_for_hits() {
    let both = Beside::start(|setup, origin, twice| {
        setup
            .http("limit_conn_zone $http_x_visitor zone=visitors:1m;")
            .location("/", format!("{twice} limit_conn visitors 1; proxy_pass {origin};"))
    });
    both.on("/page", public("page"));
    both.expect_log("limiting connections");
    both.hit("/page", as_it_is);
    let gate = Gate::new();
    both.on("/slow", public("slow").gate(&gate));
    let slow = both.sides().map(|side| side.nginx.get("/slow").header("X-Visitor", "ann").spawn());
    gate.wait_arrived(2);
    let refused = both.ask("/page", visitor("ann"));
    assert_eq!((refused.status, refused.reason()), (503, "early"));
    both.ask("/page", visitor("bob")).assert(200, "HIT", "page");
    gate.open();
    for answer in slow {
        assert_eq!(answer.join().unwrap().text(), "slow");
    }
    // He may come again.
    until("the place is free", || {
        both.sides()
            .iter()
            .all(|side| side.nginx.get("/page").header("X-Visitor", "ann").send().status == 200)
    });
}
