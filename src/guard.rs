//! No panic reaches C: a panic in an `extern "C"` function would abort the worker with all its
//! connections. Every callback runs inside [`guarded`]; the panic is logged by the hook and the
//! caller's own failure value goes back to nginx, so that one request fails and no other.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;

use ngx::ffi::{NGX_LOG_ALERT, ngx_cycle};
use ngx::ngx_log_error;

/// Runs `f`; a panic in it becomes `failure`.
#[inline]
pub fn guarded<T>(failure: T, f: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(failure)
}

/// Sends panic messages to nginx's error log instead of standard error.
pub fn log_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        set_hook(Box::new(|info| {
            // SAFETY: ngx_cycle and its log live as long as the process, and nginx has one thread here.
            let log = unsafe { if ngx_cycle.is_null() { return } else { (*ngx_cycle).log } };
            if !log.is_null() {
                ngx_log_error!(NGX_LOG_ALERT, log, "twice: caught a panic: {}", info);
            }
        }));
    });
}
