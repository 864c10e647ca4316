//! A variant's key.
//!
//! ```text
//! | 0 | epoch, 8 | count | value ... | base key
//!   value: 0 where the request has none, else its length + 1 and its bytes
//! ```
//!
//! Read from the front it can be taken apart in one way only, so that no two of epoch, values and base key give one
//! key. No base key that Twice makes begins with a NUL; one that a `twice_key` makes so would have to guess an epoch.

use crate::varint::Cursor;

/// What a request says in one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value<'a> {
    /// Nothing: another thing than an empty value.
    Absent,
    /// This.
    Is(&'a [u8]),
}

/// The parts of a variant's key.
#[derive(Clone, Copy, Debug)]
pub struct VariantKey<'a> {
    /// The epoch of the page's rules.
    pub epoch: u64,
    /// What the request says in each of the rules' dimensions, in their order.
    pub values: &'a [Value<'a>],
    /// The page's own key.
    pub base: &'a [u8],
}

impl VariantKey<'_> {
    /// Bytes that [`VariantKey::write`] gives.
    #[inline]
    pub fn len(&self) -> usize {
        let mut len = 0usize;
        self.write(|piece| len = len.saturating_add(piece.len()));
        len
    }

    /// Never: it begins with its mark.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Hands the key's pieces over in order.
    #[inline]
    pub fn write(&self, mut out: impl FnMut(&[u8])) {
        out(b"\0");
        out(&self.epoch.to_le_bytes());
        number(self.values.len() as u64, &mut out);
        for value in self.values {
            match value {
                Value::Absent => number(0, &mut out),
                Value::Is(bytes) => {
                    number(bytes.len() as u64 + 1, &mut out);
                    out(bytes);
                }
            }
        }
        out(self.base);
    }
}

/// As [`crate::varint::put`].
#[inline]
fn number(mut n: u64, out: &mut impl FnMut(&[u8])) {
    while n >= 0x80 {
        out(&[n as u8 | 0x80]);
        n >>= 7;
    }
    out(&[n as u8]);
}

/// The values of a variant's key, in the order of the rules' dimensions; none of what is no such key.
pub fn values_of(key: &[u8]) -> impl Iterator<Item = Value<'_>> {
    let mut cursor = Cursor::new(key);
    let is_variant = cursor.take(9).is_some_and(|mark| mark.first() == Some(&0));
    let count = if is_variant { cursor.number().unwrap_or(0) } else { 0 };
    (0..count).map_while(move |_| {
        Some(match cursor.number()?.checked_sub(1) {
            None => Value::Absent,
            Some(len) => Value::Is(cursor.take(usize::try_from(len).ok()?)?),
        })
    })
}
