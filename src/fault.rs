//! Workers that die on order, in debug builds only: for `scripts/torture`.
//!
//! With `TWICE_DIE_AT_WRITE=STEP:LIMIT:FILE` in a worker's environment (`env TWICE_DIE_AT_WRITE;` in nginx.conf) each
//! worker that starts takes the next number and kills itself in place of its nth write into shared memory from
//! then on. Its successor takes the number after that. So deaths go through every step of whatever requests make
//! the workers do, instead of hitting where most of the time is spent.
//!
//! The number is the length of FILE times STEP, modulo LIMIT; each worker makes FILE one byte longer, and the kernel
//! gives no two of them the same place. Where there is no FILE nobody dies: removing it ends the dying, but for workers
//! that have their number already.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Seek, Write};

use ngx::ffi::{NGX_LOG_ALERT, SIGKILL, ngx_cycle_t, raise};
use ngx::ngx_log_error;
use twice_core::store::fault;

const VARIABLE: &str = "TWICE_DIE_AT_WRITE";

/// Arms this worker's death if the environment asks for it. What it has written before does not count.
///
/// # Safety
/// nginx's init_process callback, with its cycle.
pub unsafe fn init_process(cycle: *mut ngx_cycle_t) {
    let Ok(order) = std::env::var(VARIABLE) else { return };
    match take_number(&order) {
        Ok(Some(number)) => fault::arm(number, die),
        Ok(None) => {}
        Err(why) => {
            // SAFETY: the caller's promise; a cycle has a log.
            let log = unsafe { (*cycle).log };
            ngx_log_error!(NGX_LOG_ALERT, log, "twice: {}=\"{}\": {}", VARIABLE, order, why);
        }
    }
}

/// The next number; none where there is no file.
fn take_number(order: &str) -> Result<Option<u64>, String> {
    let mut parts = order.splitn(3, ':');
    let mut number = || parts.next()?.parse::<u64>().ok().filter(|&n| n > 0);
    let (step, limit) = number().zip(number()).ok_or("STEP and LIMIT must be numbers above 0")?;
    let path = parts.next().ok_or("is not STEP:LIMIT:FILE")?;
    let mut file = match OpenOptions::new().append(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    // An append moves the position to behind what it wrote, in one step.
    file.write_all(b".").map_err(|error| error.to_string())?;
    let length = file.stream_position().map_err(|error| error.to_string())?;
    Ok(Some(length.saturating_sub(1).wrapping_mul(step) % limit))
}

/// The end, as it comes from outside: no handler runs, nothing is given back.
fn die() {
    // SAFETY: takes no memory. The signal can't be caught, so that nothing comes after.
    unsafe { raise(SIGKILL as i32) };
}
