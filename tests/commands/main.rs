//! The README and the pages under docs/, taken at their word: commands do what they say, examples run.

mod docs;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fixture::Browser;
use fixture::docs::{in_language, root};
use fixture::folder::free_port;
use fixture::process;

/// scripts/demo, running.
struct Demo {
    child: Child,
    /// The lines worth trying.
    tries: Vec<String>,
}

impl Demo {
    fn start(port: u16) -> Self {
        let mut command = Command::new(root().join("scripts/demo"));
        command.arg("--port").arg(port.to_string()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = process::end_with_us(&mut command).spawn().unwrap();
        // It ends its output when it ends, so that a demo that does not start can't hold us.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let tries: Vec<_> = lines.filter(|line| line.trim().starts_with("curl ")).take(6).collect();
        assert_eq!(tries.len(), 6, "the demo did not start");
        Self { child, tries }
    }

    /// Ends it by a signal; true: it ended clean.
    fn end(mut self, signal: i32) -> bool {
        process::signal(self.child.id(), signal);
        process::wait_end(&mut self.child, Duration::from_secs(20)) == Some(0)
    }
}

/// Runs a line of shell.
fn shell(line: &str) -> String {
    let output = Command::new("timeout").args(["60", "sh", "-c", line]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_demo_does_what_the_pages_show() {
    let port = free_port();
    let demo = Demo::start(port);
    for block in in_language("console") {
        let block = block.replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
        let mut output = String::new();
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => output = shell(&command.replace("curl ", "curl -sS ")),
                None => assert!(output.contains(line), "{block}gives no {line:?} but:\n{output}"),
            }
        }
    }
    // In a real browser its policy stands in the way of nothing, while the page comes from the store.
    let url = format!("http://127.0.0.1:{port}/csp");
    shell(&format!("curl -sS {url}"));
    assert!(shell(&format!("curl -sS -i {url}")).contains("X-Cache: HIT"));
    let seen = Browser::new().open(&url);
    assert!(
        seen.dom.contains("written by the page's own script") && seen.dom.contains("<b>HIT</b>"),
        "{seen:?}"
    );
    assert!(seen.console.is_empty(), "{seen:?}");
    for line in &demo.tries {
        assert!(!shell(&line.replace("curl ", "curl -sS ")).is_empty(), "{line}");
    }
    assert!(demo.end(process::SIGINT));
}

#[test]
fn a_taken_port_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output =
        Command::new(root().join("scripts/demo")).args(["--port", &port.to_string()]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("port {port}")), "{output:?}");
}

#[test]
fn the_build_prints_the_modules_path_last() {
    let output = Command::new(root().join("scripts/build")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(Path::new(text.lines().last().unwrap()).is_file(), "{text}");
}

#[test]
fn the_benchmark_runs_and_prints_its_table() {
    let output = Command::new(root().join("scripts/bench"))
        .args(["--cpu-only", "--rounds", "1", "--seconds", "1", "--only", "1:5"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for way in ["return 200", "twice", "static file", "proxy_cache"] {
        assert!(text.contains(&format!("| 1 KB | 5 | {way} |")), "{text}");
    }
}

#[test]
fn the_benchmark_of_values_runs_and_prints_its_table() {
    let arguments = ["--values", "--rounds", "1", "--seconds", "1"];
    let output = Command::new(root().join("scripts/bench")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for case in ["same keys", "keys of 1,000 visitors"] {
        for way in ["Twice", "SSI with memcached_pass"] {
            assert!(text.contains(&format!("| {case}: {way} | ")), "{text}");
        }
    }
}

#[test]
fn the_table_of_eviction_policies_is_the_same_each_time() {
    let run =
        |arguments: &[&str]| Command::new(root().join("scripts/eviction")).args(arguments).output().unwrap();
    let once = run(&["--quick", "--trace", "zipf-0.9/one-size", "--size", "0.1"]);
    assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
    let text = String::from_utf8(once.stdout).unwrap();
    for word in
        [" LRU |", " SIEVE |", " S3-FIFO |", " oracle |", "| zipf-0.9/one-size      |  10 % |", "Bytes found"]
    {
        assert!(text.contains(word), "{text}");
    }
    let again = run(&["--quick", "--trace", "zipf-0.9/one-size", "--size", "0.1"]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text);
    let bad = run(&["--trace", "nonsense"]);
    assert!(!bad.status.success());
    assert!(String::from_utf8(bad.stderr).unwrap().contains("there are zipf-0.7"));
}
