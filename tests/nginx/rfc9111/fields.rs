//! Fields that stay out of the store, and cookies that are set.

use fixture::{Answer, Origin};

use super::{cached, caching, never_stored, stored};

#[test]
fn fields_of_one_visitor_or_connection_are_not_stored() {
    let origin = Origin::start();
    let own = |answer: Answer| answer.header("X-Own", "1").header("X-Kept", "2").header("ETag", "\"e\"");
    origin.on("/private", own(caching("max-age=1000, private=\"x-own\"")));
    origin.on("/no-cache", own(caching("max-age=1000, no-cache=X-Own")));
    origin.on("/etag", own(caching("max-age=1000, private=\"X-Own, ETag, Last-Modified\"")));
    // nginx does not pass this line on, but all that it names.
    origin.on("/connection", own(caching("max-age=1000").header("Connection", "keep-alive, X-OWN")));
    origin.on("/control", own(Answer::page("x").header("Connection", "x-own")));
    let nginx = cached(&origin, "").start();
    for path in ["/private", "/no-cache", "/etag", "/connection", "/control"] {
        let miss = nginx.get(path).send();
        assert_eq!((miss.header("X-Own"), miss.header("X-Kept")), (Some("1"), Some("2")), "{miss:?}");
        let hit = nginx.get(path).warm();
        assert_eq!((hit.header("X-Own"), hit.header("X-Kept")), (None, Some("2")), "{hit:?}");
        assert_eq!(hit.header("ETag").is_some(), path != "/etag", "{hit:?}");
    }
}

#[test]
fn a_cookie_is_dropped_where_the_location_or_the_answer_says_so() {
    let origin = Origin::start();
    let cookie = |value: &str| caching(value).header("Set-Cookie", "sid=1").header("Set-Cookie", "b=2");
    origin.on("/plain", cookie("max-age=1000"));
    origin.on("/drop/plain", cookie("max-age=1000"));
    origin.on("/drop/private", cookie("max-age=1000, private"));
    origin.on("/named", cookie("max-age=1000, no-cache=\"Set-Cookie\""));
    let nginx = cached(&origin, "")
        .location("/drop/", format!("twice pages; twice_set_cookie drop; proxy_pass {};", origin.url()))
        .start();
    never_stored(&nginx, "/plain", "set_cookie");
    never_stored(&nginx, "/drop/private", "cache_control");
    for path in ["/drop/plain", "/named"] {
        // Who caused the fetch has them, and nobody else.
        assert_eq!(nginx.get(path).send().all("Set-Cookie"), ["sid=1", "b=2"], "{path}");
        assert_eq!(stored(&nginx, path, 1000).all("Set-Cookie").len(), 0, "{path}");
    }
}

#[test]
fn what_is_hidden_from_clients_is_not_hidden_from_the_cache() {
    let origin = Origin::start();
    origin.on("/private", caching("private"));
    origin.on("/cookie", Answer::html("x").header("Set-Cookie", "sid=1"));
    origin.on("/vary", Answer::html("x").header("Vary", "*"));
    origin.on("/open", Answer::html("x"));
    origin.on("/kept", caching("max-age=1000"));
    let hide = "proxy_hide_header Cache-Control; proxy_hide_header Set-Cookie; proxy_hide_header Vary;";
    let nginx = cached(&origin, &format!("twice_valid 100s; {hide}")).start();
    never_stored(&nginx, "/private", "cache_control");
    never_stored(&nginx, "/cookie", "set_cookie");
    never_stored(&nginx, "/vary", "varies");
    stored(&nginx, "/open", 100);
    let page = stored(&nginx, "/kept", 1000);
    assert_eq!(page.header("Cache-Control"), None);
}

#[test]
fn an_answer_is_not_judged_by_the_lines_of_the_one_before() {
    let origin = Origin::start();
    // The first answer sends the request on to a file: its lines are not the file's.
    let away =
        Answer::html("x").header("X-Accel-Redirect", "/files/a.html").header("X-Accel-Expires", "1000");
    origin.on("/away", away.header("Connection", "Last-Modified").header("Vary", "*"));
    let nginx = cached(&origin, "")
        .location("/files/", "internal; twice pages; twice_valid 100s;")
        .file("html/files/a.html", "a")
        .start();
    let page = stored(&nginx, "/away", 100);
    assert!(page.header("Last-Modified").is_some(), "{page:?}");
    page.assert(200, "HIT", "a");
}
