//! `twice_source NAME TYPE ...`: where the values of a tag's target come from.
//!
//! A source is read in two steps: its directive when nginx comes to it, and the servers of its upstream when everything was
//! read, since the upstream may stand anywhere in the http block.

mod options;
mod servers;

use ngx::ffi::{NGX_LOG_EMERG, ngx_conf_t, ngx_http_get_variable_index};
use ngx::ngx_conf_log_error;
use twice_core::ring;
use twice_core::source::{is_name, key};
use twice_core::template::Target;

use options::Options;
use servers::servers;

use super::MainConf;
use super::setters::{Directive, named_setters};
use crate::source::figures::{self, OfSource};
use crate::source::http::Service;
use crate::source::memcached::Pool;
use crate::source::variables;
use crate::source::{Format, Key, Kind, Server, Settings, Source};
use crate::sys;

/// Most sources of a configuration.
const MOST: usize = 64;

/// Those that are there without being named: counters in the zone itself.
const DEFAULTS: [&str; 2] = ["memcache", "viewdb"];

/// A memcached source whose servers are not known yet.
pub struct Declared {
    source: Source,
    settings: Settings,
    upstream: String,
    names: Vec<String>,
    file: String,
    line: usize,
}

named_setters! {
    /// The setter of `twice_source`.
    fn twice_source = define;
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
    options
        .only(&["key", "ttl", "timeout", "format", "server_failure_limit", "server_retry_timeout"], "http")?;
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
    let kind = Kind::Http(Service::new(
        name,
        uri,
        options.timeout_ms(),
        options.failure_limit(),
        options.retry_timeout_ms(),
    ));
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
        server_failure_limit: options.failure_limit(),
        server_retry_timeout_ms: options.retry_timeout_ms(),
        preconnect: options.preconnect,
        figures: OfSource::default(),
    };
    let (file, line) = directive.place();
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

/// Everything was read: gives the memcached sources their servers, and adds the sources that need not be named.
///
/// # Safety
/// `cf` must be the running configuration, inside its http block.
pub unsafe fn complete(cf: *mut ngx_conf_t, main: &mut MainConf) -> bool {
    for declared in std::mem::take(&mut main.declared) {
        // SAFETY: the caller's promise.
        let servers = unsafe { servers(cf, &declared.upstream, &declared.names) };
        match servers.and_then(|servers| pool(&declared, servers)) {
            Ok(pool) => main.sources.push(Source { kind: Kind::Memcached(pool), ..declared.source }),
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

/// The pool of a source whose servers are known.
fn pool(declared: &Declared, servers: Vec<Server>) -> Result<Pool, String> {
    let settings = Settings { servers, ..declared.settings.clone() };
    Pool::new(settings, declared.source.timeout_ms).map_err(|why| {
        format!(
            "has the upstream \"{}\", of which no ring can be made: {why}; allowed are 1 to {} servers whose weights are \
             less than 2^32 together",
            declared.upstream,
            ring::MAX_SERVERS
        )
    })
}
