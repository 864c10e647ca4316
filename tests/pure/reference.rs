//! URLs that an answer names, and whether they are of its own origin.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::reference::{Base, on_same_origin};

const BASE: Base<'_> = Base { scheme: b"http", host: b"a.example", port: 80, target: b"/b/c/d?q" };

fn target(reference: &str, base: Base<'_>) -> Option<String> {
    on_same_origin(reference.as_bytes(), base).map(|target| String::from_utf8_lossy(&target).into_owned())
}

#[test]
fn references_are_resolved_as_rfc_3986_says() {
    // Dots stay: who uses a target brings it into one form.
    for (reference, wanted) in [
        ("/x", "/x"),
        ("/x?y#z", "/x?y"),
        (" /x ", "/x"),
        ("x", "/b/c/x"),
        ("x/y?z", "/b/c/x/y?z"),
        ("./x", "/b/c/./x"),
        ("../x", "/b/c/../x"),
        ("?y", "/b/c/d?y"),
        ("", "/b/c/d?q"),
        ("#z", "/b/c/d?q"),
        ("/x:y", "/x:y"),
        ("./x:y", "/b/c/./x:y"),
        ("1:2", "/b/c/1:2"),
        ("http://a.example", "/"),
        ("http://a.example?y", "/?y"),
        ("http://a.example/x", "/x"),
        ("HTTP://A.Example:80/x", "/x"),
        ("http://a.example./x", "/x"),
        ("http://a.example:/x", "/x"),
        ("//a.example/x", "/x"),
        ("/%2e%2e/x", "/%2e%2e/x"),
    ] {
        assert_eq!(target(reference, BASE).as_deref(), Some(wanted), "{reference:?}");
    }
}

#[test]
fn what_is_named_of_another_origin_counts_for_nothing() {
    for reference in [
        "http://b.example/x",
        "//b.example/x",
        "https://a.example/x",
        "http://a.example:8080/x",
        "http://a.example:99999/x",
        "http://a.example:x/y",
        "http://user@a.example/x",
        "http://a.example@b.example/x",
        "http://a.example.b.example/x",
        "http:///x",
        "http:x",
        "mailto:a@a.example",
        "javascript:alert(1)",
        "x:y",
        "/x y",
        "/x\ty",
        "/x\r\ny",
        "/\u{7f}",
    ] {
        assert_eq!(target(reference, BASE), None, "{reference:?}");
    }
}

#[test]
fn the_port_is_part_of_an_origin() {
    let own = Base { port: 8080, ..BASE };
    assert_eq!(target("http://a.example:8080/x", own).as_deref(), Some("/x"));
    assert_eq!(target("//a.example:8080/x", own).as_deref(), Some("/x"));
    assert_eq!(target("http://a.example/x", own), None);
    let tls = Base { scheme: b"https", port: 443, ..BASE };
    assert_eq!(target("https://a.example/x", tls).as_deref(), Some("/x"));
    assert_eq!(target("//a.example:443/x", tls).as_deref(), Some("/x"));
    assert_eq!(target("http://a.example/x", tls), None);
    let v6 = Base { host: b"[::1]", ..BASE };
    assert_eq!(target("http://[::1]/x", v6).as_deref(), Some("/x"));
    assert_eq!(target("http://[::1]:80/x", v6).as_deref(), Some("/x"));
    assert_eq!(target("http://[::1]:81/x", v6), None);
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_target_begins_with_a_slash_and_has_no_fragment(reference in any::<Vec<u8>>()) {
        if let Some(target) = on_same_origin(&reference, BASE) {
            prop_assert!(target.starts_with(b"/") && !target.contains(&b'#'));
        }
    }

    #[test]
    fn any_authority_but_ones_own_is_another(authority in "[a-z.@:\\[\\]0-9%-]{1,16}") {
        prop_assume!(!["a.example", "a.example:80", "a.example:", "a.example.", "a.example.:80"].contains(&authority.as_str()));
        prop_assume!(!authority.trim_end_matches(|c: char| c.is_ascii_digit()).starts_with("a.example"));
        prop_assert_eq!(target(&format!("http://{authority}/x"), BASE), None);
    }
}
