//! The servers of a source: which has a key, how each does, and a worker's connections to them.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::Display;

use ngx::ffi::ngx_msec_t;
use twice_core::health::{Health, Probe, Rules};
use twice_core::ring::{self, Live, Ring};
use twice_core::source::Failure;
use twice_core::source::figures::{ServerStat, Stat};

use super::connection::Connection;
use super::{Server, Settings, watch};
use crate::shm;
use crate::source::told::Told;

/// How much longer than its answer may take a probe is one worker's.
const PROBE_MS: u64 = 1000;

/// The servers of a source. It stays where it is once it has connections.
pub struct Servers {
    /// What its directive says.
    pub settings: Settings,
    /// How long a command may take.
    pub timeout_ms: ngx_msec_t,
    /// When a server rests.
    pub rules: Rules,
    told: Box<[Told]>,
    ring: RefCell<Ring>,
    all: Live,
    /// For the distribution of that name.
    random: Cell<u32>,
    /// Of this worker, made when they are needed first; for each server as many as its directive says.
    connections: OnceCell<Box<[Connection]>>,
}

impl Servers {
    /// See [`super::Pool::new`].
    pub fn new(settings: Settings, timeout_ms: u64) -> Result<Self, ring::Error> {
        let rules = Rules {
            failure_limit: settings.server_failure_limit,
            retry_ms: settings.server_retry_timeout_ms,
            probe_ms: timeout_ms.saturating_add(PROBE_MS),
        };
        Ok(Self {
            timeout_ms: ngx_msec_t::try_from(timeout_ms).unwrap_or(ngx_msec_t::MAX / 4),
            rules,
            told: settings.servers.iter().map(|_| Told::default()).collect(),
            ring: RefCell::new(settings.ring()?),
            all: Live::all(settings.servers.len()),
            random: Cell::new(0),
            connections: OnceCell::new(),
            settings,
        })
    }

    /// A server as it is configured.
    pub fn server(&self, server: usize) -> Option<&Server> {
        self.settings.servers.get(server)
    }

    /// How a server does.
    pub fn health(&self, server: usize) -> Option<&Health> {
        self.server(server)?.figures.health()
    }

    /// Counts something of a server.
    pub fn count(&self, server: usize, stat: ServerStat, count: u64) {
        if let Some(server) = self.server(server) {
            server.figures.add(stat, count);
        }
    }

    /// Whether no page may ask a server.
    pub fn is_resting(&self, server: usize) -> bool {
        !self.health(server).is_some_and(Health::is_up)
    }

    /// Where a key is asked for.
    pub fn connection_of(&self, key: &[u8]) -> Result<&Connection, Failure> {
        let server =
            self.server_of(key).filter(|server| !self.is_resting(*server)).ok_or(Failure::Resting)?;
        let connections = self.connections_to(server);
        let number = if connections.len() > 1 { spread(key) as usize % connections.len() } else { 0 };
        connections.get(number).ok_or(Failure::Resting)
    }

    /// Which server has a key; none: none that could have it is left.
    fn server_of(&self, key: &[u8]) -> Option<usize> {
        let live = if self.settings.auto_eject_hosts { self.live() } else { self.all };
        let random = self.random.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.random.set(random);
        // The lower bits of such a number take turns.
        self.ring.borrow_mut().server_of(key, &live, random >> 8)
    }

    fn live(&self) -> Live {
        let mut live = self.all;
        for server in (0..self.settings.servers.len()).filter(|server| self.is_resting(*server)) {
            live.remove(server);
        }
        live
    }

    /// The connections of this worker to a server.
    pub fn connections_to(&self, server: usize) -> &[Connection] {
        let each = usize::try_from(self.settings.connections).unwrap_or(1).max(1);
        let all = self.connections.get_or_init(|| {
            let servers = 0..self.settings.servers.len();
            servers.flat_map(|server| (0..each).map(move |_| Connection::new(self, server))).collect()
        });
        all.get(server * each..(server + 1) * each).unwrap_or_default()
    }

    /// All connections that were made.
    pub fn made(&self) -> impl Iterator<Item = &Connection> {
        self.connections.get().into_iter().flatten()
    }

    /// A server did not answer as it should.
    pub fn failed(&self, server: usize, why: Failure, what: &dyn Display) {
        let now = shm::now_ms();
        let rests = self.health(server).is_some_and(|health| health.failed(now, &self.rules));
        if let Some((told, configured)) = self.told.get(server).zip(self.server(server)) {
            if rests {
                configured.figures.ejected(now);
            }
            told.failed(configured, why, what, rests.then_some(self.rules.retry_ms));
        }
        if self.is_resting(server) {
            watch(self);
        }
    }

    /// A server answers.
    pub fn answered(&self, server: usize) {
        if let Some(health) = self.health(server) {
            health.succeeded();
        }
    }

    /// What came of a probe.
    pub fn probed(&self, server: usize, probe: Probe, answered: bool) {
        let Some(health) = self.health(server) else { return };
        if !answered {
            health.probe_failed(probe, shm::now_ms(), &self.rules);
        } else if health.probe_succeeded(probe)
            && let Some((told, configured)) = self.told.get(server).zip(self.server(server))
        {
            told.answers_again(configured);
        }
    }

    /// A server answers, but not this.
    pub fn refused(&self, server: usize, word: &str, text: &[u8]) {
        if let Some((told, configured)) = self.told.get(server).zip(self.server(server)) {
            told.refused(configured, word, text);
        }
    }

    /// Changes that did not come to be.
    pub fn lost_writes(&self, count: u64) {
        self.settings.figures.add(Stat::LostWrites, count);
    }
}

/// FNV-1a, mixed: spreads the keys of a server over its connections, whatever the servers were chosen by.
fn spread(key: &[u8]) -> u32 {
    let hash =
        key.iter().fold(0x811c_9dc5, |hash: u32, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.wrapping_mul(0x9e37_79b1) >> 16
}
