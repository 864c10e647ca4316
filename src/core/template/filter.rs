//! Filters: what is done to a text between where it comes from and the page.
//!
//! A filter maps a text to a text; `default:TEXT` maps the empty text to TEXT. They are applied in the
//! order in which they are written: to the author's own texts when the page is compiled, to values on
//! each hit. So `truncate` behind an escaping filter may cut an escape in two (that is logged), before it
//! it can't.
//!
//! Invariants: no filter writes more than [`MAX_GROWTH`] bytes for one and 10 more; all but `trim` and `truncate`
//! give a text that isn't empty for one that isn't.

use super::ErrorKind;
use super::parse::is_space;
use super::program::{put_varint, take_varint};
use super::{escape, escape_code, escape_url};

/// Most filters of one tag; more are left out.
pub const MAX_FILTERS: usize = 16;

/// Most bytes that a filter writes for one that it reads (`&quot;`, `\u0000`).
pub(super) const MAX_GROWTH: usize = 6;

/// Largest N of `truncate:N`.
const MAX_TRUNCATE: u32 = 1_000_000;

/// A filter without `default` and `raw`, which are not maps of one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Html,
    Attr,
    Js,
    Json,
    Url,
    Comma,
    Upper,
    Lower,
    Trim,
    Truncate(u32),
    Href,
    Srcset,
    Css,
    CssWord,
    CssUrl,
    JsValue,
}

/// One step of a tag's chain. What `T` says of a default text: at compile time the text, in a program
/// its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<T> {
    Map(Filter),
    Default(T),
}

/// Names of the filters that have no argument. A stored program has a filter's place in this table, so rows
/// are only ever added at the end.
const PLAIN: [(&[u8], Filter); 15] = [
    (b"html", Filter::Html),
    (b"attr", Filter::Attr),
    (b"js", Filter::Js),
    (b"json", Filter::Json),
    (b"url", Filter::Url),
    (b"comma", Filter::Comma),
    (b"upper", Filter::Upper),
    (b"lower", Filter::Lower),
    (b"trim", Filter::Trim),
    (b"href", Filter::Href),
    (b"srcset", Filter::Srcset),
    (b"css", Filter::Css),
    (b"cssword", Filter::CssWord),
    (b"cssurl", Filter::CssUrl),
    (b"jsvalue", Filter::JsValue),
];
const TRUNCATE: u8 = 254;
const DEFAULT: u8 = 255;

impl Filter {
    pub(super) fn parse(name: &[u8], argument: Option<&[u8]>) -> Option<Filter> {
        match argument {
            None => PLAIN.iter().find(|row| row.0 == name).map(|row| row.1),
            Some(digits) if name == b"truncate" => {
                let digits = str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
                Some(Filter::Truncate(digits.parse().ok().filter(|&n| n <= MAX_TRUNCATE)?))
            }
            Some(_) => None,
        }
    }

    pub(super) fn escapes(self) -> bool {
        match self {
            Filter::Html | Filter::Attr | Filter::Js | Filter::Json | Filter::Url => true,
            Filter::Href | Filter::Srcset | Filter::Css | Filter::CssWord | Filter::CssUrl => true,
            Filter::JsValue => true,
            Filter::Comma | Filter::Upper | Filter::Lower | Filter::Trim | Filter::Truncate(_) => false,
        }
    }

    /// Whether a text that isn't empty may become so.
    pub(super) fn empties(self) -> bool {
        matches!(self, Filter::Trim | Filter::Truncate(_))
    }

    /// Writes the filtered `text` behind what `out` holds.
    pub(super) fn apply(self, text: &[u8], out: &mut Vec<u8>) {
        match self {
            Filter::Html => escape::html(text, |bytes| out.extend_from_slice(bytes)),
            Filter::Attr => escape::attr(text, out),
            Filter::Js => escape::js(text, out),
            Filter::Json => escape::json(text, out),
            Filter::Url => escape::url(text, out),
            Filter::Href => escape_url::href(text, out),
            Filter::Srcset => escape_url::srcset(text, out),
            Filter::Css => escape_code::css(text, out),
            Filter::CssWord => escape_code::css_word(text, out),
            Filter::CssUrl => escape_url::css_url(text, out),
            Filter::JsValue => escape_code::js_value(text, out),
            Filter::Comma => comma(text, out),
            // Only ASCII: what other bytes are depends on a character set that nobody told us.
            Filter::Upper => added(text, out).make_ascii_uppercase(),
            Filter::Lower => added(text, out).make_ascii_lowercase(),
            Filter::Trim => out.extend_from_slice(trim(text)),
            Filter::Truncate(most) => out.extend_from_slice(truncate(text, most as usize)),
        }
    }
}

impl Step<usize> {
    pub(super) fn encode(self, code: &mut Vec<u8>) {
        match self {
            Step::Map(Filter::Truncate(most)) => {
                code.push(TRUNCATE);
                put_varint(code, most as usize);
            }
            Step::Map(filter) => {
                let place = PLAIN.iter().position(|row| row.1 == filter);
                code.push(place.map_or(u8::MAX, |place| place as u8));
            }
            Step::Default(len) => {
                code.push(DEFAULT);
                put_varint(code, len);
            }
        }
    }

    /// Takes a step from a chain; `None` at its end and for what no compiler wrote.
    pub(super) fn decode(chain: &mut &[u8]) -> Option<Self> {
        let (&code, rest) = chain.split_first()?;
        *chain = rest;
        match code {
            TRUNCATE => Some(Step::Map(Filter::Truncate(u32::try_from(take_varint(chain)?).ok()?))),
            DEFAULT => Some(Step::Default(take_varint(chain)?)),
            _ => PLAIN.get(usize::from(code)).map(|row| Step::Map(row.1)),
        }
    }
}

/// A text of the author's through a chain of filters. `room` is the most that may come of it.
pub(super) fn author(text: &[u8], steps: &[Step<&[u8]>], room: usize) -> Result<Vec<u8>, ErrorKind> {
    let bounded = |text: &[u8]| if text.len() > room { Err(ErrorKind::TextTooLong) } else { Ok(()) };
    let mut text = text.to_vec();
    let mut next = Vec::new();
    for step in steps {
        bounded(&text)?;
        match *step {
            Step::Map(filter) => {
                next.clear();
                filter.apply(&text, &mut next);
                std::mem::swap(&mut text, &mut next);
            }
            Step::Default(default) if text.is_empty() => text.extend_from_slice(default),
            Step::Default(_) => (),
        }
    }
    bounded(&text)?;
    Ok(text)
}

/// Writes `text` and gives what was written.
fn added<'a>(text: &[u8], out: &'a mut Vec<u8>) -> &'a mut [u8] {
    let start = out.len();
    out.extend_from_slice(text);
    out.get_mut(start..).unwrap_or_default()
}

/// Without white space at both ends.
fn trim(text: &[u8]) -> &[u8] {
    let Some(start) = text.iter().position(|&byte| !is_space(byte)) else { return b"" };
    let end = text.iter().rposition(|&byte| !is_space(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// The first `most` characters. What isn't UTF-8 counts as a browser shows it: one for each broken
/// sequence.
fn truncate(text: &[u8], most: usize) -> &[u8] {
    // A character has a byte at least.
    if text.len() <= most {
        return text;
    }
    let mut left = most;
    let mut end = 0;
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            if left == 0 {
                return text.get(..end).unwrap_or_default();
            }
            left -= 1;
            end += char.len_utf8();
        }
        if !chunk.invalid().is_empty() {
            if left == 0 {
                return text.get(..end).unwrap_or_default();
            }
            left -= 1;
            end += chunk.invalid().len();
        }
    }
    text
}

/// Thousands separators for `[+-]digits[.digits]`; anything else stays as it is.
fn comma(text: &[u8], out: &mut Vec<u8>) {
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let (sign, number) = match text.split_first() {
        Some((b'+' | b'-', number)) => text.split_at(text.len() - number.len()),
        _ => text.split_at(0),
    };
    let point = number.iter().position(|&byte| byte == b'.').unwrap_or(number.len());
    let (whole, fraction) = number.split_at(point);
    if !is_number(whole) || !fraction.split_first().is_none_or(|(_, digits)| is_number(digits)) {
        return out.extend_from_slice(text);
    }
    out.extend_from_slice(sign);
    let (head, groups) = whole.split_at(whole.len() % 3);
    out.extend_from_slice(head);
    for (index, group) in groups.chunks(3).enumerate() {
        if index > 0 || !head.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(group);
    }
    out.extend_from_slice(fraction);
}
