//! The suite itself: its origin server and its client, which run in Node.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fixture::folder::Folder;
use fixture::process::{self, SIGKILL};
use fixture::{Nginx, until_some};
use serde::Deserialize;

/// What a test asks of a cache, in the suite's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// RFC 9111 does.
    Required,
    /// It makes a better cache, and is not asked for.
    Optimal,
    /// Neither: a question, answered yes or no.
    Check,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Or yes.
    Passed,
    /// Or no.
    Failed,
    /// The test builds on one that has failed.
    Untold,
    /// The exchange did not get so far.
    Disturbed,
}

/// A test, and what came of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Test {
    pub id: String,
    pub group: String,
    pub kind: Kind,
    pub depends_on: Vec<String>,
    pub outcome: Outcome,
    /// What the suite says of a failure.
    pub why: String,
}

/// Where the suite is installed, and its origin server.
pub struct Suite {
    folder: PathBuf,
    origin: Child,
    port: u16,
    logs: Folder,
}

impl Suite {
    /// Back when the origin server listens.
    pub fn start(folder: &Path) -> Self {
        let logs = Folder::new();
        let said = logs.path().join("origin.log");
        let mut command = node("origin.mjs", folder);
        command.stdout(File::create(&said).expect("a file in a new folder"));
        let mut origin = process::killed_with_us(&mut command).spawn().expect("node can't be run");
        let port = until_some("the suite's origin server listens", || {
            if let Ok(Some(status)) = origin.try_wait() {
                panic!("the suite's origin server did not start ({status})");
            }
            let text = fs::read_to_string(&said).unwrap_or_default();
            let address =
                text.lines().find_map(|line| line.strip_prefix("Listening on http://127.0.0.1:"))?;
            address.trim_end_matches('/').parse().ok()
        });
        Self { folder: folder.to_owned(), origin, port, logs }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All its tests against the cache in front of it, in the suite's order.
    pub fn run(&self, cache: &Nginx) -> Vec<Test> {
        let mut command = node("run.mjs", &self.folder);
        let output = command.arg(base(cache)).output().expect("node can't be run");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "the suite's client: {}, it said {text}", output.status);
        let tests: Vec<Test> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|why| panic!("the suite's client: {why}, it said {text}"));
        assert!(!tests.is_empty(), "the suite ran no tests");
        tests
    }

    /// One test with all that is said in it, for whoever looks into a failure.
    pub fn show(&self, cache: &Nginx, id: &str) {
        let mut command = node("run.mjs", &self.folder);
        let status = command.arg(base(cache)).arg(id).status().expect("node can't be run");
        assert!(status.success(), "the suite's client: {status}");
        println!("{}", self.logs.read("origin.log"));
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        process::signal(self.origin.id(), SIGKILL);
        process::wait_end(&mut self.origin, Duration::from_secs(5));
    }
}

fn base(cache: &Nginx) -> String {
    // Without the slash: the suite adds one.
    cache.url("")
}

fn node(program: &str, suite: &Path) -> Command {
    let mut command = Command::new("node");
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    command.arg("--no-warnings").arg(programs.join(program)).arg(suite).stdin(Stdio::null());
    command
}

/// The tests of each group, the groups in the suite's order.
pub fn groups(tests: &[Test]) -> Vec<(&str, Vec<&Test>)> {
    let mut groups: Vec<(&str, Vec<&Test>)> = Vec::new();
    for test in tests {
        match groups.iter_mut().find(|(name, _)| *name == test.group) {
            Some((_, tests)) => tests.push(test),
            None => groups.push((&test.group, vec![test])),
        }
    }
    groups
}

/// By their ids.
pub fn by_id(tests: &[Test]) -> BTreeMap<&str, &Test> {
    tests.iter().map(|test| (test.id.as_str(), test)).collect()
}
