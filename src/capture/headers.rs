//! Response header lines: what of them is stored, and what leaves instead of them.

use ngx::ffi::ngx_http_time;
use twice_core::audit::Ignored;
use twice_core::conditional::http_date;
use twice_core::marks::Keys;
use twice_core::names::Names;
use twice_core::outcome::{Reason, ReasonKind};
use twice_core::page::{self, Behind, Head, Program};
use twice_core::policy::{CacheControl, Facts, HeaderNames, Varies, is_targeted};
use twice_core::renewal::{self, Line, Origin};
use twice_core::variants::Dimensions;

use crate::conf;
use crate::sys::{self, Request};

/// The header's name.
const VARY: &[u8] = b"Vary";

/// `Cache-Control` of a page that holds a visitor's values, and of one that its origin will have kept nowhere.
const PRIVATE: &[u8] = b"private, no-cache";
const PRIVATE_NO_STORE: &[u8] = b"private, no-cache, no-store";

/// What stands in the place of these `Cache-Control` lines.
fn private<'v>(lines: impl Iterator<Item = &'v [u8]>) -> &'static [u8] {
    let mut said = CacheControl::default();
    for line in lines {
        said.add(line);
    }
    if said.no_store { PRIVATE_NO_STORE } else { PRIVATE }
}

/// What is stored of a response's header: owned, because it waits for the body's end.
#[derive(Default)]
pub struct Snapshot {
    /// As it came, with what is for Twice alone.
    origin: Origin,
    etag: Vec<u8>,
    last_modified: Vec<u8>,
    last_modified_time: i64,
    cache_control: Vec<u8>,
    location: Vec<u8>,
    lines: Vec<Line>,
    /// What the page can be purged by.
    pub keys: Keys,
    /// What the answer itself says it varies by.
    varies: Varies,
    /// That and what the configuration says.
    stated: Dimensions,
}

/// The lines of an answer that have to do with what is stored.
#[derive(Default)]
pub struct Lines {
    /// May be stored and sent.
    pub kept: Vec<Line>,
    /// For Twice alone.
    pub stripped: Vec<Line>,
    /// Which of the kept ones is a `Location` that nginx may still make absolute.
    pub location: Option<usize>,
    /// Lines with tags, compiled, which are not among the others.
    pub tagged: Vec<u8>,
}

impl Lines {
    /// Takes the lines of these names out of those that are kept.
    pub fn take(&mut self, names: &Names<'_>) {
        // The rest moves.
        self.location = self.location.and_then(|location| {
            let taken = |line: &&Line| names.has(&line.0);
            let before = self.kept.iter().take(location).filter(taken).count();
            self.kept.get(location).filter(|line| !taken(line)).map(|_| location - before)
        });
        self.kept.retain(|line| !names.has(&line.0));
    }
}

/// What hits send of a page, and what is kept beside it.
pub struct Laid {
    /// The bytes before the literals.
    pub prefix: Vec<u8>,
    /// Those behind them.
    pub cold: Vec<u8>,
}

impl Snapshot {
    /// Copies the header as the origin gave it, before any filter of nginx changes it. `facts` and `stated`: what the lines
    /// say together, and what the page varies by all in all. `recipe`: what its tags are read by.
    pub fn take(
        request: Request<'_>,
        lines: Lines,
        facts: &Facts<'_>,
        stated: Dimensions,
        recipe: u64,
    ) -> Option<Self> {
        // SAFETY: a live request; its header's strings live in its pool.
        let out = unsafe { &(*request.raw()).headers_out };
        // SAFETY: as above. What stands behind `content_type_len` is the charset, kept apart.
        let (content_type, charset) = unsafe { (sys::bytes(out.content_type), sys::bytes(out.charset)) };
        let origin = Origin {
            status: u16::try_from(out.status).ok()?,
            content_type: content_type.get(..out.content_type_len).unwrap_or(content_type).to_vec(),
            charset: charset.to_vec(),
            recipe,
            ..Origin::default()
        };
        let mut snapshot = Self::of(origin, lines, facts, stated);
        // A static file has the time alone; nginx formats it on each answer, we once.
        let is_withheld = facts.withholds(b"last-modified");
        let is_date = |line: &Line| line.0.eq_ignore_ascii_case(b"last-modified");
        let is_given = snapshot.origin.lines.iter().any(is_date);
        if !is_given && !is_withheld && out.last_modified_time != -1 {
            let mut text = [0; 64];
            // SAFETY: nginx writes 29 bytes, "Sun, 06 Nov 1994 08:49:37 GMT", and gives their end.
            let len = unsafe {
                let end = ngx_http_time(text.as_mut_ptr(), out.last_modified_time);
                end.offset_from_unsigned(text.as_ptr().cast_mut())
            };
            snapshot.last_modified = text.get(..len)?.to_vec();
            snapshot.last_modified_time = out.last_modified_time;
        }
        Some(snapshot)
    }

    /// The same of a header that is there already: `origin` is without its lines.
    pub fn of(origin: Origin, lines: Lines, facts: &Facts<'_>, stated: Dimensions) -> Self {
        let mut snapshot = Self {
            origin,
            last_modified_time: -1,
            keys: facts.keys.clone(),
            varies: facts.varies.clone(),
            stated,
            ..Self::default()
        };
        snapshot.origin.lines = lines.stripped;
        if !lines.tagged.is_empty() {
            snapshot.origin.tag_lines = lines.tagged;
        }
        snapshot.origin.lines.extend(lines.kept.iter().cloned());
        // Of two that differ clients are sent none, as the origin is asked by none.
        let validator = |lower: &[u8]| renewal::validator(&lines.kept, lower).unwrap_or_default().to_vec();
        (snapshot.etag, snapshot.last_modified) = (validator(b"etag"), validator(b"last-modified"));
        snapshot.last_modified_time = http_date(&snapshot.last_modified).unwrap_or(-1);
        for (i, (name, value)) in lines.kept.into_iter().enumerate() {
            if lines.location == Some(i) {
                snapshot.location = value;
                continue;
            }
            match name.to_ascii_lowercase().as_slice() {
                b"etag" | b"last-modified" => {}
                b"cache-control" => {
                    if !snapshot.cache_control.is_empty() {
                        snapshot.cache_control.extend_from_slice(b", ");
                    }
                    snapshot.cache_control.extend_from_slice(&value);
                }
                _ => snapshot.lines.push((name, value)),
            }
        }
        snapshot
    }

    /// How long the body was that came.
    pub fn set_body_len(&mut self, len: u64) {
        self.origin.body_len = len;
    }

    /// The same.
    pub fn body_len(&self) -> u64 {
        self.origin.body_len
    }

    /// Lines with tags, as [`twice_core::template::lines`] reads them.
    pub fn tag_lines(&self) -> &[u8] {
        &self.origin.tag_lines
    }

    /// Takes lines out that are of no use in a stored page. `facts`: what the lines say together.
    pub fn leave_out(&mut self, ignored: &Ignored, facts: &Facts<'_>) {
        if ignored.has(b"etag") {
            self.etag.clear();
        }
        if ignored.has(b"last-modified") {
            self.last_modified.clear();
            self.last_modified_time = -1;
        }
        self.lines.retain(|(name, _)| !ignored.has(name));
        // Nor are they to come back with what is kept beside the page, but what they say of it holds.
        self.origin.lines.retain(|(name, _)| !ignored.has(name) || facts.steers(name));
    }

    /// What the page varies by, unless its rules say more.
    pub fn stated(&self) -> &Dimensions {
        &self.stated
    }

    /// What the page's generation is made of.
    pub fn read_as(&self) -> Head<'_> {
        Head {
            status: self.origin.status,
            content_type: &self.origin.content_type,
            charset: &self.origin.charset,
            ..Head::default()
        }
    }

    /// The page's bytes around its literals, where it varies by `dimensions`. A page with tags does not send the validators
    /// of its origin: they speak of the template.
    pub fn lay(
        &self,
        program: &Program<'_>,
        (literals_len, generation): (usize, u64),
        dimensions: &Dimensions,
        names: &HeaderNames,
    ) -> Option<Laid> {
        let plain = program.code.is_empty() && self.tag_lines().is_empty();
        let vary = self.varies.line(dimensions, names);
        let is_replaced = |name: &[u8]| vary.is_some() && name.eq_ignore_ascii_case(b"vary");
        let head = Head {
            etag: if plain { &self.etag } else { b"" },
            last_modified: if plain { &self.last_modified } else { b"" },
            last_modified_time: if plain { self.last_modified_time } else { -1 },
            location: &self.location,
            tag_lines: self.tag_lines(),
            cache_control: if program.personal {
                private(std::iter::once(self.cache_control.as_slice()))
            } else {
                &self.cache_control
            },
            ..self.read_as()
        };
        let lines = || {
            self.lines
                .iter()
                .filter(|(name, _)| {
                    !(program.personal && is_outward(name) || !plain && is_of_the_bytes(name))
                })
                .filter(|(name, _)| !is_replaced(name))
                .map(|(name, value)| (name.as_slice(), value.as_slice()))
                .chain(vary.as_deref().map(|line| (VARY, line)))
        };
        let sent: Vec<_> = head.lines().chain(lines()).collect();
        let cold = renewal::cold(&self.origin, &sent);
        let behind = Behind { literals_len, cold_len: cold.len(), generation };
        Some(Laid { prefix: page::encode_prefix(&head, lines(), program, &behind)?, cold })
    }
}

/// Lines that tell other caches how long they may keep a page.
fn is_outward(name: &[u8]) -> bool {
    is_one_of(name, &[b"expires", b"pragma", b"surrogate-control", b"x-accel-expires"])
        || is_targeted(&name.to_ascii_lowercase())
}

/// Lines that speak of the very bytes, which tags change.
fn is_of_the_bytes(name: &[u8]) -> bool {
    is_one_of(name, &[b"content-md5", b"digest", b"repr-digest", b"content-digest"])
}

fn is_one_of(name: &[u8], lower: &[&[u8]]) -> bool {
    lower.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// Makes the answer of this fetch one visitor's: its tags are being filled.
pub fn make_private(request: Request<'_>) -> Option<()> {
    for line in request.lines_out() {
        // SAFETY: a line of this live request.
        unsafe {
            let (name, _) = sys::pair(line);
            let of_the_page: [&[u8]; 4] = [b"etag", b"last-modified", b"accept-ranges", b"content-length"];
            if is_one_of(name, &of_the_page) || is_of_the_bytes(name) {
                (*line).hash = 0;
            }
        }
    }
    // SAFETY: a live request; null and -1 are nginx's words for "not given".
    unsafe {
        let out = &raw mut (*request.raw()).headers_out;
        (*out).etag = std::ptr::null_mut();
        (*out).last_modified = std::ptr::null_mut();
        (*out).last_modified_time = -1;
        (*out).accept_ranges = std::ptr::null_mut();
        (*out).content_length = std::ptr::null_mut();
        (*out).content_length_n = -1;
    }
    keep_private(request)
}

/// Has [`private`] as the only line that speaks to caches.
pub fn keep_private(request: Request<'_>) -> Option<()> {
    let said = request.lines_out().filter_map(|line| {
        // SAFETY: a line of this live request; a deleted one has hash 0.
        let (name, value) = unsafe { if (*line).hash == 0 { return None } else { sys::pair(line) } };
        name.eq_ignore_ascii_case(b"cache-control").then_some(value)
    });
    let value = private(said);
    for line in request.lines_out() {
        // SAFETY: a line of this live request.
        unsafe {
            let (name, _) = sys::pair(line);
            if name.eq_ignore_ascii_case(b"cache-control") || is_outward(name) {
                (*line).hash = 0;
            }
        }
    }
    // SAFETY: a live request; null is nginx's word for "not given".
    unsafe {
        sys::forget_cache_control(request.raw());
        (*request.raw()).headers_out.expires = std::ptr::null_mut();
    }
    request.push_out(b"Cache-Control", value)?;
    Some(())
}

/// Has one line that tells other caches what the answer varies by.
pub fn tell_vary(request: Request<'_>, value: &[u8]) -> Option<()> {
    for line in request.lines_out() {
        // SAFETY: a line of this live request.
        unsafe {
            if sys::pair(line).0.eq_ignore_ascii_case(VARY) {
                (*line).hash = 0;
            }
        }
    }
    request.push_out(VARY, request.copy(value)?)?;
    Some(())
}

/// `Cache-Status` (RFC 9211) of an answer that was fetched.
pub fn cache_status(request: Request<'_>, forward: &str, collapsed: &str, reason: Reason) -> Option<()> {
    // Whether an answer that is audited will be stored is known at its end.
    let open = reason == Reason::Recording && conf::of(request).audit().is_some();
    let detail = match reason.kind() {
        _ if open => format!("; detail={}", reason.as_str()),
        ReasonKind::Stored => "; stored".to_owned(),
        _ => format!("; detail={}", reason.as_str()),
    };
    let text = format!("Twice; fwd={forward}{collapsed}{detail}");
    request.push_out(b"Cache-Status", request.copy(text.as_bytes())?)?;
    Some(())
}
