//! HTTP/2 by a client that nobody here wrote: h2load, with many streams on few connections.

use std::process::Command;

use super::*;

/// Requests, and how many of them succeeded, by h2load's own count.
#[track_caller]
fn h2load(nginx: &Nginx, requests: usize, arguments: &[&str], paths: &[&str]) -> String {
    let port = nginx.setup().h2_port();
    let output = Command::new("h2load")
        .args(["-n", &requests.to_string(), "-c", "4", "-m", "32", "-T", "60"])
        .args(arguments)
        .args(paths.iter().map(|path| format!("http://127.0.0.1:{port}{path}")))
        .output()
        .expect("h2load is missing: run scripts/setup test");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let all =
        format!("{requests} total, {requests} started, {requests} done, {requests} succeeded, 0 failed");
    assert!(text.contains(&all), "{text}");
    text
}

#[test]
fn h2load_gets_every_page_from_the_store_as_without_it() {
    let both = Beside::start(|setup, origin, twice| {
        setup
            .http2()
            .http("gzip on; gzip_min_length 1; proxy_buffers 8 64k;")
            .location("/", format!("{twice} proxy_pass {origin};"))
    });
    // More than a frame, and more than a stream's first window.
    let large = "0123456789abcdef".repeat(20_000);
    both.on("/small", public("small"));
    both.on("/large", public(large).header("ETag", "\"v1\""));
    both.on("/empty", public(""));
    let paths = ["/small", "/large", "/empty"];
    for path in paths {
        both.with.nginx.get_h2(path).warm();
    }
    let before = both.with.origin.total();
    for arguments in [vec![], vec!["-H", "Accept-Encoding: gzip"], vec!["-H", ":method: HEAD"]] {
        for side in both.sides() {
            let text = h2load(&side.nginx, 300, &arguments, &paths);
            assert!(text.contains("300 2xx, 0 3xx, 0 4xx, 0 5xx"), "{text}");
        }
    }
    assert_eq!(both.with.origin.total(), before);
    for side in both.sides() {
        let text = h2load(&side.nginx, 90, &["-H", "If-None-Match: \"v1\""], &["/small"]);
        assert!(text.contains("90 2xx"), "{text}");
    }
    // One after the other and all at once is the same to curl, too.
    let answers = paths.map(|path| both.sides().map(|side| side.nginx.get_h2(path).send()));
    for [ours, plain] in answers {
        assert_eq!((ours.cache(), &ours.body, &ours.version), ("HIT", &plain.body, &plain.version));
        assert_eq!(told(&ours, &both.with.nginx), told(&plain, &both.without.nginx));
    }
}

#[test]
fn h2load_fetches_a_page_once() {
    let origin = Origin::start();
    origin.on("/page", public("page"));
    let nginx =
        Nginx::twice().http2().location("/", format!("twice pages; proxy_pass {};", origin.url())).start();
    h2load(&nginx, 200, &[], &["/page"]);
    assert_eq!(origin.count("/page"), 1);
}
