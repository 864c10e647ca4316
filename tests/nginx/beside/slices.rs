//! `slice` fetches parts: its answers are put together of 206s, which are no pages, and pass by the store. Where an
//! origin knows no ranges its whole answer is stored.

use super::*;

/// A file of an origin that knows ranges.
fn file(request: &Received) -> Answer {
    let body: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let answer = |status, body: &[u8]| {
        let answer = Answer::new(status, body).header("Content-Type", "text/plain").header("ETag", "\"v1\"");
        answer.header("Accept-Ranges", "bytes").header("Cache-Control", "public, max-age=60")
    };
    let range = request.header("Range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((start, end)) = range else { return answer(200, &body) };
    let (start, end) = (start.parse().unwrap_or(0), end.parse().unwrap_or(usize::MAX).min(body.len() - 1));
    let Some(part) = body.get(start..=end) else { return answer(416, b"") };
    let length = body.len();
    answer(206, part).header("Content-Range", format!("bytes {start}-{end}/{length}"))
}

#[test]
fn sliced_answers_are_whole_and_pass_by_the_store() {
    let both = Beside::start(|setup, origin, twice| {
        setup.location(
            "/",
            format!("{twice} slice 16k; proxy_set_header Range $slice_range; proxy_http_version 1.1; proxy_pass {origin};"),
        )
    });
    both.handle("/file", file);
    for _ in 0..2 {
        let whole = both.ask("/file", as_it_is);
        assert_eq!((whole.status, whole.body.len()), (200, 100_000));
        assert_eq!((whole.cache(), whole.reason()), ("MISS", "status"));
        for (range, status, length) in [
            ("0-9", 206, 10),
            ("16380-16390", 206, 11),
            ("90000-", 206, 10_000),
            ("0-0", 206, 1),
            ("20000-80000", 206, 60_001),
        ] {
            let part = both.ask("/file", |r| r.range(range));
            assert_eq!((part.status, part.body.len()), (status, length), "{range}: {part:?}");
        }
        both.ask("/file", |r| r.head());
        both.ask("/file", |r| r.range("0-9").header("If-Range", "\"v0\""));
    }
    let [ours, plain] = both.sides().map(|side| side.origin.count("/file"));
    assert_eq!(ours, plain);
}

#[test]
fn an_origin_without_ranges_is_stored_whole() {
    let both = Beside::start(|setup, origin, twice| {
        setup.location(
            "/",
            format!("{twice} slice 16k; proxy_set_header Range $slice_range; proxy_pass {origin};"),
        )
    });
    both.on("/page", public("0123456789".repeat(5_000)));
    both.ask("/page", as_it_is).assert_cache("MISS");
    both.hit("/page", as_it_is).assert_cache("HIT");
    assert_eq!(both.with.origin.count("/page"), 1);
}
