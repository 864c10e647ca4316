//! Purges: what must not be served any more, and what must not be stored.
//!
//! A purge is a stamp on the zone's board (`twice_core::board::stamps`). A hit compares the latest stamp with the one up to
//! which its page was looked at, and looks at the page's marks only where they differ.

mod elements;
pub mod endpoint;
pub mod sweep;
pub mod unsafe_method;

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
    let standing = standing(zone, held.page(), found, latest);
    let is_new = found.seen & !SOFTENED < latest;
    if let (Some(store), true) = (zone.store(), is_new && standing != Verdict::Dead) {
        store.see(held, if standing == Verdict::Stale { latest | SOFTENED } else { latest });
    }
    let alive = settle(standing, found, now_ms);
    if !alive {
        zone.count(Counter::Purged);
    }
    alive
}

/// As [`look`], for a copy of the page: nothing is noted on it.
pub fn look_at_copy(zone: &Zone, page: Page<'_>, found: &mut Found, now_ms: u64) -> bool {
    let latest = zone.board().map_or(0, Board::latest);
    settle(standing(zone, page, found, latest), found, now_ms)
}

/// What purges up to `latest` say of a page, with what an earlier look has noted on it.
fn standing(zone: &Zone, page: Page<'_>, found: &Found, latest: u64) -> Verdict {
    // Once marked stale it stays so until it is renewed.
    let noted = if found.seen & SOFTENED == 0 { Verdict::Alive } else { Verdict::Stale };
    if found.seen & !SOFTENED >= latest { noted } else { verdict(zone, page, found).max(noted) }
}

/// False: it must go.
fn settle(standing: Verdict, found: &mut Found, now_ms: u64) -> bool {
    // Rules only tell the way.
    if standing == Verdict::Stale && !is_rules(found.meta.tag) {
        found.meta.expires_ms = found.meta.expires_ms.min(now_ms);
    }
    standing != Verdict::Dead
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
