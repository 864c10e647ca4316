//! What is in the key: section 1 of the list of attacks, a story for each row. That two keys of one hash are two pages is
//! told in `tests/pure/store` (`hash_collision`): no story can find such keys.

use fixture::{Answer, Nginx, Origin, Received, Response, until};

use crate::keys::{apart, cached, echoing, said};

/// Headers that an application may read without saying so in `Vary`.
const UNKEYED: [&str; 15] = [
    "X-Forwarded-Host",
    "X-Forwarded-Scheme",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Host",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "Forwarded",
    "Accept-Language",
    "User-Agent",
    "Cookie",
    "Origin",
];

/// An application that puts each of them into its page, at a path of its own, and says nothing of it.
fn reflecting() -> Origin {
    let origin = Origin::start();
    for name in UNKEYED {
        origin.handle(&format!("/{name}"), move |request| {
            Answer::page(format!("<{}>", request.header(name).unwrap_or("none")))
        });
    }
    origin
}

fn ask(nginx: &Nginx, name: &str, value: Option<&str>) -> Response {
    let request = nginx.get(&format!("/{name}")).without("User-Agent");
    match value {
        Some(value) => request.header(name, value).send(),
        None => request.send(),
    }
}

/// No cache can know of it. Three ways out: the application says `Vary` (see below), or the location names the headers
/// that count, or it keeps them from the application.
#[test]
fn unkeyed_headers() {
    let origin = reflecting();
    let pass = format!("proxy_pass {};", origin.url());
    let (some, rest) = UNKEYED.split_at(8);
    let nginx = Nginx::twice().location("/", format!("twice pages; {pass}")).start();
    // As any cache: what the first visitor sent is everybody's. That is the attack, and the proof of hits.
    for name in UNKEYED {
        assert_eq!(ask(&nginx, name, Some("evil")).text(), "<evil>");
        ask(&nginx, name, None).assert(200, "HIT", "<evil>");
    }
    nginx.finish();

    // They count. More than sixteen would be too many, so in two locations' worth.
    for names in [some, rest] {
        let nginx = Nginx::twice()
            .location("/", format!("twice pages; twice_vary_headers {}; {pass}", names.join(" ")))
            .start();
        for name in names {
            ask(&nginx, name, Some("evil")).assert(200, "MISS", "<evil>");
            let plain = ask(&nginx, name, None);
            plain.assert(200, "MISS", "<none>");
            // Other caches are told.
            let vary = plain.header("Vary").unwrap_or_default().to_ascii_lowercase();
            assert!(vary.split(", ").any(|other| other == name.to_ascii_lowercase()), "{vary}");
            ask(&nginx, name, Some("evil")).assert(200, "HIT", "<evil>");
            ask(&nginx, name, None).assert(200, "HIT", "<none>");
        }
    }

    // The origin does not hear of them.
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; twice_withhold {}; {pass}", UNKEYED.join(" ")))
        .start();
    for name in UNKEYED {
        ask(&nginx, name, Some("evil")).assert(200, "MISS", "<none>");
        ask(&nginx, name, None).assert(200, "HIT", "<none>");
        // What is not stored is asked for as it came.
        let path = format!("/{name}");
        let posted = nginx.get(&path).header(name, "mine").body("x").send();
        posted.assert(200, "", "<mine>");
    }
}

/// The origin of a refresh hears no more than that of a fetch, and pages are renewed for whom they are.
#[test]
fn unkeyed_headers_in_a_refresh() {
    let origin = Origin::start();
    let page = |request: &Received| {
        let of = |name| request.header(name).unwrap_or("none").to_owned();
        let (counted, withheld) = (of("X-Counted"), of("X-Withheld"));
        Answer::html(format!("{counted} {withheld}")).header("X-Twice-Control", "max-age=1")
    };
    origin.handle("/", page);
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = Nginx::twice()
        .location(
            "/",
            format!("twice pages; twice_vary_headers X-Counted; twice_withhold X-Withheld; {pass}"),
        )
        .start();
    let visit = |value: &str| nginx.get("/").header("X-Counted", value).header("X-Withheld", "evil").send();
    for value in ["a", "b"] {
        visit(value).assert(200, "MISS", &format!("{value} none"));
    }
    // Stale after a second: somebody's visit has it renewed.
    origin.wait_count("/", 2);
    until("both are renewed", || {
        let pages = ["a", "b"].map(visit_of(&visit));
        assert_eq!(pages, ["a none", "b none"]);
        origin.count("/") >= 6
    });
    for request in origin.requests("/") {
        assert_eq!(request.header("X-Withheld"), None);
        assert!(request.header("X-Counted").is_some());
    }
}

fn visit_of<'a>(visit: &'a impl Fn(&str) -> Response) -> impl Fn(&str) -> String + 'a {
    |value| visit(value).text()
}

/// An application that says `Vary: Cookie` on each page, and would be asked for each visitor: kept from the cookies, it has
/// one page; with those that count handed to it one for each of their values.
#[test]
fn what_is_withheld_makes_no_variants() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        Answer::page(request.header("Cookie").unwrap_or("none").to_owned()).header("Vary", "Cookie")
    });
    let pass = format!("proxy_pass {};", origin.url());
    let counted = "twice_vary_cookies lang; proxy_set_header Cookie \"lang=$cookie_lang\";";
    let nginx = Nginx::twice()
        .server("twice pages; twice_withhold cookie;")
        .location("/", &pass)
        .location("/lang", format!("{counted} {pass}"))
        .start();
    nginx.get("/").cookie("sid=1; lang=de").send().assert(200, "MISS", "none");
    nginx.get("/").cookie("sid=2").send().assert(200, "HIT", "none");
    for cache in ["MISS", "HIT"] {
        nginx.get("/lang").cookie("sid=1; lang=de").send().assert(200, cache, "lang=de");
        nginx.get("/lang").cookie("sid=2; lang=en").send().assert(200, cache, "lang=en");
    }
    // For the visitor himself it is there: tags print it.
    origin.on("/tags", Answer::page("<& get cookie sid none &>"));
    nginx.get("/tags").cookie("sid=1").send().assert(200, "MISS", "1");
    nginx.get("/tags").cookie("sid=2").send().assert(200, "HIT", "2");
}

/// Where the answer says what it depends on, each has his own.
#[test]
fn unkeyed_headers_vary() {
    let origin = Origin::start();
    let names = [
        "X-Forwarded-Host",
        "X-Forwarded-Scheme",
        "X-Original-URL",
        "Forwarded",
        "Accept-Language",
        "Cookie",
        "Origin",
    ];
    for name in names {
        origin.handle(&format!("/{name}"), move |request| {
            Answer::page(format!("<{}>", request.header(name).unwrap_or("none"))).header("Vary", name)
        });
    }
    let nginx = cached(&origin).start();
    for name in names {
        let path = format!("/{name}");
        assert_eq!(nginx.get(&path).header(name, "evil").send().text(), "<evil>");
        for cache in ["MISS", "HIT"] {
            nginx.get(&path).send().assert(200, cache, "<none>");
        }
        nginx.get(&path).header(name, "evil").send().assert(200, "HIT", "<evil>");
    }
}

/// Two hosts that one upstream serves have a page each.
#[test]
fn host_key() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    for cache in ["MISS", "HIT"] {
        for host in ["a.example", "b.example", "[::1]", "127.0.0.1"] {
            nginx.get("/u").header("Host", host).send().assert(200, cache, &said(host, "/u"));
        }
    }
}

/// In any case it is the same host; a port that is told to the origin is a part of the key, and so is a dot at the end of
/// the host, which browsers keep apart from the host without one.
#[test]
fn host_port_case() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    for cache in ["MISS", "HIT"] {
        for host in [
            "a.example",
            "a.example.",
            "a.example:1337",
            "a.example.:1337",
            "a.example:80",
            "[::1]",
            "[::1]:80",
        ] {
            nginx.get("/u").header("Host", host).send().assert(200, cache, &said(host, "/u"));
        }
    }
    nginx.get("/u").header("Host", "A.Example").send().assert(200, "HIT", &said("a.example", "/u"));
    nginx.get("/u").header("Host", "A.EXAMPLE:1337").send().assert(200, "HIT", &said("a.example:1337", "/u"));
}

/// The URI names one host and `Host` another: the origin may believe either, so the answer is nobody's.
#[test]
fn host_absolute_uri() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    let absolute = |target: &str, host: &str| {
        let mut raw = nginx.raw();
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        raw.response()
    };
    for target in ["http://b.example/u", "http://B.EXAMPLE/u", "http://b.example:80/u"] {
        let page = absolute(target, "a.example");
        assert_eq!((page.status, page.reason()), (200, "host_mismatch"), "{page:?}");
    }
    nginx.get("/u").header("Host", "b.example").send().assert(200, "MISS", &said("b.example", "/u"));
    nginx.get("/u").header("Host", "a.example").send().assert(200, "MISS", &said("a.example", "/u"));
    // Where both say one host, it is the same page.
    absolute("http://b.example/u", "b.example").assert(200, "HIT", &said("b.example", "/u"));
    absolute("http://a.example/u", "A.example").assert(200, "HIT", &said("a.example", "/u"));
    // Nor is a page served to a request that names another host.
    assert_ne!(absolute("http://a.example/u", "b.example").cache(), "HIT");
}

/// nginx's own work: such a request is refused before any module sees it.
#[test]
fn host_duplicate() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    for lines in ["Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n", "", "Host: a/b\r\n", "Host: a b\r\n"] {
        let mut raw = nginx.raw();
        raw.send(format!("GET /u HTTP/1.1\r\n{lines}\r\n"));
        assert_eq!(raw.response().status, 400, "{lines:?}");
    }
    assert_eq!(origin.total(), 0);
}

/// An origin that obeys the body of a GET: the body is no part of the key.
#[test]
fn fat_get() {
    let origin = Origin::start();
    origin.handle("/u", |request| Answer::page(String::from_utf8_lossy(&request.body).into_owned()));
    let nginx = cached(&origin).start();
    let evil = nginx.get("/u").method("GET").body("evil");
    for request in [evil.clone(), evil.clone().header("Transfer-Encoding", "chunked")] {
        let page = request.send();
        page.assert(200, "", "evil");
        assert_eq!(page.reason(), "request_body");
    }
    nginx.get("/u").send().assert(200, "MISS", "");
    nginx.get("/u").warm().assert(200, "HIT", "");
    evil.send().assert(200, "", "evil");
    nginx.get("/u").send().assert(200, "HIT", "");
    // An empty body is none.
    nginx.get("/u").header("Content-Length", "0").send().assert(200, "HIT", "");
}

/// Whatever an origin takes for two arguments, or for one, the raw query is the key.
#[test]
fn param_cloaking() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    apart(
        &nginx,
        &origin,
        &[
            "/u?a=1",
            "/u?a=1;a=2",
            "/u?a=1&a=2",
            "/u?a=2&a=1",
            "/u?a=1&utm=x;a=2",
            "/u?a[]=1",
            "/u?a%5b%5d=1",
            "/u?A=1",
            "/u?a=1&",
            "/u?&a=1",
            "/u?a=1%26a=2",
            "/u?a=1%00",
            "/u?a=1%23",
            "/u?a=1+",
            "/u?a=1%20",
            "/u?a",
            "/u?a=",
            "/u?%61=1",
            "/u?a=1?",
            "/u??",
        ],
    );
}

/// Targets that one decoder takes for the same and another one for two.
#[test]
fn key_collisions() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    apart(
        &nginx,
        &origin,
        &[
            "/a/../b",
            "/b",
            "/b/",
            "//b",
            "/./b",
            "/B",
            "/%62",
            "/b%2F",
            "/b%2f",
            "/b%3F",
            "/b;",
            "/b;x",
            "/b%23",
            "/b%3Fx=1",
            "/b?x=1",
            "/b%26x=1",
            "/b%20",
            "/b+",
            "/b%0A",
            "/b%0a",
            "/b%25",
            "/b%252F",
            "/b/.",
            "/b/..",
            "/b\\",
            "/b|c",
            "/b:c",
            "/http://b",
        ],
    );
}

/// The whole key is compared, not its first bytes.
#[test]
fn key_length() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    let long = "x".repeat(6_000);
    let targets = [
        format!("/{long}a"),
        format!("/{long}b"),
        format!("/{long}"),
        format!("/a{long}"),
        format!("/?{long}a"),
    ];
    apart(&nginx, &origin, &targets.iter().map(String::as_str).collect::<Vec<_>>());
}

/// An encoded line end stays encoded on its way to the origin, and in what a variable tells of the key; a bare CR is nginx's to refuse.
#[test]
fn crlf_in_path() {
    let origin = echoing();
    let nginx = cached(&origin)
        .http("add_header X-Key $twice_key always;")
        .location(
            "/moved/",
            format!("twice pages; rewrite ^/moved(.*)$ /inner$1 last; proxy_pass {};", origin.url()),
        )
        .start();
    for path in ["/u%0d%0aX-Evil:%201", "/u%0aX-Evil:1?%0d%0aX-Evil:1", "/moved/u%0d%0aX-Evil:%201"] {
        for cache in ["MISS", "HIT"] {
            let page = nginx.get(path).send();
            assert_eq!(
                (page.status, page.cache(), page.header("X-Evil")),
                (200, cache, None),
                "{path}: {page:?}"
            );
        }
    }
    for request in origin.requests("/u%0d%0aX-Evil:%201") {
        assert_eq!(request.header("X-Evil"), None);
    }
    assert_eq!(origin.total(), 3);
    let mut raw = nginx.raw();
    raw.send("GET /u\rX-Evil: 1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(raw.response().status, 400);
}

/// A client may name any header in `Connection`: what the origin hears then is what it hears of nginx without Twice.
#[test]
fn hop_by_hop_request() {
    let origin = Origin::start();
    origin.handle("/*", |request| Answer::page(request.header("X-T").unwrap_or("none").to_owned()));
    let with = cached(&origin).start();
    let without = Nginx::plain().location("/", format!("proxy_pass {};", origin.url())).start();
    for connection in ["X-T", "close, X-T", "keep-alive, x-t"] {
        let ask = |nginx: &Nginx, path: &str| {
            nginx.get(path).header("Connection", connection).header("X-T", "k").send().text()
        };
        assert_eq!(ask(&with, "/u"), ask(&without, "/u"), "{connection}");
        with.get("/u").warm();
    }
}
