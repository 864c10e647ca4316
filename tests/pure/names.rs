//! Names of header lines, in any case.

use twice_core::names::{Names, compare};

#[test]
fn names_are_found_in_any_case() {
    let names: Names<'_> =
        [&b"Vary"[..], b"x-b", b"ETag", b"X-A", b"etag", b"x-a-longer"].into_iter().collect();
    for name in ["vary", "VARY", "etag", "X-B", "x-a", "X-A-LONGER"] {
        assert!(names.has(name.as_bytes()), "{name}");
    }
    for name in ["", "var", "varyx", "x-c", "x-a-", "etah"] {
        assert!(!names.has(name.as_bytes()), "{name}");
    }
    assert!(!Names::default().has(b""));
    // The same where they differ in case alone, and else in one order for all.
    assert!(compare(b"A", b"a").is_eq() && compare(b"B", b"a").is_gt() && compare(b"a", b"AB").is_lt());
}
