//! What becomes of each tag: operations, slots and literals, or the tag's own text and an error.
//!
//! ```text
//!   literals  [........................|~~~~~~~~~~]
//!                                      ^ flushed   the rest is text that waits for more of it, so that
//!                                                  neighbours become one TEXT however the body is cut
//! ```
//!
//! Invariants: every byte of `literals` belongs to exactly one operation, in order (or waits behind
//! `flushed`); blocks are balanced when the page is finished; code, literals and slots are at most
//! [`MAX_TEXT_GROWTH`] + 1 times the body and a constant.

mod effects;

use super::error::{ErrorKind, Errors, excerpt};
use super::filter::{Filter, Step, author};
use super::include::{self, MAX_INCLUDES};
use super::origin::Origin;
use super::parse::{self, Command, Filters, MAX_KEY, Name, Tag};
use super::place::{Place, Places, Refused, Start};
use super::program::*;
use super::scan::Found;
use super::slot::{SlotTable, Target, source_key};
use super::{Escape, Sources};
use crate::source::Change;

/// Deepest nesting of blocks.
const MAX_DEPTH: usize = 16;

/// What the texts of a tag may be together after their filters, as a multiple of the tag's length. One
/// filter makes six bytes of one at most; only rows of filters that escape each other's output get here.
const MAX_TEXT_GROWTH: usize = 8;

/// The source of how many messages a visitor has not read.
const UNREAD: &[u8] = b"unread";

/// The page so far.
#[derive(Debug)]
pub(super) struct Builder {
    escape: Escape,
    /// Where the page stands, if that chooses filters.
    places: Option<Places>,
    slots_max: usize,
    sources: Sources,
    /// It is the value of a header line.
    in_header: bool,
    pub(super) code: Vec<u8>,
    pub(super) literals: Vec<u8>,
    /// The literals before this belong to operations in `code`.
    pub(super) flushed: usize,
    pub(super) slots: SlotTable,
    /// It changes something at a source.
    pub(super) changes: bool,
    blocks: Vec<Block>,
    /// Blocks opened beyond [`MAX_DEPTH`] and left as text: as many ends are text, too.
    too_deep: u64,
    /// Line of the next byte.
    line: usize,
    pub(super) tags: u32,
    pub(super) errors: Errors,
    /// Where its tags stood, if somebody will ask.
    pub(super) origin: Option<Origin>,
}

/// An open block, and what to say if it stays open.
#[derive(Debug)]
struct Block {
    has_else: bool,
    line: usize,
    tag: String,
}

/// What a target and key are to a program.
enum Value {
    Slot(usize),
    /// Known to be missing, and why.
    Missing(ErrorKind),
}

impl Found for Builder {
    fn text(&mut self, text: &[u8]) {
        self.print(text);
        self.line += memchr::memchr_iter(b'\n', text).count();
    }

    fn tag(&mut self, whole: &[u8], inside: &[u8]) -> bool {
        let before = self.literals.len();
        match parse::parse(inside).and_then(|tag| self.compile(tag, whole)) {
            Ok(false) => false,
            Ok(true) => {
                self.tags = self.tags.saturating_add(1);
                self.line += memchr::memchr_iter(b'\n', whole).count();
                if let Some(origin) = &mut self.origin {
                    origin.note(whole, before, self.literals.len(), self.code.len());
                }
                true
            }
            Err(kind) => {
                self.wrong(kind, whole);
                false
            }
        }
    }

    fn dropped(&mut self, bytes: usize) {
        if let Some(origin) = &mut self.origin {
            origin.dropped(bytes, self.literals.len(), self.code.len());
        }
    }

    fn wrong(&mut self, kind: ErrorKind, text: &[u8]) {
        self.errors.push(kind, self.line, text);
    }
}

impl Builder {
    pub(super) fn new(escape: Escape, slots_max: usize, sources: Sources) -> Self {
        let places = match escape {
            Escape::Off | Escape::Html | Escape::Auto(Start::Plain) => None,
            Escape::Auto(start) => Some(Places::new(start)),
        };
        Builder {
            escape,
            places,
            slots_max,
            sources,
            in_header: false,
            code: Vec::new(),
            literals: Vec::new(),
            flushed: 0,
            slots: SlotTable::default(),
            changes: false,
            blocks: Vec::new(),
            too_deep: 0,
            line: 1,
            tags: 0,
            errors: Errors::default(),
            origin: None,
        }
    }

    /// One for a header line of the same page: their values are the same. [`Builder::take_values`] gives the slots back.
    pub(super) fn of_header(page: &mut Builder) -> Self {
        Builder {
            in_header: true,
            slots: std::mem::take(&mut page.slots),
            ..Builder::new(Escape::Off, page.slots_max, page.sources.clone())
        }
    }

    /// A header line is complete.
    pub(super) fn take_values(&mut self, header: &mut Builder) {
        self.slots = std::mem::take(&mut header.slots);
        self.tags = self.tags.saturating_add(header.tags);
    }

    /// An error, or false, means that the tag is left as text; nothing was written then.
    fn compile(&mut self, tag: Tag<'_>, whole: &[u8]) -> Result<bool, ErrorKind> {
        let Tag { command, filters } = tag;
        match command {
            Command::Get { name, default } => self.get(name, default, &filters, whole)?,
            Command::Choose { name, negate, then, otherwise } => {
                self.choose(name, negate, [then, otherwise], &filters, whole)?
            }
            Command::Open { name, negate } => self.open(name, negate, whole)?,
            Command::Else => return self.otherwise(),
            Command::End => return self.end(),
            Command::Pop { name, default } => self.pop(name, default, &filters, whole)?,
            Command::Include { uri } => self.include(uri, &filters, whole),
            Command::Count { name, down, initial } => self.count(name, down, initial, whole)?,
            Command::Nonce => self.nonce(&filters, whole)?,
        }
        for kind in filters.wrong {
            self.note(kind, whole);
        }
        Ok(true)
    }

    /// Text that stands in the page whatever its visitor.
    fn print(&mut self, text: &[u8]) {
        self.literals.extend_from_slice(text);
        if let Some(places) = &mut self.places {
            places.text(text);
        }
    }

    /// The filters that a value goes through last, if the tag's own do not escape it.
    fn escaping(&mut self, filters: &Filters<'_>) -> Result<&'static [Filter], Refused> {
        match &mut self.places {
            _ if filters.escaped => Ok(&[]),
            Some(places) => places.filters(),
            None if self.escape == Escape::Html => Ok(&[Filter::Html]),
            None => Ok(&[]),
        }
    }

    fn note(&mut self, kind: ErrorKind, whole: &[u8]) {
        self.errors.push(kind, self.line, whole);
    }

    fn get(
        &mut self,
        name: Name<'_>,
        default: &[u8],
        filters: &Filters<'_>,
        whole: &[u8],
    ) -> Result<(), ErrorKind> {
        let mut room = whole.len() * MAX_TEXT_GROWTH;
        // A number of messages is never nothing, as the original has it.
        let default = if name.target == UNREAD && default.is_empty() { b"0" } else { default };
        let mut missing = author(default, &filters.steps, room)?;
        room -= missing.len();
        // What a value goes through; behind `missing`, the texts of its `default` steps.
        let mut chain = Vec::new();
        let mut texts = Vec::new();
        let mut lens = Vec::new();
        let mut empties = false;
        let mut rest = filters.steps.as_slice();
        while let Some((step, after)) = rest.split_first() {
            rest = after;
            match *step {
                Step::Map(filter) => {
                    empties |= filter.empties();
                    Step::Map(filter).encode(&mut chain);
                }
                // The value isn't empty here.
                Step::Default(_) if !empties => (),
                Step::Default(text) => {
                    let text = author(text, rest, room)?;
                    room -= text.len();
                    Step::Default(text.len()).encode(&mut chain);
                    lens.push(text.len());
                    texts.extend_from_slice(&text);
                }
            }
        }
        match self.escaping(filters) {
            Ok(last) => last.iter().for_each(|&filter| Step::Map(filter).encode(&mut chain)),
            Err(Refused { place, first }) => {
                if first {
                    self.note(ErrorKind::NoSafeFilter(place), whole);
                }
                self.print(&missing);
                return Ok(());
            }
        }
        let slot = match self.value(name)? {
            Value::Slot(slot) => slot,
            Value::Missing(kind) => {
                self.note(kind, whole);
                self.print(&missing);
                return Ok(());
            }
        };
        if let Some(places) = &mut self.places {
            let mut ways = vec![missing.as_slice()];
            let mut rest = texts.as_slice();
            for len in lens {
                let (text, after) = rest.split_at_checked(len).unwrap_or_default();
                rest = after;
                ways.push(text);
            }
            if empties {
                ways.push(b"");
            }
            places.value_or(&ways);
        }
        self.flush();
        let mut html = Vec::new();
        Step::Map(Filter::Html).encode(&mut html);
        if chain == html {
            put_op(&mut self.code, if missing.is_empty() { HTML } else { HTML2 }, slot);
        } else {
            put_op(&mut self.code, GET, slot);
            put_varint(&mut self.code, chain.len());
            self.code.append(&mut chain);
        }
        if chain != html || !missing.is_empty() {
            put_varint(&mut self.code, missing.len());
        }
        self.literals.append(&mut missing);
        self.literals.append(&mut texts);
        self.flushed = self.literals.len();
        Ok(())
    }

    /// `if` and `unless` with texts: a small block.
    fn choose(
        &mut self,
        name: Name<'_>,
        negate: bool,
        [then, otherwise]: [&[u8]; 2],
        filters: &Filters<'_>,
        whole: &[u8],
    ) -> Result<(), ErrorKind> {
        let room = whole.len() * MAX_TEXT_GROWTH;
        let then = author(then, &filters.steps, room)?;
        let otherwise = author(otherwise, &filters.steps, room - then.len())?;
        match self.value(name)? {
            Value::Slot(slot) => {
                if let Some(places) = &mut self.places {
                    places.one_of(&[&then, &otherwise]);
                }
                self.flush();
                put_op(&mut self.code, if negate { UNLESS } else { IF }, slot);
                self.literals.extend_from_slice(&then);
                self.flush();
                if !otherwise.is_empty() {
                    put_op(&mut self.code, MARK, ELSE);
                    self.literals.extend_from_slice(&otherwise);
                    self.flush();
                }
                put_op(&mut self.code, MARK, END);
            }
            Value::Missing(kind) => {
                self.note(kind, whole);
                self.print(if negate { &then } else { &otherwise });
            }
        }
        Ok(())
    }

    fn open(&mut self, name: Name<'_>, negate: bool, whole: &[u8]) -> Result<(), ErrorKind> {
        if self.blocks.len() >= MAX_DEPTH {
            self.too_deep += 1;
            return Err(ErrorKind::TooDeep);
        }
        // Were this tag left as text its end would close another block: it opens one that is always or
        // never taken instead.
        let (kind, operand) = match self.value(name).unwrap_or_else(Value::Missing) {
            Value::Slot(slot) => (if negate { UNLESS } else { IF }, slot),
            Value::Missing(kind) => {
                self.note(kind, whole);
                (MARK, if negate { ALWAYS } else { NEVER })
            }
        };
        if let Some(places) = &mut self.places {
            places.open();
        }
        self.flush();
        put_op(&mut self.code, kind, operand);
        self.blocks.push(Block { has_else: false, line: self.line, tag: excerpt(whole) });
        Ok(())
    }

    fn otherwise(&mut self) -> Result<bool, ErrorKind> {
        if self.too_deep > 0 {
            return Ok(false);
        }
        let block = self.blocks.last_mut().ok_or(ErrorKind::StrayElse)?;
        if block.has_else {
            return Err(ErrorKind::SecondElse);
        }
        block.has_else = true;
        if let Some(places) = &mut self.places {
            places.otherwise();
        }
        self.flush();
        put_op(&mut self.code, MARK, ELSE);
        Ok(true)
    }

    fn end(&mut self) -> Result<bool, ErrorKind> {
        if let Some(less) = self.too_deep.checked_sub(1) {
            self.too_deep = less;
            return Ok(false);
        }
        self.blocks.pop().ok_or(ErrorKind::StrayEnd)?;
        if let Some(places) = &mut self.places {
            places.end();
        }
        self.flush();
        put_op(&mut self.code, MARK, END);
        Ok(true)
    }

    pub(super) fn finish(&mut self) {
        self.flush();
        for block in std::mem::take(&mut self.blocks) {
            put_op(&mut self.code, MARK, END);
            self.errors.push_excerpt(ErrorKind::BlockWithoutEnd, block.line, block.tag);
        }
    }

    /// What a tag's target is.
    fn find(&self, name: Name<'_>) -> Result<Target, ErrorKind> {
        let is_source = || self.sources.iter().any(|source| source.as_bytes() == name.target);
        match Target::parse(name.target) {
            Some(target) => Ok(target),
            None if is_source() && self.in_header => Err(ErrorKind::NotInHeader),
            None if is_source() => Ok(Target::Source),
            None => Err(ErrorKind::UnknownTarget),
        }
    }

    /// Finds or makes the slot of a value.
    fn value(&mut self, name: Name<'_>) -> Result<Value, ErrorKind> {
        let target = match self.find(name) {
            Ok(target) => target,
            Err(kind) => return Ok(Value::Missing(kind)),
        };
        if name.key.len() > MAX_KEY {
            return Err(ErrorKind::KeyTooLong);
        }
        let key = match target {
            Target::Source => Some(source_key(name.target, name.key)),
            _ => target.key(name.key),
        };
        let Some(key) = key else {
            return Ok(Value::Missing(ErrorKind::UnknownKey));
        };
        let number = self.slots.number(target, &key, self.slots_max);
        Ok(Value::Slot(number.ok_or(ErrorKind::TooManyValues)?))
    }

    /// Makes the waiting literals an operation.
    fn flush(&mut self) {
        let len = self.literals.len() - self.flushed;
        if len > 0 {
            put_op(&mut self.code, TEXT, len);
            self.flushed = self.literals.len();
        }
    }
}
