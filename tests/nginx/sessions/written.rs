//! What `nginx -t` says of sources: which directive, what it has, what is allowed.

use super::*;

#[track_caller]
fn refused(line: &str, texts: &[&str]) {
    let all: Vec<&str> = ["\"twice_source\""].iter().chain(texts).copied().collect();
    let upstream = "upstream kept { server 127.0.0.1:11211; }";
    Nginx::bare().http("twice_zone pages 16m;").http(upstream).http(line).check().fails_with(&all);
}

#[test]
fn sources_that_can_not_be() {
    for (options, texts) in [
        ("", &["has no URI", "allowed is http URI key=STRING"][..]),
        ("session key=$cookie_x", &["the URI \"session\"", "such as /_session"]),
        (
            "/_session",
            &[
                "has no key=STRING",
                "all visitors would share one answer of \"/_session\"",
                "key=$cookie_persistent",
            ],
        ),
        ("/_session key=", &["\"key=\"", "allowed is a string"]),
        (
            "/_session key=$",
            &["\"key=$\"", "followed by the name of a variable", "allowed are text, variables"],
        ),
        ("/_session key=$cookie_x*", &["\"key=$cookie_x*\"", "allowed is one without \"*\""]),
        ("/_session key=x key=y", &["\"key=y\"", "besides another one of its name", "allowed is one"]),
        ("/_session key=x ttl=366d", &["\"ttl=366d\"", "a time from 0s to 365d"]),
        ("/_session key=x timeout=0ms", &["\"timeout=0ms\"", "a time from 1ms to 60s"]),
        ("/_session key=x timeout=61s", &["\"timeout=61s\"", "a time from 1ms to 60s"]),
        ("/_session key=x format=xml", &["\"format=xml\"", "format=text or format=json"]),
        (
            "/_session key=x server_failure_limit=0",
            &["\"server_failure_limit=0\"", "a number from 1 to 1000"],
        ),
        (
            "/_session key=x server_retry_timeout=9ms",
            &["\"server_retry_timeout=9ms\"", "a time from 10ms to 1d"],
        ),
        (
            "/_session key=x server_retry_timeout=2d",
            &["\"server_retry_timeout=2d\"", "a time from 10ms to 1d"],
        ),
        (
            "/_session key=x hash=md5",
            &[
                "\"hash\"",
                "of the type http",
                "allowed are key, ttl, timeout, format, server_failure_limit, server_retry_timeout",
            ],
        ),
        ("/_session key=x auto_eject_hosts", &["\"auto_eject_hosts\"", "of the type http"]),
        ("/_session key=x nonsense", &["\"nonsense\"", "server_retry_timeout=TIME and, for memcached,"]),
    ] {
        refused(&format!("twice_source session http {options};"), texts);
    }
    for (options, texts) in [
        ("kept key=$cookie_x", &["\"key=$cookie_x\"", "could name any key", "such as session_$cookie_x"][..]),
        ("kept format=json", &["format=json without key=STRING", "key=session_$cookie_persistent"]),
        ("kept format=json key=s_*", &["\"key=s_*\"", "one without \"*\" beside format=json"]),
    ] {
        refused(&format!("twice_source session memcached {options};"), texts);
    }
    for good in [
        "http /_session key=$cookie_persistent ttl=0s timeout=1ms server_failure_limit=1000 server_retry_timeout=10ms",
        "http /_session?of=visitors key=all format=text",
        "memcached kept key=session_${cookie_persistent}_$host format=json",
    ] {
        let upstream = "upstream kept { server 127.0.0.1:11211; }";
        let setup = Nginx::bare().http("twice_zone pages 16m;").http(upstream);
        setup.http(format!("twice_source session {good};")).check().passes();
    }
}
