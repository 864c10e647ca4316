//! Many visitors at once: nobody waits for hundreds of others, and the origin is asked no more than it must be.

use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::{Answer, Gate, Raw, until};

use super::{Site, audited, user};
use fixture::Origin;

const MANY: usize = 40;

/// As many visitors as there are cookies ask at once: the first is at the origin, all others wait for him.
fn crowd(site: &Site, gate: &Gate, cookies: impl Fn(usize) -> String) -> Vec<Raw> {
    let mut clients: Vec<Raw> = Vec::new();
    for number in 0..MANY {
        let mut client = site.nginx.raw();
        client.send(format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {}\r\n\r\n", cookies(number)));
        clients.push(client);
        if number == 0 {
            gate.wait_arrived(1);
        }
    }
    until("all others wait", || site.nginx.figure("waits") == MANY as u64 - 1);
    clients
}

/// An origin whose first answer to each path waits for a gate. Answers after it take the time of a turn.
fn gated(gate: &Gate, answer: impl Fn(&fixture::Received) -> Answer + Send + Sync + 'static) -> Site {
    let origin = Origin::start();
    let nginx = audited(&origin, "twice_lock_timeout 10m;").start();
    let (asked, gate) = (AtomicUsize::new(0), gate.clone());
    origin.handle("/", move |request| {
        let answer = answer(request);
        if asked.fetch_add(1, Ordering::SeqCst) == 0 { answer.gate(&gate) } else { answer }
    });
    Site { origin, nginx }
}

#[test]
fn a_crowd_that_agrees_makes_two_fetches() {
    let gate = Gate::new();
    let site = gated(&gate, |_| Answer::page("the same for all"));
    let mut clients = crowd(&site, &gate, |number| format!("user={number}"));
    gate.open();
    for client in &mut clients {
        let page = client.response();
        assert_eq!((page.status, page.text().as_str()), (200, "the same for all"));
    }
    assert_eq!(site.origin.count("/"), 2);
}

#[test]
fn one_visitor_with_many_requests_waits_for_few_of_them() {
    let gate = Gate::new();
    let site = gated(&gate, |request| Answer::page(format!("Hello {}", user(request))));
    let mut clients = crowd(&site, &gate, |_| "user=Cinderella".to_owned());
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "Hello Cinderella");
    }
    assert_eq!(site.origin.count("/"), MANY);
    // After four in a row, one after the other, all have gone at once.
    let ends = site.ends_of("/", MANY);
    assert!(ends.iter().all(|end| end == "- MISS audit_waits"), "{ends:?}");
    site.ends_without_secret();
}

#[test]
fn a_crowd_whose_pages_differ_goes_at_once_and_the_log_stays_short() {
    let gate = Gate::new();
    let site = gated(&gate, |request| Answer::page(format!("Hello {}", user(request))));
    let mut clients = crowd(&site, &gate, |number| format!("user=Cinderella{number:02}"));
    gate.open();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("Hello Cinderella{number:02}"));
    }
    assert_eq!(site.origin.count("/"), MANY);
    site.ends_of("/", MANY);
    site.may_tell();
    let figures = site.nginx.figures("pages");
    assert_eq!(
        (figures["stored"], figures["audit_waits"], figures["audit_differs"]),
        (0, 1, MANY as u64 - 1)
    );
    // One line a second and worker. However slow the machine is, it is not one for each visitor.
    let lines = site.nginx.log_count("two visitors were sent different ones");
    assert!((1..MANY).contains(&lines), "{lines}");
    site.ends_without_secret();
}
