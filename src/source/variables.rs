//! `$twice_source_NAME_FIGURE` and `$twice_source_NAME_SERVER_FIGURE`.

use ngx::ffi::{
    NGX_HTTP_VAR_NOCACHEABLE, NGX_HTTP_VAR_PREFIX, ngx_conf_t, ngx_http_add_variable, ngx_http_conf_ctx_t,
    ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_request_t, ngx_http_variable_t,
    ngx_http_variable_value_t, ngx_int_t, ngx_str_t,
};
use ngx::ngx_string;
use twice_core::source::figures::{ServerStat, Stat};
use twice_core::source::shown::{self, Told};

use super::{Backend, Source};
use crate::conf::{self, MainConf};
use crate::sys::{self, ERROR, OK, Request};
use crate::variables;

/// Adds them, as one variable for all that begin so.
///
/// # Safety
/// `cf` must be the running configuration, in preconfiguration.
pub unsafe fn add(cf: *mut ngx_conf_t) -> ngx_int_t {
    let mut name = ngx_string!("twice_source_");
    let flags = (NGX_HTTP_VAR_NOCACHEABLE | NGX_HTTP_VAR_PREFIX) as usize;
    // SAFETY: the caller's promise; nginx copies the name; the variable it returns is ours to fill.
    unsafe {
        let variable = ngx_http_add_variable(cf, &raw mut name, flags);
        if variable.is_null() {
            return ERROR;
        }
        (*variable).get_handler = Some(get);
    }
    OK
}

fn told(main: &MainConf, name: &[u8]) -> Option<Told> {
    let names = |source| Source::backends(source).map(|backend| backend.name);
    let sources = main.sources.iter().map(|source| (source.name.as_str(), names(source)));
    shown::find(std::str::from_utf8(name).ok()?, sources)
}

/// Refuses names that tell nothing, which nginx takes for ours by their beginning. All sources are known.
///
/// # Safety
/// `cf` must be the running configuration, inside its http block.
pub unsafe fn check(cf: *mut ngx_conf_t, main: &MainConf) -> Result<(), String> {
    // SAFETY: the caller's promise: the core module has its main configuration, with an array of the variables that
    // directives name.
    let used = unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = *(*ctx).main_conf.add(ngx_http_core_module.ctx_index);
        (*core.cast::<ngx_http_core_main_conf_t>()).variables.as_slice::<ngx_http_variable_t>()
    };
    // SAFETY: as above; names live as long as the configuration.
    let mut names = used.iter().map(|variable| unsafe { sys::bytes(variable.name) });
    let bad = |name: &&[u8]| name.starts_with(shown::PREFIX.as_bytes()) && told(main, name).is_none();
    let Some(name) = names.find(bad) else { return Ok(()) };
    let sources: Vec<_> = main.sources.iter().map(|source| source.name.as_str()).collect();
    let figures: Vec<_> = Stat::ALL.iter().map(|stat| stat.as_str()).collect();
    let of_servers: Vec<_> = ServerStat::ALL.iter().map(|stat| stat.as_str()).collect();
    Err(format!(
        "the variable \"${}\" is unknown, allowed are ${}NAME_FIGURE with a source ({}) and one of {}, and with \
         _SERVER behind NAME one of {}, state, server_ejected_at",
        name.escape_ascii(),
        shown::PREFIX,
        sources.join(", "),
        figures.join(", "),
        of_servers.join(", ")
    ))
}

/// `data`: the whole name, as nginx has it for variables of a prefix.
unsafe extern "C" fn get(
    r: *mut ngx_http_request_t,
    v: *mut ngx_http_variable_value_t,
    data: usize,
) -> ngx_int_t {
    // SAFETY: nginx passes a live request, a value to be filled, and the name, which outlives the call.
    unsafe {
        let name = std::ptr::with_exposed_provenance::<ngx_str_t>(data);
        let name = name.as_ref().map(|name| sys::bytes(*name));
        variables::give(r, v, |request| value(request, name?))
    }
}

fn value<'a>(request: Request<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let main = conf::main_of_request(request);
    let source = |number: usize| main.sources.get(number);
    let server = |number: usize, server: usize| main.sources.get(number)?.backends().nth(server);
    let number = match told(main, name)? {
        Told::Source(number, stat) => source(number)?.figures.figure(stat),
        Told::Servers(number, stat) => {
            let servers = source(number)?.backends();
            servers.fold(0u64, |sum, server| sum.wrapping_add(server.figures.figure(stat)))
        }
        Told::ServersUp(number) => {
            let is_up = |server: &Backend<'_>| server.figures.health().is_some_and(|health| health.is_up());
            source(number)?.backends().filter(is_up).count() as u64
        }
        Told::Server(number, place, stat) => server(number, place)?.figures.figure(stat),
        Told::EjectedAt(number, place) => shown::microseconds(server(number, place)?.figures.ejected_ms()),
        Told::State(number, place) => {
            return Some(source(number)?.state(server(number, place)?).as_str().as_bytes());
        }
    };
    sys::decimal(request, number)
}
