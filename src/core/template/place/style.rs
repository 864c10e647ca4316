//! Where in a style a tag stands: in a string, in `url()`, between them, in a comment.
//!
//! Invariant: Lost is left by nothing; a function whose name is not known for sure is followed into as one that
//! loads what its strings name.

use super::url::{Kind, Url};
use super::{CSS, CSS_WORD, Place, Want, name::Name};

/// Functions whose strings are URLs.
const LOADERS: [&[u8]; 5] = [b"image-set", b"-webkit-image-set", b"image", b"src", b"url-prefix"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Code,
    Slash,
    Comment,
    Double,
    Single,
    /// Behind `url(`.
    UrlStart,
    UrlBare,
    UrlDouble,
    UrlSingle,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    at: At,
    word: Name,
    /// The byte before was a backslash that counts; in a comment: a `*`.
    armed: bool,
    /// The word, or the string, has an escape in it: nobody knows how it reads.
    escaped_word: bool,
    /// Strings are URLs of style sheets (`@import`) or of images, up to the end of the declaration.
    loads: bool,
    url: Url,
}

impl Style {
    pub(super) fn new() -> Self {
        Style {
            at: At::Code,
            word: Name::default(),
            armed: false,
            escaped_word: false,
            loads: false,
            url: bare(false),
        }
    }

    pub(super) fn feed(&mut self, byte: u8) {
        match self.at {
            At::Code => self.code(byte),
            At::Slash if byte == b'*' => (self.at, self.armed) = (At::Comment, false),
            At::Slash => {
                self.at = At::Code;
                self.code(byte);
            }
            At::Comment => {
                if self.armed && byte == b'/' {
                    self.at = At::Code;
                }
                self.armed = byte == b'*';
            }
            At::Double | At::Single | At::UrlDouble | At::UrlSingle => self.string(byte),
            At::UrlStart if byte.is_ascii_whitespace() => (),
            At::UrlStart if byte == b'"' => self.at = At::UrlDouble,
            At::UrlStart if byte == b'\'' => self.at = At::UrlSingle,
            At::UrlStart => {
                self.at = At::UrlBare;
                self.feed(byte);
            }
            At::UrlBare => match byte {
                b')' => self.end_url(),
                // An escape, or something that spoils the URL in one browser or another.
                b'\\' | b'"' | b'\'' | b'(' => self.lose(),
                _ => self.url.feed(byte),
            },
            At::Lost => (),
        }
    }

    fn lose(&mut self) {
        *self = Style { at: At::Lost, ..Style::new() };
    }

    fn end_url(&mut self) {
        (self.at, self.url) = (At::Code, bare(false));
    }

    fn code(&mut self, byte: u8) {
        if std::mem::take(&mut self.armed) {
            return self.escaped_word = true;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'@') || byte >= 0x80 {
            return self.word.push(byte);
        }
        // An escape takes the space behind it with it.
        let escaped = self.escaped_word;
        self.escaped_word &= byte.is_ascii_whitespace();
        let word = std::mem::take(&mut self.word);
        self.loads |= word.is(b"@import") || escaped;
        match byte {
            b'"' => (self.at, self.escaped_word) = (At::Double, false),
            b'\'' => (self.at, self.escaped_word) = (At::Single, false),
            b'/' => self.at = At::Slash,
            b'(' if escaped => self.lose(),
            b'(' if word.is(b"url") => (self.at, self.url) = (At::UrlStart, bare(self.loads)),
            // It may be `url`.
            b'(' if word.is_unknown() => self.lose(),
            b'(' => self.loads |= word.is_one_of(&LOADERS),
            b';' | b'{' | b'}' => self.loads = false,
            b'\\' => self.armed = true,
            _ => (),
        }
    }

    fn string(&mut self, byte: u8) {
        if std::mem::take(&mut self.armed) {
            self.escaped_word |= byte != b'\n';
            return;
        }
        let in_url = matches!(self.at, At::UrlDouble | At::UrlSingle);
        match (byte, self.at) {
            (b'\\', _) if in_url => self.lose(),
            (b'\\', _) => self.armed = true,
            (b'"', At::Double) | (b'\'', At::Single) => (self.at, self.escaped_word) = (At::Code, false),
            (b'"', At::UrlDouble) | (b'\'', At::UrlSingle) => self.end_url(),
            // An escape may take a line end with it.
            (b'\n' | b'\r' | 0x0c, _) if self.escaped_word => self.lose(),
            // It ends here, as a bad one.
            (b'\n' | b'\r' | 0x0c, _) => self.end_url(),
            _ if in_url => self.url.feed(byte),
            _ => (),
        }
    }

    pub(super) fn want(&self) -> Result<Want, Place> {
        match self.at {
            At::Code | At::Double | At::Single if self.armed => Err(Place::Backslash),
            // It may become `@import`.
            At::Code if self.word.known().is_some_and(|word| word.starts_with(b"@")) => Err(Place::Resource),
            At::Code | At::Slash => Ok(Want::Filters(CSS_WORD)),
            At::Double | At::Single if self.loads => Err(Place::Resource),
            At::Double | At::Single => Ok(Want::Filters(CSS)),
            At::UrlStart | At::UrlBare | At::UrlDouble | At::UrlSingle => self.url.want(),
            At::Comment => Err(Place::StyleComment),
            At::Lost => Err(Place::Style),
        }
    }

    /// A value was printed here.
    pub(super) fn value(&mut self) {
        match self.at {
            At::Code | At::Slash => {
                self.at = At::Code;
                self.word.spoil();
            }
            At::UrlStart | At::UrlBare => {
                self.at = At::UrlBare;
                self.url.value();
            }
            At::UrlDouble | At::UrlSingle => self.url.value(),
            _ => (),
        }
        self.armed = false;
    }
}

fn bare(resource: bool) -> Url {
    Url::new(Kind::Css, resource)
}
