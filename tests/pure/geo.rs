//! The visitor's country in a header.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::geo::{MAX_COUNTRY, country};

#[test]
fn a_country_is_a_word() {
    for good in ["NZ", "nz", "new-zealand", "EU_1", "T1", "A.B"] {
        assert_eq!(country(good.as_bytes()), Some(good.as_bytes()));
    }
    for bad in ["", " ", "N Z", "NZ\r\nX: y", "NZ\n", "NZ\0", "NZ,DE", "\"NZ\"", "N\u{e9}", "a:b", "NZ;"] {
        assert_eq!(country(bad.as_bytes()), None, "{bad:?}");
    }
    assert!(country(&[b'a'; MAX_COUNTRY]).is_some() && country(&[b'a'; MAX_COUNTRY + 1]).is_none());
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn nothing_else_ends_up_in_a_header(value in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Some(word) = country(&value) {
            prop_assert_eq!(word, value.as_slice());
            prop_assert!(word.iter().all(|b| b.is_ascii_graphic()));
        }
    }
}
