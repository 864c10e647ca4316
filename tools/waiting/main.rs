//! What visitors wait for while a page is fetched, beside nginx's own cache.
//!
//! Two loads, each by h2load, with an origin that takes 250 ms for an answer:
//!
//! - stampede: 200 clients ask at once for a page that is not there. What each waits beyond the origin's 250 ms is the
//!   cache's doing.
//! - stale-while-revalidate: 1,024 requests a second on 64 connections for pages that are renewed every second or so. Nobody
//!   needs to wait; a request behind one that started a refresh must not.
//!
//! `return 200` is the floor: what this machine and h2load take for nothing.

use std::env;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use fixture::folder::Folder;
use fixture::{Answer, Nginx, Origin, until};

const ORIGIN_TIME: Duration = Duration::from_millis(250);
const CLIENTS: usize = 200;
const PAGES: usize = 16;
const CONNECTIONS: usize = 64;
const EACH_PER_SECOND: usize = 16;

/// A way to serve pages: its name, where.
const PEERS: [(&str, &str); 3] =
    [("return 200", "/return"), ("twice", "/twice"), ("proxy_cache, lock, background_update", "/cache")];

struct Options {
    rounds: usize,
    seconds: usize,
}

fn main() {
    let options = options();
    let version = Command::new(env::var_os("TWICE_NGINX").unwrap_or_else(|| fail("run scripts/waiting")))
        .arg("-v")
        .output()
        .map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    println!("{}; {} rounds", version.unwrap_or_default(), options.rounds);
    let origin = Origin::start();
    origin.handle("/*", |_| {
        Answer::html("x".repeat(10_000))
            .header("Cache-Control", "max-age=1, stale-while-revalidate=30")
            .delay(ORIGIN_TIME)
    });
    let nginx = server(&origin);
    println!("\nstampede: {CLIENTS} clients ask for a missing page, the origin takes 250 ms\n");
    println!("| way | origin asked | median ms | p99 ms | max ms |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, place) in &PEERS[1..] {
        stampede(&options, &origin, &nginx, name, place);
    }
    println!(
        "\nstale-while-revalidate: {} requests/s on {CONNECTIONS} connections for {PAGES} pages, {} s a round\n",
        CONNECTIONS * EACH_PER_SECOND,
        options.seconds
    );
    println!("| way | origin asked | median ms | p99.9 ms | max ms | above 50 ms |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, place) in PEERS {
        revalidate(&options, &origin, &nginx, name, place);
    }
}

fn fail(why: &str) -> ! {
    eprintln!("waiting: {why}");
    std::process::exit(2)
}

fn options() -> Options {
    let mut options = Options { rounds: 5, seconds: 10 };
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = |what: &str| {
            let number = args.next().and_then(|n| n.parse().ok()).filter(|&n: &usize| n > 0);
            number.unwrap_or_else(|| fail(&format!("{what} takes a number")))
        };
        match arg.as_str() {
            "--rounds" => options.rounds = number("--rounds"),
            "--seconds" => options.seconds = number("--seconds"),
            _ => fail(&format!("unknown option {arg}; allowed are --rounds N, --seconds N")),
        }
    }
    options
}

fn server(origin: &Origin) -> Nginx {
    let body = "$block".repeat(10);
    Nginx::twice()
        .log_level("warn")
        .http(format!(
            "access_log off; keepalive_requests 1000000; map $host $block {{ default '{}'; }}
proxy_cache_path cache levels=2 keys_zone=cache:8m inactive=1h use_temp_path=off;
upstream origin {{ server 127.0.0.1:{}; keepalive 64; }}
proxy_http_version 1.1; proxy_set_header Connection '';",
            "x".repeat(1000),
            origin.port()
        ))
        .location("/return", format!("default_type text/html; return 200 {body};"))
        .location("/twice", "twice pages; proxy_pass http://origin;")
        .location(
            "/cache",
            "proxy_cache cache; proxy_cache_key $uri; proxy_cache_lock on; proxy_cache_background_update on;
proxy_cache_use_stale updating error timeout; proxy_pass http://origin;",
        )
        .start()
}

/// Runs h2load; milliseconds for each request.
fn load(args: &[&str]) -> Vec<f64> {
    let folder = Folder::new();
    let log = folder.path().join("log");
    let mut command = Command::new("h2load");
    command.args(["--h1", "-t1"]).arg(format!("--log-file={}", log.display())).args(args);
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|why| fail(&format!("h2load: {why}")));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = fs::read_to_string(log).unwrap_or_else(|why| fail(&format!("h2load's log: {why}: {text}")));
    let rows = log.lines().map(|line| {
        let mut words = line.split('\t').skip(1);
        let (status, micros) = (words.next(), words.next().and_then(|n| n.parse::<f64>().ok()));
        match (status, micros) {
            (Some("200"), Some(micros)) => micros / 1000.0,
            _ => fail(&format!("a request failed: {line}: {text}")),
        }
    });
    let mut times: Vec<_> = rows.collect();
    times.sort_by(f64::total_cmp);
    times
}

fn part(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((sorted.len() as f64 * part) as usize).min(last)).copied().unwrap_or(f64::NAN)
}

/// `median (least..greatest)` over the rounds.
fn over_rounds(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let (least, most) = (part(&values, 0.0), part(&values, 1.0));
    format!("{:.digits$} ({least:.digits$}..{most:.digits$})", part(&values, 0.5))
}

fn stampede(options: &Options, origin: &Origin, nginx: &Nginx, name: &str, place: &str) {
    let mut columns: [Vec<f64>; 4] = Default::default();
    for round in 0..options.rounds {
        let path = format!("{place}/stampede-{round}");
        let clients = CLIENTS.to_string();
        let times = load(&["-n", &clients, "-c", &clients, &nginx.url(&path)]);
        assert_eq!(times.len(), CLIENTS);
        let asked = origin.count(&path) as f64;
        for (column, value) in
            columns.iter_mut().zip([asked, part(&times, 0.5), part(&times, 0.99), part(&times, 1.0)])
        {
            column.push(value);
        }
    }
    let [asked, rest @ ..] = columns;
    let rest: Vec<_> = rest.into_iter().map(|column| over_rounds(column, 1)).collect();
    println!("| {name} | {} | {} |", over_rounds(asked, 0), rest.join(" | "));
}

fn revalidate(options: &Options, origin: &Origin, nginx: &Nginx, name: &str, place: &str) {
    let folder = Folder::new();
    let paths: Vec<_> = (0..PAGES).map(|n| format!("{place}/page-{n}")).collect();
    let list: String = paths.iter().map(|path| format!("{}\n", nginx.url(path))).collect();
    let list = folder.write("urls", list);
    let asked = || paths.iter().map(|path| origin.count(path)).sum::<usize>();
    for path in &paths {
        nginx.get(path).send();
    }
    until("the pages are there", || nginx.get(&paths[0]).send().status == 200);
    let mut columns: [Vec<f64>; 5] = Default::default();
    for _ in 0..options.rounds {
        let before = asked();
        let times = load(&[
            "-i",
            &list.to_string_lossy(),
            "-c",
            &CONNECTIONS.to_string(),
            "-n",
            &(CONNECTIONS * EACH_PER_SECOND * options.seconds).to_string(),
            &format!("--rps={EACH_PER_SECOND}"),
        ]);
        let slow = times.iter().filter(|&&ms| ms > 50.0).count() as f64;
        let row =
            [(asked() - before) as f64, part(&times, 0.5), part(&times, 0.999), part(&times, 1.0), slow];
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let [asked, median, late, most, slow] = columns;
    println!(
        "| {name} | {} | {} | {} | {} | {} |",
        over_rounds(asked, 0),
        over_rounds(median, 2),
        over_rounds(late, 1),
        over_rounds(most, 1),
        over_rounds(slow, 0)
    );
}
