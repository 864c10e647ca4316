//! Large pages, empty ones, and clients that are slow, greedy or gone.

use fixture::{Answer, Nginx, Origin, Setup, until};

use super::cached;

/// Text in which every place is recognised.
fn text(length: usize) -> String {
    let mut text = String::with_capacity(length + 8);
    while text.len() < length {
        text += &format!("{:07} ", text.len());
    }
    text.truncate(length);
    text
}

/// Some 300 KB with five tags between runs of 3 to 180 KB; as it is sent, and as a visitor sees it.
fn mixed(name: &str) -> (String, String) {
    let whole = text(300_000);
    let (mut template, mut page) = (String::new(), String::new());
    let mut start = 0;
    for end in [3_000, 12_000, 100_000, 119_999, 120_000, 300_000] {
        template += &whole[start..end];
        page += &whole[start..end];
        if end < whole.len() {
            template += "[<& get cookie name Guest &>]";
            page += &format!("[{name}]");
        }
        start = end;
    }
    (template, page)
}

/// What nginx can't pass on at once stays with the origin: without temporary files, whose use nginx warns of.
fn unbuffered(origin: &Origin) -> Setup {
    cached(origin).server("proxy_http_version 1.1; proxy_max_temp_file_size 0;")
}

#[test]
fn a_page_of_a_megabyte_is_stored_and_one_byte_more_is_not() {
    let origin = Origin::start();
    let body = text(1 << 20);
    for (path, chunked) in [("/length", false), ("/chunks", true)] {
        let framed = |answer: Answer| if chunked { answer.chunked() } else { answer };
        origin.on(path, framed(Answer::page(body.clone())));
        origin.on(&format!("{path}/over"), framed(Answer::page(body.clone() + "x")));
    }
    let nginx = unbuffered(&origin).server("twice_tags off;").start();
    for path in ["/length", "/chunks"] {
        assert!(nginx.get(path).send().text() == body, "{path}");
        assert!(nginx.get(path).warm().text() == body, "{path}");
        let part = nginx.get(path).range("1048570-").send();
        part.assert(206, "HIT", &body[1_048_570..]);
        let over = format!("{path}/over");
        for count in 1..=2 {
            let page = nginx.get(&over).send();
            page.assert_cache("MISS");
            assert!(page.text() == body.clone() + "x", "{over}");
            assert_eq!(origin.count(&over), count);
        }
    }
    let over = nginx.get("/length/over").send();
    assert_eq!(over.header("Cache-Status"), Some("Twice; fwd=uri-miss; detail=too_large"));
}

#[test]
fn a_template_of_nearly_a_megabyte_is_stored() {
    let origin = Origin::start();
    let body = text(1_048_000);
    origin.on("/", Answer::page(body.clone() + "<& get cookie name Guest &>"));
    let nginx = unbuffered(&origin).start();
    assert!(nginx.get("/").send().text() == body.clone() + "Guest");
    assert!(nginx.get("/").warm().text() == body.clone() + "Guest");
    assert!(nginx.get("/").cookie("name=Ann").send().text() == body + "Ann");
}

#[test]
fn a_large_page_with_tags_is_the_same_however_it_is_taken() {
    let origin = Origin::start();
    origin.on("/", Answer::page(mixed("").0));
    let nginx = cached(&origin).http2().start();
    let (_, page) = mixed("Guest");
    assert!(nginx.get("/").send().text() == page);
    let hit = nginx.get("/").warm();
    assert!(hit.text() == page);
    assert_eq!(hit.header("Content-Length"), Some(page.len().to_string().as_str()));
    let (_, page) = mixed("Ann &amp; Bob");
    let visitor = nginx.get("/").cookie("name=Ann & Bob");
    assert!(visitor.send().text() == page);
    for (first, last) in
        [(0, 0), (2_990, 3_020), (11_000, 101_000), (119_990, 120_040), (299_000, page.len() - 1)]
    {
        let part = visitor.clone().range(&format!("{first}-{last}")).send();
        part.assert(206, "HIT", &page[first..=last]);
    }
    nginx.get_h2("/").warm();
    assert!(nginx.get_h2("/").cookie("name=Ann & Bob").send().text() == page);
}

#[test]
fn a_slow_client_gets_every_byte() {
    let origin = Origin::start();
    origin.on("/", Answer::page(mixed("").0));
    origin.on("/plain", Answer::page(text(900_000)));
    let nginx = unbuffered(&origin).listen_options("reuseport sndbuf=4k").start();
    let host = format!("127.0.0.1:{}", nginx.port());
    for (path, page) in [("/", mixed("Ann").1), ("/plain", text(900_000))] {
        nginx.get(path).warm();
        let mut raw = nginx.raw();
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: name=Ann\r\n\r\n"));
        let head = raw.response_head();
        head.assert_cache("HIT");
        assert_eq!(head.header("Content-Length"), Some(page.len().to_string().as_str()));
        // Others come and go meanwhile.
        for _ in 0..20 {
            nginx.get(path).cookie("name=Somebody else").send().assert_cache("HIT");
        }
        let mut body = Vec::new();
        while body.len() < page.len() {
            body.extend(raw.bytes(1_000.min(page.len() - body.len())));
        }
        assert!(body == page.as_bytes(), "{path}");
    }
}

#[test]
fn a_rate_limit_holds_for_hits() {
    let origin = Origin::start();
    origin.on("/", Answer::page(mixed("").0));
    let nginx = unbuffered(&origin).server("if ($arg_slow) { set $limit_rate 1m; }").start();
    nginx.get("/?slow=1").warm();
    let page = nginx.get("/?slow=1").cookie("name=Ann").send();
    page.assert_cache("HIT");
    assert!(page.text() == mixed("Ann").1);
}

#[test]
fn an_empty_page_is_a_page() {
    let origin = Origin::start();
    origin.on("/empty", Answer::page(""));
    origin.on("/no-content", Answer::page("").status(204));
    origin.on("/nothing", Answer::page("<& get cookie name &>"));
    let nginx = cached(&origin).http2().start();
    for path in ["/empty", "/nothing"] {
        nginx.get(path).send().assert(200, "MISS", "");
        let hit = nginx.get(path).warm();
        hit.assert(200, "HIT", "");
        assert_eq!(hit.header("Content-Length"), Some("0"), "{path}");
        nginx.get(path).head().send().assert(200, "HIT", "");
        nginx.get_h2(path).send().assert(200, "MISS", "");
        nginx.get_h2(path).warm().assert(200, "HIT", "");
    }
    nginx.get("/nothing").cookie("name=x").send().assert(200, "HIT", "x");
    nginx.get("/no-content").send().assert(204, "MISS", "");
    nginx.get("/no-content").warm().assert(204, "HIT", "");
    // They can be followed by more on one connection.
    let mut raw = nginx.raw();
    let host = format!("127.0.0.1:{}", nginx.port());
    for path in ["/empty", "/nothing", "/empty"] {
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        raw.response().assert(200, "HIT", "");
    }
}

#[test]
fn clients_that_leave_in_the_middle_keep_no_memory() {
    let origin = Origin::start();
    // One of these pages fills more than half of the zone: the next needs its place.
    for name in ["/a", "/b", "/c"] {
        origin.on(name, Answer::page(name.to_owned() + &text(600_000)));
    }
    let nginx = Nginx::bare()
        .http("twice_zone small 1100k max_object=700k; add_header X-Cache $twice_cache_status;")
        .listen_options("reuseport sndbuf=4k")
        .location("/", format!("twice small; proxy_pass {}; proxy_max_temp_file_size 0;", origin.url()))
        .start();
    let host = format!("127.0.0.1:{}", nginx.port());
    // Those of curl, which has had its answer, may yet come.
    let requests = || -> Vec<String> {
        let log = nginx.access_log();
        log.lines().filter(|line| !line.contains("curl/")).map(str::to_owned).collect()
    };
    for (round, (path, next)) in [("/a", "/b"), ("/b", "/c"), ("/c", "/a")].into_iter().enumerate() {
        nginx.get(path).warm();
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut raw = nginx.raw();
            raw.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            raw.response_head().assert_cache("HIT");
            clients.push(raw);
        }
        for (number, client) in clients.into_iter().enumerate() {
            if number % 2 == 0 { client.reset() } else { drop(client) }
        }
        until("nginx has seen them leave", || requests().len() == 8 * (round + 1));
        for line in requests() {
            let sent =
                line.split("\" 200 ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
            assert!(sent.is_some_and(|sent| sent < 600_000), "it had the whole page: {line}");
        }
        nginx.get(next).warm();
    }
}

#[test]
fn one_connection_carries_many_hits() {
    let origin = Origin::start();
    origin.on("/", Answer::page("Hello <& get arg n &>!"));
    origin.on("/large", Answer::page(text(100_000)));
    let nginx = cached(&origin).server("twice_key $uri;").start();
    nginx.get("/").warm();
    nginx.get("/large").warm();
    let large = text(100_000);
    let mut raw = nginx.raw();
    for n in 0..200 {
        raw.get(&format!("/?n={n}"));
        raw.response().assert(200, "HIT", &format!("Hello {n}!"));
        if n % 20 == 0 {
            raw.get("/large");
            assert!(raw.response().text() == large);
        }
    }
}

#[test]
fn requests_may_be_pipelined() {
    let origin = Origin::start();
    origin.on("/", Answer::page("Hello <& get arg n &>!"));
    origin.on("/never", Answer::html("fetched"));
    let nginx = cached(&origin).server("twice_key $uri;").start();
    nginx.get("/").warm();
    let mut raw = nginx.raw();
    for n in 0..50 {
        raw.get(&format!("/?n={n}"));
        raw.get("/never");
    }
    for n in 0..50 {
        raw.response().assert(200, "HIT", &format!("Hello {n}!"));
        raw.response().assert(200, "MISS", "fetched");
    }
}
