//! A stored page whose time is over: its origin is asked whether it is still the same.
//!
//! ```text
//!  a visitor's fetch of an expired page --.                      304 about it ---- stored anew with the new header, and served
//!  a refresh of a stale one --------------+-- pinned, asked ---- 304 about another, or unasked ---- as from a broken origin
//!                                         |   for by its          anything else --- as of any fetch
//!  a HEAD that found it expired ----------'   validators         200 to a HEAD that says that it is the same ---- as a 304
//! ```
//!
//! Invariants
//! - Whatever can renew a page was asked for as a fetch of it is: its origin was told nothing that others' pages must not
//!   depend on ([`crate::fetch`]).
//! - Asked is by the validators of the very page that lies under the request's key, as its origin gave them, and never by
//!   the client's.
//! - The page is pinned from before the question until its bytes are of no use any more: what is served and stored is what was
//!   asked about. A page that can't be pinned is asked for as if it were not there.
//! - A page is renewed as long as it is the one that visitors get: where another has come meanwhile, or this one has gone, its
//!   client gets it and nothing is stored.
//! - A 304 makes no page. What it says of one is decided on as the 200 would be whose header it renews.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_HEAD, NGX_HTTP_NOT_MODIFIED, NGX_LOG_ERR, ngx_http_test_content_type, ngx_int_t, ngx_uint_t,
};
use ngx::ngx_log_error;
use twice_core::audit;
use twice_core::board::Counter;
use twice_core::outcome::{CacheStatus, Reason};
use twice_core::page::{Fixed, Program};
use twice_core::policy::{Facts, Fate, decide, ends_the_page};
use twice_core::recipe;
use twice_core::renewal::{self, Line, OfHead, Origin, Question};
use twice_core::store::{Found, Meta, Pin};
use twice_core::variants::{Dimensions, is_rules};

use crate::capture::{self, Laid, Lines, Made, Renews, Snapshot, save};
use crate::conf::{self, LocConf};
use crate::ctx::{self, Stage};
use crate::deliver::{self, Kept, Renewed, Taken, Way};
use crate::flight;
use crate::shm::{self, Zone};
use crate::stand_in::{self, Exchange};
use crate::sys::{self, Request};
use crate::variant::may_be_served;

/// What becomes of a request whose origin gave nothing that can be used.
const BAD_GATEWAY: ngx_int_t = 502;

/// A page that is asked about.
pub struct Asked {
    zone: *const Zone,
    /// None: it is of no use any more.
    pin: Option<Pin>,
    found: Found,
    fixed: Fixed,
    origin: Origin,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Asked {
    /// The page of the request's key, pinned; none if there is none that could be renewed.
    fn of(request: Request<'_>) -> Option<Self> {
        let ctx = ctx::get(request)?;
        // SAFETY: the zone of the request's location; the key lies in the request's pool.
        let (zone, key, hash): (&Zone, &[u8], u64) = unsafe { (&*ctx.zone, &*ctx.key, ctx.hash) };
        let conf = conf::of(request);
        let usable = |meta: &Meta| may_be_served(conf, meta);
        let (found, taken) = deliver::find(zone, hash, key, shm::now_ms(), usable)?;
        let pin = match taken? {
            Taken::Pinned(pin, _) => pin,
            Taken::Held(held, _) => zone.pin(&held)?,
            Taken::Kept(_) => return None,
        };
        let pin = Some(pin);
        // From here on it is let go of, whatever it turns out to be.
        let mut asked = Self { zone, pin, found, fixed: Fixed::default(), origin: Origin::default() };
        if is_rules(asked.found.meta.tag) {
            return None;
        }
        asked.read()?;
        Some(asked)
    }

    fn read(&mut self) -> Option<()> {
        // SAFETY: zones outlive the requests of their cycle.
        let page = unsafe { &*self.zone }.store()?.page(self.pin.as_ref()?)?;
        let part = |at: usize, len: usize| {
            let mut bytes = Vec::new();
            bytes.try_reserve(len).ok()?;
            page.value_part(at, len).for_each(|piece| bytes.extend_from_slice(piece));
            (bytes.len() == len).then_some(bytes)
        };
        self.fixed = Fixed::parse(&part(0, twice_core::page::FIXED)?)?;
        let (at, len) = self.fixed.cold();
        self.origin = Origin::read(&self.fixed, &part(0, self.fixed.head_len())?, &part(at, len)?)?;
        Some(())
    }

    fn let_go(&mut self) {
        if let Some(pin) = self.pin.take() {
            // SAFETY: as above.
            unsafe { &*self.zone }.unpin(pin);
        }
    }

    /// Takes the page out of the store.
    fn remove(&self) {
        let entry = self.found.entry;
        // SAFETY: as above.
        unsafe { &*self.zone }.with(|section| section.remove(entry));
    }
}

/// What the request's origin is asked by; nothing where there is no page that it could be asked about.
pub fn ask<'a>(request: Request<'a>, conf: &LocConf) -> Question<'a> {
    if !conf.revalidate() {
        return Question::default();
    }
    let expired = |ctx: &mut ctx::Ctx| ctx.status == Some(CacheStatus::Expired) || !ctx.refresh.is_null();
    if !ctx::get(request).is_some_and(expired) {
        return Question::default();
    }
    begin(request, conf).unwrap_or_default()
}

fn begin<'a>(request: Request<'a>, conf: &LocConf) -> Option<Question<'a>> {
    let asked = Asked::of(request)?;
    if asked.origin.question() == Question::default()
        || asked.origin.recipe != recipe_of(request, conf, &asked.origin)
    {
        return None;
    }
    let asked = sys::pool_box_of(request, asked)?;
    ctx::get(request)?.asked = asked;
    // SAFETY: just made, in the keeping of the request's pool.
    let question = unsafe { &(*asked).origin }.question();
    let copy = |line: Option<&[u8]>| line.and_then(|line| request.copy(line));
    Some(Question { etag: copy(question.etag), modified: copy(question.modified) })
}

/// What the page's body would be read by if it came now.
fn recipe_of(request: Request<'_>, conf: &LocConf, origin: &Origin) -> u64 {
    let Some(content_type) = request.copy(&origin.content_type) else { return 0 };
    // SAFETY: a live request without an answer so far; what is filled in is taken out again.
    let has_tags = unsafe {
        let out = &raw mut (*request.raw()).headers_out;
        let before = ((*out).content_type, (*out).content_type_len);
        (*out).content_type = sys::ngx_str(content_type);
        (*out).content_type_len = content_type.len();
        (*out).content_type_lowcase = ptr::null_mut();
        let has_tags =
            !ngx_http_test_content_type(request.raw(), (&raw const conf.types).cast_mut()).is_null();
        ((*out).content_type, (*out).content_type_len) = before;
        (*out).content_type_lowcase = ptr::null_mut();
        has_tags
    };
    recipe::of_answer(conf.recipe, has_tags, conf.escape(content_type))
}

/// What the request has asked about, if it has.
fn asked<'a>(request: Request<'a>) -> Option<&'a mut Asked> {
    // SAFETY: null, or in the keeping of this live request's pool. As with `ctx::get`, no borrow outlives the statements
    // between two calls into nginx.
    unsafe { ctx::get(request)?.asked.as_mut() }
}

/// The answer is a 304, and one of an origin: nginx may be told to send such (`return 304`).
fn is_304(request: Request<'_>) -> bool {
    const STATUS: ngx_uint_t = NGX_HTTP_NOT_MODIFIED as ngx_uint_t;
    // SAFETY: a live request; its upstream, if it has one, lives in the same pool.
    unsafe {
        let upstream = (*request.raw()).upstream;
        (*request.raw()).headers_out.status == STATUS
            && !upstream.is_null()
            && (*upstream).headers_in.status_n == STATUS
    }
}

/// The first header filter has an answer to a client's request. What is not [`Exchange::No`] is the request's answer.
pub fn exchange(request: Request<'_>, conf: &LocConf) -> Option<Exchange> {
    let (stage, before) = (ctx::get(request)?.stage, ctx::get(request)?.lines_before);
    if is_head_of_a_page(request, conf) {
        if is_304(request) {
            log_useless(request, UNASKED);
            return broken(request, before);
        }
        of_head(request, conf);
    }
    if stage != Stage::Fetch {
        return Some(Exchange::No);
    }
    if !is_304(request) {
        if let Some(asked) = asked(request) {
            // It has another one by now.
            asked.let_go();
        }
        return Some(Exchange::No);
    }
    let lines = lines_of(request, conf, before);
    if !is_about(request, &lines) {
        return broken(request, before);
    }
    let Some(new) = renew(request, conf, &lines) else { return broken(request, before) };
    let status = asked(request)?.origin.status;
    // SAFETY: the zone of the request's location.
    let zone = unsafe { &*ctx::get(request)?.zone };
    zone.count(Counter::Revalidated);
    match new.stored {
        Ok(()) => flight::stored(request),
        Err(reason) => {
            // Where there is no room for two of it, it is fetched anew the next time.
            if ends_the_page(status, reason) || reason == Reason::NoRoom {
                asked(request)?.remove();
            }
            flight::not_stored(request, reason, status);
        }
    }
    stand_in::forget_answer(request, before);
    for (name, value) in
        lines.iter().filter(|line| line.once && is_a_cookie(&line.name)).map(|line| (&line.name, &line.value))
    {
        request.push_out(request.copy(name)?, request.copy(value)?)?;
    }
    let ctx = ctx::get(request)?;
    ctx.stage = Stage::Hit;
    ctx.status = Some(CacheStatus::Revalidated);
    ctx.reason = new.stored.err().unwrap_or(Reason::Stored);
    let asked = asked(request)?;
    let kept = Kept {
        pin: ptr::from_ref(asked.pin.as_ref()?),
        tag: audit::without(asked.found.meta.tag),
        renewed: Renewed { prefix: request.copy(&new.prefix)?, literals_at: asked.fixed.prefix_len() },
    };
    stand_in::send_instead(request, zone, Taken::Kept(kept), Way::Revalidated(new.stored.is_ok()))
}

fn is_a_cookie(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"set-cookie")
}

/// A 304 that is none to this request: a stale page stands in, or the client is told that the origin is broken.
fn broken(request: Request<'_>, before: usize) -> Option<Exchange> {
    let done = stand_in::exchange(request, true)?;
    if let Some(asked) = asked(request) {
        // Whoever comes next asks without a condition.
        asked.remove();
        asked.let_go();
    }
    if !matches!(done, Exchange::No) {
        flight::failed(request);
        return Some(done);
    }
    stand_in::forget_answer(request, before);
    ctx::get(request)?.reason = Reason::Status;
    flight::not_stored(request, Reason::Status, BAD_GATEWAY as u16);
    Some(Exchange::Refused(BAD_GATEWAY))
}

/// The same for the answer to a refresh: the status that it has for all who ask what came of it, and why it is not stored.
/// The outer none: it is no 304.
pub fn refreshed(request: Request<'_>, conf: &LocConf) -> Option<(u16, Option<Reason>)> {
    if !is_304(request) {
        if let Some(asked) = asked(request) {
            asked.let_go();
        }
        return None;
    }
    let lines = lines_of(request, conf, 0);
    let broken = Some((BAD_GATEWAY as u16, Some(Reason::Status)));
    let new = if is_about(request, &lines) { renew(request, conf, &lines) } else { None };
    let Some(asked) = asked(request) else {
        ctx::get(request)?.reason = Reason::Status;
        return broken;
    };
    let Some(new) = new else {
        asked.remove();
        ctx::get(request)?.reason = Reason::Status;
        return broken;
    };
    let status = asked.origin.status;
    asked.let_go();
    let ctx = ctx::get(request)?;
    ctx.reason = new.stored.err().unwrap_or(Reason::Stored);
    // SAFETY: the zone of the request's location.
    unsafe { &*ctx.zone }.count(Counter::Revalidated);
    Some((status, new.stored.err()))
}

/// Whether this is a HEAD that goes to the origin because its page has expired: the answer may renew what others are sent.
pub fn is_head_of_a_page(request: Request<'_>, conf: &LocConf) -> bool {
    // SAFETY: a live request.
    let is_head = unsafe { (*request.raw()).method == NGX_HTTP_HEAD as ngx_uint_t };
    let is_of_page = |ctx: &mut ctx::Ctx| {
        ctx.stage == Stage::Pass && ctx.reason == Reason::Head && ctx.status == Some(CacheStatus::Expired)
    };
    is_head && request.is_main() && conf.revalidate() && ctx::get(request).is_some_and(is_of_page)
}

/// What the answer to such a HEAD says of its page.
fn of_head(request: Request<'_>, conf: &LocConf) -> Option<()> {
    let r = request.raw();
    // SAFETY: a live request.
    let (status, length) = unsafe {
        if (*r).upstream.is_null() {
            return None;
        }
        (u16::try_from((*r).headers_out.status).ok()?, u64::try_from((*r).headers_out.content_length_n).ok())
    };
    let before = ctx::get(request)?.lines_before;
    let lines = lines_of(request, conf, before);
    let mut asked = Asked::of(request)?;
    if !ctx::get(request)?.by_request && asked.found.meta.expires_ms > shm::now_ms() {
        // Somebody has brought or renewed it since: that may be newer than what has come now.
        return None;
    }
    let all: Vec<Line> = lines.iter().map(TheLine::owned).collect();
    if asked.origin.of_head(status, &all, length) != OfHead::Renews {
        // That it is another one says no more than that its time is over.
        return None;
    }
    let ctx = ctx::get(request)?;
    let times = (ctx.created_ms, ctx.expires_ms);
    let new = take_in(request, conf, &mut asked, &lines);
    let ctx = ctx::get(request)?;
    (ctx.created_ms, ctx.expires_ms) = times;
    if new?.stored.is_ok() {
        // SAFETY: the zone of the request's location.
        unsafe { &*ctx.zone }.count(Counter::Revalidated);
    }
    Some(())
}

/// A header line of an answer.
struct TheLine {
    name: Vec<u8>,
    value: Vec<u8>,
    /// It is not stored.
    once: bool,
}

impl TheLine {
    fn owned(&self) -> Line {
        (self.name.clone(), self.value.clone())
    }

    fn shown_name(&self) -> &[u8] {
        renewal::shown_name(&self.name)
    }
}

/// The lines of the answer that is in the header; not the first `before`, which are another one's.
fn lines_of(request: Request<'_>, conf: &LocConf, before: usize) -> Vec<TheLine> {
    let mut facts = Facts::new(conf.headers());
    let mut lines = Vec::new();
    capture::hear_shown(request, &mut facts, before, |_, _, (name, value), fate| {
        lines.push(TheLine { name: name.to_vec(), value: value.to_vec(), once: fate == Fate::Once });
    });
    capture::hear_hidden(request, &mut facts, |(name, value), steers| {
        lines.push(TheLine { name: renewal::hidden(name), value: value.to_vec(), once: !steers });
    });
    for line in &mut lines {
        line.once |= facts.is_of_the_connection(&line.shown_name().to_ascii_lowercase());
    }
    lines
}

/// Whether a 304 is about the page that was asked about. Tells the log why not.
fn is_about(request: Request<'_>, lines: &[TheLine]) -> bool {
    let all: Vec<Line> = lines.iter().map(TheLine::owned).collect();
    let why = match asked(request).map(|asked| asked.origin.is_meant(&all)) {
        Some(true) => return true,
        Some(false) => "is about another page than was asked about",
        None => UNASKED,
    };
    log_useless(request, why);
    false
}

const UNASKED: &str = "has come though no condition was sent";

/// Tells the log of a 304 that is none.
fn log_useless(request: Request<'_>, why: &str) {
    ngx_log_error!(NGX_LOG_ERR, request.log(), "twice: the origin's status 304 {}", why);
}

/// A page with its new header.
struct New {
    /// Why it is not stored.
    stored: Result<(), Reason>,
    /// Its bytes before the literals.
    prefix: Vec<u8>,
}

fn renew(request: Request<'_>, conf: &LocConf, lines: &[TheLine]) -> Option<New> {
    // SAFETY: in the keeping of this live request's pool; nobody else looks at it until this returns.
    let asked = unsafe { ctx::get(request)?.asked.as_mut() }?;
    take_in(request, conf, asked, lines)
}

/// Takes the lines of an answer about the page in, and stores it anew; none when memory ran out. The context has its times
/// then.
fn take_in(request: Request<'_>, conf: &LocConf, asked: &mut Asked, lines: &[TheLine]) -> Option<New> {
    let stored: Vec<Line> = lines.iter().filter(|line| !line.once).map(TheLine::owned).collect();
    asked.origin.hide(&lines.iter().filter_map(|line| renewal::of_hidden(&line.name)).collect());
    asked.origin.renew(&stored);
    let mut facts = Facts::new(conf.headers());
    let mut kept = Lines::default();
    for (name, value) in &asked.origin.lines {
        if let Some(name) = renewal::of_hidden(name) {
            facts.line(name, value);
            kept.stripped.push((renewal::hidden(name), value.clone()));
            continue;
        }
        match facts.line(name, value).0 {
            Fate::Keep if !conf.steering.honor().strips(name) => {
                kept.kept.push((name.clone(), value.clone()))
            }
            Fate::Keep | Fate::Strip => kept.stripped.push((name.clone(), value.clone())),
            Fate::Once => {}
        }
    }
    // What `Connection` names is of the answer, and has been left out; a field that is stored by that name is the page's.
    let is_connection = |line: &TheLine| line.shown_name().eq_ignore_ascii_case(b"connection");
    for line in lines.iter().filter(|line| line.once && !is_connection(line)) {
        facts.line(line.shown_name(), &line.value);
    }
    kept.kept.retain(|(name, _)| !facts.withholds(name));
    let status = asked.origin.status;
    let rules = capture::rules(request, conf, asked.fixed.tagged())?;
    let verdict = decide(status, &facts, &rules);
    let (stated, all) = capture::dimensions(request, conf, &facts)?;
    let (lifetime, stated) = match (verdict.store, stated) {
        (Ok(seconds), Ok(stated)) => (Ok(seconds), stated),
        (Ok(_), Err(reason)) | (Err(reason), _) => (Err(reason), Dimensions::default()),
    };
    let ctx = ctx::get(request)?;
    let now = shm::now_ms();
    ctx.created_ms = now.saturating_sub(verdict.age.saturating_mul(1000));
    ctx.expires_ms = now.saturating_add(lifetime.unwrap_or(0).saturating_mul(1000));
    ctx.windows = verdict.windows;
    let head = Origin { lines: Vec::new(), ..asked.origin.clone() };
    let mut snapshot = Snapshot::of(head, kept, &facts, stated);
    if let Some(ignored) = conf.audit() {
        snapshot.leave_out(ignored, &facts);
    }
    // SAFETY: zones outlive the requests of their cycle.
    let zone = unsafe { &*asked.zone };
    let page = zone.store()?.page(asked.pin.as_ref()?)?;
    let fixed = &asked.fixed;
    let mut prefix = Vec::new();
    prefix.try_reserve(fixed.prefix_len()).ok()?;
    page.value_part(0, fixed.prefix_len()).for_each(|piece| prefix.extend_from_slice(piece));
    let program: Program<'_> = fixed.whole_program(&prefix)?;
    let generation = fixed.generation();
    let pieces: Vec<&[u8]> = page.value_part(fixed.prefix_len(), fixed.literals_len()).collect();
    let stored = match lifetime {
        Ok(_) => {
            // SAFETY: the key lies in the request's pool.
            let (key, hash) = unsafe { (&*ctx.key, ctx.hash) };
            let renews = Some(Renews { key, hash, entry: asked.found.entry });
            let tag = asked.found.meta.tag;
            let made = Made { program: &program, literals: &pieces, origin: None, generation, tag, renews };
            save(request, &snapshot, &made)
        }
        Err(reason) => Err(reason),
    };
    let Laid { prefix, .. } =
        snapshot.lay(&program, (fixed.literals_len(), generation), &all, conf.headers())?;
    Some(New { stored, prefix })
}
