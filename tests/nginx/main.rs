//! Stories on a real nginx. `scripts/test` runs them on each nginx version; `scripts/test NAME` only those whose
//! name holds NAME.

mod ab;
mod broken_origins;
mod collapse;
mod conf;
mod delivery;
mod escaping;
mod fixture_self;
mod geo;
mod handlers;
mod hit;
mod include;
mod keys;
mod languages;
mod memcached;
mod placement;
mod purge;
mod reload;
mod seams;
mod sessions;
mod snapshot;
mod source_figures;
mod sources;
mod stale;
mod status;
mod steering;
mod subtleties;
mod tags;
mod torture;
mod variants;
mod via;
mod zone;
