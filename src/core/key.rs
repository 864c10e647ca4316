//! The identity of a page.
//!
//! The default key is what the origin is asked: scheme, host with port, and the request target as it
//! came. Its parts are joined so that no two different requests give one key: a scheme has no `@` and no
//! colon, a host no slash (nginx refuses one), and behind it stands a slash (the raw target of a client's
//! request; an absolute one without a path is given the slash with which it is sent on) or a NUL (the
//! decoded URI of an internal request; nginx refuses a NUL in a URI and a query, so that each NUL ends
//! what stands before it).

/// Longest key that is looked up, in bytes. nginx's own request line is bounded by
/// `large_client_header_buffers` (8 KB by default).
pub const MAX_KEY: usize = 16 * 1024;

/// The request target.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// As the client sent it, with its query. An empty query is none: its `?` is dropped.
    Raw(&'a [u8]),
    /// Path and query of an internal redirect or a sub-request.
    Internal {
        /// The decoded path.
        path: &'a [u8],
        /// The query without `?`.
        args: &'a [u8],
        /// The status that an error page gives its answer, in digits; else empty. The same page is
        /// another answer without it.
        error: &'a [u8],
        /// The client's own target, which the origin may be told; empty for a sub-request.
        raw: &'a [u8],
    },
}

/// The parts of the default key.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// The port on which the request came in, in digits, where it is not the one that the client named:
    /// another port is another server, whatever host is asked for.
    pub listen: &'a [u8],
    /// The host in lower case, without port.
    pub host: &'a [u8],
    /// What the client named in `Host` behind the host ([`behind_host`]), else empty.
    pub port: &'a [u8],
    /// What is asked for.
    pub target: Target<'a>,
}

impl Parts<'_> {
    /// Bytes that [`Parts::write`] gives.
    #[inline]
    pub fn len(&self) -> usize {
        let mut len = 0;
        self.write(|piece| len += piece.len());
        len
    }

    /// Never: a key has at least its scheme.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands the key's pieces over in order.
    #[inline]
    pub fn write(&self, mut out: impl FnMut(&[u8])) {
        out(self.scheme);
        if !self.listen.is_empty() {
            out(b"@");
            out(self.listen);
        }
        out(b"://");
        out(self.host);
        out(self.port);
        match self.target {
            Target::Raw(raw) => {
                if raw.first() != Some(&b'/') {
                    out(b"/");
                }
                out(without_empty_query(raw));
            }
            Target::Internal { path, args, error, raw } => {
                for part in [error, path, args, raw] {
                    out(b"\0");
                    out(part);
                }
            }
        }
    }
}

/// A request target without the `?` of an empty query.
fn without_empty_query(target: &[u8]) -> &[u8] {
    match target.split_last() {
        // A second `?` is a byte of the query, which is then not empty.
        Some((b'?', rest)) if memchr::memchr(b'?', rest).is_none() => rest,
        _ => target,
    }
}

/// Whether an absolute request target and the `Host` header name one host.
///
/// `server` is nginx's idea of the host (lower case, no port; an absolute target wins, RFC 9112 3.2.2),
/// `host_header` the header as it came. Returns what the header says behind the host: a dot, which nginx strips and the
/// origin is told all the same, and a port with its colon.
pub fn behind_host<'a>(server: &[u8], host_header: &'a [u8]) -> Option<&'a [u8]> {
    // What nearly every client sends: compared at once.
    if host_header == server {
        return Some(b"");
    }
    let (name, behind) = host_header.split_at_checked(server.len())?;
    let port_ok = match without_dot(behind).split_first() {
        None => true,
        Some((b':', digits)) => digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    ((name == server || name.eq_ignore_ascii_case(server)) && port_ok).then_some(behind)
}

fn without_dot(behind: &[u8]) -> &[u8] {
    behind.strip_prefix(b".").unwrap_or(behind)
}

/// The port in what stands behind a host; none if it is no number of one.
pub fn port_of(behind: &[u8]) -> Option<u16> {
    let digits = without_dot(behind).strip_prefix(b":").filter(|digits| !digits.is_empty())?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    digits.iter().try_fold(0u16, |n, byte| n.checked_mul(10)?.checked_add(digit(byte)?))
}

/// Arguments of a query that are no part of a page's identity: `twice_ignore_args`.
///
/// An argument is what stands between two `&`, its name what stands before its first `=`, as it came: nothing is
/// decoded. One that holds a `;` is never ignored: an application that divides there, too, finds another argument
/// in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    names: Vec<Box<[u8]>>,
    prefixes: Vec<Box<[u8]>>,
}

/// Most names of [`Ignored`].
pub const MAX_IGNORED: usize = 64;

impl Ignored {
    /// Adds `NAME` or `PREFIX*`; false if it is neither, or one too many.
    pub fn add(&mut self, word: &str) -> bool {
        let (name, list) = match word.strip_suffix('*') {
            Some(prefix) => (prefix, &mut self.prefixes),
            None => (word, &mut self.names),
        };
        let ok = |b: u8| b.is_ascii_graphic() && !b"&=;#*".contains(&b);
        let good = word.len() <= 64 && !word.is_empty() && name.bytes().all(ok);
        if good {
            list.push(name.as_bytes().into());
        }
        good && self.names.len() + self.prefixes.len() <= MAX_IGNORED
    }

    fn ignores(&self, argument: &[u8]) -> bool {
        let name = argument.split(|&b| b == b'=').next().unwrap_or_default();
        let named = self.names.iter().any(|other| **other == *name)
            || self.prefixes.iter().any(|prefix| name.starts_with(prefix));
        named && memchr::memchr(b';', argument).is_none()
    }

    /// Hands over what of a query counts, in its order.
    pub fn write_query(&self, query: &[u8], mut out: impl FnMut(&[u8])) {
        let mut first = true;
        for argument in query.split(|&b| b == b'&').filter(|argument| !self.ignores(argument)) {
            if !std::mem::replace(&mut first, false) {
                out(b"&");
            }
            out(argument);
        }
    }

    /// Hands over what of a request target counts. A query of which nothing is left has no `?` either.
    pub fn write_target(&self, target: &[u8], mut out: impl FnMut(&[u8])) {
        let Some((path, query)) = memchr::memchr(b'?', target).and_then(|at| target.split_at_checked(at))
        else {
            return out(target);
        };
        out(path);
        let mut mark = Some(b"?");
        self.write_query(query.get(1..).unwrap_or_default(), |piece| {
            if !piece.is_empty() {
                if let Some(mark) = mark.take() {
                    out(mark);
                }
                out(piece);
            }
        });
    }
}
