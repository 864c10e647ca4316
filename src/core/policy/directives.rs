//! Directive lists, read leniently, and the numbers in them.
//!
//! `,` or `;` between directives, any spacing, any case of names, values with or without quotes, as RFC 9111 5.2 asks
//! of those who read. What a quote holds is one value, whatever it looks like; a quote that does not close, or that
//! stands where none belongs, is told, because what stands behind it may have been meant as directives.

use super::MAX_LIFETIME;

/// A number of seconds as a header states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As stated.
    Seconds(u64),
    /// Larger than [`MAX_LIFETIME`], which is used instead.
    Saturated,
    /// Not a number of seconds.
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

/// Calls `each` with every directive's name and value; none if it has none. False: a quote is out of place.
pub fn directives<'a>(line: &'a [u8], mut each: impl FnMut(&'a [u8], Option<&'a [u8]>)) -> bool {
    let mut well = true;
    let mut rest = line;
    while !rest.is_empty() {
        let (name, behind) = split(rest, rest.iter().position(|b| matches!(b, b',' | b';' | b'=')));
        well &= !name.contains(&b'"');
        let value = behind.strip_prefix(b"=");
        let (value, behind) = match value {
            None => (None, behind),
            Some(value) => {
                let (value, behind, closed) = one_value(value.trim_ascii_start());
                well &= closed;
                (Some(value), behind)
            }
        };
        rest = behind.get(1..).unwrap_or_default();
        let name = name.trim_ascii();
        if !name.is_empty() {
            each(name, value);
        }
    }
    well
}

/// The value at the beginning of `text`, without its quotes, and what follows from the separator on. False: a quote is
/// out of place.
fn one_value(text: &[u8]) -> (&[u8], &[u8], bool) {
    let Some(inside) = text.strip_prefix(b"\"") else {
        let (value, behind) = split(text, text.iter().position(|b| matches!(b, b',' | b';')));
        return (value.trim_ascii(), behind, !value.contains(&b'"'));
    };
    let mut escaped = false;
    let end = inside.iter().position(|&b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    });
    let Some(end) = end else { return (text, b"", false) };
    let (value, behind) = split(inside, Some(end));
    let behind = behind.get(1..).unwrap_or_default();
    let (more, behind) = split(behind, behind.iter().position(|b| matches!(b, b',' | b';')));
    if more.trim_ascii().is_empty() {
        (value.trim_ascii(), behind, true)
    } else {
        // Something sticks to the quote: no value that means anything.
        (text, behind, !more.contains(&b'"'))
    }
}

fn split(text: &[u8], at: Option<usize>) -> (&[u8], &[u8]) {
    text.split_at_checked(at.unwrap_or(text.len())).unwrap_or((text, b""))
}

/// Sets a number of seconds, the smaller one where there are two. What can't be read is as if it were not there, or as
/// `instead`. Tells what was odd.
pub fn smaller(
    slot: &mut Option<u64>,
    value: Option<&[u8]>,
    instead: Option<u64>,
    odd: &mut Option<Lifetime>,
) {
    let lifetime = Lifetime::parse(value.unwrap_or_default());
    if !matches!(lifetime, Lifetime::Seconds(_)) {
        *odd = Some(lifetime);
    }
    if let Some(n) = lifetime.seconds().or(instead) {
        *slot = Some(slot.map_or(n, |old| old.min(n)));
    }
}

/// The elements of a list, empty ones left out (RFC 9110 5.6.1).
pub fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// A header's name (RFC 9110 5.6.2).
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}
