//! A connection of nginx's to a server: raw nginx, in one place.
//!
//! Invariant: a [`Socket`] is open; dropping it closes it. nginx never frees it by itself: it is neither a client's nor
//! reusable.

use std::ffi::c_int;
use std::io;
use std::mem;
use std::ptr::{self, NonNull};

use ngx::ffi::{
    NGX_AGAIN, NGX_OK, ngx_add_timer, ngx_close_connection, ngx_connection_log_error_e_NGX_ERROR_INFO,
    ngx_connection_t, ngx_cycle, ngx_event_connect_peer, ngx_event_get_peer, ngx_event_handler_pt,
    ngx_handle_read_event, ngx_handle_write_event, ngx_int_t, ngx_msec_t, ngx_peer_connection_t,
    ngx_post_event, ngx_posted_next_events, ngx_str_t, ngx_tcp_nodelay,
};

use super::Server;
use super::connection::Connection;
use crate::sys::{self, OK};

/// Opened by [`connect`].
pub struct Socket(NonNull<ngx_connection_t>);

/// How a connection begins.
pub enum Begun {
    /// It stands.
    Connected(Socket),
    /// nginx tells when it stands, or that it does not.
    Connecting(Socket),
    /// The server refuses.
    Refused,
    /// There is no socket or no place in nginx's table; nginx has told the log.
    NoSocket,
}

/// What became of bytes that were to be sent.
pub enum Sent {
    /// So many were taken.
    Bytes(usize),
    /// None for now: nginx tells when there is room.
    Later,
    /// The connection is broken.
    Broken,
}

/// What was read.
pub enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now: nginx tells when something comes.
    Later,
    /// The server has closed it.
    End,
    /// The connection is broken.
    Broken,
}

/// Opens a connection whose events come to these handlers.
///
/// # Safety
/// `owner` must stay where it is until the socket is dropped: the handlers find it by [`owner_of`].
pub unsafe fn connect(
    server: &Server,
    owner: *const Connection,
    read: ngx_event_handler_pt,
    write: ngx_event_handler_pt,
) -> Begun {
    let mut name: ngx_str_t = sys::ngx_str(server.label.as_bytes());
    // SAFETY: a peer of zeros is one that nothing was set for; nginx uses it within this call only. The address lives as long
    // as the configuration. The new connection is ours to fill before its first event.
    unsafe {
        let mut peer: ngx_peer_connection_t = mem::zeroed();
        peer.sockaddr = server.sockaddr;
        peer.socklen = server.socklen;
        peer.name = &raw mut name;
        peer.get = Some(ngx_event_get_peer);
        peer.log = (*ngx_cycle).log;
        // What fails later is told by ourselves, seldom enough.
        peer.set_log_error(ngx_connection_log_error_e_NGX_ERROR_INFO as _);
        let begun = ngx_event_connect_peer(&raw mut peer);
        if begun == ngx::ffi::NGX_DECLINED as ngx_int_t {
            return Begun::Refused;
        }
        let Some(c) = NonNull::new(peer.connection).filter(|_| begun == OK || begun == sys::AGAIN) else {
            return Begun::NoSocket;
        };
        let raw = c.as_ptr();
        (*raw).data = owner.cast_mut().cast();
        // A worker that exits calls the handler of reading.
        (*raw).set_idle(1);
        (*(*raw).read).handler = read;
        (*(*raw).write).handler = write;
        // A worker that exits does not wait for it.
        (*(*raw).read).set_cancelable(1);
        ngx_tcp_nodelay(raw);
        let socket = Socket(c);
        if begun == OK { Begun::Connected(socket) } else { Begun::Connecting(socket) }
    }
}

/// Whose connection an event is of. Renews its log: without a master the cycle may be a later one than that which made it.
///
/// # Safety
/// `event` must be of a [`Socket`] that is open.
pub unsafe fn owner_of<'a>(event: *mut ngx::ffi::ngx_event_t) -> &'a Connection {
    // SAFETY: the caller's promise, and that of `connect`.
    unsafe {
        let c = (*event).data.cast::<ngx_connection_t>();
        let log = (*ngx_cycle).log;
        (*c).log = log;
        (*(*c).read).log = log;
        (*(*c).write).log = log;
        &*(*c).data.cast::<Connection>()
    }
}

impl Socket {
    /// Sends what the kernel takes at once.
    pub fn send(&self, bytes: &[u8]) -> Sent {
        let c = self.0.as_ptr();
        // SAFETY: an open connection of nginx's, which has a function to send with. It reads the bytes only.
        let sent = unsafe {
            match (*c).send {
                Some(send) if (*(*c).write).ready() != 0 => {
                    send(c, bytes.as_ptr().cast_mut().cast(), bytes.len())
                }
                _ => NGX_AGAIN as isize,
            }
        };
        match usize::try_from(sent) {
            Ok(count) => Sent::Bytes(count),
            Err(_) if sent == NGX_AGAIN as isize => Sent::Later,
            Err(_) => Sent::Broken,
        }
    }

    /// Reads what has come, as far as there is room.
    pub fn recv(&self, into: &mut [u8]) -> Read {
        let c = self.0.as_ptr();
        // SAFETY: as in `send`; it writes to as many bytes as it is told.
        let count = unsafe {
            match (*c).recv {
                Some(recv) if (*(*c).read).ready() != 0 => recv(c, into.as_mut_ptr().cast(), into.len()),
                _ => NGX_AGAIN as isize,
            }
        };
        match usize::try_from(count) {
            Ok(0) => Read::End,
            Ok(count) => Read::Bytes(count.min(into.len())),
            Err(_) if count == NGX_AGAIN as isize => Read::Later,
            Err(_) => Read::Broken,
        }
    }

    /// Has nginx tell when it can be read and written to again. False: it can't.
    pub fn watch(&self) -> bool {
        let c = self.0.as_ptr();
        // SAFETY: an open connection's events.
        unsafe { ngx_handle_read_event((*c).read, 0) == OK && ngx_handle_write_event((*c).write, 0) == OK }
    }

    /// Has the handler of reading called in the next turn.
    pub fn read_on(&self) {
        // SAFETY: an open connection's event; closing takes it back. A queue of nginx's own.
        unsafe { ngx_post_event((*self.0.as_ptr()).read, &raw mut ngx_posted_next_events) };
    }

    /// Has the handler of reading called after so long, unless it will be called for a timer anyhow.
    pub fn arm(&self, after: ngx_msec_t) {
        // SAFETY: as above.
        unsafe {
            let event = (*self.0.as_ptr()).read;
            if (*event).timer_set() == 0 {
                ngx_add_timer(event, after);
            }
        }
    }

    /// Whether the handler of reading was called for the timer. Says so once.
    pub fn take_timed_out(&self) -> bool {
        // SAFETY: as above.
        unsafe {
            let event = (*self.0.as_ptr()).read;
            let timed_out = (*event).timedout() != 0;
            (*event).set_timedout(0);
            timed_out
        }
    }

    /// Whether nginx wants it closed, since the worker exits.
    pub fn is_to_close(&self) -> bool {
        // SAFETY: an open connection.
        unsafe { (*self.0.as_ptr()).close() != 0 }
    }

    /// Why it could not be connected, if that is known by now.
    pub fn error(&self) -> Option<io::Error> {
        let mut error: c_int = 0;
        let mut len = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: an open connection's descriptor; the kernel writes an int.
        let got = unsafe {
            libc::getsockopt(
                (*self.0.as_ptr()).fd,
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                (&raw mut error).cast(),
                &raw mut len,
            )
        };
        match (got, error) {
            (0, 0) => None,
            (0, error) => Some(io::Error::from_raw_os_error(error)),
            _ => Some(io::Error::last_os_error()),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: an open connection; nobody uses it from here on.
        unsafe {
            (*self.0.as_ptr()).data = ptr::null_mut();
            ngx_close_connection(self.0.as_ptr());
        }
    }
}

const _: () = assert!(NGX_OK as ngx_int_t == OK);
