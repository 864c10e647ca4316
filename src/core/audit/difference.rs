//! Whether two pages are the same, and where they differ first.
//!
//! ```text
//!   fresh    | prefix: head, slots, code | literals |     in this process's memory
//!   known    ...| prefix ...             | literals |...  where it lies in the store, in pieces
//! ```
//!
//! Invariants
//! - Pages are the same if status, header lines, program and literals are, byte for byte. Anything that one of them has
//!   behind its literals is not looked at.
//! - Nothing of the known page is copied but its prefix, and that only.
//! - The place of a difference is one of the fresh page: of the body as its origin sent it.

use crate::page::{FIXED, Fixed, View};
use crate::store;
use crate::template::{self, At, Origin, Slot, Slots, Step, Steps, Target};
use std::fmt;

/// A value in the store, or something like it.
pub trait Value {
    /// A part of it in pieces, cut off at its end.
    fn part(&self, at: usize, len: usize) -> impl Iterator<Item = &[u8]>;
}

impl Value for store::Page<'_> {
    fn part(&self, at: usize, len: usize) -> impl Iterator<Item = &[u8]> {
        self.value_part(at, len)
    }
}

/// A page that is about to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Fresh<'a> {
    /// Everything before its literals.
    pub prefix: &'a [u8],
    /// Its bytes without its tags, in one piece or several.
    pub literals: &'a [&'a [u8]],
    /// Where its tags stood; none if it has none, or if nobody knows: it was stored before, and only its header is new.
    pub origin: Option<&'a Origin>,
}

/// Where two pages differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In their status.
    Status,
    /// In the lines of this name, in lower case; empty if it has none.
    Header(String),
    /// In their body. Both begin with 1; columns count bytes.
    Body {
        /// Lines end with a line feed.
        line: usize,
        /// In that line.
        column: usize,
    },
    /// Somewhere in their body: it was not sent with this answer.
    Somewhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Status => f.write_str("status"),
            Place::Header(name) if name.is_empty() => f.write_str("header"),
            Place::Header(name) => write!(f, "header {name}"),
            Place::Somewhere => f.write_str("body"),
            Place::Body { line, column } => write!(f, "body line {line} column {column}"),
        }
    }
}

/// Whether the page that begins at `at` in a value is this one. `None` if there is no page.
pub fn is_same(fresh: &Fresh<'_>, known: &impl Value, at: usize) -> Option<bool> {
    let old = Known::read(known, at)?;
    let new = Known::of(fresh)?;
    Some(old.is_alike(&new) && first_mismatch(fresh, known, &old)?.is_none())
}

/// Where the page that begins at `at` in a value differs from this one first, if it does. `None` if there is no page.
pub fn difference(fresh: &Fresh<'_>, known: &impl Value, at: usize) -> Option<Option<Place>> {
    let old = Known::read(known, at)?;
    let new = Known::of(fresh)?;
    let mismatch = first_mismatch(fresh, known, &old)?;
    if old.is_alike(&new) && mismatch.is_none() {
        return Some(None);
    }
    if new.fixed.status() != old.fixed.status() {
        return Some(Some(Place::Status));
    }
    if let Some(name) = tag_line_that_differs(&new, &old) {
        return Some(Some(Place::Header(name)));
    }
    // Where one of them has tags, or asks for a visitor's values, and the other does not, the lines that follow from that
    // are Twice's own: the bodies are what differs.
    let of_a_kind = |page: &Known<'_>| (page.fixed.tagged(), page.fixed.personal());
    if new.head() != old.head() && of_a_kind(&new) == of_a_kind(&old) {
        return Some(Some(Place::Header(line_that_differs(&new, &old).unwrap_or_default())));
    }
    let place = where_bodies_differ(&new, &old, mismatch.unwrap_or(usize::MAX));
    let none = Origin::default();
    let origin = match fresh.origin {
        None if new.fixed.tagged() => return Some(Some(Place::Somewhere)),
        origin => origin.unwrap_or(&none),
    };
    let (line, column) = origin.line_and_column(&fresh.literals.concat(), place);
    Some(Some(Place::Body { line, column }))
}

/// What stands before a page's literals.
struct Known<'a> {
    prefix: std::borrow::Cow<'a, [u8]>,
    fixed: Fixed,
    /// Where the literals begin in the value.
    literals_at: usize,
}

impl<'a> Known<'a> {
    fn of(fresh: &Fresh<'a>) -> Option<Known<'a>> {
        let fixed = Fixed::parse(fresh.prefix)?;
        Some(Known { prefix: fresh.prefix.into(), fixed, literals_at: 0 })
    }

    fn read(value: &impl Value, at: usize) -> Option<Known<'static>> {
        let gather = |len: usize| {
            let mut bytes = Vec::new();
            for piece in value.part(at, len) {
                bytes.extend_from_slice(piece);
            }
            (bytes.len() == len).then_some(bytes)
        };
        let fixed = Fixed::parse(&gather(FIXED)?)?;
        let prefix = gather(fixed.prefix_len())?;
        let literals_at = at.checked_add(prefix.len())?;
        Some(Known { prefix: prefix.into(), fixed, literals_at })
    }

    fn head(&self) -> &[u8] {
        self.prefix.get(FIXED..self.fixed.head_len()).unwrap_or_default()
    }

    /// Slots and code.
    fn program(&self) -> (&[u8], &[u8]) {
        self.fixed.program(&self.prefix).unwrap_or_default()
    }

    /// Whether all but the literals is the same.
    fn is_alike(&self, other: &Known<'_>) -> bool {
        self.fixed.status() == other.fixed.status()
            && self.head() == other.head()
            && self.program() == other.program()
    }

    fn steps(&self) -> Peeked<'_> {
        let (_, code) = self.program();
        // A page without tags is one text.
        let text = if code.is_empty() { self.fixed.literals_len() } else { 0 };
        let mut peeked = Peeked { text, other: None, steps: Steps::new(code) };
        peeked.fill();
        peeked
    }
}

/// The first byte of the literals that is not the same in both; that of the shorter ones' end. `None` if what the value
/// says of its length is not so.
fn first_mismatch(fresh: &Fresh<'_>, known: &impl Value, old: &Known<'_>) -> Option<Option<usize>> {
    let len = old.fixed.literals_len();
    let (mut at, mut mismatch) = (0usize, None);
    let mut pieces = fresh.literals.iter();
    let mut ours: &[u8] = b"";
    for mut theirs in known.part(old.literals_at, len) {
        while mismatch.is_none() && !theirs.is_empty() {
            if ours.is_empty() {
                match pieces.next() {
                    Some(piece) => ours = piece,
                    None => mismatch = Some(at),
                }
                continue;
            }
            let both = ours.len().min(theirs.len());
            let ((a, our_rest), (b, their_rest)) = (ours.split_at(both), theirs.split_at(both));
            if a != b {
                mismatch = Some(at + a.iter().zip(b).take_while(|(a, b)| a == b).count());
            }
            (ours, theirs, at) = (our_rest, their_rest, at.checked_add(both)?);
        }
        if mismatch.is_some() {
            break;
        }
    }
    if mismatch.is_none() && at != len {
        return None;
    }
    let has_more = !ours.is_empty() || pieces.any(|piece| !piece.is_empty());
    Some(mismatch.or(has_more.then_some(len)))
}

/// A page's header lines in their order, names in lower case. Those with a place of their own come first.
fn lines(page: &Known<'_>) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let view = View::parse(&page.fixed, page.prefix.get(..page.fixed.head_len())?)?;
    let head = &view.head;
    let own: [(&[u8], &[u8]); 6] = [
        (b"content-type", head.content_type),
        (b"content-type", head.charset),
        (b"etag", head.etag),
        (b"last-modified", head.last_modified),
        (b"cache-control", head.cache_control),
        (b"location", head.location),
    ];
    let all = own.into_iter().chain(view.headers());
    Some(all.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect())
}

/// The name of the first header line that differs.
fn line_that_differs(new: &Known<'_>, old: &Known<'_>) -> Option<String> {
    let (new, old) = (lines(new)?, lines(old)?);
    let at = (0..new.len().max(old.len())).find(|&at| new.get(at) != old.get(at))?;
    let name = match (new.get(at), old.get(at)) {
        (Some((ours, _)), Some((theirs, _))) => {
            // One line too many there, or here.
            let is_theirs = !new.iter().any(|(name, _)| name == theirs);
            if is_theirs { theirs } else { ours }
        }
        (Some((name, _)), None) | (None, Some((name, _))) => name,
        (None, None) => return None,
    };
    Some(printable(name))
}

/// The name of the first header line with tags that differs. The numbers of values count by what they stand for.
fn tag_line_that_differs(new: &Known<'_>, old: &Known<'_>) -> Option<String> {
    let (new_lines, old_lines) = (tag_lines(new)?, tag_lines(old)?);
    let at = (0..new_lines.len().max(old_lines.len())).find(|&at| new_lines.get(at) != old_lines.get(at))?;
    new_lines.get(at).or(old_lines.get(at)).map(|line| printable(&line.name))
}

#[derive(PartialEq)]
struct TagLine {
    name: Vec<u8>,
    code: Vec<u8>,
    literals: Vec<u8>,
    values: Vec<Option<(Target, Vec<u8>)>>,
}

/// A page's header lines with tags, names in lower case.
fn tag_lines(page: &Known<'_>) -> Option<Vec<TagLine>> {
    if !page.fixed.has_tag_lines() {
        return Some(Vec::new());
    }
    let view = View::parse(&page.fixed, page.prefix.get(..page.fixed.head_len())?)?;
    let slots: Vec<Slot<'_>> = Slots::new(page.program().0).collect();
    let value = |step| match step {
        Step::Other { slot: Some(number), .. } => {
            Some(slots.get(number).map(|slot| (slot.target, slot.key.to_vec())))
        }
        Step::Other { .. } | Step::Text(_) => None,
    };
    let all = template::lines(view.head.tag_lines).map(|line| TagLine {
        name: line.name.to_ascii_lowercase(),
        code: line.code().to_vec(),
        literals: line.literals().to_vec(),
        values: Steps::new(line.code()).filter_map(value).collect(),
    });
    Some(all.collect())
}

/// A name that can stand in a log line and a variable, whatever the origin called it.
fn printable(name: &[u8]) -> String {
    name.get(..name.len().min(64)).unwrap_or_default().escape_ascii().to_string()
}

/// The operations of a page, of which a text can be used up in parts.
struct Peeked<'a> {
    /// What is left of a text.
    text: usize,
    other: Option<Operation<'a>>,
    steps: Steps<'a>,
}

#[derive(Clone, Copy)]
struct Operation<'a> {
    at: usize,
    bytes: &'a [u8],
    slot: Option<usize>,
    literals: usize,
}

impl<'a> Peeked<'a> {
    fn fill(&mut self) {
        while self.text == 0 && self.other.is_none() {
            match self.steps.next() {
                None => return,
                Some(Step::Text(len)) => self.text = len,
                Some(Step::Other { at, bytes, slot, literals }) => {
                    self.other = Some(Operation { at, bytes, slot, literals });
                }
            }
        }
    }

    fn use_text(&mut self, len: usize) {
        self.text = self.text.saturating_sub(len);
        self.fill();
    }

    fn use_other(&mut self) {
        self.other = None;
        self.fill();
    }
}

/// Where two bodies differ that are not the same. `mismatch`: the first byte of their literals that does.
fn where_bodies_differ(new: &Known<'_>, old: &Known<'_>, mismatch: usize) -> At {
    let slots = |page: &Known<'_>| page.program().0.to_vec();
    let (new_slots, old_slots) = (slots(new), slots(old));
    let (new_slots, old_slots): (Vec<Slot<'_>>, Vec<Slot<'_>>) =
        (Slots::new(&new_slots).collect(), Slots::new(&old_slots).collect());
    let same_value = |slot: Option<usize>| {
        let of = |slots: &[Slot<'_>], number: usize| slots.get(number).map(|s| (s.target, s.key.to_vec()));
        slot.is_none_or(|number| of(&new_slots, number) == of(&old_slots, number))
    };
    let (mut ours, mut theirs) = (new.steps(), old.steps());
    let mut literal = 0usize;
    loop {
        match (ours.text, ours.other, theirs.text, theirs.other) {
            (1.., _, 1.., _) => {
                let len = ours.text.min(theirs.text);
                if mismatch < literal.saturating_add(len) {
                    return At::Literal(mismatch);
                }
                literal += len;
                ours.use_text(len);
                theirs.use_text(len);
            }
            (1.., ..) => return At::Literal(literal),
            (0, Some(own), 0, Some(other)) => {
                let end = literal.saturating_add(own.literals);
                if own.bytes != other.bytes || !same_value(own.slot) || mismatch < end {
                    return At::Code(own.at);
                }
                literal = end;
                ours.use_other();
                theirs.use_other();
            }
            (0, Some(own), ..) => return At::Code(own.at),
            (0, None, ..) => return At::End,
        }
    }
}
