//! The `Cookie` header, by a table and against a naive reader.

use crate::property::cases;
use fixture::effort::{self, grows_no_faster};
use proptest::prelude::*;
use twice_core::cookies::{is_clear, pairs};

fn read(line: &str) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    pairs(line.as_bytes()).map(|(name, value)| (text(name), text(value))).collect()
}

#[test]
fn cookie_lines() {
    type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    const TABLE: &[Row] = &[
        ("", &[], ""),
        ("a=1", &[("a", "1")], "RFC 6265 4.2.1"),
        ("a=1; b=2", &[("a", "1"), ("b", "2")], "RFC 6265 4.2.1"),
        ("a=1;b=2", &[("a", "1"), ("b", "2")], "no space: as servers read it"),
        ("  a=1 ;\tb=2\t", &[("a", "1"), ("b", "2")], "white space around a pair"),
        ("a = 1", &[("a ", " 1")], "but not inside it"),
        ("a=", &[("a", "")], "an empty value"),
        ("=1", &[("", "1")], "no name"),
        ("a", &[], "no pair"),
        ("a; b=2", &[("b", "2")], ""),
        (";;; ;b=2;", &[("b", "2")], ""),
        ("a=b=c", &[("a", "b=c")], "the first = ends the name"),
        ("a=\"x y\"", &[("a", "\"x y\"")], "quotes are part of the value"),
        ("a=\"x;b=2\"", &[("a", "\"x"), ("b", "2\"")], "and do not hold a semicolon"),
        ("a=1; a=2", &[("a", "1"), ("a", "2")], "in order"),
        ("A=1; a=2", &[("A", "1"), ("a", "2")], "names have a case"),
        ("a=%3B", &[("a", "%3B")], "nothing is decoded"),
        ("a=1, b=2", &[("a", "1, b=2")], "a comma parts nothing"),
    ];
    for (line, expected, why) in TABLE {
        let expected: Vec<_> = expected.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        assert_eq!(read(line), expected, "{line:?} {why}");
    }
}

/// Whether a page that depends on the cookie `lang` may be stored for who sends these lines.
#[test]
fn what_others_may_read_otherwise() {
    type Row = (&'static [&'static str], bool, &'static str);
    const TABLE: &[Row] = &[
        (&[], true, ""),
        (&["lang=de"], true, ""),
        (&["a=1; lang=de; b=2"], true, ""),
        (&["a=1", "lang=de", "b=2"], true, "HTTP/2"),
        (&["a=1; b=2"], true, "none, for all"),
        (&["lang=de; lang=en"], true, "both count"),
        (&["lang=de, en; a=1"], true, "what stands in its value counts"),
        (&["lang=de lang=en"], true, ""),
        (&["lang= de"], true, ""),
        (&["lang"], false, "PHP: an empty one"),
        (&["LANG=de"], false, "nginx: $cookie_lang"),
        (&["lang=de; Lang=en"], false, ""),
        (&["lang =de"], false, "most: white space around names"),
        (&["lang\t=de"], false, ""),
        (&["a=1, lang=de"], false, "nginx, RFC 2109"),
        (&["a=1,lang=de"], false, ""),
        (&["a=1 lang=de"], false, "Python's http.cookies"),
        (&["a=1\tLANG =de"], false, ""),
        (&["lang[]=de"], false, "PHP: an array"),
        (&["lang[x]=de; lang=en"], false, ""),
        (&["a=1", "Lang=de"], false, "in any line"),
        (&["a=\"; lang=de; \""], false, "in quotes"),
        (&["a=\"\\\"; lang=de; b=\"\""], false, "an escaped quote ends nothing"),
        (&["a=\"", "lang=de", "b=\""], false, "lines may be joined"),
        (&["lang=\"de; a=1"], false, "a quote without end"),
        (&["lang=\"de\"; a=\"x y\""], true, "quotes that end"),
        (&["a=\"; b=2"], true, "nothing there to be hidden"),
        (&["a={\"b\":1,\"c\":2}; lang=de"], true, ""),
        // Nobody parts a text there.
        (&["a=lang=de; b=x&lang=de; c=/lang=de; d=x-lang=de; slang=de; langs=de"], true, ""),
        (&["a=my lang is de; b=x, lang"], true, "no pair"),
    ];
    for (lines, clear, why) in TABLE {
        let lines = lines.iter().map(|line| line.as_bytes());
        assert_eq!(is_clear(lines.clone(), b"lang"), *clear, "{:?} {why}", lines.collect::<Vec<_>>());
    }
    for (line, clear) in
        [("a_b=1", true), ("a.b=1", false), ("a b=1", false), ("a[b=1", false), ("a-b=1", true)]
    {
        assert_eq!(is_clear([line.as_bytes()].into_iter(), b"a_b"), clear, "{line}");
    }
}

/// Visitors send what they like, and as much of it as nginx takes (`large_client_header_buffers`).
#[test]
fn long_lines_cost_as_much_each_byte_as_short_ones() {
    for piece in [" ", ",", "lang ", "a ", "; ", "\"\\", "_ ", "a="] {
        for name in ["lang", "a", "_", "a_b"] {
            grows_no_faster(2000, |size| {
                effort::of(|| {
                    let line = format!("x{}x", piece.repeat(size));
                    is_clear([line.as_bytes()].into_iter(), name.as_bytes());
                })
            });
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn as_a_naive_reader_reads(line in "[ab=; \t\"]{0,40}") {
        let naive: Vec<_> = line
            .split(';')
            .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        prop_assert_eq!(read(&line), naive);
    }

    /// What is clear is so for a reader who takes names in any case, trims them, and parts at commas and white space, too.
    #[test]
    fn what_is_clear_is_read_alike(line in "([abAB]|lang|=|=|; |,| |\t|LANG){0,12}") {
        let lax = |text: &str| {
            let names = text.split([';', ',', ' ', '\t']).filter_map(|pair| pair.split_once('='));
            names.filter(|(name, _)| name.eq_ignore_ascii_case("lang")).count()
        };
        let (own, rest): (Vec<_>, Vec<_>) = line.split(';').partition(|pair| pair.trim().starts_with("lang="));
        if is_clear([line.as_bytes()].into_iter(), b"lang") {
            prop_assert_eq!(rest.iter().map(|pair| lax(pair)).sum::<usize>(), 0);
            prop_assert_eq!(own.len(), read(&line).iter().filter(|(name, _)| name == "lang").count());
        }
    }

    #[test]
    fn any_bytes_end(line in prop::collection::vec(any::<u8>(), 0..200)) {
        for (name, value) in pairs(&line) {
            prop_assert!(!name.contains(&b'=') && !name.contains(&b';') && !value.contains(&b';'));
        }
        is_clear([&line[..]].into_iter(), b"lang");
    }
}
