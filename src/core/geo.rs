//! The visitor's country, as `twice_geo` says it.

/// Longest country that goes into a header, in bytes.
pub const MAX_COUNTRY: usize = 64;

/// The value of a header that names a country: a word of letters, digits, `-`, `_` and `.`; none where it is
/// anything else. What a variable says may come from the client.
pub fn country(value: &[u8]) -> Option<&[u8]> {
    let ok = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    (!value.is_empty() && value.len() <= MAX_COUNTRY && value.iter().all(ok)).then_some(value)
}
