//! The key of a tag at its source, with what the request says of its variables.

use ngx::ffi::{ngx_http_get_indexed_variable, ngx_uint_t};
use twice_core::source::Failure;
use twice_core::source::key::{self, Unfilled};

use super::Source;
use crate::sys::{self, Request};

/// What an element is remembered by: the source's name, 0, its key. In the request's pool. None: a variable of the key
/// is empty, so that there is no value.
pub fn id_of<'a>(request: Request<'a>, source: &Source, tag_key: &[u8]) -> Result<Option<&'a [u8]>, Failure> {
    if source.key.template.is_tag_key() {
        key::check(tag_key).map_err(|_| Failure::BadKey)?;
        return id(request, source, tag_key).map(Some).ok_or(Failure::Busy);
    }
    let variables = &source.key.variables;
    let value = |number: usize| variables.get(number).and_then(|index| variable(request, *index));
    match source.key.template.fill(tag_key, value) {
        Ok(key) => id(request, source, key.as_bytes()).map(Some).ok_or(Failure::Busy),
        Err(Unfilled::Missing) => Ok(None),
        Err(Unfilled::Bad(_)) => Err(Failure::BadKey),
    }
}

/// The same of a key that is known.
pub fn id<'a>(request: Request<'a>, source: &Source, key: &[u8]) -> Option<&'a [u8]> {
    request.join(source.name.len() + 1 + key.len(), |put| {
        put(source.name.as_bytes());
        put(&[0]);
        put(key);
    })
}

fn variable(request: Request<'_>, index: usize) -> Option<&[u8]> {
    // SAFETY: a number that nginx gave for a variable of this configuration; its value lives in the request's pool.
    unsafe { sys::value_of(ngx_http_get_indexed_variable(request.raw(), index as ngx_uint_t)) }
}
