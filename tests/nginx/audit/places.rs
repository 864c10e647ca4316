//! Leaks of every kind, and the place that is told of each.

use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::{Answer, Nginx, Origin};

use super::{LOG, SECRET, Site, user};

/// A page for each visitor, with his data at one place, and what is told of it.
#[track_caller]
fn leaks(path: &str, place: &str, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) {
    let site = Site::start("");
    site.origin.handle(path, move |request| answer(&user(request)));
    site.assert_end(path, "user=Ann", "MISS audit_waits");
    let page = site.assert_end(path, &format!("user={SECRET}"), &format!("MISS audit_differs {place}"));
    // Each has his own, and nobody another one's.
    assert!(!page.text().contains("Ann"));
    site.told(path, place);
    let (page, end) = site.visit(path, "user=Bob");
    assert_eq!(end, format!("MISS audit_differs {place}"));
    assert!(!page.text().contains(SECRET));
    site.may_tell();
    let figures = site.nginx.figures("pages");
    assert_eq!((figures["audit_waits"], figures["audit_differs"], figures["stored"]), (1, 2, 0));
    site.ends_without_secret();
}

#[test]
fn a_name_in_the_text() {
    leaks("/name", "body line 2 column 10", |user| Answer::page(format!("<html>\n<p>Hello {user}!</p>\n")));
}

#[test]
fn an_address_in_a_script() {
    leaks("/script", "body line 3 column 19", |user| {
        Answer::page(format!(
            "<script>\r\nvar a = 1;\r\nvar me = {{ mail: \"{user}@example.com\" }};\r\n</script>"
        ))
    });
}

#[test]
fn a_token_in_a_form() {
    leaks("/form", "body line 1 column 42", |user| {
        let token: String = user.bytes().map(|b| format!("{b:02x}")).collect();
        Answer::page(format!("<form><input type=hidden name=t value=\"f{token}\"></form>"))
    });
}

#[test]
fn a_header() {
    leaks("/header", "header x-user", |user| Answer::page("x").header("X-App", "1").header("X-User", user));
}

#[test]
fn a_header_that_some_have() {
    leaks("/some", "header x-member", |user| {
        let page = Answer::page("x").header("X-App", "1");
        if user == "Ann" || user == "Bob" { page.header("X-Member", "yes") } else { page }
    });
}

#[test]
fn where_a_redirect_leads() {
    leaks("/redirect", "header location", |user| {
        Answer::page("").status(302).header("Location", format!("/home/{user}"))
    });
}

#[test]
fn a_status() {
    leaks("/status", "status", |user| match user {
        "Cinderella" => Answer::page("none").status(404),
        _ => Answer::page("there"),
    });
}

#[test]
fn a_tag_that_only_some_are_sent() {
    leaks("/tag", "body line 2 column 3", |user| {
        Answer::page(match user {
            "Cinderella" => "ab\ncd<& get cookie admin &>ef",
            _ => "ab\ncd<& get cookie guest &>ef",
        })
    });
}

#[test]
fn a_tag_in_the_place_of_text() {
    leaks("/instead", "body line 1 column 4", |user| {
        Answer::page(match user {
            "Cinderella" => "abc<& get cookie user &>def",
            _ => "abcdef<& get cookie user &>",
        })
    });
}

#[test]
fn behind_a_guarded_tag() {
    // Each answer's token is another one, and as long.
    leaks("/guarded", "body line 2 column 45", |user| {
        let token = format!("0123456789abcde{}", user.len() % 10);
        Answer::page(format!("<html>\n<p><&{token} get cookie lang en &> {user}!</p>"))
            .header("Twice-Guard", token)
    });
}

#[test]
fn a_header_line_with_tags() {
    leaks("/line", "header x-user", |user| {
        Answer::page("x <& get cookie x &>")
            .header("Twice-Headers", "X-User")
            .header("X-User", format!("{user} <& get cookie x &>"))
    });
}

#[test]
fn behind_tags_with_line_ends() {
    let site = Site::start(r"twice_delimiters '~(?s)\{\{(.*?)\}\}';");
    site.origin.handle("/", |request| {
        Answer::page(format!(
            "{{{{ get\n cookie\n  user Nobody }}}} a\n{{{{ get cookie x }}}} {}",
            user(request)
        ))
    });
    site.assert_end("/", "user=Ann", "MISS audit_waits");
    let page = site.assert_end("/", "user=Cinderella", "MISS audit_differs body line 4 column 20");
    assert_eq!(page.text(), "Cinderella a\n Cinderella");
    site.told("/", "body line 4 column 20");
    site.ends_without_secret();
}

#[test]
fn an_answer_without_tags_and_one_that_is_longer() {
    let site = Site::start("");
    site.origin.handle("/*", |request| {
        let more = if user(request) == SECRET { "and more" } else { "" };
        Answer::html(format!("line\nline\n{more}")).header("Cache-Control", "max-age=60")
    });
    site.assert_end("/", "user=Ann", "MISS audit_waits");
    site.assert_end("/", "user=Cinderella", "MISS audit_differs body line 3 column 1");
    site.assert_end("/", "user=Ann", "MISS audit_differs body line 3 column 1");
    site.told("/", "body line 3 column 1");
    site.may_tell();
    // With the next visitor a page that is the same for all others passes.
    site.assert_end("/", "user=Bob", "MISS stored");
    site.ends_without_secret();
}

#[test]
fn lines_that_are_ignored_are_in_no_stored_page() {
    let origin = Origin::start();
    let pass = format!("twice pages; proxy_pass {};", origin.url());
    let nginx = Nginx::twice()
        .http(LOG)
        .location("/", format!("twice_audit on ignore=X-Request-Id,ETag ignore=expires; {pass}"))
        .location("/all/", format!("twice_audit on; {pass}"))
        .start();
    let site = Site { origin, nginx };
    let asked = AtomicUsize::new(0);
    site.origin.handle("/*", move |_| {
        let number = asked.fetch_add(1, Ordering::SeqCst);
        Answer::html("page")
            .header("X-Twice-Control", "max-age=60, no-tags")
            .header("X-Request-ID", format!("{SECRET}-{number}"))
            .header("Etag", format!("\"{SECRET}-{number}\""))
            .header("Expires", format!("Sun, 06 Nov 2094 08:49:{:02} GMT", number % 60))
            .header("X-App", "1")
    });
    let first = site.assert_end("/", "user=Ann", "MISS audit_waits");
    assert!(first.header("X-Request-Id").is_some() && first.header("ETag").is_some());
    site.assert_end("/", "user=Bob", "MISS stored");
    let page = site.assert_end("/", "user=Eve", "HIT hit");
    for name in ["X-Request-Id", "ETag", "Expires"] {
        assert_eq!(page.header(name), None, "{page:?}");
    }
    assert_eq!(page.header("X-App"), Some("1"));
    site.assert_end("/all/", "user=Ann", "MISS audit_waits");
    site.assert_end("/all/", "user=Bob", "MISS audit_differs header etag");
    site.told("/all/", "header etag");
    site.ends_without_secret();
}
