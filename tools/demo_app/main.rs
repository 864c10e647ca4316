//! The demo's application: a small site that knows nothing of its visitors. It answers with template text, says by
//! `X-Twice-Control` how long a page may be kept, and takes its time, so that one feels the cache.
//!
//! It also keeps the number of visitors online in memcached, and answers who somebody is by his session.
//!
//! usage: demo-app ADDRESS MEMCACHED (port 0: any). Prints the address it listens on as its first line.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fixture::server::Server;
use fixture::{Answer, Received};

/// What rendering a page from a database might take.
const WORK: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, memcached] = arguments.as_slice() else {
        eprintln!("usage: demo-app ADDRESS:PORT MEMCACHED:PORT");
        return ExitCode::FAILURE;
    };
    let listener = match TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("demo-app can't listen on {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let memcached = format!("memcache://{memcached}?timeout=1&connect_timeout=1");
    thread::spawn(move || keep_online(&memcached));
    let server = Server::start(listener, answer);
    println!("{}", server.address());
    // Whoever waits for the line reads it from a file.
    let _ = io::stdout().flush();
    server.wait();
    ExitCode::SUCCESS
}

fn answer(request: &Received) -> Answer {
    match request.path() {
        "/" => page(60, "Twice", FRONT),
        "/live" => page(60, "Live values", LIVE),
        "/_session" => session(request.cookie("persistent").unwrap_or_default()),
        "/offer" => page(60, "An offer", OFFER),
        "/csp" => with_policy(),
        "/style.css" => Answer::ok(STYLE)
            .header("Content-Type", "text/css")
            .header("X-Twice-Control", "max-age=3600, no-tags"),
        "/time" => Answer::html(format!("{}\n", clock())),
        _ => page(10, "Not found", "<h1>Not found</h1><p><a href=\"/\">Back to the front page</a></p>")
            .status(404),
    }
}

/// Who somebody is, as a database would know.
fn session(id: &str) -> Answer {
    let record = match id {
        "ann" => r#"{"login":"Ann","plan":"gold","unread":3,"friends":[{"name":"Bob"},{"name":"Eve"}]}"#,
        "bob" => r#"{"login":"Bob","plan":null,"unread":0,"friends":[{"name":"Ann"}]}"#,
        _ => return Answer::new(404, ""),
    };
    Answer::ok(record).header("Content-Type", "application/json")
}

/// Tells memcached how many visitors are online, each second, as long as it is there and when it is there again.
fn keep_online(memcached: &str) {
    let mut client = None;
    for second in 0.. {
        // A tide of some hundred visitors around ten thousand.
        let visitors = 10_000 + (f64::from(second) / 10.0).sin().mul_add(400.0, f64::from(second % 7)) as i64;
        let told = match &client {
            Some(client) => memcache::Client::set(client, "online", visitors, 60),
            None => memcache::Client::with_pool_size(memcached, 1).map(|new| client = Some(new)),
        };
        if told.is_err() {
            client = None;
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn page(max_age: u32, title: &str, body: &str) -> Answer {
    // A page that tells its age is another one each second: the offer stays what it is, and has a tag.
    let age = if body == OFFER { "" } else { ", <& get page age 0 &> s old" };
    let html = LAYOUT.replace("{title}", title).replace("{body}", body).replace("{time}", &clock());
    let html = html.replace("{age}", age);
    Answer::html(html)
        .header("X-Twice-Control", format!("max-age={max_age}"))
        .header("Cache-Control", "no-cache")
        .delay(WORK)
}

/// A page with a policy that no injected script gets past, and tags that no injected text is one of.
fn with_policy() -> Answer {
    let token = token();
    let guarded = |text: &str| text.replace("<& ", &format!("<&{token} "));
    // What a visitor might have written, who knows the tags but no guard.
    let html = guarded(POLICY).replace("{written}", "<& get var hostname &>").replace("{time}", &clock());
    Answer::html(html)
        .header("X-Twice-Control", "max-age=60")
        .header("Twice-Headers", "Content-Security-Policy")
        .header(
            "Content-Security-Policy",
            guarded("default-src 'none'; script-src 'nonce-<& nonce &>'; style-src 'nonce-<& nonce &>'"),
        )
        .header("Twice-Guard", token)
        .delay(WORK)
}

/// A guard for the tags of one answer.
fn token() -> String {
    let mut random = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .expect("the system gives random bytes");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The time of day, to the second, in UTC.
fn clock() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()) % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

const LAYOUT: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<nav><a href="/">Front page</a> <a href="/live">Live values</a> <a href="/offer">An offer</a> <a href="/csp">A policy</a> <a href="/time">Never cached</a></nav>
<main>
{body}
</main>
<footer>Rendered by the application at {time}, in a third of a second.
For you it is a <b><& get var twice_cache_status &></b>{age}.</footer>
</body>
</html>
"#;

const FRONT: &str = r#"<h1>Hello, <& get cookie username Guest &>!</h1>
<p>The application wrote this page once, for everyone. Your name was filled in just now, inside nginx.</p>
<& if cookie username &><p>You are signed in as <b><& get cookie username &></b>
(<& get cookie username | upper &> in capitals).</p>
<& else &><p>You are not signed in: send a cookie <code>username</code>.</p>
<& end &><table>
<tr><th>Your address</th><td><& get ip current &></td></tr>
<tr><th>Your languages</th><td><& get header Accept-Language "not told" | truncate:60 &></td></tr>
<tr><th>Your program</th><td><& get header User-Agent "not told" | truncate:60 &></td></tr>
<tr><th>Query argument <code>q</code></th><td><& get arg q none &></td></tr>
<tr><th>This request's number</th><td><& get var request_id &></td></tr>
</table>"#;

const LIVE: &str = r#"<h1>Hello, <& get session login stranger &>!</h1>
<p>This page was seen <b><& get memcache views_live 0 | comma &></b> times before you<& incr memcache views_live &>, and
<b><& get memcache online "nobody knows how many" | comma &></b> visitors are online.</p>
<& if session login &><p>You have <& get session unread 0 &> unread messages<& if session plan &> and the plan <& get session plan &><& end &>. Your first friend is <& get session friends.0.name nobody &>.</p>
<& else &><p>A session would know you: send a cookie <code>persistent=ann</code> or <code>persistent=bob</code>.</p>
<& end &>"#;

const OFFER: &str = r#"<h1>An offer</h1>
<& if cookie plan &><p>You have the plan <b><& get cookie plan | trim &></b>: everything is yours already.</p>
<& else &><p>You have no plan yet. Send a cookie <code>plan=gold</code> and this same stored page says something else.</p>
<& end &><& unless cookie username &><p>Sign in first: a cookie <code>username</code> will do.</p>
<& end &>"#;

const POLICY: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>A policy</title>
<style nonce="<& nonce &>">body { margin: 0 auto; max-width: 42rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif }</style>
</head>
<body>
<h1>Hello, <& get cookie username Guest &>!</h1>
<p id="script">No script has run.</p>
<p>The policy of this page allows scripts and styles with its nonce only. The page is stored, with its policy: rendered at {time},
for you it is a <b><& get var twice_cache_status &></b>. The nonce is another one each time: <code><& nonce &></code>.</p>
<p>A visitor has written <code>{written}</code>, which is no tag here: it lacks the page's guard.</p>
<p><a href="/">Back to the front page</a></p>
<script nonce="<& nonce &>">document.getElementById("script").textContent = "This line was written by the page's own script.";</script>
</body>
</html>
"#;

const STYLE: &str = "body { margin: 0 auto; max-width: 42rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #222 }
nav a { margin-right: 1rem }
h1 { font-weight: 600 }
th { text-align: left; padding-right: 1.5rem; font-weight: 400; color: #666 }
td { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
footer { margin-top: 2rem; padding-top: .5rem; border-top: 1px solid #ddd; font-size: .85rem; color: #666 }
";
