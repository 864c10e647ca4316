//! Variants by what Twice itself knows of a visitor: his value of a test, his language.

use super::*;

#[test]
fn a_page_that_depends_on_a_test_has_a_variant_for_each_value() {
    let origin = Origin::start();
    origin.handle("/", |request| {
        Answer::html(request.header("X-ABValue").unwrap_or("none").to_owned())
            .header("X-Twice-Control", "max-age=60")
            .header("X-ABDependency", "button")
    });
    let nginx = Nginx::twice()
        .http("twice_ab_test button red=1 blue=1; twice_ab_test other a=1 b=1 c=1;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .start();
    for n in 0..40 {
        let page = nginx.get("/").cookie(&format!("uniq=visitor{n}")).send();
        assert_eq!(page.status, 200);
        assert_eq!(page.header("Vary"), Some("Cookie"));
    }
    // Forty visitors, two values.
    until("both are there", || {
        (0..40).all(|n| nginx.get("/").cookie(&format!("uniq=visitor{n}")).send().cache() == "HIT")
    });
    assert!(origin.count("/") <= 4, "{}", origin.count("/"));
    let of = |n: u32| {
        let page = nginx.get("/").cookie(&format!("uniq=visitor{n}")).send();
        page.text().split(',').next().unwrap().to_owned()
    };
    let values: std::collections::BTreeSet<_> = (0..40).map(of).collect();
    assert_eq!(values.into_iter().collect::<Vec<_>>(), ["button:blue", "button:red"]);
}

#[test]
fn an_answer_that_names_a_test_nobody_knows_is_not_stored() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x").header("X-ABDependency", "unknown"));
    let nginx = Nginx::twice()
        .http("twice_ab_test button red=1 blue=1;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .start();
    for _ in 0..3 {
        let page = nginx.get("/").cookie("uniq=a").send();
        page.assert(200, "MISS", "x");
        assert_eq!(page.reason(), "varies");
    }
}

#[test]
fn a_language_has_one_variant_however_visitors_ask_for_it() {
    let origin = Origin::start();
    origin
        .handle("/", |request| Answer::page(request.header("Accept-Language").unwrap_or("none").to_owned()));
    let nginx = Nginx::twice()
        .location(
            "/",
            format!(
                "twice pages; twice_languages en de fr; twice_vary_language on; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    let ask = |accepted: &str| nginx.get("/").header("Accept-Language", accepted);
    for (accepted, language) in [
        ("de", "de"),
        ("de-CH, de;q=0.9", "de"),
        ("fr;q=0.5, DE;q=0.6", "de"),
        ("fr", "fr"),
        ("en-GB", "en"),
        ("ja", "en"),
        ("*", "en"),
    ] {
        let page = ask(accepted).warm();
        page.assert(200, "HIT", language);
        assert_eq!(page.header("Vary"), Some("Accept-Language"));
    }
    assert_eq!(origin.count("/"), 3);
}

#[test]
fn vary_accept_language_is_the_negotiated_one_where_the_location_negotiates() {
    let origin = Origin::start();
    origin.handle("/", |request| {
        Answer::page(request.header("Accept-Language").unwrap_or("none").to_owned())
            .header("Vary", "Accept-Language")
    });
    let nginx = Nginx::twice()
        .location(
            "/",
            format!(
                "twice pages; twice_languages en de; twice_vary_language on; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    nginx.get("/").header("Accept-Language", "de-AT").warm();
    nginx.get("/").header("Accept-Language", "de-CH, en;q=0.1").send().assert(200, "HIT", "de");
}
