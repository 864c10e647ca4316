//! Tags that do more than print a value: changes at sources, fragments, the nonce.

use super::*;

impl Builder {
    /// As `get`; then the key is gone at its source.
    pub(super) fn pop(
        &mut self,
        name: Name<'_>,
        default: &[u8],
        filters: &Filters<'_>,
        whole: &[u8],
    ) -> Result<(), ErrorKind> {
        match self.find(name) {
            Ok(Target::Source) => {
                self.get(name, default, filters, whole)?;
                self.change(name, Change::Delete);
            }
            found => {
                let text = author(default, &filters.steps, whole.len() * MAX_TEXT_GROWTH)?;
                self.note(found.err().unwrap_or(ErrorKind::NotASource), whole);
                self.print(&text);
            }
        }
        Ok(())
    }

    /// `incr` and `decr`: they print nothing, not even when they are wrong.
    pub(super) fn count(
        &mut self,
        name: Name<'_>,
        down: bool,
        initial: Option<&[u8]>,
        whole: &[u8],
    ) -> Result<(), ErrorKind> {
        match self.find(name) {
            Ok(Target::Source) => match (initial.map(number), down) {
                (Some(None), _) => self.note(ErrorKind::BadInitial, whole),
                _ if name.key.len() > MAX_KEY => return Err(ErrorKind::KeyTooLong),
                // What was never counted has now been seen once, and can't be less than nothing.
                (initial, false) => self.change(name, Change::Incr(initial.flatten().unwrap_or(1))),
                (initial, true) => self.change(name, Change::Decr(initial.flatten().unwrap_or(0))),
            },
            found => self.note(found.err().unwrap_or(ErrorKind::NotASource), whole),
        }
        Ok(())
    }

    /// Something is to be changed at a source, when the program comes here.
    fn change(&mut self, name: Name<'_>, change: Change) {
        self.flush();
        put_change(&mut self.code, &source_key(name.target, name.key), change);
        self.changes = true;
    }

    /// A fragment is markup of its own: nothing is done to it, and its default stands as it was written.
    pub(super) fn include(&mut self, uri: &[u8], filters: &Filters<'_>, whole: &[u8]) {
        let is_filtered = filters.steps.iter().any(|step| matches!(step, Step::Map(_)));
        if is_filtered {
            self.note(ErrorKind::FilteredInclude, whole);
        }
        let default = filters.steps.iter().find_map(|step| match step {
            Step::Default(text) => Some(*text),
            Step::Map(_) => None,
        });
        let default = default.unwrap_or_default();
        // By `raw` its author says that the fragment fits.
        let fits = filters.escaped && !is_filtered;
        let takes = fits || self.places.as_ref().is_none_or(Places::takes_fragments);
        let place = if takes { Ok(()) } else { Err(ErrorKind::NoSafeFilter(Place::Include)) };
        match include::check(uri).and(place).and_then(|()| self.fragment(uri)) {
            Ok(slot) => {
                if let Some(places) = &mut self.places {
                    places.value_or(&[default]);
                }
                self.flush();
                put_op(&mut self.code, INCLUDE, slot);
                put_varint(&mut self.code, default.len());
                self.literals.extend_from_slice(default);
                self.flushed = self.literals.len();
            }
            Err(kind) => {
                self.note(kind, whole);
                self.print(default);
            }
        }
    }

    /// Letters, digits, `-` and `_` are at home everywhere: nothing is done to them.
    pub(super) fn nonce(&mut self, filters: &Filters<'_>, whole: &[u8]) -> Result<(), ErrorKind> {
        let slot = self.slots.number(Target::Nonce, b"", self.slots_max).ok_or(ErrorKind::TooManyValues)?;
        if filters.escaped || !filters.steps.is_empty() {
            self.note(ErrorKind::FilteredNonce, whole);
        }
        if let Some(places) = &mut self.places {
            places.value();
        }
        self.flush();
        put_op(&mut self.code, GET, slot);
        // No filters, and no text in its place.
        put_varint(&mut self.code, 0);
        put_varint(&mut self.code, 0);
        Ok(())
    }

    /// Finds or makes the slot of a fragment.
    fn fragment(&mut self, uri: &[u8]) -> Result<usize, ErrorKind> {
        if self.in_header {
            return Err(ErrorKind::NotInHeader);
        }
        let slots = &mut self.slots;
        slots.number(Target::Include, uri, self.slots_max).ok_or(if slots.includes() < MAX_INCLUDES {
            ErrorKind::TooManyValues
        } else {
            ErrorKind::TooManyIncludes
        })
    }
}

/// A decimal number.
fn number(text: &[u8]) -> Option<u64> {
    // Rust's own parser would take a sign, too.
    let digits = text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}
