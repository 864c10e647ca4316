//! A body on its way into the store.

use std::ptr;

use ngx::ffi::NGX_LOG_ERR;
use ngx::ngx_log_error;
use twice_core::include::Failure;
use twice_core::outcome::Reason;
use twice_core::source;
use twice_core::template::{Compiler, Limits, State};

use super::headers::Snapshot;
use super::outgoing::Outgoing;
use super::save;
use crate::conf::{self, LocConf};
use crate::ctx;
use crate::flight;
use crate::include::Includes;
use crate::shm::PAGE_EXTRA;
use crate::source::asked::Asked;
use crate::sys::Request;
use crate::values::{self, Ask, Coming, Resolved, Resolver};

/// What the body filter keeps for one answer.
pub struct Capture {
    /// The body as it is stored.
    pub recording: Recording,
    /// Buffers on their way to the client, where tags are filled.
    pub outgoing: Outgoing,
    /// Something is held back, because values or fragments are waited for.
    pub held: Option<Held>,
}

/// What nginx said of the buffers that are held back.
#[derive(Clone, Copy, Default)]
pub struct Held {
    /// They are to leave at once.
    pub flush: bool,
    pub last_buf: bool,
    pub last_in_chain: bool,
}

/// How far a rendering has come.
pub enum Progress {
    /// As far as there is a page.
    Rendered,
    /// As far as a value or a fragment that is waited for.
    Waits,
}

impl Capture {
    /// Nothing seen yet.
    pub fn new(recording: Recording) -> Self {
        Self { recording, outgoing: Outgoing::default(), held: None }
    }
}

enum Body {
    /// Goes through unchanged.
    Plain(Vec<u8>),
    /// Its tags are filled on the way.
    Tagged(Box<Tagged>),
    /// Seen and rendered to its end; true: it had tags.
    Done(bool),
}

struct Tagged {
    compiler: Compiler,
    state: State,
    /// Values of the slots so far, in the request's pool; empty where one is on its way.
    values: Vec<*const [u8]>,
    /// What sources were asked for, in the request's pool; null as long as none was.
    asked: *mut Asked,
    /// Looks ahead for fragments, where the page includes any and `state` is behind.
    scout: Option<State>,
    /// The fragments, in the request's pool; null as long as none was needed.
    includes: *mut Includes,
}

fn limits(max: usize) -> Limits {
    Limits { regex_buffer: max, ..Limits::default() }
}

/// For a body of at most `max` bytes with the tags of its location.
pub fn compiler(request: Request<'_>, conf: &LocConf, max: usize) -> Compiler {
    let sources = conf::main_of_request(request).source_names.clone();
    // SAFETY: a live request; the type lies in its pool or in the configuration.
    let content_type = unsafe { crate::sys::bytes((*request.raw()).headers_out.content_type) };
    Compiler::new(conf.delimiters().clone(), conf.escape(content_type), limits(max), sources)
}

/// The recording of one answer.
pub struct Recording {
    /// None: not stored (any more).
    snapshot: Option<Snapshot>,
    max: usize,
    /// What `Content-Length` promises, if it does.
    length: Option<u64>,
    seen: u64,
    body: Body,
    finished: bool,
}

impl Recording {
    /// `length` is nginx's `content_length_n`. `compiler`: where the body has tags.
    pub fn new(max: usize, length: i64, snapshot: Option<Snapshot>, compiler: Option<Compiler>) -> Self {
        let body = match compiler {
            Some(compiler) => Body::Tagged(Box::new(Tagged {
                compiler,
                state: State::new(&limits(max)),
                values: Vec::new(),
                asked: ptr::null_mut(),
                scout: None,
                includes: ptr::null_mut(),
            })),
            None => Body::Plain(Vec::new()),
        };
        Self { snapshot, max, length: u64::try_from(length).ok(), seen: 0, body, finished: false }
    }

    /// Whether the body has tags, so that the client gets another one than came.
    pub fn tagged(&self) -> bool {
        matches!(self.body, Body::Tagged(_) | Body::Done(true))
    }

    /// Whether it will not be stored, and was not.
    pub fn is_given_up(&self) -> bool {
        self.snapshot.is_none() && !self.finished
    }

    /// The answer will not be stored.
    pub fn give_up(&mut self, request: Request<'_>, reason: Reason) {
        if self.snapshot.take().is_none() {
            return;
        }
        if let Some(ctx) = ctx::get(request) {
            ctx.reason = reason;
            ctx.expires_ms = 0;
        }
        flight::not_stored(request, reason, 0);
        if let Body::Plain(body) = &mut self.body {
            *body = Vec::new();
        }
    }

    /// Takes the next piece of the body.
    pub fn feed(&mut self, request: Request<'_>, data: &[u8]) {
        self.seen = self.seen.saturating_add(data.len() as u64);
        match &mut self.body {
            Body::Plain(body) => {
                if self.snapshot.is_none() {
                    return;
                }
                if self.seen > self.max as u64 {
                    return self.give_up(request, Reason::TooLarge);
                }
                // The whole body at once where its length is known: what can't be had is not stored.
                let whole = self.length.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
                let more = whole.saturating_sub(body.len()).max(data.len());
                if body.capacity() - body.len() < data.len() && body.try_reserve(more).is_err() {
                    return self.give_up(request, Reason::Failed);
                }
                body.extend_from_slice(data);
            }
            Body::Tagged(tagged) => {
                tagged.compiler.feed(data);
                // The program of a page full of tags is larger than the page.
                if self.seen > self.max as u64 || tagged.compiler.size() > self.max + PAGE_EXTRA {
                    self.give_up(request, Reason::TooLarge);
                }
            }
            Body::Done(_) => {}
        }
    }

    /// The answer has come to its end.
    pub fn finish(&mut self, request: Request<'_>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if let Body::Tagged(tagged) = &mut self.body {
            tagged.compiler.finish();
            log_errors(request, &tagged.compiler);
            if tagged.compiler.size() > self.max + PAGE_EXTRA {
                self.give_up(request, Reason::TooLarge);
            }
        }
        if self.length.is_some_and(|promised| promised != self.seen) {
            self.give_up(request, Reason::Incomplete);
        }
        let Some(snapshot) = &self.snapshot else { return };
        let saved = match &self.body {
            Body::Plain(body) => save::plain(request, snapshot, body),
            Body::Tagged(tagged) => save::tagged(request, snapshot, &tagged.compiler),
            Body::Done(_) => return,
        };
        if let Body::Plain(_) = self.body {
            // The store has it: a slow client must not keep a second copy.
            self.body = Body::Done(false);
        }
        match saved {
            Ok(()) => {
                if let Some(ctx) = ctx::get(request) {
                    ctx.reason = Reason::Stored;
                }
                flight::stored(request);
                self.snapshot = None;
            }
            Err(reason) => self.give_up(request, reason),
        }
    }

    /// Runs what was compiled so far, with this visitor's values and fragments; none when memory ran out. Sources are asked
    /// for all values that the page so far has, whatever stands before them.
    pub fn render(&mut self, request: Request<'_>, out: &mut Outgoing) -> Option<Progress> {
        let Body::Tagged(tagged) = &mut self.body else { return Some(Progress::Rendered) };
        let Tagged { compiler, state, values: found, asked, scout, includes } = &mut **tagged;
        // A client that has left needs nothing.
        let left = request.is_broken();
        let known = found.len();
        if compiler.slots().len() > known {
            let ask = if left { Ask::Nothing } else { Ask::ForEach };
            // SAFETY: made for this live request.
            let mut resolver = unsafe { Resolver::resume(request, ask, *asked) };
            for (number, slot) in compiler.slots().enumerate().skip(known) {
                found.push(resolver.value(number, slot));
            }
            *asked = resolver.asked();
        }
        // SAFETY: the values lie in the pool and the header buffers of this request, which outlives
        // its capture; a raw slice has the layout of a reference to one.
        let slices = unsafe { std::slice::from_raw_parts(found.as_ptr().cast::<&[u8]>(), found.len()) };
        // SAFETY: null, or in the pool of this live request; nobody else looks at it until this returns.
        let so_far = unsafe { asked.as_ref() };
        let mut values = Coming { values: Resolved::of(slices), asked: so_far, includes: None };
        if compiler.includes() > 0 && !left {
            let scout = scout.get_or_insert_with(|| state.fork());
            let needed = compiler.needed(scout, &values).ok()?;
            ask(request, includes, compiler, &needed)?;
        }
        // As much as is recorded of a page is held back, and not more.
        let too_large = compiler.size() > self.max + PAGE_EXTRA;
        // SAFETY: as above.
        unsafe {
            if let Some(includes) = includes.as_mut().filter(|_| too_large) {
                includes.give_up(Failure::PageTooLarge);
            }
            if let Some(asked) = asked.as_mut().filter(|_| too_large) {
                asked.give_up(source::Failure::Busy);
            }
            (values.asked, values.includes) = (asked.as_ref(), includes.as_ref());
        }
        let mut sink = out.sink(request, compiler.literals());
        compiler.run(state, &values, &mut sink).ok()?;
        if sink.failed() {
            return None;
        }
        if compiler.is_behind(state) {
            return Some(Progress::Waits);
        }
        *scout = None;
        if self.snapshot.is_none() {
            // Nothing is stored: memory must not grow with an answer that streams by.
            compiler.drain(state);
        }
        if self.finished {
            if state.truncated() {
                values::log_truncated(request, &Limits::default());
            }
            // SAFETY: as above; what is printed was copied.
            unsafe { Asked::close(*asked) };
            self.body = Body::Done(true);
        }
        Some(Progress::Rendered)
    }
}

/// Asks for the fragments of a page that were not asked for yet; none when memory ran out.
fn ask(
    request: Request<'_>,
    includes: &mut *mut Includes,
    compiler: &Compiler,
    needed: &[usize],
) -> Option<()> {
    for &slot in needed {
        if includes.is_null() {
            *includes = Includes::of_page(request, true)?;
        }
        // SAFETY: made for this live request.
        if unsafe { (**includes).knows(slot) } {
            continue;
        }
        let uri = compiler.slots().nth(slot)?.key.to_vec();
        // SAFETY: as above.
        unsafe { Includes::ask(*includes, request, slot, &uri) };
    }
    Some(())
}

/// Tells the log what is wrong with a page's tags, once for each page that is stored.
fn log_errors(request: Request<'_>, compiler: &Compiler) {
    // SAFETY: a live request's URI.
    let page = unsafe { crate::sys::bytes((*request.raw()).uri) };
    for error in compiler.errors() {
        ngx_log_error!(
            NGX_LOG_ERR,
            request.log(),
            "twice: bad tag in page \"{}\": {}",
            page.escape_ascii(),
            error
        );
    }
    let more = compiler.error_count().saturating_sub(compiler.errors().len() as u64);
    if more > 0 {
        ngx_log_error!(
            NGX_LOG_ERR,
            request.log(),
            "twice: {} more bad tags in page \"{}\"",
            more,
            page.escape_ascii()
        );
    }
}
