//! The locations of `twice_status`: what zones and sources say of themselves.

use ngx::ffi::{
    NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_OK,
    ngx_http_request_t, ngx_int_t, ngx_uint_t,
};
use twice_core::board::Counter;
use twice_core::source::figures::{ServerStat, Stat};
use twice_core::source::shown::{ServerStatus, SourceStatus};
use twice_core::status::{self, ZoneStatus};

use crate::answer::{self, JSON};
use crate::conf;
use crate::guard::guarded;
use crate::shm::{self, Zone};
use crate::source::{Backend, Source};
use crate::sys::{self, ERROR, Request};

/// What Prometheus asks for.
const PROMETHEUS: &[u8] = b"text/plain; version=0.0.4";

/// The content handler of `twice_status`.
pub unsafe extern "C" fn content_handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    guarded(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t, || {
        // SAFETY: nginx passes a live request to its content handler.
        let request = unsafe { Request::new(r) };
        // SAFETY: as above.
        let (method, args) = unsafe { ((*r).method, sys::bytes((*r).args)) };
        if method & (NGX_HTTP_GET | NGX_HTTP_HEAD) as ngx_uint_t == 0 {
            return NGX_HTTP_NOT_ALLOWED as ngx_int_t;
        }
        let sources: Vec<_> = conf::main_of_request(request).sources.iter().map(status_of_source).collect();
        let zones = conf::of(request).status_zones();
        let Some(zones) = zones.into_iter().map(status_of).collect::<Option<Vec<_>>>() else { return ERROR };
        if args.split(|&b| b == b'&').any(|arg| arg == b"format=prometheus") {
            answer::send(request, NGX_HTTP_OK, PROMETHEUS, &status::prometheus(&zones, &sources))
        } else {
            answer::send(request, NGX_HTTP_OK, JSON, &status::json(&zones, &sources))
        }
    })
}

fn status_of_source(source: &Source) -> SourceStatus<'_> {
    SourceStatus {
        name: &source.name,
        kind: source.kind_name(),
        figures: Stat::ALL.iter().map(|stat| source.figures.figure(*stat)).collect(),
        servers: source.backends().map(|backend| status_of_backend(source, backend)).collect(),
    }
}

fn status_of_backend<'a>(source: &Source, backend: Backend<'a>) -> ServerStatus<'a> {
    ServerStatus {
        name: backend.name,
        state: source.state(backend),
        ejected_ms: backend.figures.ejected_ms(),
        figures: ServerStat::ALL.iter().map(|stat| backend.figures.figure(*stat)).collect(),
    }
}

fn status_of(zone: &Zone) -> Option<ZoneStatus<'_>> {
    let board = zone.board()?;
    let [elements, local] = zone.other_stats();
    Some(ZoneStatus {
        name: zone.name(),
        stats: zone.with(|section| section.stats())?,
        elements,
        local,
        counters: Counter::ALL.iter().map(|counter| board.figure(*counter)).collect(),
        visitors: board.visitors(shm::now_ms()),
    })
}
