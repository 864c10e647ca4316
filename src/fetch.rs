//! A miss: the location's own handler answers, and asks its origin for what can be shared.
//!
//! The request's header lines are exchanged for a copy of them: with the mark that asks the app for
//! template text and what Twice knows of the visitor (A/B values, country), without what only Twice may say, and, where the answer may be
//! stored or may renew what is, without what would make it a part, a condition's or one client's (Range, If-*,
//! Accept-Encoding, Cache-Control) and what `twice_withhold` names. Where a stored page has expired its own validators are sent ([`crate::revalidate`]).
//! Upstream handlers build their request before they return, so that the client's own list comes back
//! right after the call. A request with a body may build it later: there nothing but the marks is
//! exchanged, for good.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_http_request_t, ngx_int_t, ngx_list_init, ngx_list_t,
    ngx_table_elt_t, ngx_uint_t,
};
use twice_core::policy::{HeaderKey, is_alike};
use twice_core::renewal::Question;
use twice_core::template::ngx_key;

use crate::ab;
use crate::conf::{self, LocConf};
use crate::ctx::{self, Stage};
use crate::guard::guarded;
use crate::language;
use crate::leaving;
use crate::outward;
use crate::revalidate;
use crate::shm;
use crate::stand_in;
use crate::sys::{self, DECLINED, OK, Request};

/// Puts Twice in front of the location's own content handler, if it has one: static files come from
/// nginx's content phase, which reads nothing of what is exchanged here.
pub fn install(request: Request<'_>) {
    let Some(ctx) = ctx::get(request) else { return };
    // SAFETY: a live request.
    unsafe {
        ctx.content_handler = (*request.raw()).content_handler;
        if ctx.content_handler.is_some() {
            (*request.raw()).content_handler = Some(content_handler);
        }
    }
}

unsafe extern "C" fn content_handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    guarded(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t, || {
        // SAFETY: nginx passes a live request to its content handler.
        let request = unsafe { Request::new(r) };
        let Some((handler, stage, flight, zone)) =
            ctx::get(request).and_then(|c| Some((c.content_handler?, c.stage, c.flight, c.zone)))
        else {
            return DECLINED;
        };
        if let Some(ctx) = ctx::get(request) {
            ctx.asked_ms = shm::now_ms();
        }
        // SAFETY: a live request; a list head is plain memory.
        let original = unsafe { (*r).headers_in.headers };
        let conf = conf::of(request);
        let fetch = stage == Stage::Fetch;
        // What it says of a stored page is for all, too.
        let shared = fetch || revalidate::is_head_of_a_page(request, conf);
        let question = if fetch { revalidate::ask(request, conf) } else { Question::default() };
        if !exchange(request, conf, shared, question) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
        }
        // SAFETY: as above. The list is another one now.
        let linked = unsafe { sys::take_linked(r) };
        // SAFETY: the location's own handler, with its own request. The handler's hold on the request
        // (its count) outlasts this call, whatever it returned.
        let rc = unsafe { stand_in::around(request, handler) };
        if shared {
            // SAFETY: a live request; `last` of the copied head points at the head's own place or into
            // the pool, where everything still is.
            unsafe {
                (*r).headers_in.headers = original;
                sys::set_linked(r, linked);
            }
            // An internal redirect from inside the handler has made another request of it.
            if fetch && ctx::get(request).is_some_and(|ctx| ptr::eq(ctx.flight, flight)) {
                // SAFETY: zones outlive the requests of their cycle.
                leaving::hold_on(request, unsafe { (*zone).max_page() });
            }
        }
        rc
    })
}

/// Lines that are added, at most.
const ADDED: usize = 6;

const ACCEPT_LANGUAGE: &[u8] = b"accept-language";

/// Exchanges the request's header lines; false when memory ran out.
fn exchange(request: Request<'_>, conf: &LocConf, shared: bool, question: Question<'_>) -> bool {
    let names = conf.headers();
    // Where pages are kept by language the origin hears of that and of nothing that the page could depend on besides.
    let language = (shared && conf.vary_language()).then(|| language::language(request));
    let added: [(_, Option<&[u8]>); ADDED] = [
        (names.name(HeaderKey::Request), Some(b"true")),
        (names.name(HeaderKey::AbValue), ab::all_values(request)),
        (names.name(HeaderKey::Geo), outward::country(request, conf)),
        (("Accept-Language", "accept-language"), language),
        (("If-None-Match", "if-none-match"), question.etag),
        (("If-Modified-Since", "if-modified-since"), question.modified),
    ];
    let count = request.lines_in().count();
    // SAFETY: a list head of zeros is overwritten by ngx_list_init.
    let Some(list) = (unsafe { request.zeroed::<ngx_list_t>() }) else { return false };
    // SAFETY: fresh memory of the request's pool; one part with room for every line and what is added.
    let rc = unsafe { ngx_list_init(list, request.pool(), count + ADDED, size_of::<ngx_table_elt_t>()) };
    if rc != OK {
        return false;
    }
    for line in request.lines_in() {
        // SAFETY: a line of this live request.
        let (name, _) = unsafe { sys::pair(line) };
        let ours = matches!(names.find_alike(name), Some(key) if key != HeaderKey::Cookies);
        let replaced = language.is_some() && is_alike(name, ACCEPT_LANGUAGE);
        if ours || replaced || shared && conf.withheld().has(name) {
            continue;
        }
        // SAFETY: the new list has room for it, and the line lives as long as the request.
        unsafe {
            if sys::push_copy(list, line).is_null() {
                return false;
            }
        }
    }
    for ((name, lower), value) in added {
        let Some(value) = value else { continue };
        // SAFETY: as above. The names live as long as the configuration, which outlives the request.
        unsafe {
            let line = sys::push_line(list, name.as_bytes(), value);
            if line.is_null() {
                return false;
            }
            // nginx's proxy looks lines up by hash and lower-case name.
            (*line).hash = ngx_key(lower.as_bytes()) as ngx_uint_t;
            (*line).lowcase_key = lower.as_ptr().cast_mut();
        }
    }
    // SAFETY: as above.
    unsafe {
        (*request.raw()).headers_in.headers = *list;
        // The list has one part: `last` must be the part inside the request, where lines are added.
        let head = &raw mut (*request.raw()).headers_in.headers;
        (*head).last = &raw mut (*head).part;
    }
    true
}
