use twice_core::board::Counter;
use twice_core::status::{ZoneStatus, json, prometheus};
use twice_core::store::Stats;

fn zone(name: &str, first: u64) -> ZoneStatus<'_> {
    let counters = (first..).take(Counter::ALL.len()).collect();
    let stats = |entries, live_units| Stats { entries, live_units, lost: 1, ..Stats::default() };
    ZoneStatus { name, stats: stats(7, 2), elements: stats(3, 4), local: stats(5, 6), counters, visitors: 9 }
}

#[test]
fn json_names_every_figure_of_every_zone() {
    let text = json(&[zone("a", 1), zone("b", 100)], &[]);
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    for (name, first) in [("a", 1), ("b", 100)] {
        let zone = &value["zones"][name];
        for (i, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(zone[counter.as_str()], first + i as u64, "{}", counter.as_str());
        }
        assert_eq!(zone["pages"], 7);
        assert_eq!(zone["used_bytes"], 256);
        assert_eq!(zone["visitors_24h"], 9);
        assert_eq!(zone["evicted"], 0);
        assert_eq!((&zone["elements"], &zone["element_used_bytes"]), (&3.into(), &512.into()));
        assert_eq!((&zone["counters"], &zone["counter_used_bytes"]), (&5.into(), &768.into()));
        assert_eq!(zone["lost"], 3);
    }
    assert_eq!(json(&[], &[]), b"{\"zones\":{},\"sources\":{}}");
}

#[test]
fn prometheus_has_help_and_type_once_and_a_line_for_each_zone() {
    let text = String::from_utf8(prometheus(&[zone("a", 1), zone("b", 100)], &[])).unwrap();
    assert!(text.contains(
        "# TYPE twice_hits_total counter\ntwice_hits_total{zone=\"a\"} 1\ntwice_hits_total{zone=\"b\"} 100\n"
    ));
    assert!(text.contains("# TYPE twice_pages gauge\ntwice_pages{zone=\"a\"} 7\n"));
    let mut names: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(text.lines().filter(|line| line.starts_with("# HELP")).all(|line| line.ends_with('.')));
    assert_eq!(prometheus(&[], &[]), b"");
}
