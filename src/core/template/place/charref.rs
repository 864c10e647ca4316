//! Character references in attributes: a script, a style or a URL there is what they stand for.
//!
//! Invariant: one that stands for an ASCII character gives that character, as HTML does; any other gives bytes
//! of 0x80 and more, which no language of a page gives a meaning of its own, but for U+2028 and U+2029.

use super::name::Name;

/// All names of ASCII characters (the HTML standard's table, with `;`).
const NAMES: [(&[u8], u8); 49] = [
    (b"Tab", b'\t'),
    (b"NewLine", b'\n'),
    (b"excl", b'!'),
    (b"quot", b'"'),
    (b"QUOT", b'"'),
    (b"num", b'#'),
    (b"dollar", b'$'),
    (b"percnt", b'%'),
    (b"amp", b'&'),
    (b"AMP", b'&'),
    (b"apos", b'\''),
    (b"lpar", b'('),
    (b"rpar", b')'),
    (b"ast", b'*'),
    (b"midast", b'*'),
    (b"plus", b'+'),
    (b"comma", b','),
    (b"period", b'.'),
    (b"sol", b'/'),
    (b"colon", b':'),
    (b"semi", b';'),
    (b"lt", b'<'),
    (b"LT", b'<'),
    (b"equals", b'='),
    (b"gt", b'>'),
    (b"GT", b'>'),
    (b"quest", b'?'),
    (b"commat", b'@'),
    (b"lsqb", b'['),
    (b"lbrack", b'['),
    (b"bsol", b'\\'),
    (b"rsqb", b']'),
    (b"rbrack", b']'),
    (b"Hat", b'^'),
    (b"lowbar", b'_'),
    (b"UnderBar", b'_'),
    (b"grave", b'`'),
    (b"DiacriticalGrave", b'`'),
    (b"lcub", b'{'),
    (b"lbrace", b'{'),
    (b"verbar", b'|'),
    (b"vert", b'|'),
    (b"VerticalLine", b'|'),
    (b"rcub", b'}'),
    (b"rbrace", b'}'),
    // Two characters, of which the first is the one that counts.
    (b"nvlt", b'<'),
    (b"nvgt", b'>'),
    (b"bne", b'='),
    (b"fjlig", b'f'),
];

/// Those that are references without a `;`, too.
const BARE: [&[u8]; 8] = [b"quot", b"QUOT", b"amp", b"AMP", b"lt", b"LT", b"gt", b"GT"];

/// A reference that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CharRef {
    open: bool,
    /// What stands behind the `&`.
    text: Name,
}

impl CharRef {
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Takes a byte of the attribute and puts what it stands for.
    pub(super) fn feed(&mut self, byte: u8, mut put: impl FnMut(u8)) {
        if self.open {
            if self.goes_on(byte) {
                return;
            }
            if self.close(Some(byte), &mut put) {
                return;
            }
        }
        if byte == b'&' { self.open = true } else { put(byte) }
    }

    /// Whether the byte is a part of the reference.
    fn goes_on(&mut self, byte: u8) -> bool {
        let text = &mut self.text;
        let part = match text.known() {
            None => byte.is_ascii_alphanumeric(),
            Some([b'#']) => byte.is_ascii_digit() || matches!(byte, b'x' | b'X'),
            Some([b'#', b'x' | b'X', ..]) => byte.is_ascii_hexdigit(),
            Some([b'#', ..]) => byte.is_ascii_digit(),
            Some([]) => byte.is_ascii_alphanumeric() || byte == b'#',
            Some(_) => byte.is_ascii_alphanumeric(),
        };
        // However many zeros there are, they are one.
        if part && !(byte == b'0' && text.is_one_of(&[b"#0", b"#x0", b"#X0"])) {
            text.push_exact(byte);
        }
        part
    }

    /// Puts what was read so far. `next`: the byte behind it; true: it belongs to the reference.
    pub(super) fn close(&mut self, next: Option<u8>, put: &mut impl FnMut(u8)) -> bool {
        let CharRef { open, text } = std::mem::take(self);
        if !open {
            return false;
        }
        let semicolon = next == Some(b';');
        let Some(text) = text.known() else {
            // Longer than any that stands for an ASCII character.
            put(0x80);
            return semicolon;
        };
        if let Some(char) = numeric(text) {
            let mut bytes = [0; 4];
            char.encode_utf8(&mut bytes).bytes().for_each(put);
            return semicolon;
        }
        let is_name = text.first().is_some_and(|&byte| byte != b'#');
        if is_name && (semicolon || BARE.contains(&text) && next != Some(b'=')) {
            match NAMES.iter().find(|row| row.0 == text) {
                Some(row) => put(row.1),
                // A character beyond ASCII, or no reference at all.
                None => put(0x80),
            }
            return semicolon;
        }
        put(b'&');
        text.iter().for_each(|&byte| put(byte));
        false
    }
}

/// The character of `#10` or `#xA`.
fn numeric(text: &[u8]) -> Option<char> {
    let digits = text.strip_prefix(b"#")?;
    let (digits, radix) = match digits.split_first() {
        Some((b'x' | b'X', rest)) => (rest, 16),
        _ => (digits, 10),
    };
    let digits = str::from_utf8(digits).ok().filter(|digits| !digits.is_empty())?;
    match u32::from_str_radix(digits, radix) {
        Ok(code @ 1..) => char::from_u32(code),
        _ => None,
    }
    .or(Some(char::REPLACEMENT_CHARACTER))
}
