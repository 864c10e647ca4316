//! Requests that are done while a value that they asked for, and did not need, is still on its way.

use super::*;

/// The second value stands in a branch that is not taken.
const PART: &str = "<& get a x &><& if arg never &><& get b x &><& end &>.";

#[test]
fn an_answer_that_nginx_includes_ends_once() {
    let origin = Origin::start();
    let (a, b, last) = (Gate::new(), Gate::new(), Gate::new());
    origin.on("/a", Answer::ok("a").gate(&a));
    origin.on("/b", Answer::ok("b").gate(&b));
    let includes = "[<!--# include virtual=\"/part\" -->|<!--# include virtual=\"/last\" -->]";
    origin.on("/page", Answer::html(includes));
    origin.on("/part", passing(PART));
    origin.on("/last", Answer::html("last").gate(&last));
    let setup = service(site(&origin), &origin, "a", "timeout=60s");
    let nginx = service(setup, &origin, "b", "timeout=60s")
        .location("= /page", format!("ssi on; proxy_pass {};", origin.url()))
        .location("= /last", format!("proxy_pass {};", origin.url()))
        .start();
    let page = nginx.get("/page").spawn();
    a.wait_arrived(1);
    b.wait_arrived(1);
    last.wait_arrived(1);
    a.open();
    until("the part is there", || nginx.pending() == 1 && origin.count("/b") == 1);
    b.open();
    // Time for it to come.
    assert_eq!(nginx.get("/part?never=1").send().text(), "ab.");
    last.open();
    assert_eq!(page.join().unwrap().text(), "[a.|last]");
    nginx.finish();
}

#[test]
fn visitors_who_leave_together_hold_up_nobody() {
    const VISITORS: usize = 60;
    let origin = Origin::start();
    let gate = Gate::new();
    // Each visitor waits for one record in four thousand places.
    let fields: String = (0..4000).map(|field| format!("<& get record f{field} &>")).collect();
    origin.on("/", Answer::page(fields + "<& get record name none &>"));
    origin.on("/plain", Answer::page("plain"));
    origin.on("/record", Answer::ok("{\"name\":\"Ann\"}").gate(&gate));
    let nginx = site(&origin)
        .workers(1)
        .http("twice_source record http /_record key=all timeout=60s;")
        .location("= /_record", format!("internal; proxy_pass {}/record;", origin.url()))
        .start();
    let mut clients: Vec<_> = (0..VISITORS).map(|_| nginx.raw()).collect();
    for client in &mut clients {
        client.get("/");
    }
    until("they wait", || gate.arrived() > 0 && nginx.pending() >= VISITORS);
    let last = nginx.get("/").spawn();
    until("one more waits", || nginx.pending() > VISITORS);
    drop(clients);
    until("they are gone", || nginx.pending() <= 3);
    assert_eq!(nginx.get("/plain").send().text(), "plain");
    gate.open();
    assert_eq!(last.join().unwrap().text(), "Ann");
}
