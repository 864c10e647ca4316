//! A/B tests at the border: who the visitor is, and what the app is told.
//!
//! Invariant: one client's request has one id, whoever asks first: tag, variable, fetch or the cookie that tells
//! the visitor. Where no test is configured nothing here is run.

use std::cell::Cell;

use ngx::ffi::NGX_LOG_ERR;
use ngx::ngx_log_error;
use twice_core::ab::{self, ID_LEN, ID_RANDOM, Test};

use crate::conf;
use crate::sys::Request;
use crate::values;
use crate::visitor::{self, Id};

/// How long a browser keeps the id, and who may see it.
const COOKIE_END: &str = "; Path=/; Max-Age=63072000; HttpOnly; SameSite=Lax";

/// The visitor's value of a test; none if there is no such test.
pub fn ab_value<'a>(request: Request<'a>, test: &[u8]) -> Option<&'a [u8]> {
    let tests = &conf::main_of_request(request).ab_tests;
    let test = tests.iter().find(|other| other.name().as_bytes() == test)?;
    Some(test.value(id(request)?.0).as_bytes())
}

/// The same for the test at a place of the configuration.
pub fn value_at<'a>(request: Request<'a>, place: usize) -> Option<&'a [u8]> {
    let test = conf::main_of_request(request).ab_tests.get(place)?;
    Some(test.value(id(request)?.0).as_bytes())
}

/// What the app is told of all tests: `test1:value,test2:value`; none without tests.
pub fn all_values<'a>(request: Request<'a>) -> Option<&'a [u8]> {
    let tests: &[Test] = &conf::main_of_request(request).ab_tests;
    if tests.is_empty() {
        return None;
    }
    let (id, _) = id(request)?;
    request.join(ab::values_room(tests), |out| ab::write_values(tests, id, out))
}

/// The `Set-Cookie` that tells a visitor the id that was made for him; none where he has one, or without tests.
pub fn new_cookie<'a>(request: Request<'a>) -> Option<&'a [u8]> {
    let main = conf::main_of_request(request);
    if main.ab_tests.is_empty() {
        return None;
    }
    let (id, is_new) = id(request)?;
    if !is_new {
        return None;
    }
    let secure = if request.scheme() == b"https" { "; Secure" } else { "" };
    let parts = [main.ab_cookie().as_bytes(), b"=", id, COOKIE_END.as_bytes(), secure.as_bytes()];
    request.join(parts.iter().map(|part| part.len()).sum(), |out| parts.into_iter().for_each(out))
}

/// The visitor's id, and whether it was made for this request; none when memory or randomness ran out.
fn id<'a>(request: Request<'a>) -> Option<(&'a [u8], bool)> {
    if let Some(id) = visitor::of(request)?.id {
        // SAFETY: kept with the main request, in whose pool or header buffers it lies.
        return Some((unsafe { &*id.text }, id.is_new));
    }
    let name = conf::main_of_request(request).ab_cookie().as_bytes();
    // The cookies of a sub-request are its main request's.
    let known = values::all_cookies(request).find(|(n, value)| *n == name && ab::is_id(value)).map(|c| c.1);
    let (text, is_new) = match known {
        Some(id) => (id, false),
        None => (request.main().copy(&new_id(request)?)?, true),
    };
    visitor::of(request)?.id = Some(Id { text, is_new });
    Some((text, is_new))
}

/// Ids for which random bytes are fetched at once.
const AT_ONCE: usize = 16;

/// A new id. The system's generator does not block: when zones were made it had given bytes already.
fn new_id(request: Request<'_>) -> Option<[u8; ID_LEN]> {
    thread_local! {
        static RANDOM: Cell<([[u8; ID_RANDOM]; AT_ONCE], usize)> = const { Cell::new(([[0; ID_RANDOM]; AT_ONCE], 0)) };
    }
    let (mut bytes, mut left) = RANDOM.get();
    if left == 0 {
        if let Err(error) = getrandom::fill(bytes.as_flattened_mut()) {
            ngx_log_error!(NGX_LOG_ERR, request.log(), "twice: the system gives no random bytes: {}", error);
            return None;
        }
        left = AT_ONCE;
    }
    left -= 1;
    RANDOM.set((bytes, left));
    bytes.get(left).map(ab::make_id)
}
