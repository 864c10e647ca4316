//! The visitor's language at the border, and the way to its host.

use std::ptr;
use std::slice;

use ngx::ffi::{NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_MOVED_TEMPORARILY, ngx_int_t, ngx_uint_t};
use twice_core::language;
use twice_core::outcome::Reason;

use crate::conf::{self, LocConf};
use crate::ctx::{self, Ctx};
use crate::sys::{self, ERROR, Request};
use crate::visitor;

/// The visitor's language: of `twice_languages` the negotiated one, as it is written there; without them the preferred
/// one, in lower case. Each language has one spelling.
pub fn language<'a>(request: Request<'a>) -> &'a [u8] {
    let conf = conf::of(request);
    let from = conf.languages().map_or(ptr::null(), ptr::from_ref);
    if let Some(visitor) = visitor::of(request)
        && let Some((list, found)) = visitor.language
        && ptr::eq(list, from)
    {
        // SAFETY: of the configuration, or in the pool of the main request, with which it is kept.
        return unsafe { &*found };
    }
    let accepted = request.header_in(b"accept-language").unwrap_or_default();
    let found = match conf.languages() {
        Some(languages) => languages.negotiate(accepted).tag.as_bytes(),
        None => lower(request.main(), language::preferred(accepted)).unwrap_or(language::DEFAULT),
    };
    if let Some(visitor) = visitor::of(request) {
        visitor.language = Some((from, found));
    }
    found
}

/// A copy in lower case.
pub fn lower<'a>(request: Request<'a>, text: &[u8]) -> Option<&'a [u8]> {
    let copy = request.alloc(text.len())?;
    for (i, byte) in text.iter().enumerate() {
        // SAFETY: `text.len()` bytes were allocated.
        unsafe { copy.add(i).write(byte.to_ascii_lowercase()) };
    }
    // SAFETY: all of them were written.
    Some(unsafe { slice::from_raw_parts(copy, text.len()) })
}

/// Sends a client's request to the host of its language, where `twice_language_redirect` says so; what is given back
/// ends the phase. None: it stays here.
pub fn redirect(request: Request<'_>, conf: &LocConf) -> Option<ngx_int_t> {
    let (hosts, languages) = (conf.language_hosts()?, conf.languages()?);
    let r = request.raw();
    // SAFETY: a live request; its strings live in its pool or header buffers.
    let (method, host, target) =
        unsafe { ((*r).method, sys::bytes((*r).headers_in.server), sys::bytes((*r).unparsed_uri)) };
    let page = method & (NGX_HTTP_GET | NGX_HTTP_HEAD) as ngx_uint_t != 0;
    // One that was looked up stays where it is.
    if !page || request.is_internal() || ctx::get(request).is_some() {
        return None;
    }
    let accepted = request.header_in(b"accept-language")?;
    let language = hosts.elsewhere(languages, host, accepted)?;
    let mut room = 0;
    hosts.write(language, target, |piece| room += piece.len());
    let address = request.join(room, |out| hosts.write(language, target, out));
    let done = address.and_then(|address| send_to(request, conf, address));
    Some(if done.is_some() { NGX_HTTP_MOVED_TEMPORARILY as ngx_int_t } else { ERROR })
}

/// Prepares the answer that sends the client elsewhere. It is one visitor's.
fn send_to<'a>(request: Request<'a>, conf: &LocConf, address: &'a [u8]) -> Option<()> {
    ctx::set(request, Ctx::new(conf.zone()?, Reason::LanguageHost))?;
    let line = request.push_out(b"Location", address)?;
    // SAFETY: a live request; nginx makes a relative address absolute and leaves this one.
    unsafe { (*request.raw()).headers_out.location = line };
    request.push_out(b"Cache-Control", b"private")?;
    Some(())
}

/// Whether the answer on this host would be another one for another `Accept-Language`: it may be a way elsewhere.
pub fn decides_the_host(request: Request<'_>, conf: &LocConf) -> bool {
    // SAFETY: a live request's host.
    conf.language_hosts()
        .is_some_and(|hosts| hosts.is_default(unsafe { sys::bytes((*request.raw()).headers_in.server) }))
}
