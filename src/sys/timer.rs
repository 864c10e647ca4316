//! A timer of a process of its own, not of a request.

use std::cell::UnsafeCell;
use std::mem::zeroed;
use std::ptr;

use ngx::ffi::{ngx_add_timer, ngx_connection_t, ngx_del_timer, ngx_event_t, ngx_log_t, ngx_msec_t};

/// A timer in a static: it has one address for good, so that nginx's tree of timers may point to it. Beside it the
/// connection that nginx's debug log reads a number from.
pub struct Timer(UnsafeCell<Option<(ngx_event_t, ngx_connection_t)>>);

// SAFETY: nginx's processes have one thread, and nothing else reaches the timer but nginx itself.
unsafe impl Sync for Timer {}

/// What nginx calls when the time has come.
pub type Handler = unsafe extern "C" fn(*mut ngx_event_t);

impl Timer {
    /// One that is not set.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// Sets it for the first time. A process that is exiting does not wait for one that is `cancelable`.
    ///
    /// # Safety
    /// Called once, in init_process; `log` must live as long as the timer is set, or until the handler gives it another.
    pub unsafe fn start(
        &'static self,
        log: *mut ngx_log_t,
        handler: Handler,
        after: ngx_msec_t,
        cancelable: bool,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.prepare(log, handler, cancelable) };
        self.arm(after);
    }

    /// The same without setting it.
    ///
    /// # Safety
    /// As of `start`.
    pub unsafe fn prepare(&'static self, log: *mut ngx_log_t, handler: Handler, cancelable: bool) {
        // SAFETY: the caller's promise; both are plain C structures whose zeroes mean "unset".
        unsafe {
            let (event, connection) = (*self.0.get()).insert((zeroed(), zeroed()));
            connection.fd = -1;
            event.data = ptr::from_mut(connection).cast();
            event.handler = Some(handler);
            event.log = log;
            event.set_cancelable(u32::from(cancelable));
        }
    }

    /// Sets it, unless it is set.
    pub fn arm(&'static self, after: ngx_msec_t) {
        // SAFETY: one thread; nginx holds the event's address only. A timer that was not prepared is left alone.
        unsafe {
            if let Some((event, _)) = &mut *self.0.get()
                && event.timer_set() == 0
            {
                ngx_add_timer(event, after);
            }
        }
    }

    /// Sets it anew: its time comes after so long, whatever it was set to.
    pub fn reset(&'static self, after: ngx_msec_t) {
        // SAFETY: as in `arm`.
        unsafe {
            if let Some((event, _)) = &mut *self.0.get()
                && event.timer_set() != 0
            {
                ngx_del_timer(event);
            }
        }
        self.arm(after);
    }
}
