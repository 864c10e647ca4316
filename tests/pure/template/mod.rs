//! Tests of the core's templates: tables for the language, properties against a naive model and a
//! regular expression, hostile values, limits.

mod cuts;
mod delimiters;
mod errors;
mod filters;
mod garbage;
mod guard;
mod header;
mod include;
mod language;
mod limits;
mod naive;
mod places;
mod rig;
mod sources;
