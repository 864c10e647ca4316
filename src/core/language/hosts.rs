//! The hosts of a site's languages: `twice_language_redirect`.
//!
//! Invariant: an address is made of the configuration's scheme, host and port, and one of its languages. A client
//! says no more than the path and the query.

use std::fmt;

use super::{Language, Languages};

/// `SCHEME://*.HOST`: the hosts of the languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// `https://`.
    scheme: String,
    /// What follows the first label, without its dot, in lower case; a port besides.
    domain: String,
    port: String,
}

/// What is wrong with a pattern of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHosts;

impl fmt::Display for BadHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("allowed are \"off\" and http:// or https:// with a host whose first label is *, such as https://*.example.com")
    }
}

impl Hosts {
    /// Reads a pattern.
    pub fn parse(pattern: &str) -> Result<Self, BadHosts> {
        let scheme = ["http://", "https://"].into_iter().find(|scheme| pattern.starts_with(scheme));
        let scheme = scheme.ok_or(BadHosts)?;
        let host = pattern.strip_prefix(scheme).and_then(|host| host.strip_prefix("*.")).ok_or(BadHosts)?;
        let (domain, port) = match host.split_once(':') {
            Some((domain, port)) if port.parse::<u16>().is_ok_and(|n| n > 0) && !port.starts_with('+') => {
                (domain, format!(":{port}"))
            }
            Some(_) => return Err(BadHosts),
            None => (host, String::new()),
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if domain.len() > 200 || !domain.split('.').all(label) {
            return Err(BadHosts);
        }
        Ok(Self { scheme: scheme.to_owned(), domain: domain.to_ascii_lowercase(), port })
    }

    /// Whether a host, in lower case and without port, is the default one: `www.HOST` or `HOST`.
    pub fn is_default(&self, host: &[u8]) -> bool {
        host.strip_prefix(b"www.").unwrap_or(host) == self.domain.as_bytes()
    }

    /// Where a visitor of the default host is sent who asks for a language other than the default; none: nowhere.
    /// Never to the host that was asked, so that no visitor goes round in circles.
    pub fn elsewhere<'l>(
        &self,
        languages: &'l Languages,
        host: &[u8],
        accept_language: &[u8],
    ) -> Option<&'l Language> {
        if !self.is_default(host) {
            return None;
        }
        let language = languages.first_named(accept_language)?;
        let stays = language == languages.default_language() || language.lower == "www";
        (!stays).then_some(language)
    }

    /// The pieces of a language's address for a request target. The host is the configuration's.
    pub fn write(&self, language: &Language, target: &[u8], mut out: impl FnMut(&[u8])) {
        for piece in [&self.scheme, &language.lower, ".", &self.domain, &self.port] {
            out(piece.as_bytes());
        }
        if target.first() != Some(&b'/') {
            out(b"/");
        }
        out(target);
    }
}
