//! Stories on a real nginx. `scripts/test` runs them on each nginx version; `scripts/test NAME` only those whose
//! name holds NAME.

mod fixture_self;
mod hit;
