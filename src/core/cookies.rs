//! The `Cookie` header (RFC 6265 4.2): `name=value; name=value`.
//!
//! Read as servers do: white space around a pair is dropped, a pair without `=` is none, names are
//! compared with their case, values are taken as they are, quotes included.
//!
//! Not all servers do so. Where a page depends on a cookie its origin has to find the same one, or what it answers is kept
//! for others than it was meant for: [`is_clear`].

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

/// Whether a cookie may have this name: [`pairs`] can find it. `*` is none, whoever asks for all cookies by it.
pub fn is_name(text: &[u8]) -> bool {
    let good = |byte: &u8| byte.is_ascii_graphic() && !b"=;,\"".contains(byte) || *byte >= 0x80;
    !text.is_empty() && text != b"*" && text.iter().all(good)
}

/// Whether everybody finds the cookies of this name that [`pairs`] finds in these lines, and no others. Known readers take
/// names in another case (nginx's own `$cookie_NAME`), white space around names, a comma or white space for the end of a pair,
/// what stands in quotes for one value whatever it holds, a name alone for an empty cookie, and `a.b` for `a_b`, `a[b]` for `a`.
pub fn is_clear<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> bool {
    let (mut found, mut quoted) = (false, false);
    for piece in lines.flat_map(|line| line.split(|&byte| byte == b';')).map(<[u8]>::trim_ascii) {
        quoted |= leaves_quote_open(piece);
        if piece.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'=')) {
            found = true;
        } else if may_hold(piece, name) {
            return false;
        }
    }
    !(found && quoted)
}

/// Whether who hears of quotes may read on behind the end of this pair.
fn leaves_quote_open(piece: &[u8]) -> bool {
    let quotes = piece.iter().filter(|&&byte| byte == b'"').count();
    quotes % 2 == 1 || quotes > 0 && piece.contains(&b'\\')
}

/// Whether somebody may find a cookie of this name in a pair that is none.
fn may_hold(piece: &[u8], name: &[u8]) -> bool {
    let alike =
        |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || *b == b'_' && matches!(a, b'.' | b' ' | b'[');
    // Nobody's names begin with white space. So what is looked through behind a name is looked through once.
    let starts = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| piece.get(before));
        before.is_none_or(|&byte| is_space(byte) || byte == b',')
            && !piece.get(*at).is_some_and(|&byte| is_space(byte))
    };
    (0..piece.len()).filter(starts).any(|at| {
        let Some((own, behind)) = piece.get(at..).and_then(|rest| rest.split_at_checked(name.len())) else {
            return false;
        };
        let is_whole = || match behind.trim_ascii_start().first() {
            Some(byte) => matches!(byte, b'=' | b'['),
            None => at == 0,
        };
        own.iter().zip(name).all(alike) && is_whole()
    })
}

/// White space, to whoever takes more for it than ASCII does.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}
