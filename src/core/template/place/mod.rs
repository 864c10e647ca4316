//! Where in a page a tag stands, and what a value must be made to stay there.
//!
//! ```text
//!   text ---> [ Places ] <--- a tag: which filters?  -> html, attr, js, url, ... or none is safe
//!               one reading, or several where a page can be read in more than one way:
//!                 Position   elements, attributes, comments     (position, tree, element, attribute, raw)
//!                   Script, Json, Style, Url                    the language inside
//! ```
//!
//! A value and its default lead to different texts, and so do the branches of a block: the tracker follows all of them,
//! and a filter is chosen only where all agree on it.
//!
//! Invariants: what is chosen does not depend on how the page is cut; at most [`MAX_READINGS`] readings are followed,
//! each of a bounded size; with more, nothing is safe for the rest of the page.

mod attribute;
mod charref;
mod charset;
mod element;
mod json;
mod name;
mod position;
mod raw;
mod refused;
mod script;
mod style;
mod tree;
mod url;

use super::filter::Filter;
use charset::Charset;
use position::Position;
pub use refused::Place;

/// Most readings of a page that are followed at once.
const MAX_READINGS: usize = 6;

const HTML: &[Filter] = &[Filter::Html];
const ATTR: &[Filter] = &[Filter::Attr];
const URL: &[Filter] = &[Filter::Url];
const HREF: &[Filter] = &[Filter::Href];
const SRCSET: &[Filter] = &[Filter::Srcset];
const JS: &[Filter] = &[Filter::Js];
const JS_VALUE: &[Filter] = &[Filter::JsValue];
const JS_VALUE_QUOTED: &[Filter] = &[Filter::JsValue, Filter::Html];
const JSON: &[Filter] = &[Filter::Json];
const CSS: &[Filter] = &[Filter::Css];
const CSS_WORD: &[Filter] = &[Filter::CssWord];
const CSS_URL: &[Filter] = &[Filter::CssUrl];

/// In what language a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// HTML, and whatever is not known.
    Html,
    /// XML, XHTML, SVG.
    Xml,
    /// JavaScript.
    Script,
    /// JSON.
    Json,
    /// CSS.
    Style,
    /// Plain text: nothing is escaped.
    Plain,
    /// HTML in a character set in which a value may take the byte behind it, if that is a letter, a backslash or a backtick.
    Wide,
    /// Anything in a character set whose bytes nobody can follow.
    Foreign,
}

impl Start {
    /// All of them.
    pub const ALL: [Start; 8] = [
        Start::Html,
        Start::Xml,
        Start::Script,
        Start::Json,
        Start::Style,
        Start::Plain,
        Start::Wide,
        Start::Foreign,
    ];

    /// Of a response of this media type, with parameters or without.
    pub fn of(content_type: &[u8]) -> Start {
        let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let essence = essence.to_ascii_lowercase();
        let (_, subtype) = essence.split_at(essence.iter().position(|&byte| byte == b'/').unwrap_or(0));
        let subtype = subtype.strip_prefix(b"/").unwrap_or_default();
        let bare = subtype.strip_prefix(b"x-").unwrap_or(subtype);
        let start = match bare {
            _ if matches!(essence.as_slice(), b"text/plain" | b"text/csv" | b"text/markdown") => Start::Plain,
            b"css" => Start::Style,
            b"json" | b"ndjson" | b"json-seq" => Start::Json,
            b"xml" | b"xsl" | b"xslt" => Start::Xml,
            b"jscript" | b"livescript" => Start::Script,
            _ if subtype.ends_with(b"+json") => Start::Json,
            _ if subtype.ends_with(b"+xml") => Start::Xml,
            _ if bare.starts_with(b"javascript") || bare.starts_with(b"ecmascript") => Start::Script,
            _ => Start::Html,
        };
        match (Charset::of(content_type), start) {
            (Charset::Plain, start) | (_, start @ Start::Plain) => start,
            (Charset::Wide, Start::Html) => Start::Wide,
            _ => Start::Foreign,
        }
    }
}

/// What a reading asks of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// Any of the filters is as good as another.
    Anything,
    Filters(&'static [Filter]),
}

impl Want {
    /// In a language whose strings end with a backtick, or have backslashes.
    fn has_backslashes(self) -> bool {
        const SUCH: [&[Filter]; 5] = [JS, JS_VALUE, JS_VALUE_QUOTED, JSON, CSS];
        matches!(self, Want::Filters(filters) if SUCH.contains(&filters))
    }

    /// Outside of strings, where a language has such.
    fn is_code(self) -> bool {
        matches!(self, Want::Filters(filters) if filters == JS_VALUE || filters == CSS_WORD)
    }
}

/// The readings of a page so far. None: they are too many.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Readings(Vec<Position>);

impl Readings {
    fn value(&mut self) {
        self.0.iter_mut().for_each(Position::value);
    }

    fn feed(&mut self, text: &[u8]) {
        let mut rest = text;
        while !self.0.is_empty() {
            // What changes none of them.
            let skip = self.0.iter().map(|reading| reading.skip(rest)).min().unwrap_or(0);
            let Some((&byte, after)) = rest.get(skip..).and_then(<[u8]>::split_first) else { return };
            rest = after;
            let mut forks = Vec::new();
            for reading in &mut self.0 {
                forks.extend(reading.feed(byte).map(|fork| *fork));
            }
            // They meet behind tags, strings, lines: never inside a word.
            if !forks.is_empty() || self.0.len() > 1 && !byte.is_ascii_alphanumeric() {
                self.join(forks);
            }
        }
    }

    /// Adds readings; equal ones are one.
    fn join(&mut self, more: Vec<Position>) {
        if self.0.is_empty() {
            return;
        }
        for reading in std::mem::take(&mut self.0).into_iter().chain(more) {
            if !self.0.contains(&reading) {
                self.0.push(reading);
            }
        }
        if self.0.len() > MAX_READINGS {
            self.0.clear();
        }
    }

    /// Adds those of another way to here.
    fn join_way(&mut self, way: Readings) {
        if way.0.is_empty() { self.0.clear() } else { self.join(way.0) }
    }
}

/// An open block.
#[derive(Debug)]
struct Block {
    /// At its beginning.
    before: Readings,
    /// At its `else`.
    then: Option<Readings>,
}

/// Where a page stands.
#[derive(Debug)]
pub(super) struct Places {
    now: Readings,
    blocks: Vec<Block>,
    /// That the readings differ was said since they did.
    told: bool,
    start: Start,
}

/// Why a value can't be printed.
pub(super) struct Refused {
    pub(super) place: Place,
    /// It is the first of its kind: the log should know.
    pub(super) first: bool,
}

impl Places {
    pub(super) fn new(start: Start) -> Self {
        Places { now: Readings(vec![Position::new(start)]), blocks: Vec::new(), told: false, start }
    }

    /// Text of the page's own.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.now.feed(text);
    }

    /// What a value is to be made here, filter by filter.
    pub(super) fn filters(&mut self) -> Result<&'static [Filter], Refused> {
        let mut wanted = Ok(Want::Anything);
        for reading in &self.now.0 {
            let want = reading.want();
            wanted = match (wanted, want) {
                (Ok(Want::Anything), want) => want,
                (wanted, Ok(Want::Anything)) => wanted,
                (wanted, want) if wanted == want => wanted,
                _ => Err(Place::Branches),
            };
            if wanted == Err(Place::Branches) {
                break;
            }
        }
        if self.now.0.is_empty() {
            wanted = Err(Place::Lost);
        }
        if self.start == Start::Foreign
            || self.start == Start::Wide && wanted.is_ok_and(Want::has_backslashes)
        {
            wanted = Err(Place::Charset);
        }
        let differ = matches!(wanted, Err(Place::Branches | Place::Lost | Place::Charset));
        let told = std::mem::replace(&mut self.told, differ);
        match wanted {
            Ok(Want::Filters(filters)) => Ok(filters),
            Ok(Want::Anything) => Ok(HTML),
            Err(place) => Err(Refused { place, first: !(differ && told) }),
        }
    }

    /// Whether a fragment may be printed here.
    pub(super) fn takes_fragments(&self) -> bool {
        !self.now.0.is_empty() && self.now.0.iter().all(Position::takes_fragments)
    }

    /// A tag prints a value, whatever its visitor.
    pub(super) fn value(&mut self) {
        self.now.value();
    }

    /// A tag prints its value, or one of these texts.
    pub(super) fn value_or(&mut self, texts: &[&[u8]]) {
        let mut valued = self.now.clone();
        valued.value();
        self.one_of(texts);
        self.now.join_way(valued);
    }

    /// A tag prints one of these texts.
    pub(super) fn one_of(&mut self, texts: &[&[u8]]) {
        let Some((last, others)) = texts.split_last() else { return };
        let before = if others.is_empty() { Readings(Vec::new()) } else { self.now.clone() };
        self.now.feed(last);
        for text in others {
            let mut way = before.clone();
            way.feed(text);
            self.now.join_way(way);
        }
    }

    /// A block opens.
    pub(super) fn open(&mut self) {
        self.blocks.push(Block { before: self.now.clone(), then: None });
    }

    /// Its second half begins.
    pub(super) fn otherwise(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.then = Some(std::mem::replace(&mut self.now, block.before.clone()));
        }
    }

    /// It ends.
    pub(super) fn end(&mut self) {
        if let Some(block) = self.blocks.pop() {
            self.now.join_way(block.then.unwrap_or(block.before));
        }
    }
}
