//! The `Cookie` header, by a table and against a naive reader.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::cookies::pairs;

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

    #[test]
    fn any_bytes_end(line in prop::collection::vec(any::<u8>(), 0..200)) {
        for (name, value) in pairs(&line) {
            prop_assert!(!name.contains(&b'=') && !name.contains(&b';') && !value.contains(&b';'));
        }
    }
}
