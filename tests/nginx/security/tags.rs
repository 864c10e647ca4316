//! Tags and their sources: section 6 of the list of attacks, a story for each row. Templates that no sane author writes
//! (names of a megabyte, a hundred thousand tags) are told in `tags/hostile.rs`.

use std::time::Duration;

use fixture::{Answer, Liar, Lie, Memcached, Nginx, Origin, Received, patiently, until};

use super::{cached, cached_with, not_shared, proves_hits};
use crate::memcached::lies::Trial;
use crate::memcached::{pages, short, until_all_print};

/// A page that shows what its visitor has sent: nothing of it runs, neither for him nor for those who are served the stored
/// page. Without a guard tags run where the application has said so for this very answer, and nowhere else.
#[test]
fn tag_in_reflected_input() {
    const TOKEN: &str = "t0ken-t0ken-t0ken";
    let origin = Origin::start();
    let echo = |before: &str, after: &str| {
        let (before, after) = (before.to_owned(), after.to_owned());
        move |request: &Received| {
            let said = request.cookie("said").unwrap_or_default();
            Answer::html(format!("{before}{said}{after}")).header("Cache-Control", "max-age=60")
        }
    };
    let tag = format!("<&{TOKEN} get cookie name Guest &>");
    let guarded = echo(&tag, &tag);
    origin.handle("/guarded", move |request| guarded(request).header("Twice-Guard", TOKEN));
    origin.handle("/plain", echo("", ""));
    origin.on("/secret", Answer::page("secret"));
    let nginx = cached(&origin).start();
    let evil = "<& include /secret &><& get var hostname &><!--# include virtual=\"/secret\" -->";
    for (path, page) in [("/guarded", format!("Ann{evil}Ann")), ("/plain", evil.to_owned())] {
        let cookies = format!("name=Ann; said={evil}");
        nginx.get(path).cookie(&cookies).send().assert(200, "MISS", &page);
        nginx.get(path).cookie("name=Ann").send().assert(200, "HIT", &page);
    }
    assert_eq!(origin.count("/secret"), 0);
}

/// A value in a header line ends neither the line nor the header.
#[test]
fn response_splitting() {
    let origin = Origin::start();
    let named = Answer::page("x").header("Twice-Headers", "X-Name");
    origin.on("/p", named.header("X-Name", "<& get var evil &>;<& get var evil | raw &>"));
    let evil = "set $evil \"a\\r\\nSet-Cookie: x=1\\r\\n\\r\\n\\tb\";";
    let nginx = cached_with(&origin, evil).start();
    for cache in ["MISS", "HIT"] {
        let answer = nginx.get("/p").send();
        answer.assert(200, cache, "x");
        assert_eq!(answer.all("X-Name"), ["aSet-Cookie: x=1b;aSet-Cookie: x=1b"]);
        assert_eq!(answer.header("Set-Cookie"), None);
    }
}

/// The origin's validators speak of the template: neither a 304 nor a part is given by them. (A strong tag in `If-Range` is
/// held against the page's own by nginx's filter, too; the rest is told in `ranges.rs`.)
#[test]
fn validators() {
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let origin = Origin::start();
    let page = Answer::page("Hello <& get cookie name Guest &>!").header("ETag", "\"t\"");
    origin.on("/p", page.header("Last-Modified", MODIFIED));
    let nginx = cached(&origin).start();
    nginx.get("/p").warm();
    let ann = || nginx.get("/p").cookie("name=Ann");
    let (first, second) = (ann().send(), nginx.get("/p").cookie("name=Bob").send());
    let own = first.header("ETag").unwrap();
    assert!(own != "\"t\"" && second.header("ETag") != Some(own), "{first:?}");
    assert_eq!(first.header("Last-Modified"), None);
    for (name, value) in [("If-None-Match", "\"t\""), ("If-Modified-Since", MODIFIED)] {
        ann().header(name, value).send().assert(200, "HIT", "Hello Ann!");
    }
    // His own is good for what he was sent, and for nothing that came after it.
    ann().header("If-None-Match", own).send().assert(304, "HIT", "");
    let bob = nginx.get("/p").cookie("name=Bob");
    bob.clone().header("If-None-Match", own).send().assert(200, "HIT", "Hello Bob!");
    ann().range("6-8").header("If-Range", own).send().assert(206, "HIT", "Ann");
    bob.range("6-8").header("If-Range", own).send().assert(200, "HIT", "Hello Bob!");
    ann().range("6-8").header("If-Range", "\"t\"").send().assert(200, "HIT", "Hello Ann!");
}

/// What a source says is not looked at again: neither by Twice nor, as it is escaped, by nginx's own SSI.
#[test]
fn tag_in_a_stored_value() {
    let origin = Origin::start();
    let server = Memcached::start();
    let tag = "X <& get var pid &> <!--# echo var=\"pid\" --> <& include /secret &> Y";
    server.set("k", tag);
    origin.on("/p", Answer::page("[<& get memcache k &>]"));
    origin.on("/raw", Answer::page("[<& get memcache k | raw &>]"));
    origin.on("/secret", Answer::page("secret"));
    let nginx = pages(&origin, [server.address().as_str()], "ttl=0 timeout=10s")
        .location("= /p", format!("ssi on; proxy_pass {};", origin.url()))
        .start();
    let escaped = tag.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    for cache in ["MISS", "HIT", "HIT"] {
        nginx.get("/p").send().assert(200, cache, &format!("[{escaped}]"));
        nginx.get("/raw").send().assert(200, cache, &format!("[{tag}]"));
    }
    assert_eq!(origin.count("/secret"), 0);
}

#[test]
fn markup_in_a_value() {
    let origin = Origin::start();
    let server = Memcached::start();
    server.set("k", "</title><script>alert(1)</script>\"'&]]>");
    let escaped = "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;]]&gt;";
    origin.on("/p", Answer::page("<p title=\"<& get memcache k &>\">"));
    origin.on("/cookie", Answer::page("<& get cookie k &>"));
    origin.on("/raw", Answer::page("<& get memcache k | raw &>"));
    let nginx = pages(&origin, [server.address().as_str()], "ttl=0 timeout=10s").start();
    for cache in ["MISS", "HIT"] {
        nginx.get("/p").send().assert(200, cache, &format!("<p title=\"{escaped}\">"));
        nginx.get("/cookie").cookie("k=<script>").send().assert(200, cache, "&lt;script&gt;");
        // Its author has said so.
        nginx.get("/raw").send().assert(200, cache, "</title><script>alert(1)</script>\"'&]]>");
    }
}

/// What a visitor writes is a value in one key, or no key at all: the server hears one `get` of plain bytes, or nothing.
#[test]
fn memcached_command_injection() {
    let origin = Origin::start();
    let server = Liar::start(Liar::truth(&[("k_ann", "Ann")]));
    let options = "ttl=0 timeout=10s key=k_$cookie_k";
    let nginx = pages(&origin, [server.address().as_str()], options).start();
    origin.on("/p", Answer::page("<& get memcache x nobody &>"));
    nginx.get("/p").cookie("k=ann").send().assert(200, "MISS", "Ann");
    let asked = server.lines().len();
    let bad: [&[u8]; 14] = [
        b"a%0d%0aflush_all",
        b"a%0Aset%20k_ann%200%200%201%0D%0Ax",
        b"a%0d%0a",
        b"%0d%0aflush_all%0d%0a",
        b"a b",
        b"a%20b",
        b"a%20k_ann",
        b"a\tb",
        b"a%09b",
        b"%00",
        b"a%00b",
        b"a%7f",
        b"a\x01b",
        b"a\x7fb",
    ];
    for cookie in bad {
        let mut client = nginx.raw();
        let host = format!("127.0.0.1:{}", nginx.port());
        let head = format!("GET /p HTTP/1.1\r\nHost: {host}\r\nCookie: k=");
        client.send([head.as_bytes(), cookie, b"\r\n\r\n"].concat());
        client.response().assert(200, "HIT", "nobody");
    }
    assert_eq!(server.lines()[asked..], [] as [String; 0]);
    // Bytes of other alphabets are a key as any; raw ones and encoded ones are the same.
    for cookie in ["k=\u{e9}", "k=%c3%a9"] {
        nginx.get("/p").cookie(cookie).send().assert(200, "HIT", "nobody");
        assert_eq!(server.lines().last().map(String::as_str), Some("get k_\u{e9}"));
    }
    nginx.get("/p").cookie("k=ann").send().assert(200, "HIT", "Ann");
}

/// Refused before it is sent: the connection stays in step.
#[test]
fn key_over_250_bytes() {
    let origin = Origin::start();
    let longest = "z".repeat(248);
    let server = Liar::start(Liar::truth(&[("k_ann", "Ann"), (&format!("k_{longest}"), "long")]));
    let options = "ttl=0 timeout=10s key=k_$cookie_k";
    let nginx = pages(&origin, [server.address().as_str()], options).start();
    origin.on("/p", Answer::page("<& get memcache x nobody &>"));
    nginx.get("/p").cookie("k=ann").send().assert(200, "MISS", "Ann");
    let asked = server.lines().len();
    for length in [249, 250, 400, 3_000] {
        nginx.get("/p").cookie(&format!("k={}", "z".repeat(length))).send().assert(200, "HIT", "nobody");
    }
    assert_eq!(server.lines().len(), asked);
    nginx.get("/p").cookie(&format!("k={longest}")).send().assert(200, "HIT", "long");
    nginx.get("/p").cookie("k=ann").send().assert(200, "HIT", "Ann");
}

/// A visitor's value stands behind the text that the configuration puts in front of it, whatever it holds.
#[test]
fn key_prefix_escape() {
    let origin = Origin::start();
    let secrets = [("admin", "secret"), ("other:secret", "secret"), ("k_ann/1", "Ann")];
    let server = Liar::start(Liar::truth(&secrets));
    let options = "ttl=0 timeout=10s key=k_$cookie_k";
    let nginx = pages(&origin, [server.address().as_str()], options).start();
    origin.on("/p", Answer::page("<& get memcache admin nobody &>"));
    nginx.get("/p").cookie("k=ann%2f1").send().assert(200, "MISS", "Ann");
    for (cookie, key) in [
        ("../admin", "k_../admin"),
        ("other:secret", "k_other:secret"),
        ("*", "k_*"),
        ("$host", "k_$host"),
        ("%24host", "k_$host"),
        ("%2e%2e%2fadmin", "k_../admin"),
    ] {
        nginx.get("/p").cookie(&format!("k={cookie}")).send().assert(200, "HIT", "nobody");
        assert_eq!(server.lines().last(), Some(&format!("get {key}")));
    }
    // Without a value of its own nothing is asked.
    let asked = server.lines().len();
    for cookie in ["", "k=", "other=admin"] {
        nginx.get("/p").cookie(cookie).send().assert(200, "HIT", "nobody");
    }
    assert_eq!(server.lines().len(), asked);
    nginx.get("/p").cookie("k=ann/1").send().assert(200, "HIT", "Ann");
    // And a configuration that would let a visitor name a whole key is refused.
    let whole = "twice_source memcache memcached 127.0.0.1:1 key=$cookie_k;";
    Nginx::bare().http(whole).check().fails_with(&["twice_source", "$cookie_k"]);
}

/// Whatever it says, the page comes whole and in time, and the server is left alone until it tells the truth.
#[test]
fn lying_memcached() {
    let trial = Trial::new("10s");
    for (what, page, lie) in [
        ("it closes", "A B", Lie::Close(Vec::new())),
        ("it resets", "A B", Lie::Reset),
        ("it closes in the middle of a value", "A B", Lie::Close(b"VALUE a 0 5\r\nhel".into())),
        ("it closes after a value", "1 B", Lie::Close(b"VALUE a 0 1\r\n1\r\n".into())),
        ("another key", "A B", Lie::say("VALUE c 0 1\r\n1\r\nEND\r\n")),
        ("a key twice", "1 B", Lie::say("VALUE a 0 1\r\n1\r\nVALUE a 0 1\r\n1\r\nEND\r\n")),
        ("a length too short", "A B", Lie::say("VALUE a 0 1\r\nxyz\r\nEND\r\n")),
        ("a length that is none", "A B", Lie::say("VALUE a 0 -1\r\nx\r\nEND\r\n")),
        ("a length beyond all", "A B", Lie::say("VALUE a 0 99999999999999999999\r\n")),
        ("another protocol", "A B", Lie::say("HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("garbage", "A B", Lie::Say((0..200_000u32).map(|n| (n * 7919 % 251) as u8).collect())),
        ("more than was asked", "A B", Lie::say("END\r\nEND\r\n")),
    ] {
        trial.of(what, page, lie);
    }
    trial.end();
}

/// A page waits for its source once, and no longer than the source's time; then nobody waits for a while. Two layers hold: a
/// page has its own time, and a connection that is not answered in it is closed.
#[test]
fn memcached_down_or_slow() {
    let origin = Origin::start();
    origin.on("/p", Answer::page("<& get memcache a none &>"));
    let mut server = Memcached::start();
    server.set("a", "1");
    let nginx = pages(&origin, [server.address().as_str()], &short("")).start();
    nginx.allow_log("memcached server");
    until_all_print(&nginx, "/p", "1");
    server.kill();
    until_all_print(&nginx, "/p", "none");
    nginx.get("/p").send().assert(200, "HIT", "none");
    server.restart();
    server.set("a", "2");
    until_all_print(&nginx, "/p", "2");
    nginx.finish();
    // One that takes the question and says nothing. The page comes all the same, and soon nobody asks any more.
    let silent = Liar::start(|_| Lie::Hang);
    let timeout = patiently(Duration::from_millis(300)).as_millis();
    let options = format!("ttl=0 timeout={timeout}ms server_failure_limit=2 server_retry_timeout=1h");
    let nginx = pages(&origin, [silent.address().as_str()], &options).start();
    nginx.allow_log("memcached server");
    nginx.get("/p").send().assert(200, "MISS", "none");
    until("nobody asks", || {
        let before = silent.count("get");
        (0..5).for_each(|_| _ = nginx.get("/p").send().assert(200, "HIT", "none"));
        silent.count("get") == before
    });
}

/// A value of a megabyte a thousand times in a page: the values of one response have one bound, and the rest prints
/// nothing.
#[test]
fn value_over_the_limit() {
    let origin = Origin::start();
    let server = Memcached::start();
    server.set("big", &"x".repeat(1_000_000));
    origin.on("/p", Answer::page("<& get memcache big &>,".repeat(1_000)));
    let nginx = pages(&origin, [server.address().as_str()], "ttl=0 timeout=10s").start();
    let whole = format!("{},", "x".repeat(1_000_000)).repeat(4) + &",".repeat(996);
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/p").send();
        page.assert_cache(cache);
        assert!(page.body == whole.as_bytes(), "{} bytes", page.body.len());
    }
    nginx.expect_log("the values of a page exceed 4194304 bytes");
    // More than a server may say at once is missing.
    let large = 2 << 20;
    let liar = Liar::start(move |_| {
        Lie::Say(format!("VALUE big 0 {large}\r\n{}\r\nEND\r\n", "x".repeat(large)).into())
    });
    origin.on("/q", Answer::page("<& get memcache big none &>"));
    let nginx = pages(&origin, [liar.address().as_str()], "ttl=0 timeout=10s").start();
    nginx.allow_log("memcached server");
    for cache in ["MISS", "HIT"] {
        nginx.get("/q").send().assert(200, cache, "none");
    }
}

/// What is stored is the page without anybody's values.
#[test]
fn users_page_stored() {
    let origin = Origin::start();
    origin.on("/u", Answer::page("<& get cookie u nobody &>"));
    let nginx = cached(&origin).start();
    nginx.get("/u").cookie("u=A").send().assert(200, "MISS", "A");
    for (cookie, page) in [("u=B", "B"), ("", "nobody"), ("u=A", "A"), ("u=C", "C")] {
        nginx.get("/u").cookie(cookie).send().assert(200, "HIT", page);
    }
    assert_eq!(origin.count("/u"), 1);
}

/// A page that holds a visitor's values tells every other cache to keep away, whatever its origin said to caches, or its
/// location has nginx say.
#[test]
fn caches_in_front() {
    let origin = Origin::start();
    let shared = |answer: Answer| {
        answer
            .header("Cache-Control", "public, max-age=600, s-maxage=600")
            .header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")
            .header("CDN-Cache-Control", "max-age=600")
    };
    origin.on("/tags", shared(Answer::page("<& get cookie u nobody &>")));
    origin.on("/plain", shared(Answer::page("the same for all")));
    let pass = format!("twice pages; proxy_pass {}/;", origin.url());
    let nginx = cached(&origin)
        .location("/expires/", format!("expires 1h; {pass}"))
        .location(
            "/added/",
            format!("add_header Cache-Control public; add_header X-Cache $twice_cache_status; {pass}"),
        )
        .start();
    for path in ["/tags", "/expires/tags", "/added/tags"] {
        for cache in ["MISS", "HIT"] {
            let page = nginx.get(path).send();
            page.assert_cache(cache);
            assert_eq!(page.all("Cache-Control"), ["private, no-cache"], "{path}: {page:?}");
            assert_eq!((page.header("Expires"), page.header("CDN-Cache-Control")), (None, None));
        }
    }
    nginx.get("/plain").warm();
    let plain = nginx.get("/plain").send();
    assert!(plain.header("Cache-Control").is_some_and(|value| value.contains("public")), "{plain:?}");
}

/// The origin is asked for a page that can be read. What it encodes all the same is neither read nor kept.
#[test]
fn compressed_template() {
    let origin = Origin::start();
    let template = "<& get var pid &>";
    origin.on("/always", Answer::page(template).header("Content-Encoding", "gzip"));
    origin.handle("/asked", move |request| {
        let page = Answer::page("<& get cookie u nobody &>");
        if request.header("Accept-Encoding").is_some() {
            page.header("Content-Encoding", "gzip")
        } else {
            page
        }
    });
    let nginx = cached(&origin).server("gzip on; gzip_min_length 1;").start();
    // curl unpacks what nginx has packed behind Twice.
    nginx.get("/asked").cookie("u=A").compressed().send().assert(200, "MISS", "A");
    let hit = nginx.get("/asked").cookie("u=B").compressed().send();
    hit.assert(200, "HIT", "B");
    assert_eq!(hit.header("Content-Encoding"), Some("gzip"));
    let last = not_shared(&origin, "/always", &nginx.get("/always"), &nginx.get("/always"));
    assert_eq!((last.reason(), last.text().as_str()), ("content_encoding", template));
}

/// Cut at every byte, each of these comes as it was, and is stored so.
#[test]
fn malformed_tags() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_key $uri; proxy_http_version 1.1; proxy_buffering off;").start();
    nginx.allow_log("bad tag in page");
    let workers = nginx.workers();
    let table = [
        ("unterminated", "a <& get cookie u z", "a <& get cookie u z"),
        ("opener", "a <&", "a <&"),
        ("closer", "a &> b", "a &> b"),
        ("nested", "<& get cookie <& get cookie u &> &>!", "<& get cookie <& get cookie u &> &>!"),
        ("quote", "<& get cookie 'u &> b", "<& get cookie 'u &> b"),
        ("command", "<& fetch cookie u &>b", "<& fetch cookie u &>b"),
        ("stray", "<& end &><& else &>", "<& end &><& else &>"),
        ("good", "[<& get cookie u &>]", "[A]"),
    ];
    for (name, template, page) in table {
        for cut in 1..template.len() {
            let path = format!("/{name}/{cut}");
            origin.on(&path, Answer::page(template).chunked().cut_at([cut]));
            for cache in ["MISS", "HIT"] {
                let mut raw = nginx.raw();
                raw.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nCookie: u=A\r\n\r\n"));
                raw.response().assert(200, cache, page);
            }
        }
    }
    assert_eq!(nginx.workers(), workers);
}

/// An error page often says what was asked for. With `twice_tags all` only 200 is read for tags; where the application
/// marks an answer it is its own word.
#[test]
fn error_pages() {
    let origin = Origin::start();
    let template = "no such page: <& get var pid &>";
    for status in [400, 403, 404, 410, 500, 503] {
        origin.on(&format!("/{status}"), Answer::html(template).status(status));
    }
    let marked = Answer::page("sorry, <& get cookie u nobody &>").status(404);
    origin.on("/marked", marked);
    origin.on("/200", Answer::html("<& get cookie u nobody &>"));
    let nginx = cached_with(&origin, "twice_tags all; twice_valid 200 404 1h;").start();
    proves_hits(&nginx, &origin);
    nginx.get("/200").cookie("u=A").warm().assert(200, "HIT", "A");
    for status in [400, 403, 404, 410, 500, 503] {
        for _ in 0..2 {
            let page = nginx.get(&format!("/{status}")).send();
            assert_eq!((page.status, page.text().as_str()), (status, template));
        }
    }
    assert_eq!(nginx.get("/404").send().cache(), "HIT");
    for cache in ["MISS", "HIT"] {
        nginx.get("/marked").cookie("u=A").send().assert(404, cache, "sorry, A");
    }
}
