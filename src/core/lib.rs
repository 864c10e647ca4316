//! What Twice decides, without nginx.
//!
//! Goals: every decision of the cache (what a tag means, whether a response may be stored and for
//! how long, where a page lies in shared memory) is here, takes the time as an argument, and can be
//! tested, fuzzed and run under Miri with plain cargo.
//!
//! Non-goals: sockets, clocks, logging, HTTP parsing. The border (`src/*.rs` of the module) does
//! these through nginx.

pub mod ab;
pub mod audit;
pub mod board;
pub mod canonical;
pub mod clock;
pub mod conditional;
pub mod cookies;
pub mod elements;
pub mod fingerprint;
pub mod geo;
pub mod health;
pub mod include;
pub mod journal;
pub mod key;
pub mod language;
pub mod local;
pub mod marks;
pub mod memcached;
pub mod names;
pub mod nonce;
pub mod outcome;
pub mod page;
pub mod policy;
pub mod purge;
pub mod recipe;
pub mod reference;
pub mod renewal;
pub mod ring;
pub mod shares;
pub mod snapshot;
pub mod source;
pub mod status;
pub mod store;
pub mod template;
pub mod variants;
pub mod varint;
