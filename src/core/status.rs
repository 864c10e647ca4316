//! What the status endpoint says of zones: JSON for people and programs, and the text that Prometheus reads.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::board::Counter;
use crate::store::Stats;

/// What the endpoint knows of a zone.
#[derive(Clone, Debug)]
pub struct ZoneStatus<'a> {
    /// Its name.
    pub name: &'a str,
    /// The store's figures.
    pub stats: Stats,
    /// The board's, in the order of [`Counter::ALL`].
    pub counters: Vec<u64>,
    /// Different visitors of the last 24 hours, estimated.
    pub visitors: u64,
}

/// A figure that goes up and down: its name, what it says, its value.
type Gauge = (&'static str, &'static str, fn(&ZoneStatus<'_>) -> u64);

/// Figures of now.
pub const GAUGES: [Gauge; 9] = [
    ("pages", "Pages that are stored.", |z| z.stats.entries),
    ("page_bytes", "Bytes of their keys and values.", |z| z.stats.live_bytes),
    ("used_bytes", "Bytes of the zone that they take.", |z| bytes(z.stats.live_units)),
    ("free_bytes", "Bytes of the zone that nothing takes.", |z| bytes(z.stats.free_units)),
    ("arena_bytes", "Bytes of the zone that pages can take.", |z| bytes(z.stats.arena_units)),
    ("filling", "Pages that are being stored.", |z| z.stats.pending),
    ("leaving", "Pages that are out of the store and still being sent.", |z| z.stats.zombies),
    ("sending", "Large pages that are being sent.", |z| z.stats.pins),
    ("visitors_24h", "Different client addresses of the last 24 hours, estimated.", |z| z.visitors),
];

/// Figures of the store that only grow.
pub const STORE_COUNTERS: [Gauge; 6] = [
    ("replaced", "Pages that gave way to a newer one of their key.", |z| z.stats.replaced),
    ("evicted", "Pages that gave way because their room was needed.", |z| z.stats.evicted),
    ("inactive", "Pages that went because nobody asked for them.", |z| z.stats.inactive),
    ("refused", "Pages that found no room.", |z| z.stats.refused),
    ("recoveries", "Repairs after a worker died in the middle of a change.", |z| z.stats.recoveries),
    ("lost", "Pages that a repair had to drop.", |z| z.stats.lost),
];

fn bytes(units: u64) -> u64 {
    units.saturating_mul(crate::store::UNIT as u64)
}

impl ZoneStatus<'_> {
    /// All figures: name, help, whether it only grows, value.
    fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, bool, u64)> {
        let board = Counter::ALL.iter().zip(&self.counters).map(|(c, n)| (c.as_str(), c.help(), true, *n));
        let store = STORE_COUNTERS.iter().map(|(name, help, value)| (*name, *help, true, value(self)));
        let gauges = GAUGES.iter().map(|(name, help, value)| (*name, *help, false, value(self)));
        board.chain(store).chain(gauges)
    }
}

/// `{"zones":{"NAME":{"hits":1,...}}}`
pub fn json(zones: &[ZoneStatus<'_>]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Document {
        zones: Map<String, Value>,
    }
    let of_zone = |zone: &ZoneStatus<'_>| {
        let rows = zone.rows().map(|(name, _, _, value)| (name.to_owned(), Value::from(value)));
        (zone.name.to_owned(), Value::Object(rows.collect()))
    };
    let document = Document { zones: zones.iter().map(of_zone).collect() };
    // Names and numbers: there is nothing that can't be written.
    serde_json::to_vec(&document).unwrap_or_default()
}

/// The text format of Prometheus, version 0.0.4. Zone names have no character that would need escaping.
pub fn prometheus(zones: &[ZoneStatus<'_>]) -> Vec<u8> {
    let mut out = String::new();
    let Some(first) = zones.first() else { return Vec::new() };
    for (row, (name, help, grows, _)) in first.rows().enumerate() {
        let (kind, end) = if grows { ("counter", "_total") } else { ("gauge", "") };
        out += &format!("# HELP twice_{name}{end} {help}\n# TYPE twice_{name}{end} {kind}\n");
        for zone in zones {
            let value = zone.rows().nth(row).map_or(0, |row| row.3);
            out += &format!("twice_{name}{end}{{zone=\"{}\"}} {value}\n", zone.name);
        }
    }
    out.into_bytes()
}
