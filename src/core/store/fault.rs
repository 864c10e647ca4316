//! Death on order, in debug builds only: runs a function at the nth write into shared memory.
//!
//! A test gives a function that panics (the section unwinds, the lock is given back, the memory stays half
//! changed) or one that kills the process, and then shows that the next section repairs the store.

use std::cell::Cell;

type Order = (u64, fn());

thread_local! {
    static ARMED: Cell<Option<Order>> = const { Cell::new(None) };
}

/// Lets this thread do `writes` more writes into regions; `act` runs instead of the next one.
pub fn arm(writes: u64, act: fn()) {
    ARMED.set(Some((writes, act)));
}

/// Takes back what `arm` ordered. True if it had not happened yet.
pub fn disarm() -> bool {
    ARMED.take().is_some()
}

/// Called before each write, and before each step of a search without the lock.
#[inline]
pub(super) fn point() {
    match ARMED.get() {
        None => {}
        Some((0, act)) => {
            // Once only: what unwinds from here may write as well.
            ARMED.set(None);
            act();
        }
        Some((left, act)) => ARMED.set(Some((left - 1, act))),
    }
}
