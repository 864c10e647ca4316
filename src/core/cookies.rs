//! The `Cookie` header (RFC 6265 4.2): `name=value; name=value`.
//!
//! Read as servers do: white space around a pair is dropped, a pair without `=` is none, names are
//! compared with their case, values are taken as they are, quotes included.

/// The pairs of one header line, in order.
pub fn pairs(line: &[u8]) -> Pairs<'_> {
    Pairs { rest: line }
}

/// See [`pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = memchr::memchr(b';', self.rest).unwrap_or(self.rest.len());
            let (pair, rest) = self.rest.split_at_checked(end)?;
            self.rest = rest.get(1..).unwrap_or_default();
            let pair = pair.trim_ascii();
            // A name is short: looked through byte by byte it costs less than a call.
            if let Some(at) = pair.iter().position(|&byte| byte == b'=') {
                let (name, value) = pair.split_at_checked(at)?;
                return Some((name, value.get(1..)?));
            }
        }
        None
    }
}
