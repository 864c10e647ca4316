//! What a request says of its answer before that has come: has it a password, is `twice_no_store` true of it already?
//!
//! Invariants
//! - It is asked where no page was found, or a stale one is to be renewed: never for a fresh hit.
//! - Nothing of the asking stays behind. nginx remembers what most variables have said (a `map`, `$sent_http_NAME`): what
//!   they say of an answer that is not there yet is forgotten, and they are asked again when it has come.

use std::ptr;

use ngx::ffi::{ngx_array_t, ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_test_predicates};
use twice_core::board::flights::Asker;

use crate::sys::{DECLINED, OK, Request};
use crate::{conf, ctx};

/// Whether a request has a password, be it a good one or none.
pub fn has_password(request: Request<'_>) -> bool {
    request.header_in(b"authorization").is_some()
}

/// Who asks, as far as it can be known now; none where memory ran out. Variables are asked once for each request.
pub fn of(request: Request<'_>) -> Option<Asker> {
    if let Some(known) = ctx::get(request)?.asker {
        return Some(known);
    }
    let is_unstored = is_true_already(request, conf::of(request).no_store)?;
    let asker = Asker::new(has_password(request), is_unstored);
    ctx::get(request)?.asker = Some(asker);
    Some(asker)
}

/// Whether one of these conditions is true while there is no answer.
fn is_true_already(request: Request<'_>, conditions: *mut ngx_array_t) -> Option<bool> {
    if conditions.is_null() {
        return Some(false);
    }
    let r = request.raw();
    // SAFETY: a live request, and nginx's own test of its own array. `variables` has one plain value for each indexed
    // variable of the configuration. Groups that an expression finds meanwhile go to memory of their own, as nginx is told to
    // allocate it, so that those of before are untouched behind the pointer that is put back.
    unsafe {
        let main: *mut ngx_http_core_main_conf_t =
            (*(*r).main_conf.add(ngx_http_core_module.ctx_index)).cast();
        let (variables, count) = ((*r).variables, (*main).variables.nelts);
        let before = request.alloc_array(count)?;
        ptr::copy_nonoverlapping(variables, before, count);
        let captures = ((*r).captures, (*r).ncaptures, (*r).captures_data, (*r).realloc_captures());
        (*r).set_realloc_captures(1);
        let tested = ngx_http_test_predicates(r, conditions);
        ptr::copy_nonoverlapping(before, variables, count);
        ((*r).captures, (*r).ncaptures, (*r).captures_data) = (captures.0, captures.1, captures.2);
        (*r).set_realloc_captures(captures.3);
        match tested {
            OK => Some(false),
            DECLINED => Some(true),
            _ => None,
        }
    }
}
