//! Where a visitor of the default host is sent for the sake of a language.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::language::{Hosts, Languages};

fn languages() -> Languages {
    Languages::parse(["en", "de", "pt-BR", "www"]).unwrap()
}

fn hosts() -> Hosts {
    Hosts::parse("https://*.example.com").unwrap()
}

/// The address, or nothing.
fn sent(hosts: &Hosts, host: &str, accept: &str, target: &str) -> Option<String> {
    let languages = languages();
    let language = hosts.elsewhere(&languages, host.as_bytes(), accept.as_bytes())?;
    let mut to = Vec::new();
    hosts.write(language, target.as_bytes(), |piece| to.extend_from_slice(piece));
    Some(String::from_utf8(to).unwrap())
}

#[test]
fn patterns_that_are_taken() {
    for good in
        ["https://*.example.com", "http://*.example.com:8080", "https://*.localhost", "http://*.A-b.C"]
    {
        assert!(Hosts::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "on",
        "*",
        "*.example.com",
        "ftp://*.example.com",
        "https://example.com",
        "https://*",
        "https://*.",
        "https://*example.com",
        "https://www-*.example.com",
        "https://*.*.example.com",
        "https://*.example.com/",
        "https://*.example.com/x",
        "https://*.example..com",
        "https://*.-example.com",
        "https://*.example.com:",
        "https://*.example.com:0",
        "https://*.example.com:+80",
        "https://*.example.com:99999",
        "https://*.example.com:80:80",
        "https://user@*.example.com",
        "https://*.exa mple.com",
        "https://*.ex\u{e4}mple.com",
        "HTTPS://*.example.com",
    ] {
        assert!(Hosts::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn who_is_sent_where() {
    const TABLE: &[(&str, &str, Option<&str>, &str)] = &[
        ("www.example.com", "de", Some("https://de.example.com/x?y"), ""),
        ("example.com", "de", Some("https://de.example.com/x?y"), "the bare host is the default one, too"),
        (
            "www.example.com",
            "de-CH,de;q=0.9,en;q=0.8",
            Some("https://de.example.com/x?y"),
            "cut to what there is",
        ),
        ("www.example.com", "PT-br", Some("https://pt-br.example.com/x?y"), "a host is in lower case"),
        ("www.example.com", "en", None, "the default"),
        ("www.example.com", "en-GB, de", None, "the default, cut"),
        ("www.example.com", "fr, de", None, "the first one counts"),
        ("www.example.com", "de;q=0, en", None, "refused"),
        (
            "www.example.com",
            "de;q=0.1, en",
            Some("https://de.example.com/x?y"),
            "the first one, as in the original",
        ),
        ("www.example.com", "", None, ""),
        ("www.example.com", "*", None, ""),
        ("www.example.com", ", de", None, "the first one says nothing"),
        ("www.example.com", "pt", None, "is not pt-BR"),
        ("de.example.com", "de", None, "there already"),
        ("de.example.com", "pt-BR", None, "whoever asks for a language's host gets it"),
        ("fr.example.com", "de", None, ""),
        ("www.www.example.com", "de", None, "not the default host"),
        ("evil.example", "de", None, "not the default host"),
        ("www.example.com.evil.example", "de", None, "not the default host"),
        ("example.comx", "de", None, "not the default host"),
        ("www.example.com", "www", None, "a language whose host is the default one: no loop"),
        ("example.com", "www", None, "the same"),
    ];
    for (host, accept, expected, why) in TABLE {
        assert_eq!(sent(&hosts(), host, accept, "/x?y").as_deref(), *expected, "{host} {accept:?} {why}");
    }
    let port = Hosts::parse("http://*.Example.com:8080").unwrap();
    assert_eq!(sent(&port, "example.com", "de", "?y").unwrap(), "http://de.example.com:8080/?y");
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn nobody_goes_round_in_circles(accept in "[a-zA-Z*,;=0-9 -]{0,20}", target in "[/?][ -~]{0,10}") {
        if let Some(to) = sent(&hosts(), "www.example.com", &accept, &target) {
            let host = to.strip_prefix("https://").unwrap().split(['/', '?']).next().unwrap().to_owned();
            prop_assert!(host.ends_with(".example.com"));
            prop_assert_eq!(sent(&hosts(), &host, &accept, &target), None);
        }
    }
}
