//! As much of a page's elements as decides how the inside of an element reads: in `<svg>` and `<math>` a `<style>`
//! is an element like any other.
//!
//! Invariants: what is open in `<svg>` and `<math>` is remembered as long as it is nested as it should be, to a bounded
//! depth. Where it is not, the tree is muddled for the rest of the page: then the tracker follows both readings.

use super::element::{self, Holds, Inside, inside};
use super::name::Name;

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 24;

/// An open element in `<svg>` or `<math>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Open {
    name: u64,
    holds: Holds,
    /// It is an element of SVG or MathML itself.
    foreign: bool,
    /// A script or a style of SVG.
    code: bool,
}

/// The name of no element.
const EVER: u64 = u64::MAX;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    depth: u8,
    open: [Open; MAX_DEPTH],
    muddled: bool,
    /// Muddled in a script or a style of SVG, whose end nobody has seen yet: its name, [`EVER`], or 0.
    code: u64,
    /// In a `<select>`, where browsers of different ages leave different elements out.
    select: bool,
    /// There was a `<template>`.
    template: bool,
    /// There was a `<table>`, or a part of one.
    table: bool,
}

/// How the inside of the element that begins reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Is(Inside),
    /// So, or as markup.
    Perhaps(Inside),
}

impl Tree {
    /// Whether `<![CDATA[` begins a section; `None`: nobody knows.
    pub(super) fn has_sections(&self) -> Option<bool> {
        match self.top() {
            // An element of HTML that ended by itself may have left one of SVG on top.
            Some(top) if !top.foreign => None,
            None if self.muddled => None,
            top => Some(top.is_some()),
        }
    }

    /// Text is a script or a style.
    pub(super) fn in_code(&self) -> bool {
        self.code != 0 || self.top().is_some_and(|top| top.code)
    }

    fn top(&self) -> Option<&Open> {
        self.depth.checked_sub(1).and_then(|top| self.open.get(usize::from(top)))
    }

    fn muddle(&mut self) {
        let mut codes = self.open.iter().filter(|open| open.code).map(|open| open.name);
        let code = match (codes.next(), codes.next()) {
            (None, _) => self.code,
            (Some(name), None) if self.code == 0 => name,
            _ => EVER,
        };
        let Tree { select, template, table, .. } = *self;
        *self = Tree { muddled: true, code, select, template, table, ..Tree::default() };
    }

    /// Muddled, the element that begins may be one of SVG.
    pub(super) fn may_be_code(&mut self, name: &Name, self_closing: bool) {
        if self.muddled && !self_closing && name.known().is_none_or(is_code) {
            self.code = if self.code == 0 { hash(name) } else { EVER };
        }
    }

    fn push(&mut self, name: &Name, open: Open) {
        match self.open.get_mut(usize::from(self.depth)) {
            Some(place) => {
                *place = Open { name: hash(name), ..open };
                self.depth += 1;
            }
            None => {
                self.muddle();
                if open.code {
                    self.may_be_code(name, false);
                }
            }
        }
    }

    /// An element of an XML document begins.
    pub(super) fn start_xml(&mut self, name: &Name, self_closing: bool) {
        let local = |text: &'_ [u8]| text.rsplit(|&byte| byte == b':').next().is_some_and(is_code);
        // Only these are remembered.
        if !self_closing && name.known().is_none_or(local) {
            self.push(name, Open { foreign: true, code: true, ..Open::default() });
        }
    }

    /// An element of HTML begins. `encoding`: the attribute of that name, if it has one.
    pub(super) fn start(&mut self, name: &Name, encoding: Option<&Name>, self_closing: bool) -> Begun {
        let holds = self.top().map_or(Holds::Html, |top| top.holds);
        match holds {
            Holds::Html => self.start_html(name, self_closing),
            Holds::MathText if !element::is_glyph(name) => self.start_html(name, self_closing),
            Holds::Annotation if name.is(b"svg") => self.start_html(name, self_closing),
            Holds::Svg => self.start_foreign(name, element::in_svg(name), self_closing),
            _ => self.start_foreign(name, element::in_math(name, encoding), self_closing),
        }
    }

    fn start_html(&mut self, name: &Name, self_closing: bool) -> Begun {
        let inside = inside(name);
        let holds = match name.known() {
            Some(b"svg") => Holds::Svg,
            Some(b"math") => Holds::MathMl,
            _ => Holds::Html,
        };
        if holds != Holds::Html {
            if self.select {
                self.muddle();
            } else if !self_closing && !self.muddled {
                self.push(name, Open { holds, foreign: true, ..Open::default() });
            }
            return Begun::Is(Inside::Markup);
        }
        if self.depth > 0 && (self.leaves(name) || self.is_doubtful(name)) {
            self.muddle();
        }
        match name.known() {
            Some(b"select") => self.select = true,
            Some(b"frameset") => self.muddle(),
            // Its `</select>` would end nothing.
            Some(b"template") if self.select => self.muddle(),
            Some(b"template") => self.template = true,
            Some(b"col" | b"colgroup") if self.template => self.muddle(),
            _ => (),
        }
        self.table |= name.is(b"table") || element::is_part_of_table(name);
        if self.depth > 0 && self.select {
            self.muddle();
        }
        if self.depth > 0 && inside == Inside::Markup && !element::is_void(name) {
            self.push(name, Open::default());
        }
        if self.muddled || self.select { Begun::Perhaps(inside) } else { Begun::Is(inside) }
    }

    /// Whether an element of HTML may end the `<svg>` in which it stands: parts of a table do, up to that table.
    fn leaves(&self, name: &Name) -> bool {
        let table = hash_of(b"table");
        let open = self.open.get(..usize::from(self.depth)).unwrap_or_default();
        let own = open.iter().rev().take_while(|open| !open.foreign).any(|open| open.name == table);
        match element::is_part_of_table(name) {
            true => !own,
            false => name.is(b"table") && (own || self.table),
        }
    }

    /// Whether an element of HTML in `<svg>` may be left out, or be read as one of MathML.
    fn is_doubtful(&self, name: &Name) -> bool {
        element::is_glyph(name) && self.top().is_some_and(|top| !top.foreign)
            || name.is_one_of(&[b"form", b"head", b"body", b"html"])
    }

    fn start_foreign(&mut self, name: &Name, holds: Holds, self_closing: bool) -> Begun {
        if element::breaks_out(name) || holds == Holds::Unknown {
            self.muddle();
        } else if !self_closing {
            self.push(
                name,
                Open { holds, foreign: true, code: name.known().is_none_or(is_code), ..Open::default() },
            );
        }
        if self.muddled { Begun::Perhaps(inside(name)) } else { Begun::Is(Inside::Markup) }
    }

    /// An element ends.
    pub(super) fn end(&mut self, name: &Name) {
        if name.is(b"select") {
            self.select = false;
        }
        if self.code == hash(name) {
            self.code = 0;
        }
        let Some(top) = self.top() else { return };
        if top.name == hash(name) {
            self.depth -= 1;
            if let Some(place) = self.open.get_mut(usize::from(self.depth)) {
                *place = Open::default();
            }
        } else {
            self.muddle();
        }
    }

    /// An element of an XML document ends.
    pub(super) fn end_xml(&mut self, name: &Name) {
        if self.top().is_some_and(|top| top.name == hash(name)) {
            self.end(name);
        }
    }
}

fn is_code(name: &[u8]) -> bool {
    name == b"script" || name == b"style"
}

/// Names that are equal have equal hashes; that others differ is all but certain, and a page's author would only
/// trick himself.
fn hash(name: &Name) -> u64 {
    hash_of(name.known().unwrap_or(b"?"))
}

fn hash_of(text: &[u8]) -> u64 {
    text.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
