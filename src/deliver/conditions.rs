//! A client's conditions and ranges on a page that is about to be sent.
//!
//! nginx's own filter knows no precedence of tags over dates (RFC 9110 13.2.2) and nothing of pages that hold a visitor's
//! values, so that it is told to keep out; `core/conditional.rs` decides. Ranges are cut by nginx's filter, which is told
//! here whether it may.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_HEAD, NGX_HTTP_NOT_MODIFIED, NGX_HTTP_OK, NGX_HTTP_PRECONDITION_FAILED, ngx_chain_t,
    ngx_http_clean_header, ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_int_t, ngx_table_elt_t,
};
use twice_core::conditional::{Conditions, Validators, Verdict, evaluate, if_range};
use twice_core::page::{Fixed, Head};

use crate::ctx;
use crate::sys::{self, Chain, Request};

/// The answer to a condition that does not hold.
pub const FAILED: ngx_int_t = NGX_HTTP_PRECONDITION_FAILED as ngx_int_t;

/// The status with which a page leaves: that of the error whose page it is (`error_page`), which nginx puts in the place of
/// its own, else its own.
fn leaves_as(request: Request<'_>, head: &Head<'_>) -> usize {
    // SAFETY: a live request.
    match unsafe { (*request.raw()).err_status } {
        0 => usize::from(head.status),
        error => error,
    }
}

/// Holds the request's conditions against a page that leaves with this status. Sub-requests have none.
fn ask<'a>(request: Request<'a>, status: usize, page: &Validators<'a>) -> Verdict<'a> {
    if !request.is_main() || !(200..300).contains(&status) {
        return Verdict::Send;
    }
    // SAFETY: a live request: null, or the first line of this name.
    let known = unsafe {
        let lines = &(*request.raw()).headers_in;
        [lines.if_match, lines.if_none_match, lines.if_modified_since, lines.if_unmodified_since]
    };
    if known.iter().all(|line| line.is_null()) {
        return Verdict::Send;
    }
    let [if_match, if_none_match, since, unmodified] = known;
    let since = if looks_at_dates(request) { since } else { ptr::null_mut() };
    let conditions = Conditions {
        if_match: value(if_match),
        if_none_match: value(if_none_match),
        if_modified_since: value(since),
        if_unmodified_since: value(unmodified),
    };
    evaluate(&conditions, page)
}

/// nginx refuses a request that has two lines of one of these names.
fn value<'a>(line: *const ngx_table_elt_t) -> Option<&'a [u8]> {
    // SAFETY: null, or a line of a live request.
    (!line.is_null()).then(|| unsafe { sys::pair(line).1 })
}

/// nginx's `if_modified_since`: where it is off dates of clients say nothing.
fn looks_at_dates(request: Request<'_>) -> bool {
    const OFF: usize = 0;
    // SAFETY: the core module has a configuration for each location.
    unsafe {
        let conf = (*(*request.raw()).loc_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_loc_conf_t>();
        (*conf).if_modified_since != OFF
    }
}

/// Says by what the page can be named, and what becomes of it by the client's conditions. Its header is filled in: where it
/// is not sent, that is the header of a 304, or none any more. `etag` is the page's, or empty; none when memory ran out.
pub fn conclude<'a>(
    request: Request<'a>,
    fixed: &Fixed,
    head: &Head<'a>,
    etag: &'a [u8],
) -> Option<Verdict<'a>> {
    let last_modified = Some(head.last_modified_time).filter(|time| *time != -1);
    let page = Validators { etag, last_modified, made: ctx::get(request)?.times().made() };
    // Whoever asks for what is another page each time gets it, whatever he says.
    let named = !fixed.tagged() || !etag.is_empty();
    let status = leaves_as(request, head);
    let verdict = if named { ask(request, status, &page) } else { Verdict::Send };
    let told = match verdict {
        Verdict::Send => etag,
        Verdict::NotModified(told) => told,
        Verdict::Failed => {
            // SAFETY: a live request, whose header is not sent: nginx's own filter does so, too.
            unsafe { ngx_http_clean_header(request.raw()) };
            return Some(verdict);
        }
    };
    // SAFETY: a live request; the line is in its pool.
    unsafe {
        (*request.raw()).set_disable_not_modified(1);
        if !told.is_empty() {
            (*request.raw()).headers_out.etag = request.push_out(b"ETag", told)?;
        }
    }
    match verdict {
        Verdict::Send => allow_ranges(request, named && status == NGX_HTTP_OK as usize, &page)?,
        _ => not_modified(request),
    }
    Some(verdict)
}

/// Makes the header that is filled in that of a 304, as nginx's own filter does.
fn not_modified(request: Request<'_>) {
    // SAFETY: a live request; null, 0 and -1 are nginx's words for "not given".
    unsafe {
        let r = request.raw();
        let out = &raw mut (*r).headers_out;
        (*out).status = NGX_HTTP_NOT_MODIFIED as usize;
        (*out).status_line.len = 0;
        (*out).content_type.len = 0;
        (*out).content_length_n = -1;
        (*out).content_length = ptr::null_mut();
        (*r).set_allow_ranges(0);
    }
}

/// Has nginx cut parts out of a page, where the client may have some; none when memory ran out. `whole`: its status is 200,
/// and the bytes that leave are the same whenever the page says that it is this one.
fn allow_ranges<'a>(request: Request<'a>, whole: bool, page: &Validators<'a>) -> Option<()> {
    let r = request.raw();
    // SAFETY: a live request; null, or the first line of this name.
    unsafe {
        (*r).set_allow_ranges(0);
        (*r).set_single_range(1);
        if !whole || !request.is_main() {
            return Some(());
        }
        let condition = (*r).headers_in.if_range;
        // Parts are for GET alone (RFC 9110 14.2), which nginx's filter doesn't look at.
        let is_head = (*r).method == NGX_HTTP_HEAD as usize;
        if !is_head && (condition.is_null() || if_range(sys::pair(condition).1, page)) {
            (*r).set_allow_ranges(1);
            if !(*r).headers_in.range.is_null() {
                // Beside a 200 it means nothing (RFC 9110 14.4); a part gets its own.
                for line in request.lines_out() {
                    if sys::pair(line).0.eq_ignore_ascii_case(b"content-range") {
                        (*line).hash = 0;
                    }
                }
            }
            return Some(());
        }
        // The whole page goes out, and says that another time it could be a part.
        let line = request.push_out(b"Accept-Ranges", b"bytes")?;
        (*r).headers_out.accept_ranges = line;
    }
    Some(())
}

/// A body that the client asks several ranges of, in one buffer: nginx's filter cuts several out of nothing else. None
/// when memory ran out. `most`: a longer one stays as it is, and goes out whole.
pub fn for_ranges(
    request: Request<'_>,
    chain: *mut ngx_chain_t,
    len: usize,
    most: usize,
) -> Option<*mut ngx_chain_t> {
    let r = request.raw();
    // SAFETY: a live request; null, or its line of this name.
    let several = unsafe {
        let range = (*r).headers_in.range;
        (*r).allow_ranges() != 0 && !range.is_null() && sys::pair(range).1.contains(&b',')
    };
    if !several || len > most {
        return Some(chain);
    }
    // SAFETY: as above.
    unsafe { (*r).set_single_range(0) };
    // SAFETY: the body's chain, in the request's pool.
    if unsafe { (*chain).next.is_null() } {
        return Some(chain);
    }
    let joined = request.join(len, |write| {
        let mut link = chain;
        while !link.is_null() {
            // SAFETY: as above; its buffers are memory that nobody writes any more.
            unsafe {
                write(sys::content((*link).buf).0);
                link = (*link).next;
            }
        }
    })?;
    let mut chain = Chain::new(request);
    // SAFETY: in the request's pool, and not written any more.
    unsafe { chain.push(joined.as_ptr(), joined.len()) }?;
    chain.finish()
}
