//! The nginx that is measured, and the load.

use std::env;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fixture::folder::{Folder, free_port};
use fixture::{Memcached, process};

use crate::pages::{HEADERS, Page, QUERY, REMEMBERED};

/// A way to serve the page.
pub struct Peer {
    pub name: &'static str,
    path: &'static str,
}

/// The first is what all are compared with.
pub const PEERS: &[Peer] = &[
    Peer { name: "return 200", path: "/return" },
    Peer { name: "twice", path: "/twice" },
    Peer { name: "static file", path: "/static" },
    Peer { name: "proxy_cache", path: "/cache" },
];

/// The nginx of TWICE_NGINX.
pub fn nginx() -> PathBuf {
    env::var_os("TWICE_NGINX").expect("TWICE_NGINX and TWICE_MODULE are not set: run scripts/bench").into()
}

/// A running nginx with one worker, which is also its own origin on another port.
pub struct Server {
    folder: Folder,
    port: u16,
    child: Child,
    worker: u32,
    /// Asked once for each value, and not again while they are remembered.
    values: Option<Memcached>,
}

impl Server {
    /// As in production, but for one worker on the first CPU.
    pub fn start(page: &Page) -> Self {
        let main = format!("master_process on; worker_processes 1; {}", on_the_first_cpu());
        Self::run(page, &main, &[])
    }

    /// One process under callgrind.
    pub fn start_under_callgrind(page: &Page) -> Self {
        let valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=callgrind.out"];
        Self::run(page, "master_process off;", &valgrind)
    }

    fn run(page: &Page, main: &str, wrapper: &[&str]) -> Self {
        let folder = Folder::new();
        let (port, origin) = (free_port(), free_port());
        folder.write("static", page.rendered());
        folder.write("template", &page.template);
        let values = page.remembered.then(Memcached::start);
        for (memcached, (key, value)) in values.iter().flat_map(|one| REMEMBERED.map(|pair| (one, pair))) {
            memcached.set(key, value);
        }
        let source = values.as_ref().map_or_else(String::new, |memcached| {
            format!("twice_source values memcached {} ttl=1d timeout=10s;", memcached.address())
        });
        folder.write("nginx.conf", conf(page, main, port, origin, &source));
        let mut command = match wrapper {
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args).arg(nginx());
                command
            }
            [] => Command::new(nginx()),
        };
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let stderr = fs::File::create(folder.path().join("stderr")).expect("a file in our own folder");
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(stderr);
        let mut child = process::end_with_us(&mut command).spawn().expect("nginx or valgrind can't be run");
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().ok().flatten().is_some();
            assert!(!ended && Instant::now() < end, "nginx did not start:\n{}", folder.read("stderr"));
            std::thread::sleep(Duration::from_millis(5));
        }
        // Under callgrind there is no worker: one process does all.
        let worker = if wrapper.is_empty() {
            fixture::until_some("the worker is there", || process::children(child.id()).first().map(|c| c.0))
        } else {
            child.id()
        };
        Self { folder, port, child, worker, values }
    }

    fn url(&self, peer: &Peer) -> String {
        format!("http://127.0.0.1:{}{}?{QUERY}", self.port, peer.path)
    }

    /// Each way must give just the same bytes, and the caches must hit.
    pub fn verify(&self, page: &Page, peer: &Peer) {
        for _ in 0..3 {
            let mut curl = Command::new("curl");
            curl.args(["-sS", "--max-time", "30"]).arg(self.url(peer));
            for header in HEADERS {
                curl.args(["-H", header]);
            }
            let body = curl.output().expect("curl can't be run").stdout;
            assert!(body == page.rendered().as_bytes(), "{} gives other bytes", peer.name);
        }
        let asked = self.folder.read("origin.log").lines().filter(|line| line.contains(peer.path)).count();
        assert!(asked <= 1, "{} asked its origin {asked} times", peer.name);
        let gets = self.values.as_ref().map_or(0, |memcached| memcached.figure("cmd_get"));
        assert!(gets <= REMEMBERED.len() as u64, "values were asked for {gets} times");
    }

    /// Microseconds of worker CPU time for each request, under wrk on the other CPU.
    pub fn load(&self, peer: &Peer, seconds: u32) -> f64 {
        let mut wrk = Command::new("taskset");
        let (_, other) = process::two_processors();
        wrk.args(["-c", &other.to_string(), "wrk", "-t1", "-c64", &format!("-d{seconds}s")]);
        for header in HEADERS {
            wrk.args(["-H", header]);
        }
        wrk.arg(self.url(peer));
        let before = process::cpu_ns(self.worker);
        let output = wrk.output().expect("wrk can't be run");
        let used = process::cpu_ns(self.worker) - before;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "wrk: {text}");
        let requests = text.lines().find_map(|line| line.trim().split_once(" requests in"));
        let requests: f64 = requests.and_then(|(n, _)| n.parse().ok()).expect("wrk counts requests");
        assert!(requests > 0.0);
        used as f64 / 1000.0 / requests
    }

    /// Just so many requests on one connection.
    pub fn requests(&self, peer: &Peer, count: u32) {
        let mut h2load = Command::new("h2load");
        h2load.args(["--h1", "-c1", "-t1", "-n", &count.to_string()]);
        for header in HEADERS {
            h2load.args(["-H", header]);
        }
        let output = h2load.arg(self.url(peer)).output().expect("h2load can't be run");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("{count} succeeded")), "h2load: {text}");
    }

    /// Ends nginx and gives the instructions that callgrind counted.
    pub fn end_and_count(mut self) -> u64 {
        process::signal(self.child.id(), process::SIGTERM);
        process::wait_end(&mut self.child, Duration::from_secs(60)).expect("nginx ends");
        let text = self.folder.read("callgrind.out");
        let line =
            text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
        line.and_then(|n| n.trim().parse().ok()).expect("callgrind writes its sum")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::signal(self.child.id(), process::SIGTERM);
        let _ = process::wait_end(&mut self.child, Duration::from_secs(10));
    }
}

/// nginx's mask has a digit for each CPU, the first one last.
fn on_the_first_cpu() -> String {
    let (first, _) = process::two_processors();
    format!("worker_cpu_affinity 1{};", "0".repeat(first))
}

fn conf(page: &Page, main: &str, port: u16, origin: u16, source: &str) -> String {
    let module = env::var("TWICE_MODULE").expect("TWICE_MODULE is not set: run scripts/bench");
    let blocks = "$block".repeat(page.size / page.block.len());
    // SAFETY: takes no memory and can't fail.
    let user = if unsafe { libc::geteuid() } == 0 { "user root root;" } else { "" };
    format!(
        "load_module {module};
{user}
daemon off;
{main}
error_log error.log warn;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    sendfile on;
    tcp_nodelay on;
    default_type text/html;
    client_body_temp_path temp_body; proxy_temp_path temp_proxy;
    fastcgi_temp_path temp_fastcgi; uwsgi_temp_path temp_uwsgi; scgi_temp_path temp_scgi;
    open_file_cache max=100 inactive=1h; open_file_cache_valid 1h;
    map $host $block {{ default '{block}'; }}
    proxy_cache_path cache keys_zone=cache:8m inactive=1h use_temp_path=off;
    twice_zone pages 32m;
    {source}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = /return {{ return 200 {blocks}; }}
        location = /static {{ etag off; root .; }}
        location = /cache {{ proxy_cache cache; proxy_cache_key $uri; proxy_pass http://127.0.0.1:{origin}; }}
        location = /twice {{ twice pages; twice_tags all; proxy_pass http://127.0.0.1:{origin}; }}
    }}
    server {{
        listen 127.0.0.1:{origin};
        access_log origin.log;
        etag off;
        add_header Cache-Control max-age=3600;
        location = /cache {{ alias static; }}
        location = /twice {{ alias template; }}
    }}
}}
",
        block = page.block,
    )
}
