//! What a page can vary by, and sets of that.

use crate::varint::{self, Cursor};

/// Most dimensions of one page.
pub const MAX_DIMENSIONS: usize = 16;

/// Longest name of a cookie, a header or a test, in bytes.
pub const MAX_NAME: usize = 256;

/// One thing of a request that an answer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension<'a> {
    /// The first cookie of this name, in this case.
    Cookie(&'a [u8]),
    /// All lines of the header of this name, which is in lower case.
    Header(&'a [u8]),
    /// The language that was negotiated.
    Language,
    /// The visitor's country, as Twice tells it to the origin.
    Geo,
    /// The visitor's value of this A/B test.
    AbTest(&'a [u8]),
    /// The visitor's values of all A/B tests, as Twice tells them to the origin.
    AbValues,
}

impl<'a> Dimension<'a> {
    fn parts(self) -> (u64, &'a [u8]) {
        match self {
            Self::Cookie(name) => (1, name),
            Self::Header(name) => (2, name),
            Self::Language => (3, b""),
            Self::Geo => (4, b""),
            Self::AbTest(name) => (5, name),
            Self::AbValues => (6, b""),
        }
    }

    fn of(kind: u64, name: &'a [u8]) -> Option<Self> {
        Some(match kind {
            1 => Self::Cookie(name),
            2 => Self::Header(name),
            3 => Self::Language,
            4 => Self::Geo,
            5 => Self::AbTest(name),
            6 => Self::AbValues,
            _ => return None,
        })
    }
}

/// More dimensions than are kept, or a name that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbounded;

/// A set of dimensions, kept as it is written down: kind, length of the name, name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dimensions {
    bytes: Vec<u8>,
    count: usize,
}

impl Dimensions {
    /// Adds one, unless it is there.
    pub fn add(&mut self, dimension: Dimension<'_>) -> Result<(), Unbounded> {
        if self.contains(dimension) {
            return Ok(());
        }
        let (kind, name) = dimension.parts();
        if self.count >= MAX_DIMENSIONS || name.len() > MAX_NAME {
            return Err(Unbounded);
        }
        varint::put(&mut self.bytes, kind);
        varint::put_bytes(&mut self.bytes, name);
        self.count += 1;
        Ok(())
    }

    /// Adds all of another set.
    pub fn add_all(&mut self, other: &Dimensions) -> Result<(), Unbounded> {
        other.iter().try_for_each(|dimension| self.add(dimension))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(&self.bytes)
    }

    /// Whether this one is there.
    pub fn contains(&self, dimension: Dimension<'_>) -> bool {
        self.iter().any(|other| other == dimension)
    }

    /// Whether all of another set are there.
    pub fn covers(&self, other: &Dimensions) -> bool {
        other.iter().all(|dimension| self.contains(dimension))
    }

    /// As it is written down.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads what [`Dimensions::bytes`] gave.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut iter = Iter::new(bytes);
        let mut read = Self::default();
        for dimension in &mut iter {
            read.add(dimension).ok()?;
        }
        (iter.cursor.is_empty() && read.bytes == bytes).then_some(read)
    }
}

/// Reads dimensions where they are written down. Ends at the first byte that nobody wrote here.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iter<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes) }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Dimension<'a>;

    #[inline]
    fn next(&mut self) -> Option<Dimension<'a>> {
        let mut cursor = self.cursor.clone();
        let dimension = Dimension::of(cursor.number()?, cursor.bytes()?)?;
        self.cursor = cursor;
        Some(dimension)
    }
}
