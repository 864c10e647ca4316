//! `twice_source NAME TYPE ...`: where the values of a tag's target come from.
//!
//! A source is read in two steps: its directive when nginx comes to it, and the servers of its upstream when everything was
//! read, since the upstream may stand anywhere in the http block.

use std::ffi::{c_char, c_void};

use ngx::ffi::{
    NGX_LOG_EMERG, ngx_command_t, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_get_variable_index,
    ngx_http_upstream_main_conf_t, ngx_http_upstream_module, ngx_http_upstream_server_t,
    ngx_http_upstream_srv_conf_t, ngx_parse_url, ngx_url_t,
};
use ngx::ngx_conf_log_error;
use twice_core::ring::{self, Distribution, Hash};
use twice_core::source::{is_name, key};
use twice_core::template::Target;

use super::MainConf;
use super::setters::{Directive, set};
use crate::source::figures::{self, OfServer, OfSource};
use crate::source::memcached::Pool;
use crate::source::variables;
use crate::source::{Format, Key, Kind, Server, Settings, Source};
use crate::sys;

/// Most sources of a configuration.
const MOST: usize = 64;

/// Most connections of a worker to a server.
const MOST_CONNECTIONS: u64 = 64;

/// Those that are there without being named: counters in the zone itself.
const DEFAULTS: [&str; 2] = ["memcache", "viewdb"];

/// Nothing is remembered for longer: a year.
const MAX_TTL_MS: u64 = 365 * 24 * 3600 * 1000;

/// No page waits for longer.
const MAX_TIMEOUT_MS: u64 = 60_000;

const TTL_OF_TEXT_MS: u64 = 30_000;
const TTL_OF_RECORDS_MS: u64 = 24 * 3600 * 1000;
const TIMEOUT_MS: u64 = 50;
const RETRY_MS: u64 = 30_000;

/// A memcached source whose servers are not known yet.
pub struct Declared {
    source: Source,
    settings: Settings,
    upstream: String,
    names: Vec<String>,
    file: String,
    line: usize,
}

/// The setter of `twice_source`.
pub unsafe extern "C" fn twice_source(
    cf: *mut ngx_conf_t,
    cmd: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls a setter with what its command asks for.
    unsafe { set(cf, cmd, conf, define) }
}

fn define(main: &mut MainConf, directive: &Directive) -> Result<(), String> {
    let [name, kind, rest @ ..] = directive.args() else {
        return Err("takes a name and a type: memcached, http or local".to_owned());
    };
    if !is_name(name) {
        return Err(format!(
            "has the name \"{name}\", allowed are a small letter and up to 31 small letters, digits and \"_\" behind it"
        ));
    }
    if Target::is_built_in(name.as_bytes()) {
        return Err(format!(
            "has the name \"{name}\", which is a target of its own, allowed is another name"
        ));
    }
    let declared = main.declared.iter().map(|declared| &declared.source);
    if main.sources.iter().chain(declared).any(|source| source.name == *name) {
        return Err(format!("has the name \"{name}\" a second time, allowed is another name"));
    }
    if main.sources.len() + main.declared.len() == MOST {
        return Err(format!("has the name \"{name}\", allowed are {MOST} sources"));
    }
    match kind.as_str() {
        "memcached" => main.declared.push(memcached(directive, name, rest)?),
        "http" => main.sources.push(http(directive, name, rest)?),
        "local" => main.sources.push(local(name, rest)?),
        _ => {
            return Err(format!(
                "has the type \"{kind}\", allowed are memcached UPSTREAM, http URI and local"
            ));
        }
    }
    Ok(())
}

fn local(name: &str, options: &[String]) -> Result<Source, String> {
    if let [option, ..] = options {
        return Err(format!(
            "has \"{option}\" for a local source, allowed is nothing: its counters live in the share local=N% of the \
             location's \"twice_zone\""
        ));
    }
    Ok(Source::new(name, Key::default(), Kind::Local))
}

fn http(directive: &Directive, name: &str, rest: &[String]) -> Result<Source, String> {
    let Some((uri, options)) = rest.split_first() else {
        return Err("has no URI, allowed is http URI key=STRING".to_owned());
    };
    if !uri.starts_with('/') || uri.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(format!("has the URI \"{uri}\", allowed is one of this server, such as /_session"));
    }
    let options = Options::read(directive, options)?;
    options.only(&["key", "ttl", "timeout", "format"], "http")?;
    let Some(text) = &options.key else {
        return Err(format!(
            "has no key=STRING, without which all visitors would share one answer of \"{uri}\", allowed is one such as \
             key=$cookie_persistent"
        ));
    };
    let key = compile(directive, text)?;
    if key.template.has_tag_key() {
        return Err(format!(
            "has the option \"key={text}\", allowed is one without \"*\": the answer of \"{uri}\" is one for all tags"
        ));
    }
    let format = options.format.unwrap_or(Format::Json);
    let kind = Kind::Http { uri: uri.clone() };
    Ok(options.apply(Source { format, ..Source::new(name, key, kind) }))
}

fn memcached(directive: &Directive, name: &str, rest: &[String]) -> Result<Declared, String> {
    let Some((upstream, options)) = rest.split_first() else {
        return Err("has no upstream, allowed is memcached UPSTREAM".to_owned());
    };
    let options = Options::read(directive, options)?;
    let format = options.format.unwrap_or(Format::Text);
    let key = match (&options.key, format) {
        (Some(text), _) => {
            let key = compile(directive, text)?;
            if key.template.starts_with_variable() {
                return Err(format!(
                    "has the option \"key={text}\", which begins with a visitor's value: it could name any key of the \
                     servers, allowed is one that begins with a text of its own, such as session_{text}"
                ));
            }
            if format == Format::Json && key.template.has_tag_key() {
                return Err(format!(
                    "has the option \"key={text}\", allowed is one without \"*\" beside format=json, where the key of a \
                     tag is a path in the record"
                ));
            }
            key
        }
        (None, Format::Text) => Key::default(),
        (None, Format::Json) => {
            return Err(
                "has format=json without key=STRING, allowed is one such as key=session_$cookie_persistent"
                    .to_owned(),
            );
        }
    };
    let settings = Settings {
        servers: Vec::new(),
        connections: options.connections.unwrap_or(1),
        hash: options.hash,
        distribution: options.distribution,
        hash_tag: options.hash_tag,
        auto_eject_hosts: options.auto_eject_hosts,
        server_failure_limit: options.server_failure_limit.unwrap_or(2),
        server_retry_timeout_ms: options.server_retry_timeout_ms.unwrap_or(RETRY_MS),
        preconnect: options.preconnect,
        figures: OfSource::default(),
    };
    // SAFETY: the running configuration has a file that it is read from.
    let (file, line) = unsafe {
        let file = &*(*directive.cf).conf_file;
        (String::from_utf8_lossy(sys::bytes(file.file.name)).into_owned(), file.line)
    };
    // Its type until then.
    let source = Source { format, ..Source::new(name, key, Kind::Local) };
    Ok(Declared {
        source: options.apply(source),
        settings,
        upstream: upstream.clone(),
        names: options.names.clone(),
        file,
        line,
    })
}

/// A key's text, and the numbers of its variables.
fn compile(directive: &Directive, text: &str) -> Result<Key, String> {
    let allowed = "allowed are text, variables and \"*\" for the tag's key";
    let template = key::Template::parse(text.as_bytes())
        .map_err(|why| format!("has the option \"key={text}\": {why}, {allowed}"))?;
    let mut variables = Vec::new();
    for name in template.variables() {
        let mut name = sys::ngx_str(name.as_bytes());
        // SAFETY: the running configuration; nginx copies a name that it does not know.
        let index = unsafe { ngx_http_get_variable_index(directive.cf, &raw mut name) };
        variables
            .push(usize::try_from(index).map_err(|_| format!("has the option \"key={text}\", {allowed}"))?);
    }
    Ok(Key { template, variables })
}

/// What stands behind a source's type.
#[derive(Default)]
struct Options {
    given: Vec<String>,
    key: Option<String>,
    ttl_ms: Option<u64>,
    timeout_ms: Option<u64>,
    format: Option<Format>,
    hash: Hash,
    distribution: Distribution,
    hash_tag: Option<[u8; 2]>,
    names: Vec<String>,
    connections: Option<u64>,
    auto_eject_hosts: bool,
    preconnect: bool,
    server_failure_limit: Option<u64>,
    server_retry_timeout_ms: Option<u64>,
}

const ALLOWED: &str = "key=STRING, ttl=TIME, timeout=TIME, format=text|json and, for memcached, hash=NAME, \
                       distribution=NAME, hash_tag=XY, names=NAME,..., connections=N, auto_eject_hosts, preconnect, \
                       server_failure_limit=N and server_retry_timeout=TIME";

impl Options {
    fn read(directive: &Directive, words: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        for word in words {
            options.add(directive, word)?;
        }
        Ok(options)
    }

    fn add(&mut self, directive: &Directive, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        if self.given.iter().any(|given| given == name) {
            return Err(format!("has the option \"{word}\" besides another one of its name, allowed is one"));
        }
        self.given.push(name.to_owned());
        let has = |allowed: &str| format!("has the option \"{word}\", allowed is {allowed}");
        let time = |text: &str, least: u64, most: u64| {
            directive.milliseconds_of(text).filter(|time| (least..=most).contains(time))
        };
        let number = |text: &str, most: u64| {
            let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|number| is_plain && (1..=most).contains(number))
        };
        match (name, value) {
            ("key", Some(text)) if !text.is_empty() => self.key = Some(text.to_owned()),
            ("key", _) => return Err(has("a string such as key=session_$cookie_persistent")),
            ("ttl", Some(text)) => {
                self.ttl_ms = Some(time(text, 0, MAX_TTL_MS).ok_or_else(|| has("a time from 0s to 365d"))?);
            }
            ("timeout", Some(text)) => {
                let found = time(text, 1, MAX_TIMEOUT_MS);
                self.timeout_ms = Some(found.ok_or_else(|| has("a time from 1ms to 60s"))?);
            }
            ("format", Some("text")) => self.format = Some(Format::Text),
            ("format", Some("json")) => self.format = Some(Format::Json),
            ("format", _) => return Err(has("format=text or format=json")),
            ("hash", Some(text)) => {
                self.hash = Hash::from_name(text)
                    .ok_or_else(|| has(&format!("one of {}", Hash::ALL.map(Hash::as_str).join(", "))))?;
            }
            ("distribution", Some(text)) => {
                self.distribution = Distribution::from_name(text).ok_or_else(|| {
                    has(&format!("one of {}", Distribution::ALL.map(Distribution::as_str).join(", ")))
                })?;
            }
            ("hash_tag", Some(text)) => {
                let pair = <[u8; 2]>::try_from(text.as_bytes());
                self.hash_tag = Some(pair.map_err(|_| {
                    has("two characters; braces need quotes around the whole option: \"hash_tag={}\"")
                })?);
            }
            ("names", Some(text)) => {
                self.names = text.split(',').map(str::to_owned).collect();
                let is_good = |name: &String| {
                    !name.is_empty() && name.len() <= 250 && name.bytes().all(|b| b.is_ascii_graphic())
                };
                if !self.names.iter().all(is_good) {
                    return Err(has("names=NAME,NAME,... in the order of the upstream's servers"));
                }
            }
            ("connections", Some(text)) => {
                let found = number(text, MOST_CONNECTIONS);
                self.connections =
                    Some(found.ok_or_else(|| has(&format!("a number from 1 to {MOST_CONNECTIONS}")))?);
            }
            ("server_failure_limit", Some(text)) => {
                let found = number(text, 1000);
                self.server_failure_limit = Some(found.ok_or_else(|| has("a number from 1 to 1000"))?);
            }
            ("server_retry_timeout", Some(text)) => {
                let found = time(text, 10, 24 * 3600 * 1000);
                self.server_retry_timeout_ms = Some(found.ok_or_else(|| has("a time from 10ms to 1d"))?);
            }
            ("auto_eject_hosts", None) => self.auto_eject_hosts = true,
            ("preconnect", None) => self.preconnect = true,
            _ => return Err(format!("has the option \"{word}\", allowed are {ALLOWED}")),
        }
        Ok(())
    }

    /// Refuses what a type does not know.
    fn only(&self, allowed: &[&str], kind: &str) -> Result<(), String> {
        match self.given.iter().find(|given| !allowed.contains(&given.as_str())) {
            Some(given) => Err(format!(
                "has the option \"{given}\" for a source of the type {kind}, allowed are {}",
                allowed.join(", ")
            )),
            None => Ok(()),
        }
    }

    fn apply(&self, source: Source) -> Source {
        let ttl = if source.format == Format::Json { TTL_OF_RECORDS_MS } else { TTL_OF_TEXT_MS };
        Source {
            ttl_ms: self.ttl_ms.unwrap_or(ttl),
            timeout_ms: self.timeout_ms.unwrap_or(TIMEOUT_MS),
            ..source
        }
    }
}

/// Everything was read: gives the memcached sources their servers, and adds the sources that need not be named.
///
/// # Safety
/// `cf` must be the running configuration, inside its http block.
pub unsafe fn complete(cf: *mut ngx_conf_t, main: &mut MainConf) -> bool {
    for declared in std::mem::take(&mut main.declared) {
        // SAFETY: the caller's promise.
        match unsafe { servers(cf, &declared) }.and_then(|servers| settings(&declared, servers)) {
            Ok(settings) => {
                let source = declared.source;
                let pool = Pool::new(settings, source.timeout_ms);
                main.sources.push(Source { kind: Kind::Memcached(pool), ..source });
            }
            Err(why) => {
                ngx_conf_log_error!(
                    NGX_LOG_EMERG,
                    cf,
                    "\"twice_source\" in {}:{} {}",
                    declared.file,
                    declared.line,
                    why
                );
                return false;
            }
        }
    }
    // A configuration without a cache needs no memory for them.
    let used = !main.zones.is_empty() || !main.sources.is_empty();
    for name in DEFAULTS {
        if !main.sources.iter().any(|source| source.name == name) {
            main.sources.push(Source::new(name, Key::default(), Kind::Local));
        }
    }
    for (number, source) in main.sources.iter_mut().enumerate() {
        source.number = number;
    }
    main.source_names = main.sources.iter().map(|source| source.name.as_str().into()).collect();
    // SAFETY: the caller's promise; nobody changes the sources from now on.
    let done = unsafe {
        variables::check(cf, main).and_then(|()| if used { figures::add_zone(cf, main) } else { Ok(()) })
    };
    if let Err(why) = done {
        ngx_conf_log_error!(NGX_LOG_EMERG, cf, "twice: {}", why);
        return false;
    }
    true
}

/// # Safety
/// `cf` must be the running configuration, inside its http block.
unsafe fn servers(cf: *mut ngx_conf_t, declared: &Declared) -> Result<Vec<Server>, String> {
    let upstream = &declared.upstream;
    // SAFETY: the caller's promise.
    let found = match unsafe { block(cf, upstream) } {
        // SAFETY: as above; the addresses of its servers live as long as the configuration.
        Some(block) => unsafe { of_block(block, upstream)? },
        // SAFETY: as above.
        None => vec![unsafe { of_address(cf, upstream)? }],
    };
    if found.is_empty() {
        return Err(format!("has the upstream \"{upstream}\", which has no server, allowed is one that has"));
    }
    if !declared.names.is_empty() && declared.names.len() != found.len() {
        return Err(format!(
            "has names= of {}, while the servers of \"{upstream}\" are {}, allowed is one name for each",
            declared.names.len(),
            found.len()
        ));
    }
    let mut servers: Vec<Server> = Vec::new();
    for (number, mut server) in found.into_iter().enumerate() {
        if let Some(name) = declared.names.get(number) {
            server.name.clone_from(name);
        }
        if let Some(other) = servers.iter().find(|other| other.name == server.name) {
            return Err(format!(
                "has two servers of the name \"{}\" in \"{upstream}\", allowed are names of their own: the name says which \
                 keys a server has",
                other.name
            ));
        }
        servers.push(server);
    }
    Ok(servers)
}

/// The whole settings of a pool, of whose servers a ring can be made.
fn settings(declared: &Declared, servers: Vec<Server>) -> Result<Settings, String> {
    let settings = Settings { servers, ..declared.settings.clone() };
    match settings.ring() {
        Ok(_) => Ok(settings),
        Err(why) => Err(format!(
            "has the upstream \"{}\", of which no ring can be made: {why}; allowed are 1 to {} servers whose weights are \
             less than 2^32 together",
            declared.upstream,
            ring::MAX_SERVERS
        )),
    }
}

/// The upstream block of a name.
///
/// # Safety
/// As for [`servers`].
unsafe fn block<'a>(cf: *mut ngx_conf_t, name: &str) -> Option<&'a ngx_http_upstream_srv_conf_t> {
    // SAFETY: the caller's promise: the upstream module has its main configuration; its array holds what it made. A block
    // has servers, other than a name that some `proxy_pass` made up.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let main = *(*ctx).main_conf.add(ngx_http_upstream_module.ctx_index);
        let main = main.cast::<ngx_http_upstream_main_conf_t>().as_ref()?;
        let all = main.upstreams.as_slice::<*mut ngx_http_upstream_srv_conf_t>();
        let named = |block: &&ngx_http_upstream_srv_conf_t| {
            sys::bytes(block.host) == name.as_bytes() && !block.servers.is_null()
        };
        all.iter().filter_map(|block| block.as_ref()).find(named)
    }
}

/// # Safety
/// `block` must be of the running configuration.
unsafe fn of_block(block: &ngx_http_upstream_srv_conf_t, upstream: &str) -> Result<Vec<Server>, String> {
    // SAFETY: the caller's promise: an array of servers, each with its addresses.
    let all = unsafe { (*block.servers).as_slice::<ngx_http_upstream_server_t>() };
    let mut servers = Vec::new();
    for server in all {
        // SAFETY: as above; a server's name is the text of its directive.
        let label = unsafe { String::from_utf8_lossy(sys::bytes(server.name)).into_owned() };
        if server.backup() != 0 {
            return Err(format!(
                "has the upstream \"{upstream}\", whose server \"{label}\" is a backup: it would have other keys, \
                 allowed are servers without \"backup\""
            ));
        }
        if server.down != 0 {
            return Err(format!(
                "has the upstream \"{upstream}\", whose server \"{label}\" is down: its keys would be another server's, \
                 allowed are servers without \"down\""
            ));
        }
        if !ring::has_port(&label) {
            return Err(format!(
                "has the upstream \"{upstream}\", whose server \"{label}\" has no port: nginx would take 80, allowed is an \
                 address such as {label}:11211"
            ));
        }
        if server.naddrs == 0 {
            return Err(format!("has the upstream \"{upstream}\", whose server \"{label}\" has no address"));
        }
        // As a pool of twemproxy: a name of several addresses is one server, at the first of them.
        // SAFETY: as above: there is one address at least.
        let address = unsafe { &*server.addrs };
        let weight = u32::try_from(server.weight).unwrap_or(u32::MAX);
        servers.push(Server {
            name: ring::default_name(&label),
            label,
            weight,
            sockaddr: address.sockaddr,
            socklen: address.socklen,
            figures: OfServer::default(),
        });
    }
    Ok(servers)
}

/// A single server without an upstream block.
///
/// # Safety
/// As for [`servers`].
unsafe fn of_address(cf: *mut ngx_conf_t, text: &str) -> Result<Server, String> {
    let is_address =
        text.starts_with("unix:") || text.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
    let allowed =
        "allowed are the name of an \"upstream\" block and an address such as 127.0.0.1:11211 or unix:/PATH";
    let unknown = || format!("has the upstream \"{text}\", {allowed}");
    if !is_address || !text.contains(':') {
        return Err(unknown());
    }
    // SAFETY: the running configuration's pool; a URL of zeros is one that was not parsed. nginx keeps the text's pointer.
    unsafe {
        let kept = sys::pool_box((*cf).pool, text.to_owned()).ok_or("found no memory")?;
        let mut url: ngx_url_t = std::mem::zeroed();
        url.url = sys::ngx_str((*kept).as_bytes());
        if ngx_parse_url((*cf).pool, &raw mut url) != sys::OK || url.naddrs == 0 || url.addrs.is_null() {
            return Err(unknown());
        }
        let address = &*url.addrs;
        Ok(Server {
            name: ring::default_name(text),
            label: text.to_owned(),
            weight: 1,
            sockaddr: address.sockaddr,
            socklen: address.socklen,
            figures: OfServer::default(),
        })
    }
}
