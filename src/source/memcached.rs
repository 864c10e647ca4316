//! The client of memcached servers, on nginx's event loop.
//!
//! ```text
//!  get, change --> Turn --posted event--> get k1 k2 ...\r\n --> Connection --> server
//!    (any event)    |                     incr k 1\r\n              |            |
//!                   '-- one for each connection                  Parser <--------'
//!                                                                   |
//!  fetches::answered <-------------- ticket, answer ----------------'
//! ```
//!
//! Invariants
//! - A ticket that [`Pool::get`] took is answered once, from an event of a connection, never from within that call.
//! - A key always uses the same connection of its server: what a page changes and what is asked after it keep their order.
//! - Nothing here waits: what a socket does not take lies in a bounded buffer, and each command has its source's timeout from
//!   when it was asked, connecting included.
//! - After a timeout, a violation of the protocol or an end the connection is closed, as its answers would be out of step,
//!   and whoever waited for one is told.
//! - A server that rests is asked by no page. A worker that knows of it sends `version` when its rest is over.
//! - A worker that exits closes what has nothing outstanding at once, the rest when it is answered or in `exit_process`; no
//!   timer of ours keeps it.
//!
//! Connections are a worker's own and are made when they are needed first; what is configured is shared by all workers from
//! before they were forked.

mod connection;
mod health;
mod socket;
mod told;

use std::cell::OnceCell;
use std::fmt::Display;

use ngx::ffi::{
    NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_add_timer, ngx_cycle, ngx_cycle_t, ngx_event_t, ngx_msec_t,
    ngx_process,
};
use twice_core::source::key;
use twice_core::source::{Change, Failure};

use super::{Kind, Server, Settings};
use crate::conf;
use crate::guard::guarded;
use crate::shm;
use crate::sys::Timer;

use connection::Connection;
use health::Health;
use told::Told;

/// How often a worker that knows of a resting server looks whether its rest is over, at least and at most.
const LOOK_MS: (u64, u64) = (20, 1000);

/// Looks after resting servers.
static PROBE: Timer = Timer::new();

/// The servers of a source.
pub struct Pool {
    /// In one place for good: connections point to it.
    inner: Box<Inner>,
}

struct Inner {
    settings: Settings,
    timeout_ms: ngx_msec_t,
    health: Box<[Health]>,
    told: Box<[Told]>,
    /// Of this worker, by server: `settings.connections` each.
    connections: OnceCell<Box<[Connection]>>,
}

impl Pool {
    /// What a source's directive says.
    pub fn new(settings: Settings, timeout_ms: u64) -> Self {
        let health = settings.servers.iter().map(|_| Health::default()).collect();
        let told = settings.servers.iter().map(|_| Told::default()).collect();
        let timeout_ms = ngx_msec_t::try_from(timeout_ms).unwrap_or(ngx_msec_t::MAX / 4);
        Self { inner: Box::new(Inner { settings, timeout_ms, health, told, connections: OnceCell::new() }) }
    }

    /// Its servers, as they are configured.
    pub fn servers(&self) -> &[Server] {
        &self.inner.settings.servers
    }

    /// Asks for the value of a key. Where this is `Ok`, [`super::fetches::answered`] will be called with the ticket.
    pub fn get(&self, key: &[u8], ticket: u64) -> Result<(), Failure> {
        key::check(key).map_err(|_| Failure::BadKey)?;
        self.inner.connection_of(key)?.ask(key, ticket)
    }

    /// Changes a key. Nobody waits for it; what is lost is counted.
    pub fn change(&self, key: &[u8], change: Change) {
        let taken = key::check(key).is_ok()
            && self.inner.connection_of(key).is_ok_and(|connection| connection.change(key, change));
        if !taken {
            self.inner.lost_writes(1);
        }
    }
}

impl Inner {
    /// The connections of this worker to a server.
    fn of_server(&self, server: usize) -> &[Connection] {
        let each = usize::try_from(self.settings.connections).unwrap_or(1).max(1);
        let all = self.connections.get_or_init(|| {
            let servers = 0..self.settings.servers.len();
            servers.flat_map(|server| (0..each).map(move |_| Connection::new(self, server))).collect()
        });
        all.get(server * each..(server + 1) * each).unwrap_or_default()
    }

    /// Where a key is asked for.
    fn connection_of(&self, key: &[u8]) -> Result<&Connection, Failure> {
        let server = self.server_of(key).ok_or(Failure::Resting)?;
        if self.is_resting(server) {
            watch(self);
            return Err(Failure::Resting);
        }
        let connections = self.of_server(server);
        let number = if connections.len() > 1 {
            (hash(key).wrapping_mul(0x9e37_79b1) >> 16) as usize % connections.len()
        } else {
            0
        };
        connections.get(number).ok_or(Failure::Resting)
    }

    /// Which server has a key; none: none that has it is left.
    fn server_of(&self, key: &[u8]) -> Option<usize> {
        (hash(key) as usize).checked_rem(self.settings.servers.len())
    }

    fn server(&self, server: usize) -> Option<&Server> {
        self.settings.servers.get(server)
    }

    fn is_resting(&self, server: usize) -> bool {
        self.health.get(server).is_some_and(Health::is_resting)
    }

    /// A server did not answer as it should.
    fn failed(&self, server: usize, why: Failure, what: &dyn Display) {
        let Some((health, (told, configured))) =
            self.health.get(server).zip(self.told.get(server).zip(self.server(server)))
        else {
            return;
        };
        let rests = health.failed(&self.settings, shm::now_ms());
        told.failed(configured, why, what, rests.then_some(self.settings.server_retry_timeout_ms));
        if rests {
            watch(self);
        }
    }

    /// A server answers.
    fn answered(&self, server: usize) {
        if let Some((health, (told, configured))) =
            self.health.get(server).zip(self.told.get(server).zip(self.server(server)))
            && health.answered()
        {
            told.answers_again(configured);
        }
    }

    /// A server answers, but not this.
    fn refused(&self, server: usize, word: &str, text: &[u8]) {
        if let Some((told, configured)) = self.told.get(server).zip(self.server(server)) {
            told.refused(configured, word, text);
        }
    }

    fn lost_writes(&self, _count: u64) {}
}

/// FNV-1a: spreads the keys of a server over its connections.
fn hash(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Has this worker look after a server that rests.
fn watch(pool: &Inner) {
    PROBE.arm(look_after(pool));
}

fn look_after(pool: &Inner) -> ngx_msec_t {
    let (least, most) = LOOK_MS;
    ngx_msec_t::try_from((pool.settings.server_retry_timeout_ms / 4).clamp(least, most)).unwrap_or(0)
}

/// Prepares a worker.
///
/// # Safety
/// Called once in init_process, with its cycle.
pub unsafe fn init_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise; `look` renews the log. nginx has set its kind of process before.
    let serves = unsafe {
        PROBE.prepare((*cycle).log, look, true);
        matches!(ngx_process as u32, NGX_PROCESS_WORKER | NGX_PROCESS_SINGLE)
    };
    if !serves {
        return;
    }
    // SAFETY: the caller's promise.
    for pool in unsafe { pools(cycle) }.filter(|pool| pool.settings.preconnect) {
        for server in 0..pool.settings.servers.len() {
            pool.of_server(server).iter().for_each(Connection::open_early);
        }
    }
}

/// A worker ends: what it can still send is sent, what it has open is closed.
///
/// # Safety
/// Called in exit_process, with its cycle.
pub unsafe fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise.
    for pool in unsafe { pools(cycle) } {
        pool.connections.get().into_iter().flatten().for_each(Connection::leave);
    }
}

/// # Safety
/// `cycle` must be the running cycle.
unsafe fn pools<'a>(cycle: *mut ngx_cycle_t) -> impl Iterator<Item = &'a Inner> {
    // SAFETY: the caller's promise.
    let main = unsafe { conf::main_of_cycle(cycle) };
    main.into_iter().flat_map(|main| &main.sources).filter_map(|source| match &source.kind {
        Kind::Memcached(pool) => Some(&*pool.inner),
        Kind::Local | Kind::Http { .. } => None,
    })
}

/// nginx's callback: probes servers whose rest is over.
unsafe extern "C" fn look(event: *mut ngx_event_t) {
    guarded((), || {
        let now = shm::now_ms();
        let mut next: Option<ngx_msec_t> = None;
        // SAFETY: nginx's running cycle.
        for pool in unsafe { pools(ngx_cycle) } {
            for (server, health) in pool.health.iter().enumerate().filter(|(_, health)| health.is_resting()) {
                next = Some(next.map_or(look_after(pool), |next| next.min(look_after(pool))));
                if health.take_probe(&pool.settings, now)
                    && let Some(connection) = pool.of_server(server).first()
                {
                    connection.probe();
                }
            }
        }
        // SAFETY: the event of our timer, which is not set any more; nginx's own flag and cycle.
        unsafe {
            // Without a master the cycle may be a later one than that which set it.
            (*event).log = (*ngx_cycle).log;
            if let Some(after) = next.filter(|_| ngx::ffi::ngx_exiting == 0) {
                ngx_add_timer(event, after);
            }
        }
    });
}
