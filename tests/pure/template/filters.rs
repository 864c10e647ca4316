//! Filters and hostile values: what must never come out of each of them.

use super::rig::{Setup, print, same};

/// Prints `value` through `filters`.
fn through(filters: &str, value: &[u8]) -> Vec<u8> {
    let page = format!("<& get cookie x | {filters} &>");
    Setup::default().check(page.as_bytes(), &[], &|_, _| value.to_vec())
}

fn table(filters: &str, rows: &[(&str, &str)]) {
    for (value, expected) in rows {
        let printed = through(filters, value.as_bytes());
        assert_eq!(String::from_utf8_lossy(&printed), *expected, "{value:?} | {filters}");
    }
}

/// Values that have broken other programs.
const HOSTILE: &[&[u8]] = &[
    b"</script><script>alert(1)</script>",
    b"</ScRiPt\n>",
    b"<!--<script>",
    b"]]>",
    b"\" onmouseover=alert(1) x=\"",
    b"' onmouseover=alert(1) x='",
    b"` onmouseover=alert(1)",
    b"x onmouseover=alert(1)",
    b"\\",
    b"\\'",
    b"\\\"-alert(1)//",
    b"'-alert(1)-'",
    b"${alert(1)}",
    b"&#39;-alert(1)-&#39;",
    b"&quot;",
    b"a\r\nSet-Cookie: x=1",
    b"a\0b",
    b"\xe2\x80\xa8alert(1)\xe2\x80\xa9",
    b"\xe2\x80",
    b"\xe2",
    b"\xff\xfe<\xc0\xbcscript>",
    b"\xf0\x28\x8c\x28",
    b"<& get cookie x &>",
    b"%3Cscript%3E",
    b"\x7f\x1b[2J\x07",
    b"javascript:alert(1)",
    b"+ADw-script+AD4-",
    b"\x80\x80\x80",
];

/// Every hostile value and every single byte, alone and between letters.
fn every_value() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = HOSTILE.iter().map(|value| value.to_vec()).collect();
    values.extend((0..=255).map(|byte| vec![byte]));
    values.extend((0..=255).map(|byte| vec![b'a', byte, b'b']));
    values
}

fn none_of(filters: &str, forbidden: impl Fn(u8) -> bool) {
    for value in every_value() {
        let printed = through(filters, &value);
        assert!(
            !printed.iter().any(|&byte| forbidden(byte)),
            "{:?} | {filters} gives {:?}",
            value.escape_ascii().to_string(),
            printed.escape_ascii().to_string()
        );
    }
}

#[test]
fn html() {
    table(
        "html",
        &[
            ("<a href=\"x\">it's & that</a>", "&lt;a href=&quot;x&quot;&gt;it&#39;s &amp; that&lt;/a&gt;"),
            ("&amp;", "&amp;amp;"),
            ("clean", "clean"),
            ("\u{e9}\u{20ac}", "\u{e9}\u{20ac}"),
            ("a\0b", "a\0b"),
        ],
    );
    none_of("html", |byte| b"<>\"'".contains(&byte));
    // The default is the same filter.
    for value in every_value() {
        let page = b"<& get cookie x &>";
        assert_eq!(Setup::default().check(page, &[], &|_, _| value.clone()), through("html", &value));
    }
}

/// The core looks at several bytes at once: each special one, and its neighbours in every bit, at each
/// place of texts of all short lengths.
#[test]
fn html_at_every_place() {
    let setup = Setup::default();
    let compiler = setup.compile([b"<& get cookie x &>".as_slice()]);
    let mut bytes = vec![0, 0xff, b'a'];
    for special in *b"\"&'<>" {
        bytes.push(special);
        bytes.extend((0..8).map(|bit| special ^ 1 << bit));
        bytes.extend([special - 1, special + 1]);
    }
    for len in 0..=20 {
        for at in 0..len {
            for &byte in &bytes {
                for filler in [b'x', 0xff] {
                    let mut value = vec![filler; len];
                    value[at] = byte;
                    let expected = value.iter().flat_map(|byte| match byte {
                        b'"' => b"&quot;".to_vec(),
                        b'&' => b"&amp;".to_vec(),
                        b'\'' => b"&#39;".to_vec(),
                        b'<' => b"&lt;".to_vec(),
                        b'>' => b"&gt;".to_vec(),
                        _ => vec![*byte],
                    });
                    let expected: Vec<u8> = expected.collect();
                    same("html", &expected, &print(&compiler, &setup.limits, &|_, _| value.clone()));
                }
            }
        }
    }
}

#[test]
fn attr() {
    table(
        "attr",
        &[
            ("a b=`c`\n\"'<>&", "a&#32;b&#61;&#96;c&#96;&#10;&quot;&#39;&lt;&gt;&amp;"),
            ("\0\t\x0b\x1f\x7f", "&#0;&#9;&#11;&#31;&#127;"),
            ("r\u{e9}sum\u{e9}", "r\u{e9}sum\u{e9}"),
        ],
    );
    none_of("attr", |byte| byte <= b' ' || byte == 0x7f || b"<>\"'`=".contains(&byte));
}

#[test]
fn js() {
    table(
        "js",
        &[
            ("it's \"so\"", "it\\x27s \\x22so\\x22"),
            ("a\\b", "a\\\\b"),
            ("</script>", "\\x3C/script\\x3E"),
            ("<!--", "\\x3C!--"),
            ("a\r\n\tb\0\x1f", "a\\r\\n\\tb\\x00\\x1F"),
            ("`${a}` &amp;", "\\x60\\x24{a}\\x60 \\x26amp;"),
            ("\u{2028}\u{2029}\u{2030}", "\\u2028\\u2029\u{2030}"),
        ],
    );
    none_of("js", |byte| byte < b' ' || b"<>&\"'`$".contains(&byte));
    for value in every_value() {
        let printed = through("js", &value);
        assert!(!printed.windows(3).any(|bytes| bytes == b"\xe2\x80\xa8" || bytes == b"\xe2\x80\xa9"));
        // Backslashes only where they begin an escape: the string can't be ended by what follows.
        let mut bytes = printed.iter();
        while let Some(byte) = bytes.next() {
            if *byte == b'\\' {
                assert!(bytes.next().is_some_and(|next| b"\\nrtxu".contains(next)), "{printed:?}");
            }
        }
    }
}

#[test]
fn json() {
    table(
        "json",
        &[
            ("it's \"so\" \\", "it\\u0027s \\u0022so\\u0022 \\\\"),
            ("</script>&", "\\u003c/script\\u003e\\u0026"),
            ("\n\0\x1f\x7f", "\\u000a\\u0000\\u001f\\u007f"),
            ("\u{2028}\u{2029}\u{20ac}\u{1f600}", "\\u2028\\u2029\u{20ac}\u{1f600}"),
        ],
    );
    none_of("json", |byte| byte < b' ' || b"<>&\"'\x7f".contains(&byte));
    for value in every_value() {
        let printed = String::from_utf8(through("json", &value)).expect("valid UTF-8");
        assert_eq!(unescape(&printed), String::from_utf8_lossy(&value));
    }
}

/// Reads the inside of a JSON string.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next().unwrap() {
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    out.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
                }
                '\\' => out.push('\\'),
                other => panic!("\\{other} in {text:?}"),
            },
            _ => out.push(char),
        }
    }
    out
}

#[test]
fn url() {
    table(
        "url",
        &[
            ("a-b._~Z9", "a-b._~Z9"),
            ("a b&c=d/e?f#g+h%", "a%20b%26c%3Dd%2Fe%3Ff%23g%2Bh%25"),
            ("\u{e9}", "%C3%A9"),
            ("\r\n", "%0D%0A"),
        ],
    );
    none_of("url", |byte| !byte.is_ascii_alphanumeric() && !b"-._~%".contains(&byte));
}

#[test]
fn comma() {
    table(
        "comma",
        &[
            ("1", "1"),
            ("123", "123"),
            ("1234", "1,234"),
            ("123456", "123,456"),
            ("1234567", "1,234,567"),
            ("-1234", "-1,234"),
            ("+123", "+123"),
            ("-123456.789012", "-123,456.789012"),
            ("0001234", "0,001,234"),
            ("1234.", "1234."),
            (".5", ".5"),
            ("1234.5.6", "1234.5.6"),
            ("1e9", "1e9"),
            ("12 34", "12 34"),
            ("-", "-"),
            ("--1234", "--1234"),
            ("1,234", "1,234"),
            ("0x1234", "0x1234"),
            ("12345678901234567890123456789", "12,345,678,901,234,567,890,123,456,789"),
            ("<1234>", "&lt;1234&gt;"),
        ],
    );
}

#[test]
fn cases_and_spaces() {
    table("upper", &[("abc \u{e9}z", "ABC \u{e9}Z")]);
    table("lower", &[("ABC \u{c9}Z", "abc \u{c9}z")]);
    table("trim", &[("  a b\t\r\n\x0b\x0c", "a b"), (" ", ""), ("\u{a0}a", "\u{a0}a")]);
}

#[test]
fn truncate() {
    table(
        "truncate:3",
        &[
            ("abcd", "abc"),
            ("abc", "abc"),
            ("\u{e9}\u{20ac}\u{1f600}x", "\u{e9}\u{20ac}\u{1f600}"),
            ("a<b>c", "a&lt;b"),
            ("e\u{301}xyz", "e\u{301}x"),
        ],
    );
    table("truncate:0", &[("abc", "")]);
    // What isn't UTF-8: one character for each broken sequence.
    assert_eq!(through("truncate:2", b"\x80\x80\x80"), b"\x80\x80");
    assert_eq!(through("truncate:2", b"\xe2\x80\xe2\x80\xe2"), b"\xe2\x80\xe2\x80");
    assert_eq!(through("truncate:1", b"\xf0\x9f\x98a"), b"\xf0\x9f\x98");
    for value in every_value() {
        for most in 0..5 {
            through(&format!("truncate:{most}"), &value);
        }
    }
}

#[test]
fn pairs() {
    let filters = [
        "html",
        "attr",
        "js",
        "json",
        "url",
        "href",
        "srcset",
        "css",
        "cssword",
        "cssurl",
        "jsvalue",
        "comma",
        "upper",
        "lower",
        "trim",
        "truncate:2",
        "default:x",
        "raw",
    ];
    for first in filters {
        for second in filters {
            for value in HOSTILE {
                through(&format!("{first} | {second}"), value);
            }
        }
    }
}
