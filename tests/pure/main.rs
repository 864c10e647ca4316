//! Tests of the core: tables, properties against naive models, vectors.

mod ab;
mod cookies;
mod geo;
mod hosts;
mod key;
mod language;
mod languages;
mod outcome;
mod page;
mod policy;
mod snapshot;
mod store;
mod template;
