//! Tests of the core: tables, properties against naive models, vectors.

mod ab;
mod board;
mod canonical;
mod cookies;
mod elements;
mod geo;
mod hosts;
mod include;
mod journal;
mod key;
mod language;
mod languages;
mod local;
mod outcome;
mod page;
mod policy;
mod purge;
mod shares;
mod snapshot;
mod status;
mod store;
mod template;
mod variants;
