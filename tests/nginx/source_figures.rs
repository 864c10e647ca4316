//! What is told of sources and their servers: what was counted, who is asked.

use fixture::{Answer, Memcached, Nginx, Origin, Setup, until};
use serde_json::Value;

const TAGS: &str = "<& get memcache a - &> <& get memcache b - &> <& get memcache c - &>";

/// Pages whose tags ask these servers.
fn pages<'a>(origin: &Origin, servers: impl IntoIterator<Item = &'a Memcached>, options: &str) -> Setup {
    origin.on("/p", Answer::page(TAGS));
    let servers: String =
        servers.into_iter().map(|server| format!("server {}; ", server.address())).collect();
    Nginx::twice()
        .http(format!("upstream counters {{ {servers} }}"))
        .http(format!("twice_source memcache memcached counters {options};"))
        .server("twice pages; twice_key $uri;")
        .location("/", format!("proxy_pass {};", origin.url()))
        .figures()
}

/// A server's entry of the status.
fn of<'a>(source: &'a Value, server: &Memcached) -> &'a Value {
    let servers = source["servers"].as_object().unwrap();
    servers.get(&server.nutcracker_address()).unwrap_or_else(|| panic!("{servers:?}"))
}

fn sum(source: &Value, figure: &str) -> u64 {
    let servers = source["servers"].as_object().unwrap().values();
    servers.map(|server| server[figure].as_u64().unwrap()).sum()
}

/// Asks until each worker has answered.
fn by_each_worker(nginx: &Nginx, path: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut left = nginx.workers();
    until("each worker answers", || {
        let response = nginx.get(path).send();
        let worker: u32 = response.header("X-Worker").unwrap().parse().unwrap();
        left.retain(|pid| *pid != worker);
        texts.push(response.text());
        left.is_empty()
    });
    texts
}

#[test]
fn what_pages_ask_and_servers_answer_is_counted() {
    let origin = Origin::start();
    let servers = Memcached::start_many(2);
    let nginx = pages(&origin, &servers, "timeout=5s ttl=0s").start();
    for server in &servers {
        server.set("a", "1");
        server.set("b", "2");
    }
    for _ in 0..4 {
        assert_eq!(nginx.get("/p").send().text(), "1 2 -");
    }
    let source = nginx.source_figures("memcache");
    for (name, expected) in [("requests", 12), ("hits", 8), ("misses", 4), ("remembered", 0), ("errors", 0)] {
        assert_eq!(source[name], expected, "{name}");
    }
    assert_eq!(source["type"], "memcached");
    for (name, expected) in [("batched_keys", 12), ("hits", 8), ("misses", 4), ("server_ejects", 0)] {
        assert_eq!(sum(&source, name), expected, "{name}");
    }
    // One for each page and each of the servers that have its keys.
    let batches = sum(&source, "batches");
    assert!([4, 8].contains(&batches), "{batches}");
    assert_eq!((sum(&source, "requests"), sum(&source, "responses")), (batches, batches));
    // "get a b c\r\n" by one server, or two lines with the same keys.
    assert_eq!(sum(&source, "request_bytes"), 4 * 6 + batches * 5);
    assert!(sum(&source, "response_bytes") > 4 * 30);
    assert!(sum(&source, "latency_us") > 0);
    for server in &servers {
        assert_eq!(
            (&of(&source, server)["state"], &of(&source, server)["server_ejected_at"]),
            (&"up".into(), &0.into())
        );
    }
    assert_eq!(nginx.source_figures("viewdb")["type"], "local");
}

#[test]
fn what_the_zone_remembers_is_counted() {
    let origin = Origin::start();
    let server = Memcached::start();
    let nginx = pages(&origin, [&server], "timeout=5s").start();
    server.set("a", "1");
    assert_eq!(nginx.get("/p").send().text(), "1 - -");
    until("all is remembered", || {
        let before = nginx.source_figures("memcache")["remembered"].as_u64().unwrap();
        nginx.get("/p").send();
        nginx.source_figures("memcache")["remembered"].as_u64().unwrap() == before + 3
    });
    let source = nginx.source_figures("memcache");
    assert_eq!(sum(&source, "batched_keys"), 3);
    assert_eq!(source["requests"], source["hits"].as_u64().unwrap() + source["misses"].as_u64().unwrap());
}

#[test]
fn each_figure_is_a_variable_too() {
    let origin = Origin::start();
    let server = Memcached::start();
    let name = format!("127_0_0_1_{}", server.port());
    let nginx = pages(&origin, [&server], "timeout=5s ttl=0s")
        .location(
            "= /_variables",
            format!(
                "return 200 '$twice_source_memcache_requests $twice_source_memcache_{name}_batched_keys \
                 $twice_source_memcache_batches $twice_source_memcache_servers_up \
                 $twice_source_memcache_{name}_state $twice_source_memcache_{name}_server_ejected_at \
                 $twice_source_viewdb_hits';"
            ),
        )
        .start();
    nginx.get("/p").send();
    assert_eq!(nginx.get("/_variables").send().text(), "3 3 1 1 up 0 0");
    let text = nginx.get("/_figures?format=prometheus").send().text();
    for line in [
        "twice_source_requests_total{source=\"memcache\"} 3".to_owned(),
        format!("twice_server_batched_keys_total{{source=\"memcache\",server=\"{}\"}} 3", server.address()),
        format!("twice_server_up{{source=\"memcache\",server=\"{}\"}} 1", server.address()),
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
}

#[test]
fn a_variable_that_tells_nothing_is_refused() {
    for name in ["memcache_nonsense", "nonsense_requests", "memcache", "memcache_127_0_0_1_1_state"] {
        let setup = Nginx::twice().location("/", format!("return 200 $twice_source_{name};"));
        setup.check().fails_with(&[&format!("\"$twice_source_{name}\" is unknown"), "lost_writes", "viewdb"]);
    }
    Nginx::twice().location("/", "return 200 $twice_source_viewdb_lost_writes;").check().passes();
}

#[test]
fn figures_stay_over_reloads_by_name() {
    let origin = Origin::start();
    let servers = Memcached::start_many(3);
    let mut nginx = pages(&origin, &servers[..2], "timeout=5s ttl=0s").start();
    nginx.get("/p").send();
    let before = nginx.source_figures("memcache");
    // Another server in place of one, and the order changed.
    let other = pages(&origin, [&servers[2], &servers[0]], "timeout=5s ttl=0s");
    nginx.reload_with(|setup| setup.again(other));
    let after = nginx.source_figures("memcache");
    assert_eq!(after["requests"], before["requests"]);
    assert_eq!(of(&after, &servers[0])["batched_keys"], of(&before, &servers[0])["batched_keys"]);
    assert_eq!(of(&after, &servers[2])["batched_keys"], 0);
    // So many sources that the memory is another.
    let many: String =
        (0..40).map(|number| format!("twice_source s{number} http /{number} key=x;\n")).collect();
    nginx.reload_with(|setup| setup.http(many));
    let grown = nginx.source_figures("memcache");
    assert_eq!(grown["requests"], before["requests"]);
    assert_eq!(of(&grown, &servers[0])["batched_keys"], of(&before, &servers[0])["batched_keys"]);
    nginx.get("/p").send();
    assert_eq!(nginx.source_figures("memcache")["requests"], 6);
    assert_eq!(nginx.source_figures("s39")["requests"], 0);
}

#[test]
fn what_one_worker_finds_out_all_of_them_know() {
    let origin = Origin::start();
    let mut server = Memcached::start();
    let options = "timeout=5s ttl=0s server_failure_limit=1 server_retry_timeout=1h";
    let mut nginx = pages(&origin, [&server], options).start();
    server.kill();
    nginx.expect_log("failed (closed)");
    let texts = by_each_worker(&nginx, "/p");
    assert!(texts.iter().all(|text| text == "- - -"), "{texts:?}");
    let source = nginx.source_figures("memcache");
    let rests = of(&source, &server);
    // One attempt by one worker: whoever came later knew.
    assert_eq!(
        (&rests["state"], &rests["server_err"], &rests["server_ejects"]),
        (&"resting".into(), &1.into(), &1.into())
    );
    assert!(rests["server_ejected_at"].as_u64().unwrap() > 1_700_000_000_000_000);
    assert_eq!(source["forward_error"], (texts.len() as u64 - 1) * 3);
    // A reload has no reason to hope.
    nginx.reload();
    by_each_worker(&nginx, "/p");
    assert_eq!(of(&nginx.source_figures("memcache"), &server)["server_err"], 1);
    // A shorter rest is over at once: the server comes back by itself.
    let options = "timeout=5s ttl=0s server_failure_limit=1 server_retry_timeout=10ms";
    let other = pages(&origin, [&server], options);
    server.restart();
    server.set("a", "1");
    nginx.reload_with(|setup| setup.again(other));
    until("it is asked again", || nginx.get("/p").send().text() == "1 - -");
    until("all workers ask it", || by_each_worker(&nginx, "/p").iter().all(|text| text == "1 - -"));
    assert_eq!(of(&nginx.source_figures("memcache"), &server)["state"], "up");
}

#[test]
fn lost_changes_are_counted() {
    let origin = Origin::start();
    let mut server = Memcached::start();
    let options = "timeout=5s ttl=0s server_failure_limit=1 server_retry_timeout=1h";
    let nginx = pages(&origin, [&server], options).start();
    origin.on("/count", Answer::page("x<& incr memcache views &>"));
    nginx.get("/count").send();
    until("it is counted", || server.get("views").as_deref() == Some("1"));
    server.kill();
    nginx.expect_log("failed (closed)");
    nginx.get("/count").send();
    until("it is lost", || nginx.source_figures("memcache")["lost_writes"] == 1);
    assert_eq!(nginx.source_figures("memcache")["writes"], 2);
}
