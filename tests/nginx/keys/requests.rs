//! Conditions, ranges and requests in a row that must not share a page.

use fixture::{Answer, Origin};

use super::{cached, echoing, said};

#[test]
fn answers_to_a_condition_or_a_range_that_nobody_shares() {
    let origin = Origin::start();
    let nginx = cached(&origin).start();
    // An origin that answers with a part, asked or not.
    let part = Answer::new(206, "4567")
        .header("Content-Range", "bytes 4-7/10")
        .header("X-Twice-Control", "max-age=60");
    origin.on("/part", part);
    for _ in 0..2 {
        nginx.get("/part").range("4-7").send();
        assert_eq!(nginx.get("/part").send().status, 206);
    }
    let whole = Answer::page("0123456789").header("ETag", "\"x\"").header("X-Twice-Control", "no-tags");
    origin.on("/part", whole);
    // Of the whole page that came each client gets what it asked for.
    let first = nginx.get("/part").range("4-5").header("If-None-Match", "\"y\"").send();
    assert!(matches!(first.status, 200 | 206), "{first:?}");
    nginx.get("/part").send().assert(200, "HIT", "0123456789");
    nginx.get("/part").range("4-5").send().assert(206, "HIT", "45");
    nginx.get("/part").header("If-None-Match", "\"x\"").send().assert(304, "HIT", "");
}

#[test]
fn requests_in_a_row_get_their_own_pages() {
    let origin = echoing();
    let nginx = cached(&origin).start();
    let mut raw = nginx.raw();
    for path in ["/a", "/b", "/a", "/c", "/b", "/a"] {
        raw.get(path);
    }
    for (path, cache) in
        [("/a", "MISS"), ("/b", "MISS"), ("/a", "HIT"), ("/c", "MISS"), ("/b", "HIT"), ("/a", "HIT")]
    {
        raw.response().assert(200, cache, &said("localhost", path));
    }
}
