//! URLs that an answer names, such as `Content-Location`, seen from the URL that was asked for (RFC 3986 5).
//!
//! An answer may speak of its own origin alone: what it says of another one counts for nothing (RFC 9111 4.4). Nothing here
//! says how a target is to be written in the end: dots and escapes stay as they came, see [`crate::canonical`].

/// The URL that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// Without port.
    pub host: &'a [u8],
    /// As the client names it, or the scheme's own.
    pub port: u16,
    /// Path and query, as they came.
    pub target: &'a [u8],
}

/// The target on the same origin that a reference names; none where it names another origin, or is no reference.
pub fn on_same_origin(reference: &[u8], base: Base<'_>) -> Option<Vec<u8>> {
    let reference = reference.trim_ascii();
    if reference.iter().any(|&b| b <= b' ' || b == 0x7f) {
        return None;
    }
    let reference = before(reference, b"#");
    let rest = match scheme_of(reference) {
        None => reference,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(base.scheme) && rest.starts_with(b"//") => rest,
        Some(_) => return None,
    };
    let Some(rest) = rest.strip_prefix(b"//") else { return Some(join(base.target, rest)) };
    let authority = before(rest, b"/?");
    let target = rest.get(authority.len()..)?;
    is_of(authority, base).then(|| join(b"/", target))
}

/// Scheme and what follows its colon. A colon in a path is none of a scheme's.
fn scheme_of(reference: &[u8]) -> Option<(&[u8], &[u8])> {
    let (scheme, rest) = reference.split_at_checked(reference.iter().position(|&b| b == b':')?)?;
    let of_a_scheme = |&b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(of_a_scheme);
    is_scheme.then_some((scheme, rest.get(1..)?))
}

/// Whether an authority is the base's. One with a user is nobody's.
fn is_of(authority: &[u8], base: Base<'_>) -> bool {
    // Digits behind the last colon; an IPv6 address has its colons in brackets.
    let (host, digits) = match authority.iter().rposition(|&b| b == b':') {
        Some(colon) if !authority.ends_with(b"]") => {
            (authority.get(..colon).unwrap_or_default(), authority.get(colon + 1..).unwrap_or_default())
        }
        _ => (authority, &b""[..]),
    };
    let port = match digits {
        b"" if base.scheme.eq_ignore_ascii_case(b"https") => Some(443),
        b"" => Some(80),
        digits => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()),
    };
    let host = host.strip_suffix(b".").unwrap_or(host);
    !host.is_empty() && host.eq_ignore_ascii_case(base.host) && port == Some(base.port)
}

/// A reference without scheme and authority, resolved; its dots stay.
fn join(base: &[u8], reference: &[u8]) -> Vec<u8> {
    let path = before(before(base, b"#"), b"?");
    match reference.first() {
        None => before(base, b"#").to_vec(),
        Some(b'/') => reference.to_vec(),
        Some(b'?') => [path, reference].concat(),
        Some(_) => {
            let folder = path.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
            [path.get(..folder).unwrap_or_default(), reference].concat()
        }
    }
}

/// What stands before the first of these bytes.
fn before<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    let end = text.iter().position(|b| ends.contains(b)).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}
