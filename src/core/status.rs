//! What the status endpoint says of zones and sources: JSON for people and programs, and the text that Prometheus reads.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::board::Counter;
use crate::source::shown::{self, SourceStatus};
use crate::store::Stats;

/// What the endpoint knows of a zone.
#[derive(Clone, Debug)]
pub struct ZoneStatus<'a> {
    /// Its name.
    pub name: &'a str,
    /// The figures of the store of pages.
    pub stats: Stats,
    /// Those of the store of remembered values.
    pub elements: Stats,
    /// Those of the store of local counters.
    pub local: Stats,
    /// The board's, in the order of [`Counter::ALL`].
    pub counters: Vec<u64>,
    /// Different visitors of the last 24 hours, estimated.
    pub visitors: u64,
}

/// A figure that goes up and down: its name, what it says, its value.
type Gauge = (&'static str, &'static str, fn(&ZoneStatus<'_>) -> u64);

/// Figures of now.
pub const GAUGES: [Gauge; 15] = [
    ("pages", "Pages that are stored.", |z| z.stats.entries),
    ("page_bytes", "Bytes of their keys and values.", |z| z.stats.live_bytes),
    ("used_bytes", "Bytes of the zone that they take.", |z| bytes(z.stats.live_units)),
    ("free_bytes", "Bytes of the zone that nothing takes.", |z| bytes(z.stats.free_units)),
    ("arena_bytes", "Bytes of the zone that pages can take.", |z| bytes(z.stats.arena_units)),
    ("filling", "Pages that are being stored.", |z| z.stats.pending),
    ("leaving", "Pages that are out of the store and still being sent.", |z| z.stats.zombies),
    ("sending", "Large pages that are being sent.", |z| z.stats.pins),
    ("elements", "Values of sources that are remembered, or were and have not gone yet.", |z| {
        z.elements.entries
    }),
    ("element_used_bytes", "Bytes of the zone that they take.", |z| bytes(z.elements.live_units)),
    ("element_arena_bytes", "Bytes of the zone that they can take.", |z| bytes(z.elements.arena_units)),
    ("counters", "Local counters.", |z| z.local.entries),
    ("counter_used_bytes", "Bytes of the zone that they take.", |z| bytes(z.local.live_units)),
    ("counter_arena_bytes", "Bytes of the zone that they can take.", |z| bytes(z.local.arena_units)),
    ("visitors_24h", "Different client addresses of the last 24 hours, estimated.", |z| z.visitors),
];

/// Figures of the store that only grow.
pub const STORE_COUNTERS: [Gauge; 8] = [
    ("replaced", "Pages that gave way to a newer one of their key.", |z| z.stats.replaced),
    ("evicted", "Pages that gave way because their room was needed.", |z| z.stats.evicted),
    ("inactive", "Pages that went because nobody asked for them.", |z| z.stats.inactive),
    ("refused", "Pages that found no room.", |z| z.stats.refused),
    ("elements_evicted", "Values of sources that gave way because their room was needed.", |z| {
        z.elements.evicted
    }),
    ("counters_evicted", "Local counters that gave way because their room was needed.", |z| z.local.evicted),
    ("recoveries", "Repairs after a worker died in the middle of a change.", |z| {
        z.all(|stats| stats.recoveries)
    }),
    ("lost", "Pages, values and counters that a repair had to drop.", |z| z.all(|stats| stats.lost)),
];

fn bytes(units: u64) -> u64 {
    units.saturating_mul(crate::store::UNIT as u64)
}

impl ZoneStatus<'_> {
    /// A figure of all stores.
    fn all(&self, of: fn(&Stats) -> u64) -> u64 {
        [&self.stats, &self.elements, &self.local].into_iter().map(of).sum()
    }

    /// All figures: name, help, whether it only grows, value.
    fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, bool, u64)> {
        let board = Counter::ALL.iter().zip(&self.counters).map(|(c, n)| (c.as_str(), c.help(), true, *n));
        let store = STORE_COUNTERS.iter().map(|(name, help, value)| (*name, *help, true, value(self)));
        let gauges = GAUGES.iter().map(|(name, help, value)| (*name, *help, false, value(self)));
        board.chain(store).chain(gauges)
    }
}

/// `{"zones":{"NAME":{"hits":1,...}},"sources":{"NAME":{"requests":1,...}}}`
pub fn json(zones: &[ZoneStatus<'_>], sources: &[SourceStatus<'_>]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Document {
        zones: Map<String, Value>,
        sources: Value,
    }
    let of_zone = |zone: &ZoneStatus<'_>| {
        let rows = zone.rows().map(|(name, _, _, value)| (name.to_owned(), Value::from(value)));
        (zone.name.to_owned(), Value::Object(rows.collect()))
    };
    let document = Document { zones: zones.iter().map(of_zone).collect(), sources: shown::json(sources) };
    // Names and numbers: there is nothing that can't be written.
    serde_json::to_vec(&document).unwrap_or_default()
}

/// The text format of Prometheus, version 0.0.4. Zone names have no character that would need escaping.
pub fn prometheus(zones: &[ZoneStatus<'_>], sources: &[SourceStatus<'_>]) -> Vec<u8> {
    let mut out = String::new();
    let rows = zones.first().into_iter().flat_map(ZoneStatus::rows);
    for (row, (name, help, grows, _)) in rows.enumerate() {
        let (kind, end) = if grows { ("counter", "_total") } else { ("gauge", "") };
        out += &format!("# HELP twice_{name}{end} {help}\n# TYPE twice_{name}{end} {kind}\n");
        for zone in zones {
            let value = zone.rows().nth(row).map_or(0, |row| row.3);
            out += &format!("twice_{name}{end}{{zone=\"{}\"}} {value}\n", zone.name);
        }
    }
    shown::prometheus(sources, &mut out);
    out.into_bytes()
}
