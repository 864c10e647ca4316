//! Tests of the core: tables, properties against naive models, vectors.

mod board;
mod cookies;
mod key;
mod language;
mod outcome;
mod page;
mod policy;
mod snapshot;
mod store;
mod template;
