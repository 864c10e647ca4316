//! The value of an attribute: as a browser hands it on, without its character references.

use super::charref::CharRef;
use super::element::Kind;
use super::name::Name;
use super::raw::Code;
use super::script::Script;
use super::style::Style;
use super::url::{self, Refresh, Url};
use super::{ATTR, HTML, JS_VALUE, JS_VALUE_QUOTED, Place, Want};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    Double,
    Single,
    None,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inside {
    Text,
    Url(Url),
    Refresh(Refresh),
    Code(Code),
    /// What says how the inside of the element reads.
    Kind(Name),
    None(Place),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) quote: Quote,
    inside: Inside,
    reference: CharRef,
}

impl Value {
    /// `is_kind`: it says how the inside of the element reads.
    pub(super) fn new(quote: Quote, kind: Kind, is_kind: bool) -> Self {
        let inside = match kind {
            _ if is_kind => Inside::Kind(Name::default()),
            Kind::Text => Inside::Text,
            Kind::Url(resource) => Inside::Url(Url::new(url::Kind::Attribute, resource)),
            Kind::Urls => Inside::Url(Url::new(url::Kind::List, false)),
            Kind::Refresh => Inside::Refresh(Refresh::new()),
            // A value may hold spaces, which end these.
            Kind::Script | Kind::Style if quote == Quote::None => Inside::None(Place::Unquoted),
            Kind::Script => Inside::Code(Code::Script(Script::new(false))),
            Kind::Style => Inside::Code(Code::Style(Style::new())),
            Kind::None(place) => Inside::None(place),
        };
        Value { quote, inside, reference: CharRef::default() }
    }

    /// Whether the byte is a part of it.
    pub(super) fn goes_on(&self, byte: u8) -> bool {
        match self.quote {
            Quote::Double => byte != b'"',
            Quote::Single => byte != b'\'',
            Quote::None => byte != b'>' && !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c),
        }
    }

    /// Nothing in it changes anything but its end.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.inside, Inside::Text | Inside::None(_))
    }

    pub(super) fn feed(&mut self, byte: u8) {
        if !self.is_text() {
            let inside = &mut self.inside;
            self.reference.feed(byte, |byte| inside.feed(byte));
        }
    }

    /// What it says of the inside of the element, if it is that.
    pub(super) fn close(mut self) -> Option<Name> {
        let inside = &mut self.inside;
        self.reference.close(None, &mut |byte| inside.feed(byte));
        if let Inside::Kind(name) = self.inside { Some(name) } else { None }
    }

    pub(super) fn want(&self) -> Result<Want, Place> {
        if self.reference.is_open() {
            return Err(Place::Reference);
        }
        match &self.inside {
            Inside::Text if self.quote == Quote::None => Ok(Want::Filters(ATTR)),
            Inside::Text => Ok(Want::Filters(HTML)),
            Inside::Url(url) => url.want(),
            Inside::Refresh(refresh) => refresh.want(),
            Inside::Code(code) => match code.want()? {
                Want::Filters(filters) if filters == JS_VALUE => Ok(Want::Filters(JS_VALUE_QUOTED)),
                want => Ok(want),
            },
            Inside::Kind(_) => Err(Place::Role),
            Inside::None(place) => Err(*place),
        }
    }

    /// A value was printed here.
    pub(super) fn value(&mut self) {
        let inside = &mut self.inside;
        self.reference.close(None, &mut |byte| inside.feed(byte));
        match inside {
            Inside::Url(url) => url.value(),
            Inside::Refresh(refresh) => refresh.value(),
            Inside::Code(code) => code.value(),
            Inside::Kind(name) => name.spoil(),
            Inside::Text | Inside::None(_) => (),
        }
    }
}

impl Inside {
    fn feed(&mut self, byte: u8) {
        match self {
            Inside::Url(url) => url.feed(byte),
            Inside::Refresh(refresh) => refresh.feed(byte),
            Inside::Code(code) => code.feed(byte),
            Inside::Kind(name) => name.push(byte),
            Inside::Text | Inside::None(_) => (),
        }
    }
}
