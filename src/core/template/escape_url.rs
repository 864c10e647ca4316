//! Escaping of whole URLs: a value may be one, but not one that is a script.
//!
//! | filter | place |
//! | --- | --- |
//! | `href` | an attribute that is a URL, with quotes or without |
//! | `srcset` | a URL of a list in an attribute |
//! | `cssurl` | `url()` in a style, with quotes or without |
//!
//! Invariants: what is written holds no quote, no bracket, no space and no backslash but those of an escape; it is never
//! empty; its scheme is one of [`SCHEMES`], or it has none.

use super::escape::{HEX_UPPER, hex};

/// What a browser opens without running it.
const SCHEMES: [&[u8]; 6] = [b"http", b"https", b"mailto", b"tel", b"sms", b"ftp"];

/// Stands for a URL with any other scheme: it leads nowhere.
const BLOCKED: &[u8] = b"#blocked";

/// `&` as in HTML.
pub(super) fn href(text: &[u8], out: &mut Vec<u8>) {
    whole(text, b"&amp;", false, out);
}

/// As `href`; a comma would part two URLs.
pub(super) fn srcset(text: &[u8], out: &mut Vec<u8>) {
    whole(text, b"&amp;", true, out);
}

/// `&` as in CSS, which reads the same in a style of its own and in an attribute.
pub(super) fn css_url(text: &[u8], out: &mut Vec<u8>) {
    whole(text, b"\\26 ", false, out);
}

fn whole(text: &[u8], and: &[u8], list: bool, out: &mut Vec<u8>) {
    // A browser drops these.
    let text = text.trim_ascii();
    if text.is_empty() || !is_harmless(text) {
        return out.extend_from_slice(BLOCKED);
    }
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'&' => out.extend_from_slice(and),
            b',' if list => out.extend_from_slice(b"%2C"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(byte),
            b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' => out.push(byte),
            b'!' | b'$' | b'*' | b'+' | b',' | b';' | b'=' => out.push(byte),
            b'%' if matches!(after, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) => {
                out.push(byte)
            }
            _ => {
                out.push(b'%');
                hex(byte, HEX_UPPER, out);
            }
        }
    }
}

/// Whether it has no scheme, or one that is known.
fn is_harmless(text: &[u8]) -> bool {
    let end = text.iter().position(|byte| matches!(byte, b':' | b'/' | b'?' | b'#' | b'\\'));
    let Some((scheme, [b':', ..])) = end.and_then(|end| text.split_at_checked(end)) else { return true };
    SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known))
}
