//! Variables of sources by their names, JSON, Prometheus.

use std::collections::BTreeSet;

use twice_core::health::State;
use twice_core::source::figures::{ServerStat, Stat};
use twice_core::source::shown::{ServerStatus, SourceStatus, Told, find};
use twice_core::status::{json, prometheus};

const SOURCES: [(&str, &[&str]); 4] = [
    ("memcache", &["127.0.0.1:11212", "Cache-2.example", "/run/a.sock:"]),
    ("memcache_b", &[]),
    ("views", &["a", "a_b", "requests"]),
    ("views_a", &["b"]),
];

fn told(name: &str) -> Option<Told> {
    find(name, SOURCES.iter().map(|(name, servers)| (*name, servers.iter().copied())))
}

#[test]
fn a_variable_names_a_source_a_server_and_a_figure() {
    for (name, what) in [
        ("memcache_requests", Some(Told::Source(0, Stat::Requests))),
        ("memcache_b_lost_writes", Some(Told::Source(1, Stat::LostWrites))),
        ("memcache_server_eof", Some(Told::Servers(0, ServerStat::Eof))),
        ("memcache_servers_up", Some(Told::ServersUp(0))),
        ("memcache_127_0_0_1_11212_requests", Some(Told::Server(0, 0, ServerStat::Requests))),
        ("memcache_cache_2_example_state", Some(Told::State(0, 1))),
        ("memcache__run_a_sock__server_ejected_at", Some(Told::EjectedAt(0, 2))),
        ("memcache__run_a_sock__latency_us", Some(Told::Server(0, 2, ServerStat::Latency))),
        // A figure of the source comes before one of a server, a longer name of a source before a shorter.
        ("views_requests", Some(Told::Source(2, Stat::Requests))),
        ("views_requests_requests", Some(Told::Server(2, 2, ServerStat::Requests))),
        ("views_a_b_hits", Some(Told::Server(3, 0, ServerStat::Hits))),
        ("views_a_state", Some(Told::State(2, 0))),
        ("views_a_hits", Some(Told::Source(3, Stat::Hits))),
        ("memcache", None),
        ("memcache_", None),
        ("memcache_state", None),
        ("memcache_nonsense", None),
        ("memcache_127_0_0_1_11212_nonsense", None),
        ("memcache_127_0_0_1_11212requests", None),
        ("memcache_127.0.0.1:11212_requests", None),
        ("nonsense_requests", None),
        ("", None),
        ("views_ä_state", None),
    ] {
        assert_eq!(told(&format!("twice_source_{name}")), what, "{name}");
        assert_eq!(told(name), None, "{name}");
    }
}

fn sources() -> Vec<SourceStatus<'static>> {
    let server = |name, state, ejected_ms, first| ServerStatus {
        name,
        state,
        ejected_ms,
        figures: (first..).take(ServerStat::ALL.len()).collect(),
    };
    let source = |name, kind, first, servers| SourceStatus {
        name,
        kind,
        figures: (first..).take(Stat::ALL.len()).collect(),
        servers,
    };
    let servers = vec![server("a:1", State::Up, 0, 100), server("b\"\\\n", State::Due, 7, 200)];
    vec![source("memcache", "memcached", 1, servers), source("viewdb", "local", 50, vec![])]
}

#[test]
fn json_names_every_figure_of_every_source_and_server() {
    let value: serde_json::Value = serde_json::from_slice(&json(&[], &sources())).unwrap();
    let sources = &value["sources"];
    for (place, stat) in (0..).zip(Stat::ALL) {
        assert_eq!(sources["memcache"][stat.as_str()], 1 + place);
        assert_eq!(sources["viewdb"][stat.as_str()], 50 + place);
    }
    assert_eq!(sources["memcache"]["type"], "memcached");
    assert_eq!(sources["viewdb"]["type"], "local");
    assert!(sources["viewdb"].get("servers").is_none());
    let servers = &sources["memcache"]["servers"];
    for (place, stat) in (0..).zip(ServerStat::ALL) {
        assert_eq!(servers["a:1"][stat.as_str()], 100 + place);
        assert_eq!(servers["b\"\\\n"][stat.as_str()], 200 + place);
    }
    assert_eq!((&servers["a:1"]["state"], &servers["a:1"]["server_ejected_at"]), (&"up".into(), &0.into()));
    let other = &servers["b\"\\\n"];
    assert_eq!((&other["state"], &other["server_ejected_at"]), (&"due".into(), &7000.into()));
}

#[test]
fn prometheus_has_help_and_type_once_and_a_line_for_each() {
    let text = String::from_utf8(prometheus(&[], &sources())).unwrap();
    assert!(text.contains(
        "# TYPE twice_source_requests_total counter\n\
         twice_source_requests_total{source=\"memcache\"} 1\n\
         twice_source_requests_total{source=\"viewdb\"} 50\n"
    ));
    assert!(text.contains(
        "# TYPE twice_server_up gauge\n\
         twice_server_up{source=\"memcache\",server=\"a:1\"} 1\n\
         twice_server_up{source=\"memcache\",server=\"b\\\"\\\\\\n\"} 0\n"
    ));
    assert!(text.contains("twice_server_eof_total{source=\"memcache\",server=\"a:1\"} "));
    assert!(text.contains("twice_server_ejected_at{source=\"memcache\",server=\"b\\\"\\\\\\n\"} 7000\n"));
    let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len());
    assert_eq!(types.len(), Stat::ALL.len() + ServerStat::ALL.len() + 2);
    assert!(text.lines().filter(|line| line.starts_with("# HELP")).all(|line| line.ends_with('.')));
    // Without servers nothing is said of any.
    let local = String::from_utf8(prometheus(&[], &sources()[1..])).unwrap();
    assert!(!local.contains("twice_server_"));
}
