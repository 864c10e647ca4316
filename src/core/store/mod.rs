//! The cache of pages over a region of shared memory.
//!
//! Several processes map one region and use it under one lock; any of them may be killed at any instant.
//! Pages are found by key, kept as long as they are of use, and read in place.
//!
//! Goals
//! - A hit takes no lock, and writes nothing but the reader's own line; a page's first uses leave a mark on it.
//! - Every byte of the arena is of use: a page is made of whatever runs of units are free.
//! - A process killed anywhere costs no page but the ones it was changing. The unit map tells which pages
//!   there are; all else is rebuilt from it.
//! - The lock is never held while a value is copied.
//!
//! Non-goals: what a page means, whether it is fresh, who may see it; clocks, logging, waiting.
//!
//! ```text
//! layout   where everything lies      region   bounded access, and all `unsafe`
//! arena    free runs of units         entry    a page over its runs
//! index    key -> page                find     a hit without the lock
//! list     queues, pending, zombies   queue    which page goes next
//! pins     who reads what             hold     reading without the lock
//! section  what the lock allows       fill     writing without the lock
//! evict    how pages end              recover  after a death        check   is all as it should be
//! transfer out to a file, and back        word     pages that are counters
//! ```
//!
//! The soundness of the slices that holds lend rests on this folder alone: every module but `region`
//! is free of `unsafe`, and none writes a page's bytes except through a reservation.

#[deny(unsafe_code)]
mod arena;
#[deny(unsafe_code)]
mod check;
#[deny(unsafe_code)]
mod entry;
#[deny(unsafe_code)]
mod evict;
#[cfg(debug_assertions)]
#[deny(unsafe_code)]
pub mod fault;
#[deny(unsafe_code)]
mod fill;
#[deny(unsafe_code)]
mod find;
#[deny(unsafe_code)]
mod handle;
#[deny(unsafe_code)]
mod hold;
#[deny(unsafe_code)]
mod index;
#[deny(unsafe_code)]
mod layout;
#[deny(unsafe_code)]
mod list;
#[deny(unsafe_code)]
mod pins;
#[deny(unsafe_code)]
mod queue;
#[deny(unsafe_code)]
mod recover;
mod region;
#[deny(unsafe_code)]
mod section;
#[deny(unsafe_code)]
mod stats;
#[deny(unsafe_code)]
mod transfer;
#[deny(unsafe_code)]
mod word;

pub use check::{Account, Damage, Flaw};
pub use entry::{Entry, Found, Meta};
pub use fill::{Reservation, ReserveError, WriteError};
pub use find::{Hit, Looked};
pub use handle::{AttachError, Options, Store};
pub use hold::{Held, Page, Pin, Segments};
pub use layout::{Geometry, TooSmall, UNIT};
pub use queue::Policy;
pub use region::{ALIGN, DeadSlot, RawLock, RawPin, Region, Slot};
pub use section::Section;
pub use stats::Stats;
pub use transfer::Listed;
