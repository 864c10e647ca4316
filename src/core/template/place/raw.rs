//! The inside of an element that holds no elements: it ends at its own end tag, or, in a script, not even there.
//!
//! ```text
//!   script:  normal --<!-- --> escaped --<script --> double     where </script> ends nothing
//!               ^----- --> ------+----- --> ------------'
//! ```

use super::element::Inside;
use super::json::Json;
use super::name::Name;
use super::script::Script;
use super::style::Style;
use super::{HTML, Place, Want};

/// The language of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Code {
    None,
    Script(Script),
    Json(Json),
    Style(Style),
    /// A script where nothing is safe.
    Refused(Place),
}

impl Code {
    /// By a script's `type`, if it has one.
    pub(super) fn of_script(kind: Option<&Name>) -> Code {
        const SCRIPTS: [&[u8]; 18] = [
            b"",
            b"text/javascript",
            b"application/javascript",
            b"application/ecmascript",
            b"application/x-ecmascript",
            b"application/x-javascript",
            b"text/ecmascript",
            b"text/javascript1.0",
            b"text/javascript1.1",
            b"text/javascript1.2",
            b"text/javascript1.3",
            b"text/javascript1.4",
            b"text/javascript1.5",
            b"text/jscript",
            b"text/livescript",
            b"text/x-ecmascript",
            b"text/x-javascript",
            b"module",
        ];
        let Some(name) = kind else { return Code::Script(Script::new(false)) };
        let Some(text) = name.known() else { return Code::Refused(Place::ScriptType) };
        let essence = text.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        match essence {
            // Its texts say what is run.
            b"importmap" => Code::Refused(Place::Resource),
            b"speculationrules" | b"application/json" | b"text/json" => Code::Json(Json::default()),
            _ if essence.ends_with(b"+json") => Code::Json(Json::default()),
            _ if SCRIPTS.contains(&essence) => Code::Script(Script::new(essence == b"module")),
            _ => Code::Refused(Place::ScriptType),
        }
    }

    pub(super) fn feed(&mut self, byte: u8) {
        match self {
            Code::Script(script) => script.feed(byte),
            Code::Json(json) => json.feed(byte),
            Code::Style(style) => style.feed(byte),
            Code::None | Code::Refused(_) => (),
        }
    }

    pub(super) fn want(&self) -> Result<Want, Place> {
        match self {
            Code::None => Ok(Want::Filters(HTML)),
            Code::Script(script) => script.want(),
            Code::Json(json) => json.want(),
            Code::Style(style) => style.want(),
            Code::Refused(place) => Err(*place),
        }
    }

    pub(super) fn value(&mut self) {
        match self {
            Code::Script(script) => script.value(),
            Code::Json(json) => json.value(),
            Code::Style(style) => style.value(),
            Code::None | Code::Refused(_) => (),
        }
    }
}

/// A tag that may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    None,
    /// `<`
    Open,
    /// `<!`, `<!-`
    Bang(u8),
    /// `</` and so much of the name; `false`: without the slash.
    Name(u8, bool),
}

/// How many dashes stand before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dashes {
    Are(u8),
    /// A value stands before.
    Perhaps,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    inside: Inside,
    /// The element's.
    name: Name,
    pub(super) code: Code,
    tag: Tag,
    /// 0 normal, 1 escaped, 2 double.
    escape: u8,
    dashes: Dashes,
}

/// What a byte has done.
pub(super) enum Step {
    Goes,
    /// The end tag's name is over, and so is this.
    Ends,
    /// It may be escaped or not: the other reading.
    Forks(Raw),
}

impl Raw {
    pub(super) fn new(inside: Inside, name: Name, code: Code) -> Self {
        Raw { inside, name, code, tag: Tag::None, escape: 0, dashes: Dashes::Are(0) }
    }

    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// Nothing is begun that a `<` alone would not begin anew.
    pub(super) fn is_quiet(&self) -> bool {
        self.tag == Tag::None && matches!(self.code, Code::None | Code::Refused(_)) && self.escape == 0
    }

    pub(super) fn feed(&mut self, byte: u8) -> Step {
        if self.inside == Inside::Plain {
            return Step::Goes;
        }
        self.code.feed(byte);
        if self.tag(byte) {
            return Step::Ends;
        }
        if self.inside == Inside::Script && self.escape > 0 { self.dash(byte) } else { Step::Goes }
    }

    /// True: the byte ends an end tag's name.
    fn tag(&mut self, byte: u8) -> bool {
        let is_script = self.inside == Inside::Script;
        let ends = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'/' | b'>');
        let name = self.name.known().unwrap_or_default();
        self.tag = match (self.tag, byte) {
            (Tag::Open, b'/') => Tag::Name(0, true),
            (Tag::Open, b'!') if is_script && self.escape == 0 => Tag::Bang(0),
            (Tag::Open, _) if self.escape == 1 && name.first() == Some(&byte.to_ascii_lowercase()) => {
                Tag::Name(1, false)
            }
            (Tag::Bang(0), b'-') => Tag::Bang(1),
            (Tag::Bang(1), b'-') => {
                // The first of two dashes; the second is counted like any other.
                (self.escape, self.dashes) = (1, Dashes::Are(1));
                Tag::None
            }
            (Tag::Name(len, slash), _) if usize::from(len) == name.len() && ends => {
                match (slash, self.escape) {
                    (true, 0 | 1) => return true,
                    (true, _) => self.escape = 1,
                    (false, _) => self.escape = 2,
                }
                Tag::None
            }
            (Tag::Name(len, slash), _) if name.get(usize::from(len)) == Some(&byte.to_ascii_lowercase()) => {
                Tag::Name(len + 1, slash)
            }
            (_, b'<') => Tag::Open,
            _ => Tag::None,
        };
        false
    }

    fn dash(&mut self, byte: u8) -> Step {
        self.dashes = match (self.dashes, byte) {
            (Dashes::Are(count), b'-') => Dashes::Are(2.min(count + 1)),
            (Dashes::Perhaps, b'-') => Dashes::Perhaps,
            (Dashes::Are(2), b'>') => {
                self.escape = 0;
                Dashes::Are(0)
            }
            (Dashes::Perhaps, b'>') => {
                self.dashes = Dashes::Are(0);
                let mut other = self.clone();
                other.escape = 0;
                return Step::Forks(other);
            }
            _ => Dashes::Are(0),
        };
        Step::Goes
    }

    pub(super) fn want(&self) -> Result<Want, Place> {
        match (self.tag, &self.inside) {
            // What is written there begins with a space.
            (Tag::Open, Inside::Script) => match self.code.want()? {
                Want::Filters(filters) if filters == super::JS_VALUE => Ok(Want::Filters(filters)),
                _ => Err(Place::TagName),
            },
            (Tag::None, Inside::NoScript) => Ok(Want::Anything),
            (Tag::None, _) => self.code.want(),
            _ => Err(Place::TagName),
        }
    }

    /// A value was printed here.
    pub(super) fn value(&mut self) {
        self.tag = Tag::None;
        self.code.value();
        if self.escape > 0 {
            self.dashes = Dashes::Perhaps;
        }
    }
}
