//! Who may get a stored page: section 2 of the list of attacks, a story for each row.

use fixture::{Answer, Origin, Received};

use super::{cached, cached_with, not_shared, proves_hits};

/// What makes a private page look like a file that may be shared.
const TAILS: [&str; 10] = [
    "/x.css",
    ";x.css",
    "%2Fx.css",
    "%00x.css",
    "%3Fx.css",
    "%23x.css",
    "%0Ax.css",
    "/..%2Fx.css",
    "?x.css",
    ".css",
];

/// A victim is led to such a path; whoever asks for it afterwards must not see his page.
#[track_caller]
fn deceived(cache_control: Option<&'static str>) {
    let origin = Origin::start();
    let account = move |request: &Received| {
        let page = Answer::html(format!("account of {}", request.cookie("s").unwrap_or("nobody")));
        cache_control.into_iter().fold(page, |page, value| page.header("Cache-Control", value))
    };
    origin.handle("/account*", account);
    // What forbids does so in a location that keeps all else.
    let lines = if cache_control.is_some() { "twice_valid any 1h;" } else { "" };
    let nginx = cached_with(&origin, lines).start();
    proves_hits(&nginx, &origin);
    for tail in TAILS {
        let path = format!("/account{tail}");
        // nginx itself refuses a NUL.
        let status = if tail.contains("%00") { 400 } else { 200 };
        let victim = nginx.get(&path).cookie("s=victim").send();
        assert_eq!((victim.status, victim.text().contains("account of victim")), (status, status == 200));
        for _ in 0..2 {
            let other = nginx.get(&path).send();
            assert!(other.status == status && other.cache() != "HIT", "{path}: {other:?}");
            assert!(!other.text().contains("victim"), "{path}: {other:?}");
        }
    }
}

#[test]
fn deception_no_store() {
    deceived(Some("no-store"));
    deceived(Some("no-store, max-age=60"));
}

#[test]
fn deception_private() {
    deceived(Some("private"));
    deceived(Some("private, max-age=60"));
}

/// No word of a lifetime is a no.
#[test]
fn deception_no_cache_headers() {
    deceived(None);
}

#[test]
fn set_cookie() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let page = |cache: &str| Answer::html("x").header("Set-Cookie", "sid=1").header("Cache-Control", cache);
    for (path, cache) in [("/max", "max-age=60"), ("/public", "public, max-age=60"), ("/s", "s-maxage=60")] {
        origin.on(path, page(cache));
        let mine = not_shared(&origin, path, &nginx.get(path), &nginx.get(path));
        // Each has his own.
        assert_eq!(mine.header("Set-Cookie"), Some("sid=1"));
    }
    // Where the application steers the page is stored, without the cookie.
    origin.on("/steered", Answer::page("x").header("Set-Cookie", "sid=1"));
    assert_eq!(nginx.get("/steered").send().header("Set-Cookie"), Some("sid=1"));
    assert_eq!(nginx.get("/steered").warm().header("Set-Cookie"), None);
}

#[test]
fn authorization() {
    let origin = Origin::start();
    origin.on("/", Answer::html("secret").header("Cache-Control", "max-age=60"));
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let mine = nginx.get("/").arg("-u").arg("v:x");
    not_shared(&origin, "/", &mine, &mine);
    // Whoever has no password gets, and shares, what the origin has for everybody.
    origin.on("/", Answer::html("for all").header("Cache-Control", "max-age=60"));
    nginx.get("/").send().assert(200, "MISS", "for all");
    nginx.get("/").warm().assert(200, "HIT", "for all");
}

/// RFC 9111 3.5: these say that the answer may be shared all the same.
#[test]
fn authorization_public() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    for (path, cache) in [
        ("/public", "public, max-age=60"),
        ("/must-revalidate", "must-revalidate, max-age=60"),
        ("/s-maxage", "s-maxage=60"),
    ] {
        origin.on(path, Answer::html("for all").header("Cache-Control", cache));
        nginx.get(path).arg("-u").arg("v:x").send().assert(200, "MISS", "for all");
        nginx.get(path).warm().assert(200, "HIT", "for all");
        assert_eq!(origin.count(path), 1, "{path}");
    }
}

#[test]
fn vary_star() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let forms = ["*", "*, foo", "foo, *", "foo,*,bar", " * ", "Accept-Encoding, *"];
    for (n, vary) in forms.into_iter().enumerate() {
        let path = format!("/{n}");
        origin.on(&path, Answer::page("x").header("Vary", vary));
        let last = not_shared(&origin, &path, &nginx.get(&path), &nginx.get(&path));
        assert_eq!(last.reason(), "varies", "{vary}");
    }
    origin.on("/lines", Answer::page("x").header("Vary", "foo").header("Vary", "*"));
    not_shared(&origin, "/lines", &nginx.get("/lines"), &nginx.get("/lines"));
}

#[test]
fn vary_long() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    proves_hits(&nginx, &origin);
    let names = |count: usize| (0..count).map(|n| format!("X-{n}")).collect::<Vec<_>>().join(", ");
    for (path, vary) in [("/many", names(17)), ("/endless", names(5_00)), ("/long", "x".repeat(257))] {
        origin.on(path, Answer::page("x").header("Vary", vary));
        let last = not_shared(&origin, path, &nginx.get(path), &nginx.get(path));
        assert_eq!(last.reason(), "varies", "{path}");
    }
    // As much as is kept is kept whole: the last of the names counts, too.
    origin.handle("/kept", move |request| {
        Answer::page(request.header("X-15").unwrap_or("none").to_owned()).header("Vary", names(16))
    });
    for cache in ["MISS", "HIT"] {
        nginx.get("/kept").header("X-15", "a").send().assert(200, cache, "a");
        nginx.get("/kept").send().assert(200, cache, "none");
    }
}

/// The origin is asked for a page that everybody can read. One that encodes all the same is not shared.
#[test]
fn accept_encoding_unkeyed() {
    let origin = Origin::start();
    origin.handle("/*", |request| match request.header("Accept-Encoding") {
        Some(_) => Answer::page("squeezed").header("Content-Encoding", "gzip"),
        None => Answer::page("plain"),
    });
    let nginx = cached(&origin).start();
    nginx.get("/u").header("Accept-Encoding", "gzip").send().assert(200, "MISS", "plain");
    nginx.get("/u").send().assert(200, "HIT", "plain");
    origin.on("/always", Answer::page("squeezed").header("Content-Encoding", "gzip"));
    let last = not_shared(
        &origin,
        "/always",
        &nginx.get("/always").header("Accept-Encoding", "gzip"),
        &nginx.get("/always"),
    );
    assert_eq!(last.reason(), "content_encoding");
}

/// Only whom nginx lets in, by the address that the connection comes from.
#[test]
fn purge() {
    let origin = Origin::start();
    origin.handle("/*", |request| match request.method.as_str() {
        "GET" => Answer::page("x"),
        _ => Answer::new(405, "no"),
    });
    let allow = "allow 192.0.2.1; deny all;";
    let nginx = cached(&origin)
        .location("/_twice/purge", format!("twice_purge pages; {allow}"))
        .location("/_open/purge", "twice_purge pages; allow 127.0.0.1; deny all;")
        .start();
    nginx.get("/u").warm();
    let everybody = [
        (nginx.get("/u").method("PURGE"), 405),
        (nginx.get("/*").method("PURGE"), 405),
        (nginx.get("/u").method("BAN"), 405),
        (nginx.get("/_twice/purge/u").method("PURGE"), 403),
        (nginx.get("/_twice/purge").method("POST").body(r#"{"all":true}"#), 403),
        (nginx.get("/u").header("X-Mark-Dirty", "url"), 200),
        (nginx.get("/u").header("X-Mark-Dirty", "*"), 200),
    ];
    for (request, status) in everybody {
        for claim in ["X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Forwarded", "True-Client-IP"] {
            let value = if claim == "Forwarded" { "for=192.0.2.1" } else { "192.0.2.1" };
            assert_eq!(request.clone().header(claim, value).send().status, status, "{claim}");
        }
        nginx.get("/u").send().assert(200, "HIT", "x");
    }
    nginx.expect_log("access forbidden by rule");
    assert_eq!(nginx.get("/_open/purge/u").method("PURGE").send().status, 200);
    nginx.get("/u").send().assert(200, "MISS", "x");
}

#[test]
fn post_then_get() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        Answer::page(format!("{} {}", request.method, String::from_utf8_lossy(&request.body)))
    });
    let nginx = cached(&origin).start();
    nginx.get("/u").body("evil").send().assert(200, "", "POST evil");
    nginx.get("/u").send().assert(200, "MISS", "GET ");
    nginx.get("/u").warm().assert(200, "HIT", "GET ");
    // What may have changed something invalidates its page (RFC 9111 4.4).
    nginx.get("/u").body("evil").send().assert(200, "", "POST evil");
    nginx.get("/u").send().assert(200, "MISS", "GET ");
    // Unless it failed.
    origin.on("/u", Answer::new(400, "no"));
    nginx.get("/u").warm();
    assert_eq!(nginx.get("/u").body("evil").send().status, 400);
    nginx.get("/u").send().assert(200, "HIT", "GET ");
}

#[test]
fn odd_methods() {
    let origin = Origin::start();
    origin.handle("/*", |request| Answer::page(request.method.clone()));
    let nginx = cached(&origin).start();
    for method in ["POST", "OPTIONS", "PROPFIND", "PURGE", "get", "GETS", "HEADS", "TRACK"] {
        let path = format!("/{method}");
        let _ = nginx.get(&path).method(method).try_send();
        nginx.get(&path).send().assert(200, "MISS", "GET");
        nginx.get(&path).warm().assert(200, "HIT", "GET");
        let other = nginx.get(&path).method(method).try_send();
        assert_ne!(other.cache(), "HIT", "{method}: {other:?}");
        // One that may have changed something, and said that it succeeded, invalidates the page.
        let harmless = other.status >= 400 || matches!(method, "OPTIONS" | "PROPFIND");
        nginx.get(&path).send().assert(200, if harmless { "HIT" } else { "MISS" }, "GET");
        nginx.get(&path).warm();
    }
    // Words in the client's headers make it no other request either.
    let page = nginx.get("/POST").header("X-HTTP-Method-Override", "DELETE").send();
    page.assert(200, "HIT", "GET");
}

/// Three layers hold: a HEAD is not recorded, nothing is stored before its last buffer, which nginx sends of no answer to a
/// HEAD, and nothing that has another length than it promised.
#[test]
fn head_then_get() {
    let origin = Origin::start();
    origin.on("/", Answer::page("0123456789"));
    let nginx = cached(&origin).start();
    nginx.get("/").head().send();
    nginx.get("/").send().assert(200, "MISS", "0123456789");
    nginx.get("/").send().assert(200, "HIT", "0123456789");
    nginx.get("/").head().send();
    nginx.get("/").send().assert(200, "HIT", "0123456789");
}

/// An origin whose answer to HEAD has nothing to do with its page. The same layers hold.
#[test]
fn head_lies() {
    let origin = Origin::start();
    origin.handle("/*", |request| match request.method.as_str() {
        "HEAD" => Answer::page("another page").header("X-Of", "HEAD"),
        _ => Answer::page("0123456789").header("X-Of", "GET"),
    });
    let nginx = cached(&origin).start();
    nginx.get("/u").head().send();
    nginx.get("/u").send().assert(200, "MISS", "0123456789");
    nginx.get("/u").warm().assert(200, "HIT", "0123456789");
    // A HEAD of a stored page is answered from it.
    let head = nginx.get("/u").head().send();
    assert_eq!(
        (head.cache(), head.header("Content-Length"), head.header("X-Of")),
        ("HIT", Some("10"), Some("GET"))
    );
    assert_eq!(origin.count("/u"), 2);
}

/// Whatever a client has asked for, the origin was not: its 304 speaks of nobody's page. More of it is told in
/// `validation/lies.rs`.
#[test]
fn upstream_304_unasked() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid any 1h;").start();
    proves_hits(&nginx, &origin);
    nginx.expect_log("status 304 has come though no condition was sent");
    let same = Answer::new(304, "").header("ETag", "\"x\"");
    for (path, answer) in [
        ("/control", same.clone().header("X-Twice-Control", "max-age=60")),
        ("/cache-control", same.clone().header("Cache-Control", "public, max-age=60")),
        ("/none", same.clone()),
    ] {
        origin.on(path, answer);
        let asked = nginx.get(path).header("If-None-Match", "\"x\"");
        assert_eq!(not_shared(&origin, path, &asked, &nginx.get(path)).status, 502);
        origin.on(path, Answer::page("whole"));
        nginx.get(path).send().assert(200, "MISS", "whole");
        nginx.get(path).send().assert(200, "HIT", "whole");
    }
}

#[test]
fn range_then_full() {
    let origin = Origin::start();
    origin.handle("/u", |request| match request.header("Range") {
        Some(_) => Answer::new(206, "56789")
            .header("Content-Range", "bytes 5-9/10")
            .header("X-Twice-Control", "max-age=60"),
        None => Answer::page("0123456789"),
    });
    let nginx = cached(&origin).start();
    nginx.get("/u").range("5-9").send();
    nginx.get("/u").send().assert(200, "HIT", "0123456789");
    // If-Range asks for a part, too.
    let part = nginx.get("/u").range("5-9").header("If-Range", "\"x\"").send();
    assert!(part.cache() == "HIT" && "0123456789".contains(&part.text()), "{part:?}");
    nginx.get("/u").send().assert(200, "HIT", "0123456789");
}

#[test]
fn range_206_unasked() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid any 1h;").start();
    proves_hits(&nginx, &origin);
    let part = Answer::new(206, "4567").header("Content-Range", "bytes 4-7/10");
    for (path, answer) in [
        ("/control", part.clone().header("X-Twice-Control", "max-age=60")),
        ("/cache-control", part.clone().header("Cache-Control", "public, max-age=60")),
        ("/none", part.clone()),
    ] {
        origin.on(path, answer);
        let last = not_shared(&origin, path, &nginx.get(path), &nginx.get(path));
        assert_eq!((last.status, last.text().as_str()), (206, "4567"));
    }
}
