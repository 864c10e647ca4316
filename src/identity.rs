//! Who a page is: the key of a request, as the configuration writes it or as the core makes it.

use std::ptr;

use ngx::ffi::{ngx_http_complex_value, ngx_http_core_module, ngx_http_core_srv_conf_t, ngx_str_t};
use twice_core::canonical;
use twice_core::key::{MAX_KEY, Parts, Target, behind_host, port_of};
use twice_core::outcome::Reason;
use twice_core::reference::Base;

use crate::conf::{self, LocConf};
use crate::refresh;
use crate::sys::{self, OK, Request};

/// The request's key, in its pool.
pub fn key_of<'a>(request: Request<'a>, conf: &LocConf) -> Result<&'a [u8], Reason> {
    let key = if conf.key.is_null() { default_key(request, conf)? } else { written_key(request, conf)? };
    if key.len() > MAX_KEY { Err(Reason::KeyTooLong) } else { Ok(key) }
}

fn written_key<'a>(request: Request<'a>, conf: &LocConf) -> Result<&'a [u8], Reason> {
    let mut key = ngx_str_t { len: 0, data: ptr::null_mut() };
    // SAFETY: a compiled value of the configuration; nginx writes the result into the request's pool.
    unsafe {
        if ngx_http_complex_value(request.raw(), conf.key, &raw mut key) != OK {
            return Err(Reason::Failed);
        }
        Ok(sys::bytes(key))
    }
}

fn default_key<'a>(request: Request<'a>, conf: &LocConf) -> Result<&'a [u8], Reason> {
    let r = request.raw();
    // SAFETY: a live request; its strings live in its pool or header buffers.
    let (server, header, path, args, raw) = unsafe {
        let host = (*r).headers_in.host;
        let header = if host.is_null() { &b""[..] } else { sys::bytes((*host).value) };
        let server = sys::bytes((*r).headers_in.server);
        (server, header, sys::bytes((*r).uri), sys::bytes((*r).args), sys::bytes((*r).unparsed_uri))
    };
    let port = match header {
        // Without `Host` (HTTP/1.0): what the origin is told then is not what it is told of clients who
        // name this host. No port has this form.
        b"" => b":-",
        _ => behind_host(server, header).ok_or(Reason::HostMismatch)?,
    };
    // An internal redirect leaves the origin what the client asked for (`$request_uri`, and what proxy_pass
    // sends from a named location). A sub-request has its parent's.
    let own = if request.is_main() { raw } else { b"" };
    // SAFETY: a live request.
    let status = unsafe { (*r).err_status };
    let mut digits = [0; 20];
    let error = if status == 0 { &b""[..] } else { sys::write_decimal(&mut digits, status as u64) };
    let target = if request.is_internal() {
        let (args, raw) = match conf.ignored_args() {
            None => (args, own),
            Some(ignored) => (
                counted(request, args, |out| ignored.write_query(args, out))?,
                counted(request, own, |out| ignored.write_target(own, out))?,
            ),
        };
        Target::Internal { path, args, error, raw }
    } else {
        Target::Raw(match conf.ignored_args() {
            None => raw,
            Some(ignored) => counted(request, raw, |out| ignored.write_target(raw, out))?,
        })
    };
    // Where the client names the port that it came in on, as clients do, that says it.
    let named = match port_of(port) {
        Some(named) => named,
        None => request.default_port(),
    };
    let listen = match request.listen_port() {
        0 => b"",
        listen if listen == named => b"",
        listen => sys::decimal(request, u64::from(listen)).ok_or(Reason::Failed)?,
    };
    let parts = Parts { scheme: request.scheme(), listen, host: server, port, target };
    let len = parts.len();
    let start = request.alloc(len).ok_or(Reason::Failed)?;
    let mut at = 0;
    parts.write(|piece| {
        // SAFETY: `len` bytes were allocated, and the pieces add up to `len`.
        unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), start.add(at), piece.len()) };
        at += piece.len();
    });
    // SAFETY: all `len` bytes were written just now.
    Ok(unsafe { std::slice::from_raw_parts(start, len) })
}

/// What `twice_ignore_args` leaves of a query or a target, which is never longer.
fn counted<'a>(
    request: Request<'a>,
    whole: &[u8],
    write: impl FnOnce(&mut dyn FnMut(&[u8])),
) -> Result<&'a [u8], Reason> {
    request.join(whole.len(), write).ok_or(Reason::Failed)
}

/// What a page is purged by, whichever port and scheme it was reached by and however it was written: its host, and its
/// target in one form for all of them. A sub-request's target is its own, everything else's the client's. None: no memory.
pub fn url_of(request: Request<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let r = request.raw();
    // SAFETY: a live request; its strings live in its pool or header buffers.
    let (path, args, raw) =
        unsafe { (sys::bytes((*r).uri), sys::bytes((*r).args), sys::bytes((*r).unparsed_uri)) };
    let (args, raw) = match conf::of(request).ignored_args() {
        None => (args, raw),
        Some(ignored) => (
            counted(request, args, |out| ignored.write_query(args, out)).ok()?,
            counted(request, raw, |out| ignored.write_target(raw, out)).ok()?,
        ),
    };
    let part = !request.is_main() || refresh::is_of_a_part(request);
    let target = if part { canonical::of_decoded(path, args) } else { canonical::of_target(raw) };
    Some((host_of(request).to_ascii_lowercase(), target))
}

/// What references of the answer are read by. None: `Host` and URI name different hosts.
pub fn base_of<'a>(request: Request<'a>) -> Option<Base<'a>> {
    let r = request.raw();
    // SAFETY: a live request; its strings live in its pool or header buffers.
    let (server, header, target) = unsafe {
        let host = (*r).headers_in.host;
        let header = if host.is_null() { &b""[..] } else { sys::bytes((*host).value) };
        (sys::bytes((*r).headers_in.server), header, sys::bytes((*r).unparsed_uri))
    };
    let behind = match header {
        b"" => b"",
        header => behind_host(server, header)?,
    };
    let port = port_of(behind).unwrap_or_else(|| request.default_port());
    Some(Base { scheme: request.scheme(), host: host_of(request), port, target })
}

/// The host that the client named, in lower case and without port; as `$host` the server's own name where he named none.
pub fn host_of<'a>(request: Request<'a>) -> &'a [u8] {
    // SAFETY: a live request; `srv_conf` has a place for each HTTP module, and names live as long as the configuration.
    unsafe {
        let r = request.raw();
        let named = sys::bytes((*r).headers_in.server);
        if !named.is_empty() {
            return named;
        }
        let core = (*(*r).srv_conf.add(ngx_http_core_module.ctx_index)).cast::<ngx_http_core_srv_conf_t>();
        sys::bytes((*core).server_name)
    }
}
