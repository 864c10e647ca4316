//! What may be included: the URI of a fragment, as a page writes it.
//!
//! Invariant: a URI that passes begins with `/`, is at most [`MAX_URI`] bytes of printable text without spaces, and its
//! path does not lead upwards, decoded or not. nginx looks at it once more when it is asked for.

use super::ErrorKind;

/// Longest URI of an include, in bytes.
pub const MAX_URI: usize = 2048;

/// Most different URIs that one page includes.
pub const MAX_INCLUDES: usize = 32;

/// Whether a page may include this URI.
pub(super) fn check(uri: &[u8]) -> Result<(), ErrorKind> {
    let path = uri.split(|&byte| byte == b'?').next().unwrap_or_default();
    let plain = |&byte: &u8| byte > b' ' && byte != 0x7f && byte != b'#';
    let good = uri.len() <= MAX_URI
        && uri.starts_with(b"/")
        && uri.iter().all(plain)
        && !leads_up(path)
        && decoded(path).is_some_and(|path| !leads_up(&path));
    if good { Ok(()) } else { Err(ErrorKind::BadUri) }
}

fn leads_up(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').any(|part| part == b"..")
}

/// A path without its escapes; none if one of them is no escape or stands for a control byte.
fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (&[high, low], after) = rest.split_first_chunk()?;
        rest = after;
        let byte = hex(high)? << 4 | hex(low)?;
        if byte < b' ' || byte == 0x7f {
            return None;
        }
        out.push(byte);
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
