//! How the figures of sources are shown: as variables by their names, as JSON, as what Prometheus reads.

use serde_json::{Map, Value};

use super::figures::{ServerStat, Stat};
use crate::health::State;

/// What the variables of sources begin with.
pub const PREFIX: &str = "twice_source_";

/// What a variable of sources tells. Sources and servers by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Of a source.
    Source(usize, Stat),
    /// The sum over a source's servers.
    Servers(usize, ServerStat),
    /// How many of a source's servers are asked.
    ServersUp(usize),
    /// Of a server.
    Server(usize, usize, ServerStat),
    /// A server's [`State`].
    State(usize, usize),
    /// When a server last began to rest.
    EjectedAt(usize, usize),
}

/// Figures of now beside [`ServerStat`].
pub const STATE: &str = "state";
const EJECTED_AT: &str = "server_ejected_at";
/// A source's.
const SERVERS_UP: &str = "servers_up";

/// What the variable of this name tells: [`PREFIX`], a source's name, `_` and a figure; or between these a server's name and `_`,
/// with `_` for whatever is no letter or digit. `sources`: their names, and those of their servers. Where a name can be taken
/// in two ways the longer name of a source counts, then a figure of the source, then the first server.
pub fn find<'a, S>(name: &str, sources: impl Iterator<Item = (&'a str, S)>) -> Option<Told>
where
    S: Iterator<Item = &'a str>,
{
    let name = name.strip_prefix(PREFIX)?;
    let told = sources.enumerate().filter_map(|(source, (source_name, servers))| {
        let figure = name.strip_prefix(source_name)?.strip_prefix('_')?;
        Some((source_name.len(), of_source(source, figure).or_else(|| of_server(source, figure, servers))?))
    });
    told.max_by_key(|(length, _)| *length).map(|(_, told)| told)
}

fn of_source(source: usize, figure: &str) -> Option<Told> {
    if figure == SERVERS_UP {
        return Some(Told::ServersUp(source));
    }
    let own = Stat::from_name(figure).map(|stat| Told::Source(source, stat));
    own.or_else(|| ServerStat::from_name(figure).map(|stat| Told::Servers(source, stat)))
}

fn of_server<'a>(source: usize, figure: &str, servers: impl Iterator<Item = &'a str>) -> Option<Told> {
    servers.enumerate().find_map(|(server, name)| {
        let figure = without(figure, name)?.strip_prefix('_')?;
        match figure {
            STATE => Some(Told::State(source, server)),
            EJECTED_AT => Some(Told::EjectedAt(source, server)),
            _ => ServerStat::from_name(figure).map(|stat| Told::Server(source, server, stat)),
        }
    })
}

/// What follows a server's name in a variable's, which nginx has in small letters.
fn without<'a>(text: &'a str, server: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(server.len())?;
    let is_same = |(a, b): (u8, u8)| {
        let b = b.to_ascii_lowercase();
        a == if b.is_ascii_alphanumeric() { b } else { b'_' }
    };
    start.bytes().zip(server.bytes()).all(is_same).then_some(rest)
}

/// What the status endpoint knows of a source.
#[derive(Clone, Debug)]
pub struct SourceStatus<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub kind: &'static str,
    /// In the order of [`Stat::ALL`].
    pub figures: Vec<u64>,
    /// Its memcached servers.
    pub servers: Vec<ServerStatus<'a>>,
}

/// What it knows of a server.
#[derive(Clone, Debug)]
pub struct ServerStatus<'a> {
    /// Its name, where keys are placed.
    pub name: &'a str,
    /// Whether it is asked.
    pub state: State,
    /// When it last began to rest, milliseconds; 0: never.
    pub ejected_ms: u64,
    /// In the order of [`ServerStat::ALL`].
    pub figures: Vec<u64>,
}

impl ServerStatus<'_> {
    /// In twemproxy's unit.
    fn ejected_at(&self) -> u64 {
        microseconds(self.ejected_ms)
    }
}

/// As `server_ejected_at` has it.
pub const fn microseconds(ms: u64) -> u64 {
    ms.saturating_mul(1000)
}

/// `{"NAME":{"type":"memcached","requests":1,...,"servers":{"NAME":{"state":"up",...}}}}`
pub fn json(sources: &[SourceStatus<'_>]) -> Value {
    let of_server = |server: &ServerStatus<'_>| {
        let mut rows = rows(ServerStat::ALL.iter().map(|stat| stat.as_str()), &server.figures);
        rows.insert(STATE.to_owned(), server.state.as_str().into());
        rows.insert(EJECTED_AT.to_owned(), server.ejected_at().into());
        (server.name.to_owned(), Value::Object(rows))
    };
    let of_source = |source: &SourceStatus<'_>| {
        let mut rows = rows(Stat::ALL.iter().map(|stat| stat.as_str()), &source.figures);
        rows.insert("type".to_owned(), source.kind.into());
        if !source.servers.is_empty() {
            let servers = source.servers.iter().map(of_server).collect();
            rows.insert("servers".to_owned(), Value::Object(servers));
        }
        (source.name.to_owned(), Value::Object(rows))
    };
    Value::Object(sources.iter().map(of_source).collect())
}

fn rows(names: impl Iterator<Item = &'static str>, figures: &[u64]) -> Map<String, Value> {
    names.zip(figures).map(|(name, value)| (name.to_owned(), Value::from(*value))).collect()
}

/// The text format of Prometheus, as [`crate::status::prometheus`] begins it.
pub fn prometheus(sources: &[SourceStatus<'_>], out: &mut String) {
    if sources.is_empty() {
        return;
    }
    for (place, stat) in Stat::ALL.iter().enumerate() {
        head(out, "source", stat.as_str(), stat.help(), true);
        for source in sources {
            let value = source.figures.get(place).copied().unwrap_or(0);
            *out += &format!(
                "twice_source_{}_total{{source=\"{}\"}} {value}\n",
                stat.as_str(),
                escaped(source.name)
            );
        }
    }
    let servers =
        || sources.iter().flat_map(|source| source.servers.iter().map(move |server| (source, server)));
    if servers().next().is_none() {
        return;
    }
    let mut line = |name: &str, help: &str, grows: bool, value: &dyn Fn(&ServerStatus<'_>) -> u64| {
        // Of a server's figure `server_eof` this is what is left.
        let name = name.strip_prefix("server_").unwrap_or(name);
        head(out, "server", name, help, grows);
        for (source, server) in servers() {
            *out += &format!(
                "twice_server_{name}{}{{source=\"{}\",server=\"{}\"}} {}\n",
                if grows { "_total" } else { "" },
                escaped(source.name),
                escaped(server.name),
                value(server)
            );
        }
    };
    for (place, stat) in ServerStat::ALL.iter().enumerate() {
        line(stat.as_str(), stat.help(), true, &|server| server.figures.get(place).copied().unwrap_or(0));
    }
    line("up", UP, false, &|server| u64::from(server.state == State::Up));
    line(EJECTED_AT, EJECTED_AT_HELP, false, &|server| server.ejected_at());
}

const UP: &str = "Whether the server is asked.";
const EJECTED_AT_HELP: &str = "When the server last began to rest, in microseconds since 1970; 0: never.";

fn head(out: &mut String, what: &str, name: &str, help: &str, grows: bool) {
    let (kind, end) = if grows { ("counter", "_total") } else { ("gauge", "") };
    *out += &format!("# HELP twice_{what}_{name}{end} {help}\n# TYPE twice_{what}_{name}{end} {kind}\n");
}

/// A label's value. Names of servers are a configuration's and may hold anything.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
