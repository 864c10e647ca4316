//! What Twice adds to every answer of a client's own request, from the store or not: `Via`, the visitor's country, the
//! id of a new visitor. None of it is stored.

use std::ptr;

use ngx::ffi::{ngx_http_complex_value, ngx_str_t, ngx_table_elt_t};
use twice_core::geo;
use twice_core::policy::HeaderKey;

use crate::ab;
use crate::capture::keep_private;
use crate::conf::LocConf;
use crate::ctx;
use crate::language;
use crate::sys::{self, OK, Request};

/// RFC 9110 7.6.3. No version of Twice: what `server_tokens` hides stays hidden.
static VIA: [u8; 9] = *b"1.1 twice";
const VIA_NAME: &[u8] = b"Via";

/// Adds the lines; none when memory ran out. `again`: it may have been done before, for an answer that this one takes
/// the place of.
pub fn add(request: Request<'_>, conf: &LocConf, again: bool) -> Option<()> {
    if !request.is_main() || again && request.lines_out().any(is_ours) {
        return Some(());
    }
    request.push_out(VIA_NAME, &VIA)?;
    if !conf.geo.is_null() {
        add_country(request, conf)?;
    }
    if language::decides_the_host(request, conf) {
        request.push_out(b"Vary", b"Accept-Language")?;
    }
    if let Some(cookie) = ab::new_cookie(request) {
        request.push_out(b"Set-Cookie", cookie)?;
        // No other cache may hand the id to somebody else.
        ctx::get(request)?.personal = true;
        keep_private(request)?;
    }
    Some(())
}

/// Whether a line is the first of ours: nginx empties the list where another answer takes the place of the first.
fn is_ours(line: *mut ngx_table_elt_t) -> bool {
    // SAFETY: a line of a live request's list.
    unsafe { ptr::eq((*line).value.data, VIA.as_ptr()) }
}

/// The visitor's country as a header's value; none where there is none.
pub fn country<'a>(request: Request<'a>, conf: &LocConf) -> Option<&'a [u8]> {
    geo::country(said_country(request, conf)?)
}

/// What `twice_geo` says.
pub fn said_country<'a>(request: Request<'a>, conf: &LocConf) -> Option<&'a [u8]> {
    if conf.geo.is_null() {
        return None;
    }
    let mut value = ngx_str_t { len: 0, data: ptr::null_mut() };
    // SAFETY: a compiled value of the configuration; nginx writes into the request's pool.
    unsafe {
        (ngx_http_complex_value(request.raw(), conf.geo, &raw mut value) == OK).then(|| sys::bytes(value))
    }
}

/// The country goes out in place of what the page says: that was another visitor's.
fn add_country(request: Request<'_>, conf: &LocConf) -> Option<()> {
    let (name, _) = conf.headers().name(HeaderKey::Geo);
    for line in request.lines_out() {
        // SAFETY: a line of this live request. nginx leaves lines of hash 0 out.
        unsafe {
            if sys::pair(line).0.eq_ignore_ascii_case(name.as_bytes()) {
                (*line).hash = 0;
            }
        }
    }
    if let Some(country) = country(request, conf) {
        request.push_out(name.as_bytes(), country)?;
    }
    Some(())
}
