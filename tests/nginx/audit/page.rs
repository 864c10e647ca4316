//! The way of docs/audit.md to put an unknown application behind the cache, taken at its word.

use std::fs;

use fixture::docs::examples;
use fixture::{Answer, Nginx, Origin, until};

use super::user;

/// What stands between two lines.
fn between<'t>(text: &'t str, begin: &str, end: &str) -> &'t str {
    text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).unwrap().0
}

#[test]
fn the_pages_steps_lead_to_a_page_that_is_shared() {
    let origin = Origin::start();
    let conf =
        examples("An unknown application", "nginx").concat().replace("http://127.0.0.1:8000", &origin.url());
    let nginx = Nginx::bare()
        .http(between(&conf, "http {\n", "    server {\n"))
        .server(between(&conf, "listen 8080;\n", "\n    }\n}"))
        .start();
    let log = || fs::read_to_string(nginx.setup().folder().join("twice.log")).unwrap_or_default();
    let lines = || log().lines().map(str::to_owned).collect::<Vec<_>>();
    let visit = |path: &str, user: &str| {
        let before = lines().len();
        let text = nginx.get(path).cookie(&format!("user={user}")).send().text();
        until("it is logged", || lines().len() > before);
        text
    };
    origin.on("/news", Answer::html("news").header("X-Request-Id", "1"));
    let greets =
        |request: &fixture::Received| Answer::html(format!("<body>\n<p>Hello {}!</p>\n", user(request)));
    origin.handle("/", greets);
    visit("/news", "Ann");
    origin.on("/news", Answer::html("news").header("X-Request-Id", "2"));
    visit("/news", "Bob");
    visit("/news", "Eve");
    visit("/", "Ann");
    assert_eq!(visit("/", "Bob"), "<body>\n<p>Hello Bob!</p>\n");
    assert_eq!(log(), examples("An unknown application", "log").concat());
    nginx.expect_log(
        "the page \"/\" is not stored, two visitors were sent different ones: body line 2 column 10",
    );
    let status: serde_json::Value = serde_json::from_slice(&nginx.get("/_twice").send().body).unwrap();
    let figures = &status["zones"]["pages"];
    assert_eq!((figures["audit_waits"].as_u64(), figures["audit_differs"].as_u64()), (Some(2), Some(1)));
    // The tag.
    origin.on("/", Answer::html(examples("An unknown application", "html").concat()));
    nginx.allow_log("two visitors were sent different ones");
    visit("/", "Ann");
    for user in ["Bob", "Ann", "Eve"] {
        assert_eq!(visit("/", user), format!("<body>\n<p>Hello {user}!</p>\n"));
    }
    let all = lines();
    assert_eq!(
        all[5..],
        [
            "200 MISS audit_differs body line 2 column 10 /",
            "200 MISS stored /",
            "200 HIT hit /",
            "200 HIT hit /"
        ]
    );
}
