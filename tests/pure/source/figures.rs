//! Rows of figures in shared memory: whose they are, and what is in them.

use crate::property::cases;
use std::collections::BTreeMap;

use proptest::prelude::*;
use twice_core::health::{Rules, State};
use twice_core::source::Failure;
use twice_core::source::figures::{Row, Rows, ServerStat, Stat, rows_for};

const RULES: Rules = Rules { failure_limit: 1, retry_ms: 1000, probe_ms: 100 };

fn memory(rows: usize) -> Vec<Row> {
    (0..rows).map(|_| Row::default()).collect()
}

#[test]
fn figures_add_up_over_all_workers() {
    let row = Row::default();
    for worker in 0..100 {
        row.add(worker, Stat::Hits, 2);
    }
    row.add(usize::MAX, Stat::LostWrites, 1);
    for stat in Stat::ALL {
        let expected = match stat {
            Stat::Hits => 200,
            Stat::LostWrites => 1,
            _ => 0,
        };
        assert_eq!(row.figure(*stat), expected, "{}", stat.as_str());
    }
}

#[test]
fn names_are_words_and_each_is_there_once() {
    let of_sources: Vec<_> = Stat::ALL.iter().map(|stat| (stat.as_str(), stat.help())).collect();
    let of_servers: Vec<_> = ServerStat::ALL.iter().map(|stat| (stat.as_str(), stat.help())).collect();
    for all in [of_sources, of_servers] {
        assert!(all.iter().all(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        assert!(all.iter().all(|(_, help)| help.ends_with('.')));
        let names: BTreeMap<_, _> = all.iter().copied().collect();
        assert_eq!(names.len(), all.len());
    }
    for stat in Stat::ALL {
        assert_eq!(Stat::from_name(stat.as_str()), Some(*stat));
    }
    for stat in ServerStat::ALL {
        assert_eq!(ServerStat::from_name(stat.as_str()), Some(*stat));
    }
    assert_eq!(Stat::from_name("Requests"), None);
}

#[test]
fn each_failure_is_counted_somewhere() {
    let counted = Failure::ALL.map(|why| (why.as_str(), Stat::of(why).as_str()));
    assert_eq!(
        counted,
        [
            ("timeout", "timeouts"),
            ("closed", "errors"),
            ("protocol", "errors"),
            ("refused", "errors"),
            ("too-large", "errors"),
            ("resting", "forward_error"),
            ("bad-key", "bad_keys"),
            ("busy", "forward_error"),
        ]
    );
}

#[test]
fn a_name_keeps_its_row_over_reloads() {
    let memory = memory(4);
    let rows = Rows(&memory);
    let row = rows.take(b"memcache", 1).unwrap();
    row.add(0, Stat::Requests, 7);
    let server = rows.take(b"memcache\0a:1", 1).unwrap();
    server.health.failed(5000, &RULES);
    server.set_ejected_ms(5000);
    assert_eq!(rows.latest(), 1);
    assert_eq!(rows.take(b"memcache", 2).unwrap().figure(Stat::Requests), 7);
    let server = rows.take(b"memcache\0a:1", 2).unwrap();
    assert_eq!(server.health.state(5000, &RULES), State::Resting);
    assert_eq!(server.ejected_ms(), 5000);
    assert_eq!(rows.take(b"memcache\0b:1", 2).unwrap().figure(ServerStat::Requests), 0);
    assert_eq!(rows.latest(), 2);
}

#[test]
fn a_row_is_another_names_only_when_two_configurations_have_left_it() {
    let memory = memory(2);
    let rows = Rows(&memory);
    rows.take(b"a", 1).unwrap().add(0, Stat::Requests, 1);
    rows.take(b"b", 1).unwrap();
    assert!(rows.take(b"c", 1).is_none());
    rows.take(b"b", 2).unwrap();
    assert!(rows.take(b"c", 2).is_none());
    rows.take(b"b", 3).unwrap();
    // The workers of the first configuration are not those that have just been told to leave.
    let row = rows.take(b"c", 3).unwrap();
    assert_eq!(row.figure(Stat::Requests), 0);
    assert!(row.health.is_up());
    assert!(rows.take(b"a", 3).is_none());
}

#[test]
fn memory_in_place_of_other_memory_takes_over_what_it_names() {
    let (old, new) = (memory(4), memory(8));
    let before = Rows(&old);
    for name in [b"a", b"b"] {
        before.take(name, 5).unwrap().add(3, Stat::Hits, 4);
    }
    before.take(b"b", 5).unwrap().health.failed(9000, &RULES);
    let rows = Rows(&new);
    let (b, c) = (rows.take(b"b", 1).unwrap(), rows.take(b"c", 1).unwrap());
    rows.take_over(before);
    assert_eq!((b.figure(Stat::Hits), c.figure(Stat::Hits)), (4, 0));
    assert_eq!(b.health.state(9000, &RULES), State::Resting);
    assert_eq!(rows.latest(), 1);
}

#[test]
fn memory_grows_in_leaps() {
    assert_eq!(rows_for(0), 64);
    assert_eq!(rows_for(32), 64);
    assert_eq!(rows_for(33), 128);
    assert_eq!(rows_for(64 * 257), 65536);
}

proptest! {
    #![proptest_config(cases(256))]

    /// As a naive map would have it: with the rows of `rows_for` each configuration has all its names, and a name that
    /// each of them has never loses anything.
    #[test]
    fn whatever_is_configured_has_its_rows(
        configurations in prop::collection::vec(prop::collection::btree_set(0u8..60, 1..32), 1..12),
    ) {
        let memory = memory(rows_for(32));
        let rows = Rows(&memory);
        let mut naive: BTreeMap<u8, u64> = BTreeMap::new();
        let mut before = std::collections::BTreeSet::new();
        for (number, names) in (1..).zip(configurations) {
            for name in &names {
                let row = rows.take(&[*name], number);
                prop_assert!(row.is_some());
                let row = row.unwrap();
                if before.contains(name) {
                    prop_assert_eq!(row.figure(Stat::Requests), naive[name]);
                } else {
                    // Kept, or begun anew: nobody's else.
                    let kept = naive.get(name).copied().unwrap_or(0);
                    prop_assert!([0, kept].contains(&row.figure(Stat::Requests)));
                    naive.insert(*name, row.figure(Stat::Requests));
                }
                row.add(usize::from(*name), Stat::Requests, u64::from(*name) + 1);
                *naive.get_mut(name).unwrap() += u64::from(*name) + 1;
            }
            before = names;
        }
    }
}
