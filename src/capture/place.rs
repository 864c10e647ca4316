//! Where a page that came whole goes: under its base key, or as a variant of it by the page's rules.
//!
//! ```text
//! read the rules ----> ours are the same? no: make new ones ----> fill ----> are the rules still those that were read?
//!      ^                                                                         yes: publish new rules and the page
//!      +------------------------------------ no --------------------------------+
//! ```
//!
//! Invariants
//! - Rules are changed by whoever read the latest ones, and published together with the variant for which they were
//!   changed: no change of another worker is lost, and a page's list of variants is complete.
//! - A page that is the same for everybody never takes the place of rules, nor a variant that of a page.
//! - A page that is stored anew because its origin has confirmed it takes the place of that very page: of nothing that has
//!   come meanwhile, nor of what has gone.

use ngx::ffi::NGX_LOG_WARN;
use ngx::ngx_log_error;
use twice_core::audit::Fresh;
use twice_core::board::Counter;
use twice_core::marks::Marks;
use twice_core::outcome::Reason;
use twice_core::store::{Entry, Meta, Reservation, ReserveError, Section};
use twice_core::template::Origin;
use twice_core::variants::{self, Dimensions, Rules, SCAN, Standing, is_rules, merge};

use super::audit::{self, Passed, hear};
use super::headers::Laid;
use crate::purge;
use crate::shm::{self, Zone};
use crate::sys::Request;
use crate::variant;

/// Each time another worker must have changed the page's rules.
const TRIES: usize = 16;

/// Rules have no end of their own: they go when nobody asks for the page any more.
const FOR_EVER_MS: u64 = 100 * 365 * 24 * 3600 * 1000;

/// A page to be stored.
pub struct ToStore<'a> {
    pub zone: &'a Zone,
    /// The page's own key.
    pub base: &'a [u8],
    pub base_hash: u64,
    /// What it varies by, besides what its rules say.
    pub stated: &'a Dimensions,
    /// Its literals, in one piece or several.
    pub literals: &'a [&'a [u8]],
    /// What it can be purged by, and its rules.
    pub marks: &'a [u8],
    pub marks_of_rules: &'a [u8],
    pub meta: Meta,
    pub max_variants: usize,
    /// Where pages are audited.
    pub audit: Option<Audit<'a>>,
    /// The page that was asked about; none: it is a new one.
    pub renews: Option<Renews<'a>>,
}

/// A page that its origin has confirmed.
#[derive(Clone, Copy)]
pub struct Renews<'a> {
    pub key: &'a [u8],
    pub hash: u64,
    pub entry: Entry,
}

impl Renews<'_> {
    /// Whether it is not what visitors get any more, or another one has come to where it would go now: what pages vary by
    /// may have changed.
    fn is_overtaken(&self, section: &Section<'_>, (key, hash): (&[u8], u64)) -> bool {
        let at = |key, hash| section.peek(hash, key).map(|found| found.entry);
        at(self.key, self.hash) != Some(self.entry) || at(key, hash).is_some_and(|there| there != self.entry)
    }
}

/// What an audit needs besides.
pub struct Audit<'a> {
    /// Where its tags stood; none if it has none.
    pub origin: Option<&'a Origin>,
}

/// Stores a page. `lay` makes the bytes around its literals, where it varies by this.
pub fn place(
    request: Request<'_>,
    page: &ToStore<'_>,
    lay: impl Fn(&Dimensions) -> Option<Laid>,
) -> Result<(), Reason> {
    // What was filled in a try that came to nothing, and its key.
    let mut ready: Option<(&[u8], Filled<'_>)> = None;
    let mut passed: Option<Passed<'_>> = None;
    for _ in 0..TRIES {
        let now = shm::now_ms();
        let current = read(page)?;
        let seen = current.as_ref().map(|(entry, _)| *entry);
        let plain = current.is_none() && page.stated.is_empty();
        let epoch = if plain { 0 } else { new_epoch()? };
        let rules = merge(current.map(|(_, rules)| rules), page.stated, epoch);
        let mut rules = rules.map_err(|_| Reason::Varies)?;
        let none = Dimensions::default();
        let dimensions = rules.as_ref().map_or(&none, Rules::dimensions);
        let key = match &rules {
            None => page.base,
            // They may say more than when the answer began.
            Some(rules) => variant::key_to_store(request, page.base, rules.epoch(), dimensions)?,
        };
        let hash = page.zone.store().ok_or(Reason::Failed)?.hash(key);
        // The same key says the same rules.
        let filled = match ready.take().filter(|(other, _)| *other == key) {
            Some((_, filled)) => filled,
            None => {
                let Laid { prefix, cold } = lay(dimensions).ok_or(Reason::Failed)?;
                if let Some(Audit { origin }) = page.audit {
                    let fresh = Fresh { prefix: &prefix, literals: page.literals, origin };
                    passed = Some(hear(request, page, (key, hash), dimensions, &fresh)?);
                }
                let mut parts = vec![prefix.as_slice()];
                parts.extend(page.literals);
                parts.extend([cold.as_slice(), page.marks]);
                fill(request, page.zone, (key, hash), &parts, now)?
            }
        };
        let changed = match rules.as_mut().filter(|rules| !rules.lists(hash)) {
            None => None,
            Some(rules) => {
                let struck = admit(page, rules, hash, now);
                let base = (page.base, page.base_hash);
                let parts: [&[u8]; 2] = [&rules.encode(), page.marks_of_rules];
                Some(Changed { filled: fill(request, page.zone, base, &parts, now)?, struck })
            }
        };
        match publish(page, (key, hash), seen, filled, changed, now)? {
            None => {
                if let Some(passed) = passed {
                    passed.stored(page.zone);
                }
                return Ok(());
            }
            Some(filled) => ready = Some((key, filled)),
        }
    }
    ngx_log_error!(NGX_LOG_WARN, request.log(), "twice: a page was not stored: its rules change too fast");
    Err(Reason::Failed)
}

/// A number that no rules had before.
fn new_epoch() -> Result<u64, Reason> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| Reason::Failed)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The rules under a page's key, and the length of their value.
fn rules_at(section: &Section<'_>, page: &ToStore<'_>) -> Option<(Entry, usize)> {
    let found = section.peek(page.base_hash, page.base)?;
    is_rules(found.meta.tag).then_some((found.entry, found.value_len))
}

/// Takes a page's rules out of the store. Under the lock nothing is allocated: their length is asked for before.
fn read(page: &ToStore<'_>) -> Result<Option<(Entry, Rules)>, Reason> {
    let mut bytes = Vec::new();
    for _ in 0..TRIES {
        let Some((_, len)) = page.zone.with(|section| rules_at(section, page)).ok_or(Reason::Failed)? else {
            return Ok(None);
        };
        bytes.clear();
        bytes.try_reserve(len).map_err(|_| Reason::Failed)?;
        let read = page.zone.with(|section| {
            let (entry, len) = rules_at(section, page)?;
            if len > bytes.capacity() {
                return None;
            }
            for piece in section.page(entry)?.value() {
                bytes.extend_from_slice(piece);
            }
            Some(entry)
        });
        if let Some(entry) = read.flatten() {
            let rules = bytes.len() - purge::marks_in(&bytes).map_or(0, |marks| marks.len());
            return Ok(Rules::parse(bytes.get(..rules).unwrap_or_default()).map(|rules| (entry, rules)));
        }
    }
    Err(Reason::Failed)
}

/// Lists a variant in the rules. Back come those that go for it.
fn admit(page: &ToStore<'_>, rules: &mut Rules, hash: u64, now_ms: u64) -> Vec<u64> {
    let mut struck = Vec::with_capacity(SCAN);
    page.zone.with(|section| {
        rules.admit(hash, page.max_variants, &mut struck, |other| {
            let (found, heat) = section.peek_hash(other)?;
            let beyond = u64::from(found.meta.stale_s.max(found.meta.error_s)).saturating_mul(1000);
            let alive = found.meta.expires_ms.saturating_add(beyond) > now_ms;
            Some(Standing { alive, heat })
        });
    });
    struck
}

/// Rules that are about to be changed.
struct Changed<'z> {
    filled: Filled<'z>,
    /// Variants that they don't list any more.
    struck: Vec<u64>,
}

/// A filled reservation. One that is not published is given back.
struct Filled<'z> {
    zone: &'z Zone,
    reservation: Option<Reservation>,
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.zone.with(|section| section.abandon(reservation));
        }
    }
}

/// Reserves room for a page and fills it.
fn fill<'z>(
    request: Request<'_>,
    zone: &'z Zone,
    (key, hash): (&[u8], u64),
    parts: &[&[u8]],
    now_ms: u64,
) -> Result<Filled<'z>, Reason> {
    let len = parts.iter().map(|part| part.len()).sum();
    let reserved = zone.with(|section| section.reserve(zone.slot(), hash, key, len, now_ms));
    let reservation = match reserved.ok_or(Reason::Failed)? {
        Ok(reservation) => reservation,
        Err(ReserveError::TooLarge) => return Err(Reason::TooLarge),
        Err(why @ (ReserveError::NoRoom | ReserveError::NoSlot)) => {
            ngx_log_error!(NGX_LOG_WARN, request.log(), "twice: a page was not stored: {}", why.as_str());
            return Err(Reason::NoRoom);
        }
    };
    let mut filled = Filled { zone, reservation: Some(reservation) };
    let mut at = 0;
    for part in parts {
        let to = filled.reservation.as_mut().zip(zone.store());
        let (reservation, store) = to.ok_or(Reason::Failed)?;
        store.write(reservation, at, part).map_err(|_| Reason::Failed)?;
        at += part.len();
    }
    Ok(filled)
}

/// Stores something else of the page under a key of its own, unless the page was purged meanwhile.
pub fn put(
    request: Request<'_>,
    page: &ToStore<'_>,
    key: (&[u8], u64),
    parts: &[&[u8]],
    meta: Meta,
) -> Result<(), Reason> {
    let mut filled = fill(request, page.zone, key, parts, meta.created_ms)?;
    let board = page.zone.board().ok_or(Reason::Failed)?;
    let marks = Marks::parse(page.marks).ok_or(Reason::Failed)?;
    let published = page.zone.with(|section| {
        if !board.allows(section, meta.began, &marks) {
            return Some(Err(Reason::Purged));
        }
        section.publish(filled.reservation.take()?, meta, meta.created_ms).map(|_| Ok(()))
    });
    published.flatten().ok_or(Reason::Failed)?
}

/// Publishes a page under its key, and its rules if they changed. Gives the page back if meanwhile its rules are not those that were
/// seen.
fn publish<'z>(
    page: &ToStore<'z>,
    key: (&[u8], u64),
    seen: Option<Entry>,
    mut filled: Filled<'z>,
    mut changed: Option<Changed<'z>>,
    now_ms: u64,
) -> Result<Option<Filled<'z>>, Reason> {
    let mut dropped = 0;
    let board = page.zone.board().ok_or(Reason::Failed)?;
    let marks = Marks::parse(page.marks).ok_or(Reason::Failed)?;
    let published = page.zone.with(|section| {
        if !board.allows(section, page.meta.began, &marks) {
            return Some(Err(Reason::Purged));
        }
        if page.renews.is_some_and(|asked| asked.is_overtaken(section, key)) {
            return Some(Err(Reason::Overtaken));
        }
        if rules_at(section, page).map(|(entry, _)| entry) != seen {
            return Some(Ok(false));
        }
        if let Some(Changed { filled, struck }) = &mut changed {
            let expires_ms = now_ms.saturating_add(FOR_EVER_MS);
            let began = page.meta.began;
            let meta = Meta { created_ms: now_ms, expires_ms, began, tag: variants::TAG, ..Meta::default() };
            section.publish(filled.reservation.take()?, meta, now_ms)?;
            for hash in struck {
                let gone = section.peek_hash(*hash).is_some_and(|(found, _)| section.remove(found.entry));
                dropped += u32::from(gone);
            }
        }
        let meta = if page.audit.is_some() { audit::passed(page.meta) } else { page.meta };
        section.publish(filled.reservation.take()?, meta, now_ms).map(|_| Ok(true))
    });
    for _ in 0..dropped {
        page.zone.count(Counter::VariantsDropped);
    }
    match published.flatten() {
        None => Err(Reason::Failed),
        Some(Err(why)) => Err(why),
        Some(Ok(true)) => Ok(None),
        Some(Ok(false)) => Ok(Some(filled)),
    }
}
