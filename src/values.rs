//! The values of one visitor: what a page's slots stand for in this request.
//!
//! All slots of a page are resolved before it is rendered, each once, however often its tag stands in
//! the page. The values are not copied: they lie in the request's header buffers or its pool.

use std::ptr;
use std::slice;

use ngx::ffi::{NGX_LOG_WARN, ngx_http_get_variable, ngx_pfree, ngx_uint_t};
use ngx::ngx_log_error;
use twice_core::cookies;
use twice_core::language::matches;
use twice_core::template::{Limits, Slot, Slots, Target, Values};

use crate::ab;
use crate::conf;
use crate::ctx::{self, Stage};
use crate::include::Includes;
use crate::language;
use crate::nonce;
use crate::outward;
use crate::shm;
use crate::source::asked::Asked;
use crate::sys::{self, Request};

/// What nginx's pools give as a piece of its own.
const LARGE: usize = 4 << 10;

/// Cookies that are indexed; a request with more is looked through again for the rest.
const INDEXED: usize = 24;

/// Values by slot number, in the request's pool: all are there.
#[derive(Clone, Copy)]
pub struct Resolved<'a> {
    values: &'a [&'a [u8]],
}

impl Values for Resolved<'_> {
    #[inline]
    fn value(&self, slot: usize) -> Option<&[u8]> {
        self.values.get(slot).copied()
    }
}

/// The same, and what came later or is on its way.
#[derive(Clone, Copy)]
pub struct Coming<'a> {
    /// Empty where a value was not known at once.
    pub values: Resolved<'a>,
    /// Values of sources.
    pub asked: Option<&'a Asked>,
    /// Fragments.
    pub includes: Option<&'a Includes>,
}

impl Values for Coming<'_> {
    fn value(&self, slot: usize) -> Option<&[u8]> {
        match (self.values.value(slot), self.asked) {
            (None | Some([]), Some(asked)) => asked.value(slot),
            (value, _) => value,
        }
    }

    fn fragment(&self, slot: usize) -> Option<&[u8]> {
        self.includes?.fragment(slot)
    }

    fn awaits_value(&self, slot: usize) -> bool {
        self.asked.is_some_and(|asked| asked.awaits(slot))
    }

    fn awaits_fragment(&self, slot: usize) -> bool {
        self.includes.is_some_and(|includes| includes.awaits(slot))
    }
}

impl<'a> Resolved<'a> {
    /// Values that were found one by one.
    pub fn of(values: &'a [&'a [u8]]) -> Self {
        Self { values }
    }

    /// The values, to be kept no longer than the request's pool.
    pub fn kept(&self) -> *const [&'static [u8]] {
        let first = self.values.as_ptr().cast::<&'static [u8]>();
        ptr::slice_from_raw_parts(first, self.values.len())
    }

    /// The page is printed: large values of sources, which were copied for it, go before the client has taken it all.
    /// `room`: bytes that all of them have at least.
    pub fn let_go(self, request: Request<'_>, slots: Slots<'_>, room: usize) {
        if room < LARGE {
            return;
        }
        for (slot, value) in slots.zip(self.values) {
            if slot.target == Target::Source && value.len() >= LARGE {
                // SAFETY: a live request's pool, which frees what it has given as a piece of its own, and nothing else.
                // Nobody reads the value any more.
                unsafe { ngx_pfree(request.pool(), value.as_ptr().cast_mut().cast()) };
            }
        }
    }
}

/// Tells the log that a page printed or changed more than it may.
pub fn log_truncated(request: Request<'_>, limits: &Limits) {
    ngx_log_error!(
        NGX_LOG_WARN,
        request.log(),
        "twice: the values of a page exceed {} bytes, its fragments {}, or its changes {}: the rest prints nothing, or its \
         default, or is not made",
        limits.output_max,
        limits.fragments_max,
        limits.changes_max
    );
}

/// Whether sources are asked for their values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// No: they count as missing.
    Nothing,
    /// Yes, and the page is woken when the last value is there.
    ForAll,
    /// Yes, and it is woken for each.
    ForEach,
}

/// Finds values. Reads the cookies once, when the first one is asked for.
pub struct Resolver<'a> {
    request: Request<'a>,
    cookies: [(&'a [u8], &'a [u8]); INDEXED],
    count: Option<usize>,
    ask: Ask,
    /// Null as long as no source was asked; in the request's pool.
    asked: *mut Asked,
}

impl<'a> Resolver<'a> {
    /// Nothing read yet.
    pub fn new(request: Request<'a>, ask: Ask) -> Self {
        Self { request, cookies: [(b"", b""); INDEXED], count: None, ask, asked: ptr::null_mut() }
    }

    /// The same of a page that has asked before, if it did.
    ///
    /// # Safety
    /// `asked` must be null, or what [`Resolver::asked`] gave for this live request.
    pub unsafe fn resume(request: Request<'a>, ask: Ask, asked: *mut Asked) -> Self {
        Self { asked, ..Self::new(request, ask) }
    }

    /// What the page has asked sources for, in the request's pool; null if nothing.
    pub fn asked(&self) -> *mut Asked {
        self.asked
    }

    /// Resolves all slots, and adds up the bytes that their tags print before filters; none when memory
    /// ran out.
    pub fn all(&mut self, slots: Slots<'_>) -> Option<(Resolved<'a>, usize)> {
        let count = slots.remaining();
        let place = self.request.alloc_array::<&'a [u8]>(count)?;
        let (mut n, mut bytes) = (0, 0usize);
        for slot in slots.take(count) {
            let value = self.value(n, slot);
            bytes = bytes.saturating_add(value.len().saturating_mul(slot.uses as usize));
            // SAFETY: room for `count` slices was allocated, and `n < count`.
            unsafe { place.add(n).write(value) };
            n += 1;
        }
        // SAFETY: the first `n` were written.
        Some((Resolved::of(unsafe { slice::from_raw_parts(place, n) }), bytes))
    }

    /// The value of one slot, empty if it is missing or on its way. Slots come in the order of their numbers.
    pub fn value(&mut self, number: usize, slot: Slot<'_>) -> &'a [u8] {
        match slot.target {
            Target::Cookie => self.cookie(slot.key),
            Target::Header => self.request.header_in(slot.key),
            Target::Arg => self.arg(slot.key),
            Target::Var => self.variable(slot.key, slot.hash),
            Target::Lang => self.language(slot.key),
            Target::Geo => outward::said_country(self.request, conf::of(self.request)),
            Target::Ip => Some(self.request.address()),
            Target::Page => self.page(slot.key),
            Target::AbValue => ab::ab_value(self.request, slot.key),
            // A fragment, asked for by a sub-request if the page prints it.
            Target::Include => None,
            Target::Source => self.source(number, slot),
            Target::Nonce => nonce::of(self.request),
        }
        .unwrap_or_default()
    }

    fn source(&mut self, number: usize, slot: Slot<'_>) -> Option<&'a [u8]> {
        if self.ask == Ask::Nothing {
            return None;
        }
        if self.asked.is_null() {
            self.asked = Asked::of_page(self.request, self.ask == Ask::ForEach)?;
        }
        // SAFETY: the zone of the request's location, alive as long as its configuration; what was made for this request.
        unsafe {
            let zone = ctx::get(self.request)?.zone.as_ref()?;
            Some(Asked::ask(self.asked, self.request, zone, number, slot.source()?))
        }
    }

    /// The first cookie of this name.
    pub fn cookie(&mut self, name: &[u8]) -> Option<&'a [u8]> {
        let count = self.indexed();
        let known = self.cookies.get(..count)?.iter().find(|(n, _)| *n == name).map(|c| c.1);
        if known.is_none() && count == INDEXED {
            return all_cookies(self.request).find(|(n, _)| *n == name).map(|c| c.1);
        }
        known
    }

    /// All cookies of this name, which stand apart by what no value holds: applications take the first one, or the last. None:
    /// memory ran out.
    pub fn cookies(&mut self, name: &[u8]) -> Option<Option<&'a [u8]>> {
        let count = self.indexed();
        let is_named = |cookie: &(&'a [u8], &'a [u8])| cookie.0 == name;
        match self.cookies.get(..count) {
            Some(known) if count < INDEXED => joined(self.request, || known.iter().copied().filter(is_named)),
            _ => joined(self.request, || all_cookies(self.request).filter(is_named)),
        }
    }

    /// How many cookies are in the index.
    fn indexed(&mut self) -> usize {
        match self.count {
            Some(count) => count,
            None => self.index_cookies(),
        }
    }

    fn index_cookies(&mut self) -> usize {
        let mut count = 0;
        for (place, cookie) in self.cookies.iter_mut().zip(all_cookies(self.request)) {
            *place = cookie;
            count += 1;
        }
        self.count = Some(count);
        count
    }

    /// As `$arg_NAME`, but for the case of the name, which counts: as it came, not decoded.
    fn arg(&self, name: &[u8]) -> Option<&'a [u8]> {
        // SAFETY: a live request's query.
        let args = unsafe { sys::bytes((*self.request.raw()).args) };
        args.split(|&b| b == b'&').find_map(|arg| arg.strip_prefix(name)?.strip_prefix(b"="))
    }

    fn variable(&self, name: &[u8], hash: u64) -> Option<&'a [u8]> {
        // nginx may keep the name's pointer in a value that outlives the page's memory.
        let mut name = sys::ngx_str(self.request.copy(name)?);
        // SAFETY: the name is in lower case and the hash is nginx's own of it, as the function asks for;
        // its value lives in the request's pool.
        unsafe {
            let value = ngx_http_get_variable(self.request.raw(), &raw mut name, hash as ngx_uint_t);
            sys::value_of(value)
        }
    }

    /// The language itself for the keys `tag` and `current`; for a language range, the language if it is
    /// of that range.
    fn language(&self, key: &[u8]) -> Option<&'a [u8]> {
        let tag = language::language(self.request);
        if key != b"tag" && key != b"current" && !matches(tag, key) {
            return None;
        }
        if tag.iter().any(u8::is_ascii_uppercase) { language::lower(self.request, tag) } else { Some(tag) }
    }

    fn page(&self, key: &[u8]) -> Option<&'a [u8]> {
        let number = if key == b"status" {
            // SAFETY: a live request.
            unsafe { (*self.request.raw()).headers_out.status as u64 }
        } else {
            let hit = ctx::get(self.request).filter(|ctx| ctx.stage == Stage::Hit);
            hit.map_or(0, |ctx| ctx.times().age_seconds(shm::now_ms()))
        };
        sys::decimal(self.request, number)
    }
}

/// The values of cookies in one text; the inner none where there are none.
fn joined<'a, I: Iterator<Item = (&'a [u8], &'a [u8])>>(
    request: Request<'a>,
    cookies: impl Fn() -> I,
) -> Option<Option<&'a [u8]>> {
    let mut all = cookies();
    let first = all.next().map(|cookie| cookie.1);
    let Some(second) = all.next() else { return Some(first) };
    let room =
        all.fold(first.map_or(0, <[u8]>::len) + 1 + second.1.len(), |room, cookie| room + 1 + cookie.1.len());
    let text = request.join(room, |out| {
        for (i, (_, value)) in cookies().enumerate() {
            if i > 0 {
                out(b";");
            }
            out(value);
        }
    });
    text.map(Some)
}

/// The cookies of a request in order, over all its `Cookie` lines.
pub fn all_cookies<'a>(request: Request<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    cookie_lines(request).flat_map(cookies::pairs)
}

/// What its `Cookie` lines say, in order.
pub fn cookie_lines<'a>(request: Request<'a>) -> impl Iterator<Item = &'a [u8]> {
    request.lines_in().filter_map(|line| {
        // SAFETY: a line of this live request.
        let (name, value) = unsafe { sys::pair(line) };
        (name.len() == 6 && name.eq_ignore_ascii_case(b"cookie")).then_some(value)
    })
}
