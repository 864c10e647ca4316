//! What a page's character set makes of its bytes, as its `Content-Type` says.
//!
//! In UTF-8 and in sets of one byte a letter the bytes of ASCII are always ASCII. Elsewhere a byte of a value may make
//! another letter of the author's byte behind it, or of all that follows.

/// How the bytes of a page read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// Those of ASCII are ASCII. So is a set that no browser knows.
    Plain,
    /// A letter's second byte may be a backslash or a backtick, but no quote and no bracket.
    Wide,
    /// Nobody knows.
    Foreign,
}

/// Labels of the Encoding Standard, and what others of their kinds begin with.
const WIDE: [&[u8]; 17] = [
    b"shift",
    b"sjis",
    b"x-sjis",
    b"ms_kanji",
    b"ms932",
    b"csshiftjis",
    b"windows-31j",
    b"gb",
    b"x-gbk",
    b"csgb",
    b"chinese",
    b"iso-ir-58",
    b"csiso58gb",
    b"big5",
    b"csbig5",
    b"cn-big5",
    b"x-x-big5",
];
const FOREIGN: [&[u8]; 11] = [
    b"utf-16",
    b"utf-32",
    b"utf-7",
    b"unicode",
    b"csunicode",
    b"ucs-2",
    b"iso-10646",
    b"iso-2022",
    b"csiso2022",
    b"hz-gb",
    b"replacement",
];

impl Charset {
    /// Of a response of this media type.
    pub(super) fn of(content_type: &[u8]) -> Charset {
        let label = content_type.split(|&byte| byte == b';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.trim_ascii().split_at_checked(b"charset=".len())?;
            name.eq_ignore_ascii_case(b"charset=").then_some(value)
        });
        let quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b' ' | b'\t');
        let label = label.unwrap_or_default();
        let label = label.get(label.iter().take_while(|byte| quote(byte)).count()..).unwrap_or_default();
        let label = label.to_ascii_lowercase();
        let begins = |names: &[&[u8]]| names.iter().any(|name| label.starts_with(name));
        if begins(&FOREIGN) {
            Charset::Foreign
        } else if begins(&WIDE) {
            Charset::Wide
        } else {
            Charset::Plain
        }
    }
}
