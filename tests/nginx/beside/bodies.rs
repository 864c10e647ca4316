//! What nginx does to an answer on its way out: its body, its header, its protocol.

use std::io::Write;
use std::process::{Command, Stdio};

use fixture::{Answer, Nginx};

use super::{Pair, page, plainly};

#[test]
fn ssi() {
    let pair = Pair::new("ssi on; ssi_silent_errors on;", |setup, origin| {
        setup.location("= /part", format!("internal; proxy_pass {}/part;", origin.url()))
    });
    let body = "a<!--#include virtual=\"/part?x=1\" --><!--#echo var=\"arg_q\" -->\
                <!--#if expr=\"$http_x_in\" -->in<!--#else -->out<!--#endif -->z";
    pair.origin.on("/page", page(body));
    pair.origin.on("/part", Answer::html("<b>part</b>"));
    assert_eq!(pair.same("/page?q=Q", plainly).text(), "a<b>part</b>Qoutz");
    // Commands run for each visitor, on hits too.
    let inside = |path: &str| pair.nginx.get(path).header("X-In", "1").send().text();
    assert_eq!(inside("/with/page?q=Q"), inside("/without/page?q=Q"));
}

#[test]
fn sub_filter() {
    let pair = Pair::of(
        "sub_filter_once off; sub_filter_last_modified on; sub_filter 'href=\"http://app/' 'href=\"/';
         sub_filter '@name@' '<i>$arg_q</i>';",
    );
    pair.origin.on("/page", page("<a href=\"http://app/x\">x</a> @name@ @name@"));
    let seen = pair.same("/page?q=Q", plainly);
    assert_eq!(seen.text(), "<a href=\"/x\">x</a> <i>Q</i> <i>Q</i>");
}

#[test]
fn gzip() {
    let pair = Pair::of("gzip on; gzip_vary on; gzip_min_length 100; gzip_types text/css; gzip_proxied any;");
    let body = "0123456789".repeat(1_000);
    pair.origin.on("/page", page(body.clone()));
    pair.origin.on("/css", page(body.clone()).header("Content-Type", "text/css"));
    pair.origin.on("/small", page("small"));
    // curl unpacks it.
    let packed = pair.same("/page", |request| request.compressed());
    assert_eq!((packed.header("Content-Encoding"), packed.text()), (Some("gzip"), body.clone()));
    assert_eq!((packed.header("Vary"), packed.header("ETag")), (Some("Accept-Encoding"), Some("W/\"v1\"")));
    assert_eq!(pair.same("/page?plain", plainly).header("Content-Encoding"), None);
    assert_eq!(pair.same("/small", |request| request.compressed()).header("Content-Encoding"), None);
    // To whoever can't read it the same page goes out plain.
    assert!(pair.nginx.get("/with/page").send().text() == body);
}

/// Files that lie there compressed, and an origin that compresses for those who can't read it.
#[test]
fn gzip_static_and_gunzip() {
    let packed = gzipped(b"body { color: red }");
    let files = |setup: fixture::Setup| {
        setup.file("html/a.css", "body { color: red }").file("html/a.css.gz", &packed)
    };
    let lines = "alias html/; gzip_static on; gzip_vary on;";
    let nginx = files(Nginx::twice())
        .location("/with/", format!("twice pages; twice_valid 1h; {lines}"))
        .location("/without/", lines)
        .start();
    for (ask, encoding) in [(true, Some("gzip")), (false, None)] {
        let of = |location: &str| {
            let request = nginx.get(&format!("/{location}/a.css"));
            if ask { request.compressed().send() } else { request.send() }
        };
        for _ in 0..2 {
            let (with, without) = (of("with"), of("without"));
            super::equal(&with, &without);
            assert_eq!(
                (with.header("Content-Encoding"), with.text().as_str()),
                (encoding, "body { color: red }")
            );
        }
    }
    let pair = Pair::of("gunzip on;");
    pair.origin.on("/page", page(gzipped(b"always packed")).header("Content-Encoding", "gzip"));
    assert_eq!(pair.same_unstored("/page", plainly).text(), "always packed");
    pair.same_unstored("/page", |request| request.compressed());
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new("gzip");
    let mut child = command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// Types that are no text pass byte by byte, whatever looks like a tag in them.
#[test]
fn image_types() {
    let pair = Pair::of("twice_tags all; proxy_max_temp_file_size 0;");
    let mut bytes: Vec<u8> = (0..900_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (at, text) in
        [(0, "\u{89}PNG\r\n"), (1_000, "<& get var pid &>"), (400_000, "<& if cookie a &>"), (899_990, "<&")]
    {
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    for (path, kind) in [
        ("/png", "image/png"),
        ("/jpeg", "image/jpeg"),
        ("/webp", "image/webp"),
        ("/pdf", "application/pdf"),
        ("/octets", "application/octet-stream"),
    ] {
        let answer = Answer::ok(bytes.clone())
            .header("Content-Type", kind)
            .header("Cache-Control", "public, max-age=600")
            .header("ETag", "\"v1\"");
        pair.origin.on(path, answer);
        let seen = pair.same(path, plainly);
        assert!(seen.body == bytes && seen.header("Content-Type") == Some(kind), "{path}");
        let part = pair.nginx.get(&format!("/with{path}")).range("399990-400030").send();
        assert_eq!((part.status, part.cache()), (206, "HIT"));
        assert_eq!(part.body, bytes[399_990..=400_030]);
    }
}

#[test]
fn add_header_and_expires() {
    let lines = "add_header X-Who $remote_addr always; add_header X-Q $arg_q; add_header Vary Origin;
        add_header X-Cache $twice_cache_status always;";
    for more in ["", "expires 1h;", "expires -1;", "expires epoch;", "expires max;"] {
        let pair = Pair::of(&format!("{lines} {more}"));
        pair.origin.on("/page", page("x"));
        pair.origin.on("/own", Answer::html("x").header("Cache-Control", "max-age=60"));
        pair.origin.on("/missing", page("x").status(404));
        // `Expires` is counted from now: the lines are compared without its seconds.
        let lines = |response: &fixture::Response| {
            let told = super::told(response).into_iter();
            told.map(|(name, value)| match name.as_str() {
                "expires" if value.len() > 20 && more == "expires 1h;" => (name, value[..16].to_owned()),
                _ => (name, value),
            })
            .collect::<Vec<_>>()
        };
        for path in ["/page?q=1", "/own", "/missing"] {
            let without = pair.nginx.get(&format!("/without{path}")).send();
            for cache in ["MISS", "HIT"] {
                let with = pair.nginx.get(&format!("/with{path}")).send();
                with.assert(without.status, cache, &without.text());
                assert_eq!(lines(&with), lines(&without), "{more} {path}");
            }
        }
    }
}

/// Over HTTP/2 the answers are the same, by curl one after another and by h2load many at once.
#[test]
fn http2() {
    let pair = Pair::new("proxy_max_temp_file_size 0;", |setup, _| setup.http2());
    let body = "0123456789".repeat(5_000);
    pair.origin.on("/page", page(body.clone()));
    pair.origin.on("/tags", Answer::page("Hello <& get cookie name Guest &>!"));
    let of = |path: &str| pair.nginx.get_h2(path).send();
    let without = of("/without/page");
    for cache in ["MISS", "HIT"] {
        let with = of("/with/page");
        with.assert_cache(cache);
        assert_eq!(with.version, "2");
        super::equal(&with, &without);
    }
    for (path, cookie, size) in [("/with/page", "a=b", 50_000), ("/with/tags", "name=Ann", 10)] {
        let mut command = Command::new("h2load");
        command.args(["-n", "2000", "-c", "8", "-m", "16"]).arg("-H").arg(format!("cookie: {cookie}"));
        command.arg(format!("http://127.0.0.1:{}{path}", pair.nginx.setup().h2_port()));
        let output = command.output().expect("h2load is missing: run scripts/setup test");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
        assert!(text.contains("status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{text}");
        assert!(text.contains(&format!("({}) data", 2000 * size)), "{text}");
    }
    assert_eq!((pair.origin.count("/page"), pair.origin.count("/tags")), (2, 1));
}
