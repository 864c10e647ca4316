//! A configuration's life: made, merged with the block around it, checked as a whole.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use ngx::ffi::{
    NGX_LOG_EMERG, ngx_conf_t, ngx_http_html_default_types, ngx_http_merge_types, ngx_pcalloc,
    ngx_shm_zone_t, ngx_str_t, ngx_uint_t,
};
use ngx::ngx_conf_log_error;
use twice_core::policy::{HeaderNames, UseStale, Valid};
use twice_core::recipe;
use twice_core::template::Delimiters;

use super::steering::Steering;
use super::{LocConf, MainConf, UNSET, Use, lines, main_of, others, setters, sources, visitors, zones};
use crate::guard::guarded;
use crate::sys;

/// nginx's callback.
pub unsafe extern "C" fn create_main(cf: *mut ngx_conf_t) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: nginx passes the running configuration, whose pool lives as long as the cycle.
        unsafe { sys::pool_box((*cf).pool, MainConf::default()) }.map_or(ptr::null_mut(), |p| p.cast())
    })
}

/// nginx's callback.
pub unsafe extern "C" fn create_loc(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: as above; a `LocConf` of zeros is valid (null pointers, off).
    let conf = unsafe { ngx_pcalloc((*cf).pool, size_of::<LocConf>()).cast::<LocConf>() };
    // SAFETY: fresh zeroed memory of the right size, or null.
    if let Some(conf) = unsafe { conf.as_mut() } {
        conf.zone = sys::unset_ptr();
        conf.key = sys::unset_ptr();
        conf.methods = UNSET;
        conf.valid = sys::unset_ptr();
        conf.bypass = sys::unset_ptr();
        conf.no_store = sys::unset_ptr();
        conf.tags = UNSET;
        conf.delimiters = sys::unset_ptr();
        conf.escape = UNSET;
        conf.headers = sys::unset_ptr();
        conf.geo = sys::unset_ptr();
        conf.mark_dirty = sys::unset_ptr();
        conf.lines.unset();
        conf.max_variants = UNSET;
        conf.languages = sys::unset_ptr();
        conf.vary_language = UNSET;
        conf.language_hosts = sys::unset_ptr();
        conf.ignored = sys::unset_ptr();
        conf.audit = sys::unset_ptr();
        conf.lock = UNSET;
        conf.lock_timeout = UNSET;
        conf.lock_age = UNSET;
        conf.stale_factor = UNSET;
        conf.use_stale = UNSET;
        conf.revalidate = UNSET;
        conf.steering = Steering::unset();
        conf.include_timeout = UNSET;
    }
    conf.cast()
}

fn merge_ptr<T>(child: &mut *mut T, parent: *mut T, default: *mut T) {
    if *child == sys::unset_ptr() {
        *child = if parent == sys::unset_ptr() { default } else { parent };
    }
}

pub(super) fn merge_uint(child: &mut ngx_uint_t, parent: ngx_uint_t, default: ngx_uint_t) {
    if *child == UNSET {
        *child = if parent == UNSET { default } else { parent };
    }
}

/// nginx's callback. `parent` was not merged itself when it is the http block's.
pub unsafe extern "C" fn merge_loc(
    cf: *mut ngx_conf_t,
    parent: *mut c_void,
    child: *mut c_void,
) -> *mut c_char {
    guarded(setters::failed(), || {
        // SAFETY: nginx passes two results of `create_loc`, never the same one.
        let (parent, child) = unsafe { (&mut *parent.cast::<LocConf>(), &mut *child.cast::<LocConf>()) };
        // SAFETY: the running configuration.
        unsafe { merge(cf, parent, child) }.map_or(setters::failed(), |()| ptr::null_mut())
    })
}

/// # Safety
/// `cf` must be the running configuration.
unsafe fn merge(cf: *mut ngx_conf_t, parent: &mut LocConf, child: &mut LocConf) -> Option<()> {
    // SAFETY: the running configuration's pool.
    let pool = unsafe { (*cf).pool };
    merge_ptr(&mut child.zone, parent.zone, ptr::null_mut());
    if child.is_endpoint() {
        // What Twice itself says there is no page.
        child.zone = ptr::null_mut();
    }
    merge_ptr(&mut child.key, parent.key, ptr::null_mut());
    merge_uint(&mut child.methods, parent.methods, setters::GET_AND_HEAD);
    merge_ptr(&mut child.bypass, parent.bypass, ptr::null_mut());
    merge_ptr(&mut child.no_store, parent.no_store, ptr::null_mut());
    merge_uint(&mut child.tags, parent.tags, 1);
    merge_uint(&mut child.escape, parent.escape, 2);
    merge_ptr(&mut child.mark_dirty, parent.mark_dirty, ptr::null_mut());
    merge_uint(&mut child.max_variants, parent.max_variants, 64);
    merge_ptr(&mut child.geo, parent.geo, ptr::null_mut());
    merge_ptr(&mut child.languages, parent.languages, ptr::null_mut());
    merge_uint(&mut child.vary_language, parent.vary_language, 0);
    merge_uint(&mut child.include_timeout, parent.include_timeout, 5000);
    merge_ptr(&mut child.language_hosts, parent.language_hosts, ptr::null_mut());
    let ignores_here = child.ignored != sys::unset_ptr() && !child.ignored.is_null();
    merge_ptr(&mut child.ignored, parent.ignored, ptr::null_mut());
    if ignores_here && !child.key.is_null() {
        ngx_conf_log_error!(NGX_LOG_EMERG, cf, "\"twice_ignore_args\" {}", visitors::WITH_KEY);
        return None;
    }
    if !child.language_hosts.is_null() && child.languages.is_null() {
        ngx_conf_log_error!(
            NGX_LOG_EMERG,
            cf,
            "\"twice_language_redirect\" has no languages, allowed is \"twice_languages\" beside it"
        );
        return None;
    }
    merge_ptr(&mut child.audit, parent.audit, ptr::null_mut());
    merge_uint(&mut child.lock, parent.lock, 1);
    merge_uint(&mut child.lock_timeout, parent.lock_timeout, 5_000);
    merge_uint(&mut child.lock_age, parent.lock_age, 30_000);
    merge_uint(&mut child.stale_factor, parent.stale_factor, UNSET);
    merge_uint(&mut child.use_stale, parent.use_stale, UseStale::default_words().to_number());
    merge_uint(&mut child.revalidate, parent.revalidate, 1);
    // The defaults are made once, in the outermost block, and inherited from there.
    // SAFETY: a live pool.
    unsafe {
        inherit(pool, &mut child.valid, &mut parent.valid, Valid::default)?;
        inherit(pool, &mut child.delimiters, &mut parent.delimiters, || Arc::new(Delimiters::default()))?;
        inherit(pool, &mut child.headers, &mut parent.headers, HeaderNames::default)?;
        let (names, by_language) = (&*child.headers, child.vary_language());
        lines::merge(cf, pool, &mut parent.lines, &mut child.lines, names, by_language)?;
        let names = &*child.headers;
        child.steering.merge(cf, &mut parent.steering, names)?;
        // Sources are known: nginx merges locations after it has read everything.
        let sources = &main_of(cf).source_names;
        child.recipe = recipe::of_location(&(child.tags(), child.delimiters(), sources, names));
    }
    // SAFETY: nginx's own merge of what its own setter filled.
    let rc = unsafe {
        ngx_http_merge_types(
            cf,
            &raw mut child.types_keys,
            &raw mut child.types,
            &raw mut parent.types_keys,
            &raw mut parent.types,
            (&raw mut ngx_http_html_default_types).cast::<ngx_str_t>(),
        )
    };
    (rc.is_null()).then_some(())
}

/// # Safety
/// `pool` must be the configuration's.
pub(super) unsafe fn inherit<T>(
    pool: *mut ngx::ffi::ngx_pool_t,
    child: &mut *mut T,
    parent: &mut *mut T,
    default: impl FnOnce() -> T,
) -> Option<()> {
    if *child == sys::unset_ptr() {
        if *parent == sys::unset_ptr() {
            // SAFETY: the caller's promise.
            *parent = unsafe { sys::pool_box(pool, default()) }?;
        }
        *child = *parent;
    }
    Some(())
}

/// nginx's callback when everything was read. What is wrong must be found here: where a postconfiguration fails,
/// the master is left with half a chain of filters, which it hands to every worker that it has to replace.
pub unsafe extern "C" fn init_main(cf: *mut ngx_conf_t, _conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes the running configuration, inside its http block.
    guarded(setters::failed(), || if unsafe { check(cf) } { ptr::null_mut() } else { setters::failed() })
}

/// What can only be seen when everything was read: zones that no directive defines.
///
/// # Safety
/// `cf` must be the running configuration, inside its http block.
unsafe fn check(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: the caller's promise.
    let main = unsafe {
        others::find(cf);
        main_of(cf)
    };
    // SAFETY: zones of this configuration; their names live in its pool.
    let name_of = |zone: &*mut ngx_shm_zone_t| unsafe { sys::bytes((**zone).shm.name) };
    for Use { directive, zone: name, file, line } in &main.uses {
        if main.zones.iter().any(|zone| name_of(zone) == name.as_bytes()) {
            continue;
        }
        let known: Vec<_> = main.zones.iter().map(|z| format!("\"{}\"", name_of(z).escape_ascii())).collect();
        let known = if known.is_empty() { "none is defined".to_owned() } else { known.join(", ") };
        ngx_conf_log_error!(
            NGX_LOG_EMERG,
            cf,
            "\"{}\" in {}:{} has the zone \"{}\", allowed are {}the zones of \"twice_zone\": {}",
            directive,
            file,
            line,
            name,
            if *directive == "twice" { "\"off\" and " } else { "" },
            known
        );
        return false;
    }
    // SAFETY: the http block has been read.
    unsafe {
        zones::tell_shares(main);
        sources::complete(cf, main)
    }
}
