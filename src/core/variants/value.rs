//! Values of request headers, made comparable (RFC 9111 4.1).
//!
//! Lines of one name are joined, and white space around the whole is dropped. White space around commas is dropped where
//! the header is known to be a list of which it is no part: elsewhere (a `User-Agent`, an app's own header) it may mean
//! something, and a variant too many is better than one for two.

/// Headers that are lists.
const LISTS: [&[u8]; 3] = [b"accept", b"accept-charset", b"accept-language"];

/// Whether one line of this header (its name in lower case) needs nothing but to be trimmed.
pub fn is_as_it_comes(name: &[u8]) -> bool {
    !LISTS.contains(&name)
}

/// Joins the lines of a header, whose name is in lower case. What it hands over is never longer than the lines and two
/// bytes for each.
pub fn join<'a>(name: &[u8], lines: impl Iterator<Item = &'a [u8]>, mut out: impl FnMut(&[u8])) {
    if is_as_it_comes(name) {
        // As nginx and HTTP/2 join cookies.
        let between: &[u8] = if name == b"cookie" { b"; " } else { b", " };
        for (i, line) in lines.enumerate() {
            if i > 0 {
                out(between);
            }
            out(line.trim_ascii());
        }
        return;
    }
    let mut first = true;
    for line in lines {
        for element in elements(line) {
            if !std::mem::replace(&mut first, false) {
                out(b",");
            }
            out(element);
        }
    }
}

/// The elements of a list, trimmed, empty ones left out. A comma in a quoted string is none.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |&byte| {
        if escaped {
            escaped = false;
        } else if quoted && byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            quoted = !quoted;
        }
        byte == b',' && !quoted
    })
    .map(<[u8]>::trim_ascii)
    .filter(|element| !element.is_empty())
}
