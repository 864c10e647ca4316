//! Tests of the core: tables, properties against naive models, vectors.

mod ab;
mod arriving;
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
mod memcached;
mod outcome;
mod page;
mod policy;
mod purge;
mod ring;
mod snapshot;
mod source;
mod status;
mod store;
mod template;
mod variants;
