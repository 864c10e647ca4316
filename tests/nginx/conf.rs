//! Configuration: mistakes are told, values are inherited, and a reload changes what it says and no more.

mod reloads;
mod serving;
mod sources;
mod steering;
mod visitors;
mod zones;

use fixture::process::SIGHUP;
use fixture::{Answer, Nginx, Origin, Setup, until};

/// What is wrong in the http block, and what the one error line must hold.
#[track_caller]
fn refused_in_http(lines: &str, texts: &[&str]) {
    Nginx::bare().http(lines).check().fails_with(texts);
}

/// The same in a location, with a zone `pages`.
#[track_caller]
fn refused(lines: &str, texts: &[&str]) {
    Nginx::bare().http("twice_zone pages 16m;").location("/", lines).check().fails_with(texts);
}

#[track_caller]
fn accepted(lines: &str) {
    Nginx::bare().http("twice_zone pages 16m;").location("/", lines).check().passes();
}

fn cached(origin: &Origin) -> Setup {
    Nginx::twice().location("/", format!("twice pages; proxy_pass {};", origin.url()))
}

#[test]
fn the_number_of_words_is_checked() {
    refused_in_http("twice_zone;", &["invalid number of arguments", "\"twice_zone\""]);
    refused_in_http("twice_zone pages;", &["invalid number of arguments", "\"twice_zone\""]);
    let names = [
        "twice",
        "twice_key",
        "twice_tags",
        "twice_escape",
        "twice_lock",
        "twice_lock_timeout",
        "twice_lock_age",
        "twice_include_timeout",
        "twice_revalidate",
    ];
    for name in names {
        refused(&format!("{name};"), &["invalid number of arguments", &format!("\"{name}\"")]);
        refused(&format!("{name} a b;"), &["invalid number of arguments", &format!("\"{name}\"")]);
    }
    for name in ["methods", "valid", "bypass", "no_store", "types", "headers", "delimiters", "audit"] {
        let texts = ["invalid number of arguments", &format!("\"twice_{name}\"")];
        refused(&format!("twice_{name};"), &texts);
    }
    refused("twice_delimiters a b c;", &["invalid number of arguments", "\"twice_delimiters\""]);
}

#[test]
fn a_zone_that_nobody_defines_is_refused() {
    refused("twice pagse;", &["\"twice\"", "nginx.conf:", "\"pagse\"", "allowed are \"off\"", "\"pages\""]);
    refused("twice Off;", &["\"twice\"", "\"Off\"", "allowed are \"off\""]);
    refused("twice \"\";", &["\"twice\"", "\"\"", "allowed are \"off\" and the name of a zone"]);
    Nginx::bare().location("/", "twice pages;").check().fails_with(&["\"pages\"", "none is defined"]);
    // As in nginx, it is named and not guessed by a variable.
    refused("twice $zone;", &["\"twice\"", "\"$zone\"", "\"pages\""]);
}

#[test]
fn what_may_stand_once_in_a_block_stands_once() {
    for lines in [
        "twice pages; twice pages;",
        "twice off; twice pages;",
        "twice_key a; twice_key b;",
        "twice_methods GET; twice_methods HEAD;",
        "twice_tags all; twice_tags all;",
        "twice_escape off; twice_escape html;",
        "twice_lock on; twice_lock off;",
        "twice_audit on; twice_audit off;",
        "twice_revalidate on; twice_revalidate on;",
        "twice_lock_timeout 1s; twice_lock_timeout 1s;",
        "twice_lock_age 1m; twice_lock_age 2m;",
        "twice_include_timeout 1s; twice_include_timeout 2s;",
        "twice_delimiters a b; twice_delimiters a b;",
    ] {
        let name = lines.split(' ').next().unwrap();
        refused(lines, &[&format!("\"{name}\""), "twice in one block", "allowed is once"]);
    }
}

#[test]
fn bad_values_are_refused() {
    refused("twice_key \"\";", &["\"twice_key\"", "\"\"", "allowed is a string with variables"]);
    refused("twice_key $nobody_has_this;", &["nobody_has_this"]);
    for method in ["POST", "PUT", "get", "\"\"", "\"GET HEAD\""] {
        let value = format!("\"{}\"", method.trim_matches('"'));
        let texts = ["\"twice_methods\"", &value, "allowed are \"GET\", \"HEAD\""];
        refused(&format!("twice_methods GET {method};"), &texts);
    }
    // Not there yet; a later version's word is no reason to guess.
    for tags in ["guard", "on", "ALL", "\"\""] {
        let value = format!("\"{}\"", tags.trim_matches('"'));
        let texts = ["\"twice_tags\"", &value, "allowed are \"off\", \"marked\", \"guarded\", \"all\""];
        refused(&format!("twice_tags {tags};"), &texts);
    }
    for escape in ["on", "js", "HTML"] {
        let value = format!("\"{escape}\"");
        refused(
            &format!("twice_escape {escape};"),
            &["\"twice_escape\"", &value, "\"off\", \"html\", \"auto\""],
        );
    }
    refused("twice_bypass $nobody_has_this;", &["nobody_has_this"]);
    refused("twice_no_store $nobody_has_this;", &["nobody_has_this"]);
}

#[test]
fn bad_lifetimes_are_refused() {
    for (words, value) in
        [("soon", "soon"), ("200 soon", "soon"), ("200 -1", "-1"), ("10x", "10x"), ("1.5h", "1.5h")]
    {
        let value = format!("\"{value}\"");
        refused(
            &format!("twice_valid {words};"),
            &["\"twice_valid\"", "time", &value, "allowed is a time such as 30s"],
        );
    }
    for code in ["20", "2000", "abc", "099", "600", "-200", "2xx", "Any"] {
        let value = format!("\"{code}\"");
        let texts = ["\"twice_valid\"", "code", &value, "allowed are codes", "\"any\""];
        refused(&format!("twice_valid {code} 1m;"), &texts);
    }
    for code in
        ["206", "304", "307", "401", "407", "408", "413", "428", "429", "431", "500", "502", "503", "504"]
    {
        let value = format!("\"{code}\"");
        refused(&format!("twice_valid 200 {code} 1m;"), &["\"twice_valid\"", &value, "never stored"]);
    }
    refused("twice_valid 200;", &["\"twice_valid\"", "\"200\"", "looks like a code", "200s"]);
    accepted("twice_valid 1m;\ntwice_valid 200 301 404 10s;\ntwice_valid any 1h;\ntwice_valid 90;");
}

#[test]
fn bad_delimiters_are_refused() {
    let name = "\"twice_delimiters\"";
    refused("twice_delimiters <%;", &[name, "\"<%\"", "allowed are two strings", "\"~\""]);
    refused("twice_delimiters \"\" %>;", &[name, "must not be empty"]);
    refused("twice_delimiters <% \"\";", &[name, "must not be empty"]);
    let line_end = Nginx::bare().http("twice_zone pages 16m; twice_delimiters \"<\n%\" %>;").check();
    assert!(!line_end.ok && line_end.output.contains("must not hold a line end"), "{line_end:?}");
    refused("twice_delimiters \"~<(\";", &[name, "\"~<(\"", "not a regular expression"]);
    refused("twice_delimiters ~<%.*?%>;", &[name, "needs a group"]);
    refused("twice_delimiters \"~(x*)\";", &[name, "must not match the empty string"]);
    refused("twice_delimiters ~;", &[name]);
    let long = "<".repeat(200);
    refused(&format!("twice_delimiters {long} >;"), &[name, "at most"]);
    accepted("twice_delimiters \"~\\[%(.*?)%\\]\";");
}

#[test]
fn bad_header_names_are_refused() {
    let name = "\"twice_headers\"";
    refused("twice_headers X-Control;", &[name, "\"X-Control\"", "allowed is KEY=NAME"]);
    refused(
        "twice_headers contrl=X;",
        &[name, "\"contrl=X\"", "unknown key", "allowed are control, request"],
    );
    refused("twice_headers \"control=X Y\";", &[name, "\"control=X Y\"", "names no header"]);
    refused("twice_headers control=;", &[name, "\"control=\"", "names no header"]);
    refused("twice_headers control=X:Y;", &[name, "\"control=X:Y\"", "names no header"]);
    refused(&format!("twice_headers control={};", "x".repeat(65)), &[name, "64 at most"]);
    refused("twice_headers control=Set-Cookie;", &[name, "\"control=Set-Cookie\"", "taken"]);
    refused("twice_headers control=content-LENGTH;", &[name, "taken"]);
    refused("twice_headers control=twice;", &[name, "\"control=twice\"", "taken"]);
    refused("twice_headers control=X-A request=x-a;", &[name, "\"request=x-a\"", "taken"]);
    // The names that HTTP itself gives a meaning to.
    for header in
        ["Host", "Cookie", "Location", "Authorization", "Vary", "ETag", "Content-Encoding", "Expires"]
    {
        refused(&format!("twice_headers control={header};"), &[name, "taken"]);
    }
}

#[test]
fn a_directive_in_the_wrong_place_is_refused() {
    let here = "is not allowed here";
    refused("twice_zone more 16m;", &["\"twice_zone\"", here]);
    Nginx::bare().server("twice_zone more 16m;").check().fails_with(&["\"twice_zone\"", here]);
    Nginx::bare().main("twice_zone more 16m;").check().fails_with(&["\"twice_zone\"", here]);
    Nginx::bare().main("twice off;").check().fails_with(&["\"twice\"", here]);
    refused("limit_except GET { twice off; }", &["\"twice\"", here]);
    refused("if ($arg_x) { twice off; }", &["\"twice\"", here]);
}

#[test]
fn a_zone_may_be_named_before_it_is_defined() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x"));
    let nginx = Nginx::bare()
        .http("add_header X-Cache $twice_cache_status;\ntwice late;\ntwice_zone late 8m;")
        .location("/", format!("proxy_pass {};", origin.url()))
        .start();
    nginx.get("/").warm().assert(200, "HIT", "x");
}

#[test]
fn a_bad_lock_is_refused() {
    for bad in ["yes", "1", "ON"] {
        for name in ["twice_lock", "twice_revalidate"] {
            let texts = [format!("\"{name}\""), format!("\"{bad}\""), "\"off\", \"on\"".to_owned()];
            refused(&format!("{name} {bad};"), &texts.each_ref().map(String::as_str));
        }
    }
    for name in ["twice_lock_timeout", "twice_lock_age"] {
        for bad in ["soon", "-1s", "5x", "1.5s"] {
            let texts = [&format!("\"{name}\""), &format!("\"{bad}\""), "500ms, 5s or 1m"];
            refused(&format!("{name} {bad};"), &texts.map(|text: &str| text));
        }
        for good in ["0", "500ms", "5s", "1m 30s", "10"] {
            accepted(&format!("{name} \"{good}\";"));
        }
    }
}

#[test]
fn a_bad_include_timeout_is_refused() {
    for bad in ["soon", "-1s", "5x"] {
        let texts = ["\"twice_include_timeout\"", &format!("\"{bad}\""), "500ms, 5s or 1m"];
        refused(&format!("twice_include_timeout {bad};"), &texts);
    }
    for bad in ["0", "61m"] {
        let texts = ["\"twice_include_timeout\"", &format!("\"{bad}\""), "allowed is a time from 1ms to 1h"];
        refused(&format!("twice_include_timeout {bad};"), &texts);
    }
    for good in ["1ms", "5s", "1h"] {
        accepted(&format!("twice_include_timeout {good};"));
    }
}

#[test]
fn the_switch_is_inherited_and_may_be_turned() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = Nginx::twice()
        .http("twice pages;")
        .location("/", &pass)
        .location("/off/", format!("twice off; location /off/inner/ {{ {pass} }} location /off/on/ {{ twice pages; {pass} }} {pass}"))
        .location("/nested/", format!("location /nested/a/ {{ location /nested/a/b/ {{ {pass} }} }} {pass}"))
        .start();
    for path in ["/", "/nested/x", "/nested/a/b/x", "/off/on/x"] {
        nginx.get(path).warm().assert(200, "HIT", "x");
    }
    for path in ["/off/x", "/off/inner/x"] {
        for count in 1..=3 {
            let page = nginx.get(path).send();
            page.assert(200, "", "x");
            assert_eq!((origin.count(path), page.reason()), (count, ""), "{path}");
            // Without Twice nginx is as it was: nothing is added, nothing taken away.
            assert_eq!(page.header("X-Twice-Control"), Some("max-age=3600"), "{path}");
            assert_eq!(origin.last(path).header("Twice"), None, "{path}");
        }
    }
}

#[test]
fn every_directive_is_inherited_and_overridden_inside() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        let page = Answer::ok("[[ get arg v ]] {{ get arg v }}").header("X-Outer", "").header("X-Inner", "");
        page.header(
            "Content-Type",
            if request.query().contains("json") { "application/json" } else { "text/plain" },
        )
    });
    let pass = format!("proxy_pass {};", origin.url());
    let nginx = Nginx::twice()
        .http(
            "twice pages;
add_header X-Key $twice_key; add_header X-Ttl $twice_ttl;
twice_key outer-$uri-$arg_v; twice_methods GET; twice_valid 1h; twice_bypass $arg_b1; twice_no_store $arg_n1;
twice_tags marked; twice_delimiters [[ ]]; twice_types text/plain; twice_escape off;
twice_headers control=X-Outer;",
        )
        .location("/outer/", &pass)
        .location(
            "/inner/",
            format!(
                "twice_key inner-$uri-$arg_v; twice_methods GET HEAD; twice_valid 200 2h; twice_bypass $arg_b2;
twice_no_store $arg_n2; twice_tags all; twice_delimiters \"{{{{\" \"}}}}\"; twice_types application/json;
twice_escape html; twice_headers control=X-Inner request=X-Mark; {pass}"
            ),
        )
        .start();
    let outer = nginx.get("/outer/x?v=<").warm();
    outer.assert(200, "HIT", "< {{ get arg v }}");
    assert_eq!(outer.header("X-Key"), Some("outer-/outer/x-<"));
    let ttl = |page: &fixture::Response| page.header("X-Ttl").unwrap().parse::<u64>().unwrap();
    assert!((3500..=3600).contains(&ttl(&outer)), "{outer:?}");
    assert_eq!((outer.header("X-Outer"), outer.header("X-Inner")), (None, Some("")));
    let inner = nginx.get("/inner/x?v=<").warm();
    // The type of this one is not among the inner ones.
    inner.assert(200, "HIT", "[[ get arg v ]] {{ get arg v }}");
    assert_eq!(inner.header("X-Key"), Some("inner-/inner/x-<"));
    assert!((7100..=7200).contains(&ttl(&inner)), "{inner:?}");
    assert_eq!((inner.header("X-Outer"), inner.header("X-Inner")), (Some(""), None));
    nginx.get("/inner/json?json&v=<").warm().assert(200, "HIT", "[[ get arg v ]] &lt;");
    nginx.get("/outer/json?json&v=<").warm().assert(200, "HIT", "[[ get arg v ]] {{ get arg v }}");

    assert_eq!(nginx.get("/outer/x?v=<").head().send().reason(), "method");
    nginx.get("/inner/x?v=<").head().send().assert_cache("HIT");
    for (place, own, other) in [("outer", 1, 2), ("inner", 2, 1)] {
        nginx.get(&format!("/{place}/x?v=<&b{own}=1")).send().assert_cache("BYPASS");
        nginx.get(&format!("/{place}/x?v=<&b{other}=1")).send().assert_cache("HIT");
        assert_eq!(nginx.get(&format!("/{place}/new?v={own}&n{own}=1")).send().reason(), "no_store");
        nginx.get(&format!("/{place}/new?v={own}&n{other}=1")).warm();
    }
    assert_eq!(origin.last("/outer/x").header("Twice"), Some("true"));
    assert_eq!(
        (origin.last("/inner/x").header("Twice"), origin.last("/inner/x").header("X-Mark")),
        (None, Some("true"))
    );
}

#[test]
fn limit_except_and_if_blocks_inherit_their_location() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; proxy_pass {}; limit_except GET {{ allow all; }}", origin.url()))
        .location("/if", format!("twice pages; if ($arg_x) {{ set $y 1; }} proxy_pass {};", origin.url()))
        .start();
    nginx.get("/").warm();
    let post = nginx.get("/").body("b").send();
    post.assert(200, "", "x");
    assert_eq!(post.reason(), "method");
    assert_eq!(origin.last("/").header("Twice"), Some("true"));
    for path in ["/if", "/if?x=1"] {
        nginx.get(path).warm().assert(200, "HIT", "x");
    }
}
