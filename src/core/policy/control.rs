//! Directive lists: the control header and `Cache-Control`.
//!
//! Both are read leniently: `,` or `;` between directives, any spacing, any case, values with or
//! without quotes. Of a directive that comes twice the smaller value counts. A value that is no
//! number of seconds is as if it were not there, one that is too large saturates; both are told as a
//! [`Lifetime`] so that the log can say so.

use super::MAX_LIFETIME;

/// A number of seconds as a header states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As stated.
    Seconds(u64),
    /// Larger than [`MAX_LIFETIME`], which is used instead.
    Saturated,
    /// Not a number of seconds: ignored.
    Malformed,
}

impl Lifetime {
    /// Reads digits, RFC 9111 1.2.2.
    pub fn parse(text: &[u8]) -> Self {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return Self::Malformed;
        }
        let seconds = text
            .iter()
            .fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0'))));
        if seconds > MAX_LIFETIME { Self::Saturated } else { Self::Seconds(seconds) }
    }

    /// The number that counts.
    pub fn seconds(self) -> Option<u64> {
        match self {
            Self::Seconds(n) => Some(n),
            Self::Saturated => Some(MAX_LIFETIME),
            Self::Malformed => None,
        }
    }
}

/// Calls `each` with every directive's name and value (empty if it has none). False: a quote is not
/// closed, so that what stands behind it may have been meant as directives.
fn directives<'a>(line: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8])) -> bool {
    let balanced = line.iter().filter(|&&b| b == b'"').count() % 2 == 0;
    let mut rest = line;
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest
            .iter()
            .position(|&b| {
                quoted ^= b == b'"';
                !quoted && matches!(b, b',' | b';')
            })
            .unwrap_or(rest.len());
        let (one, tail) = rest.split_at_checked(end).unwrap_or((rest, b""));
        rest = tail.get(1..).unwrap_or(b"");
        let one = one.trim_ascii();
        let (name, value) = match one.iter().position(|&b| b == b'=') {
            Some(at) => one.split_at_checked(at).unwrap_or((one, b"")),
            None => (one, &b""[..]),
        };
        let value = value.strip_prefix(b"=").unwrap_or(value).trim_ascii();
        let unquoted = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
        if !name.is_empty() {
            each(name.trim_ascii(), unquoted.trim_ascii());
        }
    }
    balanced
}

fn smaller(slot: &mut Option<u64>, value: &[u8], odd: &mut Option<Lifetime>) {
    let lifetime = Lifetime::parse(value);
    if !matches!(lifetime, Lifetime::Seconds(_)) {
        *odd = Some(lifetime);
    }
    if let Some(n) = lifetime.seconds() {
        *slot = Some(slot.map_or(n, |old| old.min(n)));
    }
}

/// `X-Twice-Control`, or what `twice_headers control=` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// `max-age`, in seconds.
    pub max_age: Option<u64>,
    /// `no-tags`: the body is plain.
    pub no_tags: bool,
    /// `stale-while-revalidate`, in seconds.
    pub stale_while_revalidate: Option<u64>,
    /// `stale-if-error`, in seconds.
    pub stale_if_error: Option<u64>,
}

impl Control {
    /// Adds one header line. Gives back what was odd about its numbers.
    pub fn add(&mut self, line: &[u8]) -> Option<Lifetime> {
        let mut odd = None;
        directives(line, |name, value| match name.to_ascii_lowercase().as_slice() {
            b"max-age" => smaller(&mut self.max_age, value, &mut odd),
            b"no-tags" => self.no_tags = true,
            b"stale-while-revalidate" => smaller(&mut self.stale_while_revalidate, value, &mut odd),
            b"stale-if-error" => smaller(&mut self.stale_if_error, value, &mut odd),
            _ => {}
        });
        odd
    }
}

/// The response directives of `Cache-Control` (RFC 9111 5.2.2) that decide here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `max-age`, in seconds.
    pub max_age: Option<u64>,
    /// `s-maxage`, in seconds; it outranks `max-age` for a shared cache.
    pub s_maxage: Option<u64>,
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`, with or without fields.
    pub no_cache: bool,
    /// `private`, with or without fields.
    pub private: bool,
    /// `public`.
    pub public: bool,
    /// `must-revalidate` or `proxy-revalidate`.
    pub must_revalidate: bool,
    /// `stale-while-revalidate`, in seconds (RFC 5861).
    pub stale_while_revalidate: Option<u64>,
    /// `stale-if-error`, in seconds (RFC 5861).
    pub stale_if_error: Option<u64>,
}

impl CacheControl {
    /// Adds one header line. Gives back what was odd about its numbers.
    pub fn add(&mut self, line: &[u8]) -> Option<Lifetime> {
        let mut odd = None;
        let balanced = directives(line, |name, value| match name.to_ascii_lowercase().as_slice() {
            b"max-age" => smaller(&mut self.max_age, value, &mut odd),
            b"s-maxage" => smaller(&mut self.s_maxage, value, &mut odd),
            b"stale-while-revalidate" => smaller(&mut self.stale_while_revalidate, value, &mut odd),
            b"stale-if-error" => smaller(&mut self.stale_if_error, value, &mut odd),
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"private" => self.private = true,
            b"public" => self.public = true,
            b"must-revalidate" | b"proxy-revalidate" => self.must_revalidate = true,
            _ => {}
        });
        // If in doubt it is not stored.
        self.no_store |= !balanced;
        odd
    }

    /// Whether it keeps the response out of a shared cache that can't validate.
    pub fn forbids(&self) -> bool {
        self.no_store || self.private || self.no_cache
    }

    /// The lifetime that a shared cache takes from it.
    pub fn lifetime(&self) -> Option<u64> {
        self.s_maxage.or(self.max_age)
    }
}
