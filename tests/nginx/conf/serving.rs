//! Directives of stale pages, variants and endpoints.

use fixture::Nginx;

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
fn a_bad_audit_is_refused() {
    let name = "\"twice_audit\"";
    for bad in ["yes", "ON", "ignore=X", "\"\""] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        refused(&format!("twice_audit {bad};"), &[name, &value, "allowed are \"on\" and \"off\""]);
    }
    refused("twice_audit off ignore=X;", &[name, "\"ignore=X\"", "allowed is \"off\" alone"]);
    for bad in ["X-Id", "Ignore=X", "ignored=X"] {
        let value = format!("\"{bad}\"");
        refused(&format!("twice_audit on {bad};"), &[name, &value, "allowed is ignore=HEADER"]);
    }
    for bad in ["ignore=", "ignore=a,", "ignore=\"a b\"", "ignore=a:", "ignore=\u{e9}"] {
        refused(
            &format!("twice_audit on '{}';", bad.replace('"', "")),
            &[name, "allowed are names of response headers, 64"],
        );
    }
    for bad in ["Location", "content-type", "X,Vary"] {
        let value = format!("\"ignore={bad}\"");
        let texts = [name, &value, "allowed are names of response headers but cache-control, "];
        refused(&format!("twice_audit on ignore={bad};"), &texts);
    }
    let many: String = (0..33).map(|n| format!(" ignore=x-{n}")).collect();
    refused(&format!("twice_audit on{many};"), &[name, "\"ignore=x-32\"", "allowed are 32 names"]);
    accepted("twice_audit on ignore=X-Request-Id,ETag ignore=expires;");
    Nginx::bare().server("twice_audit on;").location("/", "twice_audit off;").check().passes();
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

#[test]
fn headers_that_count_or_stay_behind_are_read_strictly() {
    let (vary, withhold) = ("\"twice_vary_headers\"", "\"twice_withhold\"");
    for bad in ["a=b", "\"a b\"", "a,b", "\"\"", "a:", "\u{e9}", &"x".repeat(257)] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        let texts = [&value, "names no header, allowed are letters"];
        refused(&format!("twice_vary_headers {bad};"), &[vary, texts[0], texts[1]]);
        refused(&format!("twice_withhold {bad};"), &[withhold, texts[0], texts[1]]);
    }
    for needed in ["Host", "connection", "Content-Length", "Transfer-Encoding", "TE", "Upgrade", "Expect"] {
        let value = format!("\"{needed}\"");
        refused(
            &format!("twice_withhold X-A {needed};"),
            &[withhold, &value, "allowed is any other but host"],
        );
    }
    let names: Vec<_> = (0..65).map(|n| format!("X-{n}")).collect();
    refused(&format!("twice_withhold {};", names.join(" ")), &[withhold, "\"X-64\"", "allowed are 64"]);
    accepted(&format!("twice_withhold {} x-1 Cookie Range;", names[..62].join(" ")));
    // No answer can depend on what its origin never hears.
    refused("twice_vary_headers X-A Range;", &[vary, "\"Range\"", "no origin is told of"]);
    refused("twice_withhold X-A; twice_vary_headers x-a;", &[vary, "\"x-a\"", "no origin is told of"]);
    refused("twice_vary_headers X-Mark-Dirty;", &[vary, "between Twice and the application"]);
    refused("twice_headers geo=X-Land cookies=X-C; twice_vary_headers X-C;", &[vary, "between Twice"]);
    accepted("twice_headers purge=X-P; twice_vary_headers X-Mark-Dirty X-Geo X-ABValue x-GEO;");
    // Sixteen in all.
    let (fifteen, sixteen) = (names[..15].join(" "), names[..16].join(" "));
    accepted(&format!("twice_vary_headers {sixteen};"));
    accepted(&format!("twice_vary_headers {fifteen}; twice_vary_cookies a;"));
    let all = "allowed are 16 cookies, headers and the language together";
    refused(&format!("twice_vary_headers {sixteen}; twice_vary_cookies a;"), &[vary, "\"x-15\"", all]);
    refused(
        &format!("twice_vary_headers {sixteen}; twice_languages en; twice_vary_language on;"),
        &[vary, "\"x-15\"", all],
    );
    accepted(&format!(
        "twice_vary_headers {fifteen} Accept-Language; twice_languages en; twice_vary_language on;"
    ));
    for name in [vary, withhold] {
        let directive = name.trim_matches('"');
        refused(&format!("{directive} A; {directive} B;"), &[name, "allowed is once"]);
    }
    for bad in ["yes", "1", "\"\""] {
        refused(
            &format!("twice_require_length {bad};"),
            &["\"twice_require_length\"", bad, "allowed are \"off\", \"on\""],
        );
    }
    accepted("twice_require_length on;");
}
