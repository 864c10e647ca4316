//! Short answers of Twice's own: what its endpoints say.

use ngx::ffi::{
    ngx_chain_t, ngx_http_discard_request_body, ngx_http_output_filter, ngx_http_send_header, ngx_int_t,
    ngx_uint_t,
};

use crate::sys::{self, Chain, ERROR, OK, Request};

/// `application/json`.
pub const JSON: &[u8] = b"application/json";

/// Answers with a body. It is nobody's to cache.
pub fn send(request: Request<'_>, status: u32, content_type: &'static [u8], body: &[u8]) -> ngx_int_t {
    let Some(chain) = prepare(request, status, content_type, body) else { return ERROR };
    // SAFETY: in the request's pool.
    unsafe { send_chain(request, chain) }
}

/// Sends a header that is filled in, and a body.
///
/// # Safety
/// `chain` must live as long as the request.
pub unsafe fn send_chain(request: Request<'_>, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: a live request, and the caller's promise.
    unsafe {
        let rc = ngx_http_discard_request_body(request.raw());
        if rc != OK {
            return rc;
        }
        let rc = ngx_http_send_header(request.raw());
        if rc == ERROR || rc > OK || (*request.raw()).header_only() != 0 {
            return rc;
        }
        ngx_http_output_filter(request.raw(), chain)
    }
}

fn prepare(
    request: Request<'_>,
    status: u32,
    content_type: &'static [u8],
    body: &[u8],
) -> Option<*mut ngx_chain_t> {
    let copy = request.copy(body)?;
    let mut chain = Chain::new(request);
    // SAFETY: pool memory that nobody writes any more.
    unsafe { chain.push(copy.as_ptr(), copy.len()) }?;
    request.push_out(b"Cache-Control", b"no-store")?;
    // SAFETY: a live request; the type lives for ever.
    unsafe {
        let out = &raw mut (*request.raw()).headers_out;
        (*out).status = status as ngx_uint_t;
        (*out).content_type = sys::ngx_str(content_type);
        (*out).content_type_len = content_type.len();
        (*out).content_type_lowcase = std::ptr::null_mut();
        (*out).content_length_n = i64::try_from(body.len()).ok()?;
    }
    chain.finish()
}
