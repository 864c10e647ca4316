//! Tests of the core: tables, properties against naive models, vectors.

mod ab;
mod arriving;
mod board;
mod canonical;
mod cookies;
mod elements;
mod geo;
mod health;
mod hosts;
mod include;
mod journal;
mod key;
mod language;
mod languages;
<<<<<<< HEAD
mod memcached;
=======
mod local;
>>>>>>> zone
mod outcome;
mod page;
mod policy;
mod purge;
<<<<<<< HEAD
mod ring;
=======
mod shares;
>>>>>>> zone
mod snapshot;
mod source;
mod status;
mod store;
mod template;
mod variants;
