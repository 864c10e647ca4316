//! What an answer's header lines say: those that are on their way to the client, and those that are hidden from it.

use ngx::ffi::{NGX_LOG_WARN, ngx_table_elt_t};
use ngx::ngx_log_error;
use twice_core::names::Names;
use twice_core::policy::{Facts, Fate, Honor, Lifetime, Note};
use twice_core::renewal::{self, is_of_this_answer};

use super::headers::Lines;
use crate::ctx;
use crate::sys::{self, Request};

/// Lines of an answer where they lie, in its request's pool: most answers that are read are not stored.
#[derive(Default)]
pub struct Read<'a> {
    kept: Vec<(&'a [u8], &'a [u8], bool)>,
    stripped: Vec<(&'a [u8], &'a [u8])>,
    hidden: Vec<(&'a [u8], &'a [u8])>,
}

impl Read<'_> {
    /// Copies them.
    pub fn copy(&self) -> Lines {
        let own = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        let hidden = self.hidden.iter().map(|(name, value)| (renewal::hidden(name), value.to_vec()));
        Lines {
            kept: self.kept.iter().map(|(name, value, _)| own(name, value)).collect(),
            stripped: self.stripped.iter().map(|(name, value)| own(name, value)).chain(hidden).collect(),
            location: self.kept.iter().position(|(_, _, is_location)| *is_location),
            ..Lines::default()
        }
    }
}

/// Hands the header lines over, takes the control lines out, and gives those that have to do with what is stored: not the
/// first `before`, which are another answer's.
pub fn read_lines<'a>(request: Request<'a>, facts: &mut Facts<'_>, honor: &Honor, before: usize) -> Read<'a> {
    let mut read = Read::default();
    hear_shown(request, facts, 0, |i, line, (name, value), fate| match fate {
        Fate::Keep if !honor.strips(name) => {
            if i >= before {
                // SAFETY: a live request.
                let is_location = unsafe { std::ptr::eq(line, (*request.raw()).headers_out.location) };
                read.kept.push((name, value, is_location));
            }
        }
        Fate::Once => {}
        Fate::Strip | Fate::Keep => {
            if i >= before && !is_of_this_answer(name) {
                read.stripped.push((name, value));
            }
            // SAFETY: as above. nginx's header filter leaves lines of hash 0 out.
            unsafe { (*line).hash = 0 };
        }
    });
    hear_hidden(request, facts, |(name, value), steers| {
        if steers {
            read.hidden.push((name, value));
        }
    });
    read.kept.retain(|(name, ..)| !facts.withholds(name));
    read
}

/// Hands over the lines that are on their way to the client, but for the first `before`. `each` is told of the line with its
/// place, name and value, and what becomes of it.
pub fn hear_shown<'a>(
    request: Request<'a>,
    facts: &mut Facts<'_>,
    before: usize,
    mut each: impl FnMut(usize, *mut ngx_table_elt_t, (&'a [u8], &'a [u8]), Fate),
) {
    for (i, line) in request.lines_out().enumerate().skip(before) {
        // SAFETY: a line of this live request; a deleted one has hash 0.
        let (name, value) = unsafe {
            if (*line).hash == 0 {
                continue;
            }
            sys::pair(line)
        };
        let fate = hear(request, facts, name, value);
        each(i, line, (name, value), fate);
    }
}

/// Hands over the lines of the origin's answer that nginx keeps to itself (its own `X-Accel-Expires`, `Connection`, `Date`) or
/// that the location hides from clients: they steer nginx's own cache, too. `each` is told of them, and whether a later answer
/// about the page needs to know of them.
pub fn hear_hidden<'a>(
    request: Request<'a>,
    facts: &mut Facts<'_>,
    mut each: impl FnMut((&'a [u8], &'a [u8]), bool),
) {
    let Some(ctx) = ctx::get(request) else { return };
    let (before, former) = (ctx.lines_before, ctx.upstream_before);
    let Some(lines) = request.upstream_lines(former) else { return };
    // SAFETY: lines of this live request. One that was just taken out was read all the same.
    let shown: Names<'_> =
        request.lines_out().skip(before).map(|line| unsafe { sys::pair(line).0 }).collect();
    for line in lines {
        // SAFETY: a line of the upstream of this live request; a deleted one has hash 0.
        let (name, value) = unsafe { if (*line).hash == 0 { continue } else { sys::pair(line) } };
        // What another answer has said before, under the same name, is not what this one says.
        if shown.has(name) {
            continue;
        }
        hear(request, facts, name, value);
        each((name, value), facts.steers(name));
    }
}

/// Hands over one line, and tells the log what is odd about it.
fn hear(request: Request<'_>, facts: &mut Facts<'_>, name: &[u8], value: &[u8]) -> Fate {
    let (fate, note) = facts.line(name, value);
    if let Some(note) = note {
        log_note(request, name, value, note);
    }
    fate
}

fn log_note(request: Request<'_>, name: &[u8], value: &[u8], note: Note) {
    let (Note::Lifetime(lifetime) | Note::Over(lifetime)) = note;
    let what = match lifetime {
        Lifetime::Malformed if matches!(note, Note::Over(_)) => "holds no number of seconds, taken as 0",
        Lifetime::Malformed => "holds no number of seconds, taken as not given",
        Lifetime::Saturated => "holds a number that is too large, taken as 2147483648 seconds",
        Lifetime::Seconds(_) => return,
    };
    let value = value.get(..value.len().min(100)).unwrap_or_default();
    ngx_log_error!(
        NGX_LOG_WARN,
        request.log(),
        "twice: response header \"{}: {}\" {}",
        name.escape_ascii(),
        value.escape_ascii(),
        what
    );
}
