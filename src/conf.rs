//! Configuration: what the directives leave behind, and how it is inherited.
//!
//! A [`LocConf`] is plain memory of nginx's configuration pool, with nginx's own "unset" marks so that
//! nginx's own setters and merge functions work on it. Values that Rust owns (tables, expressions)
//! hang on pointers and are dropped with the pool.

mod audit;
mod directives;
mod endpoints;
mod lines;
mod merge;
mod others;
mod setters;
mod sources;
mod steering;
mod visitors;
mod zones;

use std::sync::Arc;

use ngx::ffi::{
    ngx_array_t, ngx_conf_t, ngx_cycle_t, ngx_hash_t, ngx_http_complex_value_t, ngx_http_conf_ctx_t,
    ngx_http_module, ngx_msec_t, ngx_shm_zone_t, ngx_uint_t,
};
use twice_core::ab::Test;
use twice_core::audit::Ignored as Unaudited;
use twice_core::key::Ignored;
use twice_core::language::{Hosts, Languages};
use twice_core::policy::{Factor, HeaderNames, Tags, UseStale, Valid, Withheld};
use twice_core::template::{Delimiters, Escape, Start};
use twice_core::variants::Dimensions;

use crate::source::Source;
use crate::sys::Request;

pub use directives::COMMANDS;
pub use merge::{create_loc, create_main, init_main, merge_loc};
pub use others::{is_mirrored, returns};
use sources::Declared;
use steering::Steering;

/// `twice_zone`s, and who asked for which; A/B tests.
#[derive(Default)]
pub struct MainConf {
    /// The zones of this configuration.
    pub zones: Vec<*mut ngx_shm_zone_t>,
    /// Zones that directives name.
    uses: Vec<Use>,
    /// `twice_ab_test`s, in their order.
    pub ab_tests: Vec<Test>,
    ab_cookie: Option<String>,
    /// `twice_source`s, and those that are there without one.
    pub sources: Vec<Source>,
    /// Their names, for what compiles pages.
    pub source_names: Arc<[Box<str>]>,
    /// Sources whose servers are not known yet.
    declared: Vec<Declared>,
}

impl MainConf {
    /// `twice_ab_cookie`.
    pub fn ab_cookie(&self) -> &str {
        self.ab_cookie.as_deref().unwrap_or("uniq")
    }
}

/// A directive that names a zone.
struct Use {
    directive: &'static str,
    zone: String,
    file: String,
    line: usize,
}

/// What the directives of a location say.
#[repr(C)]
pub struct LocConf {
    /// `twice`: null is off.
    zone: *mut ngx_shm_zone_t,
    /// `twice_key`: null is the default key.
    pub key: *mut ngx_http_complex_value_t,
    /// `twice_methods`: bits of `NGX_HTTP_GET` and so on.
    pub methods: ngx_uint_t,
    valid: *mut Valid,
    /// `twice_bypass`.
    pub bypass: *mut ngx_array_t,
    /// `twice_no_store`.
    pub no_store: *mut ngx_array_t,
    tags: ngx_uint_t,
    delimiters: *mut Arc<Delimiters>,
    types_keys: *mut ngx_array_t,
    /// `twice_types`, as nginx's hash.
    pub types: ngx_hash_t,
    escape: ngx_uint_t,
    /// What its pages are read by, but for their type.
    pub recipe: u64,
    headers: *mut HeaderNames,
    /// `twice_purge`: null is none.
    purge: *mut ngx_shm_zone_t,
    /// `twice_status`: null is none, no zone named is all.
    status: *mut Vec<*mut ngx_shm_zone_t>,
    /// `twice_mark_dirty`.
    pub mark_dirty: *mut ngx_array_t,
    /// `twice_geo`: null is none.
    pub geo: *mut ngx_http_complex_value_t,
    lines: lines::Lines,
    /// `twice_max_variants`.
    pub max_variants: ngx_uint_t,
    languages: *mut Languages,
    vary_language: ngx_uint_t,
    language_hosts: *mut Hosts,
    ignored: *mut Ignored,
    /// `twice_audit`: null is off.
    audit: *mut Unaudited,
    lock: ngx_uint_t,
    lock_timeout: ngx_uint_t,
    lock_age: ngx_uint_t,
    /// `twice_stale_factor`; stays unset where no block names it.
    stale_factor: ngx_uint_t,
    use_stale: ngx_uint_t,
    revalidate: ngx_uint_t,
    /// Which responses are stored.
    pub steering: Steering,
    /// `twice_include_timeout`.
    pub include_timeout: ngx_msec_t,
}

const UNSET: ngx_uint_t = ngx_uint_t::MAX;

impl LocConf {
    /// The location's zone, if the cache is on.
    pub fn zone(&self) -> Option<&crate::shm::Zone> {
        // SAFETY: null or a zone of this configuration: `check` refused any other.
        unsafe { crate::shm::zone_of(self.zone) }
    }

    /// The zone of `twice_purge`, where the location has one.
    pub fn purge_zone(&self) -> Option<&crate::shm::Zone> {
        // SAFETY: as above.
        unsafe { crate::shm::zone_of(self.purge) }
    }

    /// The zones of `twice_status`.
    pub fn status_zones(&self) -> Vec<&crate::shm::Zone> {
        // SAFETY: null, or made by the directive in the configuration's pool; zones as above.
        let named = unsafe { self.status.as_ref() };
        // SAFETY: nginx's running cycle, to which this location belongs or which follows it.
        let all = || unsafe { main_of_cycle(ngx::ffi::ngx_cycle) }.map(|main| &main.zones);
        let zones = named.filter(|named| !named.is_empty()).or_else(all);
        // SAFETY: as above.
        zones.into_iter().flatten().filter_map(|zone| unsafe { crate::shm::zone_of(*zone) }).collect()
    }

    fn is_endpoint(&self) -> bool {
        !self.purge.is_null() || !self.status.is_null()
    }

    /// `twice_valid`.
    pub fn valid(&self) -> &Valid {
        // SAFETY: merged: a table that lives as long as the configuration.
        unsafe { &*self.valid }
    }

    /// `twice_tags`.
    pub fn tags(&self) -> Tags {
        match self.tags {
            0 => Tags::Off,
            2 => Tags::All,
            3 => Tags::Guarded,
            _ => Tags::Marked,
        }
    }

    /// `twice_delimiters`.
    pub fn delimiters(&self) -> &Arc<Delimiters> {
        // SAFETY: merged, as above.
        unsafe { &*self.delimiters }
    }

    /// `twice_escape`, for a response of this type.
    pub fn escape(&self, content_type: &[u8]) -> Escape {
        match self.escape {
            0 => Escape::Off,
            1 => Escape::Html,
            _ => Escape::Auto(Start::of(content_type)),
        }
    }

    /// What pages vary by here, whatever the origin says.
    pub fn varies(&self) -> &Dimensions {
        self.lines.varies()
    }

    /// `twice_withhold`.
    pub fn withheld(&self) -> &Withheld {
        self.lines.withheld()
    }

    /// `twice_require_length`.
    pub fn require_length(&self) -> bool {
        self.lines.require_length()
    }

    /// `twice_lock`.
    pub fn lock(&self) -> bool {
        self.lock != 0
    }

    /// `twice_lock_timeout`.
    pub fn lock_timeout_ms(&self) -> u64 {
        self.lock_timeout as u64
    }

    /// `twice_lock_age`.
    pub fn lock_age_ms(&self) -> u64 {
        self.lock_age as u64
    }

    /// `twice_stale_factor`.
    pub fn stale_factor(&self) -> Factor {
        if self.stale_factor == UNSET { Factor::DEFAULT } else { Factor::from_number(self.stale_factor) }
    }

    /// `twice_use_stale`.
    pub fn use_stale(&self) -> UseStale {
        UseStale::from_number(self.use_stale)
    }

    /// `twice_revalidate`.
    pub fn revalidate(&self) -> bool {
        self.revalidate != 0
    }

    /// `twice_headers`.
    pub fn headers(&self) -> &HeaderNames {
        // SAFETY: merged, as above.
        unsafe { &*self.headers }
    }

    /// `twice_languages`.
    pub fn languages(&self) -> Option<&Languages> {
        // SAFETY: merged: null or as above.
        unsafe { self.languages.as_ref() }
    }

    /// `twice_vary_language`.
    pub fn vary_language(&self) -> bool {
        self.vary_language == 1
    }

    /// `twice_language_redirect`.
    pub fn language_hosts(&self) -> Option<&Hosts> {
        // SAFETY: merged: null or as above.
        unsafe { self.language_hosts.as_ref() }
    }

    /// `twice_audit`, with the header lines that are left out of pages.
    pub fn audit(&self) -> Option<&Unaudited> {
        // SAFETY: merged: null or as above.
        unsafe { self.audit.as_ref() }
    }

    /// `twice_ignore_args`.
    pub fn ignored_args(&self) -> Option<&Ignored> {
        // SAFETY: merged: null or as above.
        unsafe { self.ignored.as_ref() }
    }
}

/// The configuration of the request's location.
pub fn of(request: Request<'_>) -> &LocConf {
    // SAFETY: `loc_conf` has a place for each HTTP module; ours was made by `create_loc` and merged.
    unsafe { &*(*(*request.raw()).loc_conf.add(crate::ctx_index())).cast::<LocConf>() }
}

/// The main configuration of the request's cycle.
pub fn main_of_request(request: Request<'_>) -> &MainConf {
    // SAFETY: `main_conf` has a place for each HTTP module; ours was made by `create_main` and is never changed after
    // the configuration was read.
    unsafe { &*(*(*request.raw()).main_conf.add(crate::ctx_index())).cast::<MainConf>() }
}

/// The main configuration while it is read.
///
/// # Safety
/// `cf` must be nginx's running configuration, inside its http block.
pub unsafe fn main_of<'a>(cf: *mut ngx_conf_t) -> &'a mut MainConf {
    // SAFETY: inside http, `cf->ctx` is an `ngx_http_conf_ctx_t` with one place for each module.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        &mut *(*(*ctx).main_conf.add(crate::ctx_index())).cast::<MainConf>()
    }
}

/// The main configuration of a cycle; none without an http block.
///
/// # Safety
/// `cycle` must be the running cycle.
pub unsafe fn main_of_cycle<'a>(cycle: *mut ngx_cycle_t) -> Option<&'a MainConf> {
    // SAFETY: `conf_ctx` has a place for each module of the cycle; the http module's is null or its context.
    unsafe {
        let ctx = (*(*cycle).conf_ctx.add(ngx_http_module.index)).cast::<ngx_http_conf_ctx_t>();
        let ctx = ctx.as_ref()?;
        (*ctx.main_conf.add(crate::ctx_index())).cast::<MainConf>().as_ref()
    }
}
