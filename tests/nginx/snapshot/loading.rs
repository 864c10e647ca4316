//! What goes on while a big snapshot is loaded.

use super::*;
use std::io::{Seek, SeekFrom, Write};

/// A snapshot of many pages, made of the one that the snapshot holds: `/00000000` and on, with that page's body
/// behind `padding` bytes. Hottest first.
pub fn many(setup: &Setup, count: usize, padding: usize) -> Vec<u8> {
    let pages = pages_of(&fs::read(file(setup)).unwrap());
    let (key, value, record) = pages.iter().find(|(key, ..)| key.ends_with(b"/00000000")).expect("the page");
    let mut writer = Writer::new(Vec::new(), PAGE_FORMAT, SEED, 1).unwrap();
    let mut value = value.clone();
    // Behind its literals a page may have bytes that nothing names.
    value.resize(value.len() + padding, 0);
    for n in 0..count {
        let mut key = key.clone();
        let digits = key.len() - 8;
        key[digits..].copy_from_slice(format!("{n:08}").as_bytes());
        let last_used_ms = record.last_used_ms - n as u64;
        writer.add(&Record { key: &key, value: &value, last_used_ms, ..*record }).unwrap();
    }
    writer.finish().unwrap()
}

/// A snapshot whose pages lie before and behind a hole of hundreds of gigabytes: the loader is in its middle for as long
/// as a story may need. Back comes what loads at once.
fn with_a_hole(setup: &Setup) -> Vec<u8> {
    let whole = many(setup, 1000, 0);
    let middle = whole.len() / 2;
    let mut to = fs::File::create(file(setup)).unwrap();
    to.write_all(&whole[..middle]).unwrap();
    to.seek(SeekFrom::Start(400 << 30)).unwrap();
    to.write_all(&whole[middle..]).unwrap();
    to.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    whole
}

/// An nginx whose helper stands in the hole, and what the snapshot was before.
fn loading(origin: &Origin) -> (Nginx, Vec<u8>) {
    let nginx = kept(origin, "").start();
    ask(&nginx, "/00000000", "MISS");
    let setup = stopped(nginx);
    let whole = with_a_hole(&setup);
    let nginx = setup.start();
    until("the first half is loaded", || nginx.get("/00000400").send().cache() == "HIT");
    (nginx, whole)
}

/// What a page of the snapshot looks like: its body is that of the page that it was made of.
#[track_caller]
pub fn ask_copy(nginx: &Nginx, path: &str) {
    nginx.get(path).cookie("username=Ann").send().assert(200, "HIT", &greeting("/00000000"));
}

#[test]
fn requests_are_served_while_a_snapshot_loads() {
    let origin = origin();
    let (nginx, whole) = loading(&origin);
    assert_eq!(nginx.log_count("was loaded"), 0);
    ask_copy(&nginx, "/00000001");
    // Pages of the other half are fetched, and what is fetched stays.
    ask(&nginx, "/00000999", "MISS");
    ask(&nginx, "/00000999", "HIT");
    ask(&nginx, "/new", "MISS");
    ask(&nginx, "/new", "HIT");

    // A reload goes on with it. The new helper finds the file without its hole.
    let setup = nginx.setup().clone();
    fs::rename(file(&setup), setup.folder().join("away")).unwrap();
    fs::write(file(&setup), whole).unwrap();
    nginx.reload();
    nginx.wait_log("was loaded: ");
    ask_copy(&nginx, "/00000998");
    ask(&nginx, "/00000999", "HIT");
    let setup = stopped(nginx);
    assert!(holds(&setup, "/new") && holds(&setup, "/00000999"));
    assert_eq!(
        pages_of(&fs::read(file(&setup)).unwrap()).iter().filter(|p| p.0.ends_with(b"/00000999")).count(),
        1
    );
}

#[test]
fn a_helper_killed_while_it_loads_is_followed_by_one_that_ends_it() {
    let origin = origin();
    let (nginx, whole) = loading(&origin);
    let setup = nginx.setup().clone();
    fs::rename(file(&setup), setup.folder().join("away")).unwrap();
    fs::write(file(&setup), whole).unwrap();
    let [helper] = nginx.helpers()[..] else { panic!("one helper") };
    nginx.kill_helper(helper);
    nginx.wait_log("was loaded: ");
    assert_eq!(nginx.log_count("was loaded"), 1);
    ask_copy(&nginx, "/00000000");
    ask_copy(&nginx, "/00000999");
    let setup = stopped(nginx);
    assert!(holds(&setup, "/00000999"));
}

#[test]
fn a_stop_while_the_snapshot_loads_keeps_it() {
    let origin = origin();
    let (nginx, _) = loading(&origin);
    let setup = nginx.setup().clone();
    let before = fs::metadata(file(&setup)).unwrap();
    nginx.expect_log("was not written: the one of before had not been loaded to its end, and stays");
    nginx.finish();
    let after = fs::metadata(file(&setup)).unwrap();
    assert_eq!(
        (before.ino(), before.len(), before.mtime_nsec()),
        (after.ino(), after.len(), after.mtime_nsec())
    );
    assert!(!temp(&setup).exists());
}

#[test]
fn loading_never_evicts_and_ends_where_the_zone_is_full() {
    let origin = origin();
    let nginx = kept(&origin, "").start();
    ask(&nginx, "/00000000", "MISS");
    let setup = stopped(nginx);
    // Three times what the zone holds.
    fs::write(file(&setup), many(&setup, 12_000, 4_000)).unwrap();
    let nginx = setup.start();
    nginx.wait_log("the rest finds no room");
    // The hottest are there.
    ask_copy(&nginx, "/00000000");
    ask_copy(&nginx, "/00002500");
    ask(&nginx, "/00011999", "MISS");
    ask(&nginx, "/00011999", "HIT");
    ask_copy(&nginx, "/00000000");
}

#[test]
fn a_snapshot_that_is_being_written_is_waited_for() {
    let origin = origin();
    let nginx = kept(&origin, "").start();
    ask(&nginx, "/a", "MISS");
    let setup = stopped(nginx);
    let whole = fs::read(file(&setup)).unwrap();
    fs::remove_file(file(&setup)).unwrap();
    // Another nginx that has not ended yet.
    let writer = fs::File::create(temp(&setup)).unwrap();
    // SAFETY: an open file, no memory.
    assert_eq!(unsafe { libc::flock(std::os::fd::AsRawFd::as_raw_fd(&writer), libc::LOCK_EX) }, 0);
    let nginx = setup.start();
    ask(&nginx, "/b", "MISS");
    assert_eq!(nginx.log_count("snapshot"), 0);
    fs::write(temp(&setup), whole).unwrap();
    fs::set_permissions(temp(&setup), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::rename(temp(&setup), file(&setup)).unwrap();
    drop(writer);
    nginx.wait_log("was loaded: 1 pages");
    ask(&nginx, "/a", "HIT");
    ask(&nginx, "/b", "HIT");
}
