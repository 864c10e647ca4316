//! Mistakes in the directives that say which responses are stored.

use super::{accepted, refused};
use fixture::Nginx;

#[test]
fn bad_headers_that_are_to_steer_are_refused() {
    let allowed = "names that end in \"-Cache-Control\"";
    for bad in ["Pragma", "X-Other", "-Cache-Control", "\"\"", "Cache-Control2"] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        refused(&format!("twice_honor Expires {bad};"), &["\"twice_honor\"", &value, allowed]);
    }
    for bad in ["off Expires", "Expires off"] {
        refused(&format!("twice_honor {bad};"), &["\"twice_honor\"", "allowed is \"off\" alone"]);
    }
    refused("twice_honor Expires expires;", &["\"twice_honor\"", "\"expires\"", "named twice"]);
    refused("twice_honor off; twice_honor off;", &["\"twice_honor\"", "given twice"]);
    for good in ["off", "X-Twice-Control", "CDN-Cache-Control x-accel-expires Surrogate-Control Expires"] {
        accepted(&format!("twice_honor {good};"));
    }
}

#[test]
fn the_control_header_steers_by_its_own_name() {
    accepted("twice_honor X-Keep-For Expires; twice_headers control=x-keep-for;");
    accepted("twice_headers control=X-Keep-For; twice_honor X-Twice-Control;");
    let texts = ["\"twice_honor\"", "\"X-Keep-For\"", "is no header that steers"];
    // Wherever the name is another one.
    let setup = || Nginx::bare().http("twice_zone pages 16m; twice_headers control=X-Keep-For;");
    setup().location("/", "twice_honor X-Keep-For;").check().passes();
    setup()
        .location("/", "twice_honor X-Keep-For; twice_headers control=X-Other;")
        .check()
        .fails_with(&texts);
}

#[test]
fn names_of_headers_that_steer_are_taken() {
    for name in ["Surrogate-Control", "X-Accel-Expires", "CDN-Cache-Control"] {
        refused(&format!("twice_headers control={name};"), &["\"twice_headers\"", name, "is taken"]);
    }
}

#[test]
fn bad_statuses_are_refused() {
    for bad in ["206", "304", "401", "500", "503"] {
        let value = format!("\"{bad}\"");
        refused(&format!("twice_statuses 200 {bad};"), &["\"twice_statuses\"", &value, "never stored"]);
    }
    for bad in ["600", "2xx", "ANY", "20", "\"\"", "off"] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        let texts = ["\"twice_statuses\"", &value, "allowed are codes from 200 to 499 and \"any\""];
        refused(&format!("twice_statuses 200 {bad};"), &texts);
    }
    refused("twice_statuses any 200;", &["\"twice_statuses\"", "\"any\" alone"]);
    refused("twice_statuses any; twice_statuses 200;", &["\"twice_statuses\"", "given twice"]);
    accepted("twice_statuses any;");
    accepted("twice_statuses 200 299 302 499;");
}

#[test]
fn bad_heuristics_are_refused() {
    for bad in [
        "on",
        "10",
        "0%",
        "101%",
        "1.5%",
        "-1%",
        "off max=1d",
        "10% 1d",
        "10% max=",
        "10% max=0",
        "10% min=1d",
    ] {
        let texts = ["\"twice_heuristic\"", "allowed are \"off\" alone, or a share from 1% to 100%"];
        refused(&format!("twice_heuristic {bad};"), &texts);
    }
    refused("twice_heuristic 10% max=1d max=2d;", &["\"twice_heuristic\"", "\"max=2d\""]);
    for good in ["off", "10%", "100% max=1h", "1% max=30"] {
        accepted(&format!("twice_heuristic {good};"));
    }
}

#[test]
fn bad_words_are_refused() {
    for bad in ["on", "off", "keep"] {
        let value = format!("\"{bad}\"");
        let texts = ["\"twice_set_cookie\"", &value, "allowed are \"refuse\", \"drop\""];
        refused(&format!("twice_set_cookie {bad};"), &texts);
    }
    let texts = ["\"twice_request_control\"", "\"yes\"", "allowed are \"off\", \"on\""];
    refused("twice_request_control yes;", &texts);
    accepted("twice_set_cookie drop;\ntwice_request_control on;");
}
