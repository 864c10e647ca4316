//! Beside every content handler of nginx: what produces a page does not matter to the cache.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fixture::folder::listen_on_free_port;
use fixture::{Answer, FastCgi, Nginx, Origin, Setup};

const TEMPLATE: &str = "Hello <& get cookie name Guest &>!";

/// Files are cached for a minute and have tags.
fn static_site() -> Setup {
    Nginx::twice().server("root html; twice pages; twice_valid 60s; twice_tags all;")
}

/// Eve causes the fetch, Ann takes what is stored.
#[track_caller]
fn greets(nginx: &Nginx, path: &str) {
    nginx.get(path).cookie("name=Eve").send().assert(200, "MISS", "Hello Eve!");
    nginx.get(path).cookie("name=Ann").send().assert(200, "HIT", "Hello Ann!");
}

#[test]
fn a_file_is_cached_and_filled() {
    let nginx = static_site().file("html/page.html", TEMPLATE).file("html/plain.txt", TEMPLATE).start();
    greets(&nginx, "/page.html");
    let miss = nginx.get("/plain.txt").send();
    let hit = nginx.get("/plain.txt").send();
    miss.assert(200, "MISS", TEMPLATE);
    hit.assert(200, "HIT", TEMPLATE);
    for name in ["ETag", "Last-Modified", "Content-Type", "Content-Length", "Accept-Ranges"] {
        assert!(hit.header(name).is_some(), "{name}: {hit:?}");
        if name != "Accept-Ranges" {
            assert_eq!(hit.header(name), miss.header(name));
        }
    }
    let condition = nginx.get("/plain.txt").header("If-None-Match", hit.header("ETag").unwrap());
    condition.send().assert(304, "HIT", "");
    let condition = nginx.get("/plain.txt").header("If-Modified-Since", hit.header("Last-Modified").unwrap());
    condition.send().assert(304, "HIT", "");
    // The file may go: the page stays for its minute.
    fs::remove_file(nginx.setup().folder().join("html/page.html")).unwrap();
    nginx.get("/page.html").send().assert(200, "HIT", "Hello Guest!");
}

#[test]
fn a_file_asked_for_in_part_is_stored_whole() {
    let nginx = static_site().file("html/a.txt", "0123456789").file("html/b.txt", "0123456789").start();
    let modified = nginx.get("/b.txt").head().send().header("Last-Modified").unwrap().to_owned();
    nginx.get("/a.txt").range("2-4").send().assert(200, "MISS", "0123456789");
    nginx.get("/a.txt").range("2-4").send().assert(206, "HIT", "234");
    nginx.get("/b.txt").header("If-Modified-Since", &modified).send().assert(200, "MISS", "0123456789");
    nginx.get("/b.txt").header("If-Modified-Since", &modified).send().assert(304, "HIT", "");
}

#[test]
fn a_large_file_is_cached_whichever_way_nginx_reads_it() {
    let body: String = (0..60_000).map(|n| format!("{n:05} ")).collect();
    let mixed = body.clone() + "<& get cookie name Guest &>" + &body;
    let with =
        |lines: &str| static_site().server(lines).file("html/a.txt", &body).file("html/b.html", &mixed);
    for lines in
        ["sendfile on;", "sendfile on; sendfile_max_chunk 64k;", "directio 4k;", "aio threads; sendfile on;"]
    {
        let nginx = with(lines).start();
        for cache in ["MISS", "HIT"] {
            let page = nginx.get("/a.txt").send();
            page.assert_cache(cache);
            assert!(page.text() == body, "{lines} {cache}");
            let page = nginx.get("/b.html").cookie("name=Ann").send();
            page.assert_cache(cache);
            assert!(page.text() == format!("{body}Ann{body}"), "{lines} {cache}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_cached_as_configured() {
    let nginx = static_site().location("/kept/", "twice_valid 404 60s;").start();
    nginx.expect_log("No such file or directory");
    for cache in ["MISS", "MISS"] {
        let missing = nginx.get("/none.html").send();
        assert_eq!((missing.status, missing.cache()), (404, cache));
    }
    for cache in ["MISS", "HIT"] {
        let missing = nginx.get("/kept/none.html").send();
        assert_eq!((missing.status, missing.cache()), (404, cache));
        assert!(missing.text().contains("404 Not Found"));
    }
}

#[test]
fn precompressed_files_go_past_the_cache() {
    let nginx = static_site()
        .server("gzip_static on;")
        .file("html/page.txt", "plain")
        .file("html/page.txt.gz", "pretend this is gzip")
        .start();
    let packed = nginx.get("/page.txt").header("Accept-Encoding", "gzip").send();
    packed.assert(200, "MISS", "pretend this is gzip");
    assert_eq!((packed.header("Content-Encoding"), packed.reason()), (Some("gzip"), "content_encoding"));
    nginx.get("/page.txt").send().assert(200, "MISS", "plain");
    nginx.get("/page.txt").send().assert(200, "HIT", "plain");
    nginx.get("/page.txt").header("Accept-Encoding", "gzip").send().assert(200, "HIT", "plain");
}

#[test]
fn a_folders_index_and_listing_are_cached() {
    let nginx = static_site()
        .server("autoindex on;")
        .file("html/index.html", TEMPLATE)
        .file("html/listed/one.txt", "1")
        .start();
    greets(&nginx, "/");
    let listing = nginx.get("/listed/").send();
    listing.assert_cache("MISS");
    assert!(listing.text().contains("one.txt"));
    nginx.setup().clone().file("html/listed/two.txt", "2");
    nginx.get("/listed/").send().assert(200, "HIT", &listing.text());
}

#[test]
fn nginxs_own_redirects_are_the_same_from_the_store() {
    let nginx = static_site()
        .file("html/folder/index.html", "x")
        .location("= /moved", "return 301 /folder/;")
        .location("= /far", "return 302 https://example.com/;")
        .location("/relative/", "absolute_redirect off; return 302 /folder/;")
        .start();
    for (path, status, to) in [
        // Without its slash a folder is a redirect.
        ("/folder", 301, nginx.url("/folder/")),
        ("/moved", 301, nginx.url("/folder/")),
        ("/far", 302, "https://example.com/".to_owned()),
        ("/relative/", 302, "/folder/".to_owned()),
    ] {
        for cache in ["MISS", "HIT"] {
            let redirect = nginx.get(path).send();
            assert_eq!((redirect.status, redirect.cache()), (status, cache), "{path}");
            assert_eq!(redirect.all("Location"), [&to], "{path} {cache}");
        }
    }
}

#[test]
fn return_is_cached() {
    let nginx = Nginx::twice()
        .server("twice pages; twice_valid 60s; default_type text/html;")
        .location("= /text", "return 200 $msec;")
        .location("= /tags", format!("twice_tags all; return 200 '{TEMPLATE}';"))
        .location("= /redirect", "return 302 https://example.com/?$msec;")
        .location("= /error", "return 503;")
        .location("= /off", "twice off; return 200 $msec;")
        .start();
    let first = nginx.get("/text").send();
    first.assert_cache("MISS");
    nginx.get("/text").send().assert(200, "HIT", &first.text());
    greets(&nginx, "/tags");
    let first = nginx.get("/redirect").send();
    let second = nginx.get("/redirect").send();
    assert_eq!((first.status, first.cache(), second.status, second.cache()), (302, "MISS", 302, "HIT"));
    assert_eq!(first.header("Location"), second.header("Location"));
    for _ in 0..2 {
        let error = nginx.get("/error").send();
        assert_eq!((error.status, error.cache(), error.reason()), (503, "MISS", "status"));
        nginx.get("/off").send().assert_cache("");
    }
}

#[test]
fn return_comes_before_access_cached_or_not() {
    let both = "deny all; default_type text/html;";
    let nginx = Nginx::twice()
        .location("= /plain", format!("{both} return 200 open;"))
        .location("= /cached", format!("twice pages; twice_valid 60s; {both} return 200 open;"))
        .start();
    assert_eq!(nginx.get("/plain").send().status, 200);
    nginx.get("/cached").send().assert(200, "MISS", "open");
    nginx.get("/cached").send().assert(200, "HIT", "open");
}

#[test]
fn return_after_a_condition_is_never_a_hit_for_another_request() {
    let nginx = Nginx::twice()
        .file("html/page.html", "page")
        .server("root html; twice pages; twice_valid 60s;")
        .location("/", "if ($http_x_stop) { return 200 stopped; }")
        .start();
    let stopped = nginx.get("/page.html").header("X-Stop", "1");
    assert_eq!(stopped.send().text(), "stopped");
    nginx.get("/page.html").send().assert(200, "MISS", "page");
    nginx.get("/page.html").send().assert(200, "HIT", "page");
    assert_eq!(stopped.send().text(), "stopped");
}

#[test]
fn empty_gif_is_cached() {
    let nginx = Nginx::twice().location("= /x.gif", "twice pages; twice_valid 60s; empty_gif;").start();
    let first = nginx.get("/x.gif").send();
    let second = nginx.get("/x.gif").send();
    assert_eq!((first.cache(), second.cache(), first.body.len()), ("MISS", "HIT", 43));
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("Content-Type"), Some("image/gif"));
    let since = second.header("Last-Modified").unwrap();
    nginx.get("/x.gif").header("If-Modified-Since", since).send().assert(304, "HIT", "");
}

#[test]
fn an_application_behind_fastcgi_is_cached() {
    let app = FastCgi::shell(
        r#"echo "$REQUEST_URI|$HTTP_TWICE|$HTTP_RANGE|$HTTP_ACCEPT_ENCODING" >>asked
printf 'X-Twice-Control: max-age=60\nContent-Type: text/html\nSet-Cookie: a=b\n'
case $REQUEST_URI in /missing) printf 'Status: 404\n';; esac
printf '\nHello <& get cookie name Guest &>!'"#,
    );
    let nginx = Nginx::twice().location("/", format!("twice pages; {}", app.pass())).start();
    let eve = nginx.get("/page").cookie("name=Eve").range("0-1").compressed().send();
    eve.assert(200, "MISS", "Hello Eve!");
    assert_eq!((eve.header("Set-Cookie"), eve.header("X-Twice-Control")), (Some("a=b"), None));
    let ann = nginx.get("/page").cookie("name=Ann").send();
    ann.assert(200, "HIT", "Hello Ann!");
    assert_eq!((ann.header("Set-Cookie"), ann.header("Content-Type")), (None, Some("text/html")));
    nginx.get("/missing").send().assert(404, "MISS", "Hello Guest!");
    nginx.get("/missing").send().assert(404, "HIT", "Hello Guest!");
    assert_eq!(app.folder().read("asked"), "/page|true||\n/missing|true||\n");
    // What is posted goes through.
    nginx.get("/page").cookie("name=Ann").body("x=y").send().assert(200, "", "Hello Ann!");
}

/// An application that speaks another protocol: `take` reads a request; the answer is a page.
fn gateway(
    status_line: &'static str,
    take: impl Fn(&mut TcpStream) -> Vec<u8> + Send + Sync + 'static,
) -> (u16, Arc<AtomicUsize>) {
    let listener = listen_on_free_port();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = take(&mut stream);
            assert!(request.windows(4).any(|part| part == b"true"), "no mark: {}", request.escape_ascii());
            counter.fetch_add(1, Ordering::SeqCst);
            let head = "X-Twice-Control: max-age=60\r\nContent-Type: text/html\r\n\r\n";
            let _ = stream.write_all(format!("{status_line}{head}{TEMPLATE}").as_bytes());
        }
    });
    (port, count)
}

fn exactly(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_application_behind_uwsgi_is_cached() {
    // Four bytes of head, the second and third of them the length of what follows.
    let (port, count) = gateway("HTTP/1.1 200 OK\r\n", |stream| {
        let head = exactly(stream, 4);
        exactly(stream, usize::from(u16::from_le_bytes([head[1], head[2]])))
    });
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; uwsgi_pass 127.0.0.1:{port}; uwsgi_param A b;"))
        .start();
    greets(&nginx, "/");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn an_application_behind_scgi_is_cached() {
    // Length, colon, so many bytes, comma.
    let (port, count) = gateway("Status: 200 OK\r\n", |stream| {
        let mut length = 0;
        loop {
            match exactly(stream, 1)[0] {
                b':' => break exactly(stream, length + 1),
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
    });
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; scgi_pass 127.0.0.1:{port}; scgi_param SCGI 1;"))
        .start();
    greets(&nginx, "/");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn an_origins_framing_does_not_matter() {
    let origin = Origin::start();
    let body = "0123456789".repeat(2_000);
    let page = || Answer::page(body.clone() + TEMPLATE);
    let head = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nX-Twice-Control: max-age=60\r\n\r\n";
    origin.on("/length", page());
    origin.on("/pieces", page().cut_every(3_001));
    origin.on("/chunks", page().chunked());
    origin.on("/small-chunks", page().chunked().cut_every(501));
    origin.on("/close", page().until_close());
    origin.on("/close-pieces", page().until_close().cut_every(3_001));
    origin.on("/old", Answer::raw(format!("{head}{body}{TEMPLATE}")));
    let proxy = format!("proxy_pass {}/; proxy_http_version", origin.url());
    let small =
        "proxy_buffer_size 1k; proxy_buffers 2 1k; proxy_busy_buffers_size 1k; proxy_max_temp_file_size 0;";
    let nginx = Nginx::twice()
        .server("twice pages;")
        .location("/10/", format!("{proxy} 1.0;"))
        .location("/11/", format!("{proxy} 1.1;"))
        .location("/10-unbuffered/", format!("{proxy} 1.0; proxy_buffering off;"))
        .location("/11-unbuffered/", format!("{proxy} 1.1; proxy_buffering off;"))
        .location("/small-buffers/", format!("{proxy} 1.1; {small}"))
        .start();
    for location in ["/10", "/11", "/10-unbuffered", "/11-unbuffered", "/small-buffers"] {
        for path in ["/length", "/pieces", "/chunks", "/small-chunks", "/close", "/close-pieces", "/old"] {
            let path = location.to_owned() + path;
            nginx.get(&path).cookie("name=Eve").send().assert(200, "MISS", &format!("{body}Hello Eve!"));
            nginx.get(&path).cookie("name=Ann").send().assert(200, "HIT", &format!("{body}Hello Ann!"));
        }
    }
}

#[test]
fn an_answer_that_nginx_spills_to_a_file_is_stored() {
    let origin = Origin::start();
    let body = "0123456789".repeat(90_000);
    origin.on("/", Answer::page(body.clone() + TEMPLATE));
    origin.on("/plain", Answer::page(body.clone()));
    let nginx = Nginx::twice()
        .listen_options("reuseport sndbuf=4k")
        .location(
            "/",
            format!("twice pages; twice_lock off; proxy_buffers 4 4k; proxy_pass {};", origin.url()),
        )
        .start();
    let host = format!("127.0.0.1:{}", nginx.port());
    for (path, page) in [("/", body.clone() + "Hello Ann!"), ("/plain", body)] {
        // Not chunked: the end of the connection is the end.
        let mut slow = nginx.raw();
        slow.send(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nCookie: name=Ann\r\n\r\n"));
        slow.response_head().assert_cache("MISS");
        nginx.wait_log("an upstream response is buffered to a temporary file");
        assert!(slow.rest() == page.as_bytes(), "{path}");
        let hit = nginx.get(path).cookie("name=Ann").warm();
        assert!(hit.text() == page, "{path}");
    }
}

#[test]
fn keepalive_upstreams_keep_their_connection() {
    let origin = Origin::start();
    origin.on("/a", Answer::page(TEMPLATE));
    origin.on("/b", Answer::page(TEMPLATE).chunked());
    origin.on("/c", Answer::page("x".repeat(2 << 20)));
    let nginx = Nginx::twice()
        .workers(1)
        .http(format!("upstream app {{ server 127.0.0.1:{}; keepalive 4; }}", origin.port()))
        .server("proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_max_temp_file_size 0;")
        .location("/", "twice pages; proxy_pass http://app;")
        .start();
    greets(&nginx, "/a");
    greets(&nginx, "/b");
    nginx.get("/c").send().assert_cache("MISS");
    nginx.get("/c").head().send().assert_cache("MISS");
    nginx.get("/a").body("posted").send().assert(200, "", "Hello Guest!");
    assert_eq!((origin.total(), origin.connections()), (5, 1));
}

#[test]
fn nginxs_own_cache_may_stand_behind() {
    let origin = Origin::start();
    origin.on("/", Answer::page(TEMPLATE));
    let nginx = Nginx::twice()
        .http("proxy_cache_path cache keys_zone=own:1m; proxy_cache_valid 200 60s;")
        .location(
            "/",
            format!(
                "twice pages; twice_bypass $arg_fresh; twice_key $uri;
proxy_cache own; proxy_cache_key $uri; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    greets(&nginx, "/");
    for name in ["Bob", "Joe"] {
        let page = nginx.get("/?fresh=1").cookie(&format!("name={name}")).send();
        page.assert(200, "BYPASS", &format!("Hello {name}!"));
    }
    nginx.get("/").send().assert(200, "HIT", "Hello Guest!");
    assert_eq!(origin.count("/"), 1);
}
