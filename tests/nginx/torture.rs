//! Workers that are killed at any instant, daily and in little; `scripts/torture` does it by the thousand.

use std::collections::BTreeSet;

use fixture::folder::{free_port, listen_on_free_port};
use fixture::load::{self, Cuts, Load, Plan};
use fixture::random::Random;
use fixture::server::Server;
use fixture::{Nginx, Setup, log, proven};

/// Four workers, a zone a fraction of the pages' size, and whom to send there.
fn stage(cuts: Cuts) -> (Setup, Plan, Server) {
    let listener = listen_on_free_port();
    let slow_port = free_port();
    let application = listener.local_addr().unwrap().port();
    let setup = load::site(Nginx::bare().workers(4), "4m", application, slow_port);
    let port = setup.port();
    let plan = Plan { port, slow_port, pages: 1000, closing: 2, keeping: 2, slow: 2, cuts, seed: 1 };
    (setup, plan, proven::application(listener))
}

#[test]
fn the_checker_of_pages_finds_every_damage() {
    proven::prove_the_checker();
}

#[test]
fn thirty_killed_workers_cost_their_own_visitors_and_nobody_else() {
    let (setup, plan, _application) = stage(Cuts::ByKills);
    let nginx = setup.start();
    let mut load = Load::start(plan);
    // Full, so that every store evicts.
    load.wait_checked(300);
    let mut random = Random::new(plan.seed);
    for _ in 0..30 {
        let workers = nginx.workers();
        let victim = workers[random.below(workers.len() as u64) as usize];
        load.killing(|| nginx.kill_worker(victim));
        load.wait_checked(1 + random.below(20));
    }
    let tally = load.stop();
    assert!(tally.hits > 0 && tally.stored > 0 && tally.evicted > 0 && tally.bypassed > 0, "{tally:?}");
    // A visitor is cut by a worker that dies and by no other.
    let killed: BTreeSet<u32> = log::killed(&nginx.log()).into_iter().collect();
    let cut = load.cut_workers();
    assert!(cut.is_subset(&killed), "{cut:?} {killed:?}");
    // Nobody dies any more: nobody notices anything.
    let mut calm = Load::start(Plan { cuts: Cuts::Never, ..plan });
    calm.wait_checked(100);
    calm.stop();
}

#[test]
fn visitors_of_a_server_that_is_reloaded_all_the_time_notice_nothing() {
    let (setup, plan, _application) = stage(Cuts::Never);
    let nginx = setup.start();
    let mut load = Load::start(plan);
    for _ in 0..8 {
        load.wait_checked(50);
        nginx.reload();
    }
    load.wait_checked(50);
    let tally = load.stop();
    assert!(tally.hits > 0 && tally.evicted > 0, "{tally:?}");
}
