//! Zones that a reload changes, renames, drops and brings back.

use fixture::{Nginx, Origin, Setup};

use super::{BIG, Slow, ask, front, module, numbered, old_workers_end, on, shared_memory};

/// The sizes of all zones that the master has, in megabytes.
fn sizes(nginx: &Nginx) -> Vec<u64> {
    let mut sizes: Vec<_> = shared_memory(nginx.master()).iter().map(|(_, size)| size >> 20).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn a_changed_size_starts_empty_and_says_so_once() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let base = front(&origin).http("twice_zone other 1m;");
    let mut nginx = base.clone().http("twice_zone pages 8m;").start();
    assert_eq!(sizes(&nginx), [1, 8]);
    for (before, after, now) in [("8m", "12m", 12), ("12m", "8192k", 8)] {
        let slow = Slow::start(&nginx, "/held");
        nginx.write_conf(base.clone().http(format!("twice_zone pages {after};")));
        nginx.reload();
        let after = format!("{now}m");
        let told =
            format!("twice: zone \"pages\" starts empty: its size was changed from {before} to {after}");
        let lines: Vec<_> =
            nginx.log().lines().filter(|line| line.contains(&told)).map(str::to_owned).collect();
        assert!(lines.len() == 1 && lines[0].contains("[notice]"), "{lines:?}");
        // The old worker goes on in memory that the master has let go.
        assert_eq!(sizes(&nginx), [1, now]);
        let page = ask(&nginx, "/held").send();
        page.assert_cache("MISS");
        assert!(page.body != slow.whole);
        ask(&nginx, "/held").warm();
        assert!(nginx.leaving_workers().contains(&slow.worker));
        slow.finish();
        old_workers_end(&nginx);
        nginx.reload();
        ask(&nginx, "/held").send().assert_cache("HIT");
    }
    assert_eq!(nginx.log_count("starts empty"), 2);
}

#[test]
fn changed_shares_start_empty_and_say_so_once() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let base = front(&origin);
    let zone = |shares: &str| base.clone().http(format!("twice_zone pages 8m {shares};"));
    let mut nginx = zone("").start();
    let mut before = "elements=5% and local=2%";
    for (shares, told) in [
        ("elements=10%", "elements=10% and local=2%"),
        ("elements=0% local=50%", "elements=0% and local=50%"),
        ("elements=5%", "elements=5% and local=2%"),
    ] {
        let slow = Slow::start(&nginx, "/held");
        nginx.write_conf(zone(shares));
        nginx.reload();
        let line = format!("twice: zone \"pages\" starts empty: its shares were {before} before");
        let log = nginx.log();
        let lines: Vec<_> = log.lines().filter(|other| other.contains(&line)).collect();
        assert!(lines.len() == 1 && lines[0].contains("[notice]"), "{lines:?}");
        before = told;
        // The old worker goes on in memory that the master has let go.
        assert_eq!(sizes(&nginx), [8]);
        ask(&nginx, "/held").send().assert_cache("MISS");
        ask(&nginx, "/held").warm();
        slow.finish();
        old_workers_end(&nginx);
        nginx.reload();
        ask(&nginx, "/held").send().assert_cache("HIT");
    }
    // What is said is what is so if nothing is said.
    nginx.write_conf(zone("local=2%"));
    nginx.reload();
    ask(&nginx, "/held").send().assert_cache("HIT");
    assert_eq!(nginx.log_count("starts empty"), 3);
}

#[test]
fn a_location_may_change_its_zone_and_come_back() {
    let origin = Origin::start();
    numbered(&origin, 1_000);
    let base = front(&origin).http("twice_zone pages 8m;");
    let more = |zone: &str| {
        let place = format!("twice {zone}; proxy_pass {};", origin.url());
        base.clone().http(format!("twice_zone {zone} 8m;")).location("= /a", place)
    };
    let mut nginx = base.clone().http("twice_zone more 8m;").start();
    let first = ask(&nginx, "/a").warm().body;
    nginx.write_conf(more("more"));
    nginx.reload();
    ask(&nginx, "/a").send().assert_cache("MISS");
    let second = ask(&nginx, "/a").warm().body;
    assert!(first != second);
    // Both zones are kept as long as they are named, whoever uses them.
    nginx.write_conf(base.clone().http("twice_zone more 8m;"));
    nginx.reload();
    assert!(ask(&nginx, "/a").warm().body == first);
    nginx.write_conf(more("more"));
    nginx.reload();
    assert!(ask(&nginx, "/a").warm().body == second);
    // A renamed zone is another one, and so is one of the name after it was away.
    nginx.write_conf(more("other"));
    nginx.reload();
    assert_eq!(sizes(&nginx), [8, 8]);
    ask(&nginx, "/a").send().assert_cache("MISS");
    nginx.write_conf(more("more"));
    nginx.reload();
    ask(&nginx, "/a").send().assert_cache("MISS");
    assert_eq!(nginx.log_count("starts empty"), 0);
}

#[test]
fn another_modules_zone_of_the_name_was_none_of_ours() {
    let origin = Origin::start();
    numbered(&origin, 1_000);
    let base = Nginx::bare();
    let theirs = base
        .clone()
        .http("limit_req_zone $uri zone=pages:8m rate=1000r/s;")
        .location("/", format!("limit_req zone=pages burst=1000 nodelay; proxy_pass {};", origin.url()));
    let ours = on(base, &origin).http("twice_zone pages 8m;");
    let mut nginx = theirs.start();
    for setup in [&ours, &theirs, &ours] {
        nginx.write_conf(setup.clone());
        nginx.reload();
        let page = ask(&nginx, "/").send();
        assert_eq!((page.status, sizes(&nginx)), (200, vec![8]));
    }
    ask(&nginx, "/").warm();
    assert_eq!(nginx.log_count("starts empty"), 0);
}

#[test]
fn the_module_may_be_taken_out_and_loaded_again() {
    let origin = Origin::start();
    numbered(&origin, BIG);
    let plain = Nginx::plain();
    let place = format!("proxy_pass {}; proxy_max_temp_file_size 0;", origin.url());
    let without = plain.clone().location("/", place);
    let with: Setup =
        on(plain, &origin).main(format!("load_module {};", module())).http("twice_zone pages 8m;");
    let mut nginx = with.start();
    for _ in 0..3 {
        let slow = Slow::start(&nginx, "/held");
        nginx.write_conf(without.clone());
        nginx.reload();
        assert!(sizes(&nginx).is_empty());
        let page = ask(&nginx, "/held").send();
        assert_eq!((page.status, page.header("X-Twice-Control")), (200, Some("max-age=3600, no-tags")));
        nginx.write_conf(with.clone());
        nginx.reload();
        ask(&nginx, "/held").send().assert_cache("MISS");
        ask(&nginx, "/held").warm();
        slow.finish();
        old_workers_end(&nginx);
    }
}
