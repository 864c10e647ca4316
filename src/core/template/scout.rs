//! Which fragments a page will print: its program run ahead, without printing.
//!
//! A fragment in a branch that is not taken is not asked for. What the branches depend on does not change once it is there,
//! so that the run that prints goes the same way; in front of a value that is still on its way the scout stops as that does.

use super::include::MAX_INCLUDES;
use super::run::{Corrupt, Sink, State, Values, run};
use std::cell::RefCell;

/// Prints nothing.
pub(super) struct Mute;

impl Sink for Mute {
    fn literal(&mut self, _offset: usize, _len: usize) {}
    fn write(&mut self, _bytes: &[u8]) {}
}

struct Scout<'v, V> {
    values: &'v V,
    needed: RefCell<Vec<usize>>,
}

impl<V: Values> Values for Scout<'_, V> {
    fn value(&self, slot: usize) -> Option<&[u8]> {
        self.values.value(slot)
    }

    fn fragment(&self, slot: usize) -> Option<&[u8]> {
        let mut needed = self.needed.borrow_mut();
        // A damaged program may name any slots.
        if needed.len() < MAX_INCLUDES && !needed.contains(&slot) {
            needed.push(slot);
        }
        None
    }

    fn awaits_value(&self, slot: usize) -> bool {
        self.values.awaits_value(slot)
    }
}

/// The slots of the fragments that `run` with the same arguments would print, in order and each once: up to the first value
/// that is still on its way.
pub fn needed<V: Values>(
    code: &[u8],
    literals: usize,
    state: &mut State,
    values: &V,
) -> Result<Vec<usize>, Corrupt> {
    let scout = Scout { values, needed: RefCell::default() };
    run(code, literals, state, &scout, &mut Mute)?;
    Ok(scout.needed.into_inner())
}
