//! Mistakes in what is said of sources.

use fixture::Nginx;

use super::{refused, refused_in_http};

const NAME: &str = "\"twice_source\"";

/// A memcached source with a good upstream, and what is wrong with the rest.
#[track_caller]
fn refused_of_memcached(options: &str, texts: &[&str]) {
    let upstream = "upstream u { server 127.0.0.1:11211; }";
    let texts: Vec<_> = [NAME].iter().chain(texts).copied().collect();
    refused_in_http(&format!("{upstream}\ntwice_source views memcached u {options};"), &texts);
}

#[track_caller]
fn refused_of_http(options: &str, texts: &[&str]) {
    let texts: Vec<_> = [NAME].iter().chain(texts).copied().collect();
    refused_in_http(&format!("twice_source session http {options};"), &texts);
}

#[test]
fn bad_names_and_types_are_refused() {
    refused_in_http("twice_source;", &["invalid number of arguments", NAME]);
    refused_in_http("twice_source views;", &["invalid number of arguments", NAME]);
    let long = "a".repeat(33);
    for bad in ["Views", "1st", "_x", "a-b", "a.b", "\"\"", "\"a b\"", &long] {
        let value = format!("\"{}\"", bad.trim_matches('"'));
        refused_in_http(&format!("twice_source {bad} local;"), &[NAME, &value, "allowed are a small letter"]);
    }
    for built_in in ["cookie", "var", "abvalue", "get", "include", "end"] {
        let value = format!("\"{built_in}\"");
        refused_in_http(
            &format!("twice_source {built_in} local;"),
            &[NAME, &value, "allowed is another name"],
        );
    }
    refused_in_http("twice_source a local;\ntwice_source a local;", &[NAME, "\"a\" a second time"]);
    refused_in_http(
        "twice_source a redis 127.0.0.1;",
        &[NAME, "\"redis\"", "allowed are memcached UPSTREAM"],
    );
    refused_in_http("twice_source a local 4m;", &[NAME, "\"4m\"", "local=N%"]);
    let many: String = (0..65).map(|n| format!("twice_source s{n} local;\n")).collect();
    refused_in_http(&many, &[NAME, "\"s64\"", "allowed are 64 sources"]);
    refused("twice_source a local;", &[NAME, "is not allowed here"]);
}

#[test]
fn bad_options_are_refused() {
    refused_of_memcached("ttl=1x", &["\"ttl=1x\"", "a time from 0s to 365d"]);
    refused_of_memcached("timeout=0s", &["\"timeout=0s\"", "a time from 1ms to 60s"]);
    refused_of_memcached("timeout=61s", &["\"timeout=61s\"", "a time from 1ms to 60s"]);
    refused_of_memcached("format=xml", &["\"format=xml\"", "format=text or format=json"]);
    refused_of_memcached("hash=sha1", &["\"hash=sha1\"", "fnv1a_64", "murmur"]);
    refused_of_memcached("distribution=ring", &["\"distribution=ring\"", "ketama, modula, random"]);
    refused_of_memcached("hash_tag=x", &["\"hash_tag=x\"", "two characters", "\"hash_tag={}\""]);
    for bad in ["connections=0", "connections=65", "connections=+1", "connections="] {
        refused_of_memcached(bad, &[&format!("\"{bad}\""), "a number from 1 to 64"]);
    }
    refused_of_memcached("server_failure_limit=0", &["a number from 1 to 1000"]);
    refused_of_memcached("server_retry_timeout=1ms", &["a time from 10ms to 1d"]);
    refused_of_memcached(
        "auto_eject_hosts=on",
        &["\"auto_eject_hosts=on\"", "auto_eject_hosts and preconnect"],
    );
    refused_of_memcached("size=3", &["\"size=3\"", "key=STRING, ttl=TIME"]);
    refused_of_memcached("ttl=1s ttl=2s", &["\"ttl=2s\"", "another one of its name"]);
    refused_of_memcached("names=a,b", &["names= of 2", "are 1", "one name for each"]);
    refused_of_memcached("names=a,,b", &["\"names=a,,b\"", "in the order of the upstream's servers"]);
}

#[test]
fn bad_keys_are_refused() {
    refused_of_memcached("key=", &["\"key=\"", "session_$cookie_persistent"]);
    refused_of_memcached("key=$cookie_x", &["begins with a visitor's value", "a text of its own"]);
    refused_of_memcached("\"key=a b\"", &["\"key=a b\"", "spaces or control bytes"]);
    refused_of_memcached("key=a$", &["\"key=a$\"", "name of a variable"]);
    // nginx's own words.
    refused_in_http(
        "twice_source views memcached 127.0.0.1:11211 key=a$nonsense;",
        &["unknown \"nonsense\" variable"],
    );
    refused_of_memcached(&format!("key={}", "k".repeat(251)), &["at most 250 bytes"]);
    refused_of_memcached("format=json", &["format=json without key=STRING"]);
    refused_of_memcached("format=json key=s_$cookie_x_*", &["without \"*\" beside format=json"]);
    refused_of_http("/_session", &["has no key=STRING", "share one answer"]);
    refused_of_http("/_session key=$cookie_x*", &["without \"*\"", "one for all tags"]);
    refused_of_http("session key=$cookie_x", &["\"session\"", "such as /_session"]);
    refused_of_http("/_session key=$cookie_x hash=md5", &["\"hash\"", "of the type http"]);
    refused_in_http("twice_source session http;", &[NAME, "has no URI"]);
}

#[test]
fn bad_upstreams_are_refused() {
    let source = "twice_source views memcached u;";
    let bad = |servers: &str, texts: &[&str]| {
        let texts: Vec<_> = [NAME, "\"u\""].iter().chain(texts).copied().collect();
        // The upstream may stand behind the source.
        refused_in_http(&format!("{source}\nupstream u {{ {servers} }}"), &texts);
    };
    bad(
        "server 127.0.0.1:1; server 127.0.0.1:2 backup;",
        &["127.0.0.1:2", "is a backup", "without \"backup\""],
    );
    bad("server 127.0.0.1:1; server 127.0.0.1:2 down;", &["127.0.0.1:2", "is down", "without \"down\""]);
    bad("server 127.0.0.1;", &["\"127.0.0.1\" has no port", "127.0.0.1:11211"]);
    bad("server [::1];", &["\"[::1]\" has no port", "[::1]:11211"]);
    bad("server 127.0.0.1:1; server 127.0.0.1:1;", &["two servers of the name \"127.0.0.1:1\""]);
    refused_in_http(source, &[NAME, "\"u\"", "\"upstream\" block", "127.0.0.1:11211"]);
    for address in ["127.0.0.1:0", "127.0.0.1:99999", "unix:"] {
        refused_in_http(&format!("twice_source views memcached {address};"), &[NAME, address]);
    }
    Nginx::bare().http("twice_source views memcached 127.0.0.1:11211;").check().passes();
    // As the message of a bad one says it: nginx reads `hash_tag={}` and `hash_tag="{}"` as the begin of a block.
    Nginx::bare().http("twice_source views memcached 127.0.0.1:11211 \"hash_tag={}\";").check().passes();
    Nginx::bare()
        .http(format!("{source}\nupstream u {{ server unix:/tmp/mc; server [::1]:1; }}"))
        .check()
        .passes();
    Nginx::bare().http(format!("{source}\nupstream u {{ server 127.0.0.1:1 weight=3; }}")).check().passes();
}
