//! What can be wrong with a tag, and the record of it.
//!
//! Invariants: a record is small whatever the tag was (its excerpt is bounded and printable, fit for
//! one line of a log); a page keeps at most [`MAX_ERRORS`] of them and counts the rest.

use super::place::Place;
use std::fmt;

/// Errors that are kept for a page; more are only counted.
pub const MAX_ERRORS: usize = 16;

/// Longest excerpt of a tag, in characters.
pub const MAX_EXCERPT: usize = 100;

/// What is wrong with a tag. Where nothing else is said the tag stands in the page as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An opening delimiter without a closing one on its line.
    Unterminated,
    /// More than [`Limits::tag_max`](super::Limits::tag_max) bytes between the delimiters.
    TagTooLong,
    /// More than [`Limits::regex_buffer`](super::Limits::regex_buffer) bytes in a page whose tags are
    /// found by a regular expression.
    PageTooLong,
    /// Nothing between the delimiters.
    Empty,
    /// The first word is no command.
    UnknownCommand,
    /// A word is missing: target, key, or the value of an `if`.
    MissingWord,
    /// There are more words than the command takes.
    TooManyWords,
    /// A quote is not closed.
    OpenQuote,
    /// A key of more than [`MAX_KEY`](super::MAX_KEY) bytes. In the opener of a block the value counts as
    /// missing: as text it would leave an `end` behind that closes another block.
    KeyTooLong,
    /// The page asks for more than [`Limits::slots_max`](super::Limits::slots_max) different values.
    /// For the opener of a block see [`ErrorKind::KeyTooLong`].
    TooManyValues,
    /// A text of the author's grows out of all proportion in the filters.
    TextTooLong,
    /// `else` outside of a block.
    StrayElse,
    /// A second `else` in one block.
    SecondElse,
    /// `end` outside of a block.
    StrayEnd,
    /// Blocks nested deeper than 16. Their `else` and `end` stay as text, too, without an error.
    TooDeep,
    /// The page ends inside a block, which is closed there.
    BlockWithoutEnd,
    /// The target is not known: the value counts as missing.
    UnknownTarget,
    /// The target has no such key: the value counts as missing.
    UnknownKey,
    /// The command changes something at a source, and the target is none: the value counts as missing.
    NotASource,
    /// What a counter that is not there is to be set to is no decimal number below 2^64: nothing is counted.
    BadInitial,
    /// The filter is not known or its argument is bad: the tag prints without it.
    UnknownFilter,
    /// More than [`MAX_FILTERS`](super::MAX_FILTERS) filters: the tag prints without the rest.
    TooManyFilters,
    /// What is included is no path of this server that begins with `/`, or leads upwards: the tag prints its
    /// default.
    BadUri,
    /// More than [`MAX_INCLUDES`](super::MAX_INCLUDES) different fragments: the tag prints its default.
    TooManyIncludes,
    /// An include has a filter besides `default`: it prints without.
    FilteredInclude,
    /// `truncate` after an escaping filter may cut what that wrote in two; it is done as written.
    TruncatedEscape,
    /// A nonce has a filter: it prints without.
    FilteredNonce,
    /// In a header line there is neither time to ask a source nor a place for a fragment: the value counts as missing,
    /// and nothing is changed.
    NotInHeader,
    /// A guarded tag has no white space behind its token. Its text has no token.
    NoSpaceAfterGuard,
    /// The tag names no escaping filter, and none is safe in its place: it prints its default.
    NoSafeFilter(Place),
}

impl ErrorKind {
    /// The one name of this error, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Unterminated => "unterminated tag",
            ErrorKind::TagTooLong => "tag too long",
            ErrorKind::PageTooLong => "page too long for a regular expression",
            ErrorKind::Empty => "empty tag",
            ErrorKind::UnknownCommand => "unknown command",
            ErrorKind::MissingWord => "missing word",
            ErrorKind::TooManyWords => "too many words",
            ErrorKind::OpenQuote => "quote not closed",
            ErrorKind::KeyTooLong => "key too long",
            ErrorKind::TooManyValues => "too many different values",
            ErrorKind::TextTooLong => "text too long after filters",
            ErrorKind::StrayElse => "else without block",
            ErrorKind::SecondElse => "second else",
            ErrorKind::StrayEnd => "end without block",
            ErrorKind::TooDeep => "blocks nested too deep",
            ErrorKind::BlockWithoutEnd => "block without end",
            ErrorKind::UnknownTarget => "unknown target",
            ErrorKind::UnknownKey => "unknown key",
            ErrorKind::NotASource => "target is not a source",
            ErrorKind::BadInitial => "initial value is no number",
            ErrorKind::UnknownFilter => "unknown filter",
            ErrorKind::TooManyFilters => "too many filters",
            ErrorKind::BadUri => "bad URI to include",
            ErrorKind::TooManyIncludes => "too many includes",
            ErrorKind::FilteredInclude => "filter on an include",
            ErrorKind::TruncatedEscape => "truncate after escaping",
            ErrorKind::FilteredNonce => "filter on a nonce",
            ErrorKind::NotInHeader => "source or fragment in a header",
            ErrorKind::NoSpaceAfterGuard => "no space after the guard",
            ErrorKind::NoSafeFilter(place) => place.as_str(),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error, where it is, and the tag. Displays as `unknown filter at line 3 in "<& get ... &>"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Line of the page where the tag begins, from 1.
    pub line: usize,
    /// The tag as written, cut to [`MAX_EXCERPT`] characters, without control characters.
    pub tag: String,
}

impl fmt::Display for TagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {} in \"{}\"", self.kind, self.line, self.tag)
    }
}

/// The errors of one page.
#[derive(Debug, Default)]
pub(super) struct Errors {
    kept: Vec<TagError>,
    count: u64,
}

impl Errors {
    pub(super) fn push(&mut self, kind: ErrorKind, line: usize, tag: &[u8]) {
        // The excerpt is made for those that are kept only: a page of 100,000 bad tags is cheap.
        if self.kept.len() < MAX_ERRORS {
            self.kept.push(TagError { kind, line, tag: excerpt(tag) });
        }
        self.count += 1;
    }

    /// For a tag whose excerpt was made before.
    pub(super) fn push_excerpt(&mut self, kind: ErrorKind, line: usize, tag: String) {
        if self.kept.len() < MAX_ERRORS {
            self.kept.push(TagError { kind, line, tag });
        }
        self.count += 1;
    }

    pub(super) fn kept(&self) -> &[TagError] {
        &self.kept
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

/// The beginning of a tag, fit for one line of a log.
pub(super) fn excerpt(tag: &[u8]) -> String {
    // A character has at most four bytes, so this is enough and never much.
    let (head, _) = tag.split_at(tag.len().min(4 * MAX_EXCERPT));
    let mut text = String::with_capacity(tag.len().min(MAX_EXCERPT));
    let mut chars = 0;
    let mut fits = 0;
    for char in String::from_utf8_lossy(head).chars() {
        let before = text.len();
        if char.is_control() {
            text.extend(char.escape_default())
        } else {
            text.push(char)
        }
        chars += text.get(before..).map_or(0, |added| added.chars().count());
        if chars > MAX_EXCERPT {
            text.truncate(fits);
            text.push_str("...");
            return text;
        }
        if chars + 3 <= MAX_EXCERPT {
            fits = text.len();
        }
    }
    text
}
