//! Whose answer it is: cookies, passwords, variants, and requests that want nothing of the store.

use fixture::{Answer, Origin};

use super::{cached, cached_with, caching, control, each, never_stored, stored};

#[test]
fn a_cookie_goes_to_the_visitor_that_caused_the_fetch_and_to_nobody_else() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid any 1h;").start();
    origin.on(
        "/",
        control("max-age=60").header("Set-Cookie", "sid=1").header("Set-Cookie", "b=2").header("X-Kept", "y"),
    );
    let miss = nginx.get("/").send();
    assert_eq!((miss.cache(), miss.all("Set-Cookie")), ("MISS", vec!["sid=1", "b=2"]));
    let hit = nginx.get("/").warm();
    assert_eq!((hit.all("Set-Cookie"), hit.header("X-Kept")), (vec![], Some("y")));
    // Without the control header such an answer is one visitor's.
    let answers = [
        Answer::html("x").header("Cache-Control", "public, max-age=60"),
        Answer::html("x").header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
        Answer::html("x"),
        Answer::html("x").header("X-Twice-Control", "no-tags"),
    ];
    let answers = answers.map(|answer| answer.header("set-cookie", "sid=1"));
    for path in each(&origin, "plain", answers) {
        let page = never_stored(&nginx, &origin, &path, "set_cookie");
        assert_eq!(page.header("Set-Cookie"), Some("sid=1"));
    }
}

#[test]
fn an_answer_to_a_password_is_shared_only_where_it_says_so() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_valid 201 1h;").start();
    let secret = ["max-age=60", "max-age=60, stale-while-revalidate=5"];
    for path in each(&origin, "secret", secret.map(caching)) {
        for count in 1..=2 {
            let page = nginx.get(&path).header("Authorization", "Basic dTpw").send();
            assert_eq!((page.cache(), page.reason(), origin.count(&path)), ("MISS", "authorization", count));
        }
        assert_eq!(origin.last(&path).header("Authorization"), Some("Basic dTpw"));
        // Whoever has none gets what the origin gives to everybody.
        nginx.get(&path).send().assert_cache("MISS");
        nginx.get(&path).warm();
    }
    origin.on("/valid", Answer::new(201, "x"));
    assert_eq!(nginx.get("/valid").header("authorization", "x").send().reason(), "authorization");
    let shared = [
        caching("public, max-age=60"),
        caching("must-revalidate, max-age=60"),
        caching("s-maxage=60"),
        control("max-age=60"),
    ];
    for path in each(&origin, "shared", shared) {
        nginx.get(&path).header("Authorization", "Basic dTpw").warm();
        stored(&nginx, &path, 60);
    }
}

#[test]
fn an_answer_that_varies_by_what_the_origin_never_sees_is_one_page() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let one = [
        "Accept-Encoding",
        "accept-ENCODING",
        "Accept-Encoding, accept-encoding",
        " , Accept-Encoding ,",
        "Range, If-None-Match",
        "",
    ];
    for path in each(&origin, "one", one.map(|value| control("max-age=60").header("Vary", value))) {
        stored(&nginx, &path, 60);
        for name in ["Accept-Encoding", "Pragma", "If-None-Match"] {
            nginx.get(&path).header(name, "\"y\"").send().assert_cache("HIT");
        }
        assert_eq!(origin.count(&path), 1);
    }
}

#[test]
fn an_answer_that_varies_by_what_can_not_be_told_is_not_stored() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    let many = ["*", "*, Accept-Encoding", "Accept-Encoding,*", "*, foo", "Accept-Encoding Cookie"];
    for path in each(&origin, "many", many.map(|value| control("max-age=60").header("Vary", value))) {
        never_stored(&nginx, &origin, &path, "varies");
    }
    let names: Vec<_> = (0..17).map(|n| format!("X-{n}")).collect();
    let too_much = [names.join(", "), "x".repeat(257)];
    for path in each(&origin, "much", too_much.map(|value| control("max-age=60").header("Vary", value))) {
        never_stored(&nginx, &origin, &path, "varies");
    }
    origin.on("/lines", caching("max-age=60").header("Vary", "Accept-Encoding").header("Vary", "*"));
    never_stored(&nginx, &origin, "/lines", "varies");
    // One name over and over is one name, and 16 are not too many.
    let long = format!("Accept-Encoding, {}", "X-Long, ".repeat(200));
    for path in
        each(&origin, "long", [long, names[1..].join(",")].map(|v| control("max-age=60").header("Vary", v)))
    {
        stored(&nginx, &path, 60);
    }
    // No such test.
    origin.on("/ab", control("max-age=60").header("X-ABDependency", "a, b"));
    let page = never_stored(&nginx, &origin, "/ab", "varies");
    assert_eq!(page.header("X-ABDependency"), None);
}

#[test]
fn an_encoded_body_is_not_stored_and_not_touched() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    for coding in ["gzip", "br", "GZIP", "gzip, br", "identity, gzip"] {
        let path = format!("/{}", coding.replace(", ", "-"));
        origin.on(&path, Answer::page("<& get var pid &>").header("Content-Encoding", coding));
        let page = never_stored(&nginx, &origin, &path, "content_encoding");
        assert_eq!(
            (page.text().as_str(), page.header("Content-Encoding")),
            ("<& get var pid &>", Some(coding))
        );
    }
    origin.on("/identity", control("max-age=60").header("Content-Encoding", "identity"));
    stored(&nginx, "/identity", 60);
}

#[test]
fn a_bypass_is_not_looked_up_and_still_stored() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_bypass $cookie_a $cookie_b;").start();
    origin.on("/", Answer::page("old"));
    nginx.get("/").warm();
    origin.on("/", Answer::page("new"));
    for untrue in ["a=0", "a=; b=0", "c=1"] {
        nginx.get("/").cookie(untrue).send().assert(200, "HIT", "old");
    }
    let bypass = nginx.get("/").cookie("a=0; b=yes").send();
    bypass.assert(200, "BYPASS", "new");
    assert_eq!(bypass.reason(), "recording");
    assert_eq!(bypass.header("Cache-Status"), Some("Twice; fwd=bypass; stored"));
    nginx.get("/").send().assert(200, "HIT", "new");
    // An error does not take the good page's place.
    origin.on("/", Answer::new(500, "broken"));
    nginx.get("/").cookie("a=1").send().assert(500, "BYPASS", "broken");
    nginx.get("/").send().assert(200, "HIT", "new");
}

#[test]
fn what_must_not_be_stored_is_served_from_the_store_all_the_same() {
    let origin = Origin::start();
    let nginx = cached_with(&origin, "twice_no_store $cookie_n $sent_http_x_own;").start();
    origin.on("/", control("max-age=60"));
    for count in 1..=3 {
        let page = nginx.get("/").cookie("n=1").send();
        assert_eq!((page.cache(), page.reason(), origin.count("/")), ("MISS", "no_store", count));
    }
    nginx.get("/").cookie("n=0").warm();
    nginx.get("/").cookie("n=1").send().assert(200, "HIT", "x");
    // The response's own headers may be asked.
    origin.on("/own", control("max-age=60").header("X-Own", "1"));
    never_stored(&nginx, &origin, "/own", "no_store");
}

#[test]
fn a_denied_visitor_gets_nothing_from_the_store() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("secret"));
    let nginx = cached_with(&origin, "auth_basic x; auth_basic_user_file users;")
        .file("users", "u:{PLAIN}p\n")
        .start();
    nginx.get("/").arg("-u").arg("u:p").warm().assert(200, "HIT", "secret");
    for request in [nginx.get("/"), nginx.get("/").arg("-u").arg("u:q")] {
        let page = request.send();
        assert_eq!((page.status, page.cache()), (401, ""), "{page:?}");
        assert!(!page.text().contains("secret"));
    }
    nginx.expect_log("password mismatch");
}
