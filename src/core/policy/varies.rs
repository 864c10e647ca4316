//! What an answer says it varies by: `Vary`, the header that names cookies, the one that names A/B tests.

use super::directives::{elements, is_token};
use super::withheld::{Withheld, is_withheld};
use super::{HeaderKey, HeaderNames};
use crate::cookies::is_name;
use crate::variants::{Dimension, Dimensions};

/// Longest list of names that is put together in one `Vary` line.
const MAX_LINE: usize = 4096;

/// Gathered line by line.
#[derive(Clone, Debug, Default)]
pub struct Varies {
    dimensions: Dimensions,
    /// It varies by what can't be told: `*`, no name of a header, more than is kept.
    beyond: bool,
    /// The names of the `Vary` lines as they came, each once.
    names: Vec<u8>,
    lines: u32,
}

impl Varies {
    /// Cookies by name, separated by commas.
    pub fn cookies(&mut self, value: &[u8]) {
        for name in elements(value) {
            // All visitors would lack it.
            if !is_name(name) {
                self.beyond = true;
                continue;
            }
            self.add(Dimension::Cookie(name));
        }
    }

    /// A/B tests by name, separated by commas.
    pub fn tests(&mut self, value: &[u8]) {
        for name in elements(value) {
            self.add(Dimension::AbTest(name));
        }
    }

    /// A `Vary` line.
    pub fn vary(&mut self, value: &[u8], names: &HeaderNames) {
        self.lines = self.lines.saturating_add(1);
        for name in elements(value) {
            self.note(name);
            if name == b"*" || !is_token(name) {
                self.beyond = true;
                continue;
            }
            let lower = name.to_ascii_lowercase();
            if let Some(dimension) = dimension_of(&lower, names) {
                self.add(dimension);
            }
        }
    }

    fn add(&mut self, dimension: Dimension<'_>) {
        self.beyond |= self.dimensions.add(dimension).is_err();
    }

    fn note(&mut self, name: &[u8]) {
        if self.names.len() + name.len() > MAX_LINE {
            self.beyond = true;
        } else {
            put(&mut self.names, name);
        }
    }

    /// Whether what it varies by can't be told.
    pub fn is_beyond(&self) -> bool {
        self.beyond
    }

    /// Whether it varies by nothing.
    pub fn is_empty(&self) -> bool {
        self.dimensions.is_empty() && !self.beyond
    }

    /// What the answer varies by. Where languages are negotiated the origin's answer depends on the outcome alone, and
    /// not at all on a header that its location withholds from it.
    pub fn dimensions(&self, negotiates: bool, withheld: &Withheld) -> Dimensions {
        let mut all = Dimensions::default();
        for dimension in self.dimensions.iter() {
            let dimension = match dimension {
                Dimension::Header(b"accept-language") if negotiates => Dimension::Language,
                Dimension::Header(name) if withheld.named(name) => continue,
                other => other,
            };
            // As many as there were, at most.
            let _ = all.add(dimension);
        }
        all
    }

    /// The one `Vary` line that tells all of `dimensions` to other caches, besides what the origin's own lines say;
    /// `None` where those do as they are.
    pub fn line(&self, dimensions: &Dimensions, names: &HeaderNames) -> Option<Vec<u8>> {
        if has(&self.names, b"*") || self.names.len() > MAX_LINE {
            return None;
        }
        let mut line = self.names.clone();
        for dimension in dimensions.iter() {
            let name = match dimension {
                Dimension::Cookie(_) | Dimension::AbTest(_) | Dimension::AbValues => b"Cookie",
                Dimension::Language => b"Accept-Language".as_slice(),
                Dimension::Geo => names.name(HeaderKey::Geo).0.as_bytes(),
                Dimension::Header(name) => name,
            };
            put(&mut line, name);
        }
        (self.lines > 1 || line != self.names).then_some(line)
    }
}

/// What a header's name, in lower case, says in a `Vary` line, or in `twice_vary_headers`; none where no answer can depend
/// on it.
pub fn dimension_of<'a>(lower: &'a [u8], names: &HeaderNames) -> Option<Dimension<'a>> {
    match names.find(lower) {
        Some(HeaderKey::Geo) => Some(Dimension::Geo),
        Some(HeaderKey::AbValue) => Some(Dimension::AbValues),
        // Taken off every request, or the same on every one.
        Some(HeaderKey::Request | HeaderKey::Control | HeaderKey::Purge | HeaderKey::AbDependency) => None,
        Some(HeaderKey::Cookies) | None => (!is_withheld(lower)).then_some(Dimension::Header(lower)),
    }
}

fn has(list: &[u8], name: &[u8]) -> bool {
    elements(list).any(|other| other.eq_ignore_ascii_case(name))
}

/// Adds a name to a list, unless it is there.
fn put(list: &mut Vec<u8>, name: &[u8]) {
    if has(list, name) {
        return;
    }
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(name);
}
