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
mod reading;
mod sent;
mod servers;
mod socket;

use ngx::ffi::{
    NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_add_timer, ngx_cycle, ngx_cycle_t, ngx_event_t, ngx_exiting,
    ngx_msec_t, ngx_process,
};
use twice_core::health::{Rules, State};
use twice_core::ring;
use twice_core::source::key;
use twice_core::source::{Change, Failure};

use super::figures::OfSource;
use super::{Kind, Server, Settings};
use crate::conf;
use crate::guard::guarded;
use crate::shm;
use crate::sys::Timer;

use connection::Connection;
use servers::Servers;

/// How often a worker that knows of a resting server looks whether its rest is over, at least and at most.
const LOOK_MS: (u64, u64) = (20, 1000);

/// Looks after resting servers.
static PROBE: Timer = Timer::new();

/// The servers of a source.
pub struct Pool {
    /// In one place for good: connections point to it.
    servers: Box<Servers>,
}

impl Pool {
    /// What a source's directive says.
    pub fn new(settings: Settings, timeout_ms: u64) -> Result<Self, ring::Error> {
        Ok(Self { servers: Box::new(Servers::new(settings, timeout_ms)?) })
    }

    /// Its servers, as they are configured.
    pub fn servers(&self) -> &[Server] {
        &self.servers.settings.servers
    }

    /// Its source's figures, which are this pool's, too.
    pub fn figures(&self) -> &OfSource {
        &self.servers.settings.figures
    }

    /// When a server rests.
    pub fn rules(&self) -> &Rules {
        &self.servers.rules
    }

    /// Asks for the value of a key. Where this is `Ok`, [`super::fetches::answered`] will be called with the ticket.
    pub fn get(&self, key: &[u8], ticket: u64) -> Result<(), Failure> {
        key::check(key).map_err(|_| Failure::BadKey)?;
        self.connection_of(key)?.ask(key, ticket)
    }

    /// Changes a key. Nobody waits for it; what is lost is counted.
    pub fn change(&self, key: &[u8], change: Change) {
        let taken = key::check(key).is_ok()
            && self.connection_of(key).is_ok_and(|connection| connection.change(key, change));
        if !taken {
            self.servers.lost_writes(1);
        }
    }

    fn connection_of(&self, key: &[u8]) -> Result<&Connection, Failure> {
        let found = self.servers.connection_of(key);
        if matches!(found, Err(Failure::Resting)) {
            watch(&self.servers);
        }
        found
    }
}

/// Has this worker look after a pool of which a server rests.
fn watch(servers: &Servers) {
    PROBE.arm(look_after(servers));
}

fn look_after(servers: &Servers) -> ngx_msec_t {
    let (least, most) = LOOK_MS;
    ngx_msec_t::try_from((servers.rules.retry_ms / 4).clamp(least, most)).unwrap_or(0)
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
    for servers in unsafe { pools(cycle) }.filter(|servers| servers.settings.preconnect) {
        for server in 0..servers.settings.servers.len() {
            servers.connections_to(server).iter().for_each(Connection::open_early);
        }
    }
}

/// A worker ends: what it can still send is sent, what it has open is closed.
///
/// # Safety
/// Called in exit_process, with its cycle.
pub unsafe fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: the caller's promise.
    for servers in unsafe { pools(cycle) } {
        servers.made().for_each(Connection::leave);
    }
}

/// # Safety
/// `cycle` must be the running cycle.
unsafe fn pools<'a>(cycle: *mut ngx_cycle_t) -> impl Iterator<Item = &'a Servers> {
    // SAFETY: the caller's promise.
    let main = unsafe { conf::main_of_cycle(cycle) };
    main.into_iter().flat_map(|main| &main.sources).filter_map(|source| match &source.kind {
        Kind::Memcached(pool) => Some(&*pool.servers),
        Kind::Local | Kind::Http(_) => None,
    })
}

/// nginx's callback: probes servers whose rest is over.
unsafe extern "C" fn look(event: *mut ngx_event_t) {
    let mut next: Option<ngx_msec_t> = None;
    guarded((), || {
        let now = shm::now_ms();
        // SAFETY: nginx's running cycle.
        for servers in unsafe { pools(ngx_cycle) } {
            for server in 0..servers.settings.servers.len() {
                let Some(health) = servers.health(server) else { continue };
                if health.state(now, &servers.rules) == State::Up {
                    continue;
                }
                next = Some(next.map_or(look_after(servers), |next| next.min(look_after(servers))));
                if let Some(probe) = health.claim_probe(now, &servers.rules)
                    && let Some(connection) = servers.connections_to(server).first()
                {
                    connection.probe(probe);
                }
            }
        }
    });
    // SAFETY: the event of our timer, which may have been set meanwhile; nginx's own flag and cycle.
    unsafe {
        // Without a master the cycle may be a later one than that which set it.
        (*event).log = (*ngx_cycle).log;
        if let Some(after) = next.filter(|_| ngx_exiting == 0) {
            ngx_add_timer(event, after);
        }
    }
}
