//! Header lines with tags.

use std::cell::Cell;

use ngx::ffi::NGX_LOG_WARN;
use ngx::ngx_log_error;
use twice_core::page::{Fixed, View};
use twice_core::template::{Limits, MAX_HEADER, Values, lines};

use super::with_state;
use crate::seldom::Seldom;
use crate::sys::Request;

/// Adds a stored page's header lines with tags, filled. None when memory ran out, or the page is none.
pub fn add<'a>(request: Request<'a>, fixed: &Fixed, view: &View<'a>, values: &impl Values) -> Option<()> {
    if !fixed.has_tag_lines() {
        return Some(());
    }
    header_lines(request, view.head.tag_lines, values, |name, value| match value {
        Some(value) => request.push_out(name, value).map(|_| ()),
        None => Some(()),
    })
}

/// Fills header lines one by one and hands them over, with the value in the request's pool: none where nothing is left to
/// say, or too much.
pub fn header_lines<'a, 'l>(
    request: Request<'a>,
    encoded: &'l [u8],
    values: &impl Values,
    mut put: impl FnMut(&'l [u8], Option<&'a [u8]>) -> Option<()>,
) -> Option<()> {
    thread_local! {
        static VALUE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    for line in lines(encoded) {
        let mut value = VALUE.take();
        let fits = with_state(&Limits::default(), |state| line.print(state, values, &mut value)).ok()?;
        if !fits {
            log_too_long(request, line.name);
        }
        let shown = fits && !value.trim_ascii().is_empty();
        let copy = if shown { Some(request.copy(&value)?) } else { None };
        VALUE.set(value);
        put(line.name, copy)?;
    }
    Some(())
}

fn log_too_long(request: Request<'_>, name: &[u8]) {
    static LINES: Seldom = Seldom::new();
    let Some(others) = LINES.others() else { return };
    ngx_log_error!(
        NGX_LOG_WARN,
        request.log(),
        "twice: a header \"{}\" with its values is longer than {} bytes, and left out{}",
        name.escape_ascii(),
        MAX_HEADER,
        others
    );
}
