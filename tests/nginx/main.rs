//! Stories on a real nginx. `scripts/test` runs them on each nginx version; `scripts/test NAME` only those whose
//! name holds NAME.

mod broken_origins;
mod conf;
mod delivery;
mod fixture_self;
mod handlers;
mod hit;
mod keys;
mod reload;
mod snapshot;
mod stale;
mod steering;
mod subtleties;
mod tags;
mod torture;
mod zone;
