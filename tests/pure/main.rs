//! Tests of the core: tables, properties against naive models, vectors.

mod ab;
mod board;
mod canonical;
mod cookies;
mod geo;
mod health;
mod hosts;
mod include;
mod journal;
mod key;
mod language;
mod languages;
mod outcome;
mod page;
mod policy;
mod purge;
mod ring;
mod snapshot;
mod status;
mod store;
mod template;
mod variants;
