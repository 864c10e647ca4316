//! An nginx to be tortured, and the end that every phase comes to.

use std::collections::BTreeSet;
use std::fs;

use fixture::folder::{free_port, listen_on_free_port};
use fixture::load::{self, Cuts, Load, Plan};
use fixture::server::Server;
use fixture::{Nginx, Setup, account, log, process, proven, until};

use crate::proc;
use crate::report::Phase;

pub const WORKERS: usize = 4;
/// All pages are some twenty times as large as the zone together.
const ZONE: &str = "8m";
const PAGES: u64 = 4000;

/// The application and how to reach everybody.
pub struct Stage {
    pub setup: Setup,
    slow_port: u16,
    seed: u64,
    _application: Server,
}

impl Stage {
    /// `base` loads the module.
    pub fn new(base: Setup, seed: u64) -> Self {
        let listener = listen_on_free_port();
        let port = listener.local_addr().expect("a bound socket").port();
        let slow_port = free_port();
        // The file lies in nginx's folder.
        let zone = format!("{ZONE} snapshot={}", base.folder().join("pages.snapshot").display());
        let setup = load::site(base.workers(WORKERS), &zone, port, slow_port);
        Self { setup, slow_port, seed, _application: proven::application(listener) }
    }

    pub fn plan(&self, cuts: Cuts) -> Plan {
        Plan {
            port: self.setup.port(),
            slow_port: self.slow_port,
            pages: PAGES,
            closing: 6,
            keeping: 6,
            slow: 4,
            cuts,
            seed: self.seed,
        }
    }

    /// The end: visitors leave, every worker is killed once more, visitors come again and meet no fault, nginx quits.
    /// Then its log holds nothing but the deaths, and the store accounts for every unit.
    pub fn end(&self, nginx: Nginx, mut load: Load, mut phase: Phase) -> Phase {
        phase.tally = load.stop();
        let cut = load.cut_workers();
        until("the workers of former configurations have left", || nginx.leaving_workers().is_empty());
        for pid in nginx.workers() {
            nginx.kill_worker(pid);
            phase.kills += 1;
        }
        let mut calm = Load::start(self.plan(Cuts::Never));
        calm.wait_checked(300);
        phase.tally.add(&calm.stop());

        nginx.allow_log("exited on signal 9");
        nginx.allow_log(log::LOCK_BROKEN);
        let mut family = proc::children(nginx.master());
        family.insert(nginx.master());
        nginx.finish();
        until("no process of nginx is left", || !family.iter().any(|&pid| proc::is_alive(pid)));

        let log = self.log();
        let killed = log::killed(&log);
        let locked = log::died_locking(&log);
        assert_subset("a lock was taken from a worker that was not killed", &locked, &killed);
        assert_subset("answers were cut by a worker that was not killed", &cut, &killed);
        let deaths = killed.len() as u64;
        if phase.forced > 0 {
            phase.forced = deaths.checked_sub(phase.kills).expect("all kills are in the log");
        } else {
            // A worker that was leaving may have been quicker than its killer.
            assert!(deaths <= phase.kills, "{} kills, but {deaths} deaths", phase.kills);
            phase.kills = deaths;
        }
        phase.locked = locked.len() as u64;

        let account = account::find(&log, "pages").unwrap_or_else(|why| panic!("{why}"));
        if let Some(flaw) = account.flaw(true) {
            panic!("{flaw}");
        }
        phase.account = Some(account);
        phase
    }

    fn log(&self) -> String {
        let read = |name| fs::read(self.setup.folder().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[read("stderr.log"), read("error.log")].concat()).into_owned()
    }
}

fn assert_subset<'a>(what: &str, some: impl IntoIterator<Item = &'a u32>, all: &[u32]) {
    let all: BTreeSet<_> = all.iter().collect();
    let others: Vec<_> = some.into_iter().filter(|pid| !all.contains(pid)).collect();
    assert!(others.is_empty(), "{what}: {others:?}");
}

/// SIGKILL; false if there was nobody any more.
pub fn kill(pid: u32) -> bool {
    process::signal(pid, process::SIGKILL)
}

/// Waits until all workers are there, none of them of `former`.
pub fn wait_workers(nginx: &Nginx, former: &[u32]) {
    until("all workers are there", || {
        let now = nginx.workers();
        now.len() == WORKERS && !now.iter().any(|pid| former.contains(pid))
    });
}
