//! What a source is asked by: the check of a key, and how one is made (`key=session_$cookie_persistent`, `key=user_*`).
//!
//! Invariants
//! - A key that passed [`check`] can neither end the line of a command nor be two keys.
//! - A key is sent as it is or not at all: it is never cut, escaped or hashed.

use std::fmt;

/// Longest key, in bytes: memcached's.
pub const MAX_KEY: usize = 250;

/// Longest key of what a service of the site answers: a session may be all in its cookie.
pub const MAX_SERVICE_KEY: usize = 4096;

/// Most pieces of a template.
const MAX_PARTS: usize = 32;

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyError {
    /// It has no byte.
    Empty,
    /// It has more than [`MAX_KEY`], or [`MAX_SERVICE_KEY`].
    TooLong,
    /// A space or a control byte.
    Byte,
}

impl KeyError {
    /// All of them.
    pub const ALL: [KeyError; 3] = [KeyError::Empty, KeyError::TooLong, KeyError::Byte];

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyError::Empty => "an empty key",
            KeyError::TooLong => "a key that is too long",
            KeyError::Byte => "a key with a space or a control byte",
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for KeyError {}

/// Whether this can be sent as a key.
pub fn check(key: &[u8]) -> Result<(), KeyError> {
    match key.len() {
        0 => Err(KeyError::Empty),
        1..=MAX_KEY if all_fit(key) => Ok(()),
        1..=MAX_KEY => Err(KeyError::Byte),
        _ => Err(KeyError::TooLong),
    }
}

/// Without a branch for each byte.
fn all_fit(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |fit, &byte| fit & is_fit(byte))
}

fn is_fit(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// A key that passed [`check`], but for its length, which is `MOST` at most. It lies where it is declared: making one
/// allocates nothing.
#[derive(Clone)]
pub struct Key<const MOST: usize = MAX_KEY> {
    bytes: [u8; MOST],
    len: usize,
}

impl<const MOST: usize> Key<MOST> {
    /// The key itself.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn empty() -> Self {
        Self { bytes: [0; MOST], len: 0 }
    }

    /// The same of bytes that stand as they are meant, which nearly all do.
    fn push_all(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        if !all_fit(bytes) {
            return Err(KeyError::Byte);
        }
        let end = self.len + bytes.len();
        self.bytes.get_mut(self.len..end).ok_or(KeyError::TooLong)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn push(&mut self, bytes: impl Iterator<Item = u8>) -> Result<(), KeyError> {
        for byte in bytes {
            if !is_fit(byte) {
                return Err(KeyError::Byte);
            }
            *self.bytes.get_mut(self.len).ok_or(KeyError::TooLong)? = byte;
            self.len += 1;
        }
        Ok(())
    }
}

impl<const MOST: usize> fmt::Debug for Key<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl<const MOST: usize> PartialEq for Key<MOST> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const MOST: usize> Eq for Key<MOST> {}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Literal(Box<[u8]>),
    /// The value of an nginx variable.
    Variable(Variable),
    /// `*`: the key that stands in the tag.
    TagKey,
}

/// A variable that a key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name, in lower case as nginx keeps it.
    pub name: Box<str>,
    /// Its number among the template's variables, each counted once.
    pub number: usize,
    /// Whether its value is percent-decoded: that of a cookie.
    pub decoded: bool,
}

/// How a source's keys are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Part]>,
    variables: Box<[Box<str>]>,
}

/// What is wrong with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TemplateError {
    /// It has nothing.
    Empty,
    /// A `$` with no name behind it.
    NoName,
    /// A name that begins with a digit: what a regular expression caught belongs to one request.
    Capture,
    /// `${` without `}`.
    Open,
    /// A byte that no key may have.
    Byte,
    /// No value can make a key of 250 bytes of it, or too many pieces.
    TooLong,
}

impl TemplateError {
    /// All of them.
    pub const ALL: [TemplateError; 6] = [
        TemplateError::Empty,
        TemplateError::NoName,
        TemplateError::Capture,
        TemplateError::Open,
        TemplateError::Byte,
        TemplateError::TooLong,
    ];

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            TemplateError::Empty => "it is empty",
            TemplateError::NoName => "\"$\" must be followed by the name of a variable",
            TemplateError::Capture => "the name of a variable must not begin with a digit",
            TemplateError::Open => "\"${\" has no closing \"}\"",
            TemplateError::Byte => "a key must not hold spaces or control bytes",
            TemplateError::TooLong => "a key has at most 250 bytes",
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for TemplateError {}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unfilled {
    /// A variable is empty: there is no such value, and nothing is asked.
    Missing,
    /// What came out is no key.
    Bad(KeyError),
}

/// Why a purge's path names no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unnamed {
    /// The key is made of more than one value, and the path is only one.
    Several,
    /// What came out is no key.
    Bad(KeyError),
}

impl Unnamed {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unnamed::Several => "the source's keys are made of several values",
            Unnamed::Bad(why) => why.as_str(),
        }
    }
}

impl Template {
    /// Reads what stands in the configuration: text, `$name` or `${name}`, `*`.
    pub fn parse(text: &[u8]) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut variables: Vec<Box<str>> = Vec::new();
        let mut literals = 0;
        let mut rest = text;
        while let Some((&first, behind)) = rest.split_first() {
            if parts.len() >= MAX_PARTS {
                return Err(TemplateError::TooLong);
            }
            match first {
                b'*' => {
                    rest = behind;
                    literals += 1;
                    parts.push(Part::TagKey);
                }
                b'$' => {
                    let name = take_name(behind, &mut rest)?;
                    let known = variables.iter().position(|variable| **variable == name);
                    let number = known.unwrap_or_else(|| {
                        variables.push(name.as_str().into());
                        variables.len() - 1
                    });
                    literals += 1;
                    let decoded = name.starts_with("cookie_");
                    parts.push(Part::Variable(Variable { name: name.into(), number, decoded }));
                }
                _ => {
                    let len = rest.iter().position(|byte| b"$*".contains(byte)).unwrap_or(rest.len());
                    let (literal, behind) = rest.split_at_checked(len).unwrap_or_default();
                    if !literal.iter().copied().all(is_fit) {
                        return Err(TemplateError::Byte);
                    }
                    rest = behind;
                    literals += literal.len();
                    parts.push(Part::Literal(literal.into()));
                }
            }
        }
        match parts.is_empty() {
            true => Err(TemplateError::Empty),
            // Each variable and each `*` adds a byte at least.
            _ if literals > MAX_KEY => Err(TemplateError::TooLong),
            _ => Ok(Self { parts: parts.into(), variables: variables.into() }),
        }
    }

    /// The key that stands in the tag, and nothing else: `*`.
    pub fn tag_key() -> Self {
        Self { parts: [Part::TagKey].into(), variables: [].into() }
    }

    /// Its pieces.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The names of its variables, each once, by their numbers.
    pub fn variables(&self) -> impl ExactSizeIterator<Item = &str> {
        self.variables.iter().map(|name| &**name)
    }

    /// Whether a visitor's value could name any key.
    pub fn starts_with_variable(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Variable(_)))
    }

    /// Whether the key is the tag's own, as most are: then there is nothing to be filled in.
    pub fn is_tag_key(&self) -> bool {
        matches!(*self.parts, [Part::TagKey])
    }

    /// Whether the tag's key is part of it.
    pub fn has_tag_key(&self) -> bool {
        self.parts.contains(&Part::TagKey)
    }

    /// The key for a tag and a visitor; `value` tells the value of the variable of this number.
    pub fn fill<'v, const MOST: usize>(
        &self,
        tag_key: &[u8],
        mut value: impl FnMut(usize) -> Option<&'v [u8]>,
    ) -> Result<Key<MOST>, Unfilled> {
        let mut key = Key::empty();
        for part in &self.parts {
            let pushed = match part {
                Part::Literal(text) => key.push_all(text),
                Part::TagKey => key.push_all(tag_key),
                Part::Variable(variable) => {
                    let value = value(variable.number).filter(|value| !value.is_empty());
                    let value = value.ok_or(Unfilled::Missing)?;
                    if variable.decoded { key.push(Unquoted { rest: value }) } else { key.push_all(value) }
                }
            };
            pushed.map_err(Unfilled::Bad)?;
        }
        if key.len == 0 { Err(Unfilled::Bad(KeyError::Empty)) } else { Ok(key) }
    }

    /// The key that a purge's path names, decoded and without its leading `/`: it stands for the variable if there is just
    /// one, else for `*`, and can't be empty, as neither can. A key that is always the same is named by every path.
    pub fn substitute<const MOST: usize>(&self, path: &[u8]) -> Result<Key<MOST>, Unnamed> {
        match self.variables.len() + usize::from(self.has_tag_key()) {
            0 => {}
            1 if path.is_empty() => return Err(Unnamed::Bad(KeyError::Empty)),
            1 => {}
            _ => return Err(Unnamed::Several),
        }
        let mut key = Key::empty();
        for part in &self.parts {
            let text = if let Part::Literal(text) = part { text } else { path };
            key.push_all(text).map_err(Unnamed::Bad)?;
        }
        if key.len == 0 { Err(Unnamed::Bad(KeyError::Empty)) } else { Ok(key) }
    }
}

/// The name behind a `$`, as nginx reads it; `rest` goes on behind it.
fn take_name<'a>(behind: &'a [u8], rest: &mut &'a [u8]) -> Result<String, TemplateError> {
    let inner = behind.strip_prefix(b"{");
    let text = inner.unwrap_or(behind);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let len = text.iter().position(|byte| !is_name(byte)).unwrap_or(text.len());
    let (name, after) = text.split_at_checked(len).unwrap_or_default();
    let after = match inner {
        Some(_) => after.strip_prefix(b"}").ok_or(TemplateError::Open)?,
        None => after,
    };
    match name.first() {
        None => return Err(TemplateError::NoName),
        Some(first) if first.is_ascii_digit() => return Err(TemplateError::Capture),
        Some(_) => {}
    }
    *rest = after;
    Ok(String::from_utf8_lossy(name).to_ascii_lowercase())
}

/// Percent-decoded, once, as Python's `unquote` does it: what is no two digits stays as it is, and `+` is no space.
pub fn unquote(text: &[u8]) -> impl Iterator<Item = u8> {
    Unquoted { rest: text }
}

struct Unquoted<'a> {
    rest: &'a [u8],
}

impl Iterator for Unquoted<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&byte, behind) = self.rest.split_first()?;
        let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
        if byte == b'%'
            && let Some((high, low)) = digit(behind.first()).zip(digit(behind.get(1)))
        {
            self.rest = behind.get(2..).unwrap_or_default();
            return Some((high << 4 | low) as u8);
        }
        self.rest = behind;
        Some(byte)
    }
}
