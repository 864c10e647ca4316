//! Ways in which one URL is written.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::canonical::{of_decoded, of_target};

fn form(target: &str) -> String {
    String::from_utf8_lossy(&of_target(target.as_bytes())).into_owned()
}

#[test]
fn one_form_for_all_ways_to_write_a_url() {
    for (form_of_it, ways) in [
        ("/", &["", "/", "//", "/.", "/..", "/../../", "/?", "?", "/#", "/a/..", "/%2e", "/%2E%2e/"][..]),
        ("/a", &["/a", "//a", "/./a", "/b/../a", "/%61", "/a?", "/a#", "/a#b?c", "/../a", "/b%2F..%2fa"]),
        ("/a/", &["/a/", "/a//", "/a/.", "/a/b/..", "/a/b/../", "/a/?"]),
        ("/a?b=c", &["/a?b=c", "/a?b=%63", "/%61?%62%3dc", "/a?b=c#d"]),
        ("/a?", &["/a%3F"]),
        ("/é", &["/é", "/%C3%A9", "/%c3%a9"]),
        ("/100%41", &["/100%2541"]),
        ("/%", &["/%", "/%25"]),
        ("/%zz%4", &["/%zz%4"]),
        ("/?a", &["?a", "/?a", "//?%61"]),
        ("/a??", &["/a??", "/a?%3f"]),
        ("/a?//b/../c", &["/a?//b/../c"]),
        ("/...", &["/...", "/%2e.."]),
    ] {
        for way in ways {
            assert_eq!(form(way), form_of_it, "{way}");
        }
    }
}

#[test]
fn a_decoded_path_is_not_decoded_again() {
    assert_eq!(of_decoded(b"/100%41", b"a=%41"), b"/100%41?a=A");
    assert_eq!(of_decoded(b"/a b", b""), of_target(b"/a%20b"));
}

/// Percent-encodes the bytes that `which` tells, in either case.
fn encoded(text: &[u8], which: &[u8]) -> Vec<u8> {
    text.iter()
        .zip(which.iter().cycle())
        .flat_map(|(byte, how)| match how {
            0 => format!("%{byte:02x}").into_bytes(),
            1 => format!("%{byte:02X}").into_bytes(),
            _ if b"%?#".contains(byte) => format!("%{byte:02X}").into_bytes(),
            _ => vec![*byte],
        })
        .collect()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn encoding_changes_nothing(path in "/[a-z/.%?# é]{0,20}", query in "[a-z&=%# é]{0,20}", which in proptest::collection::vec(0..4u8, 1..20)) {
        let mut written = encoded(path.as_bytes(), &which);
        if !query.is_empty() {
            written.push(b'?');
            written.extend(encoded(query.as_bytes(), &which));
        }
        prop_assert_eq!(of_target(&written), of_decoded(path.as_bytes(), &encoded(query.as_bytes(), &[2])));
    }

    #[test]
    fn a_form_has_neither_empty_segments_nor_dots(path in any::<Vec<u8>>()) {
        let form = of_decoded(&path, b"");
        prop_assert!(form.starts_with(b"/"));
        let segments: Vec<_> = form[1..].split(|b| *b == b'/').collect();
        let (_, inner) = segments.split_last().unwrap();
        prop_assert!(inner.iter().all(|s| !matches!(s, &b"" | &b"." | &b"..")));
        prop_assert_eq!(of_decoded(&form, b""), form);
    }
}
