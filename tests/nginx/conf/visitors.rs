//! Mistakes in what is said of visitors: A/B tests, languages, ignored arguments.

use fixture::Nginx;

use super::{accepted, refused, refused_in_http};

#[test]
fn bad_ab_tests_are_refused() {
    let name = "\"twice_ab_test\"";
    refused_in_http("twice_ab_test;", &["invalid number of arguments", name]);
    refused_in_http("twice_ab_test button;", &["invalid number of arguments", name]);
    for bad in ["\"\"", "a.b", "\"a b\"", "\u{e9}", "a:b"] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        let texts = [name, &value, "allowed are 1 to 64 letters, digits"];
        refused_in_http(&format!("twice_ab_test {bad} a=1;"), &texts);
        refused_in_http(&format!("twice_ab_test t a=1 \"{}=1\";", bad.trim_matches('"')), &texts);
    }
    refused_in_http("twice_ab_test t red;", &[name, "\"red\"", "allowed is VALUE=WEIGHT"]);
    for bad in ["red=", "red=-1", "red=1.5", "red=many", "red=1000001", "red=50%"] {
        let texts = [name, &format!("\"{bad}\""), "allowed are weights from 0 to 1000000"];
        refused_in_http(&format!("twice_ab_test t blue=1 {bad};"), &texts);
    }
    refused_in_http("twice_ab_test t red=1 blue=1 red=2;", &[name, "\"red\" twice", "allowed is once"]);
    refused_in_http("twice_ab_test t red=0 blue=0;", &[name, "no weight above 0", "allowed is at least one"]);
    let values: String = (0..65).map(|n| format!(" v{n}=1")).collect();
    refused_in_http(&format!("twice_ab_test t{values};"), &[name, "too many values", "allowed are 64"]);
    let tests: String = (0..65).map(|n| format!("twice_ab_test t{n} a=1;\n")).collect();
    refused_in_http(&tests, &[name, "\"t64\"", "allowed are 64 tests"]);
    let tests: String = (0..64).map(|n| format!("twice_ab_test t{n} a=1;\n")).collect();
    Nginx::bare().http(tests).check().passes();
    refused("twice_ab_test t a=1;", &[name, "is not allowed here"]);
    Nginx::bare().server("twice_ab_test t a=1;").check().fails_with(&[name, "is not allowed here"]);
}

#[test]
fn two_tests_have_two_variables() {
    let name = "\"twice_ab_test\"";
    let texts = [name, "\"t\"", "$twice_ab_t", "allowed is another name"];
    refused_in_http("twice_ab_test t a=1;\ntwice_ab_test t a=1;", &texts);
    let texts = [name, "\"PRICE_1\"", "$twice_ab_price_1", "\"Price-1\"", "allowed is another name"];
    refused_in_http("twice_ab_test Price-1 a=1;\ntwice_ab_test PRICE_1 a=1;", &texts);
    // One that somebody else has made.
    let map = "map $uri $twice_ab_t { default 1; }";
    refused_in_http(&format!("{map}\ntwice_ab_test t a=1;"), &["twice_ab_t"]);
    refused_in_http(&format!("twice_ab_test t a=1;\n{map}"), &["twice_ab_t"]);
    let set = Nginx::bare().server("set $twice_ab_t 1;").http("twice_ab_test t a=1;").check();
    assert!(!set.ok && set.output.contains("twice_ab_t"), "{set:?}");
    Nginx::bare()
        .server("set $x $twice_ab_u;")
        .http("twice_ab_test t a=1;")
        .check()
        .fails_with(&["twice_ab_u"]);
    Nginx::bare().server("set $x $twice_ab_price_1;").http("twice_ab_test Price-1 a=1;").check().passes();
}

#[test]
fn a_bad_cookie_name_is_refused() {
    let name = "\"twice_ab_cookie\"";
    for bad in ["\"\"", "\"a b\"", "a=b", "\"a;b\"", "\u{e9}", "a,b"] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        refused_in_http(&format!("twice_ab_cookie {bad};"), &[name, &value, "allowed are letters, digits"]);
    }
    refused_in_http(&format!("twice_ab_cookie {};", "x".repeat(65)), &[name, "64 at most"]);
    refused_in_http("twice_ab_cookie a; twice_ab_cookie b;", &[name, "allowed is once"]);
    refused("twice_ab_cookie a;", &[name, "is not allowed here"]);
}

#[test]
fn bad_languages_are_refused() {
    let name = "\"twice_languages\"";
    for bad in ["e", "en_GB", "\"\"", "en-", "*", "englishlanguage"] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        refused(
            &format!("twice_languages en {bad};"),
            &[name, &value, "allowed are language tags such as en"],
        );
    }
    refused("twice_languages en-GB EN-gb;", &[name, "\"EN-gb\" twice", "allowed is once"]);
    refused("twice_languages en; twice_languages de;", &[name, "allowed is once"]);
    let many: String = (0..65).map(|n| format!(" x-{n}")).collect();
    refused(&format!("twice_languages{many};"), &[name, "too many", "1 to 64"]);
    refused("twice_vary_language yes;", &["\"twice_vary_language\"", "\"yes\"", "\"off\", \"on\""]);
    refused("twice_vary_language on; twice_vary_language on;", &["\"twice_vary_language\"", "once"]);
    accepted("twice_languages en zh-Hant sr-Latn-RS de-CH-1901; twice_vary_language on;");
}

#[test]
fn a_bad_pattern_of_hosts_is_refused() {
    let name = "\"twice_language_redirect\"";
    for bad in ["on", "https://example.com", "*.example.com", "https://www.*.com", "https://*.example.com/"] {
        let texts = [name, &format!("\"{bad}\""), "allowed are \"off\" and http:// or https://"];
        refused(&format!("twice_languages en; twice_language_redirect {bad};"), &texts);
    }
    let pattern = "twice_language_redirect https://*.example.com;";
    refused(pattern, &[name, "no languages", "allowed is \"twice_languages\" beside it"]);
    refused(&format!("twice_languages en; {pattern} {pattern}"), &[name, "allowed is once"]);
    accepted(&format!("twice_languages en; {pattern}"));
    accepted("twice_language_redirect off;");
    Nginx::bare().http(format!("twice_languages en;\n{pattern}")).check().passes();
}

#[test]
fn bad_ignored_arguments_are_refused() {
    let name = "\"twice_ignore_args\"";
    let long = "x".repeat(65);
    for bad in ["\"\"", "a=b", "\"a&b\"", "\"a;b\"", "*_utm", "utm_**", "\"a b\"", "\u{e9}", long.as_str()] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        refused(&format!("twice_ignore_args fbclid {bad};"), &[name, &value, "allowed are \"off\" alone"]);
    }
    refused("twice_ignore_args off a;", &[name, "\"off\"", "\"off\" alone"]);
    refused("twice_ignore_args a; twice_ignore_args b;", &[name, "allowed is once"]);
    let many: String = (0..65).map(|n| format!(" a{n}")).collect();
    refused(&format!("twice_ignore_args{many};"), &[name, "\"a64\"", "up to 64 names"]);
    accepted("twice_ignore_args utm_* fbclid x[] *;");
    // Whoever writes the key says what is in it.
    refused("twice_key $uri; twice_ignore_args a;", &[name, "\"twice_key\"", "allowed is the default key"]);
    refused("twice_ignore_args a; twice_key $uri;", &["\"twice_key\"", name, "allowed is one of them"]);
    let outer = Nginx::bare().server("twice_key $uri;").location("/", "twice_ignore_args a;").check();
    outer.fails_with(&[name, "\"twice_key\"", "allowed is the default key"]);
    Nginx::bare().server("twice_ignore_args a;").location("/", "twice_key $uri;").check().passes();
    Nginx::bare().server("twice_key $uri;").location("/", "twice_ignore_args off;").check().passes();
}
