//! How a nonce is written.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::nonce::{LEN, text};

/// Bit by bit (RFC 4648 5).
fn naive(random: [u8; 16]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits: String = random.iter().map(|byte| format!("{byte:08b}")).collect();
    bits.push_str("0000");
    let digit =
        |six: &[u8]| ALPHABET[usize::from_str_radix(str::from_utf8(six).unwrap(), 2).unwrap()] as char;
    bits.as_bytes().chunks(6).map(digit).collect()
}

#[test]
fn known_ones() {
    for (random, expected) in [
        ([0; 16], "AAAAAAAAAAAAAAAAAAAAAA"),
        ([0xff; 16], "_____________________w"),
        ([0xfb; 16], "-_v7-_v7-_v7-_v7-_v7-w"),
        (*b"sixteen bytes ok", "c2l4dGVlbiBieXRlcyBvaw"),
    ] {
        assert_eq!(str::from_utf8(&text(random)).unwrap(), expected);
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_one(random in any::<[u8; 16]>()) {
        let written = naive(random);
        prop_assert_eq!(written.len(), LEN);
        let made = text(random);
        prop_assert_eq!(str::from_utf8(&made).unwrap(), written);
    }
}
