//! Directives of stale pages, variants and endpoints.

use super::{accepted, refused, refused_in_http};

#[test]
fn an_endpoint_names_zones_that_are_there() {
    for directive in ["twice_purge", "twice_status"] {
        accepted(&format!("{directive} pages;"));
        refused(
            &format!("{directive} none;"),
            &[&format!("\"{directive}\""), "\"none\"", "allowed are", "\"pages\""],
        );
        refused(&format!("{directive} \"\";"), &[&format!("\"{directive}\""), "\"\"", "allowed"]);
        refused(&format!("{directive} pages; {directive} pages;"), &[&format!("\"{directive}\""), "twice"]);
        refused_in_http(
            &format!("twice_zone pages 16m; {directive} pages;"),
            &[directive, "not allowed here"],
        );
    }
    accepted("twice_status;");
    accepted("twice_status pages pages;");
    refused("twice_purge;", &["twice_purge", "number of arguments"]);
    accepted("twice_mark_dirty $remote_user $http_x;");
    refused("twice_mark_dirty;", &["twice_mark_dirty", "number of arguments"]);
}

#[test]
fn bad_stale_factors_and_words_are_refused() {
    for value in ["0", "0.5", "1001", "-3", "x", "1.234", "3x", "\"\""] {
        let shown = if value == "\"\"" { "\"\"".to_owned() } else { format!("\"{value}\"") };
        refused(
            &format!("twice_stale_factor {value};"),
            &["\"twice_stale_factor\"", &shown, "allowed is a number from 1"],
        );
    }
    refused("twice_stale_factor 2; twice_stale_factor 3;", &["\"twice_stale_factor\"", "given twice"]);
    for value in ["on", "http_501", "ERROR", "error off", "off updating"] {
        refused(
            &format!("twice_use_stale {value};"),
            &["\"twice_use_stale\"", "allowed are \"off\" alone, \"updating\"", "\"http_429\""],
        );
    }
    refused("twice_use_stale error; twice_use_stale off;", &["\"twice_use_stale\"", "given twice"]);
    accepted("twice_stale_factor 1;\ntwice_use_stale off;");
    accepted(
        "twice_stale_factor 1.5;
twice_use_stale error timeout invalid_header updating http_500 http_502 http_503 http_504 http_403 http_404 http_429;",
    );
}

#[test]
fn what_a_page_varies_by_is_read_strictly() {
    for bad in ["a=b", "\"a b\"", "a,b", "\"\"", "\u{e9}"] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        refused(
            &format!("twice_vary_cookies {bad};"),
            &["\"twice_vary_cookies\"", &value, "allowed are names of cookies"],
        );
    }
    refused(&format!("twice_vary_cookies {};", "x".repeat(257)), &["\"twice_vary_cookies\"", "256 at most"]);
    let names: Vec<_> = (0..16).map(|n| format!("c{n}")).collect();
    refused(
        &format!("twice_vary_cookies {};", names.join(" ")),
        &["\"twice_vary_cookies\"", "too many names, allowed are 15"],
    );
    refused("twice_vary_cookies a; twice_vary_cookies b;", &["\"twice_vary_cookies\"", "allowed is once"]);
    for bad in ["0", "1025", "-1", "+1", "many", "1k", "99999999999999999999"] {
        let value = format!("\"{bad}\"");
        refused(
            &format!("twice_max_variants {bad};"),
            &["\"twice_max_variants\"", &value, "allowed is a number from 1 to 1024"],
        );
    }
    refused("twice_max_variants 1; twice_max_variants 2;", &["\"twice_max_variants\"", "allowed is once"]);
    accepted(&format!("twice_vary_cookies {} c1; twice_max_variants 1024;", names[..15].join(" ")));
}
