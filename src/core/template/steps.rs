//! A program taken apart without being run: for comparing two.

use super::filter::Step as Filtering;
use super::program::*;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// So many bytes of the literals.
    Text(usize),
    /// Anything else.
    Other {
        /// Its offset in the code.
        at: usize,
        /// As it is written.
        bytes: &'a [u8],
        /// The value that it asks for.
        slot: Option<usize>,
        /// Bytes of the literals that belong to it.
        literals: usize,
    },
}

/// The operations of a program, in their order. What can't be read is one operation up to the end.
#[derive(Clone, Debug)]
pub struct Steps<'a> {
    code: &'a [u8],
    at: usize,
}

impl<'a> Steps<'a> {
    /// From a program's beginning.
    pub fn new(code: &'a [u8]) -> Self {
        Self { code, at: 0 }
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let (at, all) = (self.at, self.code.get(self.at..).filter(|rest| !rest.is_empty())?);
        let mut rest = all;
        let Some(operation) = take(&mut rest) else {
            self.at = self.code.len();
            return Some(Step::Other { at, bytes: all, slot: None, literals: usize::MAX });
        };
        self.at = self.code.len() - rest.len();
        let bytes = all.get(..all.len() - rest.len()).unwrap_or_default();
        Some(match operation {
            Operation::Text(len) => Step::Text(len),
            Operation::Other(slot, literals) => Step::Other { at, bytes, slot, literals },
        })
    }
}

enum Operation {
    Text(usize),
    /// The slot, and bytes of the literals.
    Other(Option<usize>, usize),
}

fn take(rest: &mut &[u8]) -> Option<Operation> {
    let head = take_varint(rest)?;
    let operand = head >> KIND_BITS;
    let kind = head & ((1 << KIND_BITS) - 1);
    Some(match kind {
        TEXT => Operation::Text(operand),
        HTML | IF | UNLESS => Operation::Other(Some(operand), 0),
        HTML2 | INCLUDE => Operation::Other(Some(operand), take_varint(rest)?),
        GET => {
            let len = take_varint(rest)?;
            let (mut chain, after) = rest.split_at_checked(len)?;
            *rest = after;
            let mut literals = take_varint(rest)?;
            while !chain.is_empty() {
                if let Filtering::Default(len) = Filtering::decode(&mut chain)? {
                    literals = literals.saturating_add(len);
                }
            }
            Operation::Other(Some(operand), literals)
        }
        _ => {
            if !matches!(operand, ELSE | END | NEVER | ALWAYS) {
                take_change(operand, rest)?;
            }
            Operation::Other(None, 0)
        }
    })
}
