//! Guarded tags: what visitors write into a page is text, whoever asks for it.

use std::fs;

use fixture::{Answer, Nginx, Origin, Setup};

const TOKEN: &str = "s3cret-s3cret_16";
const OTHER: &str = "0ther-token-16xx";

fn cached(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice().location("/", format!("twice pages; twice_key $uri; {lines} proxy_pass {};", origin.url()))
}

fn guarded(body: &str) -> Answer {
    Answer::page(body.replace('#', TOKEN)).header("Twice-Guard", TOKEN)
}

/// What Ann sees at first, and what she sees then. Nobody sees the token.
#[track_caller]
fn sees(nginx: &Nginx, path: &str, caches: [&str; 2], page: &str) {
    for cache in caches {
        let answer = nginx.get(path).cookie("name=Ann").send();
        answer.assert(200, cache, page);
        assert_eq!(answer.header("Twice-Guard"), None);
        assert!(!answer.headers.iter().any(|(_, value)| value.contains(TOKEN)), "{answer:?}");
    }
}

#[test]
fn what_a_visitor_writes_into_a_page_is_no_tag() {
    let origin = Origin::start();
    // The page holds the comment as it came.
    origin.handle("/page", |request| {
        let comment = request.header("X-Comment").unwrap_or_default().to_owned();
        guarded(&format!("Hello <&# get cookie name Guest &>: {comment}, <&# if cookie name &>1<&# end &>"))
    });
    for (n, lines) in ["", "twice_tags guarded;", "twice_tags all;"].iter().enumerate() {
        let nginx = cached(&origin, lines).start();
        for comment in [
            "<& get var hostname &>",
            "<& include /internal &>",
            "<& get cookie name",
            "<& end &><& else &>",
            "&>",
            "<&",
            "<&s3cret-s3cret_1",
            "<&s3cret-s3cret_17 get var hostname &>",
            "<&0ther-token-16xx get var hostname &>",
        ] {
            let path = format!("/page?{n}");
            for (cookie, page) in [("name=Ann", "Ann: COMMENT, 1"), ("x=y", "Guest: COMMENT, ")] {
                let answer =
                    nginx.get(&path).header("X-Comment", comment).cookie(cookie).method("POST").send();
                assert_eq!(answer.text(), format!("Hello {}", page.replace("COMMENT", comment)), "{lines}");
            }
        }
        // The first one's comment is in the stored page, too.
        let hostile = "<& get var hostname &> <& end &>";
        nginx.get("/page").header("X-Comment", hostile).cookie("name=Ann").send().assert(
            200,
            "MISS",
            &format!("Hello Ann: {hostile}, 1"),
        );
        nginx.get("/page").send().assert(200, "HIT", &format!("Hello Guest: {hostile}, "));
        nginx.get("/page").cookie("name=Bob").send().assert(200, "HIT", &format!("Hello Bob: {hostile}, 1"));
        assert!(!nginx.log().contains(TOKEN));
    }
}

#[test]
fn twice_tags_says_what_a_missing_guard_means() {
    let origin = Origin::start();
    let text = "<& get cookie name &><&# get cookie name &>".replace('#', TOKEN);
    let page = || Answer::html(text.clone());
    let control = |answer: Answer| answer.header("X-Twice-Control", "max-age=60");
    let plain = |answer: Answer| answer.header("Cache-Control", "max-age=60");
    let guard = |answer: Answer, token: &str| answer.header("Twice-Guard", token);
    origin.on("/both", control(guard(page(), TOKEN)));
    origin.on("/guard", plain(guard(page(), TOKEN)));
    origin.on("/twice", control(guard(guard(page(), TOKEN), &format!(" {TOKEN} "))));
    origin.on("/control", control(page()));
    origin.on("/plain", plain(page()));
    origin.on("/short", control(guard(page(), "too-short")));
    origin.on("/empty", control(guard(page(), "")));
    origin.on("/sign", control(guard(page(), "0123456789abcde!")));
    origin.on("/list", control(guard(page(), &format!("{TOKEN}, {TOKEN}"))));
    // Neither the first nor the last of two counts.
    origin.on("/differ", control(guard(guard(page(), TOKEN), OTHER)));
    origin.on("/differ-last", control(guard(guard(page(), OTHER), TOKEN)));
    origin.on("/no-tags", guard(page(), TOKEN).header("X-Twice-Control", "max-age=60, no-tags"));
    let (filled, inert) = ("<& get cookie name &>Ann".to_owned(), text.clone());
    // All of it is a tag, and the second one knows no such command.
    let unguarded = format!("Ann<&{TOKEN} get cookie name &>");
    let table = [
        ("marked", "/both", &filled),
        ("marked", "/guard", &filled),
        ("marked", "/twice", &filled),
        ("marked", "/control", &unguarded),
        ("marked", "/plain", &inert),
        ("marked", "/differ", &inert),
        ("marked", "/differ-last", &inert),
        ("marked", "/no-tags", &inert),
        ("guarded", "/both", &filled),
        ("guarded", "/guard", &filled),
        ("guarded", "/twice", &filled),
        ("guarded", "/control", &inert),
        ("guarded", "/plain", &inert),
        ("guarded", "/short", &inert),
        ("guarded", "/empty", &inert),
        ("guarded", "/sign", &inert),
        ("guarded", "/list", &inert),
        ("guarded", "/differ", &inert),
        ("guarded", "/differ-last", &inert),
        ("guarded", "/no-tags", &inert),
        ("all", "/both", &filled),
        ("all", "/plain", &unguarded),
        ("all", "/short", &inert),
        ("all", "/differ", &inert),
        ("all", "/differ-last", &inert),
        ("off", "/both", &inert),
        ("off", "/guard", &inert),
        ("off", "/differ", &inert),
    ];
    for mode in ["marked", "guarded", "all", "off"] {
        let nginx = cached(&origin, &format!("twice_tags {mode};")).start();
        if mode != "off" {
            nginx.allow_log("its tags are text");
        }
        nginx.allow_log("unknown command at line 1");
        for (_, path, page) in table.iter().filter(|row| row.0 == mode) {
            for cache in ["MISS", "HIT"] {
                let answer = nginx.get(path).cookie("name=Ann").send();
                assert_eq!((answer.cache(), answer.text().as_str()), (cache, page.as_str()), "{mode} {path}");
            }
        }
    }
}

#[test]
fn a_page_whose_guard_is_missing_or_bad_is_told() {
    let origin = Origin::start();
    origin.on("/missing", Answer::page("<& get cookie name &>"));
    origin.on("/bad", Answer::page("<& get cookie name &>").header("Twice-Guard", "b a d"));
    // Nothing in it looks like a tag: nobody misses a guard.
    origin.on("/quiet", Answer::page("a < & b"));
    origin.on("/off", Answer::html("<& get cookie name &>").header("X-Twice-Control", "max-age=60, no-tags"));
    origin.on(
        "/json",
        Answer::ok("<& get cookie name &>")
            .header("Content-Type", "application/json")
            .header("X-Twice-Control", "max-age=60"),
    );
    let lines = "twice_tags guarded;";
    for (path, line) in [
        (
            "/missing",
            "page \"/missing\" has no \"Twice-Guard\", which \"twice_tags guarded\" demands: its tags are text",
        ),
        (
            "/bad",
            "page \"/bad\" has a bad \"Twice-Guard\", allowed is one token of 16 to 128 letters, digits, \"-\" and \"_\": its tags are text",
        ),
    ] {
        let nginx = cached(&origin, lines).start();
        nginx.expect_log(line);
        for path in ["/quiet", "/off"] {
            nginx.get(path).send().assert_cache("MISS");
        }
        nginx.get("/json").send();
        sees(&nginx, path, ["MISS", "HIT"], "<& get cookie name &>");
        sees(&nginx, path, ["HIT", "HIT"], "<& get cookie name &>");
        assert_eq!(nginx.log_count("its tags are text"), 1);
    }
    // One that is not stored is told, too, if it is marked.
    let nginx = cached(&origin, lines).start();
    nginx.expect_log("page \"/missing\" has no \"Twice-Guard\"");
    nginx.get("/missing").method("POST").send().assert(200, "", "<& get cookie name &>");
}

#[test]
fn each_generation_of_a_page_has_its_own_token() {
    let origin = Origin::start();
    let page = |token: &str| {
        Answer::page(format!("<&{token} get cookie name &><&{TOKEN} get cookie name &>"))
            .header("Twice-Guard", token)
    };
    let nginx = cached(&origin, "twice_bypass $arg_fresh;").start();
    origin.on("/page", page(OTHER));
    // What was another generation's token is text like any other.
    sees(&nginx, "/page", ["MISS", "HIT"], &format!("Ann<&{TOKEN} get cookie name &>"));
    origin.on("/page", page(TOKEN));
    nginx.get("/page?fresh=1").cookie("name=Ann").send().assert(200, "BYPASS", "AnnAnn");
    sees(&nginx, "/page", ["HIT", "HIT"], "AnnAnn");
}

#[test]
fn a_bad_guarded_tag_shows_no_token() {
    let origin = Origin::start();
    origin.on(
        "/",
        guarded("<&# fetch x &>\n<&#get cookie name &>\n<&# get cookie name | nonsense &>\n<&# get cookie\n<&# get <&# x")
            .header("Twice-Headers", "X-Own")
            .header("X-Own", format!("<&{TOKEN} fetch x &>")),
    );
    let nginx = cached(&origin, "twice_tags guarded;").start();
    for line in [
        "bad tag in page \"/\": unknown command at line 1 in \"<& fetch x &>\"",
        "bad tag in page \"/\": no space after the guard at line 2 in \"<&get cookie name &>\"",
        "bad tag in page \"/\": unknown filter at line 3 in \"<& get cookie name | nonsense &>\"",
        "bad tag in page \"/\": unterminated tag at line 4 in \"<& get cookie\"",
        "bad tag in page \"/\": unterminated tag at line 5 in \"<& get <& x\"",
        "bad tag in header \"X-Own\" of page \"/\": unknown command in \"<& fetch x &>\"",
    ] {
        nginx.expect_log(line);
    }
    let page = "<& fetch x &>\n<&get cookie name &>\nAnn\n<& get cookie\n<& get <& x";
    sees(&nginx, "/", ["MISS", "HIT"], page);
    assert_eq!(nginx.get("/").send().header("X-Own"), Some("<& fetch x &>"));
    assert!(!nginx.log().contains(TOKEN));
}

/// A snapshot is all that is stored.
#[test]
fn what_is_stored_has_no_token() {
    let origin = Origin::start();
    origin.on(
        "/",
        guarded("Hello <&# get cookie name &>, <&# fetch x &><& get cookie name &><&# get")
            .header("Twice-Headers", "X-Own")
            .header("X-Own", format!("of <&{TOKEN} get cookie name &>")),
    );
    let nginx = Nginx::bare()
        .http("twice_zone pages 16m snapshot=pages.snap; add_header X-Cache $twice_cache_status;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .start();
    nginx.allow_log("bad tag in page");
    sees(&nginx, "/", ["MISS", "HIT"], "Hello Ann, <& fetch x &><& get cookie name &><& get");
    let setup = nginx.setup().clone();
    nginx.finish();
    let stored = fs::read(setup.folder().join("pages.snap")).unwrap();
    let holds = |text: &str| stored.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("Hello ") && holds("X-Own"));
    assert!(!holds(TOKEN));
}

#[test]
fn a_page_that_lost_a_token_and_has_no_tag_is_not_its_origins() {
    let origin = Origin::start();
    let page = |body: &str| guarded(body).header("Content-MD5", "of the body").header("ETag", "\"a\"");
    origin.on("/same", page("<& get cookie name &>"));
    origin.on("/other", page(&format!("<&{TOKEN} fetch cookie name &>")));
    let nginx = cached(&origin, "").start();
    nginx.expect_log("bad tag in page \"/other\"");
    for (path, body, own) in
        [("/same", "<& get cookie name &>", true), ("/other", "<& fetch cookie name &>", false)]
    {
        nginx.get(path).warm();
        let answer = nginx.get(path).send();
        answer.assert(200, "HIT", body);
        assert_eq!(answer.header("Content-MD5").is_some(), own, "{answer:?}");
        assert_eq!(answer.header("ETag") == Some("\"a\""), own, "{answer:?}");
        assert_eq!(answer.header("Cache-Control"), None);
    }
}

#[test]
fn an_expression_has_the_token_in_its_group() {
    let origin = Origin::start();
    origin.on("/", guarded("[[ [[get var hostname]] [[# get cookie name Guest ]] ]]"));
    let nginx = cached(&origin, "twice_tags guarded; twice_delimiters '~\\[\\[(.*?)\\]\\]';").start();
    sees(&nginx, "/", ["MISS", "HIT"], "[[ [[get var hostname]] Ann ]]");
    nginx.get("/").send().assert(200, "HIT", "[[ [[get var hostname]] Guest ]]");
}

#[test]
fn a_guarded_page_cut_anywhere_is_the_same() {
    let origin = Origin::start();
    let body = "a<&# get cookie name &>b<& get cookie name &>";
    origin.on("/", guarded(body).chunked().cut_every(1));
    let nginx = cached(&origin, "proxy_http_version 1.1; proxy_buffering off;").start();
    sees(&nginx, "/", ["MISS", "HIT"], "aAnnb<& get cookie name &>");
}
