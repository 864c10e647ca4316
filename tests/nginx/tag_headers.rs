//! Tags in header lines: `Twice-Headers`.

use fixture::{Answer, Nginx, Origin, Setup, until};

fn cached(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice().location("/", format!("twice pages; {lines} proxy_pass {};", origin.url()))
}

/// A header's value as Ann gets it with the page that is fetched, and with the stored one.
#[track_caller]
fn sees(nginx: &Nginx, path: &str, name: &str, value: &[&str]) {
    for cache in ["MISS", "HIT"] {
        let answer = nginx.get(path).cookie("name=Ann").send();
        answer.assert_cache(cache);
        assert_eq!(answer.all(name), value, "{path} {cache}: {answer:?}");
        assert_eq!(answer.header("Twice-Headers"), None);
    }
}

#[test]
fn listed_header_lines_are_filled() {
    let origin = Origin::start();
    let page = |value: &str| {
        Answer::page("<& get cookie name &>").header("Twice-Headers", "x-one, X-Two").header("X-One", value)
    };
    let nginx = cached(&origin, "").start();
    for (n, (line, value)) in [
        ("Hello <& get cookie name Guest &>!", "Hello Ann!"),
        ("<& get cookie name | upper &>", "ANN"),
        ("no tag", "no tag"),
        ("<& if cookie name &>in<& else &>out<& end &>", "in"),
        ("<& get page status &> <& get page age &>", "200 0"),
        ("<& get cookie none '<\"&' &>", "<\"&"),
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/{n}");
        origin.on(&path, page(line));
        sees(&nginx, &path, "X-One", &[value]);
    }
    // Lines of one name are lines each; one that is not listed is not looked at; the list may have several lines.
    origin.on(
        "/lines",
        page("1 <& get cookie name &>")
            .header("X-ONE", "2 <& get cookie name &>")
            .header("X-Two", "<& get cookie name Guest &>")
            .header("X-Three", "<& get cookie name &>")
            .header("Twice-Headers", "X-Four")
            .header("X-Four", "<& get cookie name &>"),
    );
    sees(&nginx, "/lines", "X-One", &["1 Ann", "2 Ann"]);
    let bob = nginx.get("/lines").cookie("name=Bob").send();
    assert_eq!((bob.header("X-Two"), bob.header("X-Four")), (Some("Bob"), Some("Bob")));
    assert_eq!(bob.header("X-Three"), Some("<& get cookie name &>"));
    assert_eq!(bob.all("X-One"), ["1 Bob", "2 Bob"]);
    let nobody = nginx.get("/lines").head().send();
    assert_eq!((nobody.all("X-One"), nobody.header("X-Two")), (vec!["1", "2"], Some("Guest")));
}

#[test]
fn a_page_whose_body_has_no_tags_may_have_them_in_its_header() {
    let origin = Origin::start();
    let page = |body: &str| {
        Answer::page(body)
            .header("ETag", "\"template\"")
            .header("Twice-Headers", "X-Name")
            .header("X-Name", "<& get cookie name Guest &>")
    };
    origin.on("/small", page("small"));
    origin.on("/empty", page(""));
    let large = "large ".repeat(10_000);
    origin.on("/large", page(&large));
    let nginx = cached(&origin, "").start();
    for (path, body) in [("/small", "small"), ("/empty", ""), ("/large", large.as_str())] {
        sees(&nginx, path, "X-Name", &["Ann"]);
        let answer = nginx.get(path).send();
        assert!(answer.text() == body && answer.header("X-Name") == Some("Guest"), "{path}");
        // It is one visitor's.
        assert_eq!(answer.header("Cache-Control"), Some("private, no-cache"));
        assert_ne!(answer.header("ETag"), Some("\"template\""));
    }
}

#[test]
fn what_twice_or_nginx_makes_is_not_listed() {
    let origin = Origin::start();
    let nginx = cached(&origin, "").start();
    let names = [
        "Set-Cookie",
        "Location",
        "Refresh",
        "Cache-Control",
        "Vary",
        "ETag",
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "Transfer-Encoding",
        "Connection",
        "Age",
        "Via",
        "X-Twice-Control",
        "X-Geo",
    ];
    nginx.expect_log(
        "\"Twice-Headers\" of page \"/\" lists 15 headers that can have no tags, \"set-cookie\" first",
    );
    let tag = "a <& get cookie name &>";
    origin.on(
        "/",
        Answer::page("x")
            .header("Twice-Headers", names.join(", ") + ",X-Name")
            .header("Set-Cookie", tag)
            .header("Location", tag)
            .header("X-Name", tag),
    );
    for cache in ["MISS", "HIT"] {
        let answer = nginx.get("/").cookie("name=Ann").send();
        answer.assert(200, cache, "x");
        assert_eq!(answer.header("X-Name"), Some("a Ann"));
        assert_eq!(answer.header("Location"), Some(tag));
    }
}

#[test]
fn a_line_that_grows_too_long_is_left_out() {
    let origin = Origin::start();
    let twice = "<& get cookie name &><& get cookie name &>";
    origin.on(
        "/",
        Answer::page("x")
            .header("Twice-Headers", "X-Long, X-Short")
            .header("X-Long", twice)
            .header("X-Short", "<& get cookie none &>"),
    );
    let nginx = cached(&origin, "").server("large_client_header_buffers 8 16k;").start();
    nginx.expect_log("a header \"X-Long\" with its values is longer than 8192 bytes, and left out");
    for (len, there) in [(5_000, false), (5_000, false), (4_096, true), (4_097, false)] {
        let answer = nginx.get("/").cookie(&format!("name={}", "n".repeat(len))).send();
        assert_eq!((answer.status, answer.text().as_str()), (200, "x"));
        assert_eq!(answer.header("X-Long").map(str::len), there.then_some(2 * len));
        // Where nothing is left to say nothing is said.
        assert_eq!(answer.header("X-Short"), None);
    }
}

#[test]
fn sources_are_not_asked_for_a_header_line() {
    let origin = Origin::start();
    origin.on("/part", "part");
    origin.on(
        "/",
        Answer::page("<& get viewdb views 0 &> <& include /part &> <& incr viewdb views &>")
            .header("Twice-Headers", "X-Views, X-Part, X-Name")
            .header("X-Views", "<& get viewdb views none &><& incr viewdb views &>")
            .header("X-Part", "<& include /part | default:none &>")
            .header("X-Name", "<& get cookie name &>"),
    );
    let nginx = cached(&origin, "").start();
    let of = |name: &str, tag: &str| {
        nginx.expect_log(&format!(
            "bad tag in header \"{name}\" of page \"/\": source or fragment in a header in \"{tag}\""
        ));
    };
    of("X-Views", "<& get viewdb views none &>");
    of("X-Views", "<& incr viewdb views &>");
    of("X-Part", "<& include /part | default:none &>");
    let views = || -> usize {
        let answer = nginx.get("/").cookie("name=Ann").send();
        let head = [answer.header("X-Views"), answer.header("X-Part"), answer.header("X-Name")];
        assert_eq!(head, [Some("none"), Some("none"), Some("Ann")], "{answer:?}");
        answer.text().split_once(" part").expect("the fragment is there").0.parse().unwrap()
    };
    assert_eq!(views(), 0);
    // Counted once a page, by its body.
    until("the second is counted", || views() >= 1);
    assert_eq!(nginx.log_count("bad tag"), 3);
}

#[test]
fn a_page_that_stands_in_has_its_header_lines_filled() {
    let mut origin = Origin::start();
    origin.on(
        "/",
        Answer::html("old")
            .header("X-Twice-Control", "max-age=1, stale-if-error=600")
            .header("Twice-Headers", "X-Name")
            .header("X-Name", "<& get cookie name Guest &>"),
    );
    let nginx = cached(&origin, "twice_stale_factor 1;").start();
    nginx.get("/").send().assert(200, "MISS", "old");
    nginx.allow_log("Connection refused");
    origin.stop();
    until("the page stands in", || {
        let answer = nginx.get("/").cookie("name=Ann").send();
        assert_eq!((answer.text().as_str(), answer.all("X-Name")), ("old", vec!["Ann"]));
        answer.cache() == "STALE"
    });
}

#[test]
fn a_page_that_is_renewed_keeps_its_tags_and_shows_no_token() {
    const TOKEN: &str = "s3cret-s3cret_16";
    let origin = Origin::start();
    origin.handle("/", |request| {
        let tag = format!("<&{TOKEN} get cookie name Guest &>");
        let answer = if request.header("If-None-Match").is_some() {
            Answer::new(304, "")
        } else {
            Answer::html(tag.clone())
        };
        // A 304 says all of it again, with tags that nothing compiles.
        answer
            .header("X-Twice-Control", "max-age=1")
            .header("ETag", "\"a\"")
            .header("Twice-Guard", TOKEN)
            .header("Twice-Headers", "X-Name, X-New")
            .header("X-Name", tag.clone())
            .header(
                if request.header("If-None-Match").is_some() { "X-New" } else { "X-Old" },
                tag.replace("get", "fetch"),
            )
            .header("X-Count", "1")
    });
    let nginx = cached(&origin, "twice_tags guarded; twice_stale_factor 1;").start();
    let mut renewed = 0;
    until("the page is renewed twice", || {
        let answer = nginx.get("/").cookie("name=Ann").send();
        assert_eq!(
            (answer.status, answer.text().as_str(), answer.all("X-Name")),
            (200, "Ann", vec!["Ann"]),
            "{answer:?}"
        );
        assert_eq!((answer.header("X-New"), answer.header("X-Count")), (None, Some("1")));
        assert!(
            !answer.headers.iter().any(|(name, value)| name != "X-Old" && value.contains(TOKEN)),
            "{answer:?}"
        );
        renewed += usize::from(answer.cache() == "REVALIDATED");
        renewed == 2
    });
    assert!(!nginx.log().contains(TOKEN));
}
