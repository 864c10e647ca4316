//! What is known of a request's visitor: found once, then kept with the client's own request.
//!
//! It hangs on a cleanup of the pool, not on `r->ctx`: an internal redirect forgets that, and sub-requests have their
//! own, while all of them belong to one visitor.

use std::ffi::c_void;
use std::ptr;

use ngx::ffi::ngx_pool_cleanup_add;
use twice_core::language::Languages;

use crate::sys::{self, Request};

/// The visitor of a request. Plain memory of the pool: nothing needs dropping.
pub struct Visitor {
    /// The id by which A/B values are chosen, once it was asked for.
    pub id: Option<Id>,
    /// The response's nonce, once it was asked for: in the main request's pool.
    pub nonce: Option<*const [u8]>,
    /// The negotiated language, and the list that it was chosen from (null: none).
    pub language: Option<(*const Languages, *const [u8])>,
    /// The pool is being destroyed.
    gone: bool,
}

/// A visitor's id.
#[derive(Clone, Copy)]
pub struct Id {
    /// In the request's pool or its header buffers.
    pub text: *const [u8],
    /// It was made for this request: the visitor does not know it yet.
    pub is_new: bool,
}

/// What is known of the request's visitor; none when memory ran out. To be dropped before the next call into nginx.
pub fn of<'a>(request: Request<'a>) -> Option<&'a mut Visitor> {
    // SAFETY: a live request; the main one lives as long as all of its sub-requests. Records with our handler were
    // filled below. nginx runs one callback at a time, and no borrow outlives the statements between two calls.
    unsafe {
        let pool = (*(*request.raw()).main).pool;
        if let Some(known) = sys::notes(pool, forget).next() {
            return known.cast::<Visitor>().as_mut();
        }
        let record = ngx_pool_cleanup_add(pool, size_of::<Visitor>());
        if record.is_null() {
            return None;
        }
        let visitor = (*record).data.cast::<Visitor>();
        visitor.write(Visitor { id: None, nonce: None, language: None, gone: false });
        (*record).handler = Some(forget);
        visitor.as_mut()
    }
}

/// The mark of our record ([`sys::notes`]).
unsafe extern "C" fn forget(data: *mut c_void) {
    // SAFETY: nginx runs a cleanup once, with the data that `of` wrote.
    unsafe { ptr::write_volatile(&raw mut (*data.cast::<Visitor>()).gone, true) };
}
