//! What a body is read by: whatever says it differently makes another number.

use std::collections::HashSet;

use twice_core::recipe::{of_answer, of_location};
use twice_core::template::{Escape, Start};

#[test]
fn each_setting_and_each_type_makes_another() {
    let mut seen = HashSet::new();
    for settings in [("marked", "<& &>"), ("all", "<& &>"), ("marked", "[[ ]]")] {
        let location = of_location(&settings);
        assert_eq!(location, of_location(&settings), "the same says the same");
        let escapes = [Escape::Html, Escape::Off].into_iter().chain(Start::ALL.map(Escape::Auto));
        for escape in escapes {
            for has_tags in [false, true] {
                let number = of_answer(location, has_tags, escape);
                assert!(seen.insert(number), "{settings:?} {escape:?} {has_tags}");
                assert_eq!(number, of_answer(location, has_tags, escape));
            }
        }
    }
    assert_eq!(seen.len(), 60);
}
