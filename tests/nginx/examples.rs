//! The first configuration of the README, and the application of docs/security.md that makes guards, taken at their word.

use std::process::Command;

use fixture::docs::examples;
use fixture::{Answer, Nginx, Origin, Response, until};

/// What stands between two lines.
fn between<'t>(text: &'t str, begin: &str, end: &str) -> &'t str {
    text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).unwrap().0
}

#[test]
fn the_first_configuration_keeps_what_may_be_shared() {
    let origin = Origin::start();
    let conf = examples("Use it", "nginx").concat().replace("http://127.0.0.1:8000", &origin.url());
    let header = examples("Use it", "http").concat();
    let (name, value) = header.trim_end().split_once(": ").unwrap();
    origin.on("/", Answer::html("Hello <& get cookie username Guest &>").header(name, value));
    origin.on("/other", Answer::html("Hello <& get cookie username Guest &>"));
    let nginx = Nginx::bare()
        .http(between(&conf, "http {\n", "    server {\n"))
        .server(between(&conf, "listen 8080;\n", "\n    }\n}"))
        .file("html/static/a", "a file")
        .start();
    let of = |path: &str, name: &str| nginx.get(path).cookie(&format!("username={name}")).send();
    assert_eq!(of("/", "Ann").text(), "Hello Ann");
    let hit = of("/", "Bob");
    assert_eq!(hit.text(), "Hello Bob");
    let told = hit.header("Cache-Status").unwrap();
    let left = told.strip_prefix("Twice; hit; ttl=").unwrap().parse::<u64>().unwrap();
    assert!(left <= 60 && left + 20 >= 60, "{told}");
    assert_eq!(origin.count("/"), 1);
    // What does not say so is neither shared nor looked at for tags.
    for _ in 0..2 {
        assert_eq!(of("/other", "Ann").text(), "Hello <& get cookie username Guest &>");
    }
    assert_eq!(origin.count("/other"), 2);
    assert_eq!(nginx.get("/static/a").send().text(), "a file");
}

#[test]
fn who_changes_too_much_is_bounded_and_who_reads_is_not() {
    let origin = Origin::start();
    let conf = examples("Unsafe methods within bounds", "nginx").concat();
    // However slow the machine is.
    let conf = conf.replace("http://127.0.0.1:8000", &origin.url()).replace("rate=5r/s", "rate=1r/m");
    origin.on("/", Answer::page("page"));
    origin.on("/change", Answer::ok("changed"));
    let nginx = Nginx::bare()
        .http(between(&conf, "http {\n", "    server {\n"))
        .http("limit_req_log_level info;")
        .server(between(&conf, "listen 8080;\n", "\n    }\n}"))
        .start();
    let is_hit =
        |page: &Response| page.header("Cache-Status").is_some_and(|told| told.starts_with("Twice; hit"));
    until("it is stored", || is_hit(&nginx.get("/").send()));
    let changes = || nginx.get("/change").method("POST").body("x").send().status;
    let accepted = (0..40).filter(|_| changes() == 200).count();
    // One, and 20 more at once.
    assert!((21..25).contains(&accepted), "{accepted}");
    for _ in 0..40 {
        let page = nginx.get("/").send();
        assert!(page.status == 200 && is_hit(&page), "{page:?}");
    }
}

#[test]
fn an_application_makes_guards() {
    let example = examples("Guarded tags", "python").concat();
    let origin = Origin::start();
    origin.handle("/", move |request| {
        // As JSON: the header lines, and the page.
        let program = format!("import json, sys\n{example}\nprint(json.dumps(answer(sys.argv[1])))\n");
        let comment = request.header("X-Comment").unwrap_or_default();
        let output = Command::new("python3").args(["-c", &program, comment]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (headers, page): (serde_json::Map<String, serde_json::Value>, String) =
            serde_json::from_slice(&output.stdout).unwrap();
        headers
            .iter()
            .fold(Answer::html(page), |answer, (name, value)| answer.header(name, value.as_str().unwrap()))
    });
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; twice_tags guarded; proxy_pass {};", origin.url()))
        .start();
    let of = |name: &str| {
        let hostile = "<& get var hostname &><& get cookie username &>";
        nginx.get("/").header("X-Comment", hostile).cookie(&format!("username={name}")).send()
    };
    let page =
        |name: &str| format!("<p>Hello {name}</p> <p><& get var hostname &><& get cookie username &></p>");
    of("Ann").assert(200, "MISS", &page("Ann"));
    let hit = of("Bob");
    hit.assert(200, "HIT", &page("Bob"));
    assert_eq!(hit.header("Twice-Guard"), None);
}
