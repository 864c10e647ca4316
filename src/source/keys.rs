//! The key of a tag at its source, with what the request says of its variables.

use ngx::ffi::{ngx_http_get_indexed_variable, ngx_uint_t};
use twice_core::source::Failure;
use twice_core::source::key::{self, MAX_KEY, MAX_SERVICE_KEY, Unfilled, Unnamed};

use super::{Kind, Source};
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
    let template = &source.key.template;
    let filled = match source.kind {
        Kind::Http(_) => {
            let key = template.fill::<MAX_SERVICE_KEY>(tag_key, value);
            key.map(|key| id(request, source, key.as_bytes()))
        }
        Kind::Memcached(_) | Kind::Local => {
            let key = template.fill::<MAX_KEY>(tag_key, value);
            key.map(|key| id(request, source, key.as_bytes()))
        }
    };
    match filled {
        Ok(id) => id.map(Some).ok_or(Failure::Busy),
        Err(Unfilled::Missing) => Ok(None),
        Err(Unfilled::Bad(_)) => Err(Failure::BadKey),
    }
}

/// The same of a purge's path, decoded. None: no memory.
pub fn id_of_path<'a>(
    request: Request<'a>,
    source: &Source,
    path: &[u8],
) -> Result<Option<&'a [u8]>, Unnamed> {
    let template = &source.key.template;
    Ok(match source.kind {
        Kind::Http(_) => id(request, source, template.substitute::<MAX_SERVICE_KEY>(path)?.as_bytes()),
        Kind::Memcached(_) | Kind::Local => {
            id(request, source, template.substitute::<MAX_KEY>(path)?.as_bytes())
        }
    })
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
