//! Purges: what must not be served any more, and what must not be stored.
//!
//! A purge is a stamp on the zone's board (`twice_core::board::stamps`). A hit compares the latest stamp with the one up to
//! which its page was looked at, and looks at the page's marks only where they differ.

pub mod endpoint;
pub mod sweep;

use twice_core::board::{Board, Counter, Verdict};
use twice_core::marks::{self, Marks};
use twice_core::store::{Found, Held, Page};
use twice_core::variants::is_rules;

use crate::shm::Zone;

/// In the word that is left on a page (`Found::seen`): it was marked stale. Stamps are even.
const SOFTENED: u64 = 1;

/// Looks at a held page that was not looked at since the latest purge. False: it must go. A page that was marked stale
/// has expired from now on.
#[cold]
pub fn look(zone: &Zone, held: &Held<'_>, found: &mut Found, latest: u64, now_ms: u64) -> bool {
    let verdict = if found.seen & !SOFTENED >= latest {
        // Looked at, and marked.
        if found.seen & SOFTENED == 0 { Verdict::Alive } else { Verdict::Stale }
    } else {
        // Once marked stale it stays so until it is renewed.
        let least = if found.seen & SOFTENED == 0 { Verdict::Alive } else { Verdict::Stale };
        let verdict = verdict(zone, held.page(), found).max(least);
        if let (Some(store), true) = (zone.store(), verdict != Verdict::Dead) {
            store.see(held, if verdict == Verdict::Stale { latest | SOFTENED } else { latest });
        }
        verdict
    };
    match verdict {
        Verdict::Alive => true,
        // Rules only tell the way.
        Verdict::Stale if is_rules(found.meta.tag) => true,
        Verdict::Stale => {
            found.meta.expires_ms = found.meta.expires_ms.min(now_ms);
            true
        }
        Verdict::Dead => {
            zone.count(Counter::Purged);
            false
        }
    }
}

/// Whether a page must not be served any more.
pub fn is_dead(zone: &Zone, page: Page<'_>, found: &Found) -> bool {
    found.seen & !SOFTENED < zone.board().map_or(0, Board::latest)
        && verdict(zone, page, found) == Verdict::Dead
}

/// What the stamps say of a page.
fn verdict(zone: &Zone, page: Page<'_>, found: &Found) -> Verdict {
    let Some(board) = zone.board() else { return Verdict::Dead };
    // Who can't tell what it is purged by can't tell that it was not.
    let Some(bytes) = marks_of(page) else { return Verdict::Dead };
    let Some(marks) = Marks::parse(&bytes) else { return Verdict::Dead };
    let began = found.meta.began;
    let by_marks = board.verdict_of_marks(began, &marks);
    if by_marks == Verdict::Dead || !board.has_new_prefixes(found.seen) {
        return by_marks;
    }
    let by_prefixes = zone.with(|section| board.verdict_of_prefixes(section, began, &marks));
    by_marks.max(by_prefixes.unwrap_or(Verdict::Dead))
}

/// The bytes of a page's marks, at its value's end.
fn marks_of(page: Page<'_>) -> Option<Vec<u8>> {
    let part = |at: usize, len: usize| {
        let mut bytes = Vec::with_capacity(len);
        for piece in page.value_part(at, len) {
            bytes.extend_from_slice(piece);
        }
        (bytes.len() == len).then_some(bytes)
    };
    let len = page.value_len();
    let ends = part(len.checked_sub(4)?, 4)?;
    let marks = marks::len_of(ends.try_into().ok()?);
    part(len.checked_sub(marks)?, marks)
}

/// The marks at the end of a value that lies in one piece.
pub fn marks_in(value: &[u8]) -> Option<Marks<'_>> {
    let len = marks::len_of(*value.last_chunk()?);
    Marks::parse(value.get(value.len().checked_sub(len)?..)?)
}
