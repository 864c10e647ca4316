//! Compiles pages: what the scanner finds becomes a program, slots and literals.
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

use super::delimiters::Delimiters;
use super::error::{ErrorKind, Errors, TagError, excerpt};
use super::filter::{Filter, Step, author};
use super::include::{self, MAX_INCLUDES};
use super::parse::{self, Command, Filters, MAX_KEY, Name, Tag};
use super::program::*;
use super::run::{Corrupt, Sink, State, Values, run};
use super::scan::{Found, Scanner};
use super::scout;
use super::slot::{Slot, SlotTable, Target};
use super::{Escape, Limits};
use std::sync::Arc;

/// Deepest nesting of blocks.
const MAX_DEPTH: usize = 16;

/// What the texts of a tag may be together after their filters, as a multiple of the tag's length. One
/// filter makes six bytes of one at most; only rows of filters that escape each other's output get here.
const MAX_TEXT_GROWTH: usize = 8;

/// Turns the pieces of a page into a program. Also runs it while it grows, for an answer that streams by.
///
/// An answer that is not (or no longer) to be stored: after each [`Compiler::feed`] call
/// [`Compiler::run`], use the literals, then [`Compiler::drain`].
#[derive(Debug)]
pub struct Compiler {
    scanner: Scanner,
    program: Builder,
    slots: Vec<u8>,
    finished: bool,
    drained: bool,
}

/// What is stored of a page.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// What values the page asks for, to be read by [`Slots`](super::Slots).
    pub slots: &'a [u8],
    /// The program for [`run()`](super::run()).
    pub code: &'a [u8],
    /// The page's own text.
    pub literals: &'a [u8],
    /// Whether it asks for anything that differs between visitors.
    pub personal: bool,
    /// Whether it includes fragments.
    pub includes: bool,
    /// How many tags were compiled.
    pub tags: u32,
}

impl Compiler {
    /// At the beginning of a page.
    pub fn new(delimiters: Arc<Delimiters>, escape: Escape, limits: Limits) -> Self {
        Compiler {
            scanner: Scanner::new(delimiters, &limits),
            program: Builder {
                escape,
                slots_max: limits.slots_max,
                code: Vec::new(),
                literals: Vec::new(),
                flushed: 0,
                slots: SlotTable::default(),
                blocks: Vec::new(),
                too_deep: 0,
                line: 1,
                tags: 0,
                errors: Errors::default(),
            },
            slots: Vec::new(),
            finished: false,
            drained: false,
        }
    }

    /// Takes the next piece of the page. After [`Compiler::finish`] it does nothing.
    pub fn feed(&mut self, piece: &[u8]) {
        if !self.finished {
            self.scanner.feed(piece, &mut self.program);
        }
    }

    /// Takes the page's end.
    pub fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            self.scanner.finish(&mut self.program);
            self.program.finish();
            self.slots = self.program.slots.encode();
        }
    }

    /// What is stored. `None` before the end, and when parts of the program were discarded.
    pub fn parts(&self) -> Option<Parts<'_>> {
        if !self.finished || self.drained {
            return None;
        }
        Some(Parts {
            slots: &self.slots,
            code: &self.program.code,
            literals: &self.program.literals,
            personal: self.personal(),
            includes: self.includes() > 0,
            tags: self.program.tags,
        })
    }

    /// Whether the page so far asks for anything that differs between visitors.
    pub fn personal(&self) -> bool {
        self.program.slots.personal()
    }

    /// How many different fragments the page so far includes.
    pub fn includes(&self) -> usize {
        self.program.slots.includes()
    }

    /// How many tags were compiled so far.
    pub fn tags(&self) -> u32 {
        self.program.tags
    }

    /// The slots so far, in the order of their numbers. They stay when the program is drained.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = Slot<'_>> {
        self.program.slots.iter()
    }

    /// The first [`MAX_ERRORS`](super::MAX_ERRORS) errors.
    pub fn errors(&self) -> &[TagError] {
        self.program.errors.kept()
    }

    /// How many errors there are in all.
    pub fn error_count(&self) -> u64 {
        self.program.errors.count()
    }

    /// About how many bytes storing the page takes so far: code, literals and slots.
    pub fn size(&self) -> usize {
        self.program.code.len() + self.program.literals.len() + self.program.slots.size()
    }

    /// Memory that waits for more of the page before it can be said what it is.
    pub fn held(&self) -> usize {
        self.scanner.held()
    }

    /// The literals that [`Sink::literal`] speaks of.
    pub fn literals(&self) -> &[u8] {
        &self.program.literals
    }

    /// Runs what is there so far from where `state` stands. Text is printed at once, even while it waits
    /// for its neighbours.
    pub fn run<V: Values, S: Sink>(
        &self,
        state: &mut State,
        values: &V,
        sink: &mut S,
    ) -> Result<(), Corrupt> {
        let program = &self.program;
        run(&program.code, program.literals.len(), state, values, sink)?;
        self.run_waiting(state, sink);
        Ok(())
    }

    /// As [`Compiler::run`], but nothing is printed: gives the slots of the fragments that would be, in order and each
    /// once. `state` is one that has come no further than the one that prints ([`State::fork`]).
    pub fn needed<V: Values>(&self, state: &mut State, values: &V) -> Result<Vec<usize>, Corrupt> {
        let program = &self.program;
        let needed = scout::needed(&program.code, program.literals.len(), state, values)?;
        self.run_waiting(state, &mut scout::Mute);
        Ok(needed)
    }

    /// Whether a run has stopped before the end of what is there.
    pub fn is_behind(&self, state: &State) -> bool {
        state.code < self.program.code.len()
    }

    /// Prints the text that waits for its neighbours, if the run has come so far.
    fn run_waiting<S: Sink>(&self, state: &mut State, sink: &mut S) {
        let program = &self.program;
        if self.is_behind(state) {
            return;
        }
        let waiting = program.literals.len().saturating_sub(state.literal);
        if waiting > 0 {
            if state.skip == 0 {
                sink.literal(state.literal, waiting);
            }
            state.literal += waiting;
            state.ahead += waiting;
        }
    }

    /// Discards what `state` has run, so that a page that streams by takes no memory that grows with it.
    /// From now on there is nothing to be stored, and `state` is the only one that can go on.
    pub fn drain(&mut self, state: &mut State) {
        let program = &mut self.program;
        program.code.drain(..state.code.min(program.code.len()));
        program.literals.drain(..state.literal.min(program.literals.len()));
        program.flushed = program.flushed.saturating_sub(state.literal);
        // A broken run stays where it is.
        state.code = if state.code == usize::MAX { usize::MAX } else { 0 };
        state.literal = 0;
        state.ahead = 0;
        self.drained = true;
    }
}

/// The page so far.
#[derive(Debug)]
struct Builder {
    escape: Escape,
    slots_max: usize,
    code: Vec<u8>,
    literals: Vec<u8>,
    /// The literals before this belong to operations in `code`.
    flushed: usize,
    slots: SlotTable,
    blocks: Vec<Block>,
    /// Blocks opened beyond [`MAX_DEPTH`] and left as text: as many ends are text, too.
    too_deep: u64,
    /// Line of the next byte.
    line: usize,
    tags: u32,
    errors: Errors,
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
        self.literals.extend_from_slice(text);
        self.line += memchr::memchr_iter(b'\n', text).count();
    }

    fn tag(&mut self, whole: &[u8], inside: &[u8]) {
        match parse::parse(inside).and_then(|tag| self.compile(tag, whole)) {
            Ok(false) => self.text(whole),
            Ok(true) => {
                self.tags = self.tags.saturating_add(1);
                self.line += memchr::memchr_iter(b'\n', whole).count();
            }
            Err(kind) => {
                self.wrong(kind, whole);
                self.text(whole);
            }
        }
    }

    fn wrong(&mut self, kind: ErrorKind, text: &[u8]) {
        self.errors.push(kind, self.line, text);
    }
}

impl Builder {
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
            Command::Pop { name, default } => {
                let text = author(default, &filters.steps, whole.len() * MAX_TEXT_GROWTH)?;
                self.note(not_a_source(name), whole);
                self.literals.extend_from_slice(&text);
            }
            Command::Include { uri } => self.include(uri, &filters, whole),
            Command::Count { name } => self.note(not_a_source(name), whole),
        }
        for kind in filters.wrong {
            self.note(kind, whole);
        }
        Ok(true)
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
        let mut missing = author(default, &filters.steps, room)?;
        room -= missing.len();
        // What a value goes through; behind `missing`, the texts of its `default` steps.
        let mut chain = Vec::new();
        let mut texts = Vec::new();
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
                    texts.extend_from_slice(&text);
                }
            }
        }
        if self.escape == Escape::Html && !filters.escaped {
            Step::Map(Filter::Html).encode(&mut chain);
        }
        let slot = match self.value(name)? {
            Value::Slot(slot) => slot,
            Value::Missing(kind) => {
                self.note(kind, whole);
                self.literals.append(&mut missing);
                return Ok(());
            }
        };
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

    /// A fragment is markup of its own: nothing is done to it, and its default stands as it was written.
    fn include(&mut self, uri: &[u8], filters: &Filters<'_>, whole: &[u8]) {
        if filters.steps.iter().any(|step| matches!(step, Step::Map(_))) {
            self.note(ErrorKind::FilteredInclude, whole);
        }
        let default = filters.steps.iter().find_map(|step| match step {
            Step::Default(text) => Some(*text),
            Step::Map(_) => None,
        });
        let default = default.unwrap_or_default();
        match include::check(uri).and_then(|()| self.fragment(uri)) {
            Ok(slot) => {
                self.flush();
                put_op(&mut self.code, INCLUDE, slot);
                put_varint(&mut self.code, default.len());
                self.literals.extend_from_slice(default);
                self.flushed = self.literals.len();
            }
            Err(kind) => {
                self.note(kind, whole);
                self.literals.extend_from_slice(default);
            }
        }
    }

    /// Finds or makes the slot of a fragment.
    fn fragment(&mut self, uri: &[u8]) -> Result<usize, ErrorKind> {
        let slots = &mut self.slots;
        slots.number(Target::Include, uri, self.slots_max).ok_or(if slots.includes() < MAX_INCLUDES {
            ErrorKind::TooManyValues
        } else {
            ErrorKind::TooManyIncludes
        })
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
                self.literals.extend_from_slice(if negate { &then } else { &otherwise });
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
        self.flush();
        put_op(&mut self.code, MARK, END);
        Ok(true)
    }

    fn finish(&mut self) {
        self.flush();
        for block in std::mem::take(&mut self.blocks) {
            put_op(&mut self.code, MARK, END);
            self.errors.push_excerpt(ErrorKind::BlockWithoutEnd, block.line, block.tag);
        }
    }

    /// Finds or makes the slot of a value.
    fn value(&mut self, name: Name<'_>) -> Result<Value, ErrorKind> {
        let Some(target) = Target::parse(name.target) else {
            return Ok(Value::Missing(ErrorKind::UnknownTarget));
        };
        if name.key.len() > MAX_KEY {
            return Err(ErrorKind::KeyTooLong);
        }
        let Some(key) = target.key(name.key) else {
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

/// `incr`, `decr` and `pop` change something at a source, and no built-in target is one.
fn not_a_source(name: Name<'_>) -> ErrorKind {
    match Target::parse(name.target) {
        Some(_) => ErrorKind::NotASource,
        None => ErrorKind::UnknownTarget,
    }
}
