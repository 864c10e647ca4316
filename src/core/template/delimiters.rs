//! What a tag looks like.
//!
//! Invariants: no delimiter is empty or holds a line end (the scanner relies on it: a line end never
//! lies inside a delimiter); a regular expression has a group 1 and doesn't match the empty string; guarded
//! delimiters match nothing that lacks the token.

use super::guard::{Guard, Token, without};
use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ast::{self, Ast, GroupKind, Visitor};
use std::convert::Infallible;
use std::fmt;

/// Longest delimiter, in bytes.
pub const MAX_DELIMITER: usize = 64;

/// Compiled size that a regular expression may reach, in bytes. `<&(.*?)&>` needs some 3,000.
const REGEX_SIZE: usize = 256 << 10;

/// How tags are told from text. Made once for a location (or for a response, where a guard's token is
/// part of the opening delimiter) and shared by compilers.
#[derive(Clone, Debug)]
pub struct Delimiters(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Strings(Box<Strings>),
    Regex(Box<Expression>),
}

#[derive(Clone)]
pub(super) struct Strings {
    /// With the token, where there is one.
    pub(super) open: Finder<'static>,
    pub(super) close: Box<[u8]>,
    pub(super) guard: Option<Guard>,
}

// Tells delimiters apart, but no token.
impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = without(self.guard.as_ref(), self.open.needle());
        write!(f, "{:?} {:?} {:?}", open, self.close, self.guard)
    }
}

#[derive(Clone)]
pub(super) struct Expression {
    /// With the token at the beginning of its group 1, where there is one.
    pub(super) regex: Regex,
    pub(super) guard: Option<Guard>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = without(self.guard.as_ref(), self.regex.as_str().as_bytes());
        write!(f, "{:?} {:?}", pattern, self.guard)
    }
}

/// Why delimiters were refused. The text completes a sentence that begins with the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadDelimiters {
    /// The opening or closing string is empty.
    Empty,
    /// The opening or closing string is longer than [`MAX_DELIMITER`].
    TooLong,
    /// The opening or closing string holds a line end.
    LineEnd,
    /// The regular expression is not one, or too large; in the words of its parser.
    Regex(String),
    /// The regular expression has no group, so nothing says what stands inside the tag.
    NoGroup,
    /// The regular expression matches the empty string, so everything would be a tag.
    MatchesEmpty,
}

impl fmt::Display for BadDelimiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadDelimiters::Empty => f.write_str("a delimiter must not be empty"),
            BadDelimiters::TooLong => write!(f, "a delimiter may have at most {MAX_DELIMITER} bytes"),
            BadDelimiters::LineEnd => f.write_str("a delimiter must not hold a line end"),
            BadDelimiters::Regex(why) => write!(f, "not a regular expression: {why}"),
            BadDelimiters::NoGroup => {
                f.write_str("the regular expression needs a group (...) for the inside of the tag")
            }
            BadDelimiters::MatchesEmpty => {
                f.write_str("the regular expression must not match the empty string")
            }
        }
    }
}

impl std::error::Error for BadDelimiters {}

impl Delimiters {
    /// Two strings, which may be equal. A tag is the shortest text between them on one line.
    pub fn strings(open: &[u8], close: &[u8]) -> Result<Self, BadDelimiters> {
        for delimiter in [open, close] {
            if delimiter.is_empty() {
                return Err(BadDelimiters::Empty);
            }
            if delimiter.len() > MAX_DELIMITER {
                return Err(BadDelimiters::TooLong);
            }
            if delimiter.contains(&b'\n') {
                return Err(BadDelimiters::LineEnd);
            }
        }
        Ok(Delimiters::of(open, close))
    }

    /// A regular expression whose group 1 is the inside of the tag. It matches bytes (`.` is any byte
    /// but a line end), as 2008's did; `(?u)` switches to characters.
    pub fn regex(pattern: &str) -> Result<Self, BadDelimiters> {
        let regex = compile(pattern)?;
        if regex.captures_len() < 2 {
            return Err(BadDelimiters::NoGroup);
        }
        if regex.is_match(b"") {
            return Err(BadDelimiters::MatchesEmpty);
        }
        Ok(Delimiters(Kind::Regex(Box::new(Expression { regex, guard: None }))))
    }

    /// The same for a response whose tags have a token: only what begins with the opening delimiter, the token and white
    /// space is a tag; with an expression, only where its group begins with token and white space.
    ///
    /// The token becomes part of the expression, so that nobody who does not know it can have a match begin before a tag
    /// and swallow it.
    pub fn guarded(&self, token: &Token) -> Result<Self, BadDelimiters> {
        let guard = Some(Guard::of(token));
        Ok(Delimiters(match &self.0 {
            Kind::Strings(strings) => {
                let open = [strings.open.needle(), token.as_str().as_bytes()].concat();
                let open = Finder::new(&open).into_owned();
                Kind::Strings(Box::new(Strings { open, close: strings.close.clone(), guard }))
            }
            Kind::Regex(expression) => {
                let pattern = with_token(expression.regex.as_str(), token).ok_or(BadDelimiters::NoGroup)?;
                // The parser's words might show the token.
                let regex = compile(&pattern)
                    .map_err(|_| BadDelimiters::Regex("too large with a guard's token".to_owned()))?;
                Kind::Regex(Box::new(Expression { regex, guard }))
            }
        }))
    }

    /// Whether a text may hold a tag.
    pub fn may_be_in(&self, text: &[u8]) -> bool {
        match &self.0 {
            Kind::Strings(strings) => strings.open.find(text).is_some(),
            Kind::Regex(expression) => expression.regex.is_match(text),
        }
    }

    fn of(open: &[u8], close: &[u8]) -> Self {
        let open = Finder::new(open).into_owned();
        Delimiters(Kind::Strings(Box::new(Strings { open, close: close.into(), guard: None })))
    }
}

fn compile(pattern: &str) -> Result<Regex, BadDelimiters> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_SIZE)
        .build()
        .map_err(|error| BadDelimiters::Regex(last_line(&error.to_string())))
}

/// The expression whose group 1 begins with the token and white space. Flags of the expression don't reach into them.
fn with_token(pattern: &str, token: &Token) -> Option<String> {
    let parsed = ast::parse::Parser::new().parse(pattern).ok()?;
    let places = ast::visit(&parsed, FirstGroup(None)).unwrap_or_else(|never| match never {})?;
    let mut out = String::with_capacity(pattern.len() + 256);
    let mut done = 0;
    for at in places {
        out.push_str(pattern.get(done..at)?);
        out.push_str("(?-iux:");
        out.push_str(token.as_str());
        out.push_str("[\\t-\\r ])");
        done = at;
    }
    out.push_str(pattern.get(done..)?);
    Some(out)
}

/// Finds where the branches of group 1 begin.
struct FirstGroup(Option<Vec<usize>>);

impl Visitor for FirstGroup {
    type Output = Option<Vec<usize>>;
    type Err = Infallible;

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Infallible> {
        if let Ast::Group(group) = ast
            && matches!(&group.kind, GroupKind::CaptureIndex(1))
                | matches!(&group.kind, GroupKind::CaptureName { name, .. } if name.index == 1)
        {
            self.0 = Some(match &*group.ast {
                Ast::Alternation(branches) => {
                    branches.asts.iter().map(|ast| ast.span().start.offset).collect()
                }
                ast => vec![ast.span().start.offset],
            });
        }
        Ok(())
    }

    fn finish(self) -> Result<Self::Output, Infallible> {
        Ok(self.0)
    }
}

impl Default for Delimiters {
    /// `<&` and `&>`.
    fn default() -> Self {
        Delimiters::of(b"<&", b"&>")
    }
}

/// The parser draws the pattern over several lines; its last one says what is wrong, and a log line is
/// one line.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text).trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
