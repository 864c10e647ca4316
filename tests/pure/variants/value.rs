//! Values of request headers, made comparable.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::variants::{is_as_it_comes, join};

fn joined(name: &str, lines: &[&str]) -> String {
    let mut out = Vec::new();
    join(name.as_bytes(), lines.iter().map(|line| line.as_bytes()), |piece| out.extend_from_slice(piece));
    String::from_utf8(out).unwrap()
}

#[test]
fn several_lines_are_one_value() {
    let table: &[(&str, &[&str], &str)] = &[
        ("x-own", &["a"], "a"),
        ("x-own", &["  a "], "a"),
        ("x-own", &["a", "b"], "a, b"),
        ("x-own", &["a", ""], "a, "),
        // Nobody knows what white space means there.
        ("user-agent", &["x (like,  y)"], "x (like,  y)"),
        ("cookie", &["a=1", "b=2 "], "a=1; b=2"),
        ("cookie", &["a=1, 2"], "a=1, 2"),
        ("accept-language", &["de, en ;q=0.5"], "de,en ;q=0.5"),
        ("accept-language", &["de ,en", "fr"], "de,en,fr"),
        ("accept-language", &[" , de,, en,"], "de,en"),
        ("accept-language", &["", " "], ""),
        ("accept", &["a/b;c=\"d, \\\", e\" , f"], "a/b;c=\"d, \\\", e\",f"),
    ];
    for (name, lines, expected) in table {
        assert_eq!(joined(name, lines), *expected, "{name} {lines:?}");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_value_is_no_longer_than_was_counted(
        list in any::<bool>(),
        lines in prop::collection::vec("[a, \"\\\\]{0,12}", 0..5),
    ) {
        let name = if list { "accept" } else { "x-own" };
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let most: usize = lines.iter().map(|line| line.len() + 2).sum();
        let value = joined(name, &lines);
        prop_assert!(value.len() <= most);
        // What was made comparable stays what it is.
        if !value.contains('"') {
            prop_assert_eq!(joined(name, &[&value]), value.trim_ascii());
        }
        if lines.len() == 1 && is_as_it_comes(name.as_bytes()) {
            prop_assert_eq!(value, lines[0].trim_ascii());
        }
    }
}
