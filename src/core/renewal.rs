//! A stored page's header as its origin gave it, and what a 304 or a HEAD says of the page later.
//!
//! A hit sends ready-made lines: without those that are for Twice alone, with others in the place of some. What the origin
//! said in full stands in the page's cold part, as far as it is not what is sent:
//!
//! ```text
//!   recipe, 8 bytes | length of the body that came | for each name that differs: name, count of lines, lines
//! ```
//!
//! Invariants
//! - [`Origin::read`] gives what [`cold`] was told, line by line: names in any order, the lines of one name in theirs.
//! - A page is renewed by an answer about this very page only: where the answer names what it speaks of, by [`Origin::is_meant`].
//! - A validator is one where all lines of its name say the same: of an answer with two different tags none is used, neither
//!   to ask by nor for clients (RFC 9110 8.8.3 has no list of them).
//! - What speaks of the bytes that are stored is never taken from an answer that has no bytes (RFC 9111 3.2).

use crate::conditional::{http_date, is_alike, is_tag};
use crate::names::{self, Names};
use crate::page::{Fixed, View};
use crate::template;
use crate::varint::{self, Cursor};

/// A header line, name and value.
pub type Line = (Vec<u8>, Vec<u8>);

/// Response header of a stored page, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Response status.
    pub status: u16,
    /// Media type.
    pub content_type: Vec<u8>,
    /// Its charset.
    pub charset: Vec<u8>,
    /// What the page was made by: another recipe makes another page of the same body.
    pub recipe: u64,
    /// Bytes of the body that came.
    pub body_len: u64,
    /// The other lines that are stored, or that decided about it.
    pub lines: Vec<Line>,
    /// Those with tags, compiled ([`crate::template::lines`]). They stay as long as the page does: an answer without a body
    /// brings no tags.
    pub tag_lines: Vec<u8>,
}

/// The lines that ask an origin whether its page is still the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Question<'a> {
    /// `If-None-Match`.
    pub etag: Option<&'a [u8]>,
    /// `If-Modified-Since`.
    pub modified: Option<&'a [u8]>,
}

/// What the answer to a HEAD says of a page (RFC 9111 4.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfHead {
    /// It is the same: its header is renewed.
    Renews,
    /// It is another one: what is stored is stale.
    Differs,
    /// Nothing.
    Nothing,
}

/// The cold part of a page: what its origin said, where `sent` are the lines that hits send.
pub fn cold(origin: &Origin, sent: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = origin.recipe.to_le_bytes().to_vec();
    varint::put(&mut out, origin.body_len);
    let came = origin.lines.iter().map(|(name, value)| (name.as_slice(), false, value.as_slice()));
    let mut all: Vec<_> = came.chain(sent.iter().map(|&(name, value)| (name, true, value))).collect();
    // Lines of one name stay in their order.
    all.sort_by(|one, other| names::compare(one.0, other.0).then(one.1.cmp(&other.1)));
    for lines in all.chunk_by(|one, other| one.0.eq_ignore_ascii_case(other.0)) {
        let values = |sent| lines.iter().filter(move |line| line.1 == sent).map(|line| line.2);
        let Some((name, ..)) = lines.first().filter(|_| !values(false).eq(values(true))) else { continue };
        varint::put_bytes(&mut out, name);
        varint::put(&mut out, values(false).count() as u64);
        for value in values(false) {
            varint::put_bytes(&mut out, value);
        }
    }
    out
}

/// How a line that clients are never to see, though it is none that is for Twice alone, is called in [`Origin::lines`]: no
/// header has such a name.
pub fn hidden(name: &[u8]) -> Vec<u8> {
    [b":", name].concat()
}

/// The name of a line that is called so.
pub fn of_hidden(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b":")
}

/// The name of a line, be it hidden from clients or not.
pub fn shown_name(name: &[u8]) -> &[u8] {
    of_hidden(name).unwrap_or(name)
}

impl Origin {
    /// Reads it back. `head` has [`Fixed::head_len`] bytes.
    pub fn read(fixed: &Fixed, head: &[u8], cold: &[u8]) -> Option<Self> {
        let view = View::parse(fixed, head)?;
        let (recipe, rest) = cold.split_first_chunk()?;
        let mut cursor = Cursor::new(rest);
        let body_len = cursor.number()?;
        let mut names: Vec<&[u8]> = Vec::new();
        let mut lines = Vec::new();
        while !cursor.is_empty() {
            let name = cursor.bytes()?;
            for _ in 0..cursor.number()? {
                lines.push((name.to_vec(), cursor.bytes()?.to_vec()));
            }
            names.push(name);
        }
        let names: Names<'_> = names.into_iter().collect();
        let same = view.lines().filter(|(name, _)| !names.has(name));
        lines.extend(same.map(|(name, value)| (name.to_vec(), value.to_vec())));
        Some(Self {
            status: view.head.status,
            content_type: view.head.content_type.to_vec(),
            charset: view.head.charset.to_vec(),
            recipe: u64::from_le_bytes(*recipe),
            body_len,
            lines,
            tag_lines: view.head.tag_lines.to_vec(),
        })
    }

    /// What its lines of this name (given in lower case) say, if they say one thing.
    fn validator(&self, lower: &[u8]) -> Option<&[u8]> {
        validator(&self.lines, lower)
    }

    /// What its origin can be asked by; nothing where it gave no validator, or an answer would not be about a page (RFC
    /// 9110 13.2.1).
    pub fn question(&self) -> Question<'_> {
        if !matches!(self.status, 200 | 203) {
            return Question::default();
        }
        Question {
            etag: self.validator(b"etag").filter(|etag| is_tag(etag)),
            modified: self.validator(b"last-modified").filter(|date| http_date(date).is_some()),
        }
    }

    /// Whether a 304 with these lines is about this page (RFC 9111 4.3.4): its `ETag`, and where it has none its
    /// `Last-Modified`, is that of the page.
    pub fn is_meant(&self, lines: &[Line]) -> bool {
        if let Some(is_same) = self.has_tag_of(lines) {
            return is_same;
        }
        // A page that was asked for by its tag may have been touched and be the same.
        if self.question().etag.is_some() {
            return true;
        }
        self.has_date_of(lines).unwrap_or(true)
    }

    /// What a 200 to a HEAD says of it. `length`: its `Content-Length`.
    pub fn of_head(&self, status: u16, lines: &[Line], length: Option<u64>) -> OfHead {
        // What is stored is not encoded: this is about another representation.
        let encoded =
            first(lines, b"content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        if status != 200 || self.status != 200 || encoded {
            return OfHead::Nothing;
        }
        let same = [self.has_tag_of(lines), self.has_date_of(lines)];
        let same_length = length.is_none_or(|length| length == self.body_len);
        if same.contains(&Some(false)) || !same_length {
            return OfHead::Differs;
        }
        // Without any validator a page of the same length is not the same page.
        if same.contains(&Some(true)) { OfHead::Renews } else { OfHead::Nothing }
    }

    /// Whether the page's tag is that of these lines; none where they name none, or several and the page has no one that
    /// could be among them.
    fn has_tag_of(&self, lines: &[Line]) -> Option<bool> {
        self.has_one_of(lines, b"etag", is_alike)
    }

    /// The same of its date.
    fn has_date_of(&self, lines: &[Line]) -> Option<bool> {
        self.has_one_of(lines, b"last-modified", is_same_date)
    }

    fn has_one_of(&self, lines: &[Line], lower: &[u8], is_same: fn(&[u8], &[u8]) -> bool) -> Option<bool> {
        let is_among = |one: &[u8], others: &[Line]| all(others, lower).any(|other| is_same(one, other));
        if let Some(named) = validator(lines, lower) {
            return Some(is_among(named, &self.lines));
        }
        let own = self.validator(lower)?;
        first(lines, lower).map(|_| is_among(own, lines))
    }

    /// Takes lines out that the location shows to clients no more: an answer has come with such, and they were hidden.
    pub fn hide(&mut self, names: &Names<'_>) {
        self.lines.retain(|line| !names.has(&line.0));
    }

    /// Takes the lines of an answer in, in the place of those of the same name, be they hidden or not. Its `Date` is the
    /// page's from now on: where it has none that is stored, the page has none (RFC 9110 6.6.1).
    pub fn renew(&mut self, lines: &[Line]) {
        let compiled = template::lines(&self.tag_lines).map(|line| line.name);
        let tagged: Names<'_> = listed(lines).chain(compiled).collect();
        let is_new = |name: &[u8]| !is_of_the_bytes(name) && !is_of_this_answer(name) && !tagged.has(name);
        let new = || lines.iter().filter(|line| is_new(&line.0));
        let names: Names<'_> = new().map(|line| shown_name(&line.0)).chain([&b"date"[..]]).collect();
        self.lines.retain(|old| !names.has(shown_name(&old.0)));
        self.lines.extend(new().cloned());
    }
}

/// What these lines say under a name (in lower case) that an answer has once; none where they don't say one thing.
pub fn validator<'a>(lines: &'a [Line], lower: &[u8]) -> Option<&'a [u8]> {
    first(lines, lower).filter(|first| all(lines, lower).all(|value| value == *first))
}

/// The first of these lines with this name (in lower case).
fn first<'a>(lines: &'a [Line], lower: &[u8]) -> Option<&'a [u8]> {
    all(lines, lower).next()
}

/// All of them.
fn all<'a>(lines: &'a [Line], lower: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    lines.iter().filter(|line| line.0.eq_ignore_ascii_case(lower)).map(|line| line.1.as_slice())
}

fn is_same_date(one: &[u8], other: &[u8]) -> bool {
    one == other || http_date(one).is_some_and(|date| http_date(other) == Some(date))
}

/// Lines that say how the tags of the very answer are read that has them. What is compiled needs them no more, and a guard's
/// token is not stored.
pub fn is_of_this_answer(name: &[u8]) -> bool {
    let name = shown_name(name);
    [GUARD, TAG_HEADERS].iter().any(|other| name.eq_ignore_ascii_case(other))
}

const GUARD: &[u8] = b"twice-guard";
const TAG_HEADERS: &[u8] = b"twice-headers";

/// The names of those that hold tags, as these lines say.
fn listed(lines: &[Line]) -> impl Iterator<Item = &[u8]> {
    let lists = lines.iter().filter(|line| line.0.eq_ignore_ascii_case(TAG_HEADERS));
    lists.flat_map(|line| line.1.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

/// Lines that speak of the very bytes, or of how they are read.
fn is_of_the_bytes(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] = [
        b"content-encoding",
        b"content-type",
        b"content-range",
        b"content-length",
        b"content-md5",
        b"content-digest",
        b"digest",
        b"repr-digest",
        b"transfer-encoding",
    ];
    NAMES.iter().any(|other| name.eq_ignore_ascii_case(other))
}
