//! The visitor's language, from `Accept-Language`.

mod hosts;
mod site;
mod tag;

pub use hosts::{BadHosts, Hosts};
pub use site::{BadLanguages, Language, Languages, MOST};
pub use tag::is_well_formed;

/// What stands for a visitor who names none, as in the original.
pub const DEFAULT: &[u8] = b"en-us";

/// Longest language tag that is read, in bytes (RFC 5646 4.4.1).
pub const MAX_TAG: usize = 35;

/// The language tag with the highest weight, the first of equals (RFC 9110 12.5.4), as it is written.
/// `*` and weight 0 name none.
pub fn preferred(accept_language: &[u8]) -> &[u8] {
    let mut best: (u32, &[u8]) = (0, DEFAULT);
    // A header line is bounded by nginx; the bound here is for what no browser sends.
    for (range, weight) in ranges(accept_language).take(64) {
        if is_tag(range) && weight > best.0 {
            best = (weight, range);
        }
    }
    best.1
}

/// The ranges of the header in their order, with their weights in thousandths: anything, where the client writes it.
fn ranges(accept_language: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    accept_language.split(|&b| b == b',').map(|range| {
        let mut parts = range.split(|&b| b == b';');
        let tag = parts.next().unwrap_or_default().trim_ascii();
        (tag, parts.next().map_or(1000, weight))
    })
}

/// Whether a range has the letters of a language tag.
fn is_tag(range: &[u8]) -> bool {
    !range.is_empty()
        && range.len() <= MAX_TAG
        && range.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && range.first() != Some(&b'-')
}

/// `q=0.8` as thousandths; what is no weight counts as none given.
fn weight(text: &[u8]) -> u32 {
    let text = text.trim_ascii();
    let Some(value) = text.strip_prefix(b"q=").or_else(|| text.strip_prefix(b"Q=")) else { return 1000 };
    let (whole, digits) = match value.split_first() {
        Some((b'1', _)) => return 1000,
        Some((b'0', rest)) => (0, rest.strip_prefix(b".").unwrap_or(rest)),
        _ => return 1000,
    };
    let mut unit = 100;
    digits.iter().take(3).take_while(|b| b.is_ascii_digit()).fold(whole, |sum, digit| {
        let sum = sum + u32::from(digit.wrapping_sub(b'0')) * unit;
        unit /= 10;
        sum
    })
}

/// Whether a language tag is covered by a range (RFC 4647 3.3.1): equal, or longer at a hyphen.
pub fn matches(tag: &[u8], range: &[u8]) -> bool {
    match tag.split_at_checked(range.len()) {
        Some((head, rest)) => {
            head.eq_ignore_ascii_case(range) && (rest.is_empty() || rest.first() == Some(&b'-'))
        }
        None => false,
    }
}
