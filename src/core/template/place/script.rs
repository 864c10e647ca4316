//! Where in a script a tag stands: in a string, in a template, in the code, in a comment, in a regular expression.
//!
//! ```text
//!   Code --"'`--> Double Single Template        a template's ${ } is Code, with Sub on the stack
//!     |---/-----> Slash: a comment, a regular expression or a division, by what stood before it
//!     |---?-----> Lost: what only a parser of the whole language could tell; so it stays to the end
//! ```
//!
//! Invariants: Lost is left by nothing; a string or a regular expression that a line end cuts is Lost (no browser runs
//! such a script); at most [`MAX_OPEN`] brackets are remembered.

use super::{JS, JS_VALUE, Place, Want, name::Name};

/// Deepest nesting that is followed.
const MAX_OPEN: usize = 64;

/// The beginning of the script is over.
const PAST: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Code,
    Double,
    Single,
    Template,
    Slash,
    Line,
    Block,
    Regex,
    /// In a regular expression: between `[` and `]`.
    Class,
    Lost,
}

/// What stood before, as far as it says whether `/` divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// `/` divides.
    Operand,
    /// `/` begins a regular expression.
    Operator,
    /// Nobody can tell.
    Either,
    /// One `+` or `-`; whether an operand stood before it.
    Sign(u8, bool),
    /// A word that is being read; whether a dot stood before it.
    Word(bool),
    Dot,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    None,
    /// What `(` or `{` opened; behind its end `/` divides.
    Operand,
    /// ... begins a regular expression: `if (a) /b/`.
    Operator,
    /// ... nobody can tell.
    Either,
    /// `${`
    Sub,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    at: At,
    before: Before,
    word: Name,
    /// The byte before was a backslash that counts.
    escaped: bool,
    /// In a template: the byte before was a `$`. In another string: a CR behind a backslash. In a block comment: a `*`.
    armed: bool,
    /// How much of `<!--` was read, all at once.
    opening: u8,
    /// How much of `-->` was read, with nothing but white space and comments before it on its line.
    closing: u8,
    /// How much of U+2028 or U+2029 was read, which end lines.
    separator: u8,
    /// Nothing but white space and comments on this line so far.
    fresh: bool,
    /// ... if what is beyond ASCII there is white space.
    perhaps: bool,
    /// How much of `#!` was read, at the very beginning.
    hashbang: u8,
    /// A module, or perhaps one.
    module: bool,
    depth: u8,
    open: [Open; MAX_OPEN],
}

impl Script {
    pub(super) fn new(module: bool) -> Self {
        Script {
            at: At::Code,
            before: Before::Operator,
            word: Name::default(),
            escaped: false,
            armed: false,
            opening: 0,
            closing: 0,
            separator: 0,
            fresh: true,
            perhaps: false,
            hashbang: 0,
            module,
            depth: 0,
            open: [Open::None; MAX_OPEN],
        }
    }

    pub(super) fn feed(&mut self, byte: u8) {
        let line_end = self.ends_line(byte);
        if self.hashbang < PAST && self.hashbang(byte) {
            return;
        }
        match self.at {
            At::Code if byte.is_ascii_alphanumeric() => self.word(byte),
            At::Code => self.code(byte, line_end),
            At::Double | At::Single | At::Template => self.string(byte),
            At::Slash => self.slash(byte, line_end),
            At::Line if line_end => self.end_line(),
            At::Block => {
                if self.armed && byte == b'/' {
                    self.at = At::Code;
                }
                self.armed = byte == b'*';
                self.fresh |= line_end;
            }
            At::Regex | At::Class => self.regex(byte, line_end),
            At::Line | At::Lost => (),
        }
    }

    /// Whether this byte ends a line: the last of U+2028 does.
    fn ends_line(&mut self, byte: u8) -> bool {
        self.separator = match (self.separator, byte) {
            (_, 0xe2) => 1,
            (1, 0x80) => 2,
            (2, 0xa8 | 0xa9) => 3,
            _ => 0,
        };
        matches!(byte, b'\n' | b'\r') || self.separator == 3
    }

    fn lose(&mut self) {
        *self = Script { at: At::Lost, hashbang: PAST, ..Script::new(self.module) };
    }

    /// `#!` at the beginning of a script is a comment to the end of the line. True: the byte was the last of it.
    fn hashbang(&mut self, byte: u8) -> bool {
        self.hashbang = match (self.hashbang, byte) {
            // A byte order mark is no part of the text.
            (0, 0xef | 0xbb | 0xbf) => 0,
            (0, b'#') => 1,
            (1, b'!') => {
                (self.at, self.before) = (At::Line, Before::Operator);
                PAST
            }
            _ => PAST,
        };
        self.at == At::Line
    }

    fn end_line(&mut self) {
        self.at = At::Code;
        (self.fresh, self.perhaps) = (true, false);
        (self.opening, self.closing) = (0, 0);
    }

    fn code(&mut self, byte: u8, line_end: bool) {
        if is_word(byte) && self.separator != 3 || byte == b'.' && self.in_number() {
            return self.word(byte);
        }
        let before = self.end_word();
        if line_end {
            self.before = joined(before);
            return self.end_line();
        }
        if self.html_comment(byte) {
            return;
        }
        if matches!(byte, b' ' | b'\t' | 0x0b | 0x0c) {
            self.before = joined(before);
            return;
        }
        let fresh = self.fresh;
        self.fresh &= byte == b'/';
        self.before = match byte {
            b'"' => return self.begin(At::Double),
            b'\'' => return self.begin(At::Single),
            b'`' => return self.begin(At::Template),
            b'/' => {
                // A comment may stand between `if` and its bracket.
                (self.at, self.before) = (At::Slash, joined(before));
                return;
            }
            b'.' => Before::Dot,
            b'+' | b'-' => match before {
                Before::Sign(sign, operand) if sign == byte => {
                    if operand {
                        Before::Operand
                    } else {
                        Before::Operator
                    }
                }
                // At the beginning of a line two of them belong to what comes.
                before => Before::Sign(byte, before == Before::Operand && !fresh),
            },
            b'(' | b'{' => {
                let what = match self.word.known() {
                    // A block, a function's body, an object: what follows its end is anybody's guess.
                    _ if byte == b'{' => Open::Either,
                    Some(b"if" | b"while" | b"for" | b"with") => Open::Operator,
                    Some(b"await") | None => Open::Either,
                    Some(word) if !word.is_ascii() => Open::Either,
                    Some(_) => Open::Operand,
                };
                self.push(what);
                Before::Operator
            }
            b')' | b'}' => return self.pop(byte),
            b']' => Before::Operand,
            // Outside of strings it is part of a name, escaped.
            b'\\' => return self.lose(),
            _ => Before::Operator,
        };
        self.word.clear();
    }

    /// A letter or digit of a word, or of a number.
    fn word(&mut self, byte: u8) {
        (self.opening, self.closing) = (0, 0);
        self.fresh &= byte >= 0x80;
        self.perhaps = self.fresh;
        if !matches!(self.before, Before::Word(_)) {
            self.word.clear();
            self.before = Before::Word(self.before == Before::Dot);
        }
        self.word.push_exact(byte);
    }

    /// A number may end with a dot.
    fn in_number(&self) -> bool {
        let digit = |word: &[u8]| word.first().is_some_and(u8::is_ascii_digit);
        self.before == Before::Word(false) && self.word.known().is_some_and(digit)
    }

    /// What stands before this byte, where a word has come to its end. The word stays for `if (`.
    fn end_word(&mut self) -> Before {
        let Before::Word(dotted) = self.before else { return self.before };
        if dotted {
            // A property may have any name.
            self.word.clear();
        }
        match self.word.known() {
            Some(
                b"return" | b"typeof" | b"instanceof" | b"in" | b"new" | b"delete" | b"void" | b"throw"
                | b"case" | b"do" | b"else" | b"default" | b"extends" | b"break" | b"continue" | b"debugger",
            ) => Before::Operator,
            // Words in some places, names in others.
            Some(b"of" | b"yield" | b"await") | None => Before::Either,
            // Some characters beyond ASCII are white space.
            Some(word) if !word.is_ascii() => Before::Either,
            Some(_) => Before::Operand,
        }
    }

    /// `<!--`, and `-->` at the beginning of a line, are comments to the end of the line. True: the byte was the last of it.
    fn html_comment(&mut self, byte: u8) -> bool {
        self.opening = match (self.opening, byte) {
            (1, b'!') => 2,
            (2 | 3, b'-') => self.opening + 1,
            (_, b'<') => 1,
            _ => 0,
        };
        self.closing = match (self.closing, byte) {
            (0, b'-') if self.fresh => 1,
            (1, b'-') => 2,
            (2, b'>') => 3,
            _ => 0,
        };
        if self.opening < 4 && self.closing < 3 {
            return false;
        }
        // A module has no such comments, and operators that read the same; so has a name beyond ASCII.
        if self.module || self.closing == 3 && self.perhaps {
            self.lose();
        } else {
            self.at = At::Line;
            (self.opening, self.closing, self.before) = (0, 0, Before::Operator);
        }
        true
    }

    fn begin(&mut self, at: At) {
        self.at = at;
        self.before = Before::Operand;
        self.word.clear();
        (self.escaped, self.armed) = (false, false);
    }

    fn push(&mut self, what: Open) {
        match self.open.get_mut(usize::from(self.depth)) {
            Some(place) => {
                *place = what;
                self.depth += 1;
            }
            None => self.lose(),
        }
    }

    fn pop(&mut self, byte: u8) {
        self.word.clear();
        let top = self.depth.checked_sub(1).and_then(|top| self.open.get_mut(usize::from(top)));
        match top.map(std::mem::take) {
            Some(Open::Sub) if byte == b'}' => self.begin(At::Template),
            Some(what @ (Open::Operand | Open::Operator | Open::Either)) => {
                self.before = match what {
                    Open::Operand => Before::Operand,
                    Open::Operator => Before::Operator,
                    _ => Before::Either,
                };
            }
            _ => return self.lose(),
        }
        self.depth -= 1;
    }

    fn string(&mut self, byte: u8) {
        let armed = std::mem::take(&mut self.armed);
        if std::mem::take(&mut self.escaped) {
            // CR LF is one line end.
            self.armed = byte == b'\r' && self.at != At::Template;
            return;
        }
        match (byte, self.at) {
            (b'\\', _) => self.escaped = true,
            (b'"', At::Double) | (b'\'', At::Single) | (b'`', At::Template) => self.at = At::Code,
            (b'\n', At::Double | At::Single) if armed => (),
            (b'\n' | b'\r', At::Double | At::Single) => self.lose(),
            (b'$', At::Template) => self.armed = true,
            (b'{', At::Template) if armed => {
                self.push(Open::Sub);
                if self.at != At::Lost {
                    (self.at, self.before) = (At::Code, Before::Operator);
                }
            }
            _ => (),
        }
    }

    fn slash(&mut self, byte: u8, line_end: bool) {
        match byte {
            b'/' => self.at = At::Line,
            b'*' => (self.at, self.armed) = (At::Block, false),
            _ => {
                self.fresh = false;
                match self.before {
                    Before::Operand => {
                        (self.at, self.before) = (At::Code, Before::Operator);
                        self.code(byte, line_end);
                    }
                    Before::Either | Before::Dot => self.lose(),
                    _ => {
                        (self.at, self.escaped) = (At::Regex, false);
                        self.regex(byte, line_end);
                    }
                }
            }
        }
    }

    fn regex(&mut self, byte: u8, line_end: bool) {
        if line_end {
            return self.lose();
        }
        if std::mem::take(&mut self.escaped) {
            return;
        }
        match (byte, self.at) {
            (b'\\', _) => self.escaped = true,
            (b'[', At::Regex) => self.at = At::Class,
            (b']', At::Class) => self.at = At::Regex,
            (b'/', At::Regex) => (self.at, self.before) = (At::Code, Before::Operand),
            _ => (),
        }
    }

    pub(super) fn want(&self) -> Result<Want, Place> {
        match self.at {
            At::Double | At::Single | At::Template if self.escaped => Err(Place::Backslash),
            At::Template if self.armed => Err(Place::Dollar),
            At::Double | At::Single | At::Template => Ok(Want::Filters(JS)),
            At::Code => Ok(Want::Filters(JS_VALUE)),
            At::Slash if self.before == Before::Operand => Ok(Want::Filters(JS_VALUE)),
            At::Slash | At::Regex | At::Class => Err(Place::Regex),
            At::Line | At::Block => Err(Place::ScriptComment),
            At::Lost => Err(Place::Script),
        }
    }

    /// A value was printed here: in the code one word, with spaces around it.
    pub(super) fn value(&mut self) {
        if matches!(self.at, At::Code | At::Slash) {
            self.feed(b' ');
            if self.at == At::Code {
                (self.before, self.fresh) = (Before::Operand, false);
                self.word.clear();
            }
        }
        (self.escaped, self.separator) = (false, 0);
        if matches!(self.at, At::Template | At::Block) {
            self.armed = false;
        }
    }
}

/// Signs that do not touch are two.
fn joined(before: Before) -> Before {
    match before {
        Before::Sign(..) => Before::Operator,
        before => before,
    }
}

/// Letters, digits, and all beyond ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'#' | b'@') || byte >= 0x80
}
