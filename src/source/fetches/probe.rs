//! Probes of services: fetches that no page waits for.

use twice_core::elements::Claim;
use twice_core::health;
use twice_core::source::{Answer, Failure};

use super::table::State;
use super::{OVERTAKE_MS, TABLE, answered};
use crate::shm::{self, Zone};
use crate::source::Source;
use crate::source::http::Service;
use crate::sys::Request;

/// Asks a service that has rested, in the way of a request whose page wanted this of it. If it answers, its answer is
/// remembered.
pub fn begin(
    request: Request<'_>,
    zone: &Zone,
    (source, service): (&Source, &Service),
    (hash, id): (u64, &[u8]),
    probe: health::Probe,
) {
    let claim = || zone.claim_element(request, hash, id, shm::now_ms(), source.timeout_ms + OVERTAKE_MS);
    // Without the right to remember it is a probe all the same.
    let lease = match (source.ttl_ms > 0).then(claim) {
        Some(Claim::Fetch(lease)) => Some(lease),
        _ => None,
    };
    let ticket = TABLE.with_borrow_mut(|table| {
        let ticket = table.add(source, zone, id, hash, Some(probe));
        table.set(ticket, State::Ours, lease);
        ticket
    });
    if service.probe(request, ticket).is_err() {
        if let Some((_, Some(probe))) = asked(ticket) {
            service.not_probed(probe);
        }
        answered(ticket, Answer::Failed(Failure::Busy));
    }
}

/// The source of a fetch that is under way, and the right to say whether it works again, if the fetch had that.
pub fn asked<'a>(ticket: u64) -> Option<(&'a Source, Option<health::Probe>)> {
    TABLE.with_borrow_mut(|table| {
        let source = table.get(ticket)?.source;
        // SAFETY: as in `Fetch`.
        Some((unsafe { &*source }, table.take_probe(ticket)))
    })
}
