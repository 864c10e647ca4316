//! Tests of the core's policy: tables, one case a row.

mod control;
mod decide;
mod fates;
mod guard;
mod names;
mod stale;
mod valid;
mod varies;
