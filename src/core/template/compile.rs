//! Compiles pages: what the scanner finds becomes a program, slots and literals, which run while they grow.
//!
//! Invariant: a run of what is there so far prints what a run of the whole page prints up to there.

use super::build::Builder;
use super::delimiters::Delimiters;
use super::error::TagError;
use super::header::Header;
use super::origin::Origin;
use super::run::{Corrupt, Sink, State, Values, run};
use super::scan::Scanner;
use super::scout;
use super::slot::Slot;
use super::{Escape, Limits, Sources};
use std::sync::Arc;

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
    /// Whether it asks sources for values.
    pub sources: bool,
    /// Whether a value is another one each time, or the page changes something.
    pub volatile: bool,
    /// How many tags were compiled, those of header lines among them.
    pub tags: u32,
}

impl Compiler {
    /// At the beginning of a page. A guard is in the delimiters ([`Delimiters::guarded`]).
    pub fn new(delimiters: Arc<Delimiters>, escape: Escape, limits: Limits, sources: Sources) -> Self {
        Compiler {
            scanner: Scanner::new(delimiters, &limits),
            program: Builder::new(escape, limits.slots_max, sources),
            slots: Vec::new(),
            finished: false,
            drained: false,
        }
    }

    /// Compiles the value of one of the page's header lines, before the page's end: nothing is escaped there, and its
    /// values are among the page's slots.
    pub fn header(&mut self, value: &[u8]) -> Header {
        if self.finished {
            return Header { literals: value.to_vec(), ..Header::default() };
        }
        let mut scanner = self.scanner.again();
        let mut line = Builder::of_header(&mut self.program);
        scanner.feed(value, &mut line);
        scanner.finish(&mut line);
        line.finish();
        self.program.take_values(&mut line);
        let errors = line.errors.kept().to_vec();
        Header { code: line.code, literals: line.literals, tags: line.tags, errors }
    }

    /// Notes from the beginning on where the page's tags stand: [`Compiler::origin`].
    pub fn note_origin(&mut self) {
        self.program.origin = Some(Origin::default());
    }

    /// Where the tags of the page so far stand, if that is noted and nothing was discarded.
    pub fn origin(&self) -> Option<&Origin> {
        self.program.origin.as_ref()
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
            sources: self.program.slots.asks_sources(),
            volatile: self.program.changes || self.program.slots.volatile(),
            tags: self.program.tags,
        })
    }

    /// Whether the page so far asks for anything that differs between visitors, or changes anything: a copy in another
    /// cache would not count its views.
    pub fn personal(&self) -> bool {
        self.program.slots.personal() || self.program.changes
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
        program.origin = None;
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
