//! The words of a tag, and what they say: `command target key [arguments] [| filter]...`, or `include URI [| filter]`, or
//! `nonce`.
//!
//! Words are separated by white space. A word that begins with a quote runs to the next such quote; no
//! escapes. After the first unquoted `|`, which ends a word like white space does, every word is a filter,
//! `name` or `name:argument`, where an argument may be quoted (`default:"no name"`); further `|` are skipped.

use super::ErrorKind;
use super::filter::{Filter, MAX_FILTERS, Step};

/// Longest key, in bytes.
pub const MAX_KEY: usize = 1024;

/// Most words that a tag can have before its filters: `if target key a b`.
const MAX_WORDS: usize = 5;

const COMMANDS: [&[u8]; 10] =
    [b"get", b"if", b"unless", b"else", b"end", b"incr", b"decr", b"pop", b"include", b"nonce"];

/// Whether a tag may begin with this word.
pub(super) fn is_command(word: &[u8]) -> bool {
    COMMANDS.contains(&word)
}

/// White space between words: that of ASCII, with the vertical tab, as in Python's `split`.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// A tag that is well formed; whether its target exists is the compiler's to see.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) command: Command<'a>,
    pub(super) filters: Filters<'a>,
}

/// The value that a tag is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) target: &'a [u8],
    pub(super) key: &'a [u8],
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// Prints the value, else the default.
    Get {
        name: Name<'a>,
        default: &'a [u8],
    },
    /// As `get`, then deletes the value at its source.
    Pop {
        name: Name<'a>,
        default: &'a [u8],
    },
    /// `incr`, and `decr`, which counts down.
    Count {
        name: Name<'a>,
        down: bool,
        initial: Option<&'a [u8]>,
    },
    /// Prints one text or the other.
    Choose {
        name: Name<'a>,
        negate: bool,
        then: &'a [u8],
        otherwise: &'a [u8],
    },
    /// Opens a block.
    Open {
        name: Name<'a>,
        negate: bool,
    },
    Else,
    End,
    /// Prints a fragment, else the default among its filters.
    Include {
        uri: &'a [u8],
    },
    /// Prints the response's random value.
    Nonce,
}

/// The filters of a tag.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filters<'a> {
    pub(super) steps: Vec<Step<&'a [u8]>>,
    /// An escaping filter is named, so the default one is not applied.
    pub(super) escaped: bool,
    /// What is wrong with them, each once; the tag works without the bad ones.
    pub(super) wrong: Vec<ErrorKind>,
}

/// Parses what stands between the delimiters. An error means that the tag is left as text.
pub(super) fn parse(inside: &[u8]) -> Result<Tag<'_>, ErrorKind> {
    let mut rest = inside;
    let mut words: [&[u8]; MAX_WORDS] = [b""; MAX_WORDS];
    let mut count = 0;
    let mut filters = None;
    while let Some(word) = next_word(&mut rest)? {
        if word.text == b"|" && !word.quoted {
            filters = Some(parse_filters(rest)?);
            break;
        }
        if count == 0 && !is_command(word.text) {
            return Err(ErrorKind::UnknownCommand);
        }
        *words.get_mut(count).ok_or(ErrorKind::TooManyWords)? = word.text;
        count += 1;
    }
    let [command, target, key, first, second] = words;
    let bare = count == 1 && filters.is_none();
    let name = || match (target, key) {
        (b"", _) | (_, b"") => Err(ErrorKind::MissingWord),
        (target, key) => Ok(Name { target, key }),
    };
    let at_most = |most: usize| if count > most { Err(ErrorKind::TooManyWords) } else { Ok(()) };
    let command = match command {
        b"get" => {
            at_most(4)?;
            Command::Get { name: name()?, default: first }
        }
        b"pop" => {
            at_most(4)?;
            Command::Pop { name: name()?, default: first }
        }
        b"incr" | b"decr" => {
            at_most(4)?;
            let down = command == b"decr";
            Command::Count { name: name()?, down, initial: (count > 3).then_some(first) }
        }
        b"if" | b"unless" => {
            let (name, negate) = (name()?, command == b"unless");
            if count == 3 {
                Command::Open { name, negate }
            } else {
                Command::Choose { name, negate, then: first, otherwise: second }
            }
        }
        b"include" => {
            at_most(2)?;
            match target {
                b"" => return Err(ErrorKind::MissingWord),
                uri => Command::Include { uri },
            }
        }
        b"nonce" => {
            at_most(1)?;
            Command::Nonce
        }
        b"else" if bare => Command::Else,
        b"end" if bare => Command::End,
        b"else" | b"end" => return Err(ErrorKind::TooManyWords),
        _ if count == 0 && filters.is_none() => return Err(ErrorKind::Empty),
        _ => return Err(ErrorKind::UnknownCommand),
    };
    Ok(Tag { command, filters: filters.unwrap_or_default() })
}

struct Word<'a> {
    text: &'a [u8],
    quoted: bool,
}

/// The next word, if there is one; `rest` goes on behind it. A closing quote ends a word.
fn next_word<'a>(rest: &mut &'a [u8]) -> Result<Option<Word<'a>>, ErrorKind> {
    skip_space(rest);
    match rest.split_first() {
        None => Ok(None),
        Some((b'\'' | b'"', _)) => Ok(Some(Word { text: quoted(rest)?, quoted: true })),
        // A word of its own, with or without space around it: were `|js` a text, a value that was meant
        // to be escaped would not be.
        Some((b'|', after)) => {
            *rest = after;
            Ok(Some(Word { text: b"|", quoted: false }))
        }
        Some(_) => Ok(Some(Word { text: take_until(rest, ends_word), quoted: false })),
    }
}

fn ends_word(byte: u8) -> bool {
    is_space(byte) || byte == b'|'
}

fn parse_filters(mut rest: &[u8]) -> Result<Filters<'_>, ErrorKind> {
    let mut filters = Filters::default();
    let mut count = 0;
    loop {
        skip_space(&mut rest);
        let (name, argument) = match rest.first() {
            None => return Ok(filters),
            Some(b'\'' | b'"') => (quoted(&mut rest)?, None),
            Some(b'|') => {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            Some(_) => {
                let name = take_until(&mut rest, |byte| ends_word(byte) || byte == b':');
                let argument = match rest.split_first() {
                    Some((b':', after)) => {
                        rest = after;
                        Some(match rest.first() {
                            Some(b'\'' | b'"') => quoted(&mut rest)?,
                            _ => take_until(&mut rest, ends_word),
                        })
                    }
                    _ => None,
                };
                (name, argument)
            }
        };
        count += 1;
        if count > MAX_FILTERS {
            filters.note(ErrorKind::TooManyFilters);
        } else {
            filters.add(name, argument);
        }
    }
}

impl<'a> Filters<'a> {
    fn note(&mut self, kind: ErrorKind) {
        if !self.wrong.contains(&kind) {
            self.wrong.push(kind);
        }
    }

    fn add(&mut self, name: &[u8], argument: Option<&'a [u8]>) {
        let step = match (name, argument) {
            // It does nothing but keep the default escaping away.
            (b"raw", None) => {
                self.escaped = true;
                return;
            }
            // The empty text in place of the empty text.
            (b"default", Some(b"")) => return,
            (b"default", Some(text)) => Step::Default(text),
            _ => match Filter::parse(name, argument) {
                Some(filter) => Step::Map(filter),
                None => return self.note(ErrorKind::UnknownFilter),
            },
        };
        if let Step::Map(filter) = step {
            let escaped = |step: &Step<&[u8]>| matches!(step, Step::Map(filter) if filter.escapes());
            if matches!(filter, Filter::Truncate(_)) && self.steps.iter().any(escaped) {
                self.note(ErrorKind::TruncatedEscape);
            }
            self.escaped |= filter.escapes();
        }
        self.steps.push(step);
    }
}

fn skip_space(rest: &mut &[u8]) {
    take_until(rest, |byte| !is_space(byte));
}

/// Takes the bytes before the first one that is `wanted`, or all.
fn take_until<'a>(rest: &mut &'a [u8], wanted: impl Fn(u8) -> bool) -> &'a [u8] {
    let len = rest.iter().position(|&byte| wanted(byte)).unwrap_or(rest.len());
    let (taken, after) = rest.split_at(len);
    *rest = after;
    taken
}

/// Takes a quoted text whose quote is the first byte of `rest`.
fn quoted<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ErrorKind> {
    let (&quote, text) = rest.split_first().ok_or(ErrorKind::OpenQuote)?;
    *rest = text;
    let text = take_until(rest, |byte| byte == quote);
    let (_, after) = rest.split_first().ok_or(ErrorKind::OpenQuote)?;
    *rest = after;
    Ok(text)
}
