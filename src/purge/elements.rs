//! Purges of remembered values: the kinds of `X-Mark-Dirty` that are sources.

use twice_core::source::key::{Unnamed, unquote};

use crate::conf;
use crate::shm::Zone;
use crate::source::{self, Kind, Source, keys};
use crate::sys::Request;

/// What the original keeps of a visitor besides his session.
const OF_A_SESSION: [&str; 4] = ["session", "favorite", "subscription", "unread"];

/// Why nothing is purged.
pub enum Refused<'a> {
    /// No source has this name.
    Unknown,
    /// The path does not tell which value of the source is meant.
    Unnamed(&'a str, Unnamed),
    /// Memory ran out.
    NoMemory,
}

/// Forgets the values that a path names, without its leading slash. `session` stands for all that is kept of a visitor by
/// his session. What is being fetched of them will not be remembered. Gives what was named; after an error nothing is purged.
pub fn forget<'a>(
    request: Request<'a>,
    zone: &Zone,
    kind: &[u8],
    path: &[u8],
) -> Result<Vec<u8>, Refused<'a>> {
    let main = conf::main_of_request(request);
    let names: Vec<&[u8]> = match kind {
        b"session" => OF_A_SESSION.iter().map(|name| name.as_bytes()).collect(),
        kind => vec![kind],
    };
    let sources: Vec<&Source> = names.into_iter().filter_map(|name| source::by_name(main, name)).collect();
    if sources.is_empty() {
        return Err(Refused::Unknown);
    }
    let path: Vec<u8> = unquote(path).collect();
    let mut ids = Vec::new();
    for source in sources {
        let id =
            keys::id_of_path(request, source, &path).map_err(|why| Refused::Unnamed(&source.name, why))?;
        // What is in the zone itself is never remembered, and always as it is.
        if !matches!(source.kind, Kind::Local) {
            ids.push(id.ok_or(Refused::NoMemory)?);
        }
    }
    for id in ids {
        zone.forget_element(zone.element_hash(id), id);
    }
    Ok(path)
}
