//! Tests of the core: tables, properties against naive models, vectors.

mod policy;
mod store;
mod template;
