//! A response's random value, for `<& nonce &>` and `$twice_nonce`.
//!
//! Invariants: 128 bits of the system's generator, as 22 letters, digits, `-` and `_`; made when it is first asked for,
//! once for a client's request, whose sub-requests and internal redirects have the same one; no bit is used twice.

use std::cell::RefCell;

use ngx::ffi::NGX_LOG_ERR;
use ngx::ngx_log_error;

use crate::sys::Request;
use crate::visitor;

/// Bytes of a nonce before they are written as text.
const RANDOM: usize = 16;

/// Bytes that are fetched at once: one system call for so many nonces is not worth counting.
const AT_ONCE: usize = 32 * RANDOM;

/// The nonce of the response; none when memory ran out or the system gives no random bytes.
pub fn of<'a>(request: Request<'a>) -> Option<&'a [u8]> {
    if let Some(nonce) = visitor::of(request)?.nonce {
        // SAFETY: in the pool of the main request, which outlives this one.
        return Some(unsafe { &*nonce });
    }
    let random = match random() {
        Ok(random) => random,
        Err(error) => {
            ngx_log_error!(NGX_LOG_ERR, request.log(), "twice: the system gives no random bytes: {}", error);
            return None;
        }
    };
    let nonce = request.main().copy(&twice_core::nonce::text(random))?;
    visitor::of(request)?.nonce = Some(nonce);
    Some(nonce)
}

/// The system's generator does not block: when zones were made it had given bytes already. A worker is forked before it
/// asks for its first ones, so no two have the same.
fn random() -> Result<[u8; RANDOM], getrandom::Error> {
    thread_local! {
        static BYTES: RefCell<([u8; AT_ONCE], usize)> = const { RefCell::new(([0; AT_ONCE], 0)) };
    }
    BYTES.with_borrow_mut(|(bytes, left)| {
        if *left == 0 {
            getrandom::fill(bytes)?;
            *left = AT_ONCE / RANDOM;
        }
        *left -= 1;
        let (chunks, _) = bytes.as_chunks_mut::<RANDOM>();
        // What was used is in no worker's memory any more.
        chunks.get_mut(*left).map(std::mem::take).ok_or(getrandom::Error::UNEXPECTED)
    })
}
