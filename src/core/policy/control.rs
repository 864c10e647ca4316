//! The control header: the app's own word on this very response.

use super::directives::{Lifetime, directives, smaller};

/// `X-Twice-Control`, or what `twice_headers control=` names. A number that can't be read is as if it were not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// `max-age`, in seconds.
    pub max_age: Option<u64>,
    /// `no-tags`: the body is plain.
    pub no_tags: bool,
    /// `stale-while-revalidate`, in seconds.
    pub stale_while_revalidate: Option<u64>,
    /// `stale-if-error`, in seconds.
    pub stale_if_error: Option<u64>,
}

impl Control {
    /// Adds one header line. Gives back what was odd about its numbers.
    pub fn add(&mut self, line: &[u8]) -> Option<Lifetime> {
        let mut odd = None;
        directives(line, |name, value| match name.to_ascii_lowercase().as_slice() {
            b"max-age" => smaller(&mut self.max_age, value, None, &mut odd),
            b"no-tags" => self.no_tags = true,
            b"stale-while-revalidate" => smaller(&mut self.stale_while_revalidate, value, None, &mut odd),
            b"stale-if-error" => smaller(&mut self.stale_if_error, value, None, &mut odd),
            _ => {}
        });
        odd
    }
}
