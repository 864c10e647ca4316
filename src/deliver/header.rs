//! The header of a page that is served.

use std::ptr;

use twice_core::outcome::{CacheStatus, Reason};
use twice_core::page::{Fixed, View};

use super::Way;
use crate::ctx;
use crate::shm;
use crate::sys::{self, Request};

/// Response header lines of a hit, but for those that [`conclude`] adds.
pub fn header<'a>(request: Request<'a>, way: Way, fixed: &Fixed, view: &View<'a>) -> Option<()> {
    let head = &view.head;
    let ctx = ctx::get(request)?;
    ctx.personal = fixed.personal();
    let times = ctx.times();
    let now = shm::now_ms();
    let r = request.raw();
    // SAFETY: a live request; all strings are in its pool.
    unsafe {
        let out = &raw mut (*r).headers_out;
        (*out).status = usize::from(head.status);
        (*out).content_type = sys::ngx_str(head.content_type);
        (*out).content_type_len = head.content_type.len();
        (*out).content_type_lowcase = ptr::null_mut();
        (*out).charset = sys::ngx_str(head.charset);
        for (name, value) in view.headers() {
            let line = request.push_out(name, value)?;
            if name.eq_ignore_ascii_case(b"server") {
                // nginx prints its own unless it knows of this one.
                (*out).server = line;
            } else if name.eq_ignore_ascii_case(b"expires") {
                (*out).expires = line;
            } else if name.eq_ignore_ascii_case(b"date") {
                (*out).date = line;
            }
        }
        if !head.location.is_empty() {
            (*out).location = request.push_out(b"Location", head.location)?;
        }
        if !head.cache_control.is_empty() {
            let line = request.push_out(b"Cache-Control", head.cache_control)?;
            if !fixed.personal() {
                sys::know_cache_control(r, line)?;
            }
        }
        if !head.last_modified.is_empty() {
            // With the line in place nginx does not format the time again.
            (*out).last_modified = request.push_out(b"Last-Modified", head.last_modified)?;
            (*out).last_modified_time = head.last_modified_time;
        }
    }
    if request.is_main() {
        request.push_out(b"Age", sys::decimal(request, times.age_seconds(now))?)?;
        cache_status(request, times.ttl_seconds(now), way)?;
    }
    Some(())
}

/// `Cache-Status` (RFC 9211). A page that stands in was asked for at the origin first: no hit.
fn cache_status(request: Request<'_>, ttl: i64, way: Way) -> Option<()> {
    let mut digits = [0; 21];
    let len = sys::write_signed(&mut digits, ttl);
    let digits = digits.get(..len)?;
    let by_request = ctx::get(request)?.by_request;
    let why = if by_request { "request" } else { "stale" };
    let forwarded = match way {
        Way::Hit => None,
        Way::StandIn(status) => {
            let status = status.map_or(String::new(), |status| format!("; fwd-status={status}"));
            Some(format!("Twice; fwd={why}{status}; detail={}; ttl=", Reason::OriginFailed.as_str()))
        }
        Way::Revalidated(stored) => {
            let stored = if stored { "; stored" } else { "" };
            Some(format!("Twice; fwd={why}; fwd-status=304{stored}; ttl="))
        }
    };
    if let Some(head) = forwarded {
        let text = [head.as_bytes(), digits].concat();
        return request.push_out(b"Cache-Status", request.copy(&text)?).map(|_| ());
    }
    // A page that another one's fetch brought was not there when it was asked for.
    let how: &[u8] = match ctx::get(request)?.waited_for {
        None => b"Twice; hit; ttl=",
        Some(CacheStatus::Expired) if by_request => b"Twice; fwd=request; collapsed; ttl=",
        Some(CacheStatus::Expired) => b"Twice; fwd=stale; collapsed; ttl=",
        Some(_) => b"Twice; fwd=uri-miss; collapsed; ttl=",
    };
    let mut text = [0; 64];
    let mut at = 0;
    for part in [how, digits] {
        text[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    request.push_out(b"Cache-Status", request.copy(&text[..at])?).map(|_| ())
}
