//! Snapshots that are damaged, not ours, or can't be written: one line each, and nginx serves on.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A snapshot of `/0` to `/9`, and the setup to start with.
fn ten_pages() -> (Origin, Setup, Vec<u8>) {
    let origin = origin();
    let nginx = kept(&origin, "").start();
    for n in 0..10 {
        ask(&nginx, &format!("/{n}"), "MISS");
    }
    let setup = stopped(nginx);
    let bytes = fs::read(file(&setup)).unwrap();
    (origin, setup, bytes)
}

/// How many of the ten pages are hits.
fn hits(nginx: &Nginx) -> usize {
    (0..10).filter(|n| nginx.get(&format!("/{n}")).send().cache() == "HIT").count()
}

/// Starts with what stands in the snapshot's place: one line tells of it, and the snapshot that is written at the stop
/// is good again.
#[track_caller]
fn told_once(setup: &Setup, text: &str, loaded: usize) {
    let nginx = setup.start();
    nginx.wait_log(text);
    let lines: Vec<String> =
        nginx.log().lines().filter(|line| line.contains("twice: ")).map(str::to_owned).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(hits(&nginx), loaded, "{text}");
    nginx.finish();
    forget_log(setup);
    assert_eq!(pages_of(&fs::read(file(setup)).unwrap()).len(), 10);
    let nginx = setup.start();
    nginx.wait_log("was loaded: 10 pages");
    nginx.finish();
    forget_log(setup);
}

#[test]
fn damage_costs_the_pages_that_it_touched() {
    let (_origin, setup, bytes) = ten_pages();
    // In the middle of a page's key.
    let mut damaged = bytes.clone();
    let place = (0..bytes.len()).find(|at| bytes[*at..].starts_with(b"/4")).unwrap();
    damaged[place] ^= 1;
    fs::write(file(&setup), damaged).unwrap();
    told_once(&setup, "was loaded: 9 pages", 9);
    // The first byte of all.
    let mut damaged = bytes.clone();
    damaged[0] ^= 1;
    fs::write(file(&setup), damaged).unwrap();
    let nginx = setup.start();
    nginx.wait_log("was loaded: 10 pages");
    nginx.finish();
    forget_log(&setup);
}

#[test]
fn a_cut_snapshot_is_loaded_as_far_as_it_goes() {
    let (_origin, setup, bytes) = ten_pages();
    fs::write(file(&setup), &bytes[..bytes.len() - 65]).unwrap();
    told_once(&setup, "was loaded: 9 pages", 9);
    fs::write(file(&setup), &bytes[..bytes.len() - 1]).unwrap();
    told_once(&setup, "its end is missing", 10);
}

#[test]
fn what_is_no_snapshot_of_this_version_is_left_and_replaced() {
    let (_origin, setup, bytes) = ten_pages();
    for foreign in [&b""[..], b"something else\n", &[b'x'; 100_000]] {
        fs::write(file(&setup), foreign).unwrap();
        told_once(&setup, "is no snapshot, or damaged at both ends", 0);
    }
    // Of pages that have another layout.
    let mut writer = Writer::new(Vec::new(), PAGE_FORMAT + 1, SEED, 1).unwrap();
    for (key, value, record) in pages_of(&bytes) {
        writer.add(&Record { key: &key, value: &value, ..record }).unwrap();
    }
    fs::write(file(&setup), writer.finish().unwrap()).unwrap();
    told_once(&setup, "was written by another version", 0);
    // Of another format.
    let mut other = bytes.clone();
    let end = other.len() - 64;
    for at in [8, end + 8] {
        other[at] += 1;
    }
    fs::write(file(&setup), other).unwrap();
    told_once(&setup, "was written by another version", 0);
}

#[test]
fn a_file_that_others_could_have_made_is_not_loaded() {
    let (_origin, setup, bytes) = ten_pages();
    fs::set_permissions(file(&setup), fs::Permissions::from_mode(0o622)).unwrap();
    told_once(&setup, "can be written by others than its owner", 0);
    // A link, and what it leads to stays as it is.
    let elsewhere = setup.folder().join("elsewhere");
    fs::write(&elsewhere, &bytes).unwrap();
    fs::remove_file(file(&setup)).unwrap();
    symlink(&elsewhere, file(&setup)).unwrap();
    told_once(&setup, "is a symbolic link", 0);
    // One in the place of the temporary file.
    symlink(&elsewhere, temp(&setup)).unwrap();
    let nginx = setup.start();
    nginx.wait_log("was loaded: 10 pages");
    nginx.finish();
    forget_log(&setup);
    assert!(fs::read(&elsewhere).unwrap() == bytes);
    // A pipe would make who opens it wait.
    fs::remove_file(file(&setup)).unwrap();
    let path = std::ffi::CString::new(file(&setup).into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    told_once(&setup, "is no plain file", 0);
}

#[test]
fn a_missing_folder_is_told_whenever_it_is_tried() {
    let origin = origin();
    let nginx = cached(&origin, "16m snapshot=none/pages.snap snapshot_interval=1s").start();
    ask(&nginx, "/a", "MISS");
    nginx.wait_log("can't be written: ");
    nginx.expect_log("was not written: ");
    until("it was tried again", || nginx.log_count("was not written: ") >= 2);
    assert_eq!(nginx.log_count("can't be written: "), 1);
    ask(&nginx, "/a", "HIT");
    // As soon as it is there, all is well.
    fs::create_dir(nginx.setup().folder().join("none")).unwrap();
    nginx.wait_log("was written: 1 pages");
}

#[test]
fn a_folder_that_can_not_be_written_keeps_the_old_file() {
    let origin = origin();
    let setup = cached(&origin, "16m snapshot=its/pages.snap").user("nobody nogroup");
    let folder = setup.folder().join("its");
    let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(&folder).unwrap();
    mode(0o777);
    let nginx = setup.start();
    ask(&nginx, "/a", "MISS");
    let setup = stopped(nginx);
    let old = fs::read(folder.join("pages.snap")).unwrap();

    mode(0o555);
    let nginx = setup.start();
    nginx.wait_log("was loaded: 1 pages");
    nginx.expect_log("can't be written: ");
    nginx.expect_log("was not written: ");
    ask(&nginx, "/a", "HIT");
    ask(&nginx, "/b", "MISS");
    nginx.finish();
    let log = fs::read_to_string(setup.folder().join("error.log")).unwrap();
    for text in ["can't be written: ", "was not written: "] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(text)).collect();
        assert!(lines.len() == 1 && lines[0].contains("Permission denied"), "{lines:#?}");
    }
    assert!(fs::read(folder.join("pages.snap")).unwrap() == old);
    mode(0o755);
}

#[test]
fn a_full_disk_keeps_the_old_file() {
    let (origin, setup, old) = ten_pages();
    origin.handle("/big/*", |request| Answer::page(request.target.repeat(10_000)));
    let setup = setup.again(kept(&origin, "snapshot_interval=1s")).file_limit(Some(300_000));
    let nginx = setup.start();
    nginx.wait_log("was loaded: 10 pages");
    for n in 0..10 {
        nginx.get(&format!("/big/{n}")).warm();
    }
    nginx.expect_log("was not written: ");
    // By the helper, which lives on, more than once; the first snapshot may still have been a small one.
    until("it was tried twice", || nginx.log_count("was not written: ") >= 2);
    // It goes on trying, and writing down that it has.
    let log = nginx.log();
    assert!(
        log.lines()
            .filter(|line| line.contains("was not written: "))
            .all(|line| line.contains("File too large")),
        "{log}"
    );
    let kept = fs::read(file(&setup)).unwrap();
    assert!(pages_of(&kept).len() >= 10 && kept.len() <= 300_000);
    nginx.get("/big/7").send().assert_cache("HIT");
    nginx.finish();
    // By the master at the stop, too.
    forget_log(&setup);
    assert!(fs::read(file(&setup)).unwrap() == kept);
    assert!(!temp(&setup).exists());
    let nginx = setup.file_limit(None).start();
    nginx.wait_log("was loaded: ");
    assert!(pages_of(&old).len() == 10);
    assert_eq!(hits(&nginx), 10);
}
