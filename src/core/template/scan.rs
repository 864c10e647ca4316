//! Finds tags in a body that comes in pieces.
//!
//! ```text
//!           +-- opener found --> Inside: held back from the opener on
//!           |                      | closer          -> a tag
//!         Text <-------------------+ line end        -> text up to and with it, "unterminated"
//!                                  | tag_max bytes   -> text so far, "tag too long"
//!                                  | page's end      -> text, "unterminated"
//! ```
//!
//! Invariants: what is found depends on the text alone, not on its pieces; each byte is looked at a
//! bounded number of times; with string delimiters at most a tag (tag_max and two delimiters) and one
//! step of [`STEP`] bytes is held.
//!
//! For strings this equals `OPEN(.*?)CLOSE` on the whole text (tag_max aside): the leftmost opener
//! counts, and one that fails takes all later openers of its line with it, because the closer that it
//! lacks would be theirs too.
//!
//! With a guard the token is part of the opener, and nothing that is handed on has it: neither a tag nor one that
//! failed and is text. A text ends before an opener that may go on behind it, so that no token is cut in two.

use super::ErrorKind;
use super::Limits;
use super::delimiters::{Delimiters, Expression, Kind, Strings};
use super::guard::{self, Guard, without};
use memchr::memchr2;
use std::mem;
use std::sync::Arc;

/// While bytes are held back, this many of a piece are added at a time: a piece is not copied whole
/// because of a tag that was cut at its beginning.
const STEP: usize = 1024;

/// What the scanner finds, in order. Every byte of the body is in exactly one text or tag.
pub(super) trait Found {
    /// Bytes that are no tag.
    fn text(&mut self, text: &[u8]);
    /// A tag, with and without its delimiters; false: it is none, and follows as text.
    fn tag(&mut self, whole: &[u8], inside: &[u8]) -> bool;
    /// So many bytes of the body were left out here, none of them a line end.
    fn dropped(&mut self, bytes: usize);
    /// Something wrong begins here. What it is follows as text.
    fn wrong(&mut self, kind: ErrorKind, text: &[u8]);
}

#[derive(Debug)]
pub(super) struct Scanner {
    delimiters: Arc<Delimiters>,
    tag_max: usize,
    regex_buffer: usize,
    /// Strings: bytes from a possible opener on. Regex: the body so far.
    held: Vec<u8>,
    inside: Inside,
    /// Regex: the body got too long and is text.
    overflow: bool,
}

/// Where a scan over strings stands.
#[derive(Clone, Copy, Debug)]
struct Inside {
    /// The held bytes begin with an opener.
    yes: bool,
    /// From here on the held bytes were not yet searched for a closer or a line end.
    searched: usize,
}

impl Scanner {
    pub(super) fn new(delimiters: Arc<Delimiters>, limits: &Limits) -> Self {
        Scanner {
            delimiters,
            tag_max: limits.tag_max,
            regex_buffer: limits.regex_buffer,
            held: Vec::new(),
            inside: Inside { yes: false, searched: 0 },
            overflow: false,
        }
    }

    /// One for another text with tags of the same kind.
    pub(super) fn again(&self) -> Self {
        Scanner {
            delimiters: Arc::clone(&self.delimiters),
            held: Vec::new(),
            inside: Inside { yes: false, searched: 0 },
            overflow: false,
            ..*self
        }
    }

    /// Memory that is held back.
    pub(super) fn held(&self) -> usize {
        self.held.capacity()
    }

    pub(super) fn feed(&mut self, piece: &[u8], found: &mut impl Found) {
        let delimiters = Arc::clone(&self.delimiters);
        match &delimiters.0 {
            Kind::Strings(strings) => self.feed_strings(strings, piece, found),
            Kind::Regex(expression) => self.feed_regex(expression, piece, found),
        }
    }

    pub(super) fn finish(&mut self, found: &mut impl Found) {
        let held = mem::take(&mut self.held);
        match &self.delimiters.0 {
            Kind::Regex(expression) if !self.overflow => matches(expression, self.tag_max, &held, found),
            Kind::Strings(strings) if self.inside.yes => {
                fails(strings.guard.as_ref(), ErrorKind::Unterminated, &held, found);
            }
            _ => found.text(&held),
        }
        self.inside.yes = false;
    }

    fn feed_strings(&mut self, strings: &Strings, mut piece: &[u8], found: &mut impl Found) {
        while !piece.is_empty() && !self.held.is_empty() {
            let (step, rest) = piece.split_at(piece.len().min(STEP));
            piece = rest;
            let mut held = mem::take(&mut self.held);
            held.extend_from_slice(step);
            let done = self.scan(strings, &held, found);
            held.drain(..done);
            self.held = held;
        }
        if !piece.is_empty() {
            let done = self.scan(strings, piece, found);
            self.held.extend_from_slice(piece.get(done..).unwrap_or_default());
        }
    }

    /// Scans `bytes`, which begin at the first undecided one, and returns how many are decided.
    fn scan(&mut self, strings: &Strings, bytes: &[u8], found: &mut impl Found) -> usize {
        let open = strings.open.needle();
        let mut rest = bytes;
        loop {
            if !self.inside.yes {
                let Some(at) = strings.open.find(rest) else {
                    let (text, undecided) = rest.split_at(rest.len() - prefix_at_end(rest, open));
                    found.text(text);
                    return bytes.len() - undecided.len();
                };
                let (text, tag) = rest.split_at(at);
                found.text(text);
                rest = tag;
                self.inside = Inside { yes: true, searched: open.len() };
            }
            let decided = match self.end_of_tag(strings, open.len(), rest) {
                End::Tag(inside_len) => {
                    let end = open.len() + inside_len + strings.close.len();
                    let (whole, _) = rest.split_at(end.min(rest.len()));
                    let inside = whole.get(open.len()..open.len() + inside_len).unwrap_or_default();
                    tag(strings.guard.as_ref(), whole, inside, found);
                    whole.len()
                }
                End::Wrong(kind, len) => {
                    let (mut text, _) = rest.split_at(len.min(rest.len()));
                    if strings.guard.is_some() {
                        (text, _) = text.split_at(text.len() - prefix_at_end(text, open));
                    }
                    fails(strings.guard.as_ref(), kind, text, found);
                    text.len()
                }
                End::Undecided => return bytes.len() - rest.len(),
            };
            self.inside.yes = false;
            rest = rest.get(decided..).unwrap_or_default();
        }
    }

    /// What comes first behind the opener that `held` begins with: a closer, a line end, or the limit.
    fn end_of_tag(&mut self, strings: &Strings, open: usize, held: &[u8]) -> End {
        let close = &*strings.close;
        // The closer may begin tag_max bytes behind the opener at the latest.
        let limit = open + self.tag_max + close.len();
        let window = held.get(..limit).unwrap_or(held);
        let first = close.first().copied().unwrap_or(b'\n');
        let mut at = self.inside.searched;
        while let Some(rest) = window.get(at..) {
            let Some(step) = memchr2(first, b'\n', rest) else { break };
            at += step;
            let hit = window.get(at..).unwrap_or_default();
            if hit.starts_with(close) {
                return End::Tag(at - open);
            }
            if hit.first() == Some(&b'\n') {
                return End::Wrong(ErrorKind::Unterminated, at + 1);
            }
            at += 1;
        }
        if window.len() == limit {
            return End::Wrong(ErrorKind::TagTooLong, open + self.tag_max);
        }
        // A closer may have been cut.
        self.inside.searched = (window.len() + 1).saturating_sub(close.len()).max(open);
        End::Undecided
    }

    fn feed_regex(&mut self, expression: &Expression, piece: &[u8], found: &mut impl Found) {
        if !self.overflow && self.held.len().saturating_add(piece.len()) > self.regex_buffer {
            self.overflow = true;
            found.wrong(ErrorKind::PageTooLong, b"");
            let held = mem::take(&mut self.held);
            self.pass_on(expression, &held, found);
        }
        if self.overflow {
            self.pass_on(expression, piece, found);
        } else {
            self.held.extend_from_slice(piece);
        }
    }

    /// A piece of a body that got too long is text. What may be the beginning of a token is held back.
    fn pass_on(&mut self, expression: &Expression, piece: &[u8], found: &mut impl Found) {
        let Some(guard) = &expression.guard else { return found.text(piece) };
        self.held.extend_from_slice(piece);
        let text = guard.text_to_last(&self.held, found);
        let (now, later) = text.split_at(text.len() - prefix_at_end(text, guard.token()));
        found.text(now);
        self.held = later.to_vec();
    }
}

/// What looked like a tag is text.
fn fails(guard: Option<&Guard>, kind: ErrorKind, text: &[u8], found: &mut impl Found) {
    let shown = without(guard, text);
    found.wrong(kind, shown.strip_suffix(b"\n").unwrap_or(&shown));
    guard::text(guard, text, found);
}

/// What looks like a tag, and is text if it is none.
fn tag(guard: Option<&Guard>, whole: &[u8], inside: &[u8], found: &mut impl Found) {
    let is_tag = match guard {
        None => found.tag(whole, inside),
        Some(guard) => guard.tag(whole, inside, found),
    };
    if !is_tag {
        guard::text(guard, whole, found);
    }
}

enum End {
    /// Closed; so many bytes between the delimiters.
    Tag(usize),
    /// No tag; so many bytes are text.
    Wrong(ErrorKind, usize),
    Undecided,
}

/// The tags of a whole body, by a regular expression.
fn matches(expression: &Expression, tag_max: usize, body: &[u8], found: &mut impl Found) {
    let guard = expression.guard.as_ref();
    let mut done = 0;
    for captures in expression.regex.captures_iter(body) {
        // `\b()` matches nothing at all without matching the empty string; a group may take no part.
        let (Some(whole), Some(inside)) = (captures.get(0), captures.get(1)) else { continue };
        if whole.is_empty() {
            continue;
        }
        // The expression demands the token; this does too, should it have found a way around it.
        let inside = match guard
            .map_or(Some(inside.as_bytes()), |guard| inside.as_bytes().strip_prefix(guard.token()))
        {
            Some(inside) => inside,
            None => continue,
        };
        guard::text(guard, body.get(done..whole.start()).unwrap_or_default(), found);
        if inside.len() > tag_max {
            fails(guard, ErrorKind::TagTooLong, whole.as_bytes(), found);
        } else {
            tag(guard, whole.as_bytes(), inside, found);
        }
        done = whole.end();
    }
    guard::text(guard, body.get(done..).unwrap_or_default(), found);
}

/// How many bytes at the end of `text` may be the beginning of `needle`, of which `text` holds none.
fn prefix_at_end(text: &[u8], needle: &[u8]) -> usize {
    let most = needle.len().saturating_sub(1).min(text.len());
    (1..=most).rev().find(|&len| text.ends_with(needle.get(..len).unwrap_or_default())).unwrap_or(0)
}
