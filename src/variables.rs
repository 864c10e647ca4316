//! `$twice_cache_status`, `$twice_reason`, `$twice_key`, `$twice_age`, `$twice_ttl`; `$twice_language`, `$twice_nonce`,
//! `$twice_ab_NAME`; for those of sources see [`crate::source::variables`].

use std::ffi::c_char;
use std::ptr;

use ngx::ffi::{
    NGX_HTTP_VAR_NOCACHEABLE, ngx_conf_t, ngx_http_add_variable, ngx_http_request_t,
    ngx_http_variable_value_t, ngx_int_t, ngx_str_t,
};
use ngx::ngx_string;
use twice_core::outcome::Reason;

use crate::ab;
use crate::ctx::{self, Ctx, Stage};
use crate::guard::guarded;
use crate::language;
use crate::nonce;
use crate::shm;
use crate::source;
use crate::sys::{self, ERROR, OK, Request};
use crate::variant;

type Get = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_http_variable_value_t, usize) -> ngx_int_t;

#[derive(Clone, Copy)]
enum Variable {
    Status,
    Reason,
    Key,
    Age,
    Ttl,
}

const TABLE: [(ngx_str_t, Variable); 5] = [
    (ngx_string!("twice_cache_status"), Variable::Status),
    (ngx_string!("twice_reason"), Variable::Reason),
    (ngx_string!("twice_key"), Variable::Key),
    (ngx_string!("twice_age"), Variable::Age),
    (ngx_string!("twice_ttl"), Variable::Ttl),
];

/// Adds the variables.
///
/// # Safety
/// `cf` must be the running configuration, in preconfiguration.
pub unsafe fn add(cf: *mut ngx_conf_t) -> ngx_int_t {
    for (place, (mut name, _)) in TABLE.into_iter().enumerate() {
        // SAFETY: nginx copies the name; the variable it returns is ours to fill.
        unsafe {
            // Not cacheable: they change while the answer is produced.
            let variable = ngx_http_add_variable(cf, &raw mut name, NGX_HTTP_VAR_NOCACHEABLE as usize);
            if variable.is_null() {
                return ERROR;
            }
            (*variable).get_handler = Some(get);
            (*variable).data = place;
        }
    }
    // Not cacheable: an internal redirect may lead to a location with other languages, and a refresh, which is given the
    // values that its visitor has, is another response.
    for (mut name, get) in [
        (ngx_string!("twice_language"), visitors_language as Get),
        (ngx_string!("twice_nonce"), response_nonce as Get),
    ] {
        // SAFETY: as above.
        unsafe {
            let variable = ngx_http_add_variable(cf, &raw mut name, NGX_HTTP_VAR_NOCACHEABLE as usize);
            if variable.is_null() {
                return ERROR;
            }
            (*variable).get_handler = Some(get);
        }
    }
    // SAFETY: as above.
    unsafe { source::variables::add(cf) }
}

unsafe extern "C" fn get(
    r: *mut ngx_http_request_t,
    v: *mut ngx_http_variable_value_t,
    data: usize,
) -> ngx_int_t {
    // SAFETY: what nginx passes.
    unsafe {
        give(r, v, |request| {
            let which = TABLE.get(data).map(|row| row.1);
            ctx::get(request).zip(which).and_then(|(ctx, which)| value(request, ctx, which))
        })
    }
}

/// `$twice_language`: negotiated by the languages of the location that asks.
unsafe extern "C" fn visitors_language(
    r: *mut ngx_http_request_t,
    v: *mut ngx_http_variable_value_t,
    _data: usize,
) -> ngx_int_t {
    // SAFETY: what nginx passes.
    unsafe { give(r, v, |request| Some(language::language(request))) }
}

/// `$twice_nonce`.
unsafe extern "C" fn response_nonce(
    r: *mut ngx_http_request_t,
    v: *mut ngx_http_variable_value_t,
    _data: usize,
) -> ngx_int_t {
    // SAFETY: what nginx passes.
    unsafe { give(r, v, nonce::of) }
}

/// `$twice_ab_NAME`: `data` is the test's place.
pub unsafe extern "C" fn ab_value(
    r: *mut ngx_http_request_t,
    v: *mut ngx_http_variable_value_t,
    data: usize,
) -> ngx_int_t {
    // SAFETY: what nginx passes.
    unsafe { give(r, v, |request| ab::value_at(request, data)) }
}

/// Gives a variable what is found for the request.
///
/// # Safety
/// `r` and `v` must be what nginx passes to a variable's handler: a live request and a value to be filled.
pub unsafe fn give(
    r: *mut ngx_http_request_t,
    v: *mut ngx_http_variable_value_t,
    value: impl for<'a> FnOnce(Request<'a>) -> Option<&'a [u8]>,
) -> ngx_int_t {
    guarded(ERROR, || {
        // SAFETY: the caller's promise.
        let request = unsafe { Request::new(r) };
        let value = value(request);
        // SAFETY: as above.
        fill(unsafe { &mut *v }, value);
        OK
    })
}

/// Gives a variable its value, or none.
fn fill(v: &mut ngx_http_variable_value_t, value: Option<&[u8]>) {
    match value {
        Some(text) => {
            v.set_len(text.len() as u32);
            v.set_valid(1);
            v.set_no_cacheable(0);
            v.set_not_found(0);
            v.data = text.as_ptr().cast_mut();
        }
        None => {
            v.set_len(0);
            v.set_valid(0);
            v.set_not_found(1);
            v.data = ptr::null_mut::<c_char>().cast();
        }
    }
}

/// A key that can stand in a header or a log line: internal requests have NUL in theirs, and a decoded
/// path may hold anything.
fn printable<'a>(request: Request<'a>, key: &'a [u8]) -> Option<&'a [u8]> {
    if !key.iter().any(u8::is_ascii_control) {
        return Some(key);
    }
    let mut text = Vec::with_capacity(key.len() + 16);
    for byte in key {
        if byte.is_ascii_control() {
            text.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        } else {
            text.push(*byte);
        }
    }
    request.copy(&text)
}

fn value<'a>(request: Request<'a>, ctx: &Ctx, which: Variable) -> Option<&'a [u8]> {
    let now = shm::now_ms();
    match which {
        Variable::Status => Some(ctx.status?.as_str().as_bytes()),
        Variable::Reason => {
            let word = ctx.reason.as_str().as_bytes();
            // SAFETY: empty, or in the pool of this live request.
            let place: &[u8] = unsafe { &*ctx.difference };
            let is_told = ctx.reason == Reason::AuditDiffers && !place.is_empty();
            if !is_told { Some(word) } else { request.copy(&[word, b" ", place].concat()) }
        }
        Variable::Key => {
            // SAFETY: empty, or in the pool of this live request.
            let (base, rules): (&'a [u8], &[u8]) = unsafe { (&*ctx.base_key, &*ctx.rules) };
            if base.is_empty() {
                None
            } else if rules.is_empty() {
                printable(request, base)
            } else {
                printable(request, request.copy(&variant::describe(ctx))?)
            }
        }
        Variable::Age if ctx.stage == Stage::Hit => sys::decimal(request, ctx.times().age_seconds(now)),
        Variable::Ttl if ctx.expires_ms > 0 => sys::signed_decimal(request, ctx.times().ttl_seconds(now)),
        Variable::Age | Variable::Ttl => None,
    }
}
