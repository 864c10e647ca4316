//! Sources of the site's own: a sub-request, whose answer is the value.
//!
//! It carries the header lines of the visitor's request, whom the service knows by them, and passes the page cache by.
//! nginx ends it with the request that it is made for; whoever else waits for its value then asks again
//! ([`fetches::orphaned`](super::fetches::orphaned)).

use ngx::ffi::ngx_msec_t;
use twice_core::source::{Answer, Failure};

use super::Source;
use crate::include::Includes;
use crate::sys::Request;

/// Asks for the value of a fetch.
pub fn get(request: Request<'_>, source: &Source, uri: &str, ticket: u64) -> Result<(), Failure> {
    let timeout = ngx_msec_t::try_from(source.timeout_ms).unwrap_or(ngx_msec_t::MAX / 4);
    let answer = Includes::of_fetch(request, ticket, timeout).ok_or(Failure::Busy)?;
    // SAFETY: just made for this live request.
    unsafe {
        Includes::ask(answer, request, 0, uri.as_bytes());
        match (*answer).answer() {
            Answer::Failed(why) if !(*answer).is_pending() => Err(why),
            _ => Ok(()),
        }
    }
}
