//! Runs a program: the hit path.
//!
//! ```text
//!   code      [TEXT 12][HTML 0][TEXT 3][IF 1][TEXT 9][MARK end] ...
//!                 |        |       |             |
//!   literals  [ 12 bytes  ][ 3 bytes  ][ 9 bytes  ] ...        used up from first to last
//! ```
//!
//! Invariants: the plain cases (text, a value with `html`, blocks) allocate nothing; what a run prints of
//! values is at most [`Limits::output_max`]; any bytes may stand where a program should, they give
//! [`Corrupt`] or print parts of the literals, in time proportional to their number.
//!
//! In a false branch only the place in the literals moves. That needs no stack: `depth` counts the open
//! blocks and `skip` is the depth of the one whose branch isn't taken, 0 if all are.

use super::Limits;
use super::escape;
use super::filter::{Filter, MAX_GROWTH, Step};
use super::program::*;
use crate::source::Change;
use std::fmt;
use std::mem;

/// In a chain of filters a value may grow to so many times [`Limits::value_max`]: a row of filters that each
/// double it is a mistake, or worse.
const MAX_VALUE_GROWTH: usize = 8;

/// Where the values of one visitor come from.
pub trait Values {
    /// The value of a slot; `None` or empty: it is missing. May be asked for a number that the page has no
    /// slot for, if the program was damaged: then it is missing, too.
    fn value(&self, slot: usize) -> Option<&[u8]>;

    /// The fragment of a slot, empty if it came so; `None`: there is none.
    fn fragment(&self, _slot: usize) -> Option<&[u8]> {
        None
    }

    /// Whether the value of a slot is still on its way: the run stops in front of it.
    fn awaits_value(&self, _slot: usize) -> bool {
        false
    }

    /// The same of the fragment of a slot.
    fn awaits_fragment(&self, _slot: usize) -> bool {
        false
    }
}

/// Where the page goes.
pub trait Sink {
    /// A run of the page's literals. Offset and length lie within the number of literals that the run was
    /// given.
    fn literal(&mut self, offset: usize, len: usize);
    /// Bytes of a value, ready for the page.
    fn write(&mut self, bytes: &[u8]);
    /// Bytes of a fragment, ready for the page. They lie where [`Values::fragment`] said.
    fn fragment(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }
    /// The page changes something at a source, under this key as its tag has it.
    fn change(&mut self, _source: &[u8], _key: &[u8], _change: Change) {}
}

/// The program is none that the compiler wrote: what was printed may be wrong, more must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("corrupt program")
    }
}

impl std::error::Error for Corrupt {}

/// How far a run has come. One for each time that a page is sent.
#[derive(Debug)]
pub struct State {
    /// Next operation.
    pub(super) code: usize,
    /// Next byte of the literals.
    pub(super) literal: usize,
    /// So much of the next operation, which will be a text, was printed before it was compiled.
    pub(super) ahead: usize,
    depth: usize,
    pub(super) skip: usize,
    /// Bytes that values may yet print.
    left: usize,
    /// Bytes that fragments may yet print.
    fragments_left: usize,
    /// Changes that it may yet make.
    changes_left: usize,
    value_max: usize,
    truncated: bool,
    scratch: [Vec<u8>; 2],
}

impl State {
    /// At the beginning of a page.
    pub fn new(limits: &Limits) -> Self {
        State {
            code: 0,
            literal: 0,
            ahead: 0,
            depth: 0,
            skip: 0,
            left: limits.output_max,
            fragments_left: limits.fragments_max,
            changes_left: limits.changes_max,
            value_max: limits.value_max,
            truncated: false,
            scratch: [Vec::new(), Vec::new()],
        }
    }

    /// Back at the beginning of a page, for another run: what was allocated for filters is kept, up to a
    /// bound, so that a process that renders one page after another allocates nothing.
    pub fn restart(&mut self, limits: &Limits) {
        let mut scratch = mem::take(&mut self.scratch);
        for buffer in &mut scratch {
            buffer.clear();
            buffer.shrink_to(limits.value_max);
        }
        *self = State { scratch, ..State::new(limits) };
    }

    /// One that goes on from the same place by itself.
    pub fn fork(&self) -> Self {
        State { scratch: [Vec::new(), Vec::new()], ..*self }
    }

    /// Whether values were left out because the page printed [`Limits::output_max`] bytes of them, fragments because of
    /// [`Limits::fragments_max`], or changes because of [`Limits::changes_max`].
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// A fragment that is there and fits.
    fn fragment<'v>(&mut self, values: &'v impl Values, slot: usize) -> Option<&'v [u8]> {
        let fragment = values.fragment(slot)?;
        match self.fragments_left.checked_sub(fragment.len()) {
            Some(left) => {
                self.fragments_left = left;
                Some(fragment)
            }
            None => {
                self.truncated = true;
                None
            }
        }
    }

    /// From here on values print nothing.
    fn truncate(&mut self) {
        self.truncated = true;
        self.left = 0;
    }

    /// Uses up `len` literals, printed or not.
    #[inline(always)]
    fn text(
        &mut self,
        len: usize,
        print: bool,
        literals: usize,
        sink: &mut impl Sink,
    ) -> Result<(), Corrupt> {
        let offset = self.literal;
        let end = offset.checked_add(len).filter(|&end| end <= literals).ok_or(Corrupt)?;
        self.literal = end;
        if print && len != 0 {
            sink.literal(offset, len);
        }
        Ok(())
    }

    /// A value that is there.
    #[inline(always)]
    fn value<'v>(&self, values: &'v impl Values, slot: usize) -> Option<&'v [u8]> {
        values.value(slot).filter(|value| !value.is_empty() && value.len() <= self.value_max)
    }

    #[inline(always)]
    fn html(&mut self, value: &[u8], sink: &mut impl Sink) {
        if value.len().saturating_mul(MAX_GROWTH) > self.left && !self.html_fits(value) {
            return self.truncate();
        }
        let mut written = 0;
        escape::html(value, |bytes| {
            written += bytes.len();
            sink.write(bytes);
        });
        self.left -= written;
    }

    /// Near the limit the exact length decides.
    #[cold]
    fn html_fits(&self, value: &[u8]) -> bool {
        let mut len = 0;
        escape::html(value, |bytes| len += bytes.len());
        len <= self.left
    }

    #[inline(always)]
    fn open(&mut self, taken: bool) {
        self.depth = self.depth.saturating_add(1);
        if self.skip == 0 && !taken {
            self.skip = self.depth;
        }
    }

    /// `rest`: what stands behind it.
    fn mark(&mut self, what: usize, rest: &mut &[u8], sink: &mut impl Sink) -> Result<(), Corrupt> {
        match what {
            // The branch before it ran, or was left out itself; anything else is an outer block's.
            ELSE if self.skip == 0 => self.skip = self.depth,
            ELSE if self.skip == self.depth => self.skip = 0,
            ELSE => (),
            END => {
                if self.skip == self.depth {
                    self.skip = 0;
                }
                self.depth = self.depth.saturating_sub(1);
            }
            NEVER => self.open(false),
            ALWAYS => self.open(true),
            _ => {
                let changed = take_change(what, rest).ok_or(Corrupt)?;
                if self.skip == 0 {
                    self.change(&changed, sink);
                }
            }
        }
        Ok(())
    }

    fn change(&mut self, changed: &Changed<'_>, sink: &mut impl Sink) {
        match self.changes_left.checked_sub(1) {
            Some(left) => {
                self.changes_left = left;
                sink.change(changed.source, changed.key, changed.change);
            }
            None => self.truncated = true,
        }
    }

    /// A value through a chain of filters, and the literals that stand in for it.
    fn chain<S: Sink>(
        &mut self,
        value: Option<&[u8]>,
        chain: &[u8],
        missing: usize,
        literals: usize,
        sink: &mut S,
    ) -> Result<(), Corrupt> {
        let print = self.skip == 0;
        self.text(missing, print && value.is_none(), literals, sink)?;
        let Some(value) = value else {
            // The literals of `default` steps are passed all the same.
            return self.rest_of_chain(chain, literals, sink);
        };
        let mut chain = chain;
        let [mut text, mut next] = mem::take(&mut self.scratch);
        // The value itself is not copied: a short cut of a long value is cheap.
        let mut filtered = false;
        let most = self.left.min(self.value_max.saturating_mul(MAX_VALUE_GROWTH));
        while !chain.is_empty() {
            let input = if filtered { text.as_slice() } else { value };
            match Step::decode(&mut chain).ok_or(Corrupt)? {
                Step::Map(_) if filtered && input.len() > most => break,
                // The last filter of nearly every chain: written without being put together first.
                Step::Map(Filter::Html) if chain.is_empty() => {
                    // An earlier step may have left nothing.
                    if !input.is_empty() {
                        self.html(input, sink);
                    }
                    self.scratch = [text, next];
                    return Ok(());
                }
                Step::Map(filter) => {
                    next.clear();
                    filter.apply(input, &mut next);
                    mem::swap(&mut text, &mut next);
                    filtered = true;
                }
                Step::Default(len) => {
                    let empty = input.is_empty();
                    self.text(len, empty, literals, sink)?;
                    if empty {
                        // The literal has been through the rest of the chain already.
                        break;
                    }
                }
            }
        }
        let output = if filtered { text.as_slice() } else { value };
        if output.len() > most {
            self.truncate();
        } else if !output.is_empty() {
            sink.write(output);
            self.left -= output.len();
        }
        self.scratch = [text, next];
        self.rest_of_chain(chain, literals, sink)
    }

    fn rest_of_chain<S: Sink>(
        &mut self,
        mut chain: &[u8],
        literals: usize,
        sink: &mut S,
    ) -> Result<(), Corrupt> {
        while !chain.is_empty() {
            if let Step::Default(len) = Step::decode(&mut chain).ok_or(Corrupt)? {
                self.text(len, false, literals, sink)?;
            }
        }
        Ok(())
    }
}

/// Runs `code` from where `state` stands to its end, or to a value or a fragment that is still on its way. There are
/// `literals` bytes of page text. Run again with the same state when more of the program, or of what it prints, is there.
/// After an error every further run is one.
pub fn run<V: Values, S: Sink>(
    code: &[u8],
    literals: usize,
    state: &mut State,
    values: &V,
    sink: &mut S,
) -> Result<(), Corrupt> {
    let result = execute(code, literals, state, values, sink);
    state.code = result.map_or(usize::MAX, |left| code.len().saturating_sub(left));
    result.map(|_| ())
}

/// Gives how many bytes of the program are left.
#[inline(always)]
fn execute<V: Values, S: Sink>(
    code: &[u8],
    literals: usize,
    state: &mut State,
    values: &V,
    sink: &mut S,
) -> Result<usize, Corrupt> {
    let mut rest = code.get(state.code..).ok_or(Corrupt)?;
    if state.ahead > 0 && !rest.is_empty() {
        let head = take_varint(&mut rest).ok_or(Corrupt)?;
        let len =
            (head >> KIND_BITS).checked_sub(state.ahead).filter(|_| head & KINDS == TEXT).ok_or(Corrupt)?;
        state.ahead = 0;
        state.text(len, state.skip == 0, literals, sink)?;
    }
    while !rest.is_empty() {
        let left = rest.len();
        let head = take_varint(&mut rest).ok_or(Corrupt)?;
        let operand = head >> KIND_BITS;
        let print = state.skip == 0;
        match head & KINDS {
            TEXT => state.text(operand, print, literals, sink)?,
            HTML | HTML2 | GET | IF | UNLESS if print && values.awaits_value(operand) => return Ok(left),
            HTML => {
                if print && let Some(value) = state.value(values, operand) {
                    state.html(value, sink);
                }
            }
            HTML2 => {
                let missing = take_varint(&mut rest).ok_or(Corrupt)?;
                let value = if print { state.value(values, operand) } else { None };
                state.text(missing, print && value.is_none(), literals, sink)?;
                if let Some(value) = value {
                    state.html(value, sink);
                }
            }
            GET => {
                let len = take_varint(&mut rest).ok_or(Corrupt)?;
                let (chain, after) = rest.split_at_checked(len).ok_or(Corrupt)?;
                rest = after;
                let missing = take_varint(&mut rest).ok_or(Corrupt)?;
                let value = if print { state.value(values, operand) } else { None };
                state.chain(value, chain, missing, literals, sink)?;
            }
            IF => state.open(print && state.value(values, operand).is_some_and(|value| value != b"0")),
            UNLESS => state.open(print && state.value(values, operand).is_none_or(|value| value == b"0")),
            MARK => state.mark(operand, &mut rest, sink)?,
            INCLUDE if print && values.awaits_fragment(operand) => return Ok(left),
            INCLUDE => {
                let missing = take_varint(&mut rest).ok_or(Corrupt)?;
                let fragment = if print { state.fragment(values, operand) } else { None };
                state.text(missing, print && fragment.is_none(), literals, sink)?;
                if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
                    sink.fragment(fragment);
                }
            }
            _ => return Err(Corrupt),
        }
    }
    Ok(0)
}

/// The bits of an operation's kind.
const KINDS: usize = (1 << KIND_BITS) - 1;
