//! Sources of the site's own: a sub-request, whose answer is the value.
//!
//! ```text
//!   up ------- a page asks, in its own name ----------------> answered
//!   resting -- no page asks
//!   due ------ a page has it probed, and does not wait -----> answered: up again, and remembered
//! ```
//!
//! It carries the header lines of the visitor's request, whom the service knows by them, and passes the page cache by.
//! nginx ends it with the request that it is made for; whoever else waits for its value then asks again
//! ([`fetches::orphaned`]). A probe has a request of its own, so that it ends with no visitor, and keeps none from going on.

use std::fmt;

use ngx::ffi::{ngx_exiting, ngx_msec_t};
use twice_core::health::{Probe, Rules, Turn};
use twice_core::include::{Failure as Broken, Sign};
use twice_core::source::figures::ServerStat;
use twice_core::source::{Answer, Failure};

use super::figures::OfServer;
use super::told::Told;
use super::{Backend, Kind, fetches};
use crate::include::Includes;
use crate::refresh::carrier::Carrier;
use crate::shm;
use crate::sys::Request;

/// How much longer than its answer may take a probe is one worker's.
const PROBE_MS: u64 = 1000;

/// What its figures call it, as they call a memcached server by its address.
const NAME: &str = "service";

/// What answers to a URI of this server.
pub struct Service {
    /// The source's name.
    of: String,
    uri: String,
    timeout: ngx_msec_t,
    rules: Rules,
    figures: OfServer,
    told: Told,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service of source \"{}\"", self.of)
    }
}

impl Service {
    /// What a source's directive says.
    pub fn new(of: &str, uri: &str, timeout_ms: u64, failure_limit: u64, retry_ms: u64) -> Self {
        Self {
            of: of.to_owned(),
            uri: uri.to_owned(),
            timeout: ngx_msec_t::try_from(timeout_ms).unwrap_or(ngx_msec_t::MAX / 4),
            rules: Rules { failure_limit, retry_ms, probe_ms: timeout_ms.saturating_add(PROBE_MS) },
            figures: OfServer::default(),
            told: Told::default(),
        }
    }

    /// When it rests.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// As its figures know it.
    pub fn backend(&self) -> Backend<'_> {
        Backend { name: NAME, figures: &self.figures }
    }

    /// What a page is to do that wants something of it.
    pub fn turn(&self) -> Turn {
        let Some(health) = self.figures.health() else { return Turn::Ask };
        // SAFETY: nginx's own flag. A worker that ends has no time for a probe.
        if unsafe { ngx_exiting } != 0 && !health.is_up() {
            return Turn::Rest;
        }
        health.turn(shm::now_ms(), &self.rules)
    }

    /// Asks for the value of a fetch.
    pub fn get(&self, request: Request<'_>, ticket: u64) -> Result<(), Failure> {
        let answer = Includes::of_fetch(request, ticket, self.timeout).ok_or(Failure::Busy)?;
        // SAFETY: just made for this live request.
        unsafe {
            Includes::ask(answer, request, 0, self.uri.as_bytes());
            if let Some(Err(why)) = (*answer).came() {
                return Err(why.of_source().unwrap_or(Failure::Refused));
            }
        }
        self.figures.add(ServerStat::Requests, 1);
        Ok(())
    }

    /// The same for a fetch that is to show whether it works again. The page of the request does not wait for it.
    pub fn probe(&self, visitor: Request<'_>, ticket: u64) -> Result<(), Failure> {
        if let Some(carrier) = Carrier::like(visitor, c"probing a source") {
            return self.get(carrier.request(), ticket);
        }
        // SAFETY: a live request. nginx reads the next one of this connection when the probe has ended.
        unsafe {
            let main = visitor.main().raw();
            if (*main).header_sent() == 0 {
                (*main).set_keepalive(0);
            }
        }
        self.get(visitor, ticket)
    }

    /// A probe was not made.
    pub fn not_probed(&self, probe: Probe) {
        if let Some(health) = self.figures.health() {
            health.probe_failed(probe, shm::now_ms(), &self.rules);
        }
    }

    fn count(&self, came: Result<&[u8], Broken>, took: ngx_msec_t) {
        let answered = match came {
            Ok(bytes) => {
                self.figures.add(ServerStat::ResponseBytes, bytes.len() as u64);
                self.figures.add(if bytes.is_empty() { ServerStat::Misses } else { ServerStat::Hits }, 1);
                true
            }
            Err(Broken::Late) => {
                self.figures.add(ServerStat::TimedOut, 1);
                false
            }
            Err(Broken::NoAnswer | Broken::Incomplete) => {
                self.figures.add(ServerStat::Err, 1);
                false
            }
            Err(why) => {
                self.figures.add(ServerStat::Misses, u64::from(why.of_source().is_none()));
                why.sign() != Sign::Nothing
            }
        };
        if answered {
            self.figures.add(ServerStat::Responses, 1);
            self.figures.add(ServerStat::Latency, (took as u64).saturating_mul(1000));
        }
    }

    /// What an answer, or that there was none, says of it.
    fn judge(&self, came: Result<&[u8], Broken>, probe: Option<Probe>) {
        let Some(health) = self.figures.health() else { return };
        let now = shm::now_ms();
        let sign = came.err().map_or(Sign::Works, Broken::sign);
        let rests = match (sign, probe) {
            (Sign::Works, None) => return health.succeeded(),
            (Sign::Works, Some(probe)) => {
                if health.probe_succeeded(probe) {
                    self.told.answers_again(self);
                }
                return;
            }
            (Sign::Nothing, None) => return,
            (Sign::Nothing, Some(probe)) => return self.not_probed(probe),
            (Sign::Fails, None) => {
                let rests = health.failed(now, &self.rules);
                if rests {
                    self.figures.ejected(now);
                }
                rests
            }
            (Sign::Fails, Some(probe)) => health.probe_failed(probe, now, &self.rules),
        };
        if let Err(why) = came
            && let Some(failure) = why.of_source()
        {
            self.told.failed(self, failure, &why, rests.then_some(self.rules.retry_ms));
        }
    }
}

/// What was asked for has come, or will not come any more. Called by what [`Service::get`] made, from an event, never from
/// within that call.
pub fn answered(ticket: u64, came: Result<&[u8], Broken>, took: ngx_msec_t) {
    if let Some((source, probe)) = fetches::asked(ticket)
        && let Kind::Http(service) = &source.kind
    {
        service.count(came, took);
        service.judge(came, probe);
    }
    fetches::answered(ticket, as_answer(came));
}

fn as_answer(came: Result<&[u8], Broken>) -> Answer<'_> {
    match came {
        Ok([]) => Answer::Missing,
        Ok(bytes) => Answer::Value(bytes),
        Err(why) => why.of_source().map_or(Answer::Missing, Answer::Failed),
    }
}
