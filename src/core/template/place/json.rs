//! Where in JSON a tag stands: in a string, or where a value is expected.

use super::{JS_VALUE, JSON, Place, Want};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Json {
    string: bool,
    /// The byte before was a backslash that counts.
    escaped: bool,
}

impl Json {
    pub(super) fn feed(&mut self, byte: u8) {
        if std::mem::take(&mut self.escaped) {
            return;
        }
        match byte {
            b'"' => self.string = !self.string,
            b'\\' => self.escaped = self.string,
            _ => (),
        }
    }

    pub(super) fn want(&self) -> Result<Want, Place> {
        match self {
            Json { escaped: true, .. } => Err(Place::Backslash),
            Json { string: true, .. } => Ok(Want::Filters(JSON)),
            Json { .. } => Ok(Want::Filters(JS_VALUE)),
        }
    }

    /// A value was printed here.
    pub(super) fn value(&mut self) {
        self.escaped = false;
    }
}
