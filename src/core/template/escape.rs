//! Escaping: a value can't leave the place that the author gave it.
//!
//! | filter | place |
//! | --- | --- |
//! | `html` | text between tags, a quoted attribute |
//! | `attr` | an attribute, even one without quotes |
//! | `js` | a JavaScript string in a script or in a quoted attribute |
//! | `json` | a JSON string in a script or in a quoted attribute |
//! | `url` | a component of a URL |
//!
//! Those of whole URLs and of other languages: `escape_url`, `escape_code`.
//!
//! Invariants: each byte is escaped once; every function takes any bytes. Bytes of 0x80 and more pass
//! untouched where UTF-8 or any other superset of ASCII is served; NUL passes `html` (a browser drops it or
//! shows U+FFFD).

pub(super) const HEX_LOWER: &[u8; 16] = b"0123456789abcdef";
pub(super) const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// The five bytes that `html` escapes, as a set of bits: all are below 64.
const HTML: u64 = 1 << b'"' | 1 << b'&' | 1 << b'\'' | 1 << b'<' | 1 << b'>';

/// Whether `html` writes this byte otherwise.
fn is_html(byte: u8) -> bool {
    byte < 64 && HTML >> byte & 1 != 0
}

/// What `html` writes for a byte for which [`is_html`] is true.
fn html_entity(byte: u8) -> &'static [u8] {
    match byte {
        b'"' => b"&quot;",
        b'&' => b"&amp;",
        b'<' => b"&lt;",
        b'>' => b"&gt;",
        _ => b"&#39;",
    }
}

/// Whether [`is_html`] is true for one of eight bytes, all looked at at once. `&` and `'` differ in one
/// bit, `<` and `>` in another, so three comparisons do.
#[inline(always)]
fn any_html(bytes: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    // The high bit of each byte that is zero; of others only behind such a byte.
    let zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    const QUOTE: u64 = ONES * b'"' as u64;
    const APOSTROPHE: u64 = ONES * b'\'' as u64;
    const GREATER: u64 = ONES * b'>' as u64;
    const SECOND: u64 = ONES << 1;
    let (quote, and, angle) = (bytes ^ QUOTE, (bytes | ONES) ^ APOSTROPHE, (bytes | SECOND) ^ GREATER);
    (zero(quote) | zero(and) | zero(angle)) & (ONES << 7) != 0
}

/// Whether `html` leaves the text as it is. Short texts without anything special are what visitors have.
#[inline(always)]
fn is_clean(text: &[u8]) -> bool {
    let dirty = |bytes: &[u8; 8]| any_html(u64::from_le_bytes(*bytes));
    if let Some(last) = text.last_chunk() {
        // The last chunk overlaps the others, so that no byte is looked at alone.
        let (chunks, _) = text.as_chunks();
        return !chunks.iter().any(dirty) && !dirty(last);
    }
    match (text.first_chunk(), text.last_chunk()) {
        (Some(&[a, b, c, d]), Some(&[e, f, g, h])) => !dirty(&[a, b, c, d, e, f, g, h]),
        _ => !text.iter().any(|&byte| is_html(byte)),
    }
}

/// `< > & " '`. The text is put in runs, one call if nothing is to be escaped.
#[inline(always)]
pub(super) fn html(text: &[u8], mut put: impl FnMut(&[u8])) {
    if is_clean(text) { put(text) } else { html_runs(text, put) }
}

fn html_runs(text: &[u8], mut put: impl FnMut(&[u8])) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| is_html(byte)) {
        let (clean, special) = rest.split_at(at);
        if !clean.is_empty() {
            put(clean);
        }
        let Some((&byte, after)) = special.split_first() else { return };
        put(html_entity(byte));
        rest = after;
    }
    if !rest.is_empty() {
        put(rest);
    }
}

/// As `html`, and white space, control bytes, `=` and the backtick as numeric references.
pub(super) fn attr(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            _ if is_html(byte) => out.extend_from_slice(html_entity(byte)),
            0..=b' ' | b'=' | b'`' | 0x7f => {
                out.extend_from_slice(b"&#");
                if byte >= 100 {
                    out.push(b'0' + byte / 100);
                }
                if byte >= 10 {
                    out.push(b'0' + byte / 10 % 10);
                }
                out.push(b'0' + byte % 10);
                out.push(b';');
            }
            _ => out.push(byte),
        }
    }
}

/// A string between single quotes, double quotes or backticks. Quotes and `< > &` are written `\xHH`,
/// so that neither the HTML around the script nor the attribute around it sees them; `</script` and
/// `<!--` can't arise.
pub(super) fn js(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f | b'"' | b'\'' | b'`' | b'$' | b'<' | b'>' | b'&' => {
                out.extend_from_slice(b"\\x");
                hex(byte, HEX_UPPER, out);
            }
            0xe2 => rest = line_separator(after, out),
            _ => out.push(byte),
        }
    }
}

/// A JSON string: all that is special to JSON, HTML or JavaScript as `\u00XX`. What isn't UTF-8 becomes
/// U+FFFD, or a parser would refuse the whole.
pub(super) fn json(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid().as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                0..=0x1f | 0x7f | b'"' | b'\'' | b'<' | b'>' | b'&' => {
                    out.extend_from_slice(b"\\u00");
                    hex(byte, HEX_LOWER, out);
                }
                0xe2 => rest = line_separator(after, out),
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Percent-encodes all but the unreserved bytes of RFC 3986.
pub(super) fn url(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.push(b'%');
            hex(byte, HEX_UPPER, out);
        }
    }
}

/// U+2028 and U+2029 are line ends to JavaScript. The byte before `after` was 0xe2.
fn line_separator<'a>(after: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    match after {
        [0x80, 0xa8, rest @ ..] => {
            out.extend_from_slice(b"\\u2028");
            rest
        }
        [0x80, 0xa9, rest @ ..] => {
            out.extend_from_slice(b"\\u2029");
            rest
        }
        _ => {
            out.push(0xe2);
            after
        }
    }
}

/// Two digits.
pub(super) fn hex(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().unwrap_or(b'0');
    out.push(digit(byte >> 4));
    out.push(digit(byte & 15));
}
