//! Clients that leave, and clients that read slowly: the others get their page.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::folder::free_port;
use fixture::{Answer, FastCgi, Gate, Nginx, Origin, Raw, nginx_version, until};

use super::{assert_collapsed, collapsing, crowd, wait_pending};

#[test]
fn the_fetching_client_leaves_before_the_answer_begins() {
    let origin = Origin::start();
    for lines in ["", "proxy_buffering off;", "proxy_http_version 1.1; gzip on; gzip_min_length 1;"] {
        let nginx = collapsing(&origin, lines).start();
        for (path, body) in
            [("/short", "Hello <& get cookie name Guest &>!".to_owned()), ("/long", "x".repeat(300_000))]
        {
            let path = format!("{path}/{}", lines.len());
            let gate = Gate::new();
            origin.on(&path, Answer::page(body.clone()).gate(&gate));
            let mut clients = crowd(&nginx, &origin, &path, 10);
            clients.remove(0).reset();
            gate.open();
            for client in &mut clients {
                let response = client.response();
                assert!(
                    response.text() == body.replace("<& get cookie name Guest &>", "Guest"),
                    "{lines} {path}"
                );
                assert_collapsed(&response);
            }
            assert_eq!(origin.count(&path), 1);
        }
    }
}

#[test]
fn the_fetching_client_leaves_in_the_middle_of_the_body() {
    let origin = Origin::start();
    for lines in [
        "",
        "proxy_buffering off;",
        "proxy_http_version 1.1; gzip on; gzip_min_length 1;",
        "postpone_output 0;",
    ] {
        let nginx = collapsing(&origin, lines).start();
        for (kind, tags) in [("plain", ""), ("tagged", "<& get cookie name Guest &>")] {
            let path = format!("/{kind}/{}", lines.len());
            let gate = Gate::new();
            let body = format!("{}{tags}", "0123456789".repeat(50_000));
            let answer = Answer::page(body.clone()).cut_every(70_000).gate_at(100_000, &gate);
            origin.on(&path, answer.chunked());
            let mut clients = crowd(&nginx, &origin, &path, 10);
            gate.wait_arrived(1);
            clients[0].response_head().assert_cache("MISS");
            clients.remove(0).reset();
            gate.open();
            for client in &mut clients {
                let response = client.response();
                assert!(
                    response.text() == body.replace(tags, if tags.is_empty() { "" } else { "Guest" }),
                    "{lines} {path}"
                );
                assert_collapsed(&response);
            }
            assert_eq!(origin.count(&path), 1);
        }
    }
}

#[test]
fn a_client_of_fastcgi_leaves() {
    let app = FastCgi::shell(
        r#"folder=$(dirname "$SCRIPT_FILENAME")
echo asked >> "$folder/asked"
while [ ! -e "$folder/open" ]; do sleep 0.01; done
printf 'X-Twice-Control: max-age=60\n\n'
cat "$folder/page""#,
    );
    let page = "0123456789".repeat(20_000);
    app.folder().write("page", &page);
    app.folder().write("asked", "");
    let asked = || app.folder().read("asked").lines().count();
    let nginx = Nginx::twice()
        .workers(3)
        .location("= /status", "stub_status;")
        .location("/", format!("twice pages; twice_lock_timeout 10m; {}", app.pass()))
        .start();
    let mut clients = [nginx.raw(), nginx.raw(), nginx.raw()].map(|mut client| {
        client.get("/");
        until("the app is asked", || asked() == 1);
        client
    });
    wait_pending(&nginx, 3);
    let [first, others @ ..] = &mut clients;
    std::mem::replace(first, nginx.raw()).reset();
    app.folder().write("open", "");
    for client in others {
        let response = client.response();
        assert!(response.text() == page);
        assert_collapsed(&response);
    }
    assert_eq!(asked(), 1);
}

/// A client that speaks HTTP/2.
fn h2(nginx: &Nginx, path: &str) -> Child {
    let url = format!("http://127.0.0.1:{}{path}", nginx.setup().h2_port());
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--http2-prior-knowledge", "--noproxy", "*", "-D", "-", &url]);
    command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap()
}

#[test]
fn clients_of_http2_wait_leave_and_are_served() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "").http2().start();
    for (path, offset) in [("/early", 0), ("/late", 100_000)] {
        let gate = Gate::new();
        let body = "0123456789".repeat(50_000);
        origin.on(path, Answer::page(body.clone()).cut_every(70_000).gate_at(offset, &gate).chunked());
        let mut first = h2(&nginx, path);
        gate.wait_arrived(1);
        let others: Vec<Child> = (0..6).map(|_| h2(&nginx, path)).collect();
        wait_pending(&nginx, 7);
        let mut leaves = others.into_iter();
        let mut second = leaves.next().unwrap();
        for child in [&mut first, &mut second] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // The one that fetches stays, the one that waited goes.
        wait_pending(&nginx, 6);
        gate.open();
        for child in leaves {
            let output = child.wait_with_output().unwrap();
            assert!(output.stdout.ends_with(body.as_bytes()), "{path}");
            assert!(String::from_utf8_lossy(&output.stdout[..2000]).contains("collapsed"), "{path}");
        }
        assert_eq!(origin.count(path), 1);
    }
}

/// A client that speaks HTTP/2 by hand: it takes so much of a page before it says that it wants more.
fn h2_by_hand(port: u16, path: &str, window: u32) -> Raw {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS: the window of a stream; WINDOW_UPDATE: more for the connection.
    bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4]);
    bytes.extend(window.to_be_bytes());
    bytes.extend([0, 0, 4, 8, 0, 0, 0, 0, 0]);
    bytes.extend(window.to_be_bytes());
    // HEADERS, all there is of stream 1: GET, http, path, authority.
    let mut block = vec![0x82, 0x86, 0x04, path.len() as u8];
    block.extend(path.as_bytes());
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    bytes.extend([0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1]);
    bytes.extend(block);
    let mut client = fixture::raw(port);
    client.send(bytes);
    client
}

/// Takes so much of a body.
fn take_data(client: &mut Raw, mut count: usize) {
    while count > 0 {
        let head = client.bytes(9);
        let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        client.bytes(len);
        count -= if head[3] == 0 { len } else { 0 };
    }
}

/// nginx is told that such a client has left though nothing could not be written, and its frames keep what was not sent.
#[test]
fn a_client_of_http2_leaves_with_most_of_its_page_unsent() {
    const SMALL: u32 = 20_000;
    const LARGE: u32 = 1 << 30;
    let origin = Origin::start();
    let body = "0123456789".repeat(90_000);
    // Without buffering there is one buffer: where that is not free any more somebody else fetches.
    for (lines, most) in [("", 1), ("proxy_max_temp_file_size 0;", 1), ("proxy_buffering off;", 2)] {
        let slow = free_port();
        let listen = match nginx_version() >= (1, 25, 1) {
            true => format!("listen 127.0.0.1:{slow} sndbuf=4k; http2 on;"),
            false => format!("listen 127.0.0.1:{slow} http2 sndbuf=4k;"),
        };
        let nginx = collapsing(&origin, lines).server(listen).start();
        for (window, tags) in [(SMALL, ""), (LARGE, ""), (SMALL, "<& nonce &>"), (LARGE, "<& nonce &>")] {
            let path = format!("/{}/{window}/{}", lines.len(), tags.len());
            let gate = Gate::new();
            origin.on(&path, Answer::page(body.clone() + tags).gate_at(890_000, &gate));
            let mut first = h2_by_hand(slow, &path, window);
            origin.wait_count(&path, 1);
            let mut others = [nginx.raw(), nginx.raw(), nginx.raw()];
            others.iter_mut().for_each(|client| _ = client.get(&path));
            wait_pending(&nginx, 4);
            if window == SMALL {
                take_data(&mut first, SMALL as usize);
            } else {
                // Should it leave before that, the others must get their page as well.
                let mut unsent = 0;
                until("it takes no more", || {
                    unsent = if first.has_server_unsent() { unsent + 1 } else { 0 };
                    unsent == 5
                });
            }
            first.reset();
            gate.open();
            for client in &mut others {
                assert!(client.response().text().starts_with(&body));
            }
            assert!((1..=most).contains(&origin.count(&path)), "{path} {lines}");
            wait_pending(&nginx, 0);
        }
    }
}

#[test]
fn clients_that_wait_may_leave() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("page").gate(&gate));
    let nginx = collapsing(&origin, "")
        .http("log_format reasons '$status $twice_reason'; access_log reasons.log reasons;")
        .start();
    let mut clients = crowd(&nginx, &origin, "/", 12);
    for client in clients.drain(5..8) {
        client.reset();
    }
    // These close gracefully.
    clients.truncate(5);
    wait_pending(&nginx, 5);
    gate.open();
    clients[0].response().assert(200, "MISS", "page");
    clients[1..].iter_mut().for_each(|client| assert_collapsed(&client.response()));
    // nginx counts a request as over before it writes it down.
    let log = || std::fs::read_to_string(nginx.setup().folder().join("reasons.log")).unwrap();
    until("all of them are in the log", || log().matches("499 waiting").count() == 7);
    assert_eq!(origin.count("/"), 1);
}

#[test]
fn all_may_leave() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("page").gate(&gate));
    let nginx = collapsing(&origin, "").start();
    drop(crowd(&nginx, &origin, "/", 12));
    wait_pending(&nginx, 1);
    gate.open();
    // The fetch has gone on for whoever comes.
    nginx.get("/").warm();
    assert_eq!(origin.count("/"), 1);
    wait_pending(&nginx, 0);
}

#[test]
fn an_answer_for_its_client_alone_ends_with_it() {
    let origin = Origin::start();
    let private = Answer::html("0123456789").header("Cache-Control", "no-store");
    let large = Answer::page("x".repeat(1_500_000)).chunked();
    for (path, lines, answer, length, seen) in [
        ("/private", "proxy_buffering off;", private, 5, 5),
        ("/large", "", large.clone(), 1_400_000, 1_300_000),
        ("/large/unbuffered", "proxy_buffering off;", large, 1_400_000, 1_300_000),
    ] {
        let nginx = collapsing(&origin, lines).start();
        let gate = Gate::new();
        origin.on(path, answer.gate_at(length, &gate));
        let mut client = nginx.raw();
        client.get(path).response_head().assert_cache("MISS");
        client.bytes(seen);
        gate.wait_arrived(1);
        drop(client);
        wait_pending(&nginx, 0);
        gate.open();
    }
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let origin = Origin::start();
    let body = "0123456789".repeat(90_000);
    let nginx = collapsing(&origin, "proxy_buffers 4 4k;").listen_options("reuseport sndbuf=4k").start();
    for (path, tags) in [("/plain", ""), ("/tagged", "<& get cookie name Guest &>")] {
        let gate = Gate::new();
        origin.on(path, Answer::page(body.clone() + tags).gate(&gate));
        let mut clients = crowd(&nginx, &origin, path, 4);
        gate.open();
        clients[0].response_head().assert_cache("MISS");
        for client in &mut clients[1..] {
            let response = client.response();
            assert!(response.text() == body.clone() + if tags.is_empty() { "" } else { "Guest" });
            assert_collapsed(&response);
        }
        wait_pending(&nginx, 1);
        assert_eq!(origin.count(path), 1);
        drop(clients);
        wait_pending(&nginx, 0);
    }
}

#[test]
fn a_large_first_answer_streams_while_it_is_recorded() {
    let origin = Origin::start();
    let gate = Gate::new();
    let body = "0123456789".repeat(80_000);
    origin.on("/", Answer::page(body.clone()).header("X-Twice-Control", "no-tags").gate_at(400_000, &gate));
    let nginx = collapsing(&origin, "").start();
    let mut clients = crowd(&nginx, &origin, "/", 3);
    clients[0].response_head().assert_cache("MISS");
    assert!(clients[0].bytes(390_000) == body.as_bytes()[..390_000]);
    assert_eq!(nginx.pending(), 3);
    gate.open();
    assert!(clients[0].bytes(410_000) == body.as_bytes()[390_000..]);
    clients[1..].iter_mut().for_each(|client| assert_collapsed(&client.response()));
}

#[test]
fn a_page_with_fragments_whose_client_leaves_costs_one_fetch_more_at_most() {
    let origin = Origin::start();
    let nginx = collapsing(&origin, "ssi on;").start();
    let gate = Gate::new();
    let first = gate.clone();
    let asked = AtomicUsize::new(0);
    origin.on("/page", Answer::page(r#"<!--# include virtual="/fragment" -->"#));
    origin.handle("/fragment", move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::page("fragment").gate(&first),
        _ => Answer::page("fragment"),
    });
    let mut leaves = nginx.raw();
    leaves.get("/page");
    gate.wait_arrived(1);
    let mut clients = [nginx.raw(), nginx.raw(), nginx.raw()];
    clients.iter_mut().for_each(|client| _ = client.get("/page"));
    wait_pending(&nginx, 4);
    leaves.reset();
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "fragment");
    }
    assert!(origin.count("/fragment") <= 2);
}
