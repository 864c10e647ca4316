//! Where purge commands come in: the locations of `twice_purge`, and `X-Mark-Dirty` where `twice_mark_dirty` allows it.
//!
//! nginx's own access rules decide who reaches an endpoint. What a command names is stamped when the answer is written, so
//! that a purge is complete when it is answered.

use std::time::{SystemTime, UNIX_EPOCH};

use ngx::ffi::{
    NGX_HTTP_BAD_REQUEST, NGX_HTTP_INTERNAL_SERVER_ERROR, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_OK, NGX_HTTP_POST,
    NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, NGX_HTTP_SERVICE_UNAVAILABLE, ngx_buf_t, ngx_chain_t,
    ngx_http_core_loc_conf_t, ngx_http_core_module, ngx_http_finalize_request,
    ngx_http_read_client_request_body, ngx_http_request_t, ngx_http_test_predicates, ngx_int_t,
    ngx_read_file, ngx_uint_t,
};
use twice_core::board::{Board, Counter, Purge, Refused};
use twice_core::journal::Noted;
use twice_core::marks;
use twice_core::policy::HeaderKey;
use twice_core::purge::{Bad, Command, Site, refusal};

use super::elements::{self, Refused as Unforgotten};
use crate::answer::{self, JSON};
use crate::conf::{self, LocConf};
use crate::guard::guarded;
use crate::shm::Zone;
use crate::sys::{self, DECLINED, ERROR, Request};
use crate::{identity, purge};

/// Longest body of a command.
const MAX_BODY: usize = 1 << 20;

/// Things of a command that are purged under one lock, a few microseconds: a long command holds nobody up.
const AT_ONCE: usize = 64;

const TEXT: &[u8] = b"text/plain";

/// The content handler of `twice_purge`.
pub unsafe extern "C" fn content_handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    guarded(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t, || {
        // SAFETY: nginx passes a live request to its content handler.
        let request = unsafe { Request::new(r) };
        let Some(zone) = conf::of(request).purge_zone() else { return DECLINED };
        // SAFETY: a live request; its method's name lies in the request line.
        let (method, name) = unsafe { ((*r).method, sys::bytes((*r).method_name)) };
        if let Some(kind) = mark_dirty(request) {
            let url = || {
                let target = own_target(request)?;
                Ok((Command::from_url(target, site_of(request))?, target.to_vec()))
            };
            return by_kind(request, zone, kind, own_target(request).unwrap_or_default(), url);
        }
        if name == b"PURGE" {
            return by_target(request, zone);
        }
        if method == NGX_HTTP_POST as ngx_uint_t {
            // SAFETY: a live request; the handler runs now or when the body is there.
            let rc = unsafe { ngx_http_read_client_request_body(r, Some(with_body)) };
            return if rc >= ngx::ffi::NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t { rc } else { sys::DONE };
        }
        if request.push_out(b"Allow", b"PURGE, POST").is_none() {
            return ERROR;
        }
        let why = refusal("the method is none of PURGE and POST, nor is there a purge header");
        answer::send(request, NGX_HTTP_NOT_ALLOWED, JSON, &why)
    })
}

/// In front of a location's content: answers if the request is a purge command that the location allows.
pub fn command_of_location(request: Request<'_>, conf: &LocConf) -> bool {
    if conf.mark_dirty.is_null() || mark_dirty(request).is_none() {
        return false;
    }
    // SAFETY: nginx's own test of its own array: "declined" is its word for "one is true".
    unsafe { ngx_http_test_predicates(request.raw(), conf.mark_dirty) == DECLINED }
}

/// Answers what [`command_of_location`] found.
pub unsafe extern "C" fn location_handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    guarded(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t, || {
        // SAFETY: nginx passes a live request to its content handler.
        let request = unsafe { Request::new(r) };
        match (conf::of(request).zone(), mark_dirty(request), identity::url_of(request)) {
            (Some(zone), Some(kind), Some((host, target))) => {
                let command = Command { urls: vec![marks::of_url(&host, &target)], ..Command::default() };
                // SAFETY: a live request; its target as it came.
                let path = unsafe { sys::bytes((*r).unparsed_uri) };
                by_kind(request, zone, kind, path, || Ok((command, target)))
            }
            _ => ERROR,
        }
    })
}

/// The kind that `X-Mark-Dirty` names, or what `twice_headers purge=` calls it.
fn mark_dirty<'a>(request: Request<'a>) -> Option<&'a [u8]> {
    let name = conf::of(request).headers().name(HeaderKey::Purge).1;
    request.header_in(name.as_bytes()).map(<[u8]>::trim_ascii)
}

/// What follows the location's own path in the request's target.
fn own_target<'a>(request: Request<'a>) -> Result<&'a [u8], Bad> {
    // SAFETY: `loc_conf` has a place for each HTTP module; names live as long as the configuration.
    let (raw, name) = unsafe {
        let core = (*(*request.raw()).loc_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_loc_conf_t>();
        (sys::bytes((*request.raw()).unparsed_uri), sys::bytes((*core).name))
    };
    match raw.strip_prefix(name) {
        Some(target) => Ok(target),
        // Sent here by nginx, as `error_page 418 = @purge` does: it is the page's own.
        None if request.is_internal() => Ok(raw),
        None => Err(Bad::Elsewhere),
    }
}

/// What URLs of a command are read by.
pub fn site_of<'a>(request: Request<'a>) -> Site<'a> {
    Site { host: identity::host_of(request), ignored: conf::of(request).ignored_args() }
}

/// The value of a source that a path names, which may have a query, is forgotten. Status and text of the answer.
fn by_source(request: Request<'_>, zone: &Zone, kind: &[u8], path: &[u8]) -> (u32, String) {
    let path = path.split(|&byte| byte == b'?').next().unwrap_or_default();
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let name = kind.escape_ascii();
    match elements::forget(request, zone, kind, path) {
        Ok(path) => (NGX_HTTP_OK, format!("expired: {name}_{}\n", path.escape_ascii())),
        Err(Unforgotten::Unknown) => (NGX_HTTP_BAD_REQUEST, format!("nothing is kept of the kind {name}\n")),
        Err(Unforgotten::Unnamed(source, why)) => (
            NGX_HTTP_BAD_REQUEST,
            format!("the path names no value of the source {source}: {}\n", why.as_str()),
        ),
        Err(Unforgotten::NoMemory) => (NGX_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n".to_owned()),
    }
}

/// The original's commands: `*`, `url`, and the names of sources, whose values it calls elements. `path`: what they are named
/// by.
fn by_kind(
    request: Request<'_>,
    zone: &Zone,
    kind: &[u8],
    path: &[u8],
    url: impl FnOnce() -> Result<(Command, Vec<u8>), Bad>,
) -> ngx_int_t {
    let (command, what) = match kind {
        b"*" => (Command { all: true, ..Command::default() }, "the whole cache".to_owned()),
        b"url" => match url() {
            Ok((command, target)) => (command, format!("url {}", target.escape_ascii())),
            Err(why) => {
                return answer::send(request, NGX_HTTP_BAD_REQUEST, TEXT, format!("{why}\n").as_bytes());
            }
        },
        kind => {
            let (status, text) = by_source(request, zone, kind, path);
            return answer::send(request, status, TEXT, text.as_bytes());
        }
    };
    match run(zone, &command) {
        Ok(_) => answer::send(request, NGX_HTTP_OK, TEXT, format!("expired: {what}\n").as_bytes()),
        Err((status, why)) => answer::send(request, status, TEXT, format!("{why}\n").as_bytes()),
    }
}

fn by_target(request: Request<'_>, zone: &Zone) -> ngx_int_t {
    let command = own_target(request).and_then(|target| Command::from_target(target, site_of(request)));
    finish(request, zone, command.map_err(|why| why.to_string()))
}

fn finish(request: Request<'_>, zone: &Zone, command: Result<Command, String>) -> ngx_int_t {
    let done = command
        .map_err(|why| (NGX_HTTP_BAD_REQUEST, why))
        .and_then(|command| Ok(command.done(run(zone, &command)?)));
    match done {
        Ok(body) => answer::send(request, NGX_HTTP_OK, JSON, &body),
        Err((status, why)) => answer::send(request, status, JSON, &refusal(&why)),
    }
}

/// Stamps everything that a command names; the latest stamp comes back.
fn run(zone: &Zone, command: &Command) -> Result<u64, (u32, String)> {
    let most = zone.board().map_or(0, Board::most_prefixes);
    if command.prefixes.len() > most {
        return Err((NGX_HTTP_BAD_REQUEST, Bad::Prefixes(most).to_string()));
    }
    if command.all || !command.prefixes.is_empty() {
        purge::sweep::soon();
    }
    let things: Vec<_> = command
        .urls
        .iter()
        .chain(&command.keys)
        .map(|mark| Purge::Mark(*mark))
        .chain(command.prefixes.iter().map(|prefix| Purge::Prefix(prefix)))
        .chain(command.all.then_some(Purge::All))
        .collect();
    let mut latest = 0;
    for some in things.chunks(AT_ONCE) {
        latest = purge(zone, some, command.soft).map_err(|why| match why {
            Some(Refused::TooLong) => (NGX_HTTP_BAD_REQUEST, "a prefix is too long".to_owned()),
            Some(Refused::TooMany) => {
                let why =
                    "so many prefixes are being purged that no more can be noted: try again in a few seconds";
                (NGX_HTTP_SERVICE_UNAVAILABLE, why.to_owned())
            }
            None => (NGX_HTTP_INTERNAL_SERVER_ERROR, "the zone is not there".to_owned()),
        })?;
    }
    zone.count(Counter::Purges);
    Ok(latest)
}

/// Stamps each of these, and writes them down at one go. The latest stamp comes back; after a refusal nothing more is
/// stamped.
pub fn purge(zone: &Zone, things: &[Purge<'_>], soft: bool) -> Result<u64, Option<Refused>> {
    let board = zone.board().ok_or(None)?;
    // The clock itself, not nginx's copy of it: another worker may have read it later.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_micros());
    let now = u64::try_from(now).unwrap_or(0);
    // Under the lock nothing is allocated.
    let mut noted = Vec::with_capacity(things.len());
    let done = zone.with(|section| {
        let stamped = things.iter().try_for_each(|&what| {
            let stamp = board.purge(section, what, soft, now)?;
            noted.push(Noted { what, soft, stamp });
            Ok(())
        });
        (board.journal(), stamped)
    });
    let (journal, stamped) = done.ok_or(None)?;
    if let (Some(snapshot), false) = (zone.snapshot(), noted.is_empty()) {
        snapshot.note(zone, journal, &noted);
    }
    stamped.map(|()| noted.last().map_or(0, |noted| noted.stamp)).map_err(Some)
}

/// nginx's callback when a command's body has been read.
unsafe extern "C" fn with_body(r: *mut ngx_http_request_t) {
    let rc = guarded(NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t, || {
        // SAFETY: nginx passes a live request.
        let request = unsafe { Request::new(r) };
        let Some(zone) = conf::of(request).purge_zone() else { return ERROR };
        match body_of(request) {
            Some(body) => {
                let command = Command::from_json(&body, site_of(request)).map_err(|why| why.to_string());
                finish(request, zone, command)
            }
            None => {
                let why = refusal("the body is longer than 1 MB");
                answer::send(request, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, JSON, &why)
            }
        }
    });
    // SAFETY: ends what `ngx_http_read_client_request_body` began.
    unsafe { ngx_http_finalize_request(r, rc) };
}

/// A request's body; none if it is too long or can't be read.
fn body_of(request: Request<'_>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    // SAFETY: a live request whose body was read: a chain of buffers in memory, or in nginx's own file.
    unsafe {
        let read = (*request.raw()).request_body;
        let mut link: *mut ngx_chain_t = if read.is_null() { std::ptr::null_mut() } else { (*read).bufs };
        while !link.is_null() {
            add_buf(&mut body, (*link).buf)?;
            link = (*link).next;
        }
    }
    Some(body)
}

/// # Safety
/// `buf` must be a buffer of a request's body.
unsafe fn add_buf(body: &mut Vec<u8>, buf: *mut ngx_buf_t) -> Option<()> {
    // SAFETY: the caller's promise; a buffer in memory has its bytes from `pos` to `last`, one in a file from
    // `file_pos` to `file_last` of a file that is open.
    unsafe {
        let b = &*buf;
        if b.in_file() != 0 {
            let len = usize::try_from(b.file_last.checked_sub(b.file_pos)?).ok()?;
            let at = body.len();
            if at.checked_add(len)? > MAX_BODY {
                return None;
            }
            body.resize(at + len, 0);
            let got = ngx_read_file(b.file, body.as_mut_ptr().add(at), len, b.file_pos);
            return (usize::try_from(got) == Ok(len)).then_some(());
        }
        if !b.pos.is_null() {
            let part = std::slice::from_raw_parts(b.pos, b.last.offset_from_unsigned(b.pos));
            if body.len() + part.len() > MAX_BODY {
                return None;
            }
            body.extend_from_slice(part);
        }
    }
    Some(())
}
