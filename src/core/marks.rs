//! What a page can be purged by: its URL, and the keys that its response named. Stands at the end of the page's value.
//!
//! ```text
//! | URL | hash of the URL, hashes of the keys, 8 bytes each | keys, 2 bytes | length of the URL, 2 bytes |
//! ```
//!
//! The URL is host and target without scheme and port, so that one purge meets a page however it was reached. Hashes
//! have a fixed key: they are the same in every zone, on every machine, and outlive a restart. Two marks that share one
//! cost a page that is purged besides, nothing else.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// Most keys of one page.
pub const MAX_KEYS: usize = 4096;

const ENDS: usize = 4;

/// The hash of a mark. Never 0.
fn hash(kind: u8, parts: [&[u8]; 2]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x7477_6963_655f_6d61, 0x726b_735f_7631_0000);
    hasher.write_u8(kind);
    for part in parts {
        hasher.write(part);
    }
    hasher.finish().max(1)
}

/// The mark of a URL: its host in lower case without port, and its target (`crate::canonical`).
pub fn of_url(host: &[u8], target: &[u8]) -> u64 {
    hash(b'u', [host, target])
}

/// The mark of a surrogate key, as it is written.
pub fn of_key(key: &[u8]) -> u64 {
    hash(b'k', [key, b""])
}

/// The keys of a `Surrogate-Key` or `Cache-Tag` line: separated by white space or commas.
pub fn keys(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace() || *b == b',').filter(|key| !key.is_empty())
}

/// Gathers the marks of keys, each once.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    hashes: Vec<u64>,
    too_many: bool,
}

impl Keys {
    /// Adds the keys of a header line.
    pub fn add(&mut self, line: &[u8]) {
        for key in keys(line) {
            // Sorted out now and then, so that a line that says the same all over again doesn't grow.
            if self.hashes.len() >= 2 * MAX_KEYS {
                self.sort();
                if self.hashes.len() > MAX_KEYS {
                    self.too_many = true;
                    return;
                }
            }
            self.hashes.push(of_key(key));
        }
    }

    fn sort(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
    }

    /// Whether they are more than a page may have.
    pub fn are_too_many(&self) -> bool {
        let counted = || {
            let mut all = self.clone();
            all.sort();
            all.hashes.len() > MAX_KEYS
        };
        self.too_many || self.hashes.len() > MAX_KEYS && counted()
    }

    /// The end of a page's value; `None` if there are too many keys, or the URL is too long.
    pub fn encode(mut self, host: &[u8], target: &[u8]) -> Option<Vec<u8>> {
        self.sort();
        if self.too_many || self.hashes.len() > MAX_KEYS {
            return None;
        }
        let url_len = u16::try_from(host.len().checked_add(target.len())?).ok()?;
        let count = u16::try_from(self.hashes.len()).ok()?;
        let mut out = Vec::with_capacity(usize::from(url_len) + (self.hashes.len() + 1) * 8 + ENDS);
        out.extend_from_slice(host);
        out.extend_from_slice(target);
        out.extend_from_slice(&of_url(host, target).to_le_bytes());
        for hash in &self.hashes {
            out.extend_from_slice(&hash.to_le_bytes());
        }
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&url_len.to_le_bytes());
        Some(out)
    }
}

/// Bytes of the marks at the end of a value, as its last four bytes say.
pub fn len_of(ends: [u8; ENDS]) -> usize {
    let [count, more, url, len] = ends;
    let (count, url_len) = (u16::from_le_bytes([count, more]), u16::from_le_bytes([url, len]));
    usize::from(url_len) + (usize::from(count) + 1) * 8 + ENDS
}

/// The marks of a stored page.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    /// Host and target.
    pub url: &'a [u8],
    hashes: &'a [u8],
}

impl<'a> Marks<'a> {
    /// Reads the last [`len_of`] bytes of a value; `None` if they can't be marks.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (rest, ends) = bytes.split_last_chunk::<ENDS>()?;
        let [.., url, len] = *ends;
        let (url, hashes) = rest.split_at_checked(usize::from(u16::from_le_bytes([url, len])))?;
        (bytes.len() == len_of(*ends)).then_some(Self { url, hashes })
    }

    /// Bytes of the marks.
    pub fn len(&self) -> usize {
        self.url.len() + self.hashes.len() + ENDS
    }

    /// Never: there is a hash at least.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The hashes of all marks.
    pub fn hashes(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.hashes.chunks_exact(8).map(|bytes| {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            u64::from_le_bytes(word)
        })
    }
}
