//! Configuration: what the directives leave behind, and how it is inherited.
//!
//! A [`LocConf`] is plain memory of nginx's configuration pool, with nginx's own "unset" marks so that
//! nginx's own setters and merge functions work on it. Values that Rust owns (tables, expressions)
//! hang on pointers and are dropped with the pool.

mod audit;
mod directives;
mod endpoints;
mod lines;
mod others;
mod setters;
mod sources;
mod steering;
mod visitors;
mod zones;

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use ngx::ffi::{
    NGX_LOG_EMERG, ngx_array_t, ngx_conf_t, ngx_cycle_t, ngx_hash_t, ngx_http_complex_value_t,
    ngx_http_conf_ctx_t, ngx_http_html_default_types, ngx_http_merge_types, ngx_http_module, ngx_msec_t,
    ngx_pcalloc, ngx_shm_zone_t, ngx_str_t, ngx_uint_t,
};
use ngx::ngx_conf_log_error;
use twice_core::ab::Test;
use twice_core::audit::Ignored as Unaudited;
use twice_core::key::Ignored;
use twice_core::language::{Hosts, Languages};
use twice_core::policy::{Factor, HeaderNames, Tags, UseStale, Valid, Withheld};
use twice_core::recipe;
use twice_core::template::{Delimiters, Escape, Start};
use twice_core::variants::Dimensions;

use crate::guard::guarded;
use crate::source::Source;
use crate::sys::{self, Request};

pub use directives::COMMANDS;
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

fn merge_uint(child: &mut ngx_uint_t, parent: ngx_uint_t, default: ngx_uint_t) {
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
unsafe fn inherit<T>(
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
