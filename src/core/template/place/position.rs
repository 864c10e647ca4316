//! One reading of a page so far: a tokenizer as browsers have it (the HTML standard, 13.2.5), or that of XML, as far as
//! it says where a tag stands.
//!
//! Invariant: what is left of a tag behind its `>` is nothing, so that readings that differ in a tag meet again.

use memchr::memchr;

use super::attribute::{Quote, Value};
use super::element::{self, Inside, Said};
use super::json::Json;
use super::name::Name;
use super::raw::{Code, Raw, Step};
use super::script::Script;
use super::style::Style;
use super::tree::{Begun, Tree};
use super::{HTML, Place, Start, Want};

/// Where a comment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comment {
    Start,
    StartDash,
    Inside,
    Dash,
    End,
    Bang,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Data,
    TagOpen,
    EndTagOpen,
    TagName,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value(Box<Value>),
    AfterValue,
    SelfClosing,
    /// Behind `<!`, and what was read since.
    Declaration(Name),
    Comment(Comment),
    /// A comment that ends at the next `>`.
    Bogus,
    /// In XML: the quote that is open.
    Doctype(Option<u8>),
    /// How many `]` were read of `]]>`.
    Cdata(u8),
    /// Of XML; whether a `?` was read.
    Instruction(bool),
    Raw(Box<Raw>),
    /// The whole page is in one language.
    Code(Box<Code>),
    /// Nothing is known any more.
    Lost,
}

/// What a tag has said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tag {
    end: bool,
    name: Name,
    attribute: Name,
    self_closing: bool,
    said: Said,
    /// What says how the inside reads: a script's type, the encoding of an annotation of MathML.
    kind: Option<Name>,
}

impl Tag {
    /// The attribute says how the inside of the element reads.
    fn is_kind(&self) -> bool {
        let says = self.name.is(b"script") && self.attribute.is(b"type")
            || self.name.is(b"annotation-xml") && self.attribute.is(b"encoding");
        says && self.kind.is_none()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    at: At,
    tag: Tag,
    tree: Tree,
    xml: bool,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

impl Position {
    pub(super) fn new(start: Start) -> Self {
        let at = match start {
            Start::Html | Start::Wide | Start::Xml | Start::Plain | Start::Foreign => At::Data,
            Start::Script => At::Code(Box::new(Code::Script(Script::new(true)))),
            Start::Json => At::Code(Box::new(Code::Json(Json::default()))),
            Start::Style => At::Code(Box::new(Code::Style(Style::new()))),
        };
        Position { at, tag: Tag::default(), tree: Tree::default(), xml: start == Start::Xml }
    }

    /// How many bytes change nothing.
    pub(super) fn skip(&self, text: &[u8]) -> usize {
        let until = |found: Option<usize>| found.unwrap_or(text.len());
        match &self.at {
            At::Data => until(memchr(b'<', text)),
            At::Comment(Comment::Inside) => until(memchr(b'-', text)),
            At::Bogus => until(memchr(b'>', text)),
            At::Doctype(_) if !self.xml => until(memchr(b'>', text)),
            At::Cdata(0) => until(memchr(b']', text)),
            At::Raw(raw) if raw.is_quiet() => until(memchr(b'<', text)),
            At::Value(value) if value.is_text() => match value.quote {
                Quote::Double => until(memchr(b'"', text)),
                Quote::Single => until(memchr(b'\'', text)),
                Quote::None => 0,
            },
            At::Lost => text.len(),
            _ => 0,
        }
    }

    /// Takes a byte; gives a second reading where there are two.
    pub(super) fn feed(&mut self, byte: u8) -> Option<Box<Position>> {
        // Most bytes of a script or an attribute change nothing but what is in it.
        match &mut self.at {
            At::Code(code) => {
                code.feed(byte);
                return None;
            }
            At::Value(value) if value.goes_on(byte) => {
                // In XML a line end is a space here, unless it is written as a reference.
                let byte = if self.xml && is_space(byte) { b' ' } else { byte };
                value.feed(byte);
                return None;
            }
            _ => (),
        }
        // Taken out, so that what it holds can move on. `Lost` is put in its place for so long.
        let mut fork = None;
        self.at = match std::mem::replace(&mut self.at, At::Lost) {
            At::Data if byte == b'<' => At::TagOpen,
            At::TagOpen => self.tag_open(byte),
            At::EndTagOpen => self.end_tag_open(byte),
            At::TagName => match byte {
                b'>' => self.tag_ends(&mut fork),
                b'/' => At::SelfClosing,
                _ if is_space(byte) => At::BeforeName,
                _ => {
                    self.tag.name.push(byte);
                    At::TagName
                }
            },
            At::BeforeName | At::AfterName | At::Name if byte == b'>' => self.tag_ends(&mut fork),
            At::BeforeName | At::AfterName | At::Name if byte == b'/' => At::SelfClosing,
            At::BeforeName if is_space(byte) => At::BeforeName,
            At::Name | At::AfterName if is_space(byte) => At::AfterName,
            At::Name | At::AfterName if byte == b'=' => At::BeforeValue,
            At::Name => {
                self.tag.attribute.push(byte);
                At::Name
            }
            At::BeforeName | At::AfterName => self.attribute(byte),
            At::BeforeValue => match byte {
                b'"' => self.value_begins(Quote::Double),
                b'\'' => self.value_begins(Quote::Single),
                b'>' => self.tag_ends(&mut fork),
                _ if is_space(byte) => At::BeforeValue,
                _ => self.unquoted(byte),
            },
            At::Value(value) => match (value.quote, byte) {
                (Quote::Double, b'"') | (Quote::Single, b'\'') => {
                    self.value_ends(*value);
                    At::AfterValue
                }
                (Quote::None, b'>') => {
                    self.value_ends(*value);
                    self.tag_ends(&mut fork)
                }
                (Quote::None, _) if is_space(byte) => {
                    self.value_ends(*value);
                    At::BeforeName
                }
                _ => At::Value(value),
            },
            At::AfterValue => match byte {
                b'>' => self.tag_ends(&mut fork),
                b'/' => At::SelfClosing,
                _ if is_space(byte) => At::BeforeName,
                _ => self.attribute(byte),
            },
            At::SelfClosing => match byte {
                b'>' => {
                    self.tag.self_closing = true;
                    self.tag_ends(&mut fork)
                }
                b'/' => At::SelfClosing,
                _ if is_space(byte) => At::BeforeName,
                _ => self.attribute(byte),
            },
            At::Declaration(name) => self.declaration(name, byte, &mut fork),
            At::Comment(comment) => self.comment(comment, byte),
            At::Bogus if byte == b'>' => At::Data,
            At::Doctype(Some(quote)) if byte == quote => At::Doctype(None),
            At::Doctype(None) if byte == b'>' => At::Data,
            At::Doctype(None) if self.xml => match byte {
                b'"' | b'\'' => At::Doctype(Some(byte)),
                // A document type of its own: entities may be anything.
                b'[' => At::Lost,
                _ => At::Doctype(None),
            },
            At::Cdata(count) => match byte {
                b']' => At::Cdata(2.min(count + 1)),
                b'>' if count == 2 => At::Data,
                _ => At::Cdata(0),
            },
            At::Instruction(true) if byte == b'>' => At::Data,
            At::Instruction(_) => At::Instruction(byte == b'?'),
            At::Raw(mut raw) => match raw.feed(byte) {
                Step::Goes => At::Raw(raw),
                Step::Forks(other) => {
                    fork = Some(self.with(At::Raw(Box::new(other))));
                    At::Raw(raw)
                }
                Step::Ends => {
                    self.tag = Tag { end: true, name: raw.name(), ..Tag::default() };
                    match byte {
                        b'>' => {
                            self.tag = Tag::default();
                            At::Data
                        }
                        b'/' => At::SelfClosing,
                        _ => At::BeforeName,
                    }
                }
            },
            other => other,
        };
        fork
    }

    fn with(&self, at: At) -> Box<Position> {
        Box::new(Position { at, tag: self.tag, tree: self.tree.clone(), xml: self.xml })
    }

    fn begins_name(&self, byte: u8) -> bool {
        byte.is_ascii_alphabetic() || self.xml && (byte >= 0x80 || matches!(byte, b'_' | b':'))
    }

    fn tag_open(&mut self, byte: u8) -> At {
        match byte {
            b'!' => At::Declaration(Name::default()),
            b'/' => At::EndTagOpen,
            b'?' if self.xml => At::Instruction(false),
            b'?' => At::Bogus,
            b'<' => At::TagOpen,
            _ if self.begins_name(byte) => self.name_begins(byte, false),
            _ => At::Data,
        }
    }

    fn end_tag_open(&mut self, byte: u8) -> At {
        match byte {
            b'>' => At::Data,
            _ if self.begins_name(byte) => self.name_begins(byte, true),
            _ => At::Bogus,
        }
    }

    fn name_begins(&mut self, byte: u8, end: bool) -> At {
        self.tag = Tag { end, ..Tag::default() };
        self.tag.name.push(byte);
        At::TagName
    }

    fn declaration(&mut self, mut name: Name, byte: u8, fork: &mut Option<Box<Position>>) -> At {
        name.push_exact(byte);
        let text = name.known().unwrap_or_default();
        if text == b"--" {
            return At::Comment(Comment::Start);
        }
        if text.eq_ignore_ascii_case(b"doctype") {
            return At::Doctype(None);
        }
        if text == b"[CDATA[" {
            let sections = if self.xml { Some(true) } else { self.tree.has_sections() };
            if sections.is_none() {
                *fork = Some(self.with(At::Cdata(0)));
            }
            return if sections == Some(true) { At::Cdata(0) } else { At::Bogus };
        }
        let begins = |word: &[u8]| word.get(..text.len()).is_some_and(|head| head.eq_ignore_ascii_case(text));
        if b"--".starts_with(text) || begins(b"doctype") || b"[CDATA[".starts_with(text) {
            return At::Declaration(name);
        }
        if byte == b'>' { At::Data } else { At::Bogus }
    }

    fn comment(&mut self, comment: Comment, byte: u8) -> At {
        use Comment::*;
        At::Comment(match (comment, byte) {
            (Start, b'-') => StartDash,
            (StartDash | Dash, b'-') => End,
            (Start | StartDash, b'>') if !self.xml => return At::Data,
            (End, b'>') => return At::Data,
            (Bang, b'>') if !self.xml => return At::Data,
            (End, b'-') => End,
            (End, b'!') if !self.xml => Bang,
            (Inside | Bang, b'-') => Dash,
            _ => Inside,
        })
    }

    fn attribute(&mut self, byte: u8) -> At {
        self.kind_without_value();
        self.tag.attribute.clear();
        self.tag.attribute.push(byte);
        At::Name
    }

    fn value_begins(&mut self, quote: Quote) -> At {
        let tag = &mut self.tag;
        let kind = element::kind(&tag.name, &tag.attribute, tag.said);
        tag.said.acts |= tag.attribute.is(b"http-equiv");
        tag.said.named |= tag.attribute.is_one_of(&[b"name", b"property", b"itemprop"]);
        At::Value(Box::new(Value::new(quote, kind, tag.is_kind())))
    }

    /// The attribute before this one may have been the one, all the same: only the first one counts.
    fn kind_without_value(&mut self) {
        if self.tag.is_kind() {
            self.tag.kind = Some(Name::default());
        }
    }

    fn unquoted(&mut self, byte: u8) -> At {
        let mut at = self.value_begins(Quote::None);
        if let At::Value(value) = &mut at {
            value.feed(byte);
        }
        at
    }

    fn value_ends(&mut self, value: Value) {
        if let Some(kind) = value.close() {
            self.tag.kind = Some(kind);
        }
    }

    fn tag_ends(&mut self, fork: &mut Option<Box<Position>>) -> At {
        let tag = std::mem::take(&mut self.tag);
        let begun = match (self.xml, tag.end) {
            (true, true) => {
                self.tree.end_xml(&tag.name);
                return At::Data;
            }
            (true, false) => {
                self.tree.start_xml(&tag.name, tag.self_closing);
                return At::Data;
            }
            (false, true) => {
                self.tree.end(&tag.name);
                return At::Data;
            }
            (false, false) => self.tree.start(&tag.name, tag.kind.as_ref(), tag.self_closing),
        };
        let (inside, perhaps) = match begun {
            Begun::Is(inside) => (inside, inside == Inside::NoScript),
            Begun::Perhaps(inside) => (inside, true),
        };
        let code = match inside {
            Inside::Markup => return At::Data,
            Inside::Script => Code::of_script(tag.kind.as_ref()),
            Inside::Style => Code::Style(Style::new()),
            _ => Code::None,
        };
        if perhaps {
            let mut other = self.with(At::Data);
            other.tree.may_be_code(&tag.name, tag.self_closing);
            *fork = Some(other);
        }
        At::Raw(Box::new(Raw::new(inside, tag.name, code)))
    }

    /// What a value must be made here.
    pub(super) fn want(&self) -> Result<Want, Place> {
        match &self.at {
            At::Data if self.tree.in_code() => Err(Place::ForeignCode),
            At::Data => Ok(Want::Filters(HTML)),
            At::TagOpen | At::EndTagOpen | At::TagName => Err(Place::TagName),
            At::BeforeName | At::Name | At::AfterName | At::AfterValue | At::SelfClosing => {
                Err(Place::AttributeName)
            }
            At::BeforeValue => {
                let mut unquoted = self.clone();
                match unquoted.value_begins(Quote::None) {
                    _ if self.xml => Err(Place::Unquoted),
                    At::Value(value) => value.want(),
                    _ => Err(Place::Lost),
                }
            }
            At::Value(value) => value.want(),
            At::Declaration(_) | At::Comment(_) | At::Bogus => Err(Place::Comment),
            At::Doctype(_) => Err(Place::Doctype),
            At::Cdata(_) => Err(Place::Cdata),
            At::Instruction(_) => Err(Place::Instruction),
            At::Raw(raw) => raw.want(),
            At::Code(code) => code.want(),
            At::Lost => Err(Place::Lost),
        }
    }

    /// Whether a fragment may stand here: it is markup, or code like that around it.
    pub(super) fn takes_fragments(&self) -> bool {
        match &self.at {
            At::Data => !self.tree.in_code(),
            At::Code(code) => code.want().is_ok_and(|want| want.is_code()),
            _ => false,
        }
    }

    /// A value was printed here.
    pub(super) fn value(&mut self) {
        match &mut self.at {
            At::BeforeValue => {
                self.at = self.value_begins(Quote::None);
                self.value();
            }
            At::Value(value) => value.value(),
            At::Raw(raw) => raw.value(),
            At::Code(code) => code.value(),
            // By its author's word: no name is known that a value is part of.
            At::TagOpen | At::EndTagOpen => {
                self.at = self.name_begins(b'?', self.at == At::EndTagOpen);
                self.tag.name.spoil();
            }
            At::TagName => self.tag.name.spoil(),
            At::Name => self.tag.attribute.spoil(),
            At::AfterName | At::BeforeName | At::AfterValue | At::SelfClosing => {
                self.tag.attribute.spoil();
                self.at = At::Name;
            }
            _ => (),
        }
    }
}
