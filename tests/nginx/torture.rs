//! Workers that are killed at any instant, daily and in little; `scripts/torture` does it by the thousand.
//! And a little of everything at the same time, which `scripts/soak` does for minutes.

use std::collections::BTreeSet;

use fixture::folder::{free_port, listen_on_free_port};
use fixture::load::{self, Cuts, Load, Plan};
use fixture::random::Random;
use fixture::server::Server;
use fixture::soak::{self, Plan as SoakPlan, Soak, Weather};
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
fn the_checkers_of_pages_and_values_find_every_damage() {
    proven::prove_the_checker();
    soak::prove_the_checker();
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

#[test]
fn a_little_of_everything_at_the_same_time() {
    let weather = Weather { calm_ms: (50, 300), storm_ms: (20, 150) };
    let mut soak = Soak::start(&SoakPlan { visitors: 2, weather, seed: 1 });
    soak.wait(200, 10);
    soak.kill();
    soak.wait(100, 5);
    soak.reload();
    soak.wait(100, 5);
    soak.crash();
    soak.wait(100, 5);
    soak.kill();
    soak.wait(100, 5);
    soak.wait_all();
    let summary = soak.end();
    assert_eq!(summary.missing(), Vec::<&str>::new());
}
