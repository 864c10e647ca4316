//! What an answer says of its tags: the guard that they have, and the header lines that hold some.

use std::sync::Arc;

use ngx::ffi::{NGX_LOG_ERR, NGX_LOG_WARN, ngx_table_elt_t};
use ngx::ngx_log_error;
use twice_core::names::Names;
use twice_core::policy::{Facts, Inert};
use twice_core::template::{Compiler, Header, Limits};

use super::headers::Lines;
use crate::conf::{self, LocConf};
use crate::deliver::header_lines;
use crate::seldom::Seldom;
use crate::sys::{self, Request};
use crate::values::{Ask, Resolved, Resolver};

/// What is compiled of an answer before its body comes.
pub struct Tags {
    /// For the body.
    pub compiler: Compiler,
    lines: Vec<Line>,
}

/// A header line that may hold tags.
struct Line {
    line: *mut ngx_table_elt_t,
    header: Header,
    has_tags: bool,
    /// It is a part of the page.
    stored: bool,
}

/// Bounds of the tags of a body of at most `max` bytes.
pub fn limits(max: usize) -> Limits {
    Limits { regex_buffer: max, ..Limits::default() }
}

/// For a body of at most `max` bytes with the tags of its location and the guard of its answer. The header lines that hold
/// tags, behind the first `before`, are compiled and taken out of `lines`; none if the location's delimiters can't have this
/// guard.
pub fn begin(
    request: Request<'_>,
    conf: &LocConf,
    max: usize,
    facts: &Facts<'_>,
    before: usize,
    lines: &mut Lines,
) -> Option<Tags> {
    let delimiters = match facts.guard.token() {
        None => Arc::clone(conf.delimiters()),
        Some(token) => match conf.delimiters().guarded(token) {
            Ok(delimiters) => Arc::new(delimiters),
            Err(why) => {
                let page = uri(request);
                ngx_log_error!(
                    NGX_LOG_ERR,
                    request.log(),
                    "twice: page \"{}\" has no tags: \"twice_delimiters\" with its guard: {}",
                    page,
                    why
                );
                return None;
            }
        },
    };
    let sources = conf::main_of_request(request).source_names.clone();
    // SAFETY: a live request; the type lies in its pool or in the configuration.
    let content_type = unsafe { sys::bytes((*request.raw()).headers_out.content_type) };
    let mut compiler = Compiler::new(delimiters, conf.escape(content_type), limits(max), sources);
    if conf.audit().is_some() {
        compiler.note_origin();
    }
    let mut tags = Tags { compiler, lines: Vec::new() };
    if let Some((name, count)) = facts.tag_headers.refused() {
        log_refused(request, name, count);
    }
    for line in request.lines_out().skip(before) {
        tags.read(request, facts, line);
    }
    tags.take(lines);
    Some(tags)
}

impl Tags {
    /// Compiles a header line, if it is one of those that may hold tags.
    fn read(&mut self, request: Request<'_>, facts: &Facts<'_>, line: *mut ngx_table_elt_t) {
        // SAFETY: a line of this live request; a deleted one has hash 0.
        let ((name, value), deleted) = unsafe { (sys::pair(line), (*line).hash == 0) };
        if deleted || !facts.tag_headers.has(name) {
            return;
        }
        let header = self.compiler.header(value);
        for error in &header.errors {
            ngx_log_error!(
                NGX_LOG_ERR,
                request.log(),
                "twice: bad tag in header \"{}\" of page \"{}\": {} in \"{}\"",
                name.escape_ascii(),
                uri(request),
                error.kind,
                error.tag
            );
        }
        let has_tags = header.tags > 0 || header.literals != value;
        self.lines.push(Line { line, header, has_tags, stored: false });
    }

    /// Takes those that do out of `lines`, with the others of their names, whose order counts (RFC 9110 5.3).
    fn take(&mut self, lines: &mut Lines) {
        // SAFETY: lines of a live request.
        let name = |line: &Line| unsafe { sys::pair(line.line).0 };
        let with_tags: Names<'_> = self.lines.iter().filter(|line| line.has_tags).map(name).collect();
        self.lines.retain(|line| with_tags.has(name(line)));
        let kept: Names<'_> = lines.kept.iter().map(|line| line.0.as_slice()).collect();
        for line in &mut self.lines {
            // What is not kept is for this client alone. All lines of a name are, or none.
            line.stored = kept.has(name(line));
        }
        lines.take(&with_tags);
    }

    /// The header lines as they are stored.
    pub fn encode(&self) -> Vec<u8> {
        encode(self.lines.iter().filter(|line| line.stored))
    }

    /// Fills the header lines for the visitor that caused the fetch. Gives the values that the page has so far, in the
    /// order of its slots; none when memory ran out.
    pub fn fill(&self, request: Request<'_>) -> Option<Vec<*const [u8]>> {
        // No header line asks a source.
        let mut resolver = Resolver::new(request, Ask::Nothing);
        let slots = self.compiler.slots().enumerate();
        let values: Vec<&[u8]> = slots.map(|(number, slot)| resolver.value(number, slot)).collect();
        let encoded = encode(self.lines.iter());
        let mut lines = self.lines.iter();
        header_lines(request, &encoded, &Resolved::of(&values), |name, value| {
            // SAFETY: lines of this live request, which has the value in its pool. nginx leaves lines of hash 0 out.
            unsafe {
                let line = lines.next()?.line;
                match value {
                    Some(value) => (*line).value = sys::ngx_str(value),
                    None => (*line).hash = 0,
                }
                debug_assert_eq!(sys::pair(line).0, name);
            }
            Some(())
        })?;
        Some(values.into_iter().map(std::ptr::from_ref).collect())
    }
}

fn encode<'l>(lines: impl Iterator<Item = &'l Line>) -> Vec<u8> {
    let mut out = Vec::new();
    for Line { line, header, .. } in lines {
        // SAFETY: a line of a live request.
        header.encode(unsafe { sys::pair(*line) }.0, &mut out);
    }
    out
}

/// The path of the page, fit for a log.
fn uri(request: Request<'_>) -> String {
    // SAFETY: a live request's URI.
    unsafe { sys::bytes((*request.raw()).uri) }.escape_ascii().to_string()
}

/// A compiler, and the values of its slots so far, in the request's pool.
pub type Begun = (Compiler, Vec<*const [u8]>);

/// What the body of an answer with tags is compiled by, with the values that its header lines have brought: those of a
/// refresh, which nobody will see, bring none. The outer none: memory ran out.
pub fn for_body(request: Request<'_>, tags: Option<Tags>, seen: bool) -> Option<Option<Begun>> {
    let Some(tags) = tags else { return Some(None) };
    let values = if seen { tags.fill(request)? } else { Vec::new() };
    Some(Some((tags.compiler, values)))
}

/// Tells the log of an answer that has no tags for want of a good guard. Whether one that is stored would have any is seen when
/// its body has come; `unread`: nobody will look at this one's.
pub fn tell_inert(request: Request<'_>, why: Inert, unread: bool) {
    if why == Inert::BadGuard || unread {
        log_inert(request, why);
    }
}

/// Tells the log that what may look like tags in a page is text.
pub fn log_inert(request: Request<'_>, why: Inert) {
    static LINES: Seldom = Seldom::new();
    let Some(others) = LINES.others() else { return };
    ngx_log_error!(
        NGX_LOG_WARN,
        request.log(),
        "twice: page \"{}\" {}: its tags are text{}",
        uri(request),
        why.as_str(),
        others
    );
}

fn log_refused(request: Request<'_>, name: &[u8], count: usize) {
    static LINES: Seldom = Seldom::new();
    let Some(others) = LINES.others() else { return };
    let name = name.get(..name.len().min(100)).unwrap_or_default();
    ngx_log_error!(
        NGX_LOG_WARN,
        request.log(),
        "twice: \"Twice-Headers\" of page \"{}\" lists {} that can have no tags, \"{}\" first{}",
        uri(request),
        if count == 1 { "a header".to_owned() } else { format!("{count} headers") },
        name.escape_ascii(),
        others
    );
}
