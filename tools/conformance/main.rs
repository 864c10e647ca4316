//! The HTTP working group's tests for caches, http-cache-tests, against Twice and nginx's own cache.
//!
//! ```text
//!   the suite's client (Node) ──> nginx, two workers, a cache ──> the suite's origin server (Node)
//! ```
//!
//! Verdicts are the suite's own. They may not differ from what is known to differ (tests/data/conformance/known), in
//! either direction. The suite judges by seconds: a page of two seconds must be fresh a moment later, which a machine that
//! is busy elsewhere may spoil. So what surprises is tried again, and counts if it comes each time.

mod known;
mod suite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use fixture::{Nginx, Setup};
use known::Known;
use suite::{Kind, Outcome, Suite, Test, groups};

/// How often surprises are tried.
const TRIES: usize = 3;

/// Configurations of Twice: name, what stands in the location.
const WAYS: [(&str, &str); 2] = [
    // nginx alone would put its own date on each answer.
    ("default", "twice pages;\nproxy_pass_header Date;"),
    // With what RFC 9111 leaves to caches, and is off by default.
    (
        "all",
        "twice pages;\nproxy_pass_header Date;\ntwice_request_control on;\ntwice_heuristic 10%;\ntwice_statuses any;",
    ),
];

/// As nginx's documentation shows it.
const PEER: &str = "proxy_cache peer;\nproxy_cache_revalidate on;";

struct Options {
    suite: PathBuf,
    peer: bool,
    test: Option<String>,
}

fn main() {
    let options = options();
    let suite = Suite::start(&options.suite);
    if let Some(id) = &options.test {
        for (way, lines) in WAYS {
            println!("== Twice, configuration \"{way}\"");
            suite.show(&twice(&suite, lines), id);
        }
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/conformance/known");
    let text = fs::read_to_string(&file).unwrap_or_else(|why| fail(&format!("{}: {why}", file.display())));
    let mut columns = Vec::new();
    let mut told = String::new();
    let mut surprised = false;
    // Their logs are judged when they end, which is after the results are told.
    let mut caches = Vec::new();
    for (way, lines) in WAYS {
        let known = Known::parse(&text, way, &WAYS.map(|(way, _)| way))
            .unwrap_or_else(|why| fail(&format!("{}: {why}", file.display())));
        let cache = twice(&suite, lines);
        let (tests, surprises) = try_all(&suite, &cache, &known);
        told += &differences(way, &tests, &known);
        for (id, why) in &surprises {
            told += &format!("NOT KNOWN: {id} {why}\n");
        }
        surprised |= !surprises.is_empty();
        columns.push((format!("Twice, {way}"), tests));
        caches.push(cache);
    }
    if options.peer {
        let cache = peer(&suite);
        columns.push(("proxy_cache".to_owned(), suite.run(&cache)));
        caches.push(cache);
    }
    println!("{}{told}", table(&columns));
    caches.into_iter().for_each(Nginx::finish);
    if surprised {
        fail(&format!("not all is as {} has it", file.display()));
    }
}

fn fail(why: &str) -> ! {
    eprintln!("conformance: {why}");
    std::process::exit(1)
}

fn options() -> Options {
    let usage = "usage: conformance SUITE_FOLDER [--peer | TEST_ID]";
    let mut args = env::args().skip(1);
    let Some(suite) = args.next().map(PathBuf::from) else { fail(usage) };
    let mut options = Options { suite, peer: false, test: None };
    match (args.next(), args.next()) {
        (None, _) => {}
        (Some(word), None) if word == "--peer" => options.peer = true,
        (Some(word), None) if !word.starts_with('-') => options.test = Some(word),
        _ => fail(usage),
    }
    options
}

/// Declares what the suite's origin causes in any nginx's log.
fn start(setup: Setup) -> Nginx {
    let nginx = setup.log_level("warn").start();
    // It breaks connections, and sends more than it says.
    nginx.allow_log("upstream prematurely closed connection");
    nginx.allow_log("upstream sent more data than specified in \"Content-Length\"");
    nginx
}

fn twice(suite: &Suite, lines: &str) -> Nginx {
    let location = format!("{lines}\nproxy_pass http://127.0.0.1:{};", suite.port());
    let nginx = start(Nginx::bare().http("twice_zone pages 16m;").location("/", location));
    // Numbers that are none, and a 304 about another page than was asked about.
    nginx.allow_log("twice: response header");
    nginx.allow_log("twice: the origin's status 304 is about another page");
    nginx
}

fn peer(suite: &Suite) -> Nginx {
    let location = format!("{PEER}\nproxy_pass http://127.0.0.1:{};", suite.port());
    start(Nginx::plain().http("proxy_cache_path cache keys_zone=peer:10m;").location("/", location))
}

/// Runs the suite until nothing surprises; what surprised each time.
fn try_all(suite: &Suite, cache: &Nginx, known: &Known) -> (Vec<Test>, BTreeMap<String, String>) {
    let mut tests = suite.run(cache);
    let mut surprises = known.surprises(&tests);
    for _ in 1..TRIES {
        if surprises.is_empty() {
            break;
        }
        tests = suite.run(cache);
        let again = known.surprises(&tests);
        surprises.retain(|id, _| again.contains_key(id));
    }
    (tests, surprises)
}

/// Passed, failed, and those that could not be told, of each kind.
fn table(columns: &[(String, Vec<Test>)]) -> String {
    let kinds = [(Kind::Required, "required"), (Kind::Optimal, "recommended"), (Kind::Check, "behaviour")];
    let mut text = "Each cell: passed / failed / not told, because what a test builds on failed. Of behaviour: yes / no.\n\n| group |".to_owned();
    for (name, _) in columns {
        for (_, kind) in kinds {
            text += &format!(" {name}: {kind} |");
        }
    }
    text += &format!("\n| --- |{}\n", " --- |".repeat(columns.len() * kinds.len()));
    let names: Vec<&str> = columns
        .first()
        .map_or_else(Vec::new, |(_, tests)| groups(tests).iter().map(|(name, _)| *name).collect());
    for name in names.iter().map(Some).chain([None]) {
        text += &format!("| {} |", name.unwrap_or(&"all"));
        for (_, tests) in columns {
            for (kind, _) in kinds {
                let ours = |test: &&Test| test.kind == kind && name.is_none_or(|name| test.group == *name);
                text += &format!(" {} |", cell(tests.iter().filter(ours)));
            }
        }
        text += "\n";
    }
    text
}

fn cell<'t>(tests: impl Iterator<Item = &'t Test>) -> String {
    let (mut passed, mut failed, mut untold) = (0, 0, 0);
    for test in tests {
        match test.outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed | Outcome::Disturbed => failed += 1,
            Outcome::Untold => untold += 1,
        }
    }
    match (passed, failed, untold) {
        (0, 0, 0) => "-".to_owned(),
        (_, _, 0) => format!("{passed} / {failed}"),
        _ => format!("{passed} / {failed} / {untold}"),
    }
}

/// What differs in a configuration of Twice, by reason.
fn differences(way: &str, tests: &[Test], known: &Known) -> String {
    let all = suite::by_id(tests);
    let mut text = format!("\nTwice, {way}, differs:\n");
    for (reason, ids) in known.reasons() {
        text += &format!("* {reason}\n");
        for id in ids {
            let Some(test) = all.get(id.as_str()) else { continue };
            text += &format!("    {id} ({:?}): {}\n", test.kind, test.why);
        }
    }
    text
}
