//! The filters once more, each as its description reads.

/// Names and arguments as written.
pub type Raw = Vec<(Vec<u8>, Option<Vec<u8>>)>;

#[derive(Clone)]
pub struct Filter {
    pub name: String,
    pub argument: Option<Vec<u8>>,
}

/// Filters that escape.
pub const ESCAPING: [&str; 11] =
    ["html", "attr", "js", "json", "url", "href", "srcset", "css", "cssword", "cssurl", "jsvalue"];

pub fn check_filters(raw: Raw) -> (Vec<Filter>, Vec<&'static str>) {
    let mut filters: Vec<Filter> = Vec::new();
    let mut wrong = Vec::new();
    for (n, (name, argument)) in raw.into_iter().enumerate() {
        let name = String::from_utf8_lossy(&name).into_owned();
        let plain = ["comma", "upper", "lower", "trim", "raw"];
        let number = |text: &[u8]| {
            let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            digits && String::from_utf8_lossy(text).parse::<u128>().is_ok_and(|n| n <= 1_000_000)
        };
        let good = match (&*name, &argument) {
            ("default", Some(_)) => true,
            ("truncate", Some(text)) => number(text),
            (_, None) => plain.contains(&&*name) || ESCAPING.contains(&&*name),
            _ => false,
        };
        let cuts = name == "truncate" && filters.iter().any(|filter| ESCAPING.contains(&&*filter.name));
        let error = match () {
            _ if n >= 16 => "too many filters",
            _ if !good => "unknown filter",
            _ => {
                filters.push(Filter { name, argument });
                if !cuts {
                    continue;
                }
                "truncate after escaping"
            }
        };
        if !wrong.contains(&error) {
            wrong.push(error);
        }
    }
    (filters, wrong)
}

pub fn chain(text: Vec<u8>, filters: &[Filter]) -> Vec<u8> {
    filters.iter().fold(text, |text, filter| apply(filter, text))
}

pub fn chain_bounded(mut text: Vec<u8>, filters: &[Filter], room: usize) -> Result<Vec<u8>, &'static str> {
    let bounded = |text: &[u8]| if text.len() > room { Err("text too long after filters") } else { Ok(()) };
    bounded(&text)?;
    for filter in filters {
        text = apply(filter, text);
        bounded(&text)?;
    }
    Ok(text)
}

/// Whether all texts that a `get` could print for want of a value are short enough together.
pub fn all_texts(default: &[u8], filters: &[Filter], mut room: usize) -> Result<(), &'static str> {
    room -= chain_bounded(default.to_vec(), filters, room)?.len();
    let mut may_be_empty = false;
    for (n, filter) in filters.iter().enumerate() {
        may_be_empty |= filter.name == "trim" || filter.name == "truncate";
        if filter.name == "default" && may_be_empty && filter.argument.as_deref() != Some(b"") {
            room -= chain_bounded(Vec::new(), &filters[n..], room)?.len();
        }
    }
    Ok(())
}

pub fn apply(filter: &Filter, text: Vec<u8>) -> Vec<u8> {
    let each = |f: &dyn Fn(u8) -> Vec<u8>| text.iter().flat_map(|&byte| f(byte)).collect::<Vec<u8>>();
    let html = |byte: u8| match byte {
        b'<' => b"&lt;".to_vec(),
        b'>' => b"&gt;".to_vec(),
        b'&' => b"&amp;".to_vec(),
        b'"' => b"&quot;".to_vec(),
        b'\'' => b"&#39;".to_vec(),
        _ => vec![byte],
    };
    let argument = filter.argument.clone().unwrap_or_default();
    match filter.name.as_str() {
        "html" => each(&html),
        "attr" => each(&|byte| match byte {
            0..=0x20 | b'=' | b'`' | 0x7f => format!("&#{byte};").into_bytes(),
            _ => html(byte),
        }),
        "js" => {
            let text = each(&|byte| match byte {
                b'\n' => b"\\n".to_vec(),
                b'\r' => b"\\r".to_vec(),
                b'\t' => b"\\t".to_vec(),
                b'\\' => b"\\\\".to_vec(),
                0..=0x1f | b'"' | b'\'' | b'`' | b'$' | b'<' | b'>' | b'&' => {
                    format!("\\x{byte:02X}").into_bytes()
                }
                _ => vec![byte],
            });
            let text = replace(text, "\u{2028}".as_bytes(), b"\\u2028");
            replace(text, "\u{2029}".as_bytes(), b"\\u2029")
        }
        "json" => {
            let mut out = String::new();
            for char in String::from_utf8_lossy(&text).chars() {
                match char {
                    '\\' => out.push_str("\\\\"),
                    '\0'..='\x1f' | '\x7f' | '"' | '\'' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                        out.push_str(&format!("\\u{:04x}", char as u32))
                    }
                    _ => out.push(char),
                }
            }
            out.into_bytes()
        }
        "url" => each(&|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => vec![byte],
            _ => format!("%{byte:02X}").into_bytes(),
        }),
        "href" => whole_url(&text, "&amp;", false),
        "srcset" => whole_url(&text, "&amp;", true),
        "cssurl" => whole_url(&text, "\\26 ", false),
        "css" => each(&|byte| match byte {
            0 => b"\\fffd ".to_vec(),
            0x80.. | b' ' | b'-' | b'.' | b'_' => vec![byte],
            _ if byte.is_ascii_alphanumeric() => vec![byte],
            _ => format!("\\{byte:02x} ").into_bytes(),
        }),
        "cssword" => {
            let word = regex::bytes::Regex::new(r"(?-u)\A[a-zA-Z0-9#.%_-]{1,64}\z").unwrap();
            if word.is_match(&text) { text } else { b"blocked".to_vec() }
        }
        "jsvalue" => {
            let bare =
                regex::bytes::Regex::new(r"(?-u)\A(true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?)\z").unwrap();
            let digits = text.strip_prefix(b"-").unwrap_or(&text).len();
            let json = apply(&Filter { name: "json".into(), argument: None }, text.clone());
            match bare.is_match(&text) && digits <= 15 {
                true => [b" ", text.as_slice(), b" "].concat(),
                false => [b" \"", json.as_slice(), b"\" "].concat(),
            }
        }
        "upper" => each(&|byte| vec![if byte.is_ascii_lowercase() { byte - 32 } else { byte }]),
        "lower" => each(&|byte| vec![if byte.is_ascii_uppercase() { byte + 32 } else { byte }]),
        "comma" => comma(&text).unwrap_or(text),
        "trim" => {
            let mut text = text.as_slice();
            let space = |byte: Option<&u8>| byte.is_some_and(|byte| b" \t\n\r\x0b\x0c".contains(byte));
            while space(text.first()) {
                text = &text[1..];
            }
            while space(text.last()) {
                text = &text[..text.len() - 1];
            }
            text.to_vec()
        }
        "truncate" => {
            let most: usize = String::from_utf8_lossy(&argument).parse().unwrap();
            // As many bytes as make up `most` characters of what would be shown.
            (0..=text.len())
                .rev()
                .find(|&len| {
                    let shown = |len: usize| String::from_utf8_lossy(&text[..len]).chars().count();
                    let boundary =
                        len == text.len() || shown(len) + shown_after(&text, len) == shown(text.len());
                    shown(len) <= most && boundary
                })
                .map_or(Vec::new(), |len| text[..len].to_vec())
        }
        "default" if text.is_empty() => argument,
        _ => text,
    }
}

/// A URL that is a URL already, if its scheme is a known one.
fn whole_url(text: &[u8], and: &str, list: bool) -> Vec<u8> {
    let text = text.trim_ascii();
    let known = regex::bytes::Regex::new(r"(?i-u)\A(https?|mailto|tel|sms|ftp):").unwrap();
    let other = regex::bytes::Regex::new(r"(?-u)\A[^:/?#\\]*:").unwrap();
    if text.is_empty() || other.is_match(text) && !known.is_match(text) {
        return b"#blocked".to_vec();
    }
    let mut out = String::new();
    for (at, &byte) in text.iter().enumerate() {
        let char = char::from(byte);
        let escape = text.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        match char {
            '&' => out += and,
            ',' if list => out += "%2C",
            '%' if escape => out.push('%'),
            _ if char.is_ascii_alphanumeric() || "-._~:/?#[]@!$*+,;=".contains(char) => out.push(char),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out.into_bytes()
}

fn shown_after(text: &[u8], len: usize) -> usize {
    String::from_utf8_lossy(&text[len..]).chars().count()
}

fn comma(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok()?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(w, f)| (w, Some(f)));
    if !digits(whole) || fraction.is_some_and(|fraction| !digits(fraction)) {
        return None;
    }
    let mut out = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    let sign = &text[..text.len() - unsigned.len()];
    Some(
        format!("{sign}{out}{}", fraction.map_or(String::new(), |fraction| format!(".{fraction}")))
            .into_bytes(),
    )
}

fn replace(text: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < text.len() {
        if text[i..].starts_with(from) {
            out.extend(to);
            i += from.len();
        } else {
            out.push(text[i]);
            i += 1;
        }
    }
    out
}
