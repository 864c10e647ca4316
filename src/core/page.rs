//! A page as it lies in the store: the value behind its key.
//!
//! ```text
//! | fixed, 48 bytes | head | slots | code | literals ...               | cold                        | marks
//!   lengths, status   ready-made headers   program      the page without its tags   what its origin said (`renewal`)   what it
//!                                                                                                  is purged by (`marks`)
//! ```
//!
//! Everything before the literals (the prefix) is read as one piece on a hit; the literals go out as
//! they lie. A page without tags has neither slots nor code: its literals are the body. Header lines that
//! hold tags stand in the head by themselves, before the ready-made ones. What is cold is read when the
//! page is asked for again at its origin, and never on a hit.

use crate::varint::{self, Cursor};

/// Bytes before the head.
pub const FIXED: usize = 48;

/// Changes whenever a page's layout does, so that no other version's page is read.
pub const LAYOUT: u32 = 2;

/// Changes whenever a page that an older build has written to a file can't be served by this one. The low half stands
/// for what is not in the layout: a program's codes, the word that is stored beside a page, how keys are made.
pub const PAGE_FORMAT: u32 = LAYOUT << 16 | 7;

const TAGGED: u32 = 1;
const PERSONAL: u32 = 2;
const INCLUDES: u32 = 4;
const SOURCES: u32 = 8;
const VOLATILE: u32 = 16;
const TAG_LINES: u32 = 32;

/// What is stored of a response, besides its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// Response status.
    pub status: u16,
    /// Media type without parameters that nginx's charset filter manages.
    pub content_type: &'a [u8],
    /// The charset that came with it, else empty.
    pub charset: &'a [u8],
    /// `ETag` with its quotes, else empty. Not kept for a personal page.
    pub etag: &'a [u8],
    /// `Last-Modified` as it came, else empty. Not kept for a personal page.
    pub last_modified: &'a [u8],
    /// The same as seconds since the epoch.
    pub last_modified_time: i64,
    /// `Cache-Control` as it goes to the client, else empty.
    pub cache_control: &'a [u8],
    /// `Location` where nginx may still make it absolute, else empty.
    pub location: &'a [u8],
    /// Header lines with tags ([`crate::template::lines`]); none in most pages.
    pub tag_lines: &'a [u8],
}

/// The first 48 bytes: what a reader needs to find everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    flags: u32,
    head_len: u32,
    slots_len: u32,
    code_len: u32,
    literals_len: u32,
    /// Header lines besides those of [`Head`].
    pub headers: u32,
    status: u32,
    cold_len: u32,
    /// Nothing yet.
    spare: u32,
    generation: u64,
}

impl Fixed {
    /// Reads the fixed part; `None` if this is no page of this layout.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (words, generation) = bytes.get(..FIXED)?.split_last_chunk()?;
        let mut words = words.chunks_exact(4).map(|w| {
            let mut word = [0; 4];
            word.copy_from_slice(w);
            u32::from_le_bytes(word)
        });
        let mut next = || words.next();
        if next()? != LAYOUT {
            return None;
        }
        Some(Self {
            flags: next()?,
            head_len: next()?,
            slots_len: next()?,
            code_len: next()?,
            literals_len: next()?,
            headers: next()?,
            status: next()?,
            cold_len: next()?,
            spare: next()?,
            generation: u64::from_le_bytes(*generation),
        })
    }

    fn bytes(&self) -> [u8; FIXED] {
        let words = [
            LAYOUT,
            self.flags,
            self.head_len,
            self.slots_len,
            self.code_len,
            self.literals_len,
            self.headers,
            self.status,
            self.cold_len,
            self.spare,
        ];
        let mut out = [0; FIXED];
        let bytes = words.into_iter().flat_map(u32::to_le_bytes).chain(self.generation.to_le_bytes());
        for (to, byte) in out.iter_mut().zip(bytes) {
            *to = byte;
        }
        out
    }

    /// Bytes before the literals.
    pub fn prefix_len(&self) -> usize {
        FIXED + self.head_len as usize + self.slots_len as usize + self.code_len as usize
    }

    /// Bytes of the fixed part and the head.
    pub fn head_len(&self) -> usize {
        FIXED + self.head_len as usize
    }

    /// Slots and code, in a prefix of [`Fixed::prefix_len`] bytes.
    pub fn program<'a>(&self, prefix: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let program = prefix.get(self.head_len()..self.prefix_len())?;
        program.split_at_checked(self.slots_len as usize)
    }

    /// The same, with what is known of it.
    pub fn whole_program<'a>(&self, prefix: &'a [u8]) -> Option<Program<'a>> {
        let (slots, code) = self.program(prefix)?;
        Some(Program {
            slots,
            code,
            personal: self.personal(),
            includes: self.includes(),
            sources: self.sources(),
            volatile: self.volatile(),
        })
    }

    /// Bytes of the literals.
    pub fn literals_len(&self) -> usize {
        self.literals_len as usize
    }

    /// Where the cold part begins in the value, and its length.
    pub fn cold(&self) -> (usize, usize) {
        (self.prefix_len().saturating_add(self.literals_len()), self.cold_len as usize)
    }

    /// What is stored, in one number: another page has another, the same page that was fetched again has the same. 0 for a
    /// page without tags, which has its origin's validators.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether some value of the page is another one each time: nothing can be said of two renderings.
    pub fn volatile(&self) -> bool {
        self.flags & VOLATILE != 0
    }

    /// Response status.
    pub fn status(&self) -> u16 {
        u16::try_from(self.status).unwrap_or(0)
    }

    /// Whether the page has tags.
    pub fn tagged(&self) -> bool {
        self.flags & TAGGED != 0
    }

    /// Whether a tag's value depends on the visitor.
    pub fn personal(&self) -> bool {
        self.flags & PERSONAL != 0
    }

    /// Whether it includes fragments.
    pub fn includes(&self) -> bool {
        self.flags & INCLUDES != 0
    }

    /// Whether it asks sources for values.
    pub fn sources(&self) -> bool {
        self.flags & SOURCES != 0
    }

    /// Whether header lines have tags.
    pub fn has_tag_lines(&self) -> bool {
        self.flags & TAG_LINES != 0
    }
}

/// A page's program, empty for a page without tags.
#[derive(Clone, Copy, Debug, Default)]
pub struct Program<'a> {
    /// The table of distinct values.
    pub slots: &'a [u8],
    /// The operations.
    pub code: &'a [u8],
    /// Whether a value depends on the visitor.
    pub personal: bool,
    /// Whether the page includes fragments.
    pub includes: bool,
    /// Whether the page asks sources for values.
    pub sources: bool,
    /// Whether a value is another one each time, or the page changes something.
    pub volatile: bool,
}

/// What the prefix says of all that comes behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Bytes of the literals.
    pub literals_len: usize,
    /// Bytes of the cold part.
    pub cold_len: usize,
    /// See [`Fixed::generation`].
    pub generation: u64,
}

/// Lays out everything before the literals. `None` if a length does not fit its field.
pub fn encode_prefix<'h>(
    head: &Head<'_>,
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    program: &Program<'_>,
    behind: &Behind,
) -> Option<Vec<u8>> {
    let mut out = vec![0; FIXED];
    let parts =
        [head.content_type, head.charset, head.etag, head.last_modified, head.cache_control, head.location];
    for part in parts {
        varint::put_bytes(&mut out, part);
    }
    varint::put(&mut out, head.last_modified_time as u64);
    if !head.tag_lines.is_empty() {
        varint::put_bytes(&mut out, head.tag_lines);
    }
    let mut count = 0u32;
    for (name, value) in headers {
        varint::put_bytes(&mut out, name);
        varint::put_bytes(&mut out, value);
        count = count.checked_add(1)?;
    }
    let head_len = u32::try_from(out.len() - FIXED).ok()?;
    out.extend_from_slice(program.slots);
    out.extend_from_slice(program.code);
    let tagged = if program.code.is_empty() && head.tag_lines.is_empty() { 0 } else { TAGGED };
    let personal = if program.personal { PERSONAL } else { 0 };
    let includes = if program.includes { INCLUDES } else { 0 };
    let sources = if program.sources { SOURCES } else { 0 };
    let volatile = if program.volatile { VOLATILE } else { 0 };
    let tag_lines = if head.tag_lines.is_empty() { 0 } else { TAG_LINES };
    let fixed = Fixed {
        flags: tagged | personal | includes | sources | volatile | tag_lines,
        head_len,
        slots_len: u32::try_from(program.slots.len()).ok()?,
        code_len: u32::try_from(program.code.len()).ok()?,
        literals_len: u32::try_from(behind.literals_len).ok()?,
        headers: count,
        status: u32::from(head.status),
        cold_len: u32::try_from(behind.cold_len).ok()?,
        spare: 0,
        generation: behind.generation,
    };
    out.get_mut(..FIXED)?.copy_from_slice(&fixed.bytes());
    Some(out)
}

/// A page's head, read.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Response status, types and validators.
    pub head: Head<'a>,
    headers: Cursor<'a>,
}

impl<'a> View<'a> {
    /// Reads a head of [`Fixed::head_len`] bytes; `None` if it is not what [`encode_prefix`] wrote.
    pub fn parse(fixed: &Fixed, head: &'a [u8]) -> Option<Self> {
        let mut c = Cursor::new(head.get(FIXED..)?);
        let head = Head {
            status: u16::try_from(fixed.status).ok()?,
            content_type: c.bytes()?,
            charset: c.bytes()?,
            etag: c.bytes()?,
            last_modified: c.bytes()?,
            cache_control: c.bytes()?,
            location: c.bytes()?,
            last_modified_time: c.number()? as i64,
            tag_lines: if fixed.has_tag_lines() { c.bytes()? } else { &[] },
        };
        Some(Self { head, headers: c })
    }

    /// The other header lines, name and value.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut c = self.headers.clone();
        std::iter::from_fn(move || Some((c.bytes()?, c.bytes()?)))
    }

    /// All lines that are sent, those with a place of their own too.
    pub fn lines(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.head.lines().chain(self.headers())
    }
}

impl<'a> Head<'a> {
    /// What of it is a header line.
    pub fn lines(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let lines: [(&[u8], &[u8]); 4] = [
            (b"Location", self.location),
            (b"Cache-Control", self.cache_control),
            (b"ETag", self.etag),
            (b"Last-Modified", self.last_modified),
        ];
        lines.into_iter().filter(|line| !line.1.is_empty())
    }
}
