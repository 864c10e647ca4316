//! A worker's connection to one server: what is asked in a turn goes out together, what comes back is told.
//!
//! ```text
//!            flush                      written            VERSION, END, 5, STORED, ...
//!   closed ---------> connecting -----> open ------------------------> open, nothing outstanding
//!     ^                   |               |                                 |
//!     |     refused, time |   time, end,  |                                 | the worker exits,
//!     |                   |   violation   |                                 | the server closes it
//!     '-------------------'---------------'---------------------------------'
//! ```
//!
//! Invariants
//! - Whoever is told of an answer may ask again at once: that changes `turn` and `changes` only, which nothing holds while
//!   somebody is told, and which go out by an event of their own.
//! - The order of `parser`'s commands is that of their bytes in `out` and on the wire.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::fmt::Display;
use std::mem;
use std::time::Instant;

use ngx::ffi::{
    ngx_cycle, ngx_delete_posted_event, ngx_event_t, ngx_exiting, ngx_msec_t, ngx_post_event,
    ngx_posted_events,
};
use twice_core::health::Probe;
use twice_core::memcached::change::Doing;
use twice_core::memcached::turn::{Line, Turn};
use twice_core::memcached::{Expected, Parser, encode};
use twice_core::source::figures::ServerStat;
use twice_core::source::{Answer, Change, Failure};

use super::reading::{End, Reading};
use super::sent::{Note, Out, What};
use super::servers::Servers;
use super::socket::{self, Begun, Sent, Socket};
use crate::guard::guarded;
use crate::source::fetches;

/// Bytes that a socket has not taken: with more of them nothing is asked.
const MAX_OUT: usize = 1 << 20;

/// Changes of a turn.
const MAX_CHANGES: usize = 4096;

/// See the head of this file.
pub struct Connection {
    /// Lives longer: it owns its connections.
    pool: *const Servers,
    /// Number of the server.
    pub(super) server: usize,
    pub(super) socket: RefCell<Option<Socket>>,
    /// It does not stand yet.
    connecting: Cell<bool>,
    /// When it was opened, by nginx's clock.
    opened: Cell<ngx_msec_t>,
    turn: RefCell<Turn>,
    changes: RefCell<VecDeque<Doing>>,
    pub(super) parser: RefCell<Parser<Note>>,
    out: RefCell<Out>,
    /// nginx's, for [`Connection::flush`].
    event: UnsafeCell<ngx_event_t>,
}

impl Connection {
    /// One that is closed.
    pub fn new(pool: &Servers, server: usize) -> Self {
        Self {
            pool,
            server,
            socket: RefCell::default(),
            connecting: Cell::new(false),
            opened: Cell::new(0),
            turn: RefCell::default(),
            changes: RefCell::default(),
            parser: RefCell::default(),
            out: RefCell::default(),
            // SAFETY: an event of zeros is one that is not set.
            event: UnsafeCell::new(unsafe { mem::zeroed() }),
        }
    }

    pub(super) fn pool(&self) -> &Servers {
        // SAFETY: the pool owns its connections, and stays in its box.
        unsafe { &*self.pool }
    }

    /// Asks for a key at the end of this turn.
    pub fn ask(&self, key: &[u8], ticket: u64) -> Result<(), Failure> {
        if self.out.borrow().bytes.len() >= MAX_OUT {
            return Err(Failure::Busy);
        }
        self.turn.borrow_mut().ask(key, ticket).map_err(|_| Failure::Busy)?;
        self.post();
        Ok(())
    }

    /// Changes a key after what was asked in this turn. False: it can't be taken.
    pub fn change(&self, key: &[u8], change: Change) -> bool {
        self.out.borrow().bytes.len() < MAX_OUT && self.do_later(Doing::new(key, change))
    }

    pub(super) fn do_later(&self, doing: Doing) -> bool {
        let mut changes = self.changes.borrow_mut();
        let has_room = changes.len() < MAX_CHANGES;
        if has_room {
            changes.push_back(doing);
            self.post();
        }
        has_room
    }

    /// Has nginx call [`Connection::flush`] when it is done with what it does now.
    fn post(&self) {
        let event = self.event.get();
        // SAFETY: nginx's event of ours: a connection stays in its pool's box, and takes it back when it is dropped.
        unsafe {
            if (*event).posted() == 0 {
                (*event).data = std::ptr::from_ref(self).cast_mut().cast();
                (*event).handler = Some(on_flush);
                (*event).log = (*ngx_cycle).log;
                ngx_post_event(event, &raw mut ngx_posted_events);
            }
        }
    }

    /// Sends what this turn has asked.
    fn flush(&self) {
        let lines = self.turn.borrow_mut().take();
        let changes = mem::take(&mut *self.changes.borrow_mut());
        if lines.is_empty() && changes.is_empty() {
            return;
        }
        let opened = if self.pool().is_resting(self.server) { Err(Failure::Resting) } else { self.open() };
        if let Err(why) = opened {
            return self.refuse(lines, changes, why);
        }
        let mut full = Vec::new();
        for Line { keys, askers } in lines {
            full.extend(self.put(What::Get(askers), |out| {
                encode::get(out, &keys);
                Expected::Get(keys)
            }));
        }
        for doing in changes {
            full.extend(self.put_change(doing));
        }
        self.write();
        for what in full {
            self.settle(what, Failure::Busy);
        }
    }

    fn put_change(&self, doing: Doing) -> Option<What> {
        let mut bytes = Vec::new();
        let expected = doing.encode(&mut bytes);
        self.put(What::Change(doing), |out| {
            out.extend_from_slice(&bytes);
            expected
        })
    }

    /// Puts a command behind the others; gives it back where too much is outstanding.
    fn put(&self, what: What, encode: impl FnOnce(&mut Vec<u8>) -> Expected) -> Option<What> {
        let mut out = self.out.borrow_mut();
        let start = out.bytes.len();
        let expected = encode(&mut out.bytes);
        let keys = match &expected {
            Expected::Get(keys) => Some(keys.len() as u64),
            _ => None,
        };
        let (asked, began) = (now(), Instant::now());
        let note = Note { what, end: out.end(), asked, began, keys: keys.unwrap_or(0) };
        let Err(note) = self.parser.borrow_mut().expect(expected, note) else {
            self.count(ServerStat::Requests, 1);
            self.count(ServerStat::RequestBytes, (out.bytes.len() - start) as u64);
            if let Some(keys) = keys {
                self.count(ServerStat::Batches, 1);
                self.count(ServerStat::BatchedKeys, keys);
            }
            return None;
        };
        out.bytes.truncate(start);
        Some(note.what)
    }

    /// Tells those who asked in this turn that nothing was sent.
    fn refuse(&self, lines: Vec<Line>, changes: VecDeque<Doing>, why: Failure) {
        self.pool().lost_writes(changes.len() as u64);
        for mut line in lines {
            for ticket in line.askers.take_rest() {
                fetches::answered(ticket, Answer::Failed(why));
            }
        }
    }

    /// Tells whoever waits for a command that it failed.
    pub(super) fn settle(&self, what: What, why: Failure) {
        match what {
            What::Get(mut askers) => {
                for ticket in askers.take_rest() {
                    fetches::answered(ticket, Answer::Failed(why));
                }
            }
            What::Change(_) => self.pool().lost_writes(1),
            What::Probe(probe) => self.pool().probed(self.server, probe, false),
        }
    }

    /// Opens it, unless it is.
    fn open(&self) -> Result<(), Failure> {
        if self.socket.borrow().is_some() {
            return Ok(());
        }
        let Some(server) = self.pool().server(self.server) else { return Err(Failure::Closed) };
        // SAFETY: a connection stays in its pool's box, and drops its socket before it goes.
        let begun = unsafe { socket::connect(server, self, Some(on_read), Some(on_write)) };
        let (socket, connecting) = match begun {
            Begun::Connected(socket) => (socket, false),
            Begun::Connecting(socket) => (socket, true),
            Begun::NoSocket => return Err(Failure::Busy),
            Begun::Refused => {
                self.count(ServerStat::Err, 1);
                self.pool().failed(self.server, Failure::Closed, &"it can't be connected to");
                return Err(Failure::Closed);
            }
        };
        if connecting {
            socket.arm(self.pool().timeout_ms);
        }
        if !connecting {
            self.count(ServerStat::Connections, 1);
        }
        self.connecting.set(connecting);
        self.opened.set(now());
        *self.out.borrow_mut() = Out::default();
        *self.socket.borrow_mut() = Some(socket);
        Ok(())
    }

    /// Opens it before it is needed.
    pub fn open_early(&self) {
        // What goes wrong was told.
        let _ = self.open();
    }

    /// Asks the server whether it is there, with no page waiting.
    pub fn probe(&self, probe: Probe) {
        let probe = What::Probe(probe);
        let refused = match self.open() {
            Ok(()) => self.put(probe, |out| {
                encode::version(out);
                Expected::Version
            }),
            Err(_) => Some(probe),
        };
        match refused {
            Some(probe) => self.settle(probe, Failure::Closed),
            None => self.write(),
        }
    }

    /// Sends what the socket takes.
    fn write(&self) {
        let broken = {
            let socket = self.socket.borrow();
            let Some(socket) = socket.as_ref() else { return };
            let mut out = self.out.borrow_mut();
            let mut broken = false;
            while !self.connecting.get() && !broken && !out.bytes.is_empty() {
                match socket.send(&out.bytes) {
                    Sent::Bytes(count) => out.took(count),
                    Sent::Later => break,
                    Sent::Broken => broken = true,
                }
            }
            if let Some(first) = self.parser.borrow().first() {
                socket.arm(self.left(first.asked));
            }
            broken || !socket.watch()
        };
        if broken {
            self.fail(Failure::Closed, &"the connection broke");
        }
    }

    /// How much of the timeout is left to what began then.
    fn left(&self, began: ngx_msec_t) -> ngx_msec_t {
        let passed = now().wrapping_sub(began);
        // More than half of all times ago is a time to come.
        if passed > ngx_msec_t::MAX / 2 {
            self.pool().timeout_ms
        } else {
            self.pool().timeout_ms.saturating_sub(passed)
        }
    }

    /// nginx's event of writing: the connection stands, or takes more.
    fn on_writable(&self) {
        if self.connecting.get() {
            let error = self.socket.borrow().as_ref().and_then(Socket::error);
            if let Some(error) = error {
                return self.fail(Failure::Closed, &error);
            }
            self.connecting.set(false);
            self.count(ServerStat::Connections, 1);
        }
        self.write();
    }

    /// nginx's event of reading: something has come, a time is over, or the worker exits.
    fn on_readable(&self) {
        let (to_close, timed_out) = match self.socket.borrow().as_ref() {
            Some(socket) => (socket.is_to_close(), socket.take_timed_out()),
            None => return,
        };
        if to_close && !self.is_busy() {
            return self.close();
        }
        if timed_out && !self.on_time() {
            return;
        }
        if self.connecting.get() {
            let error = self.socket.borrow().as_ref().and_then(Socket::error);
            if let Some(error) = error {
                return self.fail(Failure::Closed, &error);
            }
        }
        match Reading::of(self) {
            None => self.rest(),
            // Nobody waited for anything: servers close what is idle, or stop.
            Some(End::Closed) if !self.is_outstanding() => {
                self.count(ServerStat::Eof, 1);
                self.close_for_flush();
            }
            Some(End::Broken) if !self.is_outstanding() => {
                self.count(ServerStat::Err, 1);
                self.close_for_flush();
            }
            Some(End::Closed) => self.end(ServerStat::Eof, Failure::Closed, &"it closed the connection"),
            Some(End::Broken) => self.fail(Failure::Closed, &"the connection broke"),
            Some(End::Wrong(violation)) => self.fail(Failure::Protocol, &violation),
        }
    }

    /// The timer's time. False: the connection is closed.
    fn on_time(&self) -> bool {
        let began = match self.parser.borrow().first() {
            _ if self.connecting.get() => Some(self.opened.get()),
            Some(first) => Some(first.asked),
            None => None,
        };
        let Some(left) = began.map(|began| self.left(began)) else { return true };
        if left > 0 {
            if let Some(socket) = self.socket.borrow().as_ref() {
                socket.arm(left);
            }
            return true;
        }
        let timeout = self.pool().timeout_ms;
        let what = if self.connecting.get() { "no connection" } else { "no answer" };
        self.fail(Failure::Timeout, &format_args!("{what} in {timeout} ms"));
        false
    }

    /// Counts something of its server.
    pub(super) fn count(&self, stat: ServerStat, count: u64) {
        self.pool().count(self.server, stat, count);
    }

    fn is_outstanding(&self) -> bool {
        self.parser.borrow().outstanding() > 0
    }

    /// Whether anything is asked or to be asked.
    fn is_busy(&self) -> bool {
        self.is_outstanding() || !self.turn.borrow().is_empty() || !self.changes.borrow().is_empty()
    }

    /// Everything that came was read.
    fn rest(&self) {
        // SAFETY: nginx's own flag.
        if unsafe { ngx_exiting } != 0 && !self.is_busy() {
            return self.close();
        }
        let watched = self.socket.borrow().as_ref().is_none_or(Socket::watch);
        if !watched {
            self.fail(Failure::Closed, &"the connection can't be watched");
        }
    }

    fn close(&self) {
        self.connecting.set(false);
        drop(self.socket.take());
        self.out.take();
    }

    /// Closes it with nothing outstanding. What was put in this turn goes out on another one.
    fn close_for_flush(&self) {
        self.close();
        if self.is_busy() {
            self.post();
        }
    }

    /// It can't go on.
    fn fail(&self, why: Failure, what: &dyn Display) {
        let stat = if why == Failure::Timeout { ServerStat::TimedOut } else { ServerStat::Err };
        self.end(stat, why, what);
    }

    /// It is over: whoever waits is told, the server's health knows.
    fn end(&self, stat: ServerStat, why: Failure, what: &dyn Display) {
        self.count(stat, 1);
        self.close();
        self.pool().failed(self.server, why, what);
        for note in self.parser.take().give_up() {
            self.settle(note.what, why);
        }
    }

    /// The worker ends: sends what the socket takes at once, and closes. No page waits any more.
    pub fn leave(&self) {
        let changes = mem::take(&mut *self.changes.borrow_mut());
        self.turn.take();
        let mut lost = 0;
        let is_open = self.socket.borrow().is_some();
        for doing in changes {
            let refused = !is_open || self.put_change(doing).is_some();
            lost += u64::from(refused);
        }
        if is_open {
            let socket = self.socket.take();
            let mut out = self.out.borrow_mut();
            while let Some(socket) =
                socket.as_ref().filter(|_| !self.connecting.get() && !out.bytes.is_empty())
                && let Sent::Bytes(count) = socket.send(&out.bytes)
            {
                out.took(count);
            }
        }
        let sent = self.out.borrow().sent;
        let unsent = |note: &Note| matches!(note.what, What::Change(_)) && note.end > sent;
        lost += self.parser.take().give_up().filter(unsent).count() as u64;
        self.pool().lost_writes(lost);
        self.close();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let event = self.event.get();
        // SAFETY: nginx's event of ours.
        unsafe {
            if (*event).posted() != 0 {
                ngx_delete_posted_event(event);
            }
        }
    }
}

/// nginx's clock.
fn now() -> ngx_msec_t {
    // SAFETY: nginx's own.
    unsafe { ngx::ffi::ngx_current_msec }
}

unsafe extern "C" fn on_read(event: *mut ngx_event_t) {
    // SAFETY: nginx's event of an open socket.
    handle(unsafe { socket::owner_of(event) }, Connection::on_readable);
}

unsafe extern "C" fn on_write(event: *mut ngx_event_t) {
    // SAFETY: nginx's event of an open socket.
    handle(unsafe { socket::owner_of(event) }, Connection::on_writable);
}

unsafe extern "C" fn on_flush(event: *mut ngx_event_t) {
    // SAFETY: the event of `post`: its connection takes it back before it goes.
    handle(unsafe { &*(*event).data.cast::<Connection>() }, Connection::flush);
}

/// Runs what an event asks for; a panic in it ends the connection, and nothing else.
fn handle(connection: &Connection, run: fn(&Connection)) {
    let whole = guarded(false, || {
        run(connection);
        true
    });
    if !whole {
        guarded((), || connection.fail(Failure::Protocol, &"an error of this module"));
    }
}
