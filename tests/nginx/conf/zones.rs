//! `twice_zone`: what it takes.

use super::*;

#[test]
fn a_bad_zone_is_refused() {
    let name = ["\"twice_zone\"", "allowed are letters, digits"];
    for bad in ["pa:ges", "\"my pages\"", "\"\"", "off", "a/b", "\u{e9}t\u{e9}"] {
        refused_in_http(&format!("twice_zone {bad} 16m;"), &name);
        refused_in_http(&format!("twice_zone {bad} 16m;"), &[&format!("\"{}\"", bad.trim_matches('"'))]);
    }
    for bad in ["much", "-16m", "16x", "\"\"", "16.5m", "99999999999999999999g"] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        refused_in_http(&format!("twice_zone pages {bad};"), &["\"twice_zone\"", "size", &value, "256m"]);
    }
}

#[test]
fn a_zone_too_small_for_one_page_is_refused() {
    for small in ["0", "1", "4k", "32k"] {
        let value = format!("\"{small}\"");
        refused_in_http(
            &format!("twice_zone pages {small};"),
            &["\"twice_zone\"", &value, "too small for one page", "or more"],
        );
    }
    refused_in_http(
        "twice_zone pages 1m max_object=16m;",
        &[
            "\"twice_zone\"",
            "\"1m\"",
            "too small for one page",
            "max_object=16777216",
            "allowed is a larger zone",
        ],
    );
}

#[test]
fn the_least_size_that_is_named_is_enough() {
    let told = Nginx::bare().http("twice_zone pages 1k;").check().output;
    let least = told.split("allowed is ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a size");
    let origin = Origin::start();
    origin.on("/", Answer::page("small"));
    let nginx = Nginx::bare()
        .http(format!("twice_zone pages {least}; add_header X-Cache $twice_cache_status;"))
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .start();
    nginx.get("/").warm().assert(200, "HIT", "small");
}

#[test]
fn bad_options_of_a_zone_are_refused() {
    for bad in ["max_object=lots", "max_object=", "max_object=0", "max_object=2g", "max_object=-1"] {
        let value = format!("\"{bad}\"");
        let texts = ["\"twice_zone\"", &value, "allowed is a size from 1 byte to 1g"];
        refused_in_http(&format!("twice_zone pages 16m {bad};"), &texts);
    }
    for bad in ["inactive=soon", "inactive=", "inactive=0", "inactive=-1"] {
        let value = format!("\"{bad}\"");
        let texts = ["\"twice_zone\"", &value, "allowed is a time such as 10m"];
        refused_in_http(&format!("twice_zone pages 16m {bad};"), &texts);
    }
    for bad in ["max_objects=1k", "inactive", "levels=1:2", "MAX_OBJECT=1k", "snapshot"] {
        let value = format!("\"{bad}\"");
        let texts = ["\"twice_zone\"", &value, "allowed are max_object=SIZE, inactive=TIME, policy=NAME"];
        refused_in_http(&format!("twice_zone pages 16m {bad};"), &texts);
    }
    for bad in ["policy=fifo", "policy=", "policy=LRU"] {
        let value = format!("\"{bad}\"");
        let texts = ["\"twice_zone\"", &value, "allowed are the policies lru, sieve, s3fifo"];
        refused_in_http(&format!("twice_zone pages 16m {bad};"), &texts);
    }
    for twice in ["policy=lru policy=sieve", "max_object=1k max_object=1k", "inactive=1m inactive=2m"] {
        let texts = ["\"twice_zone\"", "besides another one of its name", "allowed is one"];
        refused_in_http(&format!("twice_zone pages 16m {twice};"), &texts);
    }
    Nginx::bare().http("twice_zone pages 1g max_object=1g;").check().fails_with(&["too small for one page"]);
    Nginx::bare().http("twice_zone pages 1G;").check().passes();
    for policy in ["lru", "sieve", "s3fifo"] {
        let zone = format!("twice_zone pages 16m max_object=64k inactive=10m policy={policy};");
        Nginx::bare().http(&zone).check().passes();
    }
}

#[test]
fn bad_shares_of_a_zone_are_refused() {
    for name in ["elements", "local"] {
        for bad in ["", "5", "%", "51%", "-1%", "1.5%", "5m", "off"] {
            let value = format!("\"{name}={bad}\"");
            let texts = ["\"twice_zone\"", &value, "allowed is a share of the zone from 0% to 50%"];
            refused_in_http(&format!("twice_zone pages 16m {name}={bad};"), &texts);
        }
        let texts = ["\"twice_zone\"", "besides another one of its name", "allowed is one"];
        refused_in_http(&format!("twice_zone pages 16m {name}=1% {name}=1%;"), &texts);
        let small = format!("{name}=1% of the size \"1m\"");
        let texts = ["\"twice_zone\"", &small, "too small for one value", "allowed are 0% and 9% to 50%"];
        refused_in_http(&format!("twice_zone pages 1m {name}=1%;"), &texts);
        Nginx::bare().http(format!("twice_zone pages 1m {name}=9%;")).check().passes();
        let texts = ["\"twice_zone\"", "of the size \"150k\"", "allowed are 0% and a larger zone"];
        refused_in_http(&format!("twice_zone pages 150k {name}=50%;"), &texts);
    }
    let texts = ["\"twice_zone\"", "elements=41% and local=40%", "allowed are 80% together"];
    refused_in_http("twice_zone pages 16m local=40% elements=41%;", &texts);
    // Together with what is not said.
    let texts = ["\"twice_zone\"", "\"400k\"", "too small for one page"];
    refused_in_http("twice_zone pages 400k elements=50% local=30%;", &texts);
    let told = Nginx::bare().http("twice_zone pages 400k elements=50% local=30%;").check().output;
    let least = told.split("allowed is ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a size");
    Nginx::bare().http(format!("twice_zone pages {least} elements=50% local=30%;")).check().passes();
    for good in ["elements=0%", "local=0%", "elements=0% local=0%", "elements=50% local=30%", "elements=05%"]
    {
        Nginx::bare().http(format!("twice_zone pages 16m {good};")).check().passes();
    }
    // What is said of pages holds for their part alone.
    let texts =
        ["\"4m\"", "too small for one page of max_object=3145728", "allowed is a larger zone or max_object="];
    refused_in_http("twice_zone pages 4m max_object=3m elements=30% local=20%;", &texts);
    Nginx::bare().http("twice_zone pages 4m max_object=3m elements=0% local=0%;").check().passes();
}

#[test]
fn a_zone_is_defined_once() {
    let texts = ["\"twice_zone\"", "\"pages\"", "a second time", "allowed is another name"];
    refused_in_http("twice_zone pages 16m;\ntwice_zone pages 16m;", &texts);
    // nginx itself says which sizes conflict.
    let other = Nginx::bare().http("twice_zone pages 16m;\ntwice_zone pages 32m;").check();
    other.fails_with(&["pages"]);
    assert!(other.output.contains("\"twice_zone\""), "{}", other.output);
    // Another module's zone.
    let other =
        Nginx::bare().http("limit_req_zone $uri zone=pages:1m rate=1r/s;\ntwice_zone pages 1m;").check();
    other.fails_with(&["pages"]);
    assert!(other.output.contains("\"twice_zone\""), "{}", other.output);
    Nginx::bare().http("twice_zone pages 16m;\ntwice_zone more 16m;").check().passes();
}
