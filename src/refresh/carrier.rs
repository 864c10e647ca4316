//! A request like a visitor's that does nothing but carry sub-requests, on a connection to nowhere: what is asked in the
//! visitor's way goes on when he is gone, and keeps none of his own requests waiting.
//!
//! It runs no phase and answers nothing. nginx ends it with its last sub-request.

use std::ffi::CStr;

use ngx::ffi::{
    NGX_HTTP_GET, ngx_http_block_reading, ngx_http_create_request, ngx_http_finalize_request,
    ngx_http_request_empty_handler, ngx_http_run_posted_requests, ngx_uint_t,
};

use super::{connection, copy, has_edges, is_leaving, room};
use crate::sys::{DONE, ERROR, Request};

/// A request of our own. Dropped, it is left to its sub-requests: it ends with the last of them, at once if it has none.
pub struct Carrier<'a>(Request<'a>);

impl<'a> Carrier<'a> {
    /// One that is like this visitor's, with all that he said of himself. None: there is no room for it, or no memory.
    /// `doing`: what the error log says that it does.
    pub fn like(visitor: Request<'a>, doing: &'static CStr) -> Option<Self> {
        if is_leaving() || !has_edges() || room().is_err() {
            return None;
        }
        // SAFETY: a live request, whose connection the new one is made like; what is made is complete before anybody else sees
        // it.
        unsafe {
            let c = connection::open(visitor)?;
            (*(*c).log).action = doing.as_ptr().cast_mut().cast();
            let r = ngx_http_create_request(c);
            if r.is_null() {
                connection::close(c);
                return None;
            }
            connection::settle(visitor, c, r);
            let request = Request::new(r);
            match copy::copy(visitor, request, &copy::Keep::all()) {
                copy::Copied::Whole { .. } => {}
                // nginx has ended it itself.
                copy::Copied::Ended => return None,
                copy::Copied::Failed => {
                    ngx_http_finalize_request(r, ERROR);
                    ngx_http_run_posted_requests(c);
                    return None;
                }
            }
            (*r).method = NGX_HTTP_GET as ngx_uint_t;
            (*r).read_event_handler = Some(ngx_http_block_reading);
            (*r).write_event_handler = Some(ngx_http_request_empty_handler);
            (*r).set_logged(1);
            Some(Self(request))
        }
    }

    /// The request, for sub-requests.
    pub fn request(&self) -> Request<'a> {
        self.0
    }
}

impl Drop for Carrier<'_> {
    fn drop(&mut self) {
        let r = self.0.raw();
        // SAFETY: a live request of our own. Its sub-requests begin in the event that is posted; nginx takes that back if there
        // are none, and the request ends here.
        unsafe {
            connection::post((*r).connection);
            ngx_http_finalize_request(r, DONE);
        }
    }
}
