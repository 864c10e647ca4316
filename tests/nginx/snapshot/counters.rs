//! Local counters in a snapshot: they come back with what they had counted, before all pages.

use super::*;
use twice_core::snapshot::Kind;

fn counter<'a>(key: &'a [u8], value: &'a [u8], last_used_ms: u64) -> Record<'a> {
    Record { kind: Kind::Counter, last_used_ms, key, value, ..Record::default() }
}

/// A snapshot with these counters, and the pages of the one that is there.
fn with_counters(setup: &Setup, counters: &[(&[u8], &[u8], u64)]) -> Vec<u8> {
    let pages = pages_of(&fs::read(file(setup)).unwrap());
    let mut writer = Writer::new(Vec::new(), PAGE_FORMAT, SEED, 1).unwrap();
    for (key, value, last_used_ms) in counters {
        writer.add(&counter(key, value, *last_used_ms)).unwrap();
    }
    for (key, value, record) in &pages {
        writer.add(&Record { key, value, ..*record }).unwrap();
    }
    writer.finish().unwrap()
}

/// The counters of the snapshot, with their values: those that were used last come first.
fn counters(setup: &Setup) -> Vec<(String, u64)> {
    let pages = pages_of(&fs::read(file(setup)).unwrap());
    let first_page = pages.iter().position(|(.., record)| record.kind == Kind::Page).unwrap_or(pages.len());
    assert!(pages[first_page..].iter().all(|(.., record)| record.kind == Kind::Page));
    let of = |(key, value, _): &Page| {
        let value = u64::from_le_bytes(value.as_slice().try_into().unwrap());
        (String::from_utf8(key.clone()).unwrap(), value)
    };
    pages[..first_page].iter().map(of).collect()
}

/// An nginx whose snapshot had one page and these counters.
fn started(origin: &Origin, zone: &str, kept: &[(&[u8], &[u8], u64)]) -> Nginx {
    let nginx = cached(origin, zone).start();
    ask(&nginx, "/a", "MISS");
    let setup = stopped(nginx);
    let bytes = with_counters(&setup, kept);
    fs::write(file(&setup), bytes).unwrap();
    setup.start()
}

#[test]
fn counters_outlive_nginx() {
    let origin = origin();
    let largest = u64::MAX.to_le_bytes();
    let kept: [(&[u8], &[u8], u64); 3] = [
        (b"local\0b", &largest, 3000),
        (b"local\0c", &[0; 8], 2000),
        (b"local\0a", &[7, 0, 0, 0, 0, 0, 0, 0], 1000),
    ];
    let nginx = started(&origin, "16m snapshot=pages.snap", &kept);
    until("they are loaded", || nginx.log_count("1 pages in") == 1);
    assert_eq!(nginx.log_count(", 3 counters"), 1);
    ask(&nginx, "/a", "HIT");
    // Neither a reload nor another stop and start changes them.
    nginx.reload();
    let setup = stopped(nginx);
    let told = ["local\0b", "local\0c", "local\0a"].map(str::to_owned).into_iter().zip([u64::MAX, 0, 7]);
    let told: Vec<_> = told.collect();
    assert_eq!(counters(&setup), told);
    let nginx = setup.start();
    until("they are loaded", || nginx.log_count(", 3 counters") == 1);
    assert_eq!(counters(&stopped(nginx)), told);
}

#[test]
fn a_full_share_takes_those_that_were_used_last_and_all_pages() {
    let origin = origin();
    let keys: Vec<_> = (0..1000u64).map(|n| format!("local\0{n}")).collect();
    let one = 1u64.to_le_bytes();
    let kept: Vec<_> = keys.iter().zip(0..).map(|(key, n)| (key.as_bytes(), &one[..], 10_000 - n)).collect();
    // A share of a hundred counters or so.
    let nginx = started(&origin, "4m snapshot=pages.snap", &kept);
    until("the snapshot is loaded", || nginx.log_count("1 pages in") == 1);
    assert_eq!(nginx.log_count("without room"), 1);
    ask(&nginx, "/a", "HIT");
    let found = counters(&stopped(nginx));
    assert!((100..900).contains(&found.len()), "{}", found.len());
    let names: Vec<_> = found.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, keys[..names.len()]);
}

#[test]
fn a_zone_without_a_share_leaves_them_out() {
    let origin = origin();
    let nginx =
        started(&origin, "16m local=0% snapshot=pages.snap", &[(b"local\0a", &[7, 0, 0, 0, 0, 0, 0, 0], 1)]);
    until("the snapshot is loaded", || nginx.log_count("1 pages in") == 1);
    assert_eq!(nginx.log_count("1 without room"), 1);
    ask(&nginx, "/a", "HIT");
    assert_eq!(counters(&stopped(nginx)), []);
}

#[test]
fn a_counter_that_is_none_is_left_out() {
    let origin = origin();
    let nginx =
        started(&origin, "16m snapshot=pages.snap", &[(b"local\0a", b"seven", 1), (b"local\0b", &[1; 8], 1)]);
    until("the snapshot is loaded", || nginx.log_count("1 pages in") == 1);
    assert_eq!(nginx.log_count(", 1 counters, 1 out of their time"), 1);
    assert_eq!(counters(&stopped(nginx)).len(), 1);
}
