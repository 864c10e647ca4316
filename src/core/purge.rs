//! Purge commands as they are written: the JSON of `POST`, the path of `PURGE`, the kinds of `X-Mark-Dirty`.
//!
//! A command is read whole before anything is purged: one that has a mistake purges nothing.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::board::stamps::MAX_PREFIX;
use crate::key::Ignored;
use crate::{canonical, marks};

/// Most things that one command names.
pub const MAX_THINGS: usize = 10_000;

/// What the URLs of a command are read by.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The host of paths that name none.
    pub host: &'a [u8],
    /// Arguments that are no part of a page's identity.
    pub ignored: Option<&'a Ignored>,
}

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Site<'a> {
    fn from(host: &'a T) -> Self {
        Self { host: host.as_ref(), ignored: None }
    }
}

/// What one command purges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Marks of URLs, see [`crate::marks`].
    pub urls: Vec<u64>,
    /// Prefixes, host and path.
    pub prefixes: Vec<Vec<u8>>,
    /// Marks of surrogate keys.
    pub keys: Vec<u64>,
    /// Everything.
    pub all: bool,
    /// Marked stale, not removed.
    pub soft: bool,
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Not the JSON that is asked for.
    Json(String),
    /// Neither a path nor a URL.
    Url(String),
    /// A prefix longer than [`MAX_PREFIX`].
    Prefix(String),
    /// More prefixes than the zone can note: so many.
    Prefixes(usize),
    /// A target of `PURGE` that is not under the location's path.
    Elsewhere,
    /// More than [`MAX_THINGS`].
    TooMany,
    /// It names nothing.
    Nothing,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(why) => write!(
                f,
                "the body is no purge command: {why}; allowed is \
                 {{\"urls\":[..],\"prefixes\":[..],\"keys\":[..],\"all\":true,\"soft\":true}}"
            ),
            Self::Url(url) => {
                write!(f, "\"{url}\" is no URL, allowed are /path and http(s)://host/path")
            }
            Self::Prefix(prefix) => {
                write!(
                    f,
                    "the prefix \"{prefix}\" is too long, allowed are {MAX_PREFIX} bytes of host and path"
                )
            }
            Self::Prefixes(most) => {
                write!(f, "the command names too many prefixes, allowed are {most} in this zone")
            }
            Self::Elsewhere => f.write_str(
                "the target does not begin with the location's path as the configuration writes it, allowed is that path \
                 with the page's behind it, or POST",
            ),
            Self::TooMany => write!(f, "the command names too many things, allowed are {MAX_THINGS}"),
            Self::Nothing => f.write_str("the command names nothing to purge"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Body {
    urls: Vec<String>,
    prefixes: Vec<String>,
    keys: Vec<String>,
    all: bool,
    soft: bool,
}

/// What is answered.
#[derive(Serialize)]
struct Done {
    urls: usize,
    prefixes: usize,
    keys: usize,
    all: bool,
    soft: bool,
    stamp: u64,
}

impl Command {
    /// Reads a JSON body.
    pub fn from_json<'a>(body: &[u8], site: impl Into<Site<'a>>) -> Result<Command, Bad> {
        let site = site.into();
        // An array would be taken for the fields in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Bad::Json("it is no object".to_owned()));
        }
        let body: Body = serde_json::from_slice(body).map_err(|why| Bad::Json(why.to_string()))?;
        let things = body.urls.len().saturating_add(body.prefixes.len()).saturating_add(body.keys.len());
        if things > MAX_THINGS {
            return Err(Bad::TooMany);
        }
        let mut command = Command { all: body.all, soft: body.soft, ..Command::default() };
        for url in &body.urls {
            command.add_url(url.as_bytes(), site)?;
        }
        for prefix in &body.prefixes {
            command.add_prefix(prefix.as_bytes(), site)?;
        }
        for key in &body.keys {
            // As it would be read from a response's header.
            let room = MAX_THINGS - command.urls.len() - command.prefixes.len() - command.keys.len();
            let mut all = marks::keys(key.as_bytes());
            command.keys.extend(all.by_ref().take(room).map(marks::of_key));
            if all.next().is_some() {
                return Err(Bad::TooMany);
            }
        }
        let nothing = command.urls.is_empty() && command.prefixes.is_empty() && command.keys.is_empty();
        if nothing && !command.all { Err(Bad::Nothing) } else { Ok(command) }
    }

    /// Reads the target of `PURGE`, without the endpoint's own path. `prefix=1` and `soft=1` in its query are the
    /// command's.
    pub fn from_target<'a>(target: &[u8], site: impl Into<Site<'a>>) -> Result<Command, Bad> {
        let site = site.into();
        let mut command = Command::default();
        let mut is_prefix = false;
        let (path, query) = split(target, b'?');
        let mut rest = path.to_vec();
        let mut separator = b'?';
        for arg in query.split(|&b| b == b'&').filter(|_| !query.is_empty()) {
            match arg {
                b"prefix=1" => is_prefix = true,
                b"soft=1" => command.soft = true,
                arg => {
                    rest.push(separator);
                    rest.extend_from_slice(arg);
                    separator = b'&';
                }
            }
        }
        if !rest.starts_with(b"/") {
            rest.insert(0, b'/');
        }
        if is_prefix {
            command.add_prefix(&rest, site)?;
        } else {
            command.add_url(&rest, site)?;
        }
        Ok(command)
    }

    /// One URL, written as a path.
    pub fn from_url<'a>(target: &[u8], site: impl Into<Site<'a>>) -> Result<Command, Bad> {
        let mut command = Command::default();
        command.add_url(if target.is_empty() { b"/" } else { target }, site.into())?;
        Ok(command)
    }

    fn add_url(&mut self, url: &[u8], site: Site<'_>) -> Result<(), Bad> {
        let (host, target) = host_and_target(url, site.host)?;
        let target = match site.ignored {
            None => target,
            Some(ignored) => {
                let mut counted = Vec::with_capacity(target.len());
                ignored.write_target(&target, |piece| counted.extend_from_slice(piece));
                counted
            }
        };
        self.urls.push(marks::of_url(&host, &canonical::of_target(&target)));
        Ok(())
    }

    fn add_prefix(&mut self, prefix: &[u8], site: Site<'_>) -> Result<(), Bad> {
        let (mut whole, target) = host_and_target(prefix, site.host)?;
        whole.extend_from_slice(&canonical::of_target(&target));
        if whole.len() > MAX_PREFIX {
            return Err(Bad::Prefix(text(prefix)));
        }
        self.prefixes.push(whole);
        Ok(())
    }

    /// The answer, when all of it is done.
    pub fn done(&self, stamp: u64) -> Vec<u8> {
        let Command { urls, prefixes, keys, all, soft } = self;
        let done = Done {
            urls: urls.len(),
            prefixes: prefixes.len(),
            keys: keys.len(),
            all: *all,
            soft: *soft,
            stamp,
        };
        // A structure of numbers: there is nothing that can't be written.
        serde_json::to_vec(&done).unwrap_or_default()
    }
}

/// The answer to a command that can't be done.
pub fn refusal(why: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({ "error": why })).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(200)).unwrap_or_default()).into_owned()
}

fn split(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    match bytes.iter().position(|&b| b == at) {
        Some(i) => (bytes.get(..i).unwrap_or_default(), bytes.get(i + 1..).unwrap_or_default()),
        None => (bytes, b""),
    }
}

/// Host in lower case without port, and target, of a path or an absolute URL.
fn host_and_target(url: &[u8], host: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Bad> {
    let bad = || Bad::Url(text(url));
    // A fragment never reaches a server; white space and control characters can't be in a target.
    if url.iter().any(|&b| b <= b' ' || b == 0x7f || b == b'#') {
        return Err(bad());
    }
    if url.starts_with(b"/") {
        return Ok((host.to_ascii_lowercase(), url.to_vec()));
    }
    let lower = url.to_ascii_lowercase();
    let scheme = [&b"http://"[..], b"https://"].into_iter().find(|s| lower.starts_with(s)).ok_or_else(bad)?;
    let rest = url.get(scheme.len()..).unwrap_or_default();
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).ok_or_else(bad)?;
    let mut host = authority.to_ascii_lowercase();
    // A port is digits behind the last colon; an IPv6 address has its colons in brackets.
    if let Some(colon) = host.iter().rposition(|&b| b == b':')
        && host.get(colon + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit))
    {
        host.truncate(colon);
    }
    if host.last() == Some(&b'.') {
        host.pop();
    }
    if host.is_empty() || host.contains(&b'@') {
        return Err(bad());
    }
    let slash: &[u8] = if target.starts_with(b"/") { b"" } else { b"/" };
    Ok((host, [slash, target].concat()))
}
