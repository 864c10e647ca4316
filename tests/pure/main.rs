//! Tests of the core: tables, properties against naive models, vectors.

mod board;
mod cookies;
mod journal;
mod key;
mod language;
mod outcome;
mod page;
mod policy;
mod purge;
mod snapshot;
mod status;
mod store;
mod template;
mod variants;
