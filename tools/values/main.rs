//! What live values cost: a page of 4 KB with five values from memcached, asked anew for each request.
//!
//! One nginx with one worker serves it two ways: Twice with a source that remembers nothing (`ttl=0s`), and nginx's own
//! SSI with five `memcached_pass` sub-requests over kept connections. `return 200` with the same bytes is what both are
//! compared with, round by round. The worker has the first CPU; wrk and memcached share the second.
//!
//! Twice: with the same five keys for everybody, which requests of one moment ask for together, and with keys of one
//! thousand visitors, taken in turn.
//!
//! usage: scripts/bench --values [--rounds N] [--seconds N] [--json FILE]

use std::env;
use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fixture::folder::{Folder, free_port};
use fixture::memcached::Memcached;
use fixture::process;
use serde::Serialize;

/// The first is what the others are compared with; each case has Twice, then SSI.
const WAYS: [(&str, &str); 5] = [
    ("return 200", "/return"),
    ("same keys: Twice", "/twice"),
    ("same keys: SSI with memcached_pass", "/ssi"),
    ("keys of 1,000 visitors: Twice", "/twice_each"),
    ("keys of 1,000 visitors: SSI with memcached_pass", "/ssi_each"),
];

const VISITORS: usize = 1000;

/// Keys and their values.
const VALUES: [(&str, &str); 5] = [
    ("views:42", "1234567"),
    ("online", "10453"),
    ("likes:42", "87"),
    ("news", "Rain in the west"),
    ("rate", "1.0834"),
];

const PAGE_BYTES: usize = 4_000;

#[derive(Serialize)]
struct Row {
    way: &'static str,
    /// Median, least, greatest over the rounds.
    requests_per_second: (f64, f64, f64),
    /// The same as a ratio to `return 200` of the round.
    ratio: (f64, f64, f64),
    /// Microseconds of worker CPU time for each request.
    worker_us: (f64, f64, f64),
    /// Of memcached, for each request.
    memcached_us: (f64, f64, f64),
}

struct Measured {
    per_second: f64,
    worker_us: f64,
    memcached_us: f64,
}

fn main() {
    let (mut rounds, mut seconds, mut json) = (5, 3, None);
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().unwrap_or_default();
        let number = || {
            value
                .parse()
                .ok()
                .filter(|&n: &u32| n > 0)
                .unwrap_or_else(|| fail(&format!("{arg} takes a number")))
        };
        match arg.as_str() {
            "--rounds" => rounds = number(),
            "--seconds" => seconds = number(),
            "--json" if !value.is_empty() => json = Some(value),
            _ => fail(&format!("unknown option {arg}; allowed are --rounds N, --seconds N, --json FILE")),
        }
    }
    let memcached = Memcached::start();
    for (key, value) in VALUES {
        memcached.set(key, value);
        for visitor in 0..VISITORS {
            memcached.set(&format!("u{visitor}:{key}"), value);
        }
    }
    let server = Server::start(&memcached);
    for (way, path) in WAYS {
        server.verify(way, path);
    }
    let mut measured: Vec<Vec<Measured>> = WAYS.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for ((way, path), measured) in WAYS.iter().zip(&mut measured) {
            measured.push(server.load(way, path, seconds, memcached.pid()));
        }
        eprintln!("round {} of {rounds}: done", round + 1);
    }
    let rows: Vec<Row> = WAYS
        .iter()
        .zip(&measured)
        .map(|((way, _), runs)| Row {
            way,
            requests_per_second: middle(runs.iter().map(|run| run.per_second)),
            ratio: middle(runs.iter().zip(&measured[0]).map(|(run, base)| run.per_second / base.per_second)),
            worker_us: middle(runs.iter().map(|run| run.worker_us)),
            memcached_us: middle(runs.iter().map(|run| run.memcached_us)),
        })
        .collect();
    print(&rows, &measured, rounds, seconds);
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&rows).expect("plain data");
        fs::write(&path, text).unwrap_or_else(|e| fail(&format!("{path}: {e}")));
    }
}

fn fail(why: &str) -> ! {
    eprintln!("bench --values: {why}");
    std::process::exit(2)
}

fn middle(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn print(rows: &[Row], measured: &[Vec<Measured>], rounds: u32, seconds: u32) {
    let version = Command::new(nginx()).arg("-v").output();
    let version = version.map(|o| String::from_utf8_lossy(&o.stderr).trim().to_owned()).unwrap_or_default();
    println!("{version}; {rounds} rounds of {seconds} s\n");
    println!("| way | requests/s | / return 200 | worker us a request | memcached us a request |");
    println!("| --- | --- | --- | --- | --- |");
    for row in rows {
        let whole = |(m, least, most): (f64, f64, f64)| format!("{m:.0} ({least:.0}..{most:.0})");
        let fine = |(m, least, most): (f64, f64, f64)| format!("{m:.2} ({least:.2}..{most:.2})");
        println!(
            "| {} | {} | {} | {} | {} |",
            row.way,
            whole(row.requests_per_second),
            fine(row.ratio),
            fine(row.worker_us),
            fine(row.memcached_us)
        );
    }
    let times = |value: fn(&Measured) -> f64, of: usize, to: usize| {
        let (m, least, most) =
            middle(measured[of].iter().zip(&measured[to]).map(|(a, b)| value(a) / value(b)));
        format!("{m:.2} ({least:.2}..{most:.2})")
    };
    for (case, twice, ssi) in [("same keys", 1, 2), ("keys of 1,000 visitors", 3, 4)] {
        println!("\n{case}");
        println!("Twice / SSI, requests/s: {}", times(|run| run.per_second, twice, ssi));
        println!("SSI / Twice, worker CPU for each request: {}", times(|run| run.worker_us, ssi, twice));
        println!(
            "SSI / Twice, memcached CPU for each request: {}",
            times(|run| run.memcached_us, ssi, twice)
        );
    }
}

/// The nginx of TWICE_NGINX.
fn nginx() -> String {
    env::var("TWICE_NGINX")
        .unwrap_or_else(|_| fail("TWICE_NGINX and TWICE_MODULE are not set: run scripts/bench --values"))
}

struct Server {
    child: Child,
    worker: u32,
    port: u16,
    /// Has the files that nginx serves.
    folder: Folder,
}

impl Server {
    fn start(memcached: &Memcached) -> Self {
        let folder = Folder::new();
        let (port, origin) = (free_port(), free_port());
        folder.write("rendered", page(|i| VALUES[i].1.to_owned()));
        folder.write("twice", page(|i| format!("<& get live {} &>", VALUES[i].0)));
        folder.write("twice_each", page(|i| format!("<& get each {} &>", VALUES[i].0)));
        folder.write("ssi", page(|i| format!("<!--# include virtual=\"/value/{}\" -->", VALUES[i].0)));
        let each = |i: usize| format!("<!--# include virtual=\"/value/u$arg_u:{}\" -->", VALUES[i].0);
        folder.write("ssi_each", page(each));
        // All visitors in turn.
        folder.write(
            "visitors.lua",
            format!(
                "local n, path = 0, nil\n\
                 request = function()\n\
                   path = path or wrk.path:gsub('%?.*', '')\n\
                   n = (n + 1) % {VISITORS}\n\
                   return wrk.format('GET', path .. '?u=' .. n)\n\
                 end\n"
            ),
        );
        folder.write("nginx.conf", conf(port, origin, &memcached.address()));
        let mut command = Command::new(nginx());
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let stderr = fs::File::create(folder.path().join("stderr")).expect("a file in our own folder");
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(stderr);
        let mut child = process::end_with_us(&mut command).spawn().expect("nginx can't be run");
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().ok().flatten().is_some();
            assert!(!ended && Instant::now() < end, "nginx did not start:\n{}", folder.read("stderr"));
            std::thread::sleep(Duration::from_millis(5));
        }
        let worker =
            fixture::until_some("the worker is there", || process::children(child.id()).first().map(|c| c.0));
        Self { child, worker, port, folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}?u=7", self.port)
    }

    /// Each way must give just the same bytes.
    fn verify(&self, way: &str, path: &str) {
        let whole = page(|i| VALUES[i].1.to_owned());
        for _ in 0..3 {
            let output = Command::new("curl").args(["-sS", "--max-time", "30"]).arg(self.url(path)).output();
            let body = output.expect("curl can't be run").stdout;
            assert!(body == whole.as_bytes(), "{way} gives other bytes:\n{}", String::from_utf8_lossy(&body));
        }
    }

    fn load(&self, way: &str, path: &str, seconds: u32, memcached: u32) -> Measured {
        let mut wrk = Command::new("taskset");
        let (_, other) = process::two_processors();
        wrk.args(["-c", &other.to_string(), "wrk", "-t1", "-c64", &format!("-d{seconds}s")]);
        wrk.arg("-s").arg(self.folder.path().join("visitors.lua")).arg(self.url(path));
        let before = (process::cpu_ns(self.worker), process::cpu_ns(memcached));
        let output = wrk.output().expect("wrk can't be run");
        let after = (process::cpu_ns(self.worker), process::cpu_ns(memcached));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{way}: {text}");
        let find = |mark: &str| {
            text.lines().find_map(|line| {
                let line = line.trim();
                line.split_once(mark).map(|(before, after)| if before.is_empty() { after } else { before })
            })
        };
        let number = |text: Option<&str>| {
            text.and_then(|n| n.trim().parse::<f64>().ok()).expect("wrk counts requests")
        };
        let requests = number(find(" requests in"));
        assert!(requests > 0.0, "{way}: {text}");
        let us = |before: u64, after: u64| (after - before) as f64 / 1000.0 / requests;
        Measured {
            per_second: number(find("Requests/sec:")),
            worker_us: us(before.0, after.0),
            memcached_us: us(before.1, after.1),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::signal(self.child.id(), process::SIGTERM);
        let _ = process::wait_end(&mut self.child, Duration::from_secs(10));
    }
}

/// The page with what stands in each of its five places.
fn page(mut place: impl FnMut(usize) -> String) -> String {
    let (mut text, mut len) = (String::new(), 0);
    for (i, (_, value)) in VALUES.iter().enumerate() {
        let piece = format!("<p>value {i}: ");
        len += piece.len() + value.len();
        text += &piece;
        text += &place(i);
        let filler = (i + 1) * PAGE_BYTES / VALUES.len() - len - "</p>\n".len();
        text.extend(std::iter::repeat_n('.', filler));
        text += "</p>\n";
        len += filler + "</p>\n".len();
    }
    text
}

fn conf(port: u16, origin: u16, memcached: &str) -> String {
    let module = env::var("TWICE_MODULE")
        .unwrap_or_else(|_| fail("TWICE_MODULE is not set: run scripts/bench --values"));
    // SAFETY: takes no memory and can't fail.
    let user = if unsafe { libc::geteuid() } == 0 { "user root root;" } else { "" };
    // In pieces: nginx takes no word as long as the page.
    let rendered = page(|i| VALUES[i].1.to_owned());
    let lines: Vec<&str> = rendered.split_inclusive('\n').collect();
    let maps: String = lines
        .iter()
        .enumerate()
        .map(|(i, line)| format!("    map $host $line{i} {{ default '{line}'; }}\n"))
        .collect();
    let all: String = (0..lines.len()).map(|i| format!("$line{i}")).collect();
    // A digit for each CPU, the first one last.
    let first_cpu = format!("1{}", "0".repeat(process::two_processors().0));
    format!(
        "load_module {module};
{user}
daemon off;
master_process on;
worker_processes 1;
worker_cpu_affinity {first_cpu};
error_log error.log warn;
pid nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    tcp_nodelay on;
    default_type text/html;
    client_body_temp_path temp_body; proxy_temp_path temp_proxy;
    fastcgi_temp_path temp_fastcgi; uwsgi_temp_path temp_uwsgi; scgi_temp_path temp_scgi;
    open_file_cache max=100 inactive=1h; open_file_cache_valid 1h;
{maps}
    upstream values {{ server {memcached}; }}
    upstream kept {{ server {memcached}; keepalive 512; keepalive_requests 1000000000; }}
    twice_zone pages 32m;
    twice_source live memcached values ttl=0s timeout=1s;
    twice_source each memcached values key=u$arg_u:* ttl=0s timeout=1s;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = /return {{ return 200 \"{all}\"; }}
        location = /ssi {{ ssi on; etag off; root .; }}
        location = /ssi_each {{ ssi on; etag off; root .; }}
        location ~ ^/value/(.*)$ {{
            internal;
            set $memcached_key $1;
            memcached_pass kept;
        }}
        location /twice {{ twice pages; twice_key $uri; twice_tags all; proxy_pass http://127.0.0.1:{origin}; }}
    }}
    server {{
        listen 127.0.0.1:{origin};
        etag off;
        add_header Cache-Control max-age=3600;
        location / {{ root .; }}
    }}
}}
"
    )
}
