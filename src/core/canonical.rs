//! One form for all the ways in which a URL may be written: what pages are purged by, not what they are found by.
//!
//! The page that `/a%7Eb`, `//a~b` and `/x/../a~b` name may be three pages of the cache, as an origin may tell them apart.
//! Who purges it means all three. So the form may be the same for two URLs that differ: then one purge meets both.

/// The form of a request target. A fragment, which only odd clients send, is no part of it.
pub fn of_target(target: &[u8]) -> Vec<u8> {
    let target = target.split(|&b| b == b'#').next().unwrap_or_default();
    let (path, query) = match memchr::memchr(b'?', target).and_then(|at| target.split_at_checked(at)) {
        Some((path, query)) => (path, query.get(1..).unwrap_or_default()),
        None => (target, &b""[..]),
    };
    of_decoded(&decode(path), query)
}

/// The same of a path that is decoded already.
pub fn of_decoded(path: &[u8], query: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut is_folder = false;
    for segment in path.split(|&b| b == b'/') {
        is_folder = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut out = Vec::with_capacity(path.len() + query.len() + 2);
    for segment in &segments {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if is_folder || segments.is_empty() {
        out.push(b'/');
    }
    if !query.is_empty() {
        out.push(b'?');
        out.extend_from_slice(&decode(query));
    }
    out
}

/// Percent-decoded, once; what is no two digits stays as it is.
fn decode(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|&b| char::from(b).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, digit(behind.first()), digit(behind.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => out.push(byte),
        }
    }
    out
}
