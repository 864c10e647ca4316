//! The fixture itself, on an nginx without the module: what a story builds on must hold.

mod browser;
mod servers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fixture::{Answer, FastCgi, Gate, Nginx, Origin, Received, nginx_version, until};

fn proxied(origin: &Origin) -> Nginx {
    Nginx::plain().location("/", format!("proxy_pass {};", origin.url())).start()
}

/// What a story says that fails as it should. Its setup is to outlive it: then its folder is not kept for a look.
fn panic_text(action: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(action)).expect_err("it did not fail");
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap()
}

#[test]
fn an_answer_arrives_whole_with_all_its_headers() {
    let origin = Origin::start();
    origin.on("/page", Answer::html("hello").header("X-Two", "a").header("X-Two", "b"));
    let nginx = proxied(&origin);
    let response = nginx.get("/page?x=1").cookie("username=Ann").header("X-Empty", "").send();
    response.assert(200, "", "hello");
    assert_eq!(response.version, "1.1");
    assert_eq!(response.all("x-two"), ["a", "b"]);
    assert_eq!(response.header("Content-Type"), Some("text/html"));
    let request = origin.last("/page");
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/page?x=1"));
    assert_eq!(request.query(), "x=1");
    assert_eq!(request.cookie("username"), Some("Ann"));
    assert_eq!(origin.count("/page"), 1);
}

#[test]
fn the_library_asks_as_the_program_does() {
    let origin = Origin::start();
    let page = Answer::html("hello").header("X-Two", "a").header("X-Two", "b").header("ETag", "\"1\"");
    origin.on("/page", page);
    origin.on("/cut", Answer::ok("0123456789").truncated(4));
    origin.on("/chunked", Answer::ok("0123456789").chunked().cut_every(3));
    let nginx = Nginx::plain()
        .location("/", format!("proxy_pass {}; proxy_http_version 1.1;", origin.url()))
        .location("/packed", format!("proxy_pass {}/page; gzip on; gzip_min_length 1;", origin.url()))
        .start();
    let long = "x".repeat(2 << 20);
    let of = |path: &str| fixture::get(format!("{}{path}", origin.url()));
    for request in [
        of("/page?a=b//../c%20[1-2]{x}").cookie("a=1; b=2").header("X-Empty", ""),
        of("/page").without("User-Agent").without("Accept").without("Host"),
        of("/page").header("Host", "other.example").header("Range", "bytes=0-1"),
        of("/page").head(),
        of("/page").head().http10(),
        of("/page").method("PURGE"),
        of("/page").method("POST"),
        of("/page").method("PUT").body("the body").header("Content-Type", "text/plain"),
        of("/page").body(""),
        of("/page").body(long).header("Expect", ""),
        of("/page").body("in chunks").header("Transfer-Encoding", "chunked"),
        of("/page").http10().compressed(),
        of("/cut"),
        of("/chunked"),
        of("/chunked").raw(),
        nginx.get("/packed").compressed(),
        nginx.get("/packed").compressed().raw(),
        nginx.get("/a/../page"),
    ] {
        let ask = |response: fixture::Response| {
            let mut answer = response;
            answer.headers.retain(|(name, _)| name != "Date");
            let Received { method, target, version, headers, body, .. } = origin.latest();
            (format!("{answer:?}"), method, target, version, headers, body)
        };
        let (by_library, by_program) = (ask(request.try_send()), ask(request.by_program()));
        assert_eq!(by_library, by_program, "{request:?}");
    }
    // nginx's is the connection that speaks HTTP/2.
    let nginx = Nginx::plain().http2().location("/", format!("proxy_pass {};", origin.url())).start();
    let page = nginx.get_h2("/page").send();
    assert_eq!((page.version.as_str(), page.text()), ("2", nginx.get_h2("/page").by_program().text()));
}

#[test]
fn routes_are_found_by_path_and_the_longest_prefix() {
    let origin = Origin::start();
    origin.on("/a/*", "prefix");
    origin.on("/a/b/*", "longer");
    origin.on("/a/b/c", "exact");
    origin.handle("/echo", |request: &Received| Answer::ok(request.body.clone()));
    let nginx = proxied(&origin);
    assert_eq!(nginx.get("/a/x").send().text(), "prefix");
    assert_eq!(nginx.get("/a/b/x?q").send().text(), "longer");
    assert_eq!(nginx.get("/a/b/c?q").send().text(), "exact");
    assert_eq!(nginx.get("/echo").body("the body").send().text(), "the body");
    assert_eq!(origin.last("/echo").method, "POST");
    assert_eq!(nginx.get("/none").send().status, 404);
    assert_eq!(origin.total(), 5);
}

#[test]
fn pieces_chunks_and_unframed_bodies_are_whole_bodies() {
    let origin = Origin::start();
    let body: String = (0..5000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    origin.on("/length", Answer::ok(body.clone()).cut_at([1, 2, 700]));
    origin.on("/chunked", Answer::ok(body.clone()).chunked().cut_every(617));
    origin.on("/close", Answer::ok(body.clone()).until_close().cut_every(1000));
    let nginx = Nginx::plain()
        .location("/", format!("proxy_pass {}; proxy_http_version 1.1; proxy_buffering off;", origin.url()))
        .start();
    for path in ["/length", "/chunked", "/close"] {
        assert_eq!(nginx.get(path).send().text(), body, "{path}");
    }
}

#[test]
fn each_piece_is_a_read_of_its_own() {
    let origin = Origin::start();
    origin.on("/", Answer::ok("abcdefgh").until_close().cut_every(1));
    let nginx = Nginx::plain()
        .location("/", format!("proxy_pass {}; proxy_http_version 1.1; proxy_buffering off;", origin.url()))
        .start();
    // nginx passes on what each read brings as a chunk.
    let raw = nginx.get("/").raw().send().text();
    assert!(raw.contains("1\r\nh\r\n"), "{raw:?}");
    assert!(raw.matches("1\r\n").count() >= 7, "{raw:?}");
}

#[test]
fn a_cut_short_answer_is_cut_short() {
    let origin = Origin::start();
    origin.on("/length", Answer::ok("0123456789").truncated(4));
    origin.on("/chunked", Answer::ok("0123456789").chunked().truncated(4));
    let nginx =
        Nginx::plain().location("/", format!("proxy_pass {}; proxy_http_version 1.1;", origin.url())).start();
    nginx.expect_log("upstream prematurely closed connection");
    for path in ["/length", "/chunked"] {
        let response = nginx.get(path).try_send();
        assert_eq!(response.text(), "0123", "{path}");
        assert_eq!(response.exit, 18, "{path}: {response:?}");
    }
}

#[test]
fn a_reset_is_a_reset() {
    let origin = Origin::start();
    origin.on("/", Answer::ok("0123456789").reset(4));
    // Without buffering, for what nginx has buffered goes with the reset.
    let nginx =
        Nginx::plain().location("/", format!("proxy_pass {}; proxy_buffering off;", origin.url())).start();
    nginx.expect_log("Connection reset by peer");
    let response = nginx.get("/").try_send();
    assert_eq!((response.status, response.text().as_str()), (200, "0123"), "{response:?}");
    assert_ne!(response.exit, 0);
}

#[test]
fn raw_bytes_go_out_as_they_are() {
    let origin = Origin::start();
    origin.on("/good", Answer::raw("HTTP/1.0 203 Odd\r\nX-Odd:  spaces \r\n\r\nbody"));
    origin.on("/bad", Answer::raw("nonsense\r\n\r\n"));
    origin.on("/nothing", Answer::raw(""));
    let nginx = proxied(&origin);
    let response = nginx.get("/good").send();
    assert_eq!((response.status, response.text().as_str()), (203, "body"));
    nginx.expect_log("upstream prematurely closed connection while reading response header");
    assert_eq!(nginx.get("/nothing").send().status, 502);
    // HTTP/0.9, or an invalid header since 1.29: never the answer of a healthy origin.
    let _ = nginx.get("/bad").try_send();
    nginx.expect_log("upstream sent no valid HTTP/1.0 header");
}

#[test]
fn a_gate_holds_an_answer_until_it_is_opened() {
    let origin = Origin::start();
    let (head, body) = (Gate::new(), Gate::new());
    origin.on("/head", Answer::ok("late").gate(&head));
    origin.on("/body", Answer::ok("first last").gate_at(5, &body));
    let nginx =
        Nginx::plain().location("/", format!("proxy_pass {}; proxy_buffering off;", origin.url())).start();
    let waiting = nginx.get("/head").spawn();
    head.wait_arrived(1);
    assert!(!waiting.is_finished());
    head.open();
    assert_eq!(waiting.join().unwrap().text(), "late");

    let mut raw = nginx.raw();
    raw.get("/body");
    assert_eq!(raw.response_head().header("Content-Length"), Some("10"));
    assert_eq!(raw.bytes(5), b"first");
    body.wait_arrived(1);
    body.open();
    assert_eq!(raw.bytes(5), b" last");
}

#[test]
fn a_delay_delays() {
    let origin = Origin::start();
    origin.on("/", Answer::ok("slow").delay(Duration::from_millis(50)));
    let nginx = proxied(&origin);
    let start = Instant::now();
    assert_eq!(nginx.get("/").send().text(), "slow");
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[test]
fn keepalive_upstreams_keep_their_connection() {
    let origin = Origin::start();
    origin.on("/", Answer::ok("x"));
    origin.on("/chunked", Answer::ok("y").chunked());
    let nginx = Nginx::plain()
        .workers(1)
        .http(format!("upstream app {{ server 127.0.0.1:{}; keepalive 4; }}", origin.port()))
        .location("/", "proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\";")
        .start();
    for path in ["/", "/chunked", "/", "/chunked"] {
        nginx.get(path).send();
    }
    assert_eq!(origin.total(), 4);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_origin_goes_down_and_comes_back() {
    let mut origin = Origin::start();
    origin.on("/", "x");
    let nginx = proxied(&origin);
    origin.stop();
    assert_eq!(nginx.get("/").send().status, 502);
    nginx.expect_log("Connection refused");
    origin.restart();
    assert_eq!(nginx.get("/").send().text(), "x");
}

#[test]
fn ranges_heads_compression_and_http2_reach_nginx() {
    let nginx = Nginx::plain()
        .http2()
        .http("gzip on; gzip_min_length 1;")
        .file("html/page.html", "0123456789".repeat(20))
        .start();
    let range = nginx.get("/page.html").range("2-4").send();
    assert_eq!((range.status, range.text().as_str()), (206, "234"));
    let head = nginx.get("/page.html").head().send();
    assert_eq!((head.header("Content-Length"), head.body.len()), (Some("200"), 0));
    let packed = nginx.get("/page.html").compressed().send();
    assert_eq!((packed.header("Content-Encoding"), packed.body.len()), (Some("gzip"), 200));
    let h2 = nginx.get_h2("/page.html").send();
    assert_eq!((h2.version.as_str(), h2.body.len()), ("2", 200));
    assert_eq!(nginx.get("/page.html").http10().raw().send().version, "1.1");
}

#[test]
fn a_raw_connection_serves_many_requests() {
    let nginx =
        Nginx::plain().location("= /a", "return 200 one;").location("= /b", "return 200 two;").start();
    let mut raw = nginx.raw();
    raw.get("/a").get("/b");
    assert_eq!(raw.response().text(), "one");
    assert_eq!(raw.response().text(), "two");
    raw.send("nonsense\r\n\r\n");
    assert_eq!(raw.response().status, 400);
    nginx.raw().reset();
}

#[test]
fn a_shell_script_answers_by_fastcgi() {
    let app =
        FastCgi::shell(r#"echo x >>count; printf 'Status: 201\nX-App: yes\n\nasked for %s' "$REQUEST_URI""#);
    let nginx = Nginx::plain().location("/", app.pass()).start();
    let response = nginx.get("/x?y").send();
    assert_eq!((response.status, response.header("X-App")), (201, Some("yes")));
    assert_eq!(response.text(), "asked for /x?y");
    assert_eq!(app.folder().read("count").lines().count(), 1);
}

#[test]
fn a_configuration_mistake_is_told() {
    Nginx::plain().http("gzip perhaps;").check().fails_with(&["gzip", "\"perhaps\"", "\"off\""]);
    let good = Nginx::plain().check();
    good.passes();
    assert!(panic_text(|| good.fails_with(&["x"])).contains("did not fail"));
    let bad = Nginx::plain().http("nonsense;");
    let text = panic_text(|| drop(bad.start()));
    assert!(text.contains("unknown directive \"nonsense\""), "{text}");
}

#[test]
fn an_unexpected_log_line_fails_the_story() {
    let setup = Nginx::plain().location("/", "proxy_pass http://127.0.0.1:1;");
    let nginx = setup.start();
    assert_eq!(nginx.get("/").send().status, 502);
    let text = panic_text(|| nginx.finish());
    assert!(text.contains("unexpected: ") && text.contains("connect() failed"), "{text}");
}

#[test]
fn a_declared_log_line_must_come() {
    let setup = Nginx::plain();
    let nginx = setup.start();
    nginx.expect_log("the sky is falling");
    // By its end, not by finish().
    let text = panic_text(|| drop(nginx));
    assert!(text.contains("declared but not seen: the sky is falling"), "{text}");
}

#[test]
fn a_killed_worker_is_replaced_and_must_be_declared() {
    let nginx = Nginx::plain().location("/", "return 200 x;").start();
    let workers = nginx.workers();
    assert_eq!(workers.len(), 2);
    nginx.kill_worker(workers[0]);
    assert_eq!(nginx.get("/").send().text(), "x");
    nginx.finish();

    let setup = Nginx::plain();
    let nginx = setup.start();
    fixture::process::signal(nginx.workers()[0], fixture::process::SIGKILL);
    until("nginx notices", || nginx.log_count("exited on signal 9") > 0);
    assert!(panic_text(|| nginx.finish()).contains("exited on signal 9"));
}

#[test]
fn a_reload_replaces_all_workers() {
    let mut nginx = Nginx::plain().location("= /a", "return 200 old;").start();
    let former = nginx.workers();
    nginx.reload_with(|setup| setup.location("= /b", "return 200 new;"));
    assert!(nginx.workers().iter().all(|pid| !former.contains(pid)));
    assert_eq!(nginx.get("/b").send().text(), "new");
    until("the old workers are gone", || nginx.leaving_workers().is_empty());
}

#[test]
fn both_workers_get_connections() {
    let nginx = Nginx::plain().location("/", "return 200 $pid;").start();
    let mut seen = Vec::new();
    until("each worker answers", || {
        seen.push(nginx.get("/").send().text());
        nginx.workers().iter().all(|pid| seen.contains(&pid.to_string()))
    });
}

#[test]
fn the_version_is_known() {
    assert!(nginx_version() >= (1, 22, 0));
}
