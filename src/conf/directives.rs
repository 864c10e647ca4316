//! The table of directives.

use std::mem::offset_of;
use std::ptr;

use ngx::ffi::{
    NGX_CONF_1MORE, NGX_CONF_2MORE, NGX_CONF_ANY, NGX_CONF_TAKE1, NGX_CONF_TAKE12, NGX_HTTP_LOC_CONF,
    NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_MAIN_CONF, NGX_HTTP_MAIN_CONF_OFFSET, NGX_HTTP_SRV_CONF,
    ngx_command_t, ngx_http_html_default_types, ngx_http_set_predicate_slot, ngx_http_types_slot,
};
use ngx::ngx_string;

use super::{LocConf, audit, endpoints, lines, setters, sources, steering, visitors, zones};

type Setter = unsafe extern "C" fn(
    *mut ngx::ffi::ngx_conf_t,
    *mut ngx_command_t,
    *mut std::ffi::c_void,
) -> *mut std::ffi::c_char;

const ANYWHERE: u32 = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

const fn command(name: ngx::ffi::ngx_str_t, args: u32, set: Setter, offset: usize) -> ngx_command_t {
    ngx_command_t {
        name,
        type_: (ANYWHERE | args) as usize,
        set: Some(set),
        conf: NGX_HTTP_LOC_CONF_OFFSET,
        offset,
        post: ptr::null_mut(),
    }
}

const fn main_command(name: ngx::ffi::ngx_str_t, args: u32, set: Setter) -> ngx_command_t {
    ngx_command_t {
        name,
        type_: (NGX_HTTP_MAIN_CONF | args) as usize,
        set: Some(set),
        conf: NGX_HTTP_MAIN_CONF_OFFSET,
        offset: 0,
        post: ptr::null_mut(),
    }
}

/// All directives, ended by an empty one.
pub static mut COMMANDS: [ngx_command_t; 42] = [
    main_command(ngx_string!("twice_zone"), NGX_CONF_2MORE, zones::twice_zone),
    main_command(ngx_string!("twice_source"), NGX_CONF_2MORE, sources::twice_source),
    main_command(ngx_string!("twice_ab_test"), NGX_CONF_2MORE, visitors::ab_test),
    main_command(ngx_string!("twice_ab_cookie"), NGX_CONF_TAKE1, visitors::ab_cookie),
    command(ngx_string!("twice"), NGX_CONF_TAKE1, zones::twice, 0),
    command(ngx_string!("twice_key"), NGX_CONF_TAKE1, setters::key, 0),
    command(ngx_string!("twice_methods"), NGX_CONF_1MORE, setters::methods, 0),
    command(ngx_string!("twice_valid"), NGX_CONF_1MORE, setters::valid, 0),
    command(ngx_string!("twice_honor"), NGX_CONF_1MORE, steering::honor, 0),
    command(ngx_string!("twice_statuses"), NGX_CONF_1MORE, steering::statuses, 0),
    command(ngx_string!("twice_heuristic"), NGX_CONF_1MORE, steering::heuristic, 0),
    command(ngx_string!("twice_set_cookie"), NGX_CONF_TAKE1, steering::set_cookie, 0),
    command(ngx_string!("twice_request_control"), NGX_CONF_TAKE1, steering::request_control, 0),
    command(
        ngx_string!("twice_bypass"),
        NGX_CONF_1MORE,
        ngx_http_set_predicate_slot,
        offset_of!(LocConf, bypass),
    ),
    command(
        ngx_string!("twice_no_store"),
        NGX_CONF_1MORE,
        ngx_http_set_predicate_slot,
        offset_of!(LocConf, no_store),
    ),
    command(ngx_string!("twice_tags"), NGX_CONF_TAKE1, setters::tags, 0),
    command(ngx_string!("twice_delimiters"), NGX_CONF_TAKE12, setters::delimiters, 0),
    ngx_command_t {
        post: (&raw mut ngx_http_html_default_types).cast(),
        ..command(
            ngx_string!("twice_types"),
            NGX_CONF_1MORE,
            ngx_http_types_slot,
            offset_of!(LocConf, types_keys),
        )
    },
    command(ngx_string!("twice_escape"), NGX_CONF_TAKE1, setters::escape, 0),
    command(ngx_string!("twice_headers"), NGX_CONF_1MORE, setters::headers, 0),
    ngx_command_t {
        type_: (NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1) as usize,
        ..command(ngx_string!("twice_purge"), NGX_CONF_TAKE1, endpoints::purge, 0)
    },
    ngx_command_t {
        type_: (NGX_HTTP_LOC_CONF | NGX_CONF_ANY) as usize,
        ..command(ngx_string!("twice_status"), NGX_CONF_ANY, endpoints::status, 0)
    },
    command(
        ngx_string!("twice_mark_dirty"),
        NGX_CONF_1MORE,
        ngx_http_set_predicate_slot,
        offset_of!(LocConf, mark_dirty),
    ),
    command(ngx_string!("twice_geo"), NGX_CONF_TAKE1, setters::geo, 0),
    command(ngx_string!("twice_vary_cookies"), NGX_CONF_1MORE, lines::vary_cookies, 0),
    command(ngx_string!("twice_vary_headers"), NGX_CONF_1MORE, lines::vary_headers, 0),
    command(ngx_string!("twice_withhold"), NGX_CONF_1MORE, lines::withhold, 0),
    command(ngx_string!("twice_require_length"), NGX_CONF_TAKE1, lines::require_length, 0),
    command(ngx_string!("twice_max_variants"), NGX_CONF_TAKE1, setters::max_variants, 0),
    command(ngx_string!("twice_languages"), NGX_CONF_1MORE, visitors::languages, 0),
    command(ngx_string!("twice_vary_language"), NGX_CONF_TAKE1, visitors::vary_language, 0),
    command(ngx_string!("twice_language_redirect"), NGX_CONF_TAKE1, visitors::language_redirect, 0),
    command(ngx_string!("twice_ignore_args"), NGX_CONF_1MORE, visitors::ignore_args, 0),
    command(ngx_string!("twice_audit"), NGX_CONF_1MORE, audit::audit, 0),
    command(ngx_string!("twice_lock"), NGX_CONF_TAKE1, setters::lock, 0),
    command(ngx_string!("twice_lock_timeout"), NGX_CONF_TAKE1, setters::lock_timeout, 0),
    command(ngx_string!("twice_lock_age"), NGX_CONF_TAKE1, setters::lock_age, 0),
    command(ngx_string!("twice_stale_factor"), NGX_CONF_TAKE1, setters::stale_factor, 0),
    command(ngx_string!("twice_use_stale"), NGX_CONF_1MORE, setters::use_stale, 0),
    command(ngx_string!("twice_revalidate"), NGX_CONF_TAKE1, setters::revalidate, 0),
    command(ngx_string!("twice_include_timeout"), NGX_CONF_TAKE1, setters::include_timeout, 0),
    ngx_command_t::empty(),
];
