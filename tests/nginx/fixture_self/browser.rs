//! The fixture's browser.

use fixture::{Answer, Browser, Origin};

/// The policy allows the scripts with the nonce only.
const PAGE: &str = r#"<!doctype html><title>not run</title>
<script nonce="n0nce">document.title = "run"; console.log("first\nsecond");</script>
<script>document.title = "run against the policy";</script>"#;

#[test]
fn a_browser_runs_a_page_and_tells_what_its_console_says() {
    let origin = Origin::start();
    let answer = || Answer::html(PAGE).header("Cache-Control", "no-store");
    origin.on("/policy", answer().header("Content-Security-Policy", "script-src 'nonce-n0nce'"));
    origin.on("/", answer());
    let browser = Browser::new();
    let seen = browser.open(&format!("{}/policy", origin.url()));
    assert!(seen.dom.contains("<title>run</title>"), "{seen:?}");
    let [said, refused] = seen.console.as_slice() else { panic!("{seen:?}") };
    assert_eq!(said, "first\nsecond");
    assert!(refused.contains("Content Security Policy"), "{refused}");
    let seen = browser.open(&format!("{}/", origin.url()));
    assert!(seen.dom.contains("<title>run against the policy</title>"), "{seen:?}");
}

#[test]
fn other_hosts_are_where_the_story_has_them() {
    let origin = Origin::start();
    let page = r#"<!doctype html><img src="http://elsewhere.test/image">"#;
    origin.on("/", Answer::html(page));
    origin.on("/image", Answer::new(404, ""));
    let url = origin.url();
    Browser::new().open(&format!("{url}/"));
    assert_eq!(origin.count("/image"), 0);
    Browser::with_all_hosts_at(origin.port()).open(&format!("{url}/"));
    assert_eq!(origin.count("/image"), 1);
}
