//! What was purged stays away, whichever snapshot a start finds.

use super::*;

fn site(origin: &Origin, options: &str) -> Setup {
    kept(origin, options).location("/purge", "twice_purge pages;")
}

fn journals(setup: &Setup) -> Vec<PathBuf> {
    let files = fs::read_dir(setup.folder()).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains("pages.snap.purges.")).collect()
}

/// An nginx that has loaded the pages /a, /b and /c from its snapshot.
fn loaded(origin: &Origin) -> Nginx {
    let nginx = site(origin, "").start();
    for path in ["/a", "/b", "/c"] {
        ask(&nginx, path, "MISS");
    }
    let nginx = restarted(nginx);
    nginx.wait_log("was loaded: 3 pages");
    nginx
}

/// Started again after a death that left no time to write anything.
fn after_a_crash(nginx: Nginx) -> Nginx {
    let setup = nginx.setup().clone();
    nginx.crash();
    forget_log(&setup);
    setup.start()
}

#[test]
fn an_old_snapshot_does_not_bring_back_what_was_purged() {
    let origin = Origin::start();
    origin.handle("/*", |request| {
        Answer::html(format!("{} {GREETING}", request.target))
            .header("X-Twice-Control", "max-age=3600")
            .header("Surrogate-Key", format!("key-of-{}", &request.target[1..]))
    });
    for (json, gone) in [
        (r#"{"urls":["/a"]}"#, &["/a"][..]),
        (r#"{"keys":["key-of-b"]}"#, &["/b"]),
        (r#"{"prefixes":["/a","/c"]}"#, &["/a", "/c"]),
        (r#"{"all":true}"#, &["/a", "/b", "/c"]),
    ] {
        let nginx = loaded(&origin);
        let done = nginx.get("/purge").method("POST").body(json).send();
        assert_eq!(done.status, 200);
        let nginx = after_a_crash(nginx);
        nginx.wait_log(&format!("was loaded: {} pages", 3 - gone.len()));
        for path in ["/a", "/b", "/c"] {
            ask(&nginx, path, if gone.contains(&path) { "MISS" } else { "HIT" });
        }
    }
}

#[test]
fn a_new_snapshot_knows_of_all_purges_before_it() {
    let origin = origin();
    let nginx = loaded(&origin);
    nginx.get("/purge/a").method("PURGE").send();
    assert_eq!(journals(nginx.setup()).len(), 1);
    let setup = stopped(nginx);
    assert!(journals(&setup).is_empty());
    let nginx = setup.start();
    nginx.wait_log("was loaded: 2 pages");
    ask(&nginx, "/a", "MISS");
    ask(&nginx, "/b", "HIT");
}

#[test]
fn a_purge_before_the_snapshot_was_loaded_holds() {
    let origin = origin();
    let nginx = loaded(&origin);
    let setup = stopped(nginx);
    // Many pages, so that the purge comes while they are being loaded, or before.
    let nginx = setup.start();
    nginx.get("/purge/b").method("PURGE").send();
    nginx.wait_log("was loaded");
    ask(&nginx, "/b", "MISS");
    ask(&nginx, "/a", "HIT");
}

#[test]
fn a_damaged_list_of_purges_keeps_the_snapshot_out() {
    let origin = origin();
    let nginx = loaded(&origin);
    nginx.get("/purge/a").method("PURGE").send();
    let setup = nginx.setup().clone();
    nginx.crash();
    forget_log(&setup);
    let journal = journals(&setup).remove(0);
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..bytes.len() - 1]).unwrap();
    let nginx = setup.start();
    nginx.wait_log("was not loaded");
    nginx.expect_log("is damaged");
    for path in ["/a", "/b"] {
        ask(&nginx, path, "MISS");
    }
    // With the next snapshot all is well again.
    let nginx = restarted(nginx);
    nginx.wait_log("was loaded: 2 pages");
    assert!(journals(nginx.setup()).is_empty());
}

#[test]
fn where_purges_can_not_be_written_down_the_snapshot_goes() {
    let origin = origin();
    let nginx = loaded(&origin);
    // Every name that the next seconds could give is taken by a folder.
    let number = |path: &PathBuf| path.to_string_lossy().rsplit('.').next().unwrap().parse::<u64>().unwrap();
    nginx.get("/purge/none").method("PURGE").send();
    let journal = journals(nginx.setup()).remove(0);
    assert!(number(&journal) > 1_700_000_000);
    fs::remove_file(&journal).unwrap();
    fs::create_dir(&journal).unwrap();
    assert!(file(nginx.setup()).exists());
    assert_eq!(nginx.get("/purge/a").method("PURGE").send().status, 200);
    assert!(!file(nginx.setup()).exists());
    let setup = nginx.setup().clone();
    nginx.crash();
    forget_log(&setup);
    fs::remove_dir(&journal).unwrap();
    let nginx = setup.start();
    nginx.wait_log("there is none yet");
    ask(&nginx, "/a", "MISS");
}

#[test]
fn what_was_marked_stale_comes_back_stale() {
    let origin = origin();
    for target in ["/a?soft=1", "/a?prefix=1&soft=1"] {
        let nginx = loaded(&origin);
        let done = nginx.get(&format!("/purge{target}")).method("PURGE").send();
        assert_eq!(done.status, 200);
        let nginx = restarted(nginx);
        nginx.wait_log("was loaded: 3 pages");
        ask(&nginx, "/b", "HIT");
        ask(&nginx, "/a", "STALE");
    }
}

#[test]
fn a_single_process_writes_purges_down_for_its_user() {
    let origin = origin();
    let setup = site(&origin, "").single_process().user("nobody nogroup");
    give_to_nobody(&setup);
    let nginx = setup.start();
    ask(&nginx, "/a", "MISS");
    ask(&nginx, "/b", "MISS");
    let nginx = restarted(nginx);
    nginx.wait_log("was loaded: 2 pages");
    nginx.get("/purge/a").method("PURGE").send();
    let nginx = after_a_crash(nginx);
    nginx.wait_log("was loaded: 1 pages");
    ask(&nginx, "/a", "MISS");
    ask(&nginx, "/b", "HIT");
}

#[test]
fn a_full_disk_costs_the_snapshot_and_no_worker() {
    let origin = origin();
    let setup = stopped(loaded(&origin)).file_limit(Some(200_000));
    let nginx = setup.start();
    nginx.wait_log("was loaded: 3 pages");
    let workers = nginx.workers();
    let keys: Vec<_> = (0..10_000).map(|n| n.to_string()).collect();
    let json = serde_json::json!({ "keys": keys, "urls": [] }).to_string();
    assert_eq!(nginx.get("/purge").method("POST").body(json).send().status, 200);
    assert!(!file(&setup).exists());
    nginx.allow_log("a client request body is buffered to a temporary file");
    assert_eq!(nginx.workers(), workers);
}
