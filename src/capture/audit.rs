//! The leak guard (`twice_audit`) at the border: an answer meets what others were sent before it is stored.
//!
//! Invariants
//! - Pages are compared where they lie in the store, held and without the lock.
//! - Who loses a race is heard again: nothing is decided here but whether this very answer agrees with one that another
//!   visitor was sent, and that stays true.
//! - The log tells a place and never what stands there.

use ngx::ffi::NGX_LOG_WARN;
use ngx::ngx_log_error;
use twice_core::audit::{self, AUDITED, Before, Fresh, Verdict, Visitor, WITNESS};
use twice_core::board::Counter;
use twice_core::outcome::Reason;
use twice_core::store::{Found, Held, Meta};
use twice_core::variants::{Dimension, Dimensions, View};

use super::place::{ToStore, put};
use crate::conf;
use crate::ctx;
use crate::purge;
use crate::refresh::{self, Whose};
use crate::seldom::Seldom;
use crate::shm::{self, Zone};
use crate::sys::{self, Request};
use crate::values;
use crate::variant;

static DIFFERENCES: Seldom = Seldom::new();

/// A page has passed. The witness of that, by its key, is of no more use.
pub struct Passed<'a> {
    witness: Option<(&'a [u8], u64)>,
}

impl Passed<'_> {
    /// The page is stored.
    pub fn stored(self, zone: &Zone) {
        if let Some((key, hash)) = self.witness {
            zone.with(|section| section.remove_key(hash, key));
        }
    }
}

/// Hears a page that would be stored under this key, varying by `dimensions`. If it is not to be stored, it is the witness
/// from now on.
pub fn hear<'a>(
    request: Request<'a>,
    page: &ToStore<'_>,
    key: (&[u8], u64),
    dimensions: &Dimensions,
    fresh: &Fresh<'_>,
) -> Result<Passed<'a>, Reason> {
    let visitor = match refresh::whose(request) {
        // It carries no cookies and no password but those that the page has in its key, and nothing that was made of them
        // (`refresh::copy`): what it brings can hold nobody's data, and nobody can be sent something else for his own.
        Whose::Nobodys => return Ok(Passed { witness: None }),
        Whose::Visitors(visitor) => visitor.clone(),
        Whose::Clients => visitor_of(request, page.zone, dimensions.iter()),
    };
    let witness = audit::key::base(page.base, dimensions);
    let witness = variant::key_of(request, &witness, audit::key::EPOCH, dimensions.iter())?;
    let witness = (witness, page.zone.store().ok_or(Reason::Failed)?.hash(witness));
    let before = if is_stored(page.zone, key, fresh) {
        Before::Stored
    } else {
        testimony(page.zone, witness, &visitor, fresh).unwrap_or(Before::Nothing)
    };
    let verdict = Verdict::of(before);
    let Some(reason) = verdict.reason() else { return Ok(Passed { witness: Some(witness) }) };
    let now = shm::now_ms();
    let meta = Meta {
        created_ms: now,
        expires_ms: now.saturating_add(audit::LIFE_MS),
        began: page.meta.began,
        tag: WITNESS,
        ..Meta::default()
    };
    let head = audit::write_head(&visitor);
    let mut parts = vec![head.as_slice(), fresh.prefix];
    parts.extend(fresh.literals);
    parts.push(page.marks);
    put(request, page, witness, &parts, meta)?;
    page.zone.count(if reason == Reason::AuditWaits { Counter::AuditWaits } else { Counter::AuditDiffers });
    if let Verdict::Differs(place) = verdict {
        tell(request, &place);
    }
    Err(reason)
}

/// Names the place: in the log, and in `$twice_reason`.
fn tell(request: Request<'_>, place: &audit::Place) {
    let text = place.to_string();
    if let Some(others) = DIFFERENCES.others() {
        // SAFETY: a live request's URI.
        let uri = unsafe { sys::bytes((*request.raw()).uri) };
        ngx_log_error!(
            NGX_LOG_WARN,
            request.log(),
            "twice: the page \"{}\" is not stored, two visitors were sent different ones: {}{}",
            uri.escape_ascii(),
            text,
            others
        );
    }
    let text = request.copy(text.as_bytes());
    if let (Some(ctx), Some(text)) = (ctx::get(request), text) {
        ctx.difference = text;
    }
}

/// What a request's visitor is known by, but for what a page varies by.
pub fn visitor_of<'d>(
    request: Request<'_>,
    zone: &Zone,
    dimensions: impl Iterator<Item = Dimension<'d>>,
) -> Visitor {
    let main = conf::main_of_request(request);
    let known: Vec<Dimension<'_>> = dimensions.collect();
    let is_known = |dimension: Dimension<'_>| known.contains(&dimension);
    // Twice gives it to every visitor, and tells the application what follows from it.
    let of_tests = |name: &[u8]| !main.ab_tests.is_empty() && name == main.ab_cookie().as_bytes();
    let all_cookies = is_known(Dimension::Header(b"cookie"));
    let cookies = values::all_cookies(request)
        .filter(|(name, _)| !all_cookies && !of_tests(name) && !is_known(Dimension::Cookie(name)));
    let password = is_known(Dimension::Header(b"authorization"));
    let passwords = request.lines_in().filter_map(|line| {
        // SAFETY: a line of this live request.
        let (name, value) = unsafe { sys::pair(line) };
        (!password && name.eq_ignore_ascii_case(b"authorization")).then_some(value)
    });
    Visitor::new(cookies, passwords, |bytes| zone.store().map_or(0, |store| store.hash(bytes)))
}

/// The same where the page's rules are at hand, whatever the next answer says.
pub fn visitor_by_rules(request: Request<'_>, zone: &Zone, rules: &[u8]) -> Visitor {
    let stored = View::parse(rules).map(|view| view.dimensions()).into_iter().flatten();
    visitor_of(request, zone, stored.chain(conf::of(request).varies().iter()))
}

/// Whether the page has passed before, and is stored as it is.
fn is_stored(zone: &Zone, key: (&[u8], u64), fresh: &Fresh<'_>) -> bool {
    held(zone, key)
        .filter(|(found, _)| audit::may_be_served(found.meta.tag, true))
        .and_then(|(_, held)| audit::is_same(fresh, &held.page(), 0))
        .unwrap_or(false)
}

/// What the witness says, if there is one.
fn testimony(zone: &Zone, key: (&[u8], u64), visitor: &Visitor, fresh: &Fresh<'_>) -> Option<Before> {
    let (found, held) = held(zone, key)?;
    if !audit::is_witness(found.meta.tag) || found.meta.expires_ms <= shm::now_ms() {
        return None;
    }
    let page = held.page();
    let part = |len: usize| {
        let mut bytes = Vec::with_capacity(len);
        page.value_part(0, len).for_each(|piece| bytes.extend_from_slice(piece));
        bytes
    };
    let head = part(audit::head_len(&part(audit::PREFIX))?);
    if !visitor.differs_from(&audit::read_head(&head)?) {
        return Some(Before::SameVisitor);
    }
    Some(match audit::difference(fresh, &page, head.len())? {
        None => Before::Agrees,
        Some(place) => Before::Differs(place),
    })
}

/// Holds what is stored under a key and was not purged. It is not noted as a use.
fn held<'z>(zone: &'z Zone, (key, hash): (&[u8], u64)) -> Option<(Found, Held<'z>)> {
    let (mut found, held) = zone
        .with(|section| {
            let found = section.peek(hash, key)?;
            Some((found, section.hold(zone.slot(), found.entry)?))
        })
        .flatten()?;
    let latest = zone.board()?.latest();
    let is_good = found.seen == latest || purge::look(zone, &held, &mut found, latest, shm::now_ms());
    is_good.then_some((found, held))
}

/// What is kept of a page that has passed.
pub fn passed(meta: Meta) -> Meta {
    Meta { tag: meta.tag | AUDITED, ..meta }
}
