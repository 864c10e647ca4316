//! From a page's base key to the page that is this visitor's: between the two lookups, and what a visitor's values are.
//!
//! Invariants
//! - What a request says is taken from its own header lines. While a location's handler runs these may be exchanged
//!   ([`crate::fetch`]); lines that are not sent on to the origin are none that a page varies by, so that both lists say
//!   the same.
//! - Values live in the request's pool or its header buffers. Nothing is allocated elsewhere on a hit.

use std::ptr;
use std::slice;

use twice_core::audit;
use twice_core::cookies;
use twice_core::key::MAX_KEY;
use twice_core::outcome::Reason;
use twice_core::policy::{Freshness, Times, Varies, Wanted, is_alike};
use twice_core::store::{Found, Meta};
use twice_core::variants::{
    Dimension, Dimensions, MAX_DIMENSIONS, PREFIX, Value, VariantKey, View, head_len, is_as_it_comes,
    is_rules, join, values_of,
};

use crate::ab;
use crate::conf::{self, LocConf};
use crate::ctx::Ctx;
use crate::deliver::{self, Taken};
use crate::shm::Zone;
use crate::sys::{self, Request};
use crate::values::{self, Ask, Resolver};
use crate::{language, outward};

/// What the store has for a request.
pub struct Asked<'a> {
    /// The key that was looked up last: the page's own, or that of this visitor's variant.
    pub key: &'a [u8],
    /// Its hash.
    pub hash: u64,
    /// The head of the page's rules, in the request's pool; empty if there are none.
    pub rules: &'a [u8],
    /// The page, as [`deliver::find`] gives it.
    pub found: Option<(Found, Option<Taken>)>,
}

impl<'a> Asked<'a> {
    /// A request for which nothing was looked up.
    pub fn not(key: &'a [u8], hash: u64) -> Self {
        Self { key, hash, rules: b"", found: None }
    }
}

/// Finds the page of a base key, or by its rules the variant of this request. The reason tells why the request can't
/// have a variant.
pub fn find<'a>(
    request: Request<'a>,
    conf: &LocConf,
    zone: &Zone,
    (base, hash): (&'a [u8], u64),
    (now_ms, wanted): (u64, &Wanted),
) -> Result<Asked<'a>, Reason> {
    let nothing = Asked::not(base, hash);
    let usable = |meta: &Meta| usable(meta, now_ms, wanted);
    // Of what is found here only a page can be too old or purged: rules tell the way, and what they lead to is judged.
    let Some((found, taken)) = deliver::find(zone, hash, base, now_ms, usable) else {
        return Ok(nothing);
    };
    if !is_rules(found.meta.tag) {
        if !may_be_served(conf, &found.meta) {
            deliver::let_go(zone, taken);
            return Ok(nothing);
        }
        if conf.varies().is_empty() {
            return Ok(Asked { found: Some((found, taken)), ..nothing });
        }
        // Stored where nobody said that it varies: it is any visitor's.
        deliver::let_go(zone, taken);
        return Ok(nothing);
    }
    let Some(rules) = take_head(request, zone, taken) else { return Ok(nothing) };
    let Some(view) = View::parse(rules) else { return Ok(nothing) };
    if !view.covers(conf.varies()) {
        return Ok(nothing);
    }
    let key = key_of(request, base, view.epoch, view.dimensions())?;
    let hash = zone.store().ok_or(Reason::Failed)?.hash(key);
    let mut found = deliver::find(zone, hash, key, now_ms, usable);
    if let Some((_, taken)) = found.take_if(|(found, _)| !may_be_served(conf, &found.meta)) {
        deliver::let_go(zone, taken);
    }
    Ok(Asked { key, hash, rules, found })
}

/// Whether this location serves such a page: no witness, and where pages are audited none that was not.
pub fn may_be_served(conf: &LocConf, meta: &Meta) -> bool {
    audit::may_be_served(meta.tag, conf.audit().is_some())
}

/// Whether what was found is of use now: a page that may be served to this client, or rules.
fn usable(meta: &Meta, now_ms: u64, wanted: &Wanted) -> bool {
    is_rules(meta.tag) || wanted.at(Times::from(*meta), meta.created_ms, now_ms) != Freshness::Expired
}

/// Copies the head of rules and lets go of them.
fn take_head<'a>(request: Request<'a>, zone: &Zone, taken: Option<Taken>) -> Option<&'a [u8]> {
    let head = match taken.as_ref()? {
        Taken::Held(held, _) => head_of(request, held.page()),
        Taken::Pinned(pin, _) => zone.store().and_then(|store| head_of(request, store.page(pin)?)),
        // A page, then, and no rules.
        Taken::Kept(_) => None,
    };
    deliver::let_go(zone, taken);
    head
}

fn head_of<'a>(request: Request<'a>, page: twice_core::store::Page<'_>) -> Option<&'a [u8]> {
    let mut prefix = [0; PREFIX];
    let mut bytes = page.value_part(0, PREFIX).flatten();
    for place in &mut prefix {
        *place = *bytes.next()?;
    }
    let len = head_len(&prefix)?;
    deliver::copy_out(request, page.value_part(0, len), len)
}

/// The key of this request's variant, in its pool.
pub fn key_of<'a, 'd>(
    request: Request<'a>,
    base: &[u8],
    epoch: u64,
    dimensions: impl Iterator<Item = Dimension<'d>>,
) -> Result<&'a [u8], Reason> {
    let mut values = [Value::Absent; MAX_DIMENSIONS];
    let mut resolver = Resolver::new(request, Ask::Nothing);
    let mut count = 0;
    for dimension in dimensions {
        *values.get_mut(count).ok_or(Reason::Failed)? = value_of(request, &mut resolver, dimension)?;
        count += 1;
    }
    let key = VariantKey { epoch, values: values.get(..count).unwrap_or_default(), base };
    let len = key.len();
    if len > MAX_KEY {
        return Err(Reason::KeyTooLong);
    }
    let start = request.alloc(len).ok_or(Reason::Failed)?;
    let mut at = 0;
    key.write(|piece| {
        // SAFETY: `len` bytes were allocated, and the pieces add up to `len`.
        unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), start.add(at), piece.len()) };
        at += piece.len();
    });
    // SAFETY: all `len` bytes were written just now.
    Ok(unsafe { slice::from_raw_parts(start, len) })
}

/// What a request says in one dimension; the reason tells why it can't be said.
fn value_of<'a>(
    request: Request<'a>,
    resolver: &mut Resolver<'a>,
    dimension: Dimension<'_>,
) -> Result<Value<'a>, Reason> {
    let given = match dimension {
        Dimension::Cookie(name) => resolver.cookies(name).ok_or(Reason::Failed)?,
        Dimension::Header(name) => header(request, name)?,
        Dimension::Language => Some(language::language(request)),
        Dimension::Geo => outward::country(request, conf::of(request)),
        // The app speaks of a test that is not configured: nobody can tell whom its answer is for.
        Dimension::AbTest(name) => Some(ab::ab_value(request, name).ok_or(Reason::Varies)?),
        Dimension::AbValues => ab::all_values(request),
    };
    Ok(given.map_or(Value::Absent, Value::Is))
}

/// All lines of a request header, made comparable.
fn header<'a>(request: Request<'a>, name: &[u8]) -> Result<Option<&'a [u8]>, Reason> {
    let lines = || {
        request.lines_in().filter_map(move |line| {
            // SAFETY: a line of this live request.
            let (other, value) = unsafe { sys::pair(line) };
            other.eq_ignore_ascii_case(name).then_some(value)
        })
    };
    let (mut count, mut most, mut last) = (0usize, 0, None);
    for line in lines() {
        count += 1;
        most += line.len() + 2;
        last = Some(line);
    }
    if count <= 1 && is_as_it_comes(name) {
        return Ok(last.map(<[u8]>::trim_ascii));
    }
    if count == 0 {
        return Ok(None);
    }
    let start = request.alloc(most).ok_or(Reason::Failed)?;
    let mut at = 0;
    join(name, lines(), |piece| {
        // `join` gives no more than was counted.
        let piece = piece.get(..piece.len().min(most - at)).unwrap_or_default();
        // SAFETY: of `most` bytes `most - at` are left.
        unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), start.add(at), piece.len()) };
        at += piece.len();
    });
    // SAFETY: the first `at` bytes were written.
    Ok(Some(unsafe { slice::from_raw_parts(start, at) }))
}

/// What an answer of this location varies by, as far as it says so itself and the configuration does.
pub fn stated(conf: &LocConf, varies: &Varies) -> Result<Dimensions, Reason> {
    let mut stated = varies.dimensions(conf.vary_language(), conf.withheld());
    stated.add_all(conf.varies()).map_err(|_| Reason::Varies)?;
    Ok(stated)
}

/// Adds what is known of the page's rules. Only as much as there is room for: [`check`] tells that there is too much.
pub fn add_rules(dimensions: &mut Dimensions, rules: &[u8]) -> Result<(), Reason> {
    let known = View::parse(rules).map(|view| view.dimensions());
    known.into_iter().flatten().try_for_each(|own| dimensions.add(own)).map_err(|_| Reason::Varies)
}

/// Whether an answer that varies so can be stored for this request.
pub fn check(request: Request<'_>, base: &[u8], dimensions: &Dimensions) -> Result<(), Reason> {
    if dimensions.is_empty() { Ok(()) } else { key_to_store(request, base, 0, dimensions).map(|_| ()) }
}

/// The key under which the answer to this request is stored.
pub fn key_to_store<'a>(
    request: Request<'a>,
    base: &[u8],
    epoch: u64,
    dimensions: &Dimensions,
) -> Result<&'a [u8], Reason> {
    if !dimensions.iter().all(|dimension| is_clear(request, dimension)) {
        return Err(Reason::Unclear);
    }
    key_of(request, base, epoch, dimensions.iter())
}

/// Whether the origin can't read anything else in this dimension than the variant's key says. Who was served from the store
/// is not asked: he gets what was stored for a clear request.
fn is_clear(request: Request<'_>, dimension: Dimension<'_>) -> bool {
    match dimension {
        Dimension::Cookie(name) => cookies::is_clear(values::cookie_lines(request), name),
        Dimension::Header(name) => !request.lines_in().any(|line| {
            // SAFETY: a line of this live request.
            let other = unsafe { sys::pair(line).0 };
            is_alike(other, name) && !other.eq_ignore_ascii_case(name)
        }),
        // Twice itself says what the origin hears.
        Dimension::Language | Dimension::Geo | Dimension::AbTest(_) | Dimension::AbValues => true,
    }
}

/// `$twice_key`: the page's own key, and what the visitor says in each dimension. Passwords and whole cookie lines are
/// not shown.
pub fn describe(ctx: &Ctx) -> Vec<u8> {
    // SAFETY: keys and rules of a context lie in the pool of its live request.
    let (base, key, rules) = unsafe { (&*ctx.base_key, &*ctx.key, &*ctx.rules) };
    let mut text = base.to_vec();
    let dimensions = View::parse(rules).map(|view| view.dimensions()).into_iter().flatten();
    for (dimension, value) in dimensions.zip(values_of(key)) {
        let (kind, name): (&[u8], &[u8]) = match dimension {
            Dimension::Cookie(name) => (b"cookie.", name),
            Dimension::Header(name) => (b"header.", name),
            Dimension::Language => (b"language", b""),
            Dimension::Geo => (b"geo", b""),
            Dimension::AbTest(name) => (b"ab.", name),
            Dimension::AbValues => (b"ab", b""),
        };
        for part in [b" ", kind, name] {
            text.extend_from_slice(part);
        }
        let hidden =
            matches!(dimension, Dimension::Header(b"authorization" | b"proxy-authorization" | b"cookie"));
        match value {
            Value::Absent => {}
            Value::Is(_) if hidden => text.extend_from_slice(b"=*"),
            Value::Is(value) => {
                text.push(b'=');
                text.extend_from_slice(value);
            }
        }
    }
    text
}
