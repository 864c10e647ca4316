//! Response header lines that say something else each time and are of no use in a stored page: they are left out of it,
//! and of the comparison.

use crate::policy::is_token;

/// Most names.
pub const MAX_IGNORED: usize = 32;

/// What a page can't do without, or what is never stored.
const NEEDED: [&str; 6] =
    ["cache-control", "content-encoding", "content-type", "location", "set-cookie", "vary"];

/// The names of such lines, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    names: Vec<Box<[u8]>>,
}

impl Ignored {
    /// Adds a name; why not, if it is none that can be left out.
    pub fn add(&mut self, name: &str) -> Result<(), String> {
        let name = name.to_ascii_lowercase();
        if name.len() > 64 || !is_token(name.as_bytes()) {
            return Err("allowed are names of response headers, 64 bytes at most".to_owned());
        }
        if NEEDED.contains(&name.as_str()) {
            return Err(format!("allowed are names of response headers but {}", NEEDED.join(", ")));
        }
        if self.names.len() >= MAX_IGNORED {
            return Err(format!("allowed are {MAX_IGNORED} names"));
        }
        self.names.push(name.into_bytes().into());
        Ok(())
    }

    /// Whether lines of this name, in any case, are left out.
    pub fn has(&self, name: &[u8]) -> bool {
        self.names.iter().any(|other| other.eq_ignore_ascii_case(name))
    }
}
