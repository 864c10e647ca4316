//! Broken or lying origins: section 3 of the list of attacks, a story for each row. Nothing of it is stored.

use std::io::{Read, Write};
use std::thread;

use fixture::{Answer, FastCgi, Gate, Nginx, Origin, nginx_version, until};

use crate::broken_origins::{WHOLE, cached, cached_with, head, never_stored, proves_hits};

/// Each of these answers ends before its end: it is never stored, and its client's connection ends so that he can tell.
#[track_caller]
fn cut_short(answers: impl IntoIterator<Item = (&'static str, Answer, &'static str)>) {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    nginx.expect_log("upstream prematurely closed connection while reading upstream");
    for (path, bad, text) in answers {
        let page = never_stored(&nginx, &origin, path, bad);
        // The client is told: its connection ends before the body does.
        assert_ne!(page.exit, 0, "{path}: {page:?}");
        if !text.is_empty() {
            assert_eq!(page.text(), text, "{path}");
        }
    }
}

/// Two layers hold: nothing is stored before its last buffer has come, which nginx sends of whole answers only, and nothing
/// that has another length than it promised.
#[test]
fn truncated_content_length() {
    cut_short([
        ("/length", Answer::page(WHOLE).truncated(5), "01234"),
        ("/empty", Answer::page(WHOLE).truncated(0), ""),
        ("/large", Answer::page("x".repeat(300_000)).truncated(299_999), ""),
    ]);
}

#[test]
fn truncated_in_chunk() {
    let chunk_cut = head("Transfer-Encoding: chunked\r\n") + "a\r\n01234";
    cut_short([
        ("/chunked", Answer::page(WHOLE).chunked().truncated(5), "01234"),
        ("/in-chunk", Answer::raw(chunk_cut), "01234"),
    ]);
}

#[test]
fn truncated_no_last_chunk() {
    let no_last_chunk = head("Transfer-Encoding: chunked\r\n") + "a\r\n0123456789\r\n";
    let last_chunk_cut = no_last_chunk.clone() + "0\r\n";
    cut_short([
        ("/no-last-chunk", Answer::raw(no_last_chunk), WHOLE),
        ("/last-chunk-cut", Answer::raw(last_chunk_cut), WHOLE),
    ]);
}

/// nginx makes a 502 of it, which is never stored, though this location stores whatever may be.
#[test]
fn truncated_header() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    nginx.expect_log("upstream prematurely closed connection while reading response header");
    for (path, bytes) in [
        ("/nothing", ""),
        ("/status", "HTTP/1.1 200"),
        ("/header", "HTTP/1.1 200 OK\r\nX-Twice-Control: max-age=60\r\nContent-Le"),
        ("/end", "HTTP/1.1 200 OK\r\nX-Twice-Control: max-age=60\r\n"),
    ] {
        let page = never_stored(&nginx, &origin, path, Answer::raw(bytes));
        assert_eq!((page.status, page.reason()), (502, "status"), "{path}: {page:?}");
    }
}

/// nginx reads the chunks, and ends an answer whose chunks can't be read without a last buffer: by that we know.
#[test]
fn bad_chunk_size() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let chunked = head("Transfer-Encoding: chunked\r\n");
    for (path, body) in [
        ("/size", "zz\r\n0123456789\r\n0\r\n\r\n"),
        ("/later", "5\r\n01234\r\nzz\r\n56789\r\n0\r\n\r\n"),
        ("/negative", "-5\r\n01234\r\n0\r\n\r\n"),
        ("/huge", "ffffffffffffffffff\r\n01234\r\n0\r\n\r\n"),
        ("/long", "5\r\n0123456789\r\n0\r\n\r\n"),
    ] {
        never_stored(&nginx, &origin, path, Answer::raw(chunked.clone() + body));
    }
    nginx.expect_log("upstream sent invalid chunked response");
}

#[test]
fn reset_no_length() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    for (path, bad) in [
        ("/no-length", Answer::page(WHOLE).until_close().reset(10)),
        ("/no-length-cut", Answer::page(WHOLE).until_close().reset(5)),
        ("/length", Answer::page(WHOLE).reset(5)),
        ("/chunked", Answer::page(WHOLE).chunked().reset(5)),
        ("/head", Answer::page(WHOLE).reset(0)),
    ] {
        let page = never_stored(&nginx, &origin, path, bad);
        assert_ne!((page.exit, page.text().as_str()), (0, WHOLE), "{path}: {page:?}");
    }
    nginx.expect_log("Connection reset by peer");
    // An end without a length can't be told from the whole.
    origin.on("/closed", Answer::page(WHOLE).until_close());
    nginx.get("/closed").warm().assert(200, "HIT", WHOLE);
}

/// A length, a last chunk or a last record tells a whole answer from a broken one; a connection that just ends does not.
/// Stored as nginx would, unless the location asks for such an end.
#[test]
fn fin_without_length() {
    let origin = Origin::start();
    let old = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nX-Twice-Control: max-age=60\r\n\r\n0123456789";
    origin.on("/length", Answer::page(WHOLE));
    origin.on("/chunks", Answer::page(WHOLE).chunked());
    origin.on("/closed", Answer::page(WHOLE).until_close());
    origin.on("/old", Answer::raw(old));
    origin.on("/tags", Answer::page("<& get arg x &>").until_close());
    origin.on("/204", Answer::new(204, "").header("X-Twice-Control", "max-age=60").close());
    let pass = format!("proxy_http_version 1.1; proxy_pass {}/;", origin.url());
    let nginx = Nginx::twice()
        .server("twice pages;")
        .location("/nginx/", &pass)
        .location("/strict/", format!("twice_require_length on; {pass}"))
        .location("/unbuffered/", format!("twice_require_length on; proxy_buffering off; {pass}"))
        .start();
    for path in ["/length", "/chunks", "/closed", "/old", "/tags", "/204"] {
        nginx.get(&format!("/nginx{path}")).warm();
    }
    for location in ["/strict", "/unbuffered"] {
        for path in ["/length", "/chunks", "/204"] {
            nginx.get(&format!("{location}{path}")).warm();
        }
        for path in ["/closed", "/old", "/tags"] {
            let before = origin.count(path);
            for count in 1..=3 {
                nginx.get(&format!("{location}{path}")).send().assert_cache("MISS");
                assert_eq!(origin.count(path), before + count);
            }
        }
    }
}

/// The same for an origin whose protocol has an end of its own, and for one whose has none.
#[test]
fn fin_without_length_of_gateways() {
    let app = FastCgi::shell("printf 'X-Twice-Control: max-age=60\nContent-Type: text/html\n\n0123456789'");
    // Records of stdout, and for `whole` the one that ends the request; then the connection ends.
    let broken = records(false);
    let whole = records(true);
    let nginx = Nginx::twice()
        .server("twice pages; twice_require_length on;")
        .location("/app", app.pass())
        .location("/broken", format!("fastcgi_pass 127.0.0.1:{broken};"))
        .location("/whole", format!("fastcgi_pass 127.0.0.1:{whole};"))
        .location("/unbuffered", format!("fastcgi_buffering off; fastcgi_pass 127.0.0.1:{broken};"))
        .location("/nginx", format!("twice_require_length off; fastcgi_pass 127.0.0.1:{broken};"))
        .start();
    nginx.get("/app").warm().assert(200, "HIT", WHOLE);
    nginx.get("/whole").warm().assert(200, "HIT", WHOLE);
    for path in ["/broken", "/unbuffered"] {
        for _ in 0..3 {
            nginx.get(path).send().assert(200, "MISS", WHOLE);
        }
    }
    nginx.get("/nginx").warm().assert(200, "HIT", WHOLE);
}

/// A FastCGI application whose answers end so; its port.
fn records(with_end: bool) -> u16 {
    let listener = fixture::folder::listen_on_free_port();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // nginx sends the request at once; its last record is an empty one of stdin (type 5).
            let mut head = [0; 8];
            while stream.read_exact(&mut head).is_ok() {
                let rest = usize::from(u16::from_be_bytes([head[4], head[5]])) + usize::from(head[6]);
                stream.read_exact(&mut vec![0; rest]).unwrap();
                if head[1] == 5 && rest == 0 {
                    break;
                }
            }
            let text = format!("X-Twice-Control: max-age=60\r\nContent-Type: text/html\r\n\r\n{WHOLE}");
            let length = u16::try_from(text.len()).unwrap().to_be_bytes();
            let mut answer = vec![1, 6, 0, 1, length[0], length[1], 0, 0];
            answer.extend_from_slice(text.as_bytes());
            if with_end {
                answer.extend_from_slice(&[1, 6, 0, 1, 0, 0, 0, 0]);
                answer.extend_from_slice(&[1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
            let _ = stream.write_all(&answer);
        }
    });
    port
}

/// Answer splitting on connections to the origin that are kept.
#[test]
fn more_than_content_length() {
    let origin = Origin::start();
    let second = "HTTP/1.1 200 OK\r\nX-Twice-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil";
    origin.on("/split", Answer::raw(head("Content-Length: 4\r\n") + "good" + second));
    origin.on(
        "/split-chunked",
        Answer::raw(head("Transfer-Encoding: chunked\r\n") + "4\r\ngood\r\n0\r\n\r\n" + second),
    );
    origin.handle("/other/*", |request| Answer::page(format!("own {}", request.path())));
    let nginx = Nginx::twice()
        .http(format!("upstream app {{ server 127.0.0.1:{}; keepalive 8; }}", origin.port()))
        .location(
            "/",
            "twice pages; proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\";",
        )
        .start();
    proves_hits(&nginx, &origin);
    for path in ["/split", "/split-chunked"] {
        for _ in 0..3 {
            let page = nginx.get(path).send();
            assert_eq!((page.status, page.text().as_str()), (200, "good"), "{page:?}");
        }
        for n in 0..6 {
            let other = format!("/other{path}/{n}");
            nginx.get(&other).send().assert(200, "MISS", &format!("own {other}"));
        }
    }
    nginx.expect_log("upstream sent more data than specified in \"Content-Length\" header");
    nginx.expect_log("upstream sent data after final chunk");
}

/// nginx before 1.23 goes by the chunks, as it must; later ones refuse.
#[test]
fn upstream_te_and_cl() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let refused = nginx_version() >= (1, 23, 0);
    let both = head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "a\r\n0123456789\r\n0\r\n\r\n";
    origin.on("/both", Answer::raw(both.clone()));
    if refused {
        assert_eq!(never_stored(&nginx, &origin, "/both", Answer::raw(both)).status, 502);
        nginx.expect_log("headers at the same time");
    } else {
        nginx.get("/both").send().assert(200, "MISS", WHOLE);
        nginx.get("/both").send().assert(200, "HIT", WHOLE);
    }
}

/// nginx before 1.23 takes the last of two lengths; what it may mean is not stored.
#[test]
fn upstream_two_lengths() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let refused = nginx_version() >= (1, 23, 0);
    for (path, lines, body) in [
        ("/short-first", "Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
        ("/long-first", "Content-Length: 4\r\nContent-Length: 3\r\n", "abcd"),
    ] {
        let page = never_stored(&nginx, &origin, path, Answer::raw(head(lines) + body));
        if refused {
            assert_eq!(page.status, 502, "{path}: {page:?}");
        }
    }
    nginx.expect_log(if refused {
        "upstream sent duplicate header line"
    } else {
        "upstream sent more data than"
    });
}

/// nginx refuses it.
#[test]
fn upstream_nul_in_header() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    for (path, line) in [
        ("/value", "X-A: a\0b\r\n"),
        ("/name", "X\0A: b\r\n"),
        ("/control", "X-Twice-Control: max-age=6\0\r\n"),
    ] {
        let bad = Answer::raw(head(&format!("{line}Content-Length: 4\r\n")) + "evil");
        assert_eq!(never_stored(&nginx, &origin, path, bad).status, 502, "{path}");
    }
    nginx.expect_log("upstream sent invalid header");
}

#[test]
fn upstream_http09() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    origin.on("/", Answer::raw("just a body, nothing more\r\n"));
    for count in 1..=3 {
        // nginx passes it on as it came, or refuses it (502, since 1.29).
        let mut raw = nginx.raw();
        raw.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let text = String::from_utf8_lossy(&raw.rest()).into_owned();
        assert!(!text.contains("HIT"), "{text}");
        assert_eq!(origin.count("/"), count, "{text}");
    }
    nginx.expect_log("upstream sent no valid HTTP/1.0 header");
    origin.on("/", Answer::page(WHOLE));
    nginx.get("/").send().assert(200, "MISS", WHOLE);
}

/// nginx drops them.
#[test]
fn upstream_trailers() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let bytes = head("Transfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n")
        + "a\r\n0123456789\r\n0\r\nSet-Cookie: sid=1\r\nX-Twice-Control: max-age=9\r\n\r\n";
    origin.on("/", Answer::raw(bytes));
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/").raw().send();
        assert_eq!((page.cache(), page.header("Set-Cookie")), (cache, None), "{page:?}");
        assert!(page.text().contains(WHOLE) && !page.text().contains("sid"), "{page:?}");
    }
}

/// Whole or nothing.
#[test]
fn client_gone() {
    let origin = Origin::start();
    // Where others may wait for the page, the fetch goes on: see the stories of collapsing.
    let nginx = cached_with(&origin, "proxy_buffering off; twice_lock off;")
        .location(
            "/stays/",
            format!("twice pages; proxy_ignore_client_abort on; proxy_pass {};", origin.url()),
        )
        .start();
    proves_hits(&nginx, &origin);
    let body = "<& get arg v &>x".repeat(4_000);
    let shown = "x".repeat(4_000);
    for (path, tags) in [("/tags", true), ("/plain", false), ("/stays/tags", true), ("/stays/plain", false)] {
        let gate = Gate::new();
        let answer = if tags {
            Answer::page(body.clone())
        } else {
            Answer::page(body.clone()).header("X-Twice-Control", "no-tags")
        };
        origin.on(path, answer.clone().gate_at(20_000, &gate));
        let left = nginx.log_count("Connection reset by peer");
        let mut raw = nginx.raw();
        raw.get(path);
        gate.wait_arrived(1);
        raw.reset();
        if !path.starts_with("/stays") {
            until("nginx sees it leave", || nginx.log_count("Connection reset by peer") > left);
        }
        gate.open();
        origin.on(path, answer);
        // Whole or nothing.
        let whole = if tags { &shown } else { &body };
        let next = nginx.get(path).send();
        assert!(next.text() == *whole, "{path}: {} of {} bytes", next.body.len(), whole.len());
        assert!(nginx.get(path).warm().text() == *whole, "{path}");
    }
}

/// Larger than 16 bits can count.
#[test]
fn big_header_block() {
    let origin = Origin::start();
    let large = "h".repeat(70_000);
    let many: Vec<String> = (0..50).map(|n| format!("{n}-{}", "v".repeat(100))).collect();
    let answer = |value: &str| Answer::page(WHOLE).header("X-Large", value);
    origin.on("/large", answer(&large));
    origin.on("/many", many.iter().fold(Answer::page(WHOLE), |answer, value| answer.header("X-Many", value)));
    let nginx =
        cached_with(&origin, "proxy_buffer_size 128k; proxy_buffers 8 128k; proxy_busy_buffers_size 256k;")
            .location("/small/", format!("twice pages; proxy_pass {};", origin.url()))
            .start();
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/large").send();
        page.assert(200, cache, WHOLE);
        assert!(page.header("X-Large") == Some(large.as_str()));
        let page = nginx.get("/many").send();
        page.assert(200, cache, WHOLE);
        assert!(page.all("X-Many").iter().eq(many.iter()), "{page:?}");
    }
    assert_eq!(never_stored(&nginx, &origin, "/small/x", answer(&large)).status, 502);
    nginx.expect_log("upstream sent too big header");
}
