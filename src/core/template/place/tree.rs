//! As much of a page's elements as decides how the inside of an element reads: in `<svg>` and `<math>` a `<style>`
//! is an element like any other.
//!
//! Invariants: what is open in `<svg>` and `<math>` is remembered as long as it is nested as it should be, to a bounded
//! depth. Where it is not, the tree is muddled for the rest of the page: then the tracker follows both readings.

use super::element::{Inside, breaks_out, holds_html, inside, is_void};
use super::name::Name;

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 24;

/// An open element in `<svg>` or `<math>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Open {
    name: u64,
    /// HTML stands in it.
    html: bool,
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
}

/// How the inside of the element that begins reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Is(Inside),
    /// So, or as markup.
    Perhaps(Inside),
}

impl Tree {
    /// Markup declarations are those of XML.
    pub(super) fn is_foreign(&self) -> bool {
        self.top().is_some_and(|top| !top.html)
    }

    pub(super) fn is_muddled(&self) -> bool {
        self.muddled
    }

    /// Text is a script or a style.
    pub(super) fn in_code(&self) -> bool {
        self.code != 0 || self.top().is_some_and(|top| top.code)
    }

    fn top(&self) -> Option<&Open> {
        self.depth.checked_sub(1).and_then(|top| self.open.get(usize::from(top)))
    }

    fn muddle(&mut self) {
        let code = self.top().filter(|top| top.code).map_or(self.code, |top| top.name);
        *self = Tree { muddled: true, code, select: self.select, template: self.template, ..Tree::default() };
    }

    fn push(&mut self, name: &Name, html: bool, code: bool) {
        match self.open.get_mut(usize::from(self.depth)) {
            Some(place) => {
                *place = Open { name: hash(name), html, code };
                self.depth += 1;
            }
            None => {
                self.muddle();
                if code {
                    self.code = hash(name);
                }
            }
        }
    }

    /// An element of an XML document begins.
    pub(super) fn start_xml(&mut self, name: &Name, self_closing: bool) {
        let local = |text: &'_ [u8]| text.rsplit(|&byte| byte == b':').next().is_some_and(is_code);
        // Only these are remembered.
        if !self_closing && name.known().is_none_or(local) {
            self.push(name, false, true);
        }
    }

    /// An element of HTML begins.
    pub(super) fn start(&mut self, name: &Name, self_closing: bool) -> Begun {
        if self.is_foreign() {
            return self.start_foreign(name, self_closing);
        }
        let inside = inside(name);
        if self.code != 0 && name.known().is_none_or(is_code) {
            self.code = EVER;
        }
        if name.is(b"svg") || name.is(b"math") {
            if self.select {
                self.muddle();
            } else if !self_closing && !self.muddled {
                self.push(name, false, false);
            }
            return Begun::Is(Inside::Markup);
        }
        match name.known() {
            Some(b"select") => self.select = true,
            Some(b"frameset") => self.muddle(),
            Some(b"template") => self.template = true,
            Some(b"col" | b"colgroup") if self.template => self.muddle(),
            _ => (),
        }
        if self.depth > 0 && inside == Inside::Markup && !is_void(name) {
            self.push(name, true, false);
        }
        if self.depth > 0 && (self.select || name.is(b"mglyph") || name.is(b"malignmark")) {
            self.muddle();
        }
        if self.muddled || self.select { Begun::Perhaps(inside) } else { Begun::Is(inside) }
    }

    fn start_foreign(&mut self, name: &Name, self_closing: bool) -> Begun {
        if breaks_out(name) || name.is(b"annotation-xml") {
            self.muddle();
        } else if !self_closing {
            self.push(name, holds_html(name), name.known().is_none_or(is_code));
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
    let text = name.known().unwrap_or(b"?");
    text.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
