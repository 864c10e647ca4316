//! Escaping for the languages inside of pages.
//!
//! | filter | place |
//! | --- | --- |
//! | `css` | a string in a style |
//! | `cssword` | a word, a number or a colour in a style |
//! | `jsvalue` | where a script or JSON expects a value |
//!
//! Invariants: what is written holds no `<`, and no quote but the two around a `jsvalue`; it is never empty but for an
//! empty `css` string.

use super::escape::{self, HEX_LOWER, hex};

/// Longest word of a style.
const MAX_WORD: usize = 64;

/// Most digits of a number that JavaScript keeps as they are.
const MAX_DIGITS: usize = 15;

/// Stands for what is no word: no property has it as a value, so the browser leaves the declaration out.
const BLOCKED: &[u8] = b"blocked";

/// Between quotes: all but letters, digits, spaces and `-._` as `\HH `.
pub(super) fn css(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'-' | b'.' | b'_' | 0x80.. => out.push(byte),
            0 => out.extend_from_slice(b"\\fffd "),
            _ => {
                out.push(b'\\');
                hex(byte, HEX_LOWER, out);
                out.push(b' ');
            }
        }
    }
}

/// Letters, digits and `#.%-_`, at most [`MAX_WORD`]; anything else is [`BLOCKED`].
pub(super) fn css_word(text: &[u8], out: &mut Vec<u8>) {
    let plain = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'#' | b'.' | b'%' | b'-' | b'_');
    let good = !text.is_empty() && text.len() <= MAX_WORD && text.iter().all(plain);
    out.extend_from_slice(if good { text } else { BLOCKED });
}

/// A number that stays what it is, `true`, `false` and `null` as they are; all else as a string. With spaces around
/// it, so that it is a word of its own.
pub(super) fn js_value(text: &[u8], out: &mut Vec<u8>) {
    let bare = matches!(text, b"true" | b"false" | b"null") || is_number(text);
    let quote: &[u8] = if bare { b"" } else { b"\"" };
    out.push(b' ');
    out.extend_from_slice(quote);
    escape::json(text, out);
    out.extend_from_slice(quote);
    out.push(b' ');
}

/// `-1.5` and the like, as JSON has it, without an exponent.
fn is_number(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = unsigned.splitn(2, |&byte| byte == b'.');
    let (whole, fraction) = (parts.next().unwrap_or_default(), parts.next());
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits(whole)
        && (whole == b"0" || !whole.starts_with(b"0"))
        && fraction.is_none_or(digits)
        && unsigned.len() <= MAX_DIGITS
}
