//! The leak guard: before a page is shared, two different visitors must have been sent the same one.
//!
//! ```text
//!   answer --> is it what is stored?  yes ----------------------------------> stored
//!                    | no
//!              is there a witness? no, or the same visitor's ---------------> it is the witness: audit_waits
//!                    | another visitor's
//!              are the two the same? yes -----------------------------------> stored, the witness goes
//!                    | no
//!                    +------------------------------------------------------> it is the witness: audit_differs
//! ```
//!
//! A witness is a page as it would be stored, with what its visitor is known by; it lies in the store under a key of its
//! own ([`WITNESS`]) and is served to nobody. What is compared is the program, not what it prints: a tag is the same for
//! two visitors, its values are not.
//!
//! Invariants
//! - The newest answer is the witness, so that a page that has changed for everybody passes with the next visitor.
//! - A page that has passed says so ([`AUDITED`]). Where pages are audited no other one is served.
//! - Of what differs a place is told and never its content.
//! - What can't be read is no witness.

mod difference;
mod ignored;
mod visitor;
mod witness;

pub use difference::{Fresh, Place, Value, difference, is_same};
pub use ignored::{Ignored, MAX_IGNORED};
pub use visitor::{MAX_IDS, MIN_ID, Visitor};
pub use witness::{MAX_HEAD, PREFIX, head_len, key, read_head, write_head};

use crate::outcome::Reason;

/// In the tag of a witness. No page has it.
pub const WITNESS: u64 = 1 << 62;

/// In the tag of a page that has passed.
pub const AUDITED: u64 = 1 << 61;

/// For so long another visitor may agree with a witness.
pub const LIFE_MS: u64 = 60 * 60 * 1000;

/// Whether what was published with this tag is a witness.
#[inline]
pub fn is_witness(tag: u64) -> bool {
    tag & WITNESS != 0
}

/// Whether a page of this tag may be served where pages are, or are not, `audited`.
#[inline]
pub fn may_be_served(tag: u64, audited: bool) -> bool {
    tag & WITNESS == 0 && (!audited || tag & AUDITED != 0)
}

/// A tag without what is said here.
#[inline]
pub fn without(tag: u64) -> u64 {
    tag & !(WITNESS | AUDITED)
}

/// What is known of the answers before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// The page that is stored has passed, and is this very one.
    Stored,
    /// The witness is this visitor's own.
    SameVisitor,
    /// Another visitor was sent the same.
    Agrees,
    /// Another visitor was sent something else.
    Differs(Place),
}

/// What becomes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored.
    Passes,
    /// It is the witness, and nothing is known of it yet.
    Waits,
    /// It is the witness, and another visitor's answer differed from it here.
    Differs(Place),
}

impl Verdict {
    /// Decides.
    pub fn of(before: Before) -> Verdict {
        match before {
            Before::Stored | Before::Agrees => Verdict::Passes,
            Before::Nothing | Before::SameVisitor => Verdict::Waits,
            Before::Differs(place) => Verdict::Differs(place),
        }
    }

    /// Why the answer is not stored; none if it is.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Verdict::Passes => None,
            Verdict::Waits => Some(Reason::AuditWaits),
            Verdict::Differs(_) => Some(Reason::AuditDiffers),
        }
    }
}
