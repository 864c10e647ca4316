//! One fragment's sub-request: how it is made, and where its output goes.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_LOG_UNSAFE, NGX_HTTP_SUBREQUEST_BACKGROUND, ngx_buf_t, ngx_chain_t, ngx_current_msec,
    ngx_http_parse_unsafe_uri, ngx_http_post_subrequest_t, ngx_http_request_body_t,
    ngx_http_request_empty_handler, ngx_http_request_t, ngx_http_subrequest, ngx_int_t, ngx_list_init,
    ngx_list_t, ngx_msec_t, ngx_str_t, ngx_table_elt_t, ngx_uint_t,
};
use twice_core::include::{Budget, Fragment};
use twice_core::outcome::Reason;
use twice_core::policy::{HeaderKey, WITHHELD};

use super::{Includes, ended};
use crate::conf;
use crate::ctx::{self, Stage};
use crate::sys::{self, ERROR, OK, Request};

/// Which fragment of which page a sub-request is for.
#[derive(Clone, Copy)]
pub struct Part {
    /// The page's.
    pub(super) owner: *mut Includes,
    /// Its place there.
    pub(super) number: usize,
}

/// A fragment of a page.
pub struct Asked {
    /// The slot of the page's program that it fills.
    pub(super) slot: usize,
    pub(super) uri: Vec<u8>,
    /// Its request; null before it is made and after it has ended.
    pub(super) sub: *mut ngx_http_request_t,
    /// When it is late, by nginx's clock.
    pub(super) until: ngx_msec_t,
    pub(super) fragment: Fragment,
}

/// The fragment that a request was made for. What it names lives as long as the request.
pub fn part_of(request: Request<'_>) -> Option<Part> {
    if request.is_main() {
        return None;
    }
    // SAFETY: a live sub-request; what stands there with our handler is what `start` put there.
    unsafe {
        let post = (*request.raw()).post_subrequest.as_ref()?;
        let ours = post.handler.is_some_and(|handler| ptr::fn_addr_eq(handler, ended as Ended));
        ours.then(|| post.data.cast::<Part>().read())
    }
}

type Ended = unsafe extern "C" fn(*mut ngx_http_request_t, *mut std::ffi::c_void, ngx_int_t) -> ngx_int_t;

/// Whether a request asks for a source's value: none of the page cache's business.
pub fn is_fetch(request: Request<'_>) -> bool {
    // SAFETY: what `part_of` gives names live fragments.
    part_of(request).is_some_and(|part| unsafe { (*part.owner).is_fetch() })
}

/// How many of a request and its ancestors are fragments.
pub fn depth(request: Request<'_>) -> usize {
    let mut depth = 0;
    let mut r = request.raw();
    while !r.is_null() {
        // SAFETY: a live request, or a parent, which lives longer.
        unsafe {
            depth += usize::from(part_of(Request::new(r)).is_some());
            r = (*r).parent;
        }
    }
    depth
}

/// Makes the sub-request. nginx runs it when the caller is back in the event loop.
///
/// # Safety
/// What `part` names must live as long as the request's pool.
pub unsafe fn start(request: Request<'_>, part: Part, uri: &[u8]) -> Option<*mut ngx_http_request_t> {
    let r = request.raw();
    let mut uri = sys::ngx_str(request.copy(uri)?);
    let mut args = ngx_str_t { len: 0, data: ptr::null_mut() };
    let mut flags: ngx_uint_t = NGX_HTTP_LOG_UNSAFE as ngx_uint_t;
    // SAFETY: a live request; all that is given lives in its pool. The sub-request is ours to change until it runs.
    unsafe {
        if ngx_http_parse_unsafe_uri(r, &raw mut uri, &raw mut args, &raw mut flags) != OK {
            return None;
        }
        let lines = headers(request)?;
        // A body of no bytes: the parent's is not the fragment's, and nginx would read it if there were none.
        let body = request.zeroed::<ngx_http_request_body_t>()?;
        let post = request.zeroed::<ngx_http_post_subrequest_t>()?;
        (*post).handler = Some(ended);
        let data = request.alloc_array::<Part>(1)?;
        data.write(part);
        (*post).data = data.cast();
        let mut sub = ptr::null_mut();
        let flags = NGX_HTTP_SUBREQUEST_BACKGROUND as ngx_uint_t;
        if ngx_http_subrequest(r, &raw mut uri, &raw mut args, &raw mut sub, post, flags) != OK {
            return None;
        }
        (*sub).request_body = body;
        let head = &raw mut (*sub).headers_in;
        (*head).headers = lines;
        // The list has one part: `last` must be the part inside the request, where lines are added.
        (*head).headers.last = &raw mut (*head).headers.part;
        (*head).content_length_n = -1;
        (*head).set_chunked(0);
        for line in [
            &raw mut (*head).content_length,
            &raw mut (*head).transfer_encoding,
            &raw mut (*head).range,
            &raw mut (*head).if_range,
            &raw mut (*head).if_match,
            &raw mut (*head).if_none_match,
            &raw mut (*head).if_modified_since,
            &raw mut (*head).if_unmodified_since,
            &raw mut (*head).upgrade,
            &raw mut (*head).expect,
        ] {
            *line = ptr::null_mut();
        }
        sys::take_linked(sub);
        Some(sub)
    }
}

/// Lines of one connection, or of the parent's body.
const NOT_INHERITED: [&[u8]; 4] = [b"content-length", b"transfer-encoding", b"upgrade", b"expect"];

/// The parent's header lines without those that speak of its own answer: a part of it, a condition, its body. What a
/// visitor may not say in Twice's name is left out, too.
fn headers(request: Request<'_>) -> Option<ngx_list_t> {
    let names = conf::of(request).headers();
    let count = request.lines_in().count();
    // SAFETY: a list head of zeros is overwritten by ngx_list_init, which takes room for every line from a live pool.
    let list = unsafe {
        let list = request.zeroed::<ngx_list_t>()?;
        if ngx_list_init(list, request.pool(), count.max(1), size_of::<ngx_table_elt_t>()) != OK {
            return None;
        }
        list
    };
    for line in request.lines_in() {
        // SAFETY: a line of this live request.
        let (name, _) = unsafe { sys::pair(line) };
        let ours = matches!(names.find(name), Some(key) if key != HeaderKey::Cookies);
        let own = || WITHHELD.iter().chain(&NOT_INHERITED).any(|own| name.eq_ignore_ascii_case(own));
        if ours || own() {
            continue;
        }
        // SAFETY: the list has room for it, and the line lives as long as the request.
        if unsafe { sys::push_copy(list, line) }.is_null() {
            return None;
        }
    }
    // SAFETY: just made.
    Some(unsafe { *list })
}

/// A fragment's header: read and sent nowhere. NGX_ERROR: its body is not wanted.
///
/// # Safety
/// `part` must be that of this live request.
pub unsafe fn header(request: Request<'_>, part: Part) -> ngx_int_t {
    // SAFETY: the caller's promise; no reference is held where nginx is called.
    unsafe {
        let r = request.raw();
        (*r).set_header_sent(1);
        // Files come as memory, and whole.
        (*r).set_filter_need_in_memory(1);
        (*r).set_allow_ranges(0);
        let out = &raw const (*r).headers_out;
        let encoding = (*out).content_encoding;
        let encoded = !encoding.is_null() && (*encoding).value.len > 0 && (*encoding).hash != 0;
        let status = u16::try_from((*out).status).unwrap_or(0);
        let length = u64::try_from((*out).content_length_n).ok();
        change(request, part, |fragment, budget| fragment.header(status, encoded, length, budget));
        hand_on_at_once(request);
        if part.has_failed() && !part.is_of_use(request) { ERROR } else { OK }
    }
}

/// nginx hands nothing of a buffered answer on before its end, unless it is the client's turn to get it, which it never is
/// here: what its buffers don't hold would go to a file, or stop for ever. So it is not buffered, as if the origin
/// had said `X-Accel-Buffering: no`.
///
/// # Safety
/// As for [`header`].
unsafe fn hand_on_at_once(request: Request<'_>) {
    // SAFETY: a live request; its upstream, if it has one, and that one's configuration live as long. nginx looks at this
    // word after the header is sent (ngx_http_upstream_send_response).
    unsafe {
        let upstream = (*request.raw()).upstream;
        if upstream.is_null() || (*upstream).conf.is_null() || (*upstream).input_filter.is_none() {
            return;
        }
        // nginx's own cache and store write files.
        let files = (*upstream).cacheable() != 0 || (*upstream).store() != 0;
        if !files && (*(*upstream).conf).change_buffering() != 0 {
            (*upstream).set_buffering(0);
        }
    }
}

/// A fragment's body: kept, and sent nowhere.
///
/// # Safety
/// `part` must be that of this live request, `chain` what came to the body filter.
pub unsafe fn take(request: Request<'_>, part: Part, chain: *mut ngx_chain_t) -> ngx_int_t {
    let mut link = chain;
    while !link.is_null() {
        // SAFETY: links of nginx's chain, each with its buffer.
        let buf = unsafe { (*link).buf };
        // SAFETY: the caller's promise.
        unsafe { take_buf(request, part, buf) };
        // SAFETY: as above.
        link = unsafe { (*link).next };
    }
    // nginx must not be told of an error here: it would be the client's connection that is broken.
    // SAFETY: as above.
    unsafe {
        if part.has_failed() && !part.is_of_use(request) {
            Includes::look_soon(part.owner);
        }
    }
    OK
}

/// An answer that failed is read to its end if it is as short as this: the origin's connection can be used again.
const DRAIN: i64 = 64 << 10;

/// Whether what else comes of a failed fragment is of use: it may be stored, or it is nearly there and its time is not over.
fn is_of_use(request: Request<'_>, is_over: bool) -> bool {
    let stored = ctx::get(request).is_some_and(|ctx| match ctx.stage {
        // Another one fetches; that time is bounded.
        Stage::Wait => true,
        Stage::Fetch => !ctx.answered || matches!(ctx.reason, Reason::Recording | Reason::Stored),
        Stage::Pass | Stage::Hit => false,
    });
    // SAFETY: a live request.
    let (sent, length) =
        unsafe { ((*request.raw()).header_sent() != 0, (*request.raw()).headers_out.content_length_n) };
    stored || !is_over && sent && (0..=DRAIN).contains(&length)
}

impl Part {
    /// # Safety
    /// The part must be of a live page.
    unsafe fn has_failed(self) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*self.owner).has_failed(self.number) }
    }

    /// # Safety
    /// The part must be of a live page, and of this request.
    unsafe fn is_of_use(self, request: Request<'_>) -> bool {
        // SAFETY: the caller's promise; nginx's clock.
        is_of_use(request, unsafe { (*self.owner).is_over(self.number, ngx_current_msec) })
    }
}

impl Asked {
    /// Whether its time is over.
    pub(super) fn is_over(&self, now: ngx_msec_t) -> bool {
        // nginx's clock may wrap around: differences count.
        self.until.wrapping_sub(now).cast_signed() <= 0
    }

    /// The sub-request of a failed fragment that is of no use any more, and that can be ended.
    ///
    /// # Safety
    /// It must be of a live page.
    pub(super) unsafe fn useless(&self, now: ngx_msec_t) -> Option<*mut ngx_http_request_t> {
        let r = self.sub;
        self.fragment.failure()?;
        // SAFETY: a sub-request that has not ended lives as long as its page.
        unsafe {
            let request = Request::new((!r.is_null()).then_some(r)?);
            let upstream = (*r).upstream.as_ref()?;
            let under_way = !upstream.cleanup.is_null() && (*request.main().raw()).blocked() == 0;
            (under_way && !is_of_use(request, self.is_over(now))).then_some(r)
        }
    }
}

/// Ends a sub-request's upstream, as nginx does when it ends a client's request.
///
/// # Safety
/// `r` must be what [`Part::useless`] gave, and the caller not be inside of it. Its main request may be gone after this,
/// unless the caller holds it.
pub(super) unsafe fn stop(r: *mut ngx_http_request_t) {
    // SAFETY: the caller's promise. What the upstream's place in the list of cleanups holds is nginx's own handler, which
    // takes it out and gives back the sub-request's count (ngx_http_upstream_cleanup).
    unsafe {
        let cleanup = (*(*r).upstream).cleanup;
        if let Some(handler) = cleanup.as_ref().and_then(|handler| *handler) {
            (*r).write_event_handler = Some(ngx_http_request_empty_handler);
            handler(r.cast());
        }
    }
}

/// # Safety
/// As for [`take`].
unsafe fn take_buf(request: Request<'_>, part: Part, buf: *mut ngx_buf_t) {
    // SAFETY: the caller's promise.
    unsafe {
        // `filter_need_in_memory` rules a file out; a handler that goes past nginx's copy filter loses.
        let (data, in_file) = sys::content(buf);
        let b = &mut *buf;
        let last = b.last_buf() != 0 || b.last_in_chain() != 0;
        change(request, part, |fragment, budget| {
            fragment.feed(data, budget);
            if last && !in_file {
                fragment.last();
            }
        });
        b.pos = b.last;
        b.file_pos = b.file_last;
    }
}

/// Does something to a fragment. Should that end it its page is woken.
///
/// # Safety
/// As for [`take`].
pub(super) unsafe fn change(request: Request<'_>, part: Part, work: impl FnOnce(&mut Fragment, &mut Budget)) {
    // SAFETY: the caller's promise; what owns a part lives as long as it.
    unsafe {
        if (*part.owner).change(part.number, work) && !Includes::wake(part.owner) {
            // No memory to wake the page: nginx ends a request whose connection is broken.
            (*(*request.raw()).connection).set_error(1);
        }
    }
}
