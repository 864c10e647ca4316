//! Directives that make a location answer for Twice itself: `twice_purge ZONE`.

use std::ffi::{c_char, c_void};

use ngx::ffi::{
    ngx_command_t, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module,
    ngx_http_handler_pt,
};

use super::LocConf;
use super::setters::{Directive, set};
use super::zones::named;
use crate::purge::endpoint;

/// Makes a handler the location's own.
///
/// # Safety
/// For a setter of a directive that stands in locations only.
unsafe fn take_location(directive: &Directive, handler: ngx_http_handler_pt) {
    // SAFETY: inside a location `cf->ctx` is an `ngx_http_conf_ctx_t` with one place for each module.
    unsafe {
        let ctx = (*directive.cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = (*(*ctx).loc_conf.add(ngx_http_core_module.ctx_index)).cast::<ngx_http_core_loc_conf_t>();
        (*core).handler = handler;
    }
}

/// The setter of `twice_purge`.
pub unsafe extern "C" fn purge(
    cf: *mut ngx_conf_t,
    cmd: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    fn inner(conf: &mut LocConf, directive: &Directive) -> Result<(), String> {
        if !conf.purge.is_null() {
            return Err("is given twice in one block, allowed is once".to_owned());
        }
        if directive.arg().is_empty() {
            return Err("has the value \"\", allowed is the name of a zone".to_owned());
        }
        conf.purge = named(directive, "twice_purge", directive.arg())?;
        // SAFETY: the directive stands in locations only.
        unsafe { take_location(directive, Some(endpoint::content_handler)) };
        Ok(())
    }
    // SAFETY: nginx calls a setter with what its command asks for.
    unsafe { set(cf, cmd, conf, inner) }
}

/// The setter of `twice_status`.
pub unsafe extern "C" fn status(
    cf: *mut ngx_conf_t,
    cmd: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    fn inner(conf: &mut LocConf, directive: &Directive) -> Result<(), String> {
        if !conf.status.is_null() {
            return Err("is given twice in one block, allowed is once".to_owned());
        }
        let mut zones = Vec::new();
        for name in directive.args() {
            if name.is_empty() {
                return Err("has the value \"\", allowed are names of zones".to_owned());
            }
            zones.push(named(directive, "twice_status", name)?);
        }
        conf.status = directive.keep(zones)?;
        // SAFETY: the directive stands in locations only.
        unsafe { take_location(directive, Some(crate::status::content_handler)) };
        Ok(())
    }
    // SAFETY: nginx calls a setter with what its command asks for.
    unsafe { set(cf, cmd, conf, inner) }
}
